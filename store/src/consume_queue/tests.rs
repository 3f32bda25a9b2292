//! Tests of consume queues: what they keep, what they forget, and whether Java would have written the same.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use platform::{Disk, OpenMode, OsDisk};
use protocol::message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::layout::file_path;
use super::*;
use crate::checkpoint::{Checkpoint, Sections};
use crate::commitlog::{FlushMode, LogReader, Pending};
use crate::dispatch::{dispatch_units, payload_offset, take_in};
use crate::key_index::KeyIndex;
use crate::queue_check::{check_queues, mend_around};
use crate::restore::restore;
use crate::search::Boundary::{Lower, Upper};
use crate::search::offset_by_time;
use crate::sim::SimDisk;
use crate::testing::{self, unit, units};

const OPTIONS: QueueOptions =
    QueueOptions { units_per_file: 10, open_files_max: 4, waiting_bytes_max: 100_000 };

fn at(n: u64) -> Unit {
    Unit { offset: CommitlogOffset(n * 100), size: 100, tag_hash: -(n as i64) }
}

fn open(disk: &SimDisk) -> Queues {
    Queues::open(Arc::new(disk.clone()), "/q", OPTIONS).unwrap()
}

fn fill(queues: &Queues, topic: &str, queue_id: u32, range: std::ops::Range<u64>) {
    for n in range {
        queues.append(topic, queue_id, QueueOffset(n), at(n));
    }
}

fn state(ends: &[(&str, u32, u64)]) -> SealState {
    let queue_ends = ends.iter().map(|(topic, id, next)| ((*topic).to_owned(), *id, *next)).collect();
    SealState { queue_ends, last_store_timestamp_ms: 7 }
}

/// Files and their bytes, but for the marks: how far files can be trusted is another matter than what is in them.
fn bytes_below(disk: &dyn Disk, dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let is_mark = |path: &PathBuf| path.extension().is_some_and(|name| name == "mark");
    for path in disk.list(dir).unwrap().into_iter().filter(|path| !is_mark(path)) {
        match disk.open(&path, platform::OpenMode::Read) {
            Ok(file) => {
                let mut bytes = vec![0; file.len().unwrap() as usize];
                file.read_exact_at(&mut bytes, 0).unwrap();
                found.insert(path, bytes);
            }
            Err(_) => found.extend(bytes_below(disk, &path)),
        }
    }
    found
}

#[test]
fn units_are_read_from_memory_and_files_alike() {
    let disk = SimDisk::new();
    let queues = open(&disk);
    fill(&queues, "T", 3, 0..25);
    queues.write_out().unwrap();
    fill(&queues, "T", 3, 25..38);
    let queue = queues.get("T", 3).unwrap();
    for from in 0..40 {
        for count in [0, 1, 7, 100] {
            let expected: Vec<_> = (from..38.min(from + count)).map(at).collect();
            assert_eq!(queue.read(QueueOffset(from), count as usize).unwrap(), expected, "{from} + {count}");
        }
    }
    assert_eq!((queue.min(), queue.max()), (QueueOffset(0), QueueOffset(38)));
    assert!(queues.get("T", 4).is_none());
    queues.flush().unwrap();
    let reopened = open(&disk.crash(1));
    assert_eq!(reopened.list(), queues.list());
    assert_eq!(
        reopened.get("T", 3).unwrap().read(QueueOffset(0), 100).unwrap(),
        (0..38).map(at).collect::<Vec<_>>()
    );
}

#[test]
fn a_checkpoint_brings_every_queue_back_to_where_it_was() {
    for next in 0..=25 {
        let disk = SimDisk::new();
        let queues = open(&disk);
        fill(&queues, "T", 0, 0..25);
        fill(&queues, "later", 0, 0..3);
        queues.flush().unwrap();
        let queues = open(&disk.crash(next));
        let mut seal = state(&[("T", 0, next)]);
        seal.queue_ends.retain(|_| next > 0);
        assert_eq!(queues.truncate_all(&seal).unwrap(), Restored::Whole);
        assert_eq!(queues.seal_state(), seal);
        fill(&queues, "T", 0, next..30);
        let read = queues.get("T", 0).unwrap().read(QueueOffset(0), 100).unwrap();
        assert_eq!(read, (0..30).map(at).collect::<Vec<_>>(), "next {next}");
        assert!(queues.get("later", 0).is_none());
    }
}

#[test]
fn missing_units_are_noticed() {
    let disk = SimDisk::new();
    let queues = open(&disk);
    fill(&queues, "T", 0, 0..25);
    queues.flush().unwrap();
    assert_eq!(open(&disk.crash(0)).truncate_all(&state(&[("T", 0, 26)])).unwrap(), Restored::Incomplete);
    for missing in ["/q/T/0/00000000000000000200", "/q/T/0/00000000000000000400"] {
        let disk = disk.crash(0);
        disk.remove_file(Path::new(missing)).unwrap();
        let queues = open(&disk);
        assert_eq!(queues.truncate_all(&state(&[("T", 0, 25)])).unwrap(), Restored::Incomplete);
        assert_eq!(queues.get("T", 0).unwrap().max(), QueueOffset(25));
    }
    disk.remove_dir_all(Path::new("/q/T")).unwrap();
    assert_eq!(open(&disk).truncate_all(&state(&[("T", 0, 25)])).unwrap(), Restored::Incomplete);
}

#[test]
fn a_restore_that_was_cut_short_is_not_taken_for_whole() {
    let disk = SimDisk::new();
    let queues = open(&disk);
    fill(&queues, "T", 0, 0..25);
    fill(&queues, "U", 0, 0..25);
    queues.flush().unwrap();
    queues.trust();
    let (seal, end) = (queues.seal_state(), CommitlogOffset(0));
    assert!(matches!(open(&disk.kill(0)).recover(&seal, end).unwrap(), Recovered::Whole));
    disk.remove_dir_all(Path::new("/q/U")).unwrap();
    let mut disk = disk;
    for _ in 0..3 {
        // Killed before anything was built anew.
        disk = disk.kill(0);
        assert!(matches!(open(&disk).recover(&seal, end).unwrap(), Recovered::Nothing));
    }
    open(&disk).clear().unwrap();
    assert!(matches!(open(&disk.kill(0)).recover(&seal, end).unwrap(), Recovered::Nothing));
}

#[test]
fn a_queue_begins_where_it_was_reset_and_a_dropped_topic_keeps_its_place() {
    let disk = SimDisk::new();
    let queues = open(&disk);
    for next in [1, 9, 10, 11, 35] {
        queues.reset_queue("T", 0, QueueOffset(next)).unwrap();
        let queue = queues.get("T", 0).unwrap();
        assert_eq!((queue.min(), queue.max()), (QueueOffset(next), QueueOffset(next)));
        fill(&queues, "T", 0, next..next + 12);
        queues.flush().unwrap();
        let reopened = open(&disk.crash(0));
        let seal = state(&[("T", 0, next + 12)]);
        assert_eq!(reopened.truncate_all(&seal).unwrap(), Restored::Whole);
        let queue = reopened.get("T", 0).unwrap();
        assert_eq!((queue.min(), queue.max()), (QueueOffset(next), QueueOffset(next + 12)));
        assert_eq!(queue.read(QueueOffset(0), 1).unwrap(), []);
        assert_eq!(queue.read(QueueOffset(next), 1).unwrap(), [at(next)]);
    }
    queues.drop_topic("T");
    let queue = queues.get("T", 0).unwrap();
    assert_eq!((queue.min(), queue.max()), (QueueOffset(47), QueueOffset(47)));
    assert_eq!(queue.read(QueueOffset(46), 1).unwrap(), []);
    queues.flush().unwrap();
    queues.trim_below(CommitlogOffset(0)).unwrap();
    let files = disk.list(Path::new("/q/T/0")).unwrap();
    assert_eq!(files.len(), 1, "the files that are passed go: {files:?}");
    let reopened = open(&disk.crash(0));
    assert_eq!(reopened.truncate_all(&state(&[("T", 0, 47)])).unwrap(), Restored::Whole);
    reopened.begin_at("T", 0, QueueOffset(47)); // the tables know
    assert_eq!(reopened.get("T", 0).unwrap().min(), QueueOffset(47));
    reopened.begin_at("T", 0, QueueOffset(99));
    reopened.begin_at("U", 0, QueueOffset(99));
    fill(&reopened, "T", 0, 47..50);
    assert_eq!(reopened.get("T", 0).unwrap().read(QueueOffset(47), 9).unwrap(), [at(47), at(48), at(49)]);
}

#[test]
fn a_trim_moves_the_first_unit_to_the_first_message_left() {
    let disk = SimDisk::new();
    let queues = open(&disk);
    fill(&queues, "T", 0, 0..45);
    fill(&queues, "idle", 0, 0..5);
    for (log_min, min) in
        [(0, 0), (1, 1), (100, 1), (101, 2), (2_499, 25), (2_500, 25), (4_400, 44), (9_999, 45)]
    {
        queues.write_out().unwrap();
        queues.trim_below(CommitlogOffset(log_min)).unwrap();
        let queue = queues.get("T", 0).unwrap();
        assert_eq!(
            (queue.min(), queue.max()),
            (QueueOffset(min), QueueOffset(45)),
            "log begins at {log_min}"
        );
        assert_eq!(queue.read(QueueOffset(min), 1).unwrap(), (min..45).take(1).map(at).collect::<Vec<_>>());
    }
    let names: Vec<_> = disk.list(Path::new("/q/T/0")).unwrap();
    assert_eq!(
        names,
        [Path::new("/q/T/0/00000000000000000800")],
        "the last file stays and says where the queue is"
    );
    let idle = queues.get("idle", 0).unwrap();
    assert_eq!(idle.min(), idle.max());
}

#[test]
fn ten_thousand_queues_are_cheap() {
    let dir = tempfile::tempdir().unwrap();
    let queues = Queues::open(Arc::new(OsDisk), dir.path(), QueueOptions::default()).unwrap();
    for round in 0..2 {
        for queue in 0..10_000 {
            queues.append(&format!("T{}", queue / 8), queue % 8, QueueOffset(round), at(round));
        }
        queues.write_out().unwrap();
    }
    drop(queues);
    let queues = Queues::open(Arc::new(OsDisk), dir.path(), QueueOptions::default()).unwrap();
    assert_eq!(queues.list().len(), 10_000);
    assert_eq!(queues.truncate_all(&queues.seal_state()).unwrap(), Restored::Whole);
    assert_eq!(queues.get("T1249", 7).unwrap().read(QueueOffset(0), 9).unwrap(), [at(0), at(1)]);
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The units of a log that Java wrote, each with its commitlog offset.
fn java_units(dir: &Path, is_dledger: bool) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    for path in OsDisk.list(&dir.join("log")).unwrap() {
        let base: u64 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let file = OsDisk.open(&path, platform::OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let mut at = 0;
        loop {
            let begin = if is_dledger { at + 48 } else { at };
            let Ok(size) = message::unit_size(bytes.get(begin..).unwrap_or_default()) else { break };
            found.push((base + begin as u64, bytes[begin..begin + size].to_vec()));
            at = begin + size;
        }
    }
    found
}

#[test]
fn the_units_are_those_that_java_writes_for_the_same_messages() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut compared = 0;
    for (name, is_dledger) in [("broker-5.3.3", false), ("dledger-5.3.3-n0", true)] {
        let dir = vectors.join(name);
        let queues = open(&SimDisk::new());
        let index = KeyIndex::open(Arc::new(SimDisk::new()), "/i").unwrap();
        let mut skipped = std::collections::BTreeSet::new();
        for (offset, unit) in java_units(&dir, is_dledger) {
            let Ok(view) = message::parse(&unit) else {
                continue; // two records that Java damaged when it wrote them
            };
            let queue = (view.topic.to_owned(), view.queue_id as u32);
            let max = queues.get(&queue.0, queue.1).map_or(0, |queue| queue.max().0);
            // Behind a damaged record, and in queues of inner batches, queue offsets are not dense.
            if crate::commitlog::is_queued(view.sys_flag) && view.queue_offset as u64 != max {
                skipped.insert(queue);
                continue;
            }
            if skipped.contains(&queue) {
                continue;
            }
            let place =
                CommitlogOffset(offset)..CommitlogOffset((offset + unit.len() as u64).next_multiple_of(8));
            take_in(&unit, place, &queues, &index, &mut |_, _, _| {}).unwrap();
        }
        let file = OsDisk.open(&dir.join("queues.tsv"), platform::OpenMode::Read).unwrap();
        let mut text = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut text, 0).unwrap();
        for line in String::from_utf8(text).unwrap().lines() {
            let fields: Vec<_> = line.split('\t').collect();
            let (topic, queue_id) = (fields[0], fields[1].parse().unwrap());
            // Delayed messages have the time of delivery in place of the tag; that is for those who deliver them.
            if topic == "SCHEDULE_TOPIC_XXXX" || skipped.contains(&(topic.to_owned(), queue_id)) {
                continue;
            }
            let units = queues
                .get(topic, queue_id)
                .map_or(Vec::new(), |queue| queue.read(QueueOffset(0), usize::MAX >> 1).unwrap());
            let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_bytes()).collect();
            assert_eq!(bytes, from_hex(fields[2]), "{name}: {topic}-{queue_id}");
            compared += units.len();
        }
        println!("{name}: skipped {skipped:?}");
    }
    assert!(compared > 300, "compared {compared} units");
}

/// A log of messages of several queues, all committed, at one millisecond each three.
fn log_of(disk: &SimDisk, entries: u64) -> crate::CommitLog {
    let (platform, clock) = testing::platform(Arc::new(disk.clone()));
    let (mut log, ..) = testing::open(&platform, FlushMode::Sync).unwrap();
    for n in 1..=entries {
        let key = format!("KEYS\u{1}k{} all\u{2}TAGS\u{1}Tag{}\u{2}UNIQ_KEY\u{1}U{n}\u{2}", n % 7, n % 3);
        let batch: Vec<BytesMut> = (0..3).map(|m| unit("T", m % 2, &[n as u8; 40], &key, 0)).collect();
        log.append(vec![Pending::Draft(units(n, 1, batch))], testing::ignore()).unwrap();
        clock.advance(std::time::Duration::from_millis(10));
    }
    log.set_committed(entries).unwrap();
    log
}

#[test]
fn queues_and_index_built_anew_from_the_log_have_the_same_bytes() {
    let disk = SimDisk::new();
    let log = log_of(&disk, 50);
    let queues = open(&disk);
    let index = KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap();
    let mut told = Vec::new();
    for entry in log.reader().entries(1..51, u64::MAX).unwrap() {
        let mut tell =
            |view: &message::MessageView<'_>, queue_offset: QueueOffset, offset: CommitlogOffset| {
                assert_eq!(view.physical_offset as u64, offset.0);
                told.push((view.queue_id, queue_offset.0));
            };
        dispatch_units(&entry, &queues, &index, &mut tell).unwrap();
    }
    assert_eq!(told[..4], [(0, 0), (1, 0), (0, 1), (0, 2)]);
    assert_eq!(queues.seal_state(), log.seal_state());
    queues.flush().unwrap();
    index.flush().unwrap();
    let before = (bytes_below(&disk, Path::new("/q")), bytes_below(&disk, Path::new("/i")));
    assert!(before.0.len() > 10 && before.1.len() == 1);
    disk.remove_dir_all(Path::new("/q/T")).unwrap();
    disk.remove_dir_all(Path::new("/i")).unwrap();
    let queues = open(&disk);
    let index = KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap();
    restore(&log.reader(), &checkpoint_at_end(&log), &queues, &index).unwrap();
    queues.flush().unwrap();
    index.flush().unwrap();
    let after = (bytes_below(&disk, Path::new("/q")), bytes_below(&disk, Path::new("/i")));
    assert!(after == before, "files {:?} and {:?}", before.0.keys(), after.0.keys());
    assert_eq!(index.query("T", "all", 1000, 0, u64::MAX).unwrap().len(), 150);
    assert_eq!(index.query("T", "U7", 1000, 0, u64::MAX).unwrap().len(), 3);
}

#[test]
fn a_search_by_time_answers_as_rocketmq_does() {
    let disk = SimDisk::new();
    let log = log_of(&disk, 20);
    let queues = open(&disk);
    let index = KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap();
    restore(&log.reader(), &checkpoint_at_end(&log), &queues, &index).unwrap();
    // Queue 0 has two messages every 10 ms, from offset 0.
    let queue = queues.get("T", 0).unwrap();
    let search = |time: i64, boundary| {
        offset_by_time(&queue, &log.reader(), (testing::START_MS as i64 + time) as u64, boundary).unwrap().0
    };
    for (time, lower, upper) in [(-5, 0, 0), (0, 0, 1), (10, 2, 3), (15, 4, 3), (190, 38, 39), (191, 40, 39)]
    {
        assert_eq!((search(time, Lower), search(time, Upper)), (lower, upper), "{time} ms");
    }
    queues.trim_below(log.reader().position(11).unwrap().unwrap().offset).unwrap();
    for (time, lower, upper) in [(-5, 20, 0), (100, 20, 21), (105, 22, 21)] {
        assert_eq!((search(time, Lower), search(time, Upper)), (lower, upper), "{time} ms, trimmed");
    }
    queues.reset_queue("E", 0, QueueOffset(0)).unwrap();
    let empty = queues.get("E", 0).unwrap();
    for boundary in [Lower, Upper] {
        assert_eq!(offset_by_time(&empty, &log.reader(), 5, boundary).unwrap(), QueueOffset(0));
    }
}

/// A checkpoint behind the log's last entry.
fn checkpoint_at_end(log: &crate::CommitLog) -> Checkpoint {
    let entries = log.reader().entries(1..u64::MAX, u64::MAX).unwrap();
    let head = &entries.last().unwrap().head;
    Checkpoint {
        last: head.point(),
        next_offset: head.end(),
        seal: log.seal_state(),
        sections: Sections::default(),
    }
}

/// A life of queues and index beside a log of 60 entries, some of it flushed, and a checkpoint on the way.
fn live(rng: &mut StdRng, disk: &SimDisk, log: &crate::CommitLog) -> Checkpoint {
    let (queues, index) = (open(disk), KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap());
    let at = rng.random_range(20..60);
    let mut checkpoint = None;
    for entry in log.reader().entries(1..61, u64::MAX).unwrap() {
        dispatch_units(&entry, &queues, &index, &mut |_, _, _| {}).unwrap();
        match rng.random_range(0..7) {
            0 => queues.write_out().unwrap(),
            1 => queues.flush().unwrap(),
            2 => index.flush().unwrap(),
            3 => index.write_out().unwrap(),
            _ => {}
        }
        if entry.head.log_index == at {
            queues.write_out().unwrap(); // as a checkpoint does
            let (last, next_offset) = (entry.head.point(), entry.head.end());
            checkpoint = Some(Checkpoint {
                last,
                next_offset,
                seal: queues.seal_state(),
                sections: Sections::default(),
            });
        }
    }
    checkpoint.unwrap()
}

/// All messages up to the checkpoint are in queues and index, once, and no others.
fn check_restored(log: &LogReader, first: u64, checkpoint: &Checkpoint, queues: &Queues, index: &KeyIndex) {
    assert_eq!(queues.seal_state(), checkpoint.seal);
    for entry in log.entries(first..61, u64::MAX).unwrap() {
        let is_below = entry.head.log_index <= checkpoint.last.log_index;
        let mut offset = payload_offset(&entry);
        for unit in message::walk(&entry.payload()) {
            let view = message::parse(unit.unwrap()).unwrap();
            let queue = queues.get(view.topic, view.queue_id as u32).unwrap();
            let unit = queue.unit(QueueOffset(view.queue_offset as u64)).unwrap();
            assert_eq!(unit.map(|unit| unit.offset), is_below.then_some(offset));
            let key = view.property("UNIQ_KEY").unwrap();
            let found = index.query(view.topic, key, 9, 0, u64::MAX).unwrap();
            assert_eq!(found.contains(&offset), is_below, "key {key}");
            offset = offset.plus(view.unit_bytes() as u64);
        }
    }
    let all = index.query("T", "all", 1000, 0, u64::MAX).unwrap();
    assert!(all.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice");
}

#[test]
fn whatever_a_crash_leaves_queues_and_index_are_as_the_checkpoint_says() {
    let seed = testing::seed(1000);
    for seed in seed..seed + 60 {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let disk = SimDisk::new();
        let mut log = log_of(&disk, 60);
        let checkpoint = live(&mut rng, &disk, &log);
        let purged = rng.random_range(0..20_u64);
        if purged > 0 {
            log.purge_to(log.reader().point(purged).unwrap()).unwrap();
        }
        // The disk of the log goes on: only what is beside it is hit.
        let mut hit = if rng.random() { disk.crash(seed) } else { disk.kill(seed) };
        for round in 0..3 {
            if round == 2 && rng.random() {
                hit.remove_dir_all(Path::new("/q/T")).unwrap();
            }
            let (queues, index) = (open(&hit), KeyIndex::open(Arc::new(hit.clone()), "/i").unwrap());
            restore(&log.reader(), &checkpoint, &queues, &index).unwrap();
            check_restored(&log.reader(), purged + 1, &checkpoint, &queues, &index);
            hit = if rng.random() { hit.crash(seed + round) } else { hit.kill(seed) };
        }
    }
}

/// S11: a purge that no trim followed, because it came late or the process died between the two.
#[test]
fn a_queue_begins_where_the_log_does_after_a_restart() {
    let disk = SimDisk::new();
    let mut log = log_of(&disk, 60);
    let checkpoint = checkpoint_at_end(&log);
    let reopened = |disk: &SimDisk| (open(disk), KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap());
    let (queues, index) = reopened(&disk);
    restore(&log.reader(), &checkpoint, &queues, &index).unwrap();
    queues.flush().unwrap();
    let queue = queues.get("T", 0).unwrap();
    assert_eq!(queue.min(), QueueOffset(0));
    log.purge_to(log.reader().point(30).unwrap()).unwrap();
    drop((queues, index));

    let (queues, index) = reopened(&disk.kill(1));
    restore(&log.reader(), &checkpoint, &queues, &index).unwrap();
    let queue = queues.get("T", 0).unwrap();
    let first = queue.unit(queue.min()).unwrap().unwrap();
    assert!(first.offset >= log.reader().ends().min, "{first:?} lies below the log's beginning");
    assert!(queue.min() > QueueOffset(0));
    log.reader().slice(first.offset, first.size).unwrap();
}

/// Nothing that a log can hold makes taking it in panic.
#[test]
fn a_message_that_is_not_the_next_of_its_queue_is_an_error() {
    let disk = SimDisk::new();
    let log = log_of(&disk, 20);
    let reader = log.reader();
    let (queues, index) = (open(&disk), KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap());
    let entries = reader.entries(1..21, 1 << 20).unwrap();
    let of_units = entries.iter().find(|entry| entry.head.unit_count > 0).unwrap();
    let again = || dispatch_units(of_units, &queues, &index, &mut |_, _, _| {});
    again().unwrap();
    let twice = again().unwrap_err().to_string();
    assert!(twice.contains("message 0 of queue") && twice.contains("next is "), "{twice}");
}

/// S17: the file of a queue has no checksum, but every unit can be computed again.
#[test]
fn damaged_units_are_found_and_mended_from_the_log() {
    let seed = testing::seed(7);
    let mut rng = StdRng::seed_from_u64(seed);
    let disk = SimDisk::new();
    let log = log_of(&disk, 120);
    let checkpoint = checkpoint_at_end(&log);
    let (queues, index) = (open(&disk), KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap());
    restore(&log.reader(), &checkpoint, &queues, &index).unwrap();
    queues.flush().unwrap();
    let (reader, queue) = (log.reader(), queues.get("T", 0).unwrap());
    let read = || {
        let all = queue.min().0..queue.max().0;
        all.map(|at| queue.unit(QueueOffset(at)).ok().flatten()).collect::<Vec<_>>()
    };
    let right = read();
    let (min, max) = (queue.min().0, queue.max().0);
    for round in 0..20 {
        let at = rng.random_range(min..max);
        let (base, left) =
            (at - at % OPTIONS.units_per_file, OPTIONS.units_per_file - at % OPTIONS.units_per_file);
        let file = disk.open(&file_path(Path::new("/q/T/0"), base), OpenMode::ReadWrite).unwrap();
        let units = if round % 2 == 0 { 1 } else { rng.random_range(1..=(max - at).min(left)) };
        let place = (at - base) * UNIT_BYTES as u64;
        let mut bytes = vec![0; units as usize * UNIT_BYTES];
        file.read_exact_at(&mut bytes, place).unwrap();
        if round % 3 == 0 {
            bytes.fill(0);
        } else {
            let hit = rng.random_range(0..bytes.len());
            bytes[hit] ^= 1 << rng.random_range(0..8);
        }
        file.write_all_at(&[IoSlice::new(&bytes)], place).unwrap();
        assert_ne!(read(), right, "seed {seed}, round {round}");
        let mended = if round % 4 < 2 {
            check_queues(&queues, &reader, reader.ends().min, reader.ends().committed)
        } else {
            mend_around(&queue, &reader, QueueOffset(at))
        };
        let mended = mended.unwrap();
        // A changed hash of a tag is none that a neighbour tells of: the scrub alone sees all.
        if read() != right {
            assert_eq!(round % 4 / 2, 1, "seed {seed}, round {round}, mended {mended}");
            assert!(check_queues(&queues, &reader, reader.ends().min, reader.ends().committed).unwrap() > 0);
        }
        assert_eq!(read(), right, "seed {seed}, round {round}");
    }
    queues.flush().unwrap();
    assert_eq!(open(&disk.crash(seed)).get("T", 0).unwrap().max(), queue.max());
}

/// S24: a queue that cannot be written out hides no message and ends no node.
#[test]
fn on_a_full_disk_units_stay_in_memory_until_they_can_be_written() {
    let disk = SimDisk::new();
    let (queues, index) = (open(&disk), KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap());
    let log = log_of(&SimDisk::new(), 20);
    let checkpoint = checkpoint_at_end(&log);
    disk.set_capacity(Some(0));
    // A node starts all the same, to make room.
    restore(&log.reader(), &checkpoint, &queues, &index).unwrap();
    let at = |n: u64| Unit { offset: CommitlogOffset(n * 100), size: 100, tag_hash: 0 };
    for n in 0..20_000 {
        queues.append("F", 0, QueueOffset(n), at(n));
    }
    assert!(queues.is_stuck());
    queues.write_out().unwrap_err();
    assert!(queues.backlog().bytes >= 400_000 && queues.backlog().error.is_some());
    let queue = queues.get("F", 0).unwrap();
    assert_eq!(queue.unit(QueueOffset(12_345)).unwrap(), Some(at(12_345)));
    queues.flush().unwrap_err();
    disk.set_capacity(None);
    queues.flush().unwrap();
    queues.write_out().unwrap();
    assert!(!queues.is_stuck());
    assert_eq!(queues.backlog(), Backlog::default());
    assert_eq!(queue.unit(QueueOffset(19_999)).unwrap(), Some(at(19_999)));
    assert_eq!(open(&disk).get("F", 0).unwrap().max(), QueueOffset(20_000));
}
