//! How much consumer groups have not consumed yet, and how old the first of it is.
//!
//! The age of a message stands in the log, so telling it costs a read. At most [`LOOKS_MAX`] are made for one scrape; what
//! was read is known as long as the group stands still, so that the groups which are left out at first have their turn.

use std::collections::HashMap;
use std::sync::PoisonError;

use crate::consumer::offset::store_time_at;
use crate::metrics::lag_ages::Place;
use crate::node::Node;

/// Reads of the log for one scrape.
const LOOKS_MAX: usize = 500;

/// What one group has not consumed of one topic.
pub(super) struct Lag {
    pub topic: String,
    pub group: String,
    pub messages: i64,
    /// Age of the first of them, milliseconds; 0 without any, `None` where there were too many to look at.
    pub age_ms: Option<i64>,
}

/// Looks up times, at most this many new ones.
struct Looks<'a> {
    before: &'a HashMap<Place, (i64, i64)>,
    known: HashMap<Place, (i64, i64)>,
    left: usize,
}

impl Looks<'_> {
    /// The store time of the message at `offset`: known from the last time, or read.
    fn time(&mut self, place: Place, offset: i64, read: impl FnOnce() -> Option<i64>) -> Option<i64> {
        let before = self.before.get(&place).filter(|(known, _)| *known == offset).map(|(_, time)| *time);
        let time = match before {
            Some(time) => time,
            None if self.left == 0 => return None,
            None => {
                self.left -= 1;
                read()?
            }
        };
        self.known.insert(place, (offset, time));
        Some(time)
    }
}

/// Every group's lag on every topic it has offsets on, by topic and group.
pub(super) fn of_all(node: &Node) -> Vec<Lag> {
    let queues = node.group.queues.list().into_iter();
    let ends: HashMap<Place, (i64, i64)> = queues
        .map(|queue| ((queue.topic, queue.queue_id as i32), (queue.min.0 as i64, queue.max.0 as i64)))
        .collect();
    let offsets = node.group.tables().offset_table();
    let term = node.group.views.borrow().term;
    let now_ms = node.now_ms() as i64;
    let mut ages = node.lag_ages.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut looks = Looks { before: &ages, known: HashMap::new(), left: LOOKS_MAX };
    let mut lags = Vec::new();
    for (key, queues) in &offsets {
        let Some((topic, group)) = key.split_once('@') else { continue };
        let mut lag = Lag { topic: topic.into(), group: group.into(), messages: 0, age_ms: Some(0) };
        for (queue_id, offset) in queues {
            let Some((min, max)) = ends.get(&(topic.to_owned(), *queue_id)).copied() else { continue };
            let offset = node.group.offsets.get(term, group, topic, *queue_id).unwrap_or(*offset);
            if offset >= max {
                continue;
            }
            lag.messages += max - offset;
            let first = offset.max(min);
            let read = || store_time_at(node, topic, *queue_id, first);
            let time = looks.time((key.clone(), *queue_id), first, read);
            let age_ms = time.map(|time| now_ms.saturating_sub(time).max(0));
            lag.age_ms = lag.age_ms.zip(age_ms).map(|(one, other)| one.max(other));
        }
        lags.push(lag);
    }
    *ages = looks.known;
    lags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_have_a_bound_and_every_group_has_its_turn() {
        let mut before = HashMap::new();
        let look = |before: &HashMap<Place, (i64, i64)>| {
            let mut looks = Looks { before, known: HashMap::new(), left: 2 };
            let times: Vec<_> =
                (0..5).map(|queue| looks.time(("T@CG".into(), queue), 7, || Some(100))).collect();
            (times.iter().flatten().count(), looks.known)
        };
        let mut told = Vec::new();
        for _ in 0..3 {
            let (count, known) = look(&before);
            told.push(count);
            before = known;
        }
        assert_eq!(told, [2, 4, 5]);
    }

    #[test]
    fn a_group_that_has_moved_is_looked_at_again() {
        let before = HashMap::from([(("T@CG".to_owned(), 0), (7, 100))]);
        let mut looks = Looks { before: &before, known: HashMap::new(), left: 1 };
        assert_eq!(looks.time(("T@CG".into(), 0), 8, || Some(200)), Some(200));
        assert_eq!(looks.known[&("T@CG".to_owned(), 0)], (8, 200));
    }
}
