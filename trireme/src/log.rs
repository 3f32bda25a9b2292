//! Logging of the long-running commands: one line an event on the standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Environment variables that say what is logged, the first one set wins.
const FILTERS: [&str; 2] = ["TRIREME_LOG", "RUST_LOG"];

/// Starts logging: `info` and above unless the environment says otherwise, coloured only on a terminal.
///
/// # Errors
/// A filter that cannot be read.
pub(crate) fn start() -> anyhow::Result<()> {
    let asked = FILTERS.iter().find_map(|name| {
        let filter = std::env::var(name).ok().filter(|filter| !filter.trim().is_empty())?;
        Some((name, filter))
    });
    let filter = match asked {
        None => EnvFilter::new("info"),
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
