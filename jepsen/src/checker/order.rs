//! C6, order: a message acknowledged before another was sent lies before it, in the commitlog and,
//! where they share a queue, in the queue.
//!
//! A send of unknown outcome takes part with the place where it was read: whatever was acknowledged
//! before it began must lie before it. Equal places are C3's.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::verdict::{Verdict, events_of_send};
use crate::history::{History, Place, Send};

/// Checks real-time order; the order of one process's sends to a queue is a case of it.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C6", "order");
    let placed = placed(history);
    let mut told = HashSet::new();
    let mut queues: BTreeMap<&str, Vec<(u64, &Send)>> = BTreeMap::new();
    for &(send, place) in &placed {
        queues.entry(&send.queue).or_default().push((place.queue_offset, send));
    }
    for (queue, sends) in queues {
        sweep(sends, queue, &mut told, &mut verdict);
    }
    let sends = placed.iter().map(|(send, place)| (place.commitlog_offset, *send)).collect();
    sweep(sends, "the commitlog", &mut told, &mut verdict);
    verdict
}

/// Walks from the highest place down and keeps the earliest acknowledgement seen so far: a send that
/// began after it lies below something that it must lie above.
fn sweep<'a>(
    mut sends: Vec<(u64, &'a Send)>,
    within: &str,
    told: &mut HashSet<&'a str>,
    verdict: &mut Verdict,
) {
    sends.sort_by_key(|(offset, _)| *offset);
    let mut earliest: Option<(u64, &Send)> = None;
    for group in sends.chunk_by(|a, b| a.0 == b.0).rev() {
        for &(offset, send) in group {
            let Some((above, first)) = earliest.filter(|(_, first)| first.acked() < Some(send.invoked))
            else {
                continue;
            };
            if told.insert(&send.attempt) {
                let what = format!(
                    "{} was acknowledged before {} was sent, but lies behind it in {within}: {above} > {offset}",
                    first.value, send.value
                );
                verdict.reject(what, events_of_send(first).chain(events_of_send(send)));
            }
        }
        for &(offset, send) in group.iter().filter(|(_, send)| send.acked().is_some()) {
            if earliest.is_none_or(|(_, first)| send.acked() < first.acked()) {
                earliest = Some((offset, send));
            }
        }
    }
}

/// Every send with a known place: where it was read first, or else where its reply has put it.
fn placed(history: &History) -> Vec<(&Send, Place)> {
    let mut read: HashMap<(&str, &str), Place> = HashMap::new();
    for reads in history.answered_reads() {
        for record in reads.records.iter().filter(|record| record.damage.is_none()) {
            read.entry((&reads.queue, &record.attempt)).or_insert(record.place());
        }
    }
    let place_of = |send: &Send| read.get(&(&*send.queue, &*send.attempt)).copied().or(send.place);
    history.sends.iter().filter_map(|send| Some((send, place_of(send)?))).collect()
}

#[cfg(test)]
mod tests {
    use crate::checker::script::{Script, assert_only, assert_valid};

    #[test]
    fn concurrent_sends_may_lie_in_either_order() {
        let mut script = Script::new();
        script.invoke(1, "a").invoke(2, "b").ack(1, "a", 1).ack(2, "b", 0).drain_all(&["b", "a"]);
        assert_valid(&script.history());
    }

    #[test]
    fn a_process_whose_later_send_lies_earlier_is_caught() {
        let mut script = Script::new();
        script.acked(1, "a", 1).acked(1, "b", 0).drain_all(&["b", "a"]);
        let verdict = assert_only(&script.history(), &["C6"]);
        assert_eq!(verdict.anomalies, 1);
        assert_eq!(
            verdict.witnesses[0].what,
            "a was acknowledged before b was sent, but lies behind it in t/0: 1 > 0"
        );
    }

    #[test]
    fn a_send_of_unknown_outcome_must_lie_behind_what_was_acknowledged_before_it() {
        let mut script = Script::new();
        script.acked(1, "a", 1).unknown(2, "b").drain_all(&["b", "a"]);
        assert_only(&script.history(), &["C6"]);
    }

    #[test]
    fn an_earlier_send_of_unknown_outcome_may_come_late() {
        let mut script = Script::new();
        script.unknown(2, "b").acked(1, "a", 0).drain_all(&["a", "b"]);
        assert_valid(&script.history());
    }
}
