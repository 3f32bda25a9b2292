//! HTTP for people and scripts: which groups there are, and who leads them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use platform::Net;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use web::metrics::{Families, Format};

use crate::processor::Shared;
use crate::route_table::{Group, RouteTable};

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
            .route("/metrics", get(metrics))
            .route("/groups/{name}/leader", get(leader))
            .fallback(|| async {
                not_found("no such page; there are /groups, /groups/<name>/leader, /metrics and /healthz")
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

/// Numbers for Prometheus. `node_id` is the broker group, as in the brokers' own metrics.
async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let format = Format::asked(&headers);
    let common = vec![("node_type", "nameserver".to_owned())];
    format.answer(format.write(common, move |out| tell(&shared.table(), shared.now(), out)))
}

fn tell(table: &RouteTable, now: Duration, out: &mut Families<'_>) -> fmt::Result {
    fn labels(group: &Group) -> [(&'static str, &str); 2] {
        [("cluster", &group.cluster), ("node_id", &group.name)]
    }
    fn of_each<'a>(
        groups: &[&'a Group],
        value: fn(&Group) -> i64,
    ) -> impl Iterator<Item = ([(&'static str, &'a str); 2], i64)> {
        groups.iter().map(move |group| (labels(group), value(group)))
    }
    let groups: Vec<&Group> = table.groups().collect();
    out.gauge("rocketmq_namesrv_groups", "Broker groups registered.", groups.len())?;
    out.gauge("rocketmq_namesrv_topics", "Topics with a route.", table.topics().count())?;
    let rows = of_each(&groups, |group| group.members.len() as i64);
    out.gauges("rocketmq_namesrv_nodes", "Nodes registered.", rows)?;
    let rows = of_each(&groups, |group| i64::from(group.leader().is_some()));
    out.gauges("rocketmq_namesrv_leader", "1 if a leader is registered.", rows)?;
    let rows = of_each(&groups, Group::term);
    out.gauges("rocketmq_namesrv_term", "Term of the last leader that registered.", rows)?;
    let silent = groups.iter().flat_map(|group| {
        let [cluster, node_id] = labels(group);
        group.members.values().map(move |member| {
            let labels = [cluster, node_id, ("addr", member.addr.as_str())];
            (labels, now.saturating_sub(member.last_heard).as_secs_f64())
        })
    });
    out.gauges("rocketmq_namesrv_silent_seconds", "Since a node was last heard of.", silent)
}

fn not_found(error: &str) -> Response {
    web::json(StatusCode::NOT_FOUND, &json!({ "error": error }))
}
