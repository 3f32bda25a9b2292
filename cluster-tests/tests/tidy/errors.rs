//! Errors carry facts, not sentences: no `Result` whose error is a bare `String`.

use crate::{LAYERS, assert_none, code, texts};

/// Crates that still have some.
const MAY_HAVE_SENTENCES: &[&str] = &["broker", "raft", "store"];

/// The last type argument of the `Result<…>` that begins behind `from`; `None` if it has one only, or ends elsewhere.
fn error_type(from: &str) -> Option<&str> {
    let (mut depth, mut last_comma) = (0, None);
    for (at, c) in from.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if depth == 0 => return last_comma.map(|comma: usize| from[comma + 1..at].trim()),
            '>' | ')' | ']' => depth -= 1,
            ',' if depth == 0 => last_comma = Some(at),
            _ => {}
        }
    }
    None
}

#[test]
fn no_error_is_a_bare_sentence() {
    let mut findings = Vec::new();
    for (name, text) in texts(&[".rs"]) {
        let in_crate = name.split('/').next().unwrap_or_default();
        let is_ours = LAYERS.iter().any(|(known, _)| *known == in_crate);
        if !is_ours || MAY_HAVE_SENTENCES.contains(&in_crate) {
            continue;
        }
        for (number, line) in code(&text) {
            let results = line.match_indices("Result<").map(|(at, word)| &line[at + word.len()..]);
            if results.filter_map(error_type).any(|error| error == "String") {
                findings.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert_none("an error is a type (thiserror), with what happened in its fields", &findings);
}

#[test]
fn the_error_of_a_result_is_found_behind_nested_types() {
    for (from, error) in [
        ("Vec<(u8, String)>, String> {", Some("String")),
        ("BTreeMap<String, String>, KvError>", Some("KvError")),
        ("HashMap<u8, String>> {", None),
        ("(), String>;", Some("String")),
        ("T,", None),
    ] {
        assert_eq!(error_type(from), error, "{from}");
    }
}
