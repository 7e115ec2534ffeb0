//! The move from polling to WebSocket, with everything that may go wrong on the way.

use super::pair::{Flight, Frame, Message, Pair, no_upgrades, seconds, text};
use siox::proto::engine::{
    Control, Packet, ProbeFailure, ProbeRefused, SessionConfig, SessionEvent, TransportFault, TransportKind,
    packet,
};
use siox::proto::limits;
use std::time::Duration;

const POLLING: TransportKind = TransportKind::Polling;
const WEBSOCKET: TransportKind = TransportKind::WebSocket;

/// An open pair whose client has just asked for its WebSocket, which is not open yet.
fn before_the_probe() -> Pair {
    let mut pair = Pair::new(POLLING, SessionConfig::default());
    pair.deliver(0);
    pair.deliver(1);
    assert!(pair.client.session.is_open());
    assert_eq!(pair.flights[4].front(), Some(&Flight::WsOpen { id: 1 }));
    pair
}

/// The server has answered the probe, and the client does not know it.
fn probe_answered() -> Pair {
    let mut pair = before_the_probe();
    pair.deliver(4);
    pair.deliver(5);
    pair.deliver(4);
    assert_eq!(pair.flights[5].front(), Some(&Flight::WsDown { id: 1, frame: Frame::Text("3probe".into()) }));
    pair
}

fn numbered(prefix: &str, count: usize) -> Vec<Message> {
    (0..count).map(|n| text(&format!("{prefix}{n}"))).collect()
}

#[test]
fn a_client_moves_to_websocket_by_itself() {
    let mut pair = Pair::open(POLLING, SessionConfig::default());
    assert_eq!(pair.client.session.transport(), WEBSOCKET);
    assert_eq!(pair.server().session.transport(), WEBSOCKET);
    let events = [SessionEvent::ProbeOpened, SessionEvent::Upgraded];
    assert_eq!(pair.server().events, events);
    assert_eq!(pair.client.events, [SessionEvent::ProbeWanted, events[0], events[1]]);
    assert!(!pair.server().session.is_upgrading() && !pair.client.session.is_upgrading());
    let dance = [(WEBSOCKET, Control::Probe), (WEBSOCKET, Control::Upgrade)];
    assert_eq!(pair.client.controls, dance);
}

#[test]
fn a_waiting_poll_is_let_go_at_once_when_the_probe_is_answered() {
    let mut pair = before_the_probe();
    pair.deliver(0);
    assert!(pair.server().session.has_get());
    pair.deliver(4);
    pair.deliver(5);
    pair.deliver(4);
    assert_eq!(pair.flights[1].front(), Some(&Flight::GetAnswer { status: 200, body: "6".into() }));
}

#[test]
fn a_poll_that_comes_while_the_client_hesitates_is_let_go_after_the_interval() {
    let mut pair = probe_answered();
    let interval = limits::UPGRADE_NOOP_INTERVAL;
    // The client does not hear the answer to its probe and goes on polling.
    for _ in 0..10 {
        while pair.deliver(0) || pair.deliver(1) {}
        pair.now += interval;
        pair.fire();
    }
    let noops = pair.server().controls.iter().filter(|(_, control)| *control == Control::Noop).count();
    assert_eq!(noops, 11, "one at once, one each interval");
    pair.advance(interval);
    assert_eq!(pair.client.session.transport(), WEBSOCKET);
}

#[test]
fn messages_in_flight_both_ways_arrive_once_and_in_order() {
    // The dance is cut at each of its steps, and messages are sent there.
    for cut in 0..14 {
        for lazy in [false, true] {
            let mut pair = Pair::new(POLLING, SessionConfig::default());
            pair.lazy = lazy;
            let (down, up) = (numbered("down", 60), numbered("up", 60));
            let mut sent = 0;
            for step in 0..40 {
                if step >= cut && sent < 60 && pair.client.session.is_open() {
                    pair.server_sends(&down[sent]);
                    pair.client_sends(&up[sent]);
                    sent += 1;
                }
                pair.deliver((step * 5 + cut) % 6);
                pair.flush_server();
                pair.flush_client();
            }
            pair.lazy = false;
            pair.drive_client();
            pair.drive_server();
            pair.settle();
            assert_eq!(pair.client.session.transport(), WEBSOCKET);
            assert_eq!(pair.client.received, down[..sent], "cut {cut}");
            assert_eq!(pair.server().received, up[..sent], "cut {cut}");
        }
    }
}

#[test]
fn the_client_waits_for_its_post_and_its_get_before_it_switches() {
    let mut pair = probe_answered();
    pair.client_sends(&text("slow"));
    assert!(pair.client.session.has_get() && pair.client.session.has_post());
    pair.deliver(5);
    assert!(pair.client.session.is_paused());
    pair.client_sends(&text("waits"));
    pair.deliver(0);
    pair.deliver(1);
    assert_eq!(pair.client.session.transport(), POLLING);
    pair.deliver(2);
    pair.deliver(2);
    pair.deliver(3);
    assert_eq!(pair.client.session.transport(), WEBSOCKET);
    let expected = [Frame::Text("5".into()), Frame::Text("4waits".into())];
    assert_eq!(pair.flights[4], expected.map(|frame| Flight::WsUp { id: 1, frame }));
    pair.settle();
    assert_eq!(pair.server().received, [text("slow"), text("waits")]);
}

#[test]
fn until_the_switch_the_server_sends_by_polling_only() {
    let mut pair = probe_answered();
    pair.server_sends(&text("early"));
    assert!(pair.server().session.is_upgrading());
    assert_eq!(pair.flights[5].len(), 1, "only the answer to the probe");
    pair.settle();
    assert_eq!(pair.client.received, [text("early")]);
}

#[test]
fn the_pong_of_a_paused_client_follows_the_upgrade() {
    let mut pair = probe_answered();
    let (config, now) = (pair.config.clone(), pair.now);
    pair.deliver(5);
    pair.client.session.handle_packet(POLLING, Packet::Ping(""), &config, now);
    assert_eq!(pair.client.session.poll_transmit(), None);
    pair.settle();
    assert_eq!(pair.client.controls.last(), Some(&(WEBSOCKET, Control::Pong)));
}

#[test]
fn a_ping_that_is_out_when_the_transport_changes_gets_its_full_time_again() {
    let mut pair = before_the_probe();
    pair.deliver(0);
    pair.now += limits::PING_INTERVAL;
    let now = pair.now;
    pair.server().session.handle_timeout(&SessionConfig::default(), now);
    assert_eq!(pair.server().session.poll_transmit().unwrap().packet, Control::Ping);
    pair.now += Duration::from_millis(19_999);
    pair.settle();
    assert_eq!(pair.server().session.transport(), WEBSOCKET);
    // JavaScript's server would wait for ever here.
    assert_eq!(pair.server().session.poll_timeout(), Some(pair.now + limits::PING_TIMEOUT));
}

#[test]
fn a_ping_that_no_poll_could_carry_leaves_by_websocket() {
    let mut pair = Pair::polling();
    pair.server_sends(&text("answers the poll"));
    let (config, now) = (SessionConfig::default(), pair.now + limits::PING_INTERVAL);
    let session = &mut pair.server().session;
    session.handle_timeout(&config, now);
    assert_eq!(session.poll_transmit(), None);
    session.handle_probe_opened(&config, now).unwrap();
    session.handle_packet(WEBSOCKET, Packet::Upgrade, &config, now);
    let ping = session.poll_transmit().unwrap();
    assert_eq!((ping.transport, ping.packet), (WEBSOCKET, Control::Ping));
    assert_eq!(session.poll_timeout(), Some(now + limits::PING_TIMEOUT));
}

#[test]
fn a_pong_that_no_post_could_carry_leaves_by_websocket() {
    let mut pair = probe_answered();
    let (config, now) = (pair.config.clone(), pair.now);
    pair.client_sends(&text("in a POST"));
    pair.client.session.handle_packet(POLLING, Packet::Ping(""), &config, now);
    assert_eq!(pair.client.session.poll_transmit(), None);
    pair.settle();
    pair.advance(limits::UPGRADE_NOOP_INTERVAL);
    assert_eq!(pair.client.controls.last(), Some(&(WEBSOCKET, Control::Pong)));
}

#[test]
fn an_upgrade_without_a_probe_counts() {
    let mut pair = Pair::polling();
    pair.config.allow_upgrades = true;
    let (config, now) = (pair.config.clone(), pair.now);
    let session = &mut pair.server().session;
    assert!(session.has_get());
    session.handle_probe_opened(&config, now).unwrap();
    session.handle_packet(WEBSOCKET, Packet::Upgrade, &config, now);
    assert_eq!(session.transport(), WEBSOCKET);
    let noop = session.poll_transmit().unwrap();
    assert_eq!((noop.transport, noop.packet), (POLLING, Control::Noop));
    assert_eq!(session.poll_event(), Some(SessionEvent::Upgraded));
    // The POST that was under way is nobody's now.
    session.handle_packet(POLLING, Packet::Close, &config, now);
    session.handle_packet_error(POLLING, packet::decode_text("x").unwrap_err());
    session.end_get();
    session.handle_post_aborted();
    session.handle_get_aborted();
    assert!(session.is_open());
}

#[test]
fn any_other_packet_ends_the_probe_and_the_session_stays_on_polling() {
    for frame in ["4hello", "2", "2prob", "3probe", "6", "1", "0{}", "x", "", "bAQ=="] {
        for probed in [false, true] {
            let mut pair = if probed { probe_answered() } else { before_the_probe() };
            if !probed {
                pair.deliver(4);
            }
            pair.flights[5].clear();
            pair.put(Flight::WsUp { id: 1, frame: Frame::Text(frame.into()) });
            pair.deliver(4);
            let end = pair.server();
            assert_eq!(end.controls.last(), Some(&(WEBSOCKET, Control::Close)), "{frame:?}");
            assert_eq!(end.events.last(), Some(&SessionEvent::ProbeFailed(ProbeFailure::UnexpectedPacket)));
            assert!(end.session.is_open() && !end.session.is_upgrading());
            assert_eq!(end.session.transport(), POLLING);
            assert_eq!(end.received, []);
        }
    }
}

#[test]
fn a_binary_frame_ends_the_probe_too() {
    let mut pair = probe_answered();
    pair.put(Flight::WsUp { id: 1, frame: Frame::Binary(vec![1]) });
    pair.deliver(4);
    assert!(!pair.server().session.is_upgrading());
}

#[test]
fn an_upgrade_that_is_not_completed_in_time_is_given_up_by_both() {
    let mut pair = probe_answered();
    pair.flights[5].clear();
    pair.advance(Duration::from_millis(9_999));
    assert!(pair.server().session.is_upgrading() && pair.client.session.is_upgrading());
    pair.client_sends(&text("before"));
    pair.advance(Duration::from_millis(1));
    let failed = SessionEvent::ProbeFailed(ProbeFailure::Timeout);
    assert!(pair.server().events.contains(&failed));
    assert!(!pair.server().session.is_upgrading() && !pair.client.session.is_upgrading());
    pair.server_sends(&text("after"));
    pair.advance(seconds(120));
    assert_eq!(pair.client.received, [text("after")]);
    assert_eq!(pair.server().received, [text("before")]);
    assert!(pair.client.session.is_open() && pair.server().session.is_open());
    assert_eq!(pair.client.session.transport(), POLLING);
}

#[test]
fn a_probe_that_closes_while_polling_is_paused_lets_polling_go_on() {
    let mut pair = probe_answered();
    pair.deliver(5);
    assert!(pair.client.session.is_paused());
    pair.client_sends(&text("kept"));
    pair.put(Flight::WsDown { id: 1, frame: Frame::Close });
    pair.put(Flight::WsUp { id: 1, frame: Frame::Close });
    pair.deliver(5);
    assert_eq!(pair.client.events.last(), Some(&SessionEvent::ProbeFailed(ProbeFailure::Closed)));
    assert!(!pair.client.session.is_paused());
    pair.settle();
    pair.server_sends(&text("down"));
    pair.settle();
    assert_eq!(pair.server().received, [text("kept")]);
    assert_eq!(pair.client.received, [text("down")]);
    assert_eq!(pair.client.controls, [(WEBSOCKET, Control::Probe)]);
}

#[test]
fn a_wrong_answer_to_the_probe_closes_it() {
    for wrong in ["3", "3prob", "4x", "6", "x", "2probe"] {
        let mut pair = before_the_probe();
        pair.deliver(4);
        pair.deliver(5);
        pair.put(Flight::WsDown { id: 1, frame: Frame::Text(wrong.into()) });
        pair.deliver(5);
        assert_eq!(pair.client.controls.last(), Some(&(WEBSOCKET, Control::Close)), "{wrong}");
        pair.settle();
        assert!(pair.client.session.is_open() && pair.server().session.is_open());
        assert_eq!(pair.server().session.transport(), POLLING);
        assert_eq!(pair.client.received, []);
    }
}

#[test]
fn a_second_websocket_is_refused_while_upgrading_and_after() {
    let mut pair = probe_answered();
    let (config, now) = (pair.config.clone(), pair.now);
    assert_eq!(pair.server().session.handle_probe_opened(&config, now), Err(ProbeRefused::Upgrading));
    pair.advance(limits::UPGRADE_NOOP_INTERVAL);
    assert_eq!(pair.server().session.handle_probe_opened(&config, now), Err(ProbeRefused::Upgraded));
    pair.put(Flight::WsOpen { id: 9 });
    pair.deliver(4);
    assert_eq!(pair.flights[5].back(), Some(&Flight::WsDown { id: 9, frame: Frame::Close }));
    pair.settle();
    pair.client_sends(&text("still here"));
    pair.settle();
    assert_eq!(pair.server().received, [text("still here")]);
    assert_eq!(
        Pair::websocket().server().session.handle_probe_opened(&config, now),
        Err(ProbeRefused::Upgraded)
    );
}

#[test]
fn a_websocket_is_refused_when_upgrades_are_off_or_the_session_is_over() {
    let mut pair = Pair::polling();
    let now = pair.now;
    assert_eq!(pair.server().session.handle_probe_opened(&no_upgrades(), now), Err(ProbeRefused::NotAllowed));
    pair.server_closes();
    let config = SessionConfig::default();
    assert_eq!(pair.server().session.handle_probe_opened(&config, now), Err(ProbeRefused::Closed));
}

#[test]
fn the_next_websocket_may_try_once_the_end_of_the_last_is_handed_out() {
    let mut pair = Pair::polling();
    let (config, now) = (SessionConfig::default(), pair.now);
    let session = &mut pair.server().session;
    session.handle_probe_opened(&config, now).unwrap();
    session.handle_packet(WEBSOCKET, Packet::Noop, &config, now);
    assert_eq!(session.handle_probe_opened(&config, now), Err(ProbeRefused::Upgrading));
    assert_eq!(session.poll_transmit().unwrap().packet, Control::Close);
    assert_eq!(session.poll_event(), Some(SessionEvent::ProbeFailed(ProbeFailure::UnexpectedPacket)));
    assert_eq!(session.handle_probe_opened(&config, now), Ok(()));
}

#[test]
fn a_client_does_not_upgrade_when_either_side_does_not_want_it() {
    let mut pair = Pair::polling();
    assert!(pair.client.events.is_empty());
    pair.advance(seconds(60));
    assert_eq!(pair.client.session.transport(), POLLING);
}

#[test]
fn polling_requests_are_refused_after_the_upgrade() {
    let mut pair = Pair::open(POLLING, SessionConfig::default());
    pair.put(Flight::Get { sid: true });
    pair.deliver(0);
    let body = r#"{"code":3,"message":"Bad request"}"#.to_owned();
    assert_eq!(pair.flights[1].front(), Some(&Flight::GetAnswer { status: 400, body }));
    assert!(pair.server().session.is_open());
    let now = pair.now;
    let session = &mut pair.server().session;
    assert_eq!(session.begin_get(now).unwrap_err().status(), 400);
    assert!(session.begin_post(None).is_err() && session.is_open());
}

#[test]
fn when_a_request_fails_while_polling_is_paused_all_is_over() {
    let mut pair = probe_answered();
    pair.deliver(5);
    pair.flights[0].clear();
    pair.put(Flight::GetAnswer { status: 502, body: String::new() });
    pair.deliver(1);
    let reason = pair.client.session.close_reason().unwrap();
    assert_eq!(reason.details(), Some(TransportFault::HttpStatus { status: 502 }.to_string()));
    assert_eq!(pair.client.controls.last(), Some(&(WEBSOCKET, Control::Close)));
}
