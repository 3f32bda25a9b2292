//! Who may say who leads: with `registerSecret`, brokers that prove that they know it.

use platform::Platform;
use protocol::Command;
use protocol::code::{request, response};
use protocol::proof::{CHALLENGE, RegisterSecret};
use rand::Rng;

/// The proofs that one name server asks for.
pub(super) struct Proofs {
    secret: RegisterSecret,
    /// Only this name server can make its challenges, and no other run of it makes the same.
    challenges: RegisterSecret,
}

impl Proofs {
    pub(super) fn new(secret: RegisterSecret, platform: &Platform) -> Self {
        let key: u128 = platform.rng.rng("challenges").random();
        Self { secret, challenges: RegisterSecret::new(format!("{key:032x}")) }
    }

    /// The answer to a request that only a broker may make, if it does not prove that it comes from one.
    pub(super) fn refuse(&self, connection: u64, command: &Command) -> Option<Command> {
        let is_a_brokers = matches!(
            command.code,
            request::REGISTER_BROKER
                | request::UNREGISTER_BROKER
                | request::BROKER_HEARTBEAT
                | request::QUERY_DATA_VERSION
        );
        let challenge = self.challenges.challenge(connection);
        if !is_a_brokers || self.secret.is_proved(command, &challenge) {
            return None;
        }
        let remark =
            "this name server has a registerSecret, and this request does not prove that its sender knows it";
        Some(
            Command::response_to(command, response::SYSTEM_ERROR)
                .with_remark(remark)
                .with(CHALLENGE, challenge),
        )
    }
}
