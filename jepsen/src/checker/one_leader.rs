//! C14, election safety: at most one leader a term, and a node's term never goes back, not even over a
//! restart.

use std::collections::HashMap;

use super::Verdict;
use crate::history::{History, Sighting};

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
        {
            let what =
                format!("the term of {} went back from {} to {}", sighting.node, before.term, sighting.term);
            verdict.reject(what, [before.at.event, sighting.at.event]);
        }
    }
    if leaders.is_empty() {
        verdict.doubt("no node was ever seen to lead".to_owned());
    }
    verdict
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
    fn without_any_sighting_of_a_leader_it_is_unknown() {
        let script = Script::new();
        let mut history = script.history();
        history.sightings.clear();
        assert_eq!(check(&history).validity, Validity::Unknown);
    }
}
