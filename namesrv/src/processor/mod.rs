//! The requests of clients, brokers and tools: one function each, from command to command.

mod kv;
mod proofs;
mod register;
mod route;
mod topic;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use platform::{Clock, Platform};
use protocol::code::{request, response};
use protocol::{Command, FieldError, Header};
use remoting::{Connection, Handler, LogLimit, Responder};

use crate::config::{Config, Live};
use crate::kv_config::{KvConfig, WRITE_PERM_WIPED};
use crate::route_table::{Gone, RouteTable};
use proofs::Proofs;

/// What the parts of a name server share.
pub(crate) struct Shared {
    table: RwLock<RouteTable>,
    pub kv: KvConfig,
    pub live: Live,
    clock: Arc<dyn Clock>,
    /// Open connections by id: a broker that fell silent loses its own.
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    /// For the lines about registrations that are refused: whoever sends them can send many.
    pub refusals: LogLimit,
    proofs: Option<Proofs>,
}

impl Shared {
    pub fn new(config: &Config, kv: KvConfig, platform: &Platform) -> Self {
        let wiped = kv.list(WRITE_PERM_WIPED).unwrap_or_default().into_keys();
        let table = RwLock::new(RouteTable::new(wiped));
        let proofs = config.register_secret.clone().map(|secret| Proofs::new(secret, platform));
        Self {
            table,
            kv,
            live: Live::new(config),
            clock: platform.clock.clone(),
            connections: Mutex::default(),
            refusals: LogLimit::default(),
            proofs,
        }
    }

    /// The clock that the table's times are of.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// For reading. The table asserts before it changes anything, so one that somebody panicked over is sound.
    pub fn table(&self) -> RwLockReadGuard<'_, RouteTable> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For changing.
    pub fn table_mut(&self) -> RwLockWriteGuard<'_, RouteTable> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes a connection, if it is still open.
    pub fn close(&self, connection: u64) {
        let connection = self.open_connections().get(&connection).cloned();
        if let Some(connection) = connection {
            connection.close();
        }
    }

    fn open_connections(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells of brokers that left the routes.
pub(crate) fn log_gone(gone: &[Gone], why: &str) {
    for Gone { group, id, addr, .. } in gone {
        tracing::info!(group, broker_id = id, addr, why, "broker removed from the routes");
    }
}

/// A request that is answered with an error code.
#[derive(Debug)]
struct Failure {
    code: i32,
    remark: String,
}

impl Failure {
    fn new(code: i32, remark: impl Into<String>) -> Self {
        Self { code, remark: remark.into() }
    }

    fn system(remark: impl Into<String>) -> Self {
        Self::new(response::SYSTEM_ERROR, remark)
    }
}

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self::system(error.to_string())
    }
}

type Answer = Result<Command, Failure>;

/// Success, to be filled.
fn success(request: &Command) -> Command {
    Command::response_to(request, response::SUCCESS)
}

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

/// Reads a typed header.
fn read<H: Header>(command: &Command) -> Result<H, Failure> {
    Ok(H::read(command)?)
}
