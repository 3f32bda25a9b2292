//! Every verb of `trireme admin` against one group: what programs get as JSON, and what is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use client::{Consume, ConsumeFrom, PushConsumer, ReceivedMessage};
use serde_json::{Value, json};

use crate::TRIREME;
use crate::examples::Group;

const CLUSTER: &str = "RaftCluster";
const BROKER: &str = "RaftNode00";
const TOPIC: &str = "AdminTest";
const GROUP: &str = "admin_test_consumers";
/// How often a figure is looked at that comes true by itself, and the pause between.
const LOOKS: usize = 100;

/// The command line, pointed at a group.
struct Admin<'a> {
    namesrv: &'a str,
}

impl Admin<'_> {
    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(TRIREME);
        command.arg("admin").args(args).args(["-n", self.namesrv]).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// The lines of JSON that a verb prints.
    fn lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.run(&[args, &["--json"]].concat());
        let (stdout, stderr) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?} failed: {stdout}{stderr}");
        stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one line of JSON that a verb prints. The same is asked for as text, which must not be empty.
    fn ask(&self, args: &[&str]) -> Value {
        let mut lines = self.lines(args);
        assert_eq!(lines.len(), 1, "{args:?} says {lines:?}");
        lines.remove(0)
    }

    /// The same as text for people.
    fn text(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A verb that is refused with this exit status and these words.
    fn refused(&self, args: &[&str], code: i32, says: &str) {
        let output = self.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?} says {stderr}, not {says}");
    }

    /// Asks until there is an answer and it is as wanted: the name server hears of a new topic a moment after the
    /// broker has made it.
    fn until(&self, args: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = String::new();
        for _ in 0..LOOKS {
            let output = self.run(&[args, &["--json"]].concat());
            last = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            if output.status.success() {
                let answer = serde_json::from_slice(&output.stdout).unwrap();
                if wanted(&answer) {
                    return answer;
                }
            }
        }
        panic!("{args:?} still says {last}")
    }
}

#[test]
fn every_verb_tells_what_is() {
    let group = Group::start();
    let admin = Admin { namesrv: &group.namesrv };
    let leader = nodes(&admin);
    let ids = topics_and_messages(&admin, &leader);
    looked_up(&admin, &leader, &ids);
    groups_and_offsets(&admin, &leader);
    with_a_member_online(&admin, &leader, &ids);
    lists_and_exports(&admin, &leader);
    name_servers(&admin);
    measured(&admin);
    what_is_refused(&admin);
    removed(&admin);
}

/// Returns the leader's address.
fn nodes(admin: &Admin<'_>) -> String {
    let nodes = admin.until(&["clusterList", "-c", CLUSTER], |nodes| nodes.as_array().unwrap().len() == 3);
    assert_eq!(nodes.as_array().unwrap().iter().filter(|node| node["active"] == true).count(), 1, "{nodes}");
    let leader = nodes[0]["addr"].as_str().unwrap().to_owned();
    assert_eq!((&nodes[0]["brokerId"], &nodes[0]["role"]), (&json!(0), &json!("leader")), "{nodes}");
    assert_eq!(admin.ask(&["clusterList", "-m"])[0]["inTotalYesterday"], 0);
    assert_eq!(admin.ask(&["leader"])[0]["addr"], json!(leader));
    let status = admin.ask(&["status"]);
    let rows = status.as_array().unwrap().iter();
    assert_eq!(
        rows.map(|row| row["node"].as_str().unwrap()).collect::<Vec<_>>(),
        ["n0", "n1", "n2"],
        "{status}"
    );
    assert_eq!(admin.ask(&["health", "--wait", "30"])["healthy"], json!(true));
    let ha = admin.ask(&["haStatus", "-b", &leader]);
    assert_eq!((&ha["broker"]["master"], ha["followers"].as_array().unwrap().len()), (&json!(true), 2));
    let of_all = admin.lines(&["brokerStatus", "-c", CLUSTER]);
    assert_eq!(of_all.len(), 3);
    assert!(of_all[0]["brokerVersionDesc"] == "V5_3_3");
    let set = ["updateBrokerConfig", "-c", CLUSTER, "-a", "true", "-k", "fileReservedTime", "-v", "47"];
    assert!(admin.text(&set).contains("fileReservedTime=47"));
    for node in admin.lines(&["getBrokerConfig", "-c", CLUSTER, "-k", "fileReservedTime"]) {
        assert_eq!(node["fileReservedTime"], "47");
    }
    for chore in ["cleanExpiredCQ", "cleanUnusedTopic", "deleteExpiredCommitLog"] {
        assert!(admin.text(&[chore, "-b", &leader, "-c", "NoSuchCluster"]).contains(&leader), "{chore}");
    }
    leader
}

/// Makes a topic with five messages and returns the unique key and the offset message id of the first.
fn topics_and_messages(admin: &Admin<'_>, leader: &str) -> (String, String) {
    admin.text(&["updateTopic", "-c", CLUSTER, "-t", TOPIC, "-r", "4", "-w", "4"]);
    let mut first = None;
    for number in 0..5 {
        let (key, queue) = (format!("key-{number}"), (number % 2).to_string());
        let sent = admin.ask(&[
            "sendMessage",
            "-t",
            TOPIC,
            "-p",
            "hello 中文",
            "-k",
            &key,
            "-c",
            "TagA",
            "-b",
            BROKER,
            "-i",
            &queue,
        ]);
        assert_eq!((&sent["sendResult"], &sent["queueOffset"]), (&json!("SEND_OK"), &json!(number / 2)));
        let id = |name: &str| sent[name].as_str().unwrap().to_owned();
        first.get_or_insert((id("msgId"), id("offsetMsgId")));
    }
    let route = admin.ask(&["topicRoute", "-topic", TOPIC, "-l"]);
    assert_eq!((&route[0]["readQueueNums"], &route[0]["leader"]), (&json!(4), &json!(leader)));
    let status = admin.ask(&["topicStatus", "-t", TOPIC, "-c", CLUSTER]);
    assert_eq!((&status["queues"][0]["maxOffset"], &status["total"]["messages"]), (&json!(3), &json!(5)));
    assert_eq!(admin.ask(&["topicClusterList", "-t", TOPIC]), json!([{"cluster": CLUSTER}]));
    let topics = admin.ask(&["topicList"]);
    assert!(topics.as_array().unwrap().contains(&json!({"topic": TOPIC})), "{topics}");
    assert!(admin.text(&["topicList", "-c"]).contains(CLUSTER));
    let shares = admin.ask(&["allocateMQ", "-t", TOPIC, "-i", "b,a,c"]);
    let of_a = shares.as_array().unwrap().iter().filter(|share| share["clientId"] == "a").count();
    assert_eq!(of_a, 2, "{shares}");
    for (perm, text) in [("4", "R--"), ("6", "RW-")] {
        assert!(admin.text(&["updateTopicPerm", "-b", leader, "-t", TOPIC, "-p", perm]).contains(text));
    }
    first.unwrap()
}

fn looked_up(admin: &Admin<'_>, leader: &str, (unique, offset_id): &(String, String)) {
    let body = json!("hello 中文");
    let found = admin.ask(&["queryMsgById", "-i", offset_id]);
    assert_eq!((&found["message"]["body"], &found["message"]["brokerName"]), (&body, &json!(BROKER)));
    let found = admin.ask(&["queryMsgById", "-t", TOPIC, "-i", unique, "-f", "ISO-8859-1"]);
    assert_ne!(found["message"]["body"], body, "read as something else");
    let found = admin.ask(&["queryMsgByUniqueKey", "-t", TOPIC, "-i", unique]);
    assert_eq!((&found["message"]["body"], &found["track"]), (&body, &json!([])));
    let found = admin.ask(&["queryMsgByKey", "-t", TOPIC, "-k", "key-0"]);
    assert_eq!((found.as_array().unwrap().len(), &found[0]["msgId"]), (1, &json!(unique)));
    let found = admin.ask(&["queryMsgByOffset", "-t", TOPIC, "-b", BROKER, "-i", "0", "-o", "0"]);
    assert_eq!(found["message"]["msgId"], json!(unique));
    let units = admin.ask(&["queryCq", "-t", TOPIC, "-q", "0", "-i", "1", "-c", "1", "-b", leader]);
    assert_eq!((&units["queue"]["maxQueueIndex"], &units["units"][0]["index"]), (&json!(3), &json!(1)));

    let read = admin.lines(&["consumeMessage", "-t", TOPIC, "-c", "4", "-g", "anybody"]);
    assert_eq!(read.len(), 4);
    let read = admin.lines(&["consumeMessage", "-t", TOPIC, "-b", BROKER, "-i", "0", "-o", "2"]);
    assert_eq!((read.len(), &read[0]["queueOffset"]), (1, &json!(2)));
    let read = admin.lines(&["printMsg", "-t", TOPIC, "-s", "TagA || TagB", "-d", "false"]);
    assert_eq!((read.len(), &read[0]["body"]), (5, &Value::Null));
    assert!(admin.lines(&["printMsg", "-t", TOPIC, "-s", "TagB"]).is_empty());
    let counted = admin.ask(&["printMsgByQueue", "-t", TOPIC, "-a", BROKER, "-i", "1", "-f", "true"]);
    assert_eq!(counted, json!([{"tag": "TagA", "count": 2}]));

    let note = format!(
        "Pub|1700000000123|R|some_producers|{TOPIC}|{unique}|TagA|k|10.0.0.1:1|5|7|0|ID|true|10.0.0.9"
    );
    let note = note.replace('|', "\u{1}");
    admin.ask(&["sendMessage", "-t", "RMQ_SYS_TRACE_TOPIC", "-k", unique, "-p", &note]);
    let trace = admin.ask(&["queryMsgTraceById", "-i", unique]);
    assert_eq!((&trace[0]["group"], &trace[0]["costMs"]), (&json!("some_producers"), &json!(7)));
}

fn groups_and_offsets(admin: &Admin<'_>, leader: &str) {
    admin.text(&["updateSubGroup", "-c", CLUSTER, "-b", leader, "-g", GROUP, "-r", "7"]);
    assert_eq!(admin.ask(&["getConsumerConfig", "-g", GROUP])[0]["retryMaxTimes"], 7);
    let moved = admin.ask(&["resetOffsetByTime", "-g", GROUP, "-t", TOPIC, "-s", "-1", "-c", CLUSTER]);
    assert_eq!(offsets(&moved), [3, 2, 0, 0]);
    let moved = admin.ask(&["resetOffsetByTime", "-g", GROUP, "-t", TOPIC, "-s", "2020-01-01"]);
    assert_eq!(offsets(&moved), [0, 0, 0, 0]);
    let one = ["resetOffsetByTime", "-g", GROUP, "-t", TOPIC, "-s", "0", "-b", leader, "-q", "0", "-o", "2"];
    assert_eq!(offsets(&admin.ask(&one)), [2]);
    let progress = admin.ask(&["consumerProgress", "-g", GROUP, "-t", TOPIC]);
    assert_eq!((&progress["queues"][0]["diff"], &progress["total"]["diffTotal"]), (&json!(1), &json!(3)));
    let all = admin.ask(&["brokerConsumeStats", "-b", leader, "-l", "1", "-t", "9000"]);
    let of_group = all["queues"].as_array().unwrap().iter().filter(|queue| queue["group"] == GROUP).count();
    assert_eq!(of_group, 2, "{all}");
    admin.text(&["updateSubGroup", "-c", CLUSTER, "-g", "admin_test_copy"]);
    let copied = admin.ask(&["cloneGroupOffset", "-s", GROUP, "-d", "admin_test_copy", "-t", TOPIC]);
    assert_eq!(offsets(&copied), [2, 0, 0, 0]);
    let copy = ["cloneGroupOffset", "-s", "no_such_group", "-d", "admin_test_copy", "-t", TOPIC];
    admin.refused(&copy, 1, "has no offset of topic");
    let skipped = admin.ask(&["skipAccumulatedMessage", "-g", GROUP, "-t", TOPIC, "-f", "true"]);
    assert_eq!(offsets(&skipped), [3, 2, 0, 0]);
    let mode = ["setConsumeMode", "-c", CLUSTER, "-t", TOPIC, "-g", GROUP, "-m"];
    admin.text(&[&mode[..], &["PULL"]].concat());
    admin.refused(&[&mode[..], &["POP"]].concat(), 1, "POP is not supported");
    let stats = admin.ask(&["statsAll", "-t", TOPIC]);
    assert_eq!(stats[0]["topic"], TOPIC);
}

fn offsets(table: &Value) -> Vec<i64> {
    table.as_array().unwrap().iter().map(|row| row["offset"].as_i64().unwrap()).collect()
}

fn with_a_member_online(admin: &Admin<'_>, leader: &str, (unique, offset_id): &(String, String)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = async {
        PushConsumer::builder(GROUP, admin.namesrv)
            .subscribe(TOPIC, "*")
            .consume_from(ConsumeFrom::First)
            .start(|_: Arc<ReceivedMessage>| async { Consume::Success })
            .await
    };
    let consumer = runtime.block_on(start).unwrap();
    let connection = admin.until(&["consumerConnection", "-g", GROUP], |_| true);
    assert_eq!(connection["group"]["consumeType"], "CONSUME_PASSIVELY");
    let client = connection["connections"][0]["clientId"].as_str().unwrap();
    let status = admin.until(&["consumerStatus", "-g", GROUP, "-b", leader], |status| {
        // The queues of the topic and that of the retry topic.
        status[client]["mqTable"].as_object().is_some_and(|queues| queues.len() == 5)
    });
    assert_eq!(status[client]["properties"]["PROP_CONSUME_TYPE"], "CONSUME_PASSIVELY");
    assert!(admin.text(&["consumerStatus", "-g", GROUP, "-i", client]).contains("All members"));
    let push = ["-g", GROUP, "-d", client];
    let pushed = admin.ask(&[&["queryMsgById", "-i", offset_id], &push[..]].concat());
    assert_eq!(pushed["consumeResult"], "CR_SUCCESS");
    let pushed = admin.ask(&[&["queryMsgByUniqueKey", "-t", TOPIC, "-i", unique], &push[..]].concat());
    assert_eq!(pushed["consumeResult"], "CR_SUCCESS");
    admin.refused(&["queryMsgById", "-i", offset_id, "-g", GROUP, "-d", "nobody"], 1, "not online");
    let progress = admin.ask(&["consumerProgress", "-g", GROUP, "-t", TOPIC, "-s", "true"]);
    assert_eq!(progress["queues"][0]["clientId"], client);
    let all = admin.ask(&["consumerProgress"]);
    let ours = all.as_array().unwrap().iter().find(|group| group["group"] == GROUP).unwrap();
    assert_eq!((&ours["count"], &ours["model"]), (&json!(1), &json!("CLUSTERING")));
    runtime.block_on(consumer.shutdown());

    let again = admin.ask(&["queryMsgById", "-i", offset_id, "-s", "true"]);
    assert_eq!((&again["msgId"], &again["sendResult"]), (&json!(unique), &json!("SEND_OK")));
    let twice = admin.lines(&["queryMsgByUniqueKey", "-t", TOPIC, "-i", unique, "-a"]);
    assert_eq!(twice.len(), 2);
    admin.refused(&["producerConnection", "-g", "nobody", "-t", TOPIC], 1, "nobody");
    assert_eq!(admin.ask(&["producer", "-b", leader]), json!([]));
}

fn lists_and_exports(admin: &Admin<'_>, leader: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let topics = r#"[{"topicName":"Listed1","readQueueNums":2,"writeQueueNums":2},
        {"topicName":"Listed2","attributes":{"+message.type":"FIFO"}}]"#;
    fs::write(path("topics.json"), topics).unwrap();
    fs::write(path("groups.json"), r#"[{"groupName":"listed_group","retryMaxTimes":3}]"#).unwrap();
    admin.text(&["updateTopicList", "-b", leader, "-f", &path("topics.json")]);
    admin.text(&["updateSubGroupList", "-c", CLUSTER, "-f", &path("groups.json")]);
    admin.refused(&["updateTopicList", "-c", CLUSTER, "-f", &path("none.json")], 1, "none.json");

    let dir = dir.path().to_str().unwrap();
    let exported = |verb: &[&str], file: &str| -> Value {
        admin.text(&[verb, &["-f", dir]].concat());
        serde_json::from_slice(&fs::read(Path::new(dir).join(file)).unwrap()).unwrap()
    };
    let metadata = exported(&["exportMetadata", "-c", CLUSTER], "metadata.json");
    let names: BTreeSet<_> = metadata["topicConfigTable"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, BTreeSet::from(["Listed1", "Listed2", TOPIC].map(str::to_owned)));
    assert_eq!(metadata["topicConfigTable"]["Listed2"]["attributes"]["message.type"], "FIFO");
    assert_eq!(metadata["subscriptionGroupTable"]["listed_group"]["retryMaxTimes"], 3);
    let topics = exported(&["exportMetadata", "-b", leader, "-t", "-s"], "topic.json");
    assert!(topics["topicConfigTable"].get(format!("%RETRY%{GROUP}")).is_some(), "{topics}");
    assert!(topics["dataVersion"].is_object());
    let groups = exported(&["exportMetadata", "-b", leader, "-g"], "subscriptionGroup.json");
    assert!(groups["subscriptionGroupTable"]["listed_group"].is_object());
    // What was exported can be read in again.
    admin.text(&["updateTopicList", "-c", CLUSTER, "-f", &path("metadata.json")]);
    admin.text(&["updateSubGroupList", "-c", CLUSTER, "-f", &path("metadata.json")]);
    let configs = exported(&["exportConfigs", "-c", CLUSTER], "configs.json");
    assert_eq!(
        configs["clusterScale"],
        json!({"namesrvSize": 1, "masterBrokerSize": 1, "slaveBrokerSize": 2})
    );
    assert_eq!(configs["brokerConfigs"][BROKER]["brokerName"], BROKER);
    let metrics = exported(&["exportMetrics", "-c", CLUSTER], "metrics.json");
    assert_eq!(metrics["evaluateReport"][BROKER]["runtimeQuota"]["topicSize"], 3);
    assert_eq!(metrics["totalData"]["totalOneDayNum"]["normalOneDayInNum"], 0);
}

fn name_servers(admin: &Admin<'_>) {
    assert!(admin.ask(&["getNamesrvConfig"])["listenPort"].is_string());
    admin.text(&["updateNamesrvConfig", "-k", "orderMessageEnable", "-v", "true"]);
    assert_eq!(admin.ask(&["getNamesrvConfig"])["orderMessageEnable"], "true");
    admin.text(&["updateKvConfig", "-s", "NS", "-k", "K", "-v", "V"]);
    admin.text(&["deleteKvConfig", "-s", "NS", "-k", "K"]);
    let conf = format!("{BROKER}:4");
    admin.text(&["updateOrderConf", "-t", TOPIC, "-m", "put", "-v", &conf]);
    assert_eq!(admin.ask(&["updateOrderConf", "-t", TOPIC, "-m", "get"])["orderConf"], json!(conf));
    admin.text(&["updateOrderConf", "-t", TOPIC, "-m", "delete"]);
    assert_eq!(admin.ask(&["updateOrderConf", "-t", TOPIC, "-m", "get"])["orderConf"], Value::Null);
    for (verb, perm) in [("wipeWritePerm", "R--"), ("addWritePerm", "RW-")] {
        assert!(admin.ask(&[verb, "-b", BROKER])[0]["topics"].as_i64().unwrap() > 0);
        admin.until(&["topicRoute", "-t", TOPIC], |route| route[0]["perm"] == perm);
    }
}

fn measured(admin: &Admin<'_>) {
    let sends = admin.ask(&["checkMsgSendRT", "-t", TOPIC, "-a", "8", "-s", "100"]);
    assert_eq!((&sends["sends"][5]["queueId"], &sends["total"]["successCount"]), (&json!(1), &json!(8)));
    let rounds = admin.lines(&["clusterRT", "-c", CLUSTER, "-a", "3", "-i", "0", "--rounds", "2"]);
    assert_eq!((rounds.len(), &rounds[1][0]["successCount"]), (2, &json!(3)));
    let line = admin.text(&["clusterRT", "-a", "2", "--rounds", "1", "-p", "true", "-m", "room-7"]);
    assert!(line.contains(&format!("|room-7|{CLUSTER}|{BROKER}|")), "{line}");
    let sends = admin.ask(&["sendMsgStatus", "-b", BROKER, "-c", "2"]);
    assert_eq!((sends.as_array().unwrap().len(), &sends[1]["sendStatus"]), (2, &json!("SEND_OK")));
}

fn what_is_refused(admin: &Admin<'_>) {
    admin.refused(&["topicRoute", "-t", "NoSuchTopic"], 1, "no route for topic NoSuchTopic");
    admin.refused(&["consumerProgress", "-g", "no_such_group"], 1, "no_such_group");
    admin.refused(&["consumerProgress", "-g", "no_such_group", "-t", TOPIC], 1, "no broker group knows");
    admin.refused(&["getConsumerConfig", "-g", "no_such_group"], 1, "no broker group knows");
    admin.refused(&["brokerStatus", "-b", "127.0.0.1:1"], 1, "127.0.0.1:1");
    admin.refused(&["clusterList", "-c", "NoSuchCluster"], 1, "no cluster NoSuchCluster");
    admin.refused(&["updateTopic", "-b", "a:1", "-c", CLUSTER, "-t", "T"], 2, "cannot be used with");
    admin.refused(&["queryMsgById", "-i", "nonsense"], 1, "say its topic with -t");
    admin.refused(&["consumeMessage", "-t", TOPIC, "-i", "0"], 2, "--brokerName");
    admin.refused(&["createUser", "-c", CLUSTER], 1, "has nothing to act on in Trireme: createUser");
    admin.refused(&["TOPICLST"], 2, "did you mean topicList?");
    let dead = Admin { namesrv: "127.0.0.1:1" };
    dead.refused(&["topicList"], 1, "none of the name servers");
    let namesrv = format!("127.0.0.1:1;{}", admin.namesrv);
    assert!(!Admin { namesrv: &namesrv }.text(&["topicList"]).is_empty(), "one of two is enough");
}

/// At last what takes things away: the lead, a group, a topic.
fn removed(admin: &Admin<'_>) {
    let http = admin.ask(&["status"])[0]["http"].as_str().map(str::to_owned).unwrap();
    admin.refused(&["bootstrap", "-a", &http], 1, "waits until it has heard every member once");
    admin.refused(&["bootstrap", "-a", &http, "--force"], 1, "waits for no member");
    let node = |nodes: &Value| nodes[0]["leader"].as_str().map(str::to_owned);
    let old = node(&admin.ask(&["leader"])).unwrap();
    assert!(admin.text(&["transferLeader"]).contains("leads now"));
    admin.until(&["leader", "--local"], |nodes| node(nodes).is_some_and(|new| new != old));
    admin.text(&["deleteSubGroup", "-c", CLUSTER, "-g", GROUP, "-r", "true"]);
    admin.refused(&["getConsumerConfig", "-g", GROUP], 1, "no broker group knows");
    admin.text(&["deleteTopic", "-c", CLUSTER, "-t", TOPIC]);
    admin.refused(&["topicRoute", "-t", TOPIC], 1, "no route");
}
