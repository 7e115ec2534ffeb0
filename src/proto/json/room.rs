//! Writing where there is room: a slot reserves all that a value of fixed size takes, with what is before it, and is
//! then filled without another look.
//!
//! A buffer's length lies in memory, and a sequence of small pushes waits for it each time; so a member, its name,
//! colon and value, is one step. `unsafe` is here for the writes into the reserved room.
#![allow(unsafe_code)]

use super::digits;
use super::scan::{BLOCK, is_special, look};
use super::writer::write_special;

/// Room for whatever is not text: a float takes most.
const SLACK: usize = 32;

const _: () = assert!(size_of::<zmij::Buffer>() <= SLACK && align_of::<zmij::Buffer>() == 1);
const _: () = assert!(digits::ROOM <= SLACK);

/// A member's name, in the form in which it is written.
#[derive(Debug, Clone, Copy)]
pub struct Name {
    /// The string, the colon, and anything.
    text: [u8; Self::ROOM],
    len: u8,
}

impl Name {
    const ROOM: usize = 32;

    /// The name's written form, if it is short.
    pub fn new(name: &str) -> Option<Self> {
        let mut out = Vec::with_capacity(Self::ROOM);
        Slot::new(&mut out).text(name);
        out.push(b':');
        let mut text = [0; Self::ROOM];
        text.get_mut(..out.len())?.copy_from_slice(&out);
        Some(Self { text, len: u8::try_from(out.len()).ok()? })
    }
}

/// What a member is called.
#[derive(Debug, Clone, Copy)]
pub enum Key<'k> {
    /// Any name.
    Text(&'k str),
    /// One that has been written before.
    Name(&'k Name),
}

/// A place at the end of a buffer for one value, what is before it already written. The buffer holds neither until
/// the slot is filled.
#[derive(Debug)]
pub struct Slot<'b> {
    out: &'b mut Vec<u8>,
    /// In the room of `out`; all before it has been written, and [`SLACK`] bytes are left.
    at: *mut u8,
}

// Each of these is a few instructions, and filled with a value of a known kind most of them fall away.
#[allow(clippy::inline_always, reason = "as a call each costs more than what it does")]
impl<'b> Slot<'b> {
    /// A place for a value of its own.
    #[inline(always)]
    pub fn new(out: &'b mut Vec<u8>) -> Self {
        out.reserve(SLACK);
        // SAFETY: the end of the buffer.
        let at = unsafe { out.as_mut_ptr().add(out.len()) };
        Self { out, at }
    }

    /// A place for an array's element behind `lead`, which is a bracket or a comma.
    #[inline(always)]
    pub fn element(out: &'b mut Vec<u8>, lead: u8) -> Self {
        out.reserve(1 + SLACK);
        // SAFETY: there is room for the byte.
        let at = unsafe { put(out.as_mut_ptr().add(out.len()), lead) };
        Self { out, at }
    }

    /// A place for a member's value behind its name and `lead`, which is a brace or a comma.
    #[inline(always)]
    pub fn member(out: &'b mut Vec<u8>, lead: u8, key: Key<'_>) -> Self {
        match key {
            Key::Name(name) => {
                out.reserve(1 + Name::ROOM + SLACK);
                // SAFETY: there is room for the byte and the name.
                let at = unsafe { put_name(put(out.as_mut_ptr().add(out.len()), lead), name) };
                Self { out, at }
            }
            Key::Text(text) => Self::new_member(out, lead, text),
        }
    }

    #[inline(never)]
    fn new_member(out: &'b mut Vec<u8>, lead: u8, text: &str) -> Self {
        Slot::element(out, lead).text(text);
        Self::element(out, b':')
    }

    /// Writes a string; what is not ASCII stays as it is.
    #[inline(always)]
    pub fn text(mut self, text: &str) {
        let used = self.at.addr() - self.out.as_ptr().addr();
        if self.out.capacity() - used < text.len() + 2 {
            self = self.grow(text.len() + 2);
        }
        // SAFETY: there is room for the text and two quotes.
        let plain = unsafe {
            let (at, plain) = put_text(self.at, text);
            end_at(self.out, at);
            plain
        };
        if plain < text.len() {
            write_rest(self.out, text, plain);
        }
    }

    /// The same place with more room.
    #[cold]
    fn grow(self, room: usize) -> Self {
        let Self { out, at } = self;
        // SAFETY: all before `at` has been written, and `reserve` keeps it.
        let at = unsafe {
            end_at(out, at);
            out.reserve(room + SLACK);
            out.as_mut_ptr().add(out.len())
        };
        Self { out, at }
    }

    /// Writes an integer.
    #[inline(always)]
    pub fn integer(self, value: i64) {
        // SAFETY: there is room for one.
        unsafe { end_at(self.out, digits::put_integer(self.at, value)) };
    }

    /// Writes a float in its shortest form; `null` for NaN and the infinities, which JSON cannot say.
    #[inline(always)]
    pub fn float(self, value: f64) {
        // SAFETY: there is room for one.
        unsafe { end_at(self.out, put_float(self.at, value)) };
    }

    /// Writes `true` or `false`.
    #[inline(always)]
    pub fn boolean(self, value: bool) {
        // SAFETY: there is room for either.
        unsafe {
            let at = if value { put_word(self.at, *b"true") } else { put_word(self.at, *b"false") };
            end_at(self.out, at);
        };
    }

    /// Writes `null`.
    #[inline(always)]
    pub fn null(self) {
        // SAFETY: there is room for it.
        unsafe { end_at(self.out, put_word(self.at, *b"null")) };
    }

    /// Leaves the place to a value that is written some other way.
    #[inline(always)]
    pub fn leave(self) {
        // SAFETY: all before the place has been written.
        unsafe { end_at(self.out, self.at) };
    }
}

/// Ends the buffer.
///
/// # Safety
///
/// `at` is in the buffer's room, and all before it has been written.
#[inline]
unsafe fn end_at(out: &mut Vec<u8>, at: *mut u8) {
    // SAFETY: as promised to us.
    unsafe { out.set_len(at.offset_from_unsigned(out.as_ptr())) };
}

/// # Safety
///
/// `at` has room for a byte.
#[inline]
unsafe fn put(at: *mut u8, byte: u8) -> *mut u8 {
    // SAFETY: as promised to us.
    unsafe {
        at.write(byte);
        at.add(1)
    }
}

/// # Safety
///
/// `at` has room for [`Name::ROOM`] bytes.
#[inline]
unsafe fn put_name(at: *mut u8, name: &Name) -> *mut u8 {
    // SAFETY: as promised to us; the length is at most that.
    unsafe {
        at.cast::<[u8; Name::ROOM]>().write_unaligned(name.text);
        at.add(usize::from(name.len))
    }
}

/// # Safety
///
/// `at` has room for `N` bytes.
#[inline]
unsafe fn put_word<const N: usize>(at: *mut u8, word: [u8; N]) -> *mut u8 {
    // SAFETY: as promised to us.
    unsafe {
        at.cast::<[u8; N]>().write_unaligned(word);
        at.add(N)
    }
}

/// # Safety
///
/// `at` has room for [`SLACK`] bytes.
unsafe fn put_float(at: *mut u8, value: f64) -> *mut u8 {
    // SAFETY: as promised to us: a float's buffer fits in, wherever it begins.
    unsafe {
        if !value.is_finite() {
            return put_word(at, *b"null");
        }
        let buffer = at.cast::<zmij::Buffer>();
        buffer.write(zmij::Buffer::new());
        let text = (*buffer).format_finite(value);
        if text.as_ptr() != at.cast_const() {
            std::ptr::copy(text.as_ptr(), at, text.len());
        }
        at.add(text.len())
    }
}

/// Puts a quote and the plain stretch at the start of `text`, whose length it says; and if that is all of it, the
/// closing quote.
///
/// # Safety
///
/// `at` has room for two bytes more than `text` has, elsewhere.
#[inline]
unsafe fn put_text(at: *mut u8, text: &str) -> (*mut u8, usize) {
    // SAFETY: as promised to us.
    unsafe {
        let room = put(at, b'"');
        let plain = copy_plain(text.as_bytes(), room);
        debug_assert!(plain <= text.len());
        let at = room.add(plain);
        (if plain == text.len() { put(at, b'"') } else { at }, plain)
    }
}

/// What follows the first `plain` bytes of a string, and its closing quote.
#[cold]
fn write_rest(out: &mut Vec<u8>, text: &str, plain: usize) {
    write_special(out, text.as_bytes(), plain);
    out.push(b'"');
}

/// Appends the plain stretch at the start of `text`, and says how long it is.
#[inline]
pub(super) fn push_plain(out: &mut Vec<u8>, text: &[u8]) -> usize {
    out.reserve(text.len());
    // SAFETY: there is room for all of `text`, and the stretch has been written.
    unsafe {
        let room = out.as_mut_ptr().add(out.len());
        let plain = copy_plain(text, room);
        debug_assert!(plain <= text.len());
        end_at(out, room.add(plain));
        plain
    }
}

/// Copies `text`, at least up to its first special byte, and says how far that is.
///
/// # Safety
///
/// `room` has place for as many bytes as `text` has, elsewhere.
#[inline]
unsafe fn copy_plain(text: &[u8], room: *mut u8) -> usize {
    let Some(end) = text.last_chunk::<BLOCK>() else {
        // SAFETY: as promised to us.
        return unsafe { copy_short(text, room) };
    };
    let mut done = 0;
    for block in text.as_chunks::<BLOCK>().0 {
        // SAFETY: the blocks lie in `text`, one after the other, so each has its place.
        unsafe { room.add(done).cast::<[u8; BLOCK]>().write_unaligned(*block) };
        let specials = look(block).specials;
        if specials != 0 {
            return done + specials.trailing_zeros() as usize;
        }
        done += BLOCK;
    }
    // The rest is done with the block that ends where the text does: what it does twice does no harm.
    let start = text.len() - BLOCK;
    // SAFETY: the block ends where `text` ends.
    unsafe { room.add(start).cast::<[u8; BLOCK]>().write_unaligned(*end) };
    match look(end).specials {
        0 => text.len(),
        specials => start + specials.trailing_zeros() as usize,
    }
}

/// The same for fewer bytes than a block has: two words that overlap, or the three bytes that may be all.
///
/// # Safety
///
/// As for [`copy_plain`].
#[inline]
unsafe fn copy_short(text: &[u8], room: *mut u8) -> usize {
    // SAFETY: as promised to us, and each word or byte lies in `text`.
    let (block, is_part) = unsafe {
        if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
            room.cast::<[u8; 8]>().write_unaligned(*first);
            room.add(text.len() - 8).cast::<[u8; 8]>().write_unaligned(*last);
            (u128::from(u64::from_le_bytes(*first)) | u128::from(u64::from_le_bytes(*last)) << 64, 0xffff)
        } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
            room.cast::<[u8; 4]>().write_unaligned(*first);
            room.add(text.len() - 4).cast::<[u8; 4]>().write_unaligned(*last);
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            (u128::from(u64::from(first) | u64::from(last) << 32), 0x00ff)
        } else if let (Some(first), Some(middle), Some(last)) =
            (text.first(), text.get(text.len() / 2), text.last())
        {
            room.write(*first);
            room.add(text.len() / 2).write(*middle);
            room.add(text.len() - 1).write(*last);
            (u128::from(u32::from_le_bytes([*first, *middle, *last, b' '])), 0x000f)
        } else {
            return 0;
        }
    };
    if look(&block.to_le_bytes()).specials & is_part == 0 {
        return text.len();
    }
    first_special(text)
}

#[cold]
fn first_special(text: &[u8]) -> usize {
    text.iter().position(|byte| is_special(*byte)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn check(text: &str) {
        let quoted = serde_json::to_string(text).unwrap();
        assert_eq!(written(|out| Slot::new(out).text(text)), quoted);
        assert_eq!(written(|out| Slot::element(out, b',').text(text)), [",", &quoted].concat());
        let member = ["{", &quoted, ":", &quoted].concat();
        assert_eq!(written(|out| Slot::member(out, b'{', Key::Text(text)).text(text)), member);
        match Name::new(text) {
            Some(name) => {
                assert_eq!(written(|out| Slot::member(out, b'{', Key::Name(&name)).text(text)), member);
            }
            None => assert!(quoted.len() >= Name::ROOM, "{text:?}"),
        }
        // No more room than is needed, so that valgrind and Miri see what goes beyond.
        let mut out = Vec::with_capacity(text.len());
        let plain = text.bytes().position(is_special).unwrap_or(text.len());
        assert_eq!(push_plain(&mut out, text.as_bytes()), plain, "{text:?}");
        assert_eq!(out, &text.as_bytes()[..plain]);
    }

    #[test]
    fn every_byte_is_found_at_every_place_of_every_length() {
        let bytes: Vec<u8> = if cfg!(miri) { b"\0\x1f \"\\\x7f".to_vec() } else { (0..127).collect() };
        for byte in bytes {
            for len in 1..50 {
                for at in 0..len {
                    let mut text = vec![b'x'; len];
                    text[at] = byte;
                    check(std::str::from_utf8(&text).unwrap());
                    // A neighbour that could be mistaken for a special byte by a borrow.
                    if let Some(next) = text.get_mut(at + 1) {
                        *next = b'!';
                        check(std::str::from_utf8(&text).unwrap());
                    }
                }
            }
        }
        check("");
        check("größer");
    }

    #[test]
    #[allow(clippy::redundant_closure_for_method_calls, reason = "the slot's lifetime is the closure's")]
    fn a_slot_holds_a_value_of_any_kind() {
        let check = |fill: fn(Slot<'_>), text: &str| {
            assert_eq!(written(|out| fill(Slot::new(out))), text);
            assert_eq!(written(|out| fill(Slot::element(out, b'['))), ["[", text].concat());
        };
        check(|slot| slot.null(), "null");
        check(|slot| slot.leave(), "");
        check(|slot| slot.boolean(true), "true");
        check(|slot| slot.boolean(false), "false");
        check(|slot| slot.integer(-7), "-7");
        check(|slot| slot.float(96.5), "96.5");
        check(|slot| slot.float(-2.225_073_858_507_201e-308), "-2.225073858507201e-308");
        check(|slot| slot.float(f64::NAN), "null");
        check(|slot| slot.float(f64::NEG_INFINITY), "null");
    }
}
