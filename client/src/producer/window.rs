//! Sends under way that nobody waits for right now: how many there may be, and how each one ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::result::SendResult;
use crate::error::{ClientError, Outcome, SendError};

/// A send under way, from [`Producer::send_async`](super::Producer::send_async). Waiting for it gives what came of
/// the send; dropping it does not take the message back.
#[derive(Debug)]
#[must_use = "without waiting for it nobody learns whether the message was stored"]
pub struct Sending {
    msg_id: String,
    answer: oneshot::Receiver<Result<SendResult, SendError>>,
}

impl Sending {
    pub(super) fn new(msg_id: String, answer: oneshot::Receiver<Result<SendResult, SendError>>) -> Self {
        Self { msg_id, answer }
    }

    /// The message's unique key.
    pub fn msg_id(&self) -> &str {
        &self.msg_id
    }
}

impl Future for Sending {
    type Output = Result<SendResult, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| {
            // Nobody answers: the runtime ended the send's task.
            answer.unwrap_or_else(|_| {
                Err(SendError {
                    attempts: 0,
                    outcome: Outcome::Unknown,
                    msg_id: std::mem::take(&mut self.msg_id),
                    source: Box::new(ClientError::Stopped),
                })
            })
        })
    }
}

/// Bounds what is under way, by number and by bytes of bodies. First come, first served.
#[derive(Debug)]
pub(super) struct Window {
    sends: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    sends_max: u32,
    bytes_max: u32,
}

/// A place in a [`Window`], free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _send: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
}

impl Window {
    pub(super) fn new(sends_max: u32, bytes_max: u32) -> Self {
        assert!(sends_max > 0 && bytes_max > 0, "a window of nothing lets nothing through");
        Self {
            sends: Arc::new(Semaphore::new(sends_max as usize)),
            bytes: Arc::new(Semaphore::new(bytes_max as usize)),
            sends_max,
            bytes_max,
        }
    }

    /// Waits for a place for a body of this many bytes; one that is bigger than the window goes alone. `None` once
    /// the window is closed.
    pub(super) async fn enter(&self, bytes: usize) -> Option<Place> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes_max);
        let send = self.sends.clone().acquire_owned().await.ok()?;
        let bytes = self.bytes.clone().acquire_many_owned(bytes).await.ok()?;
        Some(Place { _send: send, _bytes: bytes })
    }

    /// Resolves when everything that entered before has left.
    pub(super) async fn drained(&self) {
        // Closed: it was drained before.
        drop(self.sends.acquire_many(self.sends_max).await);
    }

    /// Lets nobody in any more.
    pub(super) fn close(&self) {
        self.sends.close();
        self.bytes.close();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn it_is_full_by_number_and_by_bytes() {
        let window = Window::new(2, 10);
        let first = window.enter(4).now_or_never().unwrap().unwrap();
        assert!(window.enter(7).now_or_never().is_none(), "11 bytes of 10");
        let second = window.enter(6).now_or_never().unwrap().unwrap();
        assert!(window.enter(0).now_or_never().is_none(), "3 sends of 2");
        assert!(window.drained().now_or_never().is_none());
        drop((first, second));
        assert!(window.drained().now_or_never().is_some());
    }

    #[test]
    fn a_body_bigger_than_the_window_goes_alone() {
        let window = Window::new(2, 10);
        let big = window.enter(1_000).now_or_never().unwrap().unwrap();
        assert!(window.enter(1).now_or_never().is_none());
        drop(big);
        assert!(window.enter(1).now_or_never().is_some());
    }

    #[test]
    fn a_closed_window_lets_nobody_in() {
        let window = Window::new(2, 10);
        window.close();
        assert!(window.enter(1).now_or_never().unwrap().is_none());
        assert!(window.drained().now_or_never().is_some());
    }
}
