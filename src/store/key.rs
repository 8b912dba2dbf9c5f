//! What a store calls what it holds: names that are relative to it, and that nothing can lead out of it.

use std::borrow::Cow;
use std::fmt;

/// The state, whole.
pub static SNAPSHOT: StoreKey = StoreKey(Cow::Borrowed("state.snapshot"));

/// The entries since then.
pub static JOURNAL: StoreKey = StoreKey(Cow::Borrowed("journal"));

/// Which snapshot is in place where a state is kept in objects.
pub static HEAD: StoreKey = StoreKey(Cow::Borrowed("head"));

/// Batches of entries, each under the number of its first one.
pub static ENTRIES: KeyPrefix = KeyPrefix(Cow::Borrowed("entries"));

/// Snapshots, each under a name of its own.
pub static SNAPSHOTS: KeyPrefix = KeyPrefix(Cow::Borrowed("snapshots"));

/// Who may write: claims, heartbeats, stop flags.
pub static LEASE: KeyPrefix = KeyPrefix(Cow::Borrowed("lease"));

/// What was in place before.
pub static HISTORY: KeyPrefix = KeyPrefix(Cow::Borrowed("history"));

/// What is not believed any more.
pub static DISCARDED: KeyPrefix = KeyPrefix(Cow::Borrowed("discarded"));

/// What switches and drills took.
pub static REPORTS: KeyPrefix = KeyPrefix(Cow::Borrowed("reports"));

/// What people said of tasks that wait for them.
pub static APPROVALS: KeyPrefix = KeyPrefix(Cow::Borrowed("approvals"));

/// Plans that are reviewed before they run.
pub static PLANS: KeyPrefix = KeyPrefix(Cow::Borrowed("plans"));

/// Which stores the state has, and in which of them it goes on: the same for who has no key.
pub static STORES: StoreKey = StoreKey(Cow::Borrowed("stores"));

/// Word of where a state went.
pub static MOVED: StoreKey = StoreKey(Cow::Borrowed("moved.json"));

/// What is encrypted: a store of its own in the same place, with keys, a lease and a word of its own.
pub static SEALED: KeyPrefix = KeyPrefix(Cow::Borrowed("sealed"));

/// The ending of a snapshot that is kept.
pub const KEPT_SNAPSHOT: &str = "snapshot";

/// The ending of a journal that is kept.
pub const KEPT_JOURNAL: &str = "journal";

/// The ending of what is written and has not got its name yet.
pub const PREPARED: &str = "new";

/// The name of one thing in a store: `history/00000003.snapshot`. It has at least one part, and no part is empty, `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreKey(Cow<'static, str>);

/// What the keys of one sort of thing begin with: `history`. Nothing for those that stand in the store itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyPrefix(Cow<'static, str>);

impl StoreKey {
    /// A key as it is written; `None` if this is none.
    pub fn parse(text: &str) -> Option<Self> {
        text.split('/').all(is_name).then(|| Self(Cow::Owned(text.into())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn prefix(&self) -> KeyPrefix {
        let prefix = self.0.rsplit_once('/').map_or("", |(prefix, _)| prefix);
        KeyPrefix(Cow::Owned(prefix.into()))
    }

    /// What follows its prefix: `00000003.snapshot`
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The same key below another prefix.
    #[must_use]
    pub fn within(&self, outer: &KeyPrefix) -> Self {
        Self(Cow::Owned(format!("{}/{}", outer.0, self.0)))
    }

    /// Its name without its ending: `00000003`
    pub fn stem(&self) -> &str {
        self.split().0
    }

    /// `snapshot`
    pub fn ending(&self) -> Option<&str> {
        self.split().1
    }

    /// A name that begins with a dot is hidden, and that is no ending.
    fn split(&self) -> (&str, Option<&str>) {
        match self.name().rsplit_once('.') {
            Some((stem, ending)) if !stem.is_empty() => (stem, Some(ending)),
            _ => (self.name(), None),
        }
    }
}

impl KeyPrefix {
    /// Of the keys that stand in the store itself.
    pub const ROOT: Self = Self(Cow::Borrowed(""));

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same prefix below another one.
    #[must_use]
    pub fn within(&self, outer: &Self) -> Self {
        let slash = if self.0.is_empty() { "" } else { "/" };
        Self(Cow::Owned(format!("{}{slash}{}", outer.0, self.0)))
    }

    /// The key of this name below it.
    ///
    /// Panics if that is no name: who takes one from outside checks it before, and what lifeboat makes up itself is one.
    #[must_use]
    pub fn key(&self, name: &str) -> StoreKey {
        assert!(is_name(name), "`{name}` would lead elsewhere");
        let Self(prefix) = self;
        let text = if prefix.is_empty() { name.into() } else { format!("{prefix}/{name}") };
        StoreKey(Cow::Owned(text))
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text can be one part of a key.
pub fn is_name(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.contains(['/', '\0'])
}

/// The highest serial or number of an entry that is believed: a thousand a second would take three hundred million years. A file
/// that names a higher one is not ours, and what counts on from it must not overflow.
pub const NUMBER_MAX: u64 = u64::MAX / 2;

#[cfg(test)]
mod tests {
    use super::{HISTORY, KeyPrefix, StoreKey, is_name};

    #[test]
    fn new_refuses_keys_that_lead_out_of_the_store() {
        for out in ["", "/", "/etc/passwd", "..", "../other", "history/../../other", ".", "a/./b"] {
            assert_eq!(StoreKey::parse(out), None, "{out}");
        }
        for out in ["a//b", "a/", "a\0b"] {
            assert_eq!(StoreKey::parse(out), None, "{out}");
        }
        assert!(!is_name("a/b") && is_name("...") && is_name(".hidden"));
        std::panic::catch_unwind(|| HISTORY.key("../journal")).unwrap_err();
    }

    #[test]
    fn key_joins_prefix_and_name() {
        let key = HISTORY.key("00000003.snapshot");
        assert_eq!(StoreKey::parse("history/00000003.snapshot"), Some(key.clone()));
        assert_eq!((key.prefix(), key.name()), (HISTORY.clone(), "00000003.snapshot"));
        assert_eq!((key.stem(), key.ending()), ("00000003", Some("snapshot")));
        let key = KeyPrefix::ROOT.key("journal");
        assert_eq!((key.prefix(), key.as_str(), key.ending()), (KeyPrefix::ROOT, "journal", None));
        assert_eq!(KeyPrefix::ROOT.key(".json").ending(), None);
    }
}
