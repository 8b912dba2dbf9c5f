//! Maps that keep the order of insertion and find a short name fast.

pub use foldhash::fast::RandomState as FoldHash;
use indexmap::{IndexMap, IndexSet};

/// A map in the order of insertion; the order never depends on the hash, whose seed is the process's own.
pub type FastMap<K, V> = IndexMap<K, V, FoldHash>;

pub type FastSet<T> = IndexSet<T, FoldHash>;
