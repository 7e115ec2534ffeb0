//! How a carrier comes to its transport, and what waits on its way there.

use super::world::{UPGRADABLE, World, event, frames, text_frame};
use siox::proto::client::{CarrierEvent, Memory};
use siox::proto::engine::TransportKind;
use siox::proto::socket::Data;
use std::time::Duration;

#[test]
fn an_upgrade_leaves_polling_behind() {
    let mut world = World::new(|_| {});
    let get = world.open();
    world.answer(get, UPGRADABLE);
    world.carrier.connect("/".into(), 1, None, world.now);
    world.written(get);
    world.collect();
    let ids = world.live();
    assert_eq!(ids.len(), 3, "GET, WebSocket, POST");
    for id in &ids[1..] {
        world.links.get_mut(id).unwrap().is_open = true;
        world.carrier.handle_opened(*id, world.now);
    }
    world.collect();
    let (websocket, post) = (ids[1], ids[2]);
    assert!(world.text(post).ends_with("\r\n\r\n40"));
    world.accept(websocket);
    assert_eq!(frames(world.written(websocket)), ["2probe"]);
    world.receive(websocket, text_frame("3probe"));
    assert!(world.carrier.session().is_paused() && !world.carrier.is_writable());
    world.carrier.send(&event("[1]"), world.now);
    world.answer(get, r#"40{"sid":"a"}"#);
    assert_eq!(world.written(get), b"", "no GET while the upgrade waits for the POST");
    assert_eq!(world.written(websocket), b"");
    world.answer(post, "ok");
    assert_eq!(frames(world.written(websocket)), ["5", "42[1]"]);
    assert_eq!(world.live(), [websocket]);
    assert!(world.carrier.is_writable());
    assert!(world.seen.contains(&CarrierEvent::Upgraded));
    assert!(world.carrier.memory().websocket_worked);
}

#[test]
fn a_close_that_waits_for_the_upgrade_says_goodbye_behind_it() {
    let mut world = World::new(|_| {});
    let get = world.open();
    world.answer(get, UPGRADABLE);
    let websocket = world.open();
    world.accept(websocket);
    world.written(websocket);
    world.receive(websocket, text_frame("3probe"));
    world.carrier.close(world.now);
    world.collect();
    assert_eq!(world.written(websocket), b"", "the server lets the GET go first");
    world.answer(get, "6");
    assert_eq!(frames(world.written(websocket)), ["5", "close None"]);
    world.receive(websocket, b"\x88\x00");
    assert!(world.carrier.is_finished() && world.live().is_empty());
}

#[test]
fn an_upgrade_that_fails_leaves_polling_alone() {
    type Way = fn(&mut World, siox::proto::client::StreamId);
    let ways: [(&str, Way); 5] = [
        ("the upgrade to websocket failed: nothing there", |world, id| world.fail(id, "nothing there")),
        ("the upgrade to websocket failed: the server answered 400 Bad Request: no", |world, id| {
            world.receive(id, "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
        }),
        ("the upgrade to websocket failed: the server closed the WebSocket with code 1013", |world, id| {
            world.accept(id);
            world.receive(id, b"\x88\x02\x03\xf5");
        }),
        ("the upgrade to websocket failed: unexpected packet", |world, id| {
            world.accept(id);
            world.receive(id, text_frame("3no"));
        }),
        ("the upgrade to websocket failed: http://localhost:3000 did not answer within 10 s", |world, _| {
            for _ in 0..40 {
                let get = world.live()[0];
                world.answer(get, "2");
                world.pass(Duration::from_millis(300));
                let post = world.live()[2..].to_vec();
                for post in post {
                    if !world.links[&post].is_open {
                        world.links.get_mut(&post).unwrap().is_open = true;
                        world.carrier.handle_opened(post, world.now);
                    }
                    world.answer(post, "ok");
                }
            }
        }),
    ];
    for (message, way) in ways {
        let mut world = World::new(|_| {});
        let get = world.open();
        world.answer(get, UPGRADABLE);
        let websocket = world.open();
        way(&mut world, websocket);
        let failed = world.seen.iter().find_map(|event| match event {
            CarrierEvent::UpgradeFailed(details) => Some(details.clone()),
            _ => None,
        });
        let failed = failed.unwrap_or_else(|| panic!("{message}: {:?}", world.seen));
        assert_eq!((failed.description, failed.message.as_str()), ("probe error", message));
        world.pass(Duration::ZERO);
        assert!(world.carrier.session().is_open() && world.live().contains(&get), "{message}");
    }
}

#[test]
fn transports_are_tried_in_their_order() {
    let mut world = World::new(|config| {
        config.transports = vec![TransportKind::WebSocket, TransportKind::Polling];
        config.try_all_transports = true;
    });
    assert!(world.carrier.connect("/".into(), 1, Some(&Data::from("{\"a\":1}")), world.now));
    let websocket = world.open();
    world.receive(websocket, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert!(world.links[&websocket].is_closed && world.seen.is_empty());
    let get = world.open();
    assert!(world.text(get).starts_with("GET /socket.io/?EIO=4&transport=polling&t="));
    world.answer(get, UPGRADABLE);
    let post = world.open();
    assert!(world.text(post).ends_with("40{\"a\":1}"), "the CONNECT has waited");
    assert_eq!(world.live(), [get, post], "a WebSocket has failed already");

    let mut world = World::new(|config| config.try_all_transports = true);
    let get = world.open();
    world.fail(get, "refused");
    let websocket = world.open();
    world.fail(websocket, "refused again");
    assert_eq!(
        (world.failure().description, world.failure().message.as_str()),
        ("websocket error", "refused again")
    );

    let mut world = World::new(|_| {});
    let get = world.open();
    world.fail(get, "refused");
    assert_eq!(
        (world.failure().description, world.failure().message.as_str()),
        ("xhr poll error", "refused")
    );
    assert!(world.carrier.is_finished());
}

#[test]
fn an_upgrade_is_remembered_when_that_is_asked_for() {
    let worked = Memory { websocket_worked: true, ..Memory::default() };
    let mut world = World::remembering(worked.clone(), |config| config.remember_upgrade = true);
    let id = world.open();
    assert!(world.text(id).starts_with("GET /socket.io/?EIO=4&transport=websocket HTTP"));
    world.fail(id, "refused");
    assert!(!world.carrier.memory().websocket_worked);

    let mut world = World::remembering(worked, |_| {});
    let id = world.open();
    assert!(world.text(id).contains("transport=polling"));

    let (mut world, id) = World::websocket();
    assert!(world.carrier.memory().websocket_worked);
    world.finish(id);
    assert!(world.carrier.memory().websocket_worked, "closed, but not by a fault");
    let (mut world, id) = World::websocket();
    world.fail(id, "reset");
    assert!(!world.carrier.memory().websocket_worked);
}

#[test]
fn a_blocked_stream_gets_nothing_and_everything_waits_in_order() {
    let (mut world, id) = World::websocket();
    assert!(world.carrier.is_writable());
    world.carrier.handle_blocked(id);
    assert!(!world.carrier.is_writable());
    for number in 0..100 {
        world.carrier.send(&event(&format!("[{number}]")), world.now);
        world.receive(id, text_frame("2"));
        world.receive(id, b"\x89\x01x");
    }
    assert_eq!((world.written(id), world.carrier.queued()), (Vec::new(), 100));
    assert_eq!(
        world.carrier.queued_bytes(),
        (0..100).map(|n| event(&format!("[{n}]")).size()).sum::<usize>()
    );
    world.carrier.handle_writable(id, world.now);
    world.collect();
    let messages = frames(world.written(id));
    let expected: Vec<String> =
        ["3".to_owned()].into_iter().chain((0..100).map(|number| format!("42[{number}]"))).collect();
    assert_eq!(messages, expected, "one pong, then the events");
    assert_eq!((world.carrier.queued(), world.carrier.queued_bytes()), (0, 0));
}

#[test]
fn output_is_given_in_pieces_and_the_rest_waits_as_packets() {
    let (mut world, id) = World::websocket();
    let big = event(&format!("[\"{}\"]", "x".repeat(40_000)));
    for _ in 0..10 {
        world.carrier.send(&big, world.now);
    }
    assert_eq!(world.carrier.queued(), 8, "two are encoded");
    assert!(!world.carrier.is_writable());
    let mut pieces = Vec::new();
    while let Some((_, bytes)) = world.carrier.poll_output() {
        pieces.push(bytes.len());
    }
    assert_eq!((pieces.len(), pieces.iter().sum::<usize>()), (5, 10 * (big.size() + 4)));
    assert!(world.carrier.is_writable());
    world.carrier.send(&event("[1]"), world.now);
    world.collect();
    assert_eq!(frames(world.written(id)), ["42[1]"]);
}

#[test]
fn a_goodbye_leaves_behind_a_full_output() {
    let (mut world, id) = World::websocket();
    for _ in 0..2 {
        world.carrier.send(&event(&format!("[\"{}\"]", "x".repeat(40_000))), world.now);
    }
    world.carrier.handle_received(id, &text_frame("2"), world.now);
    world.carrier.close(world.now);
    world.collect();
    let messages = frames(world.written(id));
    assert_eq!((messages.len(), messages[2..].to_vec()), (4, vec!["3".to_owned(), "close None".to_owned()]));
}
