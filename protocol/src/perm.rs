//! Permission bits of a topic or broker. Source: Java's `PermName`.

/// May be read.
pub const READ: i32 = 4;
/// May be written.
pub const WRITE: i32 = 2;
/// May be the template of automatically created topics.
pub const INHERIT: i32 = 1;
/// Read and write: what a topic has by default.
pub const READ_WRITE: i32 = READ | WRITE;

/// Every bit there is; no permission is above it.
pub const ALL: i32 = READ | WRITE | INHERIT;

/// Whether `perm` allows reading.
pub fn is_readable(perm: i32) -> bool {
    perm & READ != 0
}

/// Whether `perm` allows writing.
pub fn is_writable(perm: i32) -> bool {
    perm & WRITE != 0
}

/// Whether `perm` allows to be a template.
pub fn is_inherited(perm: i32) -> bool {
    perm & INHERIT != 0
}

/// The permission as Java prints it, such as `RW-`.
pub fn text(perm: i32) -> String {
    let bit = |set: bool, letter: char| if set { letter } else { '-' };
    [bit(is_readable(perm), 'R'), bit(is_writable(perm), 'W'), bit(is_inherited(perm), 'X')].iter().collect()
}
