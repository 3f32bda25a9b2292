//! Brokers that come (103), go (104), and stay (322, 904).

use std::time::Duration;

use protocol::Command;
use protocol::command::route::{
    QueryDataVersion, QueryDataVersionResponse, RegisterBodyError, RegisterBroker, RegisterBrokerBody,
    RegisterBrokerResponse,
};
use protocol::route::{DataVersion, KvTable, TopicConfig};

use super::answer::{Answer, Failure, read, success};
use super::shared::{Shared, log_gone};
use crate::kv_config::ORDER_TOPIC_CONFIG;
use crate::route_table::{Queues, Registered, Registration};

/// First byte of a zlib stream with the usual window. No JSON text starts with it.
const ZLIB: u8 = 0x78;

pub(super) fn register(shared: &Shared, connection: u64, command: &Command) -> Answer {
    let mut header: RegisterBroker = read(command)?;
    check_name("brokerName", &header.broker_name)?;
    check_name("clusterName", &header.cluster_name)?;
    check_addr(&header.broker_addr)?;
    // The 5.3.3 broker deflates the body where configured, and always says that it did not.
    header.compressed |= command.body.first() == Some(&ZLIB);
    let body = RegisterBrokerBody::decode(&command.body, &header).map_err(|error| match error {
        RegisterBodyError::Crc { .. } => Failure::system(format!("crc32 not match: {error}")),
        _ => Failure::system(format!("register broker failed: {error}")),
    })?;
    let registration = registration(header, body, connection);
    let (group, addr, broker_id) = (registration.group.clone(), registration.addr.clone(), registration.id);
    let switches = shared.live.switches();
    let is_complete = switches.delete_topic_with_broker_registration
        || command.ext.get(RegisterBroker::TOPICS_ARE_COMPLETE) == Some("true");
    let registered =
        shared.table_mut().register(registration, is_complete, shared.now()).map_err(|refused| {
            if let Some(suppressed) = shared.refusals.admit() {
                tracing::warn!(group, broker_id, addr, %refused, suppressed, "registration refused");
            }
            Failure::system(format!("register broker failed: {refused}"))
        })?;
    log(&registered, &group, broker_id, &addr);
    let (master_addr, ha_server_addr) = registered.master.map(|master| (master.addr, master.ha_addr)).unzip();
    let mut answer = success(command).with_header(&RegisterBrokerResponse { ha_server_addr, master_addr });
    if switches.return_order_topic_config_to_broker
        && let Some(table) = shared.kv.list(ORDER_TOPIC_CONFIG)
    {
        answer = answer.with_body(KvTable { table }.to_bytes());
    }
    Ok(answer)
}

fn registration(header: RegisterBroker, body: RegisterBrokerBody, connection: u64) -> Registration {
    let wrapper = body.topic_config_serialize_wrapper;
    let silence_ms = header.heartbeat_timeout_ms.and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0);
    Registration {
        cluster: header.cluster_name,
        group: header.broker_name,
        id: header.broker_id,
        addr: header.broker_addr,
        ha_addr: header.ha_server_addr,
        zone: header.zone_name,
        acting_master: header.enable_acting_master,
        silence_max: silence_ms.map(Duration::from_millis),
        version: wrapper.data_version,
        topics: wrapper
            .topic_config_table
            .into_iter()
            .map(|(topic, config)| (topic, queues(&config)))
            .collect(),
        filter_servers: body.filter_server_list,
        connection,
    }
}

fn queues(config: &TopicConfig) -> Queues {
    Queues {
        read: config.read_queue_nums,
        write: config.write_queue_nums,
        perm: config.perm,
        topic_sys_flag: config.topic_sys_flag,
    }
}

fn log(registered: &Registered, group: &str, broker_id: i64, addr: &str) {
    if registered.is_stale {
        tracing::warn!(group, broker_id, addr, "registration ignored: a higher term is on record");
    } else if let Some(change) = &registered.leader_change {
        tracing::info!(group, addr, term = change.term, from = change.from.as_deref(), "leader changed");
    } else if registered.is_new {
        tracing::info!(group, broker_id, addr, "broker registered");
    }
}

/// Nothing is learnt of whoever did not prove himself but what he says.
pub(super) fn log_unproved(shared: &Shared, command: &Command) {
    // The first request of every connection is without a proof, and says nothing yet.
    if command.ext.contains(protocol::proof::PROOF)
        && let Some(suppressed) = shared.refusals.admit()
    {
        let said = |name| command.ext.get(name).unwrap_or_default();
        let (group, addr) = (said("brokerName"), said("brokerAddr"));
        tracing::warn!(
            code = command.code,
            group,
            addr,
            suppressed,
            "refused: it does not prove registerSecret"
        );
    }
}

/// Names go into JSON that some clients take apart by hand.
fn check_name(field: &str, name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Failure::system(format!("register broker failed: {field} {name:?} is not a name")));
    }
    Ok(())
}

/// The Go client cuts addresses out of the JSON text at commas, colons and quotes.
fn check_addr(addr: &str) -> Result<(), Failure> {
    let is_sound = addr.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && port.parse::<u16>().is_ok()
            && !host.contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, ',' | '"' | '\\'))
    });
    if is_sound {
        Ok(())
    } else {
        Err(Failure::system(format!("register broker failed: brokerAddr {addr:?} is not a host:port")))
    }
}

/// Anything that names no broker is a success too, as in RocketMQ: the end is reached.
pub(super) fn unregister(shared: &Shared, command: &Command) -> Command {
    if let (Some(group), Some(addr)) = (command.ext.get("brokerName"), command.ext.get("brokerAddr")) {
        let gone = shared.table_mut().unregister(group, addr);
        log_gone(gone.as_slice(), "unregistered");
    }
    success(command)
}

/// Always a success, as in RocketMQ: an unknown broker learns it from its registrations.
pub(super) fn heartbeat(shared: &Shared, command: &Command) -> Command {
    if let (Some(group), Some(addr)) = (command.ext.get("brokerName"), command.ext.get("brokerAddr")) {
        shared.table_mut().heard_from(group, addr, shared.now());
    }
    success(command)
}

pub(super) fn query_data_version(shared: &Shared, command: &Command) -> Answer {
    let header: QueryDataVersion = read(command)?;
    let theirs = DataVersion::read(&command.body).map_err(|error| Failure::system(error.to_string()))?;
    let ours = shared.table_mut().heard_from(&header.broker_name, &header.broker_addr, shared.now());
    let answer = success(command).with_header(&QueryDataVersionResponse { changed: ours != Some(theirs) });
    Ok(match ours {
        Some(ours) => answer.with_body(ours.to_bytes()),
        None => answer,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_would_break_a_client_are_refused() {
        for addr in ["10.0.0.1:10911", "broker-a.example:1", "[::1]:10911", "::1:10911"] {
            assert!(check_addr(addr).is_ok(), "{addr}");
        }
        for addr in
            ["", ":1", "host", "host:", "host:x", "host:70000", "a,b:1", "a b:1", "a\":1", "a\\:1", "a\n:1"]
        {
            assert!(check_addr(addr).is_err(), "{addr:?}");
        }
    }
}
