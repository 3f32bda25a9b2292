//! The KV config: the only thing a name server keeps on disk. Order topics live in it.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use platform::{Disk, OpenMode};
use serde_json::{Value, json};

/// Where `topic -> brokerName:queues;…` of order topics is kept.
pub(crate) const ORDER_TOPIC_CONFIG: &str = "ORDER_TOPIC_CONFIG";

/// Broker groups whose write permission an operator has wiped are the keys here, so that a name server that starts
/// anew does not switch it on.
pub(crate) const WRITE_PERM_WIPED: &str = "WRITE_PERM_WIPED";

/// Keys and values of one namespace.
pub(crate) type Table = BTreeMap<String, String>;
type Namespaces = BTreeMap<String, Table>;

/// Larger than any real one; what is larger is some other file.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Why the KV config cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The disk said so.
    #[error("cannot {action} the KV config {}: {source}", path.display())]
    Io {
        /// What was tried: read, write.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is there and is something else. It is left alone, for the next change would overwrite it.
    #[error("the KV config {} cannot be understood: {why}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Namespaces of keys and values. What a change has returned is on disk.
///
/// The file has RocketMQ's form: `{"configTable":{"<namespace>":{"<key>":"<value>"}}}`. A namespace stays when
/// its last key goes, as in RocketMQ, where "empty" and "never made" are told apart in answers.
pub(crate) struct KvConfig {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    namespaces: RwLock<Arc<Namespaces>>,
    /// Held over a whole change: one writes the file at a time.
    changing: Mutex<()>,
}

impl KvConfig {
    /// Reads the file; none is an empty config.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, KvError> {
        let namespaces = if disk.exists(path) { read(&*disk, path)? } else { Namespaces::new() };
        Ok(Self {
            disk,
            path: path.to_owned(),
            namespaces: RwLock::new(Arc::new(namespaces)),
            changing: Mutex::new(()),
        })
    }

    pub fn get(&self, namespace: &str, key: &str) -> Option<String> {
        self.now().get(namespace)?.get(key).cloned()
    }

    /// All of a namespace; `None` if there never was one.
    pub fn list(&self, namespace: &str) -> Option<Table> {
        self.now().get(namespace).cloned()
    }

    /// Sets a value. Writes a file: not for an async worker.
    pub fn put(&self, namespace: &str, key: &str, value: &str) -> Result<(), KvError> {
        self.change(|namespaces| {
            namespaces.entry(namespace.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
            true
        })
    }

    /// Forgets a value, if there is one. Writes a file: not for an async worker.
    pub fn delete(&self, namespace: &str, key: &str) -> Result<(), KvError> {
        self.change(|namespaces| {
            namespaces.get_mut(namespace).is_some_and(|table| table.remove(key).is_some())
        })
    }

    /// `change` says whether it changed something. First the file, then what others read: a value once read
    /// survives a crash.
    fn change(&self, change: impl FnOnce(&mut Namespaces) -> bool) -> Result<(), KvError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut namespaces = Namespaces::clone(&self.now());
        if change(&mut namespaces) {
            let text = json!({ "configTable": namespaces }).to_string();
            write(&*self.disk, &self.path, text.as_bytes())?;
            *self.namespaces.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(namespaces);
        }
        Ok(())
    }

    fn now(&self) -> Arc<Namespaces> {
        self.namespaces.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Namespaces, KvError> {
    let io = |source| KvError::Io { action: "read", path: path.to_owned(), source };
    let format = |why: String| KvError::Format { path: path.to_owned(), why };
    let file = disk.open(path, OpenMode::Read).map_err(io)?;
    let bytes = file.len().map_err(io)?;
    if bytes > FILE_BYTES_MAX {
        return Err(format(format!("{bytes} bytes exceed the limit of {FILE_BYTES_MAX} bytes")));
    }
    let mut text = vec![0; bytes as usize];
    file.read_exact_at(&mut text, 0).map_err(io)?;
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Namespaces::new());
    }
    let root: Value = protocol::json::parse(&text).map_err(|error| format(error.to_string()))?;
    let namespaces = match root.get("configTable") {
        None | Some(Value::Null) => return Ok(Namespaces::new()),
        Some(Value::Object(namespaces)) => namespaces,
        Some(_) => return Err(format("configTable is not an object".to_owned())),
    };
    namespaces
        .iter()
        .map(|(namespace, table)| {
            let Value::Object(table) = table else {
                return Err(format(format!("{namespace} is not an object")));
            };
            Ok((namespace.clone(), table.iter().map(|(key, value)| (key.clone(), plain(value))).collect()))
        })
        .collect()
}

/// A value as text, whatever a hand wrote it as.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Replaces the file. A crash leaves the old one or the new one:
/// 1. The text goes to a file beside it, and to the disk.
/// 2. The rename replaces the old file at once.
/// 3. The directory goes to the disk, and the rename with it.
fn write(disk: &dyn Disk, path: &Path, text: &[u8]) -> Result<(), KvError> {
    let write = || -> io::Result<()> {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        disk.create_dir_all(dir)?;
        let beside = path.with_extension("tmp");
        let file = disk.open(&beside, OpenMode::Create)?;
        file.set_len(0)?;
        file.write_all_at(&[IoSlice::new(text)], 0)?;
        file.sync_data()?;
        disk.rename(&beside, path)?;
        disk.sync_dir(dir)
    };
    write().map_err(|source| KvError::Io { action: "write", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::OsDisk;

    fn open(path: &Path) -> Result<KvConfig, KvError> {
        KvConfig::open(Arc::new(OsDisk), path)
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kv.json");
        let file = OsDisk.open(&path, OpenMode::Create).unwrap();
        file.write_all_at(&[IoSlice::new(text.as_bytes())], 0).unwrap();
        (dir, path)
    }

    #[test]
    fn what_was_set_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("not/yet/there/kv.json");
        let kv = open(&path).unwrap();
        assert_eq!(kv.list("n"), None);
        kv.put("n", "k", "v 中").unwrap();
        kv.put("n", "l", "w").unwrap();
        kv.delete("n", "l").unwrap();
        kv.delete("never", "l").unwrap();
        kv.put(ORDER_TOPIC_CONFIG, "t", "b:4").unwrap();
        kv.delete(ORDER_TOPIC_CONFIG, "t").unwrap();
        let again = open(&path).unwrap();
        assert_eq!(again.get("n", "k").as_deref(), Some("v 中"));
        assert_eq!(again.get("n", "l"), None);
        assert_eq!(again.list(ORDER_TOPIC_CONFIG), Some(Table::new()));
        assert_eq!(again.list("never"), None);
    }

    #[test]
    fn a_file_of_rocketmq_is_read() {
        let (_dir, path) = file(r#"{"configTable":{"ORDER_TOPIC_CONFIG":{"topic":"broker-a:4"},"n":{k:7}}}"#);
        let kv = open(&path).unwrap();
        assert_eq!(kv.get(ORDER_TOPIC_CONFIG, "topic").as_deref(), Some("broker-a:4"));
        assert_eq!(kv.get("n", "k").as_deref(), Some("7"));
    }

    #[test]
    fn a_file_that_is_something_else_is_refused_and_left_alone() {
        for text in ["{\"configTable\":[1]}", "not json at all {", "{\"configTable\":{\"n\":3}}"] {
            let (_dir, path) = file(text);
            let error = open(&path).err().expect("no config");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            assert_eq!(OsDisk.open(&path, OpenMode::Read).unwrap().len().unwrap(), text.len() as u64);
        }
    }

    #[test]
    fn what_cannot_be_written_is_not_there() {
        let (_dir, path) = file("");
        let kv = open(&path.join("below-a-file/kv.json")).unwrap();
        assert!(matches!(kv.put("n", "k", "v"), Err(KvError::Io { action: "write", .. })));
        assert_eq!(kv.get("n", "k"), None);
    }
}
