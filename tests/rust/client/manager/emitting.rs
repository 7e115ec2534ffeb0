//! What sockets emit: sent, kept, dropped, acknowledged. What socket.io-client's `test/socket.ts` asks for,
//! and the limits, which it does not have.

use super::world::*;
use crate::app::PARSERS;
use serde_json::{Value, json};
use siox::proto::client::{BufferPolicy, EmitFlags, Emitted, Fate, ManagerConfig, SocketKey, SocketOptions};
use siox::proto::engine::TransportKind;
use siox::proto::limits::{MAX_PENDING_ACKS, PING_INTERVAL, PING_TIMEOUT};
use siox::proto::socket::{Encoded, PacketKind};
use std::time::Duration;

const WAITED: EmitFlags = EmitFlags { volatile: false, ack: true, timeout: None, reported: false };

fn room(packets: usize, policy: BufferPolicy) -> ManagerConfig {
    ManagerConfig { max_buffered_packets: packets, buffer_policy: policy, ..config() }
}

fn numbers(world: &World) -> Vec<u64> {
    world.server.numbers.iter().map(|(_, number)| *number).collect()
}

#[test]
fn what_is_emitted_before_the_connection_stands_is_sent_in_order_before_connect() {
    let mut world = World::new();
    let socket = world.socket("/");
    assert_eq!(world.emit(socket, &json!([1])), Fate::Kept(1));
    world.manager.connect(socket, world.now);
    world.emit(socket, &json!([2]));
    world.once("open", move |manager, now| {
        emit_with(manager, socket, &json!([3]), EmitFlags::default(), now);
    });
    world.once("/ connect", move |manager, now| {
        let fate = emit_with(manager, socket, &json!([4]), EmitFlags::default(), now).1.fate;
        assert_eq!(fate, Fate::Sent);
    });
    world.run();
    assert_eq!(numbers(&world), [1, 2, 3, 4]);
    assert_eq!(
        world.server.seen[0], "connect / -",
        "nothing before the reply: reference servers would close"
    );
}

#[test]
fn what_is_emitted_while_the_connection_is_lost_is_sent_after_it() {
    let (mut world, socket) = World::connected(config());
    world.emit(socket, &json!([1]));
    world.run();
    world.kill_server();
    assert_eq!(world.emit(socket, &json!([2])), Fate::Kept(1));
    world.on("error", move |manager, now| {
        emit_with(manager, socket, &json!([3]), EmitFlags::default(), now);
    });
    world.wait(secs(1));
    world.network = Network::Up;
    world.wait(secs(10));
    assert_eq!(numbers(&world), [1, 2, 3]);
}

#[test]
fn a_volatile_event_is_sent_at_once_or_never() {
    let mut world = World::new();
    let socket = world.socket("/");
    let volatile = |world: &mut World| world.emit_volatile(socket, &json!([9]));
    assert_eq!(volatile(&mut world), Fate::Dropped, "not connected");
    world.manager.connect(socket, world.now);
    assert_eq!(volatile(&mut world), Fate::Dropped, "not open");
    world.server.rules.pending.insert("/".into());
    world.run();
    assert_eq!(volatile(&mut world), Fate::Dropped, "between the opening and the reply");
    world.server.admit("/", world.now);
    world.run();
    assert_eq!(volatile(&mut world), Fate::Sent);
    world.run();
    world.block();
    assert_eq!(volatile(&mut world), Fate::Dropped, "the stream takes nothing");
    world.unblock();
    world.server.rules.pending.clear();
    world.cut();
    assert_eq!(volatile(&mut world), Fate::Dropped, "right after the loss, where JavaScript keeps it");
    world.wait(secs(1));
    assert_eq!(volatile(&mut world), Fate::Sent);
    world.run();
    assert_eq!((numbers(&world), world.manager.stats().volatile_dropped), (vec![9, 9], 5));
    assert!(!world.take_seen().iter().any(|line| line.contains("dropped")), "nobody is told");
}

#[test]
fn a_volatile_event_does_not_overtake_what_is_kept() {
    let (mut world, socket) = World::connected(config());
    world.block();
    world.emit_numbers(socket, 1..=2);
    world.release();
    // The stream takes bytes again, but nobody has asked for them yet.
    assert_eq!(world.emit_volatile(socket, &json!([9])), Fate::Dropped);
    assert!(matches!(world.emit(socket, &json!([3])), Fate::Kept(_)));
    world.run();
    assert_eq!(numbers(&world), [1, 2, 3]);
}

#[test]
fn the_acknowledgement_of_a_dropped_volatile_event_fails_at_once() {
    let mut world = World::new();
    let socket = world.socket("/");
    let flags = EmitFlags { volatile: true, timeout: Some(secs(5)), ..WAITED };
    let (id, emitted) = world.emit_with(socket, &json!(["a"]), flags);
    assert_eq!((id, emitted.fate), (Some(1), Fate::Dropped));
    world.wait(secs(10));
    assert_eq!(world.take_seen(), ["/ ack 1 failed Dropped"]);
}

#[test]
fn an_event_is_acknowledged() {
    let (mut world, socket) = World::connected(config());
    let id = world.ask(socket, &json!(["echo", 1, "two"]), None);
    world.run();
    assert_eq!(world.take_seen(), [format!("/ ack {id} [1,\"two\"]")]);
    // Once, and by none that was not asked.
    world.server.answer("/", id, &json!([]), world.now);
    world.server.answer("/", id + 1, &json!([]), world.now);
    world.run();
    assert_eq!(world.take_seen(), [""; 0]);
    assert_eq!(world.server.take_seen(), [format!("/ \"echo\" #{id} [1,\"two\"]")]);
}

#[test]
fn an_acknowledgement_that_does_not_come_in_time_is_late_for_ever() {
    let (mut world, socket) = World::connected(config());
    world.server.rules.answers = false;
    let id = world.ask(socket, &json!(["a"]), Some(millis(50)));
    world.wait(millis(49));
    assert_eq!(world.take_seen(), [""; 0]);
    world.wait(millis(1));
    assert_eq!(world.take_seen(), [format!("/ ack {id} failed Timeout")]);
    world.server.answer("/", id, &json!([]), world.now);
    world.run();
    assert_eq!((world.take_seen(), world.manager.stats().ack_timeouts), (vec![], 1));
    // The option holds where the emit says nothing.
    let options = SocketOptions { ack_timeout: Some(secs(3)), ..SocketOptions::default() };
    let other = world.manager.socket("/other", options);
    world.manager.connect(other, world.now);
    world.run();
    let id = world.ask(other, &json!(["b"]), None);
    world.wait(secs(4));
    assert!(world.take_seen().ends_with(&[format!("/other ack {id} failed Timeout")]));
}

#[test]
fn an_event_whose_time_ran_out_while_it_was_kept_is_never_sent() {
    let mut world = World::new();
    let socket = world.socket("/");
    world.emit(socket, &json!([1]));
    let id = world.ask(socket, &json!([2]), Some(millis(50)));
    world.emit(socket, &json!([3]));
    world.wait(millis(50));
    assert_eq!(world.take_seen(), [format!("/ ack {id} failed Timeout")]);
    world.manager.connect(socket, world.now);
    world.run();
    assert_eq!(numbers(&world), [1, 3]);
}

#[test]
fn one_that_nobody_waits_for_any_more_is_not_sent_either() {
    let mut world = World::new();
    let socket = world.socket("/");
    let id = world.ask(socket, &json!([1]), None);
    world.emit(socket, &json!([2]));
    world.manager.cancel(id);
    world.manager.cancel(id);
    world.manager.connect(socket, world.now);
    world.run();
    assert_eq!(numbers(&world), [2]);
    // On its way it arrives, and its answer is ignored.
    let id = world.ask(socket, &json!([3]), None);
    world.manager.cancel(id);
    world.take_seen();
    world.run();
    assert_eq!((numbers(&world), world.take_seen()), (vec![2, 3], vec![]));
}

#[test]
fn acknowledgements_fail_with_their_connection_unless_their_event_is_kept() {
    for by_hand in [false, true] {
        let (mut world, socket) = World::connected(config());
        world.server.rules.answers = false;
        let sent = world.ask(socket, &json!([1]), None);
        world.run();
        if by_hand {
            world.disconnect(socket);
        } else {
            world.cut();
        }
        let kept = world.ask(socket, &json!([2]), None);
        world.run();
        let seen = world.take_seen();
        assert_eq!(
            seen[seen.len() - 1],
            format!("/ ack {sent} failed Disconnected"),
            "behind the disconnect"
        );
        assert!(seen[seen.len() - 2].starts_with("/ disconnect"), "{seen:?}");
        world.server.rules.answers = true;
        world.connect("/");
        world.wait(secs(1));
        let seen = world.take_seen();
        assert_eq!(seen[seen.len() - 1], format!("/ ack {kept} []"), "{by_hand}");
    }
}

#[test]
fn an_answer_to_an_event_of_the_last_connection_is_not_sent_on_the_next() {
    let (mut world, socket) = World::connected(config());
    world.server.emit("/", Some(7), &json!(["q"]), world.now);
    world.run();
    assert_eq!(world.take_seen(), ["/ \"q\" #7 []"]);
    assert!(world.answer(&json!(["in time"])));
    world.run();
    assert_eq!(world.server.take_seen(), ["ack 7 [\"in time\"]"]);
    world.server.emit("/", Some(8), &json!(["q"]), world.now);
    world.server.emit("/", Some(9), &json!(["q"]), world.now);
    world.run();
    world.block();
    assert!(world.answer(&json!(["kept"])), "behind what is kept");
    world.cut();
    world.wait(secs(1));
    assert!(world.manager.is_connected(socket));
    assert!(!world.answer(&json!(["late"])));
    world.run();
    assert!(!world.server.take_seen().iter().any(|line| line.starts_with("ack")));
    assert_eq!(world.manager.stats().answers_dropped, 2);
}

#[test]
fn answers_and_events_keep_their_order() {
    let (mut world, socket) = World::connected(config());
    world.server.emit("/", Some(1), &json!(["q"]), world.now);
    world.run();
    world.block();
    world.emit(socket, &json!([1]));
    assert!(world.answer(&json!([])));
    world.emit(socket, &json!([2]));
    world.unblock();
    world.run();
    assert_eq!(world.server.take_seen(), ["/ 1 []", "ack 1 []", "/ 2 []"]);
}

#[test]
fn what_a_blocked_stream_did_not_take_outlives_the_connection() {
    let (mut world, socket) = World::connected(config());
    world.blocking = true;
    world.emit(socket, &json!([1]));
    world.run();
    assert_eq!(world.emit(socket, &json!([2])), Fate::Kept(1));
    let id = world.ask(socket, &json!([3]), None);
    world.run();
    assert_eq!(numbers(&world), [1]);
    world.blocking = false;
    world.cut();
    world.wait(secs(1));
    assert_eq!(numbers(&world), [1, 2, 3]);
    assert!(world.take_seen().ends_with(&[format!("/ ack {id} []")]));
}

#[test]
fn disconnecting_sends_what_was_emitted_before_it() {
    let (mut world, socket) = World::connected(config());
    world.connect("/other");
    world.run();
    world.block();
    (1..=3).for_each(|number| assert!(matches!(world.emit(socket, &json!([number])), Fate::Kept(_))));
    world.disconnect(socket);
    world.unblock();
    world.run();
    assert_eq!(numbers(&world), [1, 2, 3]);
    assert!(world.server.take_seen().ends_with(&["/ 3 []".into(), "disconnect /".into()]));
    // The same when the connection ends with it.
    let (mut world, socket) = World::connected(config());
    world.emit(socket, &json!([1]));
    world.disconnect(socket);
    world.emit(socket, &json!([2]));
    world.run();
    assert_eq!(world.server.take_seen(), ["/ 1 []", "disconnect /", "closed transport close"]);
}

#[test]
fn a_burst_without_a_turn_loses_nothing_while_the_connection_stands() {
    let (mut world, socket) = World::connected(room(10, BufferPolicy::DropOldest));
    world.emit_numbers(socket, 0..100);
    world.run();
    world.block();
    world.emit_numbers(socket, 100..200);
    world.manager.handle_turn();
    world.unblock();
    world.run();
    assert_eq!(numbers(&world), (0..200).collect::<Vec<_>>());
    assert_eq!(world.manager.stats().dropped, 0);
    // Who goes on all the same, turn after turn, is held to the limit.
    world.block();
    world.emit_numbers(socket, 200..300);
    world.manager.handle_turn();
    world.emit_numbers(socket, 300..310);
    world.unblock();
    world.run();
    assert_eq!(numbers(&world)[200..], (300..310).collect::<Vec<_>>());
    assert_eq!(world.manager.stats().dropped, 100);
}

#[test]
fn the_oldest_make_room_and_somebody_is_told() {
    let mut world = World::with(room(2, BufferPolicy::DropOldest));
    let socket = world.socket("/");
    let id = world.ask(socket, &json!(["a \"b\"", 1]), Some(secs(9)));
    world.emit(socket, &json!([2]));
    assert_eq!(world.emit(socket, &json!([3])), Fate::Kept(3));
    world.emit(socket, &json!([4]));
    world.run();
    let first = format!("/ ack {id} failed Dropped");
    assert_eq!(world.take_seen(), ["/ dropped a \"b\" Full first", &first, "/ dropped  Full"]);
    world.manager.connect(socket, world.now);
    world.run();
    assert_eq!((numbers(&world), world.manager.stats().dropped), (vec![3, 4], 2));
    // The next time is a first time again.
    world.cut();
    world.take_seen();
    world.emit_numbers(socket, 5..8);
    world.run();
    assert_eq!(world.take_seen(), ["/ dropped  Full first"]);
}

#[test]
fn the_newest_gives_way() {
    let mut world = World::with(room(2, BufferPolicy::DropNewest));
    let socket = world.connect("/");
    world.emit_numbers(socket, 1..=2);
    let id = world.ask(socket, &json!(["third"]), None);
    assert_eq!(world.emit(socket, &json!(["fourth"])), Fate::Dropped);
    world.run();
    let dropped = ["/ dropped third Full first".to_owned(), format!("/ ack {id} failed Dropped")];
    let seen = world.take_seen();
    assert_eq!((&seen[..2], seen[2].as_str()), (&dropped[..], "/ dropped fourth Full"));
    assert_eq!(numbers(&world), [1, 2]);
}

#[test]
fn emitting_may_fail_instead() {
    let mut world = World::with(room(2, BufferPolicy::Error));
    let socket = world.connect("/");
    world.emit_numbers(socket, 1..=2);
    let id = world.manager.prepare(socket, WAITED, world.now).unwrap();
    let packet = Encoded::from_text(PacketKind::Event, "/", id, "[3]");
    let full = world.manager.emit(socket, packet, id, WAITED, world.now).unwrap_err();
    assert_eq!(
        (full.packets, full.bytes),
        (2, 2 * Encoded::from_text(PacketKind::Event, "/", None, "[1]").size())
    );
    assert_eq!(full.to_string(), format!("the buffer is full: 2 events, {} bytes", full.bytes));
    world.run();
    assert!(!world.take_seen().iter().any(|line| line.contains("dropped") || line.contains("ack")));
    assert_eq!(numbers(&world), [1, 2]);
}

#[test]
fn room_is_bytes_too_and_an_empty_buffer_takes_one_of_any_size() {
    let large = "x".repeat(600);
    for policy in [BufferPolicy::DropOldest, BufferPolicy::DropNewest] {
        let mut world = World::with(ManagerConfig { max_buffered_bytes: 1000, ..room(100, policy) });
        let socket = world.connect("/");
        for number in 1..=3 {
            world.emit(socket, &json!([number, large]));
        }
        world.run();
        let expected = if policy == BufferPolicy::DropOldest { [3] } else { [1] };
        assert_eq!(numbers(&world), expected, "{policy:?}");
        world.cut();
        world.emit(socket, &json!([4, large, large]));
        world.wait(secs(1));
        assert_eq!(numbers(&world)[1..], [4]);
    }
}

#[test]
fn no_room_keeps_nothing() {
    for policy in [BufferPolicy::DropOldest, BufferPolicy::DropNewest] {
        let mut world = World::with(room(0, policy));
        let socket = world.connect("/");
        assert_eq!(world.emit(socket, &json!([1])), Fate::Dropped);
        world.run();
        assert_eq!(world.emit(socket, &json!([2])), Fate::Sent);
        world.run();
        assert_eq!(numbers(&world), [2]);
    }
}

#[test]
fn acknowledgements_that_are_owed_are_bounded() {
    let mut world = World::with(ManagerConfig { max_buffered_packets: usize::MAX, ..config() });
    let socket = world.socket("/");
    for _ in 0..MAX_PENDING_ACKS {
        world.manager.prepare(socket, WAITED, world.now).unwrap().unwrap();
    }
    assert!(world.manager.prepare(socket, WAITED, world.now).is_err());
    assert!(world.manager.prepare(socket, EmitFlags::default(), world.now).is_ok());
}

#[test]
fn who_emits_much_is_told_to_wait_and_when_to_go_on() {
    let limits = ManagerConfig { low_water: 100, high_water: 200, ..config() };
    let (mut world, socket) = World::connected(limits);
    let data = json!(["x".repeat(90)]);
    let flags = EmitFlags::default();
    let sent = |full| Emitted { fate: Fate::Sent, full };
    assert_eq!(world.emit_with(socket, &data, flags).1, sent(false));
    assert!(
        world.manager.is_full(socket)
            || !world.manager.is_drained(socket)
            || world.manager.is_drained(socket)
    );
    world.run();
    assert!(world.manager.is_drained(socket) && world.manager.is_settled(socket));
    world.block();
    let kept: Vec<bool> = (0..3).map(|_| world.emit_with(socket, &data, flags).1.full).collect();
    assert_eq!(kept, [false, false, true]);
    assert!(world.manager.is_full(socket) && !world.manager.is_drained(socket));
    world.manager.watch_drain(socket);
    world.manager.watch_drain(socket);
    world.collect();
    assert_eq!(world.take_seen(), [""; 0]);
    world.unblock();
    world.run();
    assert_eq!(world.take_seen(), ["/ drained"]);
    // It is told too when there is nothing to wait for, and when the connection is lost.
    world.manager.watch_drain(socket);
    world.run();
    assert_eq!(world.take_seen(), ["/ drained"]);
}

#[test]
fn a_socket_is_settled_when_nothing_of_it_is_open() {
    let (mut world, socket) = World::connected(config());
    let settled = |world: &World| world.manager.is_settled(socket);
    assert!(settled(&world));
    world.server.rules.answers = false;
    let id = world.ask(socket, &json!(["a"]), None);
    assert!(!settled(&world), "not written");
    world.run();
    assert!(!settled(&world), "not answered");
    world.server.answer("/", id, &json!([]), world.now);
    world.run();
    assert!(settled(&world));
    world.block();
    world.emit(socket, &json!(["b"]));
    assert!(!settled(&world), "kept");
    world.disconnect(socket);
    assert!(settled(&world), "not active any more");
}

#[test]
fn who_looks_at_what_leaves_is_told_of_what_was_kept() {
    let mut world = World::new();
    let socket = world.connect("/");
    let flags = EmitFlags { reported: true, ..EmitFlags::default() };
    let kept: Vec<Fate> =
        (1..=2).map(|number| world.emit_with(socket, &json!([number]), flags).1.fate).collect();
    assert_eq!(kept, [Fate::Kept(1), Fate::Kept(2)]);
    world.emit(socket, &json!([3]));
    world.run();
    assert_eq!(world.take_seen(), ["open", "/ sent 1", "/ sent 2", "/ connect sid1"]);
    assert_eq!(world.emit_with(socket, &json!([4]), flags).1.fate, Fate::Sent);
    world.run();
    assert_eq!(world.take_seen(), [""; 0]);
}

#[test]
fn after_a_long_sleep_what_is_emitted_is_kept_and_the_connection_made_again() {
    let (mut world, socket) = World::connected(config());
    world.now += PING_INTERVAL + PING_TIMEOUT;
    assert!(matches!(world.emit(socket, &json!([1])), Fate::Kept(_)));
    assert_eq!(world.emit_volatile(socket, &json!([9])), Fate::Dropped);
    world.run();
    assert_eq!(world.take_seen(), ["close ping timeout", "/ disconnect ping timeout active"]);
    world.wait(secs(2));
    assert_eq!(numbers(&world), [1]);
}

#[test]
fn handlers_of_one_batch_see_its_end_coming() {
    // The last of what came at once is the end; what the handlers before it emit must not be lost, nor sent to a
    // namespace that the socket is not in any more.
    for kick in [false, true] {
        let (mut world, socket) = World::connected(config());
        world.connect("/other");
        world.run();
        world.server.emit("/", None, &json!(["go"]), world.now);
        if kick {
            world.server.kick("/", world.now);
        } else {
            world.server.close_session("/", world.now);
        }
        world.once("/ \"go\"", move |manager, now| {
            let fate = emit_with(manager, socket, &json!([1]), EmitFlags::default(), now).1.fate;
            assert!(matches!(fate, Fate::Kept(_)));
        });
        world.run();
        world.connect("/");
        world.wait(secs(2));
        assert_eq!(numbers(&world), [1], "{kick}");
    }
}

#[test]
fn sockets_that_keep_much_take_turns() {
    let (mut world, first) = World::connected(config());
    let second = world.connect("/second");
    world.run();
    world.block();
    let data = |number: u64| json!([number, "x".repeat(50_000)]);
    for number in 0..20 {
        world.emit(first, &data(number));
        world.emit(second, &data(100 + number));
    }
    world.blocking = true;
    world.unblock();
    let mut turns = 0;
    while world.server.numbers.len() < 40 {
        world.run();
        world.unblock();
        turns += 1;
        assert!(turns < 100);
    }
    let order: Vec<u64> = numbers(&world);
    let first_half = &order[..20];
    assert!(first_half.iter().any(|number| *number < 100), "{order:?}");
    assert!(first_half.iter().any(|number| *number >= 100), "{order:?}");
    for offset in [0, 100] {
        let of_one: Vec<u64> = order.iter().copied().filter(|number| number / 100 == offset / 100).collect();
        assert_eq!(of_one, (offset..offset + 20).collect::<Vec<_>>());
    }
    assert!(turns > 3, "not all at once");
}

#[test]
fn attachments_go_along() {
    for parser in PARSERS {
        let (mut world, socket) = World::connected(with_parser(config(), parser));
        let part = crate::tree::binary(b"\x00\xff");
        world.block();
        world.emit(socket, &json!(["a", part]));
        world.emit(socket, &json!(["b", [part, part]]));
        world.cut();
        world.wait(secs(1));
        world.server.emit("/", None, &json!(["c", part]), world.now);
        world.run();
        let seen = world.server.take_seen();
        assert_eq!(
            seen[seen.len() - 2..],
            [format!("/ \"a\" [{part}]"), format!("/ \"b\" [[{part},{part}]]")]
        );
        assert_eq!(world.take_seen().pop().unwrap(), format!("/ \"c\" [{part}]"));
    }
}

#[test]
fn what_is_dropped_has_its_name_in_either_form() {
    for parser in PARSERS {
        let mut world = World::with(with_parser(room(0, BufferPolicy::DropOldest), parser));
        let socket = world.socket("/admin");
        world.ask(socket, &json!(["update \"item\"", crate::tree::binary(b"a")]), None);
        world.run();
        assert_eq!(
            world.take_seen(),
            ["/admin dropped update \"item\" Full first", "/admin ack 1 failed Dropped"]
        );
    }
}

#[test]
fn a_key_that_is_nobodys_emits_nothing() {
    let mut world = World::new();
    let nobody = SocketKey::from_bits(77);
    assert_eq!(world.manager.prepare(nobody, WAITED, world.now), Ok(None));
    let packet = Encoded::from_text(PacketKind::Event, "/", None, "[1]");
    let emitted = world.manager.emit(nobody, packet, None, WAITED, world.now).unwrap();
    assert_eq!(emitted, Emitted { fate: Fate::Dropped, full: false });
    assert!(
        world.manager.is_drained(nobody)
            && world.manager.is_settled(nobody)
            && !world.manager.is_full(nobody)
    );
    world.manager.watch_drain(nobody);
    world.run();
    assert_eq!(world.take_seen(), [""; 0]);
}

#[test]
fn polling_keeps_what_comes_while_a_post_is_under_way() {
    let (mut world, socket) = World::connected(polling(false));
    assert_eq!(world.manager.transport(), Some(TransportKind::Polling));
    assert_eq!([1, 2].map(|number| world.emit(socket, &json!([number]))), [Fate::Sent; 2]);
    world.collect();
    assert_eq!(world.emit(socket, &json!([3])), Fate::Kept(1));
    assert_eq!(world.emit_volatile(socket, &json!([9])), Fate::Dropped);
    world.run();
    assert_eq!(numbers(&world), [1, 2, 3]);
    // It was not on its way when the connection was lost.
    world.emit(socket, &json!([4]));
    world.collect();
    world.emit(socket, &json!([5]));
    world.swallow();
    world.cut();
    world.wait(secs(1));
    assert_eq!(numbers(&world), [1, 2, 3, 5], "and what was is lost, as in JavaScript");
}

#[test]
fn an_upgrade_loses_and_reorders_nothing() {
    let mut world = World::with(polling(true));
    let socket = world.connect("/");
    for number in 0..200 {
        world.emit(socket, &json!([number]));
        world.collect();
        let _ = world.step_open() || world.step_up(usize::MAX) || world.step_down(usize::MAX);
    }
    world.wait(Duration::from_secs(2));
    assert_eq!(world.manager.transport(), Some(TransportKind::WebSocket));
    assert_eq!(numbers(&world), (0..200).collect::<Vec<_>>());
    assert!(world.take_seen().contains(&"upgrade websocket".into()));
}

#[test]
fn events_of_many_namespaces_keep_their_order_each() {
    let mut world = World::new();
    let sockets: Vec<SocketKey> = ["/", "/a", "/b"].map(|name| world.connect(name)).to_vec();
    for number in 0..30u64 {
        let socket = sockets[usize::try_from(number % 3).unwrap()];
        world.emit(socket, &json!([number]));
        if number == 15 {
            world.run();
            world.block();
        }
    }
    world.unblock();
    world.run();
    for name in ["/", "/a", "/b"] {
        let of_one: Vec<u64> = world
            .server
            .numbers
            .iter()
            .filter(|(namespace, _)| namespace == name)
            .map(|(_, number)| *number)
            .collect();
        assert!(of_one.len() == 10 && of_one.is_sorted(), "{name} {of_one:?}");
    }
}

#[test]
fn values_are_not_looked_at() {
    let (mut world, _) = World::connected(config());
    for data in
        [json!([1, "a", {"b": [null, true, -1.5]}]), json!(["ü", "\u{1e}", ""]), Value::from(vec!["x"; 100])]
    {
        world.server.emit("/", None, &data, world.now);
        world.run();
        let name = &data[0];
        let args = Value::from(data.as_array().unwrap()[1..].to_vec());
        assert_eq!(world.take_seen(), [format!("/ {name} {args}")]);
    }
}
