//! Peers that send what no peer should.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use remoting::{ServerConfig, Shared};

use crate::support::*;

#[tokio::test]
async fn impossible_frames_and_tls_close_the_connection_and_nothing_else() {
    let (server, story) = server(ServerConfig::default()).await;
    let mut good = Raw::connect(&server).await;
    let tls_hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let two_gib = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 10, b'{', b'}'];
    let negative = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    let no_header = [0, 0, 0, 0, 0, 0, 0, 0];
    let odd_type = [0, 0, 0, 6, 9, 0, 0, 2, b'{', b'}'];
    let header_too_long = [0, 0, 0, 6, 0, 0, 0, 200, b'{', b'}'];
    let not_json = [0, 0, 0, 6, 0, 0, 0, 2, b'x', b'x'];
    let cases: [&[u8]; 7] =
        [&tls_hello, &two_gib, &negative, &no_header, &odd_type, &header_too_long, &not_json];
    for (n, bytes) in cases.into_iter().enumerate() {
        let mut raw = Raw::connect(&server).await;
        raw.write(bytes).await;
        assert!(raw.read().await.is_none(), "case {n}");
        wait_until("on_close", || Story::count(&story.closed) == n + 1).await;
    }
    good.send(1, request(ECHO, "still here")).await;
    assert_eq!(good.read().await.unwrap().body, "still here");
}

#[tokio::test]
async fn a_frame_in_single_bytes_is_a_frame() {
    let (server, _story) = server(ServerConfig::default()).await;
    let mut raw = Raw::connect(&server).await;
    for byte in request(ECHO, "slowly").encode().unwrap() {
        raw.write(&[byte]).await;
    }
    assert_eq!(raw.read().await.unwrap().body, "slowly");
}

#[tokio::test]
async fn random_bytes_neither_stop_the_server_nor_stay_open_for_ever() {
    let fresh = || platform::RngSource::rng(&platform::OsRng, "seed").random();
    let seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(fresh);
    println!("SEED={seed}");
    let mut rng = platform::RngSource::rng(&platform::SeededRng(seed), "random bytes");
    let (server, story) = server(ServerConfig::default()).await;
    let valid = request(ECHO, "body").with("name", "value").encode().unwrap();
    for _ in 0..200 {
        let mut bytes = valid.to_vec();
        if rng.random_bool(0.5) {
            bytes = (0..rng.random_range(1..300)).map(|_| rng.random()).collect();
        } else {
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
        }
        let mut raw = Raw::connect(&server).await;
        raw.try_write(&bytes).await;
        drop(raw);
    }
    wait_until("all to be closed", || server.connections().is_empty()).await;
    assert_eq!(Story::count(&story.opened), Story::count(&story.closed));
    let response =
        client().call(&server.local_addr().to_string(), request(ECHO, "x"), DEADLINE).await.unwrap();
    assert_eq!(response.body, "x");
}

#[tokio::test]
async fn a_panic_of_the_handler_costs_one_connection() {
    let (server, story) = server(ServerConfig::default()).await;
    let mut raw = Raw::connect(&server).await;
    raw.send(1, request(PANIC, "")).await;
    assert!(raw.read().await.is_none());
    wait_until("on_close", || Story::count(&story.closed) == 1 && server.connections().is_empty()).await;
    let response =
        client().call(&server.local_addr().to_string(), request(ECHO, "x"), DEADLINE).await.unwrap();
    assert_eq!(response.body, "x");
}

/// S22: sixty of them took 927 MiB.
#[tokio::test]
async fn a_frame_that_does_not_end_in_time_closes_its_connection() {
    let config = ServerConfig { frame_within: Duration::from_millis(50), ..ServerConfig::default() };
    let (server, story) = server(config).await;
    let mut half = Raw::connect(&server).await;
    half.write(&[0, 0xf0, 0, 0, 0, 0, 0, 200, b'{']).await;
    let mut good = Raw::connect(&server).await;
    assert!(within("the half frame's end", half.read()).await.is_none());
    wait_until("on_close", || Story::count(&story.closed) == 1).await;
    good.send(1, request(ECHO, "still here")).await;
    assert_eq!(good.read().await.unwrap().body, "still here");
}

/// S22: large frames of all connections together stay within one bound, and each gets its turn.
#[tokio::test]
async fn large_frames_share_the_memory_of_all_connections() {
    let shared = Arc::new(Shared::new(8, 1 << 20));
    let (server, _story) = server(ServerConfig { shared, ..ServerConfig::default() }).await;
    let body = "x".repeat(700 << 10);
    let frame = request(ECHO, &body).encode().unwrap();
    let (begun, rest) = frame.split_at(frame.len() / 2);
    let mut first = Raw::connect(&server).await;
    first.write(begun).await;
    let mut second = Raw::connect(&server).await;
    // It does not fit beside the first, which is not held up by it.
    let second_frame = frame.clone();
    let other = tokio::spawn(async move {
        second.write(&second_frame).await;
        second.read().await.unwrap().body.len()
    });
    let mut small = Raw::connect(&server).await;
    small.send(1, request(ECHO, "small")).await;
    assert_eq!(small.read().await.unwrap().body, "small");
    first.write(rest).await;
    assert_eq!(within("the first answer", first.read()).await.unwrap().body.len(), body.len());
    assert_eq!(within("the second answer", other).await.unwrap(), body.len());
}

/// S22: connections are refused before descriptors run out, over all servers of a process.
#[tokio::test]
async fn servers_share_the_number_of_connections() {
    let config = ServerConfig { shared: Arc::new(Shared::new(2, 1 << 20)), ..ServerConfig::default() };
    let (one, _) = server(config.clone()).await;
    let (other, _) = server(config).await;
    let (mut first, mut second) = (Raw::connect(&one).await, Raw::connect(&other).await);
    for raw in [&mut first, &mut second] {
        raw.send(1, request(ECHO, "in")).await;
        assert_eq!(raw.read().await.unwrap().body, "in");
    }
    let mut third = Raw::connect(&one).await;
    assert!(within("the third's end", third.read()).await.is_none());
    drop(second);
    wait_until("the place to be free", || other.connections().is_empty()).await;
    let mut fourth = Raw::connect(&one).await;
    fourth.send(1, request(ECHO, "in")).await;
    assert_eq!(within("an answer", fourth.read()).await.unwrap().body, "in");
}
