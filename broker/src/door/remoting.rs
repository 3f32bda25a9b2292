//! The door for clients: connections come and go here, and every request is taken to its function.

use std::sync::Arc;

use protocol::{Command, ResponseCode};
use remoting::{Connection, Handler, Responder};
use tracing::debug;

use crate::clients;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::leader::forward;
use crate::node::Node;
use crate::route::{Answers, Route, route};

/// Takes requests from a remoting server into the node.
pub struct ClientDoor(pub Arc<Node>);

impl Handler for ClientDoor {
    fn on_request(&self, connection: &Arc<Connection>, request: Command, responder: Responder) {
        let running = self.0.rpc_times.begin(request.code, request.is_oneway());
        dispatch(&self.0, Origin::direct(connection), request, Answer::to_client(responder, running));
    }

    fn on_open(&self, connection: &Arc<Connection>) {
        self.0.lock_connections().insert(connection.id(), Arc::clone(connection));
    }

    fn on_close(&self, connection: &Arc<Connection>) {
        self.0.lock_connections().remove(&connection.id());
        clients::requests::closed(&self.0, connection.id());
    }
}

/// Takes one request to its function, here or at the leader.
pub fn dispatch(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let Some(route) = route(request.code) else {
        debug!(code = request.code, client = %origin.client, "request code not supported");
        let remark = format!(" request type {} not supported", request.code);
        return answer.send(refuse(&request, ResponseCode::REQUEST_CODE_NOT_SUPPORTED, remark));
    };
    if route.answers == Answers::Any || node.group.is_ready() {
        return run(route, node, origin, request, answer);
    }
    let node = Arc::clone(node);
    let here = move |node: &_, origin, request, answer| run(route, node, origin, request, answer);
    tokio::spawn(forward::answer_elsewhere(node, origin, request, answer, here));
}

/// Runs the function here and now, or when it has its turn to read.
fn run(route: Route, node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    if !route.reads {
        return (route.function)(node, origin, request, answer);
    }
    let Some(place) = node.lookups.place() else {
        let remark = "too many requests that read old messages wait for the disk";
        return answer.send(refuse(&request, ResponseCode::SYSTEM_BUSY, remark));
    };
    let node = Arc::clone(node);
    place.read(move || (route.function)(&node, origin, request, answer));
}
