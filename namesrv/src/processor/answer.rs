//! What a request is answered with.

use protocol::code::response;
use protocol::{Command, FieldError, Header};

/// A request that is answered with an error code.
#[derive(Debug)]
pub(super) struct Failure {
    pub code: i32,
    pub remark: String,
}

impl Failure {
    pub fn new(code: i32, remark: impl Into<String>) -> Self {
        Self { code, remark: remark.into() }
    }

    pub fn system(remark: impl Into<String>) -> Self {
        Self::new(response::SYSTEM_ERROR, remark)
    }
}

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self::system(error.to_string())
    }
}

pub(super) type Answer = Result<Command, Failure>;

/// Success, to be filled.
pub(super) fn success(request: &Command) -> Command {
    Command::response_to(request, response::SUCCESS)
}

/// Reads a typed header.
pub(super) fn read<H: Header>(command: &Command) -> Result<H, Failure> {
    Ok(H::read(command)?)
}
