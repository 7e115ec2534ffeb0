//! The byte scan that reader and writer share: how far a string runs without a byte that needs care.

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
const BLANKS: u64 = u64::from_ne_bytes([b' '; 8]);

/// A stretch of bytes without quote, backslash or control character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain {
    /// How many bytes.
    pub(super) len: usize,
    /// Whether all of them are ASCII.
    pub(super) ascii: bool,
}

/// Whether a byte ends a plain stretch.
fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The high bit of each byte that is special; right up to the lowest one, which is all that is asked.
fn specials(word: u64) -> u64 {
    let quotes = word ^ QUOTES;
    let backslashes = word ^ BACKSLASHES;
    let found = (quotes.wrapping_sub(ONES) & !quotes)
        | (backslashes.wrapping_sub(ONES) & !backslashes)
        | (word.wrapping_sub(BLANKS) & !word);
    found & HIGHS
}

/// Measures the plain stretch at the start of `bytes`.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> Plain {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut len = 0;
    let mut seen = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let found = specials(word);
        if found != 0 {
            let before = found.trailing_zeros() / 8;
            // Only the bytes before the special one belong to the stretch.
            seen |= word & !(u64::MAX << (8 * before));
            return Plain { len: len + before as usize, ascii: seen & HIGHS == 0 };
        }
        seen |= word;
        len += 8;
    }
    let mut ascii = seen & HIGHS == 0;
    for byte in tail {
        if is_special(*byte) {
            break;
        }
        ascii &= byte.is_ascii();
        len += 1;
    }
    Plain { len, ascii }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: &[u8]) -> Plain {
        let len = bytes.iter().position(|byte| is_special(*byte)).unwrap_or(bytes.len());
        Plain { len, ascii: bytes[..len].is_ascii() }
    }

    #[test]
    fn every_byte_is_found_at_every_place() {
        for byte in 0..=255 {
            for at in 0..40 {
                let mut bytes = vec![b'x'; 40];
                bytes[at] = byte;
                assert_eq!(plain(&bytes), naive(&bytes), "byte {byte} at {at}");
                // A neighbour that could be mistaken for a special byte by a borrow.
                if let Some(next) = bytes.get_mut(at + 1) {
                    *next = b'!';
                }
                assert_eq!(plain(&bytes), naive(&bytes), "byte {byte} at {at} before '!'");
            }
        }
    }

    #[test]
    fn what_follows_the_stretch_does_not_make_it_wide() {
        assert_eq!(plain("ab\"é".as_bytes()), Plain { len: 2, ascii: true });
        assert_eq!(plain("abcdefghab\"é".as_bytes()), Plain { len: 10, ascii: true });
        assert_eq!(plain(b""), Plain { len: 0, ascii: true });
    }
}
