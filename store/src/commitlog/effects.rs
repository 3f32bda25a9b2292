//! What an entry changes besides its messages: a list of *effects* behind its units.
//!
//! ```text
//! units | effect … | bytes of all effects: u32
//! effect: first unit: u32 | units: u32 | record bytes: u32 | record
//! ```
//! All big-endian. An effect belongs to `units` units of the entry from `first unit` on: all those that were proposed
//! with it. What a record means is the application's matter. The list is there if the entry's flag says so.

use bytes::{Bytes, BytesMut};

use super::layout::{EntryError, FLAG_EFFECTS, u32_at};
use super::{EntryKind, StoredEntry};
use crate::codec::{EFFECTS_SINCE, feature_level};

const FIRST_UNIT_AT: usize = 0;
const UNITS_AT: usize = FIRST_UNIT_AT + size_of::<u32>();
const RECORD_BYTES_AT: usize = UNITS_AT + size_of::<u32>();
const RECORD_AT: usize = RECORD_BYTES_AT + size_of::<u32>();
const TRAILER_BYTES: usize = size_of::<u32>();

/// Bytes of an effect besides its record, and of the list besides its effects: no list takes more for one effect.
pub const EFFECT_HEAD_BYTES: usize = RECORD_AT + TRAILER_BYTES;

/// One effect of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The first unit that it belongs to, counted from 0 within the entry.
    pub first_unit: u32,
    /// How many units it belongs to, from that one on.
    pub unit_count: u32,
    /// The application's bytes.
    pub record: Bytes,
}

/// The effects of a draft, gathered.
#[derive(Clone, Debug, Default)]
pub struct EffectList(BytesMut);

impl EffectList {
    /// Puts one effect behind the others.
    pub fn push(&mut self, first_unit: u32, unit_count: u32, record: &[u8]) {
        self.0.extend_from_slice(&first_unit.to_be_bytes());
        self.0.extend_from_slice(&unit_count.to_be_bytes());
        self.0.extend_from_slice(&(record.len() as u32).to_be_bytes());
        self.0.extend_from_slice(record);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of the whole list as it stands in an entry.
    pub fn bytes(&self) -> u64 {
        if self.is_empty() { 0 } else { (self.0.len() + TRAILER_BYTES) as u64 }
    }

    /// As it stands behind the units; nothing if there is no effect.
    pub(crate) fn into_bytes(mut self) -> BytesMut {
        if !self.is_empty() {
            let bytes = self.0.len() as u32;
            self.0.extend_from_slice(&bytes.to_be_bytes());
        }
        self.0
    }
}

impl StoredEntry {
    /// The message units, without what stands behind them; none in an entry of another kind.
    ///
    /// # Errors
    /// If the payload ends with less than a list of effects, although there is one.
    pub fn units(&self) -> Result<Bytes, EntryError> {
        Ok(self.parts()?.0)
    }

    /// What the entry changes, in order. A command is one effect without units.
    ///
    /// # Errors
    /// If the list is not whole, or names units that are not there.
    pub fn effects(&self) -> Result<Vec<Effect>, EntryError> {
        if self.head.kind == EntryKind::Command {
            return Ok(vec![Effect { first_unit: 0, unit_count: 0, record: self.payload() }]);
        }
        let (_, mut rest) = self.parts()?;
        let mut effects = Vec::new();
        while !rest.is_empty() {
            let head = take(&mut rest, RECORD_AT)?;
            let [first_unit, unit_count, bytes] =
                [FIRST_UNIT_AT, UNITS_AT, RECORD_BYTES_AT].map(|at| u32_at(&head, at));
            let end = u64::from(first_unit) + u64::from(unit_count);
            if end > u64::from(self.head.unit_count) {
                return Err(EntryError::EffectUnits { end, unit_count: self.head.unit_count });
            }
            effects.push(Effect { first_unit, unit_count, record: take(&mut rest, bytes as usize)? });
        }
        Ok(effects)
    }

    /// Units and effects, the latter without their length.
    fn parts(&self) -> Result<(Bytes, Bytes), EntryError> {
        let mut payload = self.payload();
        if self.head.kind != EntryKind::Units {
            return Ok((Bytes::new(), Bytes::new()));
        }
        // A test's older build knows no flag, and takes all of the payload for units.
        if self.head.flags & FLAG_EFFECTS == 0 || feature_level() < EFFECTS_SINCE {
            return Ok((payload, Bytes::new()));
        }
        let short = |needed| EntryError::Effects { found: payload.len() as u64, needed };
        let effects_end = payload.len().checked_sub(TRAILER_BYTES);
        let effects_end = effects_end.ok_or_else(|| short(TRAILER_BYTES as u64))?;
        let bytes = u32_at(&payload, effects_end) as usize;
        // Where there is no effect there is no flag either: an empty list is as wrong as one that is too long.
        let effects_at = effects_end.checked_sub(bytes).filter(|_| bytes > 0);
        let effects_at = effects_at.ok_or_else(|| short((bytes.max(RECORD_AT) + TRAILER_BYTES) as u64))?;
        payload.truncate(effects_end);
        let effects = payload.split_off(effects_at);
        Ok((payload, effects))
    }
}

/// Takes the first `bytes` off the front of `rest`.
fn take(rest: &mut Bytes, bytes: usize) -> Result<Bytes, EntryError> {
    if rest.len() < bytes {
        return Err(EntryError::Effects { found: rest.len() as u64, needed: bytes as u64 });
    }
    Ok(rest.split_to(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START_MS, open, platform, unit};
    use crate::{Draft, FlushMode, Pending};

    fn draft(log_index: u64, units: Vec<BytesMut>, records: &[&[u8]]) -> Draft {
        let unit_count = units.len() as u32;
        let mut effects = EffectList::default();
        for record in records {
            effects.push(0, unit_count, record);
        }
        Draft { log_index, term: 1, kind: EntryKind::Units, unit_count, payload: units, effects }
    }

    /// Written by one log, read by it, taken over by another one, and found after a restart.
    #[test]
    fn effects_stand_behind_the_units_they_belong_to() {
        let disk = crate::sim::SimDisk::new();
        let (machine, _) = platform(std::sync::Arc::new(disk));
        let (mut log, ..) = open(&machine, FlushMode::Sync).unwrap();
        let units = || vec![unit("T", 0, b"a", "", 0), unit("T", 1, b"b", "", 0)];
        let drafts =
            [draft(1, units(), &[b"one", b""]), draft(2, Vec::new(), &[b"alone"]), draft(3, units(), &[])];
        log.append(drafts.map(Pending::Draft).into(), Box::new(|done| done.unwrap())).unwrap();
        log.set_committed(3).unwrap();
        let entries = log.reader().entries(1..4, u64::MAX).unwrap();
        let effects: Vec<_> = entries.iter().map(|entry| entry.effects().unwrap()).collect();
        let effect = |unit_count, record: &'static [u8]| Effect {
            first_unit: 0,
            unit_count,
            record: Bytes::from_static(record),
        };
        assert_eq!(effects, [vec![effect(2, b"one"), effect(2, b"")], vec![effect(0, b"alone")], vec![]]);
        let counts = entries.iter().map(|entry| {
            let units = entry.units().unwrap();
            protocol::message::walk(&units).map(Result::unwrap).count()
        });
        assert_eq!(counts.collect::<Vec<_>>(), [2, 0, 2]);

        let (other, _) = platform(std::sync::Arc::new(crate::sim::SimDisk::new()));
        let (mut follower, ..) = open(&other, FlushMode::Sync).unwrap();
        let sealed = entries.iter().cloned().map(Pending::Sealed).collect();
        follower.append(sealed, Box::new(|done| done.unwrap())).unwrap();
        drop(log);
        let (log, ..) = open(&machine, FlushMode::Sync).unwrap();
        assert_eq!(log.reader().entries(1..4, u64::MAX).unwrap(), entries);
        assert_eq!(log.seal_state(), follower.seal_state());
        assert!(log.seal_state().last_store_timestamp_ms >= START_MS);
    }

    #[test]
    fn the_bytes_of_a_list_stay_what_they_are() {
        let mut effects = EffectList::default();
        assert_eq!((effects.bytes(), effects.clone().into_bytes().as_ref()), (0, &b""[..]));
        effects.push(0, 2, b"ab");
        effects.push(258, 0, b"");
        let list = b"\0\0\0\0\0\0\0\x02\0\0\0\x02ab\0\0\x01\x02\0\0\0\0\0\0\0\0\0\0\0\x1a";
        assert_eq!(effects.bytes(), list.len() as u64);
        assert_eq!(effects.into_bytes().as_ref(), list);
    }

    #[test]
    fn a_list_that_is_not_whole_is_told() {
        let mut effects = EffectList::default();
        effects.push(0, 0, b"record");
        let whole = effects.into_bytes();
        for cut in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes.truncate(cut);
            assert!(entry_of(&bytes).effects().is_err(), "{cut} bytes of {}", whole.len());
        }
        let mut foreign = EffectList::default();
        foreign.push(0, 1, b"of a unit that is not there");
        assert_eq!(
            entry_of(&foreign.into_bytes()).effects(),
            Err(EntryError::EffectUnits { end: 1, unit_count: 0 })
        );
        assert_eq!(entry_of(&whole).effects().unwrap().len(), 1);
    }

    fn entry_of(payload: &[u8]) -> StoredEntry {
        use super::super::layout::{ENTRY_HEAD_BYTES, EntryHead, entry_bytes_for};
        let head = EntryHead {
            kind: EntryKind::Units,
            flags: FLAG_EFFECTS,
            log_index: 1,
            term: 1,
            offset: crate::CommitlogOffset(0),
            unit_count: 0,
            payload_bytes: payload.len() as u32,
            entry_bytes: entry_bytes_for(payload.len() as u64) as u32,
        };
        let mut bytes = BytesMut::from(&head.to_bytes()[..]);
        bytes.extend_from_slice(payload);
        bytes.resize(ENTRY_HEAD_BYTES.max(head.entry_bytes as usize), 0);
        StoredEntry { head, bytes: bytes.freeze() }
    }
}
