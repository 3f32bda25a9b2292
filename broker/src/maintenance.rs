//! What a node does by itself: wakes and expires held pulls, writes queues out, drops silent clients, creates
//! system topics, and lets old segments go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use platform::Space;
use protocol::names;
use store::{CommitlogOffset, LogReader, SegmentInfo};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::clock_watch::ClockWatch;
use crate::local_time;
use crate::processor::pull::{self, HeldPull};
use crate::server::Broker;
use crate::stats::SAMPLE_SECS;
use crate::tables::{Change, GroupConfig, TopicConfig};

/// How often held pulls are looked through for expired ones.
const SWEEP: Duration = Duration::from_millis(100);
/// How often gathered consume queue units and index entries are written to their files.
const WRITE_OUT: Duration = Duration::from_secs(1);
/// A client not heard of for so long is disconnected. Source: RocketMQ `channelExpiredTimeout`.
const CLIENT_SILENT: Duration = Duration::from_secs(120);
/// How often clients and retention are looked at. Source: RocketMQ `cleanResourceInterval`.
const HOUSEKEEPING: Duration = Duration::from_secs(10);
/// How often the room on the disk is looked at.
const DISK: Duration = Duration::from_secs(1);
/// Consume queues and key index are flushed every so many rounds of housekeeping: about once a minute.
const FLUSH_ROUNDS: u32 = 6;
/// How long a handover to the preferred node may take.
const PREFER_WITHIN: Duration = Duration::from_secs(2);
/// Above this use of the disk, in percent, segments go whatever their age. Source: RocketMQ
/// `diskSpaceCleanForciblyRatio`.
const FORCED_PERCENT: u64 = 85;
/// Above this use of the disk, in percent, sends may be refused. Source: RocketMQ `diskSpaceWarningLevelRatio`.
const FULL_PERCENT: u64 = 90;
/// Segments that must have room: the one prepared ahead, and one for everything beside the log.
const SEGMENTS_AHEAD: u64 = 2;
/// So many entries are looked at for the first message of the log.
const EARLIEST_ENTRIES_MAX: u64 = 1 << 16;
/// Segments that stay whatever happens: the one being written and the one before it.
const SEGMENTS_MIN: usize = 2;

/// Ticks every period until shutdown.
struct Ticks {
    interval: tokio::time::Interval,
    shutdown: watch::Receiver<bool>,
}

impl Ticks {
    fn new(period: Duration, shutdown: watch::Receiver<bool>) -> Self {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { interval, shutdown }
    }

    /// Waits for the next tick; `false` at shutdown.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.interval.tick() => true,
            _ = self.shutdown.wait_for(|stop| *stop) => false,
        }
    }
}

/// Answers pulls whose message has come, in the order they were woken.
pub async fn wake_pulls(broker: Arc<Broker>, mut woken: mpsc::UnboundedReceiver<HeldPull>) {
    while let Some(held) = woken.recv().await {
        pull::wake(&broker, held);
    }
}

/// Answers pulls that waited long enough.
pub async fn expire_pulls(broker: Arc<Broker>, shutdown: watch::Receiver<bool>) {
    let mut ticks = Ticks::new(SWEEP, shutdown);
    while ticks.next().await {
        for held in broker.holds.expired(broker.monotonic()) {
            pull::wake(&broker, held);
        }
    }
    for held in broker.holds.drain() {
        pull::wake(&broker, held);
    }
}

/// Writes consume queues and key index out in the background.
pub async fn write_out(broker: Arc<Broker>, shutdown: watch::Receiver<bool>) {
    let mut ticks = Ticks::new(WRITE_OUT, shutdown);
    while ticks.next().await {
        let broker = Arc::clone(&broker);
        let written = tokio::task::spawn_blocking(move || broker.queues.write_out()).await;
        if let Ok(Err(error)) = written {
            warn!(%error, "consume queues not written out; they stay in memory");
        }
    }
}

/// Counters, silent clients, retention.
pub async fn housekeeping(broker: Arc<Broker>, shutdown: watch::Receiver<bool>) {
    debug_assert_eq!(HOUSEKEEPING.as_secs(), SAMPLE_SECS);
    let mut ticks = Ticks::new(HOUSEKEEPING, shutdown);
    let mut rounds = 0_u32;
    let mut clock = ClockWatch::new(broker.now_ms(), broker.monotonic());
    while ticks.next().await {
        watch_clock(&broker, &mut clock);
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(FLUSH_ROUNDS) {
            flush(&broker).await;
        }
        prefer_leader(&broker).await;
        broker.stats.sample(broker.monotonic().as_secs(), local_time::date(broker.now_ms()));
        drop_silent_clients(&broker);
        if let Err(error) = expire(&broker, false).await {
            warn!(error, "old segments not dropped");
        }
    }
}

/// Nothing is old by a clock that jumped.
fn watch_clock(broker: &Broker, clock: &mut ClockWatch) {
    let jumped_ms = clock.look(broker.now_ms(), broker.monotonic()).unwrap_or(0);
    let before_ms = broker.clock_jumped_ms.swap(jumped_ms, Ordering::Relaxed);
    if (before_ms == 0) != (jumped_ms == 0) {
        if jumped_ms == 0 {
            info!("the wall clock is believed again: old segments are dropped");
        } else {
            error!(
                jumped_ms,
                "the wall clock has jumped: no segment is dropped for its age until it is right again"
            );
        }
    }
}

/// Looks at the room on the disk. A fast producer fills it in seconds.
pub async fn disk(broker: Arc<Broker>, shutdown: watch::Receiver<bool>) {
    let mut ticks = Ticks::new(DISK, shutdown);
    while ticks.next().await {
        watch_disk(&broker);
    }
}

/// Sends stop before the disk is full, so that Raft's own writes, which cannot be refused, still have room.
fn watch_disk(broker: &Broker) {
    let path = &broker.config.storage.commitlog;
    let space = match broker.platform.disk.space(path) {
        Ok(space) => space,
        Err(error) => return warn!(path = %path.display(), %error, "cannot ask for the room on the disk"),
    };
    let (used, available) = (used_percent(space), space.available_bytes);
    let is_full = is_full(space, broker.config.storage.segment_bytes);
    if broker.is_disk_full.swap(is_full, Ordering::Relaxed) != is_full {
        let path = path.display();
        if is_full {
            error!(%path, used_percent = used, available_bytes = available, "disk is full: sends are refused");
        } else {
            info!(%path, used_percent = used, available_bytes = available, "disk has room again: sends are taken");
        }
    }
}

/// Above the warning level, and with less room than the next segments take: either alone is no reason. A large disk
/// at 91 % has days left, and a small one in a test has no gigabyte to begin with.
fn is_full(space: Space, segment_bytes: u64) -> bool {
    used_percent(space) > FULL_PERCENT && space.available_bytes < segment_bytes * SEGMENTS_AHEAD
}

/// Consume queues and key index to the disk: bounds what a restart after a loss of power reads of the log.
async fn flush(broker: &Arc<Broker>) {
    let broker = Arc::clone(broker);
    let flush = move || broker.queues.flush().and_then(|()| broker.index.flush());
    if let Ok(Err(error)) = tokio::task::spawn_blocking(flush).await {
        warn!(%error, "consume queues and key index not flushed; the next start reads them from the log");
    }
}

/// Hands the lead to the node that the operator prefers, once it has all that this one has.
async fn prefer_leader(broker: &Broker) {
    let view = broker.node.view();
    let Some(preferred) = broker.config.quorum.preferred_leader.filter(|id| *id != broker.node_id()) else {
        return;
    };
    let peer = view.peers.iter().find(|peer| peer.id == preferred);
    let has_all =
        peer.and_then(|peer| peer.matched_index).is_some_and(|matched| matched >= view.commit_index);
    let may_lead = view.is_ready() && has_all && view.voters.contains(&preferred);
    if may_lead && let Err(error) = broker.hand_over(preferred, PREFER_WITHIN).await {
        warn!(to = crate::http::node_name(preferred), %error, "lead not handed to the preferred node");
    }
}

fn drop_silent_clients(broker: &Broker) {
    let Some(before) = broker.monotonic().checked_sub(CLIENT_SILENT) else { return };
    let silent = {
        let clients = broker.clients();
        let before_ms = before.as_millis() as u64;
        let mut silent = clients.consumers.silent(before_ms);
        silent.extend(clients.producers.silent(before_ms));
        silent
    };
    for connection in silent.into_iter().filter_map(|id| broker.connection(id)) {
        info!(peer = %connection.peer(), silent = ?CLIENT_SILENT, "client without heartbeats disconnected");
        connection.close();
    }
}

/// Creates the topics and groups that every RocketMQ broker has, when this node comes to lead and they are missing.
pub async fn create_system_tables(broker: Arc<Broker>, mut shutdown: watch::Receiver<bool>) {
    let mut views = broker.node.views();
    loop {
        tokio::select! {
            ready = views.wait_for(raft::View::is_ready) => if ready.is_err() { return },
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
        let (topics, groups) = missing_system_tables(&broker);
        let now_ms = broker.now_ms();
        let mut created = Ok(());
        if !topics.is_empty() {
            created = broker.submit(Change::PutTopics { topics, only_new: true, now_ms }).await.map(drop);
        }
        if created.is_ok() && !groups.is_empty() {
            created = broker.submit(Change::PutGroups { groups, only_new: true, now_ms }).await.map(drop);
        }
        if let Err(error) = created {
            warn!(%error, "system topics and groups not created yet");
        } else {
            broker.registrar.now();
        }
        tokio::select! {
            lost = views.wait_for(|view| !view.is_ready()) => if lost.is_err() { return },
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

fn missing_system_tables(broker: &Broker) -> (Vec<TopicConfig>, Vec<GroupConfig>) {
    let messages = &broker.config.messages;
    let cluster = &broker.config.identity.cluster;
    let mut topics = vec![
        TopicConfig::new(names::SELF_TEST_TOPIC, 1, 6),
        TopicConfig::new(names::BENCHMARK_TOPIC, 1_024, 6),
        TopicConfig::new(cluster, 16, 7),
        TopicConfig::new(broker.name(), 1, 7),
        TopicConfig::new(names::OFFSET_MOVED_EVENT, 1, 6),
        TopicConfig::new(names::SCHEDULE_TOPIC, 18, 6),
        TopicConfig::new(names::reply_topic(cluster), 1, 6),
        TopicConfig::new(format!("{}{}", names::SYNC_MEMBER_PREFIX, broker.name()), 1, 1),
        TopicConfig::new(names::HALF_TOPIC, 1, 6),
        TopicConfig::new(names::OP_HALF_TOPIC, 1, 6),
    ];
    if messages.auto_create_topic {
        topics.push(TopicConfig::new(names::AUTO_CREATE_TOPIC, messages.default_topic_queues as i32, 7));
    }
    if messages.trace_topic {
        topics.push(TopicConfig::new(&messages.trace_topic_name, 1, 6));
    }
    let tables = broker.tables();
    topics.retain(|topic| tables.topic(&topic.name).is_none());
    let groups = names::SYSTEM_GROUPS.iter().filter(|group| tables.group(group).is_none());
    (topics, groups.map(|group| GroupConfig::new(*group)).collect())
}

/// When the first message that the log still holds was stored; `None` if it holds none, or that cannot be read.
pub fn earliest_store_time(broker: &Broker) -> Option<i64> {
    // Blank entries and commands may come first; so many of them that it takes long to look are no answer either.
    broker.log.first_stored_ms(EARLIEST_ENTRIES_MAX).ok().flatten().map(|ms| ms as i64)
}

/// The end of what is applied.
pub fn applied_end(broker: &Broker) -> CommitlogOffset {
    let applied = broker.views.borrow().applied_index;
    match broker.log.position(applied) {
        Ok(Some(place)) => place.offset.plus(u64::from(place.entry_bytes)),
        Ok(None) | Err(_) => broker.log.ends().min,
    }
}

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
pub async fn expire(broker: &Broker, now: bool) -> Result<u64, String> {
    let storage = broker.live().storage.clone();
    let space = broker.platform.disk.space(&storage.root).map_err(|error| error.to_string())?;
    let hour = local_time::hour(broker.now_ms());
    let is_hour = now || storage.delete_when_hours.contains(&hour);
    let mut expiry =
        expiry(used_percent(space), is_hour, storage.disk_used_percent_max, storage.clean_forcibly);
    // Who asks for it by hand has looked at the clock.
    if expiry == Expiry::Old && !now && broker.clock_jumped_ms.load(Ordering::Relaxed) != 0 {
        expiry = Expiry::Nothing;
    }
    let segments = broker.log.segments();
    let old_before_ms = broker.now_ms().saturating_sub(storage.file_reserved_hours * 3_600_000);
    let log = broker.log.clone();
    let now_ms = broker.now_ms();
    // Reads the disk, possibly a lot of it.
    let bound = tokio::task::spawn_blocking(move || {
        purge_bound(expiry, &segments, |segment| age(&log, segment, old_before_ms, now_ms))
    });
    let bound = bound.await.map_err(|error| error.to_string())?;
    let Some(bound) = bound else { return Ok(0) };
    let before = broker.log.ends().min;
    let min = broker.node.purge_before(bound).await.map_err(|error| error.to_string())?;
    let freed = min.0.saturating_sub(before.0);
    if freed > 0 {
        info!(freed_bytes = freed, commitlog_min = min.0, ?expiry, "old segments dropped");
        trim(broker, min).await;
    }
    Ok(freed)
}

/// Consume queues and key index begin where the log does. A purge that was asked for may come much later, when no
/// follower is being sent any more what is to go, so it is watched for.
pub async fn follow_the_beginning(broker: Arc<Broker>, shutdown: watch::Receiver<bool>) {
    let mut views = broker.node.views();
    let mut shutdown = shutdown;
    let mut trimmed = None;
    loop {
        let purged = views.borrow_and_update().purged_index;
        if trimmed != Some(purged) {
            trimmed = Some(purged);
            trim(&broker, broker.log.ends().min).await;
        }
        tokio::select! {
            changed = views.changed() => if changed.is_err() { return },
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

async fn trim(broker: &Broker, min: CommitlogOffset) {
    let (queues, index) = (Arc::clone(&broker.queues), Arc::clone(&broker.index));
    let trimmed = move || queues.trim_below(min).and_then(|()| index.trim_below(min));
    if let Ok(Err(error)) = tokio::task::spawn_blocking(trimmed).await {
        warn!(%error, commitlog_min = min.0, "consume queues and key index not trimmed to where the log begins");
    }
}

fn used_percent(space: Space) -> u64 {
    let used = space.total_bytes.saturating_sub(space.available_bytes);
    (used * 100).div_ceil(space.total_bytes.max(1))
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

    #[test]
    fn sends_stop_when_the_next_segments_have_no_room() {
        let space = |total_bytes, available_bytes| Space { total_bytes, available_bytes };
        assert!(is_full(space(100 << 30, 1 << 30), 1 << 30));
        assert!(!is_full(space(100 << 30, 20 << 30), 1 << 30));
        assert!(!is_full(space(10 << 40, 500 << 30), 1 << 30));
        assert!(is_full(space(100, 0), 64));
    }

    #[test]
    fn use_of_the_disk_is_rounded_up() {
        assert_eq!(used_percent(Space { total_bytes: 1_000, available_bytes: 749 }), 26);
        assert_eq!(used_percent(Space { total_bytes: 0, available_bytes: 0 }), 0);
    }
}
