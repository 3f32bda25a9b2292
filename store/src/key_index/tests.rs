//! Tests of the key index, most of them against a list.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::sim::SimDisk;
use crate::testing;

/// Every key ever put: key, offset, time.
type Model = Vec<(u32, u64, u64)>;

fn query(model: &Model, key: u32, max: usize, begin_ms: u64, end_ms: u64) -> Vec<CommitlogOffset> {
    let fits = |(k, _, time): &&(u32, u64, u64)| *k == key && (begin_ms..=end_ms).contains(time);
    model.iter().rev().filter(fits).map(|(_, offset, _)| CommitlogOffset(*offset)).take(max).collect()
}

fn check(index: &KeyIndex, model: &Model, rng: &mut StdRng) {
    for _ in 0..20 {
        let key = rng.random_range(0..400);
        let end = model.last().map_or(10, |(_, _, time)| *time);
        let (a, b) = (rng.random_range(0..=end), rng.random_range(0..=end));
        for (begin, end) in [(0, u64::MAX), (a.min(b), a.max(b))] {
            for max in [1, 64, 100_000] {
                let found = index.query("T", &key.to_string(), max, begin, end).unwrap();
                assert_eq!(
                    found,
                    query(model, key, max, begin, end),
                    "key {key}, {begin}..={end}, at most {max}"
                );
            }
        }
    }
}

#[test]
fn the_index_finds_what_a_list_finds_over_files_restarts_and_cuts() {
    let mut rng = StdRng::seed_from_u64(testing::seed(5));
    let mut disk = SimDisk::new();
    let mut index = KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap();
    let mut model = Model::new();
    let (mut offset, mut time) = (0, 1_000);
    for round in 0..12 {
        for _ in 0..rng.random_range(1_000..40_000) {
            offset += 100;
            time += rng.random_range(0..3);
            let first = rng.random_range(0..400);
            for key in [first, first + 1] {
                index.put("T", &key.to_string(), CommitlogOffset(offset), time);
                model.push((key, offset, time));
            }
        }
        assert_eq!(
            index.last_update(),
            LastUpdate { store_timestamp_ms: time, offset: CommitlogOffset(offset) }
        );
        check(&index, &model, &mut rng);
        if round % 2 == 0 {
            index.flush().unwrap();
        }
        if round % 3 == 2 {
            // As at a restart from a checkpoint: what is behind it is put again. It was flushed before.
            index.flush().unwrap();
            let cut = model[rng.random_range(model.len() / 10 * 9..model.len())].1;
            disk = disk.crash(round);
            index = KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap();
            check(&index, &model, &mut rng);
            index.truncate_to(CommitlogOffset(cut)).unwrap();
            model.retain(|(_, offset, _)| *offset < cut);
            offset = cut - 100;
            disk = disk.crash(round);
            index = KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap();
            check(&index, &model, &mut rng);
        }
    }
    assert!(disk.list(std::path::Path::new("/i")).unwrap().len() > 3);
}

#[test]
fn a_crash_before_a_flush_keeps_all_that_was_flushed() {
    for seed in 0..30 {
        let disk = SimDisk::new();
        let index = KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap();
        let put = |n: u64| index.put("T", &(n % 10).to_string(), CommitlogOffset(n), n);
        (0..1_000).for_each(put);
        index.flush().unwrap();
        (1_000..RUN_ENTRIES as u64 + 500).for_each(put); // replaces the flushed part by a full run
        let index = KeyIndex::open(Arc::new(disk.crash(seed)), "/i").unwrap();
        index.truncate_to(CommitlogOffset(1_000)).unwrap();
        assert_eq!(index.query("T", "3", usize::MAX, 0, u64::MAX).unwrap().len(), 100, "seed {seed}");
    }
}

#[test]
fn after_a_crash_all_keys_below_the_covered_end_are_there() {
    const RUN: u64 = 100;
    let open =
        |disk: &SimDisk| KeyIndex::open_with(Arc::new(disk.clone()), "/i".into(), RUN as usize).unwrap();
    let disk = SimDisk::new();
    let index = open(&disk);
    for n in 1..=12 * RUN {
        index.put("T", &(n % 10).to_string(), CommitlogOffset(n), n);
        index.note_covered(CommitlogOffset(n + 1));
        if n % RUN == 7 {
            index.write_out().unwrap();
        }
        if n == 3 * RUN + 50 {
            index.flush().unwrap();
        }
    }
    let mut ends = std::collections::BTreeSet::new();
    for seed in 0..1000 {
        let index = open(&disk.crash(seed));
        let covered = index.covered().0;
        assert!(covered > 3 * RUN + 50, "what was flushed is there");
        let expected = (1..covered).filter(|n| n % 10 == 3).count();
        let found = index.query("T", "3", usize::MAX, 0, u64::MAX).unwrap();
        assert_eq!(
            found.iter().filter(|offset| offset.0 < covered).count(),
            expected,
            "seed {seed}: {covered}"
        );
        ends.insert(covered);
    }
    assert!(ends.len() > 4, "{ends:?}");
}

#[test]
fn trimmed_messages_go_by_whole_files_and_a_cleared_index_is_empty() {
    let disk = SimDisk::new();
    let index = KeyIndex::open(Arc::new(disk.clone()), "/i").unwrap();
    for n in 0..3 * RUN_ENTRIES as u64 {
        index.put("T", &(n % 10).to_string(), CommitlogOffset(n), n);
    }
    let trim = |end: usize| {
        index.trim_below(CommitlogOffset(end as u64 + 7)).unwrap();
        let found = index.query("T", "3", usize::MAX, 0, u64::MAX).unwrap();
        assert!(found.iter().all(|offset| offset.0 >= end as u64));
        let left = (end as u64..3 * RUN_ENTRIES as u64).filter(|n| n % 10 == 3).count();
        assert_eq!(found.len(), left);
    };
    trim(RUN_ENTRIES); // from memory
    assert_eq!(index.backlog().bytes, (RUN_ENTRIES * ENTRY_BYTES) as u64);
    index.write_out().unwrap();
    assert_eq!(index.backlog(), Backlog::default());
    trim(2 * RUN_ENTRIES);
    assert_eq!(index.query("other", "3", 9, 0, u64::MAX).unwrap(), []);
    index.clear().unwrap();
    assert_eq!(index.query("T", "3", 9, 0, u64::MAX).unwrap(), []);
    assert_eq!(index.last_update(), LastUpdate::default());
}

#[test]
fn a_message_with_the_same_key_twice_is_found_once() {
    let index = KeyIndex::open(Arc::new(SimDisk::new()), "/i").unwrap();
    for offset in [5, 5, 9] {
        index.put("T", "k", CommitlogOffset(offset), 1);
    }
    assert_eq!(index.query("T", "k", 9, 0, 9).unwrap(), [CommitlogOffset(9), CommitlogOffset(5)]);
}
