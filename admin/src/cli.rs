//! The command line: which verbs there are, found by name in any case.

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::context::Context;
use crate::verbs;

/// Where a name server is looked for when nothing says otherwise.
const NAMESRV_DEFAULT: &str = "127.0.0.1:9876";

/// Where the flags that every verb has stand in its help: behind its own.
const LAST: usize = 1_000;

/// How alike a word and a verb have to be for the one to be a slip of the other; 1 is the same.
const NEAR: f64 = 0.8;

/// All verbs.
pub(crate) fn command() -> Command {
    Command::new("mqadmin")
        .about("Asks and sets what operators of RocketMQ and Trireme want to know and set")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand_value_name("VERB")
        .help_template(template())
        .arg(
            Arg::new("namesrv")
                .short('n')
                .long("namesrvAddr")
                .value_name("ADDRS")
                .env("NAMESRV_ADDR")
                .default_value(NAMESRV_DEFAULT)
                .global(true)
                .help("Name servers, host:port separated by semicolons")
                .display_order(LAST),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .global(true)
                .help("Print JSON instead of tables")
                .display_order(LAST),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("MS")
                .default_value("5000")
                .value_parser(value_parser!(u64).range(1..))
                .global(true)
                .help("Time for each request, in milliseconds")
                .display_order(LAST),
        )
        .after_help(
            "mqadmin VERB --help tells the flags of a verb and gives examples.\n\
             Verbs of RocketMQ that have nothing to act on here (ACL, controller, static topics and such) say so.\n\
             Exit status: 0 done, 1 failed (the reason is on the standard error), 2 not understood.",
        )
        .subcommands(verbs::commands())
}

/// The help of the program: the verbs under their headings, which clap has no words for.
fn template() -> String {
    let width = verbs::commands().iter().map(|verb| verb.get_name().len()).max().unwrap_or(0);
    let line = |verb: &Command| {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {:width$}  {about}\n", verb.get_name())
    };
    let mut text = String::from("{about}\n\n{usage-heading} {usage}\n\nVERB, in any case, is one of\n");
    for (heading, verbs) in verbs::by_heading() {
        text.push('\n');
        text.push_str(heading);
        text.push_str(":\n");
        text.extend(verbs.iter().map(line));
    }
    text.push_str("\nOptions:\n{options}{after-help}");
    text
}

/// The same command line as this program spells it: the verb in its own case, `help VERB` as a flag, and whole names
/// of flags behind two dashes. RocketMQ's tools take the verb in any case, and whole names behind one dash too.
pub(crate) fn canonical(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let verbs = verbs::commands();
    if args.get(1).is_some_and(|first| first == "help") {
        args.remove(1);
        args.push("--help".into());
    }
    // What follows the verb are flags, whose values may be spelled like a verb.
    let found = args.iter().enumerate().skip(1).find_map(|(at, arg)| {
        let text = arg.to_str()?;
        verbs.iter().find(|verb| verb.get_name().eq_ignore_ascii_case(text)).map(|verb| (at, verb))
    });
    if let Some((at, verb)) = found {
        args[at] = verb.get_name().into();
        let names: Vec<&str> = verb.get_arguments().filter_map(Arg::get_long).collect();
        for arg in &mut args[at + 1..] {
            if let Some(doubled) = arg.to_str().and_then(|text| doubled(text, &names)) {
                *arg = doubled.into();
            }
        }
    }
    args
}

/// `-topic` as `--topic`, for flags of one of these names.
fn doubled(text: &str, names: &[&str]) -> Option<String> {
    let name = text.strip_prefix('-')?.split('=').next()?;
    let is_whole_name = name.len() > 1 && (names.contains(&name) || name == "namesrvAddr" || name == "help");
    is_whole_name.then(|| format!("-{text}"))
}

/// The verb that an unknown one was probably meant to be.
pub(crate) fn nearest(unknown: &str) -> Option<String> {
    let unknown = unknown.to_ascii_lowercase();
    let nearness = |verb: &Command| strsim::jaro_winkler(&unknown, &verb.get_name().to_ascii_lowercase());
    let (nearness, verb) = verbs::commands()
        .into_iter()
        .map(|verb| (nearness(&verb), verb))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (nearness >= NEAR).then(|| verb.get_name().to_owned())
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
    fn whole_names_may_stand_behind_one_dash_and_help_in_front() {
        let line = |line: &str| canonical(line.split(' ').map(OsString::from));
        assert_eq!(
            line("mqadmin topicRoute -topic T -namesrvAddr a:1"),
            ["mqadmin", "topicRoute", "--topic", "T", "--namesrvAddr", "a:1"]
        );
        assert_eq!(line("mqadmin topicRoute -topic=T"), ["mqadmin", "topicRoute", "--topic=T"]);
        assert_eq!(line("mqadmin topicRoute -tTopic"), ["mqadmin", "topicRoute", "-tTopic"]);
        assert_eq!(line("mqadmin help topicroute"), ["mqadmin", "topicRoute", "--help"]);
    }

    #[test]
    fn a_slip_is_recognised_whatever_its_case() {
        assert_eq!(nearest("TOPICLST").as_deref(), Some("topicList"));
        assert_eq!(nearest("consumerProgres").as_deref(), Some("consumerProgress"));
        assert_eq!(nearest("xyz"), None);
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
