//! Session and socket ids: 15 random bytes as base64url, exactly 20 characters.
//!
//! Source: Engine.IO protocol 4, "Handshake"; the length matters to the sharded Redis adapter.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// How many random bytes make an id.
pub const RANDOM_BYTES: usize = 15;
/// How many characters an id has.
pub const LENGTH: usize = 20;

/// An id of an Engine.IO session (a secret of its client) or of a Socket.IO socket (public).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid([u8; LENGTH]);

impl Sid {
    /// Makes an id from random bytes.
    pub fn from_random(random: [u8; RANDOM_BYTES]) -> Self {
        let mut text = [b'A'; LENGTH];
        // 15 bytes are exactly 20 characters, so the slice never is too short.
        let _ = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
        Self(text)
    }

    /// Reads an id from the wire: exactly 20 characters of the base64url alphabet.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; LENGTH] = text.as_bytes().try_into().ok()?;
        let valid = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        valid.then_some(Self(bytes))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An Engine.IO id is a bearer secret: its head is enough to follow it in a log.
        write!(f, "{}…", self.as_str().get(..6).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_twenty_characters_and_reads_back() {
        for byte in 0..=255 {
            let sid = Sid::from_random([byte; RANDOM_BYTES]);
            assert_eq!(sid.as_str().len(), LENGTH);
            assert_eq!(Sid::parse(sid.as_str()), Some(sid));
        }
    }

    #[test]
    fn what_is_no_id_is_not_read() {
        for text in ["", "short", "twenty-one-characters", "twenty chars, blanks", "ünïcode-as-20-byte"] {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_log_shows_only_the_head_of_an_id() {
        assert_eq!(format!("{:?}", Sid::from_random([0; RANDOM_BYTES])), "AAAAAA…");
    }
}
