//! What a scenario demands beyond safety: that enough was seen, and that figures stay within limits.

use super::Stats;
use crate::checker::Verdict;
use crate::history::History;
use crate::scenario::{Scenario, Span};

/// At least one of this many answered polls must bear its leader's term.
const TERM_ONE_IN: u64 = 10;

/// C21, coverage: too little seen means *unknown*.
pub fn coverage(scenario: &Scenario, history: &History, stats: &Stats) -> Verdict {
    let mut verdict = Verdict::new("C21", "coverage");
    demand(&mut verdict, "messages acknowledged", scenario.require.acked, stats.acked);
    demand(&mut verdict, "leaders seen", scenario.require.leaders_seen, stats.leaders_seen);
    for (op, wanted) in &scenario.require.ops {
        demand(
            &mut verdict,
            &format!("`{op}` with success"),
            *wanted,
            stats.ops.get(op.as_str()).map_or(0, |op| op.ok),
        );
    }
    // Bounds and staleness are judged by these alone; pollers ask any node, so that a part of them bears none.
    demand(
        &mut verdict,
        "polls that bear their leader's term",
        stats.polls_answered / TERM_ONE_IN,
        stats.polls_with_term,
    );
    for (kind, wanted) in &scenario.require.faults {
        let installed = stats.faults.get(kind.word()).map_or(0, |fault| fault.installed);
        demand(&mut verdict, &format!("fault `{}` installed", kind.word()), *wanted, installed);
        if installed < *wanted {
            let skipped = history.faults.iter().filter(|fault| fault.function == kind.function());
            let mut reasons: Vec<_> = skipped.filter_map(|fault| fault.why.as_deref()).collect();
            reasons.sort_unstable();
            reasons.dedup();
            for reason in reasons {
                verdict.notes.push(format!("fault `{}`: {reason}", kind.word()));
            }
        }
    }
    if history.sends.is_empty() {
        verdict.doubt("nothing was sent".to_owned());
    }
    verdict
}

fn demand(verdict: &mut Verdict, what: &str, wanted: u64, seen: u64) {
    if seen < wanted {
        verdict.doubt(format!("{what}: {seen} of the {wanted} required"));
    }
}

/// The limits of the scenario: a figure above one of them is *invalid*.
pub fn limits(scenario: &Scenario, verdicts: &[Verdict], stats: &Stats) -> Verdict {
    let mut verdict = Verdict::new("C19", "limits");
    let anomalies =
        |id| verdicts.iter().find(|verdict| verdict.id == id).map_or(0, |verdict| verdict.anomalies);
    let limits = &scenario.limits;
    for (what, found, limit) in
        [("lost", anomalies("C1"), limits.lost), ("duplicated", anomalies("C4"), limits.duplicated)]
    {
        if found > limit {
            verdict.reject(format!("{found} messages {what}, the limit is {limit}"), []);
        }
    }
    let mut bound = |what: &str, found: f64, limit: Option<Span>| {
        let Some(limit) = limit else { return };
        let limit = limit.mean.as_secs_f64() * 1_000.0;
        if found > limit {
            verdict.reject(format!("{what}: {found:.0} ms, the limit is {limit:.0} ms"), []);
        }
    };
    bound("longest time without an acknowledgement", stats.unavailable_longest_ms, limits.unavailable_max);
    for (kind, fault) in &stats.faults {
        bound(&format!("{kind} to the next acknowledgement"), fault.next_ack_ms.max, limits.recovery_max);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::Validity;
    use crate::checker::script::Script;
    use crate::report::stats;

    const SCENARIO: &str = r#"
        name = "x"
        workload = [{ use = "log", rate = 10 }]
        phase = [{ name = "chaos", secs = 1, fault = [{ do = "kill-all", at = "0s" }] }]
    "#;

    fn gates(more: &str) -> (Verdict, Verdict) {
        let scenario = Scenario::parse(&format!("{SCENARIO}\n{more}"), "x.toml").unwrap();
        let mut script = Script::new();
        script.acked(1, "a", 0).drain_all(&["a"]);
        let history = script.history();
        let stats = stats(&history);
        (coverage(&scenario, &history, &stats), limits(&scenario, &[], &stats))
    }

    #[test]
    fn too_little_seen_is_unknown_and_not_a_pass() {
        assert_eq!(gates("require = { acked = 2 }").0.validity, Validity::Valid);
        let (coverage, _) = gates("require = { acked = 3, leaders_seen = 1, faults = { kill-all = 1 } }");
        assert_eq!(coverage.validity, Validity::Unknown);
        assert_eq!(
            coverage.notes,
            ["messages acknowledged: 2 of the 3 required", "fault `kill-all` installed: 0 of the 1 required"]
        );
    }

    #[test]
    fn a_figure_above_its_limit_is_invalid() {
        let scenario =
            Scenario::parse(&format!("{SCENARIO}\nlimits = {{ unavailable_max = \"1s\" }}"), "x.toml")
                .unwrap();
        let history = Script::new().history();
        let mut stats = stats(&history);
        assert_eq!(limits(&scenario, &[], &stats).validity, Validity::Valid);
        stats.unavailable_longest_ms = 1_001.0;
        let verdict = limits(&scenario, &[], &stats);
        assert_eq!(verdict.validity, Validity::Invalid);
        assert_eq!(
            verdict.witnesses[0].what,
            "longest time without an acknowledgement: 1001 ms, the limit is 1000 ms"
        );
        let mut lost = Verdict::new("C1", "lost");
        lost.reject("x".to_owned(), []);
        assert_eq!(limits(&scenario, &[lost], &stats).anomalies, 2);
    }
}
