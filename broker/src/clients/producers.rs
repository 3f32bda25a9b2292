//! Producer groups.

use std::collections::{BTreeMap, HashMap};

use super::{ClientInfo, ConnectionId, Member};

/// Every producer group with a client on this node.
#[derive(Default)]
pub struct ProducerGroups {
    groups: BTreeMap<String, HashMap<ConnectionId, Member>>,
}

impl ProducerGroups {
    /// Takes in one heartbeat.
    pub fn heartbeat(&mut self, group: &str, info: &ClientInfo, now_ms: u64) {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.to_owned(), HashMap::new());
        }
        let members = self.groups.get_mut(group).expect("inserted above");
        members.insert(info.connection, Member { info: info.clone(), heard_ms: now_ms });
    }

    /// The client on `connection` leaves `group`.
    pub fn unregister(&mut self, group: &str, connection: ConnectionId) {
        if let Some(members) = self.groups.get_mut(group) {
            members.remove(&connection);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    /// A connection is gone: its client leaves every group.
    pub fn closed(&mut self, connection: ConnectionId) {
        self.groups.retain(|_, members| {
            members.remove(&connection);
            !members.is_empty()
        });
    }

    /// Connections not heard of since `before_ms`; they are to be closed.
    pub fn silent(&self, before_ms: u64) -> Vec<ConnectionId> {
        let members = self.groups.values().flat_map(HashMap::values);
        members.filter(|member| member.heard_ms < before_ms).map(|member| member.info.connection).collect()
    }

    /// The clients of a group; empty if it has none.
    pub fn clients(&self, group: &str) -> Vec<ClientInfo> {
        let members = self.groups.get(group).into_iter().flat_map(HashMap::values);
        members.map(|member| member.info.clone()).collect()
    }

    /// Every group with its clients.
    pub fn all(&self) -> impl Iterator<Item = (&str, Vec<ClientInfo>)> {
        self.groups.iter().map(|(group, members)| {
            (group.as_str(), members.values().map(|member| member.info.clone()).collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_is_known_until_its_connection_closes_or_falls_silent() {
        let mut producers = ProducerGroups::default();
        let info = |connection| ClientInfo {
            connection,
            client_id: format!("c{connection}"),
            addr: "10.0.0.1:1".parse().unwrap(),
            language: "JAVA".into(),
            version: 479,
        };
        producers.heartbeat("PG", &info(1), 10);
        producers.heartbeat("PG", &info(2), 20);
        producers.heartbeat("PH", &info(2), 20);
        assert_eq!(producers.silent(20), [1]);
        assert_eq!(producers.clients("PG").len(), 2);
        producers.closed(2);
        assert_eq!(producers.clients("PG"), [info(1)]);
        assert!(producers.clients("PH").is_empty());
        producers.unregister("PG", 1);
        assert_eq!(producers.all().count(), 0);
    }
}
