//! Plain technical English in comments and messages: the forms that `docs/words.md` asks to leave.
//!
//! Looks at single lines, and knows no grammar: only forms that are never right are forbidden.

use crate::{LAYERS, assert_none, lines, texts};

/// Crates whose prose is still to be edited.
const MAY_USE_OLD_FORMS: &[&str] = &["broker", "platform", "raft", "store"];

/// This file has to name what it looks for.
const WORDS_FILE: &str = "cluster-tests/tests/tidy/words.rs";

/// Messages that tests compare, on either side of `broker`.
const COMPARED: &[&str] = &["is no known property", "why.contains(\"leads no more\")"];

/// Never right, whatever stands around them.
const FORMS: &[&str] = &[
    "leads no more",
    "counts no more",
    "for ever",
    " lest",
    "'s begin",
    "the begin",
    "without more ado",
    "t most so many",
];

/// "Is no" is right before these, and behind "there".
const COMPARISONS: &[&str] = &[
    "longer", "more", "less", "older", "newer", "worse", "better", "later", "earlier", "higher", "lower",
    "other",
];

/// The forbidden form in a line, if there is one.
fn old_form(line: &str) -> Option<String> {
    let ends_word = |at: usize| !line[at..].starts_with(char::is_alphanumeric);
    let stands = |form: &&&str| line.match_indices(**form).any(|(at, form)| ends_word(at + form.len()));
    if let Some(form) = FORMS.iter().find(stands) {
        return Some(form.trim().to_owned());
    }
    for verb in ["is", "are", "was", "were"] {
        let form = format!(" {verb} no ");
        for (at, _) in line.match_indices(&form) {
            let before = line[..at].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let next =
                line[at + form.len()..].split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            if !before.eq_ignore_ascii_case("there") && !COMPARISONS.contains(&next) {
                return Some(format!("{verb} no {next}"));
            }
        }
    }
    None
}

#[test]
fn comments_and_messages_are_plain_english() {
    let mut findings = Vec::new();
    for (name, text) in texts(&[".rs"]).iter().filter(|(name, _)| name != WORDS_FILE) {
        let in_crate = name.split('/').next().unwrap_or_default();
        let is_ours = LAYERS.iter().any(|(known, _)| *known == in_crate);
        if !is_ours || MAY_USE_OLD_FORMS.contains(&in_crate) {
            continue;
        }
        for (number, line) in lines(text).filter(|(_, line)| !COMPARED.iter().any(|text| line.contains(text)))
        {
            findings.extend(old_form(line).map(|form| format!("{name}:{number}: \"{form}\"")));
        }
    }
    assert_none("docs/words.md has the form to use", &findings);
}

#[test]
fn what_is_right_is_left_alone() {
    for right in [
        "there is no leader",
        "If there are no\n",
        "it is no longer there",
        "There was no answer",
        "for everybody, and the beginning",
    ] {
        assert_eq!(old_form(right), None, "{right}");
    }
    for (wrong, form) in [
        ("/// If it is no number.", "is no number"),
        ("bytes are no frame", "are no frame"),
        ("waits for ever", "for ever"),
        ("the entry's begin, and", "'s begin"),
    ] {
        assert_eq!(old_form(wrong).as_deref(), Some(form), "{wrong}");
    }
}
