//! What a worker does, on a thread or in a simulation.

use std::time::Duration;

/// What a worker does with the jobs of its queue.
pub trait Work<J>: Send + 'static {
    /// How long it waits for the next job before [`Work::idle`] is called; `None` is forever.
    fn patience(&mut self) -> Option<Duration>;

    /// Does what the waiting jobs ask for, in order. There is at least one.
    fn take(&mut self, jobs: Vec<J>);

    /// Tells whoever waits for the jobs taken last. Comes right after [`Work::take`]; in a simulation other things may
    /// happen between the two.
    fn tell(&mut self) {}

    /// Nothing came for as long as it was ready to wait.
    fn idle(&mut self) {}
}
