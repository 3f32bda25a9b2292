//! What one route says: which queues there are, and who leads each broker group. Pure values.

use std::collections::BTreeMap;

use protocol::command::route::{LEADER_BROKER_ID, TopicRouteData};
use protocol::perm;

use crate::queue::MessageQueue;

/// A topic's queues and the nodes that hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicRoute {
    groups: BTreeMap<String, Group>,
    /// Made from the template topic, since the topic itself does not exist yet.
    pub(crate) from_template: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    /// Broker id to `host:port`; 0 is the leader.
    addrs: BTreeMap<i64, String>,
    read_queues: i32,
    write_queues: i32,
    perm: i32,
}

impl TopicRoute {
    /// Reads an answer of a name server.
    pub fn new(data: &TopicRouteData) -> Self {
        let mut groups = BTreeMap::new();
        for queue in &data.queue_datas {
            let addrs = data
                .broker_datas
                .iter()
                .find(|broker| broker.broker_name == queue.broker_name)
                .map(|broker| broker.broker_addrs.clone())
                .unwrap_or_default();
            let group = Group {
                addrs: addrs.into_iter().collect(),
                read_queues: queue.read_queue_nums.max(0),
                write_queues: queue.write_queue_nums.max(0),
                perm: queue.perm,
            };
            groups.insert(queue.broker_name.clone(), group);
        }
        Self { groups, from_template: false }
    }

    /// The route of a topic that sending will create: that of the template topic, with at most `queues_max`
    /// queues a broker group. Source: Java `MQClientInstance.updateTopicRouteInfoFromNameServer`.
    pub(crate) fn of_template(template: &TopicRouteData, queues_max: i32) -> Self {
        let mut route = Self { from_template: true, ..Self::new(template) };
        for group in route.groups.values_mut() {
            let queues = group.read_queues.min(queues_max);
            group.read_queues = queues;
            group.write_queues = queues;
        }
        route
    }

    /// Queues to send to, in order. Those of a group without a leader too: it will have one soon.
    pub fn write_queues(&self, topic: &str) -> Vec<MessageQueue> {
        self.queues(topic, perm::WRITE, |group| group.write_queues)
    }

    /// Queues to read from, in order.
    pub fn read_queues(&self, topic: &str) -> Vec<MessageQueue> {
        self.queues(topic, perm::READ, |group| group.read_queues)
    }

    fn queues(&self, topic: &str, perm: i32, count: impl Fn(&Group) -> i32) -> Vec<MessageQueue> {
        self.groups
            .iter()
            .filter(|(_, group)| group.perm & perm != 0)
            .flat_map(|(name, group)| (0..count(group)).map(move |id| MessageQueue::new(topic, name, id)))
            .collect()
    }

    /// The leader of a broker group, if the name server knows one.
    pub fn leader(&self, broker_name: &str) -> Option<&str> {
        self.groups.get(broker_name)?.addrs.get(&LEADER_BROKER_ID).map(String::as_str)
    }

    /// Whether any broker group but this one has a leader.
    pub(crate) fn has_other_leader(&self, broker_name: &str) -> bool {
        self.broker_names().any(|name| name != broker_name && self.leader(name).is_some())
    }

    /// All nodes of a broker group, the leader first.
    pub fn nodes(&self, broker_name: &str) -> Vec<&str> {
        self.groups
            .get(broker_name)
            .map_or_else(Vec::new, |group| group.addrs.values().map(String::as_str).collect())
    }

    /// The node with this broker id.
    pub(crate) fn node(&self, broker_name: &str, broker_id: i64) -> Option<&str> {
        self.groups.get(broker_name)?.addrs.get(&broker_id).map(String::as_str)
    }

    /// The broker groups, by name.
    pub fn broker_names(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// Every node of every group.
    pub(crate) fn all_nodes(&self) -> impl Iterator<Item = &str> {
        self.groups.values().flat_map(|group| group.addrs.values().map(String::as_str))
    }

    /// Who should be tried for a write at attempt number `attempt`, counted from 1: the leader, and where a
    /// leader is unknown or has just failed, the others in turn, because a node that does not lead forwards.
    pub(crate) fn write_target(&self, broker_name: &str, failed: Option<&str>, attempt: u32) -> Option<&str> {
        if let Some(leader) = self.leader(broker_name).filter(|leader| Some(*leader) != failed) {
            return Some(leader);
        }
        let others: Vec<&str> =
            self.nodes(broker_name).into_iter().filter(|addr| Some(*addr) != failed).collect();
        if others.is_empty() {
            // The only node there is; perhaps it is back.
            return self.leader(broker_name).or_else(|| self.nodes(broker_name).first().copied());
        }
        Some(others[attempt as usize % others.len()])
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use protocol::command::route::{BrokerData, QueueData};

    use super::*;

    /// Name, permission, queues, ids and addresses.
    type Group<'a> = (&'a str, i32, i32, &'a [(i64, &'a str)]);

    /// A route of one queue data and one broker data a group.
    pub(crate) fn data(groups: &[Group<'_>]) -> TopicRouteData {
        let mut data = TopicRouteData::default();
        for (name, perm, queues, addrs) in groups {
            data.queue_datas.push(QueueData {
                broker_name: (*name).into(),
                read_queue_nums: *queues,
                write_queue_nums: *queues,
                perm: *perm,
                topic_sys_flag: 0,
            });
            data.broker_datas.push(BrokerData {
                cluster: "c".into(),
                broker_name: (*name).into(),
                broker_addrs: addrs.iter().map(|(id, addr)| (*id, (*addr).to_owned())).collect(),
                ..BrokerData::default()
            });
        }
        data
    }

    #[test]
    fn queues_stand_in_order_and_follow_the_permission() {
        let route = TopicRoute::new(&data(&[("b", 6, 2, &[(0, "b:1")]), ("a", 4, 1, &[(0, "a:1")])]));
        let names = |queues: Vec<MessageQueue>| queues.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(route.write_queues("T")), ["T@b/0", "T@b/1"]);
        assert_eq!(names(route.read_queues("T")), ["T@a/0", "T@b/0", "T@b/1"]);
    }

    #[test]
    fn a_group_between_two_leaders_keeps_its_queues() {
        let route = TopicRoute::new(&data(&[("a", 6, 4, &[(2, "a:2"), (3, "a:3")])]));
        assert_eq!(route.leader("a"), None);
        assert_eq!(route.write_queues("T").len(), 4);
    }

    #[test]
    fn a_template_gives_at_most_the_queues_asked_for() {
        let route = TopicRoute::of_template(&data(&[("a", 7, 8, &[(0, "a:1")])]), 4);
        assert_eq!(route.write_queues("New").len(), 4);
        assert!(route.from_template);
    }

    #[test]
    fn a_write_goes_to_the_leader_unless_that_has_just_failed() {
        let route = TopicRoute::new(&data(&[("a", 6, 4, &[(0, "a:1"), (2, "a:2"), (3, "a:3")])]));
        assert_eq!(route.write_target("a", None, 1), Some("a:1"));
        assert_eq!(route.write_target("a", Some("a:2"), 2), Some("a:1"));
        let others: Vec<_> =
            (2..=3).filter_map(|attempt| route.write_target("a", Some("a:1"), attempt)).collect();
        assert_eq!(others, ["a:2", "a:3"]);
        assert_eq!(route.write_target("nobody", None, 1), None);
    }

    #[test]
    fn the_only_node_is_tried_again() {
        let route = TopicRoute::new(&data(&[("a", 6, 4, &[(0, "a:1")])]));
        assert_eq!(route.write_target("a", Some("a:1"), 2), Some("a:1"));
    }
}
