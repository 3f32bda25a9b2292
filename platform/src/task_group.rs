//! The tasks of one owner on a runtime that others use too: they end together, and draw from one generator.

use std::cell::Cell;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use rand::Rng;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

use crate::rng::{OsRng, RngSource};

tokio::task_local! {
    static GROUP: TaskGroup;
}

/// Tasks of one owner on a runtime that others use too. What a task of the group spawns through this module belongs to
/// the group. Cloning is cheap.
#[derive(Clone)]
pub struct TaskGroup(Arc<Group>);

struct Group {
    tasks: Mutex<Vec<AbortHandle>>,
    rng: Mutex<StdRng>,
    /// Every task holds a clone; `None` once the group has ended.
    alive: Mutex<Option<tokio::sync::mpsc::Sender<()>>>,
    all_gone: tokio::sync::Mutex<tokio::sync::mpsc::Receiver<()>>,
}

impl TaskGroup {
    /// An empty group. What [`draw_seed`] gives inside it comes from `rng`.
    pub fn new(rng: StdRng) -> Self {
        let (alive, all_gone) = tokio::sync::mpsc::channel(1);
        Self(Arc::new(Group {
            tasks: Mutex::default(),
            rng: Mutex::new(rng),
            alive: Mutex::new(Some(alive)),
            all_gone: tokio::sync::Mutex::new(all_gone),
        }))
    }

    /// Runs `future` here, as part of the group.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        GROUP.scope(self.clone(), future).await
    }

    /// Spawns a task of the group.
    pub fn spawn<F>(&self, on: &Handle, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let is_late = self.0.alive.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        let task = on.spawn(self.counted(future));
        if is_late {
            task.abort();
        }
        let mut tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.len() == tasks.capacity() {
            tasks.retain(|task| !task.is_finished()); // before it grows, so that it grows with those that run
        }
        tasks.push(task.abort_handle());
        task
    }

    /// Ends all tasks where they stand. Returns when nothing of them is left, nor of what they owned.
    pub async fn end(&self) {
        drop(self.0.alive.lock().unwrap_or_else(PoisonError::into_inner).take());
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
        }
        let _ = self.0.all_gone.lock().await.recv().await; // nothing is ever sent
    }

    /// The group does not end before `future` is gone.
    fn counted<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let alive = self.0.alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
        GROUP.scope(self.clone(), async move {
            let _alive = alive;
            future.await
        })
    }

    fn current() -> Option<Self> {
        GROUP.try_with(Clone::clone).ok()
    }
}

/// Spawns a task on the current runtime, in the group that the caller belongs to, if it belongs to one.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match TaskGroup::current() {
        Some(group) => group.spawn(&Handle::current(), future),
        None => tokio::spawn(future),
    }
}

/// The future, for an owner that spawns and ends it by itself: what it spawns through this module belongs to the caller's
/// group, if there is one, and that does not end before the future is gone.
pub fn of_group<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
    let group = TaskGroup::current();
    async move {
        match group {
            Some(group) => group.counted(future).await,
            None => future.await,
        }
    }
}

/// Spawns tasks from elsewhere.
#[derive(Clone)]
pub struct Spawner {
    runtime: Handle,
    group: Option<TaskGroup>,
}

impl Spawner {
    /// Spawns as [`spawn`] would here.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn here() -> Self {
        Self { runtime: Handle::current(), group: TaskGroup::current() }
    }

    /// Spawns a task.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match &self.group {
            Some(group) => group.spawn(&self.runtime, future),
            None => self.runtime.spawn(future),
        }
    }
}

/// A seed for a random number generator: of the caller's group, if it belongs to one, else of the system.
pub fn draw_seed() -> u64 {
    thread_local! {
        static RNG: Cell<Option<Box<StdRng>>> = const { Cell::new(None) };
    }
    if let Some(group) = TaskGroup::current() {
        return group.0.rng.lock().unwrap_or_else(PoisonError::into_inner).random();
    }
    RNG.with(|cell| {
        let mut rng = cell.take().unwrap_or_else(|| Box::new(OsRng.rng("seeds")));
        let seed = rng.random();
        cell.set(Some(rng));
        seed
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[tokio::test]
    async fn what_a_group_spawned_ends_with_it() {
        let group = TaskGroup::new(StdRng::seed_from_u64(7));
        let owned = Arc::new(());
        let inner = Arc::clone(&owned);
        let (running, has_begun) = tokio::sync::oneshot::channel();
        group
            .run(async {
                spawn(async move {
                    spawn(async move {
                        let _ = running.send(());
                        std::future::pending::<()>().await;
                        drop(inner);
                    });
                    std::future::pending::<()>().await;
                });
            })
            .await;
        has_begun.await.unwrap();
        assert_eq!(Arc::strong_count(&owned), 2);
        group.end().await;
        assert_eq!(Arc::strong_count(&owned), 1);
        let late = group.spawn(&Handle::current(), std::future::pending::<()>());
        assert!(late.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn seeds_of_a_group_follow_from_its_own() {
        let draw = || async {
            let group = TaskGroup::new(StdRng::seed_from_u64(7));
            group.run(async { (draw_seed(), spawn(async { draw_seed() }).await.unwrap()) }).await
        };
        assert_eq!(draw().await, draw().await);
        assert_ne!(draw_seed(), draw_seed());
    }
}
