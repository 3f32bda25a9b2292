//! Randomness: one named generator a purpose, so that a new draw in one place does not shift the others.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Where random number generators come from.
pub trait RngSource: Send + Sync + 'static {
    /// A generator for the purpose `name`. Under a seed, the same name gives the same numbers.
    fn rng(&self, name: &str) -> StdRng;
}

/// Generators seeded by the operating system.
pub struct OsRng;

impl RngSource for OsRng {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn rng(&self, _name: &str) -> StdRng {
        StdRng::seed_from_u64(rand::rng().random())
    }
}

/// Generators that all follow from one seed.
pub struct SeededRng(pub u64);

impl RngSource for SeededRng {
    fn rng(&self, name: &str) -> StdRng {
        // FNV-1a of the name: stable over builds, which std's hasher is not.
        let name = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        StdRng::seed_from_u64(self.0 ^ name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_each_name_its_own_repeatable_numbers() {
        let draw = |seed, name| -> u64 { SeededRng(seed).rng(name).random() };
        assert_eq!(draw(7, "election"), draw(7, "election"));
        assert_ne!(draw(7, "election"), draw(7, "workload"));
        assert_ne!(draw(7, "election"), draw(8, "election"));
    }
}
