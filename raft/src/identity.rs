//! Who a node is, and what its peers remember of it.
//!
//! A group has a random id, made once when it is founded, and told in every handshake: a node of another group with the
//! same name and the same addresses is refused. Each directory has a random id, a generation (a new directory under an
//! old node is given the next one, once it has heard every member) and a count of its starts. Peers remember the newest
//! of these, and the last committed entry that the node acknowledged to them. What a node says of itself is held
//! against that at every greeting, by both sides: a disk that was put back to an older state is *seen*, told in words,
//! fenced, and refilled like a new one, since its votes are as old as its log.
//!
//! What cannot be seen: a disk put back while every node that remembers better is dead. See `docs/operating.md`.

use serde::{Deserialize, Serialize};
use store::LogPoint;

use crate::NodeId;

/// The random id of a group; 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u128);

impl std::fmt::Display for GroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a directory may be trusted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Standing {
    /// It holds all it ever acknowledged, and all its votes.
    Whole,
    /// It was empty at its first start, and is not yet known to hold all that a node of its name may have promised
    /// before: the disk may be a new one under an old node.
    Newborn,
    /// Its disk was put back to an older state: it has forgotten entries and votes.
    SteppedBack,
}

/// Which life of which directory speaks. Later ones are greater, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Incarnation {
    /// Rises with each new directory under the same node; 0 before it has heard every member.
    pub(crate) generation: u64,
    /// How often it was started; on disk before anything is said.
    pub(crate) starts: u64,
    /// Random, made with the directory.
    pub(crate) directory: u128,
}

/// What a node remembers of a peer. Never taken back, only replaced by what is newer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    pub(crate) incarnation: Incarnation,
    /// The last entry that this directory acknowledged and that is committed: no truncation may take it away.
    pub(crate) holds: Option<LogPoint>,
}

/// What a node says of itself in a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) incarnation: Incarnation,
    /// Last entry of its log.
    pub(crate) last: Option<LogPoint>,
    /// It declares that it may have forgotten entries: its log may be shorter than it was.
    pub(crate) is_fenced: bool,
}

/// A node that says less of itself than is remembered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StepBack {
    #[error(
        "its directory is of generation {said}, but generation {remembered} is known: a disk that was replaced is back"
    )]
    Generation { said: u64, remembered: u64 },
    #[error("another directory of generation {generation} is known: one of the two is a copy")]
    Directory { generation: u64 },
    #[error(
        "it was started {said} times, but {remembered} starts are known: its disk was put back to an older state"
    )]
    Starts { said: u64, remembered: u64 },
    #[error(
        "its log ends at {}, but it acknowledged {remembered}: its disk was put back to an older state",
        said.map_or("nothing".to_string(), |said| said.to_string())
    )]
    Entries { said: Option<LogPoint>, remembered: LogPoint },
}

impl Memory {
    /// Whether what a node says of itself fits what is remembered of it.
    ///
    /// # Errors
    /// If it steps back and does not declare it.
    pub(crate) fn check(&self, said: &Said) -> Result<(), StepBack> {
        let (now, then) = (said.incarnation, self.incarnation);
        // A new directory has no place yet, and acknowledges nothing before it has one.
        if now.generation == 0 || then.generation == 0 {
            return Ok(());
        }
        if now.generation != then.generation {
            let (said, remembered) = (now.generation, then.generation);
            return if said > remembered { Ok(()) } else { Err(StepBack::Generation { said, remembered }) };
        }
        if now.directory != then.directory {
            return Err(StepBack::Directory { generation: now.generation });
        }
        if now.starts < then.starts {
            return Err(StepBack::Starts { said: now.starts, remembered: then.starts });
        }
        match self.holds {
            Some(remembered) if !said.is_fenced && said.last < Some(remembered) => {
                Err(StepBack::Entries { said: said.last, remembered })
            }
            _ => Ok(()),
        }
    }

    /// Takes in what was said and found fitting. Returns whether there is something new to remember.
    pub(crate) fn learn(&mut self, said: &Said) -> bool {
        if said.incarnation <= self.incarnation {
            return false;
        }
        if said.incarnation.generation > self.incarnation.generation || said.is_fenced {
            self.holds = None;
        }
        self.incarnation = said.incarnation;
        true
    }

    /// The peer acknowledged `point`, which is committed.
    pub(crate) fn acknowledged(&mut self, point: LogPoint) -> bool {
        let is_new = self.incarnation.generation > 0 && self.holds < Some(point);
        if is_new {
            self.holds = Some(point);
        }
        is_new
    }
}

/// The member that founds a new group: one only, so that there is one group id.
pub(crate) fn founder(members: impl IntoIterator<Item = NodeId>) -> Option<NodeId> {
    members.into_iter().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(term: u64, log_index: u64) -> LogPoint {
        LogPoint { term, log_index }
    }

    fn said(generation: u64, starts: u64, last: Option<LogPoint>) -> Said {
        Said { incarnation: Incarnation { generation, starts, directory: 7 }, last, is_fenced: false }
    }

    /// S4: a disk put back.
    #[test]
    fn whoever_says_less_than_is_remembered_has_stepped_back() {
        let mut memory = Memory::default();
        assert_eq!(memory.check(&said(1, 1, None)), Ok(()), "nothing is remembered yet");
        assert!(memory.learn(&said(1, 4, Some(point(2, 9)))));
        assert!(memory.acknowledged(point(2, 9)) && !memory.acknowledged(point(1, 10)));
        assert_eq!(memory.check(&said(1, 4, Some(point(2, 9)))), Ok(()), "a new connection");
        assert_eq!(memory.check(&said(1, 5, Some(point(3, 4)))), Ok(()), "what was not committed was cut");
        let short = said(1, 5, Some(point(2, 8)));
        let entries = StepBack::Entries { said: short.last, remembered: point(2, 9) };
        assert_eq!(memory.check(&short), Err(entries));
        assert_eq!(memory.check(&Said { is_fenced: true, ..short }), Ok(()), "declared");
        assert_eq!(
            memory.check(&said(1, 3, Some(point(9, 99)))),
            Err(StepBack::Starts { said: 3, remembered: 4 })
        );
        assert!(entries.to_string().contains("ends at"), "{entries}");
    }

    #[test]
    fn a_new_directory_takes_the_next_generation_and_the_old_one_does_not_come_back() {
        let mut memory = Memory::default();
        memory.learn(&said(1, 4, Some(point(2, 9))));
        memory.acknowledged(point(2, 9));
        let newborn = Said {
            incarnation: Incarnation { generation: 0, starts: 1, directory: 8 },
            last: None,
            is_fenced: true,
        };
        assert_eq!(memory.check(&newborn), Ok(()));
        assert!(!memory.learn(&newborn), "it has no place yet");
        let placed = Said { incarnation: Incarnation { generation: 2, ..newborn.incarnation }, ..newborn };
        assert_eq!(memory.check(&placed), Ok(()));
        assert!(memory.learn(&placed) && memory.holds.is_none());
        assert_eq!(
            memory.check(&said(1, 5, Some(point(2, 9)))),
            Err(StepBack::Generation { said: 1, remembered: 2 })
        );
        let copy = Said { incarnation: Incarnation { directory: 9, ..placed.incarnation }, ..placed };
        assert_eq!(memory.check(&copy), Err(StepBack::Directory { generation: 2 }));
    }
}
