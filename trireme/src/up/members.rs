//! Who belongs to the group of a directory: kept in a file of its own, and never counted from what else is there.
//!
//! Directories can be deleted one by one, and a group that took the rest for its whole would agree on a past without
//! what it had acknowledged. A node whose directory is gone begins again, empty and under its name, in the group as it
//! was; nodes that are the majority cannot.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use platform::{Disk, OpenMode};

use super::files;

/// Names of the members, one a line.
const FILE: &str = "up-members";
/// Nodes of a new group unless said otherwise, and the most there are.
pub(crate) const NODES: u16 = 3;
/// The file is some ten bytes long.
const FILE_BYTES_MAX: u64 = 4_096;

/// How many nodes the group of `dir` has: as its file says or, for a directory from before there was one, as its
/// property files say; as many as asked for where nothing began yet.
///
/// # Errors
/// A number asked for that differs from the group's, a file that cannot be read, and a group most of whose data is
/// gone: a sentence that tells what to do.
pub(crate) fn count(disk: &dyn Disk, dir: &Path, asked: Option<&str>) -> anyhow::Result<u16> {
    let asked = asked.map(str::parse::<u16>).transpose()?;
    let held: Vec<u16> = (0..NODES).filter(|k| disk.exists(&store_of(dir, *k))).collect();
    let members = match noted(disk, dir)? {
        Some(members) => members,
        None if held.is_empty() => return Ok(asked.unwrap_or(NODES)),
        None => match (from_conf(disk, dir), asked) {
            (Some(members), _) | (None, Some(members)) => members,
            (None, None) => bail!(
                "{} holds data of {} and does not tell how many nodes the group has; say so with --nodes 1 or --nodes 3",
                dir.display(),
                names(&held)
            ),
        },
    };
    if let Some(asked) = asked.filter(|asked| *asked != members) {
        bail!(
            "{} holds a group of {members}, not of {asked}; leave --nodes out, or choose another --dir",
            dir.display()
        );
    }
    let gone: Vec<u16> = (0..members).filter(|k| !held.contains(k)).collect();
    if !held.is_empty() && gone.len() > usize::from(members / 2) {
        bail!(
            "the data of {} of {members} nodes is gone from {} ({}): what a majority acknowledged may be lost; put it \
             back, or begin anew with another --dir",
            gone.len(),
            dir.display(),
            names(&gone)
        );
    }
    Ok(members)
}

/// The members whose data is gone while others have theirs: each begins again as an empty node.
pub(crate) fn gone(disk: &dyn Disk, dir: &Path, members: u16) -> Vec<String> {
    let (held, gone): (Vec<u16>, Vec<u16>) = (0..members).partition(|k| disk.exists(&store_of(dir, *k)));
    if held.is_empty() { Vec::new() } else { gone.iter().map(|k| format!("n{k}")).collect() }
}

/// Notes the members; before the first of them has data.
///
/// # Errors
/// As the disk says.
pub(crate) fn note(disk: &dyn Disk, dir: &Path, members: u16) -> anyhow::Result<()> {
    if noted(disk, dir)? == Some(members) {
        return Ok(());
    }
    let path = dir.join(FILE);
    let names: Vec<_> = (0..members).map(|k| format!("n{k}")).collect();
    files::replace(disk, &path, &format!("{}\n", names.join("\n")))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn noted(disk: &dyn Disk, dir: &Path) -> anyhow::Result<Option<u16>> {
    let path = dir.join(FILE);
    if !disk.exists(&path) {
        return Ok(None);
    }
    let text = read(disk, &path).with_context(|| format!("cannot read {}", path.display()))?;
    let count = text.lines().count() as u16;
    let is_sound =
        text.lines().enumerate().all(|(k, line)| line == format!("n{k}")) && [1, NODES].contains(&count);
    if !is_sound {
        bail!(
            "{} does not name the members n0, or n0, n1 and n2, one a line; it says {text:?}",
            path.display()
        );
    }
    Ok(Some(count))
}

/// From the property files that an `up` without members' file has left.
fn from_conf(disk: &dyn Disk, dir: &Path) -> Option<u16> {
    let conf = (0..NODES).find_map(|k| read(disk, &dir.join(format!("conf/broker-n{k}.conf"))).ok())?;
    let peers = conf.lines().filter_map(|line| line.trim().strip_prefix("dLegerPeers")).next_back()?;
    let count = peers.trim_start_matches([' ', '=']).split(';').count() as u16;
    [1, NODES].contains(&count).then_some(count)
}

fn read(disk: &dyn Disk, path: &Path) -> std::io::Result<String> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut text = vec![0; file.len()?.min(FILE_BYTES_MAX) as usize];
    file.read_exact_at(&mut text, 0)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn store_of(dir: &Path, k: u16) -> PathBuf {
    dir.join(format!("n{k}"))
}

fn names(nodes: &[u16]) -> String {
    let names: Vec<_> = nodes.iter().map(|k| format!("n{k}")).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::OsDisk;

    struct Dir(tempfile::TempDir);

    impl Dir {
        fn holding(nodes: &[u16]) -> Self {
            let dir = Self(tempfile::tempdir().unwrap());
            for k in nodes {
                OsDisk.create_dir_all(&store_of(dir.0.path(), *k)).unwrap();
            }
            dir
        }

        fn count(&self, asked: Option<&str>) -> anyhow::Result<u16> {
            count(&OsDisk, self.0.path(), asked)
        }

        fn refused(&self, asked: Option<&str>) -> String {
            self.count(asked).unwrap_err().to_string()
        }

        fn delete(&self, k: u16) {
            std::fs::remove_dir(store_of(self.0.path(), k)).unwrap();
        }
    }

    /// S7: two directories of three were a group of two, which agreed on a past without what it had acknowledged.
    #[test]
    fn a_deleted_directory_does_not_make_the_group_smaller() {
        let dir = Dir::holding(&[]);
        note(&OsDisk, dir.0.path(), dir.count(None).unwrap()).unwrap();
        (0..3).for_each(|k| OsDisk.create_dir_all(&store_of(dir.0.path(), k)).unwrap());
        assert_eq!(gone(&OsDisk, dir.0.path(), 3), [""; 0]);
        dir.delete(1);
        assert_eq!((dir.count(None).unwrap(), dir.count(Some("3")).unwrap()), (3, 3));
        assert_eq!(gone(&OsDisk, dir.0.path(), 3), ["n1"]);
        assert!(dir.refused(Some("1")).contains("holds a group of 3, not of 1"));
        dir.delete(0);
        let refused = dir.refused(None);
        assert!(
            refused.contains("the data of 2 of 3 nodes is gone") && refused.contains("(n0 and n1)"),
            "{refused}"
        );
        dir.delete(2);
        assert_eq!(dir.count(None).unwrap(), 3, "nothing is left that could be contradicted");
    }

    #[test]
    fn a_new_directory_gets_what_is_asked_for() {
        let dir = Dir::holding(&[]);
        let counts = [None, Some("1"), Some("3")].map(|asked| dir.count(asked).unwrap());
        assert_eq!(counts, [3, 1, 3]);
    }

    #[test]
    fn a_directory_from_before_the_file_tells_by_its_property_files() {
        let dir = Dir::holding(&[0, 2]);
        assert!(dir.refused(None).contains("holds data of n0 and n2 and does not tell"));
        assert_eq!(dir.count(Some("3")).unwrap(), 3);
        let conf = dir.0.path().join("conf");
        OsDisk.create_dir_all(&conf).unwrap();
        let text =
            "dLegerPeers = n0-127.0.0.1:40911;n1-127.0.0.1:40912;n2-127.0.0.1:40913\ndLegerSelfId = n2\n";
        files::replace(&OsDisk, &conf.join("broker-n2.conf"), text).unwrap();
        assert_eq!(dir.count(None).unwrap(), 3);
    }

    #[test]
    fn a_file_that_names_nobody_known_is_refused() {
        let dir = Dir::holding(&[0]);
        for text in ["", "n0\nn1\n", "n1\n", "n0\nn1\nn2\nn3\n"] {
            files::replace(&OsDisk, &dir.0.path().join(FILE), text).unwrap();
            assert!(dir.refused(None).contains("does not name the members"), "{text:?}");
        }
    }
}
