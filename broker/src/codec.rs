//! How this crate's own records become bytes: a format version, a CRC-32C, then bincode 1.3.3.
//!
//! Used for replicated commands, for the tables inside a checkpoint and for calls between our nodes; never
//! for anything a client sees. The version stands first, so that a later layout can be told from this one.

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Version of every record written here.
const VERSION: u8 = 1;
/// Bytes in front of the bincode part: version, then CRC-32C of the bincode part, big-endian.
const HEAD_BYTES: usize = 1 + size_of::<u32>();
/// Longest record read or written. A checkpoint of 100,000 topics with their offsets stays far below.
const RECORD_BYTES_MAX: u64 = 1 << 30;

/// Why bytes are not a record of ours.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Shorter than version and checksum.
    #[error("record of {bytes} bytes is shorter than its head of {HEAD_BYTES} bytes")]
    Short {
        /// What there was.
        bytes: usize,
    },
    /// Written by a later Trireme, or not a record at all.
    #[error("record has format version {found}, this build reads {VERSION}")]
    Version {
        /// The first byte.
        found: u8,
    },
    /// Damaged.
    #[error("record has checksum {found:#010x}, its bytes have {computed:#010x}")]
    Checksum {
        /// As written.
        found: u32,
        /// Over what follows.
        computed: u32,
    },
    /// The checksum holds but the content is not of the wanted type.
    #[error("record does not decode")]
    Content(#[from] bincode::Error),
}

fn options() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_limit(RECORD_BYTES_MAX)
}

/// Writes `value` as one record.
///
/// # Panics
/// If the record would exceed its limit of 1 GiB: our own tables never do.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let content =
        options().serialize(value).expect("our own records fit the limit and have no failing parts");
    let mut record = Vec::with_capacity(HEAD_BYTES + content.len());
    record.push(VERSION);
    record.extend_from_slice(&crc32c::crc32c(&content).to_be_bytes());
    record.extend_from_slice(&content);
    record
}

/// Reads one record that fills `bytes`.
///
/// # Errors
/// On a foreign version, a wrong checksum, or content that is not a `T`.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let Some((head, content)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Err(CodecError::Short { bytes: bytes.len() });
    };
    let [version, crc @ ..] = *head;
    if version != VERSION {
        return Err(CodecError::Version { found: version });
    }
    let (found, computed) = (u32::from_be_bytes(crc), crc32c::crc32c(content));
    if found != computed {
        return Err(CodecError::Checksum { found, computed });
    }
    Ok(options().deserialize(content)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_and_every_damaged_byte_is_seen() {
        let value = (7_u64, String::from("TopicTest"), vec![1_i32, -2]);
        let record = encode(&value);
        assert_eq!(decode::<(u64, String, Vec<i32>)>(&record).unwrap(), value);
        for at in 0..record.len() {
            let mut damaged = record.clone();
            damaged[at] ^= 0x40;
            assert!(decode::<(u64, String, Vec<i32>)>(&damaged).is_err(), "byte {at}");
        }
        assert!(decode::<u8>(&record[..3]).is_err());
    }
}
