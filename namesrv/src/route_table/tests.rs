//! Stories about registrations, told without sockets or clocks.

use protocol::perm::{ALL, INHERIT, READ, READ_WRITE, WRITE};

use super::types::LeaderChange;
use super::*;

const NOW: Duration = Duration::from_secs(1_000);

fn queues(perm: i32) -> Queues {
    Queues { read: 4, write: 4, perm, topic_sys_flag: 0 }
}

fn version(term: i64, counter: i64) -> DataVersion {
    DataVersion { state_version: term, counter, timestamp: 1 }
}

/// A registration of group `g` with the topics `t1`, `t2`; its connection has the number of its port.
fn broker(id: i64, port: u16, version: DataVersion) -> Registration {
    Registration {
        cluster: "c".into(),
        group: "g".into(),
        id,
        addr: format!("h:{port}"),
        ha_addr: format!("h:{}", port + 1),
        zone: None,
        acting_master: Some(false),
        silence_max: None,
        version,
        topics: vec![("t1".into(), queues(READ_WRITE)), ("t2".into(), queues(READ_WRITE))],
        filter_servers: Vec::new(),
        connection: u64::from(port),
    }
}

fn with_topics(registration: Registration, topics: &[(&str, i32)]) -> Registration {
    let topics = topics.iter().map(|(topic, perm)| ((*topic).to_owned(), queues(*perm))).collect();
    Registration { topics, ..registration }
}

#[derive(Default)]
struct Story(RouteTable);

impl Story {
    fn register(&mut self, registration: Registration) -> Registered {
        let registered = self.0.register(registration, false, NOW).unwrap();
        self.0.check();
        registered
    }

    fn refuse(&mut self, registration: Registration) -> Refused {
        let refused = self.0.register(registration, false, NOW).unwrap_err();
        self.0.check();
        refused
    }

    fn close(&mut self, connection: u64) -> usize {
        let gone = self.0.connection_closed(connection).len();
        self.0.check();
        gone
    }

    /// `id=addr` of each member of `g`.
    fn members(&self) -> String {
        let Some(group) = self.0.group("g") else { return String::new() };
        let members: Vec<_> =
            group.members.iter().map(|(id, member)| format!("{id}={}", member.addr)).collect();
        members.join(" ")
    }

    fn perm(&self, topic: &str) -> Option<i32> {
        let (_, queues) = *self.0.route(topic)?.first()?;
        Some(queues.perm)
    }
}

#[test]
fn a_failover_moves_the_addresses_and_tells_of_the_new_leader() {
    let mut story = Story::default();
    let first = story.register(broker(0, 1, version(1, 1))).leader_change.unwrap();
    assert_eq!(first, LeaderChange { from: None, to: "h:1".into(), term: 1 });
    story.register(broker(2, 2, version(1, 1)));
    let third = story.register(broker(3, 3, version(1, 1)));
    assert_eq!(third.master, Some(Master { addr: "h:1".into(), ha_addr: "h:2".into() }));
    assert_eq!(story.members(), "0=h:1 2=h:2 3=h:3");

    assert_eq!(story.close(1), 1);
    assert_eq!(story.members(), "2=h:2 3=h:3");
    let change = story.register(broker(0, 2, version(2, 1))).leader_change.unwrap();
    assert_eq!(change, LeaderChange { from: None, to: "h:2".into(), term: 2 });
    assert_eq!(story.members(), "0=h:2 3=h:3");
    story.register(broker(1, 1, version(2, 1)));
    assert_eq!(story.members(), "0=h:2 1=h:1 3=h:3");
    assert_eq!(story.register(broker(0, 2, version(2, 1))).leader_change, None);
}

#[test]
fn a_deposed_leader_does_not_take_the_route_back() {
    let mut story = Story::default();
    story.register(broker(0, 1, version(1, 1)));
    story.register(broker(0, 2, version(2, 1)));
    let late = with_topics(broker(0, 1, version(1, 9)), &[("t1", WRITE), ("t9", READ_WRITE)]);
    assert!(story.register(late.clone()).is_stale);
    assert_eq!(
        (story.members().as_str(), story.perm("t1"), story.perm("t9")),
        ("0=h:2", Some(READ_WRITE), None)
    );

    // Nor when its successor's connection is gone: the term is remembered as long as the group is.
    story.register(broker(3, 3, version(2, 1)));
    story.close(2);
    assert!(story.register(late.clone()).is_stale);
    assert_eq!(story.members(), "3=h:3");

    // It may come back as a follower, and a late word of its reign does not cost it its place.
    story.register(broker(1, 1, version(2, 1)));
    assert!(story.register(late.clone()).is_stale);
    assert_eq!(story.members(), "1=h:1 3=h:3");

    // With the last member the group is forgotten, and its term: it may have been wiped and made anew.
    story.close(1);
    story.close(3);
    assert!(!story.register(late).is_stale);
    assert_eq!(story.members(), "0=h:1");
}

#[test]
fn a_late_word_of_a_follower_does_not_demote_a_new_leader() {
    let mut story = Story::default();
    story.register(broker(0, 1, version(1, 1)));
    story.register(broker(0, 2, version(2, 1)));
    assert!(story.register(broker(2, 2, version(1, 1))).is_stale);
    assert_eq!(story.members(), "0=h:2");
}

#[test]
fn java_brokers_replace_each_other_as_in_java() {
    let mut story = Story::default();
    story.register(broker(0, 1, version(0, 7)));
    story.register(broker(1, 2, version(0, 7)));
    story.register(broker(0, 2, version(0, 3)));
    assert_eq!(story.members(), "0=h:2");
    story.register(with_topics(broker(0, 2, version(0, 1)), &[("t1", READ), ("t2", READ)]));
    assert_eq!(story.perm("t1"), Some(READ), "the counter of a Java broker may start anew");
    assert!(!story.register(broker(0, 3, version(0, 3))).is_stale);
    assert_eq!(story.members(), "0=h:3");
    // One of ours replaces it, and is not replaced by one.
    story.register(broker(0, 4, version(5, 1)));
    assert!(story.register(broker(0, 3, version(0, 9))).is_stale);
    assert_eq!(story.members(), "0=h:4");
}

#[test]
fn a_follower_speaks_for_topics_only_while_nobody_leads_and_never_with_older_data() {
    let mut story = Story::default();
    story.register(with_topics(broker(1, 2, version(1, 4)), &[("t1", READ_WRITE), ("old", READ_WRITE)]));
    assert_eq!(
        story.perm("old"),
        Some(READ_WRITE),
        "a name server that has just started learns from anybody"
    );
    story.register(with_topics(broker(0, 1, version(1, 5)), &[("t1", READ), ("t2", READ_WRITE)]));
    story.register(with_topics(broker(1, 2, version(2, 9)), &[("t1", WRITE), ("more", READ_WRITE)]));
    assert_eq!((story.perm("t1"), story.perm("more")), (Some(READ), None), "somebody leads");

    story.close(1);
    story.register(with_topics(broker(1, 2, version(3, 4)), &[("t1", WRITE), ("more", READ_WRITE)]));
    assert_eq!(
        (story.perm("t1"), story.perm("more")),
        (Some(READ), None),
        "older data, though of a newer term"
    );
    story.register(with_topics(broker(2, 3, version(3, 6)), &[("t1", WRITE), ("more", READ_WRITE)]));
    assert_eq!(story.perm("more"), None, "not the lowest id");
    story.register(with_topics(broker(1, 2, version(3, 6)), &[("t1", WRITE), ("more", READ_WRITE)]));
    assert_eq!((story.perm("t1"), story.perm("more")), (Some(WRITE), Some(READ_WRITE)));
}

#[test]
fn topics_of_a_leader_do_not_go_back_within_a_term() {
    let mut story = Story::default();
    story.register(with_topics(broker(0, 1, version(4, 7)), &[("t1", READ), ("t2", READ_WRITE)]));
    story.register(with_topics(broker(0, 1, version(4, 6)), &[("t1", READ_WRITE), ("gone", READ_WRITE)]));
    assert_eq!((story.perm("t1"), story.perm("gone")), (Some(READ), None));
    story.register(with_topics(broker(0, 1, version(4, 7)), &[("t1", READ_WRITE), ("t3", READ_WRITE)]));
    assert_eq!(
        (story.perm("t1"), story.perm("t3")),
        (Some(4), Some(6)),
        "same version: only what is missing"
    );
    story.register(with_topics(broker(0, 2, version(5, 1)), &[("t1", READ_WRITE), ("t2", READ_WRITE)]));
    assert_eq!(story.perm("t1"), Some(READ_WRITE), "a new term counts anew");
}

#[test]
fn brokers_before_5_0_have_followers_without_a_say() {
    let mut story = Story::default();
    story.register(Registration { acting_master: None, ..broker(-1, 1, version(0, 1)) });
    assert_eq!((story.members().as_str(), story.perm("t1")), ("-1=h:1", None));
    story.register(broker(-1, 1, version(0, 2)));
    assert_eq!(story.perm("t1"), Some(READ_WRITE));
}

#[test]
fn an_acting_masters_topics_are_read_only() {
    let mut story = Story::default();
    story.register(Registration { acting_master: Some(true), ..broker(1, 1, version(0, 1)) });
    assert_eq!(story.perm("t1"), Some(READ));
}

#[test]
fn an_increment_needs_a_registration_before_it_and_leaves_no_trace_without() {
    let mut story = Story::default();
    let one = |id, port, counter| with_topics(broker(id, port, version(1, counter)), &[("new", READ_WRITE)]);
    assert_eq!(story.refuse(one(0, 1, 2)), Refused::SingleTopic { group: "g".into(), id: 0 });
    assert_eq!(story.members(), "");
    story.register(broker(0, 1, version(1, 1)));
    story.register(one(0, 1, 2));
    assert_eq!(
        (story.perm("new"), story.perm("t1")),
        (Some(READ_WRITE), Some(READ_WRITE)),
        "merged, not replaced"
    );
    assert_eq!(story.refuse(one(3, 3, 2)), Refused::SingleTopic { group: "g".into(), id: 3 });
    assert_eq!(story.members(), "0=h:1");
}

#[test]
fn only_a_complete_registration_deletes_and_only_its_own() {
    let mut table = RouteTable::default();
    table.register(broker(0, 1, version(1, 1)), true, NOW).unwrap();
    table.register(Registration { group: "other".into(), ..broker(0, 9, version(1, 1)) }, true, NOW).unwrap();
    table.register(with_topics(broker(0, 1, version(1, 2)), &[("t3", READ_WRITE)]), true, NOW).unwrap();
    assert_eq!(table.route("t1").unwrap().len(), 2, "one topic is an increment");
    table
        .register(
            with_topics(broker(0, 1, version(1, 3)), &[("t2", READ_WRITE), ("t3", READ_WRITE)]),
            true,
            NOW,
        )
        .unwrap();
    table.check();
    let serves =
        |topic| table.route(topic).unwrap().iter().map(|(group, _)| group.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        (serves("t1"), serves("t2"), serves("t3")),
        (vec!["other".into()], vec!["g".into(), "other".into()], vec!["g".into()])
    );
}

#[test]
fn an_old_connection_that_closes_takes_nothing_with_it() {
    let mut story = Story::default();
    story.register(broker(0, 1, version(1, 1)));
    story.register(Registration { connection: 77, ..broker(0, 1, version(1, 1)) });
    assert_eq!(story.close(1), 0);
    assert_eq!(story.members(), "0=h:1");
    assert_eq!(story.close(77), 1);
    assert_eq!((story.members().as_str(), story.perm("t1")), ("", None));
}

#[test]
fn silence_ends_a_registration_when_its_time_is_over() {
    let mut story = Story::default();
    story.register(broker(0, 1, version(1, 1)));
    story
        .register(Registration { silence_max: Some(Duration::from_secs(10)), ..broker(1, 2, version(1, 1)) });
    assert!(story.0.expire(NOW + Duration::from_secs(10)).is_empty());
    assert_eq!(story.0.heard_from("g", "h:2", NOW + Duration::from_secs(5)), Some(version(1, 1)));
    assert_eq!(story.0.heard_from("g", "h:3", NOW), None);
    assert!(story.0.expire(NOW + Duration::from_secs(15)).is_empty());
    let gone = story.0.expire(NOW + Duration::from_secs(16));
    assert_eq!(gone, [Gone { group: "g".into(), id: 1, addr: "h:2".into(), connection: 2 }]);
    assert!(story.0.expire(NOW + Duration::from_secs(120)).is_empty());
    assert_eq!(story.0.expire(NOW + Duration::from_secs(121)).len(), 1);
    story.0.check();
}

#[test]
fn unregistering_goes_by_address() {
    let mut story = Story::default();
    story.register(broker(0, 1, version(1, 1)));
    story.register(broker(2, 2, version(1, 1)));
    assert_eq!(story.0.unregister("g", "h:9"), None);
    assert_eq!(story.0.unregister("other", "h:1"), None);
    assert_eq!(story.0.unregister("g", "h:1").unwrap().id, 0);
    assert_eq!((story.members().as_str(), story.perm("t1")), ("2=h:2", Some(READ_WRITE)));
    story.0.unregister("g", "h:2");
    assert_eq!(story.perm("t1"), None);
    story.0.check();
}

/// S28: what an operator switched off stays off until it is switched on.
#[test]
fn write_permission_is_wiped_until_it_is_added_again() {
    let mut story = Story::default();
    story.register(with_topics(broker(0, 1, version(1, 1)), &[("t1", ALL), ("t2", READ_WRITE)]));
    assert_eq!(story.0.wipe_write_perm("other"), 0);
    assert_eq!(story.0.wipe_write_perm("g"), 2);
    assert_eq!((story.perm("t1"), story.perm("t2")), (Some(READ | INHERIT), Some(READ)));
    story.register(with_topics(
        broker(0, 1, version(1, 2)),
        &[("t1", ALL), ("t2", READ_WRITE), ("new", READ_WRITE)],
    ));
    assert_eq!(
        (story.perm("t1"), story.perm("new")),
        (Some(READ | INHERIT), Some(READ)),
        "a new topic changes nothing"
    );
    story.0.add_topic("t3", [("g".into(), queues(READ_WRITE))]);
    assert_eq!(story.perm("t3"), Some(READ));
    // Another leader, and all of them away for a while.
    story.register(with_topics(broker(0, 2, version(2, 1)), &[("t1", ALL), ("t2", READ_WRITE)]));
    assert_eq!(story.perm("t1"), Some(READ | INHERIT));
    story.close(1);
    story.close(2);
    story.register(with_topics(broker(0, 3, version(3, 1)), &[("t1", ALL), ("t2", READ_WRITE)]));
    assert_eq!(story.perm("t2"), Some(READ));
    assert_eq!(story.0.add_write_perm("g"), 2);
    assert_eq!((story.perm("t1"), story.perm("t2")), (Some(READ_WRITE), Some(READ_WRITE)));
    story.register(with_topics(broker(0, 3, version(3, 2)), &[("t1", ALL), ("t2", READ_WRITE)]));
    assert_eq!(story.perm("t1"), Some(ALL));
}

/// S33: a second cluster does not take over the first one's brokers.
#[test]
fn a_broker_name_belongs_to_the_cluster_whose_brokers_are_there() {
    let mut story = Story::default();
    story.register(broker(0, 1, version(1, 1)));
    let foreign = || Registration { cluster: "c2".into(), ..broker(0, 9, version(7, 1)) };
    let refused = story.0.register(foreign(), false, NOW).unwrap_err();
    assert!(matches!(&refused, Refused::OtherCluster { known, .. } if known == "c"), "{refused}");
    assert_eq!(story.members(), "0=h:1");
    story.close(1);
    story.register(foreign());
    assert_eq!(story.members(), "0=h:9");
}

#[test]
fn topics_are_deleted_everywhere_or_in_one_cluster_and_added_one_by_one() {
    let mut table = RouteTable::default();
    table.register(broker(0, 1, version(1, 1)), false, NOW).unwrap();
    let other = Registration { group: "other".into(), cluster: "c2".into(), ..broker(0, 9, version(1, 1)) };
    table.register(other, false, NOW).unwrap();
    table.delete_topic("t1", Some("c"));
    assert_eq!(table.topics_of_cluster("c").collect::<Vec<_>>(), ["t2"]);
    assert_eq!(table.topics_of_cluster("c2").collect::<Vec<_>>(), ["t1", "t2"]);
    table.delete_topic("t1", Some("c2"));
    table.delete_topic("t2", None);
    table.delete_topic("never", None);
    assert_eq!(table.topics().count(), 0);
    table.add_topic(
        "t3",
        [
            ("g".into(), queues(READ_WRITE)),
            ("unknown".into(), queues(READ_WRITE)),
            ("other".into(), queues(READ_WRITE)),
        ],
    );
    assert_eq!(table.route("t3").unwrap().len(), 1);
    table.add_topic("t4", [("unknown".into(), queues(READ_WRITE))]);
    assert!(table.route("t4").is_none());
    table.check();
}

/// S20: one registration of a stranger, of a huge term, had the route until the name server restarted.
#[test]
fn a_term_that_no_group_can_have_reached_is_refused() {
    let mut story = Story::default();
    story.register(broker(0, 1, version(7, 1)));
    for (id, port) in [(0, 9), (5, 9), (0, 1), (2, 1)] {
        let refused = story.refuse(broker(id, port, version(1 << 62, 1)));
        assert!(matches!(refused, Refused::AbsurdTerm { known: 7, bound: 1_007, .. }), "{refused}");
    }
    assert_eq!(story.members(), "0=h:1");
    story.register(broker(0, 2, version(8, 1)));
    assert_eq!(story.members(), "0=h:2");
}

/// S20: also a false term that is not absurd holds only as long as whoever told it is there.
#[test]
fn a_term_in_which_nobody_leads_any_more_is_forgotten() {
    let mut story = Story::default();
    let at = |seconds| NOW + Duration::from_secs(seconds);
    story.register(broker(0, 1, version(7, 1)));
    story.register(broker(2, 2, version(7, 1)));
    story.register(broker(0, 9, version(900, 1)));
    story.close(9);
    let mut late =
        |seconds| story.0.register(broker(0, 1, version(7, 1)), false, at(seconds)).unwrap().is_stale;
    assert_eq!((late(0), late(30), late(31)), (true, true, false));
    assert_eq!(story.members(), "0=h:1 2=h:2");
}
