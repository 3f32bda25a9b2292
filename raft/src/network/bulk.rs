//! Entries to one peer: requests as openraft makes them, acknowledgements in the same order, as many on
//! the way as openraft allows.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use openraft::errors::RPCError;
use store::codec;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, interval};

use super::client::unreachable_because;
use super::forms::{Lane, Response, encode_append};
use super::frame::{Kind, Parts};
use super::{Link, Network, Peer, SILENCE_MAX, ended};
use crate::node_name;
use crate::types::{AppendRequest, AppendResult, Types};

/// A bulk connection between two streams.
pub(super) struct BulkLink {
    link: Link,
    /// Id of the last frame sent on it.
    last_id: u64,
}

type Outcome = Result<AppendResult, RPCError<Types>>;

/// Outcomes that openraft has not taken yet.
const OUTCOMES_MAX: usize = 64;

/// Sends what `input` yields, and yields what becomes of it. The connection in `kept` is used, and put
/// back if it is still good when all requests are answered.
pub(super) fn converse<'s, S>(
    network: &'s Network,
    peer: Result<Arc<Peer>, String>,
    kept: &'s mut Option<BulkLink>,
    input: S,
) -> impl Stream<Item = Outcome> + Send + 's
where
    S: Stream<Item = AppendRequest> + Send + Unpin + 'static,
{
    let (outcomes, receiver) = mpsc::channel(OUTCOMES_MAX);
    let work = async move {
        if let Err(reason) = exchange(network, peer, kept, input, &outcomes).await {
            // The other end of this channel is polled together with this future, until it ends.
            let _ = outcomes.send(Err(unreachable_because(reason))).await;
        }
    };
    let work: Option<Pin<Box<dyn Future<Output = ()> + Send + 's>>> = Some(Box::pin(work));
    stream::unfold((work, receiver), |(mut work, mut receiver)| async move {
        if let Some(running) = &mut work {
            tokio::select! {
                biased;
                Some(outcome) = receiver.recv() => return Some((outcome, (work, receiver))),
                () = running => {}
            }
            work = None; // its sender is gone with it, so the receiver ends after what is left
        }
        receiver.recv().await.map(|outcome| (outcome, (work, receiver)))
    })
}

/// Requests that are sent and not answered.
#[derive(Default)]
struct Sent {
    ids: VecDeque<u64>,
    silent_since: Option<Instant>,
    input_ended: bool,
}

impl Sent {
    fn sent(&mut self, id: u64) {
        self.ids.push_back(id);
        self.silent_since.get_or_insert_with(Instant::now);
    }

    /// Whether answers are owed, and whether no more requests will come.
    fn owed(&self) -> (bool, bool) {
        (!self.ids.is_empty(), self.input_ended)
    }

    fn answered(&mut self) -> Option<u64> {
        let id = self.ids.pop_front();
        self.silent_since = (!self.ids.is_empty()).then(Instant::now);
        id
    }
}

/// Moves requests and acknowledgements until the input has ended and all is answered, or until one
/// answer ends it. Errors are told as text.
async fn exchange(
    network: &Network,
    peer: Result<Arc<Peer>, String>,
    kept: &mut Option<BulkLink>,
    mut input: impl Stream<Item = AppendRequest> + Send + Unpin,
    outcomes: &mpsc::Sender<Outcome>,
) -> Result<(), String> {
    // Before connecting: openraft waits inside this stream between attempts.
    let Some(first) = input.next().await else { return Ok(()) };
    let peer = peer?;
    let mut bulk = match kept.take().filter(|bulk| bulk.link.addr == peer.addr()) {
        Some(bulk) => bulk,
        None => BulkLink { link: network.connect(&peer, Lane::Bulk).await?, last_id: 0 },
    };
    if pipeline(network, &peer, &mut bulk, first, input, outcomes).await? {
        *kept = Some(bulk);
    }
    Ok(())
}

/// Sends and receives; says whether the connection can be used again.
async fn pipeline(
    network: &Network,
    peer: &Peer,
    bulk: &mut BulkLink,
    first: AppendRequest,
    mut input: impl Stream<Item = AppendRequest> + Send + Unpin,
    outcomes: &mpsc::Sender<Outcome>,
) -> Result<bool, String> {
    let BulkLink { link: Link { reader, writer, addr }, last_id } = bulk;
    let sent = Mutex::new(Sent::default());
    let lock = || sent.lock().unwrap_or_else(PoisonError::into_inner);
    let something_sent = Notify::new();

    let write = async {
        let mut next = Some(first);
        while let Some(request) = next {
            *last_id += 1;
            let body: Vec<Bytes> = encode_append(&request);
            lock().sent(*last_id);
            something_sent.notify_one();
            let frame = Parts::new(Kind::Append, *last_id, body);
            frame.write_to(&mut **writer).await.map_err(|error| error.to_string())?;
            next = input.next().await;
        }
        lock().input_ended = true;
        something_sent.notify_one();
        Ok::<(), String>(())
    };
    let read = async {
        loop {
            loop {
                let (owed, input_ended) = lock().owed();
                match (owed, input_ended) {
                    (true, _) => break,
                    (false, true) => return Ok(true),
                    (false, false) => something_sent.notified().await,
                }
            }
            let frame = reader.next(&[Kind::Ack]).await.map_err(|error| ended(&error))?;
            network.note_contact(peer);
            let expected = lock().answered();
            if expected != Some(frame.id) {
                return Err(format!("acknowledgement {} where {expected:?} was due", frame.id));
            }
            let response: Response = codec::decode(&frame.body).map_err(|error| error.to_string())?;
            let result = response.into_append_result()?;
            let ends = result.is_err();
            // The receiver is polled with us; if it is gone, so are we.
            let _ = outcomes.send(Ok(result)).await;
            if ends {
                return Ok(false);
            }
        }
    };
    let watch = async {
        let mut tick = interval(SILENCE_MAX / 8);
        loop {
            tick.tick().await;
            if lock().silent_since.is_some_and(|since| since.elapsed() > SILENCE_MAX) {
                return format!("{} silent for {SILENCE_MAX:?} with entries on the way", node_name(peer.id));
            }
        }
    };
    let moved = peer.moved(network, addr);
    tokio::pin!(write, read, watch, moved);
    let mut writing = true;
    loop {
        // Acknowledgements are bounded by what was written, so they cannot keep writing back for good.
        tokio::select! {
            biased;
            outcome = &mut read => return Ok(outcome? && !writing),
            outcome = &mut write, if writing => { outcome?; writing = false; }
            reason = &mut watch => return Err(reason),
            reason = &mut moved => return Err(reason),
        }
    }
}
