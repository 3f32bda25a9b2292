//! What became of one attempt to change something, judged by what its client saw.
//!
//! The rules are those of a judge: *failed* is said only where the message can never come to be, *acked*
//! only where the broker promised it, and everything else is *unknown*. Calling an unknown outcome failed
//! makes false alarms, calling it acked makes false losses.

use protocol::{Command, ResponseCode};
use remoting::CallError;

/// What became of a mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker promised it.
    Acked,
    /// It certainly has no effect; why.
    Failed(String),
    /// Nobody knows; why.
    Unknown(String),
}

/// Reply field by which a broker says whether a refused request may still have an effect.
const OUTCOME_FIELD: &str = "outcome";

/// Codes by which a request is refused for what it says, before anybody looks at the log.
const REFUSED: &[i32] = &[
    ResponseCode::REQUEST_CODE_NOT_SUPPORTED,
    ResponseCode::MESSAGE_ILLEGAL,
    ResponseCode::NO_PERMISSION,
    ResponseCode::TOPIC_NOT_EXIST,
];

/// Judges the answer to a mutation.
pub fn of_mutation(answer: &Result<Command, CallError>) -> Outcome {
    let reply = match answer {
        Ok(reply) => reply,
        Err(error) if error.is_not_sent() => return Outcome::Failed(format!("not sent: {error}")),
        Err(error) => return Outcome::Unknown(error.to_string()),
    };
    if reply.code == ResponseCode::SUCCESS {
        return Outcome::Acked;
    }
    let name = protocol::code::response_name(reply.code).unwrap_or("unnamed");
    let remark = reply.remark.as_deref().unwrap_or_default();
    let cause = format!("code {} {name}: {remark}", reply.code);
    match reply.ext.get(OUTCOME_FIELD) {
        Some("none") => Outcome::Failed(cause),
        None if REFUSED.contains(&reply.code) => Outcome::Failed(cause),
        _ => Outcome::Unknown(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remoting::{NotSent, Unknown};
    use std::time::Duration;

    fn reply(code: i32, outcome: Option<&str>) -> Command {
        let reply = Command::request(code);
        match outcome {
            Some(outcome) => reply.with(OUTCOME_FIELD, outcome),
            None => reply,
        }
    }

    fn kind(answer: &Result<Command, CallError>) -> &'static str {
        match of_mutation(answer) {
            Outcome::Acked => "acked",
            Outcome::Failed(_) => "failed",
            Outcome::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn only_a_success_is_an_ack() {
        assert_eq!(kind(&Ok(reply(ResponseCode::SUCCESS, None))), "acked");
        for code in [
            ResponseCode::FLUSH_DISK_TIMEOUT,
            ResponseCode::FLUSH_SLAVE_TIMEOUT,
            ResponseCode::SLAVE_NOT_AVAILABLE,
        ] {
            assert_eq!(
                kind(&Ok(reply(code, None))),
                "unknown",
                "code {code} counts as sent for clients, not here"
            );
        }
    }

    #[test]
    fn only_what_was_never_proposed_has_failed() {
        let addr = || "127.0.0.1:1".to_owned();
        let refused = CallError::NotSent { addr: addr(), reason: NotSent::Closed };
        let silent = CallError::Unknown { addr: addr(), reason: Unknown::Timeout(Duration::from_secs(3)) };
        assert_eq!(kind(&Err(refused)), "failed");
        assert_eq!(kind(&Err(silent)), "unknown");
        for code in
            [ResponseCode::SYSTEM_ERROR, ResponseCode::SYSTEM_BUSY, ResponseCode::SERVICE_NOT_AVAILABLE, -77]
        {
            assert_eq!(kind(&Ok(reply(code, None))), "unknown", "code {code} says nothing about the log");
            assert_eq!(kind(&Ok(reply(code, Some("none")))), "failed", "code {code}");
            assert_eq!(kind(&Ok(reply(code, Some("unknown")))), "unknown", "code {code}");
        }
        assert_eq!(kind(&Ok(reply(ResponseCode::TOPIC_NOT_EXIST, None))), "failed");
    }
}
