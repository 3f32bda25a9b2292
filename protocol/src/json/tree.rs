//! A whole JSON text as a tree of values.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::scan::{DEPTH_MAX, Scalar, Scanner};
use super::{JsonError, VALUES_MAX, reference};

/// Reads a JSON text leniently. Invalid UTF-8 becomes U+FFFD, as in Java; keys that are objects become the compact
/// text of that object; of two equal keys the last counts; `{"$ref":…}` is replaced by what it points at.
///
/// # Errors
/// If the text cannot be read, or holds more than [`VALUES_MAX`] values, or nests too deeply.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let text = String::from_utf8_lossy(text);
    let mut builder =
        Builder { scanner: Scanner::new(&text), values_left: VALUES_MAX, has_references: false };
    let mut value = builder.value(0)?;
    builder.scanner.expect_end()?;
    if builder.has_references {
        reference::resolve(&mut value, builder.values_left)?;
    }
    Ok(value)
}

struct Builder<'a> {
    scanner: Scanner<'a>,
    values_left: usize,
    has_references: bool,
}

impl Builder<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.values_left =
            self.values_left.checked_sub(1).ok_or(JsonError::TooManyValues { limit: VALUES_MAX })?;
        if depth > DEPTH_MAX {
            return Err(JsonError::TooDeep { limit: DEPTH_MAX });
        }
        match self.scanner.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' | b'\'' => self.scanner.string().map(|text| Value::String(text.into_owned())),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Result<Value, JsonError> {
        let error = self.scanner.unexpected();
        match self.scanner.literal()? {
            Scalar::Bool(value) => Ok(Value::Bool(value)),
            Scalar::Number(text) => number(text).map(Value::Number).ok_or(error),
            _ => Ok(Value::Null),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.scanner.skip_byte();
        let mut items = Vec::new();
        while self.scanner.more_before(b']')? {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::Array(items))
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.scanner.skip_byte();
        let mut members = Map::new();
        while self.scanner.more_before(b'}')? {
            let is_object_key = self.scanner.peek()? == b'{';
            let mut name = self.scanner.name(depth)?;
            if is_object_key {
                name = Cow::Owned(self.compact(&name, depth)?);
            }
            self.has_references |= name == "$ref";
            let value = self.value(depth + 1)?;
            members.insert(name.into_owned(), value);
        }
        Ok(Value::Object(members))
    }

    /// The strict, compact text of an object that stands as a key.
    fn compact(&mut self, key: &str, depth: usize) -> Result<String, JsonError> {
        let mut builder =
            Builder { scanner: Scanner::new(key), values_left: self.values_left, has_references: false };
        let value = builder.value(depth + 1)?;
        self.values_left = builder.values_left;
        Ok(value.to_string())
    }
}

/// A number as exactly as it can be had; `None` if it is beyond all bounds.
fn number(text: &str) -> Option<Number> {
    let integer = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    integer.ok().or_else(|| Number::from_f64(text.parse().ok()?))
}
