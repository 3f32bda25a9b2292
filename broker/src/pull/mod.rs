//! Pulling: what lies in a queue, handed out now or when it comes.
//!
//! Any node serves pulls of what it has applied. Only a ready leader may say that an offset is wrong, because
//! that moves the consumer: where another node would have to say so, the leader is asked instead.
//!
//! A pull reads in two looks: what there is to read is decided from memory. What was written lately is read at once, and
//! everything else has its turn among few [`readers`], so that a consumer of old messages holds up nobody else.

pub mod check;
pub mod found;
pub mod held;
pub mod long_poll;
pub mod look;
pub mod readers;
pub mod requests;
pub mod stored;
pub mod wake;

use std::sync::Arc;
use std::time::Duration;

use protocol::ResponseCode as code;
use protocol::command::pull::{PullRequest, sys_flag};
use tracing::warn;

use crate::node::Node;
use crate::send;
use crate::state::{Change, OffsetRow};
use crate::stats::name as stat;
use check::check;
use found::{Found, Look, Status};
use held::{HeldPull, PullError, Pulled, Then, Unfit};
use look::{Limits, Plan, Reading, plan};
use stored::LookError;

/// A client that asks to wait longer is answered at this time all the same: below the idle time-out of
/// connections.
const SUSPEND_MAX: Duration = Duration::from_secs(60);

/// Takes one pull, and tells `then` what came of it: now, when there is a message, or when its time is over.
pub fn pull(node: &Arc<Node>, header: PullRequest, then: Then) {
    match check(node, &header) {
        Ok(filter) => begin(node, HeldPull { header, filter, was_held: false, then }),
        Err(Unfit::NewGroup) => {
            let node = Arc::clone(node);
            tokio::spawn(async move {
                if let Err(error) = make_group(&node, &header.consumer_group).await {
                    return then(Err(error));
                }
                match check(&node, &header) {
                    Ok(filter) => begin(&node, HeldPull { header, filter, was_held: false, then }),
                    Err(Unfit::NewGroup) => then(Err(PullError::NotAppliedYet)),
                    Err(unfit) => then(Err(PullError::Unfit(unfit))),
                }
            });
        }
        Err(unfit) => then(Err(PullError::Unfit(unfit))),
    }
}

/// The group is made at its first use.
async fn make_group(node: &Node, name: &str) -> Result<(), PullError> {
    let group = send::check::new_group(name, &node.live());
    let group = group.map_err(|refusal| PullError::Unfit(Unfit::Refused(refusal)))?;
    let change = Change::PutGroups { groups: vec![group], only_new: true, now_ms: node.now_ms() };
    node.group.submit(change).await.map(drop).map_err(PullError::NotCreated)
}

/// Takes in what the consumer says of itself, then looks for messages.
fn begin(node: &Arc<Node>, pull: HeldPull) {
    let header = &pull.header;
    let reset = node.group.tables().pending_reset(&header.consumer_group, &header.topic, header.queue_id);
    if let Some(reset) = reset {
        return hand_over_reset(node, pull, reset);
    }
    store_offset(node, header);
    let place = (header.consumer_group.as_str(), header.topic.as_str(), header.queue_id);
    node.clients().pulled.put(place, header.queue_offset);
    look(node, pull, true);
}

/// Wakes a pull: whatever there is now is its answer.
pub fn wake(node: &Arc<Node>, pull: HeldPull) {
    look(node, pull, false);
}

/// `may_hold` on the first pass only.
fn look(node: &Arc<Node>, pull: HeldPull, may_hold: bool) {
    let header = &pull.header;
    // Asked before the look: what is read afterwards is at least as new.
    let term = node.group.serving_term();
    match plan(&node.group, &header.topic, header.queue_id, header.queue_offset) {
        Plan::Nothing(look) => {
            node.stats.looked(false, Duration::ZERO);
            settle(node, pull, look, term, may_hold);
        }
        Plan::Read(reading) if reading.is_fresh => read(node, pull, &reading, term, may_hold),
        Plan::Read(reading) => {
            let Some(place) = node.readers.place() else {
                return (pull.then)(Err(PullError::TooManyReads));
            };
            let node = Arc::clone(node);
            place.read(move || read(&node, pull, &reading, term, may_hold));
        }
    }
}

fn read(node: &Arc<Node>, pull: HeldPull, reading: &Reading, term: Option<u64>, may_hold: bool) {
    let header = &pull.header;
    let limits = Limits::of(node, header.max_msg_nums);
    let began = node.monotonic();
    match reading.read(&node.group, &pull.filter, &limits) {
        Ok(look) => {
            node.stats.looked(look.found.count > 0, node.monotonic().saturating_sub(began));
            settle(node, pull, look, term, may_hold);
        }
        Err(error) => failed(pull, &error),
    }
}

fn failed(pull: HeldPull, error: &LookError) {
    let HeldPull { header, then, .. } = pull;
    warn!(topic = header.topic, queue = header.queue_id, offset = header.queue_offset, %error, "pull failed");
    then(Err(PullError::Failed(error.to_string())));
}

/// Answers with what was seen, or holds the pull.
fn settle(node: &Arc<Node>, pull: HeldPull, look: Look, term: Option<u64>, may_hold: bool) {
    if look.code() == code::PULL_OFFSET_MOVED && term.is_none() {
        return (pull.then)(Err(PullError::LeaderMustJudge));
    }
    let wants_to_wait = pull.header.sys_flag & sys_flag::SUSPEND != 0;
    if look.code() == code::PULL_NOT_FOUND && may_hold && wants_to_wait {
        return hold(node, pull);
    }
    answer(node, pull, look, term);
}

fn hold(node: &Arc<Node>, mut pull: HeldPull) {
    pull.was_held = true;
    let wait = if node.live().messages.long_polling {
        Duration::from_millis(pull.header.suspend_timeout_ms.max(0) as u64).min(SUSPEND_MAX)
    } else {
        Duration::from_millis(node.live().messages.short_polling_ms)
    };
    let deadline = node.monotonic() + wait;
    let (topic, queue_id, offset) =
        (pull.header.topic.clone(), pull.header.queue_id, pull.header.queue_offset);
    if let Err(pull) = node.group.holds.park(&topic, queue_id, offset, deadline, pull) {
        return wake(node, pull); // too many wait: the client asks again
    }
    // A message may have come between the look and the parking.
    let Some(end) = node.group.queues.get(&topic, queue_id as u32).map(|queue| queue.max().0 as i64) else {
        return;
    };
    if end > offset {
        for pull in node.group.holds.passed(&topic, queue_id, end) {
            wake(node, pull);
        }
    }
}

/// The operator set this offset: the consumer is moved to it, once.
fn hand_over_reset(node: &Arc<Node>, pull: HeldPull, reset: i64) {
    let header = &pull.header;
    let taken = Change::TakeReset {
        group: header.consumer_group.clone(),
        topic: header.topic.clone(),
        queue_id: header.queue_id,
    };
    let node = Arc::clone(node);
    tokio::spawn(async move {
        if let Err(error) = node.group.submit(taken).await {
            return (pull.then)(Err(PullError::NotReset(error)));
        }
        let term = node.group.serving_term();
        let (min, max) = node.group.queue_ends(&pull.header.topic, pull.header.queue_id);
        let asked = pull.header.queue_offset;
        let status = Status::OffsetReset;
        let look = Look { status, asked, next: reset, min, max, found: Found::default() };
        answer(&node, pull, look, term);
    });
}

/// The consumer told how far it is: only the leader takes that in. Others leave it to the consumer's next word.
fn store_offset(node: &Node, header: &PullRequest) {
    if header.sys_flag & sys_flag::COMMIT_OFFSET == 0 || header.commit_offset < 0 {
        return;
    }
    let group = &node.group;
    let Some(term) = group.serving_term() else { return };
    let known = group
        .offsets
        .get(term, &header.consumer_group, &header.topic, header.queue_id)
        .or_else(|| group.tables().consumer_offset(&header.consumer_group, &header.topic, header.queue_id));
    if known == Some(header.commit_offset) {
        return; // most pulls repeat what is stored: nothing for the log
    }
    let row = OffsetRow {
        group: header.consumer_group.clone(),
        topic: header.topic.clone(),
        queue_id: header.queue_id,
        queue_offset: header.commit_offset,
    };
    if group.check_room_for_offset(&row).is_ok() {
        group.offsets.store(term, row);
    }
}

fn answer(node: &Node, pull: HeldPull, look: Look, term: Option<u64>) {
    let HeldPull { header, then, was_held, .. } = pull;
    if look.found.count > 0 {
        let key = format!("{}@{}", header.topic, header.consumer_group);
        node.stats.counter(stat::GROUP_GET_NUMS, &key).add(look.found.count);
        node.stats.counter(stat::GROUP_GET_SIZE, &key).add(look.found.bytes);
        node.stats.counter(stat::BROKER_GET_NUMS, &node.config.identity.cluster).add(look.found.count);
    }
    let tables = node.group.tables();
    let (group, topic) = (tables.group(&header.consumer_group), tables.topic(&header.topic));
    let pulled = Pulled {
        look,
        term,
        was_held,
        suggest_broker_id: group.map_or(0, |group| group.broker_id),
        group_sys_flag: group.map(|group| group.sys_flag),
        topic_sys_flag: topic.map(|topic| topic.sys_flag),
    };
    drop(tables);
    then(Ok(pulled));
}
