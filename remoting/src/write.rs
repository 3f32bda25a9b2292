//! The write task of one connection: gathers queued frames into vectored writes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::connection::Connection;
use crate::outbox::Frame;

/// What is taken off the queue at a time. Enough for full socket buffers, little enough that the memory of
/// what is written comes back soon.
const BATCH_BYTES_MAX: usize = 1 << 20;
const BATCH_FRAMES_MAX: usize = 512;
/// Pieces in one system call. Linux refuses more than 1,024.
const SLICES_MAX: usize = 256;

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
    let mut pieces: VecDeque<Bytes> = batch
        .iter()
        .flat_map(|frame| [&frame.head, &frame.body].into_iter().chain(&frame.chunks))
        .filter(|piece| !piece.is_empty())
        .cloned()
        .collect();
    while !pieces.is_empty() {
        let mut wrote = poll_fn(|context| {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let used = pieces.len().min(SLICES_MAX);
            for (slice, piece) in slices.iter_mut().zip(&pieces) {
                *slice = IoSlice::new(piece);
            }
            Pin::new(&mut *writer).poll_write_vectored(context, &slices[..used])
        })
        .await?;
        if wrote == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        connection.wrote();
        while let Some(first) = pieces.front_mut()
            && wrote > 0
        {
            if first.len() > wrote {
                first.advance(wrote);
                break;
            }
            wrote -= first.len();
            pieces.pop_front();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll};

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
        for at_most in [1, 3, 7, 64, 1 << 20] {
            let frames: Vec<Frame> = (0..300_u16)
                .map(|n| {
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
