//! Any server, any driver and any caller: no panic, no state without bound, and an end that comes once.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use siox::proto::client::{Carrier, CarrierAction, CarrierConfig, CarrierEvent, Memory, Random, StreamId};
use siox::proto::engine::TransportKind;
use siox::proto::socket::{Encoded, PacketKind, Parser};
use siox::proto::ws::frame::encode_frame;
use siox::proto::ws::{OpCode, handshake};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    /// Bytes as they are.
    Bytes(u8, &'a [u8]),
    /// A good answer with this body.
    Answer(u8, &'a [u8]),
    Text(u8, &'a str),
    Open(u8),
    /// The answer that the handshake asks for.
    Accept(u8),
    Handshake(u8, bool),
    Opened(u8),
    Finished(u8),
    Failed(u8),
    Blocked(u8, bool),
    Wait(u16),
    Pause(bool),
    Send(&'a str),
    Connect(u8),
    Disconnect(u8),
    Close,
    Abort,
}

const SESSION: &[u8] =
    br#"0{"sid":"a","upgrades":["websocket"],"pingInterval":300,"pingTimeout":200,"maxPayload":100}"#;

fn answer(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn frame(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(&mut out, OpCode::Text, text, None);
    out
}

fuzz_target!(|input: (u8, Vec<Step<'_>>)| {
    let (options, steps) = input;
    let option = |bit: u8| options & (1 << bit) != 0;
    let mut config = CarrierConfig::new("localhost");
    config.max_message = 1000;
    (config.try_all_transports, config.upgrade, config.remember_upgrade) = (option(0), option(1), option(2));
    if option(3) {
        config.transports.reverse();
    }
    if option(4) {
        config.transports = vec![TransportKind::WebSocket];
    }
    if option(6) {
        config.parser = Parser::Msgpack;
    }
    let memory = Memory { websocket_worked: option(5), ..Memory::default() };
    let random = Random::new(|bytes| bytes.fill(7));
    let mut now = Instant::now();
    let mut carrier: Carrier<u8> = Carrier::new(&Arc::new(config), memory, random, now);
    // The last thing written to each stream.
    let mut streams: BTreeMap<StreamId, Vec<u8>> = BTreeMap::new();
    let (mut ended, mut aborted, mut queued) = (false, false, 0);
    let end = [Step::Pause(false), Step::Wait(u16::MAX), Step::Close, Step::Wait(u16::MAX)];
    for step in steps.into_iter().chain(end) {
        let id = |which: u8| {
            *streams.keys().nth(usize::from(which) % streams.len().max(1)).unwrap_or(&StreamId(99))
        };
        match step {
            Step::Bytes(which, bytes) => carrier.handle_received(id(which), bytes, now),
            Step::Answer(which, body) => carrier.handle_received(id(which), &answer(body), now),
            Step::Text(which, text) => carrier.handle_received(id(which), &frame(text.as_bytes()), now),
            Step::Open(which) => carrier.handle_received(id(which), &answer(SESSION), now),
            Step::Handshake(which, probe) => {
                carrier.handle_received(id(which), &frame(if probe { b"3probe" } else { SESSION }), now);
            }
            Step::Accept(which) => {
                let id = id(which);
                let request =
                    String::from_utf8_lossy(streams.get(&id).map_or(&[][..], Vec::as_slice)).into_owned();
                let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
                let accept = handshake::accept_key(key.unwrap_or_default());
                let head = format!(
                    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                );
                carrier.handle_received(id, head.as_bytes(), now);
            }
            Step::Opened(which) => carrier.handle_opened(id(which), now),
            Step::Finished(which) => carrier.handle_finished(id(which), now),
            Step::Failed(which) => carrier.handle_failed(id(which), "failed", now),
            Step::Blocked(which, true) => carrier.handle_blocked(id(which)),
            Step::Blocked(which, false) => carrier.handle_writable(id(which), now),
            Step::Wait(time) => {
                let until = now + Duration::from_millis(time.into());
                let mut beats = 0;
                while let Some(due) = carrier.poll_timeout().filter(|due| *due <= until) {
                    now = now.max(due);
                    carrier.handle_timeout(now);
                    beats += 1;
                    assert!(beats < 1000, "it does not come to rest");
                }
                now = until;
            }
            Step::Pause(paused) => carrier.set_reading_paused(paused, now),
            Step::Send(json) => {
                let packet = Encoded::from_text(PacketKind::Event, "/", None, json);
                queued += packet.size() + 8;
                carrier.send(&packet, now);
            }
            Step::Connect(socket) => {
                queued += 16;
                carrier.connect("/".into(), socket, None, now);
            }
            Step::Disconnect(socket) => {
                queued += 16;
                carrier.disconnect(socket, now);
            }
            Step::Close => carrier.close(now),
            Step::Abort => {
                carrier.abort();
                aborted = true;
            }
        }
        while let Some(action) = carrier.poll_action() {
            match action {
                CarrierAction::Open(id) => assert!(streams.insert(id, Vec::new()).is_none()),
                CarrierAction::Close(id) => assert!(streams.remove(&id).is_some()),
            }
        }
        while let Some((id, bytes)) = carrier.poll_output() {
            streams.get_mut(&id).expect("a stream that is there").clear();
            streams.get_mut(&id).unwrap().extend_from_slice(bytes);
        }
        while let Some(event) = carrier.poll_event() {
            assert!(!ended && !aborted, "nothing comes after the end: {event:?}");
            ended = matches!(event, CarrierEvent::Failed(_) | CarrierEvent::Closed { .. });
        }
        assert!(streams.len() <= 4, "a GET, a POST, a WebSocket, and one that says goodbye");
        // Requests and handshakes that wait for their streams are not the caller's.
        assert!(carrier.queued_bytes() <= queued + 8 * 1024, "{} of {queued}", carrier.queued_bytes());
    }
    assert!((ended || aborted) && carrier.is_finished() && streams.is_empty());
});
