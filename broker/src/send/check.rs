//! What a send must fulfil before it is proposed, in RocketMQ's order and with its codes. Pure.

use protocol::ResponseCode as code;
use protocol::command::send::SendRequest;
use protocol::{names, perm};

use crate::config::BrokerConfig;
use crate::refusal::Refusal;
use crate::state::{FilterType, GroupConfig, Tables, TopicConfig};

/// What is known of the topic that a message is sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Queues that may be written.
    pub write_queue_nums: i32,
    /// Queues that may be named by an id: the greater of read and write queues.
    pub queue_nums: i32,
    /// Whether its messages have several tags.
    pub filter_type: FilterType,
}

impl From<&TopicConfig> for Target {
    fn from(topic: &TopicConfig) -> Self {
        Self {
            write_queue_nums: topic.write_queue_nums,
            queue_nums: topic.write_queue_nums.max(topic.read_queue_nums),
            filter_type: topic.filter_type,
        }
    }
}

/// Where a message goes, and what has to be created before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The topic, which is the dead-letter topic for a message tried too often.
    pub topic: String,
    /// The queue asked for; negative for any.
    pub queue_id: i32,
    /// What is known of that topic.
    pub target: Target,
    /// Whether it was tried too often.
    pub is_dead: bool,
    /// Topics to create first.
    pub new_topics: Vec<TopicConfig>,
    /// Groups to create first.
    pub new_groups: Vec<GroupConfig>,
}

/// Checks name, permission, topic and group of a send: rows 4 to 9 of the send specification.
///
/// # Errors
/// The first thing wrong with it.
pub fn admit(
    header: &SendRequest,
    config: &BrokerConfig,
    tables: &Tables,
    now_ms: u64,
) -> Result<Admission, Refusal> {
    let known = tables.topic(&header.topic);
    if !perm::is_writable(config.identity.permission as i32) && known.is_some_and(|topic| topic.order) {
        let remark = format!("the broker[{}] sending message is forbidden", config.network.advertised_host);
        return Err(Refusal::new(code::NO_PERMISSION, remark));
    }
    if let Err(error) = names::validate_topic(&header.topic) {
        return Err(Refusal::new(code::INVALID_PARAMETER, error.to_string()));
    }
    if names::is_not_sendable(&header.topic) {
        let remark = format!("Sending message to topic[{}] is forbidden.", header.topic);
        return Err(Refusal::new(code::NO_PERMISSION, remark));
    }
    let mut admission = Admission {
        topic: header.topic.clone(),
        queue_id: header.queue_id,
        target: Target::default(),
        is_dead: false,
        new_topics: Vec::new(),
        new_groups: Vec::new(),
    };
    match known {
        Some(topic) => {
            check_queue(header.queue_id, topic)?;
            admission.target = Target::from(topic);
        }
        None => {
            let topic = create(header, config, tables)?;
            admission.target = Target::from(&topic);
            admission.new_topics.push(topic);
        }
    }
    if let Some(group) = names::group_of_retry_topic(&header.topic) {
        retry(header, group, config, tables, now_ms, &mut admission)?;
    }
    Ok(admission)
}

/// A message sent to a retry topic belongs to a group, and goes to its dead-letter topic when tried too often.
/// What a group that consumes in order sends there has been tried to the end by its client, whatever the number
/// says (clients before 5.0 do not count the last try): retried, it would come out of order.
fn retry(
    header: &SendRequest,
    group: &str,
    config: &BrokerConfig,
    tables: &Tables,
    now_ms: u64,
    admission: &mut Admission,
) -> Result<(), Refusal> {
    let group = match tables.group(group) {
        Some(group) => group.clone(),
        None => {
            let group = new_group(group, config)?;
            admission.new_groups.push(group.clone());
            group
        }
    };
    let is_tried_out = header.reconsume_times > header.max_reconsume_times.unwrap_or(group.retry_max_times);
    if is_tried_out || tables.consumes_in_order(&group.name, now_ms) {
        let dead = dead_letter_topic(&group.name);
        admission.topic.clone_from(&dead.name);
        admission.queue_id = 0;
        admission.target = Target::from(&dead);
        admission.is_dead = true;
        if tables.topic(&dead.name).is_none() {
            admission.new_topics.push(dead);
        }
    }
    Ok(())
}

/// A consumer group's dead-letter topic.
pub fn dead_letter_topic(group: &str) -> TopicConfig {
    TopicConfig::new(names::dlq_topic(group), 1, perm::READ_WRITE)
}

/// A queue id that neither producers nor consumers of the topic have is refused; a negative one means "any".
///
/// # Errors
/// With both numbers.
pub fn check_queue(queue_id: i32, topic: &TopicConfig) -> Result<(), Refusal> {
    let queue_nums = topic.write_queue_nums.max(topic.read_queue_nums);
    if queue_id >= queue_nums {
        let remark =
            format!("request queueId[{queue_id}] is illegal, topic {} has {queue_nums} queues", topic.name);
        return Err(Refusal::new(code::INVALID_PARAMETER, remark));
    }
    Ok(())
}

/// The topic that sending to an unknown one makes, after its template.
fn create(header: &SendRequest, config: &BrokerConfig, tables: &Tables) -> Result<TopicConfig, Refusal> {
    let is_retry = names::group_of_retry_topic(&header.topic).is_some();
    // RocketMQ closes only its own template then: any other topic with the inherit bit goes on making topics.
    let template = tables
        .topic(&header.default_topic)
        .filter(|template| template.is_inherited() && config.messages.auto_create_topic);
    if let Some(template) = template {
        let queues = header.default_topic_queue_nums.min(template.write_queue_nums).max(0);
        let sys_flag = match (header.unit_mode, is_retry) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        };
        let mut topic = TopicConfig::new(&header.topic, queues, template.perm & !perm::INHERIT);
        topic.filter_type = template.filter_type;
        topic.sys_flag = sys_flag;
        check_queue(header.queue_id, &topic)?;
        return Ok(topic);
    }
    if is_retry {
        let topic = retry_topic(&header.topic, header.unit_mode, 1);
        check_queue(header.queue_id, &topic)?;
        return Ok(topic);
    }
    let remark = format!("topic[{}] not exist, apply first please!", header.topic);
    Err(Refusal::new(code::TOPIC_NOT_EXIST, remark))
}

/// A consumer group's retry topic.
pub fn retry_topic(name: &str, unit_mode: bool, queue_nums: i32) -> TopicConfig {
    TopicConfig {
        sys_flag: if unit_mode { 2 } else { 0 },
        ..TopicConfig::new(name, queue_nums, perm::READ_WRITE)
    }
}

/// The group that is made at its first use, if the broker grants that and the name is legal.
///
/// # Errors
/// Code 26 with the reason.
pub fn new_group(group: &str, config: &BrokerConfig) -> Result<GroupConfig, Refusal> {
    let refuse = |why: String| {
        Err(Refusal::new(
            code::SUBSCRIPTION_GROUP_NOT_EXIST,
            format!("subscription group not exist, {group}: {why}"),
        ))
    };
    if let Err(error) = names::validate_group(group) {
        return refuse(error.to_string());
    }
    if !config.messages.auto_create_group {
        return refuse("autoCreateSubscriptionGroup is false".into());
    }
    Ok(GroupConfig::new(group))
}

/// Checks the sizes of one message.
///
/// # Errors
/// Code 13 with the thing and both numbers.
pub fn check_sizes(body_bytes: usize, properties_bytes: usize, body_bytes_max: u64) -> Result<(), Refusal> {
    if body_bytes as u64 > body_bytes_max {
        let remark =
            format!("message body of {body_bytes} bytes exceeds the limit of {body_bytes_max} bytes");
        return Err(Refusal::new(code::MESSAGE_ILLEGAL, remark));
    }
    let limit = protocol::message::PROPERTIES_BYTES_MAX;
    if properties_bytes > limit {
        let remark =
            format!("message properties of {properties_bytes} bytes exceed the limit of {limit} bytes");
        return Err(Refusal::new(code::MESSAGE_ILLEGAL, remark));
    }
    Ok(())
}
