//! Bodies that a producer compressed. A broker never looks into them; clients do.

use std::borrow::Cow;

use thiserror::Error;

use super::sys_flag;
use crate::compression::{self, CompressionError};

/// Why a body cannot be read.
#[derive(Debug, Error)]
pub enum DecompressError {
    /// The flag names a compression that does not exist.
    #[error("unknown compression type {bits:#x} in the system flag")]
    UnknownType {
        /// The bits of [`sys_flag::COMPRESSION_TYPE_MASK`].
        bits: i32,
    },
    /// The compressed bytes cannot be read, or are too many.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}

/// The body as it was before compression; borrowed when its flag says that there was none.
///
/// # Errors
/// If the bytes are broken, or would become more than `bytes_max`.
pub fn decompress(body: &[u8], flag: i32, bytes_max: usize) -> Result<Cow<'_, [u8]>, DecompressError> {
    if flag & sys_flag::COMPRESSED == 0 {
        return Ok(Cow::Borrowed(body));
    }
    let bytes = match flag & sys_flag::COMPRESSION_TYPE_MASK {
        0 | sys_flag::COMPRESSION_ZLIB => compression::inflate(body, bytes_max)?,
        sys_flag::COMPRESSION_LZ4 => compression::lz4(body, bytes_max)?,
        sys_flag::COMPRESSION_ZSTD => compression::zstd(body, bytes_max)?,
        bits => return Err(DecompressError::UnknownType { bits }),
    };
    Ok(Cow::Owned(bytes))
}
