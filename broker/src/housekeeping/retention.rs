//! Old segments go: after their time at their hour, or when the disk fills.

use std::sync::atomic::Ordering;

use store::{CommitlogOffset, LogReader, SegmentInfo};
use tracing::{info, warn};

use crate::housekeeping::disk::used_percent;
use crate::housekeeping::write_out::trim;
use crate::local_time;
use crate::node::Node;

/// Above this use of the disk, in percent, segments go whatever their age. Source: RocketMQ
/// `diskSpaceCleanForciblyRatio`.
const FORCED_PERCENT: u64 = 85;
/// Segments that stay whatever happens: the one being written and the one before it.
const SEGMENTS_MIN: usize = 2;

/// Which segments go, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expiry {
    /// None.
    Nothing,
    /// Those older than they have to be kept.
    Old,
    /// The oldest one, whatever its age: the disk is nearly full.
    Forced,
}

/// Lets old segments go on this node, and returns how many bytes it freed. `now` ignores the hour of the day.
///
/// # Errors
/// A sentence, if the disk cannot be asked or the log not be purged.
pub async fn expire(node: &Node, now: bool) -> Result<u64, String> {
    let storage = node.live().storage.clone();
    let space = node.platform.disk.space(&storage.root).map_err(|error| error.to_string())?;
    let hour = local_time::hour(node.now_ms());
    let is_hour = now || storage.delete_when_hours.contains(&hour);
    let mut expiry =
        expiry(used_percent(space), is_hour, storage.disk_used_percent_max, storage.clean_forcibly);
    // Who asks for it by hand has looked at the clock.
    if expiry == Expiry::Old && !now && node.clock_jumped_ms.load(Ordering::Relaxed) != 0 {
        expiry = Expiry::Nothing;
    }
    let segments = node.group.log.segments();
    let old_before_ms = node.now_ms().saturating_sub(storage.file_reserved_hours * 3_600_000);
    let log = node.group.log.clone();
    let now_ms = node.now_ms();
    // Reads the disk, possibly a lot of it.
    let bound = tokio::task::spawn_blocking(move || {
        purge_bound(expiry, &segments, |segment| age(&log, segment, old_before_ms, now_ms))
    });
    let bound = bound.await.map_err(|error| error.to_string())?;
    let Some(bound) = bound else { return Ok(0) };
    let before = node.group.log.ends().min;
    let min = node.group.raft.purge_before(bound).await.map_err(|error| error.to_string())?;
    let freed = min.0.saturating_sub(before.0);
    if freed > 0 {
        info!(freed_bytes = freed, commitlog_min = min.0, ?expiry, "old segments dropped");
        trim(node, min).await;
    }
    Ok(freed)
}

fn expiry(used_percent: u64, is_hour: bool, used_percent_max: u64, clean_forcibly: bool) -> Expiry {
    if used_percent > FORCED_PERCENT && clean_forcibly {
        Expiry::Forced
    } else if is_hour || used_percent > used_percent_max {
        Expiry::Old
    } else {
        Expiry::Nothing
    }
}

/// How old a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// Its last message, and so each of them, has been kept for long enough, by the clock of whoever led and by this node's.
    Old,
    /// It is not known to be old: a message is fresh, or it cannot be read.
    Young,
    /// It has no message of its own: as old as what lies behind it.
    Empty,
}

/// Everything below the returned offset may go; the last [`SEGMENTS_MIN`] segments never do. A segment without
/// messages goes with an old one behind it.
fn purge_bound(
    expiry: Expiry,
    segments: &[SegmentInfo],
    age: impl Fn(&SegmentInfo) -> Age,
) -> Option<CommitlogOffset> {
    let removable = segments.get(..segments.len().saturating_sub(SEGMENTS_MIN))?;
    let count = match expiry {
        Expiry::Nothing => 0,
        Expiry::Old => {
            let ages = removable.iter().map(age).take_while(|age| *age != Age::Young);
            ages.enumerate().filter(|(_, age)| *age == Age::Old).last().map_or(0, |(at, _)| at + 1)
        }
        Expiry::Forced => removable.len().min(1),
    };
    if count == 0 { None } else { Some(segments[count].base) }
}

fn age(log: &LogReader, segment: &SegmentInfo, old_before_ms: u64, now_ms: u64) -> Age {
    // A leader whose clock is behind stores messages that are old at once.
    let was_written_lately = log.modified_ms(segment).is_none_or(|ms| ms >= old_before_ms || ms > now_ms);
    match log.last_stored_ms(segment) {
        Ok(Some(_)) if was_written_lately => Age::Young,
        Ok(Some(stored_ms)) if stored_ms < old_before_ms && stored_ms <= now_ms => Age::Old,
        Ok(Some(_)) => Age::Young,
        Ok(None) => Age::Empty,
        Err(error) => {
            warn!(segment = segment.base.0, %error, "a segment whose age cannot be read is kept");
            Age::Young
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_go_at_their_hour_or_when_the_disk_fills() {
        assert_eq!(expiry(10, false, 75, true), Expiry::Nothing);
        assert_eq!(expiry(10, true, 75, true), Expiry::Old);
        assert_eq!(expiry(76, false, 75, true), Expiry::Old);
        assert_eq!(expiry(86, false, 75, true), Expiry::Forced);
        assert_eq!(expiry(86, false, 75, false), Expiry::Old);
    }

    /// S2: what cannot be told is never old.
    #[test]
    fn a_segment_goes_only_if_its_last_message_is_known_to_be_old() {
        use Age::{Empty, Old, Young};
        let segment = |n: usize| {
            let point = store::LogPoint { term: 1, log_index: n as u64 };
            let base = CommitlogOffset(n as u64 * 100);
            SegmentInfo { base, first: point, last: point, end: base.plus(100), is_sealed: true }
        };
        let kept_from = |expiry, ages: &[Age]| {
            let segments: Vec<_> = (0..ages.len() + SEGMENTS_MIN).map(segment).collect();
            purge_bound(expiry, &segments, |segment| ages[(segment.base.0 / 100) as usize])
                .map_or(0, |bound| bound.0 / 100)
        };
        assert_eq!(kept_from(Expiry::Old, &[Old, Old, Young, Old]), 2);
        assert_eq!(kept_from(Expiry::Old, &[Young, Old]), 0);
        assert_eq!(kept_from(Expiry::Old, &[Empty, Empty]), 0, "fresh messages may lie behind them");
        assert_eq!(kept_from(Expiry::Old, &[Empty, Old, Empty, Young]), 2);
        assert_eq!(kept_from(Expiry::Old, &[]), 0);
        assert_eq!(kept_from(Expiry::Forced, &[Young, Young]), 1);
        assert_eq!(kept_from(Expiry::Nothing, &[Old]), 0);
    }
}
