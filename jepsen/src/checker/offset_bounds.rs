//! C11, bounds of consumer offsets: none lies beyond the end of its queue, and none goes back by itself.
//!
//! Whether an offset is the right one is C9's question. This one asks less, and so finds what C9 must leave open: it
//! needs no value to be told by whoever stored it.

use std::collections::{BTreeMap, HashMap};

use super::verdict::{Verdict, events};
use crate::history::{Function, History, Moment, Op};

/// Checks every offset that was told.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C11", "offset-bounds");
    let ends = ends(history);
    let mut registers: BTreeMap<(&str, &str), Register<'_>> = BTreeMap::new();
    for op in &history.ops {
        let (Some(group), Some(queue)) = (&op.group, &op.queue) else { continue };
        let register = registers.entry((group, queue)).or_default();
        match op.function {
            Function::Query => register.told.extend(op.answered().map(|at| (at, op))),
            Function::Commit => register.stored.push(op),
            Function::Reset => register.is_reset = true,
            _ => {}
        }
    }
    for ((group, queue), register) in &registers {
        for (told_at, op) in &register.told {
            let Some(told) = op.number else { continue };
            // What a later question was told as the end bounds everything before it.
            let later = ends.get(queue).and_then(|ends| ends.iter().find(|(asked, ..)| asked > told_at));
            if let Some((_, end, witness)) = later
                && told > *end
            {
                let what = format!("{group} is at {told} in {queue}, which ends at {end}");
                verdict.reject(what, events(op.invoked, op.completed).chain(*witness));
            }
        }
        backwards(group, queue, register, &mut verdict);
    }
    verdict
}

#[derive(Default)]
struct Register<'a> {
    told: Vec<(Moment, &'a Op)>,
    stored: Vec<&'a Op>,
    is_reset: bool,
}

/// An end of a queue: when it was asked for, what was told, and the events that show it.
type End = (Moment, u64, [u64; 2]);

/// Ends of queues, in order of the questions.
fn ends(history: &History) -> HashMap<&str, Vec<End>> {
    let mut ends: HashMap<&str, Vec<End>> = HashMap::new();
    for op in history.ops.iter().filter(|op| op.function == Function::Max) {
        if let (Some(queue), Some(end), Some(done)) = (&op.queue, op.number, op.answered()) {
            ends.entry(queue).or_default().push((op.invoked, end, [op.invoked.event, done.event]));
        }
    }
    ends
}

/// An offset that is below one told before must have been stored, or be under way, after that one was stored.
fn backwards(group: &str, queue: &str, register: &Register<'_>, verdict: &mut Verdict) {
    if register.is_reset {
        return; // then only C9 can tell
    }
    let stored = |value: u64| register.stored.iter().find(|op| op.number == Some(value));
    let mut told = register.told.clone();
    told.sort_by_key(|(at, _)| *at);
    let mut done = told.iter().peekable();
    let mut highest: Option<&Op> = None;
    for op in register.told.iter().map(|(_, op)| *op) {
        while let Some((_, before)) = done.next_if(|(at, _)| *at < op.invoked) {
            if highest.is_none_or(|best| best.number < before.number) {
                highest = Some(before);
            }
        }
        let Some((before, was)) = highest.and_then(|before| Some((before, before.number?))) else { continue };
        let is_back = match op.number {
            None => true,
            Some(is) if is < was => match (stored(is), stored(was)) {
                (Some(low), Some(high)) => low.answered().is_some_and(|done| done < high.invoked),
                _ => false,
            },
            Some(_) => false,
        };
        if is_back {
            let is = op.number.map_or_else(|| "nothing".to_owned(), |is| is.to_string());
            let what = format!("{group} in {queue} went back from {was} to {is} without a reset");
            let shown = events(before.invoked, before.completed).chain(events(op.invoked, op.completed));
            verdict.reject(what, shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::script::{Script, assert_valid};

    fn script() -> Script {
        let mut script = Script::new();
        script.acked(1, "a", 0).acked(1, "b", 1).drain_all(&["a", "b"]);
        script
    }

    #[test]
    fn offsets_up_to_the_end_that_grow_or_are_reset_are_valid() {
        let mut script = script();
        script.commit(5, 1).query(7, Some(1)).commit(5, 3).query(7, Some(3)).max(7, "n0", 3);
        script.reset(5, 2).query(7, Some(2));
        assert_valid(&script.history());
    }

    #[test]
    fn an_offset_beyond_the_end_is_caught() {
        let mut script = script();
        script.commit(5, 4).query(7, Some(4)).max(7, "n0", 3);
        let verdict = check(&script.history());
        assert_eq!(verdict.witnesses[0].what, "g is at 4 in t/0, which ends at 3");
    }

    #[test]
    fn an_offset_that_goes_back_by_itself_is_caught() {
        let mut script = script();
        script.commit(5, 1).commit(5, 2).query(7, Some(2)).query(7, Some(1)).query(7, None);
        let verdict = check(&script.history());
        assert_eq!(verdict.anomalies, 2);
        assert_eq!(verdict.witnesses[0].what, "g in t/0 went back from 2 to 1 without a reset");
    }
}
