//! Yes and no, as metrics have them.

/// A yes or no as a number.
pub(super) fn flag(is_so: bool) -> u32 {
    u32::from(is_so)
}

/// A yes or no as a label.
pub(super) fn word(is_so: bool) -> &'static str {
    if is_so { "true" } else { "false" }
}
