//! Secrets: in the file itself, or in a file of their own. No listing shows them.

use std::path::Path;

use platform::{Disk, OpenMode, OsDisk};

use crate::Reader;

/// Shortest secret: 16 random characters cannot be guessed over a network.
pub const SECRET_CHARS_MIN: usize = 16;
/// Far more than a secret needs.
const FILE_BYTES_MAX: u64 = 64 << 10;

impl Reader {
    /// The secret that property `name` is, or the first line of the file that `file_name` names; `None` if neither is set, or
    /// what is set is refused.
    pub fn secret(&mut self, name: &'static str, file_name: &'static str) -> Option<String> {
        let written = self.optional_text(name);
        let file = self.optional_text(file_name);
        if written.is_some() {
            self.derive(name, "");
        }
        let secret = match (written, file) {
            (Some(_), Some(_)) => {
                self.refuse(&[file_name], format!("{name} and {file_name} exclude each other"));
                return None;
            }
            (Some(secret), None) => secret,
            (None, Some(file)) => match first_line(&file) {
                Ok(secret) => secret,
                Err(error) => {
                    self.refuse_value(file_name, format!("a file that can be read: {error}"));
                    return None;
                }
            },
            (None, None) => return None,
        };
        let chars = secret.chars().count();
        if chars < SECRET_CHARS_MIN {
            self.refuse(&[], format!("{name} has {chars} characters, and needs at least {SECRET_CHARS_MIN}"));
            return None;
        }
        Some(secret)
    }
}

fn first_line(path: &str) -> std::io::Result<String> {
    let file = OsDisk.open(Path::new(path), OpenMode::Read)?;
    let bytes = file.len()?;
    if bytes > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "{bytes} bytes exceed the limit of {FILE_BYTES_MAX} bytes"
        )));
    }
    let mut content = vec![0; bytes as usize];
    file.read_exact_at(&mut content, 0)?;
    let content = String::from_utf8(content).map_err(std::io::Error::other)?;
    Ok(content.lines().next().unwrap_or_default().trim().to_owned())
}
