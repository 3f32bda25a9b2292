//! HTTP for people and scripts: which groups there are, and who leads them.

use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use platform::Net;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, Join};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::processor::Shared;
use crate::route_table::Group;

/// How long a request may still run when the name server stops.
const DRAIN: Duration = Duration::from_millis(500);
/// Pause after a failed accept: trying at once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
        mut stopped: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let listener = net.listen(addr).await.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {addr} for HTTP: {error}"))
        })?;
        let local = listener.local_addr();
        let router = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/groups", get(groups))
            .route("/groups/{name}/leader", get(leader))
            .fallback(|| async { (StatusCode::NOT_FOUND, Json(Error { error: "no such page".to_owned() })) })
            .with_state(shared);
        let stop = async move {
            // An error is a name server that was dropped: stop as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let serving = axum::serve(Adapter(listener), router).with_graceful_shutdown(stop).into_future();
        let task = tokio::spawn(async move {
            if let Err(error) = serving.await {
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

/// Our listeners, as axum wants them.
struct Adapter(Box<dyn platform::Listener>);

type Socket = Join<Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>>;

impl axum::serve::Listener for Adapter {
    type Io = Socket;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.0.accept().await {
                Ok(socket) => return (tokio::io::join(socket.reader, socket.writer), socket.peer),
                Err(error) => {
                    tracing::debug!(%error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.0.local_addr())
    }
}

/// One group, as brokers have told of it.
#[derive(Serialize)]
struct GroupView {
    group: String,
    cluster: String,
    /// Client-facing address of the leader; `null` while there is none.
    leader: Option<String>,
    /// Raft term of the last leader that registered; 0 for plain Java brokers.
    term: i64,
    nodes: Vec<NodeView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeView {
    /// Broker id; 0 is the leader's.
    id: i64,
    addr: String,
    /// Milliseconds since its last registration or heartbeat.
    last_heard_ms: u64,
}

#[derive(Serialize)]
struct Groups {
    groups: Vec<GroupView>,
}

#[derive(Serialize)]
struct Error {
    error: String,
}

fn view(group: &Group, now: Duration) -> GroupView {
    let nodes = group.members.iter().map(|(id, member)| NodeView {
        id: *id,
        addr: member.addr.clone(),
        last_heard_ms: now.saturating_sub(member.last_heard).as_millis() as u64,
    });
    GroupView {
        group: group.name.clone(),
        cluster: group.cluster.clone(),
        leader: group.leader().map(|leader| leader.addr.clone()),
        term: group.term(),
        nodes: nodes.collect(),
    }
}

async fn groups(State(shared): State<Arc<Shared>>) -> Json<Groups> {
    let now = shared.now();
    Json(Groups { groups: shared.table().groups().map(|group| view(group, now)).collect() })
}

async fn leader(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
) -> Result<Json<GroupView>, (StatusCode, Json<Error>)> {
    let now = shared.now();
    let view = shared.table().group(&name).map(|group| view(group, now));
    view.map(Json).ok_or_else(|| {
        let error = format!("no broker of a group {name:?} is registered here");
        (StatusCode::NOT_FOUND, Json(Error { error }))
    })
}
