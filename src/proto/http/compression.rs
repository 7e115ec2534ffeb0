//! Compressed bodies of responses: gzip and deflate (RFC 9110, 8.4.1), where the request accepts one.

use super::head::Head;
use super::response::Response;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use std::borrow::Cow;
use std::io::{self, Write as _};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950: what HTTP calls by the name of RFC 1951.
    Deflate,
}

impl Coding {
    /// The first coding that a request accepts and that is known here.
    pub fn accepted(head: &Head) -> Option<Self> {
        let list = head.header("accept-encoding")?;
        list.split(',').find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let coding = Self::parse(parts.next()?)?;
            let is_refused = parts.any(|part| {
                let weight = part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="));
                weight.is_some_and(|weight| weight.parse() == Ok(0.0_f32))
            });
            (!is_refused).then_some(coding)
        })
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Gzip, Self::Deflate].into_iter().find(|coding| coding.as_str().eq_ignore_ascii_case(name))
    }

    /// What headers call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// Compresses the body of a response, unless that makes it no smaller.
    pub fn apply(self, response: &mut Response) {
        let Ok(body) = self.compress(&response.body) else { return };
        if body.len() < response.body.len() {
            response.body = body.into();
            response.headers.push((Cow::Borrowed("Content-Encoding"), Cow::Borrowed(self.as_str())));
        }
    }

    fn compress(self, body: &[u8]) -> io::Result<Vec<u8>> {
        let out = Vec::with_capacity(body.len() / 2);
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(out, Compression::default());
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(out, Compression::default());
                encoder.write_all(body)?;
                encoder.finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::{GzDecoder, ZlibDecoder};
    use std::io::Read as _;

    fn accepted(list: &str) -> Option<&'static str> {
        let lines = [(&b"accept-encoding"[..], list.as_bytes())];
        Coding::accepted(&Head::build("GET", "/", lines.into_iter()).unwrap()).map(Coding::as_str)
    }

    #[test]
    fn the_first_coding_that_both_know_is_taken() {
        let cases = [
            ("gzip", Some("gzip")),
            ("deflate, gzip", Some("deflate")),
            ("br, GZIP;q=0.5 , deflate", Some("gzip")),
            ("gzip;q=0, deflate;q=1.0", Some("deflate")),
            ("gzip; q=0.0, deflate ;Q=0.000", None),
            ("gzipped, identity, *", None),
            (",;,;q=0", None),
            ("", None),
        ];
        for (list, coding) in cases {
            assert_eq!(accepted(list), coding, "{list:?}");
        }
        assert_eq!(Coding::accepted(&Head::build("GET", "/", [].into_iter()).unwrap()), None);
    }

    #[test]
    fn a_body_is_read_back_and_one_that_would_grow_is_left() {
        let body = "4message ".repeat(200);
        for coding in [Coding::Gzip, Coding::Deflate] {
            let mut response = Response::text(200, body.clone());
            coding.apply(&mut response);
            let encoding = response.headers.last().map(|(name, value)| (&**name, &**value));
            assert_eq!(encoding, Some(("Content-Encoding", coding.as_str())));
            assert!(response.body.len() < 100);
            let mut read = String::new();
            match coding {
                Coding::Gzip => GzDecoder::new(&*response.body).read_to_string(&mut read),
                Coding::Deflate => ZlibDecoder::new(&*response.body).read_to_string(&mut read),
            }
            .unwrap();
            assert_eq!(read, body);
            let mut short = Response::text(200, "4x");
            coding.apply(&mut short);
            assert_eq!(short, Response::text(200, "4x"));
        }
    }
}
