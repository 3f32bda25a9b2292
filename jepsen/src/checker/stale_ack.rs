//! C16, stale acknowledgement: two terms that both acknowledged an entry at one log index, or a deposed leader that
//! acknowledged a send begun after its successor had already acknowledged another.

use std::collections::HashMap;

use super::verdict::{Verdict, events_of_send};
use crate::history::{History, Send};

/// Checks the term and log index of every acknowledgement that bears them.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C16", "stale-ack");
    let acked: Vec<(&Send, u64)> =
        history.acked_sends().filter_map(|(send, ..)| Some((send, send.term?))).collect();
    let mut indexes: HashMap<u64, (&Send, u64)> = HashMap::new();
    for (send, term) in &acked {
        let Some(index) = send.log_index else { continue };
        let (first, other) = *indexes.entry(index).or_insert((send, *term));
        if other != *term {
            let what = format!(
                "log index {index} was acknowledged in term {other} for {} and in term {term} for {}",
                first.value, send.value
            );
            verdict.reject(what, events_of_send(first).chain(events_of_send(send)));
        }
    }
    let mut by_ack = acked.clone();
    by_ack.sort_by_key(|(send, _)| send.completed);
    let mut by_ack = by_ack.into_iter().peekable();
    let mut newest: Option<(&Send, u64)> = None;
    for (send, term) in acked {
        while let Some(before) = by_ack.next_if(|(before, _)| before.completed < Some(send.invoked)) {
            if newest.is_none_or(|(_, best)| best < before.1) {
                newest = Some(before);
            }
        }
        if let Some((before, newer)) = newest.filter(|(_, newer)| *newer > term) {
            let what = format!(
                "{} was acknowledged in term {term}, though term {newer} had acknowledged {} before it was sent",
                send.value, before.value
            );
            verdict.reject(what, events_of_send(before).chain(events_of_send(send)));
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use crate::checker::script::{Script, assert_only, assert_valid};

    #[test]
    fn rising_terms_and_a_shared_entry_are_valid() {
        let mut script = Script::new();
        script.invoke(1, "a").invoke(2, "b").ack_in(1, 0, 1, 9).ack_in(2, 1, 1, 9);
        script.invoke(1, "c").ack_in(1, 2, 2, 11).drain_all(&["a", "b", "c"]);
        assert_valid(&script.history());
    }

    #[test]
    fn a_late_acknowledgement_of_an_old_send_is_valid() {
        let mut script = Script::new();
        script.invoke(1, "a").invoke(2, "b").ack_in(2, 1, 2, 11).ack_in(1, 0, 1, 9).drain_all(&["a", "b"]);
        assert_valid(&script.history());
    }

    #[test]
    fn one_index_in_two_terms_is_caught() {
        let mut script = Script::new();
        script.invoke(1, "a").ack_in(1, 0, 1, 9).invoke(1, "b").ack_in(1, 1, 2, 9).drain_all(&["a", "b"]);
        let verdict = assert_only(&script.history(), &["C16"]);
        assert_eq!(
            verdict.witnesses[0].what,
            "log index 9 was acknowledged in term 1 for a and in term 2 for b"
        );
    }

    #[test]
    fn a_deposed_leader_that_acknowledges_is_caught() {
        let mut script = Script::new();
        script.invoke(1, "a").ack_in(1, 0, 2, 9).invoke(1, "b").ack_in(1, 1, 1, 10).drain_all(&["a", "b"]);
        assert_only(&script.history(), &["C16"]);
    }
}
