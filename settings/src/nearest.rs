//! Which known name a mistyped one was meant to be.

use strsim::normalized_damerau_levenshtein;

/// Below this likeness (0 to 1) a suggestion would only mislead.
const LIKENESS_MIN: f64 = 0.6;

/// The known name most like `key`, if one is like it. Case does not count, nor does the order of the words in
/// it: `enableAcl` is `aclEnable`.
pub(crate) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|name| (likeness(key, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn likeness(a: &str, b: &str) -> f64 {
    let plain = normalized_damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase());
    plain.max(normalized_damerau_levenshtein(&sorted_words(a), &sorted_words(b)))
}

/// `storePathRootDir` becomes `dir path root store`.
fn sorted_words(name: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        if words.is_empty() || c.is_uppercase() || !c.is_alphanumeric() {
            words.push(String::new());
        }
        words.last_mut().expect("one was pushed").extend(c.to_lowercase());
    }
    words.sort();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_finds_what_was_meant() {
        let known = ["listenPort", "storePathRootDir", "aclEnable", "flushDiskType", "enableDLegerCommitLog"];
        for (key, meant) in [
            ("listenport", Some("listenPort")),
            ("lisenPort", Some("listenPort")),
            ("storeRootPathDir", Some("storePathRootDir")),
            ("enableAcl", Some("aclEnable")),
            ("flushDisktyp", Some("flushDiskType")),
            ("enableDledgerCommitLog", Some("enableDLegerCommitLog")),
            ("color", None),
            ("", None),
        ] {
            assert_eq!(nearest(key, known.into_iter()), meant, "for {key:?}");
        }
    }
}
