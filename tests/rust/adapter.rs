//! Rooms and targets against a model of sets.

use proptest::prelude::*;
use siox::adapter::{Flags, Rooms, Target};
use siox::proto::sid::{RANDOM_BYTES, Sid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SOCKETS: u8 = 6;

fn sid(socket: u8) -> Sid {
    Sid::from_random([socket; RANDOM_BYTES])
}

/// Room names: some of them are sockets' ids.
fn name(number: u8) -> String {
    if number < SOCKETS { sid(number).to_string() } else { format!("room {number}") }
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u8),
    Remove(u8),
    Join(u8, u8),
    Leave(u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let socket = 0..SOCKETS;
    let room = 0..SOCKETS * 2;
    let step = prop_oneof![
        2 => socket.clone().prop_map(Step::Insert),
        1 => socket.clone().prop_map(Step::Remove),
        6 => (socket.clone(), room.clone()).prop_map(|(socket, room)| Step::Join(socket, room)),
        3 => (socket, room).prop_map(|(socket, room)| Step::Leave(socket, room)),
    ];
    prop::collection::vec(step, 0..120)
}

fn targets() -> impl Strategy<Value = Target<u8>> {
    let rooms = prop::collection::vec((0..SOCKETS * 2).prop_map(name), 0..4);
    (rooms.clone(), rooms, prop::option::of(0..SOCKETS)).prop_map(|(rooms, except, except_socket)| Target {
        rooms,
        except,
        except_socket,
        flags: Flags::default(),
    })
}

/// Each socket with its rooms.
type Model = BTreeMap<u8, BTreeSet<String>>;

fn apply(step: &Step, rooms: &mut Rooms<u8>, model: &mut Model) -> Result<(), TestCaseError> {
    match *step {
        Step::Insert(socket) => {
            let fresh = !model.contains_key(&socket);
            model.entry(socket).or_insert_with(|| BTreeSet::from([name(socket)]));
            prop_assert_eq!(rooms.insert(socket, sid(socket)), fresh);
        }
        Step::Remove(socket) => {
            let left: BTreeSet<Arc<str>> = rooms.remove(socket).into_iter().collect();
            let expected = model.remove(&socket).unwrap_or_default();
            prop_assert_eq!(left, expected.into_iter().map(Arc::from).collect());
        }
        Step::Join(socket, room) => {
            let joined = model.get_mut(&socket).is_some_and(|rooms| rooms.insert(name(room)));
            prop_assert_eq!(rooms.join(socket, &name(room)), joined);
        }
        Step::Leave(socket, room) => {
            let left = model.get_mut(&socket).is_some_and(|rooms| rooms.remove(&name(room)));
            prop_assert_eq!(rooms.leave(socket, &name(room)), left);
        }
    }
    Ok(())
}

fn resolve(target: &Target<u8>, model: &Model) -> BTreeSet<u8> {
    let in_any = |names: &[String], rooms: &BTreeSet<String>| names.iter().any(|name| rooms.contains(name));
    let wanted = |socket: u8, rooms: &BTreeSet<String>| {
        (target.rooms.is_empty() || in_any(&target.rooms, rooms))
            && !in_any(&target.except, rooms)
            && target.except_socket != Some(socket)
    };
    model.iter().filter(|(socket, rooms)| wanted(**socket, rooms)).map(|(&socket, _)| socket).collect()
}

fn check(rooms: &Rooms<u8>, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(rooms.len(), model.len());
    for socket in 0..SOCKETS {
        let names: BTreeSet<String> = rooms.rooms_of(socket).map(str::to_owned).collect();
        prop_assert_eq!(rooms.rooms_of(socket).count(), names.len());
        prop_assert_eq!(&names, &model.get(&socket).cloned().unwrap_or_default());
        prop_assert_eq!(rooms.find(&sid(socket)), model.contains_key(&socket).then_some(socket));
    }
    for number in 0..SOCKETS * 2 {
        let name = name(number);
        let expected: BTreeSet<u8> =
            model.iter().filter(|(_, rooms)| rooms.contains(&name)).map(|(&socket, _)| socket).collect();
        let members: Vec<u8> = rooms.members(&name).collect();
        prop_assert_eq!(members.len(), expected.len());
        prop_assert!(members.iter().all(|socket| expected.contains(socket) && rooms.is_in(*socket, &name)));
        prop_assert_eq!(rooms.has_room(&name), !expected.is_empty());
    }
    for (name, members) in rooms.named_rooms() {
        prop_assert!(!members.is_empty() && rooms.has_room(name));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rooms_behave_like_their_model(steps in steps(), targets in prop::collection::vec(targets(), 4)) {
        let (mut rooms, mut model) = (Rooms::new(), Model::new());
        for step in &steps {
            apply(step, &mut rooms, &mut model)?;
        }
        check(&rooms, &model)?;
        for target in &targets {
            let mut out = Vec::new();
            rooms.resolve(target, &mut out);
            let expected = resolve(target, &model);
            prop_assert_eq!(out.len(), expected.len(), "each socket once");
            prop_assert_eq!(out.into_iter().collect::<BTreeSet<u8>>(), expected);
        }
    }
}

#[test]
fn many_sockets_come_and_go_in_many_rooms_in_little_time() {
    let mut rooms = Rooms::new();
    let sids: Vec<Sid> = (0..1000u64)
        .map(|socket| {
            let mut random = [0; RANDOM_BYTES];
            random[..8].copy_from_slice(&socket.to_be_bytes());
            Sid::from_random(random)
        })
        .collect();
    for (socket, &sid) in (0u64..).zip(&sids) {
        rooms.insert(socket, sid);
        for room in 0..100 {
            rooms.join(socket, &format!("room {room}"));
        }
    }
    for socket in 0..1000 {
        assert_eq!(rooms.remove(socket).len(), 101);
    }
    assert!(rooms.is_empty() && rooms.named_rooms().next().is_none());
}
