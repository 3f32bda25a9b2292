//! openraft's own storage suite over the real log, and what it does not ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use platform::Platform;
use store::{Checkpoint, LogReader, SealState, StoredEntry};
use tempfile::TempDir;
use tokio::sync::watch;

use crate::apply::{Apply, ApplyError, Halt, Reply, WriteSections};
use crate::checkpoints::CheckpointWriter;
use crate::config::NodeConfig;
use crate::files::Files;
use crate::log_store::LogStore;
use crate::state_machine::{Chosen, StateMachine};
use crate::told::Told;
use crate::types::Types;

struct Nothing;

impl Apply for Nothing {
    fn apply(&mut self, _entry: &StoredEntry) -> Result<Reply, Halt> {
        Ok(Reply::default())
    }

    fn checkpoint(&mut self) -> (SealState, WriteSections) {
        (SealState::default(), Box::new(|_| Ok(())))
    }

    fn restore(&mut self, _checkpoint: Option<&Checkpoint>, _log: &LogReader) -> Result<(), ApplyError> {
        Ok(())
    }

    fn install(&mut self, _checkpoint: &Checkpoint) -> Result<(), ApplyError> {
        Ok(())
    }
}

struct Builder;

impl StoreBuilder<Types, LogStore, StateMachine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let mut config =
            NodeConfig::new("suite", 1, BTreeMap::new(), "127.0.0.1:0".parse().unwrap(), dir.path());
        config.segment_bytes = 1 << 20;
        let (files, recovery) = Files::open(&config, &Platform::os()).unwrap();
        let (writer, _thread) =
            CheckpointWriter::start(files.tasks(), Arc::clone(&files), Told::default()).unwrap();
        let machine = StateMachine::new(
            Box::new(Nothing),
            Arc::clone(&files),
            recovery.checkpoint,
            Chosen::default(),
            writer,
            watch::Sender::new(None),
        )
        .unwrap();
        Ok((dir, LogStore::new(files), machine))
    }
}

#[tokio::test]
async fn the_storage_suite_passes_on_the_real_log() {
    Suite::test_all(Builder).await.unwrap();
}

/// See [`store::codec::golden::check`].
#[track_caller]
pub(crate) fn golden<R: store::codec::Record + PartialEq + std::fmt::Debug>(
    newest: &[R],
    old: &[(u16, &[R])],
) {
    let dir = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata"));
    store::codec::golden::check(dir, newest, old);
}
