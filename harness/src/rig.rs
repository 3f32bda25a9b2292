//! What a machine can do to a node besides killing it: take its disk, put back an old one, change a bit of it, fill it,
//! cut its power, set its clock, stop reading what it logs.
//!
//! Some of it needs root, a compiler or a loop device. What is not to be had is an error with the reason, and never a
//! fault that silently does not happen.

use std::ffi::OsStr;
use std::io::{IoSlice, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, bail, ensure};
use platform::{Disk, OpenMode, OsDisk};
use tokio::process::Command;

use crate::files;

const CLOCK_SOURCE: &str = include_str!("shim/clock.c");
const POWER_CUT_SOURCE: &str = include_str!("shim/power_cut.c");
/// The environment variable that tells the shim where a node's clock shift stands.
const CLOCK_FILE: &str = "TRIREME_SHIM_CLOCK";

/// What a store lies on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreDisk {
    /// A directory like any other.
    #[default]
    Dir,
    /// A file system in memory, of this many MiB.
    Tmpfs(u32),
    /// An ext4 image on a loop device, of this many MiB.
    Ext4(u32),
}

/// The disks, clocks and tools of one group.
pub(crate) struct Rig {
    dir: PathBuf,
    mounts: Mutex<Vec<Mount>>,
    /// Why the stores lie in plain directories though more was asked for.
    disk_problem: Option<String>,
    /// The clock shim, or why there is none.
    shim: Result<PathBuf>,
}

struct Mount {
    at: PathBuf,
    /// The image, for one that can lose its power.
    image: Option<PathBuf>,
}

impl Rig {
    /// Mounts the stores, and compiles the clock shim if it is wanted.
    pub(crate) async fn new(dir: &Path, stores: &[PathBuf], disk: StoreDisk, clocks: bool) -> Self {
        let mut rig = Self {
            dir: dir.to_owned(),
            mounts: Mutex::default(),
            disk_problem: None,
            shim: Err(anyhow!("the group was started without clocks that can be set")),
        };
        for store in stores {
            if let Err(error) = rig.mount_store(store, disk).await {
                rig.disk_problem = Some(format!("{disk:?}: {error:#}"));
                break;
            }
        }
        if clocks {
            rig.shim = rig.compile_shim(stores.len()).await;
        }
        rig
    }

    fn mounts(&self) -> std::sync::MutexGuard<'_, Vec<Mount>> {
        self.mounts.lock().expect("nothing panics under this lock")
    }

    async fn mount_store(&self, store: &Path, disk: StoreDisk) -> Result<()> {
        let image = match disk {
            StoreDisk::Dir => return Ok(()),
            StoreDisk::Tmpfs(mib) => {
                OsDisk.create_dir_all(store)?;
                let size = format!("size={mib}m");
                tool(
                    "mount",
                    &[
                        "-t".as_ref(),
                        "tmpfs".as_ref(),
                        "-o".as_ref(),
                        size.as_ref(),
                        "tmpfs".as_ref(),
                        store.as_ref(),
                    ],
                )
                .await?;
                None
            }
            StoreDisk::Ext4(mib) => {
                OsDisk.create_dir_all(store)?;
                let image = store.with_extension("img");
                OsDisk.open(&image, OpenMode::CreateNew)?.set_len(u64::from(mib) << 20)?;
                tool("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), image.as_ref()]).await?;
                mount_image(&image, store).await?;
                Some(image)
            }
        };
        self.mounts().push(Mount { at: store.to_owned(), image });
        Ok(())
    }

    async fn compile_shim(&self, nodes: usize) -> Result<PathBuf> {
        for node in 0..nodes {
            set_shift(&self.clock_file(node), 0)?;
        }
        let source = self.dir.join("clock.c");
        files::write(&source, CLOCK_SOURCE)?;
        let shim = self.dir.join("clock.so");
        let flags = ["-shared", "-fPIC", "-O1", "-o"].map(OsStr::new);
        tool("cc", &[&flags[..], &[shim.as_ref(), source.as_ref()]].concat()).await?;
        Ok(shim)
    }

    fn clock_file(&self, node: usize) -> PathBuf {
        self.dir.join(format!("clock-n{node}"))
    }

    /// What a node's environment must hold.
    pub(crate) fn env(&self, node: usize) -> Vec<(&'static str, PathBuf)> {
        match &self.shim {
            Ok(shim) => vec![("LD_PRELOAD", shim.clone()), (CLOCK_FILE, self.clock_file(node))],
            Err(_) => Vec::new(),
        }
    }

    /// Sets a node's wall clock wrong by `ms`; 0 sets it right.
    pub(crate) fn shift_clock(&self, node: usize, ms: i64) -> Result<()> {
        if let Err(why) = &self.shim {
            bail!("no clock to set: {why:#}");
        }
        set_shift(&self.clock_file(node), ms)
    }

    /// Takes all room that is left on the store's disk.
    pub(crate) fn fill(&self, store: &Path) -> Result<()> {
        self.mount_of(store)?;
        let file = OsDisk.open(&store.join(FILLER), OpenMode::Create)?;
        let mut bytes = OsDisk.space(store)?.available_bytes;
        let mut filled = file.len()?;
        // In ever smaller pieces: what is told as free and what can be had differ.
        while bytes >= FILLER_PIECE_MIN {
            match file.allocate(filled + bytes) {
                Ok(()) => filled += bytes,
                Err(_) => bytes /= 2,
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub(crate) fn unfill(&self, store: &Path) -> Result<()> {
        self.mount_of(store)?;
        OsDisk.remove_file(&store.join(FILLER)).context("remove the filler")
    }

    /// Loses everything on the store's disk that was not synced. The node must be killed before anything else.
    pub(crate) async fn shut_down_disk(&self, store: &Path) -> Result<()> {
        let image = self.mount_of(store)?;
        ensure!(image.is_some(), "the power of {} cannot be cut: it is not an image", store.display());
        let (source, program) = (self.dir.join("power_cut.c"), self.dir.join("power_cut"));
        if !OsDisk.exists(&program) {
            files::write(&source, POWER_CUT_SOURCE)?;
            tool("cc", &["-O1".as_ref(), "-o".as_ref(), program.as_ref(), source.as_ref()]).await?;
        }
        tool(&program, &[store.as_ref()]).await
    }

    /// Mounts a disk that was shut down again: its journal is replayed.
    pub(crate) async fn revive_disk(&self, store: &Path) -> Result<()> {
        let image = self.mount_of(store)?.context("the disk is not an image")?;
        tool("umount", &[store.as_ref()]).await?;
        mount_image(&image, store).await
    }

    fn mount_of(&self, store: &Path) -> Result<Option<PathBuf>> {
        if let Some(problem) = &self.disk_problem {
            bail!("no disk of its own: {problem}");
        }
        let mounts = self.mounts();
        let mount = mounts.iter().find(|mount| mount.at == store);
        Ok(mount.context("the store has no disk of its own")?.image.clone())
    }

    /// Takes all mounts away. What still uses them keeps them until it ends.
    pub(crate) fn dismantle(&self) {
        for mount in self.mounts().drain(..) {
            // At the end of everything nobody is left to be told of a failure.
            let _ = std::process::Command::new("umount").arg("-l").arg(&mount.at).status();
        }
    }
}

/// A segment's name is the offset of its first byte, in this many digits.
const SEGMENT_NAME_LEN: usize = 20;
const FILLER: &str = "filler";
const FILLER_PIECE_MIN: u64 = 4 << 10;

fn set_shift(file: &Path, ms: i64) -> Result<()> {
    let file = OsDisk.open(file, OpenMode::Create)?;
    // The shim maps it: it must never be cut short.
    Ok(file.write_all_at(&[IoSlice::new(&ms.to_be_bytes())], 0)?)
}

async fn mount_image(image: &Path, at: &Path) -> Result<()> {
    tool("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), at.as_ref()]).await
}

/// Runs a program of the machine.
///
/// # Errors
/// If there is none, or what it says.
pub(crate) async fn tool(program: impl AsRef<OsStr>, args: &[&OsStr]) -> Result<()> {
    let name = program.as_ref().display();
    let done = Command::new(program.as_ref()).args(args).output().await;
    let done = done.with_context(|| format!("start {name}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "{name}: {}", said.trim());
    Ok(())
}

/// Copies a directory with everything in it.
///
/// # Errors
/// As `cp` says.
pub(crate) async fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    let inside = from.join(".");
    OsDisk.create_dir_all(to)?;
    tool("cp", &["-a".as_ref(), "--sparse=always".as_ref(), inside.as_ref(), to.as_ref()]).await
}

/// Empties a directory, which may be a mount and so stays itself.
///
/// # Errors
/// As the system says.
pub(crate) async fn empty_dir(dir: &Path) -> Result<()> {
    tool("find", &[dir.as_ref(), "-mindepth".as_ref(), "1".as_ref(), "-delete".as_ref()]).await
}

/// Changes one bit of what is written in the log under `store`, and says which. `choice` decides, evenly; half of all
/// choices fall into the last 64 KiB.
///
/// # Errors
/// If there is no log, or nothing in it.
pub(crate) fn flip_bit(store: &Path, choice: u64) -> Result<String> {
    let segments = segments(store)?;
    let mut ends = Vec::new();
    for segment in &segments {
        let file = OsDisk.open(segment, OpenMode::Read)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_exact_at(&mut bytes, 0)?;
        ends.push(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1));
    }
    let written: u64 = ends.iter().sum();
    ensure!(written > 0, "nothing is written in {}", store.display());
    let (in_tail, choice) = (choice.is_multiple_of(2), choice / 2);
    let window = if in_tail { written.min(64 << 10) } else { written };
    let mut at = written - window + choice / 8 % window;
    for (segment, end) in segments.iter().zip(ends) {
        if at < end {
            let file = OsDisk.open(segment, OpenMode::ReadWrite)?;
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            byte[0] ^= 1 << (choice % 8);
            file.write_all_at(&[IoSlice::new(&byte)], at)?;
            file.sync_data()?;
            return Ok(format!("bit {} of byte {at} in {}", choice % 8, segment.display()));
        }
        at -= end;
    }
    bail!("byte {at} lies behind all {written} written ones")
}

impl Rig {
    /// Whether a node's syncs fail from now on.
    pub(crate) fn fail_syncs(&self, node: usize, fails: bool) -> Result<()> {
        if let Err(why) = &self.shim {
            bail!("no shim: {why:#}");
        }
        let mut path = self.clock_file(node).into_os_string();
        path.push(".no-sync");
        let path = PathBuf::from(path);
        if fails {
            OsDisk.open(&path, OpenMode::CreateNew)?;
        } else {
            OsDisk.remove_file(&path)?;
        }
        Ok(())
    }
}

/// The files of a log, in order.
fn segments(store: &Path) -> Result<Vec<PathBuf>> {
    let mut dir = store.join("commitlog");
    while OsDisk.exists(&dir.join("commitlog")) {
        dir.push("commitlog");
    }
    let is_segment = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.len() == SEGMENT_NAME_LEN && name.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut segments: Vec<PathBuf> = OsDisk.list(&dir)?.into_iter().filter(is_segment).collect();
    segments.sort();
    Ok(segments)
}

/// An entry in a file: log index, where it begins, and bytes.
type Place = (u64, u64, u64);

/// The first segment of a log, and its entries. As in `docs/format.md`.
pub(crate) fn entries(store: &Path) -> Result<(PathBuf, Vec<Place>)> {
    let path = segments(store)?.into_iter().next().context("no log")?;
    let file = OsDisk.open(&path, OpenMode::Read)?;
    let (mut entries, mut at, len) = (Vec::new(), 0, file.len()?);
    let mut head = [0; 48];
    while at + 48 <= len {
        file.read_exact_at(&mut head, at)?;
        let bytes = u64::from(u32::from_be_bytes(head[4..8].try_into()?));
        if &head[..4] != b"TRIe" || bytes < 48 {
            break;
        }
        entries.push((u64::from_be_bytes(head[16..24].try_into()?), at, bytes));
        at += bytes;
    }
    Ok((path, entries))
}

/// Changes a bit of an entry in the first segment, and says which log index it has.
pub(crate) fn damage_entry(store: &Path, number: usize, at: u64) -> Result<u64> {
    let (path, entries) = entries(store)?;
    let (log_index, begin, bytes) = *entries.get(number).context("no such entry")?;
    ensure!(at < bytes, "entry {log_index} has {bytes} bytes");
    let file = OsDisk.open(&path, OpenMode::ReadWrite)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, begin + at)?;
    file.write_all_at(&[IoSlice::new(&[byte[0] ^ 0x20])], begin + at)?;
    file.sync_data()?;
    Ok(log_index)
}

/// Writes more than a pipe holds, and so waits until somebody reads: run it where waiting harms nobody.
pub(crate) fn stuff(mut pipe: std::io::PipeWriter) {
    let line = [b"log filler ".repeat(9), b"\n".to_vec()].concat();
    for _ in 0..(256 << 10) / line.len() {
        // The reader may have been killed meanwhile, which ends this.
        if pipe.write_all(&line).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_lies_in_what_was_written_and_comes_back_when_flipped_again() {
        let dir = std::env::temp_dir().join(format!("trireme-flip-{}", std::process::id()));
        let log = dir.join("commitlog").join("commitlog");
        OsDisk.create_dir_all(&log).unwrap();
        let names = ["00000000000000000000", "00000000000000000008"];
        for (name, text) in [(names[0], "first\0\0\0"), (names[1], "second\0\0"), ("purge", "none of it")] {
            files::write(&log.join(name), text).unwrap();
        }
        let now = || -> Vec<u8> {
            let read = |name: &str| {
                let file = OsDisk.open(&log.join(name), OpenMode::Read).unwrap();
                let mut bytes = vec![0; 8];
                file.read_exact_at(&mut bytes, 0).unwrap();
                bytes
            };
            names.map(read).concat()
        };
        let before = now();
        for choice in 0..400 {
            flip_bit(&dir, choice).unwrap();
            let changed: Vec<usize> = before
                .iter()
                .zip(now())
                .enumerate()
                .filter(|(_, (a, b))| *a != b)
                .map(|(at, _)| at)
                .collect();
            assert_eq!(changed.len(), 1, "choice {choice}");
            assert_ne!(before[changed[0]], 0, "choice {choice}");
            flip_bit(&dir, choice).unwrap();
            assert_eq!(now(), before, "choice {choice}");
        }
        OsDisk.remove_dir_all(&dir).unwrap();
    }
}
