//! How many system calls it takes to write: counted at the socket.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use platform::{Connection, Listener, Net, TokioNet};
use protocol::Command;
use remoting::{Responder, Server, ServerConfig};
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;

use crate::support::*;

/// TCP that counts the writes of the accepting side.
#[derive(Clone, Default)]
struct CountingNet(Arc<AtomicUsize>);

struct CountingListener(Box<dyn Listener>, Arc<AtomicUsize>);

struct CountingWriter(Box<dyn AsyncWrite + Send + Unpin>, Arc<AtomicUsize>);

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Net for CountingNet {
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TokioNet.listen(addr).await?;
            Ok(Box::new(CountingListener(listener, self.0.clone())) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        TokioNet.connect(addr)
    }
}

impl Listener for CountingListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let Connection { reader, writer, peer, local } = self.0.accept().await?;
            let writer = Box::new(CountingWriter(writer, self.1.clone()));
            Ok(Connection { reader, writer, peer, local })
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

impl AsyncWrite for CountingWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut *self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

/// As a broker answers: a task for each request, all of them woken by one event.
fn answer_all_when(told: impl Future<Output = ()> + Send + 'static, held: Vec<(Command, Responder)>) {
    let (events, answering): (Vec<_>, Vec<_>) = held
        .into_iter()
        .map(|(request, responder)| {
            let (done, applied) = oneshot::channel::<()>();
            let answering = async move {
                applied.await.unwrap();
                responder.send(Command::response_to(&request, 0).with_body(request.body));
            };
            (done, answering)
        })
        .unzip();
    for task in answering {
        tokio::spawn(task);
    }
    tokio::spawn(async move {
        told.await;
        for done in events {
            done.send(()).unwrap();
        }
    });
}

/// One worker, so that the tasks that answer and the write task take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn answers_that_are_ready_together_leave_together() {
    let (net, story) = (CountingNet::default(), Arc::new(Story::default()));
    let any = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(&net, any, story.clone(), ServerConfig::default()).await.unwrap();
    let mut raw = Raw::connect(&server).await;
    let requests = 200;
    for opaque in 0..requests {
        raw.send(opaque, request(HOLD, "some words of a body")).await;
    }
    wait_until("all requests", || story.held() == requests as usize).await;
    let (start, started) = oneshot::channel();
    let held = std::mem::take(&mut *story.held.lock().unwrap());
    answer_all_when(async move { started.await.unwrap() }, held);
    start.send(()).unwrap();
    for _ in 0..requests {
        assert_eq!(raw.read().await.unwrap().body, "some words of a body");
    }
    // The runtime lets the write task have its turn at the latest after some 60 others.
    let writes = net.0.load(Ordering::SeqCst);
    assert!(writes <= 10, "{writes} writes for {requests} answers that were ready together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lone_answer_is_one_write() {
    let (net, story) = (CountingNet::default(), Arc::new(Story::default()));
    let any = "127.0.0.1:0".parse().unwrap();
    let server = Server::start(&net, any, story.clone(), ServerConfig::default()).await.unwrap();
    let mut raw = Raw::connect(&server).await;
    for opaque in 0..10 {
        raw.send(opaque, request(ECHO, "body")).await;
        assert_eq!(raw.read().await.unwrap().opaque, opaque);
    }
    assert_eq!(net.0.load(Ordering::SeqCst), 10);
}
