//! The few small files of `trireme up`, written whole or not at all.

use std::io::{self, IoSlice};
use std::path::Path;

use platform::{Disk, OpenMode};

/// Replaces the file in one step: a reader sees the old text or the new, never a part, not even after a crash.
///
/// # Errors
/// As the disk says; the old file is untouched then.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("tmp");
    let file = disk.open(&fresh, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(&[IoSlice::new(text.as_bytes())], 0)?;
    file.sync_data()?;
    disk.rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |dir| disk.sync_dir(dir))
}

/// The last `lines` lines of a file that are not blank; none if it cannot be read.
pub(crate) fn last_lines(disk: &dyn Disk, path: &Path, lines: usize) -> Vec<String> {
    const TAIL_BYTES: u64 = 8 * 1024;
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(path, OpenMode::Read)?;
        let end = file.len()?;
        let start = end.saturating_sub(TAIL_BYTES);
        let mut tail = vec![0; (end - start) as usize];
        file.read_exact_at(&mut tail, start)?;
        Ok(tail)
    };
    let tail = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&tail);
    let all: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::OsDisk;

    #[test]
    fn a_shorter_text_replaces_a_longer_one_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("up.json");
        for text in ["one and more", "two", ""] {
            replace(&OsDisk, &path, text).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(OsDisk.list(dir.path()).unwrap(), [path]);
    }

    #[test]
    fn the_last_lines_of_a_log_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        assert_eq!(last_lines(&OsDisk, &path, 3), [""; 0]);
        let lines: Vec<_> = (0..2_000).map(|n| format!("line {n}\n\n")).collect();
        replace(&OsDisk, &path, &lines.concat()).unwrap();
        assert_eq!(last_lines(&OsDisk, &path, 2), ["line 1998", "line 1999"]);
    }
}
