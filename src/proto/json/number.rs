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

/// Reads the number at the start of `text`, and says how long it is. An error comes with the byte's offset.
pub(super) fn read(text: &str) -> Result<(Number, usize), (JsonErrorKind, usize)> {
    let bytes = text.as_bytes();
    let negative = bytes.first() == Some(&b'-');
    let start = usize::from(negative);
    let (magnitude, end) = whole_part(bytes, start)?;
    if matches!(bytes.get(end), Some(b'.' | b'e' | b'E')) {
        let end = fraction_and_exponent(bytes, end)?;
        return Ok((Number::Float(float(text, end)?), end));
    }
    let number = match magnitude.and_then(|magnitude| integer(magnitude, negative)) {
        Some(number) => number,
        None => Number::Float(float(text, end)?),
    };
    Ok((number, end))
}

/// The digits before the point: their value unless it passes 64 bits, and where they end.
fn whole_part(bytes: &[u8], start: usize) -> Result<(Option<u64>, usize), (JsonErrorKind, usize)> {
    let digits = bytes.get(start..).unwrap_or_default();
    let mut value = Some(0_u64);
    let mut len = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = match value {
            // Eighteen digits cannot pass 64 bits.
            Some(value) if len < 18 => Some(value * 10 + u64::from(digit)),
            Some(value) => value.checked_mul(10).and_then(|value| value.checked_add(u64::from(digit))),
            None => None,
        };
        len += 1;
    }
    match (digits.first(), len) {
        (None, _) => Err((JsonErrorKind::UnexpectedEnd, start)),
        (_, 0) => Err((JsonErrorKind::InvalidNumber, start)),
        (Some(b'0'), 2..) => Err((JsonErrorKind::InvalidNumber, start + 1)),
        _ => Ok((value, start + len)),
    }
}

/// Where the fraction and exponent that begin at `at` end.
fn fraction_and_exponent(bytes: &[u8], mut at: usize) -> Result<usize, (JsonErrorKind, usize)> {
    if bytes.get(at) == Some(&b'.') {
        at = digits(bytes, at + 1)?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(bytes, at)?;
    }
    Ok(at)
}

/// Where the digits that begin at `at` end; at least one is needed.
fn digits(bytes: &[u8], at: usize) -> Result<usize, (JsonErrorKind, usize)> {
    let rest = bytes.get(at..).unwrap_or_default();
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (len, rest.first()) {
        (0, None) => Err((JsonErrorKind::UnexpectedEnd, at)),
        (0, Some(_)) => Err((JsonErrorKind::InvalidNumber, at)),
        _ => Ok(at + len),
    }
}

fn integer(magnitude: u64, negative: bool) -> Option<Number> {
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Number::Integer);
    }
    Some(i64::try_from(magnitude).map_or(Number::Unsigned(magnitude), Number::Integer))
}

fn float(text: &str, end: usize) -> Result<f64, (JsonErrorKind, usize)> {
    let value: f64 =
        text.get(..end).and_then(|digits| digits.parse().ok()).ok_or((JsonErrorKind::InvalidNumber, 0))?;
    // An infinite float would be a value that JSON cannot say and that we never send.
    if value.is_finite() { Ok(value) } else { Err((JsonErrorKind::NumberOutOfRange, 0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        let (number, len) = read(text).unwrap();
        assert_eq!(len, text.len(), "{text}");
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
