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
