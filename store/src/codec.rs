//! The one way our own structures become bytes: bincode, numbers of fixed width, big-endian, with a limit.

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode or decode: {source}")]
pub struct CodecError {
    #[from]
    source: bincode::Error,
}

/// The bytes of `value`, at most `bytes_max` of them.
///
/// # Errors
/// If there are more.
pub fn encode<T: Serialize + ?Sized>(value: &T, bytes_max: u64) -> Result<Vec<u8>, CodecError> {
    Ok(options(bytes_max).serialize(value)?)
}

/// The value whose bytes these are: all of them, and at most `bytes_max`.
///
/// # Errors
/// If they are not; nothing larger than the bound is ever allocated.
pub fn decode<T: DeserializeOwned>(bytes: &[u8], bytes_max: u64) -> Result<T, CodecError> {
    Ok(options(bytes_max).deserialize(bytes)?)
}

/// `body` with a magic and a checksum before it, as the small files of this crate have them.
pub(crate) fn seal(magic: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SEAL_BYTES + body.len());
    bytes.extend_from_slice(&magic.to_be_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(body).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// The body of what [`seal`] made; `None` if the magic is another or the checksum does not match.
pub(crate) fn open(magic: u32, bytes: &[u8]) -> Option<&[u8]> {
    let (found, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, body) = rest.split_first_chunk::<4>()?;
    let is_intact = u32::from_be_bytes(*found) == magic && u32::from_be_bytes(*crc) == crc32c::crc32c(body);
    is_intact.then_some(body)
}

/// Magic and checksum.
pub(crate) const SEAL_BYTES: usize = 8;

fn options(bytes_max: u64) -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_big_endian().with_limit(bytes_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_bound_is_refused_before_anything_is_allocated() {
        let bytes = u64::MAX.to_be_bytes();
        decode::<Vec<u8>>(&bytes, 1 << 20).unwrap_err();
        assert_eq!(decode::<u64>(&bytes, 8).unwrap(), u64::MAX);
        decode::<u32>(&bytes, 8).unwrap_err();
    }
}
