//! Compact JSON text.

use std::fmt::Write;

use bytes::Bytes;
use serde::Serialize;

/// Appends `text` as a JSON string, quotes included. Control characters are escaped, nothing else beyond the
/// quote and the backslash.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        if short.is_empty() {
            write!(out, "\\u{byte:04X}").expect("writing to a string never fails");
        } else {
            out.push_str(short);
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

/// The compact JSON text of a body.
///
/// # Panics
/// If its type has keys that are not text, or a part that refuses to be written: none of ours does.
pub fn to_bytes(body: &impl Serialize) -> Bytes {
    let text = serde_json::to_vec(body).expect("bodies have text keys and no failing parts");
    Bytes::from(text)
}

/// Appends a map with whole objects as keys, `{{"brokerName":"b","queueId":0,"topic":"T"}:1,…}`: no spaces, for the
/// Go client splits this text by hand. It is not strict JSON, which is why `serde_json` cannot write it.
///
/// # Panics
/// As [`to_bytes`].
pub fn write_queue_map<K: Serialize, V: Serialize>(
    out: &mut String,
    entries: impl IntoIterator<Item = (K, V)>,
) {
    out.push('{');
    for (index, (key, value)) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::to_string(&key).expect("keys have text names and no failing parts"));
        out.push(':');
        out.push_str(&serde_json::to_string(&value).expect("values have text keys and no failing parts"));
    }
    out.push('}');
}
