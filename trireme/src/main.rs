//! The one binary: takes the command line apart and hands over. What it runs is in the other crates; its own work
//! is `trireme up`, and being a well-behaved process.

mod cli;
mod log;
mod machine;
mod serve;
mod tied;
mod up;

use std::process::ExitCode;

use clap::Parser;
use platform::Sink;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse_from(cli::by_file_name(std::env::args_os()));
    let done = match &cli.command {
        Command::Up(args) => up::run(args),
        Command::Namesrv(args) => serve::namesrv(args),
        Command::Broker(args) => serve::broker(args),
        Command::Admin(forwarded) => {
            let name = std::iter::once("mqadmin".into());
            Ok(admin::run(name.chain(forwarded.args.iter().cloned())))
        }
        Command::Chaos(forwarded) => Ok(jepsen::run(forwarded.args.clone())),
        Command::Version => {
            Sink::stdout().line(&format!("trireme {}", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
    };
    let status = done.unwrap_or_else(|error| {
        Sink::stderr().line(&format!("trireme: {error:#}"));
        ExitCode::FAILURE
    });
    log::last_words();
    status
}
