//! The loads. `log`: unique messages to the queues of some topics, and consumers that read them back. `offsets`:
//! consumer offsets in those queues. `delay`: messages that are to come later. `leader`: questions for the leader.

mod clients;
mod delay;
mod drain;
mod leader;
mod offsets;
mod poller;
mod sender;

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::scenario::{Workload, WorkloadKind};

pub use clients::{Clients, Switches};
pub use delay::{finish as finish_delayed, wait_for_all as wait_for_delayed};
pub use drain::{drain, send_sentinels};
pub use leader::finish as finish_leader;
pub use offsets::read_all as read_all_offsets;

/// The running senders and consumers.
pub struct Load {
    switches: Arc<Switches>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts the loads; whoever changes something is held until told to send.
    pub fn start(clients: &Clients, loads: &[Workload]) -> Self {
        let switches = Arc::new(Switches::default());
        let mut tasks = JoinSet::new();
        for spec in loads {
            let clients = clients.with(spec);
            match spec.kind {
                WorkloadKind::Log => {
                    for number in 0..spec.concurrency {
                        tasks.spawn(sender::run(clients.clone(), switches.clone(), number));
                    }
                    for group in 0..spec.groups {
                        for queue in clients.queues.iter() {
                            tasks.spawn(poller::run(clients.clone(), switches.clone(), group, queue.clone()));
                        }
                    }
                }
                WorkloadKind::Offsets => offsets::start(&clients, &switches, &mut tasks),
                WorkloadKind::Leader => leader::start(&clients, &switches, &mut tasks),
                WorkloadKind::Delay => delay::start(&clients, &switches, &mut tasks),
            }
        }
        Self { switches, tasks }
    }

    /// Lets the senders send, or holds them.
    pub fn send(&self, on: bool) {
        self.switches.send(on);
    }

    /// Ends all clients, each after the operation it has under way.
    pub async fn stop(mut self) {
        self.switches.stop();
        while self.tasks.join_next().await.is_some() {}
    }
}
