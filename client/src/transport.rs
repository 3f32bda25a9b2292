//! Requests and answers: calls by address, with errors that say what they mean to a caller.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use platform::{Clock, Platform};
use protocol::{Command, ResponseCode};
use remoting::{CallError, Handler};

use crate::config::ClientConfig;
use crate::error::{ClientError, refused_outcome};

/// A silent connection is given up after a call that waited at least this long in vain.
const SILENCE_MIN: Duration = Duration::from_millis(900);

/// The connections of one client.
pub(crate) struct Transport {
    remoting: remoting::Client,
    clock: Arc<dyn Clock>,
    /// When each address last answered anything, on the monotonic clock.
    answered: Mutex<HashMap<String, Duration>>,
}

impl Transport {
    pub(crate) fn new(config: &ClientConfig, handler: Option<Arc<dyn Handler>>) -> Self {
        let platform: Platform = config.platform.clone();
        let clock = platform.clock.clone();
        let settings = remoting::ClientConfig {
            connect_timeout: config.connect_timeout,
            ..remoting::ClientConfig::default()
        };
        Self {
            remoting: remoting::Client::new(platform, settings, handler),
            clock,
            answered: Mutex::default(),
        }
    }

    /// Sends a request and waits for its answer, whatever its code.
    pub(crate) async fn answer(
        &self,
        addr: &str,
        request: Command,
        timeout: Duration,
    ) -> Result<Command, ClientError> {
        let name = name_of(request.code);
        let asked = self.clock.monotonic();
        match self.remoting.call(addr, request, timeout).await {
            Ok(answer) => {
                self.heard_from(addr);
                Ok(answer)
            }
            Err(error) => {
                self.drop_if_silent(addr, &error, asked);
                Err(ClientError::from_call(addr, name, error))
            }
        }
    }

    /// Sends a request and waits for an answer with code 0.
    pub(crate) async fn call(
        &self,
        addr: &str,
        request: Command,
        timeout: Duration,
    ) -> Result<Command, ClientError> {
        let code = request.code;
        let answer = self.answer(addr, request, timeout).await?;
        if answer.code == ResponseCode::SUCCESS { Ok(answer) } else { Err(refused(addr, code, &answer)) }
    }

    /// Sends a request that has no answer. Returns when it is queued for the socket.
    pub(crate) async fn oneway(&self, addr: &str, request: Command) -> Result<(), ClientError> {
        let name = name_of(request.code);
        self.remoting
            .oneway(addr, request.oneway())
            .await
            .map_err(|error| ClientError::from_call(addr, name, error))
    }

    /// The address of this machine as seen on the connection to `addr`.
    pub(crate) async fn local_ip(&self, addr: &str) -> Option<std::net::IpAddr> {
        Some(self.remoting.connection(addr).await.ok()?.local().ip())
    }

    pub(crate) async fn shutdown(&self) {
        self.remoting.shutdown().await;
    }

    fn heard_from(&self, addr: &str) {
        let now = self.clock.monotonic();
        let mut answered = self.answered.lock().expect("no panic while it is held");
        match answered.get_mut(addr) {
            Some(at) => *at = now,
            None => drop(answered.insert(addr.to_owned(), now)),
        }
    }

    /// How long nothing has come from `addr`; forever if nothing ever came.
    pub(crate) fn silent_for(&self, addr: &str) -> Duration {
        let now = self.clock.monotonic();
        let answered = self.answered.lock().expect("no panic while it is held");
        answered.get(addr).map_or(Duration::MAX, |at| now.saturating_sub(*at))
    }

    /// After a time-out, closes a connection on which nothing at all came in the meantime: behind a healed
    /// network cut TCP itself may wait for minutes before it tries again, a new connection works at once.
    fn drop_if_silent(&self, addr: &str, error: &CallError, asked: Duration) {
        let timed_out = matches!(error, CallError::Unknown { reason: remoting::Unknown::Timeout(_), .. });
        if !timed_out || self.clock.monotonic() < asked + SILENCE_MIN {
            return;
        }
        let last = self.answered.lock().expect("no panic while it is held").get(addr).copied();
        if last.is_none_or(|last| last < asked) {
            self.remoting.close_addr(addr);
        }
    }
}

impl Drop for Transport {
    /// A client that was dropped without a shutdown leaves no open connection behind.
    fn drop(&mut self) {
        for addr in self.answered.get_mut().expect("no panic while it is held").keys() {
            self.remoting.close_addr(addr);
        }
    }
}

/// The error for an answer with another code than 0.
pub(crate) fn refused(addr: &str, request: i32, answer: &Command) -> ClientError {
    ClientError::Refused {
        addr: addr.to_owned(),
        request: name_of(request),
        code: answer.code,
        remark: answer.remark.clone().unwrap_or_default(),
        outcome: refused_outcome(answer.code, &answer.ext),
    }
}

/// The error for an answer that cannot be read.
pub(crate) fn bad_answer(addr: &str, request: i32, what: &'static str, reason: impl Display) -> ClientError {
    ClientError::BadAnswer {
        addr: addr.to_owned(),
        request: name_of(request),
        what,
        reason: reason.to_string(),
    }
}

/// A request code's name, for people.
pub(crate) fn name_of(code: i32) -> &'static str {
    protocol::code::request_name(code).unwrap_or("unknown request")
}
