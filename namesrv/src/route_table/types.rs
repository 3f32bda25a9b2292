//! What goes into the route table and what it is made of.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::route::DataVersion;

/// Broker id of whoever may be written to.
pub(crate) const LEADER_ID: i64 = 0;
/// RocketMQ: `BrokerLiveInfo`, 120 s without a word.
const SILENCE_MAX: Duration = Duration::from_secs(120);

/// What the clock allows: how far the term of a known group may rise at once, and how much more for each second since
/// it was last heard of. An election takes longer than a tenth of a second.
const TERMS_AT_ONCE: i64 = 1_000;
const TERMS_A_SECOND: i64 = 10;
/// The term on record is forgotten when nobody has led for this long: much longer than a late packet is late, and a
/// leader that clients know of registers every 30 s and leaves when its connection closes.
const TERM_KEPT: Duration = Duration::from_secs(30);

/// A topic's queues on one broker group. RocketMQ: `QueueData`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queues {
    pub read: i32,
    pub write: i32,
    /// Bits: 4 read, 2 write, 1 inherit.
    pub perm: i32,
    /// Bits: 1 unit, 2 has a subscription of a unit.
    pub topic_sys_flag: i32,
}

/// What one broker says of itself. RocketMQ: code 103.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    pub cluster: String,
    /// `brokerName`.
    pub group: String,
    /// 0 leads.
    pub id: i64,
    /// Where clients reach it, `host:port`.
    pub addr: String,
    pub ha_addr: String,
    pub zone: Option<String>,
    /// `None` from brokers before 5.0, whose followers never speak for topics.
    pub acting_master: Option<bool>,
    /// `None` for the usual 120 s.
    pub silence_max: Option<Duration>,
    /// Which state of its topics it speaks of. The state version is the Raft term for our brokers, 0 for Java's.
    pub version: DataVersion,
    pub topics: Vec<(String, Queues)>,
    pub filter_servers: Vec<String>,
    /// The connection that carried this.
    pub connection: u64,
}

/// What became of a registration.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Registered {
    /// Ignored: somebody of a higher term holds its place.
    pub is_stale: bool,
    /// The broker was not in the group, or had another id.
    pub is_new: bool,
    /// For a follower: whom it follows.
    pub master: Option<Master>,
    /// The group has another leader than before.
    pub leader_change: Option<LeaderChange>,
}

/// What a follower is told of its leader.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Master {
    pub addr: String,
    pub ha_addr: String,
}

impl Master {
    pub(super) fn of(member: &Member) -> Self {
        Self { addr: member.addr.clone(), ha_addr: member.ha_addr.clone() }
    }
}

/// A new leader of a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeaderChange {
    /// `None`: there was none.
    pub from: Option<String>,
    pub to: String,
    pub term: i64,
}

/// Why a registration was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// RocketMQ answers "register broker failed".
    #[error("broker id {id} of {group} is not known here, and an increment of one topic does not make it so")]
    SingleTopic { group: String, id: i64 },
    /// S33: it would replace brokers that it has nothing to do with.
    #[error(
        "brokerName {group} is taken: cluster {known} has it at {addr}. Give the brokers of cluster {cluster} another brokerName, or stop those of {known} first"
    )]
    OtherCluster { group: String, cluster: String, known: String, addr: String },
    /// No group can have had so many elections.
    #[error(
        "term {term} of {group} is absurd: the highest on record is {known}, and it cannot be above {bound} yet"
    )]
    AbsurdTerm { group: String, term: i64, known: i64, bound: i64 },
}

/// A broker that is no longer in a route.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub group: String,
    pub id: i64,
    pub addr: String,
    /// The one that carried its latest registration.
    pub connection: u64,
}

/// A broker group. RocketMQ: `BrokerData`.
#[derive(Debug)]
pub(crate) struct Group {
    pub name: String,
    /// That of its first registration.
    pub cluster: String,
    pub zone: Option<String>,
    pub acting_master: bool,
    /// By broker id. An address has one id.
    pub members: BTreeMap<i64, Member>,
    /// That of the last leader's registration; stays when the leader goes. `None` if nobody led yet.
    leader_version: Option<DataVersion>,
    /// When a leader registered last, or was there last.
    pub(super) led_at: Duration,
}

/// One broker of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub addr: String,
    pub ha_addr: String,
    pub version: DataVersion,
    pub filter_servers: Vec<String>,
    /// The connection of its latest registration.
    pub connection: u64,
    /// Time of the last sign of life, on the clock of whoever calls.
    pub last_heard: Duration,
    /// It is gone when not heard from for longer.
    pub silence_max: Duration,
}

impl Group {
    pub(super) fn new(registration: &Registration) -> Self {
        Self {
            name: registration.group.clone(),
            cluster: registration.cluster.clone(),
            zone: None,
            acting_master: false,
            members: BTreeMap::new(),
            leader_version: None,
            led_at: Duration::ZERO,
        }
    }

    /// Why `new` cannot be what it says it is.
    pub(super) fn refuses(&self, new: &Registration, now: Duration) -> Option<Refused> {
        let (term, known) = (new.version.state_version, self.highest_term());
        let heard = self.members.values().map(|member| member.last_heard).max().unwrap_or(now);
        let seconds = now.saturating_sub(heard).as_secs() as i64;
        let bound =
            known.saturating_add(TERMS_AT_ONCE).saturating_add(seconds.saturating_mul(TERMS_A_SECOND));
        (term > bound).then(|| Refused::AbsurdTerm { group: self.name.clone(), term, known, bound })
    }

    fn highest_term(&self) -> i64 {
        let terms = self.members.values().map(|member| member.version.state_version);
        terms.chain([self.term()]).max().unwrap_or(0)
    }

    /// Lets go of a term in which nobody leads any longer, so that one false registration cannot keep the true leader out
    /// forever.
    pub(super) fn forget_term_without_leader(&mut self, now: Duration) {
        match self.leader() {
            Some(leader) => self.led_at = self.led_at.max(leader.last_heard),
            None if now.saturating_sub(self.led_at) > TERM_KEPT => self.leader_version = None,
            None => {}
        }
    }

    /// Who leads, as far as brokers have told.
    pub fn leader(&self) -> Option<&Member> {
        self.members.get(&LEADER_ID)
    }

    /// The term of the last leader that registered; 0 if there was none, or a plain Java one.
    pub fn term(&self) -> i64 {
        self.leader_version.map_or(0, |version| version.state_version)
    }

    /// Whether `new` comes from the past: its place is held by a higher term, or the same broker has spoken in a
    /// higher one already.
    pub(super) fn is_stale(&self, new: &Registration) -> bool {
        let term = new.version.state_version;
        let is_deposed = new.id == LEADER_ID && term < self.term();
        let is_overtaken = |(id, member): (&i64, &Member)| {
            (*id == new.id || member.addr == new.addr) && term < member.version.state_version
        };
        is_deposed || self.members.iter().any(is_overtaken)
    }

    /// Drops other ids of the same address: an address moves when its broker is promoted or demoted. Returns
    /// the version it had before, under whatever id.
    pub(super) fn take_other_ids(&mut self, new: &Registration) -> Option<DataVersion> {
        let before =
            self.members.values().find(|member| member.addr == new.addr).map(|member| member.version);
        self.members.retain(|id, member| *id == new.id || member.addr != new.addr);
        before
    }

    /// Whether `new` may set the group's topics. To be asked before it [enters](Self::enter).
    pub(super) fn accepts_topics_of(&self, new: &Registration) -> bool {
        let version = new.version;
        let Some(leader) = self.leader_version else { return new.id == LEADER_ID || self.is_prime(new) };
        if new.id == LEADER_ID {
            // In one term the counter only grows, so a lower one is a late packet. Java's counter starts anew
            // when its broker loses its disk, in the same "term" 0.
            version.state_version != leader.state_version
                || version.state_version == 0
                || version.counter >= leader.counter
        } else {
            // Terms say nothing here: a follower may know a new term and still lack old entries.
            self.is_prime(new) && version.counter >= leader.counter
        }
    }

    /// Whether `new` is the follower that speaks while nobody leads: that of the lowest id.
    fn is_prime(&self, new: &Registration) -> bool {
        new.acting_master.is_some() && self.members.keys().all(|id| *id >= new.id)
    }

    pub(super) fn leader_change(&self, new: &Registration) -> Option<LeaderChange> {
        let from = self.leader().map(|leader| leader.addr.clone());
        let is_change = new.id == LEADER_ID && from.as_deref() != Some(&new.addr);
        is_change.then(|| LeaderChange { from, to: new.addr.clone(), term: new.version.state_version })
    }

    pub(super) fn enter(&mut self, new: &Registration, now: Duration) {
        self.zone.clone_from(&new.zone);
        self.acting_master = new.acting_master == Some(true);
        if new.id == LEADER_ID {
            self.led_at = now;
            assert!(self.term() <= new.version.state_version, "the term of {} goes back", self.name);
            if self.accepts_topics_of(new) {
                self.leader_version = Some(new.version);
            }
        }
        // Of one broker in one term the counter only grows: a lower one is a late packet.
        let is_late = |member: &&Member| {
            let (before, after) = (member.version, new.version);
            member.addr == new.addr
                && before.state_version > 0
                && before.state_version == after.state_version
                && before.counter > after.counter
        };
        let version = self.members.get(&new.id).filter(is_late).map_or(new.version, |member| member.version);
        let member = Member {
            addr: new.addr.clone(),
            ha_addr: new.ha_addr.clone(),
            version,
            filter_servers: new.filter_servers.clone(),
            connection: new.connection,
            last_heard: now,
            silence_max: new.silence_max.unwrap_or(SILENCE_MAX),
        };
        self.members.insert(new.id, member);
    }
}
