//! `trireme chaos`: the commands, and their exit status.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use harness::files;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::checker::{Validity, check_all, overall};
use crate::history::History;
use crate::report::{Results, render, stats};
use crate::runner::{self, RunOptions};
use crate::scenario::{SHIPPED, Scenario};

/// Break a group of nodes on purpose, and judge whether it kept its promises.
#[derive(Debug, Parser)]
#[command(name = "trireme chaos", arg_required_else_help = true, disable_help_subcommand = true)]
#[command(after_help = "\
Exit status: 0 valid, 1 invalid (a promise was broken), 2 unknown (nothing found broken, but too little seen,
or the run could not be finished).

Begin with:
  trireme chaos list
  trireme chaos run kill-leader-every-15s")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a group of its own, run a scenario against it, and judge
    Run(RunArgs),
    /// The scenarios that ship with the program
    List,
    /// Print a shipped scenario, to begin one's own from
    Show {
        /// Its name
        name: String,
    },
    /// Judge a history again
    Check {
        /// The history.jsonl of a run
        history: PathBuf,
    },
}

#[derive(Debug, Args)]
struct RunArgs {
    /// A file, or the name of a shipped scenario
    scenario: String,
    /// Of every random choice, over the scenario's own
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where everything of the run goes; must not exist [default: trireme-chaos/NAME-SEED]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the nodes' stores and logs although all went well
    #[arg(long)]
    keep: bool,
}

/// Runs `trireme chaos` with the arguments that follow these words.
pub fn run(args: Vec<OsString>) -> ExitCode {
    let name = OsString::from("trireme chaos");
    let cli = match Cli::try_parse_from(std::iter::once(name).chain(args)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to the standard output, mistakes to the standard error. Neither can fail usefully.
            let _ = error.print();
            return if error.use_stderr() { exit(Validity::Unknown) } else { ExitCode::SUCCESS };
        }
    };
    let done = match cli.command {
        Command::Run(args) => run_scenario(args),
        Command::List => {
            list();
            Ok(Validity::Valid)
        }
        Command::Show { name } => show(&name),
        Command::Check { history } => check(&history),
    };
    match done {
        Ok(validity) => exit(validity),
        Err(error) => {
            eprintln!("trireme chaos: {error:#}");
            exit(Validity::Unknown)
        }
    }
}

fn exit(validity: Validity) -> ExitCode {
    match validity {
        Validity::Valid => ExitCode::SUCCESS,
        Validity::Invalid => ExitCode::from(1),
        Validity::Unknown => ExitCode::from(2),
    }
}

fn list() {
    for shipped in SHIPPED {
        match Scenario::parse(shipped.text, shipped.name) {
            Ok(scenario) => {
                let secs = runner::about_secs(&scenario);
                println!("{:<28} {} (about {secs} s)", shipped.name, scenario.about);
            }
            Err(error) => println!("{:<28} {error}", shipped.name),
        }
    }
}

fn show(name: &str) -> Result<Validity> {
    print!("{}", shipped(name).with_context(|| unknown(name))?);
    Ok(Validity::Valid)
}

fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|shipped| shipped.name == name).map(|shipped| shipped.text)
}

fn unknown(name: &str) -> String {
    let names: Vec<_> = SHIPPED.iter().map(|shipped| shipped.name).collect();
    format!("no scenario ships by the name {name}; there are {}", names.join(", "))
}

fn run_scenario(args: RunArgs) -> Result<Validity> {
    let text = match shipped(&args.scenario) {
        Some(text) => text.to_owned(),
        None => files::read(args.scenario.as_ref())
            .with_context(|| format!("cannot read {}, and {}", args.scenario, unknown(&args.scenario)))?,
    };
    let scenario = Scenario::parse(&text, &args.scenario)?;
    let seed = runner::pick_seed(args.seed, &scenario);
    println!("{}: {} (about {} s)", scenario.name, scenario.about, runner::about_secs(&scenario));
    println!("seed {seed} (run again with --seed {seed})");
    let (stop, stopped) = watch::channel(false);
    let dir = args.dir.unwrap_or_else(|| runner::default_dir(&scenario, seed));
    let options = RunOptions {
        scenario,
        scenario_text: text,
        seed,
        dir: dir.clone(),
        binary: std::env::current_exe()?,
        keep: args.keep,
        tell: |line| println!("{line}"),
        stop: stopped,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let results = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            for again in [false, true] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if again {
                    // The nodes end with this process.
                    std::process::exit(2);
                }
                println!(
                    "stopping: the group is healed and drained, then judged; once more gives that up too"
                );
                stop.send_replace(true);
            }
        });
        runner::run(options).await
    })?;
    println!("\n{}", render(&results).trim_end());
    println!("everything about it: {}", dir.display());
    Ok(results.validity)
}

fn check(path: &std::path::Path) -> Result<Validity> {
    let text = files::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let history = History::from_text(&text)?;
    let verdicts = check_all(&history);
    let results = Results {
        scenario: history.start.scenario.clone(),
        seed: history.start.seed,
        validity: overall(&verdicts),
        harness_failure: None,
        stats: stats(&history),
        verdicts,
    };
    println!("{}", render(&results).trim_end());
    Ok(results.validity)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = show("kill-everybody").unwrap_err().to_string();
        assert!(error.contains("kill-everybody") && error.contains("kill-leader-every-15s"), "{error}");
    }
}
