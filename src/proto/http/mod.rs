//! HTTP/1.1 (RFC 9112) as a server meets it: requests in, responses out, CORS; and the parts that a client
//! shares with it ([`Fields`], [`ResponseHead`], the framing of bodies).
//!
//! Strict where leniency lets two parsers disagree about where a request ends.

pub(in crate::proto) mod body;
pub(in crate::proto) mod chunked;
pub mod compression;
pub mod cors;
mod error;
pub mod fields;
pub mod head;
pub mod request;
pub mod response;
pub(in crate::proto) mod response_head;

pub use compression::Coding;
pub use cors::{Cors, Origins, Verdict};
pub use error::HttpError;
pub use fields::Fields;
pub use head::Head;
pub use request::{HttpLimits, Phase, RequestEvent, RequestReader};
pub use response::{CONTINUE, Response};
pub use response_head::ResponseHead;
