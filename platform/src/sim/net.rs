//! A network in memory: hosts with addresses of their own, and links between them that are slow, cut one way or both, or
//! lose their connections.
//!
//! Bytes of one connection arrive in order, each piece after a time that the seed decides. Over a cut link they wait, as
//! TCP would send them again; a host that is down says nothing, and its peers hear of its end when it is up again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::Trace;
use crate::net::{Connection, Listener, Net};

/// Bytes on their way in one direction of a connection; more wait with their writer.
const ON_THE_WAY_MAX: usize = 256 << 10;
/// One write in so many is a short one.
const SHORT_ONE_IN: u32 = 16;
/// One piece in so many takes ten times as long as others.
const SLOW_ONE_IN: u32 = 100;
/// Where the ports of those who connect begin.
const FIRST_PORT: u16 = 49_152;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct SimNet(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Links or hosts changed. Not tokio's `watch`, which wakes in an order that follows from no seed.
    changes: Notify,
    trace: Trace,
    start: Instant,
}

struct State {
    rng: StdRng,
    listeners: BTreeMap<SocketAddr, UnboundedSender<Connection>>,
    /// From where to where nothing passes.
    cuts: BTreeSet<(IpAddr, IpAddr)>,
    down: BTreeSet<IpAddr>,
    /// A piece mostly takes up to so long, in milliseconds.
    latency_ms_max: u64,
    next_port: u16,
    pipes: Vec<Weak<Pipe>>,
}

impl State {
    fn passes(&self, from: IpAddr, to: IpAddr) -> bool {
        !self.cuts.contains(&(from, to)) && !self.down.contains(&from) && !self.down.contains(&to)
    }

    fn latency(&mut self) -> Duration {
        let ms = self.rng.random_range(0..=self.latency_ms_max);
        Duration::from_millis(if self.rng.random_ratio(1, SLOW_ONE_IN) { ms * 10 } else { ms })
    }
}

impl SimNet {
    /// A network whose pieces mostly take up to `latency_ms_max` milliseconds, as `rng` has it. Must be made inside a
    /// runtime whose time is paused. What passes over it is noted in `trace`.
    pub fn new(rng: StdRng, latency_ms_max: u64, trace: Trace) -> Self {
        let state = State {
            rng,
            listeners: BTreeMap::new(),
            cuts: BTreeSet::new(),
            down: BTreeSet::new(),
            latency_ms_max,
            next_port: FIRST_PORT,
            pipes: Vec::new(),
        };
        let (changes, start) = (Notify::new(), Instant::now());
        Self(Arc::new(Shared { state: Mutex::new(state), changes, trace, start }))
    }

    /// The host with this address.
    pub fn host(&self, ip: IpAddr) -> SimHost {
        SimHost { net: self.clone(), ip }
    }

    /// Nothing passes from one host to the other from now on, or everything does.
    pub fn set_cut(&self, from: IpAddr, to: IpAddr, is_cut: bool) {
        self.change(|state| {
            if is_cut {
                state.cuts.insert((from, to))
            } else {
                state.cuts.remove(&(from, to))
            };
        });
    }

    /// All links are whole again.
    pub fn heal(&self) {
        self.change(|state| state.cuts.clear());
    }

    /// A host that is down is silent; its connections are gone when it is up again.
    pub fn set_down(&self, host: IpAddr, is_down: bool) {
        self.change(|state| {
            if is_down {
                state.down.insert(host)
            } else {
                state.down.remove(&host)
            };
        });
    }

    /// Breaks all connections between two hosts.
    pub fn reset(&self, a: IpAddr, b: IpAddr) {
        self.each_pipe(|pipe| {
            if (pipe.from, pipe.to) == (a, b) || (pipe.from, pipe.to) == (b, a) {
                lock(&pipe.state).is_reset = true;
            }
        });
        self.change(|_| {});
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.0.state));
        self.0.changes.notify_waiters();
        self.each_pipe(Pipe::wake);
    }

    fn each_pipe(&self, mut act: impl FnMut(&Pipe)) {
        let pipes: Vec<_> = {
            let mut state = lock(&self.0.state);
            state.pipes.retain(|pipe| pipe.strong_count() > 0);
            state.pipes.iter().filter_map(Weak::upgrade).collect()
        };
        for pipe in &pipes {
            act(pipe);
        }
    }

    fn passes(&self, from: IpAddr, to: IpAddr) -> bool {
        lock(&self.0.state).passes(from, to)
    }

    fn pipe(&self, from: IpAddr, to: IpAddr) -> (Half<Read>, Half<Write>) {
        let pipe = Arc::new(Pipe { net: self.clone(), from, to, state: Mutex::default() });
        lock(&self.0.state).pipes.push(Arc::downgrade(&pipe));
        let reader = Half { pipe: Arc::clone(&pipe), side: Read { next_at: None } };
        (reader, Half { pipe, side: Write })
    }
}

/// One host of the network.
#[derive(Clone)]
pub struct SimHost {
    net: SimNet,
    ip: IpAddr,
}

impl Net for SimHost {
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let mut state = lock(&self.net.0.state);
            if addr.ip() != self.ip {
                return Err(io::ErrorKind::AddrNotAvailable.into());
            }
            if state.listeners.contains_key(&addr) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            let (sender, queue) = unbounded_channel();
            state.listeners.insert(addr, sender);
            drop(state);
            let listener = SimListener { net: self.net.clone(), addr, queue: AsyncMutex::new(queue) };
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move {
            let peer: SocketAddr = addr.parse().map_err(io::Error::other)?;
            let (net, to) = (&self.net, peer.ip());
            let round_trip = {
                let mut state = lock(&net.0.state);
                state.latency() + state.latency()
            };
            sleep(round_trip).await;
            while !net.passes(self.ip, to) || !net.passes(to, self.ip) {
                net.0.changes.notified().await;
            }
            let local = {
                let mut state = lock(&net.0.state);
                let port = state.next_port;
                state.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
                SocketAddr::new(self.ip, port)
            };
            let ((from_us, to_them), (from_them, to_us)) = (net.pipe(self.ip, to), net.pipe(to, self.ip));
            let ours = Connection { reader: Box::new(from_them), writer: Box::new(to_them), peer, local };
            let theirs =
                Connection { reader: Box::new(from_us), writer: Box::new(to_us), peer: local, local: peer };
            let state = lock(&net.0.state);
            let listener = state.listeners.get(&peer).ok_or(io::ErrorKind::ConnectionRefused)?.clone();
            drop(state);
            listener.send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(ours)
        })
    }
}

struct SimListener {
    net: SimNet,
    addr: SocketAddr,
    queue: AsyncMutex<UnboundedReceiver<Connection>>,
}

impl Listener for SimListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let next = self.queue.lock().await.recv().await;
            next.ok_or_else(|| io::ErrorKind::NotConnected.into())
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        lock(&self.net.0.state).listeners.remove(&self.addr);
    }
}

/// One direction of a connection.
struct Pipe {
    net: SimNet,
    from: IpAddr,
    to: IpAddr,
    state: Mutex<PipeState>,
}

#[derive(Default)]
struct PipeState {
    /// With the instants at which they arrive, which do not fall.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    is_closed: bool,
    is_reader_gone: bool,
    is_reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl PipeState {
    fn wake(&mut self) {
        for waker in self.reader.take().into_iter().chain(self.writer.take()) {
            waker.wake();
        }
    }
}

impl Pipe {
    fn wake(&self) {
        lock(&self.state).wake();
    }
}

/// One side's hand on a pipe.
struct Half<S: Side> {
    pipe: Arc<Pipe>,
    side: S,
}

struct Read {
    /// Runs out when the next piece arrives.
    next_at: Option<Pin<Box<Sleep>>>,
}

struct Write;

trait Side {
    fn leave(state: &mut PipeState);
}

impl Side for Read {
    fn leave(state: &mut PipeState) {
        state.is_reader_gone = true;
    }
}

impl Side for Write {
    fn leave(state: &mut PipeState) {
        state.is_closed = true;
    }
}

impl<S: Side> Drop for Half<S> {
    fn drop(&mut self) {
        let mut state = lock(&self.pipe.state);
        S::leave(&mut state);
        state.wake();
    }
}

impl AsyncRead for Half<Read> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let passes = this.pipe.net.passes(this.pipe.from, this.pipe.to);
        loop {
            let mut state = lock(&this.pipe.state);
            if state.is_reset {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            state.reader = Some(cx.waker().clone());
            if !passes {
                return Poll::Pending;
            }
            let Some((at, piece)) = state.pieces.front_mut() else {
                return if state.is_closed { Poll::Ready(Ok(())) } else { Poll::Pending };
            };
            if *at <= Instant::now() {
                let bytes = piece.len().min(buf.remaining());
                buf.put_slice(&piece[..bytes]);
                piece.drain(..bytes);
                if piece.is_empty() {
                    state.pieces.pop_front();
                }
                state.bytes -= bytes;
                if let Some(writer) = state.writer.take() {
                    writer.wake();
                }
                return Poll::Ready(Ok(()));
            }
            let mut arrival = Box::pin(sleep_until(*at));
            drop(state);
            let is_there = arrival.as_mut().poll(cx).is_ready();
            this.side.next_at = Some(arrival);
            if !is_there {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for Half<Write> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let pipe = &self.pipe;
        let shared = &pipe.net.0;
        let (passes, latency, is_short) = {
            let mut net = lock(&shared.state);
            (net.passes(pipe.from, pipe.to), net.latency(), net.rng.random_ratio(1, SHORT_ONE_IN))
        };
        let mut state = lock(&pipe.state);
        if state.is_reset || (state.is_reader_gone && passes) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.bytes >= ON_THE_WAY_MAX {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let bytes = if is_short { buf.len().div_ceil(2) } else { buf.len() };
        let now = Instant::now();
        let at = state.pieces.back().map_or(now + latency, |(last, _)| (*last).max(now + latency));
        state.pieces.push_back((at, buf[..bytes].to_vec()));
        state.bytes += bytes;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        let at_ms = now.duration_since(shared.start).as_millis() as u64;
        shared.trace.note(&format!("{at_ms} {}>{}", pipe.from, pipe.to), &buf[..bytes]);
        Poll::Ready(Ok(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.pipe.state);
        state.is_closed = true;
        state.wake();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));
    const WHILE: Duration = Duration::from_secs(60);

    async fn connected(seed: u64) -> (SimNet, Connection, Connection) {
        let net = SimNet::new(StdRng::seed_from_u64(seed), 20, Trace::default());
        let addr = SocketAddr::new(B, 7);
        let listener = net.host(B).listen(addr).await.unwrap();
        let a = net.host(A);
        let addr = addr.to_string();
        let (accepted, connected) = tokio::join!(listener.accept(), a.connect(&addr));
        (net, connected.unwrap(), accepted.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_end_writes_the_other_reads_in_order_and_later() {
        for seed in 0..20 {
            println!("seed {seed}");
            let (_net, mut a, mut b) = connected(seed).await;
            let sent: Vec<u8> = (0..5_000_u32).map(|n| n as u8).collect();
            for piece in sent.chunks(777) {
                a.writer.write_all(piece).await.unwrap();
            }
            drop(a);
            let mut read = Vec::new();
            b.reader.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, sent);
            assert!(b.writer.write_all(b"x").await.is_err(), "nobody reads it");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cut_link_holds_what_is_sent_over_it_until_it_is_whole() {
        let (net, mut a, mut b) = connected(1).await;
        net.set_cut(A, B, true);
        a.writer.write_all(b"oars").await.unwrap();
        let mut read = [0; 4];
        assert!(timeout(WHILE, b.reader.read_exact(&mut read)).await.is_err());
        assert!(timeout(WHILE, net.host(A).connect("10.0.0.2:7")).await.is_err());
        b.writer.write_all(b"back").await.unwrap();
        a.reader.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"back", "the other way is not cut");
        net.heal();
        b.reader.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"oars");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_host_that_is_down_is_heard_of_when_it_is_up_again() {
        let (net, mut a, b) = connected(2).await;
        net.set_down(B, true);
        drop(b);
        let mut read = [0; 1];
        assert!(timeout(WHILE, a.reader.read(&mut read)).await.is_err());
        a.writer.write_all(b"x").await.unwrap();
        net.set_down(B, false);
        assert_eq!(a.reader.read(&mut read).await.unwrap(), 0);
        assert!(a.writer.write_all(b"x").await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_ends_both_sides() {
        let (net, mut a, mut b) = connected(3).await;
        net.reset(B, A);
        assert!(a.reader.read(&mut [0; 1]).await.is_err());
        assert!(b.writer.write_all(b"x").await.is_err());
    }
}
