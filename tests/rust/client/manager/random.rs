//! Any order of inputs: nothing is lost, doubled or overtaken beyond what the rules allow.

use super::world::*;
use crate::app::PARSERS;
use crate::tree::Tree;
use proptest::prelude::*;
use serde_json::json;
use siox::proto::client::{
    BufferPolicy, EmitFlags, Fate, Manager, ManagerConfig, ManagerEvent, ManagerState, SocketKey,
    SocketOptions,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// `/once` sends what it keeps at most once, `/again` has retries.
const NAMESPACES: [&str; 2] = ["/once", "/again"];

#[derive(Debug, Clone, Copy)]
enum Input {
    Emit { socket: usize, ask: bool, volatile: bool },
    Answer,
    FromServer { socket: usize, ask: bool },
    Up(usize),
    Down(usize),
    Open,
    Cut,
    Break,
    Swallow,
    Kill,
    Restart,
    Block,
    Unblock,
    Turn,
    Wait(u64),
    Connect(usize),
    Disconnect(usize),
    Kick(usize),
    Close,
    CloseEngine,
    OpenManager,
}

fn input() -> impl Strategy<Value = Input> {
    let socket = || 0..2usize;
    prop_oneof![
        8 => (socket(), any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(socket, ask, volatile)| Input::Emit { socket, ask, volatile }),
        3 => (socket(), any::<bool>()).prop_map(|(socket, ask)| Input::FromServer { socket, ask }),
        2 => Just(Input::Answer),
        8 => prop_oneof![1..40usize, Just(usize::MAX)].prop_map(Input::Up),
        8 => prop_oneof![1..40usize, Just(usize::MAX)].prop_map(Input::Down),
        4 => Just(Input::Open),
        1 => Just(Input::Cut),
        1 => Just(Input::Break),
        1 => Just(Input::Swallow),
        1 => Just(Input::Kill),
        3 => Just(Input::Restart),
        1 => Just(Input::Block),
        2 => Just(Input::Unblock),
        2 => Just(Input::Turn),
        3 => prop_oneof![1..100u64, 900..1200u64, Just(5000), Just(50_000)].prop_map(Input::Wait),
        2 => socket().prop_map(Input::Connect),
        1 => socket().prop_map(Input::Disconnect),
        1 => socket().prop_map(Input::Kick),
        1 => Just(Input::Close),
        1 => Just(Input::CloseEngine),
        1 => Just(Input::OpenManager),
    ]
}

/// What an application could know.
#[derive(Debug, Default)]
struct Told {
    connected: BTreeMap<SocketKey, String>,
    /// Acknowledgements asked for and not decided.
    asked: BTreeSet<u64>,
    /// Kept events that have left, in how many losses.
    left: BTreeMap<u64, usize>,
    dropped: usize,
    /// Numbers that came from the server, by namespace.
    came: BTreeMap<SocketKey, Vec<u64>>,
    losses: usize,
    /// The connection that stands is being closed.
    closing: bool,
    faults: Vec<String>,
}

impl Told {
    fn note(&mut self, event: &ManagerEvent, manager: &Manager) {
        let fair = match event {
            ManagerEvent::Connect { socket, sid, .. } => {
                self.connected.insert(*socket, sid.clone()).is_none()
            }
            ManagerEvent::Close { .. } => {
                self.closing = false;
                true
            }
            ManagerEvent::Disconnect { socket, reason, .. } => {
                self.connected.remove(socket);
                // What was on its way until it was noticed is lost.
                self.losses += usize::from(!matches!(*reason, "io client disconnect" | "forced close"));
                true
            }
            ManagerEvent::Ack { id, .. } | ManagerEvent::AckFailed { id, .. } => self.asked.remove(id),
            ManagerEvent::Sent { number, .. } => self.left.insert(*number, self.losses).is_none(),
            ManagerEvent::Dropped { .. } => {
                self.dropped += 1;
                true
            }
            ManagerEvent::Event { socket, data, .. } => {
                let name = data.read_event(0, &mut Tree(&[])).unwrap().0;
                let number = name.as_u64().unwrap();
                self.came.entry(*socket).or_default().push(number);
                // An early one comes before `Connect`, when that is decided.
                manager.is_connected(*socket)
            }
            _ => true,
        };
        if !fair {
            self.faults.push(format!("{event:?}"));
        }
    }
}

/// An event that was emitted: how many losses there had been when it left, if that is known.
#[derive(Debug, Clone, Copy)]
struct Emission {
    number: u64,
    socket: usize,
    fate: Fate,
    losses: usize,
}

struct Play {
    world: World,
    told: Rc<RefCell<Told>>,
    sockets: [SocketKey; 2],
    emitted: Vec<Emission>,
    /// Numbers of the server's events, and how many losses there had been.
    served: [Vec<(u64, usize)>; 2],
    next: u64,
    blocked: bool,
    was_cut: bool,
}

impl Play {
    fn new(config: ManagerConfig) -> Self {
        let mut world = World::with(config);
        let told = Rc::new(RefCell::new(Told::default()));
        let noted = Rc::clone(&told);
        world.handlers.push(Box::new(move |event, manager, _| noted.borrow_mut().note(event, manager)));
        let retries = SocketOptions { retries: Some(u32::MAX), ack_timeout: Some(secs(2)) };
        let sockets = [world.socket(NAMESPACES[0]), world.manager.socket(NAMESPACES[1], retries)];
        Self {
            world,
            told,
            sockets,
            emitted: Vec::new(),
            served: [Vec::new(), Vec::new()],
            next: 0,
            blocked: false,
            was_cut: false,
        }
    }

    fn losses(&self) -> usize {
        self.told.borrow().losses
    }

    fn lose(&self) {
        self.told.borrow_mut().losses += 1;
    }

    fn play(&mut self, input: Input) {
        let now = self.world.now;
        self.was_cut |= matches!(input, Input::Cut | Input::Break | Input::Swallow | Input::Kill);
        match input {
            Input::Emit { socket, ask, volatile } => self.emit(socket, ask, volatile),
            Input::Answer if self.world.asked.is_empty() => {}
            Input::Answer => drop(self.world.answer(&json!([]))),
            Input::FromServer { socket, ask } => {
                if self.world.server.is_in(NAMESPACES[socket]) {
                    self.next += 1;
                    let id = ask.then_some(self.next);
                    self.world.server.emit(NAMESPACES[socket], id, &json!([self.next]), now);
                    // The client may have left, and the server not know.
                    let told = self.told.borrow();
                    let sid = told.connected.get(&self.sockets[socket]);
                    let sure = !told.closing && sid == Some(&self.world.server.sid(NAMESPACES[socket]));
                    self.served[socket].push((self.next, if sure { told.losses } else { usize::MAX }));
                }
            }
            Input::Up(count) => drop(self.world.step_up(count)),
            Input::Down(count) => drop(self.world.step_down(count)),
            Input::Open => drop(self.world.step_open()),
            Input::Cut => {
                self.lose();
                self.world.cut();
            }
            Input::Break => {
                self.lose();
                self.world.break_streams("broken");
            }
            Input::Swallow => {
                // Bytes do not vanish from a stream that stands.
                self.lose();
                self.world.swallow();
                self.world.cut();
            }
            Input::Kill => {
                self.lose();
                self.world.kill_server();
            }
            Input::Restart => self.world.network = Network::Up,
            Input::Block => {
                self.world.block();
                self.blocked = true;
            }
            Input::Unblock => self.unblock(),
            Input::Turn => self.world.manager.handle_turn(),
            Input::Wait(time) => {
                // A goodbye behind a blocked stream has its bounds, and a silent stream is lost.
                if self.blocked || time > 1000 {
                    self.lose();
                }
                self.world.wait(millis(time));
            }
            Input::Connect(socket) => self.world.manager.connect(self.sockets[socket], now),
            Input::Disconnect(socket) => self.world.manager.disconnect(self.sockets[socket], now),
            Input::Kick(socket) => {
                if self.world.server.is_in(NAMESPACES[socket]) {
                    // What the client has sent to a namespace that it is not in any more is for nobody.
                    self.lose();
                    self.world.server.kick(NAMESPACES[socket], now);
                    self.world.run();
                }
            }
            Input::Close => self.world.manager.close(now),
            Input::CloseEngine => {
                self.told.borrow_mut().closing = self.world.manager.state() != ManagerState::Closed;
                self.world.manager.close_engine(now);
            }
            Input::OpenManager => self.world.manager.open(now),
        }
        self.world.collect();
        if matches!(input, Input::Disconnect(_) | Input::Close | Input::CloseEngine) {
            // So is what goes with a goodbye to nobody: a poll that was cut off may be made once more first.
            if self.was_cut {
                self.lose();
            }
            // What the server sends after the goodbye is for nobody.
            self.served.iter_mut().flatten().for_each(|(_, losses)| *losses = usize::MAX);
        }
    }

    fn emit(&mut self, socket: usize, ask: bool, volatile: bool) {
        self.next += 1;
        let number = self.next;
        let flags = EmitFlags { volatile, ack: ask, timeout: ask.then_some(secs(2)), reported: true };
        let now = self.world.now;
        let prepared = self.world.manager.prepare(self.sockets[socket], flags, now).unwrap();
        if ask {
            self.told.borrow_mut().asked.extend(prepared);
        }
        let packet = crate::app::encode(
            self.world.manager.config().carrier.parser,
            siox::proto::socket::PacketKind::Event,
            NAMESPACES[socket],
            prepared,
            &json!([number]),
        );
        let fate = self.world.manager.emit(self.sockets[socket], packet, prepared, flags, now).unwrap().fate;
        self.emitted.push(Emission { number, socket, fate, losses: self.losses() });
    }

    fn unblock(&mut self) {
        self.world.unblock();
        self.blocked = false;
    }

    /// All is well again, and everything has its time.
    fn settle(&mut self) {
        self.world.network = Network::Up;
        self.unblock();
        self.world.run();
        // What is half on its way arrives before anything else happens.
        self.world.manager.open(self.world.now);
        for socket in self.sockets {
            self.world.manager.connect(socket, self.world.now);
        }
        for _ in 0..self.next + 10 {
            self.unblock();
            self.world.wait(secs(10));
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let told = self.told.borrow();
        prop_assert!(told.faults.is_empty(), "{:?}", told.faults);
        prop_assert!(told.asked.is_empty(), "acknowledgements that were never decided: {:?}", told.asked);
        for (index, socket) in self.sockets.into_iter().enumerate() {
            prop_assert!(self.world.manager.is_connected(socket) && told.connected.contains_key(&socket));
            prop_assert!(self.world.manager.is_settled(socket) && self.world.manager.is_drained(socket));
            let arrived: Vec<u64> = self.arrived(index);
            let mut first = Vec::new();
            for &number in &arrived {
                if !first.contains(&number) {
                    first.push(number);
                }
            }
            if index == 0 {
                prop_assert_eq!(&first, &arrived, "nothing twice");
            }
            let ordered: Vec<u64> =
                first.iter().copied().filter(|number| !self.is_volatile(*number)).collect();
            prop_assert!(ordered.is_sorted(), "{:?}", ordered);
            let came = told.came.get(&socket).cloned().unwrap_or_default();
            prop_assert!(came.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", came);
            for &(number, losses) in &self.served[index] {
                prop_assert!(
                    losses < told.losses || losses == usize::MAX || came.contains(&number),
                    "{} did not come",
                    number
                );
            }
        }
        let arrived = [self.arrived(0), self.arrived(1)];
        for emission in &self.emitted {
            let left = match emission.fate {
                Fate::Sent => Some(emission.losses),
                Fate::Kept(number) => told.left.get(&number).copied(),
                Fate::Dropped => None,
            };
            let is_there = arrived[emission.socket].contains(&emission.number);
            let lost = left.is_some_and(|losses| losses < told.losses);
            let kept = matches!(emission.fate, Fate::Kept(_)) && left.is_none();
            if emission.fate == Fate::Dropped {
                prop_assert!(!is_there, "{:?} was dropped", emission);
            } else if emission.socket == 1 && !self.is_volatile(emission.number) {
                prop_assert!(is_there || told.dropped > 0, "{:?} has retries", emission);
            } else if kept {
                // Dropped for want of room, or its time ran out.
                prop_assert!(!is_there, "{:?} never left", emission);
            } else {
                prop_assert!(is_there || lost, "{:?} got lost on its way", emission);
            }
        }
        Ok(())
    }

    fn arrived(&self, socket: usize) -> Vec<u64> {
        let of_one =
            self.world.server.numbers.iter().filter(|(namespace, _)| namespace == NAMESPACES[socket]);
        of_one.map(|(_, number)| *number).collect()
    }

    /// A volatile event may overtake what waits in a queue of retries.
    fn is_volatile(&self, number: u64) -> bool {
        self.world.volatile.contains(&number)
    }
}

fn play(config: ManagerConfig, inputs: Vec<Input>) -> Result<(), TestCaseError> {
    let mut play = Play::new(config);
    for input in inputs {
        if let Input::Emit { volatile: true, .. } = input {
            play.world.volatile.insert(play.next + 1);
        }
        play.play(input);
    }
    play.settle();
    play.check()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn by_websocket_nothing_is_lost_doubled_or_overtaken(inputs in prop::collection::vec(input(), 0..120), parser in prop::sample::select(&PARSERS)) {
        play(with_parser(config(), parser), inputs)?;
    }

    #[test]
    fn with_little_room_neither(inputs in prop::collection::vec(input(), 0..120), newest in any::<bool>()) {
        let policy = if newest { BufferPolicy::DropNewest } else { BufferPolicy::DropOldest };
        play(ManagerConfig { max_buffered_packets: 3, buffer_policy: policy, ..config() }, inputs)?;
    }

    #[test]
    fn by_polling_neither(inputs in prop::collection::vec(input(), 0..120), upgrade in any::<bool>(), parser in prop::sample::select(&PARSERS)) {
        play(with_parser(polling(upgrade), parser), inputs)?;
    }
}
