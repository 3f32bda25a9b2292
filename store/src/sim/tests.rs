//! Tests of the simulated disk.

use std::io::IoSlice;
use std::path::Path;

use platform::{Disk, OpenMode};

use super::{SECTOR_BYTES, SimDisk};

#[test]
fn what_was_synced_survives_every_crash_and_what_was_not_survives_some() {
    let disk = SimDisk::new();
    let path = Path::new("/d/f");
    disk.create_dir_all(Path::new("/d")).unwrap();
    let file = disk.open(path, OpenMode::CreateNew).unwrap();
    file.write_all_at(&[IoSlice::new(&[1; 4096])], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.write_all_at(&[IoSlice::new(&[2; 4096])], 1024).unwrap();
    let mut outcomes = [0; 3]; // nothing, some, all of the second write
    for seed in 0..100 {
        let after = disk.crash(seed);
        let file = after.open(path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes[..1024], [1; 1024]);
        let sectors: Vec<_> = bytes[1024..].chunks(SECTOR_BYTES).collect();
        assert!(
            sectors.iter().all(|sector| sector.iter().all(|byte| *byte == sector[0])),
            "torn in a sector"
        );
        let new = sectors.iter().filter(|sector| sector[0] == 2).count();
        outcomes[match new {
            0 => 0,
            8 => 2,
            _ => 1,
        }] += 1;
    }
    assert!(outcomes.iter().all(|count| *count > 5), "{outcomes:?}");
}

#[test]
fn a_name_that_was_not_synced_may_be_gone_and_a_full_disk_refuses() {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk.open(Path::new("/d/f"), OpenMode::CreateNew).unwrap().sync_data().unwrap();
    let kept = (0..50).filter(|seed| disk.crash(*seed).exists(Path::new("/d/f"))).count();
    assert!((1..50).contains(&kept), "kept {kept} of 50");
    disk.set_capacity(Some(1000));
    let file = disk.open(Path::new("/d/f"), OpenMode::ReadWrite).unwrap();
    file.allocate(1000).unwrap();
    let error = file.write_all_at(&[IoSlice::new(b"x")], 1000).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}
