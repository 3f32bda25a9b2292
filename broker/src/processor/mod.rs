//! One file a request family: request in, answer out. What a request means is here; who may answer it is in
//! `gate.rs` and `handler.rs`.

#![expect(clippy::needless_pass_by_value, reason = "processors have one signature, `handler::Processor`")]

pub mod admin;
pub mod assignment;
pub mod client;
pub mod config_admin;
pub mod group_admin;
pub mod lock;
pub mod message_query;
pub mod offset;
pub mod progress;
pub mod pull;
pub mod pull_read;
pub mod relay;
pub mod send;
pub mod send_back;
pub mod send_check;
pub mod subscription;
pub mod topic_admin;
mod topic_create;

use protocol::route::DataVersion;
use protocol::{Command, FieldError, ResponseCode};

use crate::exchange::refuse;
use crate::submit::SubmitError;
use crate::tables::Version;

/// The answer to a request whose header lacks something or cannot be read.
fn bad_header(request: &Command, error: &FieldError) -> Command {
    refuse(request, ResponseCode::SYSTEM_ERROR, error.to_string())
}

/// The answer to a request whose change was not committed.
fn not_submitted(request: &Command, error: &SubmitError) -> Command {
    if error.is_none() {
        refuse(request, ResponseCode::SERVICE_NOT_AVAILABLE, error.to_string()).with("outcome", "none")
    } else {
        crate::gate::unknown(request, &error.to_string())
    }
}

/// A table's version as RocketMQ tells it; `state` is the term where name servers are told, else 0.
pub fn data_version(version: Version, state: u64) -> DataVersion {
    DataVersion {
        counter: version.counter as i64,
        state_version: state as i64,
        timestamp: version.timestamp_ms as i64,
    }
}

/// Unwraps a header, or answers that it cannot be read and returns.
macro_rules! header {
    ($header:ty, $request:expr, $answer:expr) => {
        match <$header>::read(&$request) {
            Ok(header) => header,
            Err(error) => return $answer.send($crate::processor::bad_header(&$request, &error)),
        }
    };
}
use header;
