//! How a table of codes is declared.

/// Declares a table of codes once: a constant each, and the way from a number to its name. A number that stands twice
/// does not compile (an arm that cannot be reached).
macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $number:literal,)+) => {
        $($(#[$meta])* pub const $name: i32 = $number;)+

        /// The name of a code; `None` for a number that 5.3.3 does not know.
        #[deny(unreachable_patterns)]
        pub fn name(code: i32) -> Option<&'static str> {
            Some(match code {
                $($name => stringify!($name),)+
                _ => return None,
            })
        }
    };
}
pub(crate) use codes;
