//! Slots with generations: a key outlives its entry without ever naming the next one.
//!
//! The first bits of a generation are the tag of the table, which says whose reactor's it is.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::marker::PhantomData;

/// Bits of a generation below the tag.
const TAG_SHIFT: u32 = 24;
/// The last generation of a slot, whatever its tag: it is retired then, as no key may come again.
const LAST_GENERATION: u32 = (1 << TAG_SHIFT) - 1;

/// Names one entry of one [`Slots`]; `T` keeps keys of different tables apart.
pub struct Key<T> {
    index: u32,
    generation: u32,
    table: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// The key as one number, for those who must carry it outside of Rust.
    pub fn to_bits(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.index)
    }

    /// The key behind a number of [`Key::to_bits`].
    #[allow(clippy::cast_possible_truncation)] // two halves of one number
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32, table: PhantomData }
    }

    /// The tag of the table that it belongs to.
    #[allow(clippy::cast_possible_truncation)] // what is left is 8 bits
    pub fn tag(self) -> u8 {
        (self.generation >> TAG_SHIFT) as u8
    }

    /// The place in the table, for side tables that follow it.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

// Derived impls would ask the same of `T`, which is only a name here.
impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}
impl<T> Eq for Key<T> {}
impl<T> std::hash::Hash for Key<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.to_bits().hash(state);
    }
}
impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// What keys name besides their table. Nobody chooses keys, so their hash needs no secret.
pub type KeyMap<T, V> = HashMap<Key<T>, V, BuildHasherDefault<KeyHasher>>;

/// Spreads the bits of keys.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, bits: u64) {
        // The golden ratio's; folded, as a table looks at the first bits and the last.
        let spread = u128::from(self.0 ^ bits) * 0x9e37_79b9_7f4a_7c15;
        #[allow(clippy::cast_possible_truncation)] // its two halves
        let (high, low) = ((spread >> 64) as u64, spread as u64);
        self.0 = high ^ low;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }
}

struct Slot<E> {
    generation: u32,
    entry: Option<E>,
}

/// A table of entries; `T` is the name that its keys bear.
pub struct Slots<T, E = T> {
    table: Vec<Slot<E>>,
    free: Vec<u32>,
    live: usize,
    tag: u8,
    name: PhantomData<fn() -> T>,
}

impl<T, E> Default for Slots<T, E> {
    fn default() -> Self {
        Self::tagged(0)
    }
}

impl<T, E> Slots<T, E> {
    /// An empty table whose keys bear a tag.
    pub fn tagged(tag: u8) -> Self {
        Self { table: Vec::new(), free: Vec::new(), live: 0, tag, name: PhantomData }
    }

    /// Adds an entry made from its own key.
    pub fn insert_with(&mut self, make: impl FnOnce(Key<T>) -> E) -> Key<T> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.table.push(Slot { generation: u32::from(self.tag) << TAG_SHIFT, entry: None });
            u32::try_from(self.table.len() - 1).unwrap_or(u32::MAX)
        });
        let generation = self.table.get(index as usize).map_or(0, |slot| slot.generation);
        let key = Key { index, generation, table: PhantomData };
        if let Some(slot) = self.table.get_mut(index as usize) {
            slot.entry = Some(make(key));
            self.live += 1;
        }
        key
    }

    /// Adds an entry.
    pub fn insert(&mut self, entry: E) -> Key<T> {
        self.insert_with(|_| entry)
    }

    /// The entry, unless it is gone.
    pub fn get(&self, key: Key<T>) -> Option<&E> {
        let slot = self.table.get(key.index())?;
        if slot.generation == key.generation { slot.entry.as_ref() } else { None }
    }

    /// The entry, unless it is gone.
    pub fn get_mut(&mut self, key: Key<T>) -> Option<&mut E> {
        let slot = self.table.get_mut(key.index())?;
        if slot.generation == key.generation { slot.entry.as_mut() } else { None }
    }

    /// Takes the entry out; its key names nothing from here on.
    pub fn remove(&mut self, key: Key<T>) -> Option<E> {
        let slot = self.table.get_mut(key.index())?;
        if slot.generation != key.generation {
            return None;
        }
        let entry = slot.entry.take()?;
        self.live -= 1;
        if slot.generation & LAST_GENERATION != LAST_GENERATION {
            slot.generation += 1;
            self.free.push(key.index);
        }
        Some(entry)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of all entries, in no order of meaning.
    pub fn keys(&self) -> Vec<Key<T>> {
        let live = self.table.iter().enumerate().filter(|(_, slot)| slot.entry.is_some());
        live.map(|(index, slot)| Key {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            generation: slot.generation,
            table: PhantomData,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_removed_entry_names_nothing_though_its_slot_is_used_again() {
        let mut slots: Slots<&str> = Slots::default();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(first.index(), second.index());
        assert_eq!((slots.get(first), slots.get(second)), (None, Some(&"second")));
        assert_eq!((slots.remove(first), slots.len()), (None, 1));
    }

    #[test]
    fn a_slot_whose_generations_are_used_up_is_used_no_more() {
        let mut slots: Slots<u32> = Slots::tagged(64);
        let first = slots.insert(0);
        slots.table[0].generation |= LAST_GENERATION - 1;
        let before = Key::from_bits(first.to_bits() | u64::from(LAST_GENERATION - 1) << 32);
        assert_eq!(slots.remove(before), Some(0));
        let last = slots.insert(1);
        assert_eq!((last.index(), last.tag(), slots.len()), (0, 64, 1));
        assert_eq!(slots.remove(last), Some(1));
        assert_eq!((slots.get(last), slots.len()), (None, 0));
        let next = slots.insert(2);
        assert_eq!((next.index(), next.tag(), slots.len()), (1, 64, 1));
    }

    #[test]
    fn keys_of_neighbours_and_of_other_tables_are_spread() {
        use std::hash::BuildHasher as _;
        let hash = |key: Key<u8>| BuildHasherDefault::<KeyHasher>::default().hash_one(key);
        let (mut low, mut high) = (std::collections::HashSet::new(), std::collections::HashSet::new());
        for (index, tag) in (0..64).flat_map(|index| (0..64).map(move |tag: u64| (index, tag))) {
            let hash = hash(Key::from_bits(tag << 56 | index));
            low.insert(hash & 4095);
            high.insert(hash >> 57);
        }
        // Of 4096 places that many balls at random leave a third empty.
        assert!(low.len() > 2300 && high.len() == 128, "{} {}", low.len(), high.len());
        assert_ne!(KeyHasher::default().finish(), {
            let mut other = KeyHasher::default();
            other.write(b"ab");
            other.finish()
        });
    }

    #[test]
    fn a_key_survives_the_way_through_a_number() {
        let mut slots: Slots<u8> = Slots::default();
        slots.insert(0);
        let key = slots.insert(1);
        assert_eq!(Key::from_bits(key.to_bits()), key);
        assert_eq!(slots.keys().len(), 2);
    }
}
