//! Asking name servers: one is kept while it answers, the next is asked when it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protocol::command::route::{GetRouteInfo, TopicRouteData};
use protocol::{Command, RequestCode, ResponseCode};

use crate::error::ClientError;
use crate::transport::Transport;

/// The name servers of one cluster. They know nothing of each other; any of them will do.
pub(crate) struct NameServers {
    addrs: Vec<String>,
    timeout: Duration,
    transport: Arc<Transport>,
    /// Index of the one to ask first.
    current: AtomicUsize,
}

impl NameServers {
    pub(crate) fn new(addrs: Vec<String>, timeout: Duration, transport: Arc<Transport>) -> Self {
        assert!(!addrs.is_empty(), "the configuration was checked for at least one name server");
        Self { addrs, timeout, transport, current: AtomicUsize::new(0) }
    }

    /// All of them, as configured.
    pub(crate) fn addrs(&self) -> &[String] {
        &self.addrs
    }

    /// Asks the current name server, then the others in turn, until one answers. An error code is an answer.
    pub(crate) async fn ask(&self, request: &Command) -> Result<Command, ClientError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut last = None;
        for step in 0..self.addrs.len() {
            let index = (first + step) % self.addrs.len();
            match self.transport.answer(&self.addrs[index], request.clone(), self.timeout).await {
                Ok(answer) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(ClientError::NameServers {
            addrs: self.addrs.join(";"),
            request: crate::transport::name_of(request.code),
            source: Box::new(last.expect("there is at least one name server")),
        })
    }

    /// Moves on to the next name server, because the current one told something that proved wrong.
    pub(crate) fn doubt_current(&self) {
        let current = self.current.load(Ordering::Relaxed);
        self.current.store((current + 1) % self.addrs.len(), Ordering::Relaxed);
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
