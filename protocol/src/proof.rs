//! Proof of a registration: with a secret, a broker proves to the name server that it may say who leads.
//!
//! ```text
//! broker                                   name server
//!   request                            ->
//!                                      <-  refused, with a challenge for this connection
//!   request, HMAC(challenge, request)  ->
//! ```
//! The fields are our own. HMAC-SHA256 (RFC 2104) over the challenge and everything the request says: what was overheard
//! serves on no other connection and for no other request.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::Command;

/// In an answer: what a proof on this connection has to be made with.
pub const CHALLENGE: &str = "triremeChallenge";
/// In a request: the proof, in hexadecimal digits.
pub const PROOF: &str = "triremeProof";

/// What name servers and their brokers share. Never shown, not even in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisterSecret(String);

impl RegisterSecret {
    /// Takes a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// `request` with the proof that an answer's `challenge` asks for.
    #[must_use]
    pub fn prove(&self, mut request: Command, challenge: &str) -> Command {
        request.ext.remove(PROOF);
        let proof = hex(&self.mac(&request, challenge).finalize().into_bytes());
        request.with(PROOF, proof)
    }

    /// Whether `request` proves that its sender knows this secret.
    pub fn is_proved(&self, request: &Command, challenge: &str) -> bool {
        let Some(proof) = request.ext.get(PROOF).and_then(unhex) else { return false };
        self.mac(request, challenge).verify_slice(&proof).is_ok()
    }

    /// A text that only the holder of this secret can make out of `number`.
    pub fn challenge(&self, number: u64) -> String {
        let mut mac = self.keyed();
        mac.update(&number.to_be_bytes());
        hex(&mac.finalize().into_bytes())
    }

    fn keyed(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("HMAC takes a key of any length")
    }

    /// Every part goes in behind its length, so that no two requests have the same bytes.
    fn mac(&self, request: &Command, challenge: &str) -> Hmac<Sha256> {
        let mut fields: Vec<_> = request.ext.iter().filter(|(name, _)| *name != PROOF).collect();
        fields.sort_unstable();
        let mut mac = self.keyed();
        let mut put = |bytes: &[u8]| {
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(bytes);
        };
        put(challenge.as_bytes());
        put(&request.code.to_be_bytes());
        put(&(fields.len() as u64).to_be_bytes());
        for (name, value) in fields {
            put(name.as_bytes());
            put(value.as_bytes());
        }
        put(&request.body);
        mac
    }
}

impl std::fmt::Debug for RegisterSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegisterSecret")
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes all");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_serves_for_its_request_its_challenge_and_its_secret_only() {
        let (secret, other) =
            (RegisterSecret::new("three banks of oars"), RegisterSecret::new("two banks of oars"));
        let request =
            || Command::request(103).with("brokerName", "a").with("brokerId", 0).with_body("topics");
        let proved = secret.prove(request(), "c1");
        assert!(secret.is_proved(&proved, "c1"));
        assert!(secret.is_proved(&secret.prove(proved.clone(), "c1"), "c1"), "proved once more");
        assert!(!secret.is_proved(&proved, "c2") && !other.is_proved(&proved, "c1"));
        assert!(!secret.is_proved(&request(), "c1"));
        let changed: [fn(&mut Command); 5] = [
            |command| command.code = 104,
            |command| command.ext.insert("brokerId", "1"),
            |command| command.ext.insert("more", ""),
            |command| command.body = "topicz".into(),
            |command| command.ext.insert(PROOF, "zz"),
        ];
        for (number, change) in changed.into_iter().enumerate() {
            let mut command = proved.clone();
            change(&mut command);
            assert!(!secret.is_proved(&command, "c1"), "change {number}");
        }
        assert_ne!(secret.challenge(1), secret.challenge(2));
        assert_eq!(format!("{secret:?}"), "RegisterSecret");
    }
}
