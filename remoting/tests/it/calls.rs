//! Requests and responses, both ways, in any order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use platform::Platform;
use protocol::{Command, HeaderEncoding, code};
use remoting::{CallError, Client, ClientConfig, NotSent, ServerConfig, Unknown};

use crate::support::*;

#[tokio::test]
async fn a_call_gets_its_own_response_whatever_the_order_of_the_answers() {
    let (server, story) = server(ServerConfig::default()).await;
    let (addr, client) = (server.local_addr().to_string(), client());
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let (client, addr) = (client.clone(), addr.clone());
            tokio::spawn(async move {
                let response = client.call(&addr, request(HOLD, &n.to_string()), DEADLINE).await.unwrap();
                assert_eq!(response.body, n.to_string());
                assert!(response.is_response());
            })
        })
        .collect();
    wait_until("all requests", || story.held() == 50).await;
    story.release(50);
    for call in calls {
        within("an answered call", call).await.unwrap();
    }
    assert_eq!(server.connections().len(), 1, "one connection an address");
    assert_eq!(story.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn long_replies_made_at_the_same_time_never_interleave() {
    let (server, _story) = server(ServerConfig::default()).await;
    let mut raw = Raw::connect(&server).await;
    for opaque in 0..40 {
        raw.send(opaque, request(LONG, &(400_000 + 4 * opaque).to_string())).await;
    }
    let mut seen = Vec::new();
    for _ in 0..40 {
        let response = raw.read().await.unwrap();
        assert_eq!(response.body.len(), 400_000 + 4 * response.opaque as usize);
        assert!(response.body.iter().all(|byte| *byte == response.opaque as u8));
        seen.push(response.opaque);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_server_may_ask_too_and_a_client_without_a_handler_answers_code_3() {
    let (server, _story) = server(ServerConfig::default()).await;
    let addr = server.local_addr().to_string();
    let with_handler = Arc::new(Story::default());
    for (handler, expected) in [
        (Some(with_handler.clone() as Arc<dyn remoting::Handler>), 0),
        (None, code::response::REQUEST_CODE_NOT_SUPPORTED),
    ] {
        let client = Client::new(Platform::os(), ClientConfig::default(), handler);
        client.call(&addr, request(ECHO, "hello"), DEADLINE).await.unwrap();
        let connection = server.connections().pop().unwrap();
        let response = connection.call(request(ECHO, "and you?"), DEADLINE).await.unwrap();
        assert_eq!(response.code, expected);
        client.shutdown().await;
        wait_until("the server to notice", || server.connections().is_empty()).await;
    }
    assert_eq!(Story::count(&with_handler.requests), 1);
}

#[tokio::test]
async fn a_oneway_request_is_seen_and_never_answered() {
    let (server, story) = server(ServerConfig::default()).await;
    let mut raw = Raw::connect(&server).await;
    raw.send(1, request(ECHO, "a").oneway()).await;
    raw.send(2, request(ECHO, "b")).await;
    assert_eq!(raw.read().await.unwrap().opaque, 2);
    assert_eq!(Story::count(&story.requests), 2);
    let client = client();
    client.oneway(&server.local_addr().to_string(), request(IGNORE, "c")).await.unwrap();
    wait_until("the one-way request", || Story::count(&story.requests) == 3).await;
}

#[tokio::test]
async fn an_answer_uses_the_header_encoding_of_its_request() {
    let (server, _story) = server(ServerConfig::default()).await;
    let mut raw = Raw::connect(&server).await;
    for encoding in [HeaderEncoding::Binary, HeaderEncoding::Json] {
        raw.send(7, Command { encoding, ..request(ECHO, "x") }).await;
        assert_eq!(raw.read().await.unwrap().encoding, encoding);
    }
}

#[tokio::test]
async fn a_reply_that_does_not_fit_a_frame_becomes_code_1() {
    let (server, _story) = server(ServerConfig::default()).await;
    let too_long = (protocol::FRAME_BYTES_MAX + 4).to_string();
    let response =
        client().call(&server.local_addr().to_string(), request(LONG, &too_long), DEADLINE).await.unwrap();
    assert_eq!(response.code, code::response::SYSTEM_ERROR);
    assert!(response.remark.unwrap().contains("exceeds the limit of 16777216 bytes"));
}

#[tokio::test]
async fn refused_is_not_sent_and_no_answer_is_unknown() {
    let (server, story) = server(ServerConfig::default()).await;
    let (addr, client) = (server.local_addr().to_string(), client());

    let short = std::time::Duration::from_millis(20);
    let error = client.call(&addr, request(IGNORE, ""), short).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { reason: Unknown::Timeout(_), .. }), "{error}");
    assert_eq!(Story::count(&story.requests), 1);
    client.call(&addr, request(ECHO, ""), DEADLINE).await.expect("a time-out leaves the connection open");

    server.shutdown().await;
    let error = client.call(&addr, request(ECHO, ""), DEADLINE).await.unwrap_err();
    assert!(error.is_not_sent(), "{error}");
    let error = client.call(&addr, request(ECHO, ""), DEADLINE).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { reason: NotSent::Connect(_), .. }), "{error}");
    assert!(error.to_string().contains(&addr), "{error}");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_by_the_next_call() {
    let (server, story) = server(ServerConfig::default()).await;
    let (addr, client) = (server.local_addr().to_string(), client());
    for round in 1..=3 {
        client.call(&addr, request(ECHO, ""), DEADLINE).await.unwrap();
        assert_eq!(Story::count(&story.opened), round);
        client.close_addr(&addr);
        wait_until("the server to notice", || Story::count(&story.closed) == round).await;
    }
}
