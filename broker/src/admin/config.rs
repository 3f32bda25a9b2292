//! The broker's properties by command: codes 25 and 26. What may be set while it runs, and how long that holds:
//! `config/live.rs`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZero;
use std::sync::Arc;

use protocol::command::admin::GetBrokerConfigResponse;
use protocol::route::DataVersion;
use protocol::{Command, ResponseCode as code};
use serde_json::json;
use settings::Properties;

use crate::admin::create;
use crate::config::BrokerConfig;
use crate::door::exchange::{Answer, Origin, refuse};
use crate::housekeeping::registration;
use crate::node::Node;
use crate::state::Change;

/// Names that nobody may set from outside. Source: RocketMQ `configBlackList` and its fixed part.
const BLACK_LIST: [&str; 3] = ["configBlackList", "brokerConfigPath", "rocketmqHome"];

/// What exportConfigs and exportMetrics read without asking whether it is there.
const WANTED_BY_TOOLS: &str = "filterServerNums=0\nslaveReadEnable=false\nuseTLS=false\n";

/// Code 26: this node's values in force, and the role it has now in RocketMQ's words.
pub fn get(node: &Arc<Node>, _origin: Origin, request: Command, answer: Answer) {
    let (broker_id, _) = registration::broker_id(node);
    let role = if broker_id == 0 { "SYNC_MASTER" } else { "SLAVE" };
    // exportMetrics takes this for the number of processors.
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut text = String::new();
    for line in node.live().listing().lines() {
        if !["brokerId", "brokerRole"].iter().any(|name| line.split('=').next() == Some(name)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.push_str(WANTED_BY_TOOLS);
    write!(text, "brokerId={broker_id}\nbrokerRole={role}\nclientCallbackExecutorThreads={processors}\n")
        .expect("a String takes all");
    let version = String::from_utf8_lossy(&DataVersion::default().to_bytes()).into_owned();
    let header = GetBrokerConfigResponse { version };
    answer.send(Command::response_to(&request, code::SUCCESS).with_header(&header).with_body(text));
}

/// Longer than any value that means something.
const VALUE_BYTES_MAX: usize = 4_096;

/// Code 25: sets values for the whole group, all of them or none.
pub fn update(node: &Arc<Node>, origin: Origin, request: Command, answer: Answer) {
    let Ok(wanted) = Properties::parse(&request.body, "updateBrokerConfig") else {
        return answer.send(refuse(&request, code::SYSTEM_ERROR, "string2Properties error"));
    };
    let properties: BTreeMap<String, String> =
        wanted.entries().iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect();
    if properties.keys().any(|key| BLACK_LIST.contains(&key.as_str())) {
        return answer.send(refuse(&request, code::NO_PERMISSION, "Can not update config in black list."));
    }
    if let Some((name, value)) = properties.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
        let remark = format!(
            "{name} has a value of {} bytes, above the limit of {VALUE_BYTES_MAX} bytes",
            value.len()
        );
        return answer.send(refuse(&request, code::SYSTEM_ERROR, remark));
    }
    if let Err(error) = node.live.check(node.group.tables().properties(), &properties) {
        return answer.send(refuse(&request, code::SYSTEM_ERROR, error.to_string()));
    }
    if properties.is_empty() {
        return answer.send(Command::response_to(&request, code::SUCCESS));
    }
    let said = changed(&node.live(), &properties);
    let is_in_routes = properties.contains_key("brokerPermission");
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let facts = json!({"by": origin.client.to_string(), "set": properties});
        let change = Change::SetProperties { properties, now_ms: node.now_ms() };
        answer.send(match node.group.submit(change).await {
            Ok(_) => {
                let text = format!("{} set {said}, for the whole group", origin.client);
                node.events.note("configuration", text, facts);
                if is_in_routes {
                    create::tell_name_servers(&node).await;
                }
                Command::response_to(&request, code::SUCCESS)
            }
            Err(error) => crate::door::exchange::not_submitted(&request, &error),
        });
    });
}

/// What is set over what, for the events.
fn changed(before: &BrokerConfig, set: &BTreeMap<String, String>) -> String {
    let one = |(name, value): (&String, &String)| {
        let was = before.in_force().iter().find(|one| one.name == name).map_or("unset", |one| &one.value);
        format!("{name}={value} (was {was})")
    };
    set.iter().map(one).collect::<Vec<_>>().join(", ")
}
