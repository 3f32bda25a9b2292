//! The scenarios that ship with the program.

/// One of them.
pub struct Shipped {
    /// Its name, as `trireme chaos run` takes it.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped { name: $name, text: include_str!(concat!("../../scenarios/", $name, ".toml")) }),*]
    };
}

/// All of them.
pub const SHIPPED: &[Shipped] = shipped![
    "kill-leader-every-15s",
    "kill-all-together",
    "rolling-restart-under-load",
    "transfer-leader-storm",
    "offsets-kill-leader",
    "delay-kill-leader",
    "clock-jump",
    "wipe-one",
    "disk-rollback",
    "corrupt-log",
    "stuck-log",
    "enospc",
    "enospc-leader",
    "power-cut-all",
    "slow-read",
];
