//! Who leads, asked of every node again and again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use platform::Net;
use tokio::sync::watch;
use web::views::{self, Ask, RoutedLeader};

use super::plan::Plan;

/// How often the nodes are asked while there is no leader, and while there is.
const ASK_WITHOUT_LEADER: Duration = Duration::from_millis(50);
/// This many looks the first leader waits for all members to have a vote: about five seconds.
const ROUNDS_FOR_ALL: u32 = 100;
const ASK_WITH_LEADER: Duration = Duration::from_millis(250);
/// A node that needs longer is stopped or drowned; it is not asked twice at once.
const PATIENCE: Duration = Duration::from_millis(400);

/// A node that leads, and may serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    /// Its place among the nodes.
    pub node: usize,
    /// The term it leads in.
    pub term: u64,
}

/// Keeps `leader` up to date until nobody listens to it any more. The first one counts only once the name server
/// sends clients to it; after that, whoever leads.
pub(crate) async fn follow(net: Arc<dyn Net>, plan: Plan, leader: watch::Sender<Option<Leader>>) {
    let nodes: Vec<_> = plan.nodes.iter().map(|node| (node.process.name.clone(), node.http)).collect();
    let mut is_routed = false;
    let mut rounds = 0;
    while !leader.is_closed() {
        let mut views = Vec::new();
        let mut asked = tokio::task::JoinSet::new();
        for (at, (_, addr)) in nodes.iter().enumerate() {
            let (net, addr) = (net.clone(), *addr);
            let view =
                async move { views::Leader::ask(&*net, &addr.to_string(), Ask::Local, PATIENCE).await };
            asked.spawn(async move { (at, view.await) });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok((at, Ok(view))) = answer {
                views.push((at, view));
            }
        }
        let mut found = who_leads(&nodes, &views);
        if let Some(leader) = found
            && !is_routed
        {
            // A group whose other members have no vote yet would not survive the kill that comes next.
            let all_vote =
                views.len() == nodes.len() && views.iter().all(|(_, view)| view.fenced != Some(true));
            let is_patient = rounds < ROUNDS_FOR_ALL;
            rounds += 1;
            is_routed = (all_vote || !is_patient) && routes_to(&*net, &plan, leader).await;
            found = found.filter(|_| is_routed);
        }
        leader.send_if_modified(|known| std::mem::replace(known, found) != found);
        tokio::time::sleep(if found.is_some() { ASK_WITH_LEADER } else { ASK_WITHOUT_LEADER }).await;
    }
}

/// Whether the name server knows `leader` as such.
async fn routes_to(net: &dyn Net, plan: &Plan, leader: Leader) -> bool {
    let addr = plan.nodes[leader.node].remoting.to_string();
    let routed = RoutedLeader::ask(net, &plan.namesrv_http.to_string(), &plan.group, PATIENCE).await;
    routed.is_ok_and(|routed| routed.leader == Some(addr))
}

/// The node that takes itself for the leader in the highest term that anybody knows of. A deposed leader that has
/// not heard of it yet is in a lower one.
fn who_leads(nodes: &[(String, SocketAddr)], views: &[(usize, views::Leader)]) -> Option<Leader> {
    let newest = views.iter().map(|(_, view)| view.term).max()?;
    views
        .iter()
        .find(|(at, view)| {
            view.term == newest && view.ready != Some(false) && view.leader.as_ref() == Some(&nodes[*at].0)
        })
        .map(|(node, view)| Leader { node: *node, term: view.term })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[test]
    fn only_the_newest_term_has_a_leader() {
        let nodes: Vec<_> =
            (0..3).map(|k| (format!("n{k}"), SocketAddr::from(([127, 0, 0, 1], 1)))).collect();
        let n = |node, term| Some(Leader { node, term });
        for (answers, leader) in [
            (vec![], None),
            (vec![(0, json!({"term": 3, "leader": "n2"}))], None),
            (vec![(2, json!({"term": 3, "leader": "n2"})), (0, json!({"term": 3, "leader": null}))], n(2, 3)),
            (vec![(2, json!({"term": 3, "leader": "n2", "ready": false}))], None),
            (vec![(0, json!({"term": 3, "leader": "n0"})), (1, json!({"term": 4, "leader": null}))], None),
            (vec![(0, json!({"term": 3, "leader": "n0"})), (1, json!({"term": 4, "leader": "n1"}))], n(1, 4)),
        ] {
            let views: Vec<_> = answers
                .iter()
                .map(|(at, answer)| (*at, views::Leader::deserialize(answer).unwrap()))
                .collect();
            assert_eq!(who_leads(&nodes, &views), leader, "for {answers:?}");
        }
    }
}
