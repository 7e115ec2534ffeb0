//! What can be wrong with a request or a response, and the status that tells a client so.

/// A fault of the peer; answer with [`HttpError::status`] and close, as the stream cannot be trusted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The head is no HTTP.
    #[error("malformed head: {0}")]
    Malformed(httparse::Error),
    /// A line ends without CR, at this byte of the head or body.
    #[error("line feed without carriage return")]
    BareLineFeed,
    /// The first byte cannot begin a request: TLS on a plain port, for one.
    #[error("byte {0:#04x} cannot begin a request")]
    FirstByte(u8),
    /// A target that is no path, no absolute URL and no `*` of an OPTIONS.
    #[error("request target in no known form")]
    Target,
    /// Not HTTP/1.0 or 1.1.
    #[error("HTTP version is not 1.0 or 1.1")]
    Version,
    /// No Host in HTTP/1.1, or more than one (RFC 9112, 3.2).
    #[error("{0} Host headers")]
    Host(usize),
    /// The head is above the limit.
    #[error("head above {limit} bytes")]
    HeadTooLarge {
        /// The limit, bytes.
        limit: usize,
    },
    /// More header fields than the limit.
    #[error("more than {limit} header fields")]
    TooManyHeaders {
        /// The limit, fields.
        limit: usize,
    },
    /// Content-Length is no number, or there are several.
    #[error("Content-Length is invalid or given twice")]
    ContentLength,
    /// Content-Length and Transfer-Encoding in one request: the start of request smuggling.
    #[error("both Content-Length and Transfer-Encoding")]
    AmbiguousLength,
    /// Transfer-Encoding in HTTP/1.0, or one that does not end with `chunked`.
    #[error("Transfer-Encoding does not delimit the body")]
    TransferEncoding,
    /// A transfer coding other than `chunked`.
    #[error("unknown transfer coding")]
    UnknownTransferCoding,
    /// An expectation other than `100-continue`.
    #[error("unknown expectation")]
    Expectation,
    /// The body is above the limit.
    #[error("body above {limit} bytes")]
    BodyTooLarge {
        /// The limit, bytes.
        limit: usize,
    },
    /// The chunked framing is broken at this byte.
    #[error("byte {0:#04x} breaks the chunked body")]
    Chunk(u8),
    /// Chunk extensions or trailers above their limit.
    #[error("chunk extensions or trailers above {limit} bytes")]
    ChunkOverhead {
        /// The limit, bytes.
        limit: usize,
    },
}

impl HttpError {
    /// The status of the response to such a request.
    pub fn status(&self) -> u16 {
        match self {
            Self::BodyTooLarge { .. } => 413,
            Self::Expectation => 417,
            Self::HeadTooLarge { .. } | Self::TooManyHeaders { .. } => 431,
            Self::UnknownTransferCoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}
