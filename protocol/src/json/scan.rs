//! The lexer under both readers of JSON: the one of frame headers and the one of bodies.

use std::borrow::Cow;

use super::JsonError;

/// Nested deeper than this, a text is refused: the readers recurse, and nothing of RocketMQ goes beyond ten.
pub(crate) const DEPTH_MAX: usize = 64;

/// Reads one JSON text from front to back, with fastjson's tolerance: single quotes, bare names, stray commas.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A value that is read without building anything.
#[derive(Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// The digits as they stand there.
    Number(&'a str),
    Text(Cow<'a, str>),
    /// The text of an object or array, which was only skipped.
    Nested(&'a str),
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The byte offset of what comes next.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space, without taking it.
    pub(crate) fn peek(&mut self) -> Result<u8, JsonError> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().ok_or(JsonError::Truncated { at: self.at })
    }

    /// Takes the byte that [`Self::peek`] showed.
    pub(crate) fn skip_byte(&mut self) {
        self.at += 1;
    }

    /// Takes `byte`, or fails.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek()? != byte {
            return Err(self.unexpected());
        }
        self.at += 1;
        Ok(())
    }

    /// Skips white space and then wants the end of the text.
    pub(crate) fn expect_end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Ok(_) => Err(self.unexpected()),
            Err(_) => Ok(()),
        }
    }

    /// The error for what comes next.
    pub(crate) fn unexpected(&self) -> JsonError {
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        found.map_or(JsonError::Truncated { at: self.at }, |found| JsonError::Unexpected {
            at: self.at,
            found,
        })
    }

    /// Skips any commas, and says whether a member follows before `end`, which is taken if it comes.
    pub(crate) fn more_before(&mut self, end: u8) -> Result<bool, JsonError> {
        loop {
            match self.peek()? {
                b',' => self.at += 1,
                byte if byte == end => {
                    self.at += 1;
                    return Ok(false);
                }
                _ => return Ok(true),
            }
        }
    }

    /// The name of a member, quoted either way or bare, and the colon behind it. A name that is itself an object
    /// (fastjson's map of message queues) is returned as the text of that object.
    pub(crate) fn name(&mut self, depth: usize) -> Result<Cow<'a, str>, JsonError> {
        let name = match self.peek()? {
            b'"' | b'\'' => self.string()?,
            b'{' => {
                let start = self.at;
                self.skip_nested(depth + 1)?;
                Cow::Borrowed(&self.text[start..self.at])
            }
            _ => Cow::Borrowed(self.bare()?),
        };
        self.expect(b':')?;
        Ok(name)
    }

    /// Any value; an object or array is skipped and returned as its text.
    pub(crate) fn scalar(&mut self, depth: usize) -> Result<Scalar<'a>, JsonError> {
        match self.peek()? {
            b'"' | b'\'' => self.string().map(Scalar::Text),
            b'{' | b'[' => {
                let start = self.at;
                self.skip_nested(depth + 1)?;
                Ok(Scalar::Nested(&self.text[start..self.at]))
            }
            _ => self.literal(),
        }
    }

    /// A value that is neither quoted nor nested.
    pub(crate) fn literal(&mut self) -> Result<Scalar<'a>, JsonError> {
        let start = self.at;
        match self.bare()? {
            "null" => Ok(Scalar::Null),
            "true" => Ok(Scalar::Bool(true)),
            "false" => Ok(Scalar::Bool(false)),
            number if is_number(number) => Ok(Scalar::Number(number)),
            _ => {
                self.at = start;
                Err(self.unexpected())
            }
        }
    }

    /// A quoted text, its escapes resolved. Borrowed when there is none.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let quote = self.peek()?;
        let start = self.at + 1;
        let rest = &self.text.as_bytes()[start..];
        let plain = rest.iter().position(|byte| *byte == quote || *byte == b'\\');
        let plain = plain.ok_or(JsonError::Truncated { at: self.text.len() })?;
        self.at = start + plain;
        let head = &self.text[start..self.at];
        if rest[plain] == quote {
            self.at += 1;
            return Ok(Cow::Borrowed(head));
        }
        let mut out = head.to_owned();
        self.escaped_tail(quote, &mut out)?;
        Ok(Cow::Owned(out))
    }

    /// A quoted text, appended to `out` with its escapes resolved. After an error `out` holds a part of it.
    pub(crate) fn string_into(&mut self, out: &mut String) -> Result<(), JsonError> {
        let quote = self.peek()?;
        self.at += 1;
        self.escaped_tail(quote, out)
    }

    /// The rest of a quoted text, and its closing quote.
    fn escaped_tail(&mut self, quote: u8, out: &mut String) -> Result<(), JsonError> {
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().position(|byte| *byte == quote || *byte == b'\\');
            let plain = plain.ok_or(JsonError::Truncated { at: self.text.len() })?;
            let found = rest[plain];
            out.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain + 1;
            if found == quote {
                return Ok(());
            }
            let escaped = self.escape()?;
            out.push(escaped);
        }
    }

    /// What stands for the escape whose backslash was just taken.
    fn escape(&mut self) -> Result<char, JsonError> {
        let at = self.at;
        let bytes = self.text.as_bytes();
        let kind = *bytes.get(at).ok_or(JsonError::Truncated { at })?;
        self.at += 1;
        let plain = match kind {
            b'"' | b'\'' | b'\\' | b'/' => kind,
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'v' => 0x0b,
            b'f' | b'F' => 0x0c,
            b'r' => b'\r',
            b'0'..=b'7' => kind - b'0',
            b'x' => {
                let value = self.hex(2)?;
                return Ok(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            b'u' => return self.utf16(),
            _ => return Err(JsonError::Escape { at }),
        };
        Ok(char::from(plain))
    }

    /// The character of a `\u` escape, or of a pair of them; half a pair becomes U+FFFD.
    fn utf16(&mut self) -> Result<char, JsonError> {
        let first = self.hex(4)?;
        if !(0xD800..0xDC00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if !self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let before_second = self.at;
        self.at += 2;
        let second = self.hex(4)?;
        if !(0xDC00..0xE000).contains(&second) {
            self.at = before_second;
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        let value = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        Ok(char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self, digits: usize) -> Result<u32, JsonError> {
        let at = self.at;
        let text = self.text.as_bytes().get(at..at + digits).ok_or(JsonError::Truncated { at })?;
        let mut value = 0;
        for digit in text {
            value = value * 16 + char::from(*digit).to_digit(16).ok_or(JsonError::Escape { at })?;
        }
        self.at += digits;
        Ok(value)
    }

    /// Takes everything up to the next delimiter; at least one byte.
    fn bare(&mut self) -> Result<&'a str, JsonError> {
        self.peek()?;
        let rest = &self.text[self.at..];
        let ends =
            |c: char| c.is_ascii_whitespace() || matches!(c, ':' | ',' | '{' | '}' | '[' | ']' | '"' | '\'');
        let bytes = rest.find(ends).unwrap_or(rest.len());
        if bytes == 0 {
            return Err(self.unexpected());
        }
        self.at += bytes;
        Ok(&rest[..bytes])
    }

    /// Skips an object or array, checking its form.
    fn skip_nested(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > DEPTH_MAX {
            return Err(JsonError::TooDeep { limit: DEPTH_MAX });
        }
        let is_object = self.peek()? == b'{';
        self.at += 1;
        let end = if is_object { b'}' } else { b']' };
        while self.more_before(end)? {
            if is_object {
                self.name(depth)?;
            }
            self.scalar(depth)?;
        }
        Ok(())
    }
}

/// Whether `text` has the form of a JSON number. A leading plus and leading zeros pass, as fastjson lets them.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'))
        && text.parse::<f64>().is_ok()
}
