//! The node's HTTP views for people, load balancers and scripts: who leads, how the node stands, is it fit.
//!
//! `GET /leader` is linearizable: the node confirms with a majority after the request arrived. Everything else
//! tells what this node knows by itself. Names are the field's own, the same as in the logs. A new view: a function in one of
//! the files here, or a file of its own, and a route below.

mod health;
mod history;
mod leader;
mod status;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use tokio::sync::watch;

use crate::node::Node;

/// Serves the views on `listener` until `shutdown` says true.
///
/// # Errors
/// If the socket fails for good.
pub async fn serve(
    listener: Box<dyn platform::Listener>,
    node: Arc<Node>,
    shutdown: watch::Receiver<bool>,
) -> io::Result<()> {
    let names: web::Names =
        Arc::new(vec![node.config.network.advertised_host.clone(), node.config.host_name().to_owned()]);
    let guard = middleware::from_fn_with_state(names, web::own_pages_only);
    let views = Router::new()
        .route("/leader", get(leader::leader))
        .route("/leader/transfer", post(leader::transfer).layer(guard.clone()))
        .route("/group/found", post(leader::found).layer(guard))
        .route("/status", get(status::status))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/events", get(history::events))
        .route("/metrics", get(history::metrics))
        .route("/debug/digest", get(history::debug_digest))
        .with_state(node);
    web::serve(listener, views, shutdown).await
}
