//! The `extFields` map of a header: names and values, both text.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};

use thiserror::Error;

/// Beyond this many decoded fields duplicates are looked for by sorting instead of by comparing all pairs, so
/// that a header stuffed with names costs `n log n`.
const PAIRWISE_FIELDS_MAX: usize = 32;

/// The custom header fields of one command, in the order they were put in; a name occurs once.
///
/// All texts lie in one string, the fields are spans of it: a decoded header costs two allocations, however many
/// fields it has. A replaced or removed value stays in the string as dead text, which is fine for a value that
/// lives as long as one request.
#[derive(Clone, Default)]
pub struct ExtFields {
    text: String,
    fields: Vec<Span>,
}

/// Where one field lies in the text: its name, directly followed by its value.
#[derive(Debug, Clone, Copy)]
struct Span {
    at: u32,
    name_bytes: u32,
    value_bytes: u32,
}

/// What is wrong with one field of a header.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FieldError {
    /// A field that the sender must set is not there.
    #[error("header field {name} is missing")]
    Missing {
        /// The wire name of the field.
        name: String,
    },
    /// A field is there and cannot be read as what it has to be.
    #[error("header field {name} is not a {expected}: {value:?}")]
    Invalid {
        /// The wire name of the field.
        name: String,
        /// What was sent, cut after 64 characters.
        value: String,
        /// What it should be, such as `32-bit number`.
        expected: &'static str,
    },
}

impl FieldError {
    /// The error for a field that must be there and is not.
    pub fn missing(name: &str) -> Self {
        Self::Missing { name: name.to_owned() }
    }

    /// The error for a field whose value is not what it has to be.
    pub fn invalid(name: &str, value: &str, expected: &'static str) -> Self {
        Self::Invalid { name: name.to_owned(), value: value.chars().take(64).collect(), expected }
    }
}

impl ExtFields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// No fields yet, but room for `text_bytes` of names and values.
    pub(crate) fn with_capacity(text_bytes: usize) -> Self {
        Self { text: String::with_capacity(text_bytes), fields: Vec::with_capacity(16) }
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value of a field, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.find(name).map(|index| self.value_of(self.fields[index]))
    }

    /// Whether a field is there.
    pub fn contains(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The fields as name and value, in the order they were put in.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|span| (self.name_of(*span), self.value_of(*span)))
    }

    /// Sets a field; a value it had is replaced, at the place it had.
    pub fn insert(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        self.put(name.as_ref(), |text| text.push_str(value.as_ref()));
    }

    /// Sets a field to whatever `value` displays, without an intermediate string.
    pub fn insert_display(&mut self, name: &str, value: impl Display) {
        self.put(name, |text| write!(text, "{value}").expect("writing to a string never fails"));
    }

    /// Takes a field out and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let index = self.find(name)?;
        let span = self.fields.remove(index);
        Some(self.value_of(span).to_owned())
    }

    /// The field as a 32-bit number.
    ///
    /// # Errors
    /// If it is there and is not a number, or one that does not fit.
    pub fn i32(&self, name: &str) -> Result<Option<i32>, FieldError> {
        self.parsed(name, "32-bit number")
    }

    /// The field as a 64-bit number.
    ///
    /// # Errors
    /// If it is there and is not a number, or one that does not fit.
    pub fn i64(&self, name: &str) -> Result<Option<i64>, FieldError> {
        self.parsed(name, "64-bit number")
    }

    /// The field as Java's `parseBoolean` reads it: `true` in any case is true, everything else is false, never
    /// an error; `None` if it is not there.
    pub fn bool(&self, name: &str) -> Option<bool> {
        self.get(name).map(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The field as text.
    ///
    /// # Errors
    /// If it is not there.
    pub fn required(&self, name: &str) -> Result<&str, FieldError> {
        self.get(name).ok_or_else(|| FieldError::missing(name))
    }

    /// The field as a 32-bit number.
    ///
    /// # Errors
    /// If it is not there, or is not such a number.
    pub fn required_i32(&self, name: &str) -> Result<i32, FieldError> {
        self.i32(name)?.ok_or_else(|| FieldError::missing(name))
    }

    /// The field as a 64-bit number.
    ///
    /// # Errors
    /// If it is not there, or is not such a number.
    pub fn required_i64(&self, name: &str) -> Result<i64, FieldError> {
        self.i64(name)?.ok_or_else(|| FieldError::missing(name))
    }

    /// Appends a field without looking whether its name is there already; `write` appends the value's text.
    /// The decoder calls [`Self::drop_shadowed`] when all are in.
    pub(crate) fn push_with<E>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        let at = self.text.len();
        self.text.push_str(name);
        let value_at = self.text.len();
        write(&mut self.text)?;
        let span = Span {
            at: offset(at),
            name_bytes: offset(value_at - at),
            value_bytes: offset(self.text.len() - value_at),
        };
        self.fields.push(span);
        Ok(())
    }

    /// Drops every field that a later one of the same name shadows: the last one counts.
    pub(crate) fn drop_shadowed(&mut self) {
        let count = self.fields.len();
        let keep: Vec<bool> = if count <= PAIRWISE_FIELDS_MAX {
            let named = |index: usize| self.name_of(self.fields[index]);
            (0..count).map(|index| !(index + 1..count).any(|later| named(later) == named(index))).collect()
        } else {
            let mut last = BTreeMap::new();
            for (index, span) in self.fields.iter().enumerate() {
                last.insert(self.name_of(*span), index);
            }
            let mut keep = vec![false; count];
            for index in last.into_values() {
                keep[index] = true;
            }
            keep
        };
        let mut kept = keep.into_iter();
        self.fields.retain(|_| kept.next().expect("one flag a field"));
    }

    /// The length of all names and values together, for sizing a buffer. Dead text counts too.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    fn put(&mut self, name: &str, write: impl FnOnce(&mut String)) {
        let found = self.find(name);
        let done: Result<(), std::convert::Infallible> = self.push_with(name, |text| {
            write(text);
            Ok(())
        });
        let Ok(()) = done;
        if let Some(index) = found {
            self.fields.swap_remove(index);
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|span| self.name_of(*span) == name)
    }

    fn name_of(&self, span: Span) -> &str {
        &self.text[span.at as usize..][..span.name_bytes as usize]
    }

    fn value_of(&self, span: Span) -> &str {
        &self.text[(span.at + span.name_bytes) as usize..][..span.value_bytes as usize]
    }

    fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        expected: &'static str,
    ) -> Result<Option<T>, FieldError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| FieldError::invalid(name, value, expected))
    }
}

/// A place in the text of one header. A frame holds at most 16 MiB and a header we write is refused beyond that,
/// so this only fails on our own mistake.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("the fields of one header stay below 4 GiB")
}

impl fmt::Debug for ExtFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Equal names with equal values; the order does not matter.
impl PartialEq for ExtFields {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(name, value)| other.get(name) == Some(value))
    }
}

impl Eq for ExtFields {}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for ExtFields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut ext = Self::new();
        for (name, value) in fields {
            ext.insert(name, value);
        }
        ext
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_field_keeps_its_place_and_has_the_new_value() {
        let mut ext: ExtFields = [("a", "1"), ("b", "2"), ("c", "3")].into_iter().collect();
        ext.insert("a", "9");
        assert_eq!(ext.iter().collect::<Vec<_>>(), [("a", "9"), ("b", "2"), ("c", "3")]);
        assert_eq!(ext.remove("b").as_deref(), Some("2"));
        assert_eq!(ext.iter().collect::<Vec<_>>(), [("a", "9"), ("c", "3")]);
    }

    #[test]
    fn booleans_are_javas() {
        let ext: ExtFields =
            [("a", "TRUE"), ("b", "1"), ("c", ""), ("d", "true"), ("e", " true")].into_iter().collect();
        let read: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|name| ext.bool(name)).to_vec();
        assert_eq!(read, [Some(true), Some(false), Some(false), Some(true), Some(false), None]);
    }

    #[test]
    fn numbers_name_the_field_and_the_text() {
        let ext: ExtFields = [("queueId", "x7"), ("offset", "9223372036854775808")].into_iter().collect();
        let error = ext.required_i32("queueId").unwrap_err();
        assert_eq!(error.to_string(), "header field queueId is not a 32-bit number: \"x7\"");
        assert!(ext.required_i64("offset").is_err());
        assert_eq!(ext.required_i64("gone"), Err(FieldError::missing("gone")));
    }

    #[test]
    fn the_last_of_two_fields_counts_in_a_short_and_in_a_long_header() {
        for count in [3, 3 * PAIRWISE_FIELDS_MAX] {
            let mut ext = ExtFields::new();
            for index in 0..count {
                let written: Result<(), FieldError> = ext.push_with(&format!("n{}", index % 2), |text| {
                    text.push_str(&index.to_string());
                    Ok(())
                });
                written.unwrap();
            }
            ext.drop_shadowed();
            assert_eq!(ext.len(), 2);
            let last_of_n0 = if (count - 1) % 2 == 0 { count - 1 } else { count - 2 };
            assert_eq!(ext.get("n0"), Some(last_of_n0.to_string().as_str()));
        }
    }
}
