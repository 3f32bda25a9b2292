//! The compact binary header, type 1. Source: Java's `RocketMQSerializable`.
//!
//! `code i16, language u8, version i16, opaque i32, flag i32, remark (i32 length), map (i32 length of
//! (i16 length, name, i32 length, value)…)`. Lengths are signed; there is no count of entries.

use bytes::{BufMut, BytesMut};

use super::HeaderError;
use crate::command::{Command, HeaderEncoding};
use crate::ext::ExtFields;
use crate::frame_error::FrameError;
use crate::language::Language;

/// The bytes of a header without remark and map.
pub(crate) const FIXED_BYTES: usize = 2 + 1 + 2 + 4 + 4 + 4 + 4;
const _: () = assert!(FIXED_BYTES == 21);

/// Reads a header; the body of the returned command is empty.
///
/// A negative map length means no map, and whatever follows is ignored then: Java 4.9.7 and 5.3.3 do so (recorded).
///
/// # Errors
/// If a length is impossible, or bytes are left over.
pub(crate) fn decode(header: &[u8]) -> Result<Command, HeaderError> {
    let mut fields = Fields(header);
    let mut command = Command::request(i32::from(fields.i16("code")?));
    command.encoding = HeaderEncoding::Binary;
    command.language = Language::from_number(fields.take("language", 1)?[0]);
    command.version = i32::from(fields.i16("version")?);
    command.opaque = fields.i32("opaque")?;
    command.flag = fields.i32("flag")?;
    let remark_bytes = fields.length("remark")?;
    let remark = fields.take("remark", remark_bytes)?;
    if !remark.is_empty() {
        command.remark = Some(String::from_utf8_lossy(remark).into_owned());
    }
    let map_bytes = fields.i32("map length")?;
    if let Ok(map_bytes) = usize::try_from(map_bytes) {
        command.ext = map(fields.take("map", map_bytes)?)?;
        if !fields.0.is_empty() {
            return Err(HeaderError::TrailingBytes { bytes: fields.0.len() });
        }
    }
    Ok(command)
}

/// Reads the entries of the map. One with an empty name or value is not an entry: Java reads those as null.
fn map(entries: &[u8]) -> Result<ExtFields, HeaderError> {
    let mut fields = Fields(entries);
    let mut ext = ExtFields::with_capacity(entries.len());
    while !fields.0.is_empty() {
        let name_bytes = fields.i16("name length")?;
        let name_bytes = usize::try_from(name_bytes)
            .map_err(|_| HeaderError::NegativeLength { field: "name", length: i32::from(name_bytes) })?;
        let name = String::from_utf8_lossy(fields.take("name", name_bytes)?);
        let value_bytes = fields.length("value")?;
        let value = fields.take("value", value_bytes)?;
        if !name.is_empty() && !value.is_empty() {
            ext.push_with(&name, |text| {
                text.push_str(&String::from_utf8_lossy(value));
                Ok::<(), HeaderError>(())
            })?;
        }
    }
    ext.drop_shadowed();
    Ok(ext)
}

/// Appends the header of `command`.
///
/// # Errors
/// If a number or length does not fit its field. `out` then holds a part of the header.
pub(crate) fn encode(command: &Command, out: &mut BytesMut) -> Result<(), FrameError> {
    out.put_i16(narrow("code", command.code)?);
    out.put_u8(command.language.number());
    out.put_i16(narrow("version", command.version)?);
    out.put_i32(command.opaque);
    out.put_i32(command.flag);
    let remark = command.remark.as_deref().unwrap_or_default();
    out.put_i32(length("remark", remark.len())?);
    out.put_slice(remark.as_bytes());

    let map_length_at = out.len();
    out.put_i32(0);
    for (name, value) in command.ext.iter().filter(|(name, value)| !name.is_empty() && !value.is_empty()) {
        let name_bytes = i16::try_from(name.len());
        let too_long = |_| FrameError::FieldTooLong {
            field: "name of a header field",
            bytes: name.len(),
            limit: i16::MAX as usize,
        };
        out.put_i16(name_bytes.map_err(too_long)?);
        out.put_slice(name.as_bytes());
        out.put_i32(length("value of a header field", value.len())?);
        out.put_slice(value.as_bytes());
    }
    let map_bytes = length("map of header fields", out.len() - map_length_at - size_of::<i32>())?;
    out[map_length_at..map_length_at + size_of::<i32>()].copy_from_slice(&map_bytes.to_be_bytes());
    Ok(())
}

fn narrow(field: &'static str, value: i32) -> Result<i16, FrameError> {
    i16::try_from(value).map_err(|_| FrameError::FieldTooWide { field, value })
}

fn length(field: &'static str, bytes: usize) -> Result<i32, FrameError> {
    i32::try_from(bytes).map_err(|_| FrameError::FieldTooLong { field, bytes, limit: i32::MAX as usize })
}

/// What is left to read of a header.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, field: &'static str, bytes: usize) -> Result<&'a [u8], HeaderError> {
        let (taken, left) = self.0.split_at_checked(bytes).ok_or(HeaderError::Truncated {
            field,
            needed: bytes,
            left: self.0.len(),
        })?;
        self.0 = left;
        Ok(taken)
    }

    fn i16(&mut self, field: &'static str) -> Result<i16, HeaderError> {
        let bytes = self.take(field, size_of::<i16>())?;
        Ok(i16::from_be_bytes(bytes.try_into().expect("two bytes were taken")))
    }

    fn i32(&mut self, field: &'static str) -> Result<i32, HeaderError> {
        let bytes = self.take(field, size_of::<i32>())?;
        Ok(i32::from_be_bytes(bytes.try_into().expect("four bytes were taken")))
    }

    /// A length that must not be negative. That enough bytes follow is for [`Self::take`] to check.
    fn length(&mut self, field: &'static str) -> Result<usize, HeaderError> {
        let length = self.i32(field)?;
        usize::try_from(length).map_err(|_| HeaderError::NegativeLength { field, length })
    }
}
