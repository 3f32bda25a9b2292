//! HTTP for people and scripts: which groups there are, and who leads them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use platform::Net;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::processor::Shared;
use crate::route_table::Group;

/// How long a request may still run when the name server stops.
const DRAIN: Duration = Duration::from_millis(500);

/// The HTTP side of a name server.
pub(crate) struct Http {
    pub local: SocketAddr,
    task: JoinHandle<()>,
}

impl Http {
    /// Listens on `addr` and serves until `stopped`.
    pub async fn start(
        net: &dyn Net,
        addr: SocketAddr,
        shared: Arc<Shared>,
        stopped: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let listener = net.listen(addr).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {addr} for HTTP: {error}"))
        })?;
        let local = listener.local_addr();
        let views = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/groups", get(groups))
            .route("/groups/{name}/leader", get(leader))
            .fallback(|| async {
                not_found("no such page; there are /groups, /groups/<name>/leader and /healthz")
            })
            .with_state(shared);
        let task = tokio::spawn(async move {
            if let Err(error) = web::serve(listener, views, stopped).await {
                tracing::error!(%error, "HTTP ended");
            }
        });
        Ok(Self { local, task })
    }

    /// Waits for requests that run; to be called when it was told to stop.
    pub async fn ended(mut self) {
        if timeout(DRAIN, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn groups(State(shared): State<Arc<Shared>>) -> Response {
    let now = shared.now();
    let groups: Vec<Value> = shared.table().groups().map(|group| view(group, now)).collect();
    web::json(StatusCode::OK, &json!({ "groups": groups }))
}

async fn leader(State(shared): State<Arc<Shared>>, Path(name): Path<String>) -> Response {
    let now = shared.now();
    let view = shared.table().group(&name).map(|group| view(group, now));
    match view {
        Some(view) => web::json(StatusCode::OK, &view),
        None => not_found(&format!("no broker of a group {name:?} is registered here")),
    }
}

/// One group, as its brokers have told of it.
///
/// `leader` is the client-facing address of the leader, `null` while there is none; `term` the Raft term of the last
/// leader that registered, 0 for plain Java brokers; `lastHeardMs` the age of a node's last registration or heartbeat.
fn view(group: &Group, now: Duration) -> Value {
    let nodes = group.members.iter().map(|(id, member)| {
        let last_heard_ms = now.saturating_sub(member.last_heard).as_millis() as u64;
        json!({ "id": id, "addr": member.addr, "lastHeardMs": last_heard_ms })
    });
    json!({
        "group": group.name,
        "cluster": group.cluster,
        "leader": group.leader().map(|leader| &leader.addr),
        "term": group.term(),
        "nodes": nodes.collect::<Vec<_>>(),
    })
}

fn not_found(error: &str) -> Response {
    web::json(StatusCode::NOT_FOUND, &json!({ "error": error }))
}
