//! Proof of membership: with a secret, both sides of a connection prove that they know it before anything else is said.
//!
//! ```text
//! caller                                              listener
//!   Challenge: from, to, caller's nonce           ->
//!                                                 <-  Proof: listener's nonce, HMAC(2, from, to, both nonces)
//!   Proof: no nonce, HMAC(1, from, to, both nonces) ->
//!   Hello, and everything else                    ->
//! ```
//! HMAC-SHA256 (RFC 2104) over the side, both ids and both nonces: no answer serves on another connection, between
//! other nodes, or in the other direction. It proves who connects; it does not hide or protect what follows.

use bytes::Bytes;
use hmac::{Hmac, Mac};
use platform::Platform;
use rand::Rng;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use store::codec::{self, Record};
use tokio::io::AsyncWrite;

use super::frame::{Kind, Parts, Reader};
use crate::config::PeerSecret;
use crate::{NodeId, node_name};

type Nonce = [u8; 32];

/// First word of a caller that has a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Challenge {
    from: NodeId,
    to: NodeId,
    nonce: Nonce,
}

impl Record for Challenge {
    const KIND: u16 = 0x020b;
    const NAME: &'static str = "challenge";
    const BYTES_MAX: usize = 128;
}

/// What proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Proof {
    /// Zeros from the caller, whose nonce is in its challenge.
    nonce: Nonce,
    mac: [u8; 32],
}

impl Record for Proof {
    const KIND: u16 = 0x020c;
    const NAME: &'static str = "proof";
    const BYTES_MAX: usize = 128;
}

/// Who proves that it knows the secret.
#[derive(Clone, Copy)]
enum Side {
    Caller = 1,
    Listener = 2,
}

fn mac(secret: &PeerSecret, side: Side, challenge: &Challenge, nonce: &Nonce) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes a key of any length");
    mac.update(&[side as u8]);
    mac.update(&challenge.from.to_be_bytes());
    mac.update(&challenge.to.to_be_bytes());
    mac.update(&challenge.nonce);
    mac.update(nonce);
    mac
}

fn nonce(platform: &Platform) -> Nonce {
    platform.rng.rng("nonce").random()
}

async fn send<R: Record>(
    writer: &mut (dyn AsyncWrite + Send + Unpin),
    kind: Kind,
    record: &R,
) -> Result<(), String> {
    let bytes = Bytes::from(codec::encode(record).map_err(|error| error.to_string())?);
    Parts::new(kind, 0, [bytes]).write_to(writer).await.map_err(|error| error.to_string())
}

async fn receive<R: Record>(reader: &mut Reader, kind: Kind) -> Result<R, String> {
    let frame = reader.next(&[kind, Kind::Refusal]).await.map_err(|error| error.to_string())?;
    if frame.kind == Kind::Refusal {
        return Err(String::from_utf8_lossy(&frame.body).into_owned());
    }
    codec::decode(&frame.body).map_err(|error| error.to_string())
}

/// The caller's side.
///
/// # Errors
/// If the connection breaks, or the listener does not know the secret; in words for a person.
pub(super) async fn prove_as_caller(
    platform: &Platform,
    secret: &PeerSecret,
    (from, to): (NodeId, NodeId),
    reader: &mut Reader,
    writer: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<(), String> {
    let challenge = Challenge { from, to, nonce: nonce(platform) };
    send(writer, Kind::Challenge, &challenge).await?;
    let theirs: Proof = receive(reader, Kind::Proof).await?;
    mac(secret, Side::Listener, &challenge, &theirs.nonce)
        .verify_slice(&theirs.mac)
        .map_err(|_| format!("{} does not know this node's peerSecret", node_name(to)))?;
    let ours = mac(secret, Side::Caller, &challenge, &theirs.nonce).finalize().into_bytes().into();
    send(writer, Kind::Proof, &Proof { nonce: [0; 32], mac: ours }).await
}

/// The listener's side. Whatever fails, a stranger learns nothing but that a secret is wanted.
///
/// Returns the node that proved itself.
///
/// # Errors
/// If the connection breaks, or the caller does not know the secret; in words for a person.
pub(super) async fn prove_as_listener(
    platform: &Platform,
    secret: &PeerSecret,
    this: NodeId,
    reader: &mut Reader,
    writer: &mut (dyn AsyncWrite + Send + Unpin),
) -> Result<NodeId, String> {
    let challenge: Challenge = receive(reader, Kind::Challenge).await?;
    if challenge.to != this {
        return Err(format!("{} is wanted", node_name(challenge.to)));
    }
    let nonce = nonce(platform);
    let ours = mac(secret, Side::Listener, &challenge, &nonce).finalize().into_bytes().into();
    send(writer, Kind::Proof, &Proof { nonce, mac: ours }).await?;
    let theirs: Proof = receive(reader, Kind::Proof).await?;
    mac(secret, Side::Caller, &challenge, &nonce).verify_slice(&theirs.mac).map_err(|_| {
        format!("it calls itself {} and does not know the peerSecret", node_name(challenge.from))
    })?;
    Ok(challenge.from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::golden;

    #[test]
    fn the_bytes_of_challenge_and_proof_stay_what_they_are() {
        golden(&[Challenge { from: 1, to: 2, nonce: [7; 32] }], &[]);
        golden(&[Proof { nonce: [8; 32], mac: [9; 32] }], &[]);
    }

    /// What the two sides find of each other.
    async fn meet(caller: &str, listener: &str, to: NodeId) -> (Result<(), String>, Result<NodeId, String>) {
        let platform = Platform::os();
        let (one, other) = tokio::io::duplex(4096);
        let ((one_reads, mut one_writes), (other_reads, mut other_writes)) =
            (tokio::io::split(one), tokio::io::split(other));
        let (mut one_reader, mut other_reader) =
            (Reader::new(Box::new(one_reads)), Reader::new(Box::new(other_reads)));
        let (caller, listener) = (PeerSecret::new(caller), PeerSecret::new(listener));
        tokio::join!(
            async {
                let met =
                    prove_as_caller(&platform, &caller, (1, to), &mut one_reader, &mut one_writes).await;
                drop((one_reader, one_writes));
                met
            },
            async {
                let met =
                    prove_as_listener(&platform, &listener, 2, &mut other_reader, &mut other_writes).await;
                drop((other_reader, other_writes));
                met
            },
        )
    }

    #[tokio::test]
    async fn both_sides_prove_that_they_know_the_secret_or_nothing_follows() {
        assert_eq!(meet("three banks of oars", "three banks of oars", 2).await, (Ok(()), Ok(1)));
        let (caller, listener) = meet("three banks of oars", "two banks of oars", 2).await;
        assert!(caller.unwrap_err().contains("does not know this node's peerSecret"));
        assert!(listener.is_err());
        let (_, listener) = meet("three banks of oars", "three banks of oars", 3).await;
        assert!(listener.unwrap_err().contains("n2 is wanted"));
    }

    #[test]
    fn an_answer_serves_for_one_connection_and_direction_only() {
        let secret = PeerSecret::new("three banks of oars");
        let challenge = Challenge { from: 1, to: 2, nonce: [7; 32] };
        let answer = |challenge: &Challenge, side, nonce: Nonce| {
            mac(&secret, side, challenge, &nonce).finalize().into_bytes()
        };
        let right = answer(&challenge, Side::Caller, [8; 32]);
        assert_ne!(right, answer(&challenge, Side::Listener, [8; 32]), "reflected");
        assert_ne!(right, answer(&challenge, Side::Caller, [9; 32]), "replayed");
        assert_ne!(
            right,
            answer(&Challenge { from: 3, ..challenge }, Side::Caller, [8; 32]),
            "by another node"
        );
        assert_ne!(
            right,
            answer(&Challenge { to: 3, ..challenge }, Side::Caller, [8; 32]),
            "to another node"
        );
    }
}
