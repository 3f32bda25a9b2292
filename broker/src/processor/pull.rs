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

use super::header;
use super::pull_read::{self, Found, Limits, Look};
use super::send_check::{self, Refusal};
use super::subscription;
use crate::exchange::{Answer, Origin, refuse};
use crate::gate::Verdict;
use crate::long_poll::Wants;
use crate::server::Broker;
use crate::stats::name as stat;
use crate::tables::{Change, OffsetRow};

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

/// A pull that waits for a message.
pub struct HeldPull {
    origin: Origin,
    request: Command,
    header: PullRequest,
    filter: Filter,
    answer: Answer,
}

/// Which messages a pull wants.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All of them: the legacy filter server sorts them out.
    All,
    /// Those whose tag is in the subscription.
    Tags(SubscriptionData),
}

impl Filter {
    /// Whether a message with this tag hash passes.
    pub fn passes(&self, tag_hash: i64) -> bool {
        match self {
            Self::All => true,
            Self::Tags(subscription) => subscription.matches(tag_hash),
        }
    }
}

impl Wants for HeldPull {
    fn wants(&self, tag_hash: i64) -> bool {
        self.filter.passes(tag_hash)
    }
}

/// Takes one pull.
pub fn pull(broker: &Arc<Broker>, origin: Origin, request: Command, answer: Answer) {
    let header = header!(PullRequest, request, answer);
    match check(broker, &request, &header) {
        Ok(filter) => run(broker, HeldPull { origin, request, header, filter, answer }, true),
        Err(Check::Refused(refusal, _))
            if refusal.code == code::SUBSCRIPTION_NOT_LATEST && subscription::may_ask(&origin, &request) =>
        {
            let broker = Arc::clone(broker);
            tokio::spawn(async move {
                subscription::ask(&broker, &origin, &header.consumer_group).await;
                pull_again(&broker, origin, request, header, answer);
            });
        }
        Err(Check::Refused(refusal, forbidden)) => answer.send(refused(&request, refusal, forbidden)),
        Err(Check::NewGroup) => {
            let broker = Arc::clone(broker);
            tokio::spawn(async move { pull_for_new_group(&broker, origin, request, header, answer).await });
        }
    }
}

/// The group is made at its first use, then the pull goes on.
async fn pull_for_new_group(
    broker: &Arc<Broker>,
    origin: Origin,
    request: Command,
    header: PullRequest,
    answer: Answer,
) {
    let group = match send_check::new_group(&header.consumer_group, &broker.live()) {
        Ok(group) => group,
        Err(refusal) => return answer.send(refused(&request, refusal, None)),
    };
    let change = Change::PutGroups { groups: vec![group], only_new: true, now_ms: broker.now_ms() };
    if let Err(error) = broker.submit(change).await {
        return answer.send(super::not_submitted(&request, &error));
    }
    pull_again(broker, origin, request, header, answer);
}

/// The second look at a pull, once what it lacked should be there.
fn pull_again(broker: &Arc<Broker>, origin: Origin, request: Command, header: PullRequest, answer: Answer) {
    match check(broker, &request, &header) {
        Ok(filter) => run(broker, HeldPull { origin, request, header, filter, answer }, true),
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
fn check(broker: &Broker, request: &Command, header: &PullRequest) -> Result<Filter, Check> {
    let forbidden =
        |kind, remark: String| Err(Check::Refused(Refusal::new(code::NO_PERMISSION, remark), Some(kind)));
    let refused = |code, remark: String| Err(Check::Refused(Refusal::new(code, remark), None));
    if broker.live().identity.permission & 4 == 0 {
        return forbidden(
            FORBIDDEN_BROKER,
            format!("the broker[{}] pulling message is forbidden", broker.name()),
        );
    }
    let group_name = &header.consumer_group;
    let tables = broker.tables();
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
        let clients = broker.clients();
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
fn run(broker: &Arc<Broker>, pull: HeldPull, may_hold: bool) {
    let header = &pull.header;
    // Asked before the look: what is read afterwards is at least as new.
    let term = broker.serving_term();
    if may_hold {
        if let Some(reset) =
            broker.tables().pending_reset(&header.consumer_group, &header.topic, header.queue_id)
        {
            return answer_reset(broker, pull, reset);
        }
        store_offset(broker, header);
        let place = (header.consumer_group.as_str(), header.topic.as_str(), header.queue_id);
        broker.clients().pulled.put(place, header.queue_offset);
    }
    let limits = Limits::of(broker, header.max_msg_nums);
    let began = broker.monotonic();
    let look =
        pull_read::look(broker, &header.topic, header.queue_id, header.queue_offset, &pull.filter, &limits);
    let look = match look {
        Ok(look) => look,
        Err(error) => {
            warn!(topic = header.topic, queue = header.queue_id, offset = header.queue_offset, %error, "pull failed");
            let remark = format!("store getMessage return null: {error}");
            return pull.answer.send(refuse(&pull.request, code::SYSTEM_ERROR, remark));
        }
    };
    broker.stats.looked(look.found.count > 0, broker.monotonic().saturating_sub(began));
    let is_judgement = look.code() == code::PULL_OFFSET_MOVED;
    if is_judgement && term.is_none() {
        let broker = Arc::clone(broker);
        tokio::spawn(async move { ask_leader(&broker, pull, may_hold).await });
        return;
    }
    let wants_to_wait = header.sys_flag & sys_flag::SUSPEND != 0;
    if look.code() == code::PULL_NOT_FOUND && may_hold && wants_to_wait {
        return hold(broker, pull);
    }
    answer(broker, pull, look, term);
}

/// Wakes a pull: whatever there is now is its answer.
pub fn wake(broker: &Arc<Broker>, pull: HeldPull) {
    run(broker, pull, false);
}

fn hold(broker: &Arc<Broker>, mut pull: HeldPull) {
    pull.answer.is_held();
    let wait = if broker.live().messages.long_polling {
        Duration::from_millis(pull.header.suspend_timeout_ms.max(0) as u64).min(SUSPEND_MAX)
    } else {
        Duration::from_millis(broker.live().messages.short_polling_ms)
    };
    let deadline = broker.monotonic() + wait;
    let (topic, queue_id, offset) =
        (pull.header.topic.clone(), pull.header.queue_id, pull.header.queue_offset);
    if let Err(pull) = broker.holds.park(&topic, queue_id, offset, deadline, pull) {
        return wake(broker, pull); // too many wait: the client asks again
    }
    // A message may have come between the look and the parking.
    let Some(end) = broker.queues.get(&topic, queue_id as u32).map(|queue| queue.max().0 as i64) else {
        return;
    };
    if end > offset {
        for pull in broker.holds.passed(&topic, queue_id, end) {
            wake(broker, pull);
        }
    }
}

/// A node that does not lead would have to move the consumer: the leader decides.
async fn ask_leader(broker: &Arc<Broker>, pull: HeldPull, may_hold: bool) {
    match broker.verdict(LEADER_WITHIN).await {
        Verdict::Here if broker.is_ready() => run(broker, pull, may_hold),
        Verdict::There(leader) if !pull.origin.is_forwarded() => {
            // Held at this node, not over there: the leader knows the group by its own clients.
            let request = pull.request.clone().with("sysFlag", pull.header.sys_flag & !sys_flag::SUSPEND);
            broker.forward_and_answer(leader, &pull.origin, &request, pull.answer).await;
        }
        _ => {
            let remark = "no leader serves this broker group now, and this node may not judge the offset";
            pull.answer.send(refuse(&pull.request, code::SYSTEM_BUSY, remark));
        }
    }
}

/// The operator set this offset: the consumer is moved to it, once.
fn answer_reset(broker: &Arc<Broker>, pull: HeldPull, reset: i64) {
    let header = &pull.header;
    let taken = Change::TakeReset {
        group: header.consumer_group.clone(),
        topic: header.topic.clone(),
        queue_id: header.queue_id,
    };
    let broker = Arc::clone(broker);
    tokio::spawn(async move {
        if let Err(error) = broker.submit(taken).await {
            return pull.answer.send(refuse(&pull.request, code::SYSTEM_BUSY, error.to_string()));
        }
        let term = broker.serving_term();
        let (min, max) = pull_read::ends(&broker, &pull.header.topic, pull.header.queue_id);
        let asked = pull.header.queue_offset;
        let status = pull_read::Status::OffsetReset;
        let look = Look { status, asked, next: reset, min, max, found: Found::default() };
        answer(&broker, pull, look, term);
    });
}

/// The consumer told how far it is: only the leader takes that in. Others leave it to the consumer's next word.
fn store_offset(broker: &Broker, header: &PullRequest) {
    if header.sys_flag & sys_flag::COMMIT_OFFSET == 0 || header.commit_offset < 0 {
        return;
    }
    let Some(term) = broker.serving_term() else { return };
    let known = broker
        .offsets
        .get(term, &header.consumer_group, &header.topic, header.queue_id)
        .or_else(|| broker.tables().consumer_offset(&header.consumer_group, &header.topic, header.queue_id));
    if known == Some(header.commit_offset) {
        return; // most pulls repeat what is stored: nothing for the log
    }
    let row = OffsetRow {
        group: header.consumer_group.clone(),
        topic: header.topic.clone(),
        queue_id: header.queue_id,
        queue_offset: header.commit_offset,
    };
    if broker.check_room_for_offset(&row).is_ok() {
        broker.offsets.store(term, row);
    }
}

/// `term` says that the group's leader answers, so that a judge may compare what leaders told one after the other.
fn answer(broker: &Broker, pull: HeldPull, look: Look, term: Option<u64>) {
    let HeldPull { request, header, answer, .. } = pull;
    let tables = broker.tables();
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
        broker.stats.counter(stat::GROUP_GET_NUMS, &key).add(look.found.count);
        broker.stats.counter(stat::GROUP_GET_SIZE, &key).add(look.found.bytes);
        broker.stats.counter(stat::BROKER_GET_NUMS, &broker.config.identity.cluster).add(look.found.count);
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
