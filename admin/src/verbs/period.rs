//! From when to when messages were stored: what operators write, and what is asked for.

use anyhow::bail;
use client::TimeRange;

use crate::context::Context;
use crate::time;

/// Store times, milliseconds since the epoch, both inclusive.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) begin_ms: Option<i64>,
    pub(super) end_ms: Option<i64>,
}

impl Range {
    /// Reads what an operator wrote.
    ///
    /// # Errors
    /// If one is not a time, or the end is before the beginning.
    pub(super) fn read(context: &Context, begin: Option<&str>, end: Option<&str>) -> anyhow::Result<Self> {
        let now_ms = context.now_ms();
        let read = |text: Option<&str>| text.map(|text| time::parse(text, now_ms)).transpose();
        let range = Self { begin_ms: read(begin)?, end_ms: read(end)? };
        if let (Some(begin_ms), Some(end_ms)) = (range.begin_ms, range.end_ms)
            && begin_ms > end_ms
        {
            bail!("the end {} is before the beginning {}", time::text(end_ms), time::text(begin_ms));
        }
        Ok(range)
    }
}

impl From<Range> for TimeRange {
    fn from(range: Range) -> Self {
        Self { from_ms: range.begin_ms.unwrap_or(0), to_ms: range.end_ms.unwrap_or(i64::MAX) }
    }
}

/// The flags for it that most verbs have.
#[derive(Debug, clap::Args)]
pub(super) struct Period {
    /// Stored not before this time: now, milliseconds since 1970, or yyyy-MM-dd#HH:mm:ss:SSS
    #[arg(short = 'b', long = "beginTimestamp", value_name = "TIME")]
    begin: Option<String>,
    /// Stored not after this time
    #[arg(short = 'e', long = "endTimestamp", value_name = "TIME")]
    end: Option<String>,
}

impl Period {
    /// As [`Range::read`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn range(&self, context: &Context) -> anyhow::Result<Range> {
        Range::read(context, self.begin.as_deref(), self.end.as_deref())
    }
}
