//! The long hand-made session with a RocketMQ 5.3.3 broker: ours answers every request the same, but for the
//! [`DIFFERENCES`].

use std::collections::{BTreeMap, BTreeSet};

use protocol::message::{self, MessageView, id, properties};
use protocol::{Command, RequestCode as code};
use serde_json::{Map, Value};

use crate::recording::{Recorded, Recording, recording};
use crate::support::*;

/// What of an answer differs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Code,
    Remark,
    Ext,
    Body,
}
use Part::{Body, Code, Ext, Remark};

const NO_SQL: &str =
    "SQL92 filters are not built: refused as with enablePropertyFilter=false, RocketMQ's default";
const NO_TIMERS: &str =
    "messages with a time of delivery are not built: refused rather than delivered at a wrong time";
const NO_TRANSACTIONS: &str =
    "transactions are not built: a half message is refused, its end is not understood";
const NO_POP: &str = "pop is not built";
const NO_REPLY: &str = "request-reply is not built";
const NO_BATCH_QUEUES: &str =
    "batch queues are not built: the attribute is refused, so a later send makes the topic anew";
const BATCH_MEMBERS: &str = "members of a batch are stored as they came, as by 4.9.7; 5.3.3 writes the batch's unique key over theirs";
const LEGAL_GROUPS: &str = "an illegal group name is refused, as by 5.5.0; 5.3.3 stores it and lets it pull";
const LENIENT: &str = "accepted, where Java trips over a null";

/// Scenarios whose answers differ on purpose: what of the answer, and why. A scenario that ends with `*` stands for
/// all that begin so.
const DIFFERENCES: &[(&str, &[Part], &str)] = &[
    ("17-attr-batchcq", &[Code], NO_BATCH_QUEUES),
    ("310-empty-body", &[], "accepted, as by 4.9.7, where 5.3.3 trips over a null; not sent, see `send.rs`"),
    ("320-broken-body", &[Code], "a body that can never be read is illegal (13), not worth trying again (1)"),
    ("11-found", &[Body], BATCH_MEMBERS),
    ("361-lite", &[Body], BATCH_MEMBERS),
    (
        "14-after-commit-bit",
        &[],
        "the pull with that bit is not in the recording, but its offset is put in `step`",
    ),
    ("14-empty-queue", &[Code, Ext], "as 4.9: nothing is skipped that comes right after the question"),
    ("15-missing-offset", &[Remark], "says which field is missing"),
    ("33-mid-record", &[Remark], "our offset"),
    ("11-group-illegal-never-created", &[Remark], "says why the group is not made"),
    ("11-group-256-chars", &[Remark], "says why the group is not made"),
    ("34-v2-fingerprint", &[Ext], "the recorded broker had seen another fingerprint of the group"),
    (
        "43-late",
        &[Body],
        "the recorded broker had reset another group by a request that is not in the recording",
    ),
    (
        "17-attr-unchangeable",
        &[],
        "the topic does not exist here, and the attribute is refused in other words",
    ),
    ("320-inner-batch-topic", &[Ext], NO_BATCH_QUEUES),
    ("200-illegal", &[Code], LEGAL_GROUPS),
    ("11-group-illegal", &[Code, Ext, Body], LEGAL_GROUPS),
    ("36-group-illegal", &[Code], LEGAL_GROUPS),
    ("310-timer-sec", &[Code, Ext], NO_TIMERS),
    ("310-timer-too-far", &[Code], NO_TIMERS),
    ("310-timer-nonnumeric", &[Code], NO_TIMERS),
    ("310-timer-past", &[Code, Ext], NO_TIMERS),
    ("310-half*", &[Code, Ext], NO_TRANSACTIONS),
    ("37-*", &[Code], NO_TRANSACTIONS),
    ("323-bad", &[Code], NO_TRANSACTIONS),
    ("324-reply-no-client", &[Code, Ext], NO_REPLY),
    ("325-reply-no-client", &[Code, Ext], NO_REPLY),
    ("11-sql-*", &[Code, Ext, Body], NO_SQL),
    ("11-hb-sql*", &[Code, Ext], NO_SQL),
    ("46-ok", &[Code], NO_SQL),
    ("46-bad", &[Code], NO_SQL),
    ("34-go-style", &[Code, Ext], LENIENT),
    ("34-null-sets", &[Code, Ext], LENIENT),
    ("300", &[Body], "5.3.3 lists the topic itself among its groups, by mistake"),
    ("305", &[Body], "no topics of timers and of pop"),
    ("308", &[Code, Body], LENIENT),
    ("400-pop-mode", &[Body], NO_POP),
    ("60", &[Code, Body], NO_TIMERS),
    ("61*", &[Code, Body], NO_TIMERS),
    ("25-unknown-key", &[Code], "a mistyped name is told, not passed over"),
    ("25-bad-perm", &[Code], "a bad value is told, not passed over"),
    ("223-topic", &[], "says that nobody is online"),
    ("354", &[Code, Body], "RocksDB"),
    ("355", &[Code], "RocksDB"),
    ("906", &[Code, Ext], "between RocketMQ's own masters and slaves"),
    ("908", &[Code], "between RocketMQ's own masters and slaves"),
    ("1007", &[Code], "RocketMQ's controller"),
    ("2001", &[Code], "cold data flow control"),
    ("2003", &[Code, Body], "cold data flow control"),
    ("2004", &[Code], "read-ahead is not set from outside"),
    ("3003-getuser", &[Code], "access control is not built"),
    ("3005-listuser", &[Code], "access control is not built"),
    ("3010-listacl", &[Code], "access control is not built"),
    ("3001-createuser-empty", &[Code], "access control is not built"),
    ("513", &[Code], "static topics"),
    ("200050-*", &[Code, Ext, Body], NO_POP),
    ("200051-*", &[Code, Ext], NO_POP),
    ("200052-*", &[Code, Ext, Body], NO_POP),
    ("200053-*", &[Code, Ext], NO_POP),
    ("200054-*", &[Code, Ext], NO_POP),
    ("200055-*", &[Code, Ext], NO_POP),
    ("200151-*", &[Code, Ext], NO_POP),
    ("370-bad", &[Code, Ext], NO_TIMERS),
    ("401-unknown-group", &[Code], NO_POP),
    (
        "310-v6-flag-from-client",
        &[],
        "not sent: RocketMQ writes a record that nobody can read, see `send.rs`",
    ),
];
// And everywhere, see the comparison:
// - Ours adds `term`, `index` and `outcome` to answers of sends, `totalTopicNum` and `totalGroupNum` to lists.
// - A success has no left-over remark; a remark may say more than RocketMQ's, and has no Java exception in it.

/// Fields that RocketMQ does not have.
const OURS: [&str; 5] = ["term", "index", "outcome", "totalTopicNum", "totalGroupNum"];

/// Members that no two runs have alike.
const VOLATILE: [&str; 20] = [
    "timestamp",
    "lastUpdateTimestamp",
    "lastTimestamp",
    "dataVersion",
    "mappingDataVersion",
    "consumeTps",
    "topicPutTps",
    "clientAddr",
    "remoteIP",
    "brokerAddr",
    "physicOffset",
    "physicSize",
    "consumeTimeStamp",
    "maxTimeStamp",
    "minTimeStamp",
    "delayTime",
    "statsDay",
    "statsHour",
    "statsMinute",
    "pullOffset", // counts what was handed out; here what was consumed
];
/// Members of RocketMQ's that no reader reads.
const LEFT_OUT: [&str; 8] = [
    "consumeTimeStampStr",
    "maxTimeStampStr",
    "minTimeStampStr",
    "groupTopicMap",
    "mappingDataVersion",
    "topicQueueMappingDetailMap",
    "topicQueueMappingInfoMap",
    "groupRetryPolicy",
];

/// RocketMQ gave this message of `RawT` queue 0 an offset and no place in the queue: everything behind it stands one
/// place lower than its own record says.
const UNREADABLE: i64 = 22;

fn true_offset(topic: &str, queue_id: i32, offset: i64) -> i64 {
    if topic == "RawT" && queue_id == 0 && offset > UNREADABLE { offset - 1 } else { offset }
}

struct Replay {
    node: Node,
    peer: Peer,
    second: Peer,
    /// Recorded commitlog offset to ours.
    offsets: BTreeMap<i64, i64>,
    /// Places of queues that a message of ours fills instead of one that came by something not built.
    stand_ins: BTreeSet<(String, i32, i64)>,
    complaints: Vec<String>,
}

#[tokio::test]
async fn the_long_handmade_session() {
    let recording = recording!("handmade-broker-5.3.3");
    let answers = recording.told.iter().filter_map(|told| {
        let code = told.scenario.split('-').next()?.parse::<i32>().ok()?;
        Some((if code == 223 { 221 } else { code }, told.command.clone()))
    });
    let node =
        Node::start("messageDelayLevel=1s 2s 3s 5s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h").await;
    let peer = Peer::connect(&node.addr, answers.collect()).await;
    let second = node.connect().await;
    // What it had before.
    peer.create_topic("RawEmpty", 2, 6).await;
    peer.create_topic("RawPop", 2, 6).await;
    peer.create_topic("RawDel", 2, 6).await;
    peer.create_topic("RawNoWrite", 2, 4).await;
    let (offsets, stand_ins, complaints) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
    let mut replay = Replay { node, peer, second, offsets, stand_ins, complaints };
    let session =
        |recorded: &Recorded| (1199..=1865).contains(&recorded.id) || (2684..=2892).contains(&recorded.id);
    let mut replayed = 0;
    let mut woken = None;
    for (request, answer) in recording.requests.iter().filter(|(request, _)| session(request)) {
        replayed += 1;
        if request.scenario == "11-suspend-woken" {
            // Held until the next message comes.
            let command = request.command.clone();
            let connection = replay.peer.connection.clone();
            let held = tokio::spawn(async move { connection.call(command, DEADLINE).await.unwrap() });
            woken = Some((request, answer.as_ref().unwrap(), held));
            continue;
        }
        replay.step(request, answer.as_ref()).await;
        if let Some((request, answer, held)) = woken.take() {
            let ours = held.await.unwrap();
            replay.compare(request, answer, &ours);
        }
    }
    replay.compare_pushes(&recording);
    replay.node.stop().await;
    assert!(replayed > 350, "only {replayed} were replayed");
    assert!(replay.complaints.is_empty(), "{}:\n{}", replay.complaints.len(), replay.complaints.join("\n"));
}

impl Replay {
    async fn step(&mut self, request: &Recorded, expected: Option<&Command>) {
        match request.scenario.as_str() {
            "310-v6-flag-from-client" | "310-empty-body" => return,
            // Delivered at once by the recorded broker.
            "310-inner-num" => self.stand_in("RawT", 0).await,
            // The message delayed by a second has come.
            "320-ok" => self.peer.wait_for_end("RawT", 0, 9).await,
            "14-after-commit-bit" => {
                self.peer.store_offset("RawCG", "RawT", 0, 3).await;
            }
            // What came by a one-way request is on its way into the table.
            "43" => {
                self.peer.store_offset("RawCG", "RawT", 0, 2).await;
            }
            _ => {}
        }
        let mut command = self.translated(&request.command);
        if let Some(expected) = expected {
            self.fill_up(request, &mut command, expected).await;
        }
        let peer = if request.scenario == "34-second-client" || request.scenario == "35-unregister" {
            &self.second
        } else {
            &self.peer
        };
        if command.is_oneway() {
            peer.connection.oneway(command).unwrap();
            return;
        }
        let Some(expected) = expected else {
            // RocketMQ does not answer it; a code that is not known is always answered here.
            assert_eq!(request.scenario, "37-unknown-type");
            return;
        };
        let ours = peer.call(command).await;
        self.compare(request, expected, &ours);
    }

    /// The request with our offsets and ids in the place of the recorded ones.
    fn translated(&self, recorded: &Command) -> Command {
        let mut command = recorded.clone();
        if matches!(command.code, code::VIEW_MESSAGE_BY_ID | code::CONSUMER_SEND_MSG_BACK) {
            let recorded = command.ext.required_i64("offset").unwrap();
            if let Some(ours) = self.offsets.get(&recorded) {
                command.ext.insert("offset", ours.to_string());
            } else if let Some(ours) = self.offsets.get(&(recorded - 1)) {
                command.ext.insert("offset", (ours + 1).to_string());
            }
        }
        if command.code == code::CONSUME_MESSAGE_DIRECTLY {
            let (host, recorded) = id::parse_offset_message_id(command.ext.get("msgId").unwrap()).unwrap();
            if let Some(ours) = self.offsets.get(&recorded) {
                command.ext.insert("msgId", id::offset_message_id(host, *ours));
            }
        }
        command
    }

    /// Puts messages where the recorded broker had some by means that are not built here, and sends a message that
    /// may go to any queue to the one it went to.
    async fn fill_up(&mut self, request: &Recorded, command: &mut Command, expected: &Command) {
        let is_send =
            matches!(command.code, code::SEND_MESSAGE | code::SEND_MESSAGE_V2 | code::SEND_BATCH_MESSAGE);
        let names = if command.code == code::SEND_MESSAGE { ("topic", "queueId") } else { ("b", "e") };
        let (names, end) = match command.code {
            _ if is_send => (names, expected.ext.get("queueOffset")),
            code::PULL_MESSAGE | code::LITE_PULL_MESSAGE => {
                (("topic", "queueId"), expected.ext.get("maxOffset"))
            }
            _ => return,
        };
        let (Some(topic), Some(end)) = (command.ext.get(names.0), end) else { return };
        if !topic.starts_with("Raw") {
            return;
        }
        let differs = |(scenario, ..): &(&str, &[Part], &str)| names_it(scenario, &request.scenario);
        let refused_here = DIFFERENCES.iter().any(|line| differs(line) && line.1.contains(&Code));
        // A delayed message's offset is that of the schedule topic.
        if is_send && (refused_here || request.scenario == "310-delay1") {
            return;
        }
        let (topic, mut end) = (topic.to_owned(), end.parse::<i64>().unwrap());
        let queue_id =
            expected.ext.get("queueId").or(command.ext.get(names.1)).unwrap().parse::<i32>().unwrap();
        if is_send {
            end = true_offset(&topic, queue_id, end);
            command.ext.insert(names.1, queue_id.to_string());
        }
        loop {
            let ours = self.peer.max_offset(&topic, queue_id).await;
            if ours >= end {
                break;
            }
            self.stand_in(&topic, queue_id).await;
        }
    }

    async fn stand_in(&mut self, topic: &str, queue_id: i32) {
        let (place, _) = self.peer.send(topic, queue_id, "", "stands in").await;
        self.stand_ins.insert((topic.to_owned(), queue_id, place));
    }

    fn compare(&mut self, request: &Recorded, expected: &Command, ours: &Command) {
        let differs = |part| {
            DIFFERENCES.iter().any(|(scenario, parts, _)| {
                names_it(scenario, &request.scenario) && (parts.contains(&part) || parts.is_empty())
            })
        };
        let mut complaints = Vec::new();
        let mut check = |part: Part, complaint: Option<String>| {
            complaints.extend(complaint.filter(|_| !differs(part)));
        };
        if !ours.is_response() || ours.encoding != request.command.encoding {
            check(Code, Some("is no response in the request's encoding".into()));
        }
        check(Code, code_differs(expected, ours));
        check(Remark, remark_differs(expected, ours));
        check(Ext, self.ext_differs(request, expected, ours));
        check(Body, self.body_differs(request, expected, ours));
        let context = format!("{} {}", request.id, request.scenario);
        self.complaints.extend(complaints.into_iter().map(|complaint| format!("{context}: {complaint}")));
    }

    fn ext_differs(&mut self, request: &Recorded, expected: &Command, ours: &Command) -> Option<String> {
        if expected.remark.as_deref().is_some_and(is_javas) {
            return None;
        }
        let mut theirs: BTreeMap<&str, String> =
            expected.ext.iter().map(|(name, value)| (name, value.to_owned())).collect();
        let mut mine: BTreeMap<&str, String> = ours
            .ext
            .iter()
            .filter(|(name, _)| !OURS.contains(name))
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        if let (Some(recorded), Some(own)) = (theirs.remove("msgId"), mine.remove("msgId")) {
            let (recorded, own): (Vec<_>, Vec<_>) = (recorded.split(',').collect(), own.split(',').collect());
            if recorded.len() != own.len() {
                return Some(format!("{} message ids, recorded {}", own.len(), recorded.len()));
            }
            for (recorded, own) in recorded.iter().zip(own) {
                let offset = |id| id::parse_offset_message_id(id).unwrap().1;
                self.offsets.insert(offset(recorded), offset(own));
            }
        }
        // Made by the broker where the sender had none.
        if theirs.get("transactionId").is_some_and(|id| id.starts_with("FD00")) {
            theirs.remove("transactionId");
            if mine.remove("transactionId").is_none_or(|id| id.len() != 32) {
                return Some("no unique key".into());
            }
        }
        if let Some(topic) = request.command.ext.get("b").or(request.command.ext.get("topic"))
            && let Some(queue_id) = theirs.get("queueId").map(|queue_id| queue_id.parse().unwrap())
            && let Some(offset) = theirs.get_mut("queueOffset")
        {
            *offset = true_offset(topic, queue_id, offset.parse().unwrap()).to_string();
        }
        for name in ["timestamp", "indexLastUpdatePhyoffset", "indexLastUpdateTimestamp", "version"] {
            // Ours tells how far the index is whether it found something or not.
            if theirs.contains_key(name) && mine.contains_key(name) {
                theirs.remove(name);
                mine.remove(name);
            }
        }
        let by_time = request.command.code == code::SEARCH_OFFSET_BY_TIMESTAMP;
        if by_time && !request.scenario.contains("past") && !request.scenario.contains("empty") {
            return None; // the recorded times are not ours; `offsets.rs` has them
        }
        if request.scenario == "310-delay1" {
            // The place in the schedule topic, which others had used before.
            theirs.remove("queueOffset");
            mine.remove("queueOffset");
        }
        (mine != theirs).then(|| format!("fields {mine:?}, recorded {theirs:?}"))
    }

    fn body_differs(&self, request: &Recorded, expected: &Command, ours: &Command) -> Option<String> {
        let (theirs, mine) = (&expected.body, &ours.body);
        match request.command.code {
            code::PULL_MESSAGE | code::LITE_PULL_MESSAGE | code::VIEW_MESSAGE_BY_ID | code::QUERY_MESSAGE => {
                self.units_differ(theirs, mine)
            }
            code::GET_BROKER_CONFIG => names_missing(&config_names(theirs), &config_names(mine)),
            code::GET_BROKER_RUNTIME_INFO => {
                let names = |body: &[u8]| json(body)["table"].as_object().unwrap().keys().cloned().collect();
                names_missing(&names(theirs), &names(mine))
            }
            // Groups of earlier sessions with RocketMQ; `admin.rs` has it.
            code::GET_BROKER_CONSUME_STATS
            | code::GET_ALL_MESSAGE_REQUEST_MODE
            | code::GET_ALL_DELAY_OFFSET => None,
            asked => {
                if theirs.is_empty() || mine.is_empty() {
                    return (theirs != mine).then(|| format!("body {mine:?}, recorded {theirs:?}"));
                }
                let whole = |body: &[u8]| comparable(json(body), asked);
                let (mine, theirs) = (whole(mine), whole(theirs));
                let mut found = Vec::new();
                differing("", &mine, &theirs, &mut found);
                (!found.is_empty()).then(|| format!("body: {}", found.join("; ")))
            }
        }
    }

    fn units_differ(&self, theirs: &[u8], mine: &[u8]) -> Option<String> {
        let readable: Vec<_> = message::walk(theirs)
            .filter_map(|unit| message::parse(unit.unwrap()).ok())
            .filter(|unit| !(unit.topic == "RawT" && unit.queue_id == 0 && unit.queue_offset == UNREADABLE))
            .map(|unit| self.unit_text(&unit, true))
            .collect();
        let mine: Vec<_> = units(mine).iter().map(|unit| self.unit_text(unit, false)).collect();
        let theirs: Vec<_> = readable.into_iter().flatten().collect();
        let mine: Vec<_> = mine.into_iter().flatten().collect();
        if theirs.len() != mine.len() {
            return Some(format!("units\n  {}\n recorded\n  {}", mine.join("\n  "), theirs.join("\n  ")));
        }
        let differing = mine.iter().zip(&theirs).find(|(mine, theirs)| mine != theirs)?;
        Some(format!("unit\n  {}\n recorded\n  {}", differing.0, differing.1))
    }

    /// Everything of a message that a consumer reads; `None` where ours stands in for it.
    fn unit_text(&self, unit: &MessageView<'_>, recorded: bool) -> Option<String> {
        let queue_offset = if recorded {
            true_offset(unit.topic, unit.queue_id, unit.queue_offset)
        } else {
            unit.queue_offset
        };
        if self.stand_ins.contains(&(unit.topic.to_owned(), unit.queue_id, queue_offset)) {
            return None;
        }
        let mut all: BTreeMap<&str, &str> = properties::parse(&unit.properties).collect();
        // Made by the broker where the sender had none.
        all.retain(|name, value| {
            *name != "UNIQ_KEY" || value.trim_matches(['A', 'B', 'D', 'F', '0']).is_empty()
        });
        // A message that was delayed says here which record it fulfils.
        all.remove("__DELIVERY");
        Some(format!(
            "{}/{}/{queue_offset} flag {} sys {} born {} tried {} body {:?} properties {all:?}",
            unit.topic,
            unit.queue_id,
            unit.flag,
            unit.sys_flag,
            unit.born_timestamp_ms,
            unit.reconsume_times,
            String::from_utf8_lossy(unit.body),
        ))
    }

    /// Notices of changed groups: the same groups, at least as often.
    fn compare_pushes(&mut self, recording: &Recording) {
        let mut ours: BTreeSet<(i32, Option<String>)> = BTreeSet::new();
        let group = |command: &Command| command.ext.get("consumerGroup").map(str::to_owned);
        while let Ok(push) = self.peer.pushes.try_recv() {
            ours.insert((push.code, group(&push)));
        }
        for push in &recording.pushes {
            // The request for 221 is not in the recording: `admin.rs` has it.
            let skipped = ["silent", "illegal", "223"].iter().any(|part| push.scenario.contains(part));
            let is_known = ours.contains(&(push.command.code, group(&push.command)));
            if push.id < 3_000 && !skipped && !is_known {
                let group = group(&push.command);
                self.complaints
                    .push(format!("{}: push {} for {group:?} is missing", push.scenario, push.command.code));
            }
        }
    }
}

fn code_differs(expected: &Command, ours: &Command) -> Option<String> {
    (ours.code != expected.code)
        .then(|| format!("code {} ({:?}), recorded {}", ours.code, ours.remark, expected.code))
}

fn is_javas(remark: &str) -> bool {
    ["java.", "org.", "com."].iter().any(|package| remark.starts_with(package))
}

fn remark_differs(expected: &Command, ours: &Command) -> Option<String> {
    if ours.code != expected.code {
        return None;
    }
    let theirs = expected.remark.as_deref().unwrap_or_default();
    let said = ours.remark.as_deref().unwrap_or_default();
    if ours.code != 0 && (is_javas(theirs) || theirs.contains("maybe msg body or properties")) {
        return (said.is_empty() || said.contains("Exception")).then(|| format!("remark {said:?}"));
    }
    let leftover = ours.code == 0 && theirs != "FOUND" && theirs != "Offset has been previously reset";
    // The client's address is ours, and a link to a web page does not help.
    let theirs = theirs.lines().next().unwrap_or_default();
    let theirs = theirs.split(" consumer:[").next().unwrap_or_default();
    let theirs = theirs.split(" TopicConfig").next().unwrap_or_default().trim_end();
    (!leftover && !said.starts_with(theirs)).then(|| format!("remark {said:?}, recorded {theirs:?}"))
}

fn names_it(pattern: &str, scenario: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == scenario, |start| scenario.starts_with(start))
}

fn config_names(body: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(body).into_owned();
    text.lines().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect()
}

/// Names that tools read, of those that RocketMQ has and we have not.
fn names_missing(theirs: &BTreeSet<String>, ours: &BTreeSet<String>) -> Option<String> {
    const READ_BY_TOOLS: [&str; 40] = [
        "brokerClusterName",
        "brokerId",
        "brokerName",
        "brokerRole",
        "fileReservedTime",
        "flushDiskType",
        "maxMessageSize",
        "messageDelayLevel",
        "msgTraceTopicName",
        "slaveReadEnable",
        "traceOn",
        "traceTopicEnable",
        "useTLS",
        "autoCreateTopicEnable",
        "autoCreateSubscriptionGroup",
        "clientCallbackExecutorThreads",
        "brokerVersionDesc",
        "brokerActive",
        "putTps",
        "getTransferredTps",
        "getTotalTps",
        "getFoundTps",
        "getMissTps",
        "sendThreadPoolQueueSize",
        "pullThreadPoolQueueSize",
        "ackThreadPoolQueueSize",
        "queryThreadPoolQueueSize",
        "sendThreadPoolQueueHeadWaitTimeMills",
        "pullThreadPoolQueueHeadWaitTimeMills",
        "pageCacheLockTimeMills",
        "earliestMessageTimeStamp",
        "commitLogDiskRatio",
        "consumeQueueDiskRatio",
        "msgPutTotalTodayNow",
        "msgGetTotalTodayNow",
        "commitLogDirCapacity",
        "timerReadBehind",
        "bootTimestamp",
        "commitLogMaxOffset",
        "runtime",
    ];
    let missing: Vec<_> =
        READ_BY_TOOLS.iter().filter(|name| theirs.contains(**name) && !ours.contains(**name)).collect();
    (!missing.is_empty()).then(|| format!("{missing:?} are missing"))
}

/// Says where two bodies differ.
fn differing(path: &str, mine: &Value, theirs: &Value, found: &mut Vec<String>) {
    match (mine, theirs) {
        (Value::Object(ours), Value::Object(recorded)) => {
            let names: BTreeSet<&String> = ours.keys().chain(recorded.keys()).collect();
            for name in names {
                let path = format!("{path}/{name}");
                match (ours.get(name), recorded.get(name)) {
                    (Some(mine), Some(theirs)) => differing(&path, mine, theirs, found),
                    (mine, theirs) => found.push(format!("{path} is {mine:?}, recorded {theirs:?}")),
                }
            }
        }
        _ if mine != theirs => found.push(format!("{path} is {mine}, recorded {theirs}")),
        _ => {}
    }
}

/// Without what no two runs have alike, and of tables of everything only what this session made.
fn comparable(value: Value, asked: i32) -> Value {
    let table = match asked {
        code::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => "subscriptionGroupTable",
        code::GET_ALL_TOPIC_CONFIG => "topicConfigTable",
        code::GET_ALL_CONSUMER_OFFSET => "offsetTable",
        _ => return plain(value),
    };
    let of_session = |name: &str| {
        let other = ["RawBCQ", "pop", "Pop", "GGGG"]; // batch queues and pop
        name.contains("Raw") && !other.iter().any(|part| name.contains(part))
    };
    let Value::Object(members) = plain(value[table].clone()) else { panic!("{table} is not a map") };
    Value::Object(members.into_iter().filter(|(name, _)| of_session(name)).collect())
}

fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(plain).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(members) => {
            let members = members.into_iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
            // An offset below 0 is none.
            let members = members.filter(|(_, value)| value.as_i64() != Some(-1));
            let sorted: BTreeMap<String, Value> = members
                .map(|(name, value)| {
                    let volatile = VOLATILE.contains(&name.as_str());
                    (name, if volatile { Value::Null } else { plain(value) })
                })
                .collect();
            Value::Object(Map::from_iter(sorted))
        }
        other => other,
    }
}
