//! From a phase to a list of faults with their times: a pure function of the phase and the seed.
//!
//! Times and durations are drawn here; whom a fault hits is decided when it comes, since nobody knows
//! before who will lead then.

use std::time::Duration;

use platform::RngSource;

use super::{FaultKind, Phase, Target};

/// One fault to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When, from the beginning of the phase.
    pub at: Duration,
    /// What.
    pub kind: FaultKind,
    /// Whom.
    pub target: Option<Target>,
    /// How long a node stays down or paused.
    pub lasts: Duration,
    /// How far a clock jumps, in milliseconds.
    pub by_ms: i64,
}

/// The faults of a phase in order of time. None begins after the phase has ended.
pub fn plan(phase: &Phase, name: &str, rng: &dyn RngSource) -> Vec<Planned> {
    let end = Duration::from_secs(phase.secs.unwrap_or(0));
    let mut planned = Vec::new();
    for (number, fault) in phase.fault.iter().enumerate() {
        let mut rng = rng.rng(&format!("plan {name} {number} {}", fault.kind.word()));
        let mut at = Duration::ZERO;
        let times: Vec<Duration> = match (fault.every, fault.at) {
            (Some(every), _) => std::iter::from_fn(|| {
                at += every.draw(&mut rng);
                (at < end).then_some(at)
            })
            .collect(),
            (None, Some(at)) => Some(at.draw(&mut rng)).filter(|at| *at < end).into_iter().collect(),
            (None, None) => Vec::new(),
        };
        for at in times {
            let lasts = fault.down.or(fault.lasts).map_or(Duration::ZERO, |span| span.draw(&mut rng));
            let by_ms = fault.by.map_or(0, |jump| jump.ms);
            planned.push(Planned { at, kind: fault.kind, target: fault.target, lasts, by_ms });
        }
    }
    planned.sort_by_key(|planned| planned.at);
    planned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use platform::SeededRng;

    const TEXT: &str = r#"
        name = "x"
        workload = [{ use = "log", rate = 10 }]
        phase = [
          { name = "chaos", secs = 60, fault = [
            { do = "kill", target = "leader", every = "10s+-2s", down = "2s+-1s" },
            { do = "kill-all", at = "30s" },
            { do = "pause", target = "follower", at = "90s", for = "1s" } ] },
        ]
    "#;

    #[test]
    fn a_plan_follows_the_seed_and_stays_within_the_phase() {
        let scenario = Scenario::parse(TEXT, "x.toml").unwrap();
        let plan = |seed| plan(&scenario.phase[0], "chaos", &SeededRng(seed));
        let faults = plan(7);
        assert_eq!(faults, plan(7));
        assert_ne!(faults, plan(8));
        assert!(faults.is_sorted_by_key(|fault| fault.at));
        let kills: Vec<_> = faults.iter().filter(|fault| fault.kind == FaultKind::Kill).collect();
        assert!((4..=7).contains(&kills.len()), "{kills:?}");
        assert!(kills.iter().all(|kill| (1_000..=3_000).contains(&kill.lasts.as_millis())));
        let all: Vec<_> = faults.iter().filter(|fault| fault.kind == FaultKind::KillAll).collect();
        assert_eq!((all.len(), all[0].at.as_secs(), all[0].lasts), (1, 30, Duration::ZERO));
        assert!(faults.iter().all(|fault| fault.kind != FaultKind::Pause), "after the end");
    }
}
