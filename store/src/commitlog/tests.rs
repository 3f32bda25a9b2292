//! Stories of one log: what it takes, what it refuses, and what it finds after each kind of damage.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use platform::{Disk, OpenMode, OsDisk};

use super::layout::OFFSET_AT;
use super::*;
use crate::checkpoint::{CheckpointError, Keep};
use crate::sim::SimDisk;
use crate::testing::{self, Blob, Told, command, ignore, open, platform, unit, units};

pub(super) const SYNC: FlushMode = FlushMode::Sync;
const ASYNC: FlushMode = FlushMode::Async { interval_ms: 500 };

pub(super) fn draft(draft: Draft) -> Vec<Pending> {
    vec![Pending::Draft(draft)]
}

/// Appends `count` commands of the same size, one call each, to the end of the log.
pub(super) fn fill(log: &mut CommitLog, term: u64, count: u64) {
    for _ in 0..count {
        let next = log.reader().last().map_or(1, |last| last.log_index + 1);
        log.append(draft(command(next, term, &[next as u8; 100])), ignore()).unwrap();
    }
}

/// A log of `count` entries on a disk of its own, in the care of nobody.
pub(super) fn written(flush: FlushMode, count: u64) -> SimDisk {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, flush).unwrap();
    fill(&mut log, 1, count);
    disk
}

pub(super) fn reopen(
    disk: &SimDisk,
    flush: FlushMode,
) -> Result<(CommitLog, Recovery, Checkpoints), OpenError> {
    let (platform, _) = platform(Arc::new(disk.clone()));
    open(&platform, flush)
}

pub(super) fn segment_path(base: u64) -> PathBuf {
    Path::new("/log/commitlog").join(format!("{base:020}"))
}

pub(super) fn overwrite(disk: &SimDisk, base: u64, at: u64, bytes: &[u8]) {
    let file = disk.open(&segment_path(base), OpenMode::ReadWrite).unwrap();
    file.write_all_at(&[IoSlice::new(bytes)], at).unwrap();
    file.sync_data().unwrap();
}

/// Where an entry lies, and its bytes.
pub(super) fn stored(log: &CommitLog, log_index: u64) -> (u64, Bytes) {
    let entry = log.reader().entries(log_index..log_index + 1, 1).unwrap().remove(0);
    (entry.head.offset.0, entry.bytes)
}

#[test]
fn a_follower_that_takes_sealed_entries_has_the_same_bytes_as_its_leader() {
    let (platform, _) = platform(Arc::new(SimDisk::new()));
    let (mut leader, ..) = open(&platform, SYNC).unwrap();
    for n in 1..40_u64 {
        let batch = (0..n % 4).map(|m| unit("T", (m % 2) as u32, &[n as u8; 90], "", 0)).collect();
        leader.append(draft(units(n, 1 + n / 10, batch)), ignore()).unwrap();
    }
    let (platform, _) = testing::platform(Arc::new(SimDisk::new()));
    let (mut follower, ..) = open(&platform, SYNC).unwrap();
    let mut next = 1;
    while let Some(run) = leader.reader().run(next..40, 1500).unwrap() {
        let mut bytes = run.bytes;
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            entries.push(Pending::Sealed(StoredEntry::split_first(&mut bytes).unwrap()));
        }
        assert_eq!(entries.len() as u32, run.entries);
        follower.append(entries, ignore()).unwrap();
        next = run.last.log_index + 1;
    }
    assert_eq!(follower.reader().digest(1, 39).unwrap(), leader.reader().digest(1, 39).unwrap());
    assert_eq!(follower.seal_state(), leader.seal_state());
    assert_eq!(follower.reader().segments(), leader.reader().segments());
    assert!(leader.reader().segments().len() > 2);
}

#[test]
fn a_sealed_entry_that_does_not_fit_its_place_is_refused_and_changes_nothing() {
    let (platform, _) = platform(Arc::new(SimDisk::new()));
    let (mut leader, ..) = open(&platform, SYNC).unwrap();
    for n in 1..=4 {
        leader.append(draft(units(n, n, vec![unit("T", 0, b"b", "", 0)])), ignore()).unwrap();
    }
    let entry = |n: u64| leader.reader().entries(n..n + 1, 1).unwrap().remove(0);
    let (platform, _) = testing::platform(Arc::new(SimDisk::new()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    log.append(vec![Pending::Sealed(entry(1)), Pending::Sealed(entry(2))], ignore()).unwrap();
    let before = (log.seal_state(), log.reader().ends(), log.reader().last());
    let reseal = |mut bytes: Vec<u8>| {
        let crc = crc32c::crc32c(&bytes[12..]).to_be_bytes();
        bytes[8..12].copy_from_slice(&crc);
        StoredEntry::parse(bytes.into()).unwrap()
    };
    let changed = |at: usize, byte: u8| {
        let mut bytes = entry(3).bytes.to_vec();
        bytes[at] = byte;
        bytes
    };
    let bad_crc = StoredEntry { bytes: changed(60, 99).into(), ..entry(3) };
    let cases = [
        ("crc", bad_crc),
        ("gap", entry(4)),
        ("repeat", entry(2)),
        ("term", reseal(changed(31, 1))),
        ("place", reseal(changed(OFFSET_AT + 7, 8))),
        ("queue offset", reseal(changed(ENTRY_HEAD_BYTES + 27, 7))),
        ("commitlog offset", reseal(changed(ENTRY_HEAD_BYTES + 35, 7))),
        ("store time", reseal(changed(ENTRY_HEAD_BYTES + 59, 0))),
        ("unit count", reseal(changed(43, 2))),
        ("unit", reseal(changed(ENTRY_HEAD_BYTES + 7, 0))),
    ];
    for (name, bad) in cases {
        let (done, told) = testing::done();
        // A good one before it goes with it.
        let error = log.append(vec![Pending::Sealed(bad)], done).unwrap_err();
        assert!(!matches!(error, AppendError::Stopped { .. }), "{name}: {error}");
        told.recv().unwrap().unwrap_err();
        assert_eq!((log.seal_state(), log.reader().ends(), log.reader().last()), before, "{name}");
    }
    log.append(vec![Pending::Sealed(entry(3)), Pending::Sealed(entry(2))], ignore()).unwrap_err();
    assert_eq!((log.seal_state(), log.reader().ends(), log.reader().last()), before);
    log.append(vec![Pending::Sealed(entry(3)), Pending::Sealed(entry(4))], ignore()).unwrap();
    assert_eq!(log.reader().digest(1, 4).unwrap(), leader.reader().digest(1, 4).unwrap());
}

#[test]
fn half_messages_take_no_queue_offset_and_time_never_goes_back() {
    use protocol::message::sys_flag::{TRANSACTION_COMMIT, TRANSACTION_PREPARED, TRANSACTION_ROLLBACK};
    let (platform, clock) = platform(Arc::new(SimDisk::new()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    let flags = [0, TRANSACTION_PREPARED, TRANSACTION_COMMIT, TRANSACTION_ROLLBACK, 0];
    let batch = flags.iter().map(|flag| unit("T", 0, b"b", "", *flag)).collect();
    log.append(draft(units(1, 1, batch)), ignore()).unwrap();
    clock.set_wall_ms(5);
    log.append(draft(units(2, 1, vec![unit("T", 0, b"b", "", 0)])), ignore()).unwrap();
    let mut found = Vec::new();
    for entry in log.reader().entries(1..3, u64::MAX).unwrap() {
        for unit in protocol::message::walk(&entry.payload()) {
            let view = protocol::message::parse(unit.unwrap()).unwrap();
            found.push((view.queue_offset, view.store_timestamp_ms as u64));
        }
    }
    let at = testing::START_MS;
    assert_eq!(found, [(0, at), (0, at), (1, at), (0, at), (2, at), (3, at)]);
}

#[test]
fn a_torn_last_entry_is_cut_wherever_it_was_torn() {
    let entry = {
        let disk = written(SYNC, 3);
        let (log, ..) = reopen(&disk.kill(0), SYNC).unwrap();
        stored(&log, 3)
    };
    for kept in 0..entry.1.len() {
        let disk = written(SYNC, 3);
        overwrite(&disk, 0, entry.0 + kept as u64, &vec![0; entry.1.len() - kept]);
        for disk in [disk.kill(0), disk.crash(0)] {
            let (mut log, recovery, _) =
                reopen(&disk, SYNC).unwrap_or_else(|error| panic!("{kept}: {error}"));
            // Zeroes at the end of an entry may be what stood there anyway.
            let is_whole = entry.1[kept..].iter().all(|byte| *byte == 0);
            assert_eq!(recovery.last.unwrap().log_index, if is_whole { 3 } else { 2 }, "kept {kept}");
            assert_eq!(recovery.cut_bytes > 0, kept > 0 && !is_whole, "kept {kept}");
            fill(&mut log, 2, 2);
            drop(log);
            let (log, ..) = reopen(&disk, SYNC).unwrap();
            log.reader().digest(1, log.reader().last().unwrap().log_index).unwrap();
        }
    }
}

#[test]
fn entries_left_from_before_a_truncation_are_not_taken_up_again() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    fill(&mut log, 1, 6);
    let old = stored(&log, 4);
    log.truncate_after(Some(2)).unwrap();
    assert_eq!(log.reader().last(), Some(LogPoint { term: 1, log_index: 2 }));
    fill(&mut log, 2, 1);
    drop(log);
    // Entries 4 to 6 are gone for good ...
    let (log, recovery, _) = reopen(&disk.kill(0), SYNC).unwrap();
    assert_eq!(recovery.last, Some(LogPoint { term: 2, log_index: 3 }));
    drop(log);
    // ... and would be refused for their term if they came back.
    overwrite(&disk, 0, old.0, &old.1);
    for disk in [disk.kill(0), disk.crash(0)] {
        let (_, recovery, _) = reopen(&disk, SYNC).unwrap();
        assert_eq!(recovery.last, Some(LogPoint { term: 2, log_index: 3 }));
    }
}

#[test]
fn an_intact_entry_behind_a_torn_one_is_not_taken_up_again_whatever_its_term() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, ASYNC).unwrap();
    fill(&mut log, 1, 1);
    fill(&mut log, 5, 2);
    let torn = stored(&log, 2).0;
    let (done, told) = testing::done();
    log.flush_barrier(done);
    told.recv().unwrap().unwrap();
    drop(log);
    overwrite(&disk, 0, torn + 70, b"torn");
    let disk = disk.crash(0);
    let (mut log, recovery, _) = reopen(&disk, ASYNC).unwrap();
    assert_eq!(recovery.last, Some(LogPoint { term: 1, log_index: 1 }));
    // A leader of term 6 whose second entry is of term 4: of the same size, and of a lower term than what lay there.
    fill(&mut log, 4, 1);
    drop(log);
    let (_, recovery, _) = reopen(&disk.kill(0), ASYNC).unwrap();
    assert_eq!(recovery.last, Some(LogPoint { term: 4, log_index: 2 }));
}

#[test]
fn a_damaged_byte_below_the_flushed_end_is_refused_by_name_and_numbers() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    fill(&mut log, 1, 5);
    log.set_committed(5).unwrap();
    drop(log);
    let disk = disk.kill(0);
    let (log, ..) = reopen(&disk, SYNC).unwrap();
    let (offset, bytes) = stored(&log, 3);
    let end = log.reader().ends().appended;
    drop(log);
    disk.rot(&segment_path(0), offset as usize + bytes.len() - 20);
    let error = reopen(&disk.crash(0), SYNC).err().unwrap();
    let text = error.to_string();
    assert!(matches!(error, OpenError::DamagedBelowFlushed { .. }), "{text}");
    for part in [segment_path(0).display().to_string(), format!("ends at {offset}"), format!("up to {end}")] {
        assert!(text.contains(&part), "{part:?} in {text:?}");
    }
}

#[test]
fn a_bad_entry_before_a_good_one_is_refused_unless_the_power_went_off() {
    let disk = written(ASYNC, 5);
    let (offset, _) = {
        let (log, ..) = reopen(&written(ASYNC, 5), ASYNC).unwrap();
        stored(&log, 3)
    };
    disk.rot(&segment_path(0), offset as usize + 60);
    let error = reopen(&disk.kill(0), ASYNC).err().unwrap();
    assert!(
        matches!(error, OpenError::DamagedBeforeLater { later: LogPoint { log_index: 4, .. }, .. }),
        "{error}"
    );
    // A loss of power writes pages in any order, and nobody was told that these were on disk.
    let last_after = |seed| reopen(&disk.crash(seed), ASYNC).unwrap().1.last.map_or(0, |last| last.log_index);
    let lasts: std::collections::BTreeSet<_> = (0..200).map(last_after).collect();
    assert!(lasts.len() > 3, "{lasts:?}");
}

#[test]
fn a_checkpoint_that_the_log_does_not_reach_is_dropped_and_fences_the_node() {
    let disk = written(SYNC, 3).kill(0);
    let (log, _, checkpoints) = reopen(&disk, SYNC).unwrap();
    let (offset, bytes) = stored(&log, 2);
    drop(log);
    for (log_index, next_offset) in [(2, offset + bytes.len() as u64), (9, 9000)] {
        let (last, next_offset) = (LogPoint { term: 1, log_index }, CommitlogOffset(next_offset));
        let seal = SealState::default();
        let written =
            testing::checkpoint(&checkpoints, last, next_offset, &seal, &[log_index as u8]).unwrap();
        checkpoints.name(written, Keep::Newest).unwrap();
    }
    let (log, recovery, checkpoints) = reopen(&disk.kill(0), SYNC).unwrap();
    assert_eq!(recovery.checkpoint.unwrap().sections.read().unwrap(), Some(Blob(vec![2])));
    assert!(recovery.maybe_forgot);
    assert_eq!(checkpoints.list().len(), 1);
    drop(log);
}

#[test]
fn a_committed_index_beyond_a_torn_log_is_clamped() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, ASYNC).unwrap();
    fill(&mut log, 1, 3);
    let (done, told) = testing::done();
    log.flush_barrier(done);
    told.recv().unwrap().unwrap();
    fill(&mut log, 1, 3);
    log.set_committed(6).unwrap();
    let mut clamped = 0;
    for seed in 0..100 {
        let (_, recovery, _) = reopen(&disk.crash(seed), ASYNC).unwrap();
        assert!(recovery.last.unwrap().log_index >= 3);
        assert!(recovery.committed <= recovery.last);
        assert!(recovery.maybe_forgot);
        clamped += u32::from(recovery.committed.is_some() && recovery.committed == recovery.last);
    }
    assert!(clamped > 10, "clamped {clamped} of 100");
}

#[test]
fn a_full_disk_at_a_roll_is_an_error_that_loses_nothing() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    fill(&mut log, 1, 20);
    let used = 40_000;
    disk.set_capacity(Some(used));
    let mut refused = 0;
    while refused < 3 {
        let before = (log.reader().last(), log.reader().ends(), log.seal_state());
        let next = before.0.unwrap().log_index + 1;
        match log.append(draft(units(next, 1, vec![unit("T", 0, &[7; 200], "", 0)])), ignore()) {
            Ok(_) => assert_eq!(refused, 0, "after a refusal the next append rolls too"),
            Err(AppendError::Segment { source, .. }) => {
                assert_eq!(source.kind(), io::ErrorKind::StorageFull);
                assert_eq!((log.reader().last(), log.reader().ends(), log.seal_state()), before);
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    disk.set_capacity(None);
    fill(&mut log, 1, 20);
    let last = log.reader().last();
    drop(log);
    assert_eq!(reopen(&disk.crash(3), SYNC).unwrap().1.last, last);
}

#[test]
fn a_failed_sync_is_final_and_everybody_is_told() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    let told = Told::default();
    log.append(draft(command(1, 1, b"a")), told.done(1)).unwrap();
    disk.fail_sync_after(0);
    log.append(draft(command(2, 1, b"b")), told.done(2)).unwrap();
    let error = log.append(draft(command(3, 1, b"c")), told.done(3)).unwrap_err();
    assert!(matches!(error, AppendError::Stopped { .. }));
    log.flush_barrier(told.done(4));
    assert_eq!(told.all(), [(1, true), (2, false), (3, false), (4, false)]);
    log.truncate_after(Some(1)).unwrap_err();
    log.close().unwrap_err();
}

/// Receives a checkpoint as from another node.
fn install(
    checkpoints: &mut Checkpoints,
    log_index: u64,
    next_offset: u64,
) -> Result<Checkpoint, CheckpointError> {
    let (last, next_offset) = (LogPoint { term: 3, log_index }, CommitlogOffset(next_offset));
    let seal = SealState { queue_ends: vec![("T".into(), 0, 77)], last_store_timestamp_ms: 9 };
    let sent = testing::checkpoint(checkpoints, last, next_offset, &seal, &[1, 2, 3])?;
    let mut receiving = checkpoints.dir().receive()?;
    receiving.append(&sent.checkpoint.sections.read_file(0, usize::MAX).unwrap())?;
    let received = receiving.finish()?;
    assert_eq!(received.checkpoint, sent.checkpoint);
    checkpoints.name(received, Keep::Installed)
}

#[test]
fn a_restart_behind_a_received_checkpoint_is_finished_after_a_crash_at_any_step() {
    for cut in 1..90 {
        let disk = written(SYNC, 40).kill(0);
        let (mut log, _, mut checkpoints) = reopen(&disk, SYNC).unwrap();
        disk.cut_after(cut);
        let installed = install(&mut checkpoints, 500, 100_008);
        let is_reset = installed.as_ref().is_ok_and(|checkpoint| log.reset_to(checkpoint).is_ok());
        let last = LogPoint { term: 3, log_index: 500 };
        drop(log);
        let disk = disk.crash(cut);
        let (mut log, recovery, _) = reopen(&disk, SYNC).unwrap_or_else(|error| panic!("cut {cut}: {error}"));
        if installed.is_ok() || recovery.last == Some(last) {
            assert_eq!((recovery.purged, recovery.last), (Some(last), Some(last)), "cut {cut}");
            let checkpoint = recovery.checkpoint.unwrap();
            assert_eq!(checkpoint.sections.read().unwrap(), Some(Blob(vec![1, 2, 3])));
            assert_eq!(log.seal_state(), checkpoint.seal);
            let head =
                log.append(draft(units(501, 3, vec![unit("T", 0, b"x", "", 0)])), ignore()).unwrap()[0];
            assert_eq!(head.offset, CommitlogOffset(100_008));
            drop(log);
            let (log, recovery, _) = reopen(&disk.crash(1), SYNC).unwrap();
            assert_eq!(recovery.last.unwrap().log_index, 501);
            assert_eq!(log.seal_state().queue_ends, [("T".to_owned(), 0, 78)]);
        } else {
            assert_eq!(recovery.last.unwrap().log_index, 40, "cut {cut}");
        }
        if is_reset {
            assert!(installed.is_ok());
        }
    }
}

#[test]
fn a_checkpoint_of_an_entry_that_is_there_only_purges() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, _, mut checkpoints) = open(&platform, SYNC).unwrap();
    fill(&mut log, 3, 60);
    let place = log.reader().position(30).unwrap().unwrap();
    let checkpoint = install(&mut checkpoints, 30, place.offset.0 + u64::from(place.entry_bytes)).unwrap();
    log.reset_to(&checkpoint).unwrap();
    let reader = log.reader();
    assert_eq!((reader.purged(), reader.first_index()), (Some(checkpoint.last), Some(31)));
    assert_eq!(reader.last().unwrap().log_index, 60);
    assert!(matches!(reader.entries(30..40, 1), Err(ReadError::PurgedIndex { log_index: 30, purged: 30 })));
    assert_eq!(reader.point(30), Some(checkpoint.last));
    assert_eq!(reader.entries(31..61, u64::MAX).unwrap().len(), 30);
    assert!(!disk.exists(&segment_path(0)), "a segment wholly below goes");
    let before = reader.digest(31, 60).unwrap();
    drop(log);
    let (log, recovery, _) = reopen(&disk.crash(5), SYNC).unwrap();
    assert_eq!((recovery.purged, recovery.last.unwrap().log_index), (Some(checkpoint.last), 60));
    assert_eq!(log.reader().digest(31, 60).unwrap(), before);
}

#[test]
fn a_purge_beyond_the_end_leaves_an_empty_log_that_goes_on_at_any_index() {
    let disk = written(SYNC, 3).kill(0);
    let (mut log, ..) = reopen(&disk, SYNC).unwrap();
    let upto = LogPoint { term: 2, log_index: 50 };
    log.purge_to(upto).unwrap();
    assert_eq!((log.reader().last(), log.reader().first_index()), (Some(upto), None));
    log.append(draft(command(60, 2, b"x")), ignore()).unwrap();
    log.truncate_after(None).unwrap();
    assert_eq!(log.reader().last(), Some(upto));
    log.append(draft(command(51, 2, b"x")), ignore()).unwrap();
    drop(log);
    let (_, recovery, _) = reopen(&disk.crash(0), SYNC).unwrap();
    assert_eq!(recovery.last, Some(LogPoint { term: 2, log_index: 51 }));
}

#[test]
fn a_node_that_may_have_forgotten_stays_fenced_until_it_has_caught_up() {
    let fenced = |disk: &SimDisk, flush| {
        let (log, recovery, _) = reopen(disk, flush).unwrap();
        (log, recovery.maybe_forgot)
    };
    let disk = written(ASYNC, 3);
    assert!(!fenced(&disk.kill(0), ASYNC).1, "a kill forgets nothing");
    let disk = disk.crash(0);
    assert!(fenced(&disk, ASYNC).1);
    let disk = disk.kill(0);
    let (mut log, is_fenced) = fenced(&disk, SYNC);
    assert!(is_fenced, "until it is lifted");
    log.fence_lifted().unwrap();
    drop(log);
    let disk = disk.kill(0);
    let (log, is_fenced) = fenced(&disk, ASYNC);
    assert!(!is_fenced);
    log.close().unwrap();
    assert!(!fenced(&disk.crash(0), ASYNC).1, "after a clean shutdown nothing is missing");
    assert!(!fenced(&written(SYNC, 3).crash(0), SYNC).1, "what was acknowledged was on disk");
}

#[test]
fn another_segment_size_and_a_second_owner_are_refused() {
    let disk = written(SYNC, 3).kill(0);
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (log, _, mut checkpoints) = open(&platform, SYNC).unwrap();
    let second = open(&platform, SYNC).err().unwrap();
    assert!(matches!(second, OpenError::Lock(crate::LockError::InUse { .. })), "{second}");
    drop(log);
    for segment_bytes in [8192, 1000, 0, 1 << 40] {
        let options = LogOptions { segment_bytes, ..testing::options("/log", SYNC) };
        CommitLog::open(&platform, options, &mut checkpoints).err().unwrap();
    }
    let error = OpenError::SegmentBytes { path: "/x".into(), found: 4096, configured: 8192 };
    assert_eq!(error.to_string(), "/x: the log has segments of 4096 bytes, not of 8192");
}

#[test]
fn a_missing_or_damaged_sidecar_only_costs_a_scan() {
    let disk = written(SYNC, 60).kill(0);
    let before = reopen(&disk, SYNC).unwrap().0.reader().digest(1, 60).unwrap();
    let sidecar = |base: u64| Path::new("/log/commitlog").join(format!("{base:020}.index"));
    assert!(disk.exists(&sidecar(0)) && disk.exists(&sidecar(4096)));
    disk.remove_file(&sidecar(0)).unwrap();
    disk.rot(&sidecar(4096), 30);
    let (log, ..) = reopen(&disk.kill(0), SYNC).unwrap();
    assert_eq!(log.reader().digest(1, 60).unwrap(), before);
}

#[test]
fn a_truncation_into_a_sealed_segment_takes_queue_offsets_back() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    for n in 1..=40 {
        log.append(draft(units(n, 1, vec![unit("T", 0, &[1; 150], "", 0); 2])), ignore()).unwrap();
    }
    assert!(log.reader().segments().len() > 3);
    log.set_committed(3).unwrap();
    log.truncate_after(Some(7)).unwrap();
    assert_eq!(log.seal_state().queue_ends, [("T".to_owned(), 0, 14)]);
    assert_eq!(log.reader().segments().len(), 1);
    for n in 8..=40 {
        log.append(draft(units(n, 2, vec![unit("T", 0, &[2; 50], "", 0)])), ignore()).unwrap();
    }
    let digest = log.reader().digest(1, 40).unwrap();
    assert_eq!(
        log.reader().term_starts(),
        [LogPoint { term: 1, log_index: 1 }, LogPoint { term: 2, log_index: 8 }]
    );
    drop(log);
    let (log, ..) = reopen(&disk.crash(2), SYNC).unwrap();
    assert_eq!(log.reader().digest(1, 40).unwrap(), digest);
    assert_eq!(log.seal_state().queue_ends, [("T".to_owned(), 0, 47)]);
}

#[test]
fn slices_are_given_below_the_committed_end_only_and_entries_are_found_by_offset() {
    let (platform, _) = platform(Arc::new(SimDisk::new()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    fill(&mut log, 1, 60);
    log.set_committed(50).unwrap();
    let reader = log.reader();
    for entry in reader.entries(1..61, u64::MAX).unwrap() {
        let (head, bytes) = (entry.head, entry.head.entry_bytes);
        if head.log_index <= 50 {
            assert_eq!(reader.slice(head.offset, bytes).unwrap(), entry.bytes);
            for offset in [head.offset, head.offset.plus(50), CommitlogOffset(head.end().0 - 1)] {
                assert_eq!(reader.entry_at_offset(offset).unwrap(), Some(entry.clone()));
            }
        } else {
            assert!(matches!(reader.slice(head.offset, bytes), Err(ReadError::NotCommitted { .. })));
            assert_eq!(reader.entry_at_offset(head.offset).unwrap(), None);
        }
    }
    assert_eq!(reader.entries(70..80, 1).unwrap(), []);
    assert_eq!(reader.entries(1..61, 1).unwrap().len(), 1, "at least one, whatever its size");
    let two = u64::from(reader.position(1).unwrap().unwrap().entry_bytes) * 2;
    assert_eq!(reader.entries(1..61, two).unwrap().len(), 2);
}

#[test]
fn real_files_and_threads_give_the_same_log_with_callbacks_in_order() {
    for flush in [SYNC, FlushMode::Async { interval_ms: 5 }] {
        let dir = tempfile::tempdir().unwrap();
        let platform = Platform { disk: Arc::new(OsDisk), ..Platform::os() };
        let mut checkpoints = Checkpoints::open(Arc::new(OsDisk), dir.path().join("checkpoints")).unwrap();
        let options = LogOptions { segment_bytes: 1 << 20, flush, ..LogOptions::new(dir.path()) };
        let (mut log, _) = CommitLog::open(&platform, options.clone(), &mut checkpoints).unwrap();
        let told = Told::default();
        for n in 1..=3000 {
            let batch = vec![unit("T", (n % 3) as u32, &[n as u8; 1000], "", 0)];
            log.append(draft(units(n, 1, batch)), told.done(n)).unwrap();
        }
        let (done, flushed) = testing::done();
        log.flush_barrier(done);
        flushed.recv().unwrap().unwrap();
        assert_eq!(told.all(), (1..=3000).map(|n| (n, true)).collect::<Vec<_>>());
        assert_eq!(log.reader().ends().flushed, log.reader().ends().appended);
        log.set_committed(3000).unwrap();
        let entries = log.reader().entries(1..3001, u64::MAX).unwrap();
        assert_eq!(entries.len(), 3000);
        let (first, second) = (&entries[0].bytes, &entries[1].bytes);
        assert_eq!(first.as_ptr_range().end, second.as_ptr_range().start, "neighbours, not copied");
        log.purge_to(LogPoint { term: 1, log_index: 1500 }).unwrap();
        let digest = log.reader().digest(1501, 3000).unwrap();
        let reader = log.reader();
        log.close().unwrap();
        assert_eq!(reader.purged_on_disk(), reader.purged(), "the helper makes it last before it ends");
        entries[0].verify().unwrap(); // its segment is gone from the directory, not from memory
        drop(reader);
        let (log, recovery) = match CommitLog::open(&platform, options.clone(), &mut checkpoints) {
            Err(OpenError::Units { log_index: 1501, .. }) => continue, // purged, and no checkpoint says where queues are
            other => other.unwrap(),
        };
        panic!("{:?} opened without a checkpoint: {recovery:?}, {digest:?}", log.reader().ends());
    }
}
