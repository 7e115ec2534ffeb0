//! Pings, pongs, silence, and a loop that stalls.

use super::pair::{Pair, no_upgrades, seconds, text};
use siox::proto::engine::{CloseReason, Control, Packet, SessionConfig, TransportFault, TransportKind};
use std::time::Duration;

const MILLI: Duration = Duration::from_millis(1);

fn pairs() -> [Pair; 3] {
    [Pair::polling(), Pair::websocket(), Pair::open(TransportKind::Polling, SessionConfig::default())]
}

fn pings(pair: &mut Pair) -> usize {
    pair.server().controls.iter().filter(|(_, control)| *control == Control::Ping).count()
}

#[test]
fn two_that_answer_each_other_stay_together() {
    for mut pair in pairs() {
        pair.advance(seconds(3600));
        assert!(pair.client.session.is_open() && pair.server().session.is_open());
        assert_eq!(pings(&mut pair), 3600 / 25);
        let pongs = pair.client.controls.iter().filter(|(_, control)| *control == Control::Pong).count();
        assert_eq!(pongs, 3600 / 25);
        assert_eq!((pair.client.received.len(), pair.server().received.len()), (0, 0));
    }
}

#[test]
fn pings_below_a_second_are_kept() {
    let (ping_interval, ping_timeout) = (Duration::from_millis(300), Duration::from_millis(200));
    let config = SessionConfig { ping_interval, ping_timeout, ..no_upgrades() };
    let mut pair = Pair::open(TransportKind::Polling, config);
    pair.advance(seconds(3));
    assert_eq!(pings(&mut pair), 10);
    pair.client_stalled = true;
    pair.advance(Duration::from_millis(500));
    assert_eq!(pair.server().close_reason(), Some("ping timeout"));
}

#[test]
fn a_silent_client_is_lost_after_interval_and_timeout() {
    for mut pair in pairs() {
        pair.client_stalled = true;
        pair.advance(Duration::from_millis(44_999));
        assert!(pair.server().session.is_open());
        pair.advance(MILLI);
        assert_eq!(pair.server().session.close_reason(), Some(CloseReason::PingTimeout));
        assert_eq!(pair.server().session.poll_timeout(), None);
    }
}

#[test]
fn a_silent_server_is_lost_after_interval_and_timeout() {
    for mut pair in pairs() {
        pair.server().session.abort(CloseReason::ForcedClose);
        pair.advance(Duration::from_millis(44_999));
        assert!(pair.client.session.is_open());
        assert!(
            !pair.client.session.is_overdue(pair.now) && pair.client.session.is_overdue(pair.now + MILLI)
        );
        pair.advance(MILLI);
        assert_eq!(pair.client.session.close_reason(), Some(CloseReason::PingTimeout));
    }
}

#[test]
fn messages_do_not_put_off_a_deadline() {
    let mut pair = Pair::websocket();
    pair.client_stalled = true;
    for _ in 0..44 {
        pair.client_sends(&text("here"));
        pair.server_sends(&text("there"));
        pair.advance(seconds(1));
    }
    assert!(pair.server().session.is_open() && pair.client.session.is_open());
    pair.client_sends(&text("here"));
    pair.advance(seconds(1));
    assert_eq!(pair.server().close_reason(), Some("ping timeout"));
    assert_eq!(pair.client.close_reason(), Some("ping timeout"));
}

#[test]
fn a_pong_that_nobody_asked_for_puts_nothing_off() {
    let mut pair = Pair::websocket();
    let (config, now) = (pair.config.clone(), pair.now);
    let due = pair.server().session.poll_timeout();
    pair.server().session.handle_packet(
        TransportKind::WebSocket,
        Packet::Pong(""),
        &config,
        now + seconds(10),
    );
    assert_eq!(pair.server().session.poll_timeout(), due);
}

#[test]
fn a_client_that_pings_is_closed() {
    for data in ["", "probe"] {
        let mut pair = Pair::websocket();
        let (config, now) = (pair.config.clone(), pair.now);
        let session = &mut pair.server().session;
        session.handle_packet(TransportKind::WebSocket, Packet::Ping(data), &config, now);
        let fault = TransportFault::HeartbeatDirection;
        assert_eq!(session.close_reason(), Some(CloseReason::TransportError(fault)));
    }
}

#[test]
fn after_a_stalled_loop_what_has_arrived_counts_before_the_clock() {
    let mut pair = Pair::websocket();
    pair.now += seconds(25);
    pair.fire();
    // The pong is on its way when the server's loop stalls for a minute.
    pair.stall(seconds(60));
    pair.settle();
    pair.fire();
    assert!(pair.server().session.is_open());
    assert_eq!(pair.server().session.poll_timeout(), Some(pair.now + seconds(25)));
}

#[test]
fn after_a_stalled_loop_a_late_ping_still_gives_the_full_time() {
    let mut pair = Pair::websocket();
    pair.client_stalled = true;
    let config = pair.config.clone();
    pair.stall(seconds(600));
    let now = pair.now;
    let session = &mut pair.server().session;
    session.handle_timeout(&config, now);
    assert_eq!(session.poll_transmit().unwrap().packet, Control::Ping);
    assert_eq!(session.poll_timeout(), Some(now + seconds(20)));
}

#[test]
fn a_timer_that_is_a_little_late_does_not_lengthen_the_pong_s_time() {
    let mut pair = Pair::websocket();
    let (config, now) = (pair.config.clone(), pair.now);
    let session = &mut pair.server().session;
    session.handle_timeout(&config, now + seconds(25) + 5 * MILLI);
    assert_eq!(session.poll_timeout(), Some(now + seconds(45)));
}

#[test]
fn while_the_driver_does_not_read_nobody_is_lost_and_pings_go_on() {
    let mut pair = Pair::websocket();
    let config = pair.config.clone();
    pair.client_stalled = true;
    pair.now += seconds(25);
    pair.fire();
    let now = pair.now;
    let session = &mut pair.server().session;
    session.set_reading_paused(true, &config, now);
    while session.poll_transmit().is_some() {}
    for beat in 1..40 {
        assert_eq!(session.poll_timeout(), Some(now + seconds(beat * 20)));
        session.handle_timeout(&config, now + seconds(beat * 20));
        assert_eq!(session.poll_transmit().unwrap().packet, Control::Ping);
    }
    session.set_reading_paused(false, &config, now + seconds(999));
    assert!(session.is_open());
    assert_eq!(session.poll_timeout(), Some(now + seconds(1019)));
    // Saying it twice changes nothing.
    session.set_reading_paused(false, &config, now + seconds(1000));
    assert_eq!(session.poll_timeout(), Some(now + seconds(1019)));
}

#[test]
fn a_timeout_that_comes_early_does_nothing() {
    for mut pair in pairs() {
        let (config, now) = (pair.config.clone(), pair.now);
        pair.server().session.handle_timeout(&config, now);
        pair.client.session.handle_timeout(&config, now);
        assert_eq!(pair.server().session.poll_transmit(), None);
        assert_eq!(pair.client.session.poll_transmit(), None);
    }
}
