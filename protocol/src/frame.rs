//! Frames: `length i32, mark (type u8, header length u24), header, body`. Source: Java's `RemotingCommand` and
//! `NettyDecoder`.

use bytes::{BufMut, Bytes, BytesMut};

use crate::command::{Command, HeaderEncoding};
use crate::header::{binary, json};

pub use crate::frame_error::FrameError;

/// The longest frame, its 4 length bytes included; Java closes the connection on a longer one, and so do we.
pub const FRAME_BYTES_MAX: usize = 16_777_216;

const LENGTH_BYTES: usize = size_of::<i32>();
const MARK_BYTES: usize = size_of::<u32>();
/// What stands before the header.
const PREFIX_BYTES: usize = LENGTH_BYTES + MARK_BYTES;
const HEADER_BYTES_MAX: usize = 0x00FF_FFFF;
const _: () = assert!(PREFIX_BYTES == 8);
const _: () = assert!(FRAME_BYTES_MAX - LENGTH_BYTES <= i32::MAX as usize);

/// Takes one whole frame off the front of `buf`; `None` if it has not all arrived yet, and then `buf` is as it was.
/// The body of the command shares the memory of `buf`.
///
/// # Errors
/// As soon as the announced lengths are impossible, or when the header cannot be read. The stream has lost its
/// boundaries then: close it.
pub fn decode(buf: &mut BytesMut) -> Result<Option<Command>, FrameError> {
    let Some(prefix) = Prefix::parse(buf)? else { return Ok(None) };
    if buf.len() < prefix.frame_bytes {
        return Ok(None);
    }
    let mut frame = buf.split_to(prefix.frame_bytes).freeze();
    let body = frame.split_off(PREFIX_BYTES + prefix.header_bytes);
    let header = &frame[PREFIX_BYTES..];
    let mut command = match prefix.encoding {
        HeaderEncoding::Json => json::decode(header)?,
        HeaderEncoding::Binary => binary::decode(header)?,
    };
    command.body = body;
    Ok(Some(command))
}

/// How many bytes the frame at the front of `buf` has in all; `None` until its first 8 bytes are there. For readers
/// that make room before they read on.
///
/// # Errors
/// As [`decode`], for the lengths only.
pub fn frame_bytes(buf: &[u8]) -> Result<Option<usize>, FrameError> {
    Ok(Prefix::parse(buf)?.map(|prefix| prefix.frame_bytes))
}

/// The lengths at the front of a frame; every bound of theirs is checked in [`Self::parse`], and only there.
struct Prefix {
    /// The whole frame, this prefix included.
    frame_bytes: usize,
    header_bytes: usize,
    encoding: HeaderEncoding,
}

impl Prefix {
    fn parse(buf: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some((length, rest)) = buf.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = i32::from_be_bytes(*length);
        let after_length = usize::try_from(length).map_err(|_| FrameError::Length { length })?;
        if after_length < MARK_BYTES {
            return Err(FrameError::Length { length });
        }
        let frame_bytes = LENGTH_BYTES + after_length;
        if frame_bytes > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong { bytes: frame_bytes as u64, limit: FRAME_BYTES_MAX });
        }
        let Some((mark, _)) = rest.split_first_chunk::<MARK_BYTES>() else { return Ok(None) };
        let [header_type, a, b, c] = *mark;
        let encoding =
            HeaderEncoding::from_number(header_type).ok_or(FrameError::HeaderType { header_type })?;
        let header_bytes = u32::from_be_bytes([0, a, b, c]) as usize;
        let left = after_length - MARK_BYTES;
        if header_bytes > left {
            return Err(FrameError::HeaderTooLong { header_bytes, left });
        }
        Ok(Some(Self { frame_bytes, header_bytes, encoding }))
    }
}

impl Command {
    /// The front of the frame, length, mark and header, for a body of `body_bytes` that follows it on the wire.
    /// [`Command::body`] is not looked at: the body may lie elsewhere, in several pieces.
    ///
    /// # Errors
    /// If the frame would be too long, or a number does not fit the binary header.
    pub fn encode_head(&self, body_bytes: usize) -> Result<Bytes, FrameError> {
        encode_head(self, body_bytes, 0).map(BytesMut::freeze)
    }

    /// The whole frame in one piece, [`Command::body`] included.
    ///
    /// # Errors
    /// As [`Command::encode_head`].
    pub fn encode(&self) -> Result<Bytes, FrameError> {
        encode(self)
    }
}

/// The front of the frame of `command`, up to and without the body, which has `body_bytes` bytes. With `room`, that
/// many bytes more are allocated behind it.
fn encode_head(command: &Command, body_bytes: usize, room: usize) -> Result<BytesMut, FrameError> {
    /// What the JSON header has around its fields and remark, generously.
    const JSON_BYTES: usize = 192;
    /// What JSON puts around one field, with some room for escapes.
    const FIELD_BYTES: usize = 12;
    let remark_bytes = command.remark.as_ref().map_or(0, String::len);
    let guess = JSON_BYTES + command.ext.text_bytes() + command.ext.len() * FIELD_BYTES + remark_bytes;
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + guess + room);
    out.put_bytes(0, PREFIX_BYTES);
    match command.encoding {
        HeaderEncoding::Json => json::encode(command, &mut out),
        HeaderEncoding::Binary => binary::encode(command, &mut out)?,
    }
    let header_bytes = out.len() - PREFIX_BYTES;
    if header_bytes > HEADER_BYTES_MAX {
        return Err(FrameError::HeaderTooLong { header_bytes, left: HEADER_BYTES_MAX });
    }
    let frame_bytes = (out.len() as u64).saturating_add(body_bytes as u64);
    if frame_bytes > FRAME_BYTES_MAX as u64 {
        return Err(FrameError::TooLong { bytes: frame_bytes, limit: FRAME_BYTES_MAX });
    }
    let length = (frame_bytes as u32) - LENGTH_BYTES as u32;
    let mark = (u32::from(command.encoding.number()) << 24) | header_bytes as u32;
    out[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
    out[LENGTH_BYTES..PREFIX_BYTES].copy_from_slice(&mark.to_be_bytes());
    Ok(out)
}

/// The whole frame of `command` in one piece.
fn encode(command: &Command) -> Result<Bytes, FrameError> {
    let mut out = encode_head(command, command.body.len(), command.body.len())?;
    out.put_slice(&command.body);
    Ok(out.freeze())
}
