//! Peers that send what no peer should.

use rand::Rng;
use remoting::ServerConfig;

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
