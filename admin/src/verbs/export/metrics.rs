//! `exportMetrics`: how much goes through a cluster, and who its clients are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use client::protocol::command::admin::SubscriptionGroupWrapper;
use client::protocol::{VERSION, names, version};
use client::{Admin, ClientError};
use serde_json::{Map, Value, json};

use super::super::broker_config::properties;
use super::super::stats_all::day_sum;
use super::{DIR_DEFAULT, user_groups, user_topics, write};
use crate::context::Context;
use crate::report::Report;
use crate::verb::Verb;

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportMetrics {
    /// The cluster
    #[arg(short = 'c', long = "clusterName", value_name = "CLUSTER")]
    cluster: String,
    /// The directory to write metrics.json to; made if missing
    #[arg(short = 'f', long = "filePath", value_name = "DIR", default_value = DIR_DEFAULT)]
    dir: PathBuf,
}

impl Verb for ExportMetrics {
    const NAME: &'static str = "exportMetrics";
    const ABOUT: &'static str =
        "Write what goes through a cluster's leaders, and which clients it has, to a JSON file";
    const EXAMPLES: &'static [&'static str] = &["-c RaftCluster", "-c RaftCluster -f /tmp/export"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let mut total = Quota::default();
        let mut report = Map::new();
        for (name, addr) in admin.leaders_of_cluster(&self.cluster).await? {
            let facts = admin.runtime_info_at(&addr).await?;
            let config = properties(&admin.broker_config_at(&addr).await?);
            let groups = user_groups(admin, &addr).await?;
            let topics = user_topics(admin, &addr, false).await?.topic_config_table.len();
            let quota = Quota::of(admin, &addr, &facts).await?;
            total.add(&quota);
            let fact = |name: &str| facts.get(name).map_or(Value::Null, |value| json!(value));
            let cpus = config.get("clientCallbackExecutorThreads").cloned().unwrap_or_default();
            let entry = json!({
                "runtimeEnv": known(json!({"cpuNum": cpus, "totalMemKBytes": fact("totalMemKBytes")})),
                "runtimeQuota": {
                    "diskRatio": known(json!({
                        "commitLogDiskRatio": fact("commitLogDiskRatio"),
                        "consumeQueueDiskRatio": fact("consumeQueueDiskRatio"),
                    })),
                    "tps": quota.tps(),
                    "oneDayNum": quota.one_day(),
                    "messageAverageSize": fact("putMessageAverageSize"),
                    "topicSize": topics,
                    "groupSize": groups.subscription_group_table.len(),
                },
                "runtimeVersion": {
                    "rocketmqVersion": version::name(VERSION),
                    "clientInfo": clients(admin, &groups).await,
                },
            });
            report.insert(name, entry);
        }
        let content = json!({
            "evaluateReport": report,
            "totalData": {"totalTps": total.total_tps(), "totalOneDayNum": total.one_day()},
        });
        write(context, &self.dir, "metrics.json", &content)
    }
}

/// Leaves out what is not known, as RocketMQ's tool does.
fn known(mut facts: Value) -> Value {
    if let Value::Object(facts) = &mut facts {
        facts.retain(|_, value| !value.is_null());
    }
    facts
}

/// Messages a second, and of the last whole day.
#[derive(Debug, Default)]
struct Quota {
    in_tps: f64,
    out_tps: f64,
    half_tps: f64,
    delayed_tps: f64,
    day_in: i64,
    day_out: i64,
    day_half: i64,
    day_delayed: i64,
}

impl Quota {
    async fn of(admin: &Admin, addr: &str, facts: &BTreeMap<String, String>) -> Result<Self, ClientError> {
        let tps = |names: [&str; 2]| {
            let rates = names.iter().find_map(|name| facts.get(*name)).map_or("", String::as_str);
            rates.split(' ').next().and_then(|rate| rate.parse().ok()).unwrap_or(0.0)
        };
        let number = |name: &str| facts.get(name).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
        let day = |what: &str| {
            number(&format!("{what}TotalTodayMorning")) - number(&format!("{what}TotalYesterdayMorning"))
        };
        let (half_tps, day_half) = counted(admin, addr, names::HALF_TOPIC).await?;
        let (delayed_tps, day_delayed) = counted(admin, addr, names::SCHEDULE_TOPIC).await?;
        Ok(Self {
            in_tps: tps(["putTps", "putTps"]),
            out_tps: tps(["getTransferredTps", "getTransferedTps"]),
            half_tps,
            delayed_tps,
            day_in: day("msgPut"),
            day_out: day("msgGet"),
            day_half,
            day_delayed,
        })
    }

    fn add(&mut self, other: &Self) {
        self.in_tps += other.in_tps;
        self.out_tps += other.out_tps;
        self.half_tps += other.half_tps;
        self.delayed_tps += other.delayed_tps;
        self.day_in += other.day_in;
        self.day_out += other.day_out;
        self.day_half += other.day_half;
        self.day_delayed += other.day_delayed;
    }

    fn tps(&self) -> Value {
        json!({
            "normalInTps": self.in_tps,
            "normalOutTps": self.out_tps,
            "transInTps": self.half_tps,
            "scheduleInTps": self.delayed_tps,
        })
    }

    fn total_tps(&self) -> Value {
        json!({
            "totalNormalInTps": self.in_tps,
            "totalNormalOutTps": self.out_tps,
            "totalTransInTps": self.half_tps,
            "totalScheduleInTps": self.delayed_tps,
        })
    }

    fn one_day(&self) -> Value {
        json!({
            "normalOneDayInNum": self.day_in,
            "normalOneDayOutNum": self.day_out,
            "transOneDayInNum": self.day_half,
            "scheduleOneDayInNum": self.day_delayed,
        })
    }
}

/// Messages a second and of a day that went into a topic of the system.
async fn counted(admin: &Admin, addr: &str, topic: &str) -> Result<(f64, i64), ClientError> {
    match admin.broker_stats_at(addr, "TOPIC_PUT_NUMS", topic).await {
        Ok(data) => Ok((data.stats_minute.tps, day_sum(&data))),
        Err(ClientError::Refused { .. }) => Ok((0.0, 0)), // never counted
        Err(error) => Err(error),
    }
}

/// Language and release of every member of these groups.
async fn clients(admin: &Admin, groups: &SubscriptionGroupWrapper) -> BTreeSet<String> {
    let mut clients = BTreeSet::new();
    for group in groups.subscription_group_table.keys() {
        // A group that is offline, or was never online, has no clients.
        let Ok(connection) = admin.consumer_connection(group).await else { continue };
        clients.extend(connection.connection_set.iter().map(|one| {
            let release = version::name(one.version).map_or_else(|| one.version.to_string(), str::to_owned);
            format!("{}%{release}", one.language)
        }));
    }
    clients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_add_up() {
        let one = Quota { in_tps: 1.5, day_in: 3, ..Quota::default() };
        let mut total = Quota::default();
        total.add(&one);
        total.add(&one);
        assert_eq!(total.total_tps()["totalNormalInTps"], json!(3.0));
        assert_eq!(total.one_day()["normalOneDayInNum"], json!(6));
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        assert_eq!(known(json!({"a": null, "b": "1"})), json!({"b": "1"}));
    }
}
