//! C8, stale read: a leader that tells of an end of a queue below what was acknowledged before it was asked.
//!
//! A question for the maximum offset is linearizable. A pull answered by a node that says in which term it leads may
//! be behind by one election timeout, in which a cut-off leader does not know yet. What was read and is gone at the end
//! is C1's.

use std::collections::HashMap;

use super::verdict::{Verdict, at_node, events, events_of_read, events_of_send};
use crate::history::{Function, History, Moment, Send};

/// How long a leader that was cut off may go on answering pulls: one maximal election timeout, and a little for the
/// clocks of a busy machine.
pub const LEASE_NS: u64 = 500_000_000;

/// Checks what was told of the ends of queues.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C8", "stale-read");
    let acks = Acks::new(history);
    for op in history.ops.iter().filter(|op| op.function == Function::Max) {
        let (Some(queue), Some(told), Some(_)) = (&op.queue, op.number, op.answered()) else { continue };
        if let Some((send, highest)) = acks.before(queue, op.invoked)
            && told <= highest
        {
            let node = op.node.as_deref().unwrap_or("a node");
            let what = format!(
                "{} was acknowledged at {queue} offset {highest}, and {node}, asked later, told {told} as the end",
                send.value
            );
            verdict.reject(what, events_of_send(send).chain(events(op.invoked, op.completed)));
        }
    }
    for read in history.answered_reads().filter(|read| read.term.is_some()) {
        let Some(told) = read.max else { continue };
        let known = Moment { event: 0, ns: read.invoked.ns.saturating_sub(LEASE_NS) };
        if let Some((send, highest)) = acks.before(&read.queue, known)
            && told <= highest
        {
            let what = format!(
                "{} was acknowledged at {} offset {highest}, and {}, leading term {}, answered a pull more than {} ms \
                 later as if the queue ended at {told}",
                send.value,
                read.queue,
                at_node(read),
                read.term.unwrap_or(0),
                LEASE_NS / 1_000_000
            );
            verdict.reject(what, events_of_send(send).chain(events_of_read(read)));
        }
    }
    verdict
}

/// By queue and in order of acknowledgement: the send with the highest offset acknowledged so far.
struct Acks<'a>(HashMap<&'a str, Vec<(Moment, &'a Send, u64)>>);

impl<'a> Acks<'a> {
    fn new(history: &'a History) -> Self {
        let mut queues: HashMap<&str, Vec<_>> = HashMap::new();
        for (send, acked, place) in history.acked_sends() {
            queues.entry(&send.queue).or_default().push((acked, send, place.queue_offset));
        }
        for acks in queues.values_mut() {
            acks.sort_by_key(|(acked, ..)| *acked);
            for at in 1..acks.len() {
                let (_, before, highest) = acks[at - 1];
                if highest > acks[at].2 {
                    (acks[at].1, acks[at].2) = (before, highest);
                }
            }
        }
        Self(queues)
    }

    /// The highest offset acknowledged before `at`, with its send.
    fn before(&self, queue: &str, at: Moment) -> Option<(&'a Send, u64)> {
        let acks = self.0.get(queue)?;
        let count = acks.partition_point(|(acked, ..)| acked.ns < at.ns);
        acks[..count].last().map(|(_, send, highest)| (*send, *highest))
    }
}

#[cfg(test)]
mod tests {
    use crate::checker::script::{Script, assert_only, assert_valid};

    #[test]
    fn an_end_above_what_was_acknowledged_is_valid() {
        let mut script = Script::new();
        script.max(7, "n0", 0).acked(1, "a", 0).max(7, "n0", 1).acked(1, "b", 1).max(7, "n0", 2);
        script.later(600).poll_of_leader(9, "n0", 1, &[("a", 0), ("b", 1)], 2).drain_all(&["a", "b"]);
        assert_valid(&script.history());
    }

    #[test]
    fn an_end_that_an_acknowledged_message_lies_behind_is_caught() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1).max(7, "n0", 1).drain_all(&["a", "b"]);
        let verdict = assert_only(&script.history(), &["C8"]);
        assert_eq!(
            verdict.witnesses[0].what,
            "b was acknowledged at t/0 offset 1, and n0, asked later, told 1 as the end"
        );
    }

    #[test]
    fn a_leader_that_pulls_from_the_past_is_caught_once_its_lease_is_over() {
        let stale = |wait_ms| {
            let mut script = Script::new();
            script.acked(1, "a", 0).acked(1, "b", 1).later(wait_ms);
            script.poll_of_leader(9, "n0", 1, &[("a", 0)], 1).drain_all(&["a", "b"]);
            script.history()
        };
        assert_valid(&stale(100));
        let verdict = assert_only(&stale(600), &["C8"]);
        assert!(verdict.witnesses[0].what.contains("leading term 1"), "{verdict:#?}");
    }

    #[test]
    fn a_follower_may_be_behind() {
        let mut script = Script::new();
        script.acked(1, "a", 0).later(600).poll(9, &[]).drain_all(&["a"]);
        assert_valid(&script.history());
    }
}
