//! Sockets in and out of their namespaces: what socket.io-client's `test/connection.ts` and `test/socket.ts`
//! ask for, and what its code does at the moments that they do not look at.

use super::world::*;
use serde_json::json;
use siox::proto::client::{EmitFlags, Fate, Manager, ManagerState, SocketOptions};
use siox::proto::socket::Data;

#[test]
fn a_socket_connects_and_is_disconnected_with_its_connection() {
    let mut world = World::new();
    let socket = world.socket("/");
    assert_eq!((world.manager.state(), world.opened), (ManagerState::Closed, 0), "not connected by itself");
    assert!(!world.manager.is_active(socket) && world.manager.is_idle() && !world.manager.is_trying());
    world.manager.connect(socket, world.now);
    assert_eq!(world.manager.state(), ManagerState::Opening);
    assert!(
        world.manager.is_active(socket) && !world.manager.is_connected(socket) && world.manager.is_trying()
    );
    world.run();
    assert_eq!(world.take_seen(), ["open", "/ connect sid1"]);
    assert_eq!(world.server.take_seen(), ["connect / -"]);
    assert!(world.manager.is_connected(socket) && !world.manager.is_recovered(socket));
    assert!(world.manager.sid().is_some_and(|sid| sid.len() == 20));
    world.disconnect(socket);
    assert!(!world.manager.is_connected(socket) && !world.manager.is_active(socket));
    world.run();
    assert_eq!(world.take_seen(), ["close forced close", "/ disconnect io client disconnect inactive"]);
    assert_eq!(world.server.take_seen(), ["disconnect /", "closed transport close"]);
    assert!(world.manager.is_idle() && world.streams() == 0 && !world.manager.is_trying());
    world.wait(secs(3600));
    assert_eq!((world.take_seen(), world.opened), (vec![], 1), "it is over");
}

#[test]
fn namespaces_share_one_connection_and_the_last_one_ends_it() {
    let mut world = World::new();
    let first = world.connect("/foo");
    let second = world.connect("/asd");
    assert_eq!(world.socket("/foo"), first, "a namespace has one socket");
    world.run();
    assert_eq!(world.take_seen(), ["open", "/foo connect sid1", "/asd connect sid2"]);
    world.disconnect(first);
    world.run();
    assert_eq!(world.take_seen(), ["/foo disconnect io client disconnect inactive"]);
    assert_eq!(world.manager.state(), ManagerState::Open);
    world.disconnect(second);
    world.run();
    assert_eq!(world.take_seen(), ["close forced close", "/asd disconnect io client disconnect inactive"]);
    let expected = ["connect /foo -", "connect /asd -", "disconnect /foo", "disconnect /asd"];
    assert_eq!(world.server.take_seen()[..4], expected);
    assert_eq!(world.opened, 1);
}

#[test]
fn a_namespace_joins_a_connection_that_stands_already() {
    let (mut world, _) = World::connected(config());
    world.connect("/foo");
    world.run();
    assert_eq!((world.take_seen(), world.opened), (vec!["/foo connect sid2".to_owned()], 1));
}

#[test]
fn connecting_twice_is_connecting_once() {
    let mut world = World::new();
    let socket = world.connect("/");
    world.connect("/");
    world.once("open", move |manager, now| manager.connect(socket, now));
    world.on("/ connect", move |manager, now| manager.connect(socket, now));
    world.auth_is_late = true;
    world.run();
    world.connect("/");
    let (socket, attempt) = world.wanted.remove(0);
    world.manager.join(socket, attempt, None, world.now);
    world.connect("/");
    world.run();
    assert_eq!(world.server.take_seen(), ["connect / -"]);
    assert!(world.wanted.is_empty());
}

#[test]
fn a_socket_connects_again_by_hand() {
    let (mut world, socket) = World::connected(config());
    world.once("/ disconnect", move |manager, now| manager.connect(socket, now));
    world.disconnect(socket);
    world.run();
    let expected =
        ["close forced close", "/ disconnect io client disconnect inactive", "open", "/ connect sid2"];
    assert_eq!(world.take_seen(), expected);
    world.manager.disconnect(socket, world.now);
    world.manager.connect(socket, world.now);
    assert_eq!(world.manager.state(), ManagerState::Opening, "at once, while the last one says goodbye");
    world.run();
    assert_eq!(world.take_seen(), [&expected[..3], &["/ connect sid3"]].concat());
    assert_eq!((world.opened, world.streams(), world.server.open_sessions()), (3, 1, 1));
    // And it is made again by itself afterwards.
    world.cut();
    world.wait(secs(1));
    assert!(world.take_seen().ends_with(&["reconnect 1".into(), "/ connect sid4".into()]));
}

#[test]
fn a_namespace_opens_after_the_connection_was_closed() {
    let mut world = World::new();
    let socket = world.connect("/");
    let other = world.socket("/foo");
    world.once("/ connect", move |manager, now| manager.disconnect(socket, now));
    world.once("/ disconnect", move |manager, now| manager.connect(other, now));
    world.run();
    let expected = [
        "open",
        "/ connect sid1",
        "close forced close",
        "/ disconnect io client disconnect inactive",
        "open",
        "/foo connect sid2",
    ];
    assert_eq!(world.take_seen(), expected);
}

#[test]
fn one_joins_while_another_leaves() {
    let mut world = World::new();
    let first = world.connect("/foo");
    let second = world.socket("/asd");
    world.once("/foo connect", move |manager, now| {
        manager.connect(second, now);
        manager.disconnect(first, now);
    });
    world.run();
    let expected =
        ["open", "/foo connect sid1", "/foo disconnect io client disconnect inactive", "/asd connect sid2"];
    assert_eq!((world.take_seen(), world.opened), (expected.map(String::from).to_vec(), 1));
}

#[test]
fn disconnecting_while_opening_is_silent() {
    for network in [Network::Up, Network::Silent, Network::Refusing] {
        let mut world = World::new();
        world.network = network;
        let socket = world.connect("/");
        if network == Network::Silent {
            world.run();
        }
        world.disconnect(socket);
        world.wait(secs(60));
        assert_eq!(world.take_seen(), ["close forced close"], "{network:?}");
        assert_eq!(world.server.take_seen(), [""; 0]);
        assert!(world.manager.is_idle() && world.streams() == 0, "{network:?}");
    }
}

#[test]
fn disconnecting_twice_is_disconnecting_once() {
    let (mut world, socket) = World::connected(config());
    world.once("/ disconnect", move |manager, now| manager.disconnect(socket, now));
    world.on("close", move |manager, now| manager.disconnect(socket, now));
    world.disconnect(socket);
    world.disconnect(socket);
    world.run();
    assert_eq!(world.take_seen(), ["close forced close", "/ disconnect io client disconnect inactive"]);
}

#[test]
fn what_came_with_the_disconnect_is_not_told_any_more() {
    let (mut world, socket) = World::connected(config());
    world.connect("/other");
    world.run();
    world.take_seen();
    for number in 0..3 {
        world.server.emit("/", None, &json!([number]), world.now);
    }
    world.once("/ 1", move |manager, now| manager.disconnect(socket, now));
    world.run();
    assert_eq!(world.take_seen(), ["/ 0 []", "/ 1 []", "/ disconnect io client disconnect inactive"]);
}

#[test]
fn a_refusal_is_final_and_ends_the_connection_with_the_last_socket() {
    let refusal = json!({"message": "Auth failed", "data": {"why": 1}});
    let mut world = World::new();
    world.server.rules.refused.insert("/no".into(), refusal.clone());
    let socket = world.connect("/no");
    world.run();
    let seen = world.take_seen();
    assert_eq!(seen, ["open".to_owned(), "close forced close".into(), format!("/no refused {refusal}")]);
    assert!(!world.manager.is_active(socket) && !world.manager.is_trying());
    world.wait(secs(600));
    assert_eq!((world.take_seen(), world.opened), (vec![], 1), "no retry");
    // Asked to, it tries again.
    world.server.rules.refused.clear();
    world.connect("/no");
    world.run();
    assert_eq!(world.take_seen(), ["open", "/no connect sid2"]);
}

#[test]
fn a_refusal_leaves_the_other_namespaces_alone() {
    let (mut world, _) = World::connected(config());
    world.server.rules.refused.insert("/no".into(), json!("bare"));
    let socket = world.connect("/no");
    world.emit(socket, &json!(["kept"]));
    world.run();
    assert_eq!(world.take_seen(), ["/no refused \"bare\""]);
    assert!(!world.manager.is_active(socket));
    // A loss and the way back do not concern it; what it keeps waits for `connect`.
    world.cut();
    world.wait(secs(1));
    world.server.rules.refused.clear();
    assert_eq!(world.server.take_seen(), ["connect /no -", "closed transport close", "connect / -"]);
    world.connect("/no");
    world.run();
    assert_eq!(world.server.take_seen(), ["connect /no -", "/no \"kept\" []"]);
}

#[test]
fn a_server_that_takes_a_socket_out_is_not_asked_again() {
    let (mut world, socket) = World::connected(config());
    let other = world.connect("/other");
    world.run();
    world.take_seen();
    world.server.kick("/other", world.now);
    world.run();
    assert_eq!(world.take_seen(), ["/other disconnect io server disconnect inactive"]);
    world.server.kick("/", world.now);
    world.run();
    assert_eq!(world.take_seen(), ["close forced close", "/ disconnect io server disconnect inactive"]);
    world.wait(secs(600));
    assert_eq!((world.opened, world.server.open_sessions()), (1, 0));
    // It is by hand, and from within the handler.
    world.manager.connect(socket, world.now);
    world.manager.connect(other, world.now);
    world.run();
    world.take_seen();
    world.once("/other disconnect", move |manager, now| manager.connect(other, now));
    world.server.kick("/other", world.now);
    world.run();
    assert_eq!(world.take_seen(), ["/other disconnect io server disconnect inactive", "/other connect sid5"]);
}

#[test]
fn a_socket_that_leaves_before_its_reply_is_taken_out_by_it() {
    let (mut world, _) = World::connected(config());
    world.server.rules.pending.insert("/slow".into());
    let socket = world.connect("/slow");
    world.run();
    world.disconnect(socket);
    world.run();
    assert_eq!(world.server.take_seen(), ["connect /slow -"], "DISCONNECT now would end the connection");
    // Wanted again, it waits: a second CONNECT now would make two sockets of it, or end the connection.
    world.manager.connect(socket, world.now);
    world.run();
    assert_eq!(world.server.take_seen(), [""; 0]);
    world.server.rules.pending.clear();
    world.server.admit("/slow", world.now);
    world.run();
    assert_eq!(world.server.take_seen(), ["disconnect /slow", "connect /slow -"]);
    assert_eq!(world.take_seen(), ["/slow connect sid3"]);
    // Not wanted again, it is only taken out; a refusal frees the namespace too.
    world.disconnect(socket);
    world.server.rules.pending.insert("/slow".into());
    world.connect("/slow");
    world.run();
    world.disconnect(socket);
    world.server.take_seen();
    world.server.admit("/slow", world.now);
    world.run();
    assert_eq!(world.server.take_seen(), ["disconnect /slow"]);
    assert_eq!(world.take_seen(), ["/slow disconnect io client disconnect inactive"]);
}

#[test]
fn a_refusal_of_an_unwanted_socket_is_not_told() {
    let (mut world, _) = World::connected(config());
    world.server.rules.pending.insert("/slow".into());
    let socket = world.connect("/slow");
    world.run();
    world.disconnect(socket);
    world.manager.connect(socket, world.now);
    world.run();
    assert_eq!(world.server.take_seen(), ["connect /slow -"]);
    world.server.refuse("/slow", world.now);
    world.run();
    assert_eq!((world.take_seen(), world.server.take_seen()), (vec![], vec!["connect /slow -".to_owned()]));
    assert!(world.manager.is_active(socket));
}

#[test]
fn a_socket_that_was_forgotten_leaves_nothing_behind() {
    let (mut world, _) = World::connected(config());
    world.server.rules.pending.insert("/slow".into());
    let socket = world.connect("/slow");
    let id = world.ask(socket, &json!(["kept"]), None);
    world.run();
    world.manager.watch_drain(socket);
    world.manager.remove(socket, world.now);
    let again = world.connect("/slow");
    assert_ne!(again, socket);
    world.run();
    assert_eq!(world.take_seen(), [format!("gone ack {id} failed Disconnected")]);
    assert_eq!(world.server.take_seen(), ["connect /slow -"]);
    world.server.rules.pending.clear();
    world.server.admit("/slow", world.now);
    world.run();
    assert_eq!(world.server.take_seen(), ["disconnect /slow", "connect /slow -"]);
    assert_eq!(world.take_seen(), ["/slow connect sid3"]);
    assert!(world.manager.namespace(socket).is_none() && !world.manager.is_active(socket));
    // What has a key of it does nothing.
    world.manager.connect(socket, world.now);
    world.manager.disconnect(socket, world.now);
    world.manager.remove(socket, world.now);
    world.run();
    assert!(world.manager.is_connected(again) && world.take_seen().is_empty());
}

#[test]
fn auth_is_asked_for_at_every_connect() {
    let mut world = World::new();
    world.auth = Some(json!({"token":1}));
    world.connect("/abc");
    world.run();
    world.auth = Some(json!({"token":2}));
    world.cut();
    world.wait(secs(1));
    let expected = [r#"connect /abc {"token":1}"#, "closed transport close", r#"connect /abc {"token":2}"#];
    assert_eq!(world.server.take_seen(), expected);
}

#[test]
fn an_answer_to_an_earlier_question_counts_for_nothing() {
    let mut world = World::new();
    world.auth_is_late = true;
    let socket = world.connect("/");
    world.run();
    world.cut();
    world.wait(secs(1));
    assert_eq!(world.wanted, [(socket, 1), (socket, 2)]);
    world.manager.join(socket, 1, Some(&Data::from(r#"{"late":1}"#)), world.now);
    world.run();
    assert_eq!(world.server.take_seen(), ["closed transport close"]);
    for _ in 0..2 {
        world.manager.join(socket, 2, Some(&Data::from(r#"{"now":1}"#)), world.now);
    }
    world.run();
    assert_eq!(world.server.take_seen(), [r#"connect / {"now":1}"#], "and once is enough");
    // A socket that was disconnected meanwhile does not join either.
    world.disconnect(socket);
    world.connect("/");
    world.run();
    world.disconnect(socket);
    world.manager.join(socket, 3, None, world.now);
    world.run();
    assert!(!world.server.take_seen().contains(&"connect / -".to_owned()));
}

#[test]
fn auth_that_cannot_be_had_is_asked_for_again() {
    let mut world = World::new();
    world.auth_is_late = true;
    let socket = world.connect("/");
    world.run();
    for (attempt, wait) in [(1, 1), (2, 2), (3, 4), (4, 5)] {
        assert_eq!(world.wanted, [(socket, attempt)]);
        world.wanted.clear();
        world.manager.fail_join(socket, attempt, "no token", world.now);
        world.manager.fail_join(socket, attempt, "no token", world.now);
        world.wait(just_before(secs(wait)));
        assert_eq!(world.wanted, []);
        world.wait(millis(1));
    }
    assert_eq!(world.take_seen()[1..], ["/ connect_error auth error active"; 4]);
    world.manager.join(socket, 5, None, world.now);
    world.run();
    assert_eq!(world.take_seen(), ["/ connect sid1"]);
    // The loss of the connection ends the wait, and so does leaving.
    world.cut();
    world.wait(secs(1));
    world.manager.fail_join(socket, 6, "no token", world.now);
    world.cut();
    world.wanted.clear();
    world.wait(secs(1));
    assert_eq!(world.wanted, [(socket, 7)]);
    world.manager.fail_join(socket, 7, "no token", world.now);
    world.disconnect(socket);
    world.wait(secs(600));
    assert_eq!(world.wanted.len(), 1);
}

#[test]
fn without_reconnection_auth_that_cannot_be_had_is_final() {
    let mut world = World::with(siox::proto::client::ManagerConfig { reconnection: false, ..config() });
    world.auth_is_late = true;
    let socket = world.connect("/");
    world.run();
    world.manager.fail_join(socket, 1, "no token", world.now);
    world.run();
    assert_eq!(world.take_seen(), ["open", "close forced close", "/ connect_error auth error inactive"]);
    assert!(!world.manager.is_active(socket));
}

#[test]
fn a_server_of_an_older_protocol_is_said_to_be_one() {
    let mut world = World::new();
    world.server.rules.old = true;
    let socket = world.connect("/");
    world.run();
    assert_eq!(world.take_seen(), ["open", "close forced close", "/ connect_error server error inactive"]);
    assert!(!world.manager.is_active(socket));
}

#[test]
fn early_events_come_before_connect_and_late_ones_of_a_lost_socket_never() {
    let mut world = World::new();
    world.server.rules.early = vec![json!(["a", 1]), json!(["b"])];
    let socket = world.connect("/");
    world.run();
    assert_eq!(world.take_seen(), ["open", "/ \"a\" [1]", "/ \"b\" []", "/ connect sid1"]);
    // What is emitted by their handlers goes behind what was kept.
    world.cut();
    world.emit(socket, &json!([1]));
    world.once("/ \"a\"", move |manager, now| {
        emit_with(manager, socket, &json!([2]), EmitFlags::default(), now);
    });
    world.once("/ connect", move |manager, now| {
        emit_with(manager, socket, &json!([3]), EmitFlags::default(), now);
    });
    world.wait(secs(1));
    assert_eq!(world.server.numbers, [("/".to_owned(), 1), ("/".to_owned(), 2), ("/".to_owned(), 3)]);
    // One of them disconnects: nothing follows but that.
    world.cut();
    world.take_seen();
    world.once("/ \"a\"", move |manager, now| manager.disconnect(socket, now));
    world.wait(secs(1));
    let expected = ["/ \"a\" [1]", "close forced close", "/ disconnect io client disconnect inactive"];
    assert_eq!(world.take_seen()[3..], expected);
}

#[test]
fn early_events_without_end_close_the_connection() {
    let mut world = World::with(siox::proto::client::ManagerConfig { max_buffered_packets: 2, ..config() });
    world.server.rules.early = vec![json!(["a"]); 3];
    world.connect("/");
    world.run();
    assert_eq!(world.take_seen(), ["open", "close parse error", "/ disconnect parse error active"]);
    world.server.rules.early.clear();
    world.wait(secs(1));
    assert!(world.take_seen().ends_with(&["/ connect sid2".into()]));
}

#[test]
fn closing_the_manager_is_for_good_but_opening_it_brings_the_sockets_back() {
    let (mut world, socket) = World::connected(config());
    let other = world.connect("/other");
    world.run();
    world.disconnect(other);
    world.run();
    world.take_seen();
    world.manager.close(world.now);
    world.wait(secs(600));
    assert_eq!(world.take_seen(), ["close forced close", "/ disconnect forced close active"]);
    assert!(world.manager.is_active(socket) && !world.manager.is_trying() && world.manager.is_idle());
    world.manager.close(world.now);
    world.run();
    assert_eq!(world.take_seen(), [""; 0]);
    world.manager.open(world.now);
    world.run();
    assert_eq!(world.take_seen(), ["open", "/ connect sid3"]);
}

#[test]
fn a_handler_that_closes_ends_what_was_to_follow() {
    let mut world = World::new();
    world.connect("/");
    world.once("open", Manager::close);
    world.run();
    assert_eq!(world.take_seen(), ["open", "close forced close", "/ disconnect forced close active"]);
    assert_eq!(world.server.take_seen(), ["closed transport close"]);
}

#[test]
fn a_driver_that_is_gone_takes_its_streams_along() {
    let (mut world, socket) = World::connected(config());
    world.manager.lose_all(world.now);
    world.collect();
    assert_eq!(world.take_seen(), ["close transport close", "/ disconnect transport close active"]);
    assert_eq!(world.emit(socket, &json!([1])), Fate::Kept(1));
    world.wait(secs(1));
    assert!(world.take_seen().ends_with(&["/ connect sid2".into()]));
    assert_eq!(world.server.numbers.len(), 1);
}

#[test]
fn the_options_of_a_socket_are_those_it_was_made_with() {
    let mut world = World::new();
    let options = SocketOptions { retries: Some(3), ack_timeout: Some(secs(1)) };
    let socket = world.manager.socket("/", options);
    assert_eq!(world.manager.socket("/", SocketOptions::default()), socket);
    assert_eq!(world.emit(socket, &json!(["queued"])), Fate::Kept(1));
}
