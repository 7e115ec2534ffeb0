//! HTTP/1.1 (RFC 9112) as a server meets it: requests in, responses out, CORS.
//!
//! Strict where leniency lets two parsers disagree about where a request ends.

mod body;
mod chunked;
pub mod cors;
mod error;
pub mod head;
pub mod request;
pub mod response;

pub use cors::{Cors, Origins, Verdict};
pub use error::HttpError;
pub use head::Head;
pub use request::{HttpLimits, Phase, RequestEvent, RequestReader};
pub use response::{CONTINUE, Response};
