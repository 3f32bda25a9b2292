//! Making bodies smaller before they are sent.

use std::io::Write;

use bytes::Bytes;
use protocol::compression;
use protocol::message::sys_flag;

/// Zstandard's own default level, which Java's client uses as well.
const ZSTD_LEVEL: i32 = 3;

/// How a body is compressed. Every consumer of RocketMQ 4 reads zlib; the other two need one of 5.0 or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Compression {
    /// Reads everywhere.
    #[default]
    Zlib,
    /// Fastest, and compresses least.
    Lz4,
    /// Faster than zlib, and compresses as well or better.
    Zstd,
}

impl Compression {
    /// The bits that tell a reader how to read it. Source: Java `CompressionType`.
    pub(super) fn sys_flag(self) -> i32 {
        sys_flag::COMPRESSED
            | match self {
                Self::Zlib => sys_flag::COMPRESSION_ZLIB,
                Self::Lz4 => sys_flag::COMPRESSION_LZ4,
                Self::Zstd => sys_flag::COMPRESSION_ZSTD,
            }
    }

    /// The body compressed; `None` if that does not make it smaller.
    pub(super) fn compress(self, body: &[u8]) -> Option<Bytes> {
        let compressed = match self {
            Self::Zlib => compression::deflate(body),
            Self::Lz4 => lz4(body),
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL).ok()?,
        };
        (compressed.len() < body.len()).then(|| compressed.into())
    }
}

/// One LZ4 frame of independent blocks, as Java's reader wants it.
fn lz4(body: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(body).expect("writing into memory never fails");
    encoder.finish().expect("writing into memory never fails")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_can_be_read_again() {
        let body = "压缩 compressible ".repeat(500);
        for kind in [Compression::Zlib, Compression::Lz4, Compression::Zstd] {
            let sent = kind.compress(body.as_bytes()).unwrap();
            assert!(sent.len() < body.len() / 2, "{kind:?} made {} bytes of {}", sent.len(), body.len());
            let read = protocol::message::decompress(&sent, kind.sys_flag(), body.len()).unwrap();
            assert_eq!(&*read, body.as_bytes(), "{kind:?}");
        }
    }

    #[test]
    fn what_would_grow_stays_as_it_is() {
        for kind in [Compression::Zlib, Compression::Lz4, Compression::Zstd] {
            assert_eq!(kind.compress(b"abc"), None, "{kind:?}");
        }
    }
}
