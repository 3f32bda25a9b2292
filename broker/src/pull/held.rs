//! A pull on its way: what was asked, which messages it wants, and who is told what came of it.

use protocol::command::pull::PullRequest;
use protocol::subscription::SubscriptionData;

use crate::leader::submit::SubmitError;
use crate::pull::found::Look;
use crate::pull::long_poll::Wants;
use crate::refusal::Refusal;

/// What a pull brought.
#[derive(Debug)]
pub struct Pulled {
    /// The messages, or why there are none.
    pub look: Look,
    /// The term in which this node answered as its group's leader, if it did: a judge may compare what leaders told one
    /// after the other.
    pub term: Option<u64>,
    /// Whether it waited for a message.
    pub was_held: bool,
    /// Which broker id the group should pull from.
    pub suggest_broker_id: i64,
    /// The group's flags, if it exists.
    pub group_sys_flag: Option<i32>,
    /// The topic's flags, if it exists.
    pub topic_sys_flag: Option<i32>,
}

/// `forbiddenType` of a refusal with code 16. Source: RocketMQ `ForbiddenType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// By the broker's permission.
    Broker = 1,
    /// By the group's settings.
    Group = 2,
    /// By the topic's permission.
    Topic = 3,
    /// To consume as a broadcast.
    Broadcast = 4,
    /// To this group on this topic.
    Subscription = 5,
}

/// Why a pull does not begin.
#[derive(Debug)]
pub enum Unfit {
    /// What it asks for is not granted, by whom.
    Forbidden(Forbidden, String),
    /// Anything else that is wrong with it.
    Refused(Refusal),
    /// The group does not exist yet.
    NewGroup,
}

/// A pull was not answered from what lies in the queue.
#[derive(Debug)]
pub enum PullError {
    /// It does not begin.
    Unfit(Unfit),
    /// The group that it makes by its first pull was not created.
    NotCreated(SubmitError),
    /// The group is created, and this node has not applied that yet.
    NotAppliedYet,
    /// The consumer's offset is wrong, and only the leader may say so.
    LeaderMustJudge,
    /// The operator's offset was not handed over.
    NotReset(SubmitError),
    /// More pulls of old messages wait than may.
    TooManyReads,
    /// Queue or log could not be read; the text says why.
    Failed(String),
}

/// Who is told what came of a pull.
pub type Then = Box<dyn FnOnce(Result<Pulled, PullError>) + Send>;

/// A pull that is under way, and may wait for a message.
pub struct HeldPull {
    pub(super) header: PullRequest,
    pub(super) filter: Filter,
    pub(super) was_held: bool,
    pub(super) then: Then,
}

/// Which messages a pull wants.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All of them: the legacy filter server sorts them out.
    All,
    /// Those whose tag is in the subscription.
    Tags(SubscriptionData),
}

impl Filter {
    /// Whether a message with this tag hash passes.
    pub fn passes(&self, tag_hash: i64) -> bool {
        match self {
            Self::All => true,
            Self::Tags(subscription) => subscription.matches(tag_hash),
        }
    }
}

impl Wants for HeldPull {
    fn wants(&self, tag_hash: i64) -> bool {
        self.filter.passes(tag_hash)
    }
}
