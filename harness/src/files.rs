//! Small whole files, through the disk seam.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use platform::{Disk, DiskFile, OpenMode, OsDisk};

/// Writes `text` as the whole content of `path`.
///
/// # Errors
/// As the system says.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let file = OsDisk.open(path, OpenMode::Create)?;
    file.set_len(0)?;
    file.write_all_at(&[IoSlice::new(text.as_bytes())], 0)
}

/// The whole content of `path`.
///
/// # Errors
/// As the system says; `InvalidData` if it is not UTF-8.
pub fn read(path: &Path) -> io::Result<String> {
    let file = OsDisk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; file.len()? as usize];
    file.read_exact_at(&mut bytes, 0)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A file that only grows.
pub struct Appender {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl Appender {
    /// Starts `path` from nothing.
    ///
    /// # Errors
    /// As the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OsDisk.open(path, OpenMode::Create)?;
        file.set_len(0)?;
        Ok(Self { file, at: 0 })
    }

    /// Adds `text` at the end.
    ///
    /// # Errors
    /// As the system says.
    pub fn append(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all_at(&[IoSlice::new(text.as_bytes())], self.at)?;
        self.at += text.len() as u64;
        Ok(())
    }
}
