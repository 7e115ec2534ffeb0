//! Dates of HTTP and of cookies (RFC 9110, 5.6.7; RFC 6265, 5.1.1), as seconds since 1970.
//!
//! One lenient reader for both: what a cookie may say is a superset of what HTTP may.

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// Reads a date; None for what is none.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    // ':' belongs to the time, everything else that is neither letter nor digit separates.
    let tokens = text.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b':');
    for token in tokens.filter(|token| !token.is_empty()) {
        if time.is_none() && token.contains(&b':') {
            time = Some(clock(token)?);
            continue;
        }
        let (number, digits) = leading_number(token);
        match digits {
            1 | 2 if day.is_none() => day = Some(number),
            2 | 4 if year.is_none() => year = Some(number),
            0 if month.is_none() => {
                let name = token.get(..3).unwrap_or_default().to_ascii_lowercase();
                month = MONTHS.iter().position(|known| *known == name);
            }
            _ => {}
        }
    }
    let (time, day, month, mut year) = (time?, day?, month?, year?);
    year += match year {
        70..=99 => 1900,
        0..=69 => 2000,
        _ => 0,
    };
    if !(1..=31).contains(&day) || year < 1601 {
        return None;
    }
    Some(days_since_1970(year, i64::try_from(month).unwrap_or(0) + 1, day) * 86_400 + time)
}

/// `hh:mm:ss`, seconds of the day.
fn clock(token: &[u8]) -> Option<i64> {
    let mut parts = token.split(|byte| *byte == b':').map(leading_number);
    let mut next = |most| {
        let (number, digits) = parts.next()?;
        (matches!(digits, 1 | 2) && number <= most).then_some(number)
    };
    let (hours, minutes, seconds) = (next(23)?, next(59)?, next(60)?);
    Some(hours * 3600 + minutes * 60 + seconds)
}

/// The number at the start of a token, and how many digits it has; more than four are no part of a date.
fn leading_number(token: &[u8]) -> (i64, usize) {
    let digits = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = token.iter().take(digits.min(5)).fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    (number, digits)
}

/// Days of the Gregorian calendar; years begin in March, so that the leap day is the last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_http_are_read() {
        // RFC 9110, 5.6.7: one moment, three ways.
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
        {
            assert_eq!(parse(text.as_bytes()), Some(784_111_777), "{text}");
        }
    }

    #[test]
    fn known_days_are_right() {
        let cases = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Thu, 01-Jan-1970 00:00:01 GMT", 1),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Tue, 19 Jan 2038 03:14:07 GMT", 2_147_483_647),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("31 december 1969 23:59:59", -1),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse(text.as_bytes()), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        let cases = [
            "",
            "0",
            "-1",
            "now",
            "Thu, 01 Jan 1970",
            "00:00:00",
            "01 Jan 1970 24:00:00",
            "00 Jan 1970 00:00:00",
            "32 Jan 1970 00:00:00",
            "01 Foo 1970 00:00:00",
            "01 Jan 1500 00:00:00",
            "01 Jan 1970 00:00",
            "01 Jan 99999999999999999999 00:00:00",
            "99999999999999999999 Jan 1970 00:00:00",
            ":::",
            "é",
        ];
        for text in cases {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
