//! Who consumes which queue: the decision every member of a group makes for itself. Pure.

use std::collections::BTreeSet;

use protocol::allocate::Strategy;

use crate::queue::MessageQueue;

/// The queues of the member `me`; `None` if the list of members does not name it, which is not a reason to give
/// anything up.
pub(crate) fn share(
    strategy: Strategy,
    me: &str,
    members: &[String],
    queues: &[MessageQueue],
) -> Option<BTreeSet<MessageQueue>> {
    let members: Vec<String> = members.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let queues: Vec<&MessageQueue> = queues.iter().collect::<BTreeSet<_>>().into_iter().collect();
    if !members.iter().any(|member| member == me) {
        return None;
    }
    Some(strategy.allocate(me, &queues, &members).into_iter().cloned().collect())
}

/// What changes from one assignment to the next: queues to take up, queues to give up.
pub(crate) fn difference(
    current: &BTreeSet<MessageQueue>,
    wanted: &BTreeSet<MessageQueue>,
) -> (Vec<MessageQueue>, Vec<MessageQueue>) {
    (wanted.difference(current).cloned().collect(), current.difference(wanted).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(count: i32) -> Vec<MessageQueue> {
        (0..count).rev().map(|id| MessageQueue::new("T", "b", id)).collect()
    }

    fn members(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_members_together_take_each_queue_once() {
        for strategy in [Strategy::Average, Strategy::AverageByCircle] {
            for count in 0..10 {
                let members = members(&["c", "a", "b"]);
                let mut taken = Vec::new();
                for member in &members {
                    taken.extend(share(strategy, member, &members, &queues(count)).unwrap());
                }
                taken.sort();
                let mut all = queues(count);
                all.sort();
                assert_eq!(taken, all, "{strategy:?}, {count} queues");
            }
        }
    }

    #[test]
    fn a_member_listed_twice_counts_once() {
        let mine = share(Strategy::Average, "a", &members(&["a", "a"]), &queues(4)).unwrap();
        assert_eq!(mine.len(), 4);
    }

    #[test]
    fn who_is_not_listed_decides_nothing() {
        assert_eq!(share(Strategy::Average, "x", &members(&["a"]), &queues(4)), None);
    }

    #[test]
    fn a_difference_names_both_sides() {
        let set =
            |ids: &[i32]| ids.iter().map(|id| MessageQueue::new("T", "b", *id)).collect::<BTreeSet<_>>();
        let (added, dropped) = difference(&set(&[0, 1]), &set(&[1, 2]));
        assert_eq!(
            (added, dropped),
            (vec![MessageQueue::new("T", "b", 2)], vec![MessageQueue::new("T", "b", 0)])
        );
    }
}
