//! C1, lost write: an acknowledged message, or one that a consumer has seen, is not there at the end.
//!
//! The end is the final drain: every queue read from its first offset at every node, until its maximum
//! stands still. A drain counts as complete when its last page says so and it holds an acknowledged
//! sentinel, a message sent to that queue after healing. Without all drains the verdict is at most
//! *unknown*, but a message that a drain has read past is lost, complete or not.
//!
//! Only process faults are judged here, and those excuse no loss in either flush mode. Retention is off
//! in runs that are judged.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::verdict::{Verdict, at_node, events_of_read, events_of_send};
use crate::history::{History, Read};

/// What one node gave out of one queue.
struct Drain<'a> {
    last: &'a Read,
    attempts: HashSet<&'a str>,
    values: HashSet<&'a str>,
    /// The highest queue offset read.
    highest: Option<u64>,
    done: bool,
}

/// Checks that nothing acknowledged and nothing seen is missing.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C1", "lost");
    let drains = drains(history);
    let complete = completeness(history, &drains, &mut verdict);
    for (send, acked, place) in history.acked_sends() {
        for node in &history.start.nodes {
            let Some(drain) = drains.get(&(node.clone(), send.queue.clone())) else { continue };
            let whole = complete.contains(&(node.clone(), send.queue.clone()));
            let passed = drain.highest.is_some_and(|highest| highest > place.queue_offset);
            if (whole || passed) && !drain.attempts.contains(&*send.attempt) {
                let at = place.queue_offset;
                let what = format!(
                    "{} was acknowledged at {} offset {at}, and {node} does not have it",
                    send.value, send.queue
                );
                verdict.reject(what, [send.invoked.event, acked.event, drain.last.invoked.event]);
                break; // one message counts once, however many nodes miss it
            }
        }
    }
    seen_and_gone(history, &drains, &complete, &mut verdict);
    verdict
}

/// A value that a poll returned must be in every complete drain, acknowledged or not.
fn seen_and_gone(
    history: &History,
    drains: &HashMap<(Arc<str>, Arc<str>), Drain<'_>>,
    complete: &HashSet<(Arc<str>, Arc<str>)>,
    verdict: &mut Verdict,
) {
    let acked: HashSet<&str> = history.acked_sends().map(|(send, ..)| &*send.value).collect();
    let sent: HashMap<&str, _> = history.sends.iter().map(|send| (&*send.value, send)).collect();
    let mut told = HashSet::new();
    for read in history.answered_reads().filter(|read| !read.drain) {
        for record in read.records.iter().filter(|record| record.damage.is_none()) {
            // What was acknowledged is judged above; what was never sent is a phantom.
            let Some(send) = sent.get(&*record.value).filter(|_| !acked.contains(&*record.value)) else {
                continue;
            };
            let gone = history.start.nodes.iter().find(|node| {
                let key = ((*node).clone(), read.queue.clone());
                complete.contains(&key) && !drains[&key].values.contains(&*record.value)
            });
            let Some(node) = gone else { continue };
            if told.insert(&*record.value) {
                let what = format!(
                    "{} was read from {} at {}, and {node} does not have it at the end",
                    record.value,
                    read.queue,
                    at_node(read)
                );
                verdict.reject(what, events_of_send(send).chain(events_of_read(read)));
            }
        }
    }
}

fn drains(history: &History) -> HashMap<(Arc<str>, Arc<str>), Drain<'_>> {
    let mut drains: HashMap<_, Drain<'_>> = HashMap::new();
    for read in history.answered_reads().filter(|read| read.drain) {
        let Some(node) = &read.node else { continue };
        let drain = drains.entry((node.clone(), read.queue.clone())).or_insert_with(|| Drain {
            last: read,
            attempts: HashSet::new(),
            values: HashSet::new(),
            highest: None,
            done: false,
        });
        drain.last = read;
        drain.done |= read.done;
        for record in &read.records {
            drain.attempts.insert(&record.attempt);
            drain.values.insert(&record.value);
            drain.highest = drain.highest.max(Some(record.queue_offset));
        }
    }
    drains
}

/// Which (node, queue) pairs were read to the end. Notes the others.
fn completeness(
    history: &History,
    drains: &HashMap<(Arc<str>, Arc<str>), Drain<'_>>,
    verdict: &mut Verdict,
) -> HashSet<(Arc<str>, Arc<str>)> {
    let mut complete = HashSet::new();
    for queue in &history.start.queues {
        let sentinels: Vec<&str> = history
            .acked_sends()
            .filter(|(send, ..)| send.sentinel && send.queue == *queue)
            .map(|(send, ..)| &*send.attempt)
            .collect();
        if sentinels.is_empty() {
            verdict.doubt(format!("no sentinel was acknowledged in {queue} after healing"));
            continue;
        }
        for node in &history.start.nodes {
            let key = (node.clone(), queue.clone());
            match drains.get(&key) {
                None => verdict.doubt(format!("{queue} was not drained at {node}")),
                Some(drain) if !drain.done => {
                    verdict.doubt(format!("the drain of {queue} at {node} did not come to an end"));
                }
                // A drain that ended without the sentinel is complete all the same: the sentinel, an
                // acknowledged message, is then what it has lost.
                Some(_) => _ = complete.insert(key),
            }
        }
    }
    complete
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Validity;
    use crate::checker::script::{Script, assert_only, assert_valid};

    #[test]
    fn everything_acknowledged_and_drained_everywhere_is_valid() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1).unknown(1, "c").failed(2, "d");
        script.drain_all(&["a", "b"]);
        assert_valid(&script.history());
    }

    #[test]
    fn an_acknowledged_message_missing_at_one_node_is_lost() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1);
        script.drain("n0", &["a", "b"]).drain("n1", &["a", "b"]).drain("n2", &["a"]);
        let verdict = assert_only(&script.history(), &["C1"]);
        assert_eq!(verdict.anomalies, 2, "the message and the sentinel behind it");
        assert_eq!(verdict.witnesses[0].what, "b was acknowledged at t/0 offset 1, and n2 does not have it");
    }

    #[test]
    fn a_message_that_an_unfinished_drain_has_read_past_is_lost() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1).acked(1, "c", 2);
        script.drain_page("n0", &[("a", 0), ("c", 2)], false);
        let verdict = check(&script.history());
        assert_eq!((verdict.validity, verdict.anomalies), (Validity::Invalid, 1));
    }

    #[test]
    fn what_a_consumer_saw_once_and_is_gone_at_the_end_is_lost() {
        let mut script = Script::new();
        script.acked(1, "a", 0).unknown(1, "b").poll(9, &[("a", 0), ("b", 1)]);
        script.drain_all(&["a"]);
        let verdict = check(&script.history());
        assert_eq!((verdict.validity, verdict.anomalies), (Validity::Invalid, 1));
    }

    #[test]
    fn without_a_drain_of_every_node_nothing_is_certain() {
        let mut script = Script::new();
        script.acked(1, "a", 0).drain("n0", &["a"]).drain("n1", &["a"]);
        let verdict = check(&script.history());
        assert_eq!(verdict.validity, Validity::Unknown);
        assert_eq!(verdict.notes, ["t/0 was not drained at n2"]);
    }
}
