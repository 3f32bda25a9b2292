//! Which peers do not answer, since when, and why, as far as this node can find out.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use platform::Net;
use raft::{NodeId, PeerView, View, node_name};
use serde_json::{Value, json};

/// A peer not heard of for so long does not answer; several heartbeats, and less than a person waits.
const SILENT_MS: u64 = 1_500;
/// One heard of within this time answers again.
const BACK_MS: u64 = 1_000;
/// How long a look at a silent peer's port may take.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// How many entries a peer lacks; `None` where nobody can know, because it does not answer.
pub(crate) fn lag_entries(troubles: &PeerTroubles, view: &View, peer: &PeerView) -> Option<u64> {
    let is_there = troubles.of(peer.id).is_none() && answers(view, peer.id) != Some(false);
    peer.matched_index.filter(|_| is_there).map(|matched| view.last_log_index.saturating_sub(matched))
}

/// One peer that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Since when, wall time in milliseconds.
    pub since_ms: u64,
    /// In words.
    pub cause: String,
}

/// The peers that do not answer, by node.
#[derive(Default)]
pub(crate) struct PeerTroubles(Mutex<BTreeMap<NodeId, Trouble>>);

impl PeerTroubles {
    /// Of one peer; `None` while it answers.
    pub(crate) fn of(&self, peer: NodeId) -> Option<Trouble> {
        self.lock().get(&peer).cloned()
    }

    /// All of them.
    pub(crate) fn all(&self) -> BTreeMap<NodeId, Trouble> {
        self.lock().clone()
    }

    pub(crate) fn put(&self, peer: NodeId, trouble: Trouble) {
        self.lock().insert(peer, trouble);
    }

    pub(crate) fn remove(&self, peer: NodeId) -> Option<Trouble> {
        self.lock().remove(&peer)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a peer answers; `None` where it is not this node's to know, or between the bounds. Only a leader hears of all
/// others: followers do not speak with each other.
pub(crate) fn answers(view: &View, peer: NodeId) -> Option<bool> {
    if !view.is_leader() || !view.voters.contains(&peer) {
        return None;
    }
    let contact_ms = view.peers.iter().find(|known| known.id == peer)?.last_contact_ms;
    match contact_ms {
        None => Some(false),
        Some(ms) if ms > SILENT_MS => Some(false),
        Some(ms) if ms < BACK_MS => Some(true),
        Some(_) => None,
    }
}

/// Why a silent peer may be silent: looks whether anybody listens at its port.
pub(crate) async fn cause(net: &dyn Net, addr: &str) -> String {
    match tokio::time::timeout(LOOK_WITHIN, net.connect(addr)).await {
        Err(_) => format!("{addr} does not answer: the machine is down, or the network between is cut"),
        Ok(Ok(_)) => format!(
            "{addr} takes connections and says nothing: the process is paused or hangs, or is refused"
        ),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            format!("nothing listens at {addr}: the process is not running")
        }
        Ok(Err(error)) => format!("{addr} cannot be reached: {error}"),
    }
}

/// A row for every voter, this node included: what is known of it here.
pub(crate) fn rows(view: &View, me: NodeId, troubles: &PeerTroubles) -> Vec<Value> {
    let row = |id: &NodeId| {
        let peer = view.peers.iter().find(|peer| peer.id == *id);
        let trouble = troubles.of(*id);
        let is_up = if *id == me {
            Some(true)
        } else if trouble.is_some() {
            Some(false)
        } else {
            answers(view, *id)
        };
        json!({
            "id": node_name(*id),
            "up": is_up,
            "leads": view.leader == Some(*id),
            "lastContactMs": if *id == me { Some(0) } else { peer.and_then(|peer| peer.last_contact_ms) },
            "error": trouble.as_ref().map(|trouble| &trouble.cause),
            "downSinceMs": trouble.as_ref().map(|trouble| trouble.since_ms),
        })
    };
    view.voters.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::TokioNet;
    use raft::{PeerView, Role};

    fn view(role: Role, contact: Option<u64>) -> View {
        let peer = PeerView { id: 2, last_contact_ms: contact, ..PeerView::default() };
        let mut view = View::default();
        (view.role, view.peers, view.voters) = (role, vec![peer], vec![1, 2]);
        view
    }

    #[test]
    fn only_a_leader_says_who_does_not_answer() {
        for (role, contact, said) in [
            (Role::Leader, None, Some(false)),
            (Role::Leader, Some(9_000), Some(false)),
            (Role::Leader, Some(1_200), None),
            (Role::Leader, Some(20), Some(true)),
            (Role::Follower, Some(9_000), None),
        ] {
            assert_eq!(answers(&view(role, contact), 2), said, "{role:?} {contact:?}");
        }
        assert_eq!(answers(&view(Role::Leader, None), 3), None, "not a member");
    }

    /// S25: dead nodes vanished from what was told.
    #[tokio::test]
    async fn every_voter_has_a_row_with_the_cause() {
        let troubles = PeerTroubles::default();
        let listener = TokioNet.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().to_string();
        assert!(cause(&TokioNet, &addr).await.contains("takes connections and says nothing"));
        drop(listener);
        let why = cause(&TokioNet, &addr).await;
        assert!(why.contains("nothing listens at") && why.contains(&addr), "{why}");
        troubles.put(2, Trouble { since_ms: 7, cause: why.clone() });
        let rows = rows(&view(Role::Leader, Some(9_000)), 1, &troubles);
        assert_eq!((&rows[0]["id"], &rows[0]["up"]), (&json!("n0"), &json!(true)));
        assert_eq!(
            (&rows[1]["id"], &rows[1]["up"], &rows[1]["error"]),
            (&json!("n1"), &json!(false), &json!(why))
        );
    }
}
