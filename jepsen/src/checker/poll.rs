//! C7, poll: what one consumer is given goes on without a skip and never back, inside one answer and
//! from one answer to the next, unless it went somewhere else on purpose.

use std::collections::HashMap;

use super::verdict::{Verdict, at_node, events_of_read};
use crate::history::{History, Read};

/// Where a process stands in a queue, and by which read.
struct Position<'a> {
    next: u64,
    by: Option<&'a Read>,
}

/// Checks the polls of each process and queue in their order.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C7", "poll");
    let mut positions: HashMap<(u64, &str), Position<'_>> = HashMap::new();
    let mut seeks = history.seeks.iter().peekable();
    for read in history.reads.iter().filter(|read| !read.drain) {
        while let Some(seek) = seeks.next_if(|seek| seek.at < read.invoked) {
            positions.remove(&(seek.process, &*seek.queue));
        }
        if read.completed.is_none() || read.records.is_empty() {
            continue;
        }
        let key = (read.process, &*read.queue);
        // The first poll goes where it was asked to go, or to the first offset still readable.
        let start = read.from.max(read.min.unwrap_or(0));
        let position = positions.remove(&key).unwrap_or(Position { next: start, by: None });
        let last = walk(read, &position, &mut verdict);
        positions.insert(key, Position { next: last + 1, by: Some(read) });
    }
    verdict
}

/// Compares the answer's offsets with what must come, and gives back the last of them.
fn walk(read: &Read, position: &Position<'_>, verdict: &mut Verdict) -> u64 {
    let mut expected = position.next;
    for (at, record) in read.records.iter().enumerate() {
        let offset = record.queue_offset;
        if offset != expected {
            let kind = if offset > expected { "skips" } else { "goes back" };
            let between = if at == 0 { "between two polls" } else { "within one poll" };
            let what = format!(
                "process {} in {} at {} {kind} {between}: offset {offset} where {expected} was next",
                read.process,
                read.queue,
                at_node(read)
            );
            let before = position.by.filter(|_| at == 0).map(events_of_read).into_iter().flatten();
            verdict.reject(what, before.chain(events_of_read(read)));
        }
        expected = offset + 1;
    }
    expected - 1
}

#[cfg(test)]
mod tests {
    use crate::checker::script::{Script, assert_only, assert_valid};

    fn four() -> Script {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1).acked(1, "c", 2).acked(1, "d", 3);
        script
    }

    const ALL: &[&str] = &["a", "b", "c", "d"];

    #[test]
    fn going_on_from_answer_to_answer_is_valid_and_so_is_a_seek() {
        let mut script = four();
        script.poll(9, &[("a", 0), ("b", 1)]).poll(9, &[]).poll(9, &[("c", 2), ("d", 3)]);
        script.seek(9, 1).poll(9, &[("b", 1)]).drain_all(ALL);
        assert_valid(&script.history());
    }

    #[test]
    fn a_skip_within_one_answer_is_caught() {
        let mut script = four();
        script.poll(9, &[("a", 0), ("c", 2)]).drain_all(ALL);
        let verdict = assert_only(&script.history(), &["C7"]);
        assert_eq!(
            verdict.witnesses[0].what,
            "process 9 in t/0 at n0 skips within one poll: offset 2 where 1 was next"
        );
    }

    #[test]
    fn a_skip_between_two_answers_is_caught() {
        let mut script = four();
        script.poll(9, &[("a", 0)]).poll(9, &[("d", 3)]).drain_all(ALL);
        let verdict = assert_only(&script.history(), &["C7"]);
        assert_eq!(verdict.witnesses[0].events.len(), 4);
    }

    #[test]
    fn going_back_without_a_seek_is_caught() {
        let mut script = four();
        script.poll(9, &[("a", 0), ("b", 1)]).poll(9, &[("b", 1), ("c", 2)]).drain_all(ALL);
        assert_only(&script.history(), &["C7"]);
    }

    #[test]
    fn a_first_poll_must_begin_where_it_asked_to() {
        let mut script = four();
        script.poll_from(9, 0, &[("b", 1)]).drain_all(ALL);
        assert_only(&script.history(), &["C7"]);
    }
}
