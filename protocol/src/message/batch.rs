//! The body of a batch: several messages of one topic and queue in one send. Source: Java's `MessageDecoder`.
//!
//! Each item is `total i32, magic i32, crc i32, flag i32, body length i32, body, properties length i16, properties`.
//! Java's broker looks at neither total, magic nor crc, and neither do we.

use std::borrow::Cow;

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use super::layout::PROPERTIES_BYTES_MAX;

/// The bytes of an item without body and properties.
pub const ITEM_BYTES_MIN: usize = 5 * size_of::<i32>() + size_of::<i16>();
const _: () = assert!(ITEM_BYTES_MIN == 22);

/// One message of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchItem<'a> {
    /// The sender's own flag.
    pub flag: i32,
    /// The body.
    pub body: &'a [u8],
    /// The properties text, see [`super::properties`]. Invalid UTF-8 has become U+FFFD.
    pub properties: Cow<'a, str>,
}

/// Why bytes are not a batch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// An item ends before one of its fields does.
    #[error("{field} of batch item {index} needs {needed} bytes, {left} are left")]
    Truncated {
        /// Which item, from 0.
        index: usize,
        /// The field.
        field: &'static str,
        /// The bytes it needs.
        needed: usize,
        /// The bytes that are there.
        left: usize,
    },
    /// A length is negative.
    #[error("length of the {field} of batch item {index} is negative: {length}")]
    NegativeLength {
        /// Which item, from 0.
        index: usize,
        /// The field.
        field: &'static str,
        /// The length.
        length: i32,
    },
    /// A field is too long to be written.
    #[error("{field} of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its bytes.
        bytes: usize,
        /// The most it can have.
        limit: usize,
    },
}

/// The items of a batch body, in order. After an error nothing more comes.
pub fn decode(body: &[u8]) -> Items<'_> {
    Items { rest: body, index: 0 }
}

/// The iterator of [`decode`].
#[derive(Debug, Clone)]
pub struct Items<'a> {
    rest: &'a [u8],
    index: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<BatchItem<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.item();
        if item.is_err() {
            self.rest = &[];
        }
        self.index += 1;
        Some(item)
    }
}

impl<'a> Items<'a> {
    fn item(&mut self) -> Result<BatchItem<'a>, BatchError> {
        self.take("fixed part", 3 * size_of::<i32>())?; // total, magic, crc
        let flag = self.i32("flag")?;
        let body_bytes = self.i32("body length")?;
        let body = self.take_length("body", body_bytes)?;
        let properties_bytes = self.take("properties length", size_of::<i16>())?;
        let properties_bytes = i16::from_be_bytes([properties_bytes[0], properties_bytes[1]]);
        let properties = self.take_length("properties", i32::from(properties_bytes))?;
        Ok(BatchItem { flag, body, properties: String::from_utf8_lossy(properties) })
    }

    fn take_length(&mut self, field: &'static str, length: i32) -> Result<&'a [u8], BatchError> {
        let index = self.index;
        let bytes = usize::try_from(length);
        self.take(field, bytes.map_err(|_| BatchError::NegativeLength { index, field, length })?)
    }

    fn take(&mut self, field: &'static str, needed: usize) -> Result<&'a [u8], BatchError> {
        let (index, left) = (self.index, self.rest.len());
        let split = self.rest.split_at_checked(needed);
        let (taken, rest) = split.ok_or(BatchError::Truncated { index, field, needed, left })?;
        self.rest = rest;
        Ok(taken)
    }

    fn i32(&mut self, field: &'static str) -> Result<i32, BatchError> {
        let bytes = self.take(field, size_of::<i32>())?;
        Ok(i32::from_be_bytes(bytes.try_into().expect("four bytes were taken")))
    }
}

/// Appends one item to a batch body.
///
/// # Errors
/// If body or properties are too long; `out` is unchanged then.
pub fn encode(item: &BatchItem<'_>, out: &mut BytesMut) -> Result<(), BatchError> {
    const BODY_BYTES_MAX: usize = i32::MAX as usize - ITEM_BYTES_MIN - PROPERTIES_BYTES_MAX;
    let limited = |field, bytes: usize, limit: usize| {
        if bytes > limit { Err(BatchError::TooLong { field, bytes, limit }) } else { Ok(()) }
    };
    limited("body", item.body.len(), BODY_BYTES_MAX)?;
    limited("properties", item.properties.len(), PROPERTIES_BYTES_MAX)?;
    let item_bytes = ITEM_BYTES_MIN + item.body.len() + item.properties.len();
    out.reserve(item_bytes);
    out.put_i32(item_bytes as i32);
    out.put_i32(0); // magic
    out.put_i32(0); // crc
    out.put_i32(item.flag);
    out.put_i32(item.body.len() as i32);
    out.put_slice(item.body);
    out.put_i16(item.properties.len() as i16);
    out.put_slice(item.properties.as_bytes());
    Ok(())
}
