//! Whom a fault hits, in words, and how that becomes node numbers at the moment of the fault.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use serde::{Deserialize, Deserializer};

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Who leads at that moment.
    Leader,
    /// One who runs and does not lead.
    Follower,
    /// One who runs.
    Random,
    /// A certain one: `node:n2`.
    Node(usize),
    /// The smallest majority, the leader among them.
    Majority,
    /// The largest minority, without the leader.
    Minority,
    /// All.
    All,
    /// All but the leader.
    AllButLeader,
}

const WORDS: &str = "leader, follower, random, node:nK, majority, minority, all, all-but-leader";

/// Why a target cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The word is none of ours.
    #[error("`{text}` is not a target; there are {WORDS}")]
    Word {
        /// The word.
        text: String,
    },
    /// It needs a leader.
    #[error("nobody leads")]
    NoLeader,
    /// There is nobody to hit.
    #[error("none of those nodes runs")]
    NoneRuns,
}

impl Target {
    fn parse(text: &str) -> Result<Self, TargetError> {
        Ok(match text {
            "leader" => Self::Leader,
            "follower" | "random-follower" => Self::Follower,
            "random" => Self::Random,
            "majority" => Self::Majority,
            "minority" => Self::Minority,
            "all" => Self::All,
            "all-but-leader" => Self::AllButLeader,
            _ => {
                let number = text.strip_prefix("node:n").and_then(|number| number.parse().ok());
                Self::Node(number.ok_or_else(|| TargetError::Word { text: text.to_owned() })?)
            }
        })
    }

    pub(super) fn problem(self, nodes: usize) -> Option<String> {
        match self {
            Self::Node(node) if node >= nodes => {
                Some(format!("target node:n{node}, but the nodes are n0 to n{}", nodes.saturating_sub(1)))
            }
            _ => None,
        }
    }

    /// Whether it cannot be resolved while nobody leads.
    pub fn needs_leader(self) -> bool {
        !matches!(self, Self::Random | Self::Node(_) | Self::All)
    }

    /// The nodes to hit, out of `nodes`. `up[k]`: node k runs and is not paused.
    ///
    /// # Errors
    /// Why there is nobody to hit.
    pub fn resolve(
        self,
        up: &[bool],
        leader: Option<usize>,
        rng: &mut StdRng,
    ) -> Result<Vec<usize>, TargetError> {
        let leader = leader.ok_or(TargetError::NoLeader);
        let mut running: Vec<usize> = (0..up.len()).filter(|&node| up[node]).collect();
        running.shuffle(rng);
        let majority = up.len() / 2 + 1;
        let others = |leader: usize| running.iter().copied().filter(move |&node| node != leader);
        let nodes: Vec<usize> = match self {
            Self::Leader => vec![leader?],
            Self::Follower => others(leader?).take(1).collect(),
            Self::Random => running.choose(rng).copied().into_iter().collect(),
            Self::Node(node) => Some(node).filter(|&node| up[node]).into_iter().collect(),
            Self::Majority => {
                let leader = leader?;
                std::iter::once(leader).chain(others(leader)).take(majority).collect()
            }
            Self::Minority => others(leader?).take(up.len() - majority).collect(),
            Self::All => running,
            Self::AllButLeader => others(leader?).collect(),
        };
        if nodes.is_empty() { Err(TargetError::NoneRuns) } else { Ok(nodes) }
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::{RngSource, SeededRng};

    fn resolve(text: &str, up: &[bool], leader: Option<usize>) -> Result<Vec<usize>, TargetError> {
        let nodes = Target::parse(text).unwrap().resolve(up, leader, &mut SeededRng(1).rng("target"));
        nodes.map(|mut nodes| {
            nodes.sort_unstable();
            nodes
        })
    }

    #[test]
    fn targets_become_nodes() {
        let up = [true; 3];
        assert_eq!(resolve("leader", &up, Some(2)), Ok(vec![2]));
        assert_eq!(resolve("all-but-leader", &up, Some(2)), Ok(vec![0, 1]));
        assert_eq!(resolve("all", &up, None), Ok(vec![0, 1, 2]));
        assert_eq!(resolve("node:n1", &up, None), Ok(vec![1]));
        assert_eq!(resolve("majority", &up, Some(1)).unwrap().len(), 2);
        assert!(resolve("majority", &up, Some(1)).unwrap().contains(&1));
        assert!(!resolve("minority", &up, Some(1)).unwrap().contains(&1));
        assert_ne!(resolve("follower", &up, Some(0)).unwrap(), [0]);
        assert_eq!(resolve("majority", &[true; 5], Some(1)).unwrap().len(), 3);
    }

    #[test]
    fn nobody_to_hit_is_said() {
        assert_eq!(resolve("leader", &[true; 3], None), Err(TargetError::NoLeader));
        assert_eq!(resolve("node:n1", &[true, false, true], None), Err(TargetError::NoneRuns));
        let error = Target::parse("leeder").unwrap_err().to_string();
        assert_eq!(error, format!("`leeder` is not a target; there are {WORDS}"));
    }
}
