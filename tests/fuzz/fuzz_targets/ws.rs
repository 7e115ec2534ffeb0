//! Any bytes as a WebSocket stream, for either side: cuts change nothing, and what is held was received.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siox::proto::Side;
use siox::proto::ws::{Item, MessageReader, WsError};

const LIMIT: usize = 512;

fn read<'a>(side: Side, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Option<WsError>) {
    let mut reader = MessageReader::new(side, LIMIT);
    let mut items = Vec::new();
    let mut received = 0;
    for piece in pieces {
        let mut piece = piece.to_vec();
        received += piece.len();
        let mut at = 0;
        loop {
            let (used, item) = match reader.read(&mut piece[at..]) {
                Ok(step) => step,
                Err(error) => {
                    assert!((1000..5000).contains(&error.close_code()));
                    return (items, Some(error));
                }
            };
            at += used;
            match item {
                Some(Item::Text(text)) => assert!(text.len() <= LIMIT),
                Some(Item::Binary(data)) => assert!(data.len() <= LIMIT),
                Some(Item::Ping(data) | Item::Pong(data)) => assert!(data.len() <= 125),
                Some(Item::Close(_)) => {}
                None => break,
            }
            items.push(format!("{item:?}"));
        }
        assert_eq!(at, piece.len());
        assert!(reader.buffered() <= 512 + (2 * received).min(LIMIT));
        assert!(reader.is_partial() || reader.buffered() == 0);
    }
    (items, None)
}

fuzz_target!(|input: (bool, u8, &[u8])| {
    let (client, step, bytes) = input;
    let side = if client { Side::Client } else { Side::Server };
    let whole = read(side, std::iter::once(bytes));
    assert_eq!(read(side, bytes.chunks(usize::from(step).max(1))), whole);
    assert_eq!(read(side, bytes.chunks(1)), whole);
});
