//! Asking name servers: one is kept while it answers, the next is asked when it does not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::command::route::{GetRouteInfo, TopicRouteData};
use protocol::{Command, RequestCode, ResponseCode};
use tokio::time::Instant;

use crate::error::ClientError;
use crate::transport::Transport;

/// A name server that did not answer is asked last for this long: one that swallows what it is sent costs a whole
/// time-out each time.
const AVOID_FOR: Duration = Duration::from_secs(30);

/// The name servers of one cluster. They know nothing of each other; any of them will do.
pub(crate) struct NameServers {
    addrs: Vec<String>,
    timeout: Duration,
    transport: Arc<Transport>,
    /// Index of the one to ask first.
    current: AtomicUsize,
    /// Of each that did not answer when last asked, until when it is asked after the others.
    avoided: Mutex<Vec<Option<Instant>>>,
}

impl NameServers {
    pub(crate) fn new(addrs: Vec<String>, timeout: Duration, transport: Arc<Transport>) -> Self {
        assert!(!addrs.is_empty(), "the configuration was checked for at least one name server");
        let avoided = Mutex::new(vec![None; addrs.len()]);
        Self { addrs, timeout, transport, current: AtomicUsize::new(0), avoided }
    }

    /// All of them, as configured.
    pub(crate) fn addrs(&self) -> &[String] {
        &self.addrs
    }

    /// Asks the current name server, then the others in turn, until one answers. An error code is an answer.
    pub(crate) async fn ask(&self, request: &Command) -> Result<Command, ClientError> {
        let mut last = None;
        for index in self.in_turn() {
            match self.transport.answer(&self.addrs[index], request.clone(), self.timeout).await {
                Ok(answer) => {
                    self.avoid(index, None);
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => {
                    self.avoid(index, Some(Instant::now() + AVOID_FOR));
                    last = Some(error);
                }
            }
        }
        Err(ClientError::NameServers {
            addrs: self.addrs.join(";"),
            request: crate::transport::name_of(request.code),
            source: Box::new(last.expect("there is at least one name server")),
        })
    }

    /// Indexes in the order of asking: from the current one on, those that did not answer lately at the end.
    fn in_turn(&self) -> Vec<usize> {
        let (first, count, now) = (self.current.load(Ordering::Relaxed), self.addrs.len(), Instant::now());
        let mut order: Vec<usize> = (0..count).map(|step| (first + step) % count).collect();
        let avoided = self.avoided.lock().expect("no panic while it is held");
        order.sort_by_key(|index| avoided[*index].is_some_and(|until| until > now)); // stable
        order
    }

    fn avoid(&self, index: usize, until: Option<Instant>) {
        self.avoided.lock().expect("no panic while it is held")[index] = until;
    }

    /// Moves on to the next name server, because the current one told something that proved wrong. Not to one that did
    /// not answer when last asked: a time-out would only lengthen what is already an outage. Whether there was another.
    pub(crate) fn doubt_current(&self) -> bool {
        let (current, count) = (self.current.load(Ordering::Relaxed), self.addrs.len());
        let next = {
            let avoided = self.avoided.lock().expect("no panic while it is held");
            (1..count).map(|step| (current + step) % count).find(|index| avoided[*index].is_none())
        };
        if let Some(next) = next {
            self.current.store(next, Ordering::Relaxed);
        }
        next.is_some()
    }

    /// The route of a topic; `None` if the topic has none.
    pub(crate) async fn route(&self, topic: &str) -> Result<Option<TopicRouteData>, ClientError> {
        let header = GetRouteInfo { topic: topic.to_owned(), accept_standard_json_only: Some(true) };
        let request = Command::request(RequestCode::GET_ROUTEINFO_BY_TOPIC).with_header(&header);
        let answer = self.ask(&request).await?;
        match answer.code {
            ResponseCode::SUCCESS => {
                TopicRouteData::read(&answer.body).map(Some).map_err(|error| ClientError::BadAnswer {
                    addr: self.addrs.join(";"),
                    request: crate::transport::name_of(request.code),
                    what: "route",
                    reason: error.to_string(),
                })
            }
            ResponseCode::TOPIC_NOT_EXIST => Ok(None),
            _ => Err(crate::transport::refused(&self.addrs.join(";"), request.code, &answer)),
        }
    }
}
