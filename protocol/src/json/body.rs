//! How a JSON body is declared: a struct whose fields name their members.

/// Declares bodies that are read leniently and written compactly. Each field stands as `pub name: Type => "member"`,
/// with `= value` behind it where an absent member does not read as the default of its type. Fields stand in the
/// alphabetical order of their members, in which they are written.
macro_rules! json_body {
    ($(
        $(#[$meta:meta])*
        pub struct $body:ident {
            $( $(#[$field_meta:meta])* pub $field:ident : $type:ty => $member:literal $(= $default:expr)?, )*
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize)]
        pub struct $body {
            $( $(#[$field_meta])* #[serde(rename = $member)] pub $field: $type, )*
        }

        impl Default for $body {
            fn default() -> Self {
                Self { $( $field: $crate::json::body::default_of!($($default)?), )* }
            }
        }

        impl $crate::json::FromJson for $body {
            fn from_json(value: &serde_json::Value) -> Result<Self, $crate::json::JsonError> {
                let members = $crate::json::Members::of(value)?;
                Ok(Self { $(
                    $field: members.read_or($member, $crate::json::body::default_of!($($default)?))?,
                )* })
            }
        }

        impl $body {
            /// Reads the body leniently.
            ///
            /// # Errors
            /// If it is not JSON, or a member cannot be what it has to be.
            pub fn read(body: &[u8]) -> Result<Self, $crate::json::JsonError> {
                $crate::json::from_slice(body)
            }

            /// The compact text of the body.
            pub fn to_bytes(&self) -> bytes::Bytes {
                $crate::json::to_bytes(self)
            }
        }
    )+};
}

/// The value of an absent member.
macro_rules! default_of {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

/// Declares an enum that travels by its name. It is read by its name in any case, or by its ordinal; an unknown name
/// reads as absent, an unknown ordinal is an error, as in fastjson.
macro_rules! json_enum {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $text:literal, )+ }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
        pub enum $name { $( $(#[$variant_meta])* #[serde(rename = $text)] $variant, )+ }

        impl $name {
            /// All of them, in the order of their ordinals.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }

            /// The one of a name, in any case.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name().eq_ignore_ascii_case(name))
            }
        }

        /// What is absent or unknown reads as the default.
        impl $crate::json::FromJson for $name {
            fn from_json(value: &serde_json::Value) -> Result<Self, $crate::json::JsonError> {
                <Option<Self> as $crate::json::FromJson>::from_json(value).map(Option::unwrap_or_default)
            }
        }

        impl $crate::json::FromJson for Option<$name> {
            fn from_json(value: &serde_json::Value) -> Result<Self, $crate::json::JsonError> {
                match value {
                    serde_json::Value::String(name) => Ok($name::from_name(name)),
                    serde_json::Value::Null => Ok(None),
                    _ => {
                        let ordinal = value.as_u64().and_then(|ordinal| usize::try_from(ordinal).ok());
                        let one = ordinal.and_then(|ordinal| $name::ALL.get(ordinal)).copied();
                        one.map(Some).ok_or_else(|| {
                            $crate::json::JsonError::member("", concat!("name or ordinal of ", stringify!($name)))
                        })
                    }
                }
            }
        }
    )+};
}

pub(crate) use {default_of, json_body, json_enum};
