//! What a scenario file may say, and how it is refused.

use super::*;

#[test]
fn the_shipped_scenarios_are_sound_and_bear_their_files_names() {
    for shipped in SHIPPED {
        let scenario = Scenario::parse(shipped.text, shipped.name).unwrap();
        assert_eq!(scenario.name, shipped.name);
        assert!(!scenario.about.is_empty(), "{} says nothing about itself", shipped.name);
        assert!(scenario.require.acked > 0, "{} would pass without a message", shipped.name);
        assert!(scenario.phase.last().unwrap().is_drain(), "{} does not drain", shipped.name);
    }
}

fn refused(text: &str) -> String {
    Scenario::parse(text, "mine.toml").unwrap_err().to_string()
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_known_ones() {
    let message = refused("name = \"x\"\nworklod = []\nphase = []\n");
    assert!(message.starts_with("mine.toml is not a scenario: TOML parse error at line 2"), "{message}");
    assert!(message.contains("unknown field `worklod`, expected one of `name`"), "{message}");
    let message = refused(
        "name = \"x\"\nworkload = [{ use = \"log\", rate = 1 }]\n\
         phase = [{ name = \"a\", secs = 1, fault = [{ do = \"kill\", tagret = \"leader\", at = \"0s\" }] }]\n",
    );
    assert!(message.contains("line 3") && message.contains("unknown field `tagret`"), "{message}");
}

#[test]
fn what_this_version_cannot_do_is_refused_by_name() {
    let fault = |fault: &str| {
        refused(&format!(
            "name = \"x\"\nworkload = [{{ use = \"log\", rate = 1 }}]\n\
             phase = [{{ name = \"a\", secs = 1, fault = [{fault}] }}]\n"
        ))
    };
    let cases = [
        ("{ do = \"partition\", at = \"1s\" }", "unknown variant `partition`, expected one of `kill`"),
        ("{ do = \"kill\", target = \"leeder\", at = \"1s\" }", "`leeder` is not a target"),
        ("{ do = \"kill\", target = \"leader\", at = \"1h\" }", "`1h` is not a duration"),
        ("{ do = \"kill\", at = \"1s\" }", "phase `a`, `kill`: `target` is missing"),
        ("{ do = \"kill\", target = \"leader\" }", "give `every` or `at`"),
        ("{ do = \"kill-all\", target = \"all\", at = \"1s\" }", "`kill-all`: `target` means nothing here"),
        ("{ do = \"pause\", target = \"leader\", at = \"1s\" }", "`pause`: `for` is missing"),
        ("{ do = \"kill\", target = \"node:n3\", at = \"1s\" }", "node:n3, but the nodes are n0 to n2"),
        ("{ do = \"kill\", target = \"leader\", every = \"50ms\" }", "less than 100ms"),
    ];
    for (text, expected) in cases {
        let message = fault(text);
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn everything_impossible_is_told_at_once() {
    let message = refused(
        "name = \"x\"\ncluster = { nodes = 0 }\nworkload = [{ use = \"log\", rate = 0 }]\n\
         phase = [{ name = \"drain\", secs = 1 }, { name = \"b\" }]\nrequire = { faults = { pause = 1 } }\n",
    );
    assert_eq!(
        message.lines().collect::<Vec<_>>(),
        [
            "mine.toml cannot be run:",
            "  cluster.nodes is 0; between 1 and 9 are possible",
            "  workload.rate is 0; between 1 and 100000 are possible",
            "  phase `drain` is not the last one",
            "  phase `b` has neither `secs` nor `recover_within`",
            "  require.faults wants `pause`, which no phase does",
        ]
    );
}
