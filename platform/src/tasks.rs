//! Work beside its caller: workers that take jobs from a queue, single pieces of work that may take long, and the tasks
//! of one owner that end together.
//!
//! On a machine the first two are threads. A simulation runs them as tasks of its one thread, in an order that follows
//! from its seed (`sim::SimTasks`).

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

use crate::rng::{OsRng, RngSource};
#[cfg(feature = "sim")]
use crate::sim::{SimJobs, SimTasks, SimWorker};

/// Jobs that a worker takes at once, beside the one it waited for.
const BATCH_MAX: usize = 1024;

/// What a worker does with the jobs of its queue.
pub trait Work<J>: Send + 'static {
    /// How long it waits for the next job before [`Work::idle`] is called; `None` is for ever.
    fn patience(&mut self) -> Option<Duration>;

    /// Does what the waiting jobs ask for, in order. There is at least one.
    fn take(&mut self, jobs: Vec<J>);

    /// Tells whoever waits for the jobs taken last. Comes right after [`Work::take`]; in a simulation other things may
    /// happen between the two.
    fn tell(&mut self) {}

    /// Nothing came for as long as it was ready to wait.
    fn idle(&mut self) {}
}

/// Who does the work that goes on beside its caller. Cloning is cheap.
#[derive(Clone)]
pub enum Tasks {
    /// Threads of the system's.
    Threads,
    /// Tasks of a simulation.
    #[cfg(feature = "sim")]
    Simulated(SimTasks),
}

impl Tasks {
    /// Starts a worker, and gives the end of its queue that takes jobs: at most `jobs_max` of them may wait, or any
    /// number. The worker does what is in the queue, and ends when no clone of that end is left.
    ///
    /// # Errors
    /// If there are too many threads.
    pub fn start<J: Send + 'static>(
        &self,
        name: &str,
        jobs_max: Option<usize>,
        work: impl Work<J>,
    ) -> io::Result<(Jobs<J>, Worker)> {
        match self {
            Self::Threads => {
                let (jobs, queue) = match jobs_max {
                    Some(jobs_max) => {
                        let (sender, queue) = mpsc::sync_channel(jobs_max);
                        (Jobs::Bounded(sender), queue)
                    }
                    None => {
                        let (sender, queue) = mpsc::channel();
                        (Jobs::Unbounded(sender), queue)
                    }
                };
                let thread = thread::Builder::new().name(name.into()).spawn(move || run(work, &queue))?;
                Ok((jobs, Worker(WorkerKind::Thread(thread))))
            }
            #[cfg(feature = "sim")]
            Self::Simulated(tasks) => {
                let (jobs, worker) = tasks.start(jobs_max, work);
                Ok((Jobs::Simulated(jobs), Worker(WorkerKind::Simulated(worker))))
            }
        }
    }

    /// Begins something that may take long, and gives its outcome. It goes on if nobody waits for it. Must be called
    /// inside a runtime.
    ///
    /// # Errors
    /// As `work` says, or that it panicked.
    pub fn off_thread<T, F>(&self, work: F) -> impl Future<Output = io::Result<T>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> io::Result<T> + Send + 'static,
    {
        let running = match self {
            Self::Threads => tokio::task::spawn_blocking(work),
            #[cfg(feature = "sim")]
            Self::Simulated(tasks) => tasks.later(work),
        };
        async move { running.await.map_err(io::Error::other)? }
    }
}

/// The end of a worker's queue that takes jobs.
pub enum Jobs<J> {
    /// Of a thread; a job waits while the queue is full.
    Bounded(SyncSender<J>),
    /// Of a thread.
    Unbounded(mpsc::Sender<J>),
    /// Of a simulation.
    #[cfg(feature = "sim")]
    Simulated(SimJobs<J>),
}

impl<J> Clone for Jobs<J> {
    fn clone(&self) -> Self {
        match self {
            Self::Bounded(sender) => Self::Bounded(sender.clone()),
            Self::Unbounded(sender) => Self::Unbounded(sender.clone()),
            #[cfg(feature = "sim")]
            Self::Simulated(jobs) => Self::Simulated(jobs.clone()),
        }
    }
}

impl<J: 'static> Jobs<J> {
    /// Puts a job into the queue, once there is room. Returns whether the worker is still there to do it.
    pub fn send(&self, job: J) -> bool {
        match self {
            Self::Bounded(sender) => sender.send(job).is_ok(),
            Self::Unbounded(sender) => sender.send(job).is_ok(),
            #[cfg(feature = "sim")]
            Self::Simulated(jobs) => jobs.send(job),
        }
    }

    /// Puts a job into the queue if there is room for it; returns whether there was.
    pub fn try_send(&self, job: J) -> bool {
        match self {
            Self::Bounded(sender) => match sender.try_send(job) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            },
            Self::Unbounded(sender) => sender.send(job).is_ok(),
            #[cfg(feature = "sim")]
            Self::Simulated(jobs) => jobs.try_send(job),
        }
    }

    /// Whoever called is about to wait, on this thread, for what is in the queue. A thread gets to it by itself; in a
    /// simulation all of it is done on return.
    pub fn hurry(&self) {
        #[cfg(feature = "sim")]
        if let Self::Simulated(jobs) = self {
            jobs.hurry();
        }
    }
}

/// A running worker. Dropped, it goes on until its queue has ended.
pub struct Worker(WorkerKind);

enum WorkerKind {
    Thread(thread::JoinHandle<()>),
    #[cfg(feature = "sim")]
    Simulated(SimWorker),
}

impl Worker {
    /// Waits until it has ended, which takes that all clones of its [`Jobs`] are gone. Returns whether it did so in
    /// order, and not by a panic.
    pub fn join(self) -> bool {
        match self.0 {
            WorkerKind::Thread(thread) => thread.join().is_ok(),
            #[cfg(feature = "sim")]
            WorkerKind::Simulated(worker) => worker.join(),
        }
    }
}

fn run<J>(mut work: impl Work<J>, queue: &Receiver<J>) {
    loop {
        let next = match work.patience() {
            None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(patience) => queue.recv_timeout(patience),
        };
        match next {
            Ok(first) => {
                let mut jobs = vec![first];
                jobs.extend(queue.try_iter().take(BATCH_MAX));
                work.take(jobs);
                work.tell();
            }
            Err(RecvTimeoutError::Timeout) => work.idle(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

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
    use std::sync::mpsc::Sender;

    use rand::SeedableRng;

    use super::*;

    /// Tells what it takes, and when it is idle.
    struct Echo {
        heard: Sender<Vec<u32>>,
        patience: Option<Duration>,
    }

    impl Work<u32> for Echo {
        fn patience(&mut self) -> Option<Duration> {
            self.patience.take()
        }

        fn take(&mut self, jobs: Vec<u32>) {
            let _ = self.heard.send(jobs);
        }

        fn idle(&mut self) {
            let _ = self.heard.send(Vec::new());
        }
    }

    #[test]
    fn a_worker_does_what_is_queued_and_ends_with_its_queue() {
        for jobs_max in [Some(1), None] {
            let (heard, told) = mpsc::channel();
            let work = Echo { heard, patience: Some(Duration::from_millis(1)) };
            let (jobs, worker) = Tasks::Threads.start("echo", jobs_max, work).unwrap();
            assert_eq!(told.recv().unwrap(), Vec::<u32>::new(), "nothing came within its patience");
            for job in 0..100 {
                assert!(jobs.send(job));
            }
            drop(jobs);
            assert!(worker.join());
            assert_eq!(told.iter().flatten().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
        }
    }

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
