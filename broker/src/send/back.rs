//! A consumer gives a message back: code 36. It comes again later, or goes to the dead letters.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use protocol::command::send::SendBackRequest;
use protocol::message::{self, MessageView, UnitFields, id, properties};
use protocol::{ResponseCode as code, names, perm};
use raft::Proposal;
use rand::Rng;
use store::codec::{self, EFFECTS_SINCE};

use crate::admin::create;
use crate::admin::message_query;
use crate::delay;
use crate::leader::submit::SubmitError;
use crate::node::Node;
use crate::refusal::Refusal;
use crate::send::{SendError, check, settled};
use crate::state::{GroupConfig, TopicConfig};
use crate::stats::name as stat;

/// Tries so far plus this is the delay level of the next one, where the client names none.
const FIRST_LEVEL: i32 = 3;

/// Takes one message back: it is committed with what it needs when this returns.
///
/// # Errors
/// As [`SendError`] says.
pub async fn take_back(node: &Arc<Node>, header: &SendBackRequest) -> Result<(), SendError> {
    let known = node.group.tables().group(&header.group).cloned();
    let (group, new_groups) = match known {
        Some(group) => (group, Vec::new()),
        None => {
            let group = check::new_group(&header.group, &node.live())?;
            (group.clone(), vec![group])
        }
    };
    if !perm::is_writable(node.live().identity.permission as i32) {
        let remark = format!("the broker[{}] sending message is forbidden", node.group.name());
        return Err(Refusal::new(code::NO_PERMISSION, remark).into());
    }
    if group.retry_queue_nums <= 0 {
        return Ok(()); // the group wants no retries: as on RocketMQ
    }
    let offset = header.offset;
    let record = {
        // It may have been stored long ago.
        let reader = Arc::clone(node);
        node.lookups.run(move || message_query::unit_at(&reader, offset)).await
    };
    let Some(record) = record else {
        let remark = "too many requests that read old messages wait for the disk";
        return Err(Refusal::new(code::SYSTEM_BUSY, remark).into());
    };
    let record = record.ok_or_else(|| {
        Refusal::new(code::SYSTEM_ERROR, format!("look message by offset failed, {offset}"))
    })?;
    let again = Again::of(node, &record, header, &group)?;
    let topic = if again.is_dead {
        check::dead_letter_topic(&group.name)
    } else {
        check::retry_topic(&names::retry_topic(&group.name), header.unit_mode, group.retry_queue_nums)
    };
    let writable = node.group.tables().topic(&topic.name).is_none_or(TopicConfig::is_writable);
    if !writable {
        let remark = format!("the topic[{}] sending message is forbidden", topic.name);
        return Err(Refusal::new(code::NO_PERMISSION, remark).into());
    }
    let is_new = node.group.tables().topic(&topic.name).is_none();
    let topics = if is_new { vec![topic] } else { Vec::new() };
    let proposal = Proposal::units(again.unit, 1);
    let proposal = with_what_it_needs(node, proposal, topics, new_groups).await;
    settled(node, node.group.raft.propose(proposal.map_err(SendError::NotCreated)?)).await?;
    if is_new {
        create::tell_name_servers(node).await;
    }
    let key = format!("{}@{}", again.origin_topic, group.name);
    node.stats.counter(stat::SNDBCK_PUT_NUMS, &key).add(1);
    Ok(())
}

/// The proposal with the topics and groups that it needs, in one entry: a kill between them would leave one without the
/// other. In a group with a member that reads no effects they are made before.
async fn with_what_it_needs(
    node: &Node,
    mut proposal: Proposal,
    topics: Vec<TopicConfig>,
    groups: Vec<GroupConfig>,
) -> Result<Proposal, SubmitError> {
    if node.group.views.borrow().group_feature_level < EFFECTS_SINCE {
        create::create(node, topics, groups).await?;
        return Ok(proposal);
    }
    for change in create::changes(node.now_ms(), topics, groups) {
        node.group.check_room(&change)?;
        let record = codec::encode(&change).map_err(|error| SubmitError::Refused(error.to_string()))?;
        proposal = proposal.with_effect(record);
    }
    Ok(proposal)
}

/// The message as it will come again.
struct Again {
    unit: BytesMut,
    is_dead: bool,
    origin_topic: String,
}

impl Again {
    fn of(
        node: &Node,
        record: &Bytes,
        header: &SendBackRequest,
        group: &GroupConfig,
    ) -> Result<Self, Refusal> {
        let wrong = |error: message::UnitError| Refusal::new(code::SYSTEM_ERROR, error.to_string());
        let view = message::parse(record).map_err(wrong)?;
        let mut stored = view.properties.clone().into_owned();
        let times_max = header.max_reconsume_times.unwrap_or(group.retry_max_times);
        let is_dead = view.reconsume_times >= times_max || header.delay_level < 0;
        let origin_topic = view.property(properties::RETRY_TOPIC).unwrap_or(view.topic).to_owned();
        rewrite(&mut stored, &view, &origin_topic);
        let (topic, queue_id) = if is_dead {
            properties::set(&mut stored, properties::DELAY_TIME_LEVEL, "0");
            (names::dlq_topic(&group.name), 0)
        } else {
            let level =
                if header.delay_level == 0 { FIRST_LEVEL + view.reconsume_times } else { header.delay_level };
            properties::set(&mut stored, properties::DELAY_TIME_LEVEL, &level.to_string());
            let topic = names::retry_topic(&group.name);
            // S14: those that consumers read, whatever the group's setting says meanwhile.
            let queues = match node.group.tables().topic(&topic) {
                Some(known) => known.read_queue_nums.min(group.retry_queue_nums),
                None => group.retry_queue_nums,
            };
            let mut rng = node.rng.lock().expect("nothing panics while it holds this lock");
            let queue_id = rng.random_range(0..queues.max(1));
            (topic, queue_id)
        };
        let delayed = delay::delay(&mut stored, &topic, queue_id, &node.config.messages.delay_levels_ms);
        let (topic, queue_id) = match delayed {
            Some(level) => (names::SCHEDULE_TOPIC.to_owned(), level - 1),
            None => (topic, queue_id),
        };
        let fields = UnitFields {
            topic: &topic,
            queue_id,
            store_host: node.config.network.store_host,
            reconsume_times: view.reconsume_times + 1,
            prepared_transaction_offset: 0,
            ..UnitFields::copy_of(&view, &stored)
        };
        let mut unit = BytesMut::new();
        message::encode_unit(&fields, &mut unit).map_err(wrong)?;
        Ok(Self { unit, is_dead, origin_topic })
    }
}

/// What every copy carries on: the first topic and the first id, over any number of rounds.
fn rewrite(stored: &mut String, view: &MessageView<'_>, origin_topic: &str) {
    if properties::get(stored, properties::RETRY_TOPIC).is_none() {
        properties::set(stored, properties::RETRY_TOPIC, origin_topic);
    }
    properties::set(stored, properties::WAIT, "false");
    if properties::get(stored, properties::ORIGIN_MESSAGE_ID).is_none() {
        let id = id::offset_message_id(view.store_host, view.physical_offset);
        properties::set(stored, properties::ORIGIN_MESSAGE_ID, &id);
    }
}
