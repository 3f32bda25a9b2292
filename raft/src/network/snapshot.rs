//! Checkpoints to a node that lags past the retained log: piece by piece over the snapshot lane, each answered before
//! the next one goes, from file to file.

use std::time::Duration;

use bytes::{Buf, Bytes};
use openraft::errors::RPCError;
use platform::Tasks;
use serde::{Deserialize, Serialize};
use store::codec::{self, CodecError, Record};
use store::{CheckpointDir, Receiving};
use tokio::sync::Mutex;

use super::Peer;
use super::client::{rpc_error, unreachable_because};
use super::forms::{LogIdForm, Response, VoteForm};
use super::frame::Kind;
use super::lane;
use crate::checkpoints::SnapshotData;
use crate::state_machine::RaftHandle;
use crate::types::{Snapshot, SnapshotMeta, StoredMembershipForm, Types, Vote};

/// Bytes of a checkpoint in one frame.
const PIECE_BYTES: usize = 1 << 20;
/// After the last piece the other node verifies all of it and takes it in.
const INSTALL_TIME_MAX: Duration = Duration::from_secs(120);

/// Head of a snapshot frame; bytes of the checkpoint's file follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SnapshotPiece {
    vote: VoteForm,
    last: Option<LogIdForm>,
    membership: StoredMembershipForm,
    /// Where the bytes belong.
    at: u64,
    /// Bytes of the whole file.
    total: u64,
    /// Of the bytes that follow.
    crc32c: u32,
}

impl Record for SnapshotPiece {
    const KIND: u16 = 0x0209;
    const NAME: &'static str = "snapshot-piece";
    const BYTES_MAX: usize = Kind::Snapshot.body_bytes_max() - PIECE_BYTES;
}

impl SnapshotPiece {
    /// The term of the leader that sent it.
    pub(super) fn term(&self) -> u64 {
        self.vote.term()
    }
}

/// Takes the body of a snapshot frame apart.
pub(super) fn decode_piece(mut body: Bytes) -> Result<(SnapshotPiece, Bytes), CodecError> {
    let mut rest = &body[..];
    let piece: SnapshotPiece = codec::decode_first(&mut rest)?;
    body.advance(body.len() - rest.len());
    let computed = crc32c::crc32c(&body);
    if piece.crc32c != computed {
        return Err(CodecError::Checksum { name: "bytes of a snapshot", found: piece.crc32c, computed });
    }
    Ok((piece, body))
}

/// Sends a checkpoint, and returns the vote of the node that took it.
pub(super) async fn send(
    tasks: &Tasks,
    peer: &Peer,
    vote: &Vote,
    snapshot: Snapshot,
    level: u16,
    within: Duration,
) -> Result<Vote, RPCError<Types>> {
    let SnapshotData::Stored(checkpoint) = snapshot.snapshot else {
        return Err(unreachable_because("there is no checkpoint to send"));
    };
    let total = checkpoint.sections.file_bytes();
    let mut at = 0;
    loop {
        let sections = checkpoint.sections.clone();
        let read = tasks.off_thread(move || sections.read_file(at, PIECE_BYTES)).await;
        let bytes = Bytes::from(read.map_err(unreachable_because)?);
        let head = SnapshotPiece {
            vote: VoteForm::from(vote),
            last: snapshot.meta.last_log_id.map(Into::into),
            membership: StoredMembershipForm::of(&snapshot.meta.last_membership, level),
            at,
            total,
            crc32c: crc32c::crc32c(&bytes),
        };
        at += bytes.len() as u64;
        let body = vec![Bytes::from(codec::encode(&head).map_err(unreachable_because)?), bytes];
        let within = if at < total { within } else { INSTALL_TIME_MAX };
        let answer = lane::call(&peer.snapshot, Kind::Snapshot, body, within).await.map_err(rpc_error)?;
        match codec::decode(&answer).map_err(unreachable_because)? {
            Response::SnapshotPiece(taken) if taken == at && at < total => {}
            Response::Snapshot(vote) => return Ok(vote.into()),
            other => return Err(unreachable_because(other.into_surprise())),
        }
    }
}

/// The checkpoint that comes over one connection.
#[derive(Default)]
pub(super) struct Incoming(Mutex<Option<Receiving>>);

impl Incoming {
    /// Takes in one piece; with the last one the whole is handed to raft.
    pub(super) async fn take(
        &self,
        tasks: &Tasks,
        raft: &RaftHandle,
        dir: &CheckpointDir,
        piece: SnapshotPiece,
        bytes: Bytes,
    ) -> Response {
        self.try_take(tasks, raft, dir, piece, bytes).await.unwrap_or_else(Response::Refused)
    }

    async fn try_take(
        &self,
        tasks: &Tasks,
        raft: &RaftHandle,
        dir: &CheckpointDir,
        piece: SnapshotPiece,
        bytes: Bytes,
    ) -> Result<Response, String> {
        let mut slot = self.0.lock().await;
        if piece.at == 0 {
            *slot = None; // what was left of an earlier try goes first
            *slot = Some(dir.receive().map_err(|error| error.to_string())?);
        }
        let receiving = slot.as_mut().ok_or("the first piece of the snapshot is missing")?;
        if receiving.bytes() != piece.at {
            return Err(format!(
                "a piece of the snapshot at {} where {} is due",
                piece.at,
                receiving.bytes()
            ));
        }
        receiving.append(&bytes).map_err(|error| error.to_string())?;
        let taken = receiving.bytes();
        if taken < piece.total {
            return Ok(Response::SnapshotPiece(taken));
        }
        let Some(received) = slot.take() else { return Err("the snapshot is gone".into()) };
        let finished = tasks.off_thread(move || received.finish().map_err(std::io::Error::other)).await;
        let unnamed = finished.map_err(|error| error.to_string())?;
        let meta = SnapshotMeta {
            last_log_id: piece.last.map(Into::into),
            last_membership: piece.membership.try_into().map_err(|error: CodecError| error.to_string())?,
        };
        let snapshot = Snapshot { meta, snapshot: SnapshotData::Received(unnamed) };
        let installed = raft.install_full_snapshot(piece.vote.into(), snapshot).await;
        Ok(Response::Snapshot((&installed.map_err(|fatal| fatal.to_string())?.vote).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_piece_stay_what_they_are_and_a_damaged_one_is_refused() {
        let vote = Vote { leader_id: crate::types::LeaderId { term: 3, voted_for: 2 }, committed: true };
        let bytes = b"oars";
        let piece = SnapshotPiece {
            vote: VoteForm::from(&vote),
            last: Some(crate::types::log_id(store::LogPoint { term: 3, log_index: 700 }).into()),
            membership: crate::types::stored_membership_sample(),
            at: 1 << 20,
            total: 3 << 20,
            crc32c: crc32c::crc32c(bytes),
        };
        crate::suite::golden(std::slice::from_ref(&piece), &[]);
        let mut body = codec::encode(&piece).unwrap();
        body.extend_from_slice(bytes);
        assert_eq!(decode_piece(Bytes::from(body.clone())).unwrap(), (piece, Bytes::from_static(bytes)));
        *body.last_mut().unwrap() ^= 1;
        assert!(matches!(decode_piece(Bytes::from(body)), Err(CodecError::Checksum { .. })));
    }
}
