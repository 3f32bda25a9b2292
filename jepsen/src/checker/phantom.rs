//! C2, phantom and aborted read: a message came out that nobody sent to that queue, whose sends all
//! certainly failed, or whose bytes are not what was sent.

use std::collections::{HashMap, HashSet};

use super::verdict::{Verdict, at_node, events_of_read, events_of_send};
use crate::history::{History, Outcome, Send};

/// Checks that every message read was sent, to that queue, and is whole.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C2", "phantom");
    let mut sends: HashMap<(&str, &str), Vec<&Send>> = HashMap::new();
    for send in &history.sends {
        sends.entry((&send.queue, &send.value)).or_default().push(send);
    }
    let mut told = HashSet::new();
    for read in history.answered_reads() {
        for record in &read.records {
            let value = &*record.value;
            let (what, attempts): (_, &[&Send]) = match (&record.damage, sends.get(&(&*read.queue, value))) {
                (Some(damage), _) => (format!("the message is damaged: {damage}"), &[]),
                (None, None) => (format!("{value} was never sent there"), &[]),
                (None, Some(sends)) if sends.iter().all(|send| send.outcome == Outcome::Failed) => {
                    (format!("every attempt to send {value} had failed for certain"), sends)
                }
                (None, Some(sends)) => match sends.iter().find(|send| send.invoked < read_end(read)) {
                    Some(_) => continue,
                    None => (format!("{value} was sent only afterwards"), sends),
                },
            };
            if told.insert((&read.queue, record.queue_offset)) {
                let what = format!(
                    "read from {} offset {} at {}: {what}",
                    read.queue,
                    record.queue_offset,
                    at_node(read)
                );
                verdict.reject(
                    what,
                    attempts.iter().flat_map(|send| events_of_send(send)).chain(events_of_read(read)),
                );
            }
        }
    }
    verdict
}

fn read_end(read: &crate::history::Read) -> crate::history::Moment {
    read.completed.unwrap_or(read.invoked)
}

#[cfg(test)]
mod tests {
    use crate::checker::script::{Script, assert_only, assert_valid};

    #[test]
    fn a_send_of_unknown_outcome_may_be_read() {
        let mut script = Script::new();
        script.unknown(1, "a").poll(9, &[("a", 0)]).drain_all(&["a"]);
        assert_valid(&script.history());
    }

    #[test]
    fn a_message_that_nobody_sent_is_a_phantom() {
        let mut script = Script::new();
        script.acked(1, "a", 0).drain_all(&["a", "ghost"]);
        let verdict = assert_only(&script.history(), &["C2"]);
        assert_eq!(verdict.witnesses[0].what, "read from t/0 offset 1 at n0: ghost was never sent there");
    }

    #[test]
    fn a_message_whose_send_certainly_failed_must_not_come_out() {
        let mut script = Script::new();
        script.acked(1, "a", 0).failed(2, "b").drain_all(&["a", "b"]);
        assert_only(&script.history(), &["C2"]);
    }

    #[test]
    fn damaged_bytes_are_told_from_good_ones() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1).poll_damaged(9, "b", 1, "body checksum");
        script.drain_all(&["a", "b"]);
        let verdict = assert_only(&script.history(), &["C2"]);
        assert_eq!(
            verdict.witnesses[0].what,
            "read from t/0 offset 1 at n0: the message is damaged: body checksum"
        );
    }

    #[test]
    fn a_message_cannot_be_read_before_it_was_sent() {
        let mut script = Script::new();
        script.poll(9, &[("a", 0)]).acked(1, "a", 0).drain_all(&["a"]);
        assert_only(&script.history(), &["C2"]);
    }
}
