//! Entries in memory: drafts on their way in, and entries as they are stored.

use bytes::{Bytes, BytesMut};

use super::effects::EffectList;
use super::layout::{
    CHECKED_AT, CRC_AT, ENTRY_HEAD_BYTES, EntryError, EntryHead, EntryKind, PAYLOAD_AT, u32_at,
};

/// An entry that has no place yet. `append` seals it: gives its units their offsets and its bytes a checksum.
#[derive(Debug)]
pub struct Draft {
    /// Index in the replicated log: one more than that of the entry before.
    pub log_index: u64,
    /// Term of the leader that proposes it.
    pub term: u64,
    /// What it is for.
    pub kind: EntryKind,
    /// Message units in the payload; 0 unless `kind` is `Units`.
    pub unit_count: u32,
    /// The payload, as a scatter list. No unit straddles two parts.
    pub payload: Vec<BytesMut>,
    /// What the entry changes besides: stands behind the units; empty unless `kind` is `Units`.
    pub effects: EffectList,
}

/// An entry with the exact bytes that are, or will be, in the log of every node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The header, read.
    pub head: EntryHead,
    /// Header, payload and pad.
    pub bytes: Bytes,
}

/// What `append` takes.
#[derive(Debug)]
pub enum Pending {
    /// Ours to seal: this node leads.
    Draft(Draft),
    /// Sealed by a leader: verified, then written as it is.
    Sealed(StoredEntry),
}

impl StoredEntry {
    /// Takes the first entry off the front of `bytes`, leaving what follows. The checksum is not tested.
    ///
    /// # Errors
    /// If there is no whole entry; `bytes` is untouched then.
    pub fn split_first(bytes: &mut Bytes) -> Result<Self, EntryError> {
        let Some(head) = bytes.first_chunk::<ENTRY_HEAD_BYTES>() else {
            return Err(EntryError::Bytes { found: bytes.len() as u64, needed: ENTRY_HEAD_BYTES as u64 });
        };
        let head = EntryHead::parse(head)?;
        if bytes.len() < head.entry_bytes as usize {
            return Err(EntryError::Bytes { found: bytes.len() as u64, needed: u64::from(head.entry_bytes) });
        }
        Ok(Self { head, bytes: bytes.split_to(head.entry_bytes as usize) })
    }

    /// Reads exactly one stored entry. The checksum is not tested: see [`StoredEntry::verify`].
    ///
    /// # Errors
    /// If the bytes are not one whole entry.
    pub fn parse(mut bytes: Bytes) -> Result<Self, EntryError> {
        let found = bytes.len() as u64;
        let entry = Self::split_first(&mut bytes)?;
        if !bytes.is_empty() {
            return Err(EntryError::Bytes { found, needed: u64::from(entry.head.entry_bytes) });
        }
        Ok(entry)
    }

    /// Tests the checksum, which covers index, term, offset and payload.
    ///
    /// # Errors
    /// If it does not match.
    pub fn verify(&self) -> Result<(), EntryError> {
        verify_crc(&self.bytes)
    }

    /// The payload, without a copy.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(PAYLOAD_AT..PAYLOAD_AT + self.head.payload_bytes as usize)
    }
}

/// Tests the checksum of one whole stored entry.
///
/// # Errors
/// If it does not match.
pub(crate) fn verify_crc(entry: &[u8]) -> Result<(), EntryError> {
    let stored = u32_at(entry, CRC_AT);
    let computed = crc32c::crc32c(&entry[CHECKED_AT..]);
    if stored == computed { Ok(()) } else { Err(EntryError::Crc { computed, stored }) }
}
