//! The command line as a program of its own: `cargo run -p admin --example mqadmin -- clusterList`.

use std::process::ExitCode;

fn main() -> ExitCode {
    admin::run(std::env::args_os())
}
