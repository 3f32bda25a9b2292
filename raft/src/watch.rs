//! tokio's watch channel, whose receivers wake in the order in which they began to wait.
//!
//! tokio spreads those who wait over eight lists, and a random number chooses the list. On the one thread of a node that
//! gains nothing, and in a simulation it is a throw of dice that follows from no seed.

use std::sync::Arc;

use openraft::rt::watch::{RecvError, SendError, Watch, WatchReceiver, WatchSender};
use openraft::{OptionalSend, OptionalSync};
use tokio::sync::Notify;
use tokio::sync::watch;

pub(crate) use tokio::sync::watch::Ref;

/// Wakes whoever waits, also when it goes.
#[derive(Clone, Default)]
struct Bell(Arc<Notify>);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.notify_waiters();
    }
}

/// The end that changes the value.
pub(crate) struct Sender<T> {
    // Before the bell, whose last ring tells that it is gone.
    value: watch::Sender<T>,
    bell: Bell,
}

/// An end that follows it.
pub(crate) struct Receiver<T> {
    value: watch::Receiver<T>,
    rings: Arc<Notify>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), bell: self.bell.clone() }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), rings: Arc::clone(&self.rings) }
    }
}

impl<T> Sender<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: watch::Sender::new(value), bell: Bell::default() }
    }

    pub(crate) fn borrow(&self) -> Ref<'_, T> {
        self.value.borrow()
    }

    /// Changes the value; who waits is told if `change` says so.
    pub(crate) fn change_if(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let has_changed = self.value.send_if_modified(change);
        if has_changed {
            self.bell.0.notify_waiters();
        }
        has_changed
    }

    /// Changes the value, and tells who waits.
    pub(crate) fn change(&self, change: impl FnOnce(&mut T)) {
        self.change_if(|value| {
            change(value);
            true
        });
    }

    pub(crate) fn follow(&self) -> Receiver<T> {
        Receiver { value: self.value.subscribe(), rings: Arc::clone(&self.bell.0) }
    }
}

impl<T> Receiver<T> {
    pub(crate) fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.value.borrow_and_update()
    }

    /// Returns when there is a value that was not seen; `false` if none will come.
    pub(crate) async fn changes(&mut self) -> bool {
        loop {
            let ring = self.rings.notified();
            tokio::pin!(ring);
            // From here on no ring is missed.
            ring.as_mut().enable();
            match self.value.has_changed() {
                Ok(false) => ring.await,
                // One value may still be unseen when its sender is gone. Neither is waited for.
                Ok(true) | Err(_) => return self.value.changed().await.is_ok(),
            }
        }
    }
}

/// For openraft.
pub(crate) struct InOrder;

impl Watch for InOrder {
    type Sender<T: OptionalSend + OptionalSync> = Sender<T>;
    type Receiver<T: OptionalSend + OptionalSync> = Receiver<T>;
    type Ref<'a, T: OptionalSend + 'a> = Ref<'a, T>;

    fn channel<T: OptionalSend + OptionalSync>(init: T) -> (Sender<T>, Receiver<T>) {
        let sender = Sender::new(init);
        let receiver = sender.follow();
        (sender, receiver)
    }
}

impl<T: OptionalSend + OptionalSync> WatchSender<InOrder, T> for Sender<T> {
    fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.value.send(value).map_err(|error| SendError(error.0))?;
        self.bell.0.notify_waiters();
        Ok(())
    }

    fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        self.change_if(modify)
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.value.borrow()
    }

    fn subscribe(&self) -> Receiver<T> {
        self.follow()
    }
}

impl<T: OptionalSend + OptionalSync> WatchReceiver<InOrder, T> for Receiver<T> {
    async fn changed(&mut self) -> Result<(), RecvError> {
        if self.changes().await { Ok(()) } else { Err(RecvError(())) }
    }

    fn borrow_watched(&self) -> Ref<'_, T> {
        self.value.borrow()
    }

    fn borrow_and_update(&mut self) -> Ref<'_, T> {
        self.value.borrow_and_update()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn who_waits_longest_wakes_first_and_all_hear_of_the_end() {
        let sender = Sender::new(0);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waiters: Vec<_> = (0..20)
            .map(|number| {
                let (mut receiver, woken) = (sender.follow(), Arc::clone(&woken));
                tokio::spawn(async move {
                    while receiver.changes().await {
                        woken.lock().unwrap().push((number, *receiver.borrow_and_update()));
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        sender.change(|value| *value = 7);
        tokio::task::yield_now().await;
        assert_eq!(*woken.lock().unwrap(), (0..20).map(|number| (number, 7)).collect::<Vec<_>>());
        assert!(!sender.change_if(|_| false));
        let mut late = sender.follow();
        sender.change(|value| *value = 8);
        drop(sender);
        assert!(late.changes().await, "the last value is still unseen");
        assert!(!late.changes().await);
        for waiter in waiters {
            waiter.await.unwrap();
        }
        assert_eq!(woken.lock().unwrap().len(), 40);
    }
}
