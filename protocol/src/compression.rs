//! Compressed bytes, read and written with a bound on what comes out.

use std::io::{self, Read};

use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use thiserror::Error;

/// Why compressed bytes cannot be read.
#[derive(Debug, Error)]
pub enum CompressionError {
    /// They are broken.
    #[error("{format} stream is broken")]
    Broken {
        /// What they should be.
        format: &'static str,
        /// What the decoder says.
        source: io::Error,
    },
    /// More would come out than is allowed.
    #[error("{format} stream holds more than the limit of {limit} bytes")]
    TooLong {
        /// What they are.
        format: &'static str,
        /// The most that may come out.
        limit: usize,
    },
}

/// Inflates a zlib stream to at most `bytes_max` bytes.
///
/// # Errors
/// If it is broken or too long.
pub fn inflate(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    read_limited("zlib", ZlibDecoder::new(bytes), bytes_max)
}

/// Deflates `bytes` into a zlib stream, at the level that clients use.
///
/// # Panics
/// Never: compressing from memory into memory cannot fail.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    const LEVEL: u32 = 5;
    let mut out = Vec::new();
    ZlibEncoder::new(bytes, Compression::new(LEVEL))
        .read_to_end(&mut out)
        .expect("compressing from memory into memory never fails");
    out
}

/// Decompresses LZ4 frames to at most `bytes_max` bytes.
///
/// # Errors
/// If they are broken or too long.
pub fn lz4(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    read_limited("lz4", lz4_flex::frame::FrameDecoder::new(bytes), bytes_max)
}

/// Decompresses Zstandard frames to at most `bytes_max` bytes.
///
/// # Errors
/// If they are broken or too long, or ask for a window above 8 MiB.
pub fn zstd(bytes: &[u8], bytes_max: usize) -> Result<Vec<u8>, CompressionError> {
    /// Binary logarithm of the largest window, which the decoder allocates before the first byte comes out.
    const WINDOW_LOG_MAX: u32 = 23;
    let broken = |source| CompressionError::Broken { format: "zstd", source };
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(broken)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(broken)?;
    read_limited("zstd", decoder, bytes_max)
}

/// Reads to the end, or to one byte more than allowed: memory grows with what comes out, never with what a header
/// claims.
fn read_limited(format: &'static str, from: impl Read, limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut out = Vec::new();
    let mut from = from.take(limit as u64 + 1);
    from.read_to_end(&mut out).map_err(|source| CompressionError::Broken { format, source })?;
    if out.len() > limit {
        return Err(CompressionError::TooLong { format, limit });
    }
    Ok(out)
}
