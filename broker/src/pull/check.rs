//! What a pull must fulfil before anything is read, in RocketMQ's order and with its codes.

use protocol::command::heartbeat::MessageModel;
use protocol::command::pull::{PullRequest, sys_flag};
use protocol::subscription::SubscriptionData;
use protocol::{ResponseCode as code, perm};

use crate::node::Node;
use crate::pull::held::{Filter, Forbidden, Unfit};
use crate::refusal::Refusal;

fn forbidden<T>(by: Forbidden, remark: String) -> Result<T, Unfit> {
    Err(Unfit::Forbidden(by, remark))
}

fn refused<T>(code: i32, remark: String) -> Result<T, Unfit> {
    Err(Unfit::Refused(Refusal::new(code, remark)))
}

/// Which messages a pull wants, if it may have any.
///
/// # Errors
/// The first thing wrong with it.
pub fn check(node: &Node, header: &PullRequest) -> Result<Filter, Unfit> {
    if !perm::is_readable(node.live().identity.permission as i32) {
        let remark = format!("the broker[{}] pulling message is forbidden", node.group.name());
        return forbidden(Forbidden::Broker, remark);
    }
    let group_name = &header.consumer_group;
    let tables = node.group.tables();
    let Some(group) = tables.group(group_name) else { return Err(Unfit::NewGroup) };
    if !group.consume_enable {
        return forbidden(Forbidden::Group, format!("subscription group no permission, {group_name}"));
    }
    let Some(topic) = tables.topic(&header.topic) else {
        let remark = format!("topic[{}] not exist, apply first please!", header.topic);
        return refused(code::TOPIC_NOT_EXIST, remark);
    };
    if !topic.is_readable() {
        let remark = format!("the topic[{}] pulling message is forbidden", header.topic);
        return forbidden(Forbidden::Topic, remark);
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
    if header.sys_flag & sys_flag::SUBSCRIPTION != 0 {
        return own_subscription(header).map(Filter::Tags);
    }
    let clients = node.clients();
    if !clients.consumers.is_online(group_name) {
        let remark = format!("the consumer's group info not exist: {group_name}");
        return refused(code::SUBSCRIPTION_NOT_EXIST, remark);
    }
    let is_broadcast = clients.consumers.message_model(group_name) == Some(MessageModel::Broadcasting);
    if is_broadcast && !group.consume_broadcast_enable {
        let remark = format!("the consumer group[{group_name}] can not consume by broadcast way");
        return forbidden(Forbidden::Broadcast, remark);
    }
    if !tables.may_read(group_name, &header.topic) {
        let remark = format!("the consumer group[{group_name}] is forbidden for topic[{}]", header.topic);
        return forbidden(Forbidden::Subscription, remark);
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
    by_tags(subscription.clone()).map(Filter::Tags)
}

/// The subscription that the pull itself carries.
fn own_subscription(header: &PullRequest) -> Result<SubscriptionData, Unfit> {
    let expression = header.subscription.as_deref().unwrap_or_default();
    if is_sql(header.expression_type.as_deref()) {
        return refused(code::SYSTEM_ERROR, no_sql());
    }
    match SubscriptionData::parse(&header.topic, expression) {
        Ok(subscription) => by_tags(subscription),
        Err(error) => {
            let remark = format!("parse the consumer's subscription failed: {error}");
            refused(code::SUBSCRIPTION_PARSE_FAILED, remark)
        }
    }
}

fn by_tags(subscription: SubscriptionData) -> Result<SubscriptionData, Unfit> {
    if subscription.is_tag_type() { Ok(subscription) } else { refused(code::SYSTEM_ERROR, no_sql()) }
}

/// An absent or empty expression type is a tag expression.
pub fn is_sql(expression_type: Option<&str>) -> bool {
    expression_type.is_some_and(|kind| !kind.is_empty() && !kind.eq_ignore_ascii_case("TAG"))
}

/// RocketMQ's own words with `enablePropertyFilter=false`.
pub fn no_sql() -> String {
    "The broker does not support consumer to filter message by SQL92".into()
}
