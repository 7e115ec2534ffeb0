//! The data of CONNECT and CONNECT_ERROR, both sides.
//!
//! Source: Socket.IO protocol 5, "Connection to a namespace".

use super::connection::ProtocolError;
use crate::proto::sid::Sid;

/// CONNECT carries a JSON object or nothing.
pub(super) fn check_connect(data: &str) -> Result<(), ProtocolError> {
    let whole = data.is_empty() || (data.starts_with('{') && data.trim_end().ends_with('}'));
    if whole { Ok(()) } else { Err(ProtocolError::BadConnectData) }
}

/// Writes the data of a CONNECT reply.
pub fn write_connected(out: &mut Vec<u8>, sid: &Sid) {
    out.extend_from_slice(b"{\"sid\":\"");
    out.extend_from_slice(sid.as_str().as_bytes());
    out.extend_from_slice(b"\"}");
}

/// The data of the refusal of a namespace that does not exist.
pub const INVALID_NAMESPACE: &str = r#"{"message":"Invalid namespace"}"#;
