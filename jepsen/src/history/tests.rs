//! Pairing: what a history may be, and what it may not.

use super::*;

const START: &str = r#"{"i":0,"t":0,"p":"harness","type":"info","f":"start","v":{"nodes":["n0"],"queues":["t/0"],"retries":false,"scenario":"x","seed":1}}"#;

fn history(lines: &[&str]) -> Result<History, HistoryError> {
    let mut text = START.to_owned();
    for line in lines {
        text.push('\n');
        text.push_str(line);
    }
    History::from_text(&text)
}

#[test]
fn an_unanswered_call_stays_unknown_and_is_not_failed() {
    let history =
        history(&[r#"{"i":1,"t":1,"p":3,"type":"invoke","f":"send","k":"t/0","v":"3-0","a":"3-0.0"}"#])
            .unwrap();
    assert_eq!(history.sends[0].outcome, Outcome::Unknown);
    assert_eq!(history.sends[0].acked(), None);
}

#[test]
fn a_completion_belongs_to_the_invocation_of_its_process() {
    let history = history(&[
        r#"{"i":1,"t":1,"p":3,"type":"invoke","f":"send","k":"t/0","v":"3-0","a":"3-0.0"}"#,
        r#"{"i":2,"t":2,"p":4,"type":"invoke","f":"send","k":"t/0","v":"4-0","a":"4-0.0"}"#,
        r#"{"i":3,"t":3,"p":4,"type":"fail","f":"send","error":"refused"}"#,
        r#"{"i":4,"t":4,"p":3,"type":"ok","f":"send","Q":7,"P":70}"#,
    ])
    .unwrap();
    assert_eq!(history.sends[0].place, Some(Place { queue_offset: 7, commitlog_offset: 70 }));
    assert_eq!(history.sends[0].acked(), Some(Moment { event: 4, ns: 4 }));
    assert_eq!(history.sends[1].outcome, Outcome::Failed);
}

#[test]
fn a_history_that_contradicts_itself_is_refused() {
    let invoke = r#"{"i":1,"t":1,"p":3,"type":"invoke","f":"send","k":"t/0","v":"3-0","a":"3-0.0"}"#;
    let cases: &[(&[&str], &str)] = &[
        (
            &[invoke, r#"{"i":2,"t":2,"p":3,"type":"invoke","f":"send","k":"t/0","v":"3-1","a":"3-1.0"}"#],
            "event 2: process 3 invokes while its event 1 is pending",
        ),
        (
            &[
                invoke,
                r#"{"i":2,"t":2,"p":3,"type":"info","f":"send"}"#,
                r#"{"i":3,"t":3,"p":3,"type":"invoke","f":"send","k":"t/0","v":"3-1","a":"3-1.0"}"#,
            ],
            "event 3: process 3 was retired by event 2",
        ),
        (
            &[r#"{"i":2,"t":2,"p":3,"type":"ok","f":"send","Q":1,"P":1}"#],
            "event 2 completes nothing that process 3 has invoked",
        ),
        (
            &[invoke, r#"{"i":2,"t":2,"p":3,"type":"ok","f":"poll","r":[]}"#],
            "event 2 completes nothing that process 3 has invoked",
        ),
        (&[invoke, r#"{"i":2,"t":2,"p":3,"type":"ok","f":"send","P":1}"#], "event 2 lacks `Q`"),
        (
            &[invoke, r#"{"i":2,"t":0,"p":3,"type":"info","f":"send"}"#],
            "event 2 stands after event 1, but is not later",
        ),
    ];
    for (lines, expected) in cases {
        assert_eq!(history(lines).unwrap_err().to_string(), *expected);
    }
    assert_eq!(
        History::from_text(invoke).unwrap_err().to_string(),
        "the history does not begin with a `start` event"
    );
}
