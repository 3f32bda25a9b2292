//! Files that an operator names: lists to read, exports to write.

use std::io::IoSlice;
use std::path::Path;

use anyhow::{Context as _, ensure};
use platform::{Disk, OpenMode};

/// More than any list of topics or groups has.
const BYTES_MAX: u64 = 64 << 20;

/// Reads a whole file.
///
/// # Errors
/// If there is none, or it is too long to be a list.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> anyhow::Result<Vec<u8>> {
    let what = || format!("cannot read {}", path.display());
    let file = disk.open(path, OpenMode::Read).with_context(what)?;
    let bytes = file.len().with_context(what)?;
    ensure!(bytes <= BYTES_MAX, "{} has {bytes} bytes, the limit is {BYTES_MAX}", path.display());
    let mut text = vec![0; usize::try_from(bytes).expect("the limit fits")];
    file.read_exact_at(&mut text, 0).with_context(what)?;
    Ok(text)
}

/// Writes a whole file, in place of one that is there; makes the directories above it.
///
/// # Errors
/// As the system says; a file that was there may be damaged then.
pub(crate) fn write(disk: &dyn Disk, path: &Path, text: &str) -> anyhow::Result<()> {
    let what = || format!("cannot write {}", path.display());
    if let Some(dir) = path.parent() {
        disk.create_dir_all(dir).with_context(what)?;
    }
    let file = disk.open(path, OpenMode::Create).with_context(what)?;
    file.set_len(0).with_context(what)?;
    file.write_all_at(&[IoSlice::new(text.as_bytes())], 0).with_context(what)
}

#[cfg(test)]
mod tests {
    use platform::Platform;

    use super::*;

    #[test]
    fn what_is_written_takes_the_place_of_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.json");
        let disk = Platform::os().disk;
        write(&*disk, &path, "a long text").unwrap();
        write(&*disk, &path, "short").unwrap();
        assert_eq!(read(&*disk, &path).unwrap(), b"short");
        assert!(read(&*disk, dir.path().join("none").as_path()).unwrap_err().to_string().contains("none"));
    }
}
