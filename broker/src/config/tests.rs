//! RocketMQ's own files, our samples, and what must be refused.

use std::path::Path;

use platform::Disk;

use super::*;

fn read(text: &str) -> Result<BrokerConfig, Refusals> {
    let properties = Properties::parse(text.as_bytes(), "b.conf").unwrap();
    BrokerConfig::read(properties, &Machine::loopback("/home/rocketmq"))
}

fn warnings(config: &BrokerConfig) -> Vec<String> {
    config.notices.iter().filter(|notice| notice.is_warning()).map(ToString::to_string).collect()
}

const SECRET: &str = "three banks of oars";

/// A sound group node; the test's own lines follow and win.
fn group(more: &str) -> String {
    format!(
        "brokerName=g\nnamesrvAddr=h:9876\nenableDLegerCommitLog=true\n\
         dLegerPeers=n0-a:40911;n1-b:40911;n2-c:40911\ndLegerSelfId=n1\n\
         peerSecret={SECRET}\n{more}"
    )
}

#[test]
fn the_fast_try_files_of_rocketmq_are_accepted_as_they_are() {
    let files: [&[u8]; 3] = [
        include_bytes!("../../../conf/dledger/broker-n0.conf"),
        include_bytes!("../../../conf/dledger/broker-n1.conf"),
        include_bytes!("../../../conf/dledger/broker-n2.conf"),
    ];
    for (number, file) in (0_u16..).zip(files) {
        let properties = Properties::parse(file, "broker.conf").unwrap();
        let config = BrokerConfig::read(properties, &Machine::loopback("/root")).unwrap();
        assert_eq!(warnings(&config), [""; 0]);
        let said: Vec<_> = config.notices.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("sendMessageThreadPoolNums is accepted and has no effect"), "{said:?}");

        assert_eq!(config.identity.cluster, "RaftCluster");
        assert_eq!(config.identity.broker_name, "RaftNode00");
        assert_eq!(config.network.namesrv_addrs, ["127.0.0.1:9876"]);
        assert_eq!(config.network.listen.to_string(), format!("0.0.0.0:{}", 30911 + 10 * number));
        assert_eq!(config.network.vip_listen.port(), 30909 + 10 * number);
        assert_eq!(config.network.http_listen.unwrap().port(), 30913 + 10 * number);
        assert_eq!(config.network.advertised_addr(), format!("127.0.0.1:{}", 30911 + 10 * number));
        assert_eq!(config.storage.root, Path::new(&format!("/tmp/rmqstore/node0{number}")));
        assert_eq!(config.storage.commitlog, Path::new(&format!("/tmp/rmqstore/node0{number}/commitlog")));
        assert_eq!(config.storage.flush, FlushDiskType::Sync);

        let quorum = &config.quorum;
        assert!(quorum.is_group);
        assert_eq!(quorum.group, "RaftNode00");
        assert_eq!(
            (quorum.node_id, quorum.self_id.as_str()),
            (u64::from(number) + 1, &*format!("n{number}"))
        );
        let members: Vec<_> = quorum.members.iter().map(|(id, addr)| (*id, addr.as_str())).collect();
        assert_eq!(members, [(1, "127.0.0.1:40911"), (2, "127.0.0.1:40912"), (3, "127.0.0.1:40913")]);
        assert_eq!(quorum.listen.to_string(), format!("127.0.0.1:{}", 40911 + number));
    }
}

#[test]
fn our_own_samples_are_accepted_and_want_a_secret_at_most() {
    for (number, file) in [
        &include_bytes!("../../../conf/broker-a-n0.conf")[..],
        include_bytes!("../../../conf/broker-a-n1.conf"),
        include_bytes!("../../../conf/broker-a-n2.conf"),
        include_bytes!("../../../conf/broker.conf"),
    ]
    .into_iter()
    .enumerate()
    {
        let properties = Properties::parse(file, "sample.conf").unwrap();
        let config = BrokerConfig::read(properties, &Machine::loopback("/root")).unwrap();
        // A secret in a sample would be everybody's.
        let notices: Vec<_> = config.notices.iter().map(ToString::to_string).collect();
        assert!(notices.iter().all(|notice| notice.contains("peerSecret is not set")), "{notices:?}");
        assert_eq!(config.quorum.is_group, number < 3);
        assert_eq!(config.identity.broker_name, "broker-a");
    }
}

#[test]
fn without_a_file_there_is_a_group_of_one_with_safe_defaults() {
    let machine = Machine {
        host_name: "oar".to_owned(),
        local_ip: "10.1.2.3".parse().unwrap(),
        namesrv_addr: Some("ns1:9876;ns2:9876".to_owned()),
        ..Machine::loopback("/home/me")
    };
    let config = BrokerConfig::read(Properties::new(), &machine).unwrap();
    assert_eq!(config.notices, []);
    assert_eq!(config.identity.broker_name, "oar");
    assert_eq!(config.network.namesrv_addrs, ["ns1:9876", "ns2:9876"]);
    assert_eq!(config.network.advertised_addr(), "10.1.2.3:10911");
    assert_eq!(config.network.store_host.to_string(), "10.1.2.3:10911");
    assert_eq!(config.network.ha_addr, "10.1.2.3:10912");
    assert_eq!(config.storage.root, Path::new("/home/me/store"));
    assert_eq!(config.storage.commitlog, Path::new("/home/me/store/commitlog"));
    assert_eq!((config.storage.segment_bytes, config.storage.units_per_file), (1 << 30, 300_000));
    assert_eq!((config.quorum.node_id, config.quorum.members.len()), (1, 1));
    assert!(config.quorum.listen.ip().is_loopback());
    assert_eq!(config.quorum.group, "oar");
    assert_eq!(config.messages.delay_levels_ms.len(), 18);
    assert_eq!((config.messages.delay_levels_ms[0], config.messages.delay_levels_ms[17]), (1_000, 7_200_000));
}

#[test]
fn every_bad_value_is_told_at_once_with_file_line_key_and_what_is_allowed() {
    let refusals = read(
        "namesrvAddr=nowhere\nlistenPort=2\nflushDiskType=SYNC\nmessageDelayLevel=1s 5x\ndeleteWhen=24\n\
         brokerPermission=7\nbindAddress=all\nmaxMessageSize=4MB",
    )
    .unwrap_err();
    let expected = [
        r#"b.conf line 6: brokerPermission = "7" is refused; allowed is 2 or 4 or 6"#,
        r#"b.conf line 1: namesrvAddr = "nowhere" is refused; allowed is host:port;host:port"#,
        r#"b.conf line 7: bindAddress = "all" is refused; allowed is an IP address of this machine"#,
        r#"b.conf line 2: listenPort = "2" is refused; allowed is a whole number from 3 to 65535"#,
        r#"b.conf line 3: flushDiskType = "SYNC" is refused; allowed is SYNC_FLUSH or ASYNC_FLUSH"#,
        r#"b.conf line 5: deleteWhen = "24" is refused; allowed is hours from 00 to 23, separated by ;"#,
        r#"b.conf line 8: maxMessageSize = "4MB" is refused; allowed is a whole number of bytes from 1 to 16646144"#,
        r#"b.conf line 4: messageDelayLevel = "1s 5x" is refused; allowed is times such as 1s 5m 2h 1d, separated by blanks"#,
    ];
    for line in expected {
        assert!(refusals.to_string().lines().any(|said| said == line), "{line}\nis not in\n{refusals}");
    }
    assert_eq!(refusals.refusals.len(), 8, "{refusals}");
}

#[test]
fn what_cannot_stand_together_is_refused() {
    for (text, said) in [
        (group("enableControllerMode=true"), "these exclude each other"),
        ("enableControllerMode=true".to_owned(), "controller mode does not exist here"),
        (group("dLegerSelfId=n3"), "allowed is an id of dLegerPeers: n0, n1, n2"),
        (group("preferredLeaderId=n7"), "allowed is an id of dLegerPeers: n0, n1, n2"),
        (group("dLegerPeers=n0-a:1;n0-b:1"), "each number once, but n0"),
        (group("dLegerPeers=n1-a:1;n2-a:1"), "each address once, but a:1"),
        (group("dLegerPeers=n1:1;n2-a:1"), "allowed is n0-host:port"),
        (group("dLegerPeers=1-a:1"), "allowed is n0-host:port"),
        (group("dLegerPeers="), "a group needs dLegerPeers too"),
        ("enableDLegerCommitLog=true".to_owned(), "a group needs dLegerPeers too"),
        ("enableDLegerCommitLog=true".to_owned(), "a group needs dLegerSelfId too"),
        (group("listenPort=40911"), "listenPort and the own port in dLegerPeers are both port 40911"),
        (
            group("listenPort=40913"),
            "listenPort - 2 for old clients and the own port in dLegerPeers are both",
        ),
        (
            group("listenPort=9000\nhttpPort=8998"),
            "listenPort - 2 for old clients and httpPort are both port 8998",
        ),
        (group("raftHeartbeatMs=150"), "twice the heartbeat (150 ms)"),
        (
            group("raftElectionTimeoutMsMin=900\nraftElectionTimeoutMsMax=900"),
            "must be below the upper one (900 ms)",
        ),
        ("brokerRole=SLAVE\nbrokerId=1".to_owned(), "no masters and slaves"),
        ("aclEnable=true".to_owned(), "open to everyone"),
        ("tls.server.mode=enforcing".to_owned(), "plain text"),
        ("mappedFileSizeCommitLog=1048576".to_owned(), "does not fit into a segment of 1048576 bytes"),
        ("mappedFileSizeCommitLog=1073741825".to_owned(), "a multiple of 4096 bytes"),
        ("storePathRootDir=".to_owned(), "allowed is a directory"),
        ("brokerIP1=10.0.0.1:10911".to_owned(), "without a port"),
        ("brokerName=".to_owned(), "at least one character"),
        (
            "dLegerPeers=n0-a:1".to_owned(),
            "b.conf line 1: dLegerPeers = \"n0-a:1\": enableDLegerCommitLog is not set",
        ),
        (
            "enableDLegerCommitLog = tru".to_owned(),
            "line 1: enableDLegerCommitLog = \"tru\" is refused; allowed is true or false",
        ),
    ] {
        let refusals = read(&text).map(|_| ()).expect_err(&text).to_string();
        assert!(refusals.contains(said), "{text}\nsays\n{refusals}\nwithout\n{said}");
    }
}

#[test]
fn what_is_odd_but_possible_is_a_warning() {
    for (text, said) in [
        (group("lisenPort=1"), "lisenPort is no known property and does nothing; did you mean listenPort?"),
        (group("enableAcl=true"), "did you mean aclEnable?"),
        (group("flushDiskType=ASYNC_FLUSH"), "acknowledged before they are on disk"),
        (group("brokerId=2"), "brokerId = 2 is ignored"),
        (group("registerNameServerPeriod=5000"), "counts as 10000 ms"),
        (group("dLegerPeers=n0-a:1;n1-b:1"), "a group of 2 nodes survives no more failures than one of 1"),
        // S26: without any word it would run alone; with one it is a warning.
        (
            "namesrvAddr=h:1\nenableDLegerCommitLog=false\ndLegerPeers=n0-a:1".to_owned(),
            "NOTHING IS REPLICATED",
        ),
        ("brokerName=x".to_owned(), "no name server will tell clients"),
        (group("autoCreateTopicEnable=yes"), "counts as false"),
    ] {
        let config = read(&text).expect(&text);
        let warnings = warnings(&config);
        // A line of the group that is set again is a warning of its own.
        let other = warnings.iter().filter(|warning| !warning.contains("is set again")).collect::<Vec<_>>();
        assert!(other.len() == 1 && other[0].contains(said), "{text}\nsays\n{warnings:?}\nwithout\n{said}");
    }
}

#[test]
fn hosts_may_hold_dashes_and_be_names_or_addresses() {
    for (peer, member, listen) in [
        ("n0-broker-0.broker-svc:40911", "broker-0.broker-svc:40911", "0.0.0.0:40911"),
        ("n0-10.0.0.7:40911", "10.0.0.7:40911", "10.0.0.7:40911"),
        ("n0-localhost:40911", "localhost:40911", "127.0.0.1:40911"),
        ("n0-[::1]:40911", "[::1]:40911", "[::1]:40911"),
        ("n0-[fd00::7]:40911", "[fd00::7]:40911", "[fd00::7]:40911"),
    ] {
        let text =
            format!("namesrvAddr=h:1\nenableDLegerCommitLog=true\ndLegerSelfId=n0\ndLegerPeers={peer}");
        let config = read(&text).unwrap();
        assert_eq!(config.quorum.members[&1], member);
        assert_eq!(config.quorum.listen.to_string(), listen);
        assert_eq!(warnings(&config), [""; 0]);
    }
}

#[test]
fn aliases_of_the_right_spelling_work() {
    let text = group("").replace("DLeger", "DLedger").replace("dLeger", "dLedger");
    let config = read(&text).unwrap();
    assert_eq!(config.quorum.node_id, 2);
    assert_eq!(config.notices.len(), 3);
    assert!(
        config.notices[0].to_string().contains("enableDLedgerCommitLog is taken for enableDLegerCommitLog")
    );
}

#[test]
fn the_listing_is_a_property_file_that_says_the_same() {
    // All but the secret.
    let text = group("storePathRootDir=/data/with\\\\backslash\nlistenPort=20911\nhttpPort=0");
    let config = read(&text.replace(&format!("peerSecret={SECRET}\n"), "")).unwrap();
    let listing = config.listing();
    for line in
        ["listenPort=20911", "brokerName=g", "dLegerSelfId=n1", "flushDiskType=SYNC_FLUSH", "httpPort=0"]
    {
        assert!(listing.lines().any(|said| said == line), "{line}\nis not in\n{listing}");
    }
    assert!(config.network.http_listen.is_none());
    let again = read(&listing).unwrap();
    assert_eq!(again.listing(), listing);
    assert_eq!(again.quorum, config.quorum);
    assert_eq!(again.storage, config.storage);
    let important = config.important_listing();
    assert!(important.lines().count() < listing.lines().count() / 2);
    assert!(important.lines().all(|line| listing.contains(line)));
}

/// S19: the secret is read, kept to itself, and wanted where strangers can come.
#[test]
fn the_peer_secret_is_never_shown_and_its_absence_is_told() {
    let unset = group("").replace(&format!("peerSecret={SECRET}\n"), "");
    let told =
        |config: &BrokerConfig| warnings(config).iter().any(|said| said.contains("peerSecret is not set"));
    assert!(told(&read(&unset).unwrap()));
    let config = read(&group("")).unwrap();
    assert!(config.quorum.peer_secret.is_some() && !told(&config));
    assert!(!config.listing().contains(SECRET) && !format!("{:?}", config.quorum).contains(SECRET));
    let refused = read(&format!("{unset}peerSecret=oars")).unwrap_err().to_string();
    assert!(refused.contains("4 characters") && refused.contains("at least 16"), "{refused}");
    let refused = read(&format!("{unset}peerSecretFile=/nowhere/secret")).unwrap_err().to_string();
    assert!(refused.contains("a file that can be read"), "{refused}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let file = platform::OsDisk.open(&path, platform::OpenMode::CreateNew).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(b"three banks of oars\n")], 0).unwrap();
    let by_file = read(&format!("{unset}peerSecretFile={}", path.display())).unwrap();
    assert_eq!(by_file.quorum.peer_secret, config.quorum.peer_secret);
    let both = group(&format!("peerSecretFile={}", path.display()));
    assert!(read(&both).unwrap_err().to_string().contains("exclude each other"));
}
