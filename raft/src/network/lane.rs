//! Calls over one connection: many at a time, each with its own time, answered in any order.
//!
//! One task owns the connection. It connects when there is something to say, and gives the connection
//! up when it breaks or when the peer owes answers and stays silent. What was sent by then stays
//! unanswered; nothing is sent twice.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, interval, timeout};
use tracing::debug;

use super::forms::Lane;
use super::frame::{FrameError, Kind, Parts};
use super::{Link, Network, Peer, SILENCE_MAX, ended};
use crate::node_name;

/// Why a call got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LaneError {
    /// It never left this node.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It left; nobody knows what became of it.
    #[error("no answer: {0}")]
    NoAnswer(String),
}

/// One call on its way to the lane's task.
pub(crate) struct LaneCall {
    kind: Kind,
    body: Vec<Bytes>,
    answer: oneshot::Sender<Result<Bytes, LaneError>>,
}

/// Calls, and waits for the answer.
pub(crate) async fn call(
    lane: &mpsc::Sender<LaneCall>,
    kind: Kind,
    body: Vec<Bytes>,
    within: Duration,
) -> Result<Bytes, LaneError> {
    let (answer, receiver) = oneshot::channel();
    lane.try_send(LaneCall { kind, body, answer }).map_err(|error| {
        LaneError::NotSent(match error {
            mpsc::error::TrySendError::Full(_) => "too many calls are waiting".into(),
            mpsc::error::TrySendError::Closed(_) => "the node is stopped".into(),
        })
    })?;
    match timeout(within, receiver).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(LaneError::NoAnswer("the node is stopped".into())),
        Err(_) => Err(LaneError::NoAnswer(format!("nothing within {within:?}"))),
    }
}

/// Serves one lane to one peer, until the peer is forgotten.
pub(super) async fn run(
    network: Weak<Network>,
    peer: Weak<Peer>,
    lane: Lane,
    mut calls: mpsc::Receiver<LaneCall>,
) {
    while let Some(first) = calls.recv().await {
        let (Some(network), Some(peer)) = (network.upgrade(), peer.upgrade()) else { return };
        if first.answer.is_closed() {
            continue; // nobody waits any more
        }
        match network.connect(&peer, lane).await {
            Ok(link) => {
                network.connected(&peer, lane);
                let reason = converse(&network, &peer, link, first, &mut calls).await;
                debug!(node = node_name(network.node), peer = node_name(peer.id), ?lane, %reason, "connection ended");
            }
            Err(reason) => {
                debug!(node = node_name(network.node), peer = node_name(peer.id), ?lane, %reason, "cannot connect");
                // All that came meanwhile would have gone over the same connection.
                let mut unsent = Some(first);
                while let Some(call) = unsent {
                    let _ = call.answer.send(Err(LaneError::NotSent(reason.clone())));
                    unsent = calls.try_recv().ok();
                }
            }
        }
    }
}

/// Calls that are sent and not answered.
#[derive(Default)]
struct Open {
    waiting: BTreeMap<u64, oneshot::Sender<Result<Bytes, LaneError>>>,
    /// Since when something is owed without anything coming.
    silent_since: Option<Instant>,
    /// A caller gave up since anything last came.
    overdue: bool,
}

impl Open {
    fn sent(&mut self, id: u64, answer: oneshot::Sender<Result<Bytes, LaneError>>) {
        self.waiting.insert(id, answer);
        self.silent_since.get_or_insert_with(Instant::now);
    }

    fn answered(&mut self, id: u64) -> Option<oneshot::Sender<Result<Bytes, LaneError>>> {
        let waiting = self.waiting.remove(&id);
        self.silent_since = (!self.waiting.is_empty()).then(Instant::now);
        self.overdue = false;
        waiting
    }

    /// An application may take its time: silence alone is no fault until a caller has given up.
    fn is_silent_too_long(&mut self) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|_, answer| !answer.is_closed());
        self.overdue |= self.waiting.len() < before;
        self.overdue && self.silent_since.is_some_and(|since| since.elapsed() > SILENCE_MAX)
    }
}

/// Sends and receives until the connection is of no more use, and says why.
async fn converse(
    network: &Network,
    peer: &Peer,
    link: Link,
    first: LaneCall,
    calls: &mut mpsc::Receiver<LaneCall>,
) -> String {
    let open = Mutex::new(Open::default());
    let lock = || open.lock().unwrap_or_else(PoisonError::into_inner);
    let Link { mut reader, mut writer, addr } = link;

    let write = async {
        let mut next = Some(first);
        let mut id = 0;
        while let Some(call) = next {
            if !call.answer.is_closed() {
                id += 1;
                lock().sent(id, call.answer);
                let frame = Parts::new(call.kind, id, call.body);
                frame.write_to(&mut *writer).await.map_err(|error| error.to_string())?;
            }
            next = calls.recv().await;
        }
        Err::<(), String>("no longer needed".into())
    };
    let read = async {
        loop {
            let answer = reader.next(&[Kind::Answer, Kind::AppAnswer]).await;
            let frame = answer.map_err(|error: FrameError| ended(&error))?;
            network.note_contact(peer);
            if let Some(waiting) = lock().answered(frame.id) {
                let _ = waiting.send(Ok(frame.body)); // whoever asked may have stopped waiting
            }
        }
        #[expect(unreachable_code, reason = "gives the block its type")]
        Ok::<(), String>(())
    };
    let watch = async {
        let mut tick = interval(SILENCE_MAX / 8);
        loop {
            tick.tick().await;
            if lock().is_silent_too_long() {
                return Err::<(), String>(format!("silent for {SILENCE_MAX:?} with calls open"));
            }
        }
    };
    // Answers are bounded by what was written, so they cannot keep writing back for good.
    let reason = tokio::select! {
        biased;
        outcome = read => outcome,
        outcome = write => outcome,
        outcome = watch => outcome,
        reason = peer.moved(network, &addr) => Err(reason),
    };
    let reason = reason.err().unwrap_or_default();
    let waiting = std::mem::take(&mut lock().waiting);
    for answer in waiting.into_values() {
        let _ = answer.send(Err(LaneError::NoAnswer(reason.clone())));
    }
    reason
}
