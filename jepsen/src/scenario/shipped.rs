//! The scenarios that ship with the program.

/// One of them.
pub struct Shipped {
    /// Its name, as `trireme chaos run` takes it.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// All of them.
pub const SHIPPED: &[Shipped] = &[
    Shipped {
        name: "kill-leader-every-15s",
        text: include_str!("../../scenarios/kill-leader-every-15s.toml"),
    },
    Shipped { name: "kill-all-together", text: include_str!("../../scenarios/kill-all-together.toml") },
    Shipped {
        name: "rolling-restart-under-load",
        text: include_str!("../../scenarios/rolling-restart-under-load.toml"),
    },
];
