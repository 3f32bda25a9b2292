//! How a body is read as text.

use std::fmt::Write;
use std::str::FromStr;

/// The encodings that need no tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Charset {
    /// UTF-8, and ASCII with it.
    #[default]
    Utf8,
    /// ISO-8859-1: a character a byte.
    Latin1,
    /// UTF-16, big-endian unless a mark in front says otherwise.
    Utf16,
    /// UTF-16, little-endian.
    Utf16Le,
}

impl FromStr for Charset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.trim().to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" | "US-ASCII" | "ASCII" => Ok(Self::Utf8),
            "ISO-8859-1" | "LATIN1" => Ok(Self::Latin1),
            "UTF-16" | "UTF-16BE" => Ok(Self::Utf16),
            "UTF-16LE" => Ok(Self::Utf16Le),
            _ => Err("known are UTF-8, US-ASCII, ISO-8859-1, UTF-16, UTF-16BE, UTF-16LE".to_owned()),
        }
    }
}

impl Charset {
    /// The body as text; one that is not text in this encoding as hexadecimal digits.
    pub(crate) fn text(self, body: &[u8]) -> String {
        let text = match self {
            Self::Utf8 => std::str::from_utf8(body).ok().map(str::to_owned),
            Self::Latin1 => Some(body.iter().map(|byte| char::from(*byte)).collect()),
            Self::Utf16 => match body {
                [0xff, 0xfe, rest @ ..] => utf16(rest, swapped),
                [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
                all => utf16(all, u16::from_be_bytes),
            },
            Self::Utf16Le => utf16(body, swapped),
        };
        text.unwrap_or_else(|| digits(body))
    }
}

fn utf16(body: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = body.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<Result<_, _>>().ok()
}

/// Little-endian, as the name of the encoding says.
fn swapped(pair: [u8; 2]) -> u16 {
    u16::from_be_bytes(pair).swap_bytes()
}

fn digits(body: &[u8]) -> String {
    body.iter().fold(String::from("0x"), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string never fails");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_no_text_is_shown_in_digits() {
        assert_eq!(Charset::Utf8.text("Grüße".as_bytes()), "Grüße");
        assert_eq!(Charset::Utf8.text(&[0xff, 0x00]), "0xff00");
        assert_eq!(Charset::Utf16.text(&[0x00]), "0x00");
    }

    #[test]
    fn other_encodings_are_read() {
        assert_eq!(Charset::Latin1.text(&[0x47, 0xfc]), "Gü");
        assert_eq!(Charset::Utf16.text(&[0x4e, 0x2d]), "中");
        assert_eq!(Charset::Utf16.text(&[0xff, 0xfe, 0x2d, 0x4e]), "中");
        assert_eq!(Charset::Utf16Le.text(&[0x2d, 0x4e]), "中");
    }

    #[test]
    fn names_are_javas_in_any_case() {
        assert_eq!("utf-8".parse(), Ok(Charset::Utf8));
        assert_eq!("ISO-8859-1".parse(), Ok(Charset::Latin1));
        assert!("GBK".parse::<Charset>().unwrap_err().contains("UTF-8"));
    }
}
