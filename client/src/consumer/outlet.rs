//! Where the messages of a consumer go: to the application's handler, or to whoever polls.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::assigned::Assigned;
use crate::received::ReceivedMessage;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consume {
    /// It is consumed.
    Success,
    /// Not now: it comes again, later each time, and in the end goes to the group's dead letters. In order mode
    /// its queue waits for it.
    Later,
    /// As [`Later`](Self::Later), but after the delay of this level: 1 is a second, 18 two hours, by the broker's
    /// `messageDelayLevel`. In order mode the level has no effect.
    LaterAt {
        /// From 1 on.
        delay_level: u32,
    },
}

/// Consumes messages. Implemented by async closures over [`Arc<ReceivedMessage>`].
///
/// A message may come more than once, after a crash or a change of members: handling should not mind. A handler
/// that panics counts as [`Consume::Later`]. So does one that takes longer than
/// [`consume_timeout`](crate::PushConsumerBuilder::consume_timeout); it is dropped where it waits. One that blocks
/// its thread instead of waiting can be neither stopped nor timed out: such work belongs into
/// `tokio::task::spawn_blocking`.
pub trait Handler: Send + Sync + 'static {
    /// Takes one message.
    fn consume(&self, message: Arc<ReceivedMessage>) -> impl Future<Output = Consume> + Send;
}

impl<F, R> Handler for F
where
    F: Fn(Arc<ReceivedMessage>) -> R + Send + Sync + 'static,
    R: Future<Output = Consume> + Send,
{
    fn consume(&self, message: Arc<ReceivedMessage>) -> impl Future<Output = Consume> + Send {
        self(message)
    }
}

/// [`Handler`] behind a pointer.
pub(super) trait DynHandler: Send + Sync {
    fn consume_boxed(
        &self,
        message: Arc<ReceivedMessage>,
    ) -> Pin<Box<dyn Future<Output = Consume> + Send + '_>>;
}

impl<H: Handler> DynHandler for H {
    fn consume_boxed(
        &self,
        message: Arc<ReceivedMessage>,
    ) -> Pin<Box<dyn Future<Output = Consume> + Send + '_>> {
        Box::pin(self.consume(message))
    }
}

/// Where the messages of an engine go.
pub(super) enum Outlet {
    /// To a handler, which says what became of each.
    Handler(Box<dyn DynHandler>),
    /// To whoever polls, who says later.
    Polled(mpsc::Sender<HandedOver>),
}

/// A message that was handed over and is not consumed yet.
pub(super) struct HandedOver {
    pub(super) assigned: Arc<Assigned>,
    pub(super) message: Arc<ReceivedMessage>,
}
