//! Counts of measured values by size, for whoever draws them afterwards: two atomic additions a value, and no lock.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many values lay below which bound.
#[derive(Debug)]
pub struct Histogram {
    /// Upper bounds, inclusive and rising; what is larger is counted behind the last one.
    bounds: &'static [u64],
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Upper bounds, inclusive and rising.
    pub bounds: &'static [u64],
    /// How many values fell between a bound and the one before it; the last number is of those above all bounds.
    pub counts: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// Nothing counted yet; `bounds` rise.
    pub fn new(bounds: &'static [u64]) -> Self {
        debug_assert!(bounds.is_sorted(), "the bounds of a histogram rise: {bounds:?}");
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum: AtomicU64::new(0) }
    }

    /// Counts one value.
    pub fn record(&self, value: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// What was counted until now. A value that is counted meanwhile may be in the sum and not yet in the counts.
    pub fn counts(&self) -> Counts {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Counts { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_what_is_below_it() {
        let histogram = Histogram::new(&[1, 3, 10]);
        for value in [0, 1, 2, 3, 4, 10, 11, 5_000] {
            histogram.record(value);
        }
        let counted = histogram.counts();
        assert_eq!(counted.counts, [2, 2, 2, 2]);
        assert_eq!(counted.sum, 5_031);
    }
}
