//! Pulling: codes 11 and 361. Checks, reads, and holds the pull when there is nothing yet.
//!
//! Any node serves pulls of what it has applied. Only a ready leader may say that an offset is wrong, because
//! that moves the consumer: where another node would have to say so, it asks the leader instead.

use std::sync::Arc;
use std::time::Duration;

use protocol::command::pull::{PullRequest, PullResponse, sys_flag};
use protocol::subscription::SubscriptionData;
use protocol::{Command, RequestCode, ResponseCode as code};
use remoting::Reply;
use tracing::warn;

use crate::clients::subscription;
use crate::door::exchange::header;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::leader::forward;
use crate::leader::who_answers::{Verdict, who_answers};
use crate::node::Node;
use crate::pull::held::{Filter, HeldPull};
use crate::pull::look::{self, Found, Limits, Look};
use crate::refusal::Refusal;
use crate::send::check;
use crate::state::{Change, OffsetRow};
use crate::stats::name as stat;

/// `forbiddenType` of a refusal with code 16. Source: RocketMQ `ForbiddenType`.
const FORBIDDEN_BROKER: i32 = 1;
const FORBIDDEN_GROUP: i32 = 2;
const FORBIDDEN_TOPIC: i32 = 3;
const FORBIDDEN_BROADCAST: i32 = 4;
const FORBIDDEN_SUBSCRIPTION: i32 = 5;

/// A client that asks to wait longer is answered at this time all the same: below the idle time-out of
/// connections.
const SUSPEND_MAX: Duration = Duration::from_secs(60);
/// How long a node that may not judge an offset looks for the leader.
const LEADER_WITHIN: Duration = Duration::from_millis(500);

/// Takes one pull.
pub fn pull(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(PullRequest, request, answer);
    match check(node, &request, &header) {
        Ok(filter) => run(node, HeldPull { origin, request, header, filter, answer }, true),
        Err(Check::Refused(refusal, _))
            if refusal.code == code::SUBSCRIPTION_NOT_LATEST && subscription::may_ask(&origin, &request) =>
        {
            let node = Arc::clone(node);
            tokio::spawn(async move {
                subscription::ask(&node, &origin, &header.consumer_group).await;
                pull_again(&node, origin, request, header, answer);
            });
        }
        Err(Check::Refused(refusal, forbidden)) => answer.send(refused(&request, refusal, forbidden)),
        Err(Check::NewGroup) => {
            let node = Arc::clone(node);
            tokio::spawn(async move { pull_for_new_group(&node, origin, request, header, answer).await });
        }
    }
}

/// The group is made at its first use, then the pull goes on.
async fn pull_for_new_group(
    node: &Arc<Node>,
    origin: Origin,
    request: Command,
    header: PullRequest,
    answer: Answer,
) {
    let group = match check::new_group(&header.consumer_group, &node.live()) {
        Ok(group) => group,
        Err(refusal) => return answer.send(refused(&request, refusal, None)),
    };
    let change = Change::PutGroups { groups: vec![group], only_new: true, now_ms: node.now_ms() };
    if let Err(error) = node.group.submit(change).await {
        return answer.send(crate::door::exchange::not_submitted(&request, &error));
    }
    pull_again(node, origin, request, header, answer);
}

/// The second look at a pull, once what it lacked should be there.
fn pull_again(node: &Arc<Node>, origin: Origin, request: Command, header: PullRequest, answer: Answer) {
    match check(node, &request, &header) {
        Ok(filter) => run(node, HeldPull { origin, request, header, filter, answer }, true),
        Err(Check::Refused(refusal, forbidden)) => answer.send(refused(&request, refusal, forbidden)),
        // A follower may not have applied the group yet; the client pulls again.
        Err(Check::NewGroup) => {
            answer.send(refuse(&request, code::SYSTEM_BUSY, "the group is being created"));
        }
    }
}

/// Why a pull does not begin.
enum Check {
    Refused(Refusal, Option<i32>),
    NewGroup,
}

/// The checks of the pull specification, in its order.
fn check(node: &Node, request: &Command, header: &PullRequest) -> Result<Filter, Check> {
    let forbidden =
        |kind, remark: String| Err(Check::Refused(Refusal::new(code::NO_PERMISSION, remark), Some(kind)));
    let refused = |code, remark: String| Err(Check::Refused(Refusal::new(code, remark), None));
    if node.live().identity.permission & 4 == 0 {
        return forbidden(
            FORBIDDEN_BROKER,
            format!("the broker[{}] pulling message is forbidden", node.group.name()),
        );
    }
    let group_name = &header.consumer_group;
    let tables = node.group.tables();
    let Some(group) = tables.group(group_name) else { return Err(Check::NewGroup) };
    if !group.consume_enable {
        return forbidden(FORBIDDEN_GROUP, format!("subscription group no permission, {group_name}"));
    }
    let Some(topic) = tables.topic(&header.topic) else {
        return refused(
            code::TOPIC_NOT_EXIST,
            format!("topic[{}] not exist, apply first please!", header.topic),
        );
    };
    if !topic.is_readable() {
        return forbidden(
            FORBIDDEN_TOPIC,
            format!("the topic[{}] pulling message is forbidden", header.topic),
        );
    }
    if header.queue_id < 0 || header.queue_id >= topic.read_queue_nums {
        let remark = format!(
            "queueId[{}] is illegal, topic:[{}] topicConfig.readQueueNums:[{}]",
            header.queue_id, header.topic, topic.read_queue_nums
        );
        return refused(code::INVALID_PARAMETER, remark);
    }
    if header.sys_flag & sys_flag::CLASS_FILTER != 0 {
        return Ok(Filter::All);
    }
    let subscription = if header.sys_flag & sys_flag::SUBSCRIPTION == 0 {
        let clients = node.clients();
        if !clients.consumers.is_online(group_name) {
            let remark = format!("the consumer's group info not exist: {group_name}");
            return refused(code::SUBSCRIPTION_NOT_EXIST, remark);
        }
        let is_broadcast = clients.consumers.message_model(group_name)
            == Some(protocol::command::heartbeat::MessageModel::Broadcasting);
        if is_broadcast && !group.consume_broadcast_enable {
            let remark = format!("the consumer group[{group_name}] can not consume by broadcast way");
            return forbidden(FORBIDDEN_BROADCAST, remark);
        }
        if !tables.may_read(group_name, &header.topic) {
            let remark = format!("the consumer group[{group_name}] is forbidden for topic[{}]", header.topic);
            return forbidden(FORBIDDEN_SUBSCRIPTION, remark);
        }
        let Some(subscription) = clients.consumers.subscription(group_name, &header.topic) else {
            let remark = format!("the consumer's subscription not exist: {group_name} on {}", header.topic);
            return refused(code::SUBSCRIPTION_NOT_EXIST, remark);
        };
        if subscription.sub_version < header.sub_version {
            let remark = format!(
                "the consumer's subscription not latest: {} is known, {} asked for",
                subscription.sub_version, header.sub_version
            );
            return refused(code::SUBSCRIPTION_NOT_LATEST, remark);
        }
        subscription.clone()
    } else {
        let expression = header.subscription.as_deref().unwrap_or_default();
        if is_sql(header.expression_type.as_deref()) {
            return refused(code::SYSTEM_ERROR, no_sql());
        }
        match SubscriptionData::parse(&header.topic, expression) {
            Ok(subscription) => subscription,
            Err(error) => {
                let remark = format!("parse the consumer's subscription failed: {error}");
                return refused(code::SUBSCRIPTION_PARSE_FAILED, remark);
            }
        }
    };
    if !subscription.is_tag_type() {
        return refused(code::SYSTEM_ERROR, no_sql());
    }
    debug_assert!(matches!(request.code, RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE));
    Ok(Filter::Tags(subscription))
}

/// An absent or empty expression type is a tag expression.
pub fn is_sql(expression_type: Option<&str>) -> bool {
    expression_type.is_some_and(|kind| !kind.is_empty() && !kind.eq_ignore_ascii_case("TAG"))
}

/// RocketMQ's own words with `enablePropertyFilter=false`.
pub fn no_sql() -> String {
    "The broker does not support consumer to filter message by SQL92".into()
}

/// Reads, and answers or holds. `may_hold` on the first pass only.
fn run(node: &Arc<Node>, pull: HeldPull, may_hold: bool) {
    let header = &pull.header;
    // Asked before the look: what is read afterwards is at least as new.
    let term = node.group.serving_term();
    if may_hold {
        if let Some(reset) =
            node.group.tables().pending_reset(&header.consumer_group, &header.topic, header.queue_id)
        {
            return answer_reset(node, pull, reset);
        }
        store_offset(node, header);
        let place = (header.consumer_group.as_str(), header.topic.as_str(), header.queue_id);
        node.clients().pulled.put(place, header.queue_offset);
    }
    let limits = Limits::of(node, header.max_msg_nums);
    let began = node.monotonic();
    let look = look::look(node, &header.topic, header.queue_id, header.queue_offset, &pull.filter, &limits);
    let look = match look {
        Ok(look) => look,
        Err(error) => {
            warn!(topic = header.topic, queue = header.queue_id, offset = header.queue_offset, %error, "pull failed");
            let remark = format!("store getMessage return null: {error}");
            return pull.answer.send(refuse(&pull.request, code::SYSTEM_ERROR, remark));
        }
    };
    node.stats.looked(look.found.count > 0, node.monotonic().saturating_sub(began));
    let is_judgement = look.code() == code::PULL_OFFSET_MOVED;
    if is_judgement && term.is_none() {
        let node = Arc::clone(node);
        tokio::spawn(async move { ask_leader(&node, pull, may_hold).await });
        return;
    }
    let wants_to_wait = header.sys_flag & sys_flag::SUSPEND != 0;
    if look.code() == code::PULL_NOT_FOUND && may_hold && wants_to_wait {
        return hold(node, pull);
    }
    answer(node, pull, look, term);
}

/// Wakes a pull: whatever there is now is its answer.
pub fn wake(node: &Arc<Node>, pull: HeldPull) {
    run(node, pull, false);
}

fn hold(node: &Arc<Node>, mut pull: HeldPull) {
    pull.answer.is_held();
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

/// A node that does not lead would have to move the consumer: the leader decides.
async fn ask_leader(node: &Arc<Node>, pull: HeldPull, may_hold: bool) {
    match who_answers(&node.group, LEADER_WITHIN).await {
        Verdict::Here if node.group.is_ready() => run(node, pull, may_hold),
        Verdict::There(leader) if !pull.origin.is_forwarded() => {
            // Held at this node, not over there: the leader knows the group by its own clients.
            let request = pull.request.clone().with("sysFlag", pull.header.sys_flag & !sys_flag::SUSPEND);
            forward::forward_and_answer(&node.group, leader, &pull.origin, &request, pull.answer).await;
        }
        _ => {
            let remark = "no leader serves this broker group now, and this node may not judge the offset";
            pull.answer.send(refuse(&pull.request, code::SYSTEM_BUSY, remark));
        }
    }
}

/// The operator set this offset: the consumer is moved to it, once.
fn answer_reset(node: &Arc<Node>, pull: HeldPull, reset: i64) {
    let header = &pull.header;
    let taken = Change::TakeReset {
        group: header.consumer_group.clone(),
        topic: header.topic.clone(),
        queue_id: header.queue_id,
    };
    let node = Arc::clone(node);
    tokio::spawn(async move {
        if let Err(error) = node.group.submit(taken).await {
            return pull.answer.send(refuse(&pull.request, code::SYSTEM_BUSY, error.to_string()));
        }
        let term = node.group.serving_term();
        let (min, max) = look::ends(&node, &pull.header.topic, pull.header.queue_id);
        let asked = pull.header.queue_offset;
        let status = look::Status::OffsetReset;
        let look = Look { status, asked, next: reset, min, max, found: Found::default() };
        answer(&node, pull, look, term);
    });
}

/// The consumer told how far it is: only the leader takes that in. Others leave it to the consumer's next word.
fn store_offset(node: &Node, header: &PullRequest) {
    if header.sys_flag & sys_flag::COMMIT_OFFSET == 0 || header.commit_offset < 0 {
        return;
    }
    let Some(term) = node.group.serving_term() else { return };
    let known =
        node.group.offsets.get(term, &header.consumer_group, &header.topic, header.queue_id).or_else(|| {
            node.group.tables().consumer_offset(&header.consumer_group, &header.topic, header.queue_id)
        });
    if known == Some(header.commit_offset) {
        return; // most pulls repeat what is stored: nothing for the log
    }
    let row = OffsetRow {
        group: header.consumer_group.clone(),
        topic: header.topic.clone(),
        queue_id: header.queue_id,
        queue_offset: header.commit_offset,
    };
    if node.group.check_room_for_offset(&row).is_ok() {
        node.group.offsets.store(term, row);
    }
}

/// `term` says that the group's leader answers, so that a judge may compare what leaders told one after the other.
fn answer(node: &Node, pull: HeldPull, look: Look, term: Option<u64>) {
    let HeldPull { request, header, answer, .. } = pull;
    let tables = node.group.tables();
    let response = PullResponse {
        suggest_which_broker_id: tables.group(&header.consumer_group).map_or(0, |group| group.broker_id),
        next_begin_offset: look.next,
        min_offset: look.min,
        max_offset: look.max,
        topic_sys_flag: tables.topic(&header.topic).map(|topic| topic.sys_flag),
        group_sys_flag: tables.group(&header.consumer_group).map(|group| group.sys_flag),
        ..PullResponse::default()
    };
    drop(tables);
    if look.found.count > 0 {
        let key = format!("{}@{}", header.topic, header.consumer_group);
        node.stats.counter(stat::GROUP_GET_NUMS, &key).add(look.found.count);
        node.stats.counter(stat::GROUP_GET_SIZE, &key).add(look.found.bytes);
        node.stats.counter(stat::BROKER_GET_NUMS, &node.config.identity.cluster).add(look.found.count);
    }
    let mut head =
        Command::response_to(&request, look.code()).with_header(&response).with_remark(look.status.name());
    if let Some(term) = term {
        head = head.with("term", term);
    }
    answer.send(Reply { head, chunks: look.found.chunks });
}

fn refused(request: &Command, refusal: Refusal, forbidden: Option<i32>) -> Command {
    let reply = refuse(request, refusal.code, refusal.remark);
    match forbidden {
        Some(kind) => reply.with("forbiddenType", kind),
        None => reply,
    }
}
