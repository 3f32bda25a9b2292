//! Properties as they were set, each with its place. Later ones win.

use std::sync::Arc;

use crate::syntax::{self, SyntaxError};
use crate::{Place, nearest};

/// One property as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As written; case counts.
    pub key: String,
    /// Trimmed.
    pub value: String,
    /// Where.
    pub place: Place,
}

impl Entry {
    /// Whether it stands in a file, and not on the command line or in the environment.
    pub fn is_of_file(&self) -> bool {
        matches!(self.place, Place::Line { .. })
    }
}

/// A text that is not a property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}: expected key=value")]
pub struct NotAPair {
    /// The whole text.
    pub text: String,
}

/// Properties in the order they were set; of several with one name the last is in force.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    entries: Vec<Entry>,
}

impl Properties {
    /// None at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the bytes of a file in the format of `java.util.Properties`; `file_name` is only quoted.
    ///
    /// # Errors
    /// A malformed `\u` escape, the only thing that the format forbids.
    pub fn parse(bytes: &[u8], file_name: &str) -> Result<Self, SyntaxError> {
        let file: Arc<str> = file_name.into();
        let entries = syntax::pairs(bytes, file_name)?
            .into_iter()
            .map(|pair| Entry {
                key: pair.key.trim().to_owned(),
                value: pair.value.trim().to_owned(),
                place: Place::Line { file: file.clone(), line: pair.line },
            })
            .collect();
        Ok(Self { entries })
    }

    /// Sets a property over all earlier ones of that name.
    pub fn set(&mut self, key: &str, value: &str, place: Place) {
        self.entries.push(Entry { key: key.trim().to_owned(), value: value.trim().to_owned(), place });
    }

    /// Sets `key=value` as it stands on a command line.
    ///
    /// # Errors
    /// If it has no `=`, or nothing before it.
    pub fn set_pair(&mut self, pair: &str) -> Result<(), NotAPair> {
        match pair.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                self.set(key, value, Place::CommandLine);
                Ok(())
            }
            _ => Err(NotAPair { text: pair.to_owned() }),
        }
    }

    /// Sets a property below all others: it holds only where nothing else sets that name.
    pub fn set_fallback(&mut self, key: &str, value: &str, place: Place) {
        self.entries.insert(0, Entry { key: key.to_owned(), value: value.trim().to_owned(), place });
    }

    /// What is in force for `key`; `None` where it is not set.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }

    /// All of them as they were set, those not in force included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Vec<Entry> {
        let mut renamed = Vec::new();
        for entry in &mut self.entries {
            if entry.key == from {
                renamed.push(entry.clone());
                to.clone_into(&mut entry.key);
            }
        }
        renamed
    }
}

/// Whether `pattern`, which may hold one `*`, covers `name`.
pub(crate) fn covers(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| rest.ends_with(tail)),
    }
}

/// The known name that `key` was probably meant to be.
pub(crate) fn meant<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest::nearest(key, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_wins_and_a_fallback_never_does() {
        let mut properties = Properties::parse(b"a = 1 \nb=2\na=3", "f.conf").unwrap();
        assert_eq!(properties.get("a").unwrap().value, "3");
        assert_eq!(properties.get("a").unwrap().place.to_string(), "f.conf line 3");
        properties.set_pair("a= 4 ").unwrap();
        assert_eq!(properties.get("a").unwrap().value, "4");
        assert_eq!(properties.get("a").unwrap().place, Place::CommandLine);
        properties.set_fallback("a", "0", Place::Environment("A"));
        properties.set_fallback("c", "9", Place::Environment("C"));
        assert_eq!(properties.get("a").unwrap().value, "4");
        assert_eq!(properties.get("c").unwrap().place.to_string(), "environment variable C");
        assert_eq!(properties.get("d"), None);
    }

    #[test]
    fn a_pair_needs_a_name_and_an_equals_sign() {
        let mut properties = Properties::new();
        properties.set_pair("a=b=c").unwrap();
        assert_eq!(properties.get("a").unwrap().value, "b=c");
        for wrong in ["a", "=b", " =b", ""] {
            assert_eq!(properties.set_pair(wrong), Err(NotAPair { text: wrong.to_owned() }));
        }
    }

    #[test]
    fn a_pattern_covers_what_its_star_stands_for() {
        for (pattern, name, is_covered) in [
            ("*ThreadPoolNums", "sendMessageThreadPoolNums", true),
            ("*ThreadPoolNums", "ThreadPoolNums", true),
            ("server*Threads", "serverSelectorThreads", true),
            ("server*Threads", "serverSelectorThread", false),
            ("forceRegister", "forceRegister", true),
            ("forceRegister", "forceregister", false),
        ] {
            assert_eq!(covers(pattern, name), is_covered, "{pattern} and {name}");
        }
    }
}
