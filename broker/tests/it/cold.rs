//! A disk that does not answer: who waits for it, and who does not. And what a start makes of files that are gone.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use platform::{Disk, DiskFile, DiskLock, FileBirth, OpenMode, OsDisk, Platform, Space};
use protocol::{Command, RequestCode as code};

use crate::support::*;

const WITH_SUBSCRIPTION: i32 = 4;

/// Reads of consume queues wait at it while it is shut.
#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        drop(self.opened.wait_while(self.is_shut.lock().unwrap(), |is_shut| *is_shut).unwrap());
    }
}

/// Opens the gate in the end, whatever came of the story: threads that wait there would be waited for.
struct OpensAtLast(Arc<Gate>);

impl Drop for OpensAtLast {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// A disk whose consume queues are read at a gate.
struct GatedDisk(Arc<Gate>);

struct GatedFile(Arc<dyn DiskFile>, Arc<Gate>);

impl Disk for GatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let file = OsDisk.open(path, mode)?;
        if path.components().any(|part| part.as_os_str() == "consumequeue") {
            return Ok(Arc::new(GatedFile(file, Arc::clone(&self.0))));
        }
        Ok(file)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        OsDisk.list(dir)
    }

    fn exists(&self, path: &Path) -> bool {
        OsDisk.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.sync_dir(dir)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        OsDisk.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        OsDisk.lock(path)
    }

    fn boot_id(&self) -> String {
        OsDisk.boot_id()
    }

    fn birth(&self, path: &Path) -> Option<FileBirth> {
        OsDisk.birth(path)
    }

    fn modified_ms(&self, path: &Path) -> Option<u64> {
        OsDisk.modified_ms(path)
    }
}

impl DiskFile for GatedFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.1.pass();
        self.0.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.0.write_all_at(parts, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.0.allocate(bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn start_write_back(&self, offset: u64, bytes: u64) {
        self.0.start_write_back(offset, bytes);
    }

    fn drop_cache(&self, offset: u64, bytes: u64) {
        self.0.drop_cache(offset, bytes);
    }

    fn as_file(&self) -> Option<&File> {
        self.0.as_file()
    }
}

/// Old messages lie on a disk that hangs. The same connection goes on meanwhile: sends, pulls of what is new, questions.
#[tokio::test]
async fn who_reads_old_messages_holds_up_nobody_else() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    for topic in ["Old", "New"] {
        peer.create_topic(topic, 1, 6).await;
    }
    peer.send("Old", 0, "", "stored long ago").await;
    drop(peer);
    let gate = Arc::new(Gate::default());
    let _opens = OpensAtLast(Arc::clone(&gate));
    let disk: Arc<dyn Disk> = Arc::new(GatedDisk(Arc::clone(&gate)));
    let node = node.restart_on("", Platform { disk, ..Platform::os() }).await;
    let peer = node.connect().await;
    within("the node to lead", async {
        while !node.http("/readyz", "").await.0.starts_with("http/1.1 200") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    peer.pull("CG", "New", 0, 0).await; // makes the group
    gate.set(true);
    let old = pull("CG", "Old", 0, 0, WITH_SUBSCRIPTION, 0);
    let time = Command::request(code::SEARCH_OFFSET_BY_TIMESTAMP)
        .with("topic", "Old")
        .with("queueId", 0)
        .with("timestamp", 1);
    // As many as have their turn at once, and more.
    let mut pulls: Vec<_> = (0..4).map(|_| Box::pin(peer.call(old.clone()))).collect();
    let mut questions: Vec<_> = (0..3).map(|_| Box::pin(peer.call(time.clone()))).collect();
    for waiting in pulls.iter_mut().chain(&mut questions) {
        assert!(step(waiting).await.is_none());
    }
    for n in 0..3 {
        let (offset, _) = peer.send("New", 0, "", &format!("m{n}")).await;
        assert_eq!(peer.pull("CG", "New", 0, offset).await.units().len(), 1);
    }
    within("the cold reads to be told of", async {
        while node.metric("rocketmq_cold_reads", &[]).await != Some(7.0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for waiting in pulls.iter_mut().chain(&mut questions) {
        assert!(step(waiting).await.is_none(), "the disk has not answered");
    }
    gate.set(false);
    for pull in pulls {
        let told = Pulled(pull.await);
        assert_eq!((told.units().len(), told.units()[0].body), (1, &b"stored long ago"[..]));
    }
    for question in questions {
        assert_eq!(question.await.ext.get("offset"), Some("0"));
    }
    node.stop().await;
}

/// Queues are built from the log, where the messages of a deleted topic still are.
#[tokio::test]
async fn messages_of_a_deleted_topic_do_not_come_back_when_the_queues_are_built_anew() {
    let node = Node::start("").await;
    let peer = node.connect().await;
    peer.create_topic("T", 1, 6).await;
    for n in 0..3 {
        peer.send("T", 0, "", &format!("deleted {n}")).await;
    }
    peer.ok(Command::request(code::DELETE_TOPIC_IN_BROKER).with("topic", "T")).await;
    peer.create_topic("T", 1, 6).await;
    assert_eq!(peer.send("T", 0, "", "new").await.0, 3, "queue offsets go on");
    drop(peer);
    let (store, mut node) = (node.store(), node);
    for are_files_gone in [false, true] {
        let dir = node.stop().await;
        if are_files_gone {
            OsDisk.remove_dir_all(&store.join("consumequeue")).unwrap();
        }
        node = Node::start_in(dir, "").await;
        within("the node to lead", async {
            while !node.http("/readyz", "").await.0.starts_with("http/1.1 200") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let peer = node.connect().await;
        let told = peer.pull("CG", "T", 0, 0).await;
        assert_eq!((told.0.remark.as_deref(), told.number("minOffset")), (Some("OFFSET_TOO_SMALL"), 3));
        let told = peer.pull("CG", "T", 0, 3).await;
        assert_eq!((told.units().len(), told.units()[0].body), (1, &b"new"[..]));
    }
    node.stop().await;
}
