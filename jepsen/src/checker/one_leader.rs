//! C14, election safety: at most one leader a term, and a node's term never goes back, not even over a
//! restart. A node whose disk was taken or put back has forgotten its term honestly.

use std::collections::HashMap;

use super::verdict::Verdict;
use crate::history::{Function, History, Moment, Sighting};

/// Checks what the nodes said of themselves.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C14", "one-leader");
    let mut leaders: HashMap<u64, &Sighting> = HashMap::new();
    let mut last: HashMap<&str, &Sighting> = HashMap::new();
    for sighting in &history.sightings {
        if sighting.leads {
            let first = *leaders.entry(sighting.term).or_insert(sighting);
            if first.node != sighting.node {
                let what = format!("{} and {} both led term {}", first.node, sighting.node, sighting.term);
                verdict.reject(what, [first.at.event, sighting.at.event]);
            }
        }
        if let Some(before) = last.insert(&sighting.node, sighting)
            && before.term > sighting.term
            && !lost_its_disk(history, &sighting.node, before.at, sighting.at)
        {
            let what =
                format!("the term of {} went back from {} to {}", sighting.node, before.term, sighting.term);
            verdict.reject(what, [before.at.event, sighting.at.event]);
        }
    }
    for op in history.ops.iter().filter(|op| op.function == Function::LocalLeader) {
        let (Some(term), Some(named)) = (op.term, &op.leader) else { continue };
        if let Some(leader) = leaders.get(&term).filter(|leader| leader.node != *named) {
            let by = op.node.as_deref().unwrap_or("a node");
            let what = format!("{by} named {named} as the leader of term {term}, which {} led", leader.node);
            verdict.reject(what, [leader.at.event, op.invoked.event]);
        }
    }
    if leaders.is_empty() {
        verdict.doubt("no node was ever seen to lead".to_owned());
    }
    verdict
}

/// A sighting is taken down at most this long after the node spoke.
const SIGHT_NS: u64 = 2_000_000_000;

fn lost_its_disk(history: &History, node: &str, from: Moment, to: Moment) -> bool {
    let takes_it = |function| matches!(function, Function::Wipe | Function::DiskRollback);
    history.faults.iter().any(|fault| {
        takes_it(fault.function)
            && fault.at.ns + SIGHT_NS > from.ns
            && fault.at < to
            && fault.nodes.iter().any(|hit| **hit == *node)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Validity;
    use crate::checker::script::{Script, assert_only, assert_valid};

    #[test]
    fn leaders_of_rising_terms_are_valid() {
        let mut script = Script::new();
        script.status("n0", 2, "leader").status("n1", 2, "follower").status("n1", 3, "leader");
        script.status("n0", 2, "leader").status("n0", 3, "follower").acked(1, "a", 0).drain_all(&["a"]);
        assert_valid(&script.history());
    }

    #[test]
    fn two_leaders_of_one_term_are_caught() {
        let mut script = Script::new();
        script.status("n0", 2, "leader").status("n1", 2, "leader").acked(1, "a", 0).drain_all(&["a"]);
        let verdict = assert_only(&script.history(), &["C14"]);
        assert_eq!(verdict.witnesses[0].what, "n0 and n1 both led term 2");
    }

    #[test]
    fn a_term_that_goes_back_is_caught() {
        let mut script = Script::new();
        script.status("n0", 3, "leader").status("n0", 2, "follower").acked(1, "a", 0).drain_all(&["a"]);
        let verdict = assert_only(&script.history(), &["C14"]);
        assert_eq!(verdict.witnesses[0].what, "the term of n0 went back from 3 to 2");
    }

    #[test]
    fn a_node_whose_disk_was_taken_may_begin_anew() {
        let mut script = Script::new();
        script
            .status("n0", 3, "follower")
            .fault(Function::Wipe, "n0", "installed")
            .status("n0", 0, "learner");
        script.acked(1, "a", 0).drain_all(&["a"]);
        assert_valid(&script.history());
        let mut script = Script::new();
        script
            .status("n0", 3, "follower")
            .fault(Function::Wipe, "n1", "installed")
            .status("n0", 0, "learner");
        script.acked(1, "a", 0).drain_all(&["a"]);
        assert_only(&script.history(), &["C14"]);
    }

    #[test]
    fn a_node_that_names_another_leader_of_a_term_is_caught() {
        let mut script = Script::new();
        script.local_leader(7, 1, "n0").acked(1, "a", 0).drain_all(&["a"]);
        assert_valid(&script.history());
        script.local_leader(7, 1, "n1");
        let verdict = assert_only(&script.history(), &["C14"]);
        assert_eq!(verdict.witnesses[0].what, "n2 named n1 as the leader of term 1, which n0 led");
    }

    #[test]
    fn without_any_sighting_of_a_leader_it_is_unknown() {
        let script = Script::new();
        let mut history = script.history();
        history.sightings.clear();
        assert_eq!(check(&history).validity, Validity::Unknown);
    }
}
