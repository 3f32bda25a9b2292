//! How long the group was without a leader, told by the one that took over, split into its parts.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use raft::{NodeId, Role, View};
use serde_json::json;
use tracing::info;

use crate::events::split::Split;
use crate::node::Node;
use crate::stats::name as stat;
use raft::node_name;

/// A part that takes longer is not waited for.
const PART_WITHIN: Duration = Duration::from_secs(30);
/// How often is looked for the first acknowledgement.
const LOOK: Duration = Duration::from_millis(2);

/// What was seen on the way to the lead; times are monotonic.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// Who led last, and when it was last heard.
    heard: Option<(NodeId, Duration)>,
    /// Since when nobody leads.
    missed: Option<Duration>,
    elected: Option<Duration>,
}

/// The parts of a change of leader that Raft decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Who led before; `None` where this process has not seen anybody lead.
    pub from: Option<NodeId>,
    /// From the last word of the old leader until it was missed.
    pub detect: Duration,
    /// Until this node was elected.
    pub elect: Duration,
    /// Until it could serve.
    pub ready: Duration,
    /// When that was.
    pub at: Duration,
}

impl Way {
    /// One look at a view, with whether it was ready at the look before and is now; the parts, when this node has just
    /// become ready.
    pub(crate) fn look(
        &mut self,
        me: NodeId,
        before: &View,
        view: &View,
        [was_ready, is_ready]: [bool; 2],
        now: Duration,
    ) -> Option<Taken> {
        match view.leader {
            Some(leader) if leader != me => {
                let peer = view.peers.iter().find(|peer| peer.id == leader);
                let age = Duration::from_millis(peer.and_then(|peer| peer.last_contact_ms).unwrap_or(0));
                *self = Self { heard: Some((leader, now.saturating_sub(age))), ..Self::default() };
            }
            None => {
                self.missed.get_or_insert(now);
                self.elected = None;
            }
            Some(_) => {}
        }
        if view.role == Role::Leader && (before.role != Role::Leader || before.term != view.term) {
            self.elected = Some(now);
        }
        if !is_ready || was_ready {
            return None;
        }
        let elected = self.elected.unwrap_or(now);
        let missed = self.missed.unwrap_or(elected).min(elected);
        let heard = self.heard.map_or(missed, |(_, heard)| heard.min(missed));
        let from = self.heard.map(|(leader, _)| leader);
        *self = Self::default();
        let part = Duration::saturating_sub;
        Some(Taken {
            from,
            detect: part(missed, heard),
            elect: part(elected, missed),
            ready: part(now, elected),
            at: now,
        })
    }
}

/// Waits for the parts that follow, and tells all of them.
pub(crate) async fn tell(node: Arc<Node>, term: u64, taken: Taken) {
    let puts = node.stats.total(stat::BROKER_PUT_NUMS);
    let registered = async {
        node.registrar.refresh(PART_WITHIN).await;
        node.monotonic()
    };
    let acked = async {
        let looked = async {
            while node.stats.total(stat::BROKER_PUT_NUMS) == puts {
                tokio::time::sleep(LOOK).await;
            }
            node.monotonic()
        };
        tokio::time::timeout(PART_WITHIN, looked).await.ok()
    };
    let (registered, acked) = tokio::join!(registered, acked);
    *node.events.last_failover.lock().unwrap_or_else(PoisonError::into_inner) = Some(Split {
        detect: taken.detect,
        elect: taken.elect,
        ready: taken.ready,
        registered: registered.saturating_sub(taken.at),
        first_ack: acked.map(|at| at.saturating_sub(taken.at)),
    });
    let ms = |part: Duration| part.as_millis() as u64;
    let registered_ms = ms(registered.saturating_sub(taken.at));
    let first_ack_ms = acked.map(|at| ms(at.saturating_sub(taken.at)));
    let from = taken.from.map(node_name);
    let (detect_ms, elect_ms, ready_ms) = (ms(taken.detect), ms(taken.elect), ms(taken.ready));
    let away_ms = detect_ms + elect_ms + ready_ms;
    info!(
        group = node.group.name(),
        term, from, detect_ms, elect_ms, ready_ms, registered_ms, first_ack_ms, away_ms, "lead taken over"
    );
    let text = format!(
        "took the lead{} in term {term}: {detect_ms} ms to miss the last leader, {elect_ms} ms to be elected, {ready_ms} ms \
         to be ready; registered {registered_ms} ms later{}",
        from.as_ref().map_or_else(String::new, |from| format!(" over from {from}")),
        first_ack_ms.map_or_else(String::new, |ms| format!(", first send acknowledged after {ms} ms")),
    );
    let facts = json!({
        "term": term, "from": from, "detectMs": detect_ms, "electMs": elect_ms, "readyMs": ready_ms,
        "registeredMs": registered_ms, "firstAckMs": first_ack_ms,
    });
    node.events.note("failover", text, facts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft::PeerView;

    fn view(role: Role, leader: Option<NodeId>, contact: u64) -> View {
        let peer = PeerView { id: 2, last_contact_ms: Some(contact), ..PeerView::default() };
        let mut view = View::default();
        (view.term, view.role, view.leader, view.peers) = (5, role, leader, vec![peer]);
        view
    }

    #[test]
    fn a_failover_is_split_into_its_parts() {
        let mut way = Way::default();
        let at = Duration::from_millis;
        let views = [
            (1_000, view(Role::Follower, Some(2), 10), false),
            (1_300, view(Role::Follower, None, 310), false),
            (1_310, view(Role::Candidate, None, 320), false),
            (1_340, view(Role::Leader, Some(1), 350), false),
            (1_345, view(Role::Leader, Some(1), 355), true),
        ];
        let (mut before, mut was_ready) = (View::default(), false);
        let mut taken = Vec::new();
        for (ms, view, is_ready) in views {
            taken.extend(way.look(1, &before, &view, [was_ready, is_ready], at(ms)));
            (before, was_ready) = (view, is_ready);
        }
        let expected = Taken { from: Some(2), detect: at(310), elect: at(40), ready: at(5), at: at(1_345) };
        assert_eq!(taken, [expected]);
    }
}
