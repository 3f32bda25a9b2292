//! Topics: lists of them (206, 224, 304, 311–313), and what tools change (205, 327, 216, 217).

use protocol::Command;
use protocol::command::route::{
    AddWritePermResponse, DeleteTopicInNamesrv, GetTopicsByCluster, RegisterTopic, WipeWritePermResponse,
    WritePerm,
};
use protocol::route::{TopicList, TopicRouteData};

use super::answer::{Answer, Failure, read, success};
use super::kv::failed;
use super::shared::Shared;
use crate::kv_config::WRITE_PERM_WIPED;
use crate::route_table::Queues;

/// Bits of `topicSysFlag`. RocketMQ: `TopicSysFlag`.
const UNIT: i32 = 1;
const UNIT_SUB: i32 = 2;

/// Writes a file: not for an async worker.
pub(super) fn wipe_write_perm(shared: &Shared, command: &Command) -> Answer {
    let header: WritePerm = read(command)?;
    if shared.table().group(&header.broker_name).is_some() {
        shared.kv.put(WRITE_PERM_WIPED, &header.broker_name, "true").map_err(|error| failed(&error))?;
    }
    let count = shared.table_mut().wipe_write_perm(&header.broker_name);
    tracing::info!(group = header.broker_name, topics = count, "write permission wiped");
    Ok(success(command).with_header(&WipeWritePermResponse { wipe_topic_count: count as i32 }))
}

/// Writes a file: not for an async worker.
pub(super) fn add_write_perm(shared: &Shared, command: &Command) -> Answer {
    let header: WritePerm = read(command)?;
    shared.kv.delete(WRITE_PERM_WIPED, &header.broker_name).map_err(|error| failed(&error))?;
    let count = shared.table_mut().add_write_perm(&header.broker_name);
    tracing::info!(group = header.broker_name, topics = count, "write permission added");
    Ok(success(command).with_header(&AddWritePermResponse { add_topic_count: count as i32 }))
}

pub(super) fn delete(shared: &Shared, command: &Command) -> Answer {
    let header: DeleteTopicInNamesrv = read(command)?;
    let cluster = header.cluster_name.filter(|cluster| !cluster.is_empty());
    shared.table_mut().delete_topic(&header.topic, cluster.as_deref());
    tracing::info!(topic = header.topic, cluster, "topic deleted");
    Ok(success(command))
}

pub(super) fn add(shared: &Shared, command: &Command) -> Answer {
    let header: RegisterTopic = read(command)?;
    if command.body.is_empty() {
        return Ok(success(command));
    }
    let route = TopicRouteData::read(&command.body).map_err(|error| Failure::system(error.to_string()))?;
    let queues = route.queue_datas.into_iter().map(|data| {
        let queues = Queues {
            read: data.read_queue_nums,
            write: data.write_queue_nums,
            perm: data.perm,
            topic_sys_flag: data.topic_sys_flag,
        };
        (data.broker_name, queues)
    });
    shared.table_mut().add_topic(&header.topic, queues);
    Ok(success(command))
}

pub(super) fn all(shared: &Shared, command: &Command) -> Answer {
    if !shared.live.switches().enable_all_topic_list {
        return Err(Failure::system("disable"));
    }
    Ok(list(command, shared.table().topics().map(|(topic, _)| topic)))
}

pub(super) fn of_cluster(shared: &Shared, command: &Command) -> Answer {
    check_enabled(shared)?;
    let header: GetTopicsByCluster = read(command)?;
    Ok(list(command, shared.table().topics_of_cluster(&header.cluster)))
}

/// The names of clusters and brokers are topics too, and some broker knows the others.
pub(super) fn system(shared: &Shared, command: &Command) -> Command {
    let table = shared.table();
    let mut topics = TopicList::default();
    for (cluster, groups) in table.clusters() {
        topics.topic_list.push(cluster.to_owned());
        topics.topic_list.extend(groups.into_iter().map(str::to_owned));
    }
    topics.broker_addr = table
        .groups()
        .next()
        .and_then(|group| group.members.values().next())
        .map(|member| member.addr.clone());
    success(command).with_body(topics.to_bytes())
}

/// Topics by their unit flags; `wanted` gets "is of a unit" and "has a subscription of a unit".
pub(super) fn unit(shared: &Shared, command: &Command, wanted: fn(bool, bool) -> bool) -> Answer {
    check_enabled(shared)?;
    let is_wanted =
        |queues: Queues| wanted(queues.topic_sys_flag & UNIT != 0, queues.topic_sys_flag & UNIT_SUB != 0);
    Ok(list(
        command,
        shared.table().topics().filter(|(_, queues)| is_wanted(*queues)).map(|(topic, _)| topic),
    ))
}

fn check_enabled(shared: &Shared) -> Result<(), Failure> {
    if shared.live.switches().enable_topic_list { Ok(()) } else { Err(Failure::system("disable")) }
}

fn list<'a>(command: &Command, topics: impl Iterator<Item = &'a str>) -> Command {
    let topics = TopicList { topic_list: topics.map(str::to_owned).collect(), ..TopicList::default() };
    success(command).with_body(topics.to_bytes())
}
