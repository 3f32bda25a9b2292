//! When a failed send is tried again, and where: pure decisions, with the time handed in.

use std::time::Duration;

use protocol::ResponseCode;

use crate::error::{ClientError, Outcome};

/// Pause before the second attempt; it doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause between two attempts. Short on purpose: an election takes a few hundred milliseconds,
/// and what is waited beyond it is outage that the client makes itself.
const PAUSE_MAX: Duration = Duration::from_millis(80);

/// How often and how long one send may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Time for all attempts together, from the call to its return.
    pub deadline: Duration,
    /// Time for one attempt, so that one silent node does not use up the deadline.
    pub attempt_timeout: Duration,
    /// Attempts after the first. `None`: as many as the deadline allows. `Some(0)`: exactly one attempt.
    pub retries_max: Option<u32>,
}

impl Default for RetryPolicy {
    /// As many attempts as fit in 3 s, each of at most 1.5 s.
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(3),
            attempt_timeout: Duration::from_millis(1_500),
            retries_max: None,
        }
    }
}

/// What to do after an attempt has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again after this pause.
    Again {
        /// The pause.
        pause: Duration,
    },
    /// Report the error.
    GiveUp,
}

impl RetryPolicy {
    /// Decides after the failure of attempt number `attempt` (the first is 1), `elapsed` after the send began.
    pub(crate) fn after_failure(&self, error: &ClientError, attempt: u32, elapsed: Duration) -> Next {
        assert!(attempt >= 1, "attempts are counted from 1");
        if !is_retryable(error) || self.retries_max.is_some_and(|max| attempt > max) {
            return Next::GiveUp;
        }
        let pause = pause_after(attempt);
        if elapsed + pause >= self.deadline {
            return Next::GiveUp;
        }
        Next::Again { pause }
    }

    /// Time for the attempt that begins now, `elapsed` after the send began; `None` if none is left.
    pub(crate) fn attempt_time(&self, elapsed: Duration) -> Option<Duration> {
        let left = self.deadline.checked_sub(elapsed).filter(|left| !left.is_zero())?;
        // With a single attempt there is nothing to save time for.
        Some(if self.retries_max == Some(0) { left } else { left.min(self.attempt_timeout) })
    }
}

fn pause_after(attempt: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << (attempt - 1).min(8)).min(PAUSE_MAX)
}

/// Whether another attempt may help. The codes are those of Java's `DefaultMQProducer.retryResponseCodes`.
pub(crate) fn is_retryable(error: &ClientError) -> bool {
    match error {
        ClientError::NotSent { .. }
        | ClientError::NoAnswer { .. }
        | ClientError::NoLeader { .. }
        | ClientError::NameServers { .. } => true,
        ClientError::Refused { code, .. } => is_retry_code(*code),
        _ => false,
    }
}

/// Whether a response code to a send says "not now" rather than "never".
pub(crate) fn is_retry_code(code: i32) -> bool {
    matches!(
        code,
        ResponseCode::SYSTEM_ERROR
            | ResponseCode::SYSTEM_BUSY
            | ResponseCode::SERVICE_NOT_AVAILABLE
            | ResponseCode::NO_PERMISSION
            | ResponseCode::TOPIC_NOT_EXIST
            | ResponseCode::GO_AWAY
    )
}

/// The outcome of several attempts together: unknown as soon as one of them is.
pub(crate) fn combined(before: Outcome, this: Outcome) -> Outcome {
    if before == Outcome::Unknown { Outcome::Unknown } else { this }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i32) -> ClientError {
        ClientError::Refused {
            addr: "a:1".into(),
            request: "SEND_MESSAGE_V2",
            code,
            remark: String::new(),
            outcome: Outcome::Unknown,
        }
    }

    #[test]
    fn refusals_that_mean_not_now_are_tried_again_and_the_others_are_not() {
        for (code, again) in
            [(1, true), (2, true), (14, true), (16, true), (17, true), (1500, true), (13, false)]
        {
            let next = RetryPolicy::default().after_failure(&refused(code), 1, Duration::ZERO);
            assert_eq!(matches!(next, Next::Again { .. }), again, "code {code}");
        }
    }

    #[test]
    fn without_retries_the_first_failure_is_the_last() {
        let policy = RetryPolicy { retries_max: Some(0), ..RetryPolicy::default() };
        assert_eq!(policy.after_failure(&refused(14), 1, Duration::ZERO), Next::GiveUp);
        assert_eq!(policy.attempt_time(Duration::ZERO), Some(policy.deadline));
    }

    #[test]
    fn retries_are_counted_from_the_second_attempt() {
        let policy = RetryPolicy { retries_max: Some(2), ..RetryPolicy::default() };
        assert!(matches!(policy.after_failure(&refused(1), 2, Duration::ZERO), Next::Again { .. }));
        assert_eq!(policy.after_failure(&refused(1), 3, Duration::ZERO), Next::GiveUp);
    }

    #[test]
    fn no_attempt_begins_after_the_deadline() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.after_failure(&refused(14), 7, Duration::from_millis(2_990)), Next::GiveUp);
        assert_eq!(policy.attempt_time(Duration::from_secs(3)), None);
        assert_eq!(policy.attempt_time(Duration::from_millis(2_600)), Some(Duration::from_millis(400)));
    }

    #[test]
    fn pauses_grow_to_their_bound() {
        let pauses: Vec<_> = (1..=5).map(|attempt| pause_after(attempt).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 80]);
        assert_eq!(pause_after(u32::MAX), PAUSE_MAX);
    }

    #[test]
    fn one_unknown_attempt_makes_the_whole_send_unknown() {
        assert_eq!(combined(Outcome::Failed, Outcome::Unknown), Outcome::Unknown);
        assert_eq!(combined(Outcome::Unknown, Outcome::Failed), Outcome::Unknown);
        assert_eq!(combined(Outcome::Failed, Outcome::Failed), Outcome::Failed);
    }
}
