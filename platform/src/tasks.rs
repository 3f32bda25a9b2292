//! Work beside its caller: workers that take jobs from a queue, and single pieces of work that may take long.
//!
//! On a machine they are threads. A simulation runs them as tasks of its one thread, in an order that follows
//! from its seed (`sim::SimTasks`).

use std::future::Future;
use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;

#[cfg(feature = "sim")]
use crate::sim::{SimJobs, SimTasks, SimWorker};
use crate::work::Work;

/// Jobs that a worker takes at once, beside the one it waited for.
const BATCH_MAX: usize = 1024;

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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Sender;
    use std::time::Duration;

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
}
