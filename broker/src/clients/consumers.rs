//! Consumer groups: members, and the subscriptions that the group holds in common.

use std::collections::{BTreeMap, HashMap};

use protocol::command::heartbeat::{ConsumeFromWhere, ConsumeType, MessageModel};
use protocol::subscription::SubscriptionData;

use super::{ClientInfo, ConnectionId, Member};

/// What one heartbeat says of one group.
#[derive(Clone, Debug)]
pub struct ConsumerBeat<'a> {
    /// The group.
    pub group: &'a str,
    /// Pull, push or pop; `None` if the client named none.
    pub consume_type: Option<ConsumeType>,
    /// Clustering or broadcasting.
    pub message_model: Option<MessageModel>,
    /// Where a new group begins; the broker only hands it on to tools.
    pub consume_from_where: Option<ConsumeFromWhere>,
    /// What the group subscribes to; `None` for a heartbeat that leaves it out on purpose.
    pub subscriptions: Option<&'a [SubscriptionData]>,
}

/// What tools are told of a group.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// As the last heartbeat said.
    pub consume_type: Option<ConsumeType>,
    /// As the last heartbeat said.
    pub message_model: Option<MessageModel>,
    /// As the last heartbeat said.
    pub consume_from_where: Option<ConsumeFromWhere>,
    /// By topic.
    pub subscriptions: BTreeMap<String, SubscriptionData>,
    /// In no particular order.
    pub clients: Vec<ClientInfo>,
}

#[derive(Default)]
struct Group {
    consume_type: Option<ConsumeType>,
    message_model: Option<MessageModel>,
    consume_from_where: Option<ConsumeFromWhere>,
    subscriptions: BTreeMap<String, SubscriptionData>,
    members: HashMap<ConnectionId, Member>,
}

/// Every consumer group with a client on this node.
#[derive(Default)]
pub struct ConsumerGroups {
    groups: BTreeMap<String, Group>,
}

impl ConsumerGroups {
    /// Takes in one heartbeat, and says whether the group's members or subscriptions changed: then all of its
    /// clients are to be told, unless they consume in broadcast mode.
    ///
    /// The subscription table belongs to the group, not to the client: the newest heartbeat wins, as on
    /// RocketMQ. A newer version of a known subscription replaces it without counting as a change.
    pub fn heartbeat(&mut self, beat: &ConsumerBeat<'_>, info: &ClientInfo, now_ms: u64) -> bool {
        if !self.groups.contains_key(beat.group) {
            self.groups.insert(beat.group.to_owned(), Group::default());
        }
        let group = self.groups.get_mut(beat.group).expect("inserted above");
        group.consume_type = beat.consume_type.or(group.consume_type);
        group.message_model = beat.message_model.or(group.message_model);
        group.consume_from_where = beat.consume_from_where.or(group.consume_from_where);
        let member = Member { info: info.clone(), heard_ms: now_ms };
        let joined = group.members.insert(info.connection, member).is_none();
        let resubscribed = beat.subscriptions.is_some_and(|subscriptions| group.subscribe(subscriptions));
        joined || resubscribed
    }

    /// The client on `connection` tells what it subscribes to now: newer versions of what its group has are taken.
    pub fn catch_up(&mut self, group: &str, connection: ConnectionId, told: &[SubscriptionData]) {
        let Some(group) = self.groups.get_mut(group) else { return };
        if !group.members.contains_key(&connection) {
            return; // it left meanwhile
        }
        for new in told {
            if let Some(known) = group.subscriptions.get_mut(&new.topic)
                && known.sub_version < new.sub_version
            {
                *known = new.clone();
            }
        }
    }

    /// The client on `connection` leaves `group`. Says whether it was there.
    pub fn unregister(&mut self, group: &str, connection: ConnectionId) -> bool {
        let Some(members) = self.groups.get_mut(group).map(|group| &mut group.members) else { return false };
        let left = members.remove(&connection).is_some();
        if members.is_empty() {
            self.groups.remove(group);
        }
        left
    }

    /// A connection is gone: its client leaves every group. Returns the groups it left that live on.
    pub fn closed(&mut self, connection: ConnectionId) -> Vec<String> {
        let mut left = Vec::new();
        self.groups.retain(|name, group| {
            if group.members.remove(&connection).is_some() && !group.members.is_empty() {
                left.push(name.clone());
            }
            !group.members.is_empty()
        });
        left
    }

    /// Connections not heard of since `before_ms`; they are to be closed.
    pub fn silent(&self, before_ms: u64) -> Vec<ConnectionId> {
        let members = self.groups.values().flat_map(|group| group.members.values());
        members.filter(|member| member.heard_ms < before_ms).map(|member| member.info.connection).collect()
    }

    /// Whether the group has a client here.
    pub fn is_online(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Whether the group has told its subscriptions here.
    pub fn has_subscriptions(&self, group: &str) -> bool {
        self.groups.get(group).is_some_and(|group| !group.subscriptions.is_empty())
    }

    /// The group's message model.
    pub fn message_model(&self, group: &str) -> Option<MessageModel> {
        self.groups.get(group)?.message_model
    }

    /// What the group subscribes to on `topic`.
    pub fn subscription(&self, group: &str, topic: &str) -> Option<&SubscriptionData> {
        self.groups.get(group)?.subscriptions.get(topic)
    }

    /// One client id a connection of the group, sorted.
    pub fn client_ids(&self, group: &str) -> Vec<String> {
        let members = self.groups.get(group).into_iter().flat_map(|group| group.members.values());
        let mut ids: Vec<_> = members.map(|member| member.info.client_id.clone()).collect();
        ids.sort();
        ids
    }

    /// The id of the client of the group on `connection`.
    pub fn client_id(&self, group: &str, connection: ConnectionId) -> Option<String> {
        Some(self.groups.get(group)?.members.get(&connection)?.info.client_id.clone())
    }

    /// The connections of the group.
    pub fn connections(&self, group: &str) -> Vec<ConnectionId> {
        self.groups.get(group).into_iter().flat_map(|group| group.members.keys().copied()).collect()
    }

    /// What tools are told of the group; `None` if it has no client here.
    pub fn view(&self, group: &str) -> Option<GroupView> {
        let group = self.groups.get(group)?;
        Some(GroupView {
            consume_type: group.consume_type,
            message_model: group.message_model,
            consume_from_where: group.consume_from_where,
            subscriptions: group.subscriptions.clone(),
            clients: group.members.values().map(|member| member.info.clone()).collect(),
        })
    }

    /// The groups subscribed to `topic`.
    pub fn subscribed_to<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a str> {
        self.groups
            .iter()
            .filter(move |(_, group)| group.subscriptions.contains_key(topic))
            .map(|(name, _)| name.as_str())
    }

    /// The names of all groups with a client here.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }
}

impl Group {
    fn subscribe(&mut self, subscriptions: &[SubscriptionData]) -> bool {
        let mut changed = false;
        for new in subscriptions {
            match self.subscriptions.get_mut(&new.topic) {
                None => {
                    self.subscriptions.insert(new.topic.clone(), new.clone());
                    changed = true;
                }
                Some(known) if known.sub_version < new.sub_version => *known = new.clone(),
                Some(_) => {}
            }
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| subscriptions.iter().any(|new| new.topic == *topic));
        changed || self.subscriptions.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(connection: ConnectionId) -> ClientInfo {
        ClientInfo {
            connection,
            client_id: format!("c{connection}"),
            addr: "10.0.0.1:1".parse().unwrap(),
            language: "JAVA".into(),
            version: 479,
        }
    }

    fn subscribed(topic: &str, expression: &str, version: i64) -> SubscriptionData {
        SubscriptionData { sub_version: version, ..SubscriptionData::parse(topic, expression).unwrap() }
    }

    fn beat(subscriptions: &[SubscriptionData]) -> ConsumerBeat<'_> {
        ConsumerBeat {
            group: "CG",
            consume_type: Some(ConsumeType::ConsumePassively),
            message_model: Some(MessageModel::Clustering),
            consume_from_where: None,
            subscriptions: Some(subscriptions),
        }
    }

    #[test]
    fn a_new_member_a_new_topic_and_a_dropped_topic_are_changes_and_a_newer_version_is_none() {
        let mut consumers = ConsumerGroups::default();
        let one = [subscribed("T", "TagA", 1)];
        assert!(consumers.heartbeat(&beat(&one), &info(1), 0), "joined");
        assert!(!consumers.heartbeat(&beat(&one), &info(1), 0), "the same again");
        assert!(consumers.heartbeat(&beat(&one), &info(2), 0), "another joined");
        assert!(!consumers.heartbeat(&beat(&[subscribed("T", "TagB", 2)]), &info(1), 0), "newer version");
        assert_eq!(consumers.subscription("CG", "T").unwrap().expression(), "TagB");
        let two = [subscribed("T", "TagB", 2), subscribed("U", "*", 2)];
        assert!(consumers.heartbeat(&beat(&two), &info(1), 0), "one more topic");
        assert!(consumers.heartbeat(&beat(&two[..1]), &info(1), 0), "one topic less");
        assert!(consumers.subscription("CG", "U").is_none());
    }

    #[test]
    fn an_older_version_does_not_replace_a_newer_one() {
        let mut consumers = ConsumerGroups::default();
        consumers.heartbeat(&beat(&[subscribed("T", "new", 5)]), &info(1), 0);
        consumers.heartbeat(&beat(&[subscribed("T", "old", 4)]), &info(2), 0);
        assert_eq!(consumers.subscription("CG", "T").unwrap().expression(), "new");
    }

    #[test]
    fn a_short_heartbeat_leaves_the_subscriptions_as_they_are() {
        let mut consumers = ConsumerGroups::default();
        consumers.heartbeat(&beat(&[subscribed("T", "*", 1)]), &info(1), 0);
        let short = ConsumerBeat { subscriptions: None, ..beat(&[]) };
        assert!(!consumers.heartbeat(&short, &info(1), 5));
        assert!(consumers.subscription("CG", "T").is_some());
        assert_eq!(consumers.silent(5), [0; 0]);
    }

    #[test]
    fn a_group_ends_with_its_last_connection() {
        let mut consumers = ConsumerGroups::default();
        consumers.heartbeat(&beat(&[subscribed("T", "*", 1)]), &info(1), 0);
        consumers.heartbeat(&beat(&[subscribed("T", "*", 1)]), &info(2), 0);
        assert_eq!(consumers.client_ids("CG"), ["c1", "c2"]);
        assert_eq!(consumers.closed(1), ["CG"]);
        assert!(consumers.unregister("CG", 2));
        assert!(!consumers.is_online("CG"));
        assert!(consumers.closed(2).is_empty());
    }
}
