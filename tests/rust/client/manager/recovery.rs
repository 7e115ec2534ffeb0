//! Connection state recovery: what socket.io-client's `test/connection-state-recovery.ts` asks for, and the
//! offsets told from an application's own strings.

use super::world::*;
use crate::app::PARSERS;
use serde_json::json;
use siox::proto::client::SocketKey;
use siox::proto::socket::Parser;

/// An offset as the in-memory adapter gives it, so many milliseconds after the wall clock's beginning.
fn offset(after: u64) -> String {
    const DIGITS: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";
    let mut time = u64::try_from(WALL.as_millis()).unwrap() + after;
    let mut text = Vec::new();
    while time > 0 {
        text.push(DIGITS[usize::try_from(time % 64).unwrap()]);
        time /= 64;
    }
    text.reverse();
    String::from_utf8(text).unwrap()
}

fn recovering(parser: Parser) -> (World, SocketKey) {
    let mut world = World::with(with_parser(config(), parser));
    world.server.rules.recovery = true;
    world.server.rules.recovers = true;
    let socket = world.connect("/");
    world.run();
    assert_eq!(world.take_seen(), ["open", "/ connect sid1"]);
    world.server.take_seen();
    (world, socket)
}

#[test]
fn a_session_is_recovered_with_what_was_missed() {
    for parser in PARSERS {
        let (mut world, socket) = recovering(parser);
        let first = offset(0);
        world.server.emit("/", None, &json!(["hi", 1, first]), world.now);
        world.run();
        assert_eq!(world.take_seen(), ["/ \"hi\" [1]"], "the offset is not shown");
        world.cut();
        let missed = offset(500);
        world.server.rules.early = vec![json!(["missed", missed])];
        world.take_seen();
        world.wait(secs(1));
        let seen = world.take_seen();
        assert_eq!(seen[3..], ["/ \"missed\" []", "/ connect sid1 recovered"]);
        assert!(world.manager.is_recovered(socket));
        assert_eq!(
            world.server.take_seen(),
            [
                "closed transport close".to_owned(),
                format!(r#"connect / {{"pid":"pid1","offset":"{first}"}}"#)
            ]
        );
        // The offset of what was missed is the next one.
        world.server.rules.early.clear();
        world.cut();
        world.wait(secs(1));
        let expected = format!(r#"connect / {{"pid":"pid1","offset":"{missed}"}}"#);
        assert_eq!(world.server.take_seen().pop(), Some(expected));
    }
}

#[test]
fn without_an_event_there_is_a_private_id_and_no_offset() {
    for parser in PARSERS {
        let (mut world, _) = recovering(parser);
        world.auth = Some(json!({"token":1}));
        world.cut();
        world.wait(secs(1));
        assert_eq!(world.server.take_seen()[1..], [r#"connect / {"pid":"pid1","token":1}"#]);
    }
}

#[test]
fn a_session_that_is_not_recovered_is_a_new_one() {
    for parser in PARSERS {
        let (mut world, socket) = recovering(parser);
        world.server.emit("/", None, &json!(["hi", offset(0)]), world.now);
        world.run();
        world.server.rules.recovers = false;
        world.cut();
        world.wait(secs(1));
        assert!(
            world.take_seen().ends_with(&["/ connect sid2".into()]) && !world.manager.is_recovered(socket)
        );
        world.cut();
        world.server.take_seen();
        world.wait(secs(1));
        assert_eq!(world.server.take_seen(), [r#"connect / {"pid":"pid2"}"#]);
        // A server that offers it no more is not asked.
        world.server.rules.recovery = false;
        world.cut();
        world.wait(secs(1));
        world.cut();
        world.server.take_seen();
        world.wait(secs(1));
        assert_eq!(world.server.take_seen(), ["connect / -"]);
    }
}

#[test]
fn who_left_or_was_put_out_has_nothing_to_recover() {
    for parser in PARSERS {
        let leave: [fn(&mut World, SocketKey); 3] = [
            |world, socket| world.disconnect(socket),
            |world, _| world.server.kick("/", world.now),
            |world, socket| {
                world.server.rules.refused.insert("/".into(), json!({"message": "no"}));
                world.cut();
                world.wait(secs(1));
                world.server.rules.refused.clear();
                assert!(!world.manager.is_active(socket));
            },
        ];
        for leave in leave {
            let (mut world, socket) = recovering(parser);
            leave(&mut world, socket);
            world.run();
            world.server.take_seen();
            world.connect("/");
            world.run();
            assert!(world.server.take_seen().contains(&"connect / -".to_owned()));
            assert!(!world.manager.is_recovered(socket));
        }
    }
}

#[test]
fn an_applications_own_string_is_shown_and_is_no_offset() {
    for parser in PARSERS {
        let (mut world, _) = recovering(parser);
        let kept = offset(0);
        world.server.emit("/", None, &json!(["hi", kept]), world.now);
        let asked = offset(1);
        world.server.emit("/", Some(4), &json!(["asked", asked]), world.now);
        for last in ["example", "a longer text", "", "0123456"] {
            world.server.emit("/", None, &json!(["volatile", last]), world.now);
        }
        world.run();
        let expected = [
            "/ \"hi\" []".to_owned(),
            format!("/ \"asked\" #4 [\"{asked}\"]"),
            "/ \"volatile\" [\"example\"]".into(),
            "/ \"volatile\" [\"a longer text\"]".into(),
            "/ \"volatile\" [\"\"]".into(),
            "/ \"volatile\" [\"0123456\"]".into(),
        ];
        assert_eq!(world.take_seen(), expected);
        world.cut();
        world.wait(secs(1));
        let expected = format!(r#"connect / {{"pid":"pid1","offset":"{kept}"}}"#);
        assert_eq!(world.server.take_seen().pop(), Some(expected));
    }
}

#[test]
fn an_offset_is_of_its_time() {
    for parser in PARSERS {
        let (mut world, _) = recovering(parser);
        world.server.config.ping_interval = secs(25);
        world.wait(secs(7200));
        world.take_seen();
        world.server.emit("/", None, &json!(["hi", offset(7_200_000)]), world.now);
        world.run();
        assert_eq!(world.take_seen(), ["/ \"hi\" []"]);
    }
}

#[test]
fn a_replay_that_is_cut_off_comes_again_and_is_told_once() {
    for parser in PARSERS {
        let (mut world, _) = recovering(parser);
        world.server.emit("/", None, &json!(["hi", offset(0)]), world.now);
        world.run();
        world.cut();
        world.take_seen();
        world.server.rules.early = vec![json!(["missed", 1, offset(1)]), json!(["missed", 2, offset(2)])];
        world.server.rules.pending.insert("/".into());
        world.wait(secs(1));
        world.server.early_only("/", world.now);
        world.run();
        assert_eq!(world.take_seen(), ["reconnect_attempt 1", "open", "reconnect 1"]);
        world.cut();
        world.take_seen();
        world.server.rules.pending.clear();
        world.wait(secs(1));
        let seen = world.take_seen();
        assert_eq!(seen[3..], ["/ \"missed\" [1]", "/ \"missed\" [2]", "/ connect sid1 recovered"]);
        let expected = format!(r#"connect / {{"pid":"pid1","offset":"{}"}}"#, offset(0));
        assert_eq!(world.server.take_seen().pop(), Some(expected), "only what was told counts");
    }
}

#[test]
fn what_was_kept_goes_to_the_recovered_session() {
    for parser in PARSERS {
        let (mut world, socket) = recovering(parser);
        world.cut();
        world.emit(socket, &json!([1]));
        world.wait(secs(1));
        assert!(world.take_seen().ends_with(&["/ connect sid1 recovered".into()]));
        assert_eq!(world.server.numbers.len(), 1);
    }
}
