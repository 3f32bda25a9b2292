//! Reading segments from the disk as they were left: entry after entry, each distrusted.
//!
//! Entries, and the filler that ends a segment, come from one vectored write a segment (`write_batch`). Until the flusher
//! has synced it, a loss of power leaves any of its sectors and no others, and a kill leaves a prefix of it. `truncate_at`
//! and the cut at a start zero headers, and sync. No other write touches a place where entries lie, but the mending of one
//! (`mend.rs`, `bridge.rs`), whose bytes are proved by their checksum.

use std::io;
use std::sync::Arc;

use super::entry::verify_crc;
use super::layout::{
    ALIGN_BYTES, ENTRY_HEAD_BYTES, ENTRY_MAGIC, EntryError, EntryHead, FILLER_HEAD_BYTES, FILLER_MAGIC,
    u32_at,
};
use crate::log_index::SegmentIndex;
use crate::segment::Segment;
use crate::{CommitlogOffset, LogPoint};

/// Bytes looked through at once for what lies behind the end.
const WINDOW_BYTES: u64 = 1 << 20;

/// Why the log does not go on at some place. Each variant names the write that can have left it in a log that is not
/// damaged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEntry {
    /// Nothing was ever written here, or it was taken back: a segment is made of zeros, and `truncate_at` and the cut at a
    /// start zero headers. Or the first sector of a torn `write_batch` is missing.
    #[error("nothing is written there")]
    Blank,
    /// Not an entry: a `write_batch` of which some sectors are missing. A version or kind that is not known, with a checksum
    /// that agrees, comes from a newer build and from no crash.
    #[error("{0}")]
    Entry(#[from] EntryError),
    /// An entry of another place. No write of ours leaves it: an entry's header is written where it says.
    #[error("the entry there is for commitlog offset {found}")]
    Place {
        /// Where the entry says it lies.
        found: CommitlogOffset,
    },
    /// An entry that does not follow: left from before a truncation. `truncate_at` zeroes the last header first, so a crash
    /// in it leaves no such entry by itself, but a torn `write_batch` over what was truncated does.
    #[error("entry {found} does not follow {last}")]
    Order {
        /// The entry.
        found: LogPoint,
        /// The one before it.
        last: LogPoint,
    },
    /// A filler that does not end with the segment. No write of ours leaves it whole; its 8 bytes lie in one sector, so they
    /// are not torn either.
    #[error("a filler of {found} bytes where {expected} are left")]
    Filler {
        /// What it says.
        found: u32,
        /// What is left of the segment.
        expected: u64,
    },
}

/// How a segment ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SegmentEnd {
    /// The log goes on in the next one.
    Full,
    /// The log does not go on at this place.
    Bad { offset: u64, reason: BadEntry },
}

/// The entry before the one that is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) last: Option<LogPoint>,
    /// `last` is purged: any later index follows.
    pub(super) is_purged: bool,
}

impl Before {
    pub(super) fn check(&self, found: LogPoint) -> Result<(), BadEntry> {
        let Some(last) = self.last else { return Ok(()) };
        let is_next =
            found.log_index == last.log_index + 1 || (self.is_purged && found.log_index > last.log_index);
        if is_next && found.term >= last.term { Ok(()) } else { Err(BadEntry::Order { found, last }) }
    }
}

/// Takes entries from `index.end()` on into `index`. Payloads below `trusted` are on disk for sure and not read.
pub(super) fn scan_segment(
    segment: &Arc<Segment>,
    index: &mut SegmentIndex,
    before: &mut Before,
    trusted: u64,
) -> io::Result<SegmentEnd> {
    loop {
        let offset = index.end();
        match entry_at(segment, offset, before, trusted)? {
            Found::Entry(head) => {
                index.push(&head);
                *before = Before { last: Some(head.point()), is_purged: false };
            }
            Found::End => return Ok(SegmentEnd::Full),
            Found::Bad(reason) => return Ok(SegmentEnd::Bad { offset, reason }),
        }
    }
}

enum Found {
    Entry(EntryHead),
    /// A filler, or the end of the segment.
    End,
    Bad(BadEntry),
}

/// What lies at `offset`. In this order, each check may rely on those before it:
/// 1. All zeros: see [`BadEntry::Blank`].
/// 2. A filler is as long as what is left: see [`BadEntry::Filler`].
/// 3. The fields of the header agree with each other, and with the place: a torn `write_batch` fails here if it lacks the
///    sector of the header.
/// 4. The entry follows the one before: rubbish of an old entry, whole in itself, fails here.
/// 5. The checksum, over all but the first twelve bytes: a torn `write_batch` that lacks any other sector fails here. Below
///    `trusted` a sync and a checkpoint have proved that none is lacking.
fn entry_at(segment: &Arc<Segment>, offset: u64, before: &Before, trusted: u64) -> io::Result<Found> {
    let left = segment.limit() - offset;
    if left == 0 {
        return Ok(Found::End);
    }
    let mut begin = [0; FILLER_HEAD_BYTES];
    segment.read(offset, &mut begin)?;
    if begin == [0; FILLER_HEAD_BYTES] {
        return Ok(Found::Bad(BadEntry::Blank));
    }
    if u32_at(&begin, 0) == FILLER_MAGIC {
        let found = u32_at(&begin, 4);
        let is_whole = u64::from(found) == left;
        return Ok(if is_whole {
            Found::End
        } else {
            Found::Bad(BadEntry::Filler { found, expected: left })
        });
    }
    let head = match head_at(segment, offset)? {
        Ok(head) => head,
        Err(reason) => return Ok(Found::Bad(reason)),
    };
    if let Err(reason) = before.check(head.point()) {
        return Ok(Found::Bad(reason));
    }
    if head.end().0 > trusted
        && let Err(error) = verify_crc(&segment.slice(offset, head.entry_bytes as usize)?)
    {
        return Ok(Found::Bad(error.into()));
    }
    Ok(Found::Entry(head))
}

/// The header at `offset`, if it is one of this place and its entry ends within the segment.
pub(super) fn head_at(segment: &Segment, offset: u64) -> io::Result<Result<EntryHead, BadEntry>> {
    let left = segment.limit() - offset;
    let too_short = |needed: u64| Ok(Err(BadEntry::Entry(EntryError::Bytes { found: left, needed })));
    if left < ENTRY_HEAD_BYTES as u64 {
        return too_short(ENTRY_HEAD_BYTES as u64);
    }
    let mut bytes = [0; ENTRY_HEAD_BYTES];
    segment.read(offset, &mut bytes)?;
    let head = match EntryHead::parse(&bytes) {
        Ok(head) => head,
        Err(error) => return Ok(Err(error.into())),
    };
    if head.offset.0 != offset {
        return Ok(Err(BadEntry::Place { found: head.offset }));
    }
    if u64::from(head.entry_bytes) > left {
        return too_short(u64::from(head.entry_bytes));
    }
    Ok(Ok(head))
}

/// What lies behind the end of the log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Leftover {
    /// Behind the last byte that is not zero; the place looked from, if all are.
    pub(super) end: u64,
    /// The first intact entry that could follow the log's last one, were something between them.
    pub(super) later: Option<LogPoint>,
    /// Intact entries of any kind.
    pub(super) strays: u32,
}

/// Looks through up to `bytes_max` bytes from `from` on.
pub(super) fn look_behind(
    segment: &Arc<Segment>,
    from: u64,
    bytes_max: u64,
    last: Option<LogPoint>,
) -> io::Result<Leftover> {
    let until = segment.limit().min(from.saturating_add(bytes_max));
    let mut leftover = Leftover { end: from, ..Leftover::default() };
    let mut window = from;
    let mut skip_to = from; // behind the entry found last
    while window < until {
        let bytes = segment.slice(window, WINDOW_BYTES.min(until - window) as usize)?;
        for (at, word) in bytes.chunks(ALIGN_BYTES as usize).enumerate() {
            if word.iter().all(|byte| *byte == 0) {
                continue;
            }
            let offset = window + at as u64 * ALIGN_BYTES;
            leftover.end = offset + word.len() as u64;
            if offset >= skip_to && word.starts_with(&ENTRY_MAGIC.to_be_bytes()) {
                let Some(head) = intact_entry(segment, offset)? else { continue };
                skip_to = head.end().0;
                leftover.strays += 1;
                if leftover.later.is_none() && may_come_after(last, head.point()) {
                    leftover.later = Some(head.point());
                }
            }
        }
        window += bytes.len() as u64;
    }
    leftover.end = leftover.end.max(skip_to);
    Ok(leftover)
}

/// Whether an intact entry at the beginning of a segment says that the log once went on there.
pub(super) fn first_of(segment: &Arc<Segment>, last: Option<LogPoint>) -> io::Result<Option<LogPoint>> {
    let head = intact_entry(segment, segment.base())?;
    Ok(head.map(|head| head.point()).filter(|point| may_come_after(last, *point)))
}

pub(super) fn intact_entry(segment: &Arc<Segment>, offset: u64) -> io::Result<Option<EntryHead>> {
    let Ok(head) = head_at(segment, offset)? else { return Ok(None) };
    let bytes = segment.slice(offset, head.entry_bytes as usize)?;
    Ok(verify_crc(&bytes).is_ok().then_some(head))
}

pub(super) fn may_come_after(last: Option<LogPoint>, found: LogPoint) -> bool {
    last.is_none_or(|last| found.log_index > last.log_index && found.term >= last.term)
}
