//! Recorded frames of real programs and of hand-made requests, each request with the answer it got.
//!
//! The bytes are those of `protocol/tests/vectors`; its README tells where they come from.

use std::collections::BTreeMap;

use bytes::BytesMut;
use protocol::{Command, frame};
use serde_json::Value;

/// One recorded request.
pub struct Recorded {
    /// Its line of the index.
    pub id: u64,
    /// What was being done.
    pub scenario: String,
    /// The request.
    pub command: Command,
}

/// Requests in the order of recording, each with its answer if there was one; and what the server asked.
pub struct Recording {
    pub requests: Vec<(Recorded, Option<Command>)>,
    pub pushes: Vec<Recorded>,
    /// Answers of the client to what the server asked.
    pub told: Vec<Recorded>,
}

impl Recording {
    pub fn load(file: &str, bytes: &[u8]) -> Self {
        let (mut requests, mut pushes, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let mut answers = BTreeMap::new();
        for line in include_str!("../vectors/index.jsonl").lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["file"] != file {
                continue;
            }
            let number = |name: &str| line[name].as_u64().unwrap();
            let (from, length) = (number("offset") as usize, number("length") as usize);
            let command = frame::decode(&mut BytesMut::from(&bytes[from..from + length])).unwrap().unwrap();
            let scenario = line["scenario"].as_str().unwrap().to_owned();
            let one = Recorded { id: number("id"), scenario, command };
            match (line["to"] == "server", line["kind"] == "request") {
                (true, true) => requests.push(one),
                (true, false) => told.push(one),
                (false, true) => pushes.push(one),
                (false, false) => {
                    answers.insert(number("responds_to"), one.command);
                }
            }
        }
        assert!(!requests.is_empty(), "nothing of {file} in the index");
        let with_answer = |request: Recorded| {
            let answer = answers.remove(&request.id);
            (request, answer)
        };
        Self { requests: requests.into_iter().map(with_answer).collect(), pushes, told }
    }
}

macro_rules! recording {
    ($name:literal) => {
        $crate::recording::Recording::load(
            $name,
            include_bytes!(concat!("../../../protocol/tests/vectors/frames/", $name, ".bin")),
        )
    };
}
pub(crate) use recording;
