//! C15, leader read: what `GET /leader` confirms is linearizable.
//!
//! Of two reads one after the other, the later one is of no lower term and no lower read index; one term has one
//! leader, the one that nodes were seen to lead as; and what was acknowledged before the question lies at or below the
//! read index. At rest, the name server names the leader.

use std::collections::HashMap;

use super::verdict::{Verdict, events, events_of_send};
use crate::history::{Function, History, Op, Send, Sighting};

/// Checks the confirmed reads, and the route at rest.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C15", "leader-read");
    let of =
        |function| history.ops.iter().filter(move |op| op.function == function && op.answered().is_some());
    let reads: Vec<&Op> = of(Function::Leader).collect();
    in_order(&reads, &mut verdict);
    one_a_term(history, &reads, &mut verdict);
    above_acks(history, &reads, &mut verdict);
    for route in of(Function::Route).filter(|route| route.done) {
        let newest = history.sightings.iter().filter(|seen| seen.leads && seen.at < route.invoked);
        let Some(newest) = newest.max_by_key(|seen| seen.term) else { continue };
        // Whoever watches looks now and then: a read may have heard of a later leader already.
        let is_later = |read: &&&Op| read.completed < Some(route.invoked) && read.term > Some(newest.term);
        let later = reads.iter().filter(is_later).max_by_key(|read| read.term);
        let leader = later.and_then(|read| read.leader.as_deref()).unwrap_or(&newest.node);
        if route.leader.as_deref() != Some(leader) {
            let named = route.leader.as_deref().unwrap_or("nobody");
            let what = format!("{leader} leads, and at rest the name server names {named}");
            verdict.reject(what, [newest.at.event].into_iter().chain(events(route.invoked, route.completed)));
        }
    }
    verdict
}

fn in_order(reads: &[&Op], verdict: &mut Verdict) {
    let mut by_answer = reads.to_vec();
    by_answer.sort_by_key(|read| read.completed);
    let mut by_answer = by_answer.into_iter().peekable();
    let (mut term, mut index): (Option<&Op>, Option<&Op>) = (None, None);
    for read in reads {
        while let Some(before) = by_answer.next_if(|before| before.completed < Some(read.invoked)) {
            if term.is_none_or(|best| best.term < before.term) {
                term = Some(before);
            }
            if index.is_none_or(|best| best.number < before.number) {
                index = Some(before);
            }
        }
        let mut back = |what: &str, before: Option<&Op>, value: fn(&Op) -> Option<u64>| {
            let Some(before) = before else { return };
            let (Some(was), Some(is)) = (value(before), value(read)) else { return };
            if is < was {
                let what = format!("a confirmed read told {what} {was}, and a later one {is}");
                let shown = events(before.invoked, before.completed);
                verdict.reject(what, shown.chain(events(read.invoked, read.completed)));
            }
        };
        back("term", term, |op| op.term);
        back("read index", index, |op| op.number);
    }
}

fn one_a_term(history: &History, reads: &[&Op], verdict: &mut Verdict) {
    let mut leaders: HashMap<u64, &Op> = HashMap::new();
    let mut seen: HashMap<u64, &Sighting> = HashMap::new();
    for sighting in history.sightings.iter().filter(|sighting| sighting.leads) {
        seen.entry(sighting.term).or_insert(sighting);
    }
    for read in reads {
        let (Some(term), Some(leader)) = (read.term, &read.leader) else { continue };
        let first = *leaders.entry(term).or_insert(read);
        let shown = events(read.invoked, read.completed);
        if first.leader != read.leader {
            let other = first.leader.as_deref().unwrap_or_default();
            let what = format!("confirmed reads named {other} and {leader} as leaders of term {term}");
            verdict.reject(what, events(first.invoked, first.completed).chain(shown));
        } else if let Some(sighting) = seen.get(&term).filter(|sighting| sighting.node != *leader) {
            let what = format!("a confirmed read named {leader}, and {} leads term {term}", sighting.node);
            verdict.reject(what, shown.chain([sighting.at.event]));
        }
    }
}

fn above_acks(history: &History, reads: &[&Op], verdict: &mut Verdict) {
    let mut acks: Vec<(&Send, u64)> =
        history.acked_sends().filter_map(|(send, ..)| Some((send, send.log_index?))).collect();
    acks.sort_by_key(|(send, _)| send.completed);
    let mut acks = acks.into_iter().peekable();
    let mut highest: Option<(&Send, u64)> = None;
    for read in reads {
        while let Some(acked) = acks.next_if(|(send, _)| send.completed < Some(read.invoked)) {
            if highest.is_none_or(|(_, best)| best < acked.1) {
                highest = Some(acked);
            }
        }
        if let (Some((send, index)), Some(read_index)) = (highest, read.number)
            && read_index < index
        {
            let what = format!(
                "{} was acknowledged at log index {index}, and a later confirmed read told read index {read_index}",
                send.value
            );
            verdict.reject(what, events_of_send(send).chain(events(read.invoked, read.completed)));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::checker::script::{Script, assert_only, assert_valid};

    fn script() -> Script {
        let mut script = Script::new();
        script.invoke(1, "a").ack_in(1, 0, 1, 9).drain_all(&["a"]);
        script
    }

    #[test]
    fn reads_of_rising_terms_are_valid_and_the_route_follows() {
        let mut script = script();
        script.leader(7, 1, "n0", 9).leader(7, 1, "n0", 12).leader(8, 3, "n2", 14).status("n2", 3, "leader");
        script.route(7, Some("n2"));
        assert_valid(&script.history());
    }

    #[test]
    fn each_way_to_be_behind_is_caught() {
        type Story = fn(&mut Script) -> &mut Script;
        let cases: [(Story, &str); 7] = [
            (
                |s| s.leader(7, 3, "n1", 9).leader(7, 2, "n2", 10),
                "a confirmed read told term 3, and a later one 2",
            ),
            (
                |s| s.leader(7, 1, "n0", 12).leader(7, 1, "n0", 11),
                "a confirmed read told read index 12, and a later one 11",
            ),
            (
                |s| s.leader(7, 2, "n1", 9).leader(7, 2, "n2", 9),
                "confirmed reads named n1 and n2 as leaders of term 2",
            ),
            (|s| s.leader(7, 1, "n1", 9), "a confirmed read named n1, and n0 leads term 1"),
            (
                |s| s.leader(7, 1, "n0", 8),
                "a was acknowledged at log index 9, and a later confirmed read told read index 8",
            ),
            (|s| s.route(7, Some("n1")), "n0 leads, and at rest the name server names n1"),
            // A read heard of a leader that no watch has seen yet.
            (
                |s| s.leader(7, 5, "n1", 12).route(7, Some("n0")),
                "n1 leads, and at rest the name server names n0",
            ),
        ];
        for (story, expected) in cases {
            let mut script = script();
            story(&mut script);
            let verdict = assert_only(&script.history(), &["C15"]);
            assert_eq!(verdict.witnesses[0].what, expected);
        }
    }
}
