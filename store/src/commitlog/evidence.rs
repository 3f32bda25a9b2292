//! What proves, after any crash, how far the log was on disk.
//!
//! Behind the last byte of each segment's file lie two sectors, written in turn. Before the flusher syncs a segment it
//! writes there up to where the log *was* on disk already, so one sync makes both durable, and what was reported
//! durable is proved by the sync that follows it. When no further batch comes, the flusher syncs once more for the
//! proof alone. A start that finds a bad entry below the proved end knows that it was not torn: it is a hole.
//! Above it nothing was reported for longer than it takes to be idle, and a bad entry is a torn tail.
//!
//! The record is this node's own, so it cannot lie among the entries, which are the same bytes on every node. The newest
//! one counts, by its sequence number, whichever segment it is in: a truncation takes the proved end back.

use std::io;
use std::sync::{Arc, Mutex};

use crate::segment::Segment;
use crate::sync;

const MAGIC_AT: usize = 0;
const CRC_AT: usize = MAGIC_AT + size_of::<u32>(); // crc32c of what is behind it
const SEQUENCE_AT: usize = CRC_AT + size_of::<u32>();
const FLUSHED_AT: usize = SEQUENCE_AT + size_of::<u64>();
const EVIDENCE_BYTES: usize = FLUSHED_AT + size_of::<u64>();
const _: () = assert!(EVIDENCE_BYTES == 24);

/// `TRIv`.
const MAGIC: u32 = 0x5452_4976;
/// The two records lie so far apart: in sectors of their own.
const SECTOR_BYTES: u64 = 512;

/// One record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Evidence {
    pub(super) sequence: u64,
    /// Below it everything was on disk before this was written.
    pub(super) flushed: u64,
}

/// Gives records their numbers. Held while one is written, so that a later one never says what was true before.
#[derive(Debug, Default)]
pub(super) struct Evidences(Mutex<u64>);

impl Evidences {
    /// Goes on behind the newest record that was found.
    pub(super) fn behind(newest: Option<Evidence>) -> Self {
        Self(Mutex::new(newest.map_or(0, |newest| newest.sequence)))
    }

    /// Writes a record to `segment`; on disk after the segment's next sync. A segment of an older build has no room.
    /// `flushed` is read when the record has its number: a truncation lowers it first, and writes its own behind.
    pub(super) fn write(&self, segment: &Segment, flushed: impl FnOnce() -> u64) -> io::Result<()> {
        let mut newest = sync::lock(&self.0);
        *newest += 1;
        let (sequence, flushed) = (*newest, flushed());
        segment.write_trailer(sequence % 2 * SECTOR_BYTES, &Evidence { sequence, flushed }.to_bytes())
    }
}

impl Evidence {
    fn to_bytes(self) -> [u8; EVIDENCE_BYTES] {
        let mut bytes = [0; EVIDENCE_BYTES];
        bytes[MAGIC_AT..CRC_AT].copy_from_slice(&MAGIC.to_be_bytes());
        bytes[SEQUENCE_AT..FLUSHED_AT].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[FLUSHED_AT..].copy_from_slice(&self.flushed.to_be_bytes());
        let crc = crc32c::crc32c(&bytes[SEQUENCE_AT..]);
        bytes[CRC_AT..SEQUENCE_AT].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn parse(bytes: &[u8; EVIDENCE_BYTES]) -> Option<Self> {
        let u32_at = |at: usize| bytes[at..].first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        let u64_at = |at: usize| bytes[at..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let is_intact =
            u32_at(MAGIC_AT)? == MAGIC && u32_at(CRC_AT)? == crc32c::crc32c(&bytes[SEQUENCE_AT..]);
        is_intact.then_some(Self { sequence: u64_at(SEQUENCE_AT)?, flushed: u64_at(FLUSHED_AT)? })
    }

    /// The newer record of a segment; `None` if it has none, or both are damaged.
    pub(super) fn read(segment: &Arc<Segment>) -> io::Result<Option<Self>> {
        let mut newest = None;
        for place in 0..2 {
            let mut bytes = [0; EVIDENCE_BYTES];
            if segment.read_trailer(place * SECTOR_BYTES, &mut bytes)? {
                newest = newest.max(Self::parse(&bytes));
            }
        }
        Ok(newest)
    }
}
