//! The Socket.IO side of one client: open, join the namespace, join the room, then play.

use std::time::Duration;

use crate::fault::{Fault, Result, show};
use crate::outbox::{Outbox, Wire};
use crate::packet::Packet;

/// What a mode does with the packets of clients that are live.
pub(crate) trait Game {
    /// A packet came; answers go to the outbox.
    fn packet(&mut self, who: usize, packet: Packet<'_>, outbox: &mut Outbox) -> Result<()>;

    /// What a client is waiting for, for a person.
    fn expecting(&self, who: usize) -> String;

    /// A number that changes whenever something awaited comes.
    fn progress(&self) -> u64;

    /// The client that keeps everyone waiting.
    fn last(&self) -> usize {
        0
    }

    /// A client is live, so long after it began to connect.
    fn live(&mut self, _after: Duration) {}

    /// All clients are live, and nobody said anything in this turn.
    fn idle(&mut self) {}

    /// Bytes of one client came; its packets follow.
    fn reading(&mut self) {}

    /// The server has closed a client's connection.
    fn lost(&mut self, who: usize, why: &str) -> Result<()> {
        Err(Fault::at(who, self.expecting(who), why))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    Connecting,
    Joining,
    Live,
}

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    who: usize,
    joins: bool,
    stage: Stage,
    sid: String,
    /// `3probe` has come.
    pub(crate) probed: bool,
    pub(crate) outbox: Outbox,
}

impl Session {
    /// A session that will join the room `all`, or not.
    pub(crate) fn new(who: usize, joins: bool, wire: Wire) -> Self {
        let sid = String::new();
        Self { who, joins, stage: Stage::Opening, sid, probed: false, outbox: Outbox::new(wire) }
    }

    /// Everything is joined.
    pub(crate) fn live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// The Engine.IO session's id, once it is known.
    pub(crate) fn sid(&self) -> Option<&str> {
        (!self.sid.is_empty()).then_some(&self.sid)
    }

    /// Take one packet of the server.
    pub(crate) fn packet(&mut self, packet: Packet<'_>, game: &mut impl Game) -> Result<()> {
        match packet {
            Packet::Ping => self.outbox.text(&[b"3"]),
            Packet::Noop => {}
            Packet::ProbePong => self.probed = true,
            packet if self.live() => return game.packet(self.who, packet, &mut self.outbox),
            packet => return self.advance(packet),
        }
        Ok(())
    }

    fn advance(&mut self, packet: Packet<'_>) -> Result<()> {
        match (self.stage, packet) {
            (Stage::Opening, Packet::Open(text)) => {
                self.sid = sid(text).ok_or_else(|| self.fault("a sid", text))?;
                self.outbox.text(&[b"40"]);
                self.stage = Stage::Connecting;
            }
            (Stage::Connecting, Packet::Connected) if self.joins => {
                self.outbox.text(&[br#"420["join"]"#]);
                self.stage = Stage::Joining;
            }
            (Stage::Connecting, Packet::Connected)
            | (Stage::Joining, Packet::Ack { id: 0, tail: b"[]" | b"[null]", attachment: false }) => {
                self.stage = Stage::Live;
            }
            (_, packet) => return Err(Fault::at(self.who, self.awaited(), told(&packet))),
        }
        Ok(())
    }

    fn fault(&self, expected: &str, got: &[u8]) -> Fault {
        Fault::at(self.who, expected, show(got))
    }

    /// What must come next before the client is live.
    pub(crate) fn awaited(&self) -> &'static str {
        match self.stage {
            Stage::Opening => "the open packet",
            Stage::Connecting => "the answer to CONNECT",
            Stage::Joining => "the answer to join",
            Stage::Live => "the end of the upgrade",
        }
    }
}

/// A packet, for a person.
pub(crate) fn told(packet: &Packet<'_>) -> String {
    match *packet {
        Packet::Broadcast { index, tail, .. } => format!("broadcast {index} with {}", show(tail)),
        Packet::Ack { id, tail, .. } => format!("ack {id} with {}", show(tail)),
        Packet::Done(count) => format!("done of {count}"),
        Packet::Attachment(bytes) => format!("an attachment {}", show(bytes)),
        Packet::Open(text) | Packet::Other(text) => show(text),
        Packet::Ping => "a ping".to_owned(),
        Packet::ProbePong => "3probe".to_owned(),
        Packet::Noop => "a noop".to_owned(),
        Packet::Connected => "a second CONNECT".to_owned(),
    }
}

fn sid(open: &[u8]) -> Option<String> {
    let fields: serde_json::Value = serde_json::from_slice(open.get(1..)?).ok()?;
    Some(fields.get("sid")?.as_str()?.to_owned())
}
