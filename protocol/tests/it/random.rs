//! Properties that hold for all values.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use protocol::message::batch::{self, BatchItem};
use protocol::message::{UnitFields, encode_unit, id, parse, properties, seal_unit, sys_flag, walk};
use protocol::{Command, ExtFields, HeaderEncoding, Language, allocate, frame, json};

use crate::seed::seed;

/// Runs a property from the seed of this run.
fn check<S: Strategy>(strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_be_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    runner.run(&strategy, property).unwrap_or_else(|error| panic!("{error}"));
}

/// Any text, control characters and all.
fn text(chars_max: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 0..=chars_max).prop_map(|chars| chars.into_iter().collect())
}

fn host() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)];
    (ip, any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn command() -> impl Strategy<Value = Command> {
    let numbers = (any::<i16>(), 0..14_u8, any::<i16>(), any::<i32>(), any::<i32>());
    let fields = proptest::collection::vec((text(8), text(40)), 0..40);
    let body = proptest::collection::vec(any::<u8>(), 0..200);
    (numbers, proptest::option::of(text(20)), fields, body, any::<bool>()).prop_map(
        |((code, language, version, opaque, flag), remark, fields, body, is_binary)| {
            let has_text = |text: &str| !is_binary || !text.is_empty();
            let fields: ExtFields =
                fields.into_iter().filter(|(name, value)| has_text(name) && has_text(value)).collect();
            Command {
                code: i32::from(code),
                language: Language::from_number(language),
                version: i32::from(version),
                opaque,
                flag,
                remark: remark.filter(|remark| has_text(remark)),
                ext: fields,
                body: Bytes::from(body),
                encoding: if is_binary { HeaderEncoding::Binary } else { HeaderEncoding::Json },
            }
        },
    )
}

#[test]
fn commands_survive_both_encodings() {
    check(command(), |command| {
        let mut buf = BytesMut::from(&command.encode().unwrap()[..]);
        buf.extend_from_slice(b"next");
        prop_assert_eq!(frame::decode(&mut buf).unwrap().unwrap(), command);
        prop_assert_eq!(&buf[..], b"next");
        Ok(())
    });
}

#[test]
fn strict_json_headers_are_what_serde_reads() {
    check(command(), |mut command| {
        command.encoding = HeaderEncoding::Json;
        let frame = command.encode_head(0).unwrap();
        let header: serde_json::Value = serde_json::from_slice(&frame[8..]).unwrap();
        for (name, value) in command.ext.iter() {
            prop_assert_eq!(&header["extFields"][name], value);
        }
        let ours = json::parse(&frame[8..]).unwrap();
        prop_assert_eq!(ours, header);
        Ok(())
    });
}

#[test]
fn ext_fields_behave_like_a_map() {
    let steps = proptest::collection::vec((0..3_u8, "[abc]", text(4)), 0..60);
    check(steps, |steps| {
        let mut ours = ExtFields::new();
        let mut model = std::collections::BTreeMap::new();
        for (step, name, value) in steps {
            if step == 0 {
                prop_assert_eq!(ours.remove(&name), model.remove(&name));
            } else {
                ours.insert(&name, &value);
                model.insert(name, value);
            }
            prop_assert_eq!(ours.len(), model.len());
            let sorted: std::collections::BTreeMap<_, _> =
                ours.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(&sorted, &model);
        }
        Ok(())
    });
}

#[test]
fn units_survive_and_seal() {
    let numbers = (any::<i32>(), any::<i32>(), any::<i32>(), any::<i64>(), any::<i32>(), any::<i64>());
    let sealed = (any::<i64>(), any::<i64>(), any::<i64>());
    let body = proptest::collection::vec(any::<u8>(), 0..300);
    check((numbers, sealed, host(), host(), text(80), text(60), body), |input| {
        let (
            numbers,
            (queue_offset, physical_offset, stored_ms),
            born_host,
            store_host,
            topic,
            properties,
            body,
        ) = input;
        let (queue_id, flag, sys_flag, born_timestamp_ms, reconsume_times, prepared_transaction_offset) =
            numbers;
        let fields = UnitFields {
            topic: &topic,
            queue_id,
            flag,
            sys_flag,
            born_timestamp_ms,
            born_host,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            body: &body,
            properties: &properties,
        };
        let mut out = BytesMut::new();
        encode_unit(&fields, &mut out).unwrap();
        prop_assert_eq!(out.len(), fields.unit_bytes().unwrap());
        seal_unit(&mut out, queue_offset, physical_offset, stored_ms);
        let twice = [&out[..], &out[..]].concat();
        for unit in walk(&twice) {
            let view = parse(unit.unwrap()).unwrap();
            view.verify_body().unwrap();
            prop_assert_eq!((view.topic, &*view.properties, view.body), (&*topic, &*properties, &body[..]));
            prop_assert_eq!(
                (view.queue_id, view.flag, view.reconsume_times),
                (queue_id, flag, reconsume_times)
            );
            prop_assert_eq!(
                sys_flag::without_host_bits(view.sys_flag),
                sys_flag::without_host_bits(sys_flag)
            );
            prop_assert_eq!((view.queue_offset, view.physical_offset), (queue_offset, physical_offset));
            prop_assert_eq!(
                (view.born_timestamp_ms, view.store_timestamp_ms),
                (born_timestamp_ms, stored_ms)
            );
            prop_assert_eq!(view.prepared_transaction_offset, prepared_transaction_offset);
            prop_assert_eq!(view.born_host.ip().to_canonical(), born_host.ip().to_canonical());
            prop_assert_eq!(view.store_host.ip().to_canonical(), store_host.ip().to_canonical());
            let message_id = id::offset_message_id(view.store_host, physical_offset);
            prop_assert_eq!(id::parse_offset_message_id(&message_id), Ok((view.store_host, physical_offset)));
        }
        Ok(())
    });
}

#[test]
fn batches_survive() {
    let item = (any::<i32>(), proptest::collection::vec(any::<u8>(), 0..60), text(20));
    check(proptest::collection::vec(item, 0..8), |items| {
        let items: Vec<BatchItem<'_>> = items
            .iter()
            .map(|(flag, body, properties)| BatchItem {
                flag: *flag,
                body,
                properties: Cow::Borrowed(properties),
            })
            .collect();
        let mut out = BytesMut::new();
        for item in &items {
            batch::encode(item, &mut out).unwrap();
        }
        let again: Vec<_> = batch::decode(&out).map(Result::unwrap).collect();
        prop_assert_eq!(again, items);
        Ok(())
    });
}

#[test]
fn properties_survive() {
    let name = "[a-zA-Z_ 中]{1,8}";
    check(proptest::collection::btree_map(name, "[^\u{2}]{1,8}", 0..10), |map| {
        let text = properties::to_text(map.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        prop_assert_eq!(properties::to_map(&text), map.clone());
        // Java 4.9 leaves the last separator away.
        prop_assert_eq!(properties::to_map(text.trim_end_matches('\u{2}')), map);
        Ok(())
    });
}

#[test]
fn every_queue_has_one_owner() {
    check((0..50_usize, 1..20_usize), |(queue_count, client_count)| {
        let queues: Vec<usize> = (0..queue_count).collect();
        let clients: Vec<String> = (0..client_count).map(|id| format!("{id:03}")).collect();
        for strategy in [allocate::Strategy::Average, allocate::Strategy::AverageByCircle] {
            let mut all: Vec<usize> =
                clients.iter().flat_map(|client| strategy.allocate(client, &queues, &clients)).collect();
            all.sort_unstable();
            prop_assert_eq!(&all, &queues);
        }
        Ok(())
    });
}

#[test]
fn any_value_that_serde_writes_is_read_the_same() {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<u64>().prop_map(serde_json::Value::from),
        (-1.0e9..1.0e9).prop_map(serde_json::Value::from),
        text(10).prop_map(serde_json::Value::from),
    ];
    let tree = leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(text(5), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    check(tree, |value| {
        prop_assert_eq!(json::parse(value.to_string().as_bytes()), Ok(value));
        Ok(())
    });
}
