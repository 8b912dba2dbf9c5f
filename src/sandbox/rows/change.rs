//! A table of rows that remembers which of them changed, so that only those are appended to the world's log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Rows by key; every change goes through [`Rows::put`], [`Rows::get_mut`] or [`Rows::remove`].
#[derive(Debug, Clone)]
pub struct Rows<K: Ord, T> {
    rows: BTreeMap<K, T>,
    changed: BTreeSet<K>,
}

impl<K: Ord, T> Default for Rows<K, T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), changed: BTreeSet::new() }
    }
}

impl<K: Ord + Clone + Display + FromStr, T: Serialize + DeserializeOwned> Rows<K, T> {
    pub fn get(&self, key: &K) -> Option<&T> {
        self.rows.get(key)
    }

    /// Marks the row as changed; borrow it only to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut T> {
        let row = self.rows.get_mut(key)?;
        self.changed.insert(key.clone());
        Some(row)
    }

    pub fn put(&mut self, key: K, row: T) {
        self.changed.insert(key.clone());
        self.rows.insert(key, row);
    }

    pub fn remove(&mut self, key: &K) -> Option<T> {
        let row = self.rows.remove(key)?;
        self.changed.insert(key.clone());
        Some(row)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &T)> {
        self.rows.iter()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Key and row (`None` = removed) of everything changed since the last call.
    pub fn take_changes(&mut self) -> Vec<(String, Option<Value>)> {
        let rows = &self.rows;
        std::mem::take(&mut self.changed)
            .into_iter()
            .map(|key| {
                let row = rows.get(&key).map(|row| {
                    serde_json::to_value(row).expect("rows are plain data and serialize")
                });
                (key.to_string(), row)
            })
            .collect()
    }

    /// Applies one change read from the log; false when it does not parse.
    #[must_use]
    pub fn apply(&mut self, key: &str, row: Option<Value>) -> bool {
        let Ok(key) = key.parse::<K>() else { return false };
        match row {
            None => {
                self.rows.remove(&key);
                true
            }
            Some(row) => match serde_json::from_value(row) {
                Ok(row) => {
                    self.rows.insert(key, row);
                    true
                }
                Err(_) => false,
            },
        }
    }

    /// Every row, for a snapshot.
    pub fn all(&self) -> Vec<(String, Value)> {
        self.rows
            .iter()
            .map(|(key, row)| {
                let row = serde_json::to_value(row).expect("rows are plain data and serialize");
                (key.to_string(), row)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn apply_of_taken_changes_gives_the_same_rows() {
        let mut rows: Rows<u64, String> = Rows::default();
        rows.put(1, "a".into());
        rows.put(2, "b".into());
        rows.get_mut(&1).unwrap().push('!');
        rows.remove(&2);
        let mut other: Rows<u64, String> = Rows::default();
        for (key, row) in rows.take_changes() {
            assert!(other.apply(&key, row));
        }
        assert_eq!(other.all(), rows.all());
        assert!(rows.take_changes().is_empty());
    }
}
