//! Bounds: what a peer can make us hold, and what we hold for a peer that does not read.

use std::time::Duration;

use remoting::{CallError, ClientConfig, NotSent, ServerConfig};

use crate::support::*;

#[tokio::test]
async fn reading_stops_while_too_many_requests_are_open() {
    let config = ServerConfig { in_flight_requests_max: 4, ..ServerConfig::default() };
    let (server, story) = server(config).await;
    let mut raw = Raw::connect(&server).await;
    for opaque in 0..10 {
        raw.send(opaque, request(HOLD, "")).await;
    }
    wait_until("the first four", || story.held() == 4).await;
    // Others are served meanwhile, and long enough for a fifth to show if it could.
    let (client, addr) = (client(), server.local_addr().to_string());
    for _ in 0..100 {
        client.call(&addr, request(ECHO, ""), DEADLINE).await.unwrap();
    }
    assert_eq!(story.held(), 4);
    story.release(1);
    assert!(raw.read().await.is_some());
    wait_until("the fifth", || story.held() == 4).await;
    assert_eq!(Story::count(&story.requests), 105);
    for _ in 0..9 {
        wait_until("one more", || story.held() > 0).await;
        story.release(1);
        assert!(raw.read().await.is_some());
    }
}

#[tokio::test]
async fn reading_stops_while_replies_that_the_peer_does_not_read_pile_up() {
    let in_flight_bytes_max = 1 << 20;
    let (server, story) = server(ServerConfig { in_flight_bytes_max, ..ServerConfig::default() }).await;
    let mut raw = Raw::connect(&server).await;
    let asked = 200;
    for opaque in 0..asked {
        raw.send(opaque, request(LONG_AT_ONCE, "400000")).await;
    }
    let (client, addr) = (client(), server.local_addr().to_string());
    let mut before = 0;
    // Until no further request is taken in, over a time in which others get answers.
    within("reading to stop", async {
        loop {
            for _ in 0..200 {
                client.call(&addr, request(ECHO, ""), DEADLINE).await.unwrap();
            }
            let taken = Story::count(&story.requests) % 200;
            if taken == before && taken > 0 {
                break;
            }
            before = taken;
        }
    })
    .await;
    // The sockets' own buffers hold a few MiB; 80 MB of replies were asked for.
    assert!(before < asked as usize / 2, "{before} of {asked} requests were read");
    for _ in 0..asked {
        assert_eq!(raw.read().await.unwrap().body.len(), 400_000);
    }
}

#[tokio::test]
async fn requests_to_a_peer_that_does_not_read_wait_then_fail_as_not_sent() {
    // A listener whose backlog takes the connection and that never reads.
    let listener = platform::Net::listen(&platform::TokioNet, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr().to_string();
    let config = ClientConfig { outbound_bytes_max: 1 << 20, ..ClientConfig::default() };
    let client = remoting::Client::new(platform::Platform::os(), config, None);
    let connection = client.connection(&addr).await.unwrap();
    let big = || request(IGNORE, &"x".repeat(300_000));
    // Full for good when it stays full over a time in which the write task could have written.
    let mut refused_in_a_row = 0;
    while refused_in_a_row < 1_000 {
        refused_in_a_row = if connection.oneway(big()).is_err() { refused_in_a_row + 1 } else { 0 };
        tokio::task::yield_now().await;
    }
    let error = connection.oneway(big()).unwrap_err();
    assert!(matches!(error, CallError::NotSent { reason: NotSent::Overloaded { .. }, .. }), "{error}");
    let error = connection.call(request(ECHO, ""), Duration::from_millis(20)).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { reason: NotSent::Timeout(_), .. }), "{error}");
    within("the end of the client", client.shutdown()).await;
}
