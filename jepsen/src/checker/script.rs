//! Hand-made histories for the checkers' tests: one queue `t/0`, three nodes, one step a call.
//!
//! The message of value `a` has the attempt `a.0`; queue offset `Q` lies at commitlog offset
//! `1000 + 100 Q`, unless a step says otherwise.

use std::sync::Arc;

use super::{Validity, Verdict, check_all};
use crate::history::{Event, Facts, Function, History, Kind, Named, Process, Record, Start};

pub(crate) const QUEUE: &str = "t/0";
const NODES: [&str; 3] = ["n0", "n1", "n2"];
const DELAY_QUEUE: &str = "d/0";
const SENTINEL: &str = "end";

/// Events so far.
pub(crate) struct Script {
    events: Vec<Event>,
    sentinel_at: Option<u64>,
    readers: u64,
    waited_ns: u64,
}

impl Script {
    /// A run that has just begun, with `n0` seen to lead term 1.
    pub(crate) fn new() -> Self {
        let start = Start {
            nodes: NODES.map(Arc::from).to_vec(),
            queues: vec![QUEUE.into()],
            retries: false,
            scenario: "hand-made".to_owned(),
            seed: 0,
        };
        let value = Some(serde_json::to_value(start).unwrap());
        let mut script = Self { events: Vec::new(), sentinel_at: None, readers: 1_000, waited_ns: 0 };
        let process = Process::Named(Named::Harness);
        script.push(process, Kind::Info, Function::Start, Facts { value, ..Facts::default() });
        script.status("n0", 1, "leader");
        script
    }

    pub(crate) fn history(&self) -> History {
        History::new(&self.events).unwrap()
    }

    fn push(&mut self, process: Process, kind: Kind, function: Function, facts: Facts) -> &mut Self {
        let index = self.events.len() as u64;
        let time_ns = index * 1_000_000 + self.waited_ns;
        self.events.push(Event { index, time_ns, process, kind, function, facts });
        self
    }

    /// This much time passes.
    pub(crate) fn later(&mut self, ms: u64) -> &mut Self {
        self.waited_ns += ms * 1_000_000;
        self
    }

    pub(crate) fn fault(&mut self, function: Function, node: &str, state: &str) -> &mut Self {
        let facts = Facts {
            value: Some(serde_json::json!({ "nodes": [node] })),
            state: Some(serde_json::from_value(state.into()).unwrap()),
            ..Facts::default()
        };
        self.push(Process::Named(Named::Nemesis), Kind::Info, function, facts)
    }

    fn op(&mut self, process: u64, function: Function, asked: Facts, told: Facts) -> &mut Self {
        self.worker(process, Kind::Invoke, function, asked).worker(process, Kind::Ok, function, told)
    }

    pub(crate) fn max(&mut self, process: u64, node: &str, end: u64) -> &mut Self {
        let asked = Facts { queue: Some(QUEUE.into()), node: Some(node.into()), ..Facts::default() };
        self.op(process, Function::Max, asked, number(Some(end)))
    }

    pub(crate) fn commit(&mut self, process: u64, offset: u64) -> &mut Self {
        self.op(process, Function::Commit, of_group(Some(offset)), Facts::default())
    }

    pub(crate) fn reset(&mut self, process: u64, offset: u64) -> &mut Self {
        self.op(process, Function::Reset, of_group(Some(offset)), Facts::default())
    }

    pub(crate) fn query(&mut self, process: u64, told: Option<u64>) -> &mut Self {
        self.op(process, Function::Query, of_group(None), number(told))
    }

    pub(crate) fn invoke_commit(&mut self, process: u64, offset: u64) -> &mut Self {
        self.worker(process, Kind::Invoke, Function::Commit, of_group(Some(offset)))
    }

    pub(crate) fn end_commit(&mut self, process: u64) -> &mut Self {
        self.worker(process, Kind::Ok, Function::Commit, Facts::default())
    }

    pub(crate) fn invoke_query(&mut self, process: u64) -> &mut Self {
        self.worker(process, Kind::Invoke, Function::Query, of_group(None))
    }

    pub(crate) fn end_query(&mut self, process: u64, told: Option<u64>) -> &mut Self {
        self.worker(process, Kind::Ok, Function::Query, number(told))
    }

    pub(crate) fn failed_commit(&mut self, process: u64, offset: u64) -> &mut Self {
        self.invoke_commit(process, offset).worker(process, Kind::Fail, Function::Commit, Facts::default())
    }

    pub(crate) fn unknown_commit(&mut self, process: u64, offset: u64) -> &mut Self {
        self.invoke_commit(process, offset).worker(process, Kind::Info, Function::Commit, Facts::default())
    }

    pub(crate) fn leader(&mut self, process: u64, term: u64, leader: &str, read_index: u64) -> &mut Self {
        let told = Facts { term: Some(term), leader: Some(leader.to_owned()), ..number(Some(read_index)) };
        self.op(process, Function::Leader, Facts::default(), told)
    }

    /// What n2 says of the leader without asking anybody.
    pub(crate) fn local_leader(&mut self, process: u64, term: u64, leader: &str) -> &mut Self {
        let asked = Facts { node: Some("n2".into()), ..Facts::default() };
        let told = Facts { term: Some(term), leader: Some(leader.to_owned()), ..Facts::default() };
        self.op(process, Function::LocalLeader, asked, told)
    }

    /// The name server's word at rest.
    pub(crate) fn route(&mut self, process: u64, leader: Option<&str>) -> &mut Self {
        let asked = Facts { done: true, ..Facts::default() };
        let told = Facts { leader: leader.map(str::to_owned), ..Facts::default() };
        self.op(process, Function::Route, asked, told)
    }

    /// A message acknowledged at once that is to be delivered to `d/0` later.
    pub(crate) fn delayed(&mut self, process: u64, value: &str, delay_ms: u64) -> &mut Self {
        let asked = Facts {
            queue: Some(DELAY_QUEUE.into()),
            value: Some(value.into()),
            attempt: Some(format!("{value}.0").into()),
            delay_ms: Some(delay_ms),
            ..Facts::default()
        };
        self.op(process, Function::DelaySend, asked, Facts::default())
    }

    pub(crate) fn delay_poll(&mut self, process: u64, records: &[(&str, u64)], done: bool) -> &mut Self {
        let asked = Facts { queue: Some(DELAY_QUEUE.into()), from: Some(0), ..Facts::default() };
        let told = Facts { records: Some(records_at(records)), done, ..Facts::default() };
        self.op(process, Function::DelayPoll, asked, told)
    }

    fn worker(&mut self, process: u64, kind: Kind, function: Function, facts: Facts) -> &mut Self {
        self.push(Process::Worker(process), kind, function, facts)
    }

    fn invoke_attempt(&mut self, process: u64, value: &str, attempt: &str) -> &mut Self {
        let facts = Facts {
            queue: Some(QUEUE.into()),
            value: Some(value.into()),
            attempt: Some(attempt.into()),
            sentinel: value == SENTINEL,
            ..Facts::default()
        };
        self.worker(process, Kind::Invoke, Function::Send, facts)
    }

    pub(crate) fn invoke(&mut self, process: u64, value: &str) -> &mut Self {
        self.invoke_attempt(process, value, &format!("{value}.0"))
    }

    pub(crate) fn ack(&mut self, process: u64, _value: &str, at: u64) -> &mut Self {
        let facts = Facts {
            queue_offset: Some(at),
            commitlog_offset: Some(commitlog_offset(at)),
            ..Facts::default()
        };
        self.worker(process, Kind::Ok, Function::Send, facts)
    }

    /// An acknowledgement that bears the term and the log index.
    pub(crate) fn ack_in(&mut self, process: u64, at: u64, term: u64, log_index: u64) -> &mut Self {
        let facts = Facts {
            queue_offset: Some(at),
            commitlog_offset: Some(commitlog_offset(at)),
            term: Some(term),
            log_index: Some(log_index),
            ..Facts::default()
        };
        self.worker(process, Kind::Ok, Function::Send, facts)
    }

    pub(crate) fn acked(&mut self, process: u64, value: &str, at: u64) -> &mut Self {
        self.invoke(process, value).ack(process, value, at)
    }

    pub(crate) fn acked_attempt(&mut self, process: u64, value: &str, attempt: &str, at: u64) -> &mut Self {
        self.invoke_attempt(process, value, attempt).ack(process, value, at)
    }

    /// An unknown outcome retires its process, so each takes one of its own.
    pub(crate) fn unknown(&mut self, process: u64, value: &str) -> &mut Self {
        self.unknown_attempt(process, value, &format!("{value}.0"))
    }

    pub(crate) fn unknown_attempt(&mut self, process: u64, value: &str, attempt: &str) -> &mut Self {
        let own = process * 100 + self.events.len() as u64 + 10_000;
        self.invoke_attempt(own, value, attempt);
        let facts = Facts { error: Some("timeout".to_owned()), ..Facts::default() };
        self.worker(own, Kind::Info, Function::Send, facts)
    }

    pub(crate) fn failed(&mut self, process: u64, value: &str) -> &mut Self {
        let facts = Facts { error: Some("refused".to_owned()), ..Facts::default() };
        self.invoke(process, value).worker(process, Kind::Fail, Function::Send, facts)
    }

    pub(crate) fn sentinel(&mut self, at: u64) -> &mut Self {
        self.sentinel_at = Some(at);
        self.acked(900, SENTINEL, at)
    }

    pub(crate) fn seek(&mut self, process: u64, to: u64) -> &mut Self {
        let facts = Facts { queue: Some(QUEUE.into()), from: Some(to), ..Facts::default() };
        self.worker(process, Kind::Info, Function::Seek, facts)
    }

    pub(crate) fn status(&mut self, node: &str, term: u64, role: &str) -> &mut Self {
        let facts = Facts {
            node: Some(node.into()),
            term: Some(term),
            role: Some(role.to_owned()),
            ..Facts::default()
        };
        self.push(Process::Named(Named::Watch), Kind::Info, Function::Status, facts)
    }

    pub(crate) fn exit(&mut self, node: &str, how: &str) -> &mut Self {
        let facts = Facts { node: Some(node.into()), error: Some(how.to_owned()), ..Facts::default() };
        self.push(Process::Named(Named::Harness), Kind::Info, Function::Exit, facts)
    }

    pub(crate) fn poll(&mut self, process: u64, records: &[(&str, u64)]) -> &mut Self {
        let from = records.first().map_or(0, |record| record.1);
        self.poll_from(process, from, records)
    }

    pub(crate) fn poll_from(&mut self, process: u64, from: u64, records: &[(&str, u64)]) -> &mut Self {
        self.read(Function::Poll, process, "n0", from, records_at(records), Facts::default())
    }

    pub(crate) fn poll_at(&mut self, process: u64, value: &str, at: u64, commitlog: u64) -> &mut Self {
        let mut records = records_at(&[(value, at)]);
        records[0].commitlog_offset = commitlog;
        self.read(Function::Poll, process, "n0", at, records, Facts::default())
    }

    pub(crate) fn poll_damaged(&mut self, process: u64, value: &str, at: u64, damage: &str) -> &mut Self {
        let mut records = records_at(&[(value, at)]);
        records[0].damage = Some(damage.to_owned());
        self.read(Function::Poll, process, "n0", at, records, Facts::default())
    }

    pub(crate) fn poll_of_leader(
        &mut self,
        process: u64,
        node: &str,
        term: u64,
        records: &[(&str, u64)],
        max: u64,
    ) -> &mut Self {
        let facts = Facts { term: Some(term), min: Some(0), max: Some(max), ..Facts::default() };
        let from = records.first().map_or(0, |record| record.1);
        self.read(Function::Poll, process, node, from, records_at(records), facts)
    }

    /// The sentinel behind the values, and every node drained of all of it.
    pub(crate) fn drain_all(&mut self, values: &[&str]) -> &mut Self {
        for node in NODES {
            self.drain(node, values);
        }
        self
    }

    /// One node drained of the values and, where they end at the sentinel's place, of the sentinel.
    pub(crate) fn drain(&mut self, node: &str, values: &[&str]) -> &mut Self {
        let attempts: Vec<_> = values.iter().map(|value| (*value, format!("{value}.0"))).collect();
        let attempts: Vec<_> = attempts.iter().map(|(value, attempt)| (*value, attempt.as_str())).collect();
        self.drain_node(node, &attempts)
    }

    pub(crate) fn drain_attempts(&mut self, attempts: &[(&str, &str)]) -> &mut Self {
        for node in NODES {
            self.drain_node(node, attempts);
        }
        self
    }

    fn drain_node(&mut self, node: &str, attempts: &[(&str, &str)]) -> &mut Self {
        let end = attempts.len() as u64;
        if self.sentinel_at.is_none() {
            self.sentinel(end);
        }
        let mut records: Vec<Record> =
            attempts.iter().zip(0..).map(|((value, attempt), at)| record(value, attempt, at)).collect();
        if self.sentinel_at == Some(end) {
            records.push(record(SENTINEL, "end.0", end));
        }
        let max = records.len() as u64;
        self.readers += 1;
        let facts = Facts { min: Some(0), max: Some(max), done: true, ..Facts::default() };
        self.read(Function::Drain, self.readers, node, 0, records, facts)
    }

    /// One page of a drain, with the offsets given.
    pub(crate) fn drain_page(&mut self, node: &str, records: &[(&str, u64)], done: bool) -> &mut Self {
        self.readers += 1;
        let max = records.last().map(|record| record.1 + 1);
        let facts = Facts { min: Some(0), max, done, ..Facts::default() };
        self.read(Function::Drain, self.readers, node, 0, records_at(records), facts)
    }

    fn read(
        &mut self,
        function: Function,
        process: u64,
        node: &str,
        from: u64,
        records: Vec<Record>,
        answer: Facts,
    ) -> &mut Self {
        let facts = Facts {
            queue: Some(QUEUE.into()),
            node: Some(node.into()),
            from: Some(from),
            ..Facts::default()
        };
        self.worker(process, Kind::Invoke, function, facts);
        self.worker(process, Kind::Ok, function, Facts { records: Some(records), ..answer })
    }
}

fn number(number: Option<u64>) -> Facts {
    Facts { number, ..Facts::default() }
}

fn of_group(offset: Option<u64>) -> Facts {
    Facts { queue: Some(QUEUE.into()), group: Some("g".into()), ..number(offset) }
}

fn commitlog_offset(queue_offset: u64) -> u64 {
    1_000 + 100 * queue_offset
}

fn record(value: &str, attempt: &str, at: u64) -> Record {
    Record {
        queue_offset: at,
        commitlog_offset: commitlog_offset(at),
        value: value.into(),
        attempt: attempt.into(),
        damage: None,
    }
}

fn records_at(records: &[(&str, u64)]) -> Vec<Record> {
    records.iter().map(|(value, at)| record(value, &format!("{value}.0"), *at)).collect()
}

/// No checker has anything against the history.
#[track_caller]
pub(crate) fn assert_valid(history: &History) {
    let wrong: Vec<_> =
        check_all(history).into_iter().filter(|verdict| verdict.validity != Validity::Valid).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Exactly the checkers `ids` reject the history; gives back the first one's verdict.
#[track_caller]
pub(crate) fn assert_only(history: &History, ids: &[&str]) -> Verdict {
    let verdicts = check_all(history);
    let invalid: Vec<_> =
        verdicts.iter().filter(|verdict| verdict.validity == Validity::Invalid).map(|v| v.id).collect();
    assert_eq!(invalid, ids, "{verdicts:#?}");
    verdicts.into_iter().find(|verdict| verdict.id == ids[0]).unwrap()
}
