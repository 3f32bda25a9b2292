//! Reads that may have to wait for a disk: so many at once, however many consumers want old messages.
//!
//! A consumer that reads what was stored long ago must not hold up connections, sends, or consumers of what is new. So the
//! threads of the runtime read only what is in memory for sure, and everything else has its turn here, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, oneshot};

/// Reads at once. More would not make one disk faster, and take the processors from who sends.
const AT_ONCE: usize = 2;
/// Reads that may wait for their turn.
const WAITING_MAX: usize = 100_000;

/// The turns. Clones share them.
#[derive(Clone)]
pub struct Readers {
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

impl Default for Readers {
    fn default() -> Self {
        Self::new(AT_ONCE, WAITING_MAX)
    }
}

impl Readers {
    fn new(at_once: usize, waiting_max: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once)), waiting: Arc::default(), waiting_max }
    }

    /// How many reads are under way or wait for their turn.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place in the queue; `None` if too many wait.
    pub fn place(&self) -> Option<Place> {
        let place = Place { turns: Arc::clone(&self.turns), counted: Counted(Arc::clone(&self.waiting)) };
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        (before < self.waiting_max).then_some(place)
    }

    /// Reads when its turn has come, and returns what was read; `None` if too many wait.
    pub async fn run<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (told, outcome) = oneshot::channel();
        self.place()?.read(move || drop(told.send(read())));
        outcome.await.ok()
    }
}

/// A place in the queue of reads.
pub struct Place {
    turns: Arc<Semaphore>,
    counted: Counted,
}

impl Place {
    /// Does `read` when its turn has come, on a thread that may wait. To be called on the runtime.
    pub fn read(self, read: impl FnOnce() + Send + 'static) {
        let Self { turns, counted } = self;
        tokio::spawn(async move {
            let Ok(turn) = turns.acquire_owned().await else { return };
            let read = move || {
                let _held = (turn, counted); // to the end, whatever becomes of the read
                read();
            };
            // Only the end of the runtime cuts it short.
            let _ = tokio::task::spawn_blocking(read).await;
        });
    }
}

/// One of those that wait.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn so_many_read_at_once_and_the_others_have_their_turn_in_order() {
        let readers = Readers::new(1, 3);
        let (let_go, stuck) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let first = tell.clone();
        readers.place().unwrap().read(move || {
            first.send(0).unwrap();
            let _ = stuck.recv(); // returns when the test lets go
        });
        for number in 1..3 {
            let tell = tell.clone();
            readers.place().unwrap().read(move || tell.send(number).unwrap());
        }
        assert!(readers.place().is_none(), "three wait already");
        let told = tokio::task::spawn_blocking(move || {
            assert_eq!(told.recv_timeout(SOON), Ok(0));
            assert!(told.try_recv().is_err(), "one at a time");
            drop(let_go);
            [told.recv_timeout(SOON).unwrap(), told.recv_timeout(SOON).unwrap()]
        });
        assert_eq!(told.await.unwrap(), [1, 2]);
        let all_done = async {
            while readers.waiting() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, all_done).await.unwrap();
    }
}
