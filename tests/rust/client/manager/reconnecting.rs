//! The connection lost and made again: what socket.io-client's `test/connection.ts` asks for.

use super::world::*;
use serde_json::json;
use siox::proto::client::{CarrierConfig, ManagerConfig, ManagerState};
use siox::proto::limits::{PING_INTERVAL, PING_TIMEOUT};
use std::sync::Arc;

fn attempts(count: u32) -> ManagerConfig {
    ManagerConfig { reconnection_attempts: Some(count), ..config() }
}

#[test]
fn a_lost_connection_is_made_again() {
    let (mut world, socket) = World::connected(config());
    world.cut();
    assert_eq!(world.take_seen(), ["close transport close", "/ disconnect transport close active"]);
    assert!(world.manager.is_reconnecting() && world.manager.is_trying() && world.manager.is_active(socket));
    world.wait(just_before(secs(1)));
    assert_eq!(world.take_seen(), [""; 0]);
    world.wait(millis(1));
    assert_eq!(world.take_seen(), ["reconnect_attempt 1", "open", "reconnect 1", "/ connect sid2"]);
    assert!(!world.manager.is_reconnecting());
    // The series begins anew each time.
    world.cut();
    world.wait(secs(1));
    assert!(world.take_seen().contains(&"reconnect 1".into()));
}

#[test]
fn the_wait_grows_up_to_its_limit() {
    let (mut world, _) = World::connected(config());
    world.kill_server();
    world.take_seen();
    for (attempt, wait) in [(1, 1), (2, 2), (3, 4), (4, 5), (5, 5), (6, 5)] {
        world.wait(just_before(secs(wait)));
        assert_eq!(world.take_seen(), [""; 0]);
        world.wait(millis(1));
        let expected = [
            format!("reconnect_attempt {attempt}"),
            "error websocket error".into(),
            "/ connect_error websocket error active".into(),
            "reconnect_error".into(),
        ];
        assert_eq!(world.take_seen(), expected);
    }
    world.network = Network::Up;
    world.wait(secs(5));
    assert_eq!(world.take_seen(), ["reconnect_attempt 7", "open", "reconnect 7", "/ connect sid2"]);
}

#[test]
fn a_first_connection_that_fails_is_tried_again() {
    let mut world = World::new();
    world.network = Network::Refusing;
    let socket = world.connect("/");
    world.run();
    let expected = ["error websocket error", "/ connect_error websocket error active"];
    assert_eq!(world.take_seen(), expected);
    assert!(world.manager.is_active(socket) && world.manager.is_reconnecting());
    world.network = Network::Up;
    world.wait(secs(1));
    assert_eq!(world.take_seen(), ["reconnect_attempt 1", "open", "reconnect 1", "/ connect sid1"]);
}

#[test]
fn after_the_last_attempt_the_failure_is_told_before_the_error() {
    let mut world = World::with(attempts(2));
    world.network = Network::Refusing;
    let socket = world.connect("/");
    world.wait(secs(600));
    let failure = ["error websocket error", "/ connect_error websocket error active"];
    let first = [&["reconnect_attempt 1"][..], &failure, &["reconnect_error"]].concat();
    let last = [&["reconnect_attempt 2"][..], &failure, &["reconnect_failed", "reconnect_error"]].concat();
    assert_eq!(world.take_seen(), [&failure[..], &first, &last].concat());
    assert!(!world.manager.is_trying() && world.manager.is_active(socket) && world.manager.is_idle());
    // By hand the series begins anew, from within a handler too.
    world.once("reconnect_failed", move |manager, now| manager.connect(socket, now));
    world.manager.connect(socket, world.now);
    world.wait(secs(600));
    let series = [&failure[..], &first, &last[..4], &failure, &first, &last].concat();
    let seen = world.take_seen();
    assert_eq!(seen.iter().filter(|line| line.starts_with("reconnect_attempt")).count(), 4);
    assert_eq!(seen.len(), series.len() + 1, "{seen:?}");
}

#[test]
fn no_attempts_are_none() {
    let mut world = World::with(attempts(0));
    world.network = Network::Refusing;
    world.connect("/");
    world.wait(secs(600));
    let expected = ["error websocket error", "/ connect_error websocket error active", "reconnect_failed"];
    assert_eq!((world.take_seen(), world.opened), (expected.map(String::from).to_vec(), 1));
}

#[test]
fn every_attempt_has_its_time() {
    let mut world = World::with(attempts(1));
    world.network = Network::Silent;
    world.connect("/");
    world.wait(just_before(secs(20)));
    assert_eq!(world.take_seen(), [""; 0]);
    world.wait(millis(1));
    assert_eq!(world.take_seen(), ["error timeout", "/ connect_error timeout active"]);
    assert_eq!(world.streams(), 0);
    world.wait(secs(21));
    let expected = [
        "reconnect_attempt 1",
        "error timeout",
        "/ connect_error timeout active",
        "reconnect_failed",
        "reconnect_error",
    ];
    assert_eq!(world.take_seen(), expected);
}

#[test]
fn an_attempt_may_have_no_time_or_all_of_it() {
    let carrier = |timeout| {
        let carrier = CarrierConfig { open_timeout: timeout, ..(*config().carrier).clone() };
        ManagerConfig { carrier: Arc::new(carrier), ..attempts(0) }
    };
    let mut world = World::with(carrier(Some(secs(0))));
    world.network = Network::Silent;
    world.connect("/");
    world.wait(secs(0));
    let expected = ["error timeout", "/ connect_error timeout active", "reconnect_failed"];
    assert_eq!(world.take_seen(), expected);
    let mut world = World::with(carrier(None));
    world.network = Network::Silent;
    world.connect("/");
    world.wait(secs(1_000_000));
    assert_eq!(world.take_seen(), [""; 0]);
    assert_eq!(world.manager.state(), ManagerState::Opening);
}

#[test]
fn without_reconnection_a_loss_and_a_failure_are_final() {
    let (mut world, socket) = World::connected(ManagerConfig { reconnection: false, ..config() });
    world.kill_server();
    world.wait(secs(600));
    assert_eq!(world.take_seen(), ["close transport close", "/ disconnect transport close active"]);
    world.manager.connect(socket, world.now);
    world.wait(secs(600));
    assert_eq!(world.take_seen(), ["error websocket error", "/ connect_error websocket error active"]);
    assert!(!world.manager.is_trying());
}

#[test]
fn reconnection_is_switched_off_between_attempts() {
    let mut world = World::new();
    world.network = Network::Refusing;
    world.connect("/");
    world.once("reconnect_error", |manager, _| manager.set_reconnection(false));
    world.wait(secs(600));
    assert_eq!(world.opened, 2);
    assert!(!world.manager.is_reconnecting() && !world.manager.is_trying());
    world.manager.set_reconnection(true);
    world.connect("/");
    world.wait(secs(600));
    assert!(world.opened > 100);
}

#[test]
fn disconnecting_ends_the_attempts_at_any_moment() {
    let moments =
        ["error", "/ connect_error", "reconnect_attempt", "reconnect_error", "close", "/ disconnect"];
    for moment in moments {
        let (mut world, socket) = World::connected(config());
        world.once(moment, move |manager, now| manager.disconnect(socket, now));
        world.kill_server();
        world.wait(secs(600));
        let attempts = world.take_seen().iter().filter(|line| line.starts_with("reconnect_attempt")).count();
        let expected = usize::from(!matches!(moment, "close" | "/ disconnect"));
        assert_eq!(attempts, expected, "{moment}");
        assert!(!world.manager.is_trying() && world.manager.is_idle(), "{moment}");
    }
}

#[test]
fn disconnecting_while_the_attempt_waits_ends_it() {
    let (mut world, socket) = World::connected(config());
    world.cut();
    world.take_seen();
    world.disconnect(socket);
    world.wait(secs(600));
    assert_eq!((world.take_seen(), world.opened), (vec!["close forced close".to_owned()], 1));
}

#[test]
fn attempts_go_on_when_they_were_stopped_and_wanted_again() {
    let mut world = World::new();
    world.network = Network::Refusing;
    let socket = world.connect("/");
    world.once("reconnect_attempt", move |manager, now| {
        manager.disconnect(socket, now);
        manager.connect(socket, now);
    });
    world.wait(secs(10));
    let seen = world.take_seen();
    let count = seen.iter().filter(|line| line.starts_with("reconnect_attempt 1")).count();
    assert!(count >= 2, "{seen:?}");
}

#[test]
fn one_socket_gives_up_and_another_does_not() {
    let (mut world, socket) = World::connected(config());
    world.connect("/asd");
    world.run();
    world.once("reconnect_attempt", move |manager, now| manager.disconnect(socket, now));
    world.cut();
    world.take_seen();
    world.wait(secs(2));
    assert_eq!(world.take_seen(), ["reconnect_attempt 1", "open", "reconnect 1", "/asd connect sid3"]);
}

#[test]
fn a_socket_that_comes_while_the_attempt_waits_does_not_hurry_it() {
    let mut world = World::with(attempts(2));
    world.network = Network::Refusing;
    world.connect("/room1");
    world.wait(millis(500));
    world.connect("/room2");
    world.run();
    assert_eq!(world.opened, 1);
    world.wait(secs(600));
    assert_eq!(world.opened, 3);
    let told = world.take_seen().iter().filter(|line| line.starts_with("/room2 connect_error")).count();
    assert_eq!(told, 2);
}

#[test]
fn opening_by_hand_ends_the_wait() {
    let (mut world, _) = World::connected(config());
    world.cut();
    world.take_seen();
    world.manager.open(world.now);
    world.run();
    assert_eq!(world.take_seen(), ["open", "/ connect sid2"]);
    // The next loss is mended too, which JavaScript forgets here.
    world.cut();
    world.take_seen();
    world.wait(secs(1));
    assert_eq!(world.take_seen(), ["reconnect_attempt 1", "open", "reconnect 1", "/ connect sid3"]);
    // Where it fails the attempts go on.
    world.kill_server();
    world.take_seen();
    world.manager.open(world.now);
    world.run();
    world.network = Network::Up;
    world.wait(secs(2));
    let seen = world.take_seen();
    assert!(seen.ends_with(&["open".into(), "reconnect 2".into(), "/ connect sid4".into()]), "{seen:?}");
}

#[test]
fn one_attempt_by_hand_is_one() {
    let mut world = World::new();
    world.network = Network::Refusing;
    world.manager.open_once(world.now);
    world.wait(secs(600));
    assert_eq!((world.take_seen(), world.opened), (vec!["error websocket error".to_owned()], 1));
    world.network = Network::Up;
    world.manager.open_once(world.now);
    world.manager.open(world.now);
    world.run();
    world.cut();
    world.wait(secs(1));
    let expected = ["open", "close transport close", "reconnect_attempt 1", "open", "reconnect 1"];
    assert_eq!(world.take_seen(), expected, "a loss is mended, with no socket too");
}

#[test]
fn closing_the_engine_is_a_loss() {
    let (mut world, _) = World::connected(config());
    world.manager.close_engine(world.now);
    world.run();
    assert_eq!(world.take_seen(), ["close forced close", "/ disconnect forced close active"]);
    world.wait(secs(1));
    assert_eq!(world.take_seen(), ["reconnect_attempt 1", "open", "reconnect 1", "/ connect sid2"]);
    assert_eq!((world.server.open_sessions(), world.streams()), (1, 1));
    // Before it stood it is a failure.
    let mut world = World::new();
    world.network = Network::Silent;
    world.connect("/");
    world.run();
    world.manager.close_engine(world.now);
    world.run();
    let seen = world.take_seen();
    assert_eq!(seen, ["error forced close", "/ connect_error forced close active"]);
    assert!(world.manager.is_reconnecting());
}

#[test]
fn what_cannot_be_read_is_a_loss() {
    for text in ["bad", "2", "50-[]", "2{}", "3[]"] {
        let (mut world, _) = World::connected(config());
        world.server.send_text("/", text, world.now);
        world.run();
        assert_eq!(world.take_seen(), ["close parse error", "/ disconnect parse error active"], "{text}");
        world.wait(secs(1));
        assert!(world.manager.state() == ManagerState::Open && world.streams() == 1);
    }
    // So is what the reader of the data finds.
    let (mut world, _) = World::connected(config());
    world.manager.handle_violation("no JSON", world.now);
    world.manager.handle_violation("no JSON", world.now);
    world.run();
    assert_eq!(world.take_seen(), ["close parse error", "/ disconnect parse error active"]);
    assert_eq!(world.server.open_sessions(), 0);
}

#[test]
fn a_silent_server_is_lost_in_time() {
    let (mut world, _) = World::connected(config());
    world.server.config.ping_interval = secs(100_000);
    world.swallow();
    let silence = PING_INTERVAL + PING_TIMEOUT;
    world.now += just_before(silence);
    world.manager.handle_timeout(world.now);
    world.collect();
    assert_eq!(world.take_seen(), [""; 0]);
    world.now += millis(1);
    world.manager.handle_timeout(world.now);
    world.collect();
    assert_eq!(world.take_seen(), ["close ping timeout", "/ disconnect ping timeout active"]);
}

#[test]
fn a_connection_that_is_beaten_lives() {
    let (mut world, _) = World::connected(config());
    world.wait(secs(7200));
    assert_eq!(world.take_seen(), [""; 0]);
    assert!(world.manager.state() == ManagerState::Open);
}

#[test]
fn a_loss_before_the_reply_is_told_as_a_disconnection() {
    let mut world = World::new();
    world.server.rules.pending.insert("/".into());
    world.connect("/");
    world.run();
    world.cut();
    let expected = ["open", "close transport close", "/ disconnect transport close active"];
    assert_eq!(world.take_seen(), expected, "as in JavaScript");
}

#[test]
fn a_fault_of_the_stream_is_an_error_too() {
    let (mut world, _) = World::connected(config());
    world.server.rules.pending.insert("/slow".into());
    world.connect("/slow");
    world.run();
    world.break_streams("reset by peer");
    let expected = [
        "error transport error",
        "/slow connect_error transport error active",
        "close transport error",
        "/ disconnect transport error active",
        "/slow disconnect transport error active",
    ];
    assert_eq!(world.take_seen().iter().map(|line| normal(line)).collect::<Vec<_>>(), expected);
}

/// What the connection calls its fault is its own affair.
fn normal(line: &str) -> String {
    let of_fault = ["websocket error", "xhr poll error", "xhr post error"];
    of_fault.iter().fold(line.to_owned(), |line, word| line.replace(word, "transport error"))
}

#[test]
fn handlers_of_a_loss_hear_it_once_whatever_they_do() {
    let (mut world, first) = World::connected(config());
    let second = world.connect("/second");
    world.run();
    world.take_seen();
    world.once("/ disconnect", move |manager, now| {
        manager.disconnect(second, now);
        manager.connect(second, now);
        manager.connect(first, now);
    });
    world.cut();
    world.run();
    let expected = [
        "close transport close",
        "/ disconnect transport close active",
        "/second disconnect transport close active",
        "open",
        "/ connect sid3",
        "/second connect sid4",
    ];
    assert_eq!(world.take_seen(), expected);
    world.wait(secs(60));
    assert_eq!((world.take_seen(), world.opened), (vec![], 2), "no second connection is made");
}

#[test]
fn options_that_change_count_from_the_next_attempt_on() {
    let (mut world, _) = World::connected(config());
    world.manager.set_backoff(millis(10), millis(20), 0.0);
    world.manager.set_reconnection_attempts(Some(3));
    world.kill_server();
    world.wait(secs(1));
    let seen = world.take_seen();
    assert_eq!(seen.iter().filter(|line| line.starts_with("reconnect_attempt")).count(), 3);
    assert!(seen.contains(&"reconnect_failed".into()));
    assert_eq!(world.manager.config().reconnection_delay, millis(10));
}

#[test]
fn a_reconnect_attempt_may_change_how_the_connection_is_made() {
    let (mut world, _) = World::connected(config());
    world.once("reconnect_attempt", |manager, _| {
        let carrier = CarrierConfig { open_timeout: Some(secs(3)), ..(*manager.config().carrier).clone() };
        manager.set_carrier_config(Arc::new(carrier));
    });
    world.cut();
    world.network = Network::Silent;
    world.take_seen();
    world.wait(secs(4));
    assert!(world.take_seen().contains(&"error timeout".into()));
}

#[test]
fn jitter_spreads_the_attempts_of_many_clients() {
    let mut waits = Vec::new();
    for seed in 0..20 {
        let config = ManagerConfig { randomization_factor: 0.5, ..config() };
        let now = std::time::Instant::now();
        let mut manager = siox::proto::client::Manager::new(config, random(seed), now, WALL);
        manager.open(now);
        while let Some(action) = manager.poll_action() {
            let siox::proto::client::StreamAction::Open(stream) = action else { continue };
            manager.handle_failed(stream, "nothing listens there", now);
        }
        while manager.poll_event(now).is_some() {}
        waits.push(manager.poll_timeout().unwrap().duration_since(now));
    }
    waits.sort();
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
    assert!(waits[0] >= millis(500) && waits[19] <= millis(1500));
    assert!(waits[19].saturating_sub(waits[0]) > millis(500));
}

#[test]
fn counters_count() {
    let (mut world, socket) = World::connected(config());
    world.emit(socket, &json!([1]));
    world.server.emit("/", None, &json!([2]), world.now);
    world.run();
    world.kill_server();
    world.emit_volatile(socket, &json!([3]));
    world.wait(secs(1));
    let stats = world.manager.stats();
    assert_eq!((stats.connections, stats.attempts, stats.events_in, stats.events_out), (1, 2, 1, 1));
    assert_eq!((stats.volatile_dropped, stats.dropped), (1, 0));
}
