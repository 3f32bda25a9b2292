//! The links between the nodes: every connection of one node to another goes through here, so that a
//! test can cut it.
//!
//! A cut holds for a *direction*, from one node to another, and for all connections between the two,
//! whoever made them: what the one writes does not reach the other, and nobody is told. It is not lost
//! either, just as TCP would keep sending it: when the link heals it arrives late.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use platform::{Connection, Listener, Net, TokioNet};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

const COPY_BYTES: usize = 64 * 1024;

/// State of one direction.
struct Direction {
    cut: watch::Sender<bool>,
    /// Counts the resets: connections of an older count close.
    resets: watch::Sender<u64>,
}

/// All directions between the nodes of a group, and the proxies that serve them.
pub struct Links {
    nodes: usize,
    /// `from * nodes + to`
    directions: Arc<Vec<Direction>>,
    tasks: JoinSet<()>,
}

impl Links {
    /// Serves one proxy for each pair: `listen(from, to)` is the port that node `from` dials instead of
    /// node `to`, which listens on `target(to)`.
    ///
    /// # Errors
    /// If a port cannot be listened on.
    pub async fn start(
        nodes: usize,
        listen: impl Fn(usize, usize) -> u16,
        target: impl Fn(usize) -> u16,
    ) -> io::Result<Self> {
        let direction = |_| Direction { cut: watch::Sender::new(false), resets: watch::Sender::new(0) };
        let directions = Arc::new((0..nodes * nodes).map(direction).collect::<Vec<_>>());
        let mut links = Self { nodes, directions, tasks: JoinSet::new() };
        for (from, to) in links.pairs() {
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, listen(from, to)));
            let listener = TokioNet.listen(addr).await?;
            let link = Link {
                target: format!("127.0.0.1:{}", target(to)),
                forth: links.place(from, to),
                back: links.place(to, from),
                directions: links.directions.clone(),
            };
            links.tasks.spawn(link.serve(listener));
        }
        Ok(links)
    }

    fn pairs(&self) -> Vec<(usize, usize)> {
        let all = (0..self.nodes).flat_map(|from| (0..self.nodes).map(move |to| (from, to)));
        all.filter(|(from, to)| from != to).collect()
    }

    fn place(&self, from: usize, to: usize) -> usize {
        assert!(from < self.nodes && to < self.nodes && from != to, "no link from {from} to {to}");
        from * self.nodes + to
    }

    /// From now on nothing that `from` writes reaches `to`.
    pub fn cut_one_way(&self, from: usize, to: usize) {
        self.directions[self.place(from, to)].cut.send_replace(true);
    }

    /// Nothing passes between the two, either way.
    pub fn cut(&self, one: usize, other: usize) {
        self.cut_one_way(one, other);
        self.cut_one_way(other, one);
    }

    /// Nothing passes between `node` and any other.
    pub fn isolate(&self, node: usize) {
        for other in (0..self.nodes).filter(|other| *other != node) {
            self.cut(node, other);
        }
    }

    /// Closes all connections between the two; new ones come up unless the link is cut.
    pub fn reset(&self, one: usize, other: usize) {
        for place in [self.place(one, other), self.place(other, one)] {
            self.directions[place].resets.send_modify(|count| *count += 1);
        }
    }

    /// Everything passes again. What was held back arrives now.
    pub fn heal(&self) {
        for direction in self.directions.iter() {
            direction.cut.send_replace(false);
        }
    }
}

struct Link {
    target: String,
    forth: usize,
    back: usize,
    directions: Arc<Vec<Direction>>,
}

impl Link {
    async fn serve(self, listener: Box<dyn Listener>) {
        let link = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => _ = connections.spawn(link.clone().carry(accepted)),
                    Err(error) => tracing::warn!(%error, target = link.target, "proxy cannot accept"),
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// Carries one connection until either end closes it or it is reset.
    async fn carry(self: Arc<Self>, dialled: Connection) {
        let (forth, back) = (&self.directions[self.forth], &self.directions[self.back]);
        let mut resets = (forth.resets.subscribe(), back.resets.subscribe());
        let carried = async {
            // Both directions are needed to connect: neither side hears of the attempt before.
            passable(forth).await;
            passable(back).await;
            let target = TokioNet.connect(&self.target).await?;
            tokio::select! {
                ended = pump(dialled.reader, target.writer, forth) => ended,
                ended = pump(target.reader, dialled.writer, back) => ended,
            }
        };
        tokio::select! {
            // Whatever ends it, both sockets close here, which is all the news the two ends need.
            _ = carried => {}
            _ = resets.0.changed() => {}
            _ = resets.1.changed() => {}
        }
    }
}

async fn passable(direction: &Direction) {
    // The sender lives as long as the link, so this returns only when the direction is open.
    let _ = direction.cut.subscribe().wait_for(|cut| !cut).await;
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    direction: &Direction,
) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        // The end of a stream is news like any other: it does not pass a cut either.
        passable(direction).await;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::PortBlock;
    use std::time::Duration;
    use tokio::time::timeout;

    struct Rig {
        links: Links,
        ports: PortBlock,
        listeners: Vec<Box<dyn Listener>>,
    }

    /// Two nodes: they listen on ports 1 and 2, and dial each other through 11 and 12.
    async fn rig() -> Rig {
        let ports = PortBlock::claim().unwrap();
        let mut listeners = Vec::new();
        for node in 0..2 {
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.port(1 + node)));
            listeners.push(TokioNet.listen(addr).await.unwrap());
        }
        let links =
            Links::start(2, |from, _| ports.port(11 + from as u16), |to| ports.port(1 + to as u16)).await;
        Rig { links: links.unwrap(), ports, listeners }
    }

    async fn connect(rig: &Rig) -> (Connection, Connection) {
        let dialled = TokioNet.connect(&format!("127.0.0.1:{}", rig.ports.port(11))).await.unwrap();
        let accepted = rig.listeners[1].accept().await.unwrap();
        (dialled, accepted)
    }

    async fn arrives(from: &mut Connection, to: &mut Connection, byte: u8) -> bool {
        from.writer.write_all(&[byte]).await.unwrap();
        let read = timeout(Duration::from_millis(150), to.reader.read_u8()).await;
        read.is_ok_and(|read| read.unwrap() == byte)
    }

    #[tokio::test]
    async fn a_cut_direction_holds_bytes_back_until_it_heals() {
        let rig = rig().await;
        let (mut zero, mut one) = connect(&rig).await;
        assert!(arrives(&mut zero, &mut one, 1).await && arrives(&mut one, &mut zero, 2).await);
        rig.links.cut_one_way(1, 0);
        assert!(arrives(&mut zero, &mut one, 3).await, "the other direction passes");
        assert!(!arrives(&mut one, &mut zero, 4).await);
        rig.links.heal();
        assert_eq!(zero.reader.read_u8().await.unwrap(), 4, "late, not lost");
    }

    #[tokio::test]
    async fn a_cut_link_takes_no_connection_to_the_other_side() {
        let rig = rig().await;
        rig.links.cut_one_way(1, 0);
        let dialled = TokioNet.connect(&format!("127.0.0.1:{}", rig.ports.port(11))).await.unwrap();
        let accepted = timeout(Duration::from_millis(150), rig.listeners[1].accept()).await;
        assert!(accepted.is_err(), "node 1 must not hear of it");
        rig.links.heal();
        rig.listeners[1].accept().await.unwrap();
        drop(dialled);
    }

    #[tokio::test]
    async fn a_reset_closes_what_is_open_and_lets_new_connections_up() {
        let rig = rig().await;
        let (mut zero, _one) = connect(&rig).await;
        rig.links.reset(0, 1);
        let end = zero.reader.read_u8().await;
        assert!(end.is_err(), "closed, but read {end:?}");
        let (mut zero, mut one) = connect(&rig).await;
        assert!(arrives(&mut zero, &mut one, 1).await);
    }
}
