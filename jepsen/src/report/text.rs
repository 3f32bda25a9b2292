//! A run's results for a person at a terminal.

use std::fmt::Write as _;

use super::{Quantiles, Results, Stats};
use crate::checker::{Validity, Verdict};

/// The whole report, the verdict in its last line.
pub fn render(results: &Results) -> String {
    let mut text = String::new();
    figures(&mut text, &results.stats);
    text.push('\n');
    for verdict in &results.verdicts {
        tell(&mut text, verdict);
    }
    if let Some(failure) = &results.harness_failure {
        let _ = writeln!(text, "\nthe run could not be finished: {failure}");
    }
    let word = match results.validity {
        Validity::Valid => "valid: every promise checked was kept",
        Validity::Unknown => "unknown: nothing was found broken, but too little was seen",
        Validity::Invalid => "INVALID: a promise was broken",
    };
    let _ = writeln!(text, "\n{} (seed {}): {word}", results.scenario, results.seed);
    text
}

fn figures(text: &mut String, stats: &Stats) {
    let mut line = |what: &str, value: String| {
        let _ = writeln!(text, "{what:<24} {value}");
    };
    let sends = stats.ops.get("send").copied().unwrap_or_default();
    line(
        "sends",
        format!(
            "{} in {:.0} s: {} acknowledged, {} failed, {} unknown ({} of those did come to pass)",
            sends.invoked, stats.seconds, sends.ok, sends.fail, sends.info, stats.unknown_but_read
        ),
    );
    line("messages read", stats.read.to_string());
    line("latency, quiet", quantiles(&stats.latency_quiet_ms));
    line("latency, under faults", quantiles(&stats.latency_faulty_ms));
    line(
        "unavailable",
        format!(
            "{} times, longest {:.0} ms, together {:.0} ms; available {:.2} %",
            stats.unavailable.len(),
            stats.unavailable_longest_ms,
            stats.unavailable_total_ms,
            stats.availability_percent
        ),
    );
    line("leaders", format!("{} changes over {} terms", stats.leaders_seen, stats.terms_led));
    for (kind, fault) in &stats.faults {
        let mut value = format!("{} installed", fault.installed);
        if fault.skipped + fault.indeterminate > 0 {
            let _ = write!(value, ", {} skipped, {} indeterminate", fault.skipped, fault.indeterminate);
        }
        if fault.next_ack_ms.count > 0 {
            let Quantiles { p50, max, .. } = &fault.next_ack_ms;
            let _ = write!(value, "; next acknowledgement after p50 {p50:.0} ms, max {max:.0} ms");
        }
        line(&format!("fault {kind}"), value);
    }
    for (cause, count) in &stats.causes {
        line(&format!("  {count} ×"), cause.clone());
    }
}

fn quantiles(quantiles: &Quantiles) -> String {
    if quantiles.count == 0 {
        return "none".to_owned();
    }
    let Quantiles { count, p50, p99, p999, max } = quantiles;
    format!("p50 {p50:.1} ms, p99 {p99:.1} ms, p99.9 {p999:.1} ms, max {max:.1} ms of {count}")
}

fn tell(text: &mut String, verdict: &Verdict) {
    let Verdict { id, name, validity, anomalies, witnesses, notes } = verdict;
    let _ = write!(text, "{id:<4} {name:<20} {validity}");
    let _ = if *anomalies > 0 { writeln!(text, ", {anomalies} found") } else { writeln!(text) };
    for witness in witnesses {
        let _ = writeln!(text, "       {}", witness.what);
        if !witness.events.is_empty() {
            let events: Vec<_> = witness.events.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "         events {}", events.join(", "));
        }
    }
    for note in notes {
        let _ = writeln!(text, "       {note}");
    }
}
