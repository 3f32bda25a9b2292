//! The command line for operators, `trireme admin VERB …` and `mqadmin VERB …`: RocketMQ's verbs and flags.
//!
//! Each verb is one type in `verbs`: its flags are its fields, and its `run` asks through [`client`] and returns
//! a `report::Report`, which is printed as a table or, with `--json`, as JSON. This crate speaks to no broker
//! itself but through `client`, and knows nothing of how brokers work.

mod absent;
mod charset;
mod cli;
mod context;
mod file;
#[cfg(test)]
mod flags;
mod report;
mod time;
mod verb;
mod verbs;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use client::ClientError;
use client::protocol::names;

use crate::context::ReaderGone;

/// Runs one command line; the first argument is the program's name, then come the verb and its flags.
///
/// Exit status: 0 done, 1 failed (the reason is on the standard error), 2 not understood.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = cli::canonical(args);
    if let Some((verb, reason)) = absent::find(&args) {
        eprintln!("mqadmin: this verb of RocketMQ has nothing to act on in Trireme: {verb}: {reason}");
        return ExitCode::FAILURE;
    }
    let matches = match cli::command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            if let Some(unknown) = unknown_verb(&error) {
                eprintln!("mqadmin: no verb {unknown:?}{}", meant(&unknown));
                return ExitCode::from(2);
            }
            // Help is not an error: clap knows, prints it to the right place and has the right status.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(cli::execute(&matches)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<ReaderGone>() => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mqadmin: {}", sentence(&error));
            if let Some(hint) = hint(&error) {
                eprintln!("{hint}");
            }
            ExitCode::FAILURE
        }
    }
}

/// The verb that clap does not know.
fn unknown_verb(error: &clap::Error) -> Option<String> {
    match (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::InvalidSubcommand, Some(ContextValue::String(verb))) => Some(verb.clone()),
        _ => None,
    }
}

fn meant(unknown: &str) -> String {
    match cli::nearest(unknown) {
        Some(verb) => format!("; did you mean {verb}?"),
        None => "; mqadmin --help lists them".to_owned(),
    }
}

/// The error with its causes, without saying the same twice: some causes are quoted by the error above them.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}

/// What to try next.
fn hint(error: &anyhow::Error) -> Option<&'static str> {
    match error.downcast_ref::<ClientError>()? {
        ClientError::NameServers { .. } => {
            Some("Is a name server running there? Its address is given with -n host:port or in NAMESRV_ADDR.")
        }
        ClientError::NoRoute { topic } if topic.starts_with(names::RETRY_PREFIX) => {
            Some("No member of that consumer group has been seen yet; its retry topic comes with the first.")
        }
        ClientError::NoRoute { .. } => Some("topicList tells which topics there are."),
        ClientError::NoCluster { .. } => Some("clusterList tells which clusters there are."),
        ClientError::NoLeader { .. } => {
            Some("clusterList and leader tell how the group is; an election takes a moment.")
        }
        ClientError::Refused { code: 206, .. } => {
            Some("No client of the group is online; the group may be fine all the same.")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_was_quoted_is_not_said_again() {
        let cause = anyhow::anyhow!("connection refused");
        assert_eq!(
            sentence(&cause.context("no answer: connection refused")),
            "no answer: connection refused"
        );
        let cause = anyhow::anyhow!("connection refused");
        assert_eq!(sentence(&cause.context("no answer")), "no answer: connection refused");
    }

    #[test]
    fn what_is_not_understood_has_a_status_of_its_own() {
        let status = |line: &str| format!("{:?}", run(line.split(' ').map(OsString::from)));
        assert_eq!(status("mqadmin noSuchVerb"), format!("{:?}", ExitCode::from(2)));
        assert_eq!(status("mqadmin createUser -c C"), format!("{:?}", ExitCode::FAILURE));
        assert_eq!(status("mqadmin topicRoute"), format!("{:?}", ExitCode::from(2)));
        assert_eq!(status("mqadmin topicRoute --help"), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(status("mqadmin topicList -n 127.0.0.1:1"), format!("{:?}", ExitCode::FAILURE));
    }
}
