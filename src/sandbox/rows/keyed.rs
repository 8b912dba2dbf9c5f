//! A table of numbered rows that can also be found by other keys, without walking through all of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::rows::change::Rows;

/// A row that says under which other keys it can be found.
pub trait Keyed {
    fn keys(&self) -> Vec<String>;
}

/// [`Rows`] by number plus an index that is derived, never stored.
#[derive(Debug)]
pub struct KeyedRows<T> {
    rows: Rows<u64, T>,
    index: BTreeMap<String, BTreeSet<u64>>,
}

impl<T> Default for KeyedRows<T> {
    fn default() -> Self {
        Self { rows: Rows::default(), index: BTreeMap::new() }
    }
}

impl<T: Keyed + Serialize + DeserializeOwned> KeyedRows<T> {
    pub fn get(&self, id: u64) -> Option<&T> {
        self.rows.get(&id)
    }

    pub fn put(&mut self, id: u64, row: T) {
        self.forget(id);
        self.learn(id, row.keys());
        self.rows.put(id, row);
    }

    /// Changes a row in place and keeps the index true; `None` when there is no such row.
    pub fn edit<R>(&mut self, id: u64, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.forget(id);
        let row = self.rows.get_mut(&id)?;
        let result = change(row);
        let keys = row.keys();
        self.learn(id, keys);
        Some(result)
    }

    pub fn remove(&mut self, id: u64) -> Option<T> {
        self.forget(id);
        self.rows.remove(&id)
    }

    /// The numbers of all rows under a key, ascending.
    pub fn ids(&self, key: &str) -> Vec<u64> {
        self.index.get(key).map(|ids| ids.iter().copied().collect()).unwrap_or_default()
    }

    /// All rows under a key, by number.
    pub fn find<'a>(&'a self, key: &str) -> impl Iterator<Item = (u64, &'a T)> + use<'a, T> {
        self.ids(key).into_iter().filter_map(|id| Some((id, self.rows.get(&id)?)))
    }

    /// The first row under a key.
    pub fn first(&self, key: &str) -> Option<(u64, &T)> {
        let id = *self.index.get(key)?.first()?;
        Some((id, self.rows.get(&id)?))
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.rows.iter().map(|(id, row)| (*id, row))
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn take_changes(&mut self) -> Vec<(String, Option<Value>)> {
        self.rows.take_changes()
    }

    #[must_use]
    pub fn apply(&mut self, key: &str, row: Option<Value>) -> bool {
        let Ok(id) = key.parse() else { return false };
        self.forget(id);
        let known = self.rows.apply(key, row);
        if let Some(keys) = self.rows.get(&id).map(Keyed::keys) {
            self.learn(id, keys);
        }
        known
    }

    pub fn all(&self) -> Vec<(String, Value)> {
        self.rows.all()
    }

    fn learn(&mut self, id: u64, keys: Vec<String>) {
        for key in keys {
            self.index.entry(key).or_default().insert(id);
        }
    }

    fn forget(&mut self, id: u64) {
        let Some(keys) = self.rows.get(&id).map(Keyed::keys) else { return };
        for key in keys {
            if let Some(ids) = self.index.get_mut(&key) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.index.remove(&key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Keyed, KeyedRows};

    impl Keyed for String {
        fn keys(&self) -> Vec<String> {
            vec![format!("first:{}", &self[..1])]
        }
    }

    #[test]
    fn ids_finds_rows_by_what_they_say_now() {
        let mut table: KeyedRows<String> = KeyedRows::default();
        table.put(1, "apple".into());
        table.put(2, "avocado".into());
        table.edit(1, |row| *row = "banana".into());
        assert_eq!(table.ids("first:a"), [2]);
        assert_eq!(table.first("first:b").map(|(id, _)| id), Some(1));
        table.remove(2);
        assert!(table.ids("first:a").is_empty());

        let mut other: KeyedRows<String> = KeyedRows::default();
        for (key, row) in table.take_changes() {
            assert!(other.apply(&key, row));
        }
        assert_eq!(other.ids("first:b"), [1], "the index is derived when rows are replayed");
    }
}
