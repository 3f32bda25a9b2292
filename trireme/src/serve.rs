//! Runs a name server or a broker in this process until it is told to stop.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use platform::{Disk, OpenMode, Platform};
use settings::{Notice, Place, Properties};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::{BrokerArgs, NamesrvArgs};
use crate::{log, machine, tied};

/// A server that has not stopped by then is ended the hard way. Longer than its own deadlines.
const STOPS_WITHIN: Duration = Duration::from_secs(30);
/// A property file is a few KiB; anything far above is a mistake.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// `trireme broker`, `mqbroker`.
pub(crate) fn broker(args: &BrokerArgs) -> anyhow::Result<ExitCode> {
    let platform = Platform::os();
    let mut properties = read_file(&*platform.disk, args.config.as_deref())?;
    if let Some(addrs) = &args.namesrv_addrs {
        properties.set("namesrvAddr", addrs, Place::CommandLine);
    }
    override_with(&mut properties, &args.set)?;
    let file_names: Vec<_> = properties.entries().iter().filter(|entry| entry.is_of_file()).collect();
    let file_names: BTreeSet<_> = file_names.iter().map(|entry| entry.key.clone()).collect();
    let config = broker::BrokerConfig::read(properties, &machine::look())?;
    if let Some(path) = &args.config {
        knows_one(&file_names, &config.notices)
            .with_context(|| format!("{} is not a broker's configuration", path.display()))?;
    }
    if args.print_all || args.print_important {
        warn_on_terminal(&config.notices);
        print!("{}", if args.print_all { config.listing() } else { config.important_listing() });
        return Ok(ExitCode::SUCCESS);
    }
    log::start()?;
    tell(&config.notices);
    for said in args.not_heeded() {
        tracing::warn!("{said}");
    }
    serve(platform, async |platform, shutdown| Ok(broker::run(config, platform, shutdown).await?))
}

/// `trireme namesrv`, `mqnamesrv`.
pub(crate) fn namesrv(args: &NamesrvArgs) -> anyhow::Result<ExitCode> {
    let platform = Platform::os();
    let mut properties = read_file(&*platform.disk, args.config.as_deref())?;
    override_with(&mut properties, &args.set)?;
    let (config, notices) = namesrv::Config::read(properties, &machine::home().display().to_string())?;
    if args.print_all {
        warn_on_terminal(&notices);
        config.in_force.iter().for_each(|one| println!("{one}"));
        return Ok(ExitCode::SUCCESS);
    }
    log::start()?;
    tell(&notices);
    if let Some(addrs) = &args.namesrv_addrs {
        tracing::warn!("-n {addrs} is not heeded: a name server asks no other");
    }
    for arg in &args.rest {
        tracing::warn!("{arg} on the command line is not heeded");
    }
    serve(platform, async |platform, mut shutdown| {
        let stop = async move {
            // An error says that the sender is gone, which means the same.
            let _ = shutdown.wait_for(|stop| *stop).await;
        };
        Ok(namesrv::run(config, platform, stop).await?)
    })
}

fn read_file(disk: &dyn Disk, path: Option<&Path>) -> anyhow::Result<Properties> {
    let Some(path) = path else { return Ok(Properties::new()) };
    let read = || -> std::io::Result<Vec<u8>> {
        let file = disk.open(path, OpenMode::Read)?;
        let bytes = file.len()?;
        if bytes > CONFIG_BYTES_MAX {
            let why = format!("{bytes} bytes exceed the limit of {CONFIG_BYTES_MAX} bytes");
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, why));
        }
        let mut text = vec![0; bytes as usize];
        file.read_exact_at(&mut text, 0)?;
        Ok(text)
    };
    let text = read().with_context(|| format!("cannot read the configuration {}", path.display()))?;
    Ok(Properties::parse(&text, &path.display().to_string())?)
}

/// A file of which nothing counts is another one than was meant, and the node would start empty and alone.
fn knows_one(file_names: &BTreeSet<String>, notices: &[Notice]) -> anyhow::Result<()> {
    let unknown = notices.iter().filter_map(|notice| match notice {
        Notice::Unknown { key, .. } => Some(key.as_str()),
        _ => None,
    });
    let unknown: BTreeSet<_> = unknown.collect();
    if file_names.iter().any(|name| !unknown.contains(name.as_str())) {
        return Ok(());
    }
    match file_names.first() {
        None => anyhow::bail!(
            "it sets nothing; brokerName, namesrvAddr and storePathRootDir are what most files set"
        ),
        Some(first) => {
            let count = file_names.len();
            anyhow::bail!("none of the {count} names it sets is known, the first of them being {first:?}")
        }
    }
}

/// Applies `--set key=value`.
fn override_with(properties: &mut Properties, pairs: &[String]) -> anyhow::Result<()> {
    for pair in pairs {
        properties.set_pair(pair).map_err(|error| anyhow::anyhow!("--set {error}"))?;
    }
    Ok(())
}

fn tell(notices: &[Notice]) {
    for notice in notices {
        if notice.is_warning() {
            tracing::warn!("{notice}");
        } else {
            tracing::info!("{notice}");
        }
    }
}

/// Beside a listing on the standard output, which stays a property file.
fn warn_on_terminal(notices: &[Notice]) {
    for notice in notices {
        eprintln!("{notice}");
    }
}

/// Runs `server` until it ends or a signal asks it to.
fn serve(
    platform: Platform,
    server: impl AsyncFnOnce(Platform, watch::Receiver<bool>) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    log::die_of_panics();
    raise_file_limit();
    let (stop, shutdown) = watch::channel(false);
    tied::tie(&platform, &stop);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let server = server(platform, shutdown);
        tokio::pin!(server);
        let name = tokio::select! {
            ended = &mut server => return ended,
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        tracing::info!(signal = name, "stopping");
        stop.send_replace(true);
        tokio::select! {
            ended = tokio::time::timeout(STOPS_WITHIN, &mut server) => {
                ended.unwrap_or_else(|_| Err(anyhow::anyhow!("not stopped within {STOPS_WITHIN:?}")))
            }
            _ = interrupt.recv() => Err(anyhow::anyhow!("interrupted while stopping")),
        }
    });
    // Tasks that hang in a blocking call must not keep a process that has stopped.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended.inspect(|()| tracing::info!("stopped")).map(|()| ExitCode::SUCCESS)
}

/// A broker has a file a queue and a socket a client; the usual soft limit of 1,024 is a shell's.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
