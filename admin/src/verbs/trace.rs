//! `queryMsgTraceById`: what clients with tracing on noted about one message.

use client::protocol::names;
use serde_json::{Value, json};

use super::period::Period;
use crate::context::Context;
use crate::report::{Report, Table};
use crate::time;
use crate::verb::Verb;

/// Between the notes of one trace message, and between the parts of a note. Source: RocketMQ `TraceConstants`.
const NOTE_SEPARATOR: char = '\u{2}';
const PART_SEPARATOR: char = '\u{1}';

/// Its flags.
#[derive(Debug, clap::Args)]
pub(crate) struct QueryMsgTraceById {
    /// The message id, as its sender got it
    #[arg(short = 'i', long = "msgId", value_name = "ID")]
    id: String,
    /// The topic that traces go to
    #[arg(short = 't', long = "traceTopic", value_name = "TOPIC", default_value = names::TRACE_TOPIC)]
    topic: String,
    #[command(flatten)]
    period: Period,
    /// At most this many trace messages
    #[arg(short = 'c', long = "maxNum", value_name = "N", default_value_t = 64)]
    count: i32,
}

impl Verb for QueryMsgTraceById {
    const NAME: &'static str = "queryMsgTraceById";
    const ABOUT: &'static str =
        "Show who sent a message and who consumed it, as clients with tracing on noted it";
    const EXAMPLES: &'static [&'static str] =
        &["-i 7F00000100002A9F18B4AAC2049C0000", "-i 7F00000100002A9F18B4AAC2049C0000 -t MyTraces"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let range = self.period.range(context)?.into();
        let admin = context.admin().await?;
        let found = admin.messages_by_key(&self.topic, &self.id, self.count, range).await?;
        let mut table = Table::new(&[
            ("type", "Type"),
            ("group", "Group"),
            ("clientHost", "Client"),
            ("time", "Time"),
            ("costMs", "Took ms"),
            ("status", "Status"),
        ]);
        let mut notes = Vec::new();
        for message in &found {
            let text = String::from_utf8_lossy(&message.body);
            let host = message.born_host.ip().to_string();
            notes.extend(text.split(NOTE_SEPARATOR).filter_map(|note| Note::read(note, &self.id, &host)));
        }
        // One note of consuming comes from each queue that its trace was found by.
        notes.sort_by_key(|note| (note.kind != "Pub", note.at_ms));
        notes.dedup();
        for note in notes {
            table.push(vec![
                json!(note.kind),
                json!(note.group),
                json!(note.host),
                json!(note.at_ms.map(time::text)),
                note.cost_ms,
                json!(if note.is_success { "success" } else { "failed" }),
            ]);
        }
        Ok(Report::Table(table))
    }
}

/// One note about one message.
#[derive(Debug, Clone, PartialEq)]
struct Note {
    kind: String,
    group: String,
    host: String,
    at_ms: Option<i64>,
    cost_ms: Value,
    is_success: bool,
}

impl Note {
    /// Reads a note about the message of this id: that it was sent, or that it was consumed. `host` is who told it,
    /// for notes that do not say.
    ///
    /// Source: RocketMQ `TraceDataEncoder`.
    fn read(note: &str, id: &str, host: &str) -> Option<Self> {
        let parts: Vec<&str> = note.split(PART_SEPARATOR).collect();
        let part = |at: usize| parts.get(at).copied();
        let number = |at: usize| part(at).and_then(|text| text.parse::<i64>().ok());
        let is_true = |at: usize| part(at).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let (at_ms, group, cost_at, success_at, own_host) = match *parts.first()? {
            "Pub" if part(5) == Some(id) => {
                // Releases before 4.9 put the result where the offset message id is now.
                let success_at = if parts.len() == 13 { 12 } else { 13 };
                (number(1), part(3), 10, success_at, part(14))
            }
            "SubAfter" if part(2) == Some(id) => (number(7), part(8), 3, 4, None),
            _ => return None,
        };
        Some(Self {
            kind: if parts[0] == "Pub" { "Pub" } else { "Sub" }.to_owned(),
            group: group.unwrap_or_default().to_owned(),
            host: own_host.filter(|host| !host.is_empty()).unwrap_or(host).to_owned(),
            at_ms,
            cost_ms: json!(number(cost_at)),
            is_success: is_true(success_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_of_sending_and_consuming_are_read() {
        let sent = "Pub|1700000000123|DefaultRegion|my_producers|T|ID1|TagA|k|10.0.0.1:10911|5|7|0|OFF|true|10.0.0.9";
        let note = Note::read(&sent.replace('|', "\u{1}"), "ID1", "1.1.1.1").unwrap();
        assert_eq!(
            (note.kind.as_str(), note.group.as_str(), note.host.as_str()),
            ("Pub", "my_producers", "10.0.0.9")
        );
        assert_eq!(
            (note.at_ms, note.cost_ms.clone(), note.is_success),
            (Some(1_700_000_000_123), json!(7), true)
        );
        let consumed = "SubAfter|R1|ID1|3|false|k|1|1700000000200|my_consumers";
        let note = Note::read(&consumed.replace('|', "\u{1}"), "ID1", "1.1.1.1").unwrap();
        assert_eq!(
            (note.kind.as_str(), note.group.as_str(), note.host.as_str()),
            ("Sub", "my_consumers", "1.1.1.1")
        );
        assert!(!note.is_success);
    }

    #[test]
    fn notes_about_other_messages_are_left_out() {
        let consumed = "SubAfter|R1|ID2|3|true|k".replace('|', "\u{1}");
        assert_eq!(Note::read(&consumed, "ID1", ""), None);
        assert_eq!(Note::read("", "ID1", ""), None);
    }
}
