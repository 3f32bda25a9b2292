//! The command line: what can be asked for, and the help that teaches it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

/// Trireme: a message broker that speaks RocketMQ, three nodes on one Raft log.
#[derive(Debug, Parser)]
#[command(name = "trireme", version, disable_help_subcommand = true, arg_required_else_help = true)]
#[command(after_help = "\
Begin with:
  trireme up                     a name server and three nodes on this machine
Then point any RocketMQ client at 127.0.0.1:9876.

Called as mqnamesrv, mqbroker or mqadmin (a link will do), it takes RocketMQ's own options.
Exit status: 0 done, 1 failed (the reason is on the standard error), 2 not understood.")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One subcommand each.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a name server and a group of three nodes on this machine, and keep them running
    Up(UpArgs),
    /// Run a name server (mqnamesrv)
    Namesrv(NamesrvArgs),
    /// Run one broker node (mqbroker)
    Broker(BrokerArgs),
    /// Ask and set what operators need, with RocketMQ's verbs (mqadmin)
    #[command(disable_help_flag = true)]
    Admin(Forwarded),
    /// Break a group on purpose, and judge whether it kept its promises
    #[command(disable_help_flag = true)]
    Chaos(Forwarded),
    /// Print the version
    Version,
}

/// What another crate takes apart, `--help` included.
#[derive(Debug, Args)]
pub(crate) struct Forwarded {
    /// Verb and options; --help tells them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// `trireme up`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Ports, each moved by --port-offset:
  name server 9876 (HTTP 9879)
  n0   clients 30911 (and 30909 for old clients)   HTTP 30913   peers 30915
  n1   clients 30921 (and 30919)                   HTTP 30923   peers 30925
  n2   clients 30931 (and 30929)                   HTTP 30933   peers 30935

Below the directory: conf/ (written at each start), logs/, n0/ to n2/ (the data), and up.json, which always says
what runs where. A second start finds the data again. Ctrl-C stops everything. A node that died comes back after
three seconds.

Examples:
  trireme up
  trireme up --dir /tmp/second --port-offset 1000
  trireme up --set fileReservedTime=12 --set autoCreateTopicEnable=false")]
pub(crate) struct UpArgs {
    /// Where everything is kept; made if missing
    #[arg(long, value_name = "DIR", default_value = "trireme-data")]
    pub dir: PathBuf,
    /// Move all ports up by this many, to run several groups side by side
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=24_000))]
    pub port_offset: u16,
    /// Nodes in the group: 3, or 1 that survives nothing; a directory keeps the number it began with
    #[arg(long, value_name = "N", value_parser = ["1", "3"])]
    pub nodes: Option<String>,
    /// The address of this machine to listen on and to tell clients; with 0.0.0.0 the one it sends from is told
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// A property for every broker, over all others; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Leave a node that died dead
    #[arg(long)]
    pub no_restart: bool,
}

/// `trireme namesrv`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  trireme namesrv -c conf/namesrv.conf

SIGTERM and Ctrl-C stop it cleanly. TRIREME_LOG=debug logs more.")]
pub(crate) struct NamesrvArgs {
    /// Property file, with RocketMQ's names
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A property over those of the file; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print every value in force as a property file, and exit
    #[arg(short = 'p', long = "printConfigItem")]
    pub print_all: bool,
    /// Accepted because RocketMQ's script takes it; a name server asks no other
    #[arg(short = 'n', long = "namesrvAddr", hide = true, value_name = "ADDRS")]
    pub namesrv_addrs: Option<String>,
    /// What RocketMQ overlooks too
    #[arg(hide = true, value_name = "ARGS")]
    pub rest: Vec<String>,
}

/// `trireme broker`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  trireme broker -c conf/broker.conf                   one node by itself, for development
  trireme broker -c conf/dledger/broker-n0.conf        a node of a group, as RocketMQ's fast-try has it
  trireme broker -c conf/broker-a-n0.conf -p           what would be in force

Unknown names are warnings, bad values are refused. SIGTERM and Ctrl-C stop it cleanly. TRIREME_LOG=debug logs more.")]
pub(crate) struct BrokerArgs {
    /// Property file, with RocketMQ's names
    #[arg(short = 'c', long = "configFile", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Name servers, host:port separated by semicolons, over namesrvAddr of the file
    #[arg(short = 'n', long = "namesrvAddr", value_name = "ADDRS")]
    pub namesrv_addrs: Option<String>,
    /// A property over those of the file; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print every value in force as a property file, and exit
    #[arg(short = 'p', long = "printConfigItem")]
    pub print_all: bool,
    /// Print the important values in force, and exit
    #[arg(short = 'm', long = "printImportantConfig")]
    pub print_important: bool,
    /// Accepted because RocketMQ's script takes it; there is no proxy here
    #[arg(long, hide = true)]
    pub enable_proxy: bool,
    /// `-pc` of RocketMQ's script, accepted as well
    #[arg(long = "proxyConfigPath", hide = true, value_name = "FILE")]
    pub proxy_config: Option<PathBuf>,
    /// `-pm` of RocketMQ's script, accepted as well
    #[arg(long = "proxyMode", hide = true, value_name = "MODE")]
    pub proxy_mode: Option<String>,
    /// What RocketMQ overlooks too, such as autoCreateTopicEnable=true
    #[arg(hide = true, value_name = "ARGS")]
    pub rest: Vec<String>,
}

impl BrokerArgs {
    /// Options and arguments that stand in RocketMQ's command lines and change nothing here, a sentence each.
    pub(crate) fn not_heeded(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.enable_proxy {
            said.push("--enable-proxy has no effect: there is no gRPC proxy here".to_owned());
        }
        if let Some(file) = &self.proxy_config {
            said.push(format!("-pc {} has no effect: there is no gRPC proxy here", file.display()));
        }
        if let Some(mode) = &self.proxy_mode {
            said.push(format!("-pm {mode} has no effect: there is no gRPC proxy here"));
        }
        said.extend(self.rest.iter().map(|arg| match arg.split_once('=') {
            Some(_) => {
                format!("{arg} on the command line is not heeded, as in RocketMQ; --set {arg} would be")
            }
            None => format!("{arg} on the command line is not heeded"),
        }));
        said
    }
}

/// Puts the subcommand in that the program's file name stands for.
pub(crate) fn by_file_name(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<_> = args.into_iter().collect();
    let name = args.first().and_then(|name| Path::new(name).file_stem()).and_then(OsStr::to_str);
    let subcommand = match name {
        Some("mqnamesrv") => Some("namesrv"),
        Some("mqbroker") => Some("broker"),
        Some("mqadmin") => Some("admin"),
        _ => None,
    };
    if let Some(subcommand) = subcommand {
        args.insert(1, subcommand.into());
    }
    if args.get(1).is_some_and(|subcommand| subcommand == "broker") {
        args.iter_mut().skip(2).for_each(spell_out);
    }
    args
}

/// Options of two letters behind one dash, which RocketMQ's script has and nobody else.
fn spell_out(arg: &mut OsString) {
    let long = match arg.to_str() {
        Some("-pc") => "--proxyConfigPath",
        Some("-pm") => "--proxyMode",
        Some("-bc" | "--brokerConfigPath") => "--configFile",
        _ => return,
    };
    *arg = long.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::error::ErrorKind> {
        let args = by_file_name(line.split(' ').map(OsString::from));
        Cli::try_parse_from(args).map_err(|error| error.kind())
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_file_name_chooses_the_command() {
        for line in [
            "mqbroker -c f -n a:1;b:2 -p",
            "/opt/bin/mqbroker -c f -n a:1;b:2 -p",
            "trireme broker -c f -n a:1;b:2 -p",
        ] {
            let Command::Broker(args) = parse(line).unwrap().command else { panic!("{line}") };
            assert_eq!(args.config.as_deref(), Some(Path::new("f")));
            assert_eq!(args.namesrv_addrs.as_deref(), Some("a:1;b:2"));
            assert!(args.print_all && !args.print_important && !args.enable_proxy);
        }
        assert!(matches!(parse("mqnamesrv -p").unwrap().command, Command::Namesrv(args) if args.print_all));
        for line in ["mqadmin topicList -n a:1 --help", "trireme admin topicList -n a:1 --help"] {
            let Command::Admin(forwarded) = parse(line).unwrap().command else { panic!("{line}") };
            assert_eq!(forwarded.args, ["topicList", "-n", "a:1", "--help"]);
        }
        assert!(matches!(parse("trireme chaos --help").unwrap().command, Command::Chaos(_)));
        assert!(matches!(parse("mqbroker --enable-proxy").unwrap().command, Command::Broker(_)));
    }

    /// S27: the command lines of RocketMQ's own compose files ended with status 2.
    #[test]
    fn the_lines_of_rocketmqs_compose_files_are_understood() {
        let said = |line: &str| match parse(line).unwrap().command {
            Command::Broker(args) => (args.config.clone(), args.namesrv_addrs.clone(), args.not_heeded()),
            other => panic!("{other:?}"),
        };
        let (config, addrs, not_heeded) = said("mqbroker -n a:1 -c f autoCreateTopicEnable=true");
        assert_eq!((config.as_deref(), addrs.as_deref()), (Some(Path::new("f")), Some("a:1")));
        assert_eq!(
            not_heeded,
            ["autoCreateTopicEnable=true on the command line is not heeded, as in RocketMQ; \
              --set autoCreateTopicEnable=true would be"]
        );
        let (config, addrs, not_heeded) = said("mqbroker -n a:1 -c f -pc proxy.json --enable-proxy");
        assert_eq!((config.as_deref(), addrs.as_deref()), (Some(Path::new("f")), Some("a:1")));
        assert_eq!(
            not_heeded,
            [
                "--enable-proxy has no effect: there is no gRPC proxy here",
                "-pc proxy.json has no effect: there is no gRPC proxy here"
            ]
        );
        let (config, _, not_heeded) = said("trireme broker -bc f -pm local");
        assert_eq!((config.as_deref(), not_heeded.len()), (Some(Path::new("f")), 1));
        let Command::Namesrv(args) = parse("mqnamesrv -n a:1 -c f").unwrap().command else { panic!() };
        assert_eq!((args.namesrv_addrs.as_deref(), args.print_all), (Some("a:1"), false));
    }

    #[test]
    fn up_has_defaults_and_bounds() {
        let Command::Up(args) = parse("trireme up").unwrap().command else { panic!() };
        assert_eq!((args.dir.as_path(), args.port_offset, args.nodes), (Path::new("trireme-data"), 0, None));
        let Command::Up(args) = parse("trireme up --nodes 1 --set a=b --set c=d").unwrap().command else {
            panic!()
        };
        assert_eq!((args.nodes.as_deref(), args.set.len()), (Some("1"), 2));
        for wrong in [
            "up --nodes 2",
            "up --port-offset 30000",
            "up --port-offset -1",
            "up --host nowhere",
            "up extra",
            "row",
        ] {
            assert!(parse(&format!("trireme {wrong}")).is_err(), "{wrong}");
        }
    }
}
