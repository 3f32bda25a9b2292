//! Three whole nodes in one thread, in simulated time, on disks and links that fail: every step follows from a seed.
//!
//! `TRIREME_SIM_SEEDS=1000..2000 cargo test -p raft sim::` runs these seeds. A seed that found something stays below.

mod clients;
mod ledger;
mod machine;
mod world;

use std::ops::Range;

use world::{Outcome, Story, run};

/// Runs with every test.
const SEEDS: Range<u64> = 0..40;

/// Writes, syncs and changes of names at which the power goes off.
const STEPS: u64 = 160;

fn seeds() -> Range<u64> {
    let Ok(range) = std::env::var("TRIREME_SIM_SEEDS") else { return SEEDS };
    let (from, to) = range.split_once("..").expect("TRIREME_SIM_SEEDS is a range such as 0..100");
    from.parse().unwrap()..to.parse().unwrap()
}

fn begin() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .try_init();
}

/// Runs a story twice from its seed: it keeps its promises, and both runs are the same.
fn tell(seed: u64, story: Story) -> Outcome {
    println!("seed {seed}: {story:?}");
    let outcome = run(seed, story);
    println!("seed {seed}: {outcome}");
    assert_eq!(run(seed, story), outcome, "seed {seed}: the second run differs from the first");
    outcome
}

#[test]
fn a_group_keeps_its_promises_whatever_fails() {
    begin();
    let mut failed = Vec::new();
    let (mut acknowledged, mut starts) = (0, 0);
    for seed in seeds() {
        let outcome = tell(seed, Story::default());
        acknowledged += outcome.acknowledged;
        starts += outcome.starts;
        if !outcome.violations.is_empty() {
            println!("seed {seed}: {:#?}", outcome.violations);
            failed.push(seed);
        }
    }
    println!("{acknowledged} proposals acknowledged, {starts} starts");
    assert!(failed.is_empty(), "seeds that broke a promise: {failed:?}");
}

/// From the first write of a new node on: its directory is made, the group is founded, entries come.
#[test]
fn the_power_goes_off_at_each_of_the_first_writes_and_syncs() {
    begin();
    for steps in 1..=STEPS {
        let outcome = tell(steps, Story { cut: Some((steps % 3 + 1, steps)), ..Story::default() });
        assert!(outcome.violations.is_empty(), "step {steps}: {:#?}", outcome.violations);
    }
}

/// A follower whose disk is full was given more than it had room for, since what was on its way into the log was not
/// counted; its node ended, where it should have refused.
#[test]
fn a_follower_without_room_counts_what_is_on_its_way_into_its_log() {
    begin();
    let outcome = tell(189, Story::default());
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
}

/// The founder lost power after it had written down the id of the new group, and before the first entry: all members
/// joined a group that nobody had founded, and waited for a leader for ever.
#[test]
fn a_founder_that_dies_between_the_id_and_the_first_entry_founds_the_group_later() {
    begin();
    let outcome = tell(1347, Story::default());
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
}

/// The seeds that break a promise in this story, with the first one that each breaks.
fn found_in(story: Story, seeds: Range<u64>) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    for seed in seeds {
        if let Some(first) = tell(seed, story).violations.into_iter().next() {
            println!("seed {seed}: {first:.200}");
            found.push((seed, first));
        }
    }
    found
}

/// The harness is alive: what disks lose that say they have synced is found.
#[test]
fn disks_that_lie_about_their_syncs_are_found() {
    begin();
    let found = found_in(Story { lying_disks: true, ..Story::default() }, 0..12);
    assert!(found.len() >= 4, "only {found:#?}");
}

/// The harness is alive: so is what nodes lose that acknowledge before they sync.
#[test]
fn acknowledgements_before_the_sync_are_found() {
    begin();
    let found = found_in(Story { early_acknowledgements: true, ..Story::default() }, 0..24);
    let changed = found.iter().filter(|(_, first)| first.contains("applies another entry"));
    assert!(changed.count() >= 4, "only {found:#?}");
}
