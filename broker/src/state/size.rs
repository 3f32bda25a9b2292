//! How large the tables are, and how much a change would add: they are held in memory, and written whole with every
//! checkpoint, so what makes them grow is refused at the door past [`BYTES_MAX`].

use super::{Change, GroupConfig, OffsetRow, Tables, TopicConfig};

/// The tables take in nothing more beyond this size. A topic takes about a hundred bytes, a group two hundred, a
/// consumer offset twelve and its names once for all queues of a topic.
pub const BYTES_MAX: u64 = 128 << 20;
/// What a map's entry takes beside its parts.
const ENTRY: u64 = 16;
/// Of a topic, a group and a lock, what is neither a name nor a text.
const FIXED: u64 = 64;

fn text(text: &str) -> u64 {
    ENTRY + text.len() as u64
}

fn texts<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> u64 {
    pairs.into_iter().map(|(name, value)| text(name) + text(value)).sum()
}

fn topic(topic: &TopicConfig) -> u64 {
    FIXED + 2 * text(&topic.name) + texts(&topic.attributes)
}

fn group(group: &GroupConfig) -> u64 {
    FIXED + 2 * text(&group.name) + text(&group.retry_policy) + texts(&group.attributes)
}

impl Tables {
    /// About how many bytes they take.
    pub fn bytes(&self) -> u64 {
        let topics: u64 = self.topics.values().map(topic).sum();
        let groups: u64 = self.groups.values().map(group).sum();
        let offsets: u64 = [&*self.offsets, &*self.resets]
            .into_iter()
            .flatten()
            .map(|(group, topics)| {
                let topics = topics.iter().map(|(topic, queues)| text(topic) + ENTRY * queues.len() as u64);
                text(group) + topics.sum::<u64>()
            })
            .sum();
        let begins: u64 =
            self.begins.iter().map(|(topic, queues)| text(topic) + ENTRY * queues.len() as u64).sum();
        let forbidden = self.forbidden.iter();
        let forbidden: u64 = forbidden
            .map(|(group, topics)| text(group) + topics.iter().map(|name| text(name)).sum::<u64>())
            .sum();
        let modes = self.request_modes.iter();
        let modes: u64 = modes
            .map(|(topic, groups)| text(topic) + groups.keys().map(|name| text(name)).sum::<u64>())
            .sum();
        topics + groups + offsets + begins + forbidden + modes + self.locks.bytes() + texts(&*self.properties)
    }

    /// About how many bytes `change` would add to them.
    pub fn growth(&self, change: &Change) -> u64 {
        let more = |new: u64, old: Option<u64>| new.saturating_sub(old.unwrap_or(0));
        match change {
            Change::PutTopics { topics, only_new, .. } => topics
                .iter()
                .map(|new| (new, self.topics.get(&new.name)))
                .filter(|(_, known)| !only_new || known.is_none())
                .map(|(new, known)| more(topic(new), known.map(topic)))
                .sum(),
            Change::PutGroups { groups, only_new, .. } => groups
                .iter()
                .map(|new| (new, self.groups.get(&new.name)))
                .filter(|(_, known)| !only_new || known.is_none())
                .map(|(new, known)| more(group(new), known.map(group)))
                .sum(),
            Change::StoreOffsets { rows, .. } => rows.iter().map(|row| self.offset_growth(row)).sum(),
            Change::ResetOffsets { rows, .. } => rows.iter().map(|row| 2 * self.offset_growth(row)).sum(),
            Change::Lock { group, client_id, queues, .. } => {
                let names = queues
                    .iter()
                    .map(|queue| text(&queue.topic) + text(&queue.broker_name) + text(client_id) + ENTRY);
                text(group) + names.sum::<u64>()
            }
            Change::Forbid { group, topic, .. } | Change::SetRequestMode { group, topic, .. } => {
                text(group) + text(topic)
            }
            Change::SetProperties { properties, .. } => texts(properties),
            Change::DeleteTopic { .. }
            | Change::DeleteGroup { .. }
            | Change::TakeReset { .. }
            | Change::Unlock { .. }
            | Change::SetDelayedAside { .. } => 0,
        }
    }

    /// About how many bytes a stored offset would add.
    pub fn offset_growth(&self, row: &OffsetRow) -> u64 {
        let Some(topics) = self.offsets.get(&row.group) else {
            return text(&row.group) + text(&row.topic) + ENTRY;
        };
        match topics.get(&row.topic) {
            None => text(&row.topic) + ENTRY,
            Some(queues) if queues.contains_key(&row.queue_id) => 0,
            Some(_) => ENTRY,
        }
    }
}
