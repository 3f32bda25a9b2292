//! The one way our own structures become bytes: in files, in the log, and between nodes.
//!
//! ```text
//! kind: u16 | version of that kind: u16 | body bytes: u32 | crc32c of all but these 4 bytes: u32 | body
//! ```
//! All big-endian. The body is bincode with numbers of fixed width. A kind is never used for anything else, and a
//! version is never changed once it is written: a new field or variant is a new version, and the reader of the old
//! one stays. Every version has its bytes in `testdata/<name>-v<version>.bin` of its crate, see `codec::golden`.

#[cfg(any(test, feature = "golden"))]
pub mod golden;

use std::sync::OnceLock;

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

const KIND_AT: usize = 0;
const VERSION_AT: usize = KIND_AT + size_of::<u16>();
const BODY_BYTES_AT: usize = VERSION_AT + size_of::<u16>();
const CRC_AT: usize = BODY_BYTES_AT + size_of::<u32>(); // crc32c of what stands before it and of the body
const BODY_AT: usize = CRC_AT + size_of::<u32>();
const _: () = assert!(BODY_AT == 12);

/// What this build can write and read. Raised with the first new kind, or version of one, after a release; the group writes
/// it once all of its members can read it.
///
/// | level | new |
/// |---:|---|
/// | 1 | everything before there were levels |
/// | 2 | `membership` 2: names and addresses of the members |
/// | 3 | entries with effects; `level-delivered` 1 |
pub const FEATURE_LEVEL: u16 = 3;
/// From this level on an entry may have effects, and every command is one.
pub const EFFECTS_SINCE: u16 = 3;

/// The level of this process: [`FEATURE_LEVEL`], or less in a test of a group of mixed builds.
pub fn feature_level() -> u16 {
    static LEVEL: OnceLock<u16> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let max = std::env::var("TRIREME_FEATURE_LEVEL_MAX").ok().filter(|_| cfg!(debug_assertions));
        max.and_then(|max| max.parse().ok()).map_or(FEATURE_LEVEL, |max: u16| max.min(FEATURE_LEVEL))
    })
}

/// The kind of the record that `bytes` begin with, if there is a head. Whether it is intact [`decode`] says.
pub fn kind_of(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().copied().map(u16::from_be_bytes)
}

/// Bytes of a record before its body.
pub const RECORD_HEAD_BYTES: usize = BODY_AT;

/// A structure of ours that becomes bytes.
pub trait Record: Serialize + DeserializeOwned {
    /// Its number, which no other kind ever has. The first byte says whose it is: 1 `store`, 2 `raft`, 3 `broker`.
    const KIND: u16;
    /// What it is called in errors and in the names of its golden bytes.
    const NAME: &'static str;
    /// The version written now.
    const VERSION: u16 = 1;
    /// The oldest version that can be read.
    const OLDEST: u16 = Self::VERSION;
    /// The feature level of a group in which the newest version may be written.
    const SINCE: u16 = 1;
    /// Most bytes of one record, head included; nothing larger is ever written or allocated.
    const BYTES_MAX: usize;

    /// The version for a group of a level below `SINCE`, and its body.
    ///
    /// # Errors
    /// If there is none, or the value cannot be said in it.
    fn encode_old(&self, level: u16) -> Result<(u16, Vec<u8>), CodecError> {
        Err(CodecError::Level { name: Self::NAME, version: Self::VERSION, since: Self::SINCE, level })
    }

    /// Reads the body of a version from `OLDEST` on that is not the newest. Without a reader of its own it is read
    /// as the newest: right for a form that has only got more variants behind its last one.
    ///
    /// # Errors
    /// If it is not such a body.
    fn decode_old(version: u16, body: &[u8]) -> Result<Self, CodecError> {
        let _ = version;
        decode_body(Self::NAME, body, Self::BYTES_MAX)
    }
}

/// Why bytes could not be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is less than a record's head, or less than the head says.
    #[error("{name}: {bytes} bytes are too few, {needed} are needed")]
    Short {
        /// What was wanted.
        name: &'static str,
        /// What there is.
        bytes: usize,
        /// What the head needs, or says.
        needed: usize,
    },
    /// It is another kind of record, or none of ours.
    #[error(
        "{name}: kind {found:#06x} where kind {wanted:#06x} belongs; it takes a build that knows this kind"
    )]
    Kind {
        /// What was wanted.
        name: &'static str,
        /// Its kind.
        wanted: u16,
        /// What was found.
        found: u16,
    },
    /// A later build wrote it, or a much older one.
    #[error(
        "{name} (kind {kind:#06x}) has version {found}, this build reads {oldest} to {newest}; it takes {} build",
        if found > newest { "a newer" } else { "an older" }
    )]
    Version {
        /// What was wanted.
        name: &'static str,
        /// Its kind.
        kind: u16,
        /// The version found.
        found: u16,
        /// The oldest version that can be read.
        oldest: u16,
        /// The newest one.
        newest: u16,
    },
    /// Damaged.
    #[error("{name}: checksum {found:#010x}, its bytes have {computed:#010x}")]
    Checksum {
        /// What was wanted.
        name: &'static str,
        /// As written.
        found: u32,
        /// As it should be.
        computed: u32,
    },
    /// More bytes than one of its kind may have.
    #[error("{name} of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// What it is.
        name: &'static str,
        /// Its bytes, head included.
        bytes: u64,
        /// The most it may have.
        limit: usize,
    },
    /// The group's members cannot all read it yet.
    #[error("{name} version {version} is of feature level {since}, the group has {level}")]
    Level {
        /// What it is.
        name: &'static str,
        /// The version.
        version: u16,
        /// The level it needs.
        since: u16,
        /// The group's.
        level: u16,
    },
    /// Something stands behind it.
    #[error("{name}: {bytes} bytes behind its end")]
    Rest {
        /// What was wanted.
        name: &'static str,
        /// How many.
        bytes: usize,
    },
    /// Intact, and yet not what it should be.
    #[error("{name}: {reason}")]
    Content {
        /// What was wanted.
        name: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl CodecError {
    /// Intact bytes that do not say what they should.
    pub fn content<R: Record>(reason: &impl ToString) -> Self {
        Self::Content { name: R::NAME, reason: reason.to_string() }
    }

    /// Whether the bytes are whole, and it is this build that cannot read them.
    pub fn is_foreign(&self) -> bool {
        matches!(self, Self::Kind { .. } | Self::Version { .. })
    }
}

impl From<CodecError> for std::io::Error {
    fn from(error: CodecError) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

/// The bytes of `record`, in its newest version.
///
/// # Errors
/// If there are more than its kind may have.
pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    encode_into(record, &mut bytes)?;
    Ok(bytes)
}

/// Puts the bytes of `record` behind those that are in `bytes`.
///
/// # Errors
/// As for [`encode`]; `bytes` is as before then.
pub fn encode_into<R: Record>(record: &R, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
    let start = bytes.len();
    bytes.resize(start + BODY_AT, 0);
    if let Err(error) = options(R::BYTES_MAX).serialize_into(&mut *bytes, record) {
        bytes.truncate(start);
        return Err(match *error {
            bincode::ErrorKind::SizeLimit => CodecError::TooLarge {
                name: R::NAME,
                bytes: bincode::DefaultOptions::new()
                    .with_fixint_encoding()
                    .serialized_size(record)
                    .map_or(u64::MAX, |body| body + BODY_AT as u64),
                limit: R::BYTES_MAX,
            },
            _ => CodecError::content::<R>(&error),
        });
    }
    put_head(&mut bytes[start..], R::KIND, R::VERSION);
    Ok(())
}

/// Puts the head before a body that is in its place already.
fn put_head(record: &mut [u8], kind: u16, version: u16) {
    let (head, body) = record.split_at_mut(BODY_AT);
    head[KIND_AT..VERSION_AT].copy_from_slice(&kind.to_be_bytes());
    head[VERSION_AT..BODY_BYTES_AT].copy_from_slice(&version.to_be_bytes());
    head[BODY_BYTES_AT..CRC_AT].copy_from_slice(&(body.len() as u32).to_be_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&head[..CRC_AT]), body);
    head[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
}

/// The bytes of `record` for a group of this feature level, which all of its members can read.
///
/// # Errors
/// As for [`encode`], or if the record cannot be said at that level.
pub fn encode_at<R: Record>(record: &R, level: u16) -> Result<Vec<u8>, CodecError> {
    if R::SINCE <= level {
        return encode(record);
    }
    let (version, body) = record.encode_old(level)?;
    let mut bytes = vec![0; BODY_AT];
    bytes.extend_from_slice(&body);
    put_head(&mut bytes, R::KIND, version);
    Ok(bytes)
}

/// A body alone, for writers of old versions.
///
/// # Errors
/// If it is too large.
pub fn encode_body<T: Serialize>(
    name: &'static str,
    value: &T,
    bytes_max: usize,
) -> Result<Vec<u8>, CodecError> {
    let encoded = options(bytes_max).serialize(value);
    encoded.map_err(|error| CodecError::Content { name, reason: error.to_string() })
}

/// The record whose bytes these are, all of them.
///
/// # Errors
/// If they are not.
pub fn decode<R: Record>(mut bytes: &[u8]) -> Result<R, CodecError> {
    let record = decode_first(&mut bytes)?;
    if bytes.is_empty() { Ok(record) } else { Err(CodecError::Rest { name: R::NAME, bytes: bytes.len() }) }
}

/// The record that `bytes` begin with; they begin behind it on return.
///
/// # Errors
/// If they do not begin with one; they are as before then.
pub fn decode_first<R: Record>(bytes: &mut &[u8]) -> Result<R, CodecError> {
    let name = R::NAME;
    let short = |needed| CodecError::Short { name, bytes: bytes.len(), needed };
    let Some((head, rest)) = bytes.split_first_chunk::<BODY_AT>() else { return Err(short(BODY_AT)) };
    let [kind @ .., v0, v1, n0, n1, n2, n3, c0, c1, c2, c3] = *head;
    let (kind, version) = (u16::from_be_bytes(kind), u16::from_be_bytes([v0, v1]));
    let body_bytes = u32::from_be_bytes([n0, n1, n2, n3]) as usize;
    let total = body_bytes.saturating_add(BODY_AT);
    let too_large = CodecError::TooLarge { name, bytes: total as u64, limit: R::BYTES_MAX };
    let Some((body, rest)) = rest.split_at_checked(body_bytes) else {
        return Err(if kind == R::KIND && total > R::BYTES_MAX { too_large } else { short(total) });
    };
    // Before anything is believed: a damaged kind is damage, not another kind.
    let found = u32::from_be_bytes([c0, c1, c2, c3]);
    let computed = crc32c::crc32c_append(crc32c::crc32c(&head[..CRC_AT]), body);
    if found != computed {
        return Err(CodecError::Checksum { name, found, computed });
    }
    if kind != R::KIND {
        return Err(CodecError::Kind { name, wanted: R::KIND, found: kind });
    }
    if total > R::BYTES_MAX {
        return Err(too_large);
    }
    let newest = if R::SINCE > feature_level() { R::VERSION - 1 } else { R::VERSION };
    let record = match version {
        version if version == R::VERSION && version == newest => decode_body(name, body, R::BYTES_MAX)?,
        version if (R::OLDEST..R::VERSION).contains(&version) => R::decode_old(version, body)?,
        found => {
            let oldest = R::OLDEST;
            return Err(CodecError::Version { name, kind, found, oldest, newest });
        }
    };
    *bytes = rest;
    Ok(record)
}

/// Reads a body alone, for readers of old versions.
///
/// # Errors
/// If `body` is not exactly a `T`.
pub fn decode_body<T: DeserializeOwned>(
    name: &'static str,
    body: &[u8],
    bytes_max: usize,
) -> Result<T, CodecError> {
    let decoded = options(bytes_max).deserialize(body);
    decoded.map_err(|error| CodecError::Content { name, reason: error.to_string() })
}

/// Writes the body of `table` alone, however long: for a section of a checkpoint, which has its kind and version.
///
/// # Errors
/// If the writer fails.
pub fn write_body<R: Record>(table: &R, mut to: impl std::io::Write) -> std::io::Result<()> {
    let options = bincode::DefaultOptions::new().with_fixint_encoding().with_big_endian().with_no_limit();
    options.serialize_into(&mut to, table).map_err(io_error::<R>)
}

/// Reads the body of a section of that many bytes.
///
/// # Errors
/// If the reader fails, or it is not such a body.
pub(crate) fn read_body<R: Record>(from: impl std::io::Read, bytes: u64) -> std::io::Result<R> {
    let options = bincode::DefaultOptions::new().with_fixint_encoding().with_big_endian().with_limit(bytes);
    options.deserialize_from(from).map_err(io_error::<R>)
}

#[expect(clippy::boxed_local, reason = "it is what bincode's errors are")]
fn io_error<R: Record>(error: bincode::Error) -> std::io::Error {
    match *error {
        bincode::ErrorKind::Io(error) => error,
        error => CodecError::content::<R>(&error).into(),
    }
}

fn options(bytes_max: usize) -> impl Options {
    let bytes_max = bytes_max.saturating_sub(BODY_AT) as u64;
    bincode::DefaultOptions::new().with_fixint_encoding().with_big_endian().with_limit(bytes_max)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Crew {
        name: String,
        oars: Vec<u8>,
    }

    impl Record for Crew {
        const KIND: u16 = 0x01fe;
        const NAME: &'static str = "crew";
        const VERSION: u16 = 3;
        const OLDEST: u16 = 2;
        const SINCE: u16 = 2;
        const BYTES_MAX: usize = 100;

        fn encode_old(&self, _level: u16) -> Result<(u16, Vec<u8>), CodecError> {
            Ok((2, encode_body(Self::NAME, &self.name, Self::BYTES_MAX)?))
        }

        fn decode_old(_version: u16, body: &[u8]) -> Result<Self, CodecError> {
            Ok(Self { name: decode_body(Self::NAME, body, Self::BYTES_MAX)?, oars: Vec::new() })
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct OldCrew(String);

    impl Record for OldCrew {
        const KIND: u16 = Crew::KIND;
        const NAME: &'static str = "crew";
        const VERSION: u16 = 2;
        const BYTES_MAX: usize = 100;
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct OldestCrew(String);

    impl Record for OldestCrew {
        const KIND: u16 = Crew::KIND;
        const NAME: &'static str = "crew";
        const BYTES_MAX: usize = 100;
    }

    fn crew() -> Crew {
        Crew { name: "thranites".into(), oars: vec![1, 2, 3] }
    }

    #[test]
    fn a_record_comes_back_and_a_damaged_one_does_not() {
        let bytes = encode(&crew()).unwrap();
        assert_eq!(decode::<Crew>(&bytes).unwrap(), crew());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            decode::<Crew>(&damaged).expect_err("a damaged byte");
            decode::<Crew>(&bytes[..at]).expect_err("a cut record");
        }
        let longer = [bytes.as_slice(), b"x"].concat();
        assert_eq!(decode::<Crew>(&longer), Err(CodecError::Rest { name: "crew", bytes: 1 }));
        let two = [bytes.clone(), bytes].concat();
        let mut rest = two.as_slice();
        assert_eq!(decode_first::<Crew>(&mut rest).unwrap(), crew());
        assert_eq!(decode_first::<Crew>(&mut rest).unwrap(), crew());
        assert!(rest.is_empty());
    }

    #[test]
    fn an_old_version_is_read_and_an_unknown_one_is_told_with_what_it_takes() {
        let old = encode(&OldCrew("zygites".into())).unwrap();
        assert_eq!(decode::<Crew>(&old).unwrap(), Crew { name: "zygites".into(), oars: Vec::new() });
        let oldest = encode(&OldestCrew("thalamites".into())).unwrap();
        let told = decode::<Crew>(&oldest).unwrap_err();
        assert_eq!(
            told.to_string(),
            "crew (kind 0x01fe) has version 1, this build reads 2 to 3; it takes an older build"
        );
        let told = decode::<OldCrew>(&encode(&crew()).unwrap()).unwrap_err();
        assert!(told.is_foreign() && told.to_string().contains("has version 3, this build reads 2 to 2"));
    }

    #[test]
    fn a_group_of_an_old_level_is_written_what_all_of_its_members_read() {
        assert_eq!(encode_at(&crew(), 1).unwrap(), encode(&OldCrew("thranites".into())).unwrap());
        assert_eq!(encode_at(&crew(), 2).unwrap(), encode(&crew()).unwrap());
    }

    #[test]
    fn what_exceeds_the_limit_of_its_kind_is_an_error_with_both_numbers() {
        let large = Crew { oars: vec![0; 200], ..crew() };
        let before = vec![7];
        let mut bytes = before.clone();
        let error = encode_into(&large, &mut bytes).unwrap_err();
        assert_eq!((bytes, &error), (before, &CodecError::TooLarge { name: "crew", bytes: 237, limit: 100 }));
        // A lying length is refused before anything is allocated.
        let mut lying = encode(&crew()).unwrap();
        lying[BODY_BYTES_AT..CRC_AT].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(matches!(decode::<Crew>(&lying), Err(CodecError::TooLarge { .. })));
        decode_body::<Vec<u8>>("bytes", &u64::MAX.to_be_bytes(), 1 << 20).unwrap_err();
    }
}
