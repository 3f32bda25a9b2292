//! C13, delay: what is to be delivered later comes once, not early, and not much later than asked for.
//!
//! Times are those of the harness's one monotonic clock: a message was stored between the beginning and the end of its
//! send, and delivered before the answer that brought it. Being late is excused by a fault in force, up to a bound after
//! it was healed; a wall clock that is wrong is not such a fault. Being early is excused by a wall clock that was set in
//! between, forward or right again.

use std::collections::{BTreeMap, HashMap};

use super::verdict::{Verdict, events_of_read, events_of_send};
use crate::history::{FaultSpan, Function, History, Moment, Outcome, Read, Send};

/// Stored times are cut to milliseconds, and a tick of the broker may come within one.
pub const EARLY_NS: u64 = 50_000_000;
/// How late a message may come to be seen, pollers and a busy machine included.
pub const LATE_NS: u64 = 3_000_000_000;
/// How long a group may take to serve after a fault is healed.
pub const RECOVERY_NS: u64 = 5_000_000_000;

/// Where a message was seen first, and where else.
struct Seen<'a> {
    first: Moment,
    by: &'a Read,
    places: BTreeMap<(&'a str, u64), &'a Read>,
}

/// Checks every message that was to be delivered later.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C13", "delay");
    let sends: HashMap<&str, &Send> = history.delayed.iter().map(|send| (&*send.attempt, send)).collect();
    let seen = seen(history, &sends, &mut verdict);
    let mut spans = history.fault_spans();
    spans.retain(|span| span.fault.function != Function::ClockJump);
    let read_until = read_until(history);
    for send in &history.delayed {
        let delay_ns = send.delay_ms * 1_000_000;
        let Some(seen) = seen.get(&*send.attempt) else {
            missing(send, delay_ns, &spans, &read_until, &mut verdict);
            continue;
        };
        if send.outcome == Outcome::Failed {
            let what = format!("{} was delivered, though sending it had failed for certain", send.value);
            verdict.reject(what, events_of_send(send).chain(events_of_read(seen.by)));
        }
        if seen.places.len() > 1 {
            let places: Vec<_> =
                seen.places.keys().map(|(queue, at)| format!("{queue} offset {at}")).collect();
            let what = format!("{} was delivered {} times: {}", send.value, places.len(), places.join(", "));
            verdict.reject(what, seen.places.values().flat_map(|read| events_of_read(read)));
        }
        let due = send.invoked.ns + delay_ns;
        if seen.first.ns + EARLY_NS < due && !clock_was_set(history, send, seen.first) {
            let what = format!("{} was delivered {} ms early", send.value, (due - seen.first.ns) / 1_000_000);
            verdict.reject(what, events_of_send(send).chain(events_of_read(seen.by)));
        }
        if let Some(acked) = send.acked() {
            let latest = latest(acked.ns + delay_ns, &spans);
            if seen.first.ns > latest {
                let late = (seen.first.ns - acked.ns - delay_ns) / 1_000_000;
                let what = format!("{} was delivered {late} ms late", send.value);
                verdict.reject(what, events_of_send(send).chain(events_of_read(seen.by)));
            }
        }
    }
    verdict
}

fn seen<'a>(
    history: &'a History,
    sends: &HashMap<&'a str, &'a Send>,
    verdict: &mut Verdict,
) -> HashMap<&'a str, Seen<'a>> {
    let mut seen: HashMap<&str, Seen<'_>> = HashMap::new();
    for read in history.delayed_reads.iter().filter(|read| read.outcome == Outcome::Acked) {
        let Some(at) = read.completed else { continue };
        for record in &read.records {
            if let Some(damage) = &record.damage {
                let what = format!("{} offset {}: {damage}", read.queue, record.queue_offset);
                verdict.reject(what, events_of_read(read));
            } else if !sends.contains_key(&*record.attempt) {
                let what = format!("{} was delivered, and never sent", record.value);
                verdict.reject(what, events_of_read(read));
            } else {
                let place = (&*read.queue, record.queue_offset);
                let known = seen.entry(&record.attempt).or_insert_with(|| Seen {
                    first: at,
                    by: read,
                    places: BTreeMap::new(),
                });
                known.places.entry(place).or_insert(read);
                if at < known.first {
                    (known.first, known.by) = (at, read);
                }
            }
        }
    }
    seen
}

/// Until when each queue was read to its end, in nanoseconds.
fn read_until(history: &History) -> HashMap<&str, u64> {
    let mut until: HashMap<&str, u64> = HashMap::new();
    for read in history.delayed_reads.iter().filter(|read| read.done && read.outcome == Outcome::Acked) {
        let last = until.entry(&read.queue).or_default();
        *last = read.invoked.ns.max(*last);
    }
    until
}

fn missing(
    send: &Send,
    delay_ns: u64,
    spans: &[FaultSpan<'_>],
    read_until: &HashMap<&str, u64>,
    verdict: &mut Verdict,
) {
    let Some(acked) = send.acked() else { return };
    let latest = latest(acked.ns + delay_ns, spans);
    match read_until.get(&*send.queue) {
        Some(until) if *until > latest => {
            let what = format!("{} was acknowledged, and never delivered to {}", send.value, send.queue);
            verdict.reject(what, events_of_send(send));
        }
        Some(_) => verdict.doubt(format!("{} was not waited for long enough", send.value)),
        None => verdict.doubt(format!("{} was not read to its end", send.queue)),
    }
}

fn clock_was_set(history: &History, send: &Send, seen: Moment) -> bool {
    let mut set = history.faults.iter().filter(|fault| fault.function == Function::ClockJump);
    set.any(|fault| fault.at > send.invoked && fault.at < seen)
}

/// Until when a message due at `due` may be seen first.
fn latest(due: u64, spans: &[FaultSpan<'_>]) -> u64 {
    let mut latest = due + LATE_NS;
    // In order of their beginnings, so that one fault's excuse can lead into the next.
    for span in spans {
        let over = span.to.saturating_add(RECOVERY_NS);
        if span.from <= latest && over >= due {
            latest = latest.max(over.saturating_add(LATE_NS));
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Validity;
    use crate::checker::script::{Script, assert_only, assert_valid};

    /// A message that is to come after one second.
    fn script() -> Script {
        let mut script = Script::new();
        script.acked(1, "a", 0).drain_all(&["a"]).delayed(5, "x", 1_000);
        script
    }

    #[test]
    fn what_comes_once_and_in_time_is_valid() {
        let mut script = script();
        script.delay_poll(9, &[], false).later(1_100).delay_poll(9, &[("x", 0)], false);
        script.later(5_000).delay_poll(9, &[("x", 0)], true);
        assert_valid(&script.history());
    }

    #[test]
    fn a_fault_excuses_being_late_until_it_is_healed() {
        let late = |fault: bool, ms| {
            let mut script = script();
            if fault {
                script.fault(Function::Pause, "n0", "installed");
            }
            script.later(9_000);
            if fault {
                script.fault(Function::Pause, "n0", "healed");
            }
            script.later(ms).delay_poll(9, &[("x", 0)], true);
            script.history()
        };
        assert_valid(&late(true, 1_000));
        assert_only(&late(false, 1_000), &["C13"]);
        let verdict = assert_only(&late(true, 9_000), &["C13"]);
        assert!(verdict.witnesses[0].what.starts_with("x was delivered 17"), "{verdict:#?}");
    }

    #[test]
    fn a_clock_that_is_set_excuses_being_early_and_not_being_late() {
        let jumped = |wait_ms| {
            let mut script = script();
            script.fault(Function::ClockJump, "n0", "installed").later(wait_ms);
            script.delay_poll(9, &[("x", 0)], true).fault(Function::ClockJump, "n0", "healed");
            script.history()
        };
        assert_valid(&jumped(100));
        assert_only(&jumped(9_000), &["C13"]);
    }

    #[test]
    fn each_way_to_break_the_promise_is_caught() {
        type Story = fn(&mut Script) -> &mut Script;
        let cases: [(Story, &str); 5] = [
            (|s| s.delay_poll(9, &[("x", 0)], true), "x was delivered 997 ms early"),
            (|s| s.later(9_000).delay_poll(9, &[], true), "x was acknowledged, and never delivered to d/0"),
            (
                |s| s.later(1_100).delay_poll(9, &[("x", 0), ("x", 1)], true),
                "x was delivered 2 times: d/0 offset 0, d/0 offset 1",
            ),
            (
                |s| s.later(1_100).delay_poll(9, &[("x", 0), ("y", 1)], true),
                "y was delivered, and never sent",
            ),
            (|s| s.later(6_000).delay_poll(9, &[("x", 0)], true), "x was delivered 5002 ms late"),
        ];
        for (story, expected) in cases {
            let mut script = script();
            story(&mut script);
            let verdict = assert_only(&script.history(), &["C13"]);
            assert_eq!(verdict.witnesses[0].what, expected);
        }
    }

    #[test]
    fn what_was_not_read_to_the_end_is_unknown() {
        assert_eq!(check(&script().history()).validity, Validity::Unknown);
    }
}
