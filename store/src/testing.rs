//! What the tests of this crate have in common.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use platform::{Clock, Disk, ManualClock, Platform};
use protocol::message::{UnitFields, encode_unit};
use serde::{Deserialize, Serialize};

use crate::codec::Record;
use crate::{
    CheckpointError, Checkpoints, CommitLog, CommitlogOffset, Done, Draft, EffectList, EntryKind, FlushMode,
    Helpers, LogOptions, LogPoint, OpenError, Recovery, SealState, Unnamed,
};

/// The wall clock of [`platform`] begins here.
pub(crate) const START_MS: u64 = 1_700_000_000_000;

/// A machine with this disk and a clock that stands still.
pub(crate) fn platform(disk: Arc<dyn Disk>) -> (Platform, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START_MS));
    let platform = Platform { disk, clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Platform::os() };
    (platform, clock)
}

/// Small segments, and no threads.
pub(crate) fn options(dir: &str, flush: FlushMode) -> LogOptions {
    LogOptions { segment_bytes: 4096, flush, helpers: Helpers::Inline, ..LogOptions::new(dir) }
}

/// Opens log and checkpoints in `/log`.
pub(crate) fn open(
    platform: &Platform,
    flush: FlushMode,
) -> Result<(CommitLog, Recovery, Checkpoints), OpenError> {
    let mut checkpoints = Checkpoints::open(Arc::clone(&platform.disk), "/log/checkpoints")?;
    let (log, recovery) = CommitLog::open(platform, options("/log", flush), &mut checkpoints)?;
    Ok((log, recovery, checkpoints))
}

/// A unit that is not sealed.
pub(crate) fn unit(topic: &str, queue_id: u32, body: &[u8], properties: &str, sys_flag: i32) -> BytesMut {
    let host: SocketAddr = "127.0.0.1:10911".parse().unwrap();
    let fields = UnitFields {
        topic,
        queue_id: queue_id as i32,
        flag: 0,
        sys_flag,
        born_timestamp_ms: START_MS as i64,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        properties,
    };
    let mut bytes = BytesMut::new();
    encode_unit(&fields, &mut bytes).unwrap();
    bytes
}

/// A draft of units, one part each.
pub(crate) fn units(log_index: u64, term: u64, units: Vec<BytesMut>) -> Draft {
    Draft {
        log_index,
        term,
        kind: EntryKind::Units,
        unit_count: units.len() as u32,
        payload: units,
        effects: EffectList::default(),
    }
}

/// A draft of a command.
pub(crate) fn command(log_index: u64, term: u64, payload: &[u8]) -> Draft {
    Draft {
        log_index,
        term,
        kind: EntryKind::Command,
        unit_count: 0,
        payload: vec![payload.into()],
        effects: EffectList::default(),
    }
}

/// A callback, and where its result arrives.
pub(crate) fn done() -> (Done, Receiver<std::io::Result<()>>) {
    let (tell, told) = sync_channel(1);
    (Box::new(move |result| tell.send(result).unwrap()), told)
}

/// A callback that is not waited for.
pub(crate) fn ignore() -> Done {
    Box::new(|_| {})
}

/// The seed of a random test: `SEED` of the environment, or `fallback`.
pub(crate) fn seed(fallback: u64) -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(fallback);
    println!("SEED={seed}");
    seed
}

/// Results of callbacks in the order they came.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<(u64, bool)>>>);

impl Told {
    pub(crate) fn done(&self, id: u64) -> Done {
        let told = self.0.clone();
        Box::new(move |result| told.lock().unwrap().push((id, result.is_ok())))
    }

    pub(crate) fn all(&self) -> Vec<(u64, bool)> {
        self.0.lock().unwrap().clone()
    }
}

/// See [`crate::codec::golden::check`].
#[track_caller]
pub(crate) fn golden<R: Record + PartialEq + std::fmt::Debug>(newest: &[R], old: &[(u16, &[R])]) {
    let dir = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata"));
    crate::codec::golden::check(dir, newest, old);
}

/// A table of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Blob(pub(crate) Vec<u8>);

impl Record for Blob {
    const KIND: u16 = 0x01ff;
    const NAME: &'static str = "blob";
    const BYTES_MAX: usize = 1 << 30;
}

/// A checkpoint with one table in it.
pub(crate) fn checkpoint(
    checkpoints: &Checkpoints,
    last: LogPoint,
    next_offset: CommitlogOffset,
    seal: &SealState,
    blob: &[u8],
) -> Result<Unnamed, CheckpointError> {
    checkpoints.dir().write(last, next_offset, seal, |sections| sections.put(&Blob(blob.to_vec())))
}

/// A seal state with something in it.
pub(crate) fn seal_sample() -> SealState {
    SealState {
        queue_ends: vec![("TopicTest".into(), 0, 7), ("TopicTest".into(), 3, 9)],
        last_store_timestamp_ms: START_MS,
    }
}
