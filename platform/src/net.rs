//! Sockets: listening and connecting over TCP, as halves that tasks can own apart.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One established connection. Dropping both halves closes it.
pub struct Connection {
    /// What the peer sends.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the peer receives. Vectored writes go through to the socket.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// The other end. An IPv4 peer of a dual-stack listener shows as IPv4.
    pub peer: SocketAddr,
    /// This end.
    pub local: SocketAddr,
}

/// Accepts connections on one address.
pub trait Listener: Send + Sync {
    /// Waits for the next connection.
    fn accept(&self) -> BoxFuture<'_, io::Result<Connection>>;

    /// The address in force, with the port the system chose where port 0 was asked for.
    fn local_addr(&self) -> SocketAddr;
}

/// Where connections come from.
pub trait Net: Send + Sync + 'static {
    /// Listens on `addr`.
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;

    /// Connects to `addr`, `host:port`; a name is resolved. Has no time-out of its own.
    fn connect<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Connection>>;
}

/// TCP through tokio, with `TCP_NODELAY`.
pub struct TokioNet;

struct TokioListener {
    listener: TcpListener,
    local: SocketAddr,
}

impl Net for TokioNet {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn listen(&self, addr: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(addr).await?;
            let local = listener.local_addr()?;
            Ok(Box::new(TokioListener { listener, local }) as Box<dyn Listener>)
        })
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn connect<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(async move { split(TcpStream::connect(addr).await?) })
    }
}

impl Listener for TokioListener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move { split(self.listener.accept().await?.0) })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

fn split(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let peer = plain(stream.peer_addr()?);
    let local = plain(stream.local_addr()?);
    let (reader, writer) = stream.into_split();
    Ok(Connection { reader: Box::new(reader), writer: Box::new(writer), peer, local })
}

/// IPv4 in IPv6 clothes becomes IPv4: a message unit with an IPv6 host is unreadable to C++ consumers.
fn plain(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V6(ip) => {
            let v4: Option<Ipv4Addr> = ip.to_ipv4_mapped();
            v4.map_or(addr, |ip| SocketAddr::new(IpAddr::V4(ip), addr.port()))
        }
        IpAddr::V4(_) => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_one_end_writes_the_other_reads() {
        let listener = TokioNet.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = listener.local_addr().to_string();
        let (accepted, connected) = tokio::join!(listener.accept(), TokioNet.connect(&addr));
        let (mut server, mut client) = (accepted.unwrap(), connected.unwrap());
        client.writer.write_all(b"oars").await.unwrap();
        let mut read = [0; 4];
        server.reader.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"oars");
        assert_eq!(server.peer, client.local);
    }

    #[test]
    fn an_ipv4_peer_of_a_dual_stack_socket_shows_as_ipv4() {
        assert_eq!(plain("[::ffff:10.0.0.1]:7".parse().unwrap()), "10.0.0.1:7".parse().unwrap());
        assert_eq!(plain("[::1]:7".parse().unwrap()), "[::1]:7".parse().unwrap());
    }
}
