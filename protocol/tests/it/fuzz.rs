//! Fuzzing with the stable toolchain: recorded bytes, mutated at random, must never panic, and never make a decoder
//! allocate by a length that they merely claim. Longer runs: `FUZZ_ITERATIONS=1000000 cargo test -p protocol fuzz`.

use std::sync::Once;

use bytes::BytesMut;
use protocol::command::{heartbeat, route, send};
use protocol::message::{batch, decompress, id, parse, properties, sys_flag, walk};
use protocol::{Command, HeaderEncoding, frame, json};

use crate::seed::{Random, seed};
use crate::vectors::{frames, hex, malformed, units};

const ITERATIONS: usize = 20_000;

/// Bounds the memory of the whole test process, once, so that an allocation of a claimed 2 GiB fails and aborts it.
fn bound_memory() {
    static BOUNDED: Once = Once::new();
    BOUNDED.call_once(|| {
        const DATA_BYTES_MAX: u64 = 1 << 30;
        let limit = rustix::process::Rlimit { current: Some(DATA_BYTES_MAX), maximum: Some(DATA_BYTES_MAX) };
        rustix::process::setrlimit(rustix::process::Resource::Data, limit).unwrap();
        assert!(Vec::<u8>::new().try_reserve_exact(2 << 30).is_err(), "memory is bounded");
    });
}

/// Feeds `target` with mutated members of `corpus`.
fn fuzz(name: &str, corpus: &[Vec<u8>], target: impl Fn(&[u8])) {
    bound_memory();
    let iterations =
        std::env::var("FUZZ_ITERATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(ITERATIONS);
    let seed = seed();
    let mut random = Random::new(seed ^ name.len() as u64);
    for bytes in corpus {
        target(bytes);
    }
    for _ in 0..iterations {
        let mut bytes = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut bytes, corpus, &mut random);
        }
        target(&bytes);
    }
}

/// One change: a bit, a byte, a number that is a limit of something, a cut, a repetition, a piece of another member.
fn mutate(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    const LIMITS: [u32; 12] =
        [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x00ff_fffc, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
    if bytes.is_empty() {
        bytes.push(random.next() as u8);
        return;
    }
    let at = random.below(bytes.len());
    match random.below(8) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.next() as u8,
        2 | 3 => {
            let limit = LIMITS[random.below(LIMITS.len())].to_be_bytes();
            let width = [1, 2, 4][random.below(3)].min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&limit[4 - width..]);
        }
        4 => bytes.truncate(at),
        5 => {
            bytes.remove(at);
        }
        6 => bytes.insert(at, b"{}[]\",:'\\\x00\x01\x02"[random.below(12)]),
        _ => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            bytes.splice(at..at, other[from..to].iter().copied());
        }
    }
}

fn frame_corpus() -> Vec<Vec<u8>> {
    let broken = malformed().into_iter().map(|line| hex(line["sent_hex"].as_str().unwrap()));
    frames()
        .iter()
        .filter(|frame| frame.bytes.len() < 4096)
        .map(|frame| frame.bytes.to_vec())
        .chain(broken)
        .collect()
}

/// The headers of recorded frames of one encoding.
fn header_corpus(header_type: u8) -> Vec<Vec<u8>> {
    let headers = frame_corpus().into_iter().filter(|frame| frame.len() > 8 && frame[4] == header_type);
    headers.map(|frame| frame[8..].to_vec()).collect()
}

/// What is decoded must encode, and decode to the same.
fn check_command(command: &Command) {
    if let Ok(bytes) = command.encode() {
        let again = frame::decode(&mut BytesMut::from(&bytes[..])).unwrap().unwrap();
        assert_eq!((again.code, again.opaque, again.flag), (command.code, command.opaque, command.flag));
    }
    drop(send::SendRequest::read(command));
    drop(heartbeat::HeartbeatData::read(&command.body));
    if let Ok(header) = route::RegisterBroker::read(command) {
        drop(route::RegisterBrokerBody::decode(&command.body, &header));
    }
}

#[test]
fn fuzz_frames() {
    fuzz("frames", &frame_corpus(), |bytes| {
        let mut buf = BytesMut::from(bytes);
        while let Ok(Some(command)) = frame::decode(&mut buf) {
            check_command(&command);
        }
    });
}

#[test]
fn fuzz_headers() {
    for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
        fuzz("headers", &header_corpus(encoding.number()), |header| {
            let mut buf = BytesMut::new();
            buf.extend_from_slice(&(header.len() as u32 + 4).to_be_bytes());
            buf.extend_from_slice(
                &((u32::from(encoding.number()) << 24) | header.len() as u32).to_be_bytes(),
            );
            buf.extend_from_slice(header);
            if let Ok(command) = frame::decode(&mut buf) {
                check_command(&command.expect("the whole frame is there"));
            }
        });
    }
}

#[test]
fn fuzz_message_units() {
    let corpus: Vec<_> =
        units().iter().map(|unit| unit.bytes.to_vec()).filter(|unit| unit.len() < 4096).collect();
    fuzz("message units", &corpus, |bytes| {
        for unit in walk(bytes) {
            let Ok(view) = unit.and_then(parse) else { continue };
            drop(view.verify_body());
            drop(properties::to_map(&view.properties));
            drop(decompress(view.body, view.sys_flag | sys_flag::COMPRESSED, 1 << 20));
            let id = id::offset_message_id(view.store_host, view.physical_offset);
            assert!(id::parse_offset_message_id(&id).is_ok());
        }
    });
}

#[test]
fn fuzz_batches() {
    let batches = frames().into_iter().filter(|frame| frame.line["body_kind"] == "batch layout");
    let corpus: Vec<_> =
        batches.map(|frame| frame.body().to_vec()).filter(|body| body.len() < 4096).collect();
    fuzz("batches", &corpus, |bytes| {
        let items: Result<Vec<_>, _> = batch::decode(bytes).collect();
        let Ok(items) = items else { return };
        let mut out = BytesMut::new();
        if items.iter().all(|item| batch::encode(item, &mut out).is_ok()) {
            let again: Vec<_> = batch::decode(&out).map(Result::unwrap).collect();
            assert_eq!(again, items);
        }
    });
}

#[test]
fn fuzz_json_bodies() {
    let bodies = frames()
        .into_iter()
        .filter(|frame| frame.line["body_kind"].as_str().is_some_and(|kind| kind.contains("JSON")));
    let corpus: Vec<_> = bodies.map(|frame| frame.body().to_vec()).filter(|body| body.len() < 4096).collect();
    fuzz("JSON bodies", &corpus, |bytes| {
        if let Ok(value) = json::parse(bytes) {
            let text = value.to_string();
            assert_eq!(json::parse(text.as_bytes()).map(|again| again.to_string()), Ok(text));
        }
        drop(heartbeat::HeartbeatData::read(bytes));
        drop(route::TopicRouteData::read(bytes));
        drop(route::TopicConfigWrapper::read(bytes));
    });
}
