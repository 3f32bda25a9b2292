//! Every recorded frame decodes to its recorded header, and encodes and decodes to the same again.

use bytes::{Bytes, BytesMut};
use protocol::frame::decode;
use protocol::{Command, ExtFields, FrameError, HeaderEncoding, HeaderError, Language};
use serde_json::Value;

use crate::vectors::{Recorded, frames, hex, malformed};

fn decode_whole(bytes: &[u8]) -> Result<Option<Command>, FrameError> {
    decode(&mut BytesMut::from(bytes))
}

/// A header value as the text that a field has: Java keeps nested values as their JSON.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn number(header: &Value, name: &str) -> i32 {
    as_text(&header[name]).map_or(0, |text| text.parse().unwrap())
}

#[test]
fn every_recorded_header_is_read() {
    for recorded in frames() {
        let name = recorded.name();
        let mut buf = BytesMut::from(recorded.bytes);
        let command = decode(&mut buf).unwrap_or_else(|error| panic!("{name}: {error}")).unwrap();
        assert!(buf.is_empty(), "{name}");
        let Some(header) = recorded.line.get("header") else { continue };
        assert_eq!(command.body, recorded.body(), "{name}");
        assert_eq!(command.code, number(header, "code"), "{name}");
        assert_eq!(command.opaque, number(header, "opaque"), "{name}");
        assert_eq!(command.flag, number(header, "flag"), "{name}");
        assert_eq!(command.version, number(header, "version"), "{name}");
        let language = match &header["language"] {
            Value::Null => Language::Java,
            Value::Number(number) => Language::from_number(number.as_u64().unwrap() as u8),
            text => Language::from_name(text.as_str().unwrap()),
        };
        assert_eq!(command.language, language, "{name}");
        assert_eq!(command.remark, as_text(&header["remark"]), "{name}");
        let is_binary = command.encoding == HeaderEncoding::Binary;
        let ext: ExtFields = match &header["extFields"] {
            Value::Null => ExtFields::new(),
            fields => {
                let fields = fields.as_object().unwrap().iter();
                let texts = fields.filter_map(|(name, value)| Some((name.clone(), as_text(value)?)));
                // An empty value of a binary header is none to Java, and so to us.
                texts.filter(|(_, value)| !is_binary || !value.is_empty()).collect()
            }
        };
        assert_eq!(command.ext, ext, "{name}");
    }
}

#[test]
fn what_was_decoded_encodes_and_decodes_to_the_same() {
    for recorded in frames() {
        let command = decode_whole(recorded.bytes).unwrap().unwrap();
        for encoding in [HeaderEncoding::Json, HeaderEncoding::Binary] {
            let mut written = Command { encoding, ..command.clone() };
            if encoding == HeaderEncoding::Binary {
                if i16::try_from(written.code).is_err() {
                    let error = written.encode().unwrap_err();
                    assert_eq!(error, FrameError::FieldTooWide { field: "code", value: written.code });
                    continue;
                }
                // The binary form cannot say that a text is empty.
                written.remark = written.remark.filter(|remark| !remark.is_empty());
                written.ext = written.ext.iter().filter(|(_, value)| !value.is_empty()).collect();
            }
            let again = decode_whole(&written.encode().unwrap()).unwrap().unwrap();
            assert_eq!(again, written, "{} as {encoding:?}", recorded.name());
        }
    }
}

#[test]
fn answers_of_java_brokers_are_written_byte_for_byte() {
    let mut same = 0;
    for recorded in frames().iter().filter(|recorded| !recorded.is_request()) {
        let command = decode_whole(recorded.bytes).unwrap().unwrap();
        // Java leaves the fields away where an answer has no header class; we always write them.
        let has_fields = recorded.line["header"].get("extFields").is_some();
        let is_javas = recorded.line["header"].get("serializeTypeCurrentRPC").is_some();
        if command.encoding == HeaderEncoding::Json && has_fields && is_javas {
            let ours = command.encode().unwrap();
            assert_eq!(ours, recorded.bytes, "{}: {ours:?}", recorded.name());
            same += 1;
        }
    }
    assert!(same > 600, "only {same} answers");
}

#[test]
fn binary_headers_are_written_byte_for_byte() {
    let mut same = 0;
    for recorded in frames() {
        let command = decode_whole(recorded.bytes).unwrap().unwrap();
        let fields = recorded.line["header"]["extFields"].as_object();
        let has_empty = fields.is_some_and(|fields| fields.values().any(|value| value == ""));
        // Java 5 writes fields twice when a request is signed; the last counts and is the one we keep.
        let has_twice = command.ext.contains("Signature");
        if command.encoding == HeaderEncoding::Binary && !has_empty && !has_twice {
            assert_eq!(command.encode().unwrap(), recorded.bytes, "{}", recorded.name());
            same += 1;
        }
    }
    assert!(same > 300, "only {same} frames");
}

#[test]
fn a_frame_that_is_not_all_there_is_waited_for() {
    let recorded: Vec<Recorded> = frames().into_iter().take(40).collect();
    for frame in &recorded {
        for cut in 0..frame.bytes.len() {
            let mut buf = BytesMut::from(&frame.bytes[..cut]);
            assert_eq!(decode(&mut buf), Ok(None), "{} cut at {cut}", frame.name());
            assert_eq!(buf, frame.bytes[..cut], "nothing is taken");
        }
    }
    let joined: Vec<u8> = recorded.iter().flat_map(|frame| frame.bytes).copied().collect();
    let mut buf = BytesMut::from(&joined[..]);
    for frame in &recorded {
        assert_eq!(decode(&mut buf), decode_whole(frame.bytes), "{}", frame.name());
    }
    assert!(buf.is_empty());
}

/// What 5.3.3 did with broken input is what we do, but where it waits for twelve bytes because of a proxy protocol
/// that we do not have; there 4.9.7 shows what comes of it.
#[test]
fn broken_frames_are_refused_as_recorded() {
    for line in malformed() {
        let case = line["case"].as_str().unwrap();
        if case.starts_with("proxy") {
            continue;
        }
        let mut buf = BytesMut::from(&hex(line["sent_hex"].as_str().unwrap())[..]);
        let decoded = decode(&mut buf);
        let is_4_9 = line["server"] == "broker 4.9.7";
        match line["result"].as_str().unwrap() {
            "closed by the server" => assert!(decoded.is_err(), "{case}: {decoded:?}"),
            "answered" => assert!(matches!(decoded, Ok(Some(_))), "{case}: {decoded:?}"),
            // More bytes are announced than were sent.
            _ if ["length-16777212-incomplete", "one-byte-then-nothing", "json-bad-utf8"].contains(&case) => {
                assert_eq!(decoded, Ok(None), "{case}");
            }
            _ => {
                let closes_next = line["a_valid_frame_sent_next"] == "closed by the server";
                assert_eq!(closes_next, decoded.is_err(), "{case}: {decoded:?}");
                assert!(!is_4_9, "{case}");
            }
        }
    }
}

#[test]
fn impossible_lengths_are_refused_before_the_frame_is_there() {
    let cases: [(&[u8], FrameError); 6] = [
        (&[0x7f, 0xff, 0xff, 0xff], FrameError::TooLong { bytes: 0x8000_0003, limit: 16_777_216 }),
        (&[0x80, 0, 0, 0], FrameError::Length { length: i32::MIN }),
        (&[0, 0, 0, 3], FrameError::Length { length: 3 }),
        (&[0x01, 0, 0, 0], FrameError::TooLong { bytes: 16_777_220, limit: 16_777_216 }),
        (&[0, 0, 0, 8, 2, 0, 0, 4], FrameError::HeaderType { header_type: 2 }),
        (&[0, 0, 0, 8, 0, 0, 0, 5], FrameError::HeaderTooLong { header_bytes: 5, left: 4 }),
    ];
    for (bytes, error) in cases {
        assert_eq!(decode_whole(bytes), Err(error));
    }
    assert_eq!(decode_whole(&[0x00, 0xff, 0xff, 0xfc, 0, 0, 0, 2]), Ok(None));
}

/// The frame of a header text.
fn frame_of(header_type: u8, header: &[u8]) -> Vec<u8> {
    let mut bytes = ((header.len() + 4) as u32).to_be_bytes().to_vec();
    bytes.extend(((u32::from(header_type) << 24) | header.len() as u32).to_be_bytes());
    bytes.extend(header);
    bytes
}

#[test]
fn json_headers_are_read_leniently() {
    let cases = [
        (
            r#"{"code":30,"extFields":{"a":1,"b":true,"c":null,"d":"x","e":-1.5}}"#,
            vec![("a", "1"), ("b", "true"), ("d", "x"), ("e", "-1.5")],
        ),
        (r#"{"code":"30","extFields":null}"#, vec![]),
        (
            r#" { 'code' : 30 , "zzz":[1,{"a":[null,{}]},'x'] , extFields : { a : 'it"s' , } , } "#,
            vec![("a", "it\"s")],
        ),
        (
            r#"{"code":30,"extFields":{"a":"\u0041\ud83d\ude80\ud83d\n\/\x41","a":"last"}}"#,
            vec![("a", "last")],
        ),
        (r#"{"code":30,"extFields":{"a":{"b":[1]}}}"#, vec![("a", r#"{"b":[1]}"#)]),
    ];
    for (header, fields) in cases {
        let command = decode_whole(&frame_of(0, header.as_bytes())).unwrap().unwrap();
        assert_eq!(command.code, 30, "{header}");
        assert_eq!(command.ext.iter().collect::<Vec<_>>(), fields, "{header}");
    }
}

#[test]
fn broken_utf8_in_a_header_is_replaced() {
    let command = decode_whole(&frame_of(0, b"{\"code\":30,\"remark\":\"a\xff\"}")).unwrap().unwrap();
    assert_eq!(command.remark.as_deref(), Some("a\u{fffd}"));
}

#[test]
fn broken_headers_are_refused() {
    let broken = [
        "",
        "[]",
        "1",
        "null",
        "{",
        "{\"code\"",
        "{\"code\":",
        "{\"code\":1",
        "{\"code\":1}x",
        "{\"code\":x}",
        "{\"code\":99999999999}",
        "{\"code\":1.5}",
        "{\"extFields\":1}",
        "{\"extFields\":{\"a\":1}",
        "{\"a\":\"\\q\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"x}",
    ];
    for header in broken {
        let error = decode_whole(&frame_of(0, header.as_bytes()));
        assert!(matches!(error, Err(FrameError::Header(_))), "{header}: {error:?}");
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
    assert!(decode_whole(&frame_of(0, deep.as_bytes())).is_err());

    let plain = Command::request(30).with("topic", "T");
    let binary = Command { encoding: HeaderEncoding::Binary, ..plain }.encode().unwrap();
    let mut trailing = binary[8..].to_vec();
    trailing.push(0);
    let error = decode_whole(&frame_of(1, &trailing));
    assert_eq!(error, Err(FrameError::Header(HeaderError::TrailingBytes { bytes: 1 })));
    for cut in 8..binary.len() - 1 {
        let error = decode_whole(&frame_of(1, &binary[8..=cut][..cut - 8]));
        assert!(matches!(error, Err(FrameError::Header(HeaderError::Truncated { .. }))), "{cut}: {error:?}");
    }
}

#[test]
fn a_body_shares_the_memory_it_was_read_into() {
    let frame = Command::request(10).with_body(vec![7_u8; 1000]).encode().unwrap();
    let mut buf = BytesMut::from(&frame[..]);
    let range = buf.as_ptr_range();
    let body = decode(&mut buf).unwrap().unwrap().body;
    assert!(range.contains(&body.as_ptr()));
}

#[test]
fn a_head_goes_before_a_body_that_lies_elsewhere() {
    let request = Command { opaque: -7, ..Command::request(11) };
    let answer = Command::response_to(&request, 0).with("offset", 5).with_remark("tab\t\"quote\" \u{1}");
    let head = answer.encode_head(3).unwrap();
    let expected = r#"{"code":0,"extFields":{"offset":"5"},"flag":1,"language":"JAVA","opaque":-7,"remark":"tab\t\"quote\" \u0001","serializeTypeCurrentRPC":"JSON","version":479}"#;
    assert_eq!(&head[8..], expected.as_bytes());
    assert_eq!(head[..4], (4 + expected.len() as u32 + 3).to_be_bytes());
    let mut whole = BytesMut::from(&head[..]);
    whole.extend_from_slice(b"abc");
    let again = decode(&mut whole).unwrap().unwrap();
    assert_eq!(again, answer.with_body(Bytes::from_static(b"abc")));
}

#[test]
fn frames_beyond_the_limit_are_not_written() {
    let command = Command::request(10);
    let head = command.encode_head(0).unwrap().len();
    assert!(command.encode_head(16_777_216 - head).is_ok());
    let error = command.encode_head(16_777_216 - head + 1).unwrap_err();
    assert_eq!(error.to_string(), "frame of 16777217 bytes exceeds the limit of 16777216 bytes");
    assert!(command.encode_head(usize::MAX).is_err());
}
