//! Property tests: random sound histories raise no alarm, and one planted anomaly raises the right one.

use std::sync::Arc;

use platform::{RngSource, SeededRng};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::{Validity, check_all};
use crate::history::{Event, Facts, Function, History, Kind, Named, Process, Record, Start};

const CASES: u64 = 1_000;
const NODES: [&str; 3] = ["n0", "n1", "n2"];
const QUEUES: [&str; 2] = ["t/0", "t/1"];
const SENTINEL: &str = "end-";

/// An honest broker and its clients, one random step at a time.
struct World {
    rng: StdRng,
    events: Vec<Event>,
    /// The log of each queue: attempt and commitlog offset.
    queues: [Vec<(Arc<str>, u64)>; QUEUES.len()],
    commitlog_end: u64,
    senders: Vec<Sender>,
    /// Sends given up by their clients that may still come to pass.
    orphans: Vec<(usize, Arc<str>)>,
    readers: [usize; QUEUES.len()],
    processes: u64,
    term: u64,
    /// The term that was begun last.
    led: u64,
    /// Committed consumer offsets by group and queue; each value once.
    offsets: [u64; QUEUES.len()],
    /// Delayed messages that wait: attempt, queue, and when they are due.
    delayed: Vec<(Arc<str>, u64)>,
    delivered: Vec<Arc<str>>,
    now_ns: u64,
}

struct Sender {
    process: u64,
    sent: u64,
    pending: Option<(usize, Arc<str>, Option<usize>)>,
}

impl World {
    fn new(rng: StdRng) -> Self {
        let senders = (0..3).map(|process| Sender { process, sent: 0, pending: None }).collect();
        let mut world = Self {
            rng,
            events: Vec::new(),
            queues: [Vec::new(), Vec::new()],
            commitlog_end: 0,
            senders,
            orphans: Vec::new(),
            readers: [0; QUEUES.len()],
            processes: 100,
            term: 1,
            led: 1,
            offsets: [0; QUEUES.len()],
            delayed: Vec::new(),
            delivered: Vec::new(),
            now_ns: 0,
        };
        let start = Start {
            nodes: NODES.map(Arc::from).to_vec(),
            queues: QUEUES.map(Arc::from).to_vec(),
            retries: false,
            scenario: "random".to_owned(),
            seed: 0,
        };
        let value = Some(serde_json::to_value(start).unwrap());
        let process = Process::Named(Named::Harness);
        world.push(process, Kind::Info, Function::Start, Facts { value, ..Facts::default() });
        world.status();
        world
    }

    fn push(&mut self, process: Process, kind: Kind, function: Function, facts: Facts) {
        let index = self.events.len() as u64;
        self.now_ns += 1_000_000;
        self.events.push(Event { index, time_ns: self.now_ns, process, kind, function, facts });
    }

    /// An operation that is answered at once.
    fn op(&mut self, process: u64, function: Function, asked: Facts, told: Facts) {
        self.push(Process::Worker(process), Kind::Invoke, function, asked);
        self.push(Process::Worker(process), Kind::Ok, function, told);
    }

    fn ask(&mut self) {
        let queue = self.rng.random_range(0..QUEUES.len());
        let of_queue = Facts { queue: Some(QUEUES[queue].into()), ..Facts::default() };
        let of_group = |number| Facts { group: Some("g".into()), number, ..of_queue.clone() };
        let number = |number| Facts { number, ..Facts::default() };
        let end = self.queues[queue].len() as u64;
        match self.rng.random_range(0..5) {
            0 => self.op(70, Function::Max, of_queue, number(Some(end))),
            1 if self.offsets[queue] < end => {
                self.offsets[queue] += 1;
                self.op(71, Function::Commit, of_group(Some(self.offsets[queue])), Facts::default());
            }
            2 => {
                let told = Some(self.offsets[queue]).filter(|offset| *offset > 0);
                self.op(72, Function::Query, of_group(None), number(told));
            }
            3 => {
                let told = Facts {
                    term: Some(self.led),
                    leader: Some(NODES[(self.led % 3) as usize].to_owned()),
                    ..number(Some(self.events.len() as u64))
                };
                self.op(73, Function::Leader, Facts::default(), told);
            }
            _ => self.delay(),
        }
    }

    fn delay(&mut self) {
        let value = format!("d-{}", self.events.len());
        let attempt: Arc<str> = format!("{value}.0").into();
        let asked = Facts {
            queue: Some("d/0".into()),
            value: Some(value.into()),
            attempt: Some(attempt.clone()),
            delay_ms: Some(1_000),
            ..Facts::default()
        };
        self.op(74, Function::DelaySend, asked, Facts::default());
        self.delayed.push((attempt, self.now_ns + 1_000_000_000));
    }

    /// What is due is delivered and read.
    fn deliver(&mut self, done: bool) {
        let now_ns = self.now_ns;
        let due = self.delayed.iter().filter(|(_, due)| *due <= now_ns).map(|(attempt, _)| attempt.clone());
        self.delivered.extend(due);
        self.delayed.retain(|(_, due)| *due > now_ns);
        let records = self.delivered.iter().zip(0..).map(|(attempt, at)| Record {
            queue_offset: at,
            commitlog_offset: 1 + at,
            value: attempt.trim_end_matches(".0").into(),
            attempt: attempt.clone(),
            damage: None,
        });
        let told = Facts { records: Some(records.collect()), done, ..Facts::default() };
        let asked = Facts { queue: Some("d/0".into()), from: Some(0), ..Facts::default() };
        self.op(75, Function::DelayPoll, asked, told);
    }

    /// A leader of its own for every term; the others follow it.
    fn status(&mut self) {
        self.led = self.term;
        let leader = (self.term % 3) as usize;
        for (at, node) in NODES.into_iter().enumerate() {
            let facts = Facts {
                node: Some(node.into()),
                term: Some(self.term),
                role: Some(if at == leader { "leader" } else { "follower" }.to_owned()),
                ..Facts::default()
            };
            self.push(Process::Named(Named::Watch), Kind::Info, Function::Status, facts);
        }
        self.term += self.rng.random_range(1..3);
    }

    fn append(&mut self, queue: usize, attempt: Arc<str>) -> usize {
        self.commitlog_end += self.rng.random_range(100..200);
        self.queues[queue].push((attempt, self.commitlog_end));
        self.queues[queue].len() - 1
    }

    fn invoke(&mut self, process: u64, queue: usize, value: &str) -> Arc<str> {
        let attempt: Arc<str> = format!("{value}.0").into();
        let facts = Facts {
            queue: Some(QUEUES[queue].into()),
            value: Some(value.into()),
            attempt: Some(attempt.clone()),
            sentinel: value.starts_with(SENTINEL),
            ..Facts::default()
        };
        self.push(Process::Worker(process), Kind::Invoke, Function::Send, facts);
        attempt
    }

    fn ack(&mut self, process: u64, queue: usize, at: usize) {
        let facts = Facts {
            queue_offset: Some(at as u64),
            commitlog_offset: Some(self.queues[queue][at].1),
            term: Some(self.led),
            log_index: Some(self.events.len() as u64),
            ..Facts::default()
        };
        self.push(Process::Worker(process), Kind::Ok, Function::Send, facts);
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..60 => self.step_sender(),
            60..77 => self.poll(),
            77..90 => self.ask(),
            90..94 => self.seek(),
            94..98 => self.orphan(),
            _ => self.status(),
        }
    }

    fn step_sender(&mut self) {
        let at = self.rng.random_range(0..self.senders.len());
        let (process, sent) = (self.senders[at].process, self.senders[at].sent);
        match self.senders[at].pending.take() {
            None => {
                let queue = self.rng.random_range(0..QUEUES.len());
                let attempt = self.invoke(process, queue, &format!("{process}-{sent}"));
                self.senders[at].sent += 1;
                self.senders[at].pending = Some((queue, attempt, None));
            }
            Some((queue, attempt, None)) => match self.rng.random_range(0..10) {
                0 => self.push(Process::Worker(process), Kind::Fail, Function::Send, Facts::default()),
                1 => {
                    self.orphans.push((queue, attempt));
                    self.give_up(at);
                }
                _ => {
                    let place = self.append(queue, attempt.clone());
                    self.senders[at].pending = Some((queue, attempt, Some(place)));
                }
            },
            Some((queue, _, Some(place))) => match self.rng.random_range(0..10) {
                0 => self.give_up(at),
                _ => self.ack(process, queue, place),
            },
        }
    }

    fn give_up(&mut self, at: usize) {
        let process = Process::Worker(self.senders[at].process);
        self.push(process, Kind::Info, Function::Send, Facts::default());
        self.processes += 1;
        self.senders[at].process = self.processes;
    }

    fn orphan(&mut self) {
        if let Some((queue, attempt)) = self.orphans.pop()
            && self.rng.random()
        {
            self.append(queue, attempt);
        }
    }

    fn records(&self, queue: usize, from: usize, to: usize) -> Vec<Record> {
        let record = |at: usize| {
            let (attempt, commitlog_offset) = &self.queues[queue][at];
            Record {
                queue_offset: at as u64,
                commitlog_offset: *commitlog_offset,
                value: attempt.trim_end_matches(".0").into(),
                attempt: attempt.clone(),
                damage: None,
            }
        };
        (from..to).map(record).collect()
    }

    fn read(&mut self, function: Function, process: u64, node: &str, queue: usize, from: usize, to: usize) {
        let max = self.queues[queue].len();
        let facts = Facts {
            queue: Some(QUEUES[queue].into()),
            node: Some(node.into()),
            from: Some(from as u64),
            ..Facts::default()
        };
        self.push(Process::Worker(process), Kind::Invoke, function, facts);
        let facts = Facts {
            records: Some(self.records(queue, from, to)),
            min: Some(0),
            max: Some(max as u64),
            term: (function == Function::Poll).then_some(self.led),
            done: function == Function::Drain && to == max,
            ..Facts::default()
        };
        self.push(Process::Worker(process), Kind::Ok, function, facts);
    }

    fn poll(&mut self) {
        let queue = self.rng.random_range(0..QUEUES.len());
        let from = self.readers[queue];
        let to = (from + self.rng.random_range(0..6)).min(self.queues[queue].len());
        self.readers[queue] = to;
        self.read(Function::Poll, 50 + queue as u64, "n0", queue, from, to);
    }

    fn seek(&mut self) {
        let queue = self.rng.random_range(0..QUEUES.len());
        let to = self.rng.random_range(0..=self.readers[queue]);
        self.readers[queue] = to;
        let facts = Facts { queue: Some(QUEUES[queue].into()), from: Some(to as u64), ..Facts::default() };
        self.push(Process::Worker(50 + queue as u64), Kind::Info, Function::Seek, facts);
    }

    fn finish(mut self) -> Vec<Event> {
        for queue in 0..QUEUES.len() {
            let attempt = self.invoke(90, queue, &format!("{SENTINEL}{queue}"));
            let at = self.append(queue, attempt);
            self.ack(90, queue, at);
        }
        self.now_ns += 1_200_000_000;
        self.deliver(false);
        self.now_ns += 4_000_000_000;
        self.deliver(true);
        for (node, process) in NODES.into_iter().zip(60..) {
            for queue in 0..QUEUES.len() {
                let (mut from, end) = (0, self.queues[queue].len());
                while from < end {
                    let to = (from + self.rng.random_range(1..20)).min(end);
                    self.read(Function::Drain, process, node, queue, from, to);
                    from = to;
                }
            }
        }
        self.events
    }
}

fn sound(seed: u64) -> (Vec<Event>, StdRng) {
    let source = SeededRng(seed);
    let mut world = World::new(source.rng("history"));
    for _ in 0..world.rng.random_range(40..160) {
        world.step();
    }
    (world.finish(), source.rng("mutation"))
}

fn alarms(events: &[Event]) -> Vec<&'static str> {
    let history = History::new(events).unwrap();
    let verdicts = check_all(&history);
    verdicts.iter().filter(|verdict| verdict.validity != Validity::Valid).map(|verdict| verdict.id).collect()
}

/// Plants one anomaly in each of [`CASES`] histories. A history that offers no place for it is left out.
fn plant(expected: &str, related: &[&str], mutate: impl Fn(&mut Vec<Event>, &mut StdRng) -> Option<()>) {
    let first = harness::seed::from_env_or(1);
    println!("seeds from {first}");
    let (mut planted, mut seed) = (0, first);
    while planted < CASES {
        assert!(seed < first + 20 * CASES, "hardly any history offers a place for {expected}");
        let (mut events, mut rng) = sound(seed);
        if mutate(&mut events, &mut rng).is_some() {
            planted += 1;
            let alarms = alarms(&events);
            assert!(alarms.contains(&expected), "seed {seed}: {expected} slept, {alarms:?} did not");
            let unrelated: Vec<_> =
                alarms.iter().filter(|id| **id != expected && !related.contains(id)).collect();
            assert!(unrelated.is_empty(), "seed {seed}: {unrelated:?} cried for {expected}");
        }
        seed += 1;
    }
}

/// The sends with the index of their completion.
fn completed(events: &[Event], kind: Kind) -> Vec<(usize, usize)> {
    let invoked = |process, before: usize| {
        events[..before].iter().rposition(|event| event.process == process && event.kind == Kind::Invoke)
    };
    let done = events.iter().enumerate();
    let done = done.filter(|(_, event)| event.function == Function::Send && event.kind == kind);
    done.filter_map(|(at, event)| Some((invoked(event.process, at)?, at))).collect()
}

fn attempt(events: &[Event], at: usize) -> Arc<str> {
    events[at].facts.attempt.clone().unwrap()
}

/// Records of all answers of `function`, with the answering event's index.
fn records_of(events: &mut [Event], function: Function) -> impl Iterator<Item = (usize, &mut Vec<Record>)> {
    let answers = events.iter_mut().enumerate().filter(move |(_, event)| event.function == function);
    answers.filter_map(|(at, event)| Some((at, event.facts.records.as_mut()?)))
}

fn is_read(events: &[Event], function: Function, attempt: &str) -> bool {
    let answers = events.iter().filter(|event| event.function == function);
    let mut records = answers.filter_map(|event| event.facts.records.as_ref()).flatten();
    records.any(|record| *record.attempt == *attempt)
}

#[test]
fn sound_histories_raise_no_alarm() {
    for seed in 0..CASES {
        let (events, _) = sound(seed);
        assert_eq!(alarms(&events), [""; 0], "seed {seed}");
    }
}

#[test]
fn a_dropped_acknowledged_message_is_lost() {
    plant("C1", &["C5"], |events, rng| {
        let acked = completed(events, Kind::Ok);
        let attempt = attempt(events, acked.choose(rng)?.0);
        let node = *NODES.choose(rng)?;
        let pages: Vec<usize> = (0..events.len())
            .filter(|&at| events[at].function == Function::Drain && events[at].kind == Kind::Invoke)
            .filter(|&at| events[at].facts.node.as_deref() == Some(node))
            .collect();
        for page in pages {
            let records = events[page + 1].facts.records.as_mut()?;
            records.retain(|record| record.attempt != attempt);
        }
        Some(())
    });
}

#[test]
fn an_aborted_read_is_flagged() {
    plant("C2", &[], |events, rng| {
        let unknown = completed(events, Kind::Info);
        let read: Vec<_> = unknown
            .into_iter()
            .filter(|(invoke, _)| is_read(events, Function::Drain, &attempt(events, *invoke)))
            .collect();
        events[read.choose(rng)?.1].kind = Kind::Fail;
        Some(())
    });
}

#[test]
fn a_damaged_message_is_flagged() {
    plant("C2", &[], |events, rng| {
        let mut pages: Vec<_> = records_of(events, Function::Drain).collect();
        let page = rng.random_range(0..pages.len());
        let records = &mut *pages[page].1;
        let at = rng.random_range(0..records.len());
        records[at].damage = Some("body checksum".to_owned());
        Some(())
    });
}

#[test]
fn nodes_that_swap_two_messages_are_flagged() {
    plant("C3", &[], |events, rng| {
        let from = events.iter().position(|event| {
            event.function == Function::Drain && event.facts.node.as_deref() == Some("n1")
        })?;
        let mut pages: Vec<_> = records_of(&mut events[from..], Function::Drain)
            .filter(|(_, records)| records.len() > 1)
            .collect();
        let page = (0..pages.len()).collect::<Vec<_>>().choose(rng).copied()?;
        let records = &mut *pages[page].1;
        let at = rng.random_range(0..records.len() - 1);
        let (low, high) = records.split_at_mut(at + 1);
        std::mem::swap(&mut low[at].value, &mut high[0].value);
        std::mem::swap(&mut low[at].attempt, &mut high[0].attempt);
        Some(())
    });
}

#[test]
fn a_reply_with_another_commitlog_offset_is_flagged() {
    plant("C3", &[], |events, rng| {
        let acked = completed(events, Kind::Ok);
        *events[acked.choose(rng)?.1].facts.commitlog_offset.as_mut()? += 1;
        Some(())
    });
}

#[test]
fn a_message_that_comes_again_is_a_duplicate() {
    plant("C4", &[], |events, rng| {
        let victim =
            records_of(events, Function::Drain).find_map(|(_, records)| records.choose(rng).cloned())?;
        let last: Vec<usize> = (0..events.len()).filter(|&at| events[at].facts.done).collect();
        for at in last {
            let facts = &mut events[at].facts;
            let records = facts.records.as_mut()?;
            if records.last()?.attempt.starts_with("end-0") {
                let (queue_offset, commitlog_offset) = (facts.max?, 1_000_000);
                records.push(Record { queue_offset, commitlog_offset, ..victim.clone() });
                facts.max = Some(queue_offset + 1);
            }
        }
        Some(())
    });
}

#[test]
fn a_queue_offset_without_a_message_is_a_hole() {
    plant("C5", &[], |events, rng| {
        let unknown = completed(events, Kind::Info);
        let unseen: Vec<_> = unknown
            .into_iter()
            .map(|(invoke, _)| attempt(events, invoke))
            .filter(|attempt| {
                is_read(events, Function::Drain, attempt) && !is_read(events, Function::Poll, attempt)
            })
            .collect();
        let attempt = unseen.choose(rng)?.clone();
        for (_, records) in records_of(events, Function::Drain) {
            records.retain(|record| record.attempt != attempt);
        }
        Some(())
    });
}

#[test]
fn a_maximum_that_goes_back_is_flagged() {
    plant("C5", &[], |events, rng| {
        let polls: Vec<usize> = (0..events.len())
            .filter(|&at| events[at].function == Function::Poll && events[at].facts.max > Some(0))
            .collect();
        let (&first, &later) = (polls.choose(rng)?, polls.last()?);
        let queue = |at: usize| events[at - 1].facts.queue.clone();
        if first == later || queue(first) != queue(later) {
            return None;
        }
        events[later].facts.max = Some(events[first].facts.max? - 1);
        Some(())
    });
}

#[test]
fn two_messages_that_change_places_are_out_of_order() {
    plant("C6", &["C2", "C8"], |events, rng| {
        let acked = completed(events, Kind::Ok);
        let (first, later) = (*acked.choose(rng)?, *acked.choose(rng)?);
        let same_queue = events[first.0].facts.queue == events[later.0].facts.queue;
        if first.1 > later.0 || !same_queue {
            return None;
        }
        let (a, b) = (attempt(events, first.0), attempt(events, later.0));
        let place = |at: usize| (events[at].facts.queue_offset, events[at].facts.commitlog_offset);
        let (place_a, place_b) = (place(first.1), place(later.1));
        (events[first.1].facts.queue_offset, events[first.1].facts.commitlog_offset) = place_b;
        (events[later.1].facts.queue_offset, events[later.1].facts.commitlog_offset) = place_a;
        for function in [Function::Poll, Function::Drain] {
            for (_, records) in records_of(events, function) {
                for record in records {
                    let other = if record.attempt == a {
                        &b
                    } else if record.attempt == b {
                        &a
                    } else {
                        continue;
                    };
                    record.value = other.trim_end_matches(".0").into();
                    record.attempt = other.clone();
                }
            }
        }
        Some(())
    });
}

#[test]
fn a_message_left_out_of_a_poll_is_a_skip() {
    plant("C7", &[], |events, rng| {
        let mut polls: Vec<_> =
            records_of(events, Function::Poll).filter(|(_, records)| records.len() > 2).collect();
        let poll = (0..polls.len()).collect::<Vec<_>>().choose(rng).copied()?;
        let records = &mut *polls[poll].1;
        let at = rng.random_range(0..records.len() - 1);
        records.remove(at);
        Some(())
    });
}

#[test]
fn a_second_leader_of_a_term_is_flagged() {
    plant("C14", &["C15"], |events, rng| {
        let followers: Vec<usize> =
            (0..events.len()).filter(|&at| events[at].facts.role.as_deref() == Some("follower")).collect();
        events[*followers.choose(rng)?].facts.role = Some("leader".to_owned());
        Some(())
    });
}

#[test]
fn a_term_that_goes_back_is_flagged() {
    plant("C14", &[], |events, rng| {
        let followers: Vec<usize> = (4..events.len())
            .filter(|&at| events[at].facts.role.as_deref() == Some("follower"))
            .filter(|&at| events[at].facts.term > Some(1))
            .collect();
        events[*followers.choose(rng)?].facts.term = Some(0);
        Some(())
    });
}

/// The answered operations of one function, by the index of their completion.
fn answered(events: &[Event], function: Function) -> Vec<usize> {
    let answers = events.iter().enumerate();
    let answers = answers.filter(|(_, event)| event.function == function && event.kind == Kind::Ok);
    answers.map(|(at, _)| at).collect()
}

#[test]
fn an_end_from_the_past_is_a_stale_read() {
    plant("C8", &["C5", "C11"], |events, rng| {
        let asked = answered(events, Function::Max);
        let at = *asked.choose(rng)?;
        let queue = events[at - 1].facts.queue.clone();
        let acked = completed(&events[..at - 1], Kind::Ok);
        let known = acked.into_iter().filter(|(invoke, _)| events[*invoke].facts.queue == queue);
        let known: Vec<u64> = known.filter_map(|(_, ack)| events[ack].facts.queue_offset).collect();
        events[at].facts.number = Some(*known.choose(rng)?);
        Some(())
    });
}

#[test]
fn an_offset_from_the_past_breaks_the_register() {
    plant("C9", &["C11"], |events, rng| {
        let asked = answered(events, Function::Query);
        let at =
            *asked.iter().filter(|at| events[**at].facts.number > Some(1)).collect::<Vec<_>>().choose(rng)?;
        *events[*at].facts.number.as_mut()? -= 1;
        Some(())
    });
}

#[test]
fn an_offset_beyond_the_end_is_flagged() {
    plant("C11", &["C9"], |events, rng| {
        let end = answered(events, Function::Max).last().copied()?;
        let asked = answered(events, Function::Query);
        let at = **asked
            .iter()
            .filter(|at| **at < end - 1 && events[**at - 1].facts.queue == events[end - 1].facts.queue)
            .collect::<Vec<_>>()
            .choose(rng)?;
        events[at].facts.number = Some(events[end].facts.number? + 1);
        Some(())
    });
}

#[test]
fn a_delayed_message_that_comes_early_is_flagged() {
    plant("C13", &[], |events, _| {
        let polls = answered(events, Function::DelayPoll);
        let early = polls.first().map(|at| events[*at].time_ns)?;
        let sent =
            events.iter_mut().rfind(|event| event.facts.delay_ms.is_some() && event.time_ns < early)?;
        sent.facts.delay_ms = Some(3_000);
        Some(())
    });
}

#[test]
fn a_delayed_message_that_never_comes_is_flagged() {
    plant("C13", &[], |events, rng| {
        let sent = events.iter().filter(|event| event.facts.delay_ms.is_some());
        let attempt = sent.collect::<Vec<_>>().choose(rng)?.facts.attempt.clone()?;
        for (_, records) in records_of(events, Function::DelayPoll) {
            records.retain(|record| record.attempt != attempt);
        }
        Some(())
    });
}

#[test]
fn a_confirmed_read_from_the_past_is_flagged() {
    plant("C15", &[], |events, rng| {
        let reads = answered(events, Function::Leader);
        let at = *reads.get(1..)?.choose(rng)?;
        let before = reads[reads.iter().position(|read| *read == at)? - 1];
        events[at].facts.number = Some(events[before].facts.number? - 1);
        Some(())
    });
}

#[test]
fn an_acknowledgement_in_a_deposed_term_is_flagged() {
    plant("C16", &[], |events, rng| {
        let acked = completed(events, Kind::Ok);
        let (begun, ack) = *acked.choose(rng)?;
        let before = acked.iter().find(|(_, before)| *before < begun)?.1;
        events[ack].facts.term = Some(events[before].facts.term?.checked_sub(1)?);
        Some(())
    });
}
