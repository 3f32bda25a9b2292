//! `getNamesrvConfig` and `updateNamesrvConfig`.

use super::broker_config::properties;
use crate::context::Context;
use crate::report::Report;
use crate::verb::Verb;

/// Flags of `getNamesrvConfig`: none.
#[derive(Debug, clap::Args)]
pub(crate) struct GetNamesrvConfig {}

impl Verb for GetNamesrvConfig {
    const NAME: &'static str = "getNamesrvConfig";
    const ABOUT: &'static str = "The configuration in force at every name server";
    const EXAMPLES: &'static [&'static str] = &["", "-n 127.0.0.1:9876"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        let is_one = admin.namesrv_addrs().len() == 1;
        for addr in admin.namesrv_addrs() {
            let mut facts = properties(&admin.namesrv_config_at(addr).await?);
            if !is_one {
                facts.insert("addr".to_owned(), addr.as_str().into());
            }
            context.print_item(&Report::Facts(facts))?;
        }
        Ok(Report::Silence)
    }
}

/// Flags of `updateNamesrvConfig`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpdateNamesrvConfig {
    /// The property
    #[arg(short = 'k', long = "key", value_name = "NAME")]
    key: String,
    /// Its value
    #[arg(short = 'v', long = "value", value_name = "VALUE")]
    value: String,
}

impl Verb for UpdateNamesrvConfig {
    const NAME: &'static str = "updateNamesrvConfig";
    const ABOUT: &'static str = "Change a property of every name server while it runs";
    const EXAMPLES: &'static [&'static str] = &["-k orderMessageEnable -v true"];

    async fn run(self, context: &Context) -> anyhow::Result<Report> {
        let admin = context.admin().await?;
        for addr in admin.namesrv_addrs() {
            admin.update_namesrv_config_at(addr, &format!("{}={}\n", self.key, self.value)).await?;
        }
        Ok(Report::Done(format!("{}={} at {}", self.key, self.value, admin.namesrv_addrs().join(", "))))
    }
}
