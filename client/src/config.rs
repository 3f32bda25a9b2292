//! What producers, consumers and the admin client share: name servers, names and times.

use std::time::Duration;

use platform::Platform;

use crate::error::ClientError;

/// Where the cluster is, and how patient to be with it.
#[derive(Clone)]
pub struct ClientConfig {
    /// Name servers, `host:port`. One that answers is kept; when it fails the next is asked.
    pub namesrv: Vec<String>,
    /// Tells clients of one process apart; part of the client id. Unique in the process if empty.
    pub instance_name: String,
    /// Time to establish a connection.
    pub connect_timeout: Duration,
    /// Time for one request that is not a send or a pull.
    pub call_timeout: Duration,
    /// Time for one question to one name server.
    pub namesrv_timeout: Duration,
    /// How often routes of topics in use are asked anew without a cause. A failed request is a cause and asks
    /// at once.
    pub route_poll_interval: Duration,
    /// How often brokers hear of this client. They forget one after 120 s.
    pub heartbeat_interval: Duration,
    /// The machine.
    pub platform: Platform,
}

impl ClientConfig {
    /// Defaults for the cluster behind `namesrv`: addresses `host:port`, separated by `;`.
    pub fn new(namesrv: &str) -> Self {
        Self {
            namesrv: addresses(namesrv),
            instance_name: String::new(),
            connect_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(3),
            namesrv_timeout: Duration::from_secs(1),
            route_poll_interval: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(30),
            platform: Platform::os(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ClientError> {
        if self.namesrv.is_empty() { Err(ClientError::NoNameServer) } else { Ok(()) }
    }
}

impl From<&str> for ClientConfig {
    fn from(namesrv: &str) -> Self {
        Self::new(namesrv)
    }
}

impl From<String> for ClientConfig {
    fn from(namesrv: String) -> Self {
        Self::new(&namesrv)
    }
}

impl From<&ClientConfig> for ClientConfig {
    fn from(config: &ClientConfig) -> Self {
        config.clone()
    }
}

/// Splits `a:1;b:2`, with blanks and empty members ignored, as well as a scheme some clients write.
fn addresses(namesrv: &str) -> Vec<String> {
    namesrv
        .split([';', ','])
        .map(|addr| addr.trim().trim_start_matches("http://").trim_end_matches('/'))
        .filter(|addr| !addr.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_at_semicolons() {
        assert_eq!(addresses("a:9876; b:9876;;"), ["a:9876", "b:9876"]);
        assert_eq!(addresses("http://a:9876/"), ["a:9876"]);
        assert!(ClientConfig::new(" ; ").check().is_err());
    }
}
