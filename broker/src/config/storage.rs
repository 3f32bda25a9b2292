//! A node's files: where they are, how large, when they are flushed and when deleted.

use std::path::{Path, PathBuf};

use settings::Reader;

use super::Machine;

/// Bytes of one unit of a consume queue. Source: RocketMQ `ConsumeQueue.CQ_STORE_UNIT_SIZE`.
const UNIT_BYTES: u64 = 20;
/// Segments are mapped, so their size is a whole number of pages.
const PAGE_BYTES: u64 = 4096;

/// When an appended entry counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushDiskType {
    /// After fsync: an acknowledged message is on the disks of a majority.
    Sync,
    /// Once in memory: a power cut on a majority at once loses what was acknowledged last.
    Async,
}

/// Paths, sizes and retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// `storePathRootDir`: everything of this node. Default `$HOME/store`.
    pub root: PathBuf,
    /// `storePathDLedgerCommitLog`, or else `storePathCommitLog`: the Raft log, votes and checkpoints. Default
    /// `commitlog` below the root.
    pub commitlog: PathBuf,
    /// Consume queues: `consumequeue` below the root.
    pub consume_queues: PathBuf,
    /// The key index: `index` below the root.
    pub key_index: PathBuf,
    /// `flushDiskType`. RocketMQ's default is `ASYNC_FLUSH`; ours is `SYNC_FLUSH`.
    pub flush: FlushDiskType,
    /// `flushIntervalCommitLog`: milliseconds between flushes under `ASYNC_FLUSH`. Default 500.
    pub flush_interval_ms: u64,
    /// `syncFlushTimeout`: milliseconds that a send may wait for its flush at a majority. Default 5,000.
    pub sync_flush_timeout_ms: u64,
    /// `mappedFileSizeCommitLog`: bytes of one segment; the same on every node of a group. Default 1 GiB.
    pub segment_bytes: u64,
    /// `mappedFileSizeConsumeQueue` in units of 20 bytes: units a consume queue file. Default 300,000.
    pub units_per_file: u64,
    /// `deleteWhen`: hours of the local day, 0 to 23, in which old segments go. Default 4.
    pub delete_when_hours: Vec<u8>,
    /// `fileReservedTime`: hours a segment is kept after its last write. Default 72.
    pub file_reserved_hours: u64,
    /// `diskMaxUsedSpaceRatio`: percent of the disk above which old segments go at any hour, 10 to 95. Default 75.
    pub disk_used_percent_max: u64,
    /// `cleanFileForciblyEnable`: whether segments go before their time when the disk is nearly full. Default true.
    pub clean_forcibly: bool,
    /// `scrubBytesPerSecond`: how much of the log is read a second to look for damage; 0: none. Ours. Default 8 MiB.
    pub scrub_bytes_per_second: u64,
}

impl Storage {
    pub(super) fn read(reader: &mut Reader, machine: &Machine) -> Self {
        let root = read_path(reader, "storePathRootDir", &machine.home.join("store"));
        let commitlog = read_path(reader, "storePathCommitLog", &root.join("commitlog"));
        let commitlog = read_path(reader, "storePathDLedgerCommitLog", &commitlog);
        let flush_types = [("SYNC_FLUSH", FlushDiskType::Sync), ("ASYNC_FLUSH", FlushDiskType::Async)];
        let flush = reader.one_of("flushDiskType", &FlushDiskType::Sync, &flush_types);
        if flush == FlushDiskType::Async {
            reader.warn(
                "flushDiskType = ASYNC_FLUSH: messages are acknowledged before they are on disk, so a power cut on \
                 a majority of the nodes loses some of them; SYNC_FLUSH loses none",
            );
        }
        let units_bytes =
            reader.integer("mappedFileSizeConsumeQueue", 300_000 * UNIT_BYTES, 1..=1 << 30, "bytes");
        let storage = Self {
            consume_queues: root.join("consumequeue"),
            key_index: root.join("index"),
            root,
            commitlog,
            flush,
            flush_interval_ms: reader.integer("flushIntervalCommitLog", 500, 1..=60_000, "ms"),
            sync_flush_timeout_ms: reader.integer("syncFlushTimeout", 5_000, 1..=600_000, "ms"),
            segment_bytes: read_segment_bytes(reader),
            // RocketMQ rounds up to whole units as well.
            units_per_file: units_bytes.div_ceil(UNIT_BYTES),
            delete_when_hours: read_hours(reader),
            file_reserved_hours: reader.integer("fileReservedTime", 72, 0..=1_000_000, "hours"),
            disk_used_percent_max: reader.integer("diskMaxUsedSpaceRatio", 75, 10..=95, "percent"),
            clean_forcibly: reader.bool("cleanFileForciblyEnable", true),
            scrub_bytes_per_second: reader.integer("scrubBytesPerSecond", 8 << 20, 0..=1 << 40, "bytes"),
        };
        read_without_effect(reader);
        storage
    }
}

fn read_path(reader: &mut Reader, name: &'static str, default: &Path) -> PathBuf {
    let path = reader.text(name, &default.display().to_string());
    if path.is_empty() {
        reader.refuse_value(name, "a directory");
    }
    PathBuf::from(path)
}

fn read_segment_bytes(reader: &mut Reader) -> u64 {
    let bytes = reader.integer("mappedFileSizeCommitLog", 1 << 30, 65_536..=2 << 30, "bytes");
    if !bytes.is_multiple_of(PAGE_BYTES) {
        reader.refuse_value("mappedFileSizeCommitLog", format!("a multiple of {PAGE_BYTES} bytes"));
    }
    bytes
}

/// `04` or `04;16`.
fn read_hours(reader: &mut Reader) -> Vec<u8> {
    let parse = |text: &str| {
        let hours = text.split(';').map(str::trim).filter(|hour| !hour.is_empty());
        hours.map(|hour| hour.parse().ok().filter(|hour| *hour < 24)).collect::<Option<Vec<u8>>>()
    };
    let write = |hours: &Vec<u8>| {
        let hours: Vec<_> = hours.iter().map(|hour| format!("{hour:02}")).collect();
        hours.join(";")
    };
    reader.parsed("deleteWhen", vec![4], "hours from 00 to 23, separated by ;", parse, write)
}

/// Names about how Java's store is built inside. Ours is built differently, and checks every checksum anyway.
fn read_without_effect(reader: &mut Reader) {
    for (name, default) in [
        ("checkCRCOnRecover", true),
        // Messages can always be found by key.
        ("messageIndexEnable", true),
        ("transientStorePoolEnable", false),
        ("warmMapedFileEnable", false),
    ] {
        reader.bool(name, default);
        reader.has_no_effect(name);
    }
    for (name, default) in
        [("maxHashSlotNum", 5_000_000), ("maxIndexNum", 20_000_000), ("osPageCacheBusyTimeOutMills", 1_000)]
    {
        reader.integer(name, default, 0..=u64::from(u32::MAX), "");
        reader.has_no_effect(name);
    }
}
