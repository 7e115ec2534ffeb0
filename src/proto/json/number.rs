//! Numbers: exact within 64 bits, else floats.

use super::JsonErrorKind;

/// A number as JSON writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    /// No fraction, no exponent, within `i64`.
    Integer(i64),
    /// No fraction, no exponent, above `i64` but within `u64`.
    Unsigned(u64),
    /// Anything else; finite.
    Float(f64),
}

impl Number {
    /// The number as an index below `count`, if it is one: `1.0` is, as it is in JavaScript.
    pub(super) fn as_index(self, count: usize) -> Option<usize> {
        let index = match self {
            Self::Integer(value) => usize::try_from(value).ok()?,
            Self::Unsigned(value) => usize::try_from(value).ok()?,
            Self::Float(value) => float_as_index(value)?,
        };
        (index < count).then_some(index)
    }
}

fn float_as_index(value: f64) -> Option<usize> {
    let whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
    // The range was checked, so nothing is cut off.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    whole.then_some(value as usize)
}

/// What is wrong with a number, and at which of its bytes.
type Fault = (JsonErrorKind, usize);

/// Reads the number at the start of `bytes` if it is one of the common kind: without an exponent and with few digits.
/// Says how long it is. Whatever else is there is left to [`read`].
#[inline]
pub(super) fn read_short(bytes: &[u8]) -> Option<(Number, usize)> {
    let start = usize::from(bytes.first() == Some(&b'-'));
    let (whole, mut end) = digits(bytes, start, 0);
    let has_leading_zero = end > start + 1 && bytes.get(start) == Some(&b'0');
    if end == start || has_leading_zero || end > Digits::EXACT {
        return None;
    }
    let number = match bytes.get(end) {
        Some(b'.') => {
            let point = end;
            let value;
            (value, end) = digits(bytes, point + 1, whole);
            let fraction = end - point - 1;
            if fraction == 0 || end > Digits::EXACT || matches!(bytes.get(end), Some(b'e' | b'E')) {
                return None;
            }
            let value = exact_quotient(value, fraction)?;
            Number::Float(if start > 0 { -value } else { value })
        }
        Some(b'e' | b'E') => return None,
        _ => {
            let value = whole.cast_signed();
            Number::Integer(if start > 0 { -value } else { value })
        }
    };
    Some((number, end))
}

/// The value of the digits from `at` on, after that of the digits before them, and where they end.
#[inline]
fn digits(bytes: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(byte) = bytes.get(at) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    (value, at)
}

/// `value / 10^fraction` if both are exact: the quotient is rounded once then, and is the nearest float (Clinger 1990).
#[inline]
fn exact_quotient(value: u64, fraction: usize) -> Option<f64> {
    let power = power_of_ten(fraction).filter(|_| value < 1 << 53)?;
    #[allow(clippy::cast_precision_loss)]
    Some(value as f64 / power)
}

/// Reads the number at the start of `text`, and says how long it is.
pub(super) fn read(text: &str) -> Result<(Number, usize), Fault> {
    let bytes = text.as_bytes();
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let whole = Digits::read(bytes, start, 0)?;
    if whole.len > 1 && bytes.get(start) == Some(&b'0') {
        return Err((JsonErrorKind::InvalidNumber, start + 1));
    }
    let end = start + whole.len;
    if matches!(bytes.get(end), Some(b'.' | b'e' | b'E')) {
        return read_float(text, negative, &whole, end);
    }
    if whole.len <= Digits::EXACT {
        // Eighteen digits are within both.
        let value = whole.value.cast_signed();
        return Ok((Number::Integer(if negative { -value } else { value }), end));
    }
    Ok((long_integer(text, end)?, end))
}

/// A run of digits.
struct Digits {
    /// Their value, after that of the digits before them; right if all together are at most [`Self::EXACT`].
    value: u64,
    len: usize,
}

impl Digits {
    /// So many digits cannot pass 64 bits.
    const EXACT: usize = 18;

    /// At least one digit at `at`.
    #[inline]
    fn read(bytes: &[u8], at: usize, value: u64) -> Result<Self, Fault> {
        let (value, end) = digits(bytes, at, value);
        let len = end - at;
        match (len, at >= bytes.len()) {
            (0, true) => Err((JsonErrorKind::UnexpectedEnd, at)),
            (0, false) => Err((JsonErrorKind::InvalidNumber, at)),
            _ => Ok(Self { value, len }),
        }
    }
}

/// A number of which `whole` has been read, with a fraction, an exponent or both at `at`.
fn read_float(text: &str, negative: bool, whole: &Digits, mut at: usize) -> Result<(Number, usize), Fault> {
    let bytes = text.as_bytes();
    let (mut value, mut len, mut fraction) = (whole.value, whole.len, 0);
    if bytes.get(at) == Some(&b'.') {
        let digits = Digits::read(bytes, at + 1, value)?;
        at += 1 + digits.len;
        (value, len, fraction) = (digits.value, len + digits.len, digits.len);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at += Digits::read(bytes, at, 0)?.len;
        return Ok((Number::Float(float(text, at)?), at));
    }
    let number = match exact_quotient(value, fraction).filter(|_| len <= Digits::EXACT) {
        Some(value) if negative => -value,
        Some(value) => value,
        None => float(text, at)?,
    };
    Ok((Number::Float(number), at))
}

/// The powers of ten that a float holds exactly and a short fraction needs.
fn power_of_ten(exponent: usize) -> Option<f64> {
    const POWERS: [f64; 19] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18,
    ];
    POWERS.get(exponent).copied()
}

/// An integer of more than eighteen digits: exact if 64 bits hold it.
#[cold]
fn long_integer(text: &str, end: usize) -> Result<Number, Fault> {
    let digits = text.get(..end).unwrap_or_default();
    if let Ok(value) = digits.parse() {
        return Ok(Number::Integer(value));
    }
    if let Ok(value) = digits.parse() {
        return Ok(Number::Unsigned(value));
    }
    float(text, end).map(Number::Float)
}

fn float(text: &str, end: usize) -> Result<f64, Fault> {
    let digits = text.get(..end).unwrap_or_default();
    let value: f64 = digits.parse().map_err(|_| (JsonErrorKind::InvalidNumber, 0))?;
    // An infinite float would be a value that JSON cannot say and that we never send.
    if value.is_finite() { Ok(value) } else { Err((JsonErrorKind::NumberOutOfRange, 0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        let (number, len) = read(text).unwrap();
        assert_eq!(len, text.len(), "{text}");
        if let Some(short) = read_short(text.as_bytes()) {
            assert_eq!(short, (number, len), "{text}");
        }
        number
    }

    #[test]
    fn integers_are_exact_within_sixty_four_bits() {
        assert_eq!(number("0"), Number::Integer(0));
        assert_eq!(number("-0"), Number::Integer(0));
        assert_eq!(number("9223372036854775807"), Number::Integer(i64::MAX));
        assert_eq!(number("-9223372036854775808"), Number::Integer(i64::MIN));
        assert_eq!(number("9223372036854775808"), Number::Unsigned(1 << 63));
        assert_eq!(number("18446744073709551615"), Number::Unsigned(u64::MAX));
    }

    #[test]
    fn integers_beyond_become_floats() {
        assert_eq!(number("18446744073709551616"), Number::Float(18_446_744_073_709_551_616.0));
        assert_eq!(number("-9223372036854775809"), Number::Float(-9_223_372_036_854_775_808.0));
        assert_eq!(number(&"9".repeat(101)), Number::Float(1e101));
    }

    #[test]
    fn fractions_and_exponents_are_floats() {
        for (text, value) in [("1.0", 1.0), ("-0.0", -0.0), ("1e3", 1e3), ("2.5E-3", 2.5e-3), ("1E+2", 1e2)] {
            assert_eq!(number(text), Number::Float(value), "{text}");
        }
    }

    #[test]
    fn floats_are_the_nearest_there_are() {
        for text in [
            "0.1",
            "96.5",
            "123456.789",
            "-0.000001",
            "9007199254740991.5",
            "9007199254740993.0",
            "0.30000000000000004",
        ] {
            assert_eq!(number(text), Number::Float(text.parse().unwrap()), "{text}");
        }
        let mut digits = 1_u64;
        for step in 0..2000_u64 {
            digits = digits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
            let all = (digits >> (step % 40)).to_string();
            let (whole, fraction) = all.split_at(all.len() / 2);
            let text = format!(
                "{}.{fraction}",
                if whole.starts_with('0') || whole.is_empty() { "0" } else { whole }
            );
            assert_eq!(number(&text), Number::Float(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_the_grammar_forbids_is_refused() {
        for (text, kind, offset) in [
            ("-", JsonErrorKind::UnexpectedEnd, 1),
            ("-x", JsonErrorKind::InvalidNumber, 1),
            ("01", JsonErrorKind::InvalidNumber, 1),
            ("-01", JsonErrorKind::InvalidNumber, 2),
            ("1.", JsonErrorKind::UnexpectedEnd, 2),
            ("1.x", JsonErrorKind::InvalidNumber, 2),
            ("1e", JsonErrorKind::UnexpectedEnd, 2),
            ("1e+", JsonErrorKind::UnexpectedEnd, 3),
            ("1ee", JsonErrorKind::InvalidNumber, 2),
            ("1e400", JsonErrorKind::NumberOutOfRange, 0),
        ] {
            assert_eq!(read(text), Err((kind, offset)), "{text}");
            assert_eq!(read_short(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn an_index_is_whole_and_below_the_count() {
        for (text, index) in
            [("0", Some(0)), ("2", Some(2)), ("1.0", Some(1)), ("2e0", Some(2)), ("-0", Some(0))]
        {
            assert_eq!(number(text).as_index(3), index, "{text}");
        }
        for text in ["3", "-1", "0.5", "-0.5", "1e300", "18446744073709551615"] {
            assert_eq!(number(text).as_index(3), None, "{text}");
        }
    }
}
