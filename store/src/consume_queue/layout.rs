//! Bytes of a consume-queue unit, and names of files and directories. Source: Java's `ConsumeQueue`.

use std::path::{Path, PathBuf};

use super::Unit;
use crate::CommitlogOffset;

pub(super) const OFFSET_AT: usize = 0; // commitlog offset of the message unit
pub(super) const SIZE_AT: usize = OFFSET_AT + size_of::<u64>();
pub(super) const TAG_HASH_AT: usize = SIZE_AT + size_of::<u32>();
/// Bytes of one unit on disk.
pub const UNIT_BYTES: usize = TAG_HASH_AT + size_of::<i64>();
const _: () = assert!(UNIT_BYTES == 20);

/// Longest piece of a topic in one directory name; the rest goes into a directory within.
const NAME_BYTES_MAX: usize = 200;
/// At the end of a directory name: the topic goes on in the next one.
const CONTINUED: char = '+';
/// Before the two hexadecimal digits of a byte that is not used in names.
const ESCAPE: char = '=';
const HEX: &[u8; 16] = b"0123456789abcdef";

impl Unit {
    pub(super) fn to_bytes(self) -> [u8; UNIT_BYTES] {
        let mut bytes = [0; UNIT_BYTES];
        bytes[OFFSET_AT..SIZE_AT].copy_from_slice(&self.offset.0.to_be_bytes());
        bytes[SIZE_AT..TAG_HASH_AT].copy_from_slice(&self.size.to_be_bytes());
        bytes[TAG_HASH_AT..].copy_from_slice(&self.tag_hash.to_be_bytes());
        bytes
    }

    /// `None` for a place that was never written: no message has size 0.
    pub(super) fn from_bytes(bytes: &[u8; UNIT_BYTES]) -> Option<Self> {
        let field = |at: usize| bytes[at..].first_chunk().copied();
        let unit = Self {
            offset: CommitlogOffset(u64::from_be_bytes(field(OFFSET_AT)?)),
            size: u32::from_be_bytes(*bytes[SIZE_AT..].first_chunk()?),
            tag_hash: i64::from_be_bytes(field(TAG_HASH_AT)?),
        };
        (unit.size > 0).then_some(unit)
    }
}

/// The file whose first unit has queue offset `base`.
pub(super) fn file_path(queue_dir: &Path, base: u64) -> PathBuf {
    queue_dir.join(format!("{:020}", base * UNIT_BYTES as u64))
}

/// The queue offset of a file's first unit; `None` if it is not a file of ours.
pub(super) fn file_base(path: &Path, units_per_file: u64) -> Option<u64> {
    let name = path.file_name()?.to_str().filter(|name| name.len() == 20)?;
    let base = name.parse::<u64>().ok()? / UNIT_BYTES as u64;
    (base.is_multiple_of(units_per_file) && file_path(Path::new(""), base).as_os_str() == name)
        .then_some(base)
}

/// The directory of a topic. Letters, digits and `%|_-` stand for themselves; every other byte is escaped, so no
/// topic leaves the directory or meets another one, whatever a client calls it.
pub(super) fn topic_dir(root: &Path, topic: &str) -> PathBuf {
    let mut dir = root.to_path_buf();
    let mut name = String::new();
    for byte in topic.bytes() {
        if name.len() >= NAME_BYTES_MAX {
            name.push(CONTINUED);
            dir.push(std::mem::take(&mut name));
        }
        if byte.is_ascii_alphanumeric() || b"%|_-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            name.push(ESCAPE);
            name.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
        }
    }
    if topic.is_empty() {
        name.push(ESCAPE);
    }
    dir.join(name)
}

/// What a directory name says of a topic.
pub(super) enum TopicName {
    /// The end of a topic: queues are within.
    Last(Vec<u8>),
    /// The beginning of one: directories with the rest are within.
    Continued(Vec<u8>),
}

/// Reads one directory name; `None` if it is not one of ours.
pub(super) fn read_topic_name(path: &Path) -> Option<TopicName> {
    let name = path.file_name()?.to_str().filter(|name| !name.contains('.'))?;
    if name == "=" {
        return Some(TopicName::Last(Vec::new()));
    }
    let (name, is_continued) = name.strip_suffix(CONTINUED).map_or((name, false), |name| (name, true));
    let mut topic = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        if *byte == ESCAPE as u8 {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            topic.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            topic.push(*byte);
            rest = after;
        }
    }
    Some(if is_continued { TopicName::Continued(topic) } else { TopicName::Last(topic) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_read_back_from_its_directory_whatever_it_is_called() {
        let long = "%RETRY%".to_owned() + &"x".repeat(248);
        for topic in ["TopicTest", "%RETRY%bad group!", "../../etc", "a/b", "=", "", "+", "ä", ".", &long] {
            let dir = topic_dir(Path::new("q"), topic);
            let names: Vec<_> = dir.iter().skip(1).collect();
            let mut read = Vec::new();
            for (at, name) in names.iter().enumerate() {
                match read_topic_name(Path::new(name)).unwrap() {
                    TopicName::Last(part) => {
                        assert_eq!(at, names.len() - 1);
                        read.extend(part);
                    }
                    TopicName::Continued(part) => read.extend(part),
                }
                assert!(name.len() <= 255);
            }
            assert_eq!(String::from_utf8(read).unwrap(), topic);
        }
        assert_eq!(topic_dir(Path::new("q"), "../x"), Path::new("q/=2e=2e=2fx"));
    }

    #[test]
    fn a_unit_has_the_bytes_of_the_specification() {
        let unit = Unit { offset: CommitlogOffset(48), size: 167, tag_hash: 2_598_919 };
        let bytes = [0, 0, 0, 0, 0, 0, 0, 0x30, 0, 0, 0, 0xa7, 0, 0, 0, 0, 0, 0x27, 0xa8, 7];
        assert_eq!(unit.to_bytes(), bytes);
        assert_eq!(Unit::from_bytes(&bytes), Some(unit));
        assert_eq!(Unit::from_bytes(&[0; UNIT_BYTES]), None);
    }
}
