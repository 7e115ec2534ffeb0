//! How the body of a request or a response is delimited (RFC 9112, section 6), refusing everything two
//! parsers could read differently.

use super::error::HttpError;
use super::fields::Fields;

/// Where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proto) enum Framing {
    /// Nothing was said: a request has none, a response may go on to the end of the stream.
    Unsaid,
    /// There is none.
    Empty,
    /// After so many bytes; more than any limit when the number does not fit.
    Length(usize),
    /// With the last chunk.
    Chunked,
}

/// Reads Content-Length and Transfer-Encoding.
pub(in crate::proto) fn framing(head: &Fields) -> Result<Framing, HttpError> {
    let mut lengths = head.values("content-length");
    let mut encodings = head.values("transfer-encoding");
    match (lengths.next(), encodings.next()) {
        (None, None) => Ok(Framing::Unsaid),
        (Some(_), Some(_)) => Err(HttpError::AmbiguousLength),
        (Some(value), None) => {
            // Equal values given twice may be merged or refused; nobody sends them in good faith.
            if lengths.next().is_some() {
                return Err(HttpError::ContentLength);
            }
            match content_length(value)? {
                0 => Ok(Framing::Empty),
                length => Ok(Framing::Length(length)),
            }
        }
        (None, Some(value)) => {
            if head.minor_version() == 0 || encodings.next().is_some() {
                return Err(HttpError::TransferEncoding);
            }
            transfer_encoding(value)
        }
    }
}

fn content_length(value: &[u8]) -> Result<usize, HttpError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(HttpError::ContentLength);
    }
    Ok(value
        .iter()
        .fold(0_usize, |sum, digit| sum.saturating_mul(10).saturating_add(usize::from(digit - b'0'))))
}

fn transfer_encoding(value: &[u8]) -> Result<Framing, HttpError> {
    let is_chunked = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
    let mut codings = value.rsplit(|byte| *byte == b',');
    let last = codings.next().unwrap_or_default();
    let others = codings.clone().count();
    match (is_chunked(last), others) {
        (true, 0) => Ok(Framing::Chunked),
        (true, _) if !codings.any(is_chunked) => Err(HttpError::UnknownTransferCoding),
        (false, 0) if !last.trim_ascii().is_empty() => Err(HttpError::UnknownTransferCoding),
        _ => Err(HttpError::TransferEncoding),
    }
}

/// Whether the client waits for `100 Continue` (RFC 9110, 10.1.1).
pub(super) fn expects_continue(head: &Fields) -> Result<bool, HttpError> {
    match head.header_bytes("expect") {
        Some(value) if head.minor_version() >= 1 => {
            if value.eq_ignore_ascii_case(b"100-continue") {
                Ok(true)
            } else {
                Err(HttpError::Expectation)
            }
        }
        _ => Ok(false),
    }
}
