//! The log loses power, or is killed, at every single write and sync, is opened again, and must agree with a
//! naive model: a list of entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{CommitLog, Draft, EffectList, EntryKind, FlushMode, Pending};
use crate::LogPoint;
use crate::checkpoint::{Checkpoints, Keep, SealState};
use crate::sim::SimDisk;
use crate::testing::{self, Told};

/// What the log should hold.
#[derive(Clone, Default)]
struct Model {
    /// Index 1 is the first.
    entries: Vec<Entry>,
    /// The first so many may not be lost.
    durable: usize,
    committed: usize,
    purged: usize,
    term: u64,
    /// So many entries may be there, or gone, or anything between: a truncation was cut off. With the entries
    /// that were being truncated.
    truncating: Option<Vec<Entry>>,
}

#[derive(Clone)]
struct Entry {
    point: LogPoint,
    kind: EntryKind,
    /// Topic and queue of each unit, and their bodies.
    units: Vec<(String, u32, Vec<u8>)>,
    payload: Vec<u8>,
}

impl Model {
    /// The next queue offsets behind the first `count` entries.
    fn ends(&self, count: usize) -> Vec<(String, u32, u64)> {
        let mut ends = BTreeMap::new();
        for (topic, queue_id, _) in self.entries[..count].iter().flat_map(|entry| &entry.units) {
            *ends.entry((topic.clone(), *queue_id)).or_insert(0) += 1;
        }
        ends.into_iter().map(|((topic, queue_id), next)| (topic, queue_id, next)).collect()
    }

    fn draw(&self, rng: &mut StdRng, index: usize) -> Entry {
        let point = LogPoint { term: self.term, log_index: index as u64 };
        match rng.random_range(0..8) {
            0 => Entry { point, kind: EntryKind::Blank, units: Vec::new(), payload: Vec::new() },
            1 => {
                let payload = vec![rng.random(); rng.random_range(0..2500)];
                Entry { point, kind: EntryKind::Command, units: Vec::new(), payload }
            }
            _ => {
                let count = rng.random_range(1..4);
                let unit = |rng: &mut StdRng| {
                    let topic = format!("T{}", rng.random_range(0..2));
                    (topic, rng.random_range(0..2), vec![rng.random(); rng.random_range(0..300)])
                };
                let units = (0..count).map(|_| unit(rng)).collect();
                // Of units that stand alone, or change something besides.
                let effect = vec![7; rng.random_range(0..3) * 20];
                Entry { point, kind: EntryKind::Units, units, payload: effect }
            }
        }
    }
}

impl Entry {
    fn draft(&self) -> Draft {
        let payload: Vec<BytesMut> = match self.kind {
            EntryKind::Units => {
                let unit =
                    |(topic, id, body): &(String, u32, Vec<u8>)| testing::unit(topic, *id, body, "", 0);
                self.units.iter().map(unit).collect()
            }
            _ => vec![self.payload.as_slice().into()],
        };
        let mut effects = EffectList::default();
        if self.kind == EntryKind::Units && !self.payload.is_empty() {
            effects.push(0, self.units.len() as u32, &self.payload);
        }
        Draft {
            log_index: self.point.log_index,
            term: self.point.term,
            kind: self.kind,
            unit_count: self.units.len() as u32,
            payload,
            effects,
        }
    }
}

/// One random life of a log, until the power goes off. `Err` says that it has.
fn live(
    log: &mut CommitLog,
    checkpoints: &mut Checkpoints,
    model: &mut Model,
    rng: &mut StdRng,
    steps: usize,
) -> Result<(), ()> {
    let is_sync = log.options.flush == FlushMode::Sync;
    for _ in 0..steps {
        match rng.random_range(0..20) {
            0..10 => {
                let count = rng.random_range(1..4);
                let first = model.entries.len() + 1;
                let new: Vec<_> = (0..count).map(|n| model.draw(rng, first + n)).collect();
                model.entries.extend(new.iter().cloned());
                let told = Told::default();
                let pending = new.iter().map(|entry| Pending::Draft(entry.draft())).collect();
                log.append(pending, told.done(0)).map_err(drop)?;
                assert_eq!(told.all().len(), 1, "a callback for every append");
                if !told.all()[0].1 {
                    return Err(());
                }
                if is_sync {
                    model.durable = model.entries.len();
                }
            }
            10..12 => {
                let (done, told) = testing::done();
                log.flush_barrier(done);
                told.recv().unwrap().map_err(drop)?;
                model.durable = model.entries.len();
            }
            12..15 => {
                model.committed = model.committed.max(rng.random_range(0..=model.entries.len()));
                log.set_committed(model.committed as u64).map_err(drop)?;
            }
            15..17 => {
                let kept = rng.random_range(model.committed..=model.entries.len());
                model.truncating = Some(model.entries.split_off(kept));
                model.durable = model.durable.min(kept);
                log.truncate_after(Some(kept as u64)).map_err(drop)?;
                model.truncating = None;
                model.term += 1;
            }
            17 if model.committed > model.purged => {
                // A checkpoint of something committed, and sometimes a purge up to it.
                let at = rng.random_range(model.purged + 1..=model.committed);
                checkpoint_at(log, checkpoints, model, at)?;
                if rng.random() {
                    model.purged = at;
                    log.purge_to(model.entries[at - 1].point).map_err(drop)?;
                    checkpoints.prune(Some(model.entries[at - 1].point)).map_err(drop)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn checkpoint_at(
    log: &mut CommitLog,
    checkpoints: &mut Checkpoints,
    model: &mut Model,
    at: usize,
) -> Result<(), ()> {
    let (done, told) = testing::done();
    log.flush_barrier(done);
    told.recv().unwrap().map_err(drop)?;
    model.durable = model.entries.len();
    let place = log.reader().position(at as u64).unwrap().unwrap();
    let seal = SealState { queue_ends: model.ends(at), last_store_timestamp_ms: testing::START_MS };
    let next_offset = place.offset.plus(u64::from(place.entry_bytes));
    let written = testing::checkpoint(checkpoints, place.point, next_offset, &seal, &at.to_be_bytes());
    checkpoints.name(written.map_err(drop)?, Keep::Newest).map(drop).map_err(drop)
}

/// Opens the log, compares it with the model, and makes the model agree with what may differ.
fn check(disk: &SimDisk, flush: FlushMode, model: &mut Model) -> (CommitLog, Checkpoints) {
    let (platform, _) = testing::platform(Arc::new(disk.clone()));
    let (log, recovery, checkpoints) =
        testing::open(&platform, flush).unwrap_or_else(|error| panic!("{error}"));
    let reader = log.reader();
    let last = recovery.last.map_or(0, |last| last.log_index as usize);
    assert!(last >= model.durable, "ends at {last}, entries up to {} were durable", model.durable);
    if let Some(truncated) = model.truncating.take() {
        model.entries.extend(truncated);
    }
    assert!(last <= model.entries.len(), "ends at {last}, only {} entries were written", model.entries.len());
    let purged = recovery.purged.map_or(0, |purged| purged.log_index as usize);
    assert!(purged <= model.purged, "purged to {purged}, only {} was asked for", model.purged);
    assert_eq!(
        recovery.committed.map_or(0, |point| point.log_index as usize).max(model.committed),
        model.committed
    );
    model.purged = purged;
    model.entries.truncate(last);
    model.committed = model.committed.min(last);
    model.durable = last;
    let found = reader.entries(purged as u64 + 1..last as u64 + 1, u64::MAX).unwrap();
    assert_eq!(found.len(), last - purged, "entries from {purged} to {last}");
    for (entry, stored) in model.entries[purged..].iter().zip(&found) {
        stored.verify().unwrap();
        assert_eq!((stored.head.point(), stored.head.kind), (entry.point, entry.kind));
        if entry.kind == EntryKind::Units {
            let effects = stored.effects().unwrap();
            let records: Vec<_> = effects.iter().map(|effect| effect.record.as_ref()).collect();
            let wanted: Vec<_> =
                Some(&*entry.payload).filter(|payload| !payload.is_empty()).into_iter().collect();
            assert_eq!(records, wanted);
        } else {
            assert_eq!(stored.payload(), entry.payload);
        }
    }
    assert_eq!(log.seal_state().queue_ends, model.ends(last), "queue offsets at {last}, purged to {purged}");
    if let Some(checkpoint) = &recovery.checkpoint {
        assert!(checkpoint.last.log_index <= last as u64 && checkpoint.last.log_index >= purged as u64);
    }
    let is_known = |point: &Option<LogPoint>| {
        point.is_none_or(|point| model.entries[point.log_index as usize - 1].point == point)
    };
    assert!(is_known(&recovery.committed) && is_known(&recovery.purged));
    model.term += 1;
    (log, checkpoints)
}

/// Lives, is cut at every step, recovers; then twice more.
fn cut_everywhere(seed: u64, flush: FlushMode, ending: Ending) {
    let mut total = None;
    let mut cut = 1;
    while total.is_none_or(|total| cut <= total) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut disk = SimDisk::new();
        let mut model = Model { term: 1, ..Model::default() };
        for round in 0..3 {
            // A cut while the log is opened must not hurt either.
            if round > 0 {
                let cut_rng = rng.random_range(0..30);
                disk.cut_after(cut_rng);
                let (platform, _) = testing::platform(Arc::new(disk.clone()));
                drop(testing::open(&platform, flush));
                disk = after(&disk, ending, &mut rng);
            }
            let (mut log, mut checkpoints) = check(&disk, flush, &mut model);
            let before = disk.steps();
            if round == 0 {
                disk.cut_after(cut as u64);
            } else {
                disk.cut_after(rng.random_range(1..60));
            }
            let lived = live(&mut log, &mut checkpoints, &mut model, &mut rng, 40);
            if round == 0 && lived.is_ok() {
                total = Some((disk.steps() - before) as usize);
            }
            drop(log);
            disk = after(&disk, ending, &mut rng);
        }
        check(&disk, flush, &mut model);
        cut += 1;
    }
}

/// How lives end.
#[derive(Clone, Copy)]
enum Ending {
    PowerLoss,
    Kill,
    Either,
}

fn after(disk: &SimDisk, ending: Ending, rng: &mut StdRng) -> SimDisk {
    let is_kill = match ending {
        Ending::PowerLoss => false,
        Ending::Kill => true,
        Ending::Either => rng.random(),
    };
    if is_kill { disk.kill(rng.random()) } else { disk.crash(rng.random()) }
}

fn cut_with_seeds(first: u64, ending: Ending) {
    let first = testing::seed(first);
    for seed in first..first + 10 {
        println!("seed {seed}");
        for flush in [FlushMode::Sync, FlushMode::Async { interval_ms: 500 }] {
            cut_everywhere(seed, flush, ending);
        }
    }
}

#[test]
fn no_loss_of_power_loses_a_durable_entry_or_changes_one() {
    cut_with_seeds(1, Ending::PowerLoss);
}

#[test]
fn no_kill_loses_an_entry_that_was_written() {
    cut_with_seeds(4000, Ending::Kill);
}

#[test]
fn no_loss_of_power_after_a_kill_loses_what_was_found_after_the_kill() {
    cut_with_seeds(200, Ending::Either);
}
