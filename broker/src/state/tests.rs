//! Tests of the replicated tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use platform::OsDisk;
use store::codec::{self, Record};
use store::{Checkpoints, CommitlogOffset, LogPoint, SealState};

use super::*;

/// See [`store::codec::golden::check`].
#[track_caller]
pub(crate) fn golden<R: Record + PartialEq + std::fmt::Debug>(newest: &[R], old: &[(u16, &[R])]) {
    let dir = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata"));
    codec::golden::check(dir, newest, old);
}

fn row(group: &str, topic: &str, queue_id: i32, queue_offset: i64) -> OffsetRow {
    OffsetRow { group: group.into(), topic: topic.into(), queue_id, queue_offset }
}

fn put(name: &str, queue_nums: i32, only_new: bool) -> Change {
    Change::PutTopics { topics: vec![TopicConfig::new(name, queue_nums, 6)], only_new, now_ms: 5 }
}

fn queue(topic: &str, queue_id: i32) -> LockedQueue {
    LockedQueue { topic: topic.into(), broker_name: "RaftNode00".into(), queue_id }
}

fn lock(client_id: &str, queues: &[LockedQueue], now_ms: u64) -> Change {
    Change::Lock {
        group: "CG".into(),
        client_id: client_id.into(),
        queues: queues.to_vec(),
        now_ms,
        lease_ms: 60_000,
    }
}

#[test]
fn automatic_creation_leaves_an_existing_topic_as_it_is() {
    let mut tables = Tables::default();
    assert_eq!(tables.apply(&put("T", 8, false)), Outcome::Done { changed: true });
    assert_eq!(tables.apply(&put("T", 4, true)), Outcome::Done { changed: false });
    assert_eq!(tables.topic("T").unwrap().write_queue_nums, 8);
    assert_eq!(tables.topic_version(), Version { counter: 1, timestamp_ms: 5 });
    assert_eq!(tables.apply(&put("T", 4, false)), Outcome::Done { changed: true });
    assert_eq!(tables.topic_version().counter, 2);
}

#[test]
fn the_same_topic_again_does_not_count_as_a_change() {
    let mut tables = Tables::default();
    tables.apply(&put("T", 8, false));
    assert_eq!(tables.apply(&put("T", 8, false)), Outcome::Done { changed: false });
    assert_eq!(tables.topic_version().counter, 1);
}

#[test]
fn a_deleted_topic_takes_its_offsets_and_locks_along() {
    let mut tables = Tables::default();
    tables.apply(&put("T", 8, false));
    tables.apply(&Change::StoreOffsets { rows: vec![row("CG", "T", 0, 7), row("CG", "U", 0, 9)], now_ms: 1 });
    tables.apply(&lock("a", &[queue("T", 0)], 0));
    tables.apply(&Change::DeleteTopic { topic: "T".into(), now_ms: 9 });
    assert_eq!(tables.topic("T"), None);
    assert_eq!(tables.consumer_offset("CG", "T", 0), None);
    assert_eq!(tables.consumer_offset("CG", "U", 0), Some(9));
    assert_eq!(tables.apply(&lock("b", &[queue("T", 0)], 1)), Outcome::Locked(vec![queue("T", 0)]));
}

#[test]
fn a_pending_reset_stands_against_the_consumer_until_it_is_taken() {
    let mut tables = Tables::default();
    let store = |offset| Change::StoreOffsets { rows: vec![row("CG", "T", 0, offset)], now_ms: 1 };
    tables.apply(&store(100));
    tables.apply(&Change::ResetOffsets { rows: vec![row("CG", "T", 0, 3)], now_ms: 2 });
    assert_eq!(tables.apply(&store(101)), Outcome::Done { changed: false });
    assert_eq!(tables.consumer_offset("CG", "T", 0), Some(3));
    assert_eq!(tables.pending_reset("CG", "T", 0), Some(3));
    tables.apply(&Change::TakeReset { group: "CG".into(), topic: "T".into(), queue_id: 0 });
    tables.apply(&store(4));
    assert_eq!(tables.consumer_offset("CG", "T", 0), Some(4));
}

#[test]
fn a_consumer_offset_may_go_back() {
    let mut tables = Tables::default();
    for offset in [10, 2] {
        tables.apply(&Change::StoreOffsets { rows: vec![row("CG", "T", 1, offset)], now_ms: 1 });
    }
    assert_eq!(tables.consumer_offset("CG", "T", 1), Some(2));
    assert_eq!(tables.offset_table()["T@CG"][&1], 2);
}

#[test]
fn a_queue_lock_has_one_holder_until_its_lease_is_over() {
    let mut tables = Tables::default();
    let wanted = [queue("T", 0), queue("T", 1)];
    assert_eq!(tables.apply(&lock("a", &wanted[..1], 0)), Outcome::Locked(wanted[..1].to_vec()));
    assert_eq!(tables.apply(&lock("b", &wanted, 59_999)), Outcome::Locked(wanted[1..].to_vec()));
    assert_eq!(tables.apply(&lock("b", &wanted, 60_000)), Outcome::Locked(wanted.to_vec()));
    assert_eq!(tables.apply(&lock("a", &wanted, 60_001)), Outcome::Locked(vec![]));
    let unlock = |client: &str| Change::Unlock {
        group: "CG".into(),
        client_id: client.into(),
        queues: vec![queue("T", 0)],
    };
    assert_eq!(tables.apply(&unlock("a")), Outcome::Done { changed: false });
    assert_eq!(tables.apply(&unlock("b")), Outcome::Done { changed: true });
    assert_eq!(tables.apply(&lock("a", &wanted, 60_002)), Outcome::Locked(wanted[..1].to_vec()));
}

#[test]
fn what_a_group_must_not_read_ends_with_the_group_and_with_the_topic() {
    let forbid = |topic: &str, readable| Change::Forbid {
        group: "CG".into(),
        topic: topic.into(),
        readable,
        now_ms: 7,
    };
    let mut tables = Tables::default();
    assert_eq!(tables.apply(&forbid("T", true)), Outcome::Done { changed: false });
    assert_eq!(tables.apply(&forbid("T", false)), Outcome::Done { changed: true });
    tables.apply(&forbid("U", false));
    assert!(!tables.may_read("CG", "T") && tables.may_read("DG", "T"));
    assert_eq!(tables.group_version(), Version { counter: 2, timestamp_ms: 7 });
    tables.apply(&Change::DeleteTopic { topic: "T".into(), now_ms: 8 });
    assert!(tables.may_read("CG", "T") && !tables.may_read("CG", "U"));
    tables.apply(&Change::DeleteGroup { group: "CG".into(), clean_offsets: false, now_ms: 9 });
    assert!(tables.forbidden().is_empty());
}

#[test]
fn properties_set_later_win_and_others_stay() {
    let set = |name: &str, value: &str| Change::SetProperties {
        properties: BTreeMap::from([(name.to_owned(), value.to_owned())]),
        now_ms: 5,
    };
    let mut tables = Tables::default();
    assert_eq!(tables.apply(&set("traceOn", "false")), Outcome::Done { changed: true });
    assert_eq!(tables.apply(&set("traceOn", "false")), Outcome::Done { changed: false });
    tables.apply(&set("brokerPermission", "4"));
    tables.apply(&set("traceOn", "true"));
    assert_eq!(tables.properties()["traceOn"], "true");
    assert_eq!(tables.properties()["brokerPermission"], "4");
    assert_eq!(tables.topic_version().counter, 1, "a permission counts for all topics");
}

#[test]
fn tables_survive_a_checkpoint_and_one_taken_before_a_change_does_not_know_it() {
    let mut tables = filled();
    let copy = tables.clone();
    tables.apply(&put("later", 1, false));
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(Arc::new(OsDisk), dir.path()).unwrap();
    let written =
        checkpoints.dir().write(LogPoint::default(), CommitlogOffset(0), &SealState::default(), |sections| {
            copy.put_into(sections)
        });
    let read = written.unwrap().checkpoint.sections;
    assert_eq!(Tables::read(&read).unwrap(), filled());
    assert_eq!(read.unread(), [("seal-state".into(), 0x010b)], "every table is read");
}

/// One of each.
fn changes() -> Vec<Change> {
    let mut topic = TopicConfig::new("T", 8, 6);
    topic.attributes.insert("message.type".into(), "DELAY".into());
    let (group, topic_name) = ("CG".to_owned(), "T".to_owned());
    vec![
        Change::PutTopics { topics: vec![topic], only_new: true, now_ms: 5 },
        Change::DeleteTopic { topic: "U".into(), now_ms: 6 },
        Change::PutGroups { groups: vec![GroupConfig::new("CG")], only_new: false, now_ms: 7 },
        Change::DeleteGroup { group: "DG".into(), clean_offsets: true, now_ms: 8 },
        Change::StoreOffsets { rows: vec![row("CG", "T", 0, 3)], now_ms: 9 },
        Change::ResetOffsets { rows: vec![row("CG", "T", 1, 4)], now_ms: 10 },
        Change::TakeReset { group: group.clone(), topic: topic_name.clone(), queue_id: 7 },
        lock("a", &[queue("T", 0)], 11),
        Change::Unlock { group: "CG".into(), client_id: "b".into(), queues: vec![queue("T", 1)] },
        Change::Forbid { group: group.clone(), topic: "U".into(), readable: false, now_ms: 12 },
        Change::SetRequestMode { topic: topic_name, group, mode: RequestMode::Pull },
        Change::SetProperties { properties: [("traceOn".into(), "false".into())].into(), now_ms: 13 },
        Change::SetDelayedAside { level: 3, offset: 17 },
    ]
}

/// One of each of the first version.
fn changes_v1() -> Vec<Change> {
    changes().into_iter().filter(|change| !matches!(change, Change::SetDelayedAside { .. })).collect()
}

/// With something in each.
pub(crate) fn filled() -> Tables {
    let mut tables = Tables::default();
    for change in &changes() {
        tables.apply(change);
    }
    tables.delivered(3, 17);
    tables.note_begins("U", [(0, 100), (1, 0)]);
    tables
}

#[test]
fn the_bytes_of_changes_and_outcomes_stay_what_they_are() {
    golden(&changes(), &[(1, &changes_v1())]);
    golden(&[Outcome::Done { changed: true }, Outcome::Locked(vec![queue("T", 0)]), Outcome::Unknown], &[]);
}

/// S1: whether a delivery follows is asked before anything of its entry is taken in.
#[test]
fn a_delivery_that_does_not_follow_is_found_before_it_is_applied() {
    let mut tables = Tables::default();
    let delivered = |level, from, count| LevelDelivered { level, from, count };
    assert_eq!(
        tables.check_deliveries(&[delivered(1, 0, 1), delivered(1, 1, 1), delivered(2, 0, 9)]),
        Ok(())
    );
    tables.take_delivered(&delivered(1, 0, 3));
    assert_eq!(tables.delay_progress(1), 3);
    assert_eq!(
        tables.check_deliveries(&[delivered(1, 3, 1), delivered(1, 6, 2)]),
        Ok(()),
        "records that were purged or set aside are passed over"
    );
    for twice in [&[delivered(1, 0, 1)][..], &[delivered(1, 2, 4)], &[delivered(1, 3, 2), delivered(1, 4, 1)]]
    {
        let refused = tables.check_deliveries(twice).unwrap_err().to_string();
        assert!(refused.contains("a second time"), "{refused}");
    }
}

/// A panic here would be one of every node, at every start.
#[test]
fn no_offset_that_a_log_can_hold_overflows() {
    for (from, count) in [(i64::MAX, 0), (i64::MAX, 1), (i64::MAX - 1, u32::MAX)] {
        let mut tables = Tables::default();
        let delivered = LevelDelivered { level: 1, from, count };
        assert_eq!(tables.check_deliveries([&delivered]), Ok(()));
        tables.take_delivered(&delivered);
        assert_eq!(tables.delay_progress(1), if count == 0 { 0 } else { i64::MAX });
    }
    for offset in [i64::MIN, -1, i64::MAX] {
        let mut tables = Tables::default();
        tables.apply(&Change::SetDelayedAside { level: 1, offset });
        assert!(tables.check_deliveries([&LevelDelivered { level: 1, from: i64::MIN, count: 1 }]).is_err());
    }
}

#[test]
fn a_delayed_message_set_aside_is_passed_over_once() {
    let mut tables = Tables::default();
    let aside = |offset| Change::SetDelayedAside { level: 3, offset };
    assert_eq!(tables.apply(&aside(0)), Outcome::Done { changed: true });
    assert_eq!(tables.apply(&aside(0)), Outcome::Done { changed: false });
    assert_eq!(tables.delay_progress(3), 1);
}

/// S8: no lock outlives its lease because a clock was set back.
#[test]
fn a_lock_from_a_clock_that_was_ahead_lasts_one_lease_from_the_next_request() {
    let mut tables = Tables::default();
    let wanted = [queue("T", 0)];
    tables.apply(&lock("a", &wanted, 10_000_000));
    assert_eq!(tables.apply(&lock("b", &wanted, 1_000_000)), Outcome::Locked(vec![]));
    assert_eq!(tables.apply(&lock("b", &wanted, 1_059_999)), Outcome::Locked(vec![]));
    assert_eq!(tables.apply(&lock("b", &wanted, 1_060_000)), Outcome::Locked(wanted.to_vec()));
}

/// S16: what a change is said to add is about what it adds.
#[test]
fn growth_is_what_the_tables_grow_by() {
    let mut tables = Tables::default();
    let mut wide = GroupConfig::new("CG");
    wide.retry_policy = "x".repeat(4_000);
    let mut topic = TopicConfig::new("T", 8, 6);
    topic.attributes.insert("message.type".into(), "NORMAL".into());
    let changes = [
        put("T", 8, false),
        Change::PutTopics { topics: vec![topic], only_new: false, now_ms: 1 },
        Change::PutGroups { groups: vec![GroupConfig::new("CG")], only_new: false, now_ms: 1 },
        Change::PutGroups { groups: vec![wide], only_new: false, now_ms: 1 },
        Change::StoreOffsets { rows: vec![row("CG", "T", 0, 7)], now_ms: 1 },
        Change::StoreOffsets { rows: vec![row("CG", "T", 1, 7)], now_ms: 1 },
        Change::SetProperties { properties: BTreeMap::from([("a".into(), "b".into())]), now_ms: 1 },
    ];
    for change in changes {
        let (before, growth) = (tables.bytes(), tables.growth(&change));
        tables.apply(&change);
        assert_eq!(tables.bytes(), before + growth, "{change:?}");
        assert!(growth > 0);
        if matches!(change, Change::StoreOffsets { .. } | Change::PutTopics { .. }) {
            assert_eq!(tables.growth(&change), 0, "a second time: {change:?}");
        }
    }
    assert_eq!(tables.growth(&put("T", 16, true)), 0, "it is there");
}
