//! Room on the disk: sends stop before it is full, so that Raft's own writes, which cannot be refused, still have some.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use platform::Space;
use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::housekeeping::ticks::Ticks;
use crate::node::Node;

/// How often the room on the disk is looked at.
const DISK: Duration = Duration::from_secs(1);
/// Above this use of the disk, in percent, sends may be refused. Source: RocketMQ `diskSpaceWarningLevelRatio`.
const FULL_PERCENT: u64 = 90;
/// Segments that must have room: the one prepared ahead, and one for everything beside the log.
const SEGMENTS_AHEAD: u64 = 2;

/// Looks at the room on the disk. A fast producer fills it in seconds.
pub async fn watch(node: Arc<Node>, shutdown: watch::Receiver<bool>) {
    let mut ticks = Ticks::new(DISK, shutdown);
    while ticks.next().await {
        watch_disk(&node);
    }
}

/// Sends stop before the disk is full, so that Raft's own writes, which cannot be refused, still have room.
fn watch_disk(node: &Node) {
    let path = &node.config.storage.commitlog;
    let space = match node.platform.disk.space(path) {
        Ok(space) => space,
        Err(error) => return warn!(path = %path.display(), %error, "cannot ask for the room on the disk"),
    };
    let (used, available) = (used_percent(space), space.available_bytes);
    let is_full = is_full(space, node.config.storage.segment_bytes);
    if node.group.is_disk_full.swap(is_full, Ordering::Relaxed) != is_full {
        let path = path.display();
        if is_full {
            error!(%path, used_percent = used, available_bytes = available, "disk is full: sends are refused");
        } else {
            info!(%path, used_percent = used, available_bytes = available, "disk has room again: sends are taken");
        }
    }
}

/// Above the warning level, and with less room than the next segments take: either alone is not a reason. A large disk
/// at 91 % has days left, and a small one in a test has no gigabyte to begin with.
fn is_full(space: Space, segment_bytes: u64) -> bool {
    used_percent(space) > FULL_PERCENT && space.available_bytes < segment_bytes * SEGMENTS_AHEAD
}

/// How much of a disk is used, in percent, rounded up.
pub fn used_percent(space: Space) -> u64 {
    let used = space.total_bytes.saturating_sub(space.available_bytes);
    (used * 100).div_ceil(space.total_bytes.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_stop_when_the_next_segments_have_no_room() {
        let space = |total_bytes, available_bytes| Space { total_bytes, available_bytes };
        assert!(is_full(space(100 << 30, 1 << 30), 1 << 30));
        assert!(!is_full(space(100 << 30, 20 << 30), 1 << 30));
        assert!(!is_full(space(10 << 40, 500 << 30), 1 << 30));
        assert!(is_full(space(100, 0), 64));
    }

    #[test]
    fn use_of_the_disk_is_rounded_up() {
        assert_eq!(used_percent(Space { total_bytes: 1_000, available_bytes: 749 }), 26);
        assert_eq!(used_percent(Space { total_bytes: 0, available_bytes: 0 }), 0);
    }
}
