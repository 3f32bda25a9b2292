//! Message properties: one text, `name 0x01 value 0x02 name 0x01 value 0x02 …`. Source: Java's `MessageDecoder`.
//!
//! Java 4.9.1 to 5.1 leaves the last 0x02 away; readers and [`append`] allow for that. Names and values that are
//! empty are not properties.

use std::collections::BTreeMap;

pub use super::property_names::*;

/// Between a name and its value.
pub const NAME_VALUE_SEPARATOR: char = '\u{1}';
/// Behind a value.
pub const PROPERTY_SEPARATOR: char = '\u{2}';

/// The properties of a text in its order. A name that occurs twice comes twice; the last counts.
pub fn parse(properties: &str) -> impl DoubleEndedIterator<Item = (&str, &str)> {
    properties.split(PROPERTY_SEPARATOR).filter_map(|pair| {
        let (name, value) = pair.split_once(NAME_VALUE_SEPARATOR)?;
        (!name.is_empty() && !value.is_empty()).then_some((name, value))
    })
}

/// The properties of a text as a map.
pub fn to_map(properties: &str) -> BTreeMap<String, String> {
    parse(properties).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The value of one property.
pub fn get<'a>(properties: &'a str, name: &str) -> Option<&'a str> {
    parse(properties).rev().find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Appends one property to a text, and the separator before it if the text lacks it. What the text says of the
/// same name stays and is shadowed; use [`remove`] first to replace.
pub fn append(properties: &mut String, name: &str, value: &str) {
    if !properties.is_empty() && !properties.ends_with(PROPERTY_SEPARATOR) {
        properties.push(PROPERTY_SEPARATOR);
    }
    properties.push_str(name);
    properties.push(NAME_VALUE_SEPARATOR);
    properties.push_str(value);
    properties.push(PROPERTY_SEPARATOR);
}

/// Removes every property of that name from a text; the others keep their order.
pub fn remove(properties: &mut String, name: &str) {
    if get(properties, name).is_none() {
        return;
    }
    let mut kept = String::with_capacity(properties.len());
    parse(properties)
        .filter(|(found, _)| *found != name)
        .for_each(|(name, value)| append(&mut kept, name, value));
    *properties = kept;
}

/// Sets one property: as [`remove`] and then [`append`].
pub fn set(properties: &mut String, name: &str, value: &str) {
    remove(properties, name);
    append(properties, name, value);
}

/// The text of properties, each with its separator behind it, in the order given.
pub fn to_text<'a>(properties: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    properties.into_iter().for_each(|(name, value)| append(&mut text, name, value));
    text
}
