//! openraft's log storage over the commitlog: hands appends to it in order, and tells openraft when
//! they are flushed. Where and how bytes lie is the commitlog's business.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds, RangeInclusive};
use std::sync::Arc;

use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use store::{EntryKind, LogPoint};
use tokio::sync::oneshot;
use tracing::warn;

use crate::files::Files;
use crate::types::{Entry, LogId, Types, Vote, decode_membership, log_id, log_point};

/// Bytes of entries that one request to a follower may carry; a larger entry goes alone.
pub(crate) const REQUEST_BYTES_MAX: u64 = 1 << 20;

/// The log as openraft sees it. Clones see the same log.
#[derive(Clone)]
pub(crate) struct LogStore(Arc<Files>);

impl LogStore {
    pub(crate) fn new(files: Arc<Files>) -> Self {
        Self(files)
    }

    /// The part of `range` that exists, as a half-open range.
    fn existing(&self, range: &impl RangeBounds<u64>) -> Range<u64> {
        let reader = self.0.reader();
        let (Some(first), Some(last)) = (reader.first_index(), reader.last()) else { return 0..0 };
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
        start.max(first)..end.min(last.log_index + 1)
    }

    fn read(&self, range: &impl RangeBounds<u64>, bytes_max: u64) -> io::Result<Vec<Entry>> {
        let range = self.existing(range);
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let reader = self.0.reader();
        let mut entries = reader.entries(range, bytes_max).map_err(io::Error::other)?;
        for entry in entries.iter().filter(|entry| entry.head.kind == EntryKind::Membership) {
            // raft takes it for granted that it can be read; a newer build may have written it.
            if let Err(error) = decode_membership(&entry.payload())
                && error.is_foreign()
            {
                return Err(io::Error::other(format!("entry {}: {error}", entry.head.log_index)));
            }
        }
        // What may have come from the disk is tested. A damaged first entry goes out all the same: an error here would
        // end this node, and whoever gets it tests it too and asks again, until it is mended.
        let sealed_end = reader.sealed_end();
        let tested = entries.iter().take_while(|entry| entry.head.offset < sealed_end);
        let damaged = tested.enumerate().find_map(|(at, entry)| Some((at, entry.verify().err()?)));
        if let Some((at, error)) = damaged {
            reader.note_damage(entries[at].head.offset, &error.to_string());
            entries.truncate(at.max(1));
        }
        Ok(entries.into_iter().map(Entry::from).collect())
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<R>(&mut self, range: R) -> io::Result<Vec<Entry>>
    where
        R: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.read(&range, u64::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(&(start..end), REQUEST_BYTES_MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.vote())
    }

    /// The last entry of each term in the range: what openraft's own search would find by reading.
    async fn get_key_log_ids(&mut self, range: RangeInclusive<LogId>) -> io::Result<Vec<LogId>> {
        let (first, last) = (log_point(range.start()), log_point(range.end()));
        let starts = self.0.reader().term_starts();
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
        let reader = self.0.reader();
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
        if !self.0.is_async() {
            let (done, flushed) = oneshot::channel();
            self.0.with_log(|log| {
                log.flush_barrier(Box::new(move |outcome| {
                    let _ = done.send(outcome); // the receiver waits below
                }));
                Ok(())
            })?;
            flushed.await.map_err(|_| io::Error::other("the log's flusher is gone"))??;
        }
        self.0.save_vote(vote)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        match committed {
            Some(committed) => self.0.with_log(|log| log.set_committed(committed.index)),
            None => Ok(()),
        }
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        // What is purged is applied too, and cannot be applied again.
        let reader = self.0.reader();
        Ok(reader.committed().filter(|committed| Some(*committed) > reader.purged()).map(log_id))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let level = self.0.level().group();
        let entries = entries.into_iter().map(|entry| entry.into_pending(level)).collect();
        let done = Box::new(move |outcome| callback.io_completed(outcome));
        self.0.with_log(|log| log.append(entries, done).map(drop).map_err(io::Error::other))
    }

    async fn truncate_after(&mut self, last_kept: Option<LogId>) -> io::Result<()> {
        // The network refuses what would lead here; if it came all the same, the node ends with a sentence, and keeps
        // its log.
        let committed = self.0.reader().committed();
        if committed.map(|committed| committed.log_index) > last_kept.map(|kept| kept.index) {
            let kept = last_kept.map_or("nothing".to_string(), |kept| kept.index.to_string());
            let committed = committed.map_or(0, |committed| committed.log_index);
            return Err(io::Error::other(format!(
                "a leader wants the log cut back to {kept}, but all up to {committed} is committed: two groups have \
                 written under one name, or disks were put back"
            )));
        }
        self.0.with_log(|log| log.truncate_after(last_kept.map(|id| id.index)))
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let upto = log_point(&upto);
        match self.0.take_installed(upto) {
            Some(checkpoint) => self.0.with_log(|log| log.reset_to(&checkpoint))?,
            None => self.0.with_log(|log| log.purge_to(upto))?,
        }
        let files = Arc::clone(&self.0);
        // To remove a large file can take longer than an election. What is left is removed next time.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = files.prune_checkpoints() {
                warn!(%error, "cannot remove old checkpoints");
            }
        });
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
