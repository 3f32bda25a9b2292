//! The tables as sections of a checkpoint, one each.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde::{Deserialize, Serialize};
use store::codec::Record;
use store::{SectionWriter, Sections};

use super::shared::Shared;
use super::tables::QueueOffsets;
use super::{GroupConfig, Locks, RequestMode, Tables, TopicConfig, Version};

/// What takes sections: the file of a checkpoint, or a fingerprint.
pub trait Sink {
    /// Takes one table.
    ///
    /// # Errors
    /// If it cannot.
    fn put<R: Record>(&mut self, table: &R) -> io::Result<()>;
}

impl Sink for SectionWriter {
    fn put<R: Record>(&mut self, table: &R) -> io::Result<()> {
        Self::put(self, table)
    }
}

/// A table's form in a checkpoint: its kind, its name, and what it consists of.
macro_rules! section {
    ($(#[$attribute:meta])* $table:ident, $kind:literal, $name:literal, { $($field:ident: $type:ty),+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub(super) struct $table {
            $(pub(super) $field: $type,)+
        }

        impl Record for $table {
            const KIND: u16 = $kind;
            const NAME: &'static str = $name;
            const BYTES_MAX: usize = 1 << 30;
        }

        impl $table {
            fn of(tables: &Tables) -> Self {
                Self { $($field: tables.$field.clone(),)+ }
            }

            fn into_tables(self, tables: &mut Tables) {
                $(tables.$field = self.$field;)+
            }
        }
    };
}

section!(Topics, 0x0303, "topics", { topics: Shared<BTreeMap<String, TopicConfig>>, topic_version: Version });
section!(Groups, 0x0307, "groups", { groups: Shared<BTreeMap<String, GroupConfig>>, group_version: Version });
section!(Offsets, 0x0308, "consumer-offsets", { offsets: Shared<QueueOffsets>, offset_version: Version });
section!(Resets, 0x0309, "pending-resets", { resets: Shared<QueueOffsets> });
section!(QueueLocks, 0x030a, "queue-locks", { locks: Shared<Locks> });
section!(DelayProgress, 0x030b, "delay-progress", { delay_progress: Shared<BTreeMap<i32, i64>> });
section!(Forbidden, 0x030c, "forbidden", { forbidden: Shared<BTreeMap<String, BTreeSet<String>>> });
section!(#[expect(clippy::zero_sized_map_values, reason = "there is one mode; pop brings the second")] RequestModes, 0x030d, "request-modes", {
    request_modes: Shared<BTreeMap<String, BTreeMap<String, RequestMode>>>
});
section!(Properties, 0x030e, "properties", { properties: Shared<BTreeMap<String, String>> });
section!(Begins, 0x030f, "queue-begins", { begins: Shared<BTreeMap<String, BTreeMap<i32, i64>>> });

impl Tables {
    /// Puts every table.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn put_into(&self, sink: &mut impl Sink) -> io::Result<()> {
        sink.put(&Topics::of(self))?;
        sink.put(&Groups::of(self))?;
        sink.put(&Offsets::of(self))?;
        sink.put(&Resets::of(self))?;
        sink.put(&QueueLocks::of(self))?;
        sink.put(&DelayProgress::of(self))?;
        sink.put(&Forbidden::of(self))?;
        sink.put(&RequestModes::of(self))?;
        sink.put(&Properties::of(self))?;
        sink.put(&Begins::of(self))
    }

    /// Reads what [`Tables::put_into`] put. A table that is not there is empty: the checkpoint is older than it.
    ///
    /// # Errors
    /// If the disk fails, or this build does not read a table's version.
    pub fn read(sections: &Sections) -> io::Result<Self> {
        let mut tables = Self::default();
        if let Some(section) = sections.read::<Topics>()? {
            section.into_tables(&mut tables);
        }
        if let Some(section) = sections.read::<Groups>()? {
            section.into_tables(&mut tables);
        }
        if let Some(section) = sections.read::<Offsets>()? {
            section.into_tables(&mut tables);
        }
        if let Some(section) = sections.read::<Resets>()? {
            section.into_tables(&mut tables);
        }
        if let Some(section) = sections.read::<QueueLocks>()? {
            section.into_tables(&mut tables);
        }
        if let Some(section) = sections.read::<DelayProgress>()? {
            section.into_tables(&mut tables);
        }
        if let Some(section) = sections.read::<Forbidden>()? {
            section.into_tables(&mut tables);
        }
        if let Some(section) = sections.read::<RequestModes>()? {
            section.into_tables(&mut tables);
        }
        if let Some(section) = sections.read::<Properties>()? {
            section.into_tables(&mut tables);
        }
        if let Some(section) = sections.read::<Begins>()? {
            section.into_tables(&mut tables);
        }
        Ok(tables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{filled, golden};

    #[test]
    fn the_bytes_of_the_tables_stay_what_they_are() {
        let tables = filled();
        golden(&[Topics::of(&tables)], &[]);
        golden(&[Groups::of(&tables)], &[]);
        golden(&[Offsets::of(&tables)], &[]);
        golden(&[Resets::of(&tables)], &[]);
        golden(&[QueueLocks::of(&tables)], &[]);
        golden(&[DelayProgress::of(&tables)], &[]);
        golden(&[Forbidden::of(&tables)], &[]);
        golden(&[RequestModes::of(&tables)], &[]);
        golden(&[Properties::of(&tables)], &[]);
        golden(&[Begins::of(&tables)], &[]);
    }
}
