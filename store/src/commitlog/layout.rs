//! Byte layout of one commitlog entry, big-endian, and the rule by which entries fill segments.
//!
//! Our own layout: the payload of a `Units` entry is message units as RocketMQ stores them, and the header
//! before it carries what Raft and recovery need. A change here needs a new [`LAYOUT_VERSION`].

use crate::{CommitlogOffset, LogPoint};

pub(crate) const MAGIC_AT: usize = 0;
pub(crate) const ENTRY_BYTES_AT: usize = MAGIC_AT + size_of::<u32>(); // header, payload and pad
pub(crate) const CRC_AT: usize = ENTRY_BYTES_AT + size_of::<u32>(); // crc32c of all bytes behind it
pub(crate) const KIND_AT: usize = CRC_AT + size_of::<u32>();
pub(crate) const FLAGS_AT: usize = KIND_AT + size_of::<u8>();
pub(crate) const VERSION_AT: usize = FLAGS_AT + size_of::<u8>();
pub(crate) const INDEX_AT: usize = VERSION_AT + size_of::<u16>(); // log index
pub(crate) const TERM_AT: usize = INDEX_AT + size_of::<u64>();
pub(crate) const OFFSET_AT: usize = TERM_AT + size_of::<u64>(); // commitlog offset of this header
pub(crate) const UNIT_COUNT_AT: usize = OFFSET_AT + size_of::<u64>();
pub(crate) const PAYLOAD_BYTES_AT: usize = UNIT_COUNT_AT + size_of::<u32>();
pub(crate) const PAYLOAD_AT: usize = PAYLOAD_BYTES_AT + size_of::<u32>();
const _: () = assert!(PAYLOAD_AT == 48);
const _: () = assert!(PAYLOAD_AT.is_multiple_of(ALIGN_BYTES as usize));

/// Bytes of an entry before its payload; a unit's offset is its entry's plus this plus its place within.
pub const ENTRY_HEAD_BYTES: usize = PAYLOAD_AT;

/// What the checksum covers begins here.
pub(crate) const CHECKED_AT: usize = KIND_AT;

/// First bytes of an entry: `TRIe`.
pub(crate) const ENTRY_MAGIC: u32 = 0x5452_4965;
/// First bytes of the filler that takes the rest of a segment: `TRIf`. Its length follows, nothing else.
pub(crate) const FILLER_MAGIC: u32 = 0x5452_4966;
/// Magic and length of a filler. Every place is a multiple of this, so it fits wherever anything is left.
pub(crate) const FILLER_HEAD_BYTES: usize = CRC_AT;
const _: () = assert!(FILLER_HEAD_BYTES as u64 == ALIGN_BYTES);

/// Every entry begins at, and is as long as, a multiple of this.
pub(crate) const ALIGN_BYTES: u64 = 8;
/// In an entry's flags: a list of effects stands behind its units, see `effects.rs`. Since feature level 3.
pub(crate) const FLAG_EFFECTS: u8 = 1;
/// Version of this layout, in every entry and in the handshake between nodes.
pub const LAYOUT_VERSION: u16 = 1;

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// Nothing: the entry with which a leader begins its term.
    Blank = 1,
    /// Message units.
    Units = 2,
    /// A command of the application.
    Command = 3,
    /// A membership of the Raft group.
    Membership = 4,
    /// A change of the Raft group's own state, such as its feature level.
    Group = 5,
}

impl EntryKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Blank, Self::Units, Self::Command, Self::Membership, Self::Group]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// An entry's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHead {
    /// What the entry is for.
    pub kind: EntryKind,
    /// Bit 0: effects stand behind the units. No other bit has a meaning yet; written as 0, kept as read.
    pub flags: u8,
    /// Index in the replicated log.
    pub log_index: u64,
    /// Term it was proposed in.
    pub term: u64,
    /// Where the entry begins.
    pub offset: CommitlogOffset,
    /// Message units in the payload; 0 unless the kind is `Units`.
    pub unit_count: u32,
    /// Payload without pad.
    pub payload_bytes: u32,
    /// Header, payload and pad.
    pub entry_bytes: u32,
}

impl EntryHead {
    /// Term and index.
    pub fn point(&self) -> LogPoint {
        LogPoint { term: self.term, log_index: self.log_index }
    }

    /// The offset of the first byte behind the entry.
    pub fn end(&self) -> CommitlogOffset {
        self.offset.plus(u64::from(self.entry_bytes))
    }

    /// The header's bytes, with a checksum of 0.
    pub(crate) fn to_bytes(self) -> [u8; ENTRY_HEAD_BYTES] {
        let mut bytes = [0; ENTRY_HEAD_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(MAGIC_AT, &ENTRY_MAGIC.to_be_bytes());
        put(ENTRY_BYTES_AT, &self.entry_bytes.to_be_bytes());
        put(KIND_AT, &[self.kind as u8]);
        put(FLAGS_AT, &[self.flags]);
        put(VERSION_AT, &LAYOUT_VERSION.to_be_bytes());
        put(INDEX_AT, &self.log_index.to_be_bytes());
        put(TERM_AT, &self.term.to_be_bytes());
        put(OFFSET_AT, &self.offset.0.to_be_bytes());
        put(UNIT_COUNT_AT, &self.unit_count.to_be_bytes());
        put(PAYLOAD_BYTES_AT, &self.payload_bytes.to_be_bytes());
        bytes
    }

    /// Reads a header; every relation between its own fields is checked here, and only here. A header may lie across two
    /// sectors, so a `write_batch` that was torn may have left only one half of it: magic, version, kind and lengths can each
    /// be wrong. That they agree proves nothing yet; the checksum does.
    ///
    /// # Errors
    /// If these bytes cannot be the beginning of an entry.
    pub(crate) fn parse(bytes: &[u8; ENTRY_HEAD_BYTES]) -> Result<Self, EntryError> {
        let magic = u32_at(bytes, MAGIC_AT);
        if magic != ENTRY_MAGIC {
            return Err(EntryError::Magic { found: magic });
        }
        let version = u16::from_be_bytes([bytes[VERSION_AT], bytes[VERSION_AT + 1]]);
        if version != LAYOUT_VERSION {
            return Err(EntryError::Version { found: version });
        }
        let kind = EntryKind::from_byte(bytes[KIND_AT]).ok_or(EntryError::Kind { found: bytes[KIND_AT] })?;
        let payload_bytes = u32_at(bytes, PAYLOAD_BYTES_AT);
        let entry_bytes = u32_at(bytes, ENTRY_BYTES_AT);
        if u64::from(entry_bytes) != entry_bytes_for(u64::from(payload_bytes)) {
            return Err(EntryError::Length { entry_bytes, payload_bytes });
        }
        Ok(Self {
            kind,
            flags: bytes[FLAGS_AT],
            log_index: u64_at(bytes, INDEX_AT),
            term: u64_at(bytes, TERM_AT),
            offset: CommitlogOffset(u64_at(bytes, OFFSET_AT)),
            unit_count: u32_at(bytes, UNIT_COUNT_AT),
            payload_bytes,
            entry_bytes,
        })
    }
}

/// Why bytes are not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Another magic: a torn `write_batch`, or the payload of another entry.
    #[error("magic {found:#010x} is not that of an entry")]
    Magic {
        /// The first four bytes.
        found: u32,
    },
    /// A layout that this program does not know.
    #[error("entry layout {found}, only {LAYOUT_VERSION} is known")]
    Version {
        /// The version in the header.
        found: u16,
    },
    /// A kind that this program does not know.
    #[error("unknown entry kind {found}")]
    Kind {
        /// The kind in the header.
        found: u8,
    },
    /// The two lengths do not belong together: a torn `write_batch`, for both stand in each header.
    #[error("entry of {entry_bytes} bytes cannot hold a payload of {payload_bytes} bytes")]
    Length {
        /// Header, payload and pad.
        entry_bytes: u32,
        /// Payload.
        payload_bytes: u32,
    },
    /// Fewer or more bytes than the header announces.
    #[error("{found} bytes are there, the entry needs {needed}")]
    Bytes {
        /// How many there are.
        found: u64,
        /// How many the header announces.
        needed: u64,
    },
    /// A flag announces effects, and they are not there whole.
    #[error("effects: {found} bytes are there, {needed} are needed")]
    Effects {
        /// How many there are.
        found: u64,
        /// How many the list, or the next effect in it, takes.
        needed: u64,
    },
    /// An effect belongs to units that the entry does not have.
    #[error("an effect belongs to units up to {end} (exclusive), the entry has {unit_count}")]
    EffectUnits {
        /// The first unit behind its own.
        end: u64,
        /// In the header.
        unit_count: u32,
    },
    /// The checksum does not match: a torn `write_batch`, or bytes that the disk has changed since.
    #[error("crc32c is {computed:#010x}, the header says {stored:#010x}")]
    Crc {
        /// Over the bytes there.
        computed: u32,
        /// In the header.
        stored: u32,
    },
}

/// Header, payload and pad of an entry with `payload_bytes` of payload.
pub(crate) fn entry_bytes_for(payload_bytes: u64) -> u64 {
    (ENTRY_HEAD_BYTES as u64 + payload_bytes).next_multiple_of(ALIGN_BYTES)
}

/// Where an entry of `entry_bytes` goes when the log ends at `end`: there, or at the beginning of the next segment
/// if it does not fit whole. Every node must compute the same, so the segment size is part of the handshake.
pub(crate) fn place(end: u64, entry_bytes: u64, segment_bytes: u64) -> u64 {
    let left = segment_bytes - end % segment_bytes;
    if entry_bytes <= left { end } else { end + left }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(*bytes[at..].first_chunk().expect("the caller has checked the length"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(*bytes[at..].first_chunk().expect("the caller has checked the length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_as_written() {
        let head = EntryHead {
            kind: EntryKind::Units,
            flags: 3,
            log_index: 7,
            term: 9,
            offset: CommitlogOffset(1 << 40),
            unit_count: 2,
            payload_bytes: 13,
            entry_bytes: 64,
        };
        assert_eq!(EntryHead::parse(&head.to_bytes()), Ok(head));
    }

    #[test]
    fn a_header_with_an_impossible_field_is_refused() {
        let head = EntryHead {
            kind: EntryKind::Blank,
            flags: 0,
            log_index: 1,
            term: 1,
            offset: CommitlogOffset(0),
            unit_count: 0,
            payload_bytes: 0,
            entry_bytes: 48,
        };
        for (at, byte) in
            [(MAGIC_AT, 0), (ENTRY_BYTES_AT + 3, 49), (KIND_AT, 6), (VERSION_AT, 1), (PAYLOAD_BYTES_AT, 255)]
        {
            let mut bytes = head.to_bytes();
            bytes[at] = byte;
            EntryHead::parse(&bytes).unwrap_err();
        }
    }

    #[test]
    fn an_entry_that_does_not_fit_goes_to_the_next_segment() {
        assert_eq!(place(0, 4096, 4096), 0);
        assert_eq!(place(8, 4096, 4096), 4096);
        assert_eq!(place(4096 - 48, 48, 4096), 4096 - 48);
        assert_eq!(place(4096 - 40, 48, 4096), 4096);
        assert_eq!(place(4096, 48, 4096), 4096);
    }
}
