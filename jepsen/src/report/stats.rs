//! Figures of a run: a pure function of its history.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::history::{Fault, FaultSpan, FaultState, Function, History, Moment, Outcome, Send};

/// Shorter spans without an acknowledgement are the ordinary unevenness of a busy machine.
const WINDOW_NS_MIN: u64 = 250_000_000;
/// A fault's traces last this long after it is healed.
const AFTERMATH_NS: u64 = 2_000_000_000;

/// Operations of one kind by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Begun.
    pub invoked: u64,
    /// Took effect.
    pub ok: u64,
    /// Certainly had none.
    pub fail: u64,
    /// Unknown.
    pub info: u64,
}

/// A distribution, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many there are.
    pub count: usize,
    /// The median.
    pub p50: f64,
    /// 99 of a hundred are not above it.
    pub p99: f64,
    /// 999 of a thousand are not above it.
    pub p999: f64,
    /// None is above it.
    pub max: f64,
}

impl Quantiles {
    /// Of durations in nanoseconds, in any order.
    pub fn of(mut ns: Vec<u64>) -> Self {
        ns.sort_unstable();
        let at = |share: f64| {
            let rank = ((ns.len() as f64 * share).ceil() as usize).clamp(1, ns.len().max(1));
            ns.get(rank - 1).map_or(0.0, |ns| ms(*ns))
        };
        Self { count: ns.len(), p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

/// A span without an acknowledgement though sends were running.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Window {
    /// When it began, in milliseconds of the run.
    pub from_ms: f64,
    /// How long it lasted.
    pub ms: f64,
    /// The faults in force or in their aftermath.
    pub during: Vec<String>,
}

/// What became of the faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FaultStats {
    /// Carried out.
    pub installed: u64,
    /// Not carried out.
    pub skipped: u64,
    /// Perhaps carried out.
    pub indeterminate: u64,
    /// From the fault to the first acknowledgement of a send that began after it, in milliseconds.
    pub next_ack_ms: Quantiles,
    /// The same, one by one.
    pub next_ack_ms_each: Vec<f64>,
}

/// All figures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Seconds from the first event to the last.
    pub seconds: f64,
    /// By function: `send`, `poll`, `drain`.
    pub ops: BTreeMap<&'static str, Counts>,
    /// Sends that were not acknowledged, by cause.
    pub causes: BTreeMap<String, u64>,
    /// Acknowledged messages.
    pub acked: u64,
    /// Messages read at least once, by a consumer or the drain.
    pub read: u64,
    /// Answered polls.
    pub polls_answered: u64,
    /// Answered polls that bear the term of the leader that answered.
    pub polls_with_term: u64,
    /// Messages of unknown outcome that did come to pass.
    pub unknown_but_read: u64,
    /// Latency of acknowledged sends away from faults.
    pub latency_quiet_ms: Quantiles,
    /// Latency of acknowledged sends under faults and in their aftermath.
    pub latency_faulty_ms: Quantiles,
    /// Spans of unavailability.
    pub unavailable: Vec<Window>,
    /// The longest of them.
    pub unavailable_longest_ms: f64,
    /// All of them together.
    pub unavailable_total_ms: f64,
    /// Share of the time with sends running in which there were acknowledgements.
    pub availability_percent: f64,
    /// By kind of fault.
    pub faults: BTreeMap<&'static str, FaultStats>,
    /// Changes of who leads, the first leader included.
    pub leaders_seen: u64,
    /// Terms in which somebody led.
    pub terms_led: u64,
    /// The highest term any node was seen in.
    pub term_max: u64,
}

/// Computes the figures.
pub fn stats(history: &History) -> Stats {
    let read: BTreeSet<&str> =
        history.answered_reads().flat_map(|read| &read.records).map(|record| &*record.value).collect();
    let spans = spans(history);
    let faulty =
        |send: &Send, end: Moment| spans.iter().any(|span| span.from <= end.ns && send.invoked.ns <= span.to);
    let (mut quiet_ns, mut faulty_ns) = (Vec::new(), Vec::new());
    for (send, acked, _) in history.acked_sends() {
        let latency = acked.ns - send.invoked.ns;
        if faulty(send, acked) { faulty_ns.push(latency) } else { quiet_ns.push(latency) }
    }
    let (unavailable, sending_ns) = windows(history, &spans);
    let unavailable_total_ms = unavailable.iter().map(|window| window.ms).sum::<f64>();
    let availability = if sending_ns == 0 { 1.0 } else { 1.0 - unavailable_total_ms / ms(sending_ns) };
    let polls = || history.answered_reads().filter(|read| !read.drain);
    let unknown = history.sends.iter().filter(|send| send.outcome == Outcome::Unknown);
    let leaders: Vec<_> = history.sightings.iter().filter(|sighting| sighting.leads).collect();
    let mut changes: Vec<(u64, &str)> =
        leaders.iter().map(|sighting| (sighting.term, &*sighting.node)).collect();
    changes.sort_unstable();
    changes.dedup_by_key(|(_, node)| *node);
    let terms: BTreeSet<u64> = leaders.iter().map(|sighting| sighting.term).collect();
    Stats {
        seconds: ms(history.end_ns) / 1_000.0,
        ops: ops(history),
        causes: causes(history),
        acked: history.acked_sends().count() as u64,
        read: read.len() as u64,
        polls_answered: polls().count() as u64,
        polls_with_term: polls().filter(|read| read.term.is_some()).count() as u64,
        unknown_but_read: unknown.filter(|send| read.contains(&*send.value)).count() as u64,
        latency_quiet_ms: Quantiles::of(quiet_ns),
        latency_faulty_ms: Quantiles::of(faulty_ns),
        unavailable_longest_ms: unavailable.iter().map(|window| window.ms).fold(0.0, f64::max),
        unavailable,
        unavailable_total_ms,
        availability_percent: 100.0 * availability.max(0.0),
        faults: faults(history),
        leaders_seen: changes.len() as u64,
        terms_led: terms.len() as u64,
        term_max: history.sightings.iter().map(|sighting| sighting.term).max().unwrap_or(0),
    }
}

fn ms(ns: u64) -> f64 {
    (ns / 1_000) as f64 / 1_000.0
}

fn ops(history: &History) -> BTreeMap<&'static str, Counts> {
    let sends = history.sends.iter().map(|send| ("send", send.outcome));
    let reads = history.reads.iter().map(|read| (if read.drain { "drain" } else { "poll" }, read.outcome));
    let delayed = history.delayed.iter().map(|send| (Function::DelaySend.word(), send.outcome));
    let delayed_reads = history.delayed_reads.iter().map(|read| (Function::DelayPoll.word(), read.outcome));
    let others = history.ops.iter().map(|op| (op.function.word(), op.outcome));
    let mut ops: BTreeMap<_, Counts> = BTreeMap::new();
    for (name, outcome) in sends.chain(reads).chain(delayed).chain(delayed_reads).chain(others) {
        let counts = ops.entry(name).or_default();
        counts.invoked += 1;
        match outcome {
            Outcome::Acked => counts.ok += 1,
            Outcome::Failed => counts.fail += 1,
            Outcome::Unknown => counts.info += 1,
        }
    }
    ops
}

/// Numbers in a cause, such as ports and milliseconds, are not what makes it another cause.
fn causes(history: &History) -> BTreeMap<String, u64> {
    let mut causes = BTreeMap::new();
    for send in history.sends.iter().filter(|send| send.outcome != Outcome::Acked) {
        let kind = if send.outcome == Outcome::Failed { "fail" } else { "info" };
        let cause = send.cause.as_deref().unwrap_or("no answer before the end");
        let mut text = format!("{kind}: ");
        for c in cause.chars() {
            let c = if c.is_ascii_digit() { '#' } else { c };
            if c != '#' || !text.ends_with('#') {
                text.push(c);
            }
        }
        *causes.entry(text).or_default() += 1;
    }
    causes
}

/// The times under a fault and in its aftermath.
fn spans(history: &History) -> Vec<FaultSpan<'_>> {
    let spans = history.fault_spans().into_iter();
    spans.map(|span| FaultSpan { to: span.to.saturating_add(AFTERMATH_NS), ..span }).collect()
}

/// The spans without an acknowledgement, and the time in which sends were running.
///
/// A span begins with the first send after the last acknowledgement, so that a time in which nobody wanted
/// to send does not count.
fn windows(history: &History, spans: &[FaultSpan<'_>]) -> (Vec<Window>, u64) {
    let mut acks: Vec<u64> = history.acked_sends().map(|(_, acked, _)| acked.ns).collect();
    acks.sort_unstable();
    let mut begun = history.sends.iter().map(|send| send.invoked.ns).peekable();
    let mut windows = Vec::new();
    let (mut sending_ns, mut last_ack) = (0, 0);
    let last_begun = history.sends.last().map(|send| send.invoked.ns);
    for ack in acks.into_iter().chain(last_begun) {
        let mut first = None;
        while let Some(at) = begun.next_if(|at| *at < ack) {
            first = first.or(Some(at).filter(|at| *at >= last_ack));
        }
        if let Some(from) = first.map(|first| first.max(last_ack)) {
            sending_ns += if ack - last_ack < WINDOW_NS_MIN { ack - last_ack } else { ack - from };
            if ack - from >= WINDOW_NS_MIN {
                let during = spans.iter().filter(|span| span.from <= ack && from <= span.to);
                let during = during.map(|span| describe(span.fault)).collect();
                windows.push(Window { from_ms: ms(from), ms: ms(ack - from), during });
            }
        }
        last_ack = last_ack.max(ack);
    }
    (windows, sending_ns)
}

fn describe(fault: &Fault) -> String {
    format!("{} {}", fault.function.word(), fault.nodes.join(" "))
}

fn faults(history: &History) -> BTreeMap<&'static str, FaultStats> {
    // For each acknowledgement in order of its send's beginning: the earliest one from there on.
    let mut acks: Vec<(u64, u64)> =
        history.acked_sends().map(|(send, acked, _)| (send.invoked.ns, acked.ns)).collect();
    acks.sort_unstable();
    let mut earliest = u64::MAX;
    for (_, acked) in acks.iter_mut().rev() {
        earliest = earliest.min(*acked);
        *acked = earliest;
    }
    let mut faults: BTreeMap<_, (FaultStats, Vec<u64>)> = BTreeMap::new();
    for fault in &history.faults {
        let (stats, recoveries) = faults.entry(fault.function.word()).or_default();
        match fault.state {
            FaultState::Installed => {
                stats.installed += 1;
                let next = acks.partition_point(|(begun, _)| *begun < fault.at.ns);
                recoveries.extend(acks.get(next).map(|(_, acked)| acked - fault.at.ns));
            }
            FaultState::Skipped => stats.skipped += 1,
            FaultState::Indeterminate => stats.indeterminate += 1,
            FaultState::Healed => {}
        }
    }
    faults
        .into_iter()
        .map(|(word, (mut stats, recoveries))| {
            stats.next_ack_ms_each = recoveries.iter().map(|ns| ms(*ns)).collect();
            stats.next_ack_ms = Quantiles::of(recoveries);
            (word, stats)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;

    const SECOND: u64 = 1_000_000_000;

    /// Lines of (seconds, rest of the event).
    fn history(lines: &[(f64, &str)]) -> History {
        let start = r#""p":"harness","type":"info","f":"start","v":{"nodes":["n0"],"queues":["t/0"],"retries":false,"scenario":"x","seed":1}"#;
        let lines = [(0.0, start)].into_iter().chain(lines.iter().copied()).enumerate();
        let lines = lines.map(|(index, (seconds, rest))| {
            format!("{{\"i\":{index},\"t\":{},{rest}}}", (seconds * SECOND as f64) as u64)
        });
        History::from_text(&lines.collect::<Vec<_>>().join("\n")).unwrap()
    }

    const SEND: &str = r#""p":1,"type":"invoke","f":"send","k":"t/0","v":"1-0","a":"1-0.0""#;
    const ACK: &str = r#""p":1,"type":"ok","f":"send","Q":0,"P":0"#;
    const REFUSED: &str = r#""p":1,"type":"fail","f":"send","error":"no node at port 12345 after 30 ms""#;
    const KILL: &str = r#""p":"nemesis","type":"info","f":"kill","v":{"nodes":["n0"]},"st":"installed""#;
    const HEALED: &str = r#""p":"nemesis","type":"info","f":"kill","v":{"nodes":["n0"]},"st":"healed""#;
    const SKIPPED: &str = r#""p":"nemesis","type":"info","f":"kill","st":"skipped","error":"nobody leads""#;

    #[test]
    fn a_kill_shows_as_a_window_and_as_the_time_to_the_next_ack() {
        let stats = stats(&history(&[
            (1.0, SEND),
            (1.01, ACK),
            (2.0, KILL),
            (2.1, SEND),
            (2.2, REFUSED),
            (2.3, SEND),
            (2.8, ACK),
            (3.0, HEALED),
            (9.0, SEND),
            (9.02, ACK),
            (9.1, SKIPPED),
        ]));
        assert_eq!((stats.acked, stats.ops["send"]), (3, Counts { invoked: 4, ok: 3, fail: 1, info: 0 }));
        assert_eq!(stats.causes.keys().collect::<Vec<_>>(), ["fail: no node at port # after # ms"]);
        assert_eq!(stats.unavailable.len(), 1, "the quiet seconds are none: {:?}", stats.unavailable);
        let window = &stats.unavailable[0];
        assert_eq!(
            (window.from_ms, window.ms.round(), &window.during[..]),
            (2_100.0, 700.0, &["kill n0".to_owned()][..])
        );
        let kill = &stats.faults["kill"];
        assert_eq!((kill.installed, kill.skipped, kill.next_ack_ms.max.round()), (1, 1, 800.0));
        assert_eq!((stats.latency_quiet_ms.count, stats.latency_faulty_ms.count), (2, 1));
        let sending = 10.0 + 700.0 + 20.0;
        assert!((stats.availability_percent - 100.0 * (1.0 - 700.0 / sending)).abs() < 0.1, "{stats:?}");
    }

    #[test]
    fn sends_that_are_never_acknowledged_again_are_a_window_too() {
        let stats = stats(&history(&[(1.0, SEND), (1.01, ACK), (2.0, SEND), (2.1, REFUSED), (5.0, SEND)]));
        assert_eq!(stats.unavailable_longest_ms.round() as u64, 3_000);
    }

    #[test]
    fn quantiles_are_those_of_the_ranks() {
        let quantiles = Quantiles::of((1..=1_000).rev().map(|ms| ms * 1_000_000).collect());
        assert_eq!(quantiles, Quantiles { count: 1_000, p50: 500.0, p99: 990.0, p999: 999.0, max: 1_000.0 });
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
    }
}
