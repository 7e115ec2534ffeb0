//! The byte scan that reader and writer share: how far a string runs without a byte that needs care.
//!
//! Sixteen bytes at a time: strings are half of what an event is made of. Where the machine has no SSE2 the same
//! is done on two words. `unsafe` is here for the loads of whole blocks.
#![allow(unsafe_code)]

/// Bytes in a block.
pub(super) const BLOCK: usize = 16;

/// A stretch of bytes without quote, backslash or control character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain {
    /// How many bytes.
    pub(super) len: usize,
    /// Whether all of them are ASCII.
    pub(super) ascii: bool,
}

/// Whether a byte ends a plain stretch.
pub(super) fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// One bit for each byte of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Bytes that are special; right up to the lowest one.
    pub(super) specials: u32,
    /// Bytes that are not ASCII.
    wide: u32,
}

#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn look(block: &[u8; BLOCK]) -> Found {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: SSE2 is part of x86-64, and the load is of the sixteen bytes of the block, wherever they are.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        let quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"'.cast_signed()));
        let backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\'.cast_signed()));
        let controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        let found = _mm_or_si128(_mm_or_si128(quotes, backslashes), controls);
        Found {
            specials: _mm_movemask_epi8(found).cast_unsigned(),
            wide: _mm_movemask_epi8(bytes).cast_unsigned(),
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use words::look;

/// The same in words.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod words {
    use super::{BLOCK, Found};

    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    const QUOTES: u64 = u64::from_ne_bytes([b'"'; 8]);
    const BACKSLASHES: u64 = u64::from_ne_bytes([b'\\'; 8]);
    const BLANKS: u64 = u64::from_ne_bytes([b' '; 8]);

    pub(super) fn look(block: &[u8; BLOCK]) -> Found {
        let (words, _) = block.as_chunks::<8>();
        let mut found = Found { specials: 0, wide: 0 };
        for (index, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            found.specials |= gather(specials(word)) << (8 * index);
            found.wide |= gather(word & HIGHS) << (8 * index);
        }
        found
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

    /// The high bits of eight bytes, side by side.
    fn gather(highs: u64) -> u32 {
        let gathered = (highs >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        u32::from(gathered.to_le_bytes()[0])
    }
}

/// Measures the plain stretch at the start of `bytes`.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> Plain {
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    let mut len = 0;
    let mut wide = 0;
    for block in blocks {
        let found = look(block);
        if found.specials != 0 {
            let before = found.specials.trailing_zeros();
            // Only the bytes before the special one belong to the stretch.
            wide |= found.wide & ((1 << before) - 1);
            return Plain { len: len + before as usize, ascii: wide == 0 };
        }
        wide |= found.wide;
        len += BLOCK;
    }
    let mut ascii = wide == 0;
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

    fn check(bytes: &[u8]) {
        assert_eq!(plain(bytes), naive(bytes), "{bytes:?}");
    }

    #[test]
    fn every_byte_is_found_at_every_place_of_every_length() {
        let bytes: Vec<u8> =
            if cfg!(miri) { b"\0\x1f \"\\\x7f\x80\xff".to_vec() } else { (0..=255).collect() };
        for byte in bytes {
            for len in 1..50 {
                for at in 0..len {
                    let mut text = vec![b'x'; len];
                    text[at] = byte;
                    check(&text);
                    // A neighbour that could be mistaken for a special byte by a borrow.
                    if let Some(next) = text.get_mut(at + 1) {
                        *next = b'!';
                        check(&text);
                    }
                }
            }
        }
        check(b"");
    }

    #[test]
    fn what_follows_the_stretch_does_not_make_it_wide() {
        assert_eq!(plain("ab\"é".as_bytes()), Plain { len: 2, ascii: true });
        assert_eq!(plain("abcdefghab\"é abcdefghijklm".as_bytes()), Plain { len: 10, ascii: true });
        assert_eq!(plain("abcdefghaé\" abcdefghijklm".as_bytes()), Plain { len: 11, ascii: false });
    }

    #[test]
    fn words_find_what_blocks_find() {
        for first in 0..=255 {
            for second in [0x00, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x5c, 0x5d, 0x7f, 0x80, 0xff] {
                for at in 0..BLOCK - 1 {
                    let mut block = [b'x'; BLOCK];
                    block[at] = first;
                    block[at + 1] = second;
                    let (one, other) = (look(&block), words::look(&block));
                    assert_eq!(one.specials.trailing_zeros(), other.specials.trailing_zeros(), "{block:?}");
                    assert_eq!(one.wide, other.wide, "{block:?}");
                }
            }
        }
    }
}
