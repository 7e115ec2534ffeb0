//! The byte scan that reader and writer share: how far a string runs without a byte that needs care.
//!
//! Sixteen bytes at a time: strings are half of what an event is made of. Where the machine has no SSE2 the same
//! is done on two words. `unsafe` is here for the loads and stores of whole blocks.
#![allow(unsafe_code)]

/// Bytes in a block.
const BLOCK: usize = 16;
/// Eight bytes that are not special.
const BLANKS: u128 = u64::from_ne_bytes([b' '; 8]) as u128;

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

/// One bit for each byte of a block.
#[derive(Debug, Clone, Copy)]
struct Found {
    /// Bytes that are special; right up to the lowest one.
    specials: u32,
    /// Bytes that are not ASCII.
    wide: u32,
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn look(block: &[u8; BLOCK]) -> Found {
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
use words::look;

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

/// Appends the plain stretch at the start of `text`, and says how long it is.
#[inline]
pub(super) fn push_plain(out: &mut Vec<u8>, text: &[u8]) -> usize {
    out.reserve(text.len());
    // SAFETY: there is room for all of `text` behind what `out` holds, and no more than that is written; the length
    // grows by the stretch, whose bytes have been written.
    unsafe {
        let room = out.as_mut_ptr().add(out.len());
        let len = copy_plain(text, room);
        debug_assert!(len <= text.len());
        out.set_len(out.len() + len);
        len
    }
}

/// Appends `before`, a quote and the plain stretch at the start of `text`; and if that is all of it, the closing
/// quote and `after`. Says how long the stretch is.
///
/// One step, because the length of `out` in memory is what a sequence of small pushes waits for.
#[inline]
pub(super) fn push_quoted(out: &mut Vec<u8>, before: Option<u8>, text: &[u8], after: Option<u8>) -> usize {
    out.reserve(text.len() + 4);
    // SAFETY: as above, with room for the quotes and what is before and after them.
    unsafe {
        let mut room = out.as_mut_ptr().add(out.len());
        if let Some(byte) = before {
            room.write(byte);
            room = room.add(1);
        }
        room.write(b'"');
        let len = copy_plain(text, room.add(1));
        debug_assert!(len <= text.len());
        room = room.add(1 + len);
        if len == text.len() {
            room.write(b'"');
            room = room.add(1);
            if let Some(byte) = after {
                room.write(byte);
                room = room.add(1);
            }
        }
        out.set_len(room.offset_from_unsigned(out.as_ptr()));
        len
    }
}

/// Appends a few bytes: numbers are so short that a call for their copying would cost more than it.
#[inline]
pub(super) fn push_short(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() > 2 * BLOCK {
        return out.extend_from_slice(text);
    }
    out.reserve(text.len());
    // SAFETY: there is room for all of `text`; each word that is written lies in it.
    unsafe {
        let room = out.as_mut_ptr().add(out.len());
        if !copy_ends::<BLOCK>(text, room) && !copy_ends::<8>(text, room) && !copy_ends::<4>(text, room) {
            for (at, byte) in text.iter().enumerate() {
                room.add(at).write(*byte);
            }
        }
        out.set_len(out.len() + text.len());
    }
}

/// Copies the first and the last `N` bytes of a text of up to twice as many, unless it is shorter than one `N`.
///
/// # Safety
///
/// `room` has place for as many bytes as `text` has, elsewhere.
#[inline]
unsafe fn copy_ends<const N: usize>(text: &[u8], room: *mut u8) -> bool {
    let (Some(first), Some(last)) = (text.first_chunk::<N>(), text.last_chunk::<N>()) else { return false };
    // SAFETY: both lie in `text`.
    unsafe {
        room.cast::<[u8; N]>().write_unaligned(*first);
        room.add(text.len() - N).cast::<[u8; N]>().write_unaligned(*last);
    }
    true
}

/// Copies `text`, at least up to its first special byte, and says how far that is.
///
/// # Safety
///
/// `room` has place for as many bytes as `text` has, elsewhere.
#[inline]
unsafe fn copy_plain(text: &[u8], room: *mut u8) -> usize {
    let (blocks, tail) = text.as_chunks::<BLOCK>();
    let mut done = 0;
    for block in blocks {
        // SAFETY: the blocks lie in `text`, one after the other, so each has its place.
        unsafe { room.add(done).cast::<[u8; BLOCK]>().write_unaligned(*block) };
        let found = look(block);
        if found.specials != 0 {
            return done + found.specials.trailing_zeros() as usize;
        }
        done += BLOCK;
    }
    if tail.is_empty() {
        return done;
    }
    // The rest is done with the block that ends where the text does: what it does twice does no harm.
    if let (false, Some(block)) = (blocks.is_empty(), text.last_chunk::<BLOCK>()) {
        let start = text.len() - BLOCK;
        // SAFETY: the block ends where `text` ends.
        unsafe { room.add(start).cast::<[u8; BLOCK]>().write_unaligned(*block) };
        let found = look(block);
        return if found.specials == 0 {
            text.len()
        } else {
            start + found.specials.trailing_zeros() as usize
        };
    }
    // SAFETY: as promised to us.
    unsafe { copy_short(tail, room) }
}

/// The same for fewer than sixteen bytes: two words that overlap make a block.
///
/// # Safety
///
/// As for [`copy_plain`].
#[inline]
unsafe fn copy_short(text: &[u8], room: *mut u8) -> usize {
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        // SAFETY: as promised to us.
        unsafe { copy_ends::<8>(text, room) };
        let words = u128::from(u64::from_le_bytes(*last)) << 64 | u128::from(u64::from_le_bytes(*first));
        return place(look(&words.to_le_bytes()), 8, text.len());
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        // SAFETY: as promised to us.
        unsafe { copy_ends::<4>(text, room) };
        let halves = u64::from(u32::from_le_bytes(*last)) << 32 | u64::from(u32::from_le_bytes(*first));
        // The block's other half is blanks, which are not special.
        let block = BLANKS << 64 | u128::from(halves);
        return place(look(&block.to_le_bytes()), 4, text.len());
    }
    for (at, byte) in text.iter().enumerate() {
        // SAFETY: a place of `text`.
        unsafe { room.add(at).write(*byte) };
        if is_special(*byte) {
            return at;
        }
    }
    text.len()
}

/// Where the first special byte of a text is, of which a block holds the first and the last `half` bytes.
#[inline]
fn place(found: Found, half: usize, len: usize) -> usize {
    if found.specials == 0 {
        return len;
    }
    let at = found.specials.trailing_zeros() as usize;
    if at < half { at } else { len - half + (at - half) }
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
        // No more room than is needed, so that valgrind and Miri see what goes beyond.
        let mut out = Vec::with_capacity(bytes.len());
        assert_eq!(push_plain(&mut out, bytes), naive(bytes).len, "{bytes:?}");
        assert_eq!(out, bytes[..naive(bytes).len]);
        let mut out = Vec::with_capacity(bytes.len() + 4);
        let len = push_quoted(&mut out, Some(b','), bytes, Some(b':'));
        let closing: &[u8] = if len == bytes.len() { b"\":" } else { b"" };
        assert_eq!(out, [b",\"", &bytes[..naive(bytes).len], closing].concat());
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
    fn a_few_bytes_are_appended_as_they_are() {
        let text: Vec<u8> = (0..80).collect();
        for len in 0..text.len() {
            let mut out = Vec::with_capacity(len + 1);
            out.push(b'x');
            push_short(&mut out, &text[..len]);
            assert_eq!(out, [b"x", &text[..len]].concat());
        }
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
