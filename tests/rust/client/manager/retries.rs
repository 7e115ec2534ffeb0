//! Sockets with `retries`: each event at least once and in order. What socket.io-client's `test/retry.ts` asks
//! for, with one acknowledgement id for all tries of an event.

use super::world::*;
use serde_json::json;
use siox::proto::client::{BufferPolicy, EmitFlags, Fate, ManagerConfig, SocketKey, SocketOptions};

const RETRIES: SocketOptions = SocketOptions { retries: Some(3), ack_timeout: Some(secs_const(1)) };

const fn secs_const(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

fn world(options: SocketOptions) -> (World, SocketKey) {
    let mut world = World::new();
    let socket = world.manager.socket("/", options);
    world.connect("/");
    world.run();
    world.take_seen();
    world.server.take_seen();
    (world, socket)
}

fn numbers(world: &World) -> Vec<u64> {
    world.server.numbers.iter().map(|(_, number)| *number).collect()
}

#[test]
fn events_are_sent_one_at_a_time_and_in_order() {
    let (mut world, socket) = world(RETRIES);
    world.server.rules.answers = false;
    let ids: Vec<u64> = (1..=3).map(|number| world.ask(socket, &json!([number]), None)).collect();
    world.run();
    assert_eq!(numbers(&world), [1]);
    world.server.answer("/", ids[1], &json!([]), world.now);
    world.run();
    assert_eq!((numbers(&world), world.take_seen()), (vec![1], vec![]), "not sent yet, so not answered");
    for (index, id) in ids.iter().enumerate() {
        world.server.answer("/", *id, &json!([index]), world.now);
        world.run();
        assert_eq!(world.take_seen(), [format!("/ ack {id} [{index}]")]);
    }
    assert_eq!(numbers(&world), [1, 2, 3]);
    assert!(world.manager.is_settled(socket));
}

#[test]
fn a_bare_emit_is_acknowledged_too_and_nobody_hears_of_it() {
    let (mut world, socket) = world(RETRIES);
    let (id, emitted) = world.emit_with(socket, &json!(["echo", null]), EmitFlags::default());
    assert_eq!((id, emitted.fate), (Some(1), Fate::Sent));
    assert_eq!(world.emit(socket, &json!(["next"])), Fate::Kept(2));
    world.run();
    assert_eq!(world.server.take_seen(), ["/ \"echo\" #1 [null]", "/ \"next\" #2 []"]);
    assert_eq!(world.take_seen(), [""; 0]);
    world.wait(secs(60));
    assert_eq!(world.server.take_seen(), [""; 0], "once is enough");
}

#[test]
fn without_a_timeout_an_answer_is_no_error() {
    let (mut world, socket) = world(SocketOptions { retries: Some(3), ack_timeout: None });
    let id = world.ask(socket, &json!(["echo", 1, "two"]), None);
    world.wait(secs(600));
    assert_eq!(world.take_seen(), [format!("/ ack {id} [1,\"two\"]")]);
    assert_eq!(world.server.take_seen().len(), 1);
}

#[test]
fn an_event_that_is_not_acknowledged_is_tried_again_and_given_up() {
    let (mut world, socket) = world(RETRIES);
    world.server.rules.answers = false;
    let id = world.ask(socket, &json!(["ack"]), None);
    world.emit(socket, &json!(["bare"]));
    world.wait(just_before(secs(4)));
    assert_eq!(world.server.take_seen(), vec![format!("/ \"ack\" #{id} []"); 4]);
    assert_eq!(world.take_seen(), [""; 0]);
    world.wait(millis(1));
    let dropped = "/ dropped ack Retries first".to_owned();
    assert_eq!(world.take_seen(), [dropped, format!("/ ack {id} failed Timeout")]);
    world.wait(secs(4));
    assert_eq!(world.take_seen(), ["/ dropped bare Retries first"]);
    assert_eq!(world.server.take_seen().len(), 4);
    assert_eq!((world.manager.stats().dropped, world.manager.stats().ack_timeouts), (2, 8));
}

#[test]
fn a_late_answer_to_an_earlier_try_counts() {
    let (mut world, socket) = world(RETRIES);
    world.server.rules.answers = false;
    let id = world.ask(socket, &json!([1]), Some(millis(10)));
    world.emit(socket, &json!([2]));
    world.wait(millis(15));
    assert_eq!(numbers(&world), [1, 1]);
    world.server.answer("/", id, &json!(["late"]), world.now);
    world.server.answer("/", id, &json!(["again"]), world.now);
    world.run();
    assert_eq!(world.take_seen(), [format!("/ ack {id} [\"late\"]")]);
    assert_eq!(numbers(&world), [1, 1, 2]);
}

#[test]
fn nothing_is_tried_while_the_socket_is_not_connected() {
    let mut world = World::new();
    let socket = world.manager.socket("/", SocketOptions { ack_timeout: Some(millis(10)), ..RETRIES });
    let id = world.ask(socket, &json!(["echo", 1]), None);
    world.wait(secs(100));
    assert_eq!(world.take_seen(), [""; 0]);
    world.connect("/");
    world.run();
    assert_eq!(world.take_seen(), ["open", "/ connect sid1", &format!("/ ack {id} [1]")]);
    assert_eq!(world.server.take_seen(), ["connect / -", "/ \"echo\" #1 [1]"]);
}

#[test]
fn what_was_on_its_way_is_sent_again_on_the_next_connection() {
    let (mut world, socket) = world(RETRIES);
    world.server.rules.answers = false;
    let ids: Vec<u64> = (1..=2).map(|number| world.ask(socket, &json!([number]), None)).collect();
    world.run();
    world.kill_server();
    world.take_seen();
    world.wait(secs(30));
    world.network = Network::Up;
    world.server.rules.answers = true;
    world.wait(secs(5));
    assert_eq!(numbers(&world), [1, 1, 2]);
    let seen = world.take_seen();
    assert!(seen.ends_with(&[format!("/ ack {} []", ids[0]), format!("/ ack {} []", ids[1])]), "{seen:?}");
}

#[test]
fn a_loss_counts_as_a_try_that_failed() {
    let (mut world, socket) = world(SocketOptions { retries: Some(1), ack_timeout: None });
    world.server.rules.answers = false;
    let id = world.ask(socket, &json!([1]), None);
    world.emit(socket, &json!([2]));
    world.run();
    world.cut();
    assert_eq!(world.take_seen(), ["close transport close", "/ disconnect transport close active"]);
    world.wait(secs(1));
    world.take_seen();
    world.cut();
    let expected = [
        "close transport close".to_owned(),
        "/ disconnect transport close active".into(),
        "/ dropped  Retries first".into(),
        format!("/ ack {id} failed Disconnected"),
    ];
    assert_eq!(world.take_seen(), expected);
    world.wait(secs(1));
    assert_eq!(numbers(&world), [1, 1, 2]);
}

#[test]
fn without_limit_an_event_is_tried_until_it_arrives() {
    let (mut world, socket) = world(SocketOptions { retries: Some(u32::MAX), ..RETRIES });
    world.server.rules.answers = false;
    let id = world.ask(socket, &json!([1]), None);
    world.wait(secs(1000));
    for _ in 0..20 {
        world.cut();
        world.wait(secs(2));
    }
    world.server.rules.answers = true;
    world.take_seen();
    world.wait(secs(2));
    assert_eq!(world.take_seen(), [format!("/ ack {id} []")]);
    assert!(numbers(&world).len() > 1000);
}

#[test]
fn disconnecting_by_hand_keeps_what_is_not_acknowledged() {
    let (mut world, socket) = world(RETRIES);
    world.server.rules.answers = false;
    world.emit(socket, &json!([1]));
    world.run();
    world.disconnect(socket);
    world.run();
    world.server.rules.answers = true;
    world.connect("/");
    world.run();
    assert_eq!(numbers(&world), [1, 1]);
    assert!(world.manager.is_settled(socket));
}

#[test]
fn a_volatile_event_does_not_wait_in_the_queue() {
    let (mut world, socket) = world(RETRIES);
    world.server.rules.answers = false;
    world.emit(socket, &json!([1]));
    world.emit(socket, &json!([2]));
    assert_eq!(world.emit_volatile(socket, &json!([9])), Fate::Sent);
    world.run();
    assert_eq!(numbers(&world), [1, 9]);
    world.cut();
    assert_eq!(world.emit_volatile(socket, &json!([9])), Fate::Dropped);
}

#[test]
fn what_is_emitted_by_the_handler_of_connect_is_sent_once() {
    let mut world = World::new();
    let socket = world.manager.socket("/", SocketOptions { retries: Some(3), ack_timeout: None });
    world.once("/ connect", move |manager, now| {
        emit_with(manager, socket, &json!(["echo", null]), EmitFlags::default(), now);
    });
    world.connect("/");
    world.wait(secs(1));
    assert_eq!(world.server.take_seen(), ["connect / -", "/ \"echo\" #1 [null]"]);
}

#[test]
fn the_queue_has_the_limits_of_the_buffer() {
    for policy in [BufferPolicy::DropOldest, BufferPolicy::DropNewest] {
        let config = ManagerConfig { max_buffered_packets: 2, buffer_policy: policy, ..config() };
        let mut world = World::with(config);
        let socket = world.manager.socket("/", RETRIES);
        let ids: Vec<u64> = (1..=4).map(|number| world.ask(socket, &json!([number]), None)).collect();
        world.connect("/");
        world.run();
        let (kept, lost): (&[u64], &[u64]) =
            if policy == BufferPolicy::DropOldest { (&[3, 4], &[1, 2]) } else { (&[1, 2], &[3, 4]) };
        assert_eq!(numbers(&world), kept, "{policy:?}");
        let seen = world.take_seen();
        let failed = lost
            .iter()
            .map(|number| format!("/ ack {} failed Dropped", ids[usize::try_from(number - 1).unwrap()]));
        assert!(failed.into_iter().all(|line| seen.contains(&line)), "{seen:?}");
    }
    // What is on its way stays.
    let config = ManagerConfig { max_buffered_packets: 2, ..config() };
    let mut world = World::with(config);
    let socket = world.manager.socket("/", RETRIES);
    world.connect("/");
    world.run();
    world.server.rules.answers = false;
    for number in 1..=2 {
        world.emit(socket, &json!([number]));
    }
    world.run();
    world.emit(socket, &json!([3]));
    world.manager.handle_turn();
    world.emit(socket, &json!([4]));
    world.server.rules.answers = true;
    world.server.answer("/", 1, &json!([]), world.now);
    world.run();
    assert_eq!(numbers(&world), [1, 4]);
    let config = ManagerConfig {
        max_buffered_packets: 1,
        buffer_policy: BufferPolicy::Error,
        ..super::world::config()
    };
    let mut world = World::with(config);
    let socket = world.manager.socket("/", RETRIES);
    world.emit(socket, &json!([1]));
    let id = world.manager.prepare(socket, EmitFlags::default(), world.now).unwrap();
    let packet =
        siox::proto::socket::Encoded::from_text(siox::proto::socket::PacketKind::Event, "/", id, "[2]");
    assert!(world.manager.emit(socket, packet, id, EmitFlags::default(), world.now).is_err());
}

#[test]
fn one_that_nobody_waits_for_any_more_still_arrives() {
    let (mut world, socket) = world(RETRIES);
    world.server.rules.answers = false;
    world.emit(socket, &json!([1]));
    let id = world.ask(socket, &json!([2]), None);
    world.manager.cancel(id);
    world.server.rules.answers = true;
    world.wait(secs(2));
    assert_eq!(numbers(&world), [1, 2]);
    assert_eq!(world.take_seen(), [""; 0]);
}

#[test]
fn who_looks_at_what_leaves_is_told_once() {
    let (mut world, socket) = world(RETRIES);
    let flags = EmitFlags { reported: true, ..EmitFlags::default() };
    world.server.rules.answers = false;
    let fates: Vec<Fate> =
        (1..=2).map(|number| world.emit_with(socket, &json!([number]), flags).1.fate).collect();
    assert_eq!(fates, [Fate::Sent, Fate::Kept(2)]);
    world.wait(secs(1));
    assert_eq!((numbers(&world), world.take_seen()), (vec![1, 1], vec![]));
    world.server.answer("/", 1, &json!([]), world.now);
    world.wait(secs(2));
    assert_eq!((numbers(&world), world.take_seen()), (vec![1, 1, 2, 2, 2], vec!["/ sent 2".to_owned()]));
}
