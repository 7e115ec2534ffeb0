//! Integers in decimal, eight digits at a time: all of them are computed side by side in one word, and leading zeros
//! are shifted out, so no step waits for the digit before it.
#![allow(unsafe_code)]

/// Eight digits.
const EIGHT: u64 = 100_000_000;
/// Bytes that [`put_integer`] may write: the sign and three times eight digits.
pub(super) const ROOM: usize = 25;

/// Writes an integer at `at`, and says where it ends.
///
/// # Safety
///
/// `at` has room for [`ROOM`] bytes.
#[inline]
pub(super) unsafe fn put_integer(at: *mut u8, value: i64) -> *mut u8 {
    // SAFETY: as promised to us.
    unsafe {
        if value < 0 {
            at.write(b'-');
            return put_unsigned(at.add(1), value.unsigned_abs());
        }
        put_unsigned(at, value.unsigned_abs())
    }
}

/// Writes an integer at `at`, and says where it ends.
///
/// # Safety
///
/// `at` has room for three times eight bytes.
#[inline]
pub(super) unsafe fn put_unsigned(at: *mut u8, value: u64) -> *mut u8 {
    // SAFETY: as promised to us: each part is at most eight bytes.
    unsafe {
        if value < EIGHT {
            return put_leading(at, value);
        }
        let (high, low) = (value / EIGHT, value % EIGHT);
        let at = if high < EIGHT {
            put_leading(at, high)
        } else {
            put_eight(put_leading(at, high / EIGHT), high % EIGHT)
        };
        put_eight(at, low)
    }
}

/// Writes up to eight digits; eight bytes are written.
#[inline]
unsafe fn put_leading(at: *mut u8, value: u64) -> *mut u8 {
    let digits = eight_digits(value);
    // The last digit stays, even a zero.
    let zeros = (digits | 1 << 56).trailing_zeros() & !7;
    let text = (digits | u64::from_le_bytes([b'0'; 8])) >> zeros;
    // SAFETY: as promised to the callers.
    unsafe {
        at.cast::<[u8; 8]>().write_unaligned(text.to_le_bytes());
        at.add(8 - zeros as usize / 8)
    }
}

/// Writes eight digits.
#[inline]
unsafe fn put_eight(at: *mut u8, value: u64) -> *mut u8 {
    let text = eight_digits(value) | u64::from_le_bytes([b'0'; 8]);
    // SAFETY: as promised to the callers.
    unsafe {
        at.cast::<[u8; 8]>().write_unaligned(text.to_le_bytes());
        at.add(8)
    }
}

/// The digits of a number of at most eight, a byte each, the first one lowest.
#[inline]
fn eight_digits(value: u64) -> u64 {
    debug_assert!(value < EIGHT);
    // Two numbers of four digits, four of two, eight of one; the factors are 2²⁰/100 and 2¹⁰/10, rounded up, which is
    // near enough for numbers as small as these.
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: u64) -> String {
        let mut out = Vec::with_capacity(ROOM);
        // SAFETY: there is room, and what is said to be written is.
        unsafe {
            let end = put_unsigned(out.as_mut_ptr(), value);
            out.set_len(end.offset_from_unsigned(out.as_ptr()));
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn all_numbers_of_four_digits_have_their_digits() {
        for value in 0..if cfg!(miri) { 120 } else { 10_000 } {
            assert_eq!(text(value), value.to_string());
            let both = value * 10_000 + value;
            assert_eq!(text(both), both.to_string());
        }
    }

    #[test]
    fn numbers_of_every_length_have_their_digits() {
        let mut powers = std::iter::successors(Some(1_u64), |power| power.checked_mul(10));
        for power in powers.by_ref() {
            for value in [power - 1, power, power + 1, power.saturating_mul(9), u64::MAX / power] {
                assert_eq!(text(value), value.to_string());
            }
        }
    }

    #[test]
    fn the_sign_comes_first() {
        for value in [i64::MIN, i64::MIN + 1, -10, -1, 0, 1, i64::MAX] {
            let mut out = Vec::with_capacity(ROOM);
            // SAFETY: as above.
            unsafe {
                let end = put_integer(out.as_mut_ptr(), value);
                out.set_len(end.offset_from_unsigned(out.as_ptr()));
            }
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }
}
