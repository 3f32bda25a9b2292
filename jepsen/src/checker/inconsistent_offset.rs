//! C3, inconsistent offset: one place names two messages, or reply and reads disagree on a place.
//!
//! A place is (queue, queue offset), and apart from that the commitlog offset, which all queues share.
//! One attempt *read* at two queue offsets of one node is a duplicate (C4) and not judged here.

use std::collections::{HashMap, HashSet};

use super::verdict::Verdict;
use crate::history::{History, Place};

/// Who said what of a place.
struct Claim<'a> {
    queue: &'a str,
    attempt: &'a str,
    place: Place,
    event: u64,
    /// The node read from; `None` for the reply to the send.
    reader: Option<&'a str>,
}

/// Checks that every place names one message, for every reader, forever.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C3", "inconsistent-offset");
    let claims = claims(history);
    let mut by_queue_offset: HashMap<(&str, u64), &Claim<'_>> = HashMap::new();
    let mut by_commitlog_offset: HashMap<u64, &Claim<'_>> = HashMap::new();
    let mut told: HashSet<(&str, u64)> = HashSet::new();
    for claim in &claims {
        let key = (claim.queue, claim.place.queue_offset);
        let first = *by_queue_offset.entry(key).or_insert(claim);
        let same_message = first.attempt == claim.attempt;
        if (!same_message || first.place != claim.place) && told.insert(key) {
            let what = format!(
                "{} offset {} is {} as {}, but {} as {}",
                claim.queue,
                claim.place.queue_offset,
                named(first),
                by(first),
                named(claim),
                by(claim)
            );
            verdict.reject(what, [first.event, claim.event]);
        }
        let first = *by_commitlog_offset.entry(claim.place.commitlog_offset).or_insert(claim);
        if (first.queue, first.attempt) != (claim.queue, claim.attempt) && told.insert(key) {
            let what = format!(
                "commitlog offset {} is {} of {} as {}, but {} of {} as {}",
                claim.place.commitlog_offset,
                first.attempt,
                first.queue,
                by(first),
                claim.attempt,
                claim.queue,
                by(claim)
            );
            verdict.reject(what, [first.event, claim.event]);
        }
    }
    replies_against_reads(&claims, &told, &mut verdict);
    verdict
}

/// An acknowledged attempt that was read, but never where the reply had put it.
fn replies_against_reads(claims: &[Claim<'_>], told: &HashSet<(&str, u64)>, verdict: &mut Verdict) {
    let mut reads: HashMap<(&str, &str), Vec<&Claim<'_>>> = HashMap::new();
    for claim in claims.iter().filter(|claim| claim.reader.is_some()) {
        reads.entry((claim.queue, claim.attempt)).or_default().push(claim);
    }
    for reply in claims.iter().filter(|claim| claim.reader.is_none()) {
        let Some(reads) = reads.get(&(reply.queue, reply.attempt)) else { continue };
        let at = reply.place.queue_offset;
        if reads.iter().any(|read| read.place.queue_offset == at) || told.contains(&(reply.queue, at)) {
            continue;
        }
        let what = format!(
            "{} was acknowledged at {} offset {at}, but is read at offset {}",
            reply.attempt, reply.queue, reads[0].place.queue_offset
        );
        verdict.reject(what, [reply.event, reads[0].event]);
    }
}

fn claims(history: &History) -> Vec<Claim<'_>> {
    let replies = history.acked_sends().map(|(send, acked, place)| Claim {
        queue: &send.queue,
        attempt: &send.attempt,
        place,
        event: acked.event,
        reader: None,
    });
    let reads = history.answered_reads().flat_map(|read| {
        read.records.iter().filter(|record| record.damage.is_none()).map(|record| Claim {
            queue: &read.queue,
            attempt: &record.attempt,
            place: record.place(),
            event: read.completed.unwrap_or(read.invoked).event,
            reader: Some(read.node.as_deref().unwrap_or("a node")),
        })
    });
    replies.chain(reads).collect()
}

fn named(claim: &Claim<'_>) -> String {
    format!("{} (commitlog offset {})", claim.attempt, claim.place.commitlog_offset)
}

fn by(claim: &Claim<'_>) -> String {
    claim.reader.map_or_else(|| "acknowledged".to_owned(), |node| format!("read at {node}"))
}

#[cfg(test)]
mod tests {
    use crate::checker::script::{Script, assert_only, assert_valid};

    #[test]
    fn the_same_place_for_every_reader_is_valid() {
        let mut script = Script::new();
        script.acked(1, "a", 0).poll(9, &[("a", 0)]).acked(1, "b", 1).poll(9, &[("b", 1)]);
        script.drain_all(&["a", "b"]);
        assert_valid(&script.history());
    }

    #[test]
    fn two_nodes_that_name_different_messages_at_one_offset_are_caught() {
        let mut script = Script::new();
        script.unknown(1, "a").unknown(2, "b");
        script.drain("n0", &["a", "b"]).drain("n1", &["b", "a"]).drain("n2", &["a", "b"]);
        let verdict = assert_only(&script.history(), &["C3"]);
        assert_eq!(
            verdict.witnesses[0].what,
            "t/0 offset 0 is a.0 (commitlog offset 1000) as read at n0, \
             but b.0 (commitlog offset 1000) as read at n1"
        );
    }

    #[test]
    fn a_reply_that_reads_contradict_is_caught() {
        let mut script = Script::new();
        script.acked(1, "a", 7).unknown(2, "b").drain_all(&["a", "b"]);
        let verdict = assert_only(&script.history(), &["C3"]);
        assert_eq!(
            verdict.witnesses[0].what,
            "a.0 was acknowledged at t/0 offset 7, but is read at offset 0"
        );
    }

    #[test]
    fn one_commitlog_offset_for_two_messages_is_caught() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1).poll_at(9, "b", 1, 1_000).drain_all(&["a", "b"]);
        let verdict = assert_only(&script.history(), &["C3"]);
        assert_eq!(verdict.anomalies, 1);
    }
}
