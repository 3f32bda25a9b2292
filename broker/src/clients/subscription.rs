//! Subscriptions in a newer version than the broker was told.
//!
//! Java clients from 5.3 on number their subscriptions anew whenever they balance, and tell the number with a
//! heartbeat, but leave that out while another heartbeat of theirs is under way. Their pulls are then ahead of what the
//! broker knows, and must not be served by it, for the expression may have changed. Refused with code 25 as on
//! RocketMQ, such a client pulls nothing before its next heartbeat, up to 30 s later. So the broker asks it.

use std::time::Duration;

use protocol::command::admin::{GetConsumerRunningInfo, RunningSubscriptions};
use protocol::subscription::SubscriptionData;
use protocol::{Command, Language, RequestCode, ResponseCode as code};
use tracing::debug;

use crate::door::exchange::Origin;
use crate::node::Node;

/// A client that has not answered by then is told what it would have been told without asking.
const CLIENT_WITHIN: Duration = Duration::from_secs(1);

/// Whether the sender of `request` can tell its subscriptions: others than Java's do not, and send none of such pulls.
pub fn may_ask(origin: &Origin, request: &Command) -> bool {
    origin.connection.is_some() && request.language == Language::Java
}

/// Asks the client for the subscriptions of `group` as they are now, and takes them in.
pub async fn ask(node: &Node, origin: &Origin, group: &str) {
    let Some(connection) = &origin.connection else { return };
    let Some(client_id) = node.clients().consumers.client_id(group, connection.id()) else { return };
    let header = GetConsumerRunningInfo { consumer_group: group.to_owned(), client_id, jstack_enable: false };
    let mut asked = Command::request_of_broker(RequestCode::GET_CONSUMER_RUNNING_INFO);
    header.write(&mut asked.ext);
    let told = connection.call(asked, CLIENT_WITHIN).await;
    match told.map(|told| (told.code, RunningSubscriptions::read(&told.body))) {
        Ok((code::SUCCESS, Ok(told))) => {
            let told: Vec<_> =
                told.subscription_set.into_iter().map(SubscriptionData::with_tag_codes).collect();
            node.clients().consumers.catch_up(group, connection.id(), &told);
        }
        Ok((code, _)) => {
            debug!(group, peer = %connection.peer(), code, "client does not tell its subscriptions");
        }
        Err(error) => {
            debug!(group, peer = %connection.peer(), %error, "client does not tell its subscriptions");
        }
    }
}
