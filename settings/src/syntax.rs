//! The text format of `java.util.Properties.load`: comments, continuation lines, escapes.
//!
//! Our own rather than the `java-properties` crate's, because that one takes escapes apart in comments too: a
//! file with `# C:\users` in it would be refused. Two leniences beyond Java: UTF-8 is read as such (Java takes
//! every file for ISO-8859-1, which stays the reading of what is not valid UTF-8), and a byte order mark is
//! skipped.

/// A line that is not in the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} line {line}: \\u must be followed by four hexadecimal digits, found {found:?}")]
pub struct SyntaxError {
    /// The file, as the user named it.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What stands there instead.
    pub found: String,
}

/// One `key = value`, escapes undone, not yet trimmed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Counted from 1; the first of its lines.
    pub line: usize,
    pub key: String,
    pub value: String,
}

/// All pairs in the order of the file.
///
/// # Errors
/// The first malformed `\u` escape.
pub(crate) fn pairs(bytes: &[u8], file: &str) -> Result<Vec<Pair>, SyntaxError> {
    let text = decode(bytes);
    logical_lines(&text)
        .into_iter()
        .map(|(line, text)| {
            let (key, value) = split(&text);
            let plain = |part| {
                unescape(part).map_err(|found| SyntaxError {
                    file: file.to_owned(),
                    line,
                    found: found.to_owned(),
                })
            };
            Ok(Pair { line, key: plain(key)?, value: plain(value)? })
        })
        .collect()
}

fn decode(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(), // ISO-8859-1 is Unicode's first 256
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// Joins lines that end in an odd number of backslashes with the next one, whose indent goes. Comments and
/// blank lines are left out; inside a continued line nothing is a comment.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = (1..).zip(text.split('\n'));
    let mut logical = Vec::new();
    while let Some((line, first)) = lines.next() {
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut joined = first.to_owned();
        while joined.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 {
            joined.pop();
            let Some((_, next)) = lines.next() else { break };
            joined.push_str(next.trim_start_matches(is_blank));
        }
        logical.push((line, joined));
    }
    logical
}

/// Parts at the first bare `=`, `:` or blank; blanks around the separator belong to neither side.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let key_ends = line.find(|c| {
        let separates = !escaped && (is_blank(c) || c == '=' || c == ':');
        escaped = !escaped && c == '\\';
        separates
    });
    let (key, rest) = line.split_at(key_ends.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_blank))
}

/// Undoes the escapes, or returns what follows a bad `\u`. Unpaired surrogates become U+FFFD.
fn unescape(text: &str) -> Result<String, &str> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let plain = if c == '\\' { rest.next().unwrap_or('\\') } else { c };
        match (c, plain) {
            ('\\', 't') => units.push(u16::from(b'\t')),
            ('\\', 'n') => units.push(u16::from(b'\n')),
            ('\\', 'r') => units.push(u16::from(b'\r')),
            ('\\', 'f') => units.push(0x0c),
            ('\\', 'u') => {
                let digits = rest.as_str().get(..4).ok_or(rest.as_str())?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(digits);
                }
                units.push(u16::from_str_radix(digits, 16).expect("four hexadecimal digits fit in 16 bits"));
                rest = rest.as_str()[4..].chars();
            }
            _ => units.extend_from_slice(plain.encode_utf16(&mut [0; 2])),
        }
    }
    Ok(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(usize, String, String)> {
        let pairs = pairs(text.as_bytes(), "f").unwrap();
        pairs.into_iter().map(|pair| (pair.line, pair.key, pair.value)).collect()
    }

    #[test]
    fn lines_are_taken_apart_as_java_does() {
        for (text, line, key, value) in [
            ("a=b", 1, "a", "b"),
            ("a = b", 1, "a", "b"),
            ("\t a:b", 1, "a", "b"),
            ("a b c", 1, "a", "b c"),
            ("a", 1, "a", ""),
            ("a=", 1, "a", ""),
            ("a==b", 1, "a", "=b"),
            ("a : = b", 1, "a", "= b"),
            ("peers=n0-h:1;n1-h:2", 1, "peers", "n0-h:1;n1-h:2"),
            ("a\\=b\\:c\\ d = e", 1, "a=b:c d", "e"),
            ("a\\\\=b", 1, "a\\", "b"),
            ("\n\n# note\n ! note\na=b # not a note", 5, "a", "b # not a note"),
            ("# ends in a backslash \\\na=b", 2, "a", "b"),
            ("# C:\\users is not an escape\na=b", 2, "a", "b"),
            ("a=b,\\\n   c,\\\n#d", 1, "a", "b,c,#d"),
            ("a=b\\\\\n", 1, "a", "b\\"),
            ("a=b\\\n\n", 1, "a", "b"),
            ("a=b\\", 1, "a", "b"),
            ("x=1\ra=b", 2, "a", "b"),
            ("x=1\r\na=b\r\n", 2, "a", "b"),
            ("a=\\u0041\\u00e9\\ud83d\\ude00\\t\\q", 1, "a", "Aé😀\tq"),
            ("\u{feff}a=b", 1, "a", "b"),
            ("a=Übung", 1, "a", "Übung"),
        ] {
            let last = read(text).pop().unwrap();
            assert_eq!(last, (line, key.to_owned(), value.to_owned()), "in {text:?}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_latin_1() {
        assert_eq!(pairs(b"a=\xdcbung", "f").unwrap()[0].value, "Übung");
    }

    #[test]
    fn a_bad_escape_is_an_error_with_its_line() {
        for (text, line, found) in
            [("a=\\u12", 1, "12"), ("\na=\\uzzzz", 2, "zzzz"), ("a=\\u+123", 1, "+123")]
        {
            let error = pairs(text.as_bytes(), "f.conf").unwrap_err();
            assert_eq!((error.line, error.found.as_str()), (line, found), "in {text:?}");
        }
    }
}
