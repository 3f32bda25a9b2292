//! C4, duplicate: one attempt to send takes two places.
//!
//! Counted at each node by itself: nodes that put one attempt at different places disagree (C3), they
//! do not duplicate. Several attempts of one message are the client's doing; they count, and are an
//! anomaly only in a run whose clients never try again.

use std::collections::{BTreeSet, HashMap};

use super::verdict::Verdict;
use crate::history::History;

#[derive(Default)]
struct Places<'a> {
    offsets: BTreeSet<u64>,
    queues: BTreeSet<&'a str>,
    events: Vec<u64>,
}

/// Checks that the broker made no message twice.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C4", "duplicate");
    let mut places: HashMap<(&str, &str), Places<'_>> = HashMap::new();
    let mut attempts: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    let mut order: Vec<(&str, &str)> = Vec::new();
    for read in history.answered_reads() {
        let event = read.completed.unwrap_or(read.invoked).event;
        for record in read.records.iter().filter(|record| record.damage.is_none()) {
            let key = (&*record.attempt, read.node.as_deref().unwrap_or(""));
            let entry = places.entry(key).or_insert_with(|| {
                order.push(key);
                Places::default()
            });
            let new_offset = entry.offsets.insert(record.queue_offset);
            if entry.queues.insert(&read.queue) || new_offset {
                entry.events.push(event);
            }
            attempts.entry(&record.value).or_default().insert(&record.attempt);
        }
    }
    let mut told = BTreeSet::new();
    for key in order {
        let (attempt, found) = (key.0, &places[&key]);
        if (found.offsets.len() > 1 || found.queues.len() > 1) && told.insert(attempt) {
            let what = format!(
                "{attempt} lies at offsets {:?} of {}",
                found.offsets,
                found.queues.iter().copied().collect::<Vec<_>>().join(", ")
            );
            verdict.reject(what, found.events.iter().copied());
        }
    }
    retried(history, &attempts, &mut verdict);
    verdict
}

fn retried(history: &History, attempts: &HashMap<&str, BTreeSet<&str>>, verdict: &mut Verdict) {
    let mut several: Vec<_> = attempts.iter().filter(|(_, attempts)| attempts.len() > 1).collect();
    several.sort();
    if history.start.retries {
        if !several.is_empty() {
            verdict
                .notes
                .push(format!("{} messages came more than once through client retries", several.len()));
        }
        return;
    }
    for (value, attempts) in several {
        let events = history.sends.iter().filter(|send| &*send.value == *value);
        verdict.reject(
            format!("{value} came as several attempts, {attempts:?}, of a client that tries once"),
            events.map(|send| send.invoked.event).collect::<Vec<_>>(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Validity;
    use crate::checker::script::{Script, assert_only, assert_valid};

    #[test]
    fn reading_a_message_again_is_no_duplicate() {
        let mut script = Script::new();
        script.acked(1, "a", 0).poll(8, &[("a", 0)]).poll(9, &[("a", 0)]).drain_all(&["a"]);
        assert_valid(&script.history());
    }

    #[test]
    fn one_attempt_at_two_offsets_is_a_duplicate() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1).drain_all(&["a", "b", "a"]);
        let verdict = assert_only(&script.history(), &["C4"]);
        assert_eq!(verdict.witnesses[0].what, "a.0 lies at offsets {0, 2} of t/0");
    }

    #[test]
    fn a_clients_retry_counts_but_is_not_the_brokers_doing() {
        let mut script = Script::new();
        script.unknown_attempt(1, "a", "a.0").acked_attempt(2, "a", "a.1", 1);
        script.drain_attempts(&[("a", "a.0"), ("a", "a.1")]);
        let mut history = script.history();
        assert_eq!(check(&history).validity, Validity::Invalid);
        history.start.retries = true;
        let verdict = check(&history);
        assert_eq!(verdict.validity, Validity::Valid);
        assert_eq!(verdict.notes, ["1 messages came more than once through client retries"]);
    }
}
