//! Entries of every form, as a leader writes them, through the broker's side of the log.

use std::sync::mpsc::sync_channel;

use bytes::BytesMut;
use platform::Platform;
use protocol::message::{UnitFields, encode_unit};
use settings::Properties;
use store::{Checkpoints, CommitLog, Draft, EffectList, LogOptions, Pending, QueueOptions};

use super::*;
use crate::config::{BrokerConfig, Machine};
use crate::state::TopicConfig;

struct Rig {
    log: CommitLog,
    apply: BrokerApply,
    log_index: u64,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let platform = Platform::os();
        let mut checkpoints =
            Checkpoints::open(Arc::clone(&platform.disk), dir.path().join("checkpoints")).unwrap();
        let options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::new(dir.path().join("log")) };
        let (log, _) = CommitLog::open(&platform, options, &mut checkpoints).unwrap();
        let (disk, queues) = (&platform.disk, dir.path().join("queues"));
        let queues = Queues::open(Arc::clone(disk), queues, QueueOptions::default()).unwrap();
        let index = KeyIndex::open(Arc::clone(disk), dir.path().join("index")).unwrap();
        let config = BrokerConfig::read(Properties::new(), &Machine::loopback("/nowhere")).unwrap();
        let signals = Signals {
            woken: mpsc::unbounded_channel().0,
            topics_changed: watch::channel(0).0,
            live: Arc::new(LiveConfig::new(config)),
        };
        let holds = Arc::new(LongPolls::new(1));
        let apply = BrokerApply::new(Arc::new(queues), Arc::new(index), Arc::default(), holds, signals);
        Self { log, apply, log_index: 0, _dir: dir }
    }

    /// Seals one entry, and applies it. Effects are (first unit, units, record).
    fn apply(&mut self, units: Vec<BytesMut>, effects: &[(u32, u32, Vec<u8>)]) -> Result<Reply, Halt> {
        self.log_index += 1;
        let mut list = EffectList::default();
        for (first, count, record) in effects {
            list.push(*first, *count, record);
        }
        let (kind, unit_count) = (EntryKind::Units, units.len() as u32);
        let draft =
            Draft { log_index: self.log_index, term: 1, kind, unit_count, payload: units, effects: list };
        let (done, written) = sync_channel(1);
        let told = Box::new(move |outcome: Result<(), _>| done.send(outcome.is_ok()).unwrap());
        self.log.append(vec![Pending::Draft(draft)], told).unwrap();
        assert!(written.recv().unwrap());
        let entries = self.log.reader().entries(self.log_index..self.log_index + 1, u64::MAX).unwrap();
        self.apply.apply(&entries[0])
    }

    fn max(&self, topic: &str) -> u64 {
        self.apply.queues.get(topic, 0).map_or(0, |queue| queue.max().0)
    }

    fn progress(&self, level: i32) -> i64 {
        self.apply.tables.read().unwrap().delay_progress(level)
    }
}

/// A message unit that is not sealed.
pub(crate) fn unit(topic: &str, prepared_transaction_offset: i64) -> BytesMut {
    let host = "127.0.0.1:10911".parse().unwrap();
    let fields = UnitFields {
        topic,
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: 5,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset,
        body: b"body",
        properties: "",
    };
    let mut unit = BytesMut::new();
    encode_unit(&fields, &mut unit).unwrap();
    unit
}

fn delivered(level: i32, from: i64, count: u32) -> Vec<u8> {
    codec::encode(&LevelDelivered { level, from, count }).unwrap()
}

fn put(topic: &str) -> Vec<u8> {
    let topics = vec![TopicConfig::new(topic, 1, 6)];
    codec::encode(&Change::PutTopics { topics, only_new: true, now_ms: 1 }).unwrap()
}

/// Proposals of both forms share an entry while the group's level rises: each is told what came of its own.
#[test]
fn each_effect_has_its_answer_and_a_delivery_of_the_old_form_has_none() {
    let mut rig = Rig::new();
    let units = vec![unit("T", delay::old_form::mark(1, 0)), unit("T", 0), unit("U", 0)];
    let effects = [(1, 0, put("T")), (1, 1, delivered(2, 0, 1)), (2, 1, put("U")), (3, 0, put("U"))];
    let reply = rig.apply(units, &effects).unwrap();
    assert_eq!(reply.units.iter().map(|unit| unit.0).collect::<Vec<_>>(), [0, 1, 0]);
    let done = |changed| codec::encode(&Outcome::Done { changed }).unwrap();
    assert_eq!(reply.values, [done(true), Vec::new(), done(true), done(false)]);
    assert_eq!((rig.progress(1), rig.progress(2)), (1, 1));
}

/// A topic that is deleted between two proposals of one entry loses the messages before, and none behind.
#[test]
fn effects_take_their_turn_among_the_units() {
    let mut rig = Rig::new();
    let delete = codec::encode(&Change::DeleteTopic { topic: "T".into(), now_ms: 1 }).unwrap();
    rig.apply(vec![unit("T", 0), unit("T", 0)], &[(0, 1, put("T")), (1, 0, delete)]).unwrap();
    let queue = rig.apply.queues.get("T", 0).unwrap();
    assert_eq!((queue.min().0, queue.max().0), (1, 2));
    assert_eq!(rig.apply.tables.read().unwrap().begin("T", 0), 1);
}

/// What does not fit is found before anything of its entry can be seen.
#[test]
fn an_effect_that_does_not_fit_halts_and_shows_nothing_of_its_entry() {
    for wrong in
        [delivered(1, 0, 1), delivered(1, 5, 2), vec![1, 2, 3], codec::encode(&Outcome::Unknown).unwrap()]
    {
        let mut rig = Rig::new();
        rig.apply(vec![unit("T", 0)], &[(0, 1, delivered(1, 0, 1))]).unwrap();
        let halted = rig.apply(vec![unit("T", 0)], &[(0, 0, put("U")), (0, 1, wrong)]);
        assert!(matches!(halted, Err(Halt::Entry(_))), "{halted:?}");
        assert_eq!((rig.max("T"), rig.progress(1)), (1, 1));
        assert!(rig.apply.tables.read().unwrap().topic("U").is_none());
    }
}
