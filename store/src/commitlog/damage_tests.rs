//! Stories of one log whose disk rots, fills up, or failed a sync: what it knows to have been durable, and what it does
//! about the rest. The findings' rows are named where each story begins.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use platform::{Disk, OpenMode, OsDisk};

use super::tests::{SYNC, draft, fill, overwrite, reopen, segment_path, stored, written};
use super::*;
use crate::sim::SimDisk;
use crate::sync;
use crate::testing::{self, command, ignore, open, platform, unit, units};

/// S2: messages, then more commands than retention ever looked at, until the segment is sealed.
#[test]
fn the_age_of_a_segment_is_that_of_its_last_message_however_far_back_it_is() {
    let disk = SimDisk::new();
    let (platform, clock) = platform(Arc::new(disk.clone()));
    let mut options = testing::options("/log", SYNC);
    options.segment_bytes = 256 << 10;
    let mut checkpoints = Checkpoints::open(Arc::clone(&platform.disk), "/log/checkpoints").unwrap();
    let (mut log, _) = CommitLog::open(&platform, options, &mut checkpoints).unwrap();
    for n in 1..=3 {
        clock.advance(std::time::Duration::from_secs(1));
        log.append(draft(units(n, 1, vec![unit("T", 0, b"b", "", 0)])), ignore()).unwrap();
    }
    while log.reader().segments().len() < 3 {
        fill(&mut log, 1, 100);
    }
    let segments = log.reader().segments();
    assert!(segments[0].last.log_index > 1_100, "more than one stretch: {}", segments[0].last);
    assert_eq!(log.reader().last_stored_ms(&segments[0]).unwrap(), Some(testing::START_MS + 3_000));
    assert_eq!(log.reader().last_stored_ms(&segments[1]).unwrap(), None);
    log.set_committed(u64::MAX).unwrap();
    assert_eq!(log.reader().first_stored_ms(10).unwrap(), Some(testing::START_MS + 1_000));

    let (at, _) = stored(&log, 3);
    sync::lock(&log.shared.last_stored_ms).clear();
    overwrite(&disk, 0, at + ENTRY_HEAD_BYTES as u64 + 60, b"rot");
    let unknown = log.reader().last_stored_ms(&segments[0]);
    assert!(matches!(unknown, Err(ReadError::Damaged { log_index: 3, .. })), "{unknown:?}");
}

fn reopen_with_peers(disk: &SimDisk) -> Result<(CommitLog, Recovery), OpenError> {
    let (platform, _) = platform(Arc::new(disk.clone()));
    let mut checkpoints = Checkpoints::open(Arc::clone(&platform.disk), "/log/checkpoints")?;
    CommitLog::open(
        &platform,
        LogOptions { has_peers: true, ..testing::options("/log", SYNC) },
        &mut checkpoints,
    )
}

/// S3: `ends` is written without a sync, so after a loss of power it may be as old as it likes.
#[test]
fn a_bad_entry_below_what_was_reported_durable_is_a_hole_that_is_kept_and_never_a_torn_tail() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    let ends = disk.open(Path::new("/log/ends"), OpenMode::ReadWrite).unwrap();
    let mut old_ends = vec![0; ends.len().unwrap() as usize];
    ends.read_exact_at(&mut old_ends, 0).unwrap();
    fill(&mut log, 1, 100);
    log.set_committed(99).unwrap();
    let places: Vec<(u64, Bytes)> = (1..=100).map(|n| stored(&log, n)).collect();
    drop(log);
    let crashed = || {
        let disk = disk.crash(7);
        let ends = disk.open(Path::new("/log/ends"), OpenMode::ReadWrite).unwrap();
        ends.write_all_at(&[IoSlice::new(&old_ends)], 0).unwrap();
        ends.sync_data().unwrap();
        disk
    };
    let (_, recovery) = reopen_with_peers(&crashed()).unwrap();
    assert_eq!((recovery.last.unwrap().log_index, recovery.maybe_forgot), (100, false));
    let whole = reopen(&crashed(), SYNC).unwrap().0.reader().digest(1, 100).unwrap();
    for n in [1, 40, 98, 99] {
        for at in [2, 9, 30, 60] {
            let disk = crashed();
            let offset = places[n - 1].0;
            disk.rot(&segment_path(offset / 4096 * 4096), (offset % 4096) as usize + at);
            let alone = reopen(&disk.kill(0), SYNC).err().unwrap();
            assert!(matches!(alone, OpenError::DamagedBelowFlushed { .. }), "{alone}");
            let mended = disk.kill(0);
            let (mut log, recovery) = reopen_with_peers(&mended).unwrap();
            // Nothing behind it is cut, so nothing was forgotten.
            let reader = log.reader();
            assert_eq!(recovery.last.map_or(0, |last| last.log_index), 100, "entry {n}, byte {at}");
            assert!(!recovery.maybe_forgot && recovery.cut_bytes == 0, "entry {n}, byte {at}");
            let damage = reader.damage();
            if at == 9 || at == 60 {
                assert_eq!(damage.len(), 1, "entry {n}, byte {at}");
                assert_eq!(
                    reader.missing(&damage[0].stretch),
                    [(n as u64, n as u64 + 1)],
                    "entry {n}, byte {at}"
                );
                reader.entries(n as u64..n as u64 + 1, 1).unwrap()[0].verify().unwrap_err();
                // It follows a leader meanwhile, and numbers messages itself once it is mended.
                log.append(draft(command(101, 1, b"a")), ignore()).unwrap();
                let numbers = draft(units(102, 1, vec![unit("T", 0, b"b", "", 0)]));
                let refused = log.append(numbers, ignore()).err().unwrap();
                assert!(
                    matches!(refused, AppendError::Uncounted { log_index } if log_index == n as u64),
                    "{refused}"
                );
                assert!(reader.repair(&damage[0].stretch, &[places[n - 1].1.clone()]).unwrap().is_empty());
                let numbers = draft(units(102, 1, vec![unit("T", 0, b"b", "", 0)]));
                log.append(numbers, ignore()).unwrap();
            } else {
                assert_eq!(
                    damage,
                    [],
                    "the header of entry {n}, byte {at}, follows from its place and checksum"
                );
            }
            assert_eq!(reader.digest(1, 100).unwrap(), whole, "entry {n}, byte {at}");
            drop(log);
            let (_, recovery) = reopen_with_peers(&mended.crash(1)).unwrap();
            assert!(recovery.last.unwrap().log_index >= 100 && !recovery.maybe_forgot);
        }
    }
    // The last one is proved by nothing yet: it may have been torn.
    let disk = crashed();
    let offset = places[99].0;
    disk.rot(&segment_path(offset / 4096 * 4096), (offset % 4096) as usize + 60);
    let (_, recovery) = reopen_with_peers(&disk).unwrap();
    assert_eq!((recovery.last.unwrap().log_index, recovery.maybe_forgot), (99, false));
}

/// S3: what is proved follows a truncation, and is proved without another append once the log is idle.
#[test]
fn what_is_proved_goes_back_with_a_truncation_and_forward_when_the_log_is_idle() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    fill(&mut log, 1, 100);
    log.truncate_after(Some(30)).unwrap();
    drop(log);
    let (_, recovery) = reopen_with_peers(&disk.crash(0)).unwrap();
    assert_eq!((recovery.last.unwrap().log_index, recovery.maybe_forgot), (30, false));

    let dir = tempfile::tempdir().unwrap();
    let platform = Platform { disk: Arc::new(OsDisk), ..Platform::os() };
    let mut checkpoints = Checkpoints::open(Arc::new(OsDisk), dir.path().join("checkpoints")).unwrap();
    let options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::new(dir.path()) };
    let (mut log, _) = CommitLog::open(&platform, options, &mut checkpoints).unwrap();
    let (done, told) = testing::done();
    log.append(draft(command(1, 1, b"alone")), done).unwrap();
    told.recv().unwrap().unwrap();
    let segment = Arc::clone(&sync::read(&log.shared.state).tail().segment);
    let end = log.reader().ends().appended.0;
    let deadline = platform.clock.monotonic() + std::time::Duration::from_secs(20);
    while evidence::Evidence::read(&segment).unwrap().is_none_or(|proved| proved.flushed < end) {
        assert!(platform.clock.monotonic() < deadline, "not proved up to {end}");
        std::thread::yield_now();
    }
}

/// S18: a damaged slot beside the log.
#[test]
fn a_damaged_slot_fences_and_the_fence_outlives_the_slot() {
    for name in ["ends", "purge", "run"] {
        let disk = written(SYNC, 3).kill(0);
        let (mut log, ..) = reopen(&disk, SYNC).unwrap();
        log.set_committed(2).unwrap();
        log.purge_to(log.reader().point(1).unwrap()).unwrap();
        log.close().unwrap();
        let path = Path::new("/log").join(name);
        for slot in [0, 4096] {
            let damaged = disk.kill(0);
            damaged.rot(&path, slot + 5);
            let fenced = |disk: &SimDisk| reopen(disk, SYNC).map(|(_, recovery, _)| recovery.maybe_forgot);
            let whole = !fenced(&disk.kill(0)).unwrap();
            assert!(whole, "{name} as it was");
            match fenced(&damaged) {
                Ok(is_fenced) => assert!(is_fenced, "{name}, slot at {slot}"),
                // An old purge point names entries that are gone: refused, in words.
                Err(error) => assert!(name == "purge", "{name}: {error}"),
            }
            if let Ok(is_fenced) = fenced(&damaged.kill(0)) {
                assert!(is_fenced, "{name}, slot at {slot}: after another start");
            }
        }
    }
}

/// S17: every byte of a sealed segment's entries, headers included, is mended with what another node has.
#[test]
fn a_damaged_stretch_is_found_by_the_scrub_and_written_anew_with_another_nodes_bytes() {
    let make = || {
        let disk = SimDisk::new();
        let (platform, _) = platform(Arc::new(disk.clone()));
        let (mut log, ..) = open(&platform, SYNC).unwrap();
        for n in 1..=60 {
            log.append(draft(units(n, 1 + n / 20, vec![unit("T", 0, &[n as u8; 150], "", 0)])), ignore())
                .unwrap();
        }
        log.set_committed(55).unwrap();
        (disk, log)
    };
    let (_, other) = make();
    let (disk, log) = make();
    let reader = log.reader();
    let scrub = || {
        let mut next = Some(CommitlogOffset(0));
        while let Some(from) = next {
            next = reader.scrub(from, 1000);
        }
        reader.damage()
    };
    assert_eq!(scrub(), []);
    let whole = reader.digest(1, 60).unwrap();
    let sealed = reader.segments().iter().filter(|segment| segment.is_sealed).count();
    assert!(sealed >= 3);
    let (offset, bytes) = stored(&log, 5);
    for at in [0, 5, 9, 14, 20, 29, 37, 45, 60, bytes.len() as u64 - 10] {
        disk.rot(&segment_path(0), (offset + at) as usize);
        let damage = scrub();
        assert_eq!(damage.len(), 1, "byte {at}: {damage:?}");
        let stretch = damage[0].stretch;
        assert!(stretch.start.0 <= offset && offset < stretch.end.0);
        reader.stretch(&stretch).unwrap_err();
        assert_eq!(reader.missing(&stretch), [(5, 6)], "byte {at}: those around it are intact");
        let entry =
            reader.entry_at_offset(CommitlogOffset(offset + bytes.len() as u64 + 60)).unwrap().unwrap();
        assert_eq!((entry.head.log_index, entry.verify()), (6, Ok(())), "byte {at}: as is the next one");
        let fetched = other.reader().intact(stretch.first_index, stretch.next_index);
        assert_eq!(fetched.len() as u64, stretch.next_index - stretch.first_index);
        let mut unfit = fetched.clone();
        let five = (5 - stretch.first_index) as usize;
        unfit[five] = fetched[five].iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == 70)).collect();
        assert_eq!(reader.repair(&stretch, &unfit).unwrap(), [(5, 6)]);
        assert_eq!(reader.damage().len(), 1);
        assert!(reader.repair(&stretch, &fetched).unwrap().is_empty());
        assert_eq!((scrub(), reader.digest(1, 60).unwrap()), (Vec::new(), whole), "byte {at}");
    }
    // Damaged on every copy: nobody gives it, and nothing is written over it.
    disk.rot(&segment_path(0), offset as usize + 60);
    assert!(matches!(reader.digest(1, 60), Err(ReadError::Damaged { log_index: 5, .. })));
    assert_eq!(reader.damage().len(), 1, "a reader that tests a checksum tells of it as well");
    reader.note_damage(CommitlogOffset(log.reader().ends().appended.0 - 8), "intact all the same");
    assert_eq!(reader.damage().len(), 1);
    assert!(!reader.damage()[0].is_everywhere);
    reader.note_everywhere(&reader.damage()[0].stretch, true);
    assert!(reader.damage()[0].is_everywhere);
}

/// G15: many bad entries, single ones and neighbours, at the ends of segments and of terms: what is intact is kept.
#[test]
fn holes_are_kept_wherever_they_are_and_filled_from_a_log_without_them() {
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(testing::seed(15));
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    for n in 1..=200 {
        log.append(draft(units(n, 1 + n / 50, vec![unit("T", 0, &[n as u8; 90], "", 0)])), ignore()).unwrap();
    }
    log.set_committed(150).unwrap();
    let reader = log.reader();
    let whole = reader.digest(1, 200).unwrap();
    let places: Vec<(u64, Bytes)> = (1..=200).map(|n| stored(&log, n)).collect();
    for round in 0..40 {
        let damaged = disk.kill(0);
        for _ in 0..rand::Rng::random_range(&mut rng, 1..6) {
            let n = rand::Rng::random_range(&mut rng, 1..200_usize);
            let (offset, bytes) = &places[n - 1];
            let at = rand::Rng::random_range(&mut rng, 0..bytes.len());
            damaged.rot(&segment_path(offset - offset % 4096), (offset % 4096) as usize + at);
        }
        let (found, recovery) = reopen_with_peers(&damaged).unwrap();
        let found_reader = found.reader();
        if recovery.maybe_forgot {
            // Two neighbours where a term changes, or the like: cut, and fenced.
            assert!(recovery.cut_bytes > 0 || recovery.last.unwrap().log_index < 200, "round {round}");
            continue;
        }
        assert_eq!(recovery.last.unwrap().log_index, 200, "round {round}");
        for damage in found_reader.damage() {
            let given = reader.intact(damage.stretch.first_index, damage.stretch.next_index);
            assert_eq!(
                found_reader.repair(&damage.stretch, &given).unwrap(),
                [],
                "round {round}: {damage:?}"
            );
        }
        assert_eq!(found_reader.damage(), [], "round {round}");
        assert_eq!(found_reader.digest(1, 200).unwrap(), whole, "round {round}");
        for n in 1..=200 {
            assert_eq!(found_reader.position(n).unwrap().unwrap().offset.0, places[n as usize - 1].0);
        }
    }
}

/// G15: zeros over several entries, as a disk that lost a page gives them: the log opens, whatever is behind them.
#[test]
fn a_log_opens_over_zeros_wherever_they_are() {
    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(testing::seed(16));
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    for n in 1..=200 {
        log.append(draft(units(n, 1, vec![unit("T", 0, &[n as u8; 90], "", 0)])), ignore()).unwrap();
    }
    log.set_committed(190).unwrap();
    let reader = log.reader();
    let whole = reader.digest(1, 200).unwrap();
    let places: Vec<u64> = (1..=200).map(|n| stored(&log, n).0).collect();
    for round in 0..60 {
        let damaged = disk.kill(0);
        let from = places[rand::Rng::random_range(&mut rng, 2..198_usize)];
        let bytes = rand::Rng::random_range(&mut rng, 20..700).min(4096 - from % 4096);
        overwrite(&damaged, from - from % 4096, from % 4096 + 13, &vec![0; bytes as usize - 13]);
        let (found, recovery) =
            reopen_with_peers(&damaged).unwrap_or_else(|error| panic!("round {round}: {error}"));
        if recovery.maybe_forgot {
            continue; // cut, and fenced
        }
        for damage in found.reader().damage() {
            let given = reader.intact(damage.stretch.first_index, damage.stretch.next_index);
            assert_eq!(found.reader().repair(&damage.stretch, &given).unwrap(), [], "round {round}");
        }
        assert_eq!(found.reader().digest(1, 200).unwrap(), whole, "round {round}");
    }
}

/// G15: of a stretch that is damaged on every node at another place, each gives what it has.
#[test]
fn what_is_damaged_elsewhere_on_each_node_is_mended_entry_by_entry() {
    let make = || {
        let disk = SimDisk::new();
        let (platform, _) = platform(Arc::new(disk.clone()));
        let (mut log, ..) = open(&platform, SYNC).unwrap();
        for n in 1..=60 {
            log.append(draft(units(n, 1, vec![unit("T", 0, &[n as u8; 150], "", 0)])), ignore()).unwrap();
        }
        log.set_committed(60).unwrap();
        (disk, log)
    };
    let logs = [make(), make(), make()];
    let whole = logs[0].1.reader().digest(1, 60).unwrap();
    // One stretch is a whole segment here; each node lacks another entry of it, and all lack number 7.
    for ((disk, log), lacks) in logs.iter().zip([&[2, 3, 7][..], &[5, 7], &[7, 8]]) {
        for n in lacks {
            disk.rot(&segment_path(0), stored(log, *n).0 as usize + 1);
        }
    }
    let readers = logs.each_ref().map(|(_, log)| log.reader());
    for reader in &readers {
        reader.scrub(CommitlogOffset(0), 4096);
        let damage = reader.damage();
        assert_eq!(damage.len(), 1, "{damage:?}");
        let mut missing = reader.missing(&damage[0].stretch);
        for other in &readers {
            let given = other.intact(damage[0].stretch.first_index, damage[0].stretch.next_index);
            missing = reader.repair(&damage[0].stretch, &given).unwrap();
        }
        assert_eq!(missing, [(7, 8)]);
        assert_eq!(reader.entries(1..7, 1 << 20).unwrap().len(), 6);
        assert_eq!(reader.entries(8..10, 1 << 20).unwrap().len(), 2, "behind it all can be read");
        reader.entries(7..8, 1 << 20).unwrap_err();
    }
    let (other, _) = make();
    let (given, _) = (reopen(&other.kill(0), SYNC).unwrap().0.reader().intact(7, 8), other);
    for reader in &readers {
        assert!(reader.repair(&reader.damage()[0].stretch, &given).unwrap().is_empty());
        assert_eq!((reader.damage(), reader.digest(1, 60).unwrap()), (Vec::new(), whole));
    }
}

/// A header that cannot be read where a commit, a purge or a truncation has to know a place does not stop the log.
#[test]
fn a_damaged_header_does_not_stop_the_owner_of_the_log() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    fill(&mut log, 1, 100);
    let reader = log.reader();
    let sealed = reader.segments()[0];
    let at = |log: &CommitLog, n| (stored(log, n).0 % 4096) as usize;
    // In the middle of a sealed segment, where entries are found by walking, and in the last one.
    let middle = sealed.last.log_index / 2;
    disk.rot(&segment_path(0), at(&log, middle) + 1);
    log.set_committed(middle + 1).unwrap();
    let committed = log.committed().map_or(0, |committed| committed.log_index);
    assert!(committed <= middle + 1, "it may lag, and is not wrong: {committed}");
    log.set_committed(sealed.last.log_index + 1).unwrap();
    assert_eq!(log.committed().unwrap().log_index, sealed.last.log_index + 1);
    let tail = reader.segments().last().unwrap().base.0;
    for n in [97, 98] {
        let offset = reader.position(n).unwrap().unwrap().offset.0;
        disk.rot(&segment_path(tail), (offset % 4096) as usize + 1);
    }
    log.set_committed(97).unwrap();
    assert_eq!(log.committed().unwrap().log_index, 97);
    log.truncate_after(Some(97)).unwrap();
    fill(&mut log, 1, 3);
    assert_eq!(reader.last().unwrap().log_index, 100);
    let second = reader.segments()[1].first.log_index;
    let offset = reader.position(second).unwrap().unwrap().offset.0;
    disk.rot(&segment_path(offset - offset % 4096), 1);
    log.purge_to(reader.point(second - 1).unwrap()).unwrap();
    assert_eq!(reader.ends().min.0, offset);
    assert_eq!(
        reader.entries(second..second + 1, 1).map_err(|error| error.to_string().contains("header")),
        Err(true)
    );
    assert_eq!(reader.first_damaged(0), Some(second));
}

/// S24: the next segment is made ahead, so a full disk is known while the log still takes what is on its way.
#[test]
fn a_full_disk_is_told_before_an_append_needs_it_and_forgotten_when_there_is_room() {
    let disk = SimDisk::new();
    let platform = Platform { disk: Arc::new(disk.clone()), ..Platform::os() };
    let mut checkpoints = Checkpoints::open(Arc::clone(&platform.disk), "/log/checkpoints").unwrap();
    let options = LogOptions { helpers: Helpers::Threads, ..testing::options("/log", SYNC) };
    let (mut log, _) = CommitLog::open(&platform, options, &mut checkpoints).unwrap();
    let reader = log.reader();
    let deadline = platform.clock.monotonic() + std::time::Duration::from_secs(30);
    let wait = |what: &str, is_met: &dyn Fn() -> bool| {
        while !is_met() {
            assert!(platform.clock.monotonic() < deadline, "{what}");
            std::thread::yield_now();
        }
    };
    wait("the next segment is there", &|| disk.exists(&segment_path(4096)));
    disk.set_capacity(Some(46_000)); // what is there, and no further segment
    let roll = |log: &mut CommitLog| {
        let sealed = reader.segments().len();
        while reader.segments().len() <= sealed {
            fill(log, 1, 1);
        }
    };
    fill(&mut log, 1, 1);
    roll(&mut log);
    wait("no room", &|| reader.room_left().is_some());
    let left = reader.room_left().unwrap();
    assert!(left > 3_000, "{left} bytes are left for what is on its way");
    fill(&mut log, 1, 10);
    assert!(reader.room_left().unwrap() < left);
    let next = reader.last().unwrap().log_index + 1;
    let too_much = log.append(draft(command(next, 1, &[0; 3_500])), ignore());
    assert!(matches!(too_much, Err(AppendError::Segment { .. })), "{too_much:?}");
    disk.set_capacity(None);
    wait("room again, without anybody's doing", &|| reader.room_left().is_none());
    roll(&mut log);
    let last = reader.last().unwrap();
    log.close().unwrap();
    assert_eq!(reopen(&disk.kill(0), SYNC).unwrap().1.last, Some(last));
}

/// Issue 8, part 4: after a failed sync the page cache holds what the disk does not.
#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again_at_the_next_start() {
    let disk = SimDisk::new();
    let (platform, _) = platform(Arc::new(disk.clone()));
    let (mut log, ..) = open(&platform, SYNC).unwrap();
    fill(&mut log, 1, 30);
    disk.fail_sync_after(0);
    let (done, told) = testing::done();
    log.append(draft(command(31, 1, b"not on disk")), done).unwrap();
    told.recv().unwrap().unwrap_err();
    drop(log);
    let disk = disk.kill(0);
    let last = reopen(&disk, SYNC).unwrap().1.last.unwrap().log_index;
    assert_eq!(last, 31, "it is in the cache, and the node acts on it");
    assert_eq!(reopen(&disk.crash(0), SYNC).unwrap().1.last.unwrap().log_index, 31);
}
