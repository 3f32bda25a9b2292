//! The read task of one connection: takes whole frames off the bytes, and hands requests to the handler and
//! responses to whoever waits for them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use protocol::{Command, FrameError, frame};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::budget::Permit;
use crate::connection::Connection;
use crate::log_limit::LogLimit;
use crate::reply::{Handler, Responder};
use crate::shared::Shared;

/// The buffer is made this large. Bodies are slices of it, so it is neither tiny nor huge.
const READ_BYTES: usize = 64 << 10;
/// With less room than this a new one is made.
const SPARE_BYTES_MIN: usize = 4 << 10;
/// First byte of a TLS handshake record. A frame cannot start with it: its length would be over 16 MiB.
const TLS_HANDSHAKE: u8 = 0x16;

type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// Why reading ended.
enum End {
    /// The peer closed.
    Eof,
    /// We closed, or finish.
    Stopped,
    Idle(Duration),
    /// A frame was begun and not ended in time.
    HalfFrame(Duration),
    Io(io::Error),
    Malformed(FrameError),
    Tls,
}

/// Runs until the connection ends, and leaves it closed and the handler told.
pub(crate) async fn run(
    mut reader: Reader,
    connection: &Arc<Connection>,
    handler: Arc<dyn Handler>,
    log_limit: &LogLimit,
) {
    let told = Told { connection, handler: &*handler };
    handler.on_open(connection);
    let end = read_all(&mut reader, connection, &*handler).await;
    log(&end, log_limit);
    if matches!(end, End::Stopped) {
        // Finishing: answers are still to be written. The write task closes.
        while !connection.is_closed() {
            connection.lifecycle.reader_woken().await;
        }
    }
    drop(told);
}

/// Closes and tells the handler, also when the handler panicked.
struct Told<'a> {
    connection: &'a Arc<Connection>,
    handler: &'a dyn Handler,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.connection.close();
        if !std::thread::panicking() {
            self.handler.on_close(self.connection);
            return;
        }
        // A second panic while the first unwinds would end the process.
        let told = std::panic::AssertUnwindSafe(|| self.handler.on_close(self.connection));
        if std::panic::catch_unwind(told).is_err() {
            tracing::error!("handler panicked again on close");
        }
    }
}

async fn read_all(reader: &mut Reader, connection: &Arc<Connection>, handler: &dyn Handler) -> End {
    let mut buf = BytesMut::new();
    let mut idle = Idle::new(connection);
    let mut is_first = true;
    let mut large = Large { shared: &connection.limits.shared, bytes: 0 };
    loop {
        loop {
            if let Err(end) = wait_for_room(connection, &large, &mut idle).await {
                return end;
            }
            let before = buf.len();
            match frame::decode(&mut buf) {
                Ok(Some(command)) => {
                    idle.frame_since = None;
                    large.give_back();
                    dispatch(command, before - buf.len(), connection, handler);
                }
                Ok(None) => break,
                Err(error) => return End::Malformed(error),
            }
        }
        if !buf.is_empty() {
            // The decoder has passed the lengths, if they are there.
            let frame_bytes = frame::frame_bytes(&buf).ok().flatten().unwrap_or(0);
            if let Err(end) = large.wait_for(frame_bytes, connection, &mut idle).await {
                return end;
            }
            let last_read = idle.last_read;
            idle.frame_since.get_or_insert(last_read);
        }
        make_room(&mut buf);
        let read = tokio::select! {
            biased;
            () = connection.lifecycle.reader_woken() => continue, // the loop above looks at what changed
            read = reader.read_buf(&mut buf) => read,
            end = idle.expired() => return end,
        };
        match read {
            Ok(0) => return End::Eof,
            Ok(_) => idle.last_read = Instant::now(),
            Err(error) => return End::Io(error),
        }
        if std::mem::take(&mut is_first) && buf[0] == TLS_HANDSHAKE {
            return End::Tls;
        }
    }
}

/// Returns when the next request may be read, or with the reason why none will be.
async fn wait_for_room(connection: &Connection, large: &Large<'_>, idle: &mut Idle<'_>) -> Result<(), End> {
    // Whoever has taken the memory for a frame already finishes it: others wait for that.
    let has_room = || !connection.budget.is_full() && (large.bytes > 0 || !large.shared.is_full());
    loop {
        if !connection.is_open() {
            return Err(End::Stopped);
        }
        if has_room() {
            return Ok(());
        }
        // It is not the peer that keeps its frame from coming in.
        let was_begun = idle.frame_since.take().is_some();
        wait_for_change(connection, has_room, idle).await?;
        idle.frame_since = was_begun.then(Instant::now);
    }
}

/// Waits until `is_so` may have come true, unless it is so already.
async fn wait_for_change(
    connection: &Connection,
    is_so: impl FnOnce() -> bool,
    idle: &mut Idle<'_>,
) -> Result<(), End> {
    let freed = connection.limits.shared.freed();
    tokio::pin!(freed);
    freed.as_mut().enable(); // before looking, so that nothing is missed in between
    if is_so() {
        return Ok(());
    }
    tokio::select! {
        () = connection.lifecycle.reader_woken() => Ok(()),
        () = freed => Ok(()),
        end = idle.expired() => Err(end),
    }
}

/// What a frame that does not fit the usual buffer has taken of the memory of all connections.
struct Large<'a> {
    shared: &'a Shared,
    bytes: usize,
}

impl Large<'_> {
    /// Takes a frame's whole length, or waits for it; once a frame.
    async fn wait_for(
        &mut self,
        frame_bytes: usize,
        connection: &Connection,
        idle: &mut Idle<'_>,
    ) -> Result<(), End> {
        while frame_bytes > READ_BYTES && self.bytes == 0 {
            if self.shared.try_take(frame_bytes) {
                self.bytes = frame_bytes;
                return Ok(());
            }
            if !connection.is_open() {
                return Err(End::Stopped);
            }
            let mut is_taken = false;
            let take = || {
                is_taken = self.shared.try_take(frame_bytes);
                is_taken
            };
            wait_for_change(connection, take, idle).await?;
            if is_taken {
                self.bytes = frame_bytes;
            }
        }
        Ok(())
    }

    fn give_back(&mut self) {
        if self.bytes > 0 {
            self.shared.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for Large<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn dispatch(command: Command, frame_bytes: usize, connection: &Arc<Connection>, handler: &dyn Handler) {
    if command.is_response() {
        if let Some(response) = connection.pending.complete(command) {
            tracing::debug!(opaque = response.opaque, code = response.code, "nobody waits for this response");
        }
        return;
    }
    let responder = Responder::new(connection, Permit::take(&connection.budget, frame_bytes), &command);
    handler.on_request(connection, command, responder);
}

/// Makes room for the next read. A long frame grows the buffer with what has arrived, not with what its
/// length claims; short ones share one allocation until it is used up.
fn make_room(buf: &mut BytesMut) {
    let frame_bytes = frame::frame_bytes(buf).ok().flatten().unwrap_or(0);
    let wanted = frame_bytes.saturating_sub(buf.len()).clamp(SPARE_BYTES_MIN, READ_BYTES.max(buf.len()));
    if buf.capacity() - buf.len() < wanted {
        buf.reserve(wanted.max(READ_BYTES));
    }
}

/// Watches for traffic in both directions, and for frames that do not end, with one timer, set anew only when it fires.
struct Idle<'a> {
    connection: &'a Connection,
    last_read: Instant,
    /// When the frame began of which a part has been read.
    frame_since: Option<Instant>,
    timer: std::pin::Pin<Box<Sleep>>,
}

impl<'a> Idle<'a> {
    fn new(connection: &'a Connection) -> Self {
        let now = Instant::now();
        let limits = &connection.limits;
        let first = if limits.idle_close.is_zero() { limits.frame_within } else { limits.idle_close };
        let timer = Box::pin(sleep_until(now + first.min(limits.frame_within)));
        Self { connection, last_read: now, frame_since: None, timer }
    }

    /// Returns when there was no traffic for the configured time, or a frame has not ended in its time or, at the
    /// latest, twice that.
    async fn expired(&mut self) -> End {
        let (idle_close, frame_within) =
            (self.connection.limits.idle_close, self.connection.limits.frame_within);
        loop {
            self.timer.as_mut().await;
            if self.frame_since.is_some_and(|since| since.elapsed() >= frame_within) {
                return End::HalfFrame(frame_within);
            }
            let mut next = Instant::now() + frame_within;
            if !idle_close.is_zero() {
                let last = self.last_read.max(self.connection.last_write());
                if last.elapsed() >= idle_close {
                    return End::Idle(idle_close);
                }
                // The write time is rounded down to milliseconds, so the deadline is never in the past.
                next = next.min(last + idle_close);
            }
            self.timer.as_mut().reset(next);
        }
    }
}

fn log(end: &End, log_limit: &LogLimit) {
    match end {
        End::Eof => tracing::debug!("peer closed"),
        End::Stopped => {}
        End::Idle(after) => tracing::info!(idle_ms = after.as_millis() as u64, "closing an idle connection"),
        End::HalfFrame(within) => {
            if let Some(suppressed) = log_limit.admit() {
                tracing::warn!(
                    within_ms = within.as_millis() as u64,
                    suppressed,
                    "a frame was begun and not ended in time, closing"
                );
            }
        }
        End::Io(error) => tracing::debug!(%error, "read failed"),
        End::Malformed(error) => {
            if let Some(suppressed) = log_limit.admit() {
                tracing::warn!(%error, suppressed, "malformed frame, closing");
            }
        }
        End::Tls => {
            if let Some(suppressed) = log_limit.admit() {
                tracing::warn!(
                    suppressed,
                    "peer starts a TLS handshake, which this port does not speak: closing"
                );
            }
        }
    }
}
