//! One line of `history.jsonl`: what it holds, and how it is read and written.
//!
//! An [`Event`] is the line and no more. What an invocation and its completion mean together is the
//! business of [`super::History`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::HistoryError;

/// Who did it. Workers are numbered; a number is retired after an operation with an unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Process {
    /// A logical client process.
    Worker(u64),
    /// Something of the run itself.
    Named(Named),
}

/// The processes of the run itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// Whoever installs and heals faults.
    Nemesis,
    /// Whoever asks the nodes for their status.
    Watch,
    /// Whoever starts and ends the run.
    Harness,
}

/// The four kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An operation begins.
    Invoke,
    /// It took effect.
    Ok,
    /// It certainly had no effect.
    Fail,
    /// Unknown whether it had an effect; also every event that is not an operation.
    Info,
}

/// What the event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Function {
    /// The run begins; its `v` is a [`Start`].
    Start,
    /// One attempt to send one message to one queue.
    Send,
    /// A consumer's pull during the run.
    Poll,
    /// A pull of the final reading of everything, at one node.
    Drain,
    /// A consumer continues somewhere else on purpose.
    Seek,
    /// A question for the end of a queue.
    Max,
    /// A consumer group's offset in a queue is stored, and the answer waited for.
    Commit,
    /// A question for such an offset.
    Query,
    /// Such an offset is set by the operator, to wherever he likes.
    Reset,
    /// A message that is to be delivered later.
    DelaySend,
    /// A pull of delivered messages, during the run and at its end.
    DelayPoll,
    /// `GET /leader`, which a majority confirms.
    Leader,
    /// `GET /leader?local=true`.
    LocalLeader,
    /// A question to the name server for the node that takes messages.
    Route,
    /// A node's word about itself.
    Status,
    /// A node process ended that nobody had ended.
    Exit,
    /// A phase of the scenario begins; its `v` is the name.
    Phase,
    /// SIGKILL of one or some nodes, and their restart.
    Kill,
    /// SIGKILL of all nodes at once, and their restart.
    KillAll,
    /// SIGSTOP and SIGCONT.
    Pause,
    /// SIGTERM and restart, one node after the other.
    RollingRestart,
    /// The lead handed over by the operator, again and again.
    TransferStorm,
    /// A node's store deleted while it is down.
    Wipe,
    /// A node's store put back to an older copy while it is down.
    DiskRollback,
    /// One bit changed in a node's log while it is down.
    BitFlip,
    /// A node's wall clock set forward or back.
    ClockJump,
    /// Nobody reads what a node logs.
    StuckLog,
    /// No space left on a node's disk.
    FullDisk,
    /// A node's reads take long.
    SlowRead,
    /// Everything that a node had not synced is gone, and the node with it.
    PowerCut,
}

impl Function {
    /// Its word, as the history writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Send => "send",
            Self::Poll => "poll",
            Self::Drain => "drain",
            Self::Seek => "seek",
            Self::Max => "max",
            Self::Commit => "commit",
            Self::Query => "query",
            Self::Reset => "reset",
            Self::DelaySend => "delay-send",
            Self::DelayPoll => "delay-poll",
            Self::Leader => "leader",
            Self::LocalLeader => "local-leader",
            Self::Route => "route",
            Self::Status => "status",
            Self::Exit => "exit",
            Self::Phase => "phase",
            Self::Kill => "kill",
            Self::KillAll => "kill-all",
            Self::Pause => "pause",
            Self::RollingRestart => "rolling-restart",
            Self::TransferStorm => "transfer-storm",
            Self::Wipe => "wipe",
            Self::DiskRollback => "disk-rollback",
            Self::BitFlip => "bit-flip",
            Self::ClockJump => "clock-jump",
            Self::StuckLog => "stuck-log",
            Self::FullDisk => "full-disk",
            Self::SlowRead => "slow-read",
            Self::PowerCut => "power-cut",
        }
    }
}

/// How far a fault got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultState {
    /// It is in force.
    Installed,
    /// It is over.
    Healed,
    /// It never was; the `error` says why.
    Skipped,
    /// Unknown whether it is in force; the `error` says why.
    Indeterminate,
}

/// One message as a reader got it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RecordLine", into = "RecordLine")]
pub struct Record {
    /// Its place in the queue.
    pub queue_offset: u64,
    /// Its place in the commitlog.
    pub commitlog_offset: u64,
    /// The message's value, unique a message.
    pub value: Arc<str>,
    /// Which attempt to send it.
    pub attempt: Arc<str>,
    /// What is wrong with its bytes, if something is; value and attempt are then what could be read.
    pub damage: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RecordLine {
    Sound(u64, u64, Arc<str>, Arc<str>),
    Damaged(u64, u64, Arc<str>, Arc<str>, String),
}

impl From<RecordLine> for Record {
    fn from(line: RecordLine) -> Self {
        let (queue_offset, commitlog_offset, value, attempt, damage) = match line {
            RecordLine::Sound(q, p, v, a) => (q, p, v, a, None),
            RecordLine::Damaged(q, p, v, a, damage) => (q, p, v, a, Some(damage)),
        };
        Self { queue_offset, commitlog_offset, value, attempt, damage }
    }
}

impl From<Record> for RecordLine {
    fn from(record: Record) -> Self {
        let Record { queue_offset, commitlog_offset, value, attempt, damage } = record;
        match damage {
            None => Self::Sound(queue_offset, commitlog_offset, value, attempt),
            Some(damage) => Self::Damaged(queue_offset, commitlog_offset, value, attempt, damage),
        }
    }
}

/// What the first event tells about the run: the checkers need it to know what "everything" is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Ids of the group's nodes.
    pub nodes: Vec<Arc<str>>,
    /// The queues written to, as `topic/queueId`.
    pub queues: Vec<Arc<str>>,
    /// Whether clients send a message again after an attempt with an unknown outcome.
    pub retries: bool,
    /// The scenario's name.
    pub scenario: String,
    /// The seed of every random choice.
    pub seed: u64,
}

/// One line. Members that do not belong to its function stay absent; unknown ones are skipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Place in the history, from 0.
    #[serde(rename = "i")]
    pub index: u64,
    /// Nanoseconds of the harness process's one monotonic clock.
    #[serde(rename = "t")]
    pub time_ns: u64,
    /// Who.
    #[serde(rename = "p")]
    pub process: Process,
    /// Which kind.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// About what.
    #[serde(rename = "f")]
    pub function: Function,
    /// Everything else.
    #[serde(flatten)]
    pub facts: Facts,
}

/// The optional members of a line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The queue, as `topic/queueId`.
    #[serde(rename = "k", skip_serializing_if = "Option::is_none")]
    pub queue: Option<Arc<str>>,
    /// A send's value, or a fault's particulars.
    #[serde(rename = "v", skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// A number: the offset stored, asked for or told, or the read index of a leader.
    #[serde(rename = "n", skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// How long a message is to be held back, in milliseconds.
    #[serde(rename = "delay", skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Attempt id of a send.
    #[serde(rename = "a", skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Arc<str>>,
    /// The node asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
    /// Consumer group of a poll.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Arc<str>>,
    /// Queue offset of an acknowledged message.
    #[serde(rename = "Q", skip_serializing_if = "Option::is_none")]
    pub queue_offset: Option<u64>,
    /// Commitlog offset of an acknowledged message.
    #[serde(rename = "P", skip_serializing_if = "Option::is_none")]
    pub commitlog_offset: Option<u64>,
    /// The answering leader's term.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// Log index of an acknowledged message's entry.
    #[serde(rename = "idx", skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u64>,
    /// A send of the harness after healing, which every complete drain must have read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sentinel: bool,
    /// The queue offset a read begins at, or a seek goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// What a read returned.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<Record>>,
    /// Where the broker told the reader to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// The queue's first readable offset, as a read was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The offset after the queue's last readable one, as a read was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// The drain of this queue at this node ends here: everything up to a stable maximum was read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    /// A node's role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The leader a node names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// How far a fault got.
    #[serde(rename = "st", skip_serializing_if = "Option::is_none")]
    pub state: Option<FaultState>,
    /// Why it failed, is unknown, or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Writes events as lines.
///
/// # Errors
/// Never for events that came from here; a value that JSON cannot hold otherwise.
pub fn to_jsonl(events: &[Event]) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for event in events {
        text.push_str(&serde_json::to_string(event)?);
        text.push('\n');
    }
    Ok(text)
}

/// Reads lines back into events. Empty lines are skipped.
///
/// # Errors
/// The first line that is not an event, with its number.
pub fn from_jsonl(text: &str) -> Result<Vec<Event>, HistoryError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|source| HistoryError::Line { line: at + 1, source })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = concat!(
        r#"{"i":41,"t":1203,"p":3,"type":"invoke","f":"send","k":"t0/2","v":"3-17","a":"3-17.0","node":"n1"}"#,
        "\n",
        r#"{"i":44,"t":4410,"p":3,"type":"ok","f":"send","Q":9,"P":88120,"term":4,"idx":912}"#,
        "\n",
        r#"{"i":45,"t":5000,"p":"nemesis","type":"info","f":"kill","v":{"nodes":["n1"]},"st":"installed"}"#,
        "\n",
        r#"{"i":46,"t":5001,"p":4,"type":"ok","f":"poll","r":[[9,88120,"3-17","3-17.0"],[10,9,"","","crc"]],"next":11,"min":0,"max":11}"#,
        "\n",
    );

    #[test]
    fn lines_come_back_as_they_were_written() {
        let events = from_jsonl(LINES).unwrap();
        assert_eq!(events[0].process, Process::Worker(3));
        assert_eq!(events[2].process, Process::Named(Named::Nemesis));
        assert_eq!(events[2].facts.state, Some(FaultState::Installed));
        let records = events[3].facts.records.as_ref().unwrap();
        assert_eq!(records[0].damage, None);
        assert_eq!(records[1].damage.as_deref(), Some("crc"));
        assert_eq!(to_jsonl(&events).unwrap(), LINES);
    }

    #[test]
    fn a_function_is_written_as_its_word() {
        for function in [Function::Start, Function::LocalLeader, Function::DelayPoll, Function::PowerCut] {
            assert_eq!(serde_json::to_value(function).unwrap(), function.word());
        }
    }

    #[test]
    fn a_line_that_is_no_event_is_named_by_its_number() {
        let text = format!("{LINES}\n{{\"i\":1}}\n");
        let error = from_jsonl(&text).unwrap_err().to_string();
        assert!(error.starts_with("line 6 of the history"), "{error}");
    }
}
