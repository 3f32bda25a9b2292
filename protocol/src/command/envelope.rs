//! What one frame says, before anybody asks what its fields mean.

use std::fmt::Display;

use bytes::Bytes;

use crate::ext::{ExtFields, FieldError};
use crate::language::Language;
use crate::version::VERSION;

/// Bit of [`Command::flag`]: this is a response.
const RESPONSE_FLAG: i32 = 1;
/// Bit of [`Command::flag`]: no answer is wanted.
const ONEWAY_FLAG: i32 = 2;

/// How the header of a frame is written. Each frame says it for itself; the two directions of a connection may
/// differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HeaderEncoding {
    /// Type 0. Every client reads it.
    #[default]
    Json,
    /// Type 1, `ROCKETMQ`. C++ clients cannot read it: only for a peer that used it itself.
    Binary,
}

impl HeaderEncoding {
    /// The type byte of the frame.
    pub fn number(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Binary => 1,
        }
    }

    /// The encoding of a type byte, if there is one.
    pub fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Json),
            1 => Some(Self::Binary),
            _ => None,
        }
    }
}

/// What one frame says: a request or a response, by bit 0 of its flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The request code, or in a response the response code. See [`crate::code`].
    pub code: i32,
    /// The language of the sender.
    pub language: Language,
    /// The release of the sender. See [`crate::version`].
    pub version: i32,
    /// The request id, which the response echoes. Each side counts its own.
    pub opaque: i32,
    /// Bit 0: response. Bit 1: oneway.
    pub flag: i32,
    /// Text for a human; in a response that failed, why.
    pub remark: Option<String>,
    /// The custom header fields.
    pub ext: ExtFields,
    /// What follows the header; empty for none.
    pub body: Bytes,
    /// How the header of this frame was or will be written.
    pub encoding: HeaderEncoding,
}

/// A typed header: the fields of one kind of request or response.
pub trait Header: Sized {
    /// Reads the fields of `command`.
    ///
    /// # Errors
    /// If a required field is missing, or one cannot be read.
    fn read(command: &Command) -> Result<Self, FieldError>;

    /// Puts the fields into `ext`; those that are absent are left out.
    fn write(&self, ext: &mut ExtFields);
}

impl Command {
    /// A request of our own client, with opaque 0: whoever sends it gives it its number.
    pub fn request(code: i32) -> Self {
        Self {
            code,
            language: Language::Rust,
            version: VERSION,
            opaque: 0,
            flag: 0,
            remark: None,
            ext: ExtFields::new(),
            body: Bytes::new(),
            encoding: HeaderEncoding::Json,
        }
    }

    /// A request of a broker or a name server, to anyone. Its language is Java's, since Java's old clients know no
    /// Rust and drop the connection over it (3.x: `No enum constant LanguageCode.RUST`).
    pub fn request_of_broker(code: i32) -> Self {
        Self { language: Language::Java, ..Self::request(code) }
    }

    /// The response to `request`: its opaque, its header encoding, the language and version that every client
    /// expects of a broker.
    pub fn response_to(request: &Self, code: i32) -> Self {
        Self {
            opaque: request.opaque,
            flag: RESPONSE_FLAG,
            encoding: request.encoding,
            ..Self::request_of_broker(code)
        }
    }

    /// The same, as a request that wants no answer.
    #[must_use]
    pub fn oneway(mut self) -> Self {
        self.flag |= ONEWAY_FLAG;
        self
    }

    /// The same with a remark.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with one more header field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.ext.insert_display(name, value);
        self
    }

    /// The same with the fields of a typed header.
    #[must_use]
    pub fn with_header(mut self, header: &impl Header) -> Self {
        header.write(&mut self.ext);
        self
    }

    /// Whether this is a response.
    pub fn is_response(&self) -> bool {
        self.flag & RESPONSE_FLAG != 0
    }

    /// Whether this is a request that wants no answer.
    pub fn is_oneway(&self) -> bool {
        self.flag & ONEWAY_FLAG != 0
    }
}
