//! The node itself by command: codes 28, 315, 907, 329, 306 and 316.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::command::admin::{
    BrokerStatsData, BrokerStatsItem, HaConnectionInfo, HaStatus, ViewBrokerStats,
};
use protocol::route::KvTable;
use protocol::{Command, ResponseCode as code, VERSION};

use crate::door::exchange::header;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::housekeeping::retention;
use crate::leader::who_answers::role_name;
use crate::node::Node;
use crate::stats::{Counter, Rate, name as stat};

/// RocketMQ's pools of threads and how many requests may wait for each there. Requests wait for no thread here, so
/// that none of these queues ever holds one.
const POOLS: [(&str, u32); 5] =
    [("send", 10_000), ("pull", 100_000), ("litePull", 100_000), ("query", 20_000), ("ack", 100_000)];

/// Code 28: everything that `clusterList`, `brokerStatus` and dashboards read by name.
pub fn runtime_info(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let table = KvTable { table: runtime_table(node) };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(table.to_bytes()));
}

fn runtime_table(node: &Node) -> BTreeMap<String, String> {
    let cluster = &node.config.identity.cluster;
    let puts = node.stats.counter(stat::BROKER_PUT_NUMS, cluster);
    let gets = node.stats.counter(stat::BROKER_GET_NUMS, cluster);
    let put_bytes = node.stats.total(stat::TOPIC_PUT_SIZE);
    let ends = node.group.log.ends();
    let view = node.group.raft.view();
    let (disk_ratio, capacity) = disk(node);
    let earliest = node.group.earliest_store_time().unwrap_or(0);
    let average = if puts.total() == 0 { 0.0 } else { put_bytes as f64 / puts.total() as f64 };
    let (stats, days) = (&node.stats, node.stats.days());
    let mut table = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        table.insert(name.to_owned(), value);
    };
    put("brokerVersionDesc", "V5_3_3".into());
    put("brokerVersion", VERSION.to_string());
    put("trireme", env!("CARGO_PKG_VERSION").into());
    put("brokerActive", view.is_ready().to_string());
    put("bootTimestamp", node.started_ms.to_string());
    put("runtime", runtime(node.now_ms().saturating_sub(node.started_ms) / 1_000));
    put("msgPutTotalYesterdayMorning", days.yesterday.put.to_string());
    put("msgPutTotalTodayMorning", days.today.put.to_string());
    put("msgPutTotalTodayNow", puts.total().to_string());
    put("msgGetTotalYesterdayMorning", days.yesterday.got.to_string());
    put("msgGetTotalTodayMorning", days.today.got.to_string());
    put("msgGetTotalTodayNow", gets.total().to_string());
    put("putTps", three_rates(&[&puts]));
    put("getTotalTps", three_rates(&[&stats.found, &stats.missed]));
    put("getFoundTps", three_rates(&[&stats.found]));
    put("getMissTps", three_rates(&[&stats.missed]));
    // Tools of version 4 spell it with one r.
    for name in ["getTransferredTps", "getTransferedTps"] {
        put(name, three_rates(&[&gets]));
    }
    for (pool, capacity) in POOLS {
        put(&format!("{pool}ThreadPoolQueueSize"), "0".into());
        put(&format!("{pool}ThreadPoolQueueCapacity"), capacity.to_string());
        put(&format!("{pool}ThreadPoolQueueHeadWaitTimeMills"), "0".into());
    }
    put("EndTransactionQueueSize", "0".into());
    put("EndTransactionThreadPoolQueueCapacity", "100000".into());
    put("dispatchBehindBytes", ends.committed.0.saturating_sub(node.group.applied_end().0).to_string());
    put("dispatchMaxBuffer", "0".into());
    put("pageCacheLockTimeMills", "0".into());
    put("earliestMessageTimeStamp", earliest.to_string());
    put("startAcceptSendRequestTimeStamp", "0".into());
    put("commitLogMaxOffset", ends.committed.0.to_string());
    put("commitLogMinOffset", ends.min.0.to_string());
    put("commitLogDiskRatio", disk_ratio.clone());
    put(&format!("commitLogDiskRatio_{}", node.config.storage.commitlog.display()), disk_ratio.clone());
    put("consumeQueueDiskRatio", disk_ratio);
    put("commitLogDirCapacity", capacity);
    put("putMessageEntireTimeMax", stats.put_times.longest_ms().to_string());
    put("putMessageTimesTotal", puts.total().to_string());
    put("putMessageFailedTimes", "0".into());
    put("putMessageSizeTotal", put_bytes.to_string());
    put("putMessageAverageSize", format!("{average:.1}"));
    put("putMessageDistributeTime", stats.put_times.shown());
    put("getMessageEntireTimeMax", stats.longest_look_ms().to_string());
    put("putLatency99", format!("{}.00", stats.put_times.within_ms(990)));
    put("putLatency999", format!("{}.00", stats.put_times.within_ms(999)));
    // What RocketMQ says where it has no such pool: none can run out.
    put("remainTransientStoreBufferNumbs", i32::MAX.to_string());
    put("remainHowManyDataToFlush", format!("{} B", ends.appended.0.saturating_sub(ends.flushed.0)));
    put("remainHowManyDataToCommit", "0 B".into());
    for name in ["timerReadBehind", "timerOffsetBehind", "timerCongestNum"] {
        put(name, "0".into());
    }
    put("timerEnqueueTps", "0.0".into());
    put("timerDequeueTps", "0.0".into());
    put("raftRole", role_name(view.role).into());
    put("raftTerm", view.term.to_string());
    put("raftCommitIndex", view.commit_index.to_string());
    put("raftAppliedIndex", view.applied_index.to_string());
    put("raftLastLogIndex", view.last_log_index.to_string());
    table
}

fn three_rates(counters: &[&Counter]) -> String {
    let [short, middle, long] =
        [10, 60, 600].map(|secs| counters.iter().map(|counter| counter.last(secs).per_second).sum::<f64>());
    format!("{short:.2} {middle:.2} {long:.2}")
}

fn runtime(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    format!("[ {days} days, {hours} hours, {minutes} minutes, {} seconds ]", secs % 60)
}

fn disk(node: &Node) -> (String, String) {
    let Ok(space) = node.platform.disk.space(&node.config.storage.root) else {
        return ("-1".into(), "unknown".into());
    };
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let used = space.total_bytes.saturating_sub(space.available_bytes);
    let ratio = if space.total_bytes == 0 { 0.0 } else { used as f64 / space.total_bytes as f64 };
    let capacity =
        format!("Total : {:.1} GiB, Free : {:.1} GiB.", gib(space.total_bytes), gib(space.available_bytes));
    (format!("{ratio:.2}"), capacity)
}

/// Code 315. A pair never counted is answered from one look-up, without a log line: dashboards ask for thousands.
pub fn stats(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let header = header!(ViewBrokerStats, request, answer);
    let Some(counter) = node.stats.find(&header.stats_name, &header.stats_key) else {
        let remark = format!("The stats <{}> <{}> not exist", header.stats_name, header.stats_key);
        return answer.send(refuse(&request, code::SYSTEM_ERROR, remark));
    };
    let rates = counter.rates();
    let item = |rate: Rate| BrokerStatsItem { avgpt: 0.0, sum: rate.sum as i64, tps: rate.per_second };
    let body = BrokerStatsData {
        stats_day: item(rates.day),
        stats_hour: item(rates.hour),
        stats_minute: item(rates.minute),
    };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(body.to_bytes()));
}

/// Code 907: Raft's progress in the words of RocketMQ's replication.
pub fn ha_status(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let view = node.group.raft.view();
    let end = node.group.log.ends().committed.0 as i64;
    let end_of = |index: Option<u64>| {
        let place = index.and_then(|index| node.group.log.position(index).ok().flatten());
        place.map_or(0, |place| place.offset.plus(u64::from(place.entry_bytes)).0 as i64)
    };
    let ha_connection_info: Vec<_> = view
        .peers
        .iter()
        .map(|peer| {
            let slave_ack_offset = end_of(peer.matched_index);
            let diff = (end - slave_ack_offset).max(0);
            HaConnectionInfo {
                addr: peer.addr.clone(),
                diff,
                in_sync: diff == 0,
                slave_ack_offset,
                transfer_from_where: slave_ack_offset,
                transferred_byte_in_second: 0,
            }
        })
        .collect();
    let status = HaStatus {
        in_sync_slave_nums: ha_connection_info.iter().filter(|peer| peer.in_sync).count() as i32,
        ha_connection_info,
        master: view.is_leader(),
        master_commit_log_max_offset: end,
        ..HaStatus::default()
    };
    answer.send(Command::response_to(&request, code::SUCCESS).with_body(status.to_bytes()));
}

/// Code 329: retention looks now, on this node, at any hour.
pub fn delete_expired(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let node = Arc::clone(node);
    tokio::spawn(async move {
        answer.send(match retention::expire(&node, true).await {
            Ok(_) => Command::response_to(&request, code::SUCCESS),
            Err(error) => refuse(&request, code::SYSTEM_ERROR, error),
        });
    });
}

/// Codes 306 and 316: queues and topics are kept in step with the log all the time.
pub fn nothing_to_do(_broker: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    answer.send(Command::response_to(&request, code::SUCCESS));
}
