//! Committed entries into what readers see: consume queues, key index, tables, and the pulls that wait.
//!
//! Runs on the raft node's thread, in log order, each entry once since the checkpoint. Nothing here waits for a
//! disk: queues and index gather what they are given in memory, and are written out by `housekeeping/write_out.rs` and by
//! whoever writes a checkpoint. If the disk does not take it, sends are refused past a bound (`Group::is_disk_full`).

use std::sync::{Arc, RwLock};

use bytes::Bytes;
use protocol::message::MessageView;
use raft::{Apply, ApplyError, Halt, Reply, WriteSections};
use store::codec;
use store::{
    Checkpoint, CommitlogOffset, DispatchError, EntryKind, KeyIndex, LogReader, QueueOffset, Queues,
    SealState, SectionWriter, StoredEntry,
};
use tokio::sync::{mpsc, watch};
use tracing::{error, warn};

use crate::config::LiveConfig;
use crate::delay;
use crate::pull::held::HeldPull;
use crate::pull::long_poll::LongPolls;
use crate::state::{Change, Effect, LevelDelivered, Outcome, Tables};

/// What applying tells the rest of the broker.
#[derive(Clone)]
pub struct Signals {
    /// Pulls whose message has come.
    pub woken: mpsc::UnboundedSender<HeldPull>,
    /// Counts the changes of the topic table.
    pub topics_changed: watch::Sender<u64>,
    /// Takes up properties that were set.
    pub live: Arc<LiveConfig>,
}

/// The broker's side of the replicated log.
pub struct BrokerApply {
    /// Consume queues, built here and nowhere else.
    queues: Arc<Queues>,
    /// Key index, built here and nowhere else.
    index: Arc<KeyIndex>,
    /// Replicated tables, changed here and nowhere else.
    tables: Arc<RwLock<Tables>>,
    /// Pulls that wait.
    holds: Arc<LongPolls<HeldPull>>,
    /// Whom to tell.
    signals: Signals,
}

impl BrokerApply {
    /// Applies into these parts, which others read.
    pub fn new(
        queues: Arc<Queues>,
        index: Arc<KeyIndex>,
        tables: Arc<RwLock<Tables>>,
        holds: Arc<LongPolls<HeldPull>>,
        signals: Signals,
    ) -> Self {
        Self { queues, index, tables, holds, signals }
    }

    /// Units and effects of one entry, each proposal's effects before its units. All effects are checked before anything
    /// of the entry can be seen.
    fn take_in(&self, entry: &StoredEntry) -> Result<Reply, Halt> {
        let (old, effects) = (old_deliveries(entry)?, effects_of(entry)?);
        {
            let delivered = effects.iter().filter_map(|(_, effect)| match effect {
                Effect::LevelDelivered(delivered) => Some(delivered),
                Effect::Change(_) => None,
            });
            let tables = self.tables.read().expect("nothing panics while it holds this lock");
            tables.check_deliveries(old.iter().chain(delivered)).map_err(Halt::Entry)?;
        }
        let mut units = Vec::with_capacity(entry.head.unit_count as usize);
        let mut values = Vec::with_capacity(effects.len());
        let mut effects = effects.into_iter().peekable();
        let mut take_effects = |upto: usize| {
            while let Some((_, effect)) = effects.next_if(|(first_unit, _)| *first_unit as usize <= upto) {
                values.push(self.take_effect(&effect, entry.head.log_index));
            }
        };
        take_effects(0);
        self.take_delivered(&old);
        let each = &mut |unit: &MessageView<'_>, queue_offset: QueueOffset, offset: CommitlogOffset| {
            units.push((queue_offset.0, offset.0));
            self.wake(unit, queue_offset);
            take_effects(units.len());
        };
        if entry.head.unit_count > 0 {
            let dispatched = store::dispatch_units(entry, &self.queues, &self.index, each);
            // A queue that cannot take a committed unit would hide it from every consumer.
            dispatched.map_err(|error| match error {
                DispatchError::Unit { .. } | DispatchError::Place { .. } => Halt::Entry(error.to_string()),
                DispatchError::Io(_) | DispatchError::Log(_) => Halt::Disk(error.to_string()),
            })?;
        }
        Ok(Reply { units, values })
    }

    fn wake(&self, unit: &MessageView<'_>, queue_offset: QueueOffset) {
        if self.holds.is_empty() {
            return;
        }
        for pull in self.holds.arrived(unit.topic, unit.queue_id, queue_offset.0 as i64, unit.tag_hash()) {
            // The receiver goes only when the broker stops.
            let _ = self.signals.woken.send(pull);
        }
    }

    fn take_delivered(&self, delivered: &[LevelDelivered]) {
        if delivered.is_empty() {
            return;
        }
        let mut tables = self.tables.write().expect("nothing panics while it holds this lock");
        for delivered in delivered {
            tables.take_delivered(delivered);
        }
    }

    /// What the proposer is told of it.
    fn take_effect(&self, effect: &Effect, log_index: u64) -> Bytes {
        match effect {
            Effect::LevelDelivered(delivered) => {
                self.take_delivered(std::slice::from_ref(delivered));
                Bytes::new()
            }
            Effect::Change(change) => {
                let outcome = self.change(change);
                // Nothing for the proposer is not an outcome either: it says that it does not know.
                let value = codec::encode(&outcome)
                    .inspect_err(|error| error!(log_index, %error, "outcome not told"));
                Bytes::from(value.unwrap_or_default())
            }
        }
    }

    fn change(&self, change: &Change) -> Outcome {
        let outcome = self.tables.write().expect("nothing panics while it holds this lock").apply(change);
        if let Change::DeleteTopic { topic, .. } = change {
            self.end_queues(topic);
        }
        if matches!(change, Change::SetProperties { .. }) && outcome == (Outcome::Done { changed: true }) {
            self.refresh_properties();
        }
        if matches!(change, Change::PutTopics { .. } | Change::DeleteTopic { .. }) {
            self.signals.topics_changed.send_modify(|count| *count += 1);
        }
        outcome
    }

    /// The queues of a deleted topic are empty now, and go on where they are if the topic comes back.
    fn end_queues(&self, topic: &str) {
        let ends = self.queues.seal_state().queue_ends;
        let ends = ends.into_iter().filter(|(name, ..)| name == topic);
        let ends: Vec<_> = ends.map(|(_, queue_id, end)| (queue_id as i32, end as i64)).collect();
        self.tables.write().expect("nothing panics while it holds this lock").note_begins(topic, ends);
        self.queues.drop_topic(topic);
    }

    /// They may hold a permission, which name servers are told with the topics.
    fn refresh_properties(&self) {
        let tables = self.tables.read().expect("nothing panics while it holds this lock");
        self.signals.live.refresh(tables.properties());
        self.signals.topics_changed.send_modify(|count| *count += 1);
    }

    fn set_tables(&self, tables: Tables) {
        *self.tables.write().expect("nothing panics while it holds this lock") = tables;
        self.refresh_properties();
    }

    fn clear(&self) -> Result<(), ApplyError> {
        self.queues.clear().map_err(ApplyError::new)?;
        self.index.clear().map_err(ApplyError::new)
    }
}

/// What units of an entry deliver in the form from before there were effects. One that was proposed just before the
/// group's level rose may be in an entry with effects.
fn old_deliveries(entry: &StoredEntry) -> Result<Vec<LevelDelivered>, Halt> {
    let units = entry.units().map_err(|error| Halt::Entry(error.to_string()))?;
    delay::old_form::deliveries(&units).map_err(|error| Halt::Entry(error.to_string()))
}

/// The effects of an entry, and before which of its units each comes.
fn effects_of(entry: &StoredEntry) -> Result<Vec<(u32, Effect)>, Halt> {
    let mut effects = Vec::new();
    for effect in entry.effects().map_err(|error| Halt::Entry(error.to_string()))? {
        // A later build wrote it: this one must not guess, and nodes that left it out would differ for ever.
        let read = Effect::read(&effect.record)
            .map_err(|error| Halt::Entry(format!("the command is not understood: {error}")))?;
        if let Effect::LevelDelivered(delivered) = &read
            && delivered.count != effect.unit_count
        {
            return Err(Halt::Entry(format!(
                "it delivers {} delayed messages of level {}, and has {} units for them",
                delivered.count, delivered.level, effect.unit_count
            )));
        }
        effects.push((effect.first_unit, read));
    }
    Ok(effects)
}

impl Apply for BrokerApply {
    fn apply(&mut self, entry: &StoredEntry) -> Result<Reply, Halt> {
        match entry.head.kind {
            EntryKind::Units | EntryKind::Command => self.take_in(entry),
            EntryKind::Blank | EntryKind::Membership | EntryKind::Group => Ok(Reply::default()),
        }
    }

    fn can_take_damaged(&self, entry: &StoredEntry) -> bool {
        // What an entry changes besides its messages must be certain.
        effects_of(entry).is_ok_and(|effects| effects.is_empty())
            && old_deliveries(entry).is_ok_and(|delivered| delivered.is_empty())
            && store::is_placed(entry, &self.queues)
    }

    fn checkpoint(&mut self) -> (SealState, WriteSections) {
        let tables = self.tables.read().expect("nothing panics while it holds this lock").clone();
        let queues = Arc::clone(&self.queues);
        let write = move |sections: &mut SectionWriter| {
            // Not on this thread. A restart expects them in files, and else builds them from the log.
            if let Err(error) = queues.write_out() {
                warn!(%error, "consume queues not written out at a checkpoint");
            }
            tables.put_into(sections)
        };
        (self.queues.seal_state(), Box::new(write))
    }

    fn restore(&mut self, checkpoint: Option<&Checkpoint>, log: &LogReader) -> Result<(), ApplyError> {
        let Some(checkpoint) = checkpoint else {
            self.clear()?;
            self.set_tables(Tables::default());
            return Ok(());
        };
        let tables = Tables::read(&checkpoint.sections).map_err(ApplyError::new)?;
        match store::restore(log, checkpoint, &self.queues, &self.index) {
            Ok(()) => {}
            Err(DispatchError::Log(error)) if error.is_damage() => {
                // Half of them would look like all.
                self.clear()?;
                return Err(ApplyError::damage(error));
            }
            Err(error) => return Err(ApplyError::new(error)),
        }
        // What lies before was deleted with its topic; files may still have it.
        for (topic, queue_id, begin) in tables.begins() {
            self.queues.begin_at(topic, queue_id as u32, QueueOffset(begin as u64));
        }
        self.set_tables(tables);
        Ok(())
    }

    fn install(&mut self, checkpoint: &Checkpoint) -> Result<(), ApplyError> {
        let tables = Tables::read(&checkpoint.sections).map_err(ApplyError::new)?;
        self.clear()?;
        for (topic, queue_id, next) in &checkpoint.seal.queue_ends {
            self.queues.reset_queue(topic, *queue_id, QueueOffset(*next)).map_err(ApplyError::new)?;
        }
        self.queues.note_store_timestamp(checkpoint.seal.last_store_timestamp_ms);
        self.set_tables(tables);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::unit;
