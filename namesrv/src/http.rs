//! HTTP for people and scripts: which groups there are, and who leads them.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use platform::Net;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

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

/// Prometheus' text. `node_id` is the broker group, as in the brokers' own metrics.
async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = render(&shared.table(), shared.now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

fn render(table: &RouteTable, now: Duration) -> String {
    let groups: Vec<&Group> = table.groups().collect();
    let labels = |group: &Group| {
        format!(",cluster=\"{}\",node_id=\"{}\"", escaped(&group.cluster), escaped(&group.name))
    };
    let of_each = |value: fn(&Group) -> f64| -> Vec<(String, f64)> {
        groups.iter().map(|group| (labels(group), value(group))).collect()
    };
    let whole = |value: usize| vec![(String::new(), value as f64)];
    let silent = groups.iter().flat_map(|group| {
        group.members.values().map(|member| {
            let labels = format!("{},addr=\"{}\"", labels(group), escaped(&member.addr));
            (labels, now.saturating_sub(member.last_heard).as_secs_f64())
        })
    });
    let families = [
        ("groups", "Broker groups registered.", whole(groups.len())),
        ("topics", "Topics with a route.", whole(table.topics().count())),
        ("nodes", "Nodes registered.", of_each(|group| group.members.len() as f64)),
        (
            "leader",
            "1 if a leader is registered.",
            of_each(|group| f64::from(u8::from(group.leader().is_some()))),
        ),
        ("term", "Term of the last leader that registered.", of_each(|group| group.term() as f64)),
        ("silent_seconds", "Since a node was last heard of.", silent.collect()),
    ];
    let mut out = String::new();
    for (name, help, rows) in families {
        let name = format!("rocketmq_namesrv_{name}");
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge").expect("a String takes all");
        for (labels, value) in rows {
            writeln!(out, "{name}{{node_type=\"nameserver\"{labels}}} {value}").expect("a String takes all");
        }
    }
    out
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn not_found(error: &str) -> Response {
    web::json(StatusCode::NOT_FOUND, &json!({ "error": error }))
}
