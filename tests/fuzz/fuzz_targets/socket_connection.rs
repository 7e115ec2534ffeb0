//! Any sequence of messages, answers and waits on either side: no panic, bounded state.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use siox::proto::Side;
use siox::proto::socket::{Connection, ConnectionLimits, Incoming, Parser};
use std::time::{Duration, Instant};

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Joining,
    Joined(u8),
    Left(u8),
    Wait(u8),
}

fuzz_target!(|input: (bool, bool, bool, Vec<Step<'_>>)| {
    let (client, binary, any_auth, steps) = input;
    let limits = ConnectionLimits {
        max_attachments: 4,
        max_attachments_size: 64,
        attachments_timeout: Duration::from_secs(60),
        max_namespaces: 4,
        any_auth,
    };
    let mut now = Instant::now();
    let side = if client { Side::Client } else { Side::Server };
    let parser = if binary { Parser::Msgpack } else { Parser::Json };
    let mut connection: Connection<u8> =
        Connection::new(side, now, Some(Duration::from_secs(45))).with_parser(parser);
    let mut last = 0u8;
    for step in steps {
        let incoming = match step {
            Step::Text(text) => connection.handle_text(text, &limits, now),
            Step::Binary(data) => connection.handle_binary(data.into(), &limits),
            Step::Joining => {
                last = last.wrapping_add(1);
                connection.joining("/".into(), last);
                continue;
            }
            Step::Joined(socket) => {
                connection.joined(socket);
                continue;
            }
            Step::Left(socket) => {
                connection.left(socket);
                continue;
            }
            Step::Wait(seconds) => {
                now += Duration::from_secs(seconds.into());
                connection.handle_timeout(now).map(|()| Incoming::Nothing)
            }
        };
        match incoming {
            Err(_) => return,
            Ok(Incoming::Connect { namespace, .. }) => {
                last = last.wrapping_add(1);
                assert!(!client && connection.joining((&*namespace).into(), last));
            }
            Ok(Incoming::Event { socket, attachments, .. } | Incoming::Ack { socket, attachments, .. }) => {
                assert!(
                    connection.namespace_of(socket).is_some() && (client || connection.is_joined(socket))
                );
                assert!(
                    attachments.len() <= 4 && attachments.iter().map(|data| data.len()).sum::<usize>() <= 64
                );
            }
            Ok(_) => {}
        }
        assert!(client || connection.tokens().count() <= 5, "the limit, and the root that a step may add");
    }
    // What is handed over is read as it was, by a connection in the same state.
    if let Some(half) = connection.hand_over() {
        assert!(half.attachments.len() < 4 && connection.hand_over().is_none());
        if connection.handle_text(&half.text, &limits, now).is_err() {
            return; // keys come again here after 256 sockets, which they do nowhere else
        }
        for attachment in half.attachments {
            let read = connection.handle_binary((&attachment[..]).into(), &limits);
            assert_eq!(read, Ok(Incoming::Nothing));
        }
        assert_eq!(connection.hand_over().map(|again| again.text), Some(half.text));
    }
    let mut left = 0;
    while connection.drops_binary(&limits) {
        left += 1;
        assert!(left <= 4);
    }
});
