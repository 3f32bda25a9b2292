//! The name server: who leads which broker group and serves which topics, as brokers tell it. Name servers are
//! independent of each other; brokers register with all of them, and clients ask any.
//!
//! [`Namesrv`] wires the parts: `route_table` decides (pure), `processor` answers RocketMQ's requests, `liveness`
//! removes brokers that fell silent, `http` answers people. Nothing but the KV config is kept on disk.

mod config;
mod http;
mod kv_config;
mod liveness;
mod processor;
mod route_table;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use platform::Platform;
use remoting::{Server, ServerConfig};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use config::{Config, Switches};
pub use kv_config::KvError;

use http::Http;
use kv_config::KvConfig;
use processor::{Processor, Shared};

/// Why a name server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken, or not ours to take. The text names the address.
    #[error(transparent)]
    Listen(#[from] io::Error),
    /// The KV config is there and cannot be read.
    #[error(transparent)]
    KvConfig(#[from] KvError),
}

/// A name server that runs. Dropped without [`shutdown`](Self::shutdown), it stops without waiting for anything.
pub struct Namesrv {
    server: Server,
    http: Option<Http>,
    liveness: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Namesrv {
    /// Starts it. On return it answers requests.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing of it runs then.
    pub async fn start(config: &Config, platform: &Platform) -> Result<Self, StartError> {
        let kv = KvConfig::open(platform.disk.clone(), &config.kv_config_path)?;
        let shared = Arc::new(Shared::new(config, kv, platform));
        let (stop, stopped) = watch::channel(false);
        let processor = Arc::new(Processor::new(shared.clone()));
        let remoting = ServerConfig { idle_close: config.idle_close, ..ServerConfig::default() };
        let server = Server::start(&*platform.net, config.listen, processor, remoting).await?;
        let http = match Http::start(&*platform.net, config.http, shared.clone(), stopped.clone()).await {
            Ok(http) => Some(http),
            Err(error) if config.http_is_wanted => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "going on without HTTP; httpPort sets another port");
                None
            }
        };
        let liveness = tokio::spawn(liveness::watch(shared, config.scan_interval, stopped));
        Ok(Self { server, http, liveness, stop })
    }

    /// Where clients and brokers connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Where HTTP is served, if it is.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(|http| http.local)
    }

    /// Stops it. On return no task of it runs and its addresses are free.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        self.server.shutdown().await;
        if let Some(http) = self.http {
            http.ended().await;
        }
        let _ = self.liveness.await; // fails only if the runtime is going away
    }
}

/// Runs a name server until `shutdown` resolves. Prints the line that start scripts look for.
///
/// # Errors
/// If it does not start.
pub async fn run(
    config: Config,
    platform: Platform,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let namesrv = Namesrv::start(&config, &platform).await?;
    let (addr, http) = (namesrv.local_addr(), namesrv.http_addr());
    platform::Sink::stdout()
        .line(&format!("The Name Server boot success. serializeType=JSON, address {addr}"));
    tracing::info!(%addr, http = http.map(tracing::field::display), "name server started");
    shutdown.await;
    namesrv.shutdown().await;
    tracing::info!(%addr, "name server stopped");
    Ok(())
}
