//! Frames between nodes, and reading and writing them. Every bound is checked here, before anything is
//! allocated.
//!
//! ```text
//! body length: u32 | kind: u8 | 3 zero bytes | id: u64 | crc32c of these 16 bytes: u32 | body
//! ```
//! The checksum of the head finds lost boundaries and strangers at once; bodies carry their own.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const BODY_BYTES_AT: usize = 0;
const KIND_AT: usize = BODY_BYTES_AT + size_of::<u32>();
const ID_AT: usize = KIND_AT + size_of::<u32>(); // the kind and three zero bytes
const CRC_AT: usize = ID_AT + size_of::<u64>();
const HEAD_BYTES: usize = CRC_AT + size_of::<u32>();
const _: () = assert!(HEAD_BYTES == 20);

/// Room for at least this much is offered to each read, so that small frames come several at a time.
const READ_BYTES_MIN: usize = 16 << 10;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// First of a connection: who calls, and for what.
    Hello = 1,
    /// The answer: who is called.
    Welcome = 2,
    /// The other answer: why not. The connection ends.
    Refusal = 3,
    /// A small call of raft itself.
    Call = 4,
    /// Its answer, same id.
    Answer = 5,
    /// Entries, in the log's own bytes.
    Append = 6,
    /// Their outcome, same id.
    Ack = 7,
    /// A call of the application, its own bytes.
    AppCall = 8,
    /// Its answer, same id.
    AppAnswer = 9,
    /// A piece of a snapshot.
    Snapshot = 10,
    /// Before the hello, where a secret is wanted.
    Challenge = 11,
    /// That the secret is known.
    Proof = 12,
}

impl Kind {
    fn parse(byte: u8) -> Option<Self> {
        const ALL: [Kind; 12] = [
            Kind::Hello,
            Kind::Welcome,
            Kind::Refusal,
            Kind::Call,
            Kind::Answer,
            Kind::Append,
            Kind::Ack,
            Kind::AppCall,
            Kind::AppAnswer,
            Kind::Snapshot,
            Kind::Challenge,
            Kind::Proof,
        ];
        ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// Largest body of a frame of this kind.
    pub(crate) const fn body_bytes_max(self) -> usize {
        match self {
            Self::Challenge | Self::Proof => 128,
            Self::Hello | Self::Welcome | Self::Refusal => 128 << 10,
            Self::Call | Self::Answer | Self::Ack => 1 << 20,
            Self::Append => 64 << 20,
            Self::AppCall | Self::AppAnswer => 32 << 20,
            Self::Snapshot => 4 << 20,
        }
    }
}

/// A frame that must not be read on; the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The stream ended or broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The head is not one of ours.
    #[error("not a frame of a raft peer")]
    Head,
    /// The body would be too large.
    #[error("{kind:?} frame of {bytes} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// What was announced.
        kind: Kind,
        /// Its body.
        bytes: usize,
        /// The largest allowed.
        limit: usize,
    },
    /// It is not what should come now.
    #[error("{0:?} frame where it does not belong")]
    Unexpected(Kind),
    /// The body is not what it should be.
    #[error("bad body: {0}")]
    Body(String),
}

impl From<store::codec::CodecError> for FrameError {
    fn from(error: store::codec::CodecError) -> Self {
        Self::Body(error.to_string())
    }
}

/// One frame read.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    pub(crate) body: Bytes,
}

/// Reads frames from one connection, into a buffer that is used again when nobody holds on to its bytes.
pub(crate) struct Reader {
    from: Box<dyn AsyncRead + Send + Unpin>,
    buf: BytesMut,
}

impl Reader {
    pub(crate) fn new(from: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        Self { from, buf: BytesMut::new() }
    }

    /// The next frame, which must be one of `allowed`.
    pub(crate) async fn next(&mut self, allowed: &[Kind]) -> Result<Frame, FrameError> {
        loop {
            let frame_bytes = match self.buf.first_chunk::<HEAD_BYTES>() {
                None => HEAD_BYTES,
                Some(head) => {
                    let (kind, id, body_bytes) = parse_head(*head)?;
                    if !allowed.contains(&kind) {
                        return Err(FrameError::Unexpected(kind));
                    }
                    let limit = kind.body_bytes_max();
                    if body_bytes > limit {
                        return Err(FrameError::TooLarge { kind, bytes: body_bytes, limit });
                    }
                    if self.buf.len() >= HEAD_BYTES + body_bytes {
                        let mut body = self.buf.split_to(HEAD_BYTES + body_bytes).freeze();
                        body.advance(HEAD_BYTES);
                        return Ok(Frame { kind, id, body });
                    }
                    HEAD_BYTES + body_bytes
                }
            };
            self.buf.reserve((frame_bytes - self.buf.len()).max(READ_BYTES_MIN));
            if self.from.read_buf(&mut self.buf).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

fn parse_head(head: [u8; HEAD_BYTES]) -> Result<(Kind, u64, usize), FrameError> {
    let mut rest = head.as_slice();
    let body_bytes = rest.get_u32() as usize;
    let kind = rest.get_u32().to_be_bytes();
    let id = rest.get_u64();
    let crc = rest.get_u32();
    if crc != crc32c::crc32c(&head[..CRC_AT]) {
        return Err(FrameError::Head);
    }
    let [kind, 0, 0, 0] = kind else { return Err(FrameError::Head) };
    Ok((Kind::parse(kind).ok_or(FrameError::Head)?, id, body_bytes))
}

/// A frame to write: its head and the parts of its body, none of them copied.
pub(crate) struct Parts(VecDeque<Bytes>);

impl Parts {
    /// # Panics
    /// If the body is larger than its kind may be: the caller has to see to that.
    pub(crate) fn new(kind: Kind, id: u64, body: impl IntoIterator<Item = Bytes>) -> Self {
        let mut parts: VecDeque<Bytes> = body.into_iter().filter(|part| !part.is_empty()).collect();
        let body_bytes: usize = parts.iter().map(Bytes::len).sum();
        let limit = kind.body_bytes_max();
        assert!(
            body_bytes <= limit,
            "{kind:?} frame of {body_bytes} bytes exceeds the limit of {limit} bytes"
        );
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.extend_from_slice(&(body_bytes as u32).to_be_bytes());
        head.extend_from_slice(&[kind as u8, 0, 0, 0]);
        head.extend_from_slice(&id.to_be_bytes());
        head.extend_from_slice(&crc32c::crc32c(&head).to_be_bytes());
        parts.push_front(Bytes::from(head));
        Self(parts)
    }

    /// Appends another frame, to be written in the same go.
    pub(crate) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Writes all of it.
    pub(crate) async fn write_to<W: AsyncWrite + Unpin + ?Sized>(mut self, mut to: &mut W) -> io::Result<()> {
        // Through the reference, because the method wants a sized writer.
        AsyncWriteExt::write_all_buf(&mut to, &mut self).await
    }
}

impl Buf for Parts {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slice, part) in into.iter_mut().zip(&self.0) {
            *slice = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut by: usize) {
        while by > 0 {
            let part = self.0.front_mut().expect("advanced past the end");
            if by < part.len() {
                part.advance(by);
                return;
            }
            by -= part.len();
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &[Kind] = &[Kind::Append, Kind::Hello];

    async fn read(bytes: Vec<u8>) -> Result<Frame, FrameError> {
        Reader::new(Box::new(io::Cursor::new(bytes))).next(ANY).await
    }

    async fn written(kind: Kind, id: u64, body: &[&'static [u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Parts::new(kind, id, body.iter().map(|part| Bytes::from_static(part)))
            .write_to(&mut bytes)
            .await
            .unwrap();
        bytes
    }

    #[tokio::test]
    async fn a_frame_in_parts_comes_back_whole() {
        let bytes = written(Kind::Append, 7, &[b"three", b"", b"banks of oars"]).await;
        let frame = read(bytes.clone()).await.unwrap();
        assert_eq!((frame.kind, frame.id, &frame.body[..]), (Kind::Append, 7, &b"threebanks of oars"[..]));
        for cut in 0..bytes.len() {
            assert!(matches!(read(bytes[..cut].to_vec()).await, Err(FrameError::Io(_))), "cut at {cut}");
        }
        for at in 0..HEAD_BYTES {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            assert!(matches!(read(bad).await, Err(FrameError::Head)), "byte {at}");
        }
    }

    #[tokio::test]
    async fn what_is_too_large_or_out_of_place_is_refused_by_its_head() {
        let mut head = written(Kind::Hello, 1, &[]).await;
        head[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        let crc = crc32c::crc32c(&head[..CRC_AT]);
        head[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
        assert!(matches!(read(head).await, Err(FrameError::TooLarge { .. })));
        let bytes = written(Kind::Ack, 1, &[]).await;
        assert!(matches!(read(bytes).await, Err(FrameError::Unexpected(Kind::Ack))));
    }
}
