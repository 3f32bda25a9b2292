//! One seed for every random choice of a test or a run, printed first, and taken from `SEED` to run again.

use platform::{OsRng, RngSource};
use rand::Rng;

/// The seed in the environment variable `SEED`, or else a fresh one. Prints it either way.
///
/// # Panics
/// If `SEED` is set to something that is not a number.
pub fn pick() -> u64 {
    let seed = from_env().unwrap_or_else(|| OsRng.rng("seed").random_range(1..1_u64 << 53));
    println!("seed {seed} (run again with SEED={seed})");
    seed
}

/// The seed in the environment variable `SEED`, or else `default`.
///
/// # Panics
/// If `SEED` is set to something that is not a number.
pub fn from_env_or(default: u64) -> u64 {
    from_env().unwrap_or(default)
}

fn from_env() -> Option<u64> {
    let text = std::env::var("SEED").ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("SEED is {text:?}, which is not a number")))
}
