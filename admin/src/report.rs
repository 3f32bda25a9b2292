//! What a verb reports, as a table for people and as JSON for programs.

use client::ReceivedMessage;
use client::protocol::message::properties;
use comfy_table::{CellAlignment, Table as TextTable, TableComponent, presets};
use serde_json::{Map, Value, json};

use crate::charset::Charset;
use crate::time;

/// The outcome of a verb.
#[derive(Debug)]
pub(crate) enum Report {
    /// Rows under columns. JSON: an array of objects.
    Table(Table),
    /// Names and values. JSON: an object.
    Facts(Map<String, Value>),
    /// Something was done. JSON: an object with the member `result`.
    Done(String),
    /// Several parts, one below the other. JSON: an object with the parts by name.
    Parts(Vec<(&'static str, Report)>),
    /// What people see, and what programs get in its place.
    Shown(Box<Report>, Value),
    /// Nothing left to say.
    Silence,
}

/// Rows under columns.
#[derive(Debug)]
pub(crate) struct Table {
    /// Name in JSON, heading for people.
    columns: &'static [(&'static str, &'static str)],
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub(crate) fn new(columns: &'static [(&'static str, &'static str)]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has not one cell a column.
    pub(crate) fn push(&mut self, row: Vec<Value>) {
        assert_eq!(row.len(), self.columns.len(), "one cell a column");
        self.rows.push(row);
    }

    fn to_text(&self) -> String {
        let mut table = TextTable::new();
        table.load_preset(presets::NOTHING);
        table.set_style(TableComponent::HeaderLines, '─');
        table.set_header(self.columns.iter().map(|(_, heading)| *heading));
        for row in &self.rows {
            table.add_row(row.iter().map(plain));
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            let is_numeric = !self.rows.is_empty() && self.rows.iter().all(|row| row[index].is_number());
            if is_numeric {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }

    fn to_value(&self) -> Value {
        let object = |row: &Vec<Value>| {
            Value::Object(
                self.columns
                    .iter()
                    .zip(row)
                    .map(|((name, _), cell)| ((*name).to_owned(), cell.clone()))
                    .collect(),
            )
        };
        Value::Array(self.rows.iter().map(object).collect())
    }
}

impl Report {
    /// Names and values from a JSON object.
    pub(crate) fn facts(value: Value) -> Self {
        match value {
            Value::Object(facts) => Self::Facts(facts),
            other => Self::Done(plain(&other)),
        }
    }

    /// For people.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Table(table) => table.to_text(),
            Self::Facts(facts) => facts_text(facts),
            Self::Done(text) => text.clone(),
            Self::Shown(report, _) => report.to_text(),
            Self::Parts(parts) => {
                let parts: Vec<_> =
                    parts.iter().map(|(_, part)| part.to_text()).filter(|text| !text.is_empty()).collect();
                parts.join("\n\n")
            }
            Self::Silence => String::new(),
        }
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> String {
        match self {
            Self::Silence => String::new(),
            other => other.to_value().to_string(),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Table(table) => table.to_value(),
            Self::Facts(facts) => Value::Object(facts.clone()),
            Self::Done(text) => json!({ "result": text }),
            Self::Parts(parts) => Value::Object(
                parts.iter().map(|(name, part)| ((*name).to_owned(), part.to_value())).collect(),
            ),
            Self::Shown(_, value) => value.clone(),
            Self::Silence => Value::Null,
        }
    }
}

fn facts_text(facts: &Map<String, Value>) -> String {
    let width = facts.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): (&String, &Value)| format!("{name:width$}  {}", plain(value));
    facts.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A cell for people: text without quotes, nothing for null.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A message with everything that is known of it, its body read as text.
pub(crate) fn message_value(message: &ReceivedMessage, charset: Charset) -> Value {
    json!({
        "msgId": message.msg_id(),
        "offsetMsgId": message.offset_msg_id(),
        "topic": message.topic,
        "tags": message.tag(),
        "keys": message.property(properties::KEYS),
        // A message that was looked up by its place alone does not tell.
        "brokerName": Some(&message.queue.broker_name).filter(|name| !name.is_empty()),
        "queueId": message.queue.queue_id,
        "queueOffset": message.queue_offset,
        "commitLogOffset": message.commitlog_offset,
        "reconsumeTimes": message.reconsume_times,
        "bornTimestamp": time::text(message.born_timestamp_ms),
        "storeTimestamp": time::text(message.store_timestamp_ms),
        "bornHost": message.born_host.to_string(),
        "storeHost": message.store_host.to_string(),
        "sysFlag": message.sys_flag,
        "flag": message.flag,
        "storeSize": message.stored_bytes,
        "bodyCrc": message.body_crc,
        "properties": message.properties,
        "body": charset.text(&message.body),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Report {
        let mut table = Table::new(&[("topic", "Topic"), ("queues", "Queues")]);
        table.push(vec!["T".into(), 4.into()]);
        Report::Table(table)
    }

    #[test]
    fn a_table_is_an_array_of_objects_in_json() {
        assert_eq!(table().to_json(), r#"[{"topic":"T","queues":4}]"#);
        let text = table().to_text();
        assert!(text.contains("Topic") && text.contains('T'), "{text}");
    }

    #[test]
    fn parts_are_named_in_json_and_stacked_for_people() {
        let parts = Report::Parts(vec![("queues", table()), ("note", Report::Done("well".into()))]);
        assert_eq!(parts.to_json(), r#"{"queues":[{"topic":"T","queues":4}],"note":{"result":"well"}}"#);
        assert!(parts.to_text().ends_with("\n\nwell"));
    }

    #[test]
    fn facts_stand_in_line() {
        let facts = Report::facts(json!({"a": 1, "long": "text", "none": null}));
        assert_eq!(facts.to_text(), "a     1\nlong  text\nnone  ");
    }
}
