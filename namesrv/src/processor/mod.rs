//! The requests of clients, brokers and tools: one function each, from command to command.

mod answer;
mod kv;
mod proofs;
mod register;
mod route;
mod shared;
mod topic;

use std::sync::Arc;

use protocol::Command;
use protocol::code::{request, response};
use remoting::{Connection, Handler, Responder};

use answer::{Answer, Failure, success};

pub(crate) use shared::{Shared, log_gone};

/// Answers requests. Nothing here waits, but for the changes of what is kept on disk.
pub(crate) struct Processor {
    shared: Arc<Shared>,
}

impl Processor {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl Handler for Processor {
    fn on_request(&self, connection: &Arc<Connection>, request: Command, responder: Responder) {
        let (shared, connection) = (self.shared.clone(), connection.id());
        match request.code {
            request::PUT_KV_CONFIG
            | request::DELETE_KV_CONFIG
            | request::WIPE_WRITE_PERM_OF_BROKER
            | request::ADD_WRITE_PERM_OF_BROKER => {
                tokio::task::spawn_blocking(move || responder.send(answer(&shared, connection, &request)));
            }
            _ => responder.send(answer(&shared, connection, &request)),
        }
    }

    fn on_open(&self, connection: &Arc<Connection>) {
        self.shared.open_connections().insert(connection.id(), connection.clone());
    }

    fn on_close(&self, connection: &Arc<Connection>) {
        self.shared.open_connections().remove(&connection.id());
        let gone = self.shared.table_mut().connection_closed(connection.id());
        log_gone(&gone, "connection closed");
    }
}

fn answer(shared: &Shared, connection: u64, request: &Command) -> Command {
    tracing::debug!(connection, code = request.code, opaque = request.opaque, "request");
    dispatch(shared, connection, request).unwrap_or_else(|failure| {
        tracing::debug!(
            connection,
            request = request.code,
            code = failure.code,
            remark = failure.remark,
            "refused"
        );
        Command::response_to(request, failure.code).with_remark(failure.remark)
    })
}

fn dispatch(shared: &Shared, connection: u64, command: &Command) -> Answer {
    if let Some(refusal) = shared.proofs.as_ref().and_then(|proofs| proofs.refuse(connection, command)) {
        register::log_unproved(shared, command);
        return Ok(refusal);
    }
    match command.code {
        request::REGISTER_BROKER => register::register(shared, connection, command),
        request::UNREGISTER_BROKER => Ok(register::unregister(shared, command)),
        request::BROKER_HEARTBEAT => Ok(register::heartbeat(shared, command)),
        request::QUERY_DATA_VERSION => register::query_data_version(shared, command),
        request::GET_ROUTEINFO_BY_TOPIC => route::by_topic(shared, command),
        request::GET_BROKER_CLUSTER_INFO => Ok(route::cluster_info(shared, command)),
        request::GET_BROKER_MEMBER_GROUP => route::member_group(shared, command),
        request::WIPE_WRITE_PERM_OF_BROKER => topic::wipe_write_perm(shared, command),
        request::ADD_WRITE_PERM_OF_BROKER => topic::add_write_perm(shared, command),
        request::DELETE_TOPIC_IN_NAMESRV => topic::delete(shared, command),
        request::REGISTER_TOPIC_IN_NAMESRV => topic::add(shared, command),
        request::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => topic::all(shared, command),
        request::GET_TOPICS_BY_CLUSTER => topic::of_cluster(shared, command),
        request::GET_SYSTEM_TOPIC_LIST_FROM_NS => Ok(topic::system(shared, command)),
        request::GET_UNIT_TOPIC_LIST => topic::unit(shared, command, |has_unit, _| has_unit),
        request::GET_HAS_UNIT_SUB_TOPIC_LIST => topic::unit(shared, command, |_, has_sub| has_sub),
        request::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST => {
            topic::unit(shared, command, |has_unit, has_sub| has_sub && !has_unit)
        }
        request::PUT_KV_CONFIG => kv::put(shared, command),
        request::GET_KV_CONFIG => kv::get(shared, command),
        request::DELETE_KV_CONFIG => kv::delete(shared, command),
        request::GET_KVLIST_BY_NAMESPACE => kv::list(shared, command),
        request::UPDATE_NAMESRV_CONFIG => kv::update_properties(shared, command),
        request::GET_NAMESRV_CONFIG => Ok(success(command).with_body(shared.live.text())),
        // The blank in front is RocketMQ's.
        code => Err(Failure::new(
            response::REQUEST_CODE_NOT_SUPPORTED,
            format!(" request type {code} not supported"),
        )),
    }
}
