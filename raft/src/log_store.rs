//! openraft's log storage over the commitlog: hands appends to it in order, and tells openraft when
//! they are flushed. Where and how bytes lie is the commitlog's business.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, TryStreamExt, stream};
use openraft::OptionalSend;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use store::{EntryKind, LogPoint, StoredEntry};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::files::Files;
use crate::types::{Entry, LogId, Types, Vote, decode_membership, log_id, log_point};

/// Bytes of entries that one request to a follower may carry; a larger entry goes alone.
pub(crate) const REQUEST_BYTES_MAX: u64 = 1 << 20;

/// What is read at once to be applied.
const APPLY_BYTES: u64 = 4 << 20;

/// Between two looks at an entry that is damaged.
const LOOK: Duration = Duration::from_millis(50);

/// A follower hears something after so long, though what it misses cannot be read.
const HOLD: Duration = Duration::from_millis(300);

/// The log as openraft sees it. Clones see the same log.
///
/// A reader that meets damage does not fail, for that would end the node: it waits until the entry is mended, with all
/// that stands behind it. The damage is told to the log, and whoever mends takes it from there.
#[derive(Clone)]
pub(crate) struct LogStore {
    files: Arc<Files>,
    /// Where the last request to a follower began, for the reader of that one.
    sent_from: Option<u64>,
    /// The damaged entry at which that reader stands still.
    stands_at: Option<u64>,
}

/// Whose checksums are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    All,
    /// But for messages that are damaged on every node: they are taken in if what is left of them allows it.
    ToApply,
    /// Of entries that may have come from the disk.
    Old,
}

impl LogStore {
    pub(crate) fn new(files: Arc<Files>) -> Self {
        Self { files, sent_from: None, stands_at: None }
    }

    /// The part of `range` that exists, as a half-open range.
    fn existing(&self, range: &impl RangeBounds<u64>) -> Range<u64> {
        let reader = self.files.reader();
        let (Some(first), Some(last)) = (reader.first_index(), reader.last()) else { return 0..0 };
        let (start, end) = bounds(range);
        start.max(first)..end.min(last.log_index + 1)
    }

    /// The entries of `range`, which exists, until `bytes_max` or the first damaged one; `Err` with its index if that is
    /// the first one already.
    fn read(&self, range: Range<u64>, bytes_max: u64, test: Test) -> io::Result<Result<Vec<Entry>, u64>> {
        let reader = self.files.reader();
        let first = range.start;
        let mut entries = match reader.entries(range, bytes_max) {
            Ok(entries) => entries,
            Err(error) if error.is_damage() => return Ok(Err(first)),
            Err(error) => return Err(io::Error::other(error)),
        };
        let old_end = reader.old_end();
        let is_tested = |entry: &StoredEntry| match test {
            Test::All => true,
            Test::ToApply => entry.head.kind != EntryKind::Units || !reader.is_lost(entry.head.log_index),
            Test::Old => entry.head.offset < old_end || entry.head.kind == EntryKind::Membership,
        };
        let tested = entries.iter().enumerate().filter(|(_, entry)| is_tested(entry));
        let damaged = tested.into_iter().find_map(|(at, entry)| Some((at, entry.verify().err()?)));
        let is_cut = damaged.is_some();
        if let Some((at, error)) = damaged {
            reader.note_damage(entries[at].head.offset, &error.to_string());
            entries.truncate(at);
        }
        for entry in entries.iter().filter(|entry| entry.head.kind == EntryKind::Membership) {
            // raft takes it for granted that it can be read; a newer build may have written it.
            decode_membership(&entry.payload())
                .map_err(|error| io::Error::other(format!("entry {}: {error}", entry.head.log_index)))?;
        }
        let is_damaged = entries.is_empty() && is_cut;
        Ok(if is_damaged { Err(first) } else { Ok(entries.into_iter().map(Entry::from).collect()) })
    }

    /// The same, of what exists of `range`.
    fn read_existing(
        &self,
        range: &impl RangeBounds<u64>,
        bytes_max: u64,
        test: Test,
    ) -> io::Result<Result<Vec<Entry>, u64>> {
        let existing = self.existing(range);
        if existing.is_empty() { Ok(Ok(Vec::new())) } else { self.read(existing, bytes_max, test) }
    }

    /// The same, to be applied; waits while the first entry is damaged.
    async fn read_or_wait(
        &self,
        range: &(impl RangeBounds<u64> + Sync),
        bytes_max: u64,
    ) -> io::Result<Vec<Entry>> {
        loop {
            match self.read_existing(range, bytes_max, Test::ToApply)? {
                Ok(entries) => {
                    if self.files.waits().set_apply(None) {
                        info!(first = ?entries.first().map(RaftEntry::index), "goes on applying: the entry was mended");
                    }
                    return Ok(entries);
                }
                Err(log_index) => {
                    if self.files.waits().set_apply(Some(log_index)) {
                        warn!(
                            log_index,
                            "a committed entry is damaged in this node's log: waits until it is mended"
                        );
                    }
                    sleep(LOOK).await;
                }
            }
        }
    }

    /// All entries of `range`, a place alone for each that is damaged: before raft runs, when nobody mends.
    fn read_at_start(&self, range: &impl RangeBounds<u64>) -> io::Result<Vec<Entry>> {
        let range = self.existing(range);
        let mut entries: Vec<Entry> = Vec::new();
        let mut next = range.start;
        while next < range.end {
            match self.read(next..range.end, APPLY_BYTES, Test::All)? {
                Ok(read) if read.is_empty() => break,
                Ok(read) => {
                    next += read.len() as u64;
                    entries.extend(read);
                }
                Err(damaged) => {
                    let point = self.files.reader().point(damaged);
                    entries.extend(point.map(Entry::unread));
                    next = damaged + 1;
                }
            }
        }
        Ok(entries)
    }
}

/// As a half-open range.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        if !self.files.waits().is_running() {
            return self.read_at_start(&range);
        }
        let (mut next, end) = bounds(&range);
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let more = self.read_or_wait(&(next..end), u64::MAX).await?;
            let Some(last) = more.last() else { return Ok(entries) };
            next = last.index() + 1;
            entries.extend(more);
        }
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        // Who asks for the same once more was not content with it: another node tests every entry it gets.
        let is_again = self.sent_from.is_some_and(|before| start <= before);
        self.sent_from = Some(start);
        let test = if is_again { Test::All } else { Test::Old };
        let begun = Instant::now();
        loop {
            let log_index = match self.read_existing(&(start..end), REQUEST_BYTES_MAX, test)? {
                Ok(entries) => {
                    self.stands_at = None;
                    return Ok(entries);
                }
                Err(log_index) => log_index,
            };
            if self.stands_at.replace(log_index) != Some(log_index) {
                warn!(
                    log_index,
                    "an entry for a follower is damaged in this node's log: waits until it is mended"
                );
            }
            // raft may only be asking how far the follower's log agrees, for which it needs no entry: none makes it ask
            // that and come again, and so pass by what is damaged on every node, if the follower had it once.
            if begun.elapsed() >= HOLD {
                return Ok(Vec::new());
            }
            sleep(LOOK).await;
        }
    }

    /// What is applied, in pieces: everything is tested before it becomes state.
    async fn entries_stream<R>(&mut self, range: R) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (next, end) = bounds(&range);
        let pieces = stream::try_unfold((self.clone(), next), move |(store, next)| async move {
            if next >= end {
                return Ok::<_, io::Error>(None);
            }
            let entries = store.read_or_wait(&(next..end), APPLY_BYTES).await?;
            if entries.is_empty() && store.files.reader().last().is_none_or(|last| last.log_index < next) {
                return Ok(None); // behind the end
            }
            match (entries.first(), entries.last().map(RaftEntry::index)) {
                (Some(first), Some(last)) if first.index() == next => {
                    let piece = stream::iter(entries.into_iter().map(Ok));
                    Ok(Some((piece, (store, last + 1))))
                }
                _ => Err(io::Error::other(format!("entry {next} is to be applied, and not in the log"))),
            }
        });
        pieces.try_flatten()
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.files.vote())
    }

    /// The last entry of each term in the range: what openraft's own search would find by reading.
    async fn get_key_log_ids(&mut self, range: RangeInclusive<LogId>) -> io::Result<Vec<LogId>> {
        let (first, last) = (log_point(range.start()), log_point(range.end()));
        let starts = self.files.reader().term_starts();
        Ok(last_of_each_term(&starts, first, last).into_iter().map(log_id).collect())
    }
}

/// From the first entry of each term to the last of each, within `first..=last`.
fn last_of_each_term(starts: &[LogPoint], first: LogPoint, last: LogPoint) -> Vec<LogPoint> {
    let mut term = first.term;
    let mut ends = Vec::new();
    for start in
        starts.iter().filter(|start| first.log_index < start.log_index && start.log_index <= last.log_index)
    {
        ends.push(LogPoint { term, log_index: start.log_index - 1 });
        term = start.term;
    }
    ends.push(last);
    ends
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let reader = self.files.reader();
        Ok(LogState {
            last_purged_log_id: reader.purged().map(log_id),
            last_log_id: reader.last().map(log_id),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        // openraft takes a saved vote as proof that every append before it is flushed too: without this
        // wait a follower would acknowledge entries that are not on its disk. In async mode they count
        // as flushed already.
        if !self.files.is_async() {
            let (done, flushed) = oneshot::channel();
            self.files.with_log(|log| {
                log.flush_barrier(Box::new(move |outcome| {
                    let _ = done.send(outcome); // the receiver waits below
                }));
                Ok(())
            })?;
            flushed.await.map_err(|_| io::Error::other("the log's flusher is gone"))??;
        }
        self.files.save_vote(vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        match committed {
            Some(committed) => self.files.with_log(|log| log.set_committed(committed.index)),
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        // What is purged is applied too, and cannot be applied again.
        // Nor what is damaged: it is applied once a leader says again that it is committed, and it is mended.
        let reader = self.files.reader();
        let mut committed = reader.committed();
        if let (Some(found), Some(damaged)) = (committed, reader.first_damaged(0))
            && damaged <= found.log_index
        {
            committed = damaged.checked_sub(1).and_then(|before| reader.point(before));
        }
        Ok(committed.filter(|committed| Some(*committed) > reader.purged()).map(log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let level = self.files.level().group();
        let entries = entries.into_iter().map(|entry| entry.into_pending(level)).collect();
        let done = Box::new(move |outcome| callback.io_completed(outcome));
        self.files.with_log(|log| log.append(entries, done).map(drop).map_err(io::Error::other))
    }

    async fn truncate_after(&mut self, last_kept: Option<LogId>) -> io::Result<()> {
        // The network refuses what would lead here; if it came all the same, the node ends with a sentence, and keeps
        // its log.
        let committed = self.files.reader().committed();
        if committed.map(|committed| committed.log_index) > last_kept.map(|kept| kept.index) {
            let kept = last_kept.map_or("nothing".to_string(), |kept| kept.index.to_string());
            let committed = committed.map_or(0, |committed| committed.log_index);
            return Err(io::Error::other(format!(
                "a leader wants the log cut back to {kept}, but all up to {committed} is committed: two groups have \
                 written under one name, or disks were put back"
            )));
        }
        self.files.with_log(|log| log.truncate_after(last_kept.map(|id| id.index)))
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let upto = log_point(&upto);
        match self.files.take_installed(upto) {
            Some(checkpoint) => self.files.with_log(|log| log.reset_to(&checkpoint))?,
            None => self.files.with_log(|log| log.purge_to(upto))?,
        }
        let files = Arc::clone(&self.files);
        // To remove a large file can take longer than an election. What is left is removed next time.
        drop(self.files.tasks().off_thread(move || {
            if let Err(error) = files.prune_checkpoints() {
                warn!(%error, "cannot remove old checkpoints");
            }
            Ok(())
        }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_entry_of_each_term_follows_from_the_first_ones() {
        let points = |pairs: &[(u64, u64)]| -> Vec<LogPoint> {
            pairs.iter().map(|&(term, log_index)| LogPoint { term, log_index }).collect()
        };
        let starts = points(&[(1, 1), (3, 4), (4, 5)]);
        let ends = |first, last| last_of_each_term(&starts, points(&[first])[0], points(&[last])[0]);
        assert_eq!(ends((1, 1), (4, 9)), points(&[(1, 3), (3, 4), (4, 9)]));
        assert_eq!(ends((1, 2), (3, 4)), points(&[(1, 3), (3, 4)]));
        assert_eq!(ends((1, 2), (1, 3)), points(&[(1, 3)]));
        assert_eq!(ends((4, 6), (4, 6)), points(&[(4, 6)]));
    }
}
