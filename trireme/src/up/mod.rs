//! `trireme up`: a name server and a broker group as child processes under one directory.
//!
//! What runs is planned first ([`plan`]), then checked ([`ports`]), then started, watched and restarted by one
//! [`Supervisor`], the only owner of the children. All of it runs on the main thread: the kernel's tie between
//! parent and child is one to the thread that started it.

mod child;
mod files;
mod members;
mod plan;
mod ports;
mod state;
mod stop;
mod supervisor;
mod tell;
mod watch;

use std::io::{self, IoSlice};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use platform::{Disk, DiskLock, OpenMode, Platform};

use crate::cli::UpArgs;
use plan::Plan;
use supervisor::Supervisor;

/// Runs until told to stop.
pub(crate) fn run(args: &UpArgs) -> anyhow::Result<ExitCode> {
    let platform = Platform::os();
    let exe = std::env::current_exe().context("cannot find the file of this program")?;
    let dir = std::path::absolute(&args.dir)
        .with_context(|| format!("{} is not a directory", args.dir.display()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let disk = &*platform.disk;
        disk.create_dir_all(&dir).with_context(|| format!("cannot make the directory {}", dir.display()))?;
        let _lock = lock(disk, &dir)?;
        let node_count = members::count(disk, &dir, args.nodes.as_deref())?;
        let (plan, notices) = Plan::new(args, &dir, &exe, node_count)?;
        for notice in notices {
            tell::line(&format!("note: {notice}"));
        }
        ports::check(&*platform.net, &plan).await?;
        for name in members::gone(disk, &dir, node_count) {
            tell::line(&format!(
                "note: the data of {name} is gone; it begins again as an empty node of the group"
            ));
        }
        prepare(disk, &plan)?;
        Supervisor::new(platform.clone(), plan, !args.no_restart).run().await
    })
}

/// One `up` a directory. The lock goes with the process, however that ends.
fn lock(disk: &dyn Disk, dir: &Path) -> anyhow::Result<Box<dyn DiskLock>> {
    let path = dir.join("up.lock");
    let failed = || format!("cannot lock {}", path.display());
    let Some(lock) = disk.lock(&path).with_context(failed)? else {
        let pid = files::last_lines(disk, &path, 1).pop();
        let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        bail!("another trireme up{pid} runs in {}; stop it, or choose another --dir", dir.display());
    };
    let note_pid = || -> io::Result<()> {
        let file = disk.open(&path, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_all_at(&[IoSlice::new(format!("{}\n", std::process::id()).as_bytes())], 0)
    };
    note_pid().with_context(failed)?;
    Ok(lock)
}

/// Makes the directories and property files, if there is room for the data.
fn prepare(disk: &dyn Disk, plan: &Plan) -> anyhow::Result<()> {
    /// A node allocates the segment it writes and the one after.
    const SEGMENTS: u64 = 2;
    let fresh = plan.nodes.iter().filter(|node| !disk.exists(&node.store)).count() as u64;
    let needed = fresh * SEGMENTS * plan.segment_bytes;
    let space = disk.space(&plan.dir).with_context(|| format!("cannot look at {}", plan.dir.display()))?;
    if space.available_bytes < needed {
        bail!(
            "the disk of {} has {} MiB left, and {fresh} new nodes need {} MiB; make room, choose another --dir, or \
             make segments smaller with --set mappedFileSizeCommitLog=BYTES",
            plan.dir.display(),
            space.available_bytes >> 20,
            needed.div_ceil(1 << 20),
        );
    }
    members::note(disk, &plan.dir, plan.nodes.len() as u16)?;
    let dirs = ["conf", "logs"].map(|name| plan.dir.join(name));
    for dir in dirs.iter().chain(plan.nodes.iter().map(|node| &node.store)) {
        disk.create_dir_all(dir).with_context(|| format!("cannot make the directory {}", dir.display()))?;
    }
    for process in plan.processes() {
        let wrote = files::replace(disk, &process.conf, &process.conf_text);
        wrote.with_context(|| format!("cannot write {}", process.conf.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::OsDisk;

    #[test]
    fn a_second_up_in_one_directory_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(&OsDisk, dir.path()).unwrap();
        let refused = lock(&OsDisk, dir.path()).map(|_| ()).unwrap_err().to_string();
        let expected =
            format!("another trireme up (pid {}) runs in {}", std::process::id(), dir.path().display());
        assert!(refused.starts_with(&expected), "{refused}");
        drop(held);
        lock(&OsDisk, dir.path()).unwrap();
    }

    #[test]
    fn what_a_full_disk_cannot_hold_is_told_before_the_start() {
        use clap::Parser;
        let dir = tempfile::tempdir().unwrap();
        let cli = crate::cli::Cli::parse_from(["trireme", "up"]);
        let crate::cli::Command::Up(args) = cli.command else { panic!() };
        let (mut plan, _) = Plan::new(&args, dir.path(), Path::new("/bin/trireme"), 3).unwrap();
        plan.segment_bytes = 1 << 40; // twice, three times: more than any disk of a test
        let refused = prepare(&OsDisk, &plan).unwrap_err().to_string();
        assert!(refused.contains("3 new nodes need 6291456 MiB"), "{refused}");
        assert!(!dir.path().join("n0").exists());
    }
}
