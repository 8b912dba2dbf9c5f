//! Maps that keep the order of insertion and find a short name in few instructions.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use indexmap::{IndexMap, IndexSet};

/// A map in the order of insertion; the order never depends on the hash.
pub type QuickMap<K, V> = IndexMap<K, V, Seeded>;

pub type QuickSet<T> = IndexSet<T, Seeded>;

/// Makes hashers with this process's seed, so that nobody can choose names that all collide.
#[derive(Debug, Clone, Copy)]
pub struct Seeded(u64);

impl Default for Seeded {
    fn default() -> Self {
        static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u8));
        Self(*SEED)
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding(self.0)
    }
}

/// Multiplies eight bytes at a time and folds the halves of the product onto each other.
#[derive(Debug)]
pub struct Folding(u64);

/// An odd number without pattern: the fraction of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Folding {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product")]
    fn add(&mut self, part: u64) {
        let product = u128::from(self.0 ^ part) * u128::from(FACTOR);
        // Without the length a product of zero would swallow what comes after it.
        self.0 = (product as u64 ^ (product >> 64) as u64).wrapping_add(FACTOR);
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((part, after)) = rest.split_first_chunk() {
            self.add(u64::from_le_bytes(*part));
            rest = after;
        }
        // The tail may take up bytes that are hashed already; the length tells such texts apart.
        let length = bytes.len() as u64;
        match (bytes.last_chunk(), rest) {
            (_, []) => {}
            (Some(last), _) => self.add(u64::from_le_bytes(*last) ^ length),
            (None, rest) => {
                let tail = rest.iter().rev().fold(length, |tail, it| tail << 8 | u64::from(*it));
                self.add(tail);
            }
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.add(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasher as _;

    use super::{QuickMap, Seeded};
    use crate::engine::address::Address;

    #[test]
    fn owned_and_lent_names_are_one_key_and_the_order_is_that_of_insertion() {
        let mut map: QuickMap<String, usize> = QuickMap::default();
        let names: Vec<String> =
            (0..1000).map(|it| "long_name_".repeat(it % 5) + &it.to_string()).collect();
        for (at, name) in names.iter().enumerate() {
            map.insert(name.clone(), at);
        }
        assert!(map.keys().eq(&names));
        for (at, name) in names.iter().enumerate() {
            assert_eq!(map.get(name.as_str()), Some(&at));
        }
        assert_eq!(map.get("nobody"), None);
    }

    /// A hash that keeps few bits of what it is given would make every map a list.
    #[test]
    fn names_that_differ_little_differ_in_their_hashes() {
        let state = Seeded::default();
        let names = (0..20_000_u32).map(|it| state.hash_one(format!("r{it}")));
        let addresses = (0..20_000_u32).map(|it| state.hash_one(Address::index("web", it)));
        let all: Vec<u64> = names.chain(addresses).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 40_000);
        // Tables use the low bits for the slot and the highest for the first comparison.
        let low = all.iter().map(|it| it % (1 << 16)).collect::<BTreeSet<_>>().len();
        let high = all.iter().map(|it| it >> 57).collect::<BTreeSet<_>>().len();
        assert!(low > 28_000 && high == 128, "{low} {high}");
    }
}
