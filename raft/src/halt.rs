//! A node that cannot apply a committed entry, or cannot yet: it keeps its log and its votes, and does not lead.
//!
//! Another node may be able to apply it, for the fault may lie in this node's build or disk. If none can, the
//! group serves nobody until a build comes that can; nothing is lost meanwhile, and every node says why.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::network::Network;
use crate::node_name;
use crate::state_machine::{Halted, RaftHandle};
use crate::waits::Waits;

/// Between two attempts to give up the lead. Elections stay off meanwhile, whoever else would allow them.
const ROUND: Duration = Duration::from_millis(200);
/// How long a node may take to say whether it would take the lead.
const ANSWER: Duration = Duration::from_secs(1);

/// Waits until the node is halted, and keeps it from leading from then on.
pub(crate) async fn keep(
    mut halted: watch::Receiver<Option<Halted>>,
    network: Arc<Network>,
    raft: RaftHandle,
) {
    if halted.wait_for(Option::is_some).await.is_err() {
        return;
    }
    network.set_halted();
    loop {
        raft.runtime_config().elect(false);
        let leads = raft.metrics().borrow_watched().state == ServerState::Leader;
        if leads {
            give_up_the_lead(&network, &raft, "this node cannot apply what is committed").await;
        }
        sleep(ROUND).await;
    }
}

/// Gives up the lead whenever applying waits for a part of the log that is damaged: a leader that does not apply serves
/// nobody. It may be elected again, for all may have to wait.
pub(crate) async fn lead_without_waiting(waits: Waits, network: Arc<Network>, raft: RaftHandle) {
    loop {
        sleep(ROUND).await;
        let leads = raft.metrics().borrow_watched().state == ServerState::Leader;
        if leads && let Some(words) = waits.words() {
            give_up_the_lead(&network, &raft, &words).await;
        }
    }
}

async fn give_up_the_lead(network: &Network, raft: &RaftHandle, why: &str) {
    let voters: Vec<_> = raft.metrics().borrow_watched().membership_config.voter_ids().collect();
    for to in voters.into_iter().filter(|id| id != raft.node_id()) {
        if network.ask_may_lead(to, ANSWER).await.is_err() {
            continue;
        }
        info!(to = node_name(to), why, "handing the lead over");
        if let Err(error) = raft.trigger().transfer_leader(to).await {
            warn!(to = node_name(to), %error, "lead not handed over");
        }
        return;
    }
}
