//! How fast the commitlog takes messages: `cargo run --release -p store --example append [directory]`.
//!
//! Prints messages of 1 KiB a second, in entries of 1, 16 and 256 of them, in both flush modes, with up to 64 entries
//! waiting for their flush, as Raft has them.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};

use bytes::BytesMut;
use platform::Platform;
use protocol::message::{UnitFields, encode_unit};
use store::{Checkpoints, CommitLog, Draft, EffectList, EntryKind, FlushMode, LogOptions, Pending};

/// Each measurement takes about so long.
const MEASURE_MS: u128 = 3_000;
const IN_FLIGHT_MAX: usize = 64;
const BODY_BYTES: usize = 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base: PathBuf = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    for flush in [FlushMode::Sync, FlushMode::Async { interval_ms: 500 }] {
        for batch in [1, 16, 256] {
            let rate = measure(&base.join("trireme-append"), flush, batch)?;
            println!("{flush:?}, {batch} messages an entry: {rate} messages/s");
        }
    }
    Ok(())
}

fn measure(dir: &std::path::Path, flush: FlushMode, batch: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let platform = Platform::os();
    if platform.disk.exists(dir) {
        platform.disk.remove_dir_all(dir)?;
    }
    let mut checkpoints = Checkpoints::open(Arc::clone(&platform.disk), dir.join("checkpoints"))?;
    let options = LogOptions { flush, ..LogOptions::new(dir) };
    let (mut log, _) = CommitLog::open(&platform, options, &mut checkpoints)?;
    let unit = unit()?;
    let waiting = Arc::new((Mutex::new(0_usize), Condvar::new()));
    let start = platform.clock.monotonic();
    let mut log_index = 0;
    while platform.clock.monotonic().saturating_sub(start).as_millis() < MEASURE_MS {
        log_index += 1;
        let mut payload = BytesMut::with_capacity(unit.len() * batch as usize);
        (0..batch).for_each(|_| payload.extend_from_slice(&unit));
        let draft = Draft {
            log_index,
            term: 1,
            kind: EntryKind::Units,
            unit_count: batch as u32,
            payload: vec![payload],
            effects: EffectList::default(),
        };
        {
            let (count, changed) = &*waiting;
            let count = count.lock().map_err(|_| "poisoned")?;
            let mut count =
                changed.wait_while(count, |count| *count >= IN_FLIGHT_MAX).map_err(|_| "poisoned")?;
            *count += 1;
        }
        let done = Arc::clone(&waiting);
        log.append(
            vec![Pending::Draft(draft)],
            Box::new(move |result| {
                result.expect("the disk works");
                *done.0.lock().expect("nobody panics") -= 1;
                done.1.notify_one();
            }),
        )?;
        log.set_committed(log_index.saturating_sub(IN_FLIGHT_MAX as u64))?;
    }
    let elapsed = platform.clock.monotonic().saturating_sub(start);
    log.close()?;
    platform.disk.remove_dir_all(dir)?;
    Ok(log_index * batch * 1000 / elapsed.as_millis() as u64)
}

fn unit() -> Result<BytesMut, Box<dyn std::error::Error>> {
    let host = "127.0.0.1:10911".parse()?;
    let mut bytes = BytesMut::new();
    let fields = UnitFields {
        topic: "Bench",
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        born_timestamp_ms: 0,
        born_host: host,
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: &[7; BODY_BYTES],
        properties: "UNIQ_KEY\u{1}0A0000011A2B18B4AAC2000F42400001\u{2}",
    };
    encode_unit(&fields, &mut bytes)?;
    Ok(bytes)
}
