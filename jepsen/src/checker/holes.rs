//! C5, hole: a queue offset between the queue's bounds that no drain of the node gives out, or bounds
//! that a leader gives out smaller than an earlier leader did.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::verdict::{Verdict, at_node, events_of_read};
use crate::history::{History, Read};

/// Checks that queue offsets are dense and that their bounds only grow.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C5", "holes");
    holes(history, &mut verdict);
    bounds(history, &mut verdict);
    verdict
}

fn holes(history: &History, verdict: &mut Verdict) {
    let mut drains: BTreeMap<(&str, &str), Vec<&Read>> = BTreeMap::new();
    for read in history.answered_reads().filter(|read| read.drain) {
        drains.entry((at_node(read), &read.queue)).or_default().push(read);
    }
    for ((node, queue), pages) in drains {
        let seen: BTreeSet<u64> =
            pages.iter().flat_map(|page| &page.records).map(|record| record.queue_offset).collect();
        let lowest = pages[0].min.or_else(|| seen.first().copied());
        let ends = pages.iter().filter(|page| page.done).filter_map(|page| page.max);
        let end = ends.max().or_else(|| seen.last().map(|last| last + 1));
        let (Some(lowest), Some(end)) = (lowest, end) else { continue };
        for (from, to) in missing(&seen, lowest, end) {
            let what =
                format!("{queue} at {node} has offsets [{lowest}, {end}), but nothing at [{from}, {to})");
            let around = pages.iter().rfind(|page| page.from <= from).unwrap_or(&pages[0]);
            verdict.reject(what, events_of_read(around));
        }
    }
}

/// The half-open ranges of `[lowest, end)` that are not in `seen`.
fn missing(seen: &BTreeSet<u64>, lowest: u64, end: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let mut expected = lowest;
    let inside = seen.iter().copied().filter(|&offset| offset >= lowest && offset < end);
    for offset in inside.chain([end]) {
        if offset > expected {
            ranges.push((expected, offset));
        }
        expected = offset + 1;
    }
    ranges
}

/// Only answers that bear a leader's term are compared: a follower that restarts may show an older end
/// until it has caught up, and that is not a lie.
fn bounds(history: &History, verdict: &mut Verdict) {
    let mut answers: HashMap<&str, Vec<&Read>> = HashMap::new();
    for read in history.answered_reads().filter(|read| read.term.is_some()) {
        answers.entry(&read.queue).or_default().push(read);
    }
    let mut queues: Vec<_> = answers.into_iter().collect();
    queues.sort_by_key(|(queue, _)| *queue);
    for (queue, reads) in queues {
        // Reads stand in order of invocation. `best` are the highest bounds of the reads completed
        // before the one looked at, by order of completion, and for each term by itself: what a later
        // leader told must not hide what this one's predecessors did.
        let mut completed: Vec<&Read> = reads.clone();
        completed.sort_by_key(|read| read.completed);
        let mut done = completed.into_iter().peekable();
        let mut best: BTreeMap<u64, [&Read; 2]> = BTreeMap::new();
        for read in reads {
            while let Some(before) = done.next_if(|before| before.completed < Some(read.invoked)) {
                let [min, max] = best.entry(before.term.unwrap_or(0)).or_insert([before, before]);
                if before.min > min.min {
                    *min = before;
                }
                if before.max > max.max {
                    *max = before;
                }
            }
            let known = best.range(..=read.term.unwrap_or(0)).map(|(_, best)| *best);
            let min = known.clone().map(|[min, _]| min).max_by_key(|read| read.min);
            let max = known.map(|[_, max]| max).max_by_key(|read| read.max);
            back(queue, "minimum", min, read, |read| read.min, verdict);
            back(queue, "maximum", max, read, |read| read.max, verdict);
        }
    }
}

fn back(
    queue: &str,
    bound: &str,
    before: Option<&Read>,
    read: &Read,
    value: impl Fn(&Read) -> Option<u64>,
    verdict: &mut Verdict,
) {
    let Some(before) = before else { return };
    let (Some(was), Some(is)) = (value(before), value(read)) else { return };
    if is < was {
        let what = format!(
            "the {bound} offset of {queue} went back from {was} at {} to {is} at {}",
            at_node(before),
            at_node(read)
        );
        verdict.reject(what, events_of_read(before).chain(events_of_read(read)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::script::{Script, assert_only, assert_valid};

    #[test]
    fn dense_offsets_are_valid() {
        let mut script = Script::new();
        script.acked(1, "a", 0).unknown(1, "b").acked(2, "c", 2).drain_all(&["a", "b", "c"]);
        assert_valid(&script.history());
    }

    #[test]
    fn an_offset_that_nothing_lies_at_is_a_hole() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "c", 2).sentinel(3);
        for node in ["n0", "n1", "n2"] {
            script.drain_page(node, &[("a", 0), ("c", 2), ("end", 3)], true);
        }
        let verdict = assert_only(&script.history(), &["C5"]);
        assert_eq!(verdict.anomalies, 3);
        assert_eq!(verdict.witnesses[0].what, "t/0 at n0 has offsets [0, 4), but nothing at [1, 2)");
    }

    #[test]
    fn a_leader_whose_maximum_went_back_is_caught() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1);
        script.poll_of_leader(9, "n0", 3, &[("a", 0), ("b", 1)], 2);
        script.poll_of_leader(8, "n1", 4, &[("a", 0)], 1);
        script.drain_all(&["a", "b"]);
        let verdict = assert_only(&script.history(), &["C5"]);
        assert_eq!(verdict.witnesses[0].what, "the maximum offset of t/0 went back from 2 at n0 to 1 at n1");
    }

    #[test]
    fn a_late_answer_of_an_older_leader_is_not_held_against_it() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1);
        script.poll_of_leader(9, "n0", 4, &[("a", 0), ("b", 1)], 2);
        script.poll_of_leader(8, "n1", 3, &[("a", 0)], 1);
        script.drain_all(&["a", "b"]);
        assert_valid(&script.history());
    }

    #[test]
    fn what_a_later_leader_told_does_not_hide_a_leader_that_goes_back() {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1).acked(1, "c", 2);
        script.poll_of_leader(9, "n0", 3, &[("a", 0), ("b", 1)], 2);
        script.poll_of_leader(8, "n1", 4, &[("a", 0), ("b", 1), ("c", 2)], 3);
        script.poll_of_leader(7, "n0", 3, &[("a", 0)], 1);
        script.drain_all(&["a", "b", "c"]);
        let verdict = assert_only(&script.history(), &["C5"]);
        assert_eq!(verdict.witnesses[0].what, "the maximum offset of t/0 went back from 2 at n0 to 1 at n0");
    }

    #[test]
    fn missing_ranges_are_half_open() {
        let seen = [2, 3, 6].into_iter().collect();
        assert_eq!(missing(&seen, 1, 9), [(1, 2), (4, 6), (7, 9)]);
        assert_eq!(missing(&seen, 2, 4), []);
        assert_eq!(missing(&BTreeSet::new(), 0, 2), [(0, 2)]);
        assert_eq!(missing(&BTreeSet::new(), 0, 0), []);
    }
}
