//! Looks at the node as it changes, and tells each change once, with its cause.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use raft::{NodeId, View};
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::failover::{self, Way};
use super::peers::{self, Trouble};
use crate::leader::who_answers::role_name;
use crate::node::Node;
use raft::node_name;

/// How often is looked where nothing tells of a change.
const PERIOD: Duration = Duration::from_secs(1);
/// A leader whose majority is silent for so long, in milliseconds, has lost it.
const QUORUM_SILENT_MS: u64 = 1_000;

/// What is told: its kind, the sentence, the facts.
type Said = (&'static str, String, Value);

/// Follows the node until `shutdown`.
pub(crate) async fn run(node: Arc<Node>, mut shutdown: watch::Receiver<bool>) {
    let mut views = node.group.raft.views();
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut before, mut was_ready) = (View::default(), false);
    let mut way = Way::default();
    let mut standing = Standing::default();
    loop {
        let view = views.borrow_and_update().clone();
        let is_ready = view.is_ready();
        for (kind, text, facts) in changes(&before, &view) {
            node.events.note(kind, text, facts);
        }
        if was_ready != is_ready {
            let text = if is_ready {
                "ready: serves clients as the leader"
            } else {
                "does not serve as the leader any more"
            };
            node.events.note("ready", text, json!({"term": view.term, "ready": is_ready}));
        }
        if view.is_leader() && !(before.is_leader() && before.term == view.term) {
            node.stats.elections_won.fetch_add(1, Ordering::Relaxed);
        }
        let ready = [was_ready, is_ready];
        if let Some(taken) = way.look(node.group.node_id(), &before, &view, ready, node.monotonic()) {
            tokio::spawn(failover::tell(Arc::clone(&node), view.term, taken));
        }
        look_at_peers(&node, &view);
        standing.look(&node, &view);
        (before, was_ready) = (view, is_ready);
        tokio::select! {
            changed = views.changed() => if changed.is_err() { return },
            _ = period.tick() => {}
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

/// What the second view has that the first had not.
fn changes(before: &View, after: &View) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    let mut say = |kind, text: String, facts| said.push((kind, text, facts));
    if before.term != after.term {
        say("term", format!("term {}", after.term), json!({"term": after.term}));
    }
    if before.role != after.role {
        let role = role_name(after.role);
        say("role", format!("is a {role} in term {}", after.term), json!({"term": after.term, "role": role}));
    }
    if before.leader != after.leader {
        let leader = after.leader.map(node_name);
        let text = match &leader {
            Some(leader) => format!("{leader} leads in term {}", after.term),
            None => format!("no leader is known in term {}", after.term),
        };
        say("leader", text, json!({"term": after.term, "leader": leader}));
    }
    if before.fenced != after.fenced {
        let text = if after.fenced {
            "fenced: may have forgotten entries, has no vote before it has caught up"
        } else {
            "no longer fenced: has caught up and votes"
        };
        say("fence", text.to_owned(), json!({"fenced": after.fenced}));
    }
    if after.last_log_index < before.last_log_index {
        let (from, to) = (before.last_log_index, after.last_log_index);
        say(
            "truncation",
            format!("log entries {} to {from} were cut off", to + 1),
            json!({"from": to + 1, "upto": from}),
        );
    }
    if after.purged_index > before.purged_index && before.last_log_index > 0 {
        let purged = after.purged_index;
        say("purge", format!("log entries up to {purged} were dropped"), json!({"purgedIndex": purged}));
    }
    if before.voters != after.voters && !before.voters.is_empty() {
        let voters: Vec<_> = after.voters.iter().copied().map(node_name).collect();
        say("members", format!("the members are {}", voters.join(", ")), json!({"voters": voters}));
    }
    if let (None, Some(why)) = (&before.halted, &after.halted) {
        say("halted", format!("applies nothing any more: {why}"), json!({}));
    }
    if let (None, Some(why)) = (&before.fatal, &after.fatal) {
        say("fatal", why.clone(), json!({}));
    }
    said
}

/// Peers that fell silent are looked at from another task: that takes a second.
fn look_at_peers(node: &Arc<Node>, view: &View) {
    let troubles = &node.events.peers;
    if !view.is_leader() {
        // The leader knows now.
        for peer in troubles.all().into_keys() {
            troubles.remove(peer);
        }
        return;
    }
    for peer in view.peers.iter().map(|peer| peer.id) {
        match (peers::answers(view, peer), troubles.of(peer)) {
            (Some(false), None) => fell_silent(node, view, peer),
            (Some(true), Some(trouble)) => {
                troubles.remove(peer);
                let down_ms = node.now_ms().saturating_sub(trouble.since_ms);
                let name = node_name(peer);
                info!(group = node.group.name(), peer = name, down_ms, "peer answers again");
                let text = format!("{name} answers again, after {:.1} s", down_ms as f64 / 1_000.0);
                node.events.note("peer", text, json!({"peer": name, "up": true, "downMs": down_ms}));
            }
            _ => {}
        }
    }
}

fn fell_silent(node: &Arc<Node>, view: &View, peer: NodeId) {
    let Some(known) = view.peers.iter().find(|known| known.id == peer) else { return };
    let since_ms = node.now_ms().saturating_sub(known.last_contact_ms.unwrap_or(0));
    // At once, so that it is looked at once.
    node.events.peers.put(peer, Trouble { since_ms, cause: "does not answer".to_owned() });
    let (node, addr) = (Arc::clone(node), known.addr.clone());
    tokio::spawn(async move {
        let cause = peers::cause(&*node.platform.net, &addr).await;
        if node.events.peers.of(peer).is_none() {
            return; // it is back already
        }
        node.events.peers.put(peer, Trouble { since_ms, cause: cause.clone() });
        let name = node_name(peer);
        warn!(group = node.group.name(), peer = name, cause, "peer does not answer");
        node.events.note(
            "peer",
            format!("{name} does not answer: {cause}"),
            json!({"peer": name, "up": false}),
        );
    });
}

/// What is or is not so for a while, each told when it begins and when it ends.
#[derive(Default)]
struct Standing {
    disk_full: bool,
    quorum_lost: bool,
    members_differ: bool,
}

impl Standing {
    fn look(&mut self, node: &Node, view: &View) {
        let is_full = node.group.is_disk_full();
        if std::mem::replace(&mut self.disk_full, is_full) != is_full {
            let text =
                if is_full { "the disk is full: sends are refused" } else { "the disk has room again" };
            node.events.note("disk", text, json!({"full": is_full}));
        }
        let is_lost = view.is_leader() && view.quorum_ack_age_ms().is_some_and(|ms| ms > QUORUM_SILENT_MS);
        if std::mem::replace(&mut self.quorum_lost, is_lost) != is_lost && view.is_leader() {
            self.tell_quorum(node, view);
        }
        let differ = members_differ(node, view);
        if std::mem::replace(&mut self.members_differ, differ.is_some()) != differ.is_some()
            && let Some(differ) = differ
        {
            warn!(group = node.group.name(), "{differ}");
            node.events.note("configuration", differ, json!({}));
        }
    }

    fn tell_quorum(&self, node: &Node, view: &View) {
        if !self.quorum_lost {
            info!(group = node.group.name(), term = view.term, "a majority answers again");
            return node.events.note("quorum", "a majority answers again", json!({"lost": false}));
        }
        let voters = view.voters.len();
        let silent: Vec<_> = view
            .peers
            .iter()
            .filter(|peer| peers::answers(view, peer.id) != Some(true))
            .map(|peer| node_name(peer.id))
            .collect();
        let text =
            format!("no majority of {voters} answers: {} silent; nothing is acknowledged", silent.join(", "));
        error!(group = node.group.name(), term = view.term, "{text}");
        node.events.note("quorum", text, json!({"lost": true, "silent": silent}));
    }
}

/// Where `dLegerPeers` of this node names other nodes than the group has.
fn members_differ(node: &Node, view: &View) -> Option<String> {
    let names = |ids: &BTreeSet<NodeId>| ids.iter().copied().map(node_name).collect::<Vec<_>>().join(", ");
    let configured: BTreeSet<_> = node.config.quorum.members.keys().copied().collect();
    let members: BTreeSet<_> = view.voters.iter().copied().collect();
    (!members.is_empty() && configured != members).then(|| {
        format!(
            "dLegerPeers names {}, but the group's members are {}; the group's own list counts",
            names(&configured),
            names(&members)
        )
    })
}

/// The alarms that Raft knows of.
fn of_view(view: &View) -> Vec<String> {
    let mut alarms: Vec<String> = view.fatal.iter().cloned().collect();
    alarms.extend(view.alarms.iter().cloned());
    if view.fenced {
        alarms.push("fenced: may have forgotten entries, has no vote before it has caught up".to_owned());
    }
    if view.fatal.is_none() && view.leader.is_none() {
        alarms.push(format!("no leader is known in term {}", view.term));
    }
    alarms.extend(view.halted.iter().map(|why| format!("halted: applies nothing any more: {why}")));
    alarms.extend(view.waits_for.clone());
    if view.is_leader() && !view.is_ready() {
        alarms.push("leads, but a majority has not confirmed it".to_owned());
    }
    alarms
}

/// What is wrong with the node or its group just now, a sentence each; for `/status`, `/readyz` and the metrics.
pub(crate) fn alarms(node: &Node, view: &View) -> Vec<String> {
    let mut alarms = of_view(view);
    for (peer, trouble) in node.events.peers.all() {
        alarms.push(format!("{} does not answer: {}", node_name(peer), trouble.cause));
    }
    let damage = node.group.log.damage();
    let everywhere = damage.iter().filter(|damage| damage.is_everywhere).count();
    if everywhere < damage.len() {
        let damaged = damage.len() - everywhere;
        alarms
            .push(format!("{damaged} stretches of the log are damaged here and not mended yet; see damaged"));
    }
    if everywhere > 0 {
        alarms.push(format!(
            "{everywhere} stretches of the log are damaged on every node and refused; see damaged"
        ));
    }
    if node.group.is_disk_full() {
        alarms.push("the disk is full: sends are refused".to_owned());
    }
    let backlog = node.group.backlog();
    if let Some(error) = backlog.error {
        alarms.push(format!(
            "consume queues and key index cannot be written out, {} bytes of them wait in memory: {error}",
            backlog.bytes
        ));
    }
    let jumped_ms = node.clock_jumped_ms.load(Ordering::Relaxed);
    if jumped_ms != 0 {
        let jumped = jumped_ms / 1_000;
        alarms.push(format!("the wall clock has jumped by {jumped} s: nothing is deleted for its age"));
    }
    alarms.extend(members_differ(node, view));
    alarms
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft::Role;

    /// Raft's own alarms were overwritten by the broker's, and nobody was told of them.
    #[test]
    fn what_raft_raises_and_why_a_node_is_halted_are_alarms() {
        let mut view = View::default();
        view.leader = Some(2);
        view.alarms = vec!["waits for n1, n2".to_owned()];
        view.halted = Some("cannot apply entry 7".to_owned());
        assert_eq!(
            of_view(&view),
            ["waits for n1, n2", "halted: applies nothing any more: cannot apply entry 7"]
        );
    }

    #[test]
    fn each_change_is_told_once() {
        let mut first = View::default();
        (first.term, first.role, first.leader) = (3, Role::Follower, Some(2));
        (first.last_log_index, first.voters) = (9, vec![1, 2]);
        let told = |before: &View, after: &View| {
            changes(before, after)
                .into_iter()
                .map(|(kind, text, _)| format!("{kind}: {text}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            told(&View::default(), &first),
            ["term: term 3", "role: is a follower in term 3", "leader: n1 leads in term 3"]
        );
        assert_eq!(told(&first, &first), [""; 0]);
        let mut next = first.clone();
        (next.leader, next.fenced, next.voters) = (None, true, vec![1, 2, 3]);
        (next.last_log_index, next.purged_index) = (7, 2);
        assert_eq!(
            told(&first, &next),
            [
                "leader: no leader is known in term 3",
                "fence: fenced: may have forgotten entries, has no vote before it has caught up",
                "truncation: log entries 8 to 9 were cut off",
                "purge: log entries up to 2 were dropped",
                "members: the members are n0, n1, n2",
            ]
        );
    }
}
