//! Bytes that are not frames: the connection may be closed, the node goes on.

use protocol::{Command, RequestCode as code};
use serde_json::Value;

use crate::support::*;

fn a_request() -> Command {
    Command::request(code::GET_MAX_OFFSET).with("topic", "T").with("queueId", 0)
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

/// Cases that we take otherwise than RocketMQ 5.3.3, and why.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("length-0", "closed", "such a length can never be one: RocketMQ waits and closes at the next frame"),
    ("length-3", "closed", "as length-0"),
    ("length-4-header-0", "closed", "as length-0"),
    ("json-array", "closed", "no header can follow: RocketMQ closes at the next frame"),
    ("json-empty-object", "answered", "a header without a code is answered with code 3"),
    ("json-bad-utf8", "closed", "RocketMQ closes at the next frame"),
    ("bin-language-99", "answered", "an unknown language is another one"),
    ("proxy-v1", "closed", "the PROXY protocol is not built"),
    ("proxy-v1-unknown", "closed", "the PROXY protocol is not built"),
    ("proxy-v2", "closed", "the PROXY protocol is not built"),
];

#[tokio::test]
async fn recorded_malformed_bytes_end_as_recorded_and_never_the_node() {
    let node = Node::start("").await;
    let mut complaints = Vec::new();
    let mut cases = 0;
    for line in include_str!("../../../protocol/tests/vectors/malformed.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["server"] != "broker 5.3.3" {
            continue;
        }
        cases += 1;
        let case = line["case"].as_str().unwrap();
        let mut raw = Raw::connect(&node.addr).await;
        raw.write(&from_hex(line["sent_hex"].as_str().unwrap())).await;
        // So that a server that waits for more need not be waited for.
        raw.finish().await;
        let ended = if raw.read().await.is_some() { "answered" } else { "closed" };
        let recorded = if line["result"] == "answered" { "answered" } else { "closed" };
        let wanted =
            DIFFERENCES.iter().find(|(other, ..)| *other == case).map_or(recorded, |(_, wanted, _)| wanted);
        if ended != wanted {
            complaints.push(format!("{case}: {ended}, wanted {wanted}"));
        }
        let mut after = Raw::connect(&node.addr).await;
        after.write(&a_request().encode().unwrap()).await;
        assert_eq!(after.read().await.map(|told| told.code), Some(0), "after {case}");
    }
    assert_eq!(cases, 31);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    node.stop().await;
}

/// A small generator of pseudo-random numbers: xorshift of 64 bits, multiplied.
struct Random(u64);

impl Random {
    /// From `SEED` if it is set, else a fixed one. Printed, so that a failure can be run again.
    fn seeded() -> Self {
        let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_121_u64);
        println!("SEED={seed}");
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        (0..self.next() % most).map(|_| (self.next() >> 32) as u8).collect()
    }
}

#[tokio::test]
async fn random_bytes_do_not_keep_the_next_request_from_its_answer() {
    let node = Node::start("").await;
    let mut random = Random::seeded();
    let whole = [a_request(), send("T", 0, "TAGS\u{1}a\u{2}", "x"), pull("CG", "T", 0, 0, 4, 0)];
    for round in 0..300 {
        let bytes = match round % 3 {
            // Anything at all.
            0 => random.bytes(2_000),
            // A sound frame with some bytes changed.
            1 => {
                let mut frame = whole[round % whole.len()].encode().unwrap().to_vec();
                for _ in 0..=random.next() % 8 {
                    let at = (random.next() % frame.len() as u64) as usize;
                    frame[at] = (random.next() >> 32) as u8;
                }
                frame
            }
            // A sound length and header length, and anything behind.
            _ => {
                let rest = random.bytes(500);
                let header = random.next() % (rest.len() as u64 + 1);
                let mut frame = (u32::try_from(rest.len()).unwrap() + 4).to_be_bytes().to_vec();
                frame.extend(((round as u32 % 2) << 24 | header as u32).to_be_bytes());
                frame.extend(rest);
                frame
            }
        };
        let mut raw = Raw::connect(&node.addr).await;
        raw.write(&bytes).await;
        raw.finish().await;
        let mut after = Raw::connect(&node.addr).await;
        after.write(&a_request().encode().unwrap()).await;
        assert_eq!(after.read().await.map(|told| told.code), Some(0), "after round {round}");
    }
    node.stop().await;
}

/// Sound frames, whose fields and bodies are nonsense, for every code there is.
#[tokio::test]
async fn every_code_answers_nonsense() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    let mut random = Random::seeded();
    let names = [
        "topic",
        "group",
        "consumerGroup",
        "queueId",
        "queueOffset",
        "offset",
        "key",
        "a",
        "b",
        "c",
        "d",
        "e",
        "f",
        "g",
        "h",
        "i",
        "j",
        "m",
        "timestamp",
        "msgId",
        "groupName",
        "statsName",
        "perm",
        "maxMsgNums",
        "sysFlag",
    ];
    let values = [
        "",
        " ",
        "-1",
        "0",
        "99999999999999999999",
        "9223372036854775807",
        "-9223372036854775808",
        "T",
        "TBW102",
        "true",
        "\u{1}\u{2}",
        "%RETRY%",
        "主题",
        "2147483647",
        "null",
        "{}",
    ];
    let bodies: [&[u8]; 8] = [b"", b"{}", b"[]", b"null", b"{\"a\":", b"\x00\x00\x00\x01", b"\xff\xfe", b"7"];
    let codes =
        (1..=61).chain(100..=106).chain(200..=225).chain(300..=361).chain(400..=402).chain([906, 907, 1007]);
    for code in codes.chain(2001..=2004).chain(200_050..=200_056) {
        for round in 0..6 {
            let mut request = Command::request(code).with_body(bodies[(random.next() % 8) as usize].to_vec());
            for name in names {
                if round > 0 && random.next().is_multiple_of(2) {
                    request = request.with(name, values[(random.next() % 16) as usize]);
                }
            }
            // Held pulls are answered at their time, which is no more than a minute.
            request.ext.remove("suspendTimeoutMillis");
            let told = peer.connection.call(request, DEADLINE).await;
            assert!(told.is_ok(), "code {code}: {told:?}");
        }
    }
    peer.ok(a_request()).await;
    node.stop().await;
}
