//! Codes and constants against the tables of the Java libraries.

use protocol::message::{properties, sys_flag};
use protocol::{Language, code, version};

use crate::vectors::constants;

#[test]
fn every_request_code_has_its_name() {
    for (name, code) in constants(include_str!("../vectors/golden/request_codes.json")) {
        assert_eq!(code::request_name(code.as_i64().unwrap() as i32), Some(name.as_str()));
    }
    assert_eq!(code::request::SEND_MESSAGE_V2, 310);
    assert_eq!(code::request_name(9999), None);
}

#[test]
fn every_response_code_has_its_name() {
    for (name, code) in constants(include_str!("../vectors/golden/response_codes.json")) {
        assert_eq!(code::response_name(code.as_i64().unwrap() as i32), Some(name.as_str()));
    }
    assert_eq!(code::response::SERVICE_NOT_AVAILABLE, 14);
    assert_eq!(code::response_name(9999), None);
}

#[test]
fn every_language_has_its_number_and_name() {
    let languages = constants(include_str!("../vectors/golden/language_codes.json"));
    assert_eq!(languages.len(), Language::ALL.len());
    for (name, number) in languages {
        let number = number.as_u64().unwrap() as u8;
        assert_eq!(Language::from_name(&name).number(), number);
        assert_eq!(Language::from_number(number).name(), name);
    }
}

#[test]
fn releases_have_their_ordinals() {
    let mut known = 0;
    for (name, ordinal) in constants(include_str!("../vectors/golden/mq_version_ordinals.json")) {
        if let Some(ours) = version::name(ordinal.as_i64().unwrap() as i32) {
            assert_eq!(ours, name);
            known += 1;
        }
    }
    assert_eq!(known, 22);
}

#[test]
fn system_flag_bits_are_javas() {
    for (name, value) in constants(include_str!("../vectors/golden/message_sys_flag.json")) {
        let ours = match name.as_str() {
            "COMPRESSED_FLAG" => sys_flag::COMPRESSED,
            "MULTI_TAGS_FLAG" => sys_flag::MULTI_TAGS,
            "TRANSACTION_NOT_TYPE" => sys_flag::TRANSACTION_NONE,
            "TRANSACTION_PREPARED_TYPE" => sys_flag::TRANSACTION_PREPARED,
            "TRANSACTION_COMMIT_TYPE" => sys_flag::TRANSACTION_COMMIT,
            "TRANSACTION_ROLLBACK_TYPE" => sys_flag::TRANSACTION_ROLLBACK,
            "BORNHOST_V6_FLAG" => sys_flag::BORN_HOST_V6,
            "STOREHOSTADDRESS_V6_FLAG" => sys_flag::STORE_HOST_V6,
            "NEED_UNWRAP_FLAG" => sys_flag::NEED_UNWRAP,
            "INNER_BATCH_FLAG" => sys_flag::INNER_BATCH,
            "COMPRESSION_LZ4_TYPE" => sys_flag::COMPRESSION_LZ4,
            "COMPRESSION_ZSTD_TYPE" => sys_flag::COMPRESSION_ZSTD,
            "COMPRESSION_ZLIB_TYPE" => sys_flag::COMPRESSION_ZLIB,
            "COMPRESSION_TYPE_COMPARATOR" => sys_flag::COMPRESSION_TYPE_MASK,
            other => panic!("{other} is not known"),
        };
        assert_eq!(i64::from(ours), value.as_i64().unwrap(), "{name}");
    }
}

#[test]
fn property_names_are_javas() {
    let names = constants(include_str!("../vectors/golden/message_property_names.json"));
    let value = |name: &str| {
        names
            .iter()
            .find(|(found, _)| found == name)
            .and_then(|(_, value)| value.as_str())
            .unwrap()
            .to_owned()
    };
    assert_eq!(value("PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX"), properties::UNIQ_KEY);
    assert_eq!(value("PROPERTY_WAIT_STORE_MSG_OK"), properties::WAIT);
    assert_eq!(value("PROPERTY_DELAY_TIME_LEVEL"), properties::DELAY_TIME_LEVEL);
    assert_eq!(value("PROPERTY_REAL_QUEUE_ID"), properties::REAL_QUEUE_ID);
    assert_eq!(value("PROPERTY_SHARDING_KEY"), properties::SHARDING_KEY);
    assert_eq!(value("PROPERTY_CRC32"), properties::CRC32);
    assert_eq!(value("KEY_SEPARATOR"), properties::KEY_SEPARATOR.to_string());
}
