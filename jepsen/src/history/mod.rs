//! What happened, in the order in which the harness saw it: the one thing the checkers look at.
//!
//! Events come from the recorder or from a file; [`History::new`] pairs every invocation with its
//! completion and refuses a history that contradicts itself, so that no checker has to. An operation
//! that never completed has an unknown outcome, never a failed one.

mod error;
mod event;

use std::collections::HashMap;
use std::sync::Arc;

pub use error::HistoryError;
pub use event::{
    Event, Facts, FaultState, Function, Kind, Named, Process, Record, Start, from_jsonl, to_jsonl,
};

/// When something happened: by number and by clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Index of the event.
    pub event: u64,
    /// Nanoseconds of the run.
    pub ns: u64,
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Acked,
    /// It certainly had none.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// In its queue.
    pub queue_offset: u64,
    /// In the commitlog.
    pub commitlog_offset: u64,
}

impl Record {
    /// Where it lies.
    pub fn place(&self) -> Place {
        Place { queue_offset: self.queue_offset, commitlog_offset: self.commitlog_offset }
    }
}

/// One attempt to send.
#[derive(Clone, Debug)]
pub struct Send {
    /// When it began.
    pub invoked: Moment,
    /// When its outcome was known; `None` if it never was.
    pub completed: Option<Moment>,
    /// Who.
    pub process: u64,
    /// To where.
    pub queue: Arc<str>,
    /// The message's value.
    pub value: Arc<str>,
    /// The attempt's id.
    pub attempt: Arc<str>,
    /// Through which node.
    pub node: Option<Arc<str>>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it failed or is unknown.
    pub cause: Option<String>,
    /// Where it was put, as the acknowledgement says. Not told of one that is held back first.
    pub place: Option<Place>,
    /// The acknowledging leader's term, if it said so.
    pub term: Option<u64>,
    /// The log index of its entry, if the leader said so.
    pub log_index: Option<u64>,
    /// How long it is to be held back, in milliseconds; 0 for an ordinary one.
    pub delay_ms: u64,
    /// Sent by the harness after healing.
    pub sentinel: bool,
}

impl Send {
    /// When it was acknowledged, if it was.
    pub fn acked(&self) -> Option<Moment> {
        self.completed.filter(|_| self.outcome == Outcome::Acked)
    }
}

/// One pull, by a consumer or by the final drain.
#[derive(Clone, Debug)]
pub struct Read {
    /// When it began.
    pub invoked: Moment,
    /// When its outcome was known; `None` if it never was.
    pub completed: Option<Moment>,
    /// Who.
    pub process: u64,
    /// From where.
    pub queue: Arc<str>,
    /// At which node.
    pub node: Option<Arc<str>>,
    /// What became of it. A read has no effect, so this is never unknown but for one cut off by the end.
    pub outcome: Outcome,
    /// Why it failed.
    pub cause: Option<String>,
    /// The queue offset asked for.
    pub from: u64,
    /// What came.
    pub records: Vec<Record>,
    /// First readable offset, as told.
    pub min: Option<u64>,
    /// End of the readable offsets, exclusive, as told.
    pub max: Option<u64>,
    /// Term of the leader that answered, if a leader answered and said so.
    pub term: Option<u64>,
    /// Part of the final drain.
    pub drain: bool,
    /// The last page of its queue at its node.
    pub done: bool,
}

/// One operation on something else than messages: an offset, a queue's end, a leader.
#[derive(Clone, Debug)]
pub struct Op {
    /// When it began.
    pub invoked: Moment,
    /// When its outcome was known; `None` if it never was.
    pub completed: Option<Moment>,
    /// Who.
    pub process: u64,
    /// Which operation.
    pub function: Function,
    /// In which queue.
    pub queue: Option<Arc<str>>,
    /// Of which consumer group.
    pub group: Option<Arc<str>>,
    /// Through which node.
    pub node: Option<Arc<str>>,
    /// What became of it.
    pub outcome: Outcome,
    /// The number stored, or told; of a question for an offset `None` if nothing is stored.
    pub number: Option<u64>,
    /// The term told.
    pub term: Option<u64>,
    /// The leader told.
    pub leader: Option<Arc<str>>,
    /// The last one of its kind, when the group is at rest.
    pub done: bool,
}

impl Op {
    /// When it was known to have taken effect, if it was.
    pub fn answered(&self) -> Option<Moment> {
        self.completed.filter(|_| self.outcome == Outcome::Acked)
    }
}

/// A fault from its beginning to its end.
#[derive(Clone, Copy, Debug)]
pub struct FaultSpan<'a> {
    /// When it was in force, in nanoseconds.
    pub from: u64,
    /// When it was over; the end of the run if it never was.
    pub to: u64,
    /// Which.
    pub fault: &'a Fault,
}

/// A consumer went somewhere else on purpose.
#[derive(Clone, Debug)]
pub struct Seek {
    /// When.
    pub at: Moment,
    /// Who.
    pub process: u64,
    /// In which queue.
    pub queue: Arc<str>,
}

/// What a node said of itself.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// When the answer was there.
    pub at: Moment,
    /// Who said it.
    pub node: Arc<str>,
    /// In which term it was.
    pub term: u64,
    /// Whether it called itself the leader.
    pub leads: bool,
}

/// Something the nemesis did.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When.
    pub at: Moment,
    /// Which fault.
    pub function: Function,
    /// How far it got.
    pub state: FaultState,
    /// The nodes hit.
    pub nodes: Vec<Arc<str>>,
    /// Why it was skipped, or is indeterminate.
    pub why: Option<String>,
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct History {
    /// What the run is about.
    pub start: Start,
    /// Every send, in order of invocation.
    pub sends: Vec<Send>,
    /// Every poll and drain, in order of invocation.
    pub reads: Vec<Read>,
    /// Every send that is to be delivered later, in order of invocation.
    pub delayed: Vec<Send>,
    /// Every pull of such messages, in order of invocation.
    pub delayed_reads: Vec<Read>,
    /// Everything else that clients asked, in order of invocation.
    pub ops: Vec<Op>,
    /// Every seek.
    pub seeks: Vec<Seek>,
    /// Every sighting.
    pub sightings: Vec<Sighting>,
    /// Every fault.
    pub faults: Vec<Fault>,
    /// Exits that nobody ordered, with who and how.
    pub exits: Vec<(Moment, String)>,
    /// Beginnings of phases, with their names.
    pub phases: Vec<(Moment, String)>,
    /// Time of the last event.
    pub end_ns: u64,
}

/// Where an invocation was put, to complete it later.
enum Slot {
    Send(usize),
    Read(usize),
    Delayed(usize),
    DelayedRead(usize),
    Op(usize),
}

struct Pending {
    event: u64,
    function: Function,
    slot: Slot,
}

impl History {
    /// Pairs the events.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn new(events: &[Event]) -> Result<Self, HistoryError> {
        let first = events.first().filter(|event| event.function == Function::Start);
        let start = first.and_then(|event| event.facts.value.clone()).ok_or(HistoryError::NoStart)?;
        let start = serde_json::from_value(start).map_err(|source| HistoryError::Line { line: 1, source })?;
        let mut history = Self {
            start,
            sends: Vec::new(),
            reads: Vec::new(),
            delayed: Vec::new(),
            delayed_reads: Vec::new(),
            ops: Vec::new(),
            seeks: Vec::new(),
            sightings: Vec::new(),
            faults: Vec::new(),
            exits: Vec::new(),
            phases: Vec::new(),
            end_ns: events.last().map_or(0, |event| event.time_ns),
        };
        let mut pairing = Pairing::default();
        for pair in events.windows(2) {
            if pair[1].index <= pair[0].index || pair[1].time_ns < pair[0].time_ns {
                return Err(HistoryError::Backwards { event: pair[1].index, before: pair[0].index });
            }
        }
        for event in events {
            match event.process {
                Process::Worker(process) => history.take_worker(event, process, &mut pairing)?,
                Process::Named(_) => history.take_named(event)?,
            }
        }
        Ok(history)
    }

    /// Reads a history from the text of its file.
    ///
    /// # Errors
    /// As [`from_jsonl`] and [`History::new`].
    pub fn from_text(text: &str) -> Result<Self, HistoryError> {
        Self::new(&from_jsonl(text)?)
    }

    /// The reads that succeeded.
    pub fn answered_reads(&self) -> impl Iterator<Item = &Read> {
        self.reads.iter().filter(|read| read.outcome == Outcome::Acked)
    }

    /// The sends that were acknowledged, with where they were put.
    pub fn acked_sends(&self) -> impl Iterator<Item = (&Send, Moment, Place)> {
        self.sends.iter().filter_map(|send| Some((send, send.acked()?, send.place?)))
    }

    /// The faults that were carried out, each with its time, in order of their beginnings.
    pub fn fault_spans(&self) -> Vec<FaultSpan<'_>> {
        let installed =
            self.faults.iter().enumerate().filter(|(_, fault)| fault.state == FaultState::Installed);
        installed
            .map(|(at, fault)| {
                let healed = self.faults[at..].iter().find(|later| {
                    later.state == FaultState::Healed
                        && later.function == fault.function
                        && later.nodes == fault.nodes
                });
                FaultSpan { from: fault.at.ns, to: healed.map_or(self.end_ns, |healed| healed.at.ns), fault }
            })
            .collect()
    }

    fn take_worker(
        &mut self,
        event: &Event,
        process: u64,
        pairing: &mut Pairing,
    ) -> Result<(), HistoryError> {
        if event.function == Function::Seek {
            let queue = required(event, event.facts.queue.as_ref(), "k")?.clone();
            self.seeks.push(Seek { at: moment(event), process, queue });
            return Ok(());
        }
        if event.kind == Kind::Invoke {
            pairing.may_invoke(event, process)?;
            let slot = match event.function {
                Function::Send => {
                    self.sends.push(invoked_send(event, process)?);
                    Slot::Send(self.sends.len() - 1)
                }
                Function::Poll | Function::Drain => {
                    self.reads.push(invoked_read(event, process)?);
                    Slot::Read(self.reads.len() - 1)
                }
                Function::DelaySend => {
                    self.delayed.push(invoked_send(event, process)?);
                    Slot::Delayed(self.delayed.len() - 1)
                }
                Function::DelayPoll => {
                    self.delayed_reads.push(invoked_read(event, process)?);
                    Slot::DelayedRead(self.delayed_reads.len() - 1)
                }
                Function::Max
                | Function::Commit
                | Function::Query
                | Function::Reset
                | Function::Leader
                | Function::LocalLeader
                | Function::Route => {
                    self.ops.push(invoked_op(event, process));
                    Slot::Op(self.ops.len() - 1)
                }
                _ => return Err(HistoryError::Unmatched { event: event.index, process }),
            };
            pairing.pending.insert(process, Pending { event: event.index, function: event.function, slot });
            return Ok(());
        }
        let pending = pairing.pending.remove(&process).filter(|pending| pending.function == event.function);
        let Some(pending) = pending else {
            return Err(HistoryError::Unmatched { event: event.index, process });
        };
        if event.kind == Kind::Info {
            pairing.retired.insert(process, event.index);
        }
        match pending.slot {
            Slot::Send(at) => complete_send(&mut self.sends[at], event),
            Slot::Read(at) => complete_read(&mut self.reads[at], event),
            Slot::Delayed(at) => complete_send(&mut self.delayed[at], event),
            Slot::DelayedRead(at) => complete_read(&mut self.delayed_reads[at], event),
            Slot::Op(at) => {
                complete_op(&mut self.ops[at], event);
                Ok(())
            }
        }
    }

    fn take_named(&mut self, event: &Event) -> Result<(), HistoryError> {
        let facts = &event.facts;
        match event.function {
            Function::Status => {
                let node = required(event, facts.node.as_ref(), "node")?.clone();
                let term = *required(event, facts.term.as_ref(), "term")?;
                let leads = facts.role.as_deref() == Some("leader");
                self.sightings.push(Sighting { at: moment(event), node, term, leads });
            }
            Function::Kill
            | Function::KillAll
            | Function::Pause
            | Function::RollingRestart
            | Function::TransferStorm
            | Function::Wipe
            | Function::DiskRollback
            | Function::BitFlip
            | Function::ClockJump
            | Function::StuckLog
            | Function::FullDisk
            | Function::SlowRead
            | Function::PowerCut => {
                let state = *required(event, facts.state.as_ref(), "st")?;
                let nodes = facts.value.as_ref().and_then(|value| value.get("nodes"));
                let nodes = nodes.and_then(|nodes| serde_json::from_value(nodes.clone()).ok());
                self.faults.push(Fault {
                    at: moment(event),
                    function: event.function,
                    state,
                    nodes: nodes.unwrap_or_default(),
                    why: facts.error.clone(),
                });
            }
            Function::Exit => {
                let node = facts.node.as_deref().unwrap_or("a node");
                let how = facts.error.as_deref().unwrap_or("ended");
                self.exits.push((moment(event), format!("{node}: {how}")));
            }
            Function::Phase => {
                let name = facts.value.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
                self.phases.push((moment(event), name.to_owned()));
            }
            // Workers' functions, which nobody else has.
            _ => {}
        }
        Ok(())
    }
}

#[derive(Default)]
struct Pairing {
    pending: HashMap<u64, Pending>,
    retired: HashMap<u64, u64>,
}

impl Pairing {
    fn may_invoke(&self, event: &Event, process: u64) -> Result<(), HistoryError> {
        if let Some(pending) = self.pending.get(&process) {
            return Err(HistoryError::Busy { event: event.index, process, pending: pending.event });
        }
        match self.retired.get(&process) {
            Some(&by) => Err(HistoryError::Retired { event: event.index, process, by }),
            None => Ok(()),
        }
    }
}

fn moment(event: &Event) -> Moment {
    Moment { event: event.index, ns: event.time_ns }
}

fn required<'a, T>(event: &Event, fact: Option<&'a T>, member: &'static str) -> Result<&'a T, HistoryError> {
    fact.ok_or(HistoryError::Missing { event: event.index, member })
}

fn invoked_send(event: &Event, process: u64) -> Result<Send, HistoryError> {
    let facts = &event.facts;
    let value = facts.value.as_ref().and_then(|value| value.as_str());
    Ok(Send {
        invoked: moment(event),
        completed: None,
        process,
        queue: required(event, facts.queue.as_ref(), "k")?.clone(),
        value: value.ok_or(HistoryError::Missing { event: event.index, member: "v" })?.into(),
        attempt: required(event, facts.attempt.as_ref(), "a")?.clone(),
        node: facts.node.clone(),
        outcome: Outcome::Unknown,
        cause: None,
        place: None,
        term: None,
        log_index: None,
        delay_ms: facts.delay_ms.unwrap_or(0),
        sentinel: facts.sentinel,
    })
}

fn complete_send(send: &mut Send, event: &Event) -> Result<(), HistoryError> {
    send.completed = Some(moment(event));
    send.outcome = outcome(event.kind);
    send.cause.clone_from(&event.facts.error);
    (send.term, send.log_index) = (event.facts.term, event.facts.log_index);
    if send.outcome == Outcome::Acked && event.function == Function::Send {
        let queue_offset = *required(event, event.facts.queue_offset.as_ref(), "Q")?;
        let commitlog_offset = *required(event, event.facts.commitlog_offset.as_ref(), "P")?;
        send.place = Some(Place { queue_offset, commitlog_offset });
    }
    Ok(())
}

fn invoked_read(event: &Event, process: u64) -> Result<Read, HistoryError> {
    let facts = &event.facts;
    Ok(Read {
        invoked: moment(event),
        completed: None,
        process,
        queue: required(event, facts.queue.as_ref(), "k")?.clone(),
        node: facts.node.clone(),
        outcome: Outcome::Unknown,
        cause: None,
        from: *required(event, facts.from.as_ref(), "from")?,
        records: Vec::new(),
        min: None,
        max: None,
        term: None,
        drain: event.function == Function::Drain,
        done: false,
    })
}

fn invoked_op(event: &Event, process: u64) -> Op {
    let facts = &event.facts;
    Op {
        invoked: moment(event),
        completed: None,
        process,
        function: event.function,
        queue: facts.queue.clone(),
        group: facts.group.clone(),
        node: facts.node.clone(),
        outcome: Outcome::Unknown,
        number: facts.number,
        term: None,
        leader: None,
        done: facts.done,
    }
}

/// What is told replaces nothing that was asked: a number stands in the invocation or in the completion.
fn complete_op(op: &mut Op, event: &Event) {
    let facts = &event.facts;
    op.completed = Some(moment(event));
    op.outcome = outcome(event.kind);
    op.number = op.number.or(facts.number);
    op.term = facts.term;
    op.leader = facts.leader.as_deref().map(Into::into);
}

fn complete_read(read: &mut Read, event: &Event) -> Result<(), HistoryError> {
    let facts = &event.facts;
    read.completed = Some(moment(event));
    read.outcome = outcome(event.kind);
    read.cause.clone_from(&facts.error);
    if read.outcome == Outcome::Acked {
        read.records.clone_from(required(event, facts.records.as_ref(), "r")?);
        (read.min, read.max, read.term, read.done) = (facts.min, facts.max, facts.term, facts.done);
    }
    Ok(())
}

fn outcome(kind: Kind) -> Outcome {
    match kind {
        Kind::Ok => Outcome::Acked,
        Kind::Fail => Outcome::Failed,
        Kind::Info | Kind::Invoke => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests;
