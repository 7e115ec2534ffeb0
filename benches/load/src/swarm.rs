//! All clients on one thread: who is ready is read, what they answer is written.

use std::time::{Duration, Instant};

use mio::{Events, Poll};

use crate::client::{Client, Lane, Role, Venue};
use crate::fault::{Fault, Result};
use crate::options::Options;
use crate::outbox::Outbox;
use crate::session::Game;

/// One read takes up to this at first; messages that do not fit make it grow.
const BUFFER: usize = 256 * 1024;
/// Slow clients read so often.
const SIP_EVERY: Duration = Duration::from_millis(50);
/// How long what is too much may take to come.
const LINGER: Duration = Duration::from_millis(50);
/// The same for clients whose receive windows were full: the kernel tries those again after a while.
const LINGER_WHEN_SLOW: Duration = Duration::from_secs(1);
/// How long nothing that counts may come while something is awaited.
const PATIENCE: Duration = Duration::from_secs(30);

/// The clients.
#[derive(Debug)]
pub(crate) struct Swarm {
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    venue: Venue,
    live: usize,
    spins: bool,
    /// What the game had counted when it was last looked at, and when that changed.
    progress: u64,
    heard: Instant,
    sipped: Instant,
    slow: Vec<usize>,
}

impl Swarm {
    /// No clients yet.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let poll = Poll::new()?;
        let venue = Venue { port: options.port, registry: poll.registry().try_clone()? };
        let now = Instant::now();
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            buffer: vec![0; BUFFER],
            venue,
            live: 0,
            spins: options.spin,
            progress: 0,
            heard: now,
            sipped: now,
            slow: Vec::new(),
        })
    }

    /// Connect so many clients more, at most `at_once` of them at a time, until all are live.
    pub(crate) fn open(
        &mut self,
        count: usize,
        role: Role,
        at_once: usize,
        game: &mut impl Game,
    ) -> Result<()> {
        let all = self.clients.len() + count;
        self.heard = Instant::now();
        while self.live < all {
            while self.clients.len() < all && self.clients.len() - self.live < at_once {
                let who = self.clients.len();
                self.clients.push(Client::dial(who, role, &self.venue)?);
                if role.slow {
                    self.slow.push(who);
                }
            }
            self.turn(Duration::from_millis(100), game)?;
        }
        Ok(())
    }

    /// Let one client say something.
    pub(crate) fn send(&mut self, who: usize, say: impl FnOnce(&mut Outbox)) -> Result<()> {
        let Some(client) = self.clients.get_mut(who) else { return Ok(()) };
        say(&mut client.session.outbox);
        self.heard = Instant::now();
        client.flush(&self.venue)
    }

    /// Wait for at most `timeout`, and handle all that is ready.
    pub(crate) fn turn(&mut self, timeout: Duration, game: &mut impl Game) -> Result<()> {
        let timeout = if self.spins { Duration::ZERO } else { timeout };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &self.events {
            let (who, lane) = Lane::of(event.token());
            let Some(client) = self.clients.get_mut(who) else { continue };
            if client.slow() {
                continue;
            }
            let was_live = client.live();
            client.ready(lane, &self.venue, &mut self.buffer, game)?;
            if !was_live && client.live() {
                self.live += 1;
                game.live(client.age());
            }
        }
        if self.events.is_empty() && self.live == self.clients.len() {
            game.idle();
        }
        let progress = game.progress() + self.live as u64;
        if std::mem::replace(&mut self.progress, progress) == progress {
            self.check_patience(game)?;
        } else {
            self.heard = Instant::now();
        }
        if !self.slow.is_empty() && self.sipped.elapsed() >= SIP_EVERY {
            self.sipped = Instant::now();
            self.sip(game)?;
        }
        Ok(())
    }

    /// Listen until nothing comes any more when all is counted: nothing may be too much. Slow clients read
    /// what is left for them, or see that they were disconnected.
    pub(crate) fn linger(&mut self, game: &mut impl Game) -> Result<()> {
        let patience = if self.slow.is_empty() { LINGER } else { LINGER_WHEN_SLOW };
        for who in std::mem::take(&mut self.slow) {
            if let Some(client) = self.clients.get_mut(who).filter(|client| !client.gone()) {
                client.wake()?;
                client.ready(Lane::Websocket, &self.venue, &mut self.buffer, game)?;
            }
        }
        let mut end = Instant::now() + patience;
        let mut progress = game.progress();
        while Instant::now() < end {
            self.turn(LINGER, game)?;
            if std::mem::replace(&mut progress, game.progress()) != progress {
                end = Instant::now() + patience;
            }
        }
        Ok(())
    }

    fn sip(&mut self, game: &mut impl Game) -> Result<()> {
        for &who in &self.slow {
            let Some(client) = self.clients.get_mut(who) else { continue };
            if client.slow() && !client.gone() {
                client.ready(Lane::Websocket, &self.venue, &mut self.buffer, game)?;
            }
        }
        Ok(())
    }

    fn check_patience(&self, game: &impl Game) -> Result<()> {
        if self.heard.elapsed() < PATIENCE {
            return Ok(());
        }
        let silence = format!("nothing for {} s", PATIENCE.as_secs());
        match self.clients.iter().position(|client| !client.live() && !client.gone()) {
            Some(who) => {
                let awaited = self.clients.get(who).map_or("", |client| client.session.awaited());
                Err(Fault::at(who, awaited, silence))
            }
            None => Err(Fault::at(game.last(), game.expecting(game.last()), silence)),
        }
    }

    /// Count segments with data from now on.
    pub(crate) fn begin_counting(&mut self, clients: std::ops::Range<usize>) -> Result<()> {
        for client in self.clients.get_mut(clients).unwrap_or_default() {
            if let Some(link) = client.downstream() {
                link.begin_counting()?;
            }
        }
        Ok(())
    }

    /// Segments with data that clients got since then.
    pub(crate) fn counted(&mut self, clients: std::ops::Range<usize>) -> Result<u64> {
        let mut segments = 0;
        for client in self.clients.get_mut(clients).unwrap_or_default() {
            if let Some(link) = client.downstream() {
                segments += u64::from(link.counted()?);
            }
        }
        Ok(segments)
    }
}
