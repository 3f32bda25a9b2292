//! Workers as tasks of the simulation's one thread.
//!
//! A job is taken some simulated time after it was queued, and whoever waits for it is told some time after that, so that
//! whatever can happen between a write, its sync and the news of it does happen under some seed.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::task_group;
use crate::work::Work;

/// The workers of one simulated machine. Clones are the same machine's.
#[derive(Clone)]
pub struct SimTasks(Arc<Machine>);

struct Machine {
    rng: Mutex<StdRng>,
    is_off: AtomicBool,
    /// A step mostly takes less than this, in milliseconds.
    step_ms_max: u64,
}

/// One step in so many takes a hundred times as long as others.
const SLOW_ONE_IN: u32 = 200;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimTasks {
    /// Workers whose steps mostly take up to `step_ms_max` milliseconds, as `rng` has it.
    pub fn new(rng: StdRng, step_ms_max: u64) -> Self {
        Self(Arc::new(Machine { rng: Mutex::new(rng), is_off: AtomicBool::new(false), step_ms_max }))
    }

    /// The process ends: no worker of it does anything any more, and nobody is told anything.
    pub fn stop(&self) {
        self.0.is_off.store(true, Ordering::Relaxed);
    }

    fn is_off(&self) -> bool {
        self.0.is_off.load(Ordering::Relaxed)
    }

    async fn step(&self) {
        let ms = {
            let mut rng = lock(&self.0.rng);
            let ms = rng.random_range(0..=self.0.step_ms_max);
            if rng.random_ratio(1, SLOW_ONE_IN) { ms * 100 } else { ms }
        };
        match ms {
            0 => tokio::task::yield_now().await,
            ms => sleep(Duration::from_millis(ms)).await,
        }
    }

    pub(crate) fn later<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> JoinHandle<io::Result<T>> {
        let machine = self.clone();
        task_group::spawn(async move {
            machine.step().await;
            if machine.is_off() { Err(io::Error::other("the machine is off")) } else { work() }
        })
    }

    pub(crate) fn start<J: Send + 'static>(
        &self,
        jobs_max: Option<usize>,
        work: impl Work<J>,
    ) -> (SimJobs<J>, SimWorker) {
        let desk = Arc::new(Desk {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                work: Some(Box::new(work)),
                has_untold: false,
                has_ended: false,
            }),
            news: Notify::new(),
            machine: self.clone(),
            jobs_max: jobs_max.unwrap_or(usize::MAX),
        });
        let task = task_group::spawn(run(Arc::downgrade(&desk)));
        let end: Arc<dyn End> = Arc::clone(&desk) as Arc<dyn End>;
        let jobs = SimJobs(Arc::new(Queue { desk }));
        (jobs, SimWorker { end, task })
    }
}

/// What a worker, its task and its queue have in common.
struct Desk<J> {
    state: Mutex<State<J>>,
    news: Notify,
    machine: SimTasks,
    jobs_max: usize,
}

struct State<J> {
    queue: VecDeque<J>,
    work: Option<Box<dyn Work<J>>>,
    /// Jobs were taken, and nobody was told yet.
    has_untold: bool,
    /// No more jobs come.
    has_ended: bool,
}

impl<J: 'static> State<J> {
    fn tell(&mut self) {
        if std::mem::take(&mut self.has_untold)
            && let Some(work) = &mut self.work
        {
            work.tell();
        }
    }

    fn take(&mut self) {
        self.tell();
        let jobs = Vec::from(std::mem::take(&mut self.queue));
        if let Some(work) = self.work.as_mut().filter(|_| !jobs.is_empty()) {
            work.take(jobs);
            self.has_untold = true;
        }
    }
}

impl<J: 'static> Desk<J> {
    fn hurry(&self) {
        if self.machine.is_off() {
            return;
        }
        let mut state = lock(&self.state);
        state.take();
        state.tell();
    }
}

async fn run<J: Send + 'static>(desk: Weak<Desk<J>>) {
    loop {
        let Some(at) = desk.upgrade() else { return };
        if at.machine.is_off() {
            return;
        }
        let (is_empty, has_ended, patience) = {
            let mut state = lock(&at.state);
            let patience = state.work.as_mut().and_then(|work| work.patience());
            (state.queue.is_empty(), state.has_ended, patience)
        };
        match (is_empty, has_ended, patience) {
            (true, true, _) => return,
            (true, false, None) => {
                at.news.notified().await;
                continue;
            }
            (true, false, Some(patience)) => {
                if timeout(patience, at.news.notified()).await.is_ok() {
                    continue;
                }
            }
            (false, ..) => {}
        }
        at.machine.step().await;
        if at.machine.is_off() {
            return;
        }
        {
            let mut state = lock(&at.state);
            let state = &mut *state;
            match &mut state.work {
                Some(work) if state.queue.is_empty() && is_empty => work.idle(),
                _ => state.take(),
            }
        }
        at.machine.step().await;
        if at.machine.is_off() {
            return;
        }
        lock(&at.state).tell();
    }
}

/// The end of a simulated worker's queue that takes jobs.
pub struct SimJobs<J>(Arc<Queue<J>>);

impl<J> Clone for SimJobs<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Queue<J> {
    desk: Arc<Desk<J>>,
}

impl<J> Drop for Queue<J> {
    fn drop(&mut self) {
        lock(&self.desk.state).has_ended = true;
        self.desk.news.notify_one();
    }
}

impl<J: 'static> SimJobs<J> {
    /// A full queue is worked off, since its owner would wait for that.
    pub(crate) fn send(&self, job: J) -> bool {
        let is_full = lock(&self.0.desk.state).queue.len() >= self.0.desk.jobs_max;
        if is_full {
            self.0.desk.hurry();
        }
        lock(&self.0.desk.state).queue.push_back(job);
        self.0.desk.news.notify_one();
        true
    }

    pub(crate) fn try_send(&self, job: J) -> bool {
        let mut state = lock(&self.0.desk.state);
        let has_room = state.queue.len() < self.0.desk.jobs_max;
        if has_room {
            state.queue.push_back(job);
            self.0.desk.news.notify_one();
        }
        has_room
    }

    pub(crate) fn hurry(&self) {
        self.0.desk.hurry();
    }
}

/// Ends a worker, whatever its jobs are.
trait End: Send + Sync {
    fn end(&self);
}

impl<J: Send + 'static> End for Desk<J> {
    fn end(&self) {
        self.hurry();
        // Dropped without the lock: what the work owns may hold the other end of another queue.
        let work = lock(&self.state).work.take();
        drop(work);
    }
}

/// A running simulated worker.
pub struct SimWorker {
    end: Arc<dyn End>,
    task: JoinHandle<()>,
}

impl SimWorker {
    /// What is queued is done on return, unless the machine is off.
    pub(crate) fn join(self) -> bool {
        self.end.end();
        self.task.abort();
        true
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// What was taken, and how much of it was told.
    #[derive(Default)]
    struct Seen {
        taken: Vec<u32>,
        told: usize,
    }

    struct Recorder(Arc<Mutex<Seen>>);

    impl Work<u32> for Recorder {
        fn patience(&mut self) -> Option<Duration> {
            None
        }

        fn take(&mut self, jobs: Vec<u32>) {
            lock(&self.0).taken.extend(jobs);
        }

        fn tell(&mut self) {
            let mut seen = lock(&self.0);
            seen.told = seen.taken.len();
        }
    }

    fn start(seed: u64) -> (SimTasks, Arc<Mutex<Seen>>, SimJobs<u32>, SimWorker) {
        let tasks = SimTasks::new(StdRng::seed_from_u64(seed), 3);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (jobs, worker) = tasks.start(Some(4), Recorder(Arc::clone(&seen)));
        (tasks, seen, jobs, worker)
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_are_done_in_order_and_told_later() {
        let mut was_between = false;
        for seed in 0..20 {
            println!("seed {seed}");
            let (_tasks, seen, jobs, worker) = start(seed);
            for job in 0..100 {
                jobs.send(job);
                sleep(Duration::from_millis(1)).await;
                let seen = lock(&seen);
                was_between |= seen.told < seen.taken.len();
            }
            drop(jobs);
            assert!(worker.join());
            assert_eq!(lock(&seen).taken, (0..100).collect::<Vec<_>>());
            assert_eq!(lock(&seen).told, 100);
        }
        assert!(was_between, "nothing ever happened between a job and the news of it");
    }
}
