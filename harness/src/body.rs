//! Bodies of test messages: they name their message and attempt, and show by themselves whether a byte of
//! them has changed.
//!
//! `value attempt padding checksum`, in one-blank-separated ASCII words; the checksum covers all before it.

use protocol::message::{UnitError, body_crc};

/// What a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Unique a message.
    pub value: String,
    /// Unique an attempt to send it.
    pub attempt: String,
}

/// Why a body is not one that we sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not UTF-8.
    #[error("the body is not text")]
    NotText,
    /// It has one word only.
    #[error("the body has no checksum")]
    NoChecksum,
    /// Bytes of it have changed.
    #[error("the body's checksum is {said}, its bytes have {found}")]
    Checksum {
        /// As it stands there.
        said: String,
        /// As its bytes have it.
        found: String,
    },
    /// The checksum is right, and still it is none of ours.
    #[error("the body has too few words")]
    TooFewWords,
    /// The unit around it says that it is damaged.
    #[error(transparent)]
    Unit(#[from] UnitError),
}

/// The body of an attempt, of at least `bytes_min` bytes.
///
/// # Panics
/// If a word is empty or has a blank in it.
pub fn encode(value: &str, attempt: &str, bytes_min: usize) -> Vec<u8> {
    for word in [value, attempt] {
        assert!(!word.is_empty() && !word.contains(char::is_whitespace), "{word:?} is not a word");
    }
    let words = value.len() + attempt.len() + " - ".len() + " 01234567".len();
    let padding = padding(attempt, bytes_min.saturating_sub(words));
    let front = format!("{value} {attempt} -{padding}");
    format!("{front} {:08x}", body_crc(front.as_bytes())).into_bytes()
}

/// Differs from attempt to attempt, so that bytes of another message are noticed.
fn padding(attempt: &str, bytes: usize) -> String {
    let first = attempt.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    (0..bytes).map(|at| char::from(b'a' + ((first.wrapping_add(at)) % 26) as u8)).collect()
}

/// Reads a body.
///
/// # Errors
/// What is wrong with it.
pub fn decode(body: &[u8]) -> Result<Body, BodyError> {
    let text = std::str::from_utf8(body).map_err(|_| BodyError::NotText)?;
    let (front, checksum) = text.rsplit_once(' ').ok_or(BodyError::NoChecksum)?;
    let found = format!("{:08x}", body_crc(front.as_bytes()));
    if checksum != found {
        return Err(BodyError::Checksum { said: checksum.to_owned(), found });
    }
    let mut words = front.split(' ').map(str::to_owned);
    match (words.next(), words.next()) {
        (Some(value), Some(attempt)) => Ok(Body { value, attempt }),
        _ => Err(BodyError::TooFewWords),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_comes_back_and_has_its_size() {
        for bytes in [0, 64, 1024] {
            let body = encode("3-17", "3-17.0", bytes);
            assert!(body.len() >= bytes && body.len() <= bytes.max(64), "{} of {bytes}", body.len());
            let expected = Body { value: "3-17".to_owned(), attempt: "3-17.0".to_owned() };
            assert_eq!(decode(&body), Ok(expected));
        }
    }

    #[test]
    fn one_changed_byte_is_noticed_wherever_it_is() {
        let body = encode("3-17", "3-17.0", 80);
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert!(decode(&changed).is_err(), "byte {at}");
        }
        assert!(decode(&body[..body.len() - 1]).is_err());
        assert!(decode(b"").is_err());
    }
}
