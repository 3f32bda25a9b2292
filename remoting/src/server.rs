//! Accepting connections on one address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use platform::{Listener, Net};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config::ServerConfig;
use crate::connection::Connection;
use crate::registry::Registry;
use crate::reply::Handler;

/// Pause after a failed accept (out of file descriptors, mostly): trying at once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listening address and its connections. Dropped without [`shutdown`](Self::shutdown), it closes them all.
pub struct Server {
    local: SocketAddr,
    registry: Arc<Registry>,
    drain: Duration,
    stop: watch::Sender<bool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `addr` (port 0: one that is free) and serves from then on.
    ///
    /// # Errors
    /// As the system says (in use, no permission), with the address in the text.
    pub async fn start(
        net: &dyn Net,
        addr: SocketAddr,
        handler: Arc<dyn Handler>,
        config: ServerConfig,
    ) -> io::Result<Self> {
        let listener = net
            .listen(addr)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {addr}: {error}")))?;
        let local = listener.local_addr();
        let registry = Arc::new(Registry::default());
        let (stop, stopped) = watch::channel(false);
        let drain = config.drain;
        let accepting = tokio::spawn(accept_all(listener, handler, config, registry.clone(), stopped));
        Ok(Self { local, registry, drain, stop, accepting: Some(accepting) })
    }

    /// The address in force.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Those open now, in no order.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        self.registry.all()
    }

    /// Stops accepting and reading, lets what is in flight be answered for the configured drain time, closes
    /// the rest. On return no task of it runs and the address is free.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.await; // fails only if the runtime is going away
        }
        for connection in self.registry.all() {
            connection.finish();
        }
        if timeout(self.drain, self.registry.empty()).await.is_err() {
            let connections = self.registry.len();
            tracing::debug!(addr = %self.local, connections, "closing connections with requests in flight");
            for connection in self.registry.all() {
                connection.close();
            }
            self.registry.empty().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
            for connection in self.registry.all() {
                connection.close();
            }
        }
    }
}

async fn accept_all(
    listener: Box<dyn Listener>,
    handler: Arc<dyn Handler>,
    config: ServerConfig,
    registry: Arc<Registry>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(socket) => {
                let is_few = registry.len() < config.connections_max;
                if let Some(place) = is_few.then(|| config.shared.socket()).flatten() {
                    registry.start(socket, handler.clone(), config.limits(), Some(place));
                    continue;
                }
                if let Some(suppressed) = registry.log_limit.admit() {
                    let (peer, connections_max) = (socket.peer, config.connections_max);
                    tracing::warn!(%peer, connections_max, suppressed, "too many connections, closing the newest");
                }
            }
            Err(error) => {
                if let Some(suppressed) = registry.log_limit.admit() {
                    tracing::warn!(%error, suppressed, "accept failed");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
