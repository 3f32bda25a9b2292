//! From where the clients of each group pulled last: what lies between that and the consumer offset is in their hands.

use std::collections::HashMap;

/// Group, topic and queue id.
pub type Place<'a> = (&'a str, &'a str, i32);

/// The queue offset of the last pull of each group, topic and queue.
#[derive(Debug, Default)]
pub struct PullOffsets {
    groups: HashMap<String, HashMap<String, HashMap<i32, i64>>>,
}

impl PullOffsets {
    /// A pull from `queue_offset` on came in.
    pub fn put(&mut self, (group, topic, queue_id): Place<'_>, queue_offset: i64) {
        // Most pulls are not the first of their queue: those look up and allocate nothing.
        if let Some(known) =
            self.groups.get_mut(group).and_then(|topics| topics.get_mut(topic)?.get_mut(&queue_id))
        {
            *known = queue_offset;
            return;
        }
        let topics = self.groups.entry(group.to_owned()).or_default();
        topics.entry(topic.to_owned()).or_default().insert(queue_id, queue_offset);
    }

    /// From where the last pull went on.
    pub fn get(&self, (group, topic, queue_id): Place<'_>) -> Option<i64> {
        self.groups.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// Forgets a group: it was deleted.
    pub fn forget_group(&mut self, group: &str) {
        self.groups.remove(group);
    }

    /// Forgets a topic: it was deleted.
    pub fn forget_topic(&mut self, topic: &str) {
        for topics in self.groups.values_mut() {
            topics.remove(topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_pull_of_a_queue_counts() {
        let mut pulled = PullOffsets::default();
        pulled.put(("G", "T", 0), 5);
        pulled.put(("G", "T", 0), 9);
        pulled.put(("G", "U", 0), 1);
        assert_eq!(pulled.get(("G", "T", 0)), Some(9));
        assert_eq!((pulled.get(("G", "T", 1)), pulled.get(("H", "T", 0))), (None, None));
        pulled.forget_topic("T");
        assert_eq!((pulled.get(("G", "T", 0)), pulled.get(("G", "U", 0))), (None, Some(1)));
        pulled.forget_group("G");
        assert_eq!(pulled.get(("G", "U", 0)), None);
    }
}
