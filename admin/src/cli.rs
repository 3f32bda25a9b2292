//! The command line: which verbs there are, found by name in any case.

use std::ffi::OsString;
use std::str::FromStr;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::context::Context;
use crate::report::Report;
use crate::verbs;

/// Where a name server is looked for when nothing says otherwise.
const NAMESRV_DEFAULT: &str = "127.0.0.1:9876";

/// One verb: its flags are the fields of the type.
pub(crate) trait Verb: clap::Args {
    /// Its name, as RocketMQ writes it.
    const NAME: &'static str;
    /// What it does, in a line.
    const ABOUT: &'static str;
    /// Command lines that work, for the end of its help; without the program's name.
    const EXAMPLES: &'static [&'static str];

    /// Does it.
    async fn run(self, context: &Context) -> anyhow::Result<Report>;

    /// Its command for clap.
    fn command() -> Command {
        let mut examples = String::from("Examples:");
        for example in Self::EXAMPLES {
            examples.push_str("\n  mqadmin ");
            examples.push_str(Self::NAME);
            examples.push(' ');
            examples.push_str(example);
        }
        // The words come last: the type's own doc comment would take their place.
        Self::augment_args(Command::new(Self::NAME)).about(Self::ABOUT).after_help(examples)
    }
}

/// All verbs.
pub(crate) fn command() -> Command {
    Command::new("mqadmin")
        .about("Asks and sets what operators of RocketMQ and Trireme want to know and set")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand_value_name("VERB")
        .subcommand_help_heading("Verbs, in any case")
        .arg(
            Arg::new("namesrv")
                .short('n')
                .long("namesrvAddr")
                .value_name("ADDRS")
                .env("NAMESRV_ADDR")
                .default_value(NAMESRV_DEFAULT)
                .global(true)
                .help("Name servers, host:port separated by semicolons"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .global(true)
                .help("Print JSON instead of tables"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("MS")
                .default_value("5000")
                .value_parser(value_parser!(u64).range(1..))
                .global(true)
                .help("Time for each request, in milliseconds"),
        )
        .after_help(
            "mqadmin VERB --help tells the flags of a verb and gives examples.\n\
             Exit status: 0 done, 1 failed (the reason is on the standard error), 2 not understood.",
        )
        .subcommands(verbs::commands())
}

/// The same command line with the verb in its own spelling. RocketMQ's tools do not look at its case.
pub(crate) fn canonical(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let names: Vec<String> = verbs::commands().iter().map(|verb| verb.get_name().to_owned()).collect();
    for arg in args.iter_mut().skip(1) {
        let Some(text) = arg.to_str() else { continue };
        if let Some(name) = names.iter().find(|name| name.eq_ignore_ascii_case(text)) {
            *arg = name.into();
            break; // what follows are flags, whose values may be spelled like a verb
        }
    }
    args
}

/// Runs the verb that was asked for and prints what it reports.
pub(crate) async fn execute(matches: &ArgMatches) -> anyhow::Result<()> {
    let (name, flags) = matches.subcommand().expect("clap demands a verb");
    let namesrv: &String = flags.get_one("namesrv").expect("it has a default");
    let timeout_ms: u64 = *flags.get_one("timeout").expect("it has a default");
    let context = Context::new(namesrv, timeout_ms, flags.get_flag("json"));
    let report = verbs::dispatch(name, flags, &context).await;
    context.close().await;
    context.print(&report?)
}

/// A boolean that is given as a value, as RocketMQ's tools have it: only `true`, in any case, is true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JavaBool(pub(crate) bool);

impl FromStr for JavaBool {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.eq_ignore_ascii_case("true")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn verbs_are_found_in_any_case_and_values_are_left_alone() {
        let line = |line: &str| canonical(line.split(' ').map(OsString::from));
        assert_eq!(line("mqadmin CLUSTERLIST -n a:1"), ["mqadmin", "clusterList", "-n", "a:1"]);
        assert_eq!(
            line("mqadmin -n a:1 topicroute -t TOPICLIST"),
            ["mqadmin", "-n", "a:1", "topicRoute", "-t", "TOPICLIST"]
        );
    }

    #[test]
    fn every_verb_has_a_working_example() {
        for verb in verbs::commands() {
            let help = verb.get_after_help().unwrap().to_string();
            for line in help.lines().skip(1) {
                let words = words(line.trim());
                command().try_get_matches_from(&words).unwrap_or_else(|error| panic!("{line}: {error}"));
            }
        }
    }

    /// Splits at blanks outside of quotes, as a shell does.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for character in line.chars() {
            match character {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                _ => words.last_mut().unwrap().push(character),
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
