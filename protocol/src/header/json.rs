//! The JSON header, type 0. Read leniently, written strictly.

use bytes::{BufMut, BytesMut};

use super::HeaderError;
use crate::command::Command;
use crate::ext::ExtFields;
use crate::json::JsonError;
use crate::json::scan::{Scalar, Scanner};
use crate::language::Language;

/// Reads a header; the body of the returned command is empty.
///
/// Every member may be missing and then is 0 or absent; unknown ones are skipped; invalid UTF-8 becomes U+FFFD.
///
/// # Errors
/// If the text is not a JSON object, or a number is not one.
pub(crate) fn decode(header: &[u8]) -> Result<Command, HeaderError> {
    let text = String::from_utf8_lossy(header);
    let mut scanner = Scanner::new(&text);
    let mut command = Command::request(0);
    command.version = 0;
    command.language = Language::Java;
    scanner.expect(b'{')?;
    while scanner.more_before(b'}')? {
        let name = scanner.name(0)?;
        match &*name {
            "code" => command.code = number("code", &scanner.scalar(0)?)?,
            "version" => command.version = number("version", &scanner.scalar(0)?)?,
            "opaque" => command.opaque = number("opaque", &scanner.scalar(0)?)?,
            "flag" => command.flag = number("flag", &scanner.scalar(0)?)?,
            "language" => command.language = language(&scanner.scalar(0)?),
            "remark" => command.remark = text_of(scanner.scalar(0)?),
            "extFields" => command.ext = ext_fields(&mut scanner, text.len())?,
            _ => {
                scanner.scalar(0)?;
            }
        }
    }
    scanner.expect_end()?;
    Ok(command)
}

/// Reads the `extFields` object, or null. Values may be of any type and are kept as text, nested ones as their
/// JSON; a null value is not a field.
fn ext_fields(scanner: &mut Scanner<'_>, header_bytes: usize) -> Result<ExtFields, HeaderError> {
    if scanner.peek()? != b'{' {
        return match scanner.scalar(0)? {
            Scalar::Null => Ok(ExtFields::new()),
            _ => Err(JsonError::member("extFields", "object").into()),
        };
    }
    scanner.skip_byte();
    let mut ext = ExtFields::with_capacity(header_bytes - scanner.at());
    while scanner.more_before(b'}')? {
        let name = scanner.name(1)?;
        if matches!(scanner.peek()?, b'"' | b'\'') {
            ext.push_with(&name, |text| scanner.string_into(text))?;
        } else if let Some(value) = text_of_ref(&scanner.scalar(1)?) {
            ext.push_with(&name, |text| {
                text.push_str(value);
                Ok::<(), HeaderError>(())
            })?;
        }
    }
    ext.drop_shadowed();
    Ok(ext)
}

fn number(name: &'static str, value: &Scalar<'_>) -> Result<i32, HeaderError> {
    let Some(text) = text_of_ref(value).filter(|text| !text.is_empty()) else { return Ok(0) };
    text.parse().map_err(|_| HeaderError::Number { name, value: text.chars().take(64).collect() })
}

fn language(value: &Scalar<'_>) -> Language {
    match value {
        Scalar::Text(name) => Language::from_name(name),
        Scalar::Number(number) => number.parse().map_or(Language::Other, Language::from_number),
        _ => Language::Java,
    }
}

fn text_of(value: Scalar<'_>) -> Option<String> {
    match value {
        Scalar::Text(text) => Some(text.into_owned()),
        other => text_of_ref(&other).map(str::to_owned),
    }
}

fn text_of_ref<'s>(value: &'s Scalar<'_>) -> Option<&'s str> {
    Some(match value {
        Scalar::Null => return None,
        Scalar::Bool(true) => "true",
        Scalar::Bool(false) => "false",
        Scalar::Number(text) | Scalar::Nested(text) => text,
        Scalar::Text(text) => text,
    })
}

/// Appends the header of `command`: compact, members in alphabetical order, every field value a string. Answers
/// always have `extFields`, for Java's clients look into that of a send answer without asking whether it is there.
pub(crate) fn encode(command: &Command, out: &mut BytesMut) {
    out.put_slice(b"{\"code\":");
    put_number(out, command.code);
    if !command.ext.is_empty() || command.is_response() {
        out.put_slice(b",\"extFields\":{");
        for (index, (name, value)) in command.ext.iter().enumerate() {
            if index > 0 {
                out.put_u8(b',');
            }
            put_string(out, name);
            out.put_u8(b':');
            put_string(out, value);
        }
        out.put_u8(b'}');
    }
    out.put_slice(b",\"flag\":");
    put_number(out, command.flag);
    out.put_slice(b",\"language\":\"");
    out.put_slice(command.language.name().as_bytes());
    out.put_slice(b"\",\"opaque\":");
    put_number(out, command.opaque);
    if let Some(remark) = &command.remark {
        out.put_slice(b",\"remark\":");
        put_string(out, remark);
    }
    out.put_slice(b",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
    put_number(out, command.version);
    out.put_u8(b'}');
}

/// Appends the decimal digits of a number.
fn put_number(out: &mut BytesMut, value: i32) {
    let mut digits = [0_u8; 10];
    let mut at = digits.len();
    let mut left = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.put_u8(b'-');
    }
    out.put_slice(&digits[at..]);
}

/// Appends a quoted text; the quote, the backslash and control characters are escaped.
fn put_string(out: &mut BytesMut, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = text.as_bytes();
    out.put_u8(b'"');
    let mut plain_from = 0;
    for (at, byte) in bytes.iter().copied().enumerate() {
        let short = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f => 0,
            _ => continue,
        };
        out.put_slice(&bytes[plain_from..at]);
        plain_from = at + 1;
        if short == 0 {
            out.put_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        } else {
            out.put_slice(&[b'\\', short]);
        }
    }
    out.put_slice(&bytes[plain_from..]);
    out.put_u8(b'"');
}
