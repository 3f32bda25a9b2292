//! The write task of one connection: what is queued leaves in as few system calls as the system allows.
//!
//! Whoever queues a frame wakes this task, and the runtime runs a task that was just woken before others that have been
//! ready for longer. On its own it would find one frame each time, although the tasks that are about to queue
//! the next ones are ready to run. It lets them go first, once, when the connection has more under way than is queued.
//! That is a turn of the runtime, no wait: with nobody else ready it goes on at once, and a lone call is written as it
//! comes.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::connection::Connection;
use crate::outbox::Frame;

/// What is taken off the queue at a time. Enough for full socket buffers, little enough that the memory of
/// what is written comes back soon.
const BATCH_BYTES_MAX: usize = 1 << 20;
const BATCH_FRAMES_MAX: usize = SLICES_MAX / 2;
/// Pieces in one system call: Linux refuses more (`IOV_MAX`).
const SLICES_MAX: usize = 1_024;
/// Batches of at most this many pieces use a small array, which costs less to lay out.
const SLICES_FEW: usize = 64;

type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Runs until the connection is closed, finished, or cannot be written to, and leaves it closed.
pub(crate) async fn run(mut writer: Writer, connection: Arc<Connection>) {
    // Pinned once, not made anew for each write.
    let stop = connection.lifecycle.writer_stopped();
    tokio::pin!(stop);
    let mut batch = Vec::new();
    loop {
        connection.outbox.take_batch(&mut batch, BATCH_BYTES_MAX, BATCH_FRAMES_MAX);
        if connection.is_closed() {
            break;
        }
        if batch.is_empty() {
            if connection.is_finished() {
                break;
            }
            connection.lifecycle.writer_woken().await;
            if connection.has_more_under_way() {
                tokio::task::yield_now().await;
            }
            continue;
        }
        let written = tokio::select! {
            biased;
            () = &mut stop => break,
            written = write_batch(&mut writer, &batch, &connection) => written,
        };
        if let Err(error) = written {
            tracing::debug!(%error, "write failed");
            break;
        }
        batch.clear(); // gives the permits back
    }
    connection.close();
    drop(batch);
    // FIN behind what was written; a socket that cannot do even that is gone anyway.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(100), writer.shutdown()).await;
}

async fn write_batch(writer: &mut Writer, batch: &[Frame], connection: &Connection) -> io::Result<()> {
    let mut left = Left { frames: batch, written: 0 };
    while !left.frames.is_empty() {
        let wrote = if left.has_few_pieces() {
            write_some::<SLICES_FEW>(writer, &left).await?
        } else {
            write_some::<SLICES_MAX>(writer, &left).await?
        };
        if wrote == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        connection.wrote();
        left.advance(wrote);
    }
    Ok(())
}

/// One system call, or a wait for room and one behind it. Returns the bytes that went.
async fn write_some<const SLICES: usize>(writer: &mut Writer, left: &Left<'_>) -> io::Result<usize> {
    poll_fn(|context| {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let used = left.gather(&mut slices);
        Pin::new(&mut *writer).poll_write_vectored(context, &slices[..used])
    })
    .await
}

/// What of a batch is still to be written.
struct Left<'a> {
    frames: &'a [Frame],
    /// Bytes of the first frame that are gone; fewer than it has.
    written: usize,
}

impl<'a> Left<'a> {
    fn has_few_pieces(&self) -> bool {
        let mut pieces = 0;
        self.frames.iter().all(|frame| {
            pieces += frame.pieces().count();
            pieces <= SLICES_FEW
        })
    }

    /// Points the slices at what comes next, and says how many of them; no slice is empty.
    fn gather(&self, slices: &mut [IoSlice<'a>]) -> usize {
        let (mut skip, mut used) = (self.written, 0);
        for piece in self.frames.iter().flat_map(Frame::pieces) {
            if used == slices.len() {
                break;
            }
            if skip >= piece.len() {
                skip -= piece.len(); // all of it is written, or it is empty
                continue;
            }
            slices[used] = IoSlice::new(&piece[skip..]);
            skip = 0;
            used += 1;
        }
        used
    }

    fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        while let Some((first, behind)) = self.frames.split_first()
            && self.written >= first.bytes()
        {
            self.written -= first.bytes();
            self.frames = behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use bytes::Bytes;

    use super::*;

    /// Takes at most `at_most` bytes a call.
    struct Sluggish {
        taken: Arc<std::sync::Mutex<Vec<u8>>>,
        at_most: usize,
    }

    impl AsyncWrite for Sluggish {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let bytes = buf.len().min(self.at_most);
            self.taken.lock().unwrap().extend_from_slice(&buf[..bytes]);
            Poll::Ready(Ok(bytes))
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).take(self.at_most).collect();
            self.taken.lock().unwrap().extend_from_slice(&all);
            Poll::Ready(Ok(all.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_however_little_the_socket_takes() {
        for (at_most, count) in [(1, 300), (3, 300), (7, 20), (64, 2), (1 << 20, 20), (1 << 20, 300)] {
            let frames: Vec<Frame> = (0..count)
                .map(|n: u16| {
                    let command = protocol::Command::request(i32::from(n)).with_body(vec![n as u8; 3]);
                    let chunks = vec![Bytes::new(), Bytes::copy_from_slice(&n.to_be_bytes())];
                    Frame::encode(&command, chunks).unwrap()
                })
                .collect();
            let expected: Vec<u8> = frames
                .iter()
                .flat_map(|frame| [&frame.head[..], &frame.body, &frame.chunks[1]].concat())
                .collect();
            let taken = Arc::new(std::sync::Mutex::new(Vec::new()));
            let mut writer: Writer = Box::new(Sluggish { taken: taken.clone(), at_most });
            let any = "127.0.0.1:1".parse().unwrap();
            let connection = Connection::new(any, any, crate::ServerConfig::default().limits());
            write_batch(&mut writer, &frames, &connection).await.unwrap();
            assert_eq!(*taken.lock().unwrap(), expected, "{at_most} bytes a write");
        }
    }
}
