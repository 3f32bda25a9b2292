//! Logging of the long-running commands: one line an event on the standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Environment variables that say what is logged, the first one set wins.
const FILTERS: [&str; 2] = ["TRIREME_LOG", "RUST_LOG"];
/// Each change of state once. What openraft tells at info is the working of each election, several lines a step, and its warnings repeat several times a second
/// while a peer is down, which the node itself says once.
const DEFAULT: &str = "info,openraft=error";

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
        None => EnvFilter::new(DEFAULT),
        Some((name, filter)) => EnvFilter::try_new(&filter).map_err(|error| {
            anyhow::anyhow!("{name}={filter} is no filter such as info or broker=debug: {error}")
        })?,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}
