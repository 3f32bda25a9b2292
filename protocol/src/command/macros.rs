//! How a typed header is declared: a struct whose fields name their wire names.

use crate::ext::{ExtFields, FieldError};

/// A type that one header field can have.
pub(crate) trait Field: Sized {
    /// Reads the field.
    fn read(ext: &ExtFields, name: &str) -> Result<Self, FieldError>;
    /// Writes the field, unless it is absent.
    fn write(&self, ext: &mut ExtFields, name: &str);
}

/// Required text.
impl Field for String {
    fn read(ext: &ExtFields, name: &str) -> Result<Self, FieldError> {
        ext.required(name).map(str::to_owned)
    }
    fn write(&self, ext: &mut ExtFields, name: &str) {
        ext.insert(name, self);
    }
}

/// A required number.
impl Field for i32 {
    fn read(ext: &ExtFields, name: &str) -> Result<Self, FieldError> {
        ext.required_i32(name)
    }
    fn write(&self, ext: &mut ExtFields, name: &str) {
        ext.insert_display(name, self);
    }
}

/// A required number.
impl Field for i64 {
    fn read(ext: &ExtFields, name: &str) -> Result<Self, FieldError> {
        ext.required_i64(name)
    }
    fn write(&self, ext: &mut ExtFields, name: &str) {
        ext.insert_display(name, self);
    }
}

/// A boolean that is false when absent, as Java's primitive ones are.
impl Field for bool {
    fn read(ext: &ExtFields, name: &str) -> Result<Self, FieldError> {
        Ok(ext.bool(name).unwrap_or(false))
    }
    fn write(&self, ext: &mut ExtFields, name: &str) {
        ext.insert(name, if *self { "true" } else { "false" });
    }
}

/// A field that may be absent.
impl<T: Field> Field for Option<T> {
    fn read(ext: &ExtFields, name: &str) -> Result<Self, FieldError> {
        if ext.contains(name) { T::read(ext, name).map(Some) } else { Ok(None) }
    }
    fn write(&self, ext: &mut ExtFields, name: &str) {
        if let Some(value) = self {
            value.write(ext, name);
        }
    }
}

/// Declares headers. Each field stands as `pub name: Type => "wireName"`; `Option` marks those that may be absent,
/// and an absent `bool` is false.
macro_rules! header {
    ($(
        $(#[$meta:meta])*
        pub struct $header:ident {
            $( $(#[$field_meta:meta])* pub $field:ident : $type:ty => $wire:literal, )*
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $header {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl $header {
            /// Reads the fields of `command`.
            ///
            /// # Errors
            /// If a required field is missing, or one cannot be read.
            pub fn read(command: &$crate::Command) -> Result<Self, $crate::FieldError> {
                Self::from_ext(&command.ext)
            }

            /// Reads the fields from a map of them.
            ///
            /// # Errors
            /// As [`Self::read`].
            pub fn from_ext(ext: &$crate::ExtFields) -> Result<Self, $crate::FieldError> {
                Ok(Self { $( $field: $crate::command::macros::Field::read(ext, $wire)?, )* })
            }

            /// Puts the fields into `ext`; those that are absent are left out.
            pub fn write(&self, ext: &mut $crate::ExtFields) {
                $( $crate::command::macros::Field::write(&self.$field, ext, $wire); )*
            }
        }

        impl $crate::Header for $header {
            fn read(command: &$crate::Command) -> Result<Self, $crate::FieldError> {
                Self::read(command)
            }
            fn write(&self, ext: &mut $crate::ExtFields) {
                Self::write(self, ext);
            }
        }
    )+};
}
pub(crate) use header;
