//! The one way in which our own small structures become bytes: for calls between nodes, for the
//! membership in the log, and for what stands in the slots and checkpoints beside it.
//!
//! ```text
//! version: u8 | crc32c of the rest: u32 big-endian | bincode, fixed-size integers
//! ```

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of every form encoded here. A peer or file with another one is not understood.
pub(crate) const FORM_VERSION: u8 = 1;

const VERSION_AT: usize = 0;
const CRC_AT: usize = VERSION_AT + size_of::<u8>();
const BODY_AT: usize = CRC_AT + size_of::<u32>();
const _: () = assert!(BODY_AT == 5);

/// More than any snapshot of metadata needs; bounds what a lying length can make us allocate.
const BODY_BYTES_MAX: u64 = 256 << 20;

/// Bytes that do not hold what they should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Too few to hold even an empty form.
    #[error("{0} bytes are too few")]
    Short(usize),
    /// Written by a build that speaks another version.
    #[error("form version {found} instead of {FORM_VERSION}")]
    Version {
        /// The version found.
        found: u8,
    },
    /// Damaged on the way or on the disk.
    #[error("checksum {found:#010x} instead of {computed:#010x}")]
    Checksum {
        /// As written.
        found: u32,
        /// As it should be.
        computed: u32,
    },
    /// Intact, and yet not what it should be.
    #[error("{0}")]
    Content(String),
}

fn options() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_limit(BODY_BYTES_MAX)
}

/// Encodes `value`.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![FORM_VERSION, 0, 0, 0, 0];
    options().serialize_into(&mut bytes, value).expect("our forms have known lengths below the limit");
    let crc = crc32c::crc32c(&bytes[BODY_AT..]);
    bytes[CRC_AT..BODY_AT].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Decodes all of `bytes`.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let Some((head, body)) = bytes.split_first_chunk::<BODY_AT>() else {
        return Err(DecodeError::Short(bytes.len()));
    };
    let [version, crc @ ..] = *head;
    if version != FORM_VERSION {
        return Err(DecodeError::Version { found: version });
    }
    let (found, computed) = (u32::from_be_bytes(crc), crc32c::crc32c(body));
    if found != computed {
        return Err(DecodeError::Checksum { found, computed });
    }
    options().deserialize(body).map_err(|error| DecodeError::Content(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_comes_back_and_a_damaged_one_does_not() {
        let value = (7_u64, vec![1_u8, 2, 3], Some("oars".to_string()));
        let bytes = encode(&value);
        assert_eq!(decode::<(u64, Vec<u8>, Option<String>)>(&bytes).unwrap(), value);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(decode::<(u64, Vec<u8>, Option<String>)>(&bad).is_err(), "byte {at}");
        }
        for cut in 0..bytes.len() {
            assert!(decode::<(u64, Vec<u8>, Option<String>)>(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_lying_length_allocates_nothing() {
        let mut bytes = encode(&u64::MAX); // read as the length of a vector
        assert!(decode::<Vec<u8>>(&bytes).is_err());
        bytes.truncate(4);
        assert_eq!(decode::<u64>(&bytes), Err(DecodeError::Short(4)));
    }
}
