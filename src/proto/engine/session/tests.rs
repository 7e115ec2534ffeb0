//! What a session keeps in itself; its behaviour is tested in pairs, in `tests/rust/engine.rs`.

use super::*;

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 160, "{}", size_of::<Session>());
}
