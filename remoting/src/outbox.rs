//! What waits to be written to one peer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use protocol::{Command, FrameError};
use tokio::sync::Notify;

use crate::budget::Permit;
use crate::lifecycle::Lifecycle;

/// One frame, encoded, in pieces that follow each other on the wire.
pub(crate) struct Frame {
    pub head: Bytes,
    pub body: Bytes,
    pub chunks: Vec<Bytes>,
    /// Number of our own request, if it is one and waits for a response.
    pub call: Option<i32>,
    /// Given back when the frame is written or dropped.
    pub permit: Option<Permit>,
    bytes: usize,
}

impl Frame {
    pub fn encode(command: &Command, chunks: Vec<Bytes>) -> Result<Self, FrameError> {
        let body_bytes = command.body.len() + chunks.iter().map(Bytes::len).sum::<usize>();
        let head = command.encode_head(body_bytes)?;
        let bytes = head.len() + body_bytes;
        Ok(Self { head, body: command.body.clone(), chunks, call: None, permit: None, bytes })
    }

    /// Length on the wire; never 0.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its pieces in the order of the wire; some may be empty.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        [&self.head, &self.body].into_iter().chain(&self.chunks)
    }
}

/// Why a frame was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full { queued_bytes: usize },
    Closed,
}

/// The queue between whoever sends and the write task.
///
/// Replies are always taken: the in-flight bound of the connection is their bound. Requests of our own are
/// taken while fewer than `bytes_max` are queued.
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Whose write task is woken when the queue stops being empty.
    lifecycle: Arc<Lifecycle>,
    /// Callers wait here for room.
    room: Notify,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Frame>,
    bytes: usize,
    closed: bool,
}

impl Outbox {
    pub fn new(bytes_max: usize, lifecycle: Arc<Lifecycle>) -> Self {
        Self { state: Mutex::default(), lifecycle, room: Notify::new(), bytes_max }
    }

    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Queues a reply; drops it if the connection is closed.
    pub fn push_reply(&self, frame: Frame) {
        let mut state = self.lock();
        if state.closed {
            drop(state); // before the frame, whose permit wakes others
            return;
        }
        self.push(&mut state, frame);
    }

    /// Queues a request of our own if there is room now, and takes it out of `frame` then.
    pub fn try_push(&self, frame: &mut Option<Frame>) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.bytes >= self.bytes_max {
            return Err(Refused::Full { queued_bytes: state.bytes });
        }
        if let Some(frame) = frame.take() {
            self.push(&mut state, frame);
        }
        Ok(())
    }

    /// Queues a request of our own as soon as there is room.
    pub async fn push_request(&self, frame: Frame) -> Result<(), Refused> {
        let mut frame = Some(frame);
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable(); // before looking, so that room made in between is not missed
            match self.try_push(&mut frame) {
                Err(Refused::Full { .. }) => room.await,
                done => return done,
            }
        }
    }

    fn push(&self, state: &mut State, frame: Frame) {
        let was_empty = state.frames.is_empty();
        state.bytes += frame.bytes;
        state.frames.push_back(frame);
        if was_empty {
            self.lifecycle.wake_writer();
        }
    }

    /// Takes our own request back if no byte of it was handed to the socket.
    pub fn take_back(&self, call: i32) -> bool {
        let mut state = self.lock();
        let Some(at) = state.frames.iter().position(|frame| frame.call == Some(call)) else { return false };
        let frame = state.frames.remove(at).expect("just found there");
        state.bytes -= frame.bytes;
        true
    }

    /// Moves frames to `batch`, in order: at least one if there is any, then up to `bytes_max` bytes.
    pub fn take_batch(&self, batch: &mut Vec<Frame>, bytes_max: usize, frames_max: usize) {
        let mut state = self.lock();
        let was_full = state.bytes >= self.bytes_max;
        let mut taken = 0;
        while taken < bytes_max
            && batch.len() < frames_max
            && let Some(frame) = state.frames.pop_front()
        {
            taken += frame.bytes;
            batch.push(frame);
        }
        state.bytes -= taken;
        if was_full && state.bytes < self.bytes_max {
            self.room.notify_waiters();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many frames are queued.
    pub fn len(&self) -> usize {
        self.lock().frames.len()
    }

    /// Takes nothing more, and gives up what is queued.
    pub fn close(&self) -> VecDeque<Frame> {
        let left = {
            let mut state = self.lock();
            state.closed = true;
            state.bytes = 0;
            std::mem::take(&mut state.frames)
        };
        self.room.notify_waiters();
        left
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics under this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(bytes_max: usize) -> Outbox {
        Outbox::new(bytes_max, Arc::new(Lifecycle::new()))
    }

    fn frame(call: i32, body_bytes: usize) -> Frame {
        let command = Command::request(10).with_body(vec![0; body_bytes]);
        Frame { call: Some(call), ..Frame::encode(&command, Vec::new()).unwrap() }
    }

    fn try_push(outbox: &Outbox, call: i32, body_bytes: usize) -> Result<(), Refused> {
        outbox.try_push(&mut Some(frame(call, body_bytes)))
    }

    fn calls(batch: &[Frame]) -> Vec<i32> {
        batch.iter().filter_map(|frame| frame.call).collect()
    }

    #[test]
    fn a_batch_keeps_the_order_and_ends_at_its_bounds() {
        let outbox = outbox(usize::MAX);
        for call in 0..5 {
            assert!(try_push(&outbox, call, 1_000).is_ok());
        }
        let mut batch = Vec::new();
        outbox.take_batch(&mut batch, 2_000, 100);
        assert_eq!(calls(&batch), [0, 1]);
        batch.clear();
        outbox.take_batch(&mut batch, usize::MAX, 2);
        assert_eq!(calls(&batch), [2, 3]);
        batch.clear();
        outbox.take_batch(&mut batch, 1, 100);
        assert_eq!(calls(&batch), [4], "at least one, however large");
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_is_queued_can_be_taken_back_and_what_was_taken_cannot() {
        let outbox = outbox(usize::MAX);
        assert!(try_push(&outbox, 1, 10).is_ok());
        assert!(try_push(&outbox, 2, 10).is_ok());
        let mut batch = Vec::new();
        outbox.take_batch(&mut batch, 1, 1);
        assert!(!outbox.take_back(1));
        assert!(outbox.take_back(2));
        assert!(!outbox.take_back(2));
    }

    #[tokio::test]
    async fn a_request_waits_for_room_and_a_closed_outbox_refuses_it() {
        let outbox = Arc::new(outbox(100));
        assert!(try_push(&outbox, 1, 200).is_ok());
        assert!(matches!(try_push(&outbox, 2, 1), Err(Refused::Full { .. })));
        let waiting = tokio::spawn({
            let outbox = outbox.clone();
            async move { outbox.push_request(frame(3, 1)).await }
        });
        let mut batch = Vec::new();
        outbox.take_batch(&mut batch, usize::MAX, 1);
        waiting.await.unwrap().unwrap();
        assert_eq!(calls(outbox.close().make_contiguous()), [3]);
        assert_eq!(outbox.push_request(frame(4, 1)).await, Err(Refused::Closed));
    }
}
