//! Message units: those of real stores, those of the golden table, and broken ones.

use std::net::SocketAddr;

use bytes::BytesMut;
use protocol::message::{
    MessageView, UnitError, UnitFields, Version, encode_unit, id, parse, properties, seal_unit, sys_flag,
    walk,
};
use serde_json::Value;

use crate::vectors::{cases_of, frames, hex, units};

/// A Java socket address such as `/127.0.0.1:41848` or `/[0:0:0:0:0:0:0:1]:5`.
fn java_address(text: &Value) -> SocketAddr {
    text.as_str().unwrap().trim_start_matches('/').parse().unwrap()
}

fn again(view: &MessageView<'_>) -> BytesMut {
    let fields = UnitFields {
        topic: view.topic,
        queue_id: view.queue_id,
        flag: view.flag,
        sys_flag: view.sys_flag,
        born_timestamp_ms: view.born_timestamp_ms,
        born_host: view.born_host,
        store_host: view.store_host,
        reconsume_times: view.reconsume_times,
        prepared_transaction_offset: view.prepared_transaction_offset,
        body: view.body,
        properties: &view.properties,
    };
    let mut out = BytesMut::from(&b"before"[..]);
    encode_unit(&fields, &mut out).unwrap();
    seal_unit(&mut out[6..], view.queue_offset, view.physical_offset, view.store_timestamp_ms);
    out.split_off(6)
}

#[test]
fn every_recorded_unit_is_read_as_java_reads_it() {
    let mut versions = [0, 0];
    for recorded in units() {
        let line = &recorded.line;
        let parsed = parse(recorded.bytes);
        if line["decoded"] == false {
            // A client had set an IPv6 bit that was not true; nobody can read such a record.
            assert!(parsed.is_err(), "{line}");
            continue;
        }
        let view = parsed.unwrap_or_else(|error| panic!("{error}: {line}"));
        versions[usize::from(view.version == Version::V2)] += 1;
        let number = |name: &str| line[name].as_i64().unwrap();
        assert_eq!(view.unit_bytes() as i64, number("storeSize"));
        assert_eq!(i64::from(view.body_crc), number("bodyCRC"));
        assert_eq!(i64::from(view.queue_id), number("queueId"));
        assert_eq!(i64::from(view.flag), number("flag"));
        assert_eq!(view.queue_offset, number("queueOffset"));
        assert_eq!(view.physical_offset, number("physicalOffset"));
        assert_eq!(i64::from(view.sys_flag), number("sysFlag"));
        assert_eq!(view.born_timestamp_ms, number("bornTimestamp"));
        assert_eq!(view.born_host, java_address(&line["bornHost"]));
        assert_eq!(view.store_timestamp_ms, number("storeTimestamp"));
        assert_eq!(view.store_host, java_address(&line["storeHost"]));
        assert_eq!(i64::from(view.reconsume_times), number("reconsumeTimes"));
        assert_eq!(view.prepared_transaction_offset, number("preparedTransactionOffset"));
        assert_eq!(view.topic, line["topic"]);
        let expected: Vec<_> = line["properties"].as_object().into_iter().flatten().collect();
        let read = properties::to_map(&view.properties);
        assert_eq!(read.len(), expected.len(), "{line}");
        for (name, value) in expected {
            assert_eq!(read.get(name).map(String::as_str), value.as_str(), "{line}");
        }
        view.verify_body().unwrap();
        let offset_id = id::offset_message_id(view.store_host, view.physical_offset);
        let ids = [offset_id.as_str(), view.property(properties::UNIQ_KEY).unwrap_or_default()];
        assert!(ids.contains(&line["msgId"].as_str().unwrap()), "{line}");
        if let Some(tags_code) = line["tagsCode"].as_i64() {
            assert_eq!(view.tag_hash(), tags_code, "{line}");
        }
        if let Some(inflated) = line.get("inflatedLength").and_then(Value::as_u64) {
            let body = protocol::message::decompress(view.body, view.sys_flag, 1 << 20).unwrap();
            assert_eq!(body.len() as u64, inflated, "{line}");
            let head = hex(line["inflatedHead"].as_str().unwrap());
            assert!(body.starts_with(&head), "{line}");
        }
    }
    assert!(versions[0] > 500 && versions[1] >= 2, "{versions:?} units of each version");
}

#[test]
fn what_was_read_is_written_byte_for_byte() {
    let mut same = 0;
    for recorded in units().iter().filter(|recorded| recorded.line["decoded"] != false) {
        let view = parse(recorded.bytes).unwrap();
        // A body checksum of 0 says that none was made; we always make one.
        if view.body_crc != 0 {
            assert_eq!(again(&view), recorded.bytes, "{}", recorded.line);
            same += 1;
        }
    }
    assert!(same > 500, "only {same}");
}

#[test]
fn pulled_units_are_walked_and_written_again() {
    let mut count = 0;
    for frame in frames()
        .iter()
        .filter(|frame| frame.line["body_kind"].as_str().is_some_and(|kind| kind.contains("message unit")))
    {
        for unit in walk(frame.body()) {
            let view = parse(unit.unwrap()).unwrap_or_else(|error| panic!("{}: {error}", frame.name()));
            assert_eq!(again(&view), unit_of(&view), "{}", frame.name());
            count += 1;
        }
    }
    assert!(count > 100, "only {count} units");
}

/// The unit as it was read; with a checksum if it came without one.
fn unit_of(view: &MessageView<'_>) -> BytesMut {
    let mut unit = BytesMut::from(view.unit);
    if view.body_crc == 0 {
        unit[8..12].copy_from_slice(&protocol::message::body_crc(view.body).to_be_bytes());
    }
    unit
}

#[test]
fn units_are_written_as_the_java_library_writes_them() {
    for version in ["4.9.7", "5.3.3"] {
        for case in cases_of(include_str!("../vectors/golden/message_encoding.json"), version) {
            let Some(encoded) = case.get("encode").filter(|encoded| encoded.is_object()) else { continue };
            let unit = hex(encoded["hex"].as_str().unwrap());
            let view = parse(&unit).unwrap();
            let host = |name: &str| case[name].as_str().map(|ip| ip.parse::<std::net::IpAddr>().unwrap());
            if let Some(born) = host("bornHost") {
                assert_eq!(view.born_host.ip(), born);
            }
            if let Some(store) = host("storeHost") {
                assert_eq!(view.store_host.ip(), store);
            }
            assert_eq!(i64::from(view.sys_flag), encoded["sysFlag"].as_i64().unwrap(), "{case}");
            let message_id = id::offset_message_id(view.store_host, view.physical_offset);
            assert_eq!(message_id, encoded["decodedMsgId"], "{case}");
            assert_eq!(again(&view), unit, "{case}");
        }
    }
}

fn small_unit() -> BytesMut {
    let fields = UnitFields {
        topic: "TopicTest",
        queue_id: 1,
        flag: 0,
        sys_flag: sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6,
        born_timestamp_ms: 1_700_000_000_000,
        born_host: "10.0.0.2:50000".parse().unwrap(),
        store_host: "[::ffff:10.0.0.1]:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"Hello",
        properties: "TAGS\u{1}TagA\u{2}WAIT\u{1}true\u{2}UNIQ_KEY\u{1}0A0000011A2B18B4AAC2000F42400001\u{2}",
    };
    let mut out = BytesMut::new();
    encode_unit(&fields, &mut out).unwrap();
    out
}

/// The worked example of a unit of 167 bytes at commitlog offset 48, queue offset 5.
#[test]
fn a_sealed_unit_has_every_byte_in_its_place() {
    let mut unit = small_unit();
    seal_unit(&mut unit, 5, 48, 1_700_000_000_123);
    let expected = hex(concat!(
        "000000a7daa320a777d1898200000001000000000000000000000005000000000000003000000000",
        "0000018bcfe568000a0000020000c3500000018bcfe5687b0a00000100002a9f0000000000000000",
        "000000000000000548656c6c6f09546f70696354657374003e544147530154616741025741495401",
        "7472756502554e49515f4b45590130413030303030313141324231384234414143323030304634323430303030",
        "3102",
    ));
    assert_eq!(&unit[..], &expected[..]);
    assert_eq!(parse(&unit).unwrap().sys_flag, 0, "the host bits come from the hosts, not from the sender");
}

#[test]
fn long_topics_make_version_2_and_longer_fields_are_refused() {
    let topic = "t".repeat(128);
    let properties = "p".repeat(32_768);
    let unit = small_unit();
    let view = parse(&unit).unwrap();
    let base = UnitFields {
        topic: &topic,
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: 0,
        born_host: view.born_host,
        store_host: "[2001:db8::1]:10911".parse().unwrap(),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"",
        properties: "",
    };
    let mut out = BytesMut::new();
    encode_unit(&base, &mut out).unwrap();
    let long = parse(&out).unwrap();
    assert_eq!(
        (long.version, long.topic, long.sys_flag),
        (Version::V2, topic.as_str(), sys_flag::STORE_HOST_V6)
    );
    let before = out.clone();
    let error = encode_unit(&UnitFields { properties: &properties, ..base }, &mut out).unwrap_err();
    assert_eq!(error.to_string(), "properties of 32768 bytes exceeds the limit of 32767 bytes");
    assert_eq!(out, before);
}

#[test]
fn broken_units_are_refused_with_what_is_wrong() {
    let unit = small_unit();
    let broken = |at: usize, bytes: &[u8]| {
        let mut unit = unit.clone();
        unit[at..at + bytes.len()].copy_from_slice(bytes);
        parse(&unit).map(|view| view.unit_bytes()).unwrap_err()
    };
    let size = unit.len();
    assert_eq!(broken(0, &[0x7f, 0xff, 0xff, 0xff]), UnitError::Truncated { needed: 0x7fff_ffff, got: size });
    assert_eq!(broken(0, &[0xff; 4]), UnitError::Size { size: -1, least: 91 });
    assert_eq!(broken(0, &[0, 0, 0, 90]), UnitError::Size { size: 90, least: 91 });
    assert_eq!(broken(0, &[0, 0, 0, 100]), UnitError::TrailingBytes { unit_bytes: 100, extra: size - 100 });
    assert_eq!(broken(4, &[0xCB, 0xD4, 0x31, 0x94]), UnitError::Magic { magic: 0xCBD4_3194 });
    assert_eq!(broken(84, &[0xff; 4]), UnitError::NegativeLength { field: "body", length: -1 });
    assert_eq!(broken(84, &[0, 0, 0, 4]).to_string(), broken(84, &[0, 0, 0, 4]).to_string());
    assert!(matches!(broken(84, &[0, 0, 0, 4]), UnitError::SizeMismatch { .. }));
    assert!(matches!(broken(84, &[0x7f, 0xff, 0xff, 0xff]), UnitError::SizeMismatch { .. }));
    assert_eq!(broken(52, &[0, 1, 0, 0]), UnitError::Port { host: "born", port: 65_536 });
    assert_eq!(broken(94, &[0xff]), UnitError::TopicNotUtf8);
    assert_eq!(parse(&unit[..7]), Err(UnitError::Truncated { needed: 8, got: 7 }));

    let mut rotten = unit.clone();
    rotten[88] ^= 1;
    assert!(matches!(parse(&rotten).unwrap().verify_body(), Err(UnitError::BodyCrc { .. })));
}

#[test]
fn a_walk_ends_at_its_first_error() {
    let unit = small_unit();
    let mut two = [&unit[..], &unit[..]].concat();
    assert_eq!(walk(&two).count(), 2);
    two.truncate(two.len() - 1);
    let items: Vec<_> = walk(&two).collect();
    assert_eq!(items.len(), 2);
    assert_eq!(items[1], Err(UnitError::Truncated { needed: unit.len(), got: unit.len() - 1 }));
}
