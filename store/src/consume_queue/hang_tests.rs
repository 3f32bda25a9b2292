//! A disk that hangs: what is built from the log is built and read in memory meanwhile.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::Duration;

use platform::{Disk, DiskFile, DiskLock, OpenMode, Space};

use super::*;
use crate::KeyIndex;
use crate::sim::SimDisk;

/// Long enough for a loaded machine; a test that works never waits for it.
const SOON: Duration = Duration::from_secs(30);

/// Who opens, writes, syncs or removes a file waits here while it is shut, and says so.
struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
    waits: Mutex<mpsc::Sender<()>>,
}

impl Gate {
    fn set(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap() = is_shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut is_shut = self.is_shut.lock().unwrap();
        if *is_shut {
            let _ = self.waits.lock().unwrap().send(()); // the test may have heard enough
        }
        while *is_shut {
            is_shut = self.opened.wait(is_shut).unwrap();
        }
    }
}

#[derive(Clone)]
struct GatedDisk(SimDisk, Arc<Gate>);

struct GatedFile(Arc<dyn DiskFile>, Arc<Gate>);

impl Disk for GatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.1.pass();
        Ok(Arc::new(GatedFile(self.0.open(path, mode)?, Arc::clone(&self.1))))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.1.pass();
        self.0.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        self.0.list(dir)
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.1.pass();
        self.0.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.1.pass();
        self.0.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.1.pass();
        self.0.remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.1.pass();
        self.0.sync_dir(dir)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.0.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.0.lock(path)
    }

    fn boot_id(&self) -> String {
        self.0.boot_id()
    }
}

impl DiskFile for GatedFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.1.pass();
        self.0.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.1.pass();
        self.0.write_all_at(parts, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.1.pass();
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.0.allocate(bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.1.pass();
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

fn unit(n: u64) -> Unit {
    Unit { offset: CommitlogOffset(n * 100), size: 100, tag_hash: 0 }
}

/// Does `work` on a thread of its own while the disk hangs under it.
fn hanging(
    gate: &Gate,
    waits: &mpsc::Receiver<()>,
    work: impl FnOnce() + Send + 'static,
) -> std::thread::JoinHandle<()> {
    gate.set(true);
    let thread = std::thread::spawn(work);
    waits.recv_timeout(SOON).unwrap();
    thread
}

/// What the thread that applies does, and what a reader of new messages does, ends while somebody else waits for the disk.
#[test]
fn while_the_disk_hangs_units_and_keys_are_taken_in_and_read() {
    let (waits, waiting) = mpsc::channel();
    let gate =
        Arc::new(Gate { is_shut: Mutex::new(false), opened: Condvar::new(), waits: Mutex::new(waits) });
    let disk = GatedDisk(SimDisk::new(), Arc::clone(&gate));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let queues = Arc::new(Queues::open(Arc::clone(&shared), "/q", QueueOptions::default()).unwrap());
    let index = Arc::new(KeyIndex::open(shared, "/i").unwrap());
    let end = std::cell::Cell::new(0);
    let take_in = |count: u64| {
        let next = end.get();
        for n in next..next + count {
            queues.append("T", 0, QueueOffset(n), unit(n));
            index.put("T", &format!("k{n}"), CommitlogOffset(n * 100), n);
        }
        end.set(next + count);
        let read = queues.get("T", 0).unwrap().read(QueueOffset(next), 10).unwrap();
        assert_eq!(read.len() as u64, count.min(10));
        let newest = end.get() - 1;
        // From its time on: older runs are files.
        let found = index.query("T", &format!("k{newest}"), 9, newest, u64::MAX).unwrap();
        assert_eq!(found, [CommitlogOffset(newest * 100)]);
    };
    for (number, work) in [
        (|queues: &Queues, _: &KeyIndex| queues.write_out().unwrap()) as fn(&Queues, &KeyIndex),
        |_, index| index.write_out().unwrap(),
        |queues, _| queues.flush().unwrap(),
        |_, index| index.flush().unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        take_in(100_000); // more than a run of the index
        let topic = format!("New{number}");
        let (theirs, other) = (Arc::clone(&queues), Arc::clone(&index));
        let thread = hanging(&gate, &waiting, move || work(&theirs, &other));
        take_in(10);
        queues.append(&topic, 7, QueueOffset(0), unit(1));
        queues.drop_topic(&topic);
        assert_eq!(queues.get(&topic, 7).unwrap().min(), QueueOffset(1));
        let _ = (queues.seal_state(), queues.backlog(), queues.is_stuck(), index.backlog(), index.is_stuck());
        gate.set(false);
        thread.join().unwrap();
        while waiting.try_recv().is_ok() {}
    }
    queues.flush().unwrap();
    index.flush().unwrap();
    let reopened = Queues::open(Arc::new(disk.0.clone()), "/q", QueueOptions::default()).unwrap();
    // A long buffer was once written in pieces that ended within a unit.
    let read = reopened.get("T", 0).unwrap().read(QueueOffset(0), usize::MAX).unwrap();
    assert!(read.into_iter().eq((0..end.get()).map(unit)));
    let reopened = KeyIndex::open(Arc::new(disk.0), "/i").unwrap();
    for n in [0, 65_535, 65_536, 99_999, end.get() - 1] {
        let found = reopened.query("T", &format!("k{n}"), 9, 0, u64::MAX).unwrap();
        assert_eq!(found, [CommitlogOffset(n * 100)], "key {n}");
    }
}
