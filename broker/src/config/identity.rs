//! Who a node is to clients and name servers.

use settings::Reader;

use super::Machine;

/// Cluster, group name and permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `brokerClusterName`: a set of broker groups that share topics. Default `DefaultCluster`.
    pub cluster: String,
    /// `brokerName`: the broker group, the same on each of its nodes. Default the host name.
    pub broker_name: String,
    /// `brokerPermission`: 2 (write), 4 (read) or 6 (both) for every topic of this broker. Default 6.
    pub permission: u32,
    /// `regionId`, told to producers in each answer. Default `DefaultRegion`.
    pub region: String,
}

impl Identity {
    pub(super) fn read(reader: &mut Reader, machine: &Machine) -> Self {
        let cluster = reader.text("brokerClusterName", "DefaultCluster");
        let broker_name = reader.text("brokerName", &machine.host_name);
        for (name, value) in [("brokerClusterName", &cluster), ("brokerName", &broker_name)] {
            if value.is_empty() || value.chars().any(char::is_control) {
                reader.refuse_value(name, "a name of at least one character");
            }
        }
        let broker_id = reader.integer("brokerId", 0, 0..=u64::from(u32::MAX), "");
        if broker_id != 0 {
            // RocketMQ sets it to 0 for masters, and counts from dLegerSelfId in a group.
            reader
                .warn(format!("brokerId = {broker_id} is ignored: the leader is 0, follower n<k> is k + 1"));
        }
        let roles = [("ASYNC_MASTER", false), ("SYNC_MASTER", false), ("SLAVE", true)];
        if reader.one_of("brokerRole", &false, &roles) {
            reader.refuse(
                &["brokerRole"],
                "there are no masters and slaves here; three nodes with enableDLegerCommitLog=true replicate",
            );
        }
        let permission = reader.one_of("brokerPermission", &6, &[("2", 2), ("4", 4), ("6", 6)]);
        let region = reader.text("regionId", "DefaultRegion");
        Self { cluster, broker_name, permission, region }
    }
}
