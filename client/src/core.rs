//! What every kind of client has: connections, routes, an identity, and the tasks that keep them fresh.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use platform::Platform;
use protocol::Command;
use protocol::message::id::UniqueKeys;
use rand::Rng;
use remoting::Handler;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::namesrv::NameServers;
use crate::route::TopicRoute;
use crate::route_cache::{Missing, RouteCache};
use crate::transport::{Transport, bad_answer};

/// Tells clients of one process apart.
static INSTANCES: AtomicU64 = AtomicU64::new(0);

/// The tasks of one client; ended together.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Vec<JoinHandle<()>>>);

impl Tasks {
    pub(crate) fn new(tasks: Vec<JoinHandle<()>>) -> Self {
        Self(Mutex::new(tasks))
    }

    /// Waits for all of them; they were told to stop.
    pub(crate) async fn ended(&self) {
        for task in self.take() {
            // A task that panicked has said so already.
            let _ = task.await;
        }
    }

    /// Ends them wherever they are.
    pub(crate) fn abort(&self) {
        for task in self.take() {
            task.abort();
        }
    }

    fn take(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.0.lock().expect("no panic while it is held"))
    }
}

/// One client as the brokers see it.
pub(crate) struct Core {
    pub(crate) config: ClientConfig,
    pub(crate) transport: Arc<Transport>,
    pub(crate) routes: RouteCache,
    /// `ip@instance`, by which brokers tell the members of a group apart.
    pub(crate) client_id: String,
    pub(crate) ip: std::net::IpAddr,
    numbers: AtomicU64,
    stop: watch::Sender<bool>,
}

impl Core {
    /// Connects to a name server if one is there; it need not be.
    pub(crate) async fn start(
        config: ClientConfig,
        handler: Option<Arc<dyn Handler>>,
    ) -> Result<Arc<Self>, ClientError> {
        config.check()?;
        let transport = Arc::new(Transport::new(&config, handler));
        let ip = tokio::time::timeout(config.namesrv_timeout, first_ip(&transport, &config.namesrv))
            .await
            .ok()
            .flatten()
            .unwrap_or(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
        let client_id = client_id(&config, ip);
        let namesrv = NameServers::new(config.namesrv.clone(), config.namesrv_timeout, transport.clone());
        let routes = RouteCache::new(namesrv);
        Ok(Arc::new(Self {
            config,
            transport,
            routes,
            client_id,
            ip,
            numbers: AtomicU64::new(0),
            stop: watch::Sender::new(false),
        }))
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.config.platform
    }

    /// Time since some fixed point of this process.
    pub(crate) fn now(&self) -> Duration {
        self.config.platform.clock.monotonic()
    }

    /// The wall clock.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.config.platform.clock.wall_ms() as i64
    }

    /// A number that this client has not given out before.
    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A generator of unique keys for the messages of this client.
    pub(crate) fn unique_keys(&self) -> UniqueKeys {
        UniqueKeys::new(self.ip, std::process::id(), self.platform().rng.rng("unique keys").random())
    }

    /// Asks for the routes of all topics in use again and again, and at once for those in doubt, until stopped.
    pub(crate) fn spawn_route_poll(self: &Arc<Self>) -> JoinHandle<()> {
        let core = self.clone();
        tokio::spawn(async move {
            let mut poll = tokio::time::interval(core.config.route_poll_interval);
            poll.tick().await; // the first is at once, when there is nothing to ask for
            loop {
                let topics = tokio::select! {
                    () = core.stopped() => return,
                    _ = poll.tick() => core.routes.topics(),
                    doubted = core.routes.doubted() => doubted.into_iter().collect(),
                };
                for topic in topics {
                    if let Err(error) = core.routes.refresh(&topic, Missing::Fail).await {
                        tracing::debug!(topic, error = &error as &dyn std::error::Error, "no fresh route");
                    }
                }
                // Between two leaders every send casts doubt.
                tokio::time::sleep(DOUBT_PAUSE).await;
            }
        })
    }

    /// Runs `work` every `every`, first after `every`, until stopped.
    pub(crate) fn spawn_periodic<F>(
        self: &Arc<Self>,
        every: Duration,
        mut work: impl FnMut() -> F + Send + 'static,
    ) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send,
    {
        let mut stop = self.stop.subscribe();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = stop.wait_for(|stopped| *stopped) => return,
                    () = tokio::time::sleep(every) => {}
                }
                work().await;
            }
        })
    }

    /// Resolves when the client is shut down.
    pub(crate) async fn stopped(&self) {
        // The sender lives in `self`, so it cannot be gone.
        let _ = self.stop.subscribe().wait_for(|stopped| *stopped).await;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Ends the tasks; connections stay for last words.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Ends everything.
    pub(crate) async fn shutdown(&self) {
        self.stop();
        self.transport.shutdown().await;
    }

    /// Asks the leader of a broker group, wherever it is: a request that may be repeated. After a failure that
    /// another node may mend, the route is asked anew and the request goes out again, until `timeout`.
    pub(crate) async fn ask_leader(
        &self,
        topic: &str,
        broker_name: &str,
        request: Command,
        timeout: Duration,
    ) -> Result<(String, Command), ClientError> {
        let begun = self.now();
        let mut route = self.routes.get(topic, Missing::Fail).await?;
        let mut failed: Option<String> = None;
        for attempt in 1.. {
            let left = timeout.saturating_sub(self.now().saturating_sub(begun));
            let target = route.write_target(broker_name, failed.as_deref(), attempt).map(str::to_owned);
            let error = match &target {
                Some(addr) => {
                    // A node that never answers must leave time for the next leader.
                    let time = left.min(self.config.call_timeout).min(timeout / 2);
                    match self.transport.call(addr, request.clone(), time).await {
                        Ok(answer) => {
                            if route.leader(broker_name) != Some(addr) {
                                self.routes.doubt(topic); // it was forwarded
                            }
                            return Ok((addr.clone(), answer));
                        }
                        Err(error) => error,
                    }
                }
                None => ClientError::NoLeader { broker_name: broker_name.to_owned() },
            };
            let is_final = error.code().is_some_and(|code| !is_not_now(code));
            if is_final || self.now().saturating_sub(begun) + RETRY_PAUSE >= timeout || self.is_stopped() {
                return Err(error);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
            let addr = target.unwrap_or_default();
            if let Ok(fresh) =
                self.routes.refresh_after_failure(topic, broker_name, &addr, Missing::Fail).await
            {
                route = fresh;
            }
            failed = Some(addr);
        }
        unreachable!("the loop above has no end")
    }

    /// Resolves when another node than `node` leads a broker group. For whoever waits long for an answer of `node`,
    /// which may be dead without a word. Asks name servers only while nothing at all comes from `node`.
    pub(crate) async fn led_elsewhere(&self, topic: &str, broker_name: &str, node: &str) {
        let begun = Instant::now();
        let (mut patience, mut looked_after) = (SILENCE_MIN, Duration::ZERO);
        loop {
            let silent = self.transport.silent_for(node).min(begun.elapsed());
            if silent < looked_after {
                (patience, looked_after) = (SILENCE_MIN, Duration::ZERO); // it has said something
            }
            if silent < patience {
                tokio::time::sleep(patience.saturating_sub(silent)).await;
                continue;
            }
            if let Ok(route) = self.routes.recent(topic, SILENCE_MIN / 2, Missing::Fail).await
                && route.leader(broker_name).is_some_and(|leader| leader != node)
            {
                return;
            }
            looked_after = silent;
            patience = silent + silent.min(SILENCE_MAX);
        }
    }

    /// The route of a topic, which must have one.
    pub(crate) async fn route(&self, topic: &str) -> Result<Arc<TopicRoute>, ClientError> {
        self.routes.get(topic, Missing::Fail).await
    }
}

/// Routes in doubt are asked for this often at most.
const DOUBT_PAUSE: Duration = Duration::from_millis(50);
/// A node that has been silent for this long may have been deposed. The next look is after twice the time, and so on.
const SILENCE_MIN: Duration = Duration::from_millis(500);
/// The longest time between two looks.
const SILENCE_MAX: Duration = Duration::from_secs(4);
/// Pause before a question to a leader is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Whether a refusal passes by itself when another node leads.
fn is_not_now(code: i32) -> bool {
    matches!(
        code,
        protocol::ResponseCode::SYSTEM_BUSY
            | protocol::ResponseCode::SERVICE_NOT_AVAILABLE
            | protocol::ResponseCode::SLAVE_NOT_AVAILABLE
            | protocol::ResponseCode::GO_AWAY
    )
}

/// Reads a number that an answer must have.
pub(crate) fn answer_i64(
    addr: &str,
    request: i32,
    answer: &Command,
    field: &'static str,
) -> Result<i64, ClientError> {
    answer.ext.required_i64(field).map_err(|error| bad_answer(addr, request, field, error))
}

async fn first_ip(transport: &Transport, addrs: &[String]) -> Option<std::net::IpAddr> {
    for addr in addrs {
        if let Some(ip) = transport.local_ip(addr).await {
            return Some(ip);
        }
    }
    None
}

fn client_id(config: &ClientConfig, ip: std::net::IpAddr) -> String {
    if !config.instance_name.is_empty() {
        return format!("{ip}@{}", config.instance_name);
    }
    let number = INSTANCES.fetch_add(1, Ordering::Relaxed);
    let salt: u32 = config.platform.rng.rng("client id").random();
    format!("{ip}@{}#{salt:08x}{number}", std::process::id())
}
