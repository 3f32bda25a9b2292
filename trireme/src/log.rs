//! Logging of the long-running commands: one line an event on the standard error, which nobody has to read.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::time::Duration;

use platform::Sink;
use tracing_subscriber::EnvFilter;
#[cfg(test)]
use tracing_subscriber::filter::LevelFilter;

/// Environment variables that say what is logged, the first one set wins.
const FILTERS: [&str; 2] = ["TRIREME_LOG", "RUST_LOG"];
/// Each change of state once. What openraft tells at info is the working of each election, several lines a step, and its warnings repeat several times a second
/// while a peer is down, which the node itself says once. It stands before what is asked for, which may overrule it.
const OPENRAFT: &str = "openraft=error";
const DEFAULT: &str = "info";
/// How long the end of a process waits for whoever reads its last words.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// Starts logging: what changes and what is wrong, unless the environment says otherwise. Colours only on a
/// terminal.
///
/// # Errors
/// A filter that cannot be read.
pub(crate) fn start() -> anyhow::Result<()> {
    let asked = FILTERS.iter().find_map(|name| {
        let filter = std::env::var(name).ok().filter(|filter| !filter.trim().is_empty())?;
        Some((name, filter))
    });
    let filter = match asked {
        None => filter(DEFAULT)?,
        Some((name, asked)) => filter(&asked).map_err(|error| {
            anyhow::anyhow!("{name}={asked} is not a filter such as info or broker=debug: {error}")
        })?,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Sink::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

fn filter(asked: &str) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    EnvFilter::try_new(format!("{OPENRAFT},{asked}"))
}

/// A failed assertion in one task or thread ends the process: a group survives a crashed node, and does not survive
/// one that lives on half. It does not wait for a standard error that nobody reads.
pub(crate) fn die_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let (name, trace) = (thread.name().unwrap_or("unnamed"), Backtrace::capture());
        let trace = match trace.status() {
            BacktraceStatus::Captured => format!("\n{trace}"),
            _ => String::new(),
        };
        Sink::stderr().line(&format!("thread '{name}' {panic}{trace}"));
        last_words();
        std::process::abort();
    }));
}

/// Lets what was logged and printed get out, if anybody reads it.
pub(crate) fn last_words() {
    for sink in [Sink::stderr(), Sink::stdout()] {
        sink.flush(LAST_WORDS_WITHIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S26: debug of our own crates is what `TRIREME_LOG=debug` asks for, in a release as well, and openraft's
    /// hundreds of lines a second are not.
    #[test]
    fn debug_means_our_own_crates_unless_openraft_is_named() {
        for (asked, ours, rafts) in [
            ("debug", LevelFilter::DEBUG, "openraft=error"),
            ("info", LevelFilter::INFO, "openraft=error"),
            ("info,openraft=debug", LevelFilter::DEBUG, "openraft=debug"),
        ] {
            let filter = filter(asked).unwrap();
            assert_eq!(filter.max_level_hint(), Some(ours), "{asked}");
            assert!(filter.to_string().contains(rafts), "{filter}");
        }
        assert!(tracing::level_filters::STATIC_MAX_LEVEL >= LevelFilter::DEBUG);
        assert!(filter("broker=loud").is_err());
    }
}
