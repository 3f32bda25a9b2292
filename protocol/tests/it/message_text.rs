//! Hashes, ids, property texts, batches and compressed bodies against the Java libraries.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;
use protocol::message::batch::{self, BatchError, BatchItem};
use protocol::message::{body_crc, decompress, hash, id, java_hash_code, properties, sys_flag, tag_hash};

use crate::vectors::{cases, cases_of, frames, hex, is_exception};

#[test]
fn hashes_are_javas() {
    for case in cases(include_str!("../vectors/golden/string_hash_code.json")) {
        let input = case["input"].as_str().unwrap();
        assert_eq!(i64::from(java_hash_code(input)), case["hashCode"].as_i64().unwrap(), "{input:?}");
        assert_eq!(tag_hash(input), case["tagsCode"].as_i64().unwrap(), "{input:?}");
    }
    for case in cases(include_str!("../vectors/golden/crc32.json")) {
        let crc = body_crc(&hex(case["bytes"].as_str().unwrap()));
        assert_eq!(i64::from(crc), case["utilall_crc32"].as_i64().unwrap(), "{case}");
    }
    for case in cases(include_str!("../vectors/golden/index_key_hash.json")) {
        let key = case["key"].as_str().unwrap();
        assert_eq!(i64::from(hash::index_key_hash(key)), case["indexKeyHash"].as_i64().unwrap(), "{key}");
    }
}

#[test]
fn offset_message_ids_are_javas() {
    for case in cases(include_str!("../vectors/golden/offset_msg_id.json")) {
        let ip: IpAddr = case["host"].as_str().unwrap().parse().unwrap();
        let host = SocketAddr::new(ip, case["port"].as_u64().unwrap() as u16);
        let offset = case["offset"].as_i64().unwrap();
        let id = id::offset_message_id(host, offset);
        assert_eq!(id, case["msgId"]);
        let canonical = SocketAddr::new(ip.to_canonical(), host.port());
        assert_eq!(id::parse_offset_message_id(&id), Ok((canonical, offset)));
    }
    for case in cases(include_str!("../vectors/golden/offset_msg_id_decode_odd.json")) {
        let input = case["input"].as_str().unwrap();
        let parsed = id::parse_offset_message_id(input);
        // Java reads other characters as digits too; we do not.
        let is_hex = input.chars().all(|c| c.is_ascii_hexdigit());
        assert_eq!(parsed.is_ok(), is_hex && !is_exception(&case["decode"]), "{case}");
    }
}

#[test]
fn recorded_unique_keys_have_the_layout_that_ours_have() {
    for case in cases(include_str!("../vectors/golden/uniq_id.json")) {
        let key = case["id"].as_str().unwrap();
        let bytes = hex(key);
        let ip: IpAddr = case["ip"].as_str().unwrap().parse().unwrap();
        let ip_bytes = if ip.is_ipv4() { 4 } else { 16 };
        let at = |from: usize| &bytes[ip_bytes + from..];
        let process_id = u32::from(u16::from_be_bytes(*at(0).first_chunk().unwrap()));
        assert_eq!(u64::from(process_id), case["pid"].as_u64().unwrap());
        let run = u32::from_be_bytes(*at(2).first_chunk().unwrap());
        let in_month_ms = u32::from_be_bytes(*at(6).first_chunk().unwrap());
        let count = u16::from_be_bytes(*at(10).first_chunk().unwrap());
        let keys = id::UniqueKeys::new(ip, process_id, run);
        let november_2023_ms = 1_698_796_800_000;
        let ours = (0..=count).map(|_| keys.next(november_2023_ms + i64::from(in_month_ms))).last().unwrap();
        assert_eq!(ours, key);
    }
}

#[test]
fn property_texts_are_written_as_5_3_3_does() {
    for case in cases(include_str!("../vectors/golden/properties_to_string.json")) {
        let map = case["map"].as_object().unwrap();
        let pairs = map.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
        let text = properties::to_text(pairs);
        assert_eq!(text, case["string"], "{case}");
        assert_eq!(text.as_bytes(), hex(case["utf8hex"].as_str().unwrap()));
    }
}

#[test]
fn property_texts_are_read_as_java_does() {
    for case in cases(include_str!("../vectors/golden/string_to_properties.json")) {
        let Some(text) = case["string"].as_str() else { continue };
        let map = properties::to_map(text);
        let expected = case["map"].as_object().unwrap();
        assert_eq!(map.len(), expected.len(), "{case}");
        for (name, value) in expected {
            assert_eq!(map.get(name).map(String::as_str), value.as_str(), "{case}");
            assert_eq!(properties::get(text, name), value.as_str(), "{case}");
        }
    }
}

#[test]
fn a_property_is_appended_to_a_text_of_either_form() {
    for before in ["", "a\u{1}1", "a\u{1}1\u{2}"] {
        let mut text = before.to_owned();
        properties::append(&mut text, "b", "2");
        let expected = if before.is_empty() { "b\u{1}2\u{2}" } else { "a\u{1}1\u{2}b\u{1}2\u{2}" };
        assert_eq!(text, expected);
    }
    let mut text = "a\u{1}1\u{2}b\u{1}2\u{2}a\u{1}3".to_owned();
    properties::set(&mut text, "a", "4");
    assert_eq!(text, "b\u{1}2\u{2}a\u{1}4\u{2}");
    properties::remove(&mut text, "gone");
    assert_eq!(properties::get(&text, "a"), Some("4"));
}

#[test]
fn batches_are_read_and_written_as_java_does() {
    for version in ["4.9.7", "5.3.3"] {
        for case in cases_of(include_str!("../vectors/golden/batch_encoding.json"), version) {
            let bytes = hex(case["hex"].as_str().unwrap());
            let items: Vec<_> = batch::decode(&bytes).map(Result::unwrap).collect();
            if let Some(body) = case["bodyHex"].as_str() {
                assert_eq!(items[0].body, hex(body));
                assert_eq!(i64::from(items[0].flag), case["flag"].as_i64().unwrap());
                for (name, value) in case["properties"].as_object().unwrap() {
                    assert_eq!(properties::get(&items[0].properties, name), value.as_str());
                }
            } else {
                assert_eq!(items.len() as u64, case["messages"].as_u64().unwrap());
            }
            let mut out = BytesMut::new();
            for item in &items {
                batch::encode(item, &mut out).unwrap();
            }
            assert_eq!(out, bytes, "{case}");
        }
    }
}

#[test]
fn recorded_batches_are_read() {
    let mut whole = 0;
    for frame in frames().iter().filter(|frame| frame.line["body_kind"] == "batch layout") {
        let items: Result<Vec<_>, _> = batch::decode(frame.body()).collect();
        let is_broken = frame.scenario().contains("broken") || frame.scenario().contains("cut");
        match items {
            Ok(items) => {
                assert!(!items.is_empty());
                whole += 1;
            }
            Err(error) => assert!(is_broken, "{}: {error}", frame.name()),
        }
    }
    assert!(whole > 20, "only {whole} whole batches");
}

#[test]
fn broken_batches_are_refused_with_what_is_wrong() {
    let mut bytes = BytesMut::new();
    let item = BatchItem { flag: 7, body: b"AB", properties: Cow::Borrowed("k\u{1}v\u{2}") };
    batch::encode(&item, &mut bytes).unwrap();
    batch::encode(&item, &mut bytes).unwrap();
    let item_bytes = bytes.len() / 2;
    for cut in 1..bytes.len() {
        let items: Vec<_> = batch::decode(&bytes[..cut]).collect();
        let is_boundary = cut == item_bytes;
        assert_eq!(items.last().unwrap().is_ok(), is_boundary, "cut at {cut}");
        assert_eq!(items.len(), cut.div_ceil(item_bytes));
    }
    let broken = |at: usize, field: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + field.len()].copy_from_slice(field);
        batch::decode(&bytes).next().unwrap().map(|item| item.flag)
    };
    assert_eq!(
        broken(16, &[0x7f, 0xff, 0xff, 0xff]),
        Err(BatchError::Truncated { index: 0, field: "body", needed: 0x7fff_ffff, left: bytes.len() - 20 })
    );
    assert_eq!(
        broken(16, &[0xff; 4]),
        Err(BatchError::NegativeLength { index: 0, field: "body", length: -1 })
    );
    assert_eq!(
        broken(22, &[0x80, 0]),
        Err(BatchError::NegativeLength { index: 0, field: "properties", length: -32_768 })
    );
    // The total is not looked at: Java accepts any.
    assert_eq!(broken(0, &[0x7f, 0xff, 0xff, 0xff]), Ok(7));
}

#[test]
fn bodies_of_all_three_compressors_are_read_within_a_bound() {
    for case in cases(include_str!("../vectors/golden/compression.json")) {
        let flag = sys_flag::COMPRESSED | case["compressionFlag"].as_i64().unwrap() as i32;
        let bytes = hex(case["compressedHex"].as_str().unwrap());
        let source = case["source"].as_str().unwrap().as_bytes();
        assert_eq!(decompress(&bytes, flag, source.len()).unwrap(), source, "{}", case["type"]);
        let error = decompress(&bytes, flag, source.len() - 1).unwrap_err();
        assert!(error.to_string().contains("more than the limit"), "{error}");
        assert_eq!(decompress(&bytes, flag & !sys_flag::COMPRESSED, 0).unwrap(), bytes);
        assert!(decompress(&bytes[..bytes.len() / 2], flag, 1 << 20).is_err());
        if case["type"] == "ZLIB" {
            assert_eq!(decompress(&bytes, sys_flag::COMPRESSED, source.len()).unwrap(), source);
        }
    }
    let deflated = protocol::compression::deflate(b"again and again and again");
    assert_eq!(protocol::compression::inflate(&deflated, 100).unwrap(), b"again and again and again");
    assert!(decompress(&[], sys_flag::COMPRESSED | 0x700, 10).is_err());
}
