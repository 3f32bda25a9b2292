//! What a verb is: a type whose fields are its flags, and that runs.

use std::str::FromStr;

use clap::Command;

use crate::context::Context;
use crate::report::Report;

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
        Self::augment_args(Command::new(Self::NAME))
            .about(Self::ABOUT)
            .after_help(examples)
            .infer_long_args(true)
            .allow_negative_numbers(true)
    }
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
