//! Who is in which broker group, who leads it, and which topics it serves. Pure: what brokers say and the time
//! go in, routes come out. No sockets, no clock, no JSON.
//!
//! The rules are those of RocketMQ's `RouteInfoManager`, and a few of ours, because our brokers put their Raft term
//! into `dataVersion.stateVersion`:
//!
//! - A claim to lead (broker id 0) from a lower term than the last leader's changes nothing. The term on record
//!   outlives the leader's entry.
//! - A term that no group can have reached is refused, and one in which nobody leads any more is forgotten after half a
//!   minute: one false registration must not keep the true leader out.
//! - A follower speaks for the group's topics only while nobody leads, and never takes them back to older data.
//!
//! A plain Java broker has state version 0 always, and so is treated as by a Java name server.

mod types;

#[cfg(test)]
mod tests;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::perm;
use protocol::route::DataVersion;

pub(crate) use types::{Gone, Group, LEADER_ID, Queues, Registered, Registration};
use types::{Master, Member, Refused};

/// All a name server knows. Names are kept sorted, so that equal tables give equal answers.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    /// Broker name to group. A group has at least one member.
    groups: BTreeMap<String, Group>,
    /// Topic to broker name to queues. Neither map is empty, and every broker name in it has a group.
    topics: BTreeMap<String, BTreeMap<String, Queues>>,
    /// Groups whose write permission an operator has wiped: whatever they register, it stays so until it is added
    /// again. They need not be known.
    wiped: BTreeSet<String>,
}

impl RouteTable {
    /// A table that knows nothing but which groups may not be written to.
    pub fn new(wiped: impl IntoIterator<Item = String>) -> Self {
        Self { wiped: wiped.into_iter().collect(), ..Self::default() }
    }

    /// Takes in what one broker says of itself and its topics. With `is_complete`, a leader's topics are all
    /// there are, and others of its group go.
    ///
    /// # Errors
    /// If a broker id that is new here comes with a single topic: that is an increment to a registration this
    /// name server has not seen. The broker must register in full. Or if brokers of another cluster have that
    /// group name: clients could not tell them apart. Or if no group can have reached its term. Nothing is changed
    /// then.
    pub fn register(
        &mut self,
        registration: Registration,
        is_complete: bool,
        now: Duration,
    ) -> Result<Registered, Refused> {
        if let Some(known) = self.groups.get_mut(&registration.group) {
            known.forget_term_without_leader(now);
            if let Some(refused) = known.refuses(&registration, now) {
                return Err(refused);
            }
        }
        let known = self.groups.get(&registration.group);
        if known.is_some_and(|group| group.is_stale(&registration)) {
            return Ok(Registered { is_stale: true, ..Registered::default() });
        }
        if let Some(group) = known.filter(|group| group.cluster != registration.cluster) {
            return Err(Refused::OtherCluster {
                group: registration.group,
                cluster: registration.cluster,
                known: group.cluster.clone(),
                addr: group.members.values().next().map(|member| member.addr.clone()).unwrap_or_default(),
            });
        }
        let is_new_id = known.is_none_or(|group| !group.members.contains_key(&registration.id));
        if is_new_id && registration.topics.len() == 1 {
            return Err(Refused::SingleTopic { group: registration.group, id: registration.id });
        }
        let group =
            self.groups.entry(registration.group.clone()).or_insert_with(|| Group::new(&registration));
        let version_before = group.take_other_ids(&registration);
        let leads = registration.id == LEADER_ID;
        let is_newer = is_new_id || version_before != Some(registration.version);
        let speaks = group.accepts_topics_of(&registration);
        let mut registered = Registered {
            is_new: group.members.get(&registration.id).is_none_or(|member| member.addr != registration.addr),
            leader_change: group.leader_change(&registration),
            ..Registered::default()
        };
        group.enter(&registration, now);
        if !leads {
            registered.master = group.members.get(&LEADER_ID).map(Master::of);
        }
        if speaks {
            self.take_topics(&registration, is_newer, is_complete && leads);
        }
        Ok(registered)
    }

    fn take_topics(&mut self, registration: &Registration, is_newer: bool, is_complete: bool) {
        let name = &registration.group;
        if is_complete && registration.topics.len() > 1 {
            let named: BTreeSet<&str> = registration.topics.iter().map(|(topic, _)| topic.as_str()).collect();
            self.forget_topics_of(name, |topic| !named.contains(topic));
        }
        let is_acting_slave = registration.id != LEADER_ID && registration.acting_master == Some(true);
        for (topic, queues) in &registration.topics {
            let mut queues = *queues;
            if is_acting_slave || self.wiped.contains(name) {
                queues.perm &= !perm::WRITE;
            }
            match self.topics.entry(topic.clone()).or_default().entry(name.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(queues);
                }
                Entry::Occupied(mut entry) if is_newer => {
                    entry.insert(queues);
                }
                Entry::Occupied(_) => {}
            }
        }
    }

    /// Forgets a broker at its own wish; says whether it was known.
    pub fn unregister(&mut self, group: &str, addr: &str) -> Option<Gone> {
        let gone = self.remove_members(Some(group), |member| member.addr == addr);
        gone.into_iter().next()
    }

    /// A connection has closed: forgets the brokers whose latest registration it carried.
    pub fn connection_closed(&mut self, connection: u64) -> Vec<Gone> {
        self.remove_members(None, |member| member.connection == connection)
    }

    /// Forgets the brokers not heard from for longer than they may be silent.
    pub fn expire(&mut self, now: Duration) -> Vec<Gone> {
        self.remove_members(None, |member| member.last_heard + member.silence_max < now)
    }

    fn remove_members(&mut self, group: Option<&str>, goes: impl Fn(&Member) -> bool) -> Vec<Gone> {
        let mut gone = Vec::new();
        let mut emptied = Vec::new();
        for (name, known) in &mut self.groups {
            if group.is_some_and(|group| group != name) {
                continue;
            }
            if let Some(leader) = known.members.get(&LEADER_ID) {
                known.led_at = known.led_at.max(leader.last_heard);
            }
            let before = gone.len();
            known.members.retain(|id, member| {
                let goes = goes(member);
                if goes {
                    let (addr, connection) = (member.addr.clone(), member.connection);
                    gone.push(Gone { group: name.clone(), id: *id, addr, connection });
                }
                !goes
            });
            if known.members.is_empty() && gone.len() > before {
                emptied.push(name.clone());
            }
        }
        for name in emptied {
            self.groups.remove(&name);
            self.forget_topics_of(&name, |_| true);
        }
        gone
    }

    fn forget_topics_of(&mut self, group: &str, goes: impl Fn(&str) -> bool) {
        self.topics.retain(|topic, queues| {
            if goes(topic) {
                queues.remove(group);
            }
            !queues.is_empty()
        });
    }

    /// A sign of life. The version of the broker's latest registration, if it is known.
    pub fn heard_from(&mut self, group: &str, addr: &str, now: Duration) -> Option<DataVersion> {
        let members = &mut self.groups.get_mut(group)?.members;
        let member = members.values_mut().find(|member| member.addr == addr)?;
        member.last_heard = member.last_heard.max(now);
        Some(member.version)
    }

    /// The queues of a topic by broker name, with their groups; `None` if nobody serves it.
    pub fn route(&self, topic: &str) -> Option<Vec<(&Group, Queues)>> {
        let queues = self.topics.get(topic)?;
        Some(queues.iter().map(|(name, queues)| (self.group_of(name), *queues)).collect())
    }

    fn group_of(&self, name: &str) -> &Group {
        self.groups.get(name).expect("a topic names groups that are known")
    }

    /// One group.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// All groups, by name.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Cluster names, each with its broker names.
    pub fn clusters(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut clusters: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for group in self.groups.values() {
            clusters.entry(&group.cluster).or_default().insert(&group.name);
        }
        clusters
    }

    /// All topics, each with the queues of the first group that serves it.
    pub fn topics(&self) -> impl Iterator<Item = (&str, Queues)> {
        self.topics.iter().map(|(topic, queues)| {
            (topic.as_str(), *queues.values().next().expect("a topic without queues is forgotten"))
        })
    }

    /// The topics that a cluster serves.
    pub fn topics_of_cluster(&self, cluster: &str) -> impl Iterator<Item = &str> {
        let serves = move |name: &String| self.group_of(name).cluster == cluster;
        self.topics
            .iter()
            .filter(move |(_, queues)| queues.keys().any(serves))
            .map(|(topic, _)| topic.as_str())
    }

    /// Takes the write permission from all queues of a group, also of those that it registers later; how many
    /// topics it has. (In RocketMQ a registration with newer topics brings it back: any new topic did.)
    pub fn wipe_write_perm(&mut self, group: &str) -> usize {
        if self.groups.contains_key(group) {
            self.wiped.insert(group.to_owned());
        }
        self.change_perm(group, |perm| perm & !perm::WRITE)
    }

    /// Lets all queues of a group be read and written; how many topics it has.
    pub fn add_write_perm(&mut self, group: &str) -> usize {
        self.wiped.remove(group);
        self.change_perm(group, |_| perm::READ_WRITE)
    }

    fn change_perm(&mut self, group: &str, change: impl Fn(i32) -> i32) -> usize {
        let queues = self.topics.values_mut().filter_map(|queues| queues.get_mut(group));
        queues.map(|queues| queues.perm = change(queues.perm)).count()
    }

    /// Forgets a topic: everywhere, or in one cluster.
    pub fn delete_topic(&mut self, topic: &str, cluster: Option<&str>) {
        let Some(queues) = self.topics.get_mut(topic) else { return };
        if let Some(cluster) = cluster {
            queues.retain(|name, _| self.groups.get(name).is_some_and(|group| group.cluster != cluster));
        } else {
            queues.clear();
        }
        if queues.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Adds the queues of one topic, group by group, up to the first group that is not known.
    pub fn add_topic(&mut self, topic: &str, queues: impl IntoIterator<Item = (String, Queues)>) {
        for (group, mut queues) in queues {
            if self.wiped.contains(&group) {
                queues.perm &= !perm::WRITE;
            }
            if !self.groups.contains_key(&group) {
                return;
            }
            self.topics.entry(topic.to_owned()).or_default().insert(group, queues);
        }
    }

    /// Every relation that the fields promise. For tests.
    #[cfg(test)]
    fn check(&self) {
        for (name, group) in &self.groups {
            assert_eq!(*name, group.name);
            assert!(!group.members.is_empty(), "{name} has no member");
            let addrs: BTreeSet<_> = group.members.values().map(|member| &member.addr).collect();
            assert_eq!(addrs.len(), group.members.len(), "an address of {name} has two ids");
        }
        for (topic, queues) in &self.topics {
            assert!(!queues.is_empty(), "{topic} has no queues");
            assert!(
                queues.keys().all(|name| self.groups.contains_key(name)),
                "{topic} names an unknown group"
            );
        }
    }
}
