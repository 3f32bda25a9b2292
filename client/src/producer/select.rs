//! Which queue a message goes to. Pure.

use protocol::message::java_hash_code;

use crate::queue::MessageQueue;
use crate::route::TopicRoute;

/// How the queue of a message is found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum QueueChoice {
    /// One queue after the other; a retry takes the next one, of another broker group if there is one.
    #[default]
    RoundRobin,
    /// Always the same queue for the same text, as long as the number of queues stays: what must stay in order
    /// shares a key.
    Key(String),
    /// This queue and no other.
    Queue(MessageQueue),
}

/// Picks by turn. Skips broker groups without a leader and the group that has just failed, as long as any other
/// is left.
pub(crate) fn by_turn<'a>(
    queues: &'a [MessageQueue],
    route: &TopicRoute,
    turn: usize,
    failed_group: Option<&str>,
) -> Option<&'a MessageQueue> {
    let in_turn = || (0..queues.len()).map(|step| &queues[(turn.wrapping_add(step)) % queues.len()]);
    let leads = |queue: &&MessageQueue| route.leader(&queue.broker_name).is_some();
    in_turn()
        .find(|queue| leads(queue) && Some(queue.broker_name.as_str()) != failed_group)
        .or_else(|| in_turn().find(leads))
        .or_else(|| in_turn().next())
}

/// Picks by key. Source: Java `SelectMessageQueueByHash`, `Math.abs(hash % size)`.
pub(crate) fn by_key<'a>(queues: &'a [MessageQueue], key: &str) -> Option<&'a MessageQueue> {
    let count = i32::try_from(queues.len()).ok().filter(|count| *count > 0)?;
    let index = (java_hash_code(key) % count).unsigned_abs();
    queues.get(index as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tests::data;

    fn route() -> TopicRoute {
        TopicRoute::new(&data(&[
            ("a", 6, 2, &[(0, "a:1")]),
            ("b", 6, 2, &[(0, "b:1")]),
            ("c", 6, 1, &[(1, "c:1")]),
        ]))
    }

    #[test]
    fn turns_go_round_and_leave_out_groups_without_a_leader() {
        let (route, queues) = (route(), route().write_queues("T"));
        let picked: Vec<_> =
            (0..6).map(|turn| by_turn(&queues, &route, turn, None).unwrap().to_string()).collect();
        assert_eq!(picked, ["T@a/0", "T@a/1", "T@b/0", "T@b/1", "T@a/0", "T@a/0"]);
    }

    #[test]
    fn a_retry_leaves_the_group_that_failed_if_it_can() {
        let (route, queues) = (route(), route().write_queues("T"));
        assert_eq!(by_turn(&queues, &route, 0, Some("a")).unwrap().broker_name, "b");
        let alone = TopicRoute::new(&data(&[("a", 6, 1, &[(0, "a:1")])]));
        let queues = alone.write_queues("T");
        assert_eq!(by_turn(&queues, &alone, 7, Some("a")).unwrap().broker_name, "a");
    }

    #[test]
    fn with_no_leader_at_all_a_queue_is_picked_all_the_same() {
        let route = TopicRoute::new(&data(&[("c", 6, 2, &[(1, "c:1")])]));
        assert!(by_turn(&route.write_queues("T"), &route, 0, None).is_some());
        assert!(by_turn(&[], &route, 0, None).is_none());
    }

    #[test]
    fn a_key_has_one_queue_whatever_its_hash() {
        let queues: Vec<_> = (0..7).map(|id| MessageQueue::new("T", "a", id)).collect();
        for key in ["", "order-1", "Bestellung 7", "polygenelubricants"] {
            assert_eq!(by_key(&queues, key), by_key(&queues, key));
            assert!(by_key(&queues, key).is_some());
        }
        // The hash of this text is Java's smallest integer, whose absolute value does not exist.
        assert_eq!(java_hash_code("polygenelubricants"), i32::MIN);
        assert!(by_key(&[], "x").is_none());
    }
}
