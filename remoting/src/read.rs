//! The read task of one connection: takes whole frames off the bytes, and hands requests to the handler and
//! responses to whoever waits for them.

use std::future::pending;
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
            connection.reader_wake.notified().await;
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
    loop {
        loop {
            if let Err(end) = wait_for_room(connection, &mut idle).await {
                return end;
            }
            let before = buf.len();
            match frame::decode(&mut buf) {
                Ok(Some(command)) => dispatch(command, before - buf.len(), connection, handler),
                Ok(None) => break,
                Err(error) => return End::Malformed(error),
            }
        }
        make_room(&mut buf);
        let read = tokio::select! {
            biased;
            () = connection.reader_wake.notified() => continue, // the loop above looks at what changed
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
async fn wait_for_room(connection: &Connection, idle: &mut Idle<'_>) -> Result<(), End> {
    loop {
        if !connection.is_open() {
            return Err(End::Stopped);
        }
        if !connection.budget.is_full() {
            return Ok(());
        }
        tokio::select! {
            () = connection.reader_wake.notified() => {}
            end = idle.expired() => return Err(end),
        }
    }
}

fn dispatch(command: Command, frame_bytes: usize, connection: &Arc<Connection>, handler: &dyn Handler) {
    if command.is_response() {
        if let Some(response) = connection.pending.complete(command) {
            tracing::debug!(opaque = response.opaque, code = response.code, "nobody waits for this response");
        }
        return;
    }
    let responder = Responder::new(Permit::take(connection, frame_bytes), &command);
    handler.on_request(connection, command, responder);
}

/// Makes room for the next read. A long frame grows the buffer with what has arrived, not with what its
/// length claims; short ones share one allocation until it is used up.
fn make_room(buf: &mut BytesMut) {
    // The decoder has passed the lengths, if they are there.
    let frame_bytes = frame::frame_bytes(buf).ok().flatten().unwrap_or(0);
    let wanted = frame_bytes.saturating_sub(buf.len()).clamp(SPARE_BYTES_MIN, READ_BYTES.max(buf.len()));
    if buf.capacity() - buf.len() < wanted {
        buf.reserve(wanted.max(READ_BYTES));
    }
}

/// Watches for traffic in both directions with one timer, set anew only when it fires.
struct Idle<'a> {
    connection: &'a Connection,
    last_read: Instant,
    timer: std::pin::Pin<Box<Sleep>>,
}

impl<'a> Idle<'a> {
    fn new(connection: &'a Connection) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + connection.limits.idle_close));
        Self { connection, last_read: now, timer }
    }

    /// Returns when there was no traffic for the configured time.
    async fn expired(&mut self) -> End {
        let idle_close = self.connection.limits.idle_close;
        if idle_close.is_zero() {
            pending::<()>().await; // switched off
        }
        loop {
            self.timer.as_mut().await;
            let last = self.last_read.max(self.connection.last_write());
            if last.elapsed() >= idle_close {
                return End::Idle(idle_close);
            }
            // The write time is rounded down to milliseconds, so the deadline is never in the past.
            self.timer.as_mut().reset(last + idle_close);
        }
    }
}

fn log(end: &End, log_limit: &LogLimit) {
    match end {
        End::Eof => tracing::debug!("peer closed"),
        End::Stopped => {}
        End::Idle(after) => tracing::info!(idle_ms = after.as_millis() as u64, "closing an idle connection"),
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
