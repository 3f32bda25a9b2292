//! fastjson writes an object that occurs twice as `{"$ref":"$.path"}` the second time.

use serde_json::Value;

use super::{JsonError, VALUES_MAX};

/// Replaces every reference by a copy of what it points at. References inside such a copy stay as they are, and so
/// does one that points nowhere. At most `values_max` values are copied in all, so that references cannot be used
/// to blow a text up.
///
/// # Errors
/// If the copies would be more.
pub(super) fn resolve(root: &mut Value, values_max: usize) -> Result<(), JsonError> {
    let original = root.clone();
    let mut values_left = values_max;
    replace(root, &original, &mut values_left)
}

fn replace(value: &mut Value, root: &Value, values_left: &mut usize) -> Result<(), JsonError> {
    if let Some(target) = target_of(value).and_then(|path| follow(root, path)) {
        let count = count(target);
        *values_left =
            values_left.checked_sub(count).ok_or(JsonError::TooManyValues { limit: VALUES_MAX })?;
        *value = target.clone();
        return Ok(());
    }
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| replace(item, root, values_left)),
        Value::Object(members) => members.values_mut().try_for_each(|item| replace(item, root, values_left)),
        _ => Ok(()),
    }
}

/// The path of a value that is nothing but a reference.
fn target_of(value: &Value) -> Option<&str> {
    let members = value.as_object()?;
    if members.len() != 1 {
        return None;
    }
    members.get("$ref")?.as_str()
}

/// Follows a path such as `$.consumerDataSet[0].subscriptionDataSet[1]`.
fn follow<'a>(root: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = root;
    let steps = path.strip_prefix('$')?;
    for step in steps.split(['.', '[']).filter(|step| !step.is_empty()) {
        value = match step.strip_suffix(']') {
            Some(index) => value.get(index.parse::<usize>().ok()?)?,
            None => value.get(step)?,
        };
    }
    Some(value)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}
