//! Typed access to the members of a JSON object, with fastjson's conversions.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{JsonError, parse};

/// A type that can be read from a JSON value leniently.
pub trait FromJson: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// If the value, or a member of it, cannot be what it has to be.
    fn from_json(value: &Value) -> Result<Self, JsonError>;
}

/// Reads a typed body from its text.
///
/// # Errors
/// If the text is not JSON, or not of that type.
pub fn from_slice<T: FromJson>(text: &[u8]) -> Result<T, JsonError> {
    T::from_json(&parse(text)?)
}

/// The members of one object. A member that is absent or null reads as the default of its type, as in Java.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    /// The members of `value`.
    ///
    /// # Errors
    /// If it is not an object.
    pub fn of(value: &'a Value) -> Result<Self, JsonError> {
        value.as_object().map(Self).ok_or_else(|| JsonError::member("", "object"))
    }

    /// The members with their names, in the order of the text.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a member; `None` if it is absent or null.
    pub fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A member of any readable type; the default if it is absent.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn read<T: FromJson + Default>(self, name: &str) -> Result<T, JsonError> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    /// A member of any readable type; `default` if it is absent.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn read_or<T: FromJson>(self, name: &str, default: T) -> Result<T, JsonError> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// A member of any readable type, if it is there.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn optional<T: FromJson>(self, name: &str) -> Result<Option<T>, JsonError> {
        let read = self.get(name).map(T::from_json).transpose();
        read.map_err(|error| match error {
            JsonError::Member { name: inner, expected } if inner.is_empty() => {
                JsonError::member(name, expected)
            }
            JsonError::Member { name: inner, expected } => {
                JsonError::Member { name: format!("{name}.{inner}"), expected }
            }
            other => other,
        })
    }
}

impl FromJson for Value {
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        Ok(value.clone())
    }
}

impl FromJson for String {
    /// A number or boolean reads as its text, an object as its JSON.
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        Ok(match value {
            Value::String(text) => text.clone(),
            Value::Null => Self::new(),
            other => other.to_string(),
        })
    }
}

impl FromJson for i64 {
    /// A number, a number in quotes, or a boolean as 0 or 1.
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let read = match value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) if text.is_empty() || text == "null" => Some(0),
            Value::String(text) => text.trim().parse().ok(),
            Value::Bool(value) => Some(Self::from(*value)),
            Value::Null => Some(0),
            _ => None,
        };
        read.ok_or_else(|| JsonError::member("", "64-bit number"))
    }
}

/// A fraction cut to its whole part, as Java's `longValue` does, if it fits.
fn whole(value: f64) -> Option<i64> {
    const BOUND: f64 = 9.3e18;
    (value.abs() < BOUND).then_some(value as i64)
}

impl FromJson for i32 {
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let wide = i64::from_json(value).ok().and_then(|wide| Self::try_from(wide).ok());
        wide.ok_or_else(|| JsonError::member("", "32-bit number"))
    }
}

impl FromJson for u32 {
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let wide = i64::from_json(value).ok().and_then(|wide| Self::try_from(wide).ok());
        wide.ok_or_else(|| JsonError::member("", "32-bit number that is not negative"))
    }
}

impl FromJson for u64 {
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let read =
            value.as_u64().or_else(|| i64::from_json(value).ok().and_then(|wide| Self::try_from(wide).ok()));
        read.ok_or_else(|| JsonError::member("", "64-bit number that is not negative"))
    }
}

impl FromJson for f64 {
    /// A number, or a number in quotes; null, which stands for NaN, reads as 0.
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let read = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null => Some(0.0),
            _ => None,
        };
        read.ok_or_else(|| JsonError::member("", "number"))
    }
}

impl FromJson for bool {
    /// A boolean, `true`, `1`, `Y` or `T` in quotes and in any case, or the number 1; everything else that is a
    /// scalar is false.
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        match value {
            Value::Bool(value) => Ok(*value),
            Value::Number(number) => Ok(number.as_i64() == Some(1)),
            Value::String(text) => {
                Ok(["true", "1", "y", "t"].iter().any(|yes| text.eq_ignore_ascii_case(yes)))
            }
            Value::Null => Ok(false),
            _ => Err(JsonError::member("", "boolean")),
        }
    }
}

/// A type that is itself there whenever its value is; enums are not, for an unknown name reads as absent.
trait Present: FromJson {}
impl Present for String {}
impl Present for i32 {}
impl Present for i64 {}
impl Present for bool {}

impl<T: Present> FromJson for Option<T> {
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        if value.is_null() { Ok(None) } else { T::from_json(value).map(Some) }
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    /// Null members of the list are left out.
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let items = match value {
            Value::Array(items) => items,
            Value::Null => return Ok(Self::new()),
            _ => return Err(JsonError::member("", "list")),
        };
        items.iter().filter(|item| !item.is_null()).map(T::from_json).collect()
    }
}

/// A key of a JSON map.
pub trait FromKey: Ord + Sized {
    /// Reads the key; `None` if it cannot be one.
    fn from_key(key: &str) -> Option<Self>;
}

impl FromKey for String {
    fn from_key(key: &str) -> Option<Self> {
        Some(key.to_owned())
    }
}

impl FromKey for i64 {
    fn from_key(key: &str) -> Option<Self> {
        key.trim().parse().ok()
    }
}

impl FromKey for i32 {
    fn from_key(key: &str) -> Option<Self> {
        key.trim().parse().ok()
    }
}

impl<K: FromKey, V: FromJson> FromJson for BTreeMap<K, V> {
    /// Members whose value is null are left out.
    fn from_json(value: &Value) -> Result<Self, JsonError> {
        let members = match value {
            Value::Object(members) => members,
            Value::Null => return Ok(Self::new()),
            _ => return Err(JsonError::member("", "map")),
        };
        let mut map = Self::new();
        for (key, value) in members.iter().filter(|(_, value)| !value.is_null()) {
            let key = K::from_key(key).ok_or_else(|| JsonError::member(key, "key of its map"))?;
            map.insert(key, V::from_json(value)?);
        }
        Ok(map)
    }
}
