//! C9, register: a consumer group's offset in a queue is one linearizable register.
//!
//! Every value is written once at most, so the test by zones decides it (Gibbons and Korach, *Testing Shared
//! Memories*, section 4): all operations on one value have a zone, from its earliest completion to its latest
//! invocation. No read may end before its write begins, no two zones that run forward may overlap, and none that runs
//! backward may lie inside one that runs forward. A value that comes twice makes its register *unknown*.

use std::collections::BTreeMap;

use super::verdict::{Verdict, events};
use crate::history::{Function, History, Moment, Op, Outcome};

/// Before everything and after everything.
const EVER: Moment = Moment { event: 0, ns: 0 };
const NEVER: Moment = Moment { event: u64::MAX, ns: u64::MAX };

/// Checks each register by itself.
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::new("C9", "register");
    let mut registers: BTreeMap<(&str, &str), Vec<&Op>> = BTreeMap::new();
    for op in &history.ops {
        let is_of_one = matches!(op.function, Function::Commit | Function::Reset | Function::Query);
        if let (true, Some(group), Some(queue)) = (is_of_one, &op.group, &op.queue) {
            registers.entry((group, queue)).or_default().push(op);
        }
    }
    for ((group, queue), ops) in registers {
        register(&format!("{group} in {queue}"), &ops, &mut verdict);
    }
    verdict
}

/// All operations on one value.
struct Cluster<'a> {
    value: Option<u64>,
    write: Option<&'a Op>,
    reads: Vec<&'a Op>,
}

/// Where a value's operations lie in time.
struct Zone<'a> {
    finish: Moment,
    start: Moment,
    cluster: &'a Cluster<'a>,
}

impl Cluster<'_> {
    fn name(&self) -> String {
        self.value.map_or_else(|| "\"none stored\"".to_owned(), |value| value.to_string())
    }

    fn events(&self) -> impl Iterator<Item = u64> {
        // The first and the last read show it; there may be hundreds.
        let ends = self.reads.first().into_iter().chain(self.reads.last());
        self.write.iter().chain(ends).flat_map(|op| events(op.invoked, op.completed))
    }
}

fn register(name: &str, ops: &[&Op], verdict: &mut Verdict) {
    let Some(clusters) = clusters(name, ops, verdict) else { return };
    let mut zones = Vec::new();
    for cluster in &clusters {
        match (cluster.value, cluster.write) {
            (Some(value), None) => {
                let what = format!("{name} was told as {value}, which nobody had stored");
                verdict.reject(what, cluster.events());
                continue;
            }
            (Some(value), Some(write)) if write.outcome == Outcome::Failed && !cluster.reads.is_empty() => {
                let what = format!("{name} was told as {value}, and storing that had failed for certain");
                verdict.reject(what, cluster.events());
                continue;
            }
            (_, Some(write)) if write.outcome == Outcome::Failed => continue,
            // It may never have come to pass.
            (_, Some(write)) if write.outcome == Outcome::Unknown && cluster.reads.is_empty() => continue,
            _ => {}
        }
        let begun = cluster.write.map_or(EVER, |write| write.invoked);
        if let Some(early) = cluster.reads.iter().find(|read| read.completed < Some(begun)) {
            let what = format!("{name} was told as {} before that was stored", cluster.name());
            verdict.reject(what, cluster.events().chain(events(early.invoked, early.completed)));
            continue;
        }
        let written = match cluster.write {
            None => EVER,
            Some(write) => write.answered().unwrap_or(NEVER),
        };
        let finish = cluster.reads.iter().filter_map(|read| read.completed).fold(written, Moment::min);
        let start = cluster.reads.iter().map(|read| read.invoked).fold(begun, Moment::max);
        zones.push(Zone { finish, start, cluster });
    }
    judge(name, &zones, verdict);
}

/// The operations by value, the missing value among them. `None` if a value was written twice.
fn clusters<'a>(name: &str, ops: &[&'a Op], verdict: &mut Verdict) -> Option<Vec<Cluster<'a>>> {
    let mut clusters: BTreeMap<Option<u64>, Cluster<'a>> = BTreeMap::new();
    for op in ops.iter().copied() {
        let is_read = op.function == Function::Query;
        if is_read && op.answered().is_none() {
            continue;
        }
        let cluster = clusters.entry(op.number).or_insert_with(|| Cluster {
            value: op.number,
            write: None,
            reads: Vec::new(),
        });
        if is_read {
            cluster.reads.push(op);
        } else if cluster.write.replace(op).is_some() {
            verdict.doubt(format!("{name}: {} was stored twice, so it is not judged", cluster.name()));
            return None;
        }
    }
    Some(clusters.into_values().collect())
}

fn judge(name: &str, zones: &[Zone<'_>], verdict: &mut Verdict) {
    let (mut forward, backward): (Vec<&Zone<'_>>, Vec<_>) =
        zones.iter().partition(|zone| zone.finish < zone.start);
    forward.sort_by_key(|zone| zone.finish);
    for pair in forward.windows(2) {
        if pair[1].finish < pair[0].start {
            let (old, new) = (pair[0].cluster, pair[1].cluster);
            let what = format!("{name} was {} and {} in turns", old.name(), new.name());
            verdict.reject(what, old.events().chain(new.events()));
        }
    }
    for zone in backward {
        let at = forward.partition_point(|around| around.finish < zone.start);
        let Some(around) = at.checked_sub(1).map(|at| forward[at]) else { continue };
        if zone.finish < around.start {
            let (lost, stayed) = (zone.cluster, around.cluster);
            let what = format!("{name} stayed {} while {} was stored", stayed.name(), lost.name());
            verdict.reject(what, stayed.events().chain(lost.events()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Validity;
    use crate::checker::script::{Script, assert_only, assert_valid};

    fn script() -> Script {
        let mut script = Script::new();
        script.acked(1, "a", 0).drain_all(&["a"]);
        script
    }

    #[test]
    fn what_was_stored_last_is_told_and_so_is_one_of_two_at_a_time() {
        let mut script = script();
        script.query(7, None).commit(5, 3).query(7, Some(3));
        // Under way: either may be told, and then the older one no longer.
        script.invoke_commit(5, 4).query(7, Some(3)).query(8, Some(4)).query(7, Some(4)).end_commit(5);
        script.query(7, Some(4)).reset(5, 1).query(7, Some(1));
        assert_valid(&script.history());
    }

    #[test]
    fn an_unknown_outcome_may_come_to_pass_late_or_never() {
        let mut script = script();
        script.commit(5, 3).unknown_commit(6, 4).query(7, Some(3)).commit(5, 5).query(7, Some(5));
        script.query(7, Some(4)).unknown_commit(9, 6).query(7, Some(4));
        assert_valid(&script.history());
    }

    #[test]
    fn each_way_not_to_be_a_register_is_caught() {
        type Story = fn(&mut Script) -> &mut Script;
        let cases: [(Story, &str); 6] = [
            (|s| s.commit(5, 3).query(7, Some(9)), "told as 9, which nobody had stored"),
            (|s| s.query(7, Some(3)).commit(5, 3), "told as 3 before that was stored"),
            (|s| s.commit(5, 3).query(7, None), "stayed \"none stored\" while 3 was stored"),
            (|s| s.commit(5, 3).commit(5, 4).query(7, Some(3)), "stayed 3 while 4 was stored"),
            (|s| s.commit(5, 3).commit(5, 4).query(7, Some(4)).query(7, Some(3)), "was 3 and 4 in turns"),
            (|s| s.failed_commit(5, 3).query(7, Some(3)), "storing that had failed for certain"),
        ];
        for (story, expected) in cases {
            let mut script = script();
            story(&mut script);
            let verdict = check(&script.history());
            assert_eq!(verdict.validity, Validity::Invalid, "{expected}");
            assert!(verdict.witnesses[0].what.contains(expected), "{expected}: {verdict:#?}");
        }
    }

    #[test]
    fn an_uncommitted_offset_that_was_told_and_then_vanished_is_caught() {
        let mut script = script();
        script.commit(5, 3).unknown_commit(6, 4).query(7, Some(4)).query(7, Some(3));
        assert_only(&script.history(), &["C9", "C11"]);
    }

    #[test]
    fn a_value_stored_twice_is_not_judged() {
        let mut script = script();
        script.commit(5, 3).commit(5, 3);
        assert_eq!(check(&script.history()).validity, Validity::Unknown);
    }

    /// The zones against a search over all orders, on random histories of up to eight operations.
    #[test]
    fn the_zones_agree_with_a_search_over_all_orders() {
        use platform::{RngSource, SeededRng};
        use rand::Rng;
        let first = harness::seed::from_env_or(1);
        println!("seeds from {first}");
        let (mut good, mut bad) = (0, 0);
        for seed in first..first + 3_000 {
            let mut rng = SeededRng(seed).rng("register");
            let mut script = Script::new();
            let (mut pending, mut next) = (Vec::new(), 1);
            for process in 10..10 + rng.random_range(2..8) {
                if rng.random() {
                    script.invoke_commit(process, next);
                    pending.push((process, None));
                    next += 1;
                } else {
                    script.invoke_query(process);
                    pending.push((process, Some(rng.random_range(0..=next))));
                }
                while !pending.is_empty() && rng.random_range(0..3) > 0 {
                    let (process, read) = pending.swap_remove(rng.random_range(0..pending.len()));
                    let _ = match read {
                        None => script.end_commit(process),
                        Some(told) => script.end_query(process, Some(told).filter(|told| *told > 0)),
                    };
                }
            }
            let history = script.history();
            let ops: Vec<&Op> = history.ops.iter().collect();
            let expected = exists(&ops, None);
            let found = check(&history).validity == Validity::Valid;
            assert_eq!(found, expected, "seed {seed}: {ops:#?}");
            if expected { good += 1 } else { bad += 1 }
        }
        assert!(good > 100 && bad > 100, "{good} good, {bad} bad");
    }

    /// Whether the operations fit into some order, from a register that holds `value`.
    fn exists(ops: &[&Op], value: Option<u64>) -> bool {
        let needed = |op: &&Op| op.completed.is_some();
        if !ops.iter().any(needed) {
            return true; // what is not answered may never have been
        }
        (0..ops.len()).any(|at| {
            let op = ops[at];
            let rest: Vec<&Op> =
                ops.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, op)| *op).collect();
            let is_first = rest.iter().all(|other| other.completed.is_none_or(|done| done > op.invoked));
            let is_read = op.function == Function::Query;
            if is_read && op.completed.is_none() {
                return false;
            }
            is_first
                && (!is_read || op.number == value)
                && exists(&rest, if is_read { value } else { op.number })
        })
    }
}
