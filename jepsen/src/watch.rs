//! Looks at all nodes the whole time, and takes down what they say whenever it changes.

use std::sync::Arc;
use std::time::Duration;

use harness::views::{Role, Status};
use harness::{Cluster, Run, View, node_name};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::history::{Facts, Function, Kind, Named, Process};
use crate::recorder::Recorder;

/// How often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The task that looks. Dropping it ends it.
pub struct Watch {
    views: watch::Receiver<Option<View>>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Starts looking.
    pub fn start(cluster: Arc<Cluster>, recorder: Recorder) -> Self {
        let (tx, views) = watch::channel(None);
        let task = tokio::spawn(run(cluster, recorder, tx));
        Self { views, task }
    }

    /// What was seen last, and what comes.
    pub fn views(&self) -> watch::Receiver<Option<View>> {
        self.views.clone()
    }
}

impl Watch {
    /// Ends the task, and returns when it has let go of the group.
    pub async fn stop(mut self) {
        self.task.abort();
        // The error says that it was aborted.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(cluster: Arc<Cluster>, recorder: Recorder, views: watch::Sender<Option<View>>) {
    let mut seen: Vec<Option<(u64, Role, Option<String>)>> = vec![None; cluster.size()];
    let mut ended = vec![false; cluster.size()];
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let view = cluster.view().await;
        for node in &view.nodes {
            let now_ended = node.run == Run::Ended;
            if now_ended && !ended[node.id] {
                let why = node.status.as_ref().err().map(ToString::to_string);
                let facts = Facts { node: Some(node_name(node.id).into()), error: why, ..Facts::default() };
                recorder.record(Process::Named(Named::Harness), Kind::Info, Function::Exit, facts);
            }
            ended[node.id] = now_ended;
            if let Ok(status) = &node.status {
                let word = (status.term, status.role, status.leader.clone());
                if seen[node.id].as_ref() != Some(&word) {
                    let facts = sighting(status);
                    recorder.record(Process::Named(Named::Watch), Kind::Info, Function::Status, facts);
                    seen[node.id] = Some(word);
                }
            }
        }
        views.send_replace(Some(view));
    }
}

fn sighting(status: &Status) -> Facts {
    Facts {
        node: Some(status.node.as_str().into()),
        term: Some(status.term),
        role: Some(status.role.name().to_owned()),
        leader: status.leader.clone(),
        ..Facts::default()
    }
}
