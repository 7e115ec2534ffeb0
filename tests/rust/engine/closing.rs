//! The ends of a session, from either side, on each transport and during an upgrade.

use super::pair::{Flight, Frame, Pair, no_upgrades, seconds, text};
use siox::proto::engine::{
    CloseCause, CloseReason, Control, Packet, PacketError, RequestRefused, SessionConfig, SessionEvent,
    TransportFault, TransportKind,
};
use siox::proto::limits;
use std::time::Duration;

const POLLING: TransportKind = TransportKind::Polling;
const WEBSOCKET: TransportKind = TransportKind::WebSocket;

fn reasons(pair: &mut Pair) -> (Option<&'static str>, Option<&'static str>) {
    (pair.server().close_reason(), pair.client.close_reason())
}

/// A polling pair whose client has no GET under way: its next one is held back.
fn without_a_get() -> Pair {
    let mut pair = Pair::polling();
    pair.server_sends(&text("answers the poll"));
    pair.deliver(1);
    assert!(!pair.server().session.has_get() && pair.client.session.has_get());
    pair
}

#[test]
fn a_server_closes_through_the_waiting_poll() {
    let mut pair = Pair::polling();
    pair.server_closes();
    let answer = Flight::GetAnswer { status: 200, body: "1".into() };
    assert_eq!(pair.flights[1].front(), Some(&answer));
    pair.settle();
    assert_eq!(reasons(&mut pair), (Some("forced close"), Some("transport close")));
    assert_eq!(pair.server().events.last(), Some(&SessionEvent::Closed(CloseReason::ForcedClose)));
}

#[test]
fn what_was_sent_before_a_close_arrives_before_it() {
    for transport in [POLLING, WEBSOCKET] {
        let mut pair = Pair::open(transport, no_upgrades());
        pair.lazy = true;
        pair.server_sends(&text("last"));
        pair.server_sends(&text("words"));
        pair.server_closes();
        pair.lazy = false;
        pair.settle();
        assert_eq!(pair.client.received, [text("last"), text("words")], "{transport}");
        assert_eq!(reasons(&mut pair), (Some("forced close"), Some("transport close")));
    }
}

#[test]
fn a_server_without_a_waiting_poll_closes_with_the_next_one() {
    let mut pair = without_a_get();
    pair.lazy = true;
    pair.server_sends(&text("kept"));
    pair.server_closes();
    assert!(!pair.server().session.is_open() && !pair.server().session.is_closed());
    pair.now += seconds(29);
    pair.fire();
    pair.settle();
    assert_eq!(reasons(&mut pair), (Some("forced close"), Some("transport close")));
    assert_eq!(pair.client.received.last(), Some(&text("kept")));
}

#[test]
fn a_server_waits_thirty_seconds_for_a_poll_and_no_longer() {
    let mut pair = without_a_get();
    pair.server_closes();
    let due = pair.now + limits::POLLING_CLOSE_TIMEOUT;
    assert_eq!(pair.server().session.poll_timeout(), Some(due));
    pair.now = due;
    pair.fire();
    assert_eq!(pair.server().session.close_reason(), Some(CloseReason::ForcedClose));
    pair.settle();
    assert_eq!(pair.client.close_reason(), Some("transport error"));
}

#[test]
fn while_it_waits_a_server_takes_nothing_but_a_goodbye() {
    let mut pair = without_a_get();
    pair.server_closes();
    let config = pair.config.clone();
    let now = pair.now;
    let end = pair.server();
    end.session.handle_packet(POLLING, Packet::Text("late"), &config, now);
    end.session.handle_packet(POLLING, Packet::Ping(""), &config, now);
    end.session.handle_packet_error(POLLING, PacketError::Empty);
    end.session.close(now + seconds(5));
    assert!(!end.session.is_closed());
    assert_eq!(end.session.poll_timeout(), Some(now + seconds(30)));
    end.session.handle_packet(POLLING, Packet::Close, &config, now);
    assert_eq!(end.session.close_reason(), Some(CloseReason::TransportClose));
}

#[test]
fn a_client_closes_by_a_post_and_its_poll_ends_with_a_noop() {
    let mut pair = Pair::polling();
    pair.client_closes();
    assert_eq!(pair.flights[2].back(), Some(&Flight::PostBody { body: "1".into(), forged: false }));
    pair.deliver(2);
    pair.deliver(2);
    assert_eq!(pair.flights[1].front(), Some(&Flight::GetAnswer { status: 200, body: "6".into() }));
    pair.settle();
    assert_eq!(reasons(&mut pair), (Some("transport close"), Some("forced close")));
}

#[test]
fn a_client_closes_after_the_post_that_is_under_way() {
    let mut pair = Pair::polling();
    pair.client_sends(&text("first"));
    pair.client_sends(&text("second"));
    pair.client_closes();
    pair.settle();
    assert_eq!(pair.server().received, [text("first"), text("second")]);
    assert_eq!(reasons(&mut pair), (Some("transport close"), Some("forced close")));
}

#[test]
fn a_websocket_is_closed_by_a_frame_from_either_side() {
    let mut pair = Pair::websocket();
    pair.server_closes();
    assert_eq!(pair.flights[5].back(), Some(&Flight::WsDown { id: 1, frame: Frame::Close }));
    pair.settle();
    assert_eq!(reasons(&mut pair), (Some("forced close"), Some("transport close")));

    let mut pair = Pair::websocket();
    pair.client_sends(&text("last"));
    pair.client_closes();
    pair.settle();
    assert_eq!(pair.server().received, [text("last")]);
    assert_eq!(reasons(&mut pair), (Some("transport close"), Some("forced close")));
}

#[test]
fn a_close_packet_on_a_websocket_ends_the_session() {
    for to_server in [true, false] {
        let mut pair = Pair::websocket();
        let (config, now) = (pair.config.clone(), pair.now);
        let session = if to_server { &mut pair.server().session } else { &mut pair.client.session };
        session.handle_packet(WEBSOCKET, Packet::Close, &config, now);
        assert_eq!(session.close_reason(), Some(CloseReason::TransportClose));
        let close = session.poll_transmit().unwrap();
        assert_eq!((close.transport, close.packet), (WEBSOCKET, Control::Close));
        assert_eq!(session.poll_transmit(), None);
    }
}

#[test]
fn a_transport_that_is_gone_is_not_written_to() {
    let fault = CloseCause::Error(TransportFault::Io);
    for transport in [POLLING, WEBSOCKET] {
        for cause in [CloseCause::Closed, fault] {
            let mut pair = Pair::open(transport, no_upgrades());
            for session in [&mut pair.server.as_mut().unwrap().session, &mut pair.client.session] {
                session.handle_transport_closed(transport, cause);
                assert_eq!(session.close_reason(), Some(cause.into()));
                assert_eq!(session.poll_transmit(), None);
                assert!(session.poll_event().is_some() && session.poll_event().is_none());
            }
        }
    }
}

#[test]
fn an_aborted_poll_ends_the_session() {
    let mut pair = Pair::polling();
    pair.abort_get();
    assert_eq!(pair.server().close_reason(), Some("transport error"));
    assert_eq!(pair.flights[1].len(), 0);
    // Nobody waits: nothing happens.
    let mut pair = without_a_get();
    pair.abort_get();
    pair.server().session.handle_post_aborted();
    assert!(pair.server().session.is_open());
}

#[test]
fn an_aborted_post_ends_the_session_and_the_waiting_poll_hears_of_it() {
    let mut pair = Pair::polling();
    pair.server().session.begin_post(None).unwrap();
    pair.server().session.handle_post_aborted();
    pair.drive_server();
    assert_eq!(pair.flights[1].front(), Some(&Flight::GetAnswer { status: 200, body: "1".into() }));
    assert_eq!(pair.server().close_reason(), Some("transport error"));
}

#[test]
fn overlapping_requests_end_the_session_and_the_first_poll_hears_of_it() {
    let mut pair = Pair::polling();
    pair.put(Flight::Get { sid: true });
    pair.deliver(0);
    let answers = [
        Flight::GetAnswer { status: 200, body: "1".into() },
        Flight::GetAnswer { status: 400, body: String::new() },
    ];
    assert_eq!(pair.flights[1], answers);
    let fault = TransportFault::GetOverlap;
    assert_eq!(pair.server().session.close_reason(), Some(CloseReason::TransportError(fault)));

    let mut pair = Pair::polling();
    let session = &mut pair.server().session;
    session.begin_post(None).unwrap();
    assert_eq!(session.begin_post(None), Err(RequestRefused::Overlap));
    let fault = TransportFault::PostOverlap;
    assert_eq!(session.close_reason(), Some(CloseReason::TransportError(fault)));
    assert_eq!(session.poll_transmit().unwrap().packet, Control::Close);
    assert_eq!(session.begin_post(None), Err(RequestRefused::NotPolling));
}

#[test]
fn a_client_that_begins_one_request_too_many_is_only_refused() {
    let mut pair = Pair::polling();
    let now = pair.now;
    assert_eq!(pair.client.session.begin_get(now), Err(RequestRefused::Overlap));
    assert!(pair.client.session.is_open());
}

#[test]
fn a_binary_post_ends_the_session() {
    for content_type in ["application/octet-stream", "Application/Octet-Stream; charset=x"] {
        let mut pair = Pair::polling();
        let session = &mut pair.server().session;
        assert_eq!(session.begin_post(Some(content_type)), Err(RequestRefused::BinaryContent));
        let fault = TransportFault::BinaryPost;
        assert_eq!(session.close_reason(), Some(CloseReason::TransportError(fault)));
    }
    let mut pair = Pair::polling();
    let session = &mut pair.server().session;
    assert_eq!(session.begin_post(Some("text/plain;charset=UTF-8")), Ok(()));
    // Refused as too large by the driver: the session survives.
    session.end_post();
    assert!(session.is_open() && !session.has_post());
}

#[test]
fn what_is_no_packet_ends_the_session_after_those_before_it() {
    let mut pair = Pair::polling();
    pair.put(Flight::PostHead { content_type: None });
    pair.put(Flight::PostBody { body: "4a\x1eabc\x1e4b".into(), forged: false });
    pair.settle();
    assert_eq!(pair.server().received, [text("a")]);
    let error = PacketError::UnknownType { found: 'a' };
    assert_eq!(pair.server().session.close_reason(), Some(CloseReason::ParseError(error)));
    assert_eq!(pair.client.close_reason(), Some("transport close"));

    let mut pair = Pair::websocket();
    pair.put(Flight::WsDown { id: 1, frame: Frame::Text(String::new()) });
    pair.settle();
    assert_eq!(reasons(&mut pair), (Some("transport close"), Some("parse error")));
}

#[test]
fn packets_after_a_goodbye_in_the_same_payload_are_not_heard() {
    let mut pair = Pair::polling();
    pair.put(Flight::PostHead { content_type: None });
    pair.put(Flight::PostBody { body: "4a\x1e1\x1e4b".into(), forged: false });
    pair.deliver(2);
    pair.deliver(2);
    assert_eq!(pair.server().received, [text("a")]);
    assert_eq!(pair.server().close_reason(), Some("transport close"));
}

#[test]
fn packets_that_mean_nothing_on_an_open_session_are_ignored() {
    for mut pair in [Pair::polling(), Pair::websocket()] {
        let (config, now) = (pair.config.clone(), pair.now);
        let transport = pair.client.session.transport();
        for session in [&mut pair.server.as_mut().unwrap().session, &mut pair.client.session] {
            for packet in [Packet::Open("{}"), Packet::Upgrade, Packet::Noop, Packet::Pong("x")] {
                session.handle_packet(transport, packet, &config, now);
            }
            assert!(session.is_open());
            assert_eq!((session.poll_transmit(), session.poll_event()), (None, None));
        }
    }
}

#[test]
fn a_handshake_that_cannot_be_read_ends_the_client() {
    let first = [
        ("0{}", PacketError::Handshake),
        ("0", PacketError::Handshake),
        ("4early", PacketError::BeforeOpen),
        ("2", PacketError::BeforeOpen),
        ("x", PacketError::UnknownType { found: 'x' }),
    ];
    for (body, error) in first {
        let mut pair = Pair::new(POLLING, SessionConfig::default());
        pair.flights[0].clear();
        pair.put(Flight::GetAnswer { status: 200, body: body.into() });
        pair.settle();
        assert_eq!(pair.client.session.close_reason(), Some(CloseReason::ParseError(error)), "{body}");
        assert_eq!(pair.client.controls, []);
    }
}

#[test]
fn a_client_that_gives_up_before_the_handshake_has_nobody_to_tell() {
    let mut pair = Pair::new(POLLING, SessionConfig::default());
    pair.client_closes();
    assert_eq!((pair.client.close_reason(), pair.client.controls.len()), (Some("forced close"), 0));
    let mut pair = Pair::new(WEBSOCKET, SessionConfig::default());
    pair.client_closes();
    pair.settle();
    assert_eq!(pair.client.received, []);
}

/// The upgrade's steps, cut after each: how many deliveries of which channel come before the close.
const STEPS: [usize; 9] = [0, 1, 4, 5, 4, 5, 0, 1, 4];

fn cut(steps: usize, transport: TransportKind) -> Pair {
    let mut pair = Pair::new(transport, SessionConfig::default());
    for channel in STEPS.iter().take(steps) {
        pair.deliver(*channel);
    }
    pair
}

#[test]
fn a_client_that_closes_at_any_step_of_an_upgrade_ends_both() {
    for steps in 2..=STEPS.len() {
        let mut pair = cut(steps, POLLING);
        pair.client_sends(&text("last"));
        pair.client_closes();
        pair.advance(seconds(15));
        assert_eq!(reasons(&mut pair), (Some("transport close"), Some("forced close")), "after {steps}");
        assert_eq!(pair.server().received, [text("last")], "after {steps}");
        assert_eq!((pair.server().ws, pair.client.ws), (None, None));
    }
}

#[test]
fn a_server_that_closes_at_any_step_of_an_upgrade_ends_both() {
    for steps in 1..=STEPS.len() {
        let mut pair = cut(steps, POLLING);
        pair.server_sends(&text("last"));
        pair.server_closes();
        pair.advance(seconds(31));
        assert_eq!(reasons(&mut pair), (Some("forced close"), Some("transport close")), "after {steps}");
        assert_eq!(pair.client.received, [text("last")], "after {steps}");
        assert_eq!((pair.server().ws, pair.client.ws), (None, None));
    }
}

#[test]
fn a_paused_client_that_closes_waits_for_the_upgrade_or_its_failure() {
    for fails in [false, true] {
        let mut pair = cut(6, POLLING);
        assert!(pair.client.session.is_paused());
        pair.client_closes();
        assert!(!pair.client.session.is_closed() && !pair.client.session.is_open());
        if fails {
            pair.flights[1].clear();
            pair.put(Flight::WsDown { id: 1, frame: Frame::Close });
            pair.deliver(5);
            assert_eq!(pair.client.controls.last(), Some(&(POLLING, Control::Close)));
        } else {
            pair.settle();
            let tail = [(WEBSOCKET, Control::Upgrade), (WEBSOCKET, Control::Close)];
            assert!(pair.client.controls.ends_with(&tail));
        }
        assert_eq!(pair.client.close_reason(), Some("forced close"));
    }
}

#[test]
fn a_server_that_waits_for_a_poll_closes_with_the_upgrade_instead() {
    let mut pair = cut(5, POLLING);
    // The poll that the client had is answered, and it is not told of the probe's answer yet.
    pair.deliver(0);
    pair.deliver(1);
    pair.flights[0].clear();
    pair.server_closes();
    assert!(!pair.server().session.is_closed());
    let (config, now) = (pair.config.clone(), pair.now);
    pair.server().session.handle_packet(WEBSOCKET, Packet::Upgrade, &config, now);
    pair.drive_server();
    assert_eq!(pair.server().close_reason(), Some("forced close"));
    assert_eq!(pair.flights[5].back(), Some(&Flight::WsDown { id: 1, frame: Frame::Close }));
}

#[test]
fn an_ended_session_closes_the_websocket_it_was_trying() {
    let mut pair = cut(5, POLLING);
    pair.server().session.abort(CloseReason::PingTimeout);
    pair.drive_server();
    assert_eq!(pair.server().controls.last(), Some(&(WEBSOCKET, Control::Close)));
    assert_eq!(pair.server().events.last(), Some(&SessionEvent::Closed(CloseReason::PingTimeout)));
    pair.settle();
    assert!(pair.client.session.is_closed());
}

#[test]
fn nothing_wakes_an_ended_session() {
    for transport in [POLLING, WEBSOCKET] {
        let mut pair = Pair::open(transport, no_upgrades());
        let (config, now) = (SessionConfig::default(), pair.now + Duration::from_secs(999));
        for session in [&mut pair.server.as_mut().unwrap().session, &mut pair.client.session] {
            session.handle_transport_closed(transport, CloseCause::Closed);
            assert!(session.poll_event().is_some());
            session.handle_packet(transport, Packet::Close, &config, now);
            session.handle_packet(transport, Packet::Text("x"), &config, now);
            session.handle_packet_error(transport, PacketError::Empty);
            session.handle_transport_closed(transport, CloseCause::Error(TransportFault::Io));
            session.handle_timeout(&config, now);
            session.close(now);
            session.abort(CloseReason::ForcedClose);
            session.handle_get_aborted();
            session.set_reading_paused(true, &config, now);
            session.set_reading_paused(false, &config, now);
            assert!(session.handle_probe_opened(&config, now).is_err() && session.begin_get(now).is_err());
            session.end_get();
            session.end_post();
            assert_eq!(
                (session.poll_transmit(), session.poll_event(), session.poll_timeout()),
                (None, None, None)
            );
            assert_eq!(session.close_reason(), Some(CloseReason::TransportClose));
            assert!(!session.wants_get() && !session.may_post());
        }
    }
}
