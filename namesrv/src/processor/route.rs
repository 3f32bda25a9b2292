//! Who serves a topic (105), and all that is known of brokers (106, 901).

use std::collections::BTreeMap;

use protocol::Command;
use protocol::code::response;
use protocol::command::route::{BrokerMemberGroup, BrokerMemberGroupBody, GetBrokerMemberGroup};
use protocol::route::{BrokerData, ClusterInfo, QueueData, TopicRouteData};

use super::answer::{Answer, Failure, read, success};
use super::shared::Shared;
use crate::kv_config::ORDER_TOPIC_CONFIG;
use crate::route_table::{Group, RouteTable};

/// The JSON is always compact, with quoted keys: every client reads that, and the Go client nothing looser.
pub(super) fn by_topic(shared: &Shared, command: &Command) -> Answer {
    let topic = command.ext.get("topic");
    let route = topic.and_then(|topic| route(&shared.table(), topic));
    let (Some(topic), Some(mut route)) = (topic, route) else {
        let topic = topic.unwrap_or("null");
        let remark = format!("No topic route info in name server for the topic: {topic}");
        return Err(Failure::new(response::TOPIC_NOT_EXIST, remark));
    };
    if shared.live.switches().order_message_enable {
        route.order_topic_conf = shared.kv.get(ORDER_TOPIC_CONFIG, topic).and_then(|conf| order_conf(&conf));
    }
    Ok(success(command).with_body(route.to_bytes()))
}

fn route(table: &RouteTable, topic: &str) -> Option<TopicRouteData> {
    let mut route = TopicRouteData::default();
    for (group, queues) in table.route(topic)? {
        route.broker_datas.push(broker_data(group));
        route.queue_datas.push(QueueData {
            broker_name: group.name.clone(),
            perm: queues.perm,
            read_queue_nums: queues.read,
            topic_sys_flag: queues.topic_sys_flag,
            write_queue_nums: queues.write,
        });
        for member in group.members.values().filter(|member| !member.filter_servers.is_empty()) {
            route.filter_server_table.insert(member.addr.clone(), member.filter_servers.clone());
        }
    }
    Some(route)
}

/// Without what some client would stumble over: Go panics on an empty item, Java on one without a colon.
fn order_conf(conf: &str) -> Option<String> {
    let items: Vec<_> = conf.split(';').map(str::trim).filter(|item| item.contains(':')).collect();
    (!items.is_empty()).then(|| items.join(";"))
}

fn broker_data(group: &Group) -> BrokerData {
    BrokerData {
        broker_addrs: addrs(group),
        broker_name: group.name.clone(),
        cluster: group.cluster.clone(),
        enable_acting_master: group.acting_master,
        zone_name: group.zone.clone(),
    }
}

fn addrs(group: &Group) -> BTreeMap<i64, String> {
    group.members.iter().map(|(id, member)| (*id, member.addr.clone())).collect()
}

pub(super) fn cluster_info(shared: &Shared, command: &Command) -> Command {
    let table = shared.table();
    let names = |names: std::collections::BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
    let info = ClusterInfo {
        broker_addr_table: table.groups().map(|group| (group.name.clone(), broker_data(group))).collect(),
        cluster_addr_table: table
            .clusters()
            .into_iter()
            .map(|(cluster, groups)| (cluster.to_owned(), names(groups)))
            .collect(),
    };
    success(command).with_body(info.to_bytes())
}

/// An unknown group is one without members.
pub(super) fn member_group(shared: &Shared, command: &Command) -> Answer {
    let header: GetBrokerMemberGroup = read(command)?;
    let table = shared.table();
    let group = table.group(&header.broker_name).filter(|group| group.cluster == header.cluster_name);
    let broker_member_group = BrokerMemberGroup {
        broker_addrs: group.map(addrs).unwrap_or_default(),
        broker_name: header.broker_name,
        cluster: header.cluster_name,
    };
    Ok(success(command).with_body(BrokerMemberGroupBody { broker_member_group }.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_config_goes_out_without_what_clients_stumble_over() {
        for (conf, expected) in [
            ("a:4;b:4", Some("a:4;b:4")),
            ("a:4;", Some("a:4")),
            (";; a:4 ;nonsense;b:1;", Some("a:4;b:1")),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(order_conf(conf).as_deref(), expected, "{conf:?}");
        }
    }
}
