//! One client and its connections: a websocket, or two for polling, or first these and then that.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use mio::{Registry, Token};

use crate::fault::{Fault, Result, show};
use crate::frame::{self, Op};
use crate::http;
use crate::link::{Got, Link};
use crate::outbox::{SEPARATOR, Wire};
use crate::packet::{self, Packet};
use crate::session::{Game, Session};

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// A websocket from the start.
    Websocket,
    /// Long polling for good: one connection polls, the other posts.
    Polling,
    /// Polling first, as browsers do.
    Upgrade,
}

/// What a client is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role {
    pub(crate) transport: Transport,
    /// Joins the room `all`.
    pub(crate) joins: bool,
    /// Reads little, seldom, and into a small receive buffer.
    pub(crate) slow: bool,
}

/// Where clients connect to, and who tells that their sockets are ready.
#[derive(Debug)]
pub(crate) struct Venue {
    pub(crate) port: u16,
    pub(crate) registry: Registry,
}

/// One of a client's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Websocket,
    Poll,
    Post,
}

impl Lane {
    /// The token of a client's lane.
    pub(crate) fn token(self, who: usize) -> Token {
        Token(who * 4 + self as usize)
    }

    /// Whose lane a token is.
    pub(crate) fn of(token: Token) -> (usize, Self) {
        let lane = match token.0 % 4 {
            0 => Self::Websocket,
            1 => Self::Poll,
            _ => Self::Post,
        };
        (token.0 / 4, lane)
    }
}

/// The kernel's receive buffer of a slow client, in bytes.
const SLOW_BUFFER: usize = 4096;

/// What a slow client reads at once.
const SIP: usize = 4096;

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) session: Session,
    who: usize,
    began: Instant,
    role: Role,
    websocket: Option<Link>,
    poll: Option<Link>,
    post: Option<Link>,
    /// The websocket has answered 101.
    switched: bool,
    /// Everything goes over the websocket.
    upgraded: bool,
    polling: bool,
    posting: bool,
}

impl Client {
    /// Begin to connect.
    pub(crate) fn dial(who: usize, role: Role, venue: &Venue) -> Result<Self> {
        let direct = role.transport == Transport::Websocket;
        let wire = if direct { Wire::Frames } else { Wire::Body };
        let mut client = Self {
            session: Session::new(who, role.joins, wire),
            who,
            began: Instant::now(),
            role,
            websocket: None,
            poll: None,
            post: None,
            switched: false,
            upgraded: direct,
            polling: false,
            posting: false,
        };
        if direct {
            let mut link = client.link(Lane::Websocket, venue)?;
            http::upgrade(venue.port, None, link.out());
            client.websocket = Some(link);
        } else {
            client.poll = Some(client.link(Lane::Poll, venue)?);
        }
        client.flush(venue)?;
        Ok(client)
    }

    fn link(&self, lane: Lane, venue: &Venue) -> Result<Link> {
        let buffer = self.role.slow.then_some(SLOW_BUFFER);
        Link::dial(venue.port, self.who, buffer, &venue.registry, lane.token(self.who))
            .map_err(|error| Fault::at(self.who, "a connection", error))
    }

    /// Joined, and on its transport for good.
    pub(crate) fn live(&self) -> bool {
        self.session.live() && (self.upgraded || self.role.transport == Transport::Polling)
    }

    /// Since it began to connect.
    pub(crate) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Reads little and seldom, once it is live.
    pub(crate) fn slow(&self) -> bool {
        self.role.slow && self.live()
    }

    /// From now on it reads all that comes.
    pub(crate) fn wake(&mut self) -> Result<()> {
        self.role.slow = false;
        Ok(self.websocket.as_ref().map_or(Ok(()), Link::widen)?)
    }

    /// Its connection is not there any more.
    pub(crate) fn gone(&self) -> bool {
        self.websocket.is_none() && self.poll.is_none()
    }

    /// The connection that messages come by.
    pub(crate) fn downstream(&mut self) -> Option<&mut Link> {
        if self.upgraded { self.websocket.as_mut() } else { self.poll.as_mut() }
    }

    /// Something can be read or written.
    pub(crate) fn ready(
        &mut self,
        lane: Lane,
        venue: &Venue,
        buffer: &mut Vec<u8>,
        game: &mut impl Game,
    ) -> Result<()> {
        let outcome = match lane {
            Lane::Websocket => self.read_frames(buffer, game),
            Lane::Poll | Lane::Post => self.read_responses(lane, buffer, game),
        };
        match outcome? {
            None => self.flush(venue),
            Some(why) => {
                (self.websocket, self.poll, self.post) = (None, None, None);
                if self.live() {
                    game.lost(self.who, &why)
                } else {
                    Err(Fault::at(self.who, self.session.awaited(), why))
                }
            }
        }
    }

    /// Write all that the session and the transport want to say.
    pub(crate) fn flush(&mut self, venue: &Venue) -> Result<()> {
        let outcome = if self.upgraded {
            match &mut self.websocket {
                Some(link) => link.flush_with(self.session.outbox.bytes()),
                None => Ok(()),
            }
        } else {
            self.request(venue)?;
            [&mut self.poll, &mut self.post, &mut self.websocket]
                .into_iter()
                .flatten()
                .try_for_each(Link::flush)
        };
        match outcome {
            Err(error) if !self.live() => Err(Fault::at(self.who, self.session.awaited(), error)),
            // A connection that broke later says so when it is read.
            _ => Ok(()),
        }
    }

    /// Gives the reason when the connection has ended.
    fn read_frames(&mut self, buffer: &mut Vec<u8>, game: &mut impl Game) -> Result<Option<String>> {
        let most = if self.slow() { SIP } else { usize::MAX };
        let Some(link) = &mut self.websocket else { return Ok(None) };
        loop {
            let (count, more) = match link.read(buffer, most) {
                Ok(Got::Bytes { count, more }) => (count, more),
                Ok(Got::Nothing) => return Ok(None),
                Ok(Got::End) => return Ok(Some("the end of the connection".to_owned())),
                Err(error) => return Ok(Some(error.to_string())),
            };
            game.reading();
            let mut bytes = buffer.get(..count).unwrap_or_default();
            if !self.switched {
                let accepted = http::accepted(bytes).map_err(|got| Fault::at(self.who, "HTTP 101", got))?;
                let Some(after) = accepted else {
                    link.keep(bytes);
                    continue;
                };
                bytes = after;
                self.switched = true;
                if !self.upgraded {
                    frame::write(Op::Text, &[b"2probe"], link.out());
                }
            }
            while let Some((frame, after)) =
                frame::next(bytes).map_err(|got| Fault::at(self.who, "a whole frame", got))?
            {
                bytes = after;
                match frame.op {
                    Op::Text => self.session.packet(packet::read(frame.payload), game)?,
                    Op::Binary => self.session.packet(Packet::Attachment(frame.payload), game)?,
                    Op::Ping => self.session.outbox.pong(frame.payload),
                    Op::Pong => {}
                    Op::Close => return Ok(Some(format!("a close frame {}", show(frame.payload)))),
                }
            }
            link.keep(bytes);
            if !more || most == SIP {
                return Ok(None);
            }
        }
    }

    fn read_responses(
        &mut self,
        lane: Lane,
        buffer: &mut Vec<u8>,
        game: &mut impl Game,
    ) -> Result<Option<String>> {
        let link = if lane == Lane::Poll { &mut self.poll } else { &mut self.post };
        let Some(link) = link else { return Ok(None) };
        let who = self.who;
        loop {
            let (count, more) = match link.read(buffer, usize::MAX) {
                Ok(Got::Bytes { count, more }) => (count, more),
                Ok(Got::Nothing) => return Ok(None),
                Ok(Got::End) => return Ok(Some("the end of the connection".to_owned())),
                Err(error) => return Ok(Some(error.to_string())),
            };
            game.reading();
            let mut bytes = buffer.get(..count).unwrap_or_default();
            while let Some((response, after)) =
                http::response(bytes).map_err(|got| Fault::at(who, "a response", got))?
            {
                bytes = after;
                let waits = if lane == Lane::Poll { &mut self.polling } else { &mut self.posting };
                if !std::mem::replace(waits, false) || response.status != 200 {
                    let got = format!("HTTP {} {}", response.status, show(&response.body));
                    return Err(Fault::at(who, "one HTTP 200 a request", got));
                }
                if lane == Lane::Poll {
                    take_body(&response.body, who, &mut self.session, game)?;
                }
            }
            link.keep(bytes);
            if !more {
                return Ok(None);
            }
        }
    }

    /// Put the next poll, post or step of the upgrade on its way.
    fn request(&mut self, venue: &Venue) -> Result<()> {
        let Some(sid) = self.session.sid().map(str::to_owned) else {
            if let Some(link) = self.poll.as_mut().filter(|_| !self.polling) {
                http::get(venue.port, None, link.out());
                self.polling = true;
            }
            return Ok(());
        };
        if !self.posting && !self.session.outbox.bytes().is_empty() {
            if self.post.is_none() {
                self.post = Some(self.link(Lane::Post, venue)?);
            }
            if let Some(link) = &mut self.post {
                let body = self.session.outbox.bytes();
                http::post(venue.port, &sid, body, link.out());
                body.clear();
                self.posting = true;
            }
        }
        if self.role.transport == Transport::Upgrade && self.websocket.is_none() {
            let mut link = self.link(Lane::Websocket, venue)?;
            http::upgrade(venue.port, Some(&sid), link.out());
            self.websocket = Some(link);
        }
        if self.polling {
            // It must come back before the switch too: nothing may be lost between the two.
            return Ok(());
        }
        match (&mut self.poll, &mut self.websocket) {
            (_, Some(_)) if self.session.probed && self.posting => {}
            (_, Some(link)) if self.session.probed => {
                frame::write(Op::Text, &[b"5"], link.out());
                self.session.outbox.switch();
                self.upgraded = true;
                (self.poll, self.post) = (None, None);
            }
            (Some(link), _) => {
                http::get(venue.port, Some(&sid), link.out());
                self.polling = true;
            }
            _ => {}
        }
        Ok(())
    }
}

fn take_body(body: &[u8], who: usize, session: &mut Session, game: &mut impl Game) -> Result<()> {
    let mut start = 0;
    for end in memchr::memchr_iter(SEPARATOR, body).chain([body.len()]) {
        let packet = body.get(start..end).unwrap_or_default();
        start = end + 1;
        if let Some(text) = packet.strip_prefix(b"b") {
            let bytes =
                STANDARD.decode(text).map_err(|_| Fault::at(who, "an attachment in base64", show(text)))?;
            session.packet(Packet::Attachment(&bytes), game)?;
        } else {
            session.packet(packet::read(packet), game)?;
        }
    }
    Ok(())
}
