//! What an entry changes besides its messages. Each kind of effect is a record of `store::codec`; a command is one too.

use serde::{Deserialize, Serialize};
use store::codec::{self, CodecError, EFFECTS_SINCE, Record};

use super::Change;

/// An effect, read.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A change of the tables.
    Change(Change),
    /// Delayed messages were delivered: the units that the effect belongs to.
    LevelDelivered(LevelDelivered),
}

impl Effect {
    /// Reads one record.
    ///
    /// # Errors
    /// If it is damaged, or of a kind or version that this build does not know.
    pub fn read(record: &[u8]) -> Result<Self, CodecError> {
        match codec::kind_of(record) {
            Some(LevelDelivered::KIND) => codec::decode(record).map(Self::LevelDelivered),
            _ => codec::decode(record).map(Self::Change),
        }
    }
}

/// Schedule records of one delay level that an entry delivers, one message each, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelDelivered {
    /// Delay level, from 1.
    pub level: i32,
    /// Offset of the first record in the level's queue.
    pub from: i64,
    /// How many records, from that one on without a gap.
    pub count: u32,
}

impl LevelDelivered {
    /// Offset of the first record behind these.
    pub fn end(&self) -> i64 {
        self.from.saturating_add(i64::from(self.count))
    }
}

impl Record for LevelDelivered {
    const KIND: u16 = 0x0310;
    const NAME: &'static str = "level-delivered";
    const SINCE: u16 = EFFECTS_SINCE;
    const BYTES_MAX: usize = 64;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::golden;

    const SAMPLE: LevelDelivered = LevelDelivered { level: 3, from: 17, count: 64 };

    #[test]
    fn the_bytes_of_a_delivery_stay_what_they_are() {
        golden(&[SAMPLE], &[]);
    }

    #[test]
    fn an_effect_is_read_by_its_kind_and_an_unknown_one_is_named() {
        let change = Change::SetDelayedAside { level: 1, offset: 2 };
        let read = |record: &[u8]| Effect::read(record);
        assert_eq!(read(&codec::encode(&change).unwrap()), Ok(Effect::Change(change)));
        let mut record = codec::encode(&SAMPLE).unwrap();
        assert_eq!(read(&record), Ok(Effect::LevelDelivered(SAMPLE)));
        let outcome = crate::state::Outcome::Done { changed: true };
        let unknown = read(&codec::encode(&outcome).unwrap()).unwrap_err().to_string();
        assert!(unknown.contains("it takes a build that knows this kind"), "{unknown}");
        record[13] ^= 1;
        assert!(read(&record).unwrap_err().to_string().contains("checksum"));
        assert!(read(b"").is_err());
    }
}
