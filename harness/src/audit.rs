//! The end of every story: what was acknowledged is there once, on every node, in its place and in order,
//! and the nodes hold the same bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, interval};

use crate::cluster::Cluster;
use crate::load::{Attempt, Ledger};
use crate::outcome::Outcome;
use crate::raw_client::{Page, Pulled, Queue, RawClient};
use crate::view::{View, node_name};

/// How long one page may take.
const PAGE_WITHIN: Duration = Duration::from_secs(5);
/// Messages a page.
const PAGE_MESSAGES: u32 = 32;
/// This many findings are told; the others are counted.
const FINDINGS_TOLD: usize = 12;

/// Checks the group against what was attempted: see the module's first lines.
///
/// # Errors
/// Everything that is wrong, or that the group does not come to rest.
pub async fn audit(cluster: &Cluster, client: &RawClient, ledger: &Ledger) -> Result<()> {
    cluster.try_wait_for("all nodes to come to rest before the audit", crate::WAIT, View::at_rest).await?;
    let queues: BTreeSet<&Queue> = ledger.attempts.iter().map(|attempt| &attempt.queue).collect();
    let mut findings = Vec::new();
    for queue in queues {
        let mut drains = Vec::new();
        for node in 0..cluster.size() {
            let drain = drain(client, &cluster.broker_addr(node), queue).await;
            drains.push(drain.with_context(|| format!("drain {queue} at {}", node_name(node)))?);
        }
        // Each node drops old segments for itself; what one of them no longer has is not asked of any.
        let floor = drains.iter().map(|drain| drain.min).max().unwrap_or(0);
        for drain in &mut drains {
            drain.messages.retain(|message| message.queue_offset >= floor);
        }
        for (node, drain) in drains.iter().enumerate() {
            let (name, messages, first) = (node_name(node), &drain.messages, &drains[0].messages);
            if node > 0 && messages == first {
                continue;
            }
            if node > 0 {
                let at = first.iter().zip(messages).position(|(one, other)| one != other);
                findings.push(format!(
                    "{queue} from offset {floor}: {} messages at n0, {} at {name}; first difference at place {at:?}",
                    first.len(),
                    messages.len()
                ));
            }
            judge(&name, queue, floor, messages, ledger, &mut findings);
        }
    }
    order(ledger, &mut findings);
    replicas(cluster, &mut findings).await?;
    if findings.is_empty() {
        return Ok(());
    }
    let told = findings.iter().take(FINDINGS_TOLD).cloned().collect::<Vec<_>>().join("\n  ");
    bail!(
        "{} findings over {} acknowledged messages:\n  {told}\nlogs: {}",
        findings.len(),
        ledger.acked().count(),
        cluster.dir().display()
    )
}

/// A queue as one node gives it out.
struct Drain {
    /// The first offset that the node still has.
    min: u64,
    /// From there to the end.
    messages: Vec<Pulled>,
}

async fn drain(client: &RawClient, addr: &str, queue: &Queue) -> Result<Drain> {
    let mut drain = Drain { min: 0, messages: Vec::new() };
    loop {
        let from = drain.messages.last().map_or(drain.min, |last| last.queue_offset + 1);
        let page = page(client, addr, queue, from).await?;
        if !page.messages.is_empty() {
            drain.messages.extend(page.messages);
        } else if drain.messages.is_empty() && from < page.min {
            drain.min = page.min;
        } else if from < page.max {
            bail!("nothing at offset {from}, but the queue ends at {}", page.max);
        } else {
            return Ok(drain);
        }
    }
}

/// One page. A refusal is not an answer to how the log looks: it is asked again, as every consumer does.
async fn page(client: &RawClient, addr: &str, queue: &Queue, from: u64) -> Result<Page> {
    let start = Instant::now();
    let mut ticks = interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        match client.pull(addr, queue, from, PAGE_MESSAGES, PAGE_WITHIN).await {
            Err(_) if start.elapsed() < PAGE_WITHIN => {}
            answer => return answer,
        }
    }
}

/// One queue of one node, from offset `floor` on, against the ledger.
fn judge(
    node: &str,
    queue: &Queue,
    floor: u64,
    read: &[Pulled],
    ledger: &Ledger,
    findings: &mut Vec<String>,
) {
    let at = |offset: u64| format!("{queue} offset {offset} at {node}");
    let mut places: HashMap<&str, Vec<&Pulled>> = HashMap::new();
    for (expected, message) in (floor..).zip(read) {
        if message.queue_offset != expected {
            findings.push(format!("{}: expected offset {expected}", at(message.queue_offset)));
        }
        match &message.body {
            Ok(body) => places.entry(&body.value).or_default().push(message),
            Err(damage) => findings.push(format!("{}: {damage}", at(message.queue_offset))),
        }
    }
    let attempts: HashMap<&str, &Attempt> = ledger
        .attempts
        .iter()
        .filter(|attempt| attempt.queue == *queue)
        .map(|attempt| (attempt.value.as_str(), attempt))
        .collect();
    for (value, places) in &places {
        if places.len() > 1 {
            let offsets: Vec<_> = places.iter().map(|place| place.queue_offset).collect();
            findings.push(format!("{value} lies in {queue} at {node} {} times: {offsets:?}", places.len()));
        }
        match attempts.get(value).map(|attempt| &attempt.outcome) {
            None => findings.push(format!("{}: {value} was never sent there", at(places[0].queue_offset))),
            Some(Outcome::Failed(why)) => findings
                .push(format!("{}: {value} had failed for certain ({why})", at(places[0].queue_offset))),
            Some(_) => {}
        }
    }
    let acked = ledger.acked().filter(|(attempt, _)| attempt.queue == *queue);
    for (attempt, sent) in acked.filter(|(_, sent)| sent.queue_offset >= floor) {
        let here = places.get(attempt.value.as_str());
        let there = here.is_some_and(|places| {
            places.iter().any(|place| {
                (place.queue_offset, place.commitlog_offset) == (sent.queue_offset, sent.commitlog_offset)
            })
        });
        if !there {
            let found = here.map(|places| places[0].queue_offset);
            findings.push(format!(
                "{} was acknowledged at {}; it lies at {found:?}",
                attempt.value,
                at(sent.queue_offset)
            ));
        }
    }
}

/// One worker's acknowledged messages lie in the order in which it sent them.
fn order(ledger: &Ledger, findings: &mut Vec<String>) {
    let mut workers: BTreeMap<(&str, usize), Vec<(&Attempt, u64)>> = BTreeMap::new();
    for (attempt, sent) in ledger.acked() {
        let load = attempt.value.split('-').next().unwrap_or_default();
        workers.entry((load, attempt.worker)).or_default().push((attempt, sent.commitlog_offset));
    }
    for sends in workers.values_mut() {
        sends.sort_by_key(|(attempt, _)| attempt.begun);
        for pair in sends.windows(2).filter(|pair| pair[0].1 >= pair[1].1) {
            let ((before, above), (after, below)) = (pair[0], pair[1]);
            findings.push(format!(
                "{} was sent after {}, but lies before it: {below} <= {above}",
                after.value, before.value
            ));
        }
    }
}

/// The same log bytes, queues and tables everywhere.
async fn replicas(cluster: &Cluster, findings: &mut Vec<String>) -> Result<()> {
    cluster
        .try_wait_for("all nodes to come to rest before their digests", crate::WAIT, View::at_rest)
        .await?;
    let view = cluster.view().await;
    let from = view.statuses().map(|(_, status)| status.purged_index + 1).max().context("no node answers")?;
    let upto = view.statuses().map(|(_, status)| status.applied_index).min().context("no node answers")?;
    // A node that dropped other segments than the rest begins its queues elsewhere.
    let purged_alike = view.statuses().all(|(_, status)| status.purged_index + 1 == from);
    let parts = if purged_alike { &["digest", "tables", "queues"][..] } else { &["digest", "tables"] };
    let first = cluster.digest(0, from, upto).await?;
    for node in 1..cluster.size() {
        let other = cluster.digest(node, from, upto).await?;
        for part in parts {
            if first[part] != other[part] {
                findings.push(format!(
                    "{part} of entries {from} to {upto} differ: {} at n0, {} at {}",
                    first[part],
                    other[part],
                    node_name(node)
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{Body, BodyError};
    use crate::raw_client::Sent;

    fn queue() -> Queue {
        Queue { topic: "t".into(), queue_id: 0 }
    }

    fn attempt(number: usize, outcome: Outcome, queue_offset: u64) -> Attempt {
        let (begun, ended) = (Duration::from_secs(number as u64), Duration::from_secs(number as u64 + 1));
        let sent = Sent { queue_offset, commitlog_offset: 100 * queue_offset, term: None, log_index: None };
        let sent = Some(sent).filter(|_| outcome == Outcome::Acked);
        Attempt { queue: queue(), value: format!("a-0-{number}"), worker: 0, begun, ended, outcome, sent }
    }

    fn pulled(number: usize, queue_offset: u64) -> Pulled {
        let value = format!("a-0-{number}");
        let body = Ok(Body { attempt: format!("{value}.0"), value });
        Pulled { queue_offset, commitlog_offset: 100 * queue_offset, born_ms: 0, stored_ms: 0, body }
    }

    fn findings(attempts: &[Attempt], read: &[Pulled]) -> Vec<String> {
        let ledger = Ledger { attempts: attempts.to_vec() };
        let mut findings = Vec::new();
        judge("n1", &queue(), 0, read, &ledger, &mut findings);
        order(&ledger, &mut findings);
        findings
    }

    fn failed() -> Outcome {
        Outcome::Failed("refused".to_owned())
    }

    #[test]
    fn what_was_acknowledged_and_what_was_unknown_may_be_there() {
        let attempts = [
            attempt(0, Outcome::Acked, 0),
            attempt(1, Outcome::Unknown("timeout".to_owned()), 0),
            attempt(2, failed(), 0),
            attempt(3, Outcome::Acked, 2),
        ];
        assert_eq!(findings(&attempts, &[pulled(0, 0), pulled(1, 1), pulled(3, 2)]), [""; 0]);
    }

    #[test]
    fn each_way_to_break_the_promise_is_found() {
        let acked = [attempt(0, Outcome::Acked, 0), attempt(1, Outcome::Acked, 1)];
        let whole = [pulled(0, 0), pulled(1, 1)];
        let damaged = Pulled { body: Err(BodyError::NoChecksum), ..pulled(0, 2) };
        let cases: [(&[Attempt], &[Pulled], &str); 7] = [
            (&acked, &whole[..1], "a-0-1 was acknowledged at t/0 offset 1 at n1; it lies at None"),
            (&acked, &[pulled(0, 0), pulled(1, 1), pulled(0, 2)], "a-0-0 lies in t/0 at n1 2 times: [0, 2]"),
            (
                &acked,
                &[pulled(0, 0), pulled(1, 1), pulled(9, 2)],
                "t/0 offset 2 at n1: a-0-9 was never sent there",
            ),
            (&acked, &[pulled(0, 0), pulled(1, 1), damaged], "t/0 offset 2 at n1: the body has no checksum"),
            (
                &[acked[0].clone(), acked[1].clone(), attempt(2, failed(), 0)],
                &[pulled(0, 0), pulled(1, 1), pulled(2, 2)],
                "t/0 offset 2 at n1: a-0-2 had failed for certain (refused)",
            ),
            (
                &[attempt(0, Outcome::Acked, 0), attempt(1, Outcome::Acked, 2)],
                &[pulled(0, 0), pulled(1, 2)],
                "t/0 offset 2 at n1: expected offset 1",
            ),
            (
                &[attempt(0, Outcome::Acked, 1), attempt(1, Outcome::Acked, 0)],
                &[pulled(1, 0), pulled(0, 1)],
                "a-0-1 was sent after a-0-0, but lies before it: 0 <= 100",
            ),
        ];
        for (attempts, read, expected) in cases {
            assert_eq!(findings(attempts, read), [expected]);
        }
    }
}
