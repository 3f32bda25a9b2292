//! Where a consumer begins in a queue that has just become its own. Pure.

use protocol::command::heartbeat::ConsumeFromWhere;

/// Where a group begins that has no offset stored for a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ConsumeFrom {
    /// At the end: only messages sent from now on. Brokers start a group they have never seen at the beginning
    /// all the same, as long as the queue still has its first message.
    #[default]
    Last,
    /// At the oldest message there is.
    First,
    /// At the first message stored at this time or later, in milliseconds since the epoch. What is said of
    /// [`Last`](Self::Last) and new groups is true of this one too.
    Timestamp(i64),
}

/// How to find the offset to begin at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartAt {
    /// Here.
    Offset(i64),
    /// At the queue's end, to be asked for.
    Max,
    /// At this store time, to be asked for.
    Time(i64),
}

impl ConsumeFrom {
    /// Decides from what the broker has stored for the group. Source: Java `RebalancePushImpl.computePullFromWhere`.
    pub(crate) fn start(self, stored: Option<i64>, is_retry_topic: bool) -> StartAt {
        match (stored, self) {
            (Some(offset), _) => StartAt::Offset(offset.max(0)),
            // Retry messages are this group's own: none of them may be skipped.
            (None, _) if is_retry_topic => StartAt::Offset(0),
            (None, Self::First) => StartAt::Offset(0),
            (None, Self::Last) => StartAt::Max,
            (None, Self::Timestamp(ms)) => StartAt::Time(ms),
        }
    }

    /// As a heartbeat has it.
    pub(crate) fn on_wire(self) -> ConsumeFromWhere {
        match self {
            Self::Last => ConsumeFromWhere::LastOffset,
            Self::First => ConsumeFromWhere::FirstOffset,
            Self::Timestamp(_) => ConsumeFromWhere::Timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_offset_wins_over_every_wish() {
        for from in [ConsumeFrom::First, ConsumeFrom::Last, ConsumeFrom::Timestamp(7)] {
            assert_eq!(from.start(Some(12), false), StartAt::Offset(12));
        }
    }

    #[test]
    fn a_new_group_begins_where_it_wants() {
        assert_eq!(ConsumeFrom::First.start(None, false), StartAt::Offset(0));
        assert_eq!(ConsumeFrom::Last.start(None, false), StartAt::Max);
        assert_eq!(ConsumeFrom::Timestamp(7).start(None, false), StartAt::Time(7));
    }

    #[test]
    fn no_retry_message_is_skipped() {
        assert_eq!(ConsumeFrom::Last.start(None, true), StartAt::Offset(0));
        assert_eq!(ConsumeFrom::Timestamp(7).start(None, true), StartAt::Offset(0));
    }
}
