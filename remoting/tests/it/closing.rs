//! How connections and servers end.

use std::time::Duration;

use platform::TokioNet;
use remoting::{CallError, NotSent, Server, ServerConfig, Unknown};

use crate::support::*;

#[tokio::test]
async fn a_closed_connection_fails_the_calls_that_wait_on_it_at_once() {
    let (server, story) = server(ServerConfig::default()).await;
    let (addr, client) = (server.local_addr().to_string(), client());
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call(&addr, request(HOLD, ""), Duration::from_secs(3600)).await }
    });
    wait_until("the request", || story.held() == 1).await;
    server.connections()[0].close();
    let error = within("the failure", call).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Unknown { reason: Unknown::Closed, .. }), "{error}");
    wait_until("on_close", || Story::count(&story.closed) == 1).await;
    assert_eq!(Story::count(&story.opened), 1);
    story.release(1); // an answer to a closed connection goes nowhere, quietly
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
    let idle_close = Duration::from_secs(1);
    let (server, story) = server(ServerConfig { idle_close, ..ServerConfig::default() }).await;
    let mut idle = Raw::connect(&server).await;
    let (client, addr) = (client(), server.local_addr().to_string());
    let busy = tokio::spawn(async move {
        loop {
            client.call(&addr, request(ECHO, ""), DEADLINE).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    wait_until("both", || Story::count(&story.opened) == 2).await;
    assert!(idle.read().await.is_none());
    wait_until("one to be closed", || Story::count(&story.closed) == 1).await;
    assert_eq!(server.connections().len(), 1);
    assert!(!busy.is_finished(), "the busy one lives on");
    busy.abort();
}

#[tokio::test]
async fn shutdown_lets_what_is_in_flight_be_answered_and_frees_the_address() {
    let (server, story) = server(ServerConfig { drain: DEADLINE, ..ServerConfig::default() }).await;
    let addr = server.local_addr();
    let mut raw = Raw::connect(&server).await;
    raw.send(1, request(HOLD, "one")).await;
    wait_until("the request", || story.held() == 1).await;
    let shutdown = tokio::spawn(server.shutdown());
    story.release(1);
    assert_eq!(raw.read().await.unwrap().body, "one");
    assert!(raw.read().await.is_none());
    within("the end of the server", shutdown).await.unwrap();
    let again = Server::start(&TokioNet, addr, story, ServerConfig::default()).await.unwrap();
    assert_eq!(again.local_addr(), addr);
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_request_that_nobody_answers() {
    let (server, story) =
        server(ServerConfig { drain: Duration::from_millis(10), ..ServerConfig::default() }).await;
    let mut raw = Raw::connect(&server).await;
    raw.send(1, request(HOLD, "")).await;
    wait_until("the request", || story.held() == 1).await;
    within("the end of the server", server.shutdown()).await;
    assert!(raw.read().await.is_none());
    assert_eq!(Story::count(&story.closed), 1);
}

#[tokio::test]
async fn a_dropped_server_closes_everything() {
    let (server, story) = server(ServerConfig::default()).await;
    let mut raw = Raw::connect(&server).await;
    raw.send(1, request(ECHO, "")).await;
    assert!(raw.read().await.is_some());
    drop(server);
    assert!(raw.read().await.is_none());
    wait_until("on_close", || Story::count(&story.closed) == 1).await;
}

#[tokio::test]
async fn an_address_in_use_is_named_in_the_error() {
    let (server, story) = server(ServerConfig::default()).await;
    let addr = server.local_addr();
    let Err(error) = Server::start(&TokioNet, addr, story, ServerConfig::default()).await else {
        panic!("two servers on {addr}")
    };
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[tokio::test]
async fn a_client_that_was_shut_down_sends_nothing_more() {
    let (server, story) = server(ServerConfig::default()).await;
    let (addr, client) = (server.local_addr().to_string(), client());
    client.call(&addr, request(ECHO, ""), DEADLINE).await.unwrap();
    within("the end of the client", client.shutdown()).await;
    let error = client.call(&addr, request(ECHO, ""), DEADLINE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { reason: NotSent::Stopped, .. }), "{error}");
    assert_eq!(Story::count(&story.requests), 1);
}

#[tokio::test]
async fn one_connection_more_than_allowed_is_closed() {
    let (server, story) = server(ServerConfig { connections_max: 2, ..ServerConfig::default() }).await;
    let mut kept = Vec::new();
    for opaque in 0..2 {
        let mut raw = Raw::connect(&server).await;
        raw.send(opaque, request(ECHO, "")).await;
        assert!(raw.read().await.is_some());
        kept.push(raw);
    }
    let mut third = Raw::connect(&server).await;
    assert!(third.read().await.is_none());
    kept.pop();
    wait_until("room", || Story::count(&story.closed) == 1 && server.connections().len() == 1).await;
    let mut fourth = Raw::connect(&server).await;
    fourth.send(4, request(ECHO, "")).await;
    assert!(fourth.read().await.is_some());
}
