//! Where users are, request by request: only what changed is written down, and whoever reads the log puts it together again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::linode::dns::targets::{MetBy, ServedVerdict, Users};
use crate::rows::change::Rows;

/// What changed between two moments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictNews {
    /// By name; `None` when no record has it any more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, Option<ServedVerdict>>,
    /// All balancers that serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balancers: Option<BTreeSet<String>>,
    /// All machines that serve under an address of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machines: Option<BTreeSet<String>>,
}

impl VerdictNews {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Brings what was known up to date.
    pub fn tell(&self, users: &mut Users) {
        for (name, verdict) in &self.names {
            match verdict {
                Some(verdict) => users.names.insert(name.clone(), verdict.clone()),
                None => users.names.remove(name),
            };
        }
        if let Some(balancers) = &self.balancers {
            users.balancers.clone_from(balancers);
        }
        if let Some(machines) = &self.machines {
            users.machines.clone_from(machines);
        }
    }
}

impl fmt::Display for VerdictNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = self
            .names
            .iter()
            .map(|(name, verdict)| match verdict {
                Some(verdict) => format!("{name} is {verdict}"),
                None => format!("{name} is gone"),
            })
            .collect();
        f.write_str(&told.join("; "))
    }
}

impl fmt::Display for ServedVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.met)?;
        let told: Vec<String> =
            self.targets.iter().map(|(address, met)| format!("{address} {met}")).collect();
        if !told.is_empty() {
            write!(f, " ({})", told.join(", "))?;
        }
        match self.met {
            MetBy::Served => Ok(()),
            _ if self.way => f.write_str(", although a target that serves exists"),
            _ => f.write_str(", and no target that serves exists"),
        }
    }
}

/// What the log was told last; part of the world, since any process may write the next line.
#[derive(Debug, Default)]
pub struct ToldVerdicts {
    pub names: Rows<String, ServedVerdict>,
    pub sets: Rows<String, BTreeSet<String>>,
}

impl ToldVerdicts {
    /// What is new, which counts as told from now on.
    pub fn news(&mut self, users: &Users) -> VerdictNews {
        let mut news = VerdictNews::default();
        let gone: Vec<String> = self
            .names
            .iter()
            .map(|(name, _)| name.clone())
            .filter(|name| !users.names.contains_key(name))
            .collect();
        for name in gone {
            self.names.remove(&name);
            news.names.insert(name, None);
        }
        for (name, verdict) in &users.names {
            if self.names.get(name) != Some(verdict) {
                self.names.put(name.clone(), verdict.clone());
                news.names.insert(name.clone(), Some(verdict.clone()));
            }
        }
        news.balancers = self.set("balancers", &users.balancers);
        news.machines = self.set("machines", &users.machines);
        news
    }

    fn set(&mut self, name: &str, wanted: &BTreeSet<String>) -> Option<BTreeSet<String>> {
        let key = name.to_owned();
        let known = self.sets.get(&key);
        if known.map_or(wanted.is_empty(), |it| it == wanted) {
            return None;
        }
        self.sets.put(key, wanted.clone());
        Some(wanted.clone())
    }

    /// Everything is new again.
    pub fn forget(&mut self) {
        let names: Vec<String> = self.names.iter().map(|(name, _)| name.clone()).collect();
        for name in &names {
            self.names.remove(name);
        }
        let sets: Vec<String> = self.sets.iter().map(|(name, _)| name.clone()).collect();
        for name in &sets {
            self.sets.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{ToldVerdicts, VerdictNews};
    use crate::linode::dns::targets::{MetBy, ServedVerdict, Users};

    fn users(names: &[(&str, MetBy)]) -> Users {
        let verdict = |met| ServedVerdict { met, targets: BTreeMap::new(), way: false };
        let names = names.iter().map(|(name, met)| ((*name).to_owned(), verdict(*met)));
        Users { names: names.collect(), ..Users::default() }
    }

    #[test]
    fn news_tells_changes_once_and_they_add_up_to_all() {
        let mut told = ToldVerdicts::default();
        let mut known = Users::default();
        let all = [
            users(&[("a", MetBy::Served), ("b", MetBy::Failing)]),
            users(&[("a", MetBy::Served), ("b", MetBy::Failing)]),
            users(&[("a", MetBy::Lost)]),
        ];
        let news: Vec<VerdictNews> = all.iter().map(|it| told.news(it)).collect();
        assert_eq!(news[0].names.len(), 2);
        assert!(news[1].is_empty());
        assert_eq!(news[2].to_string(), "a is lost, and no target that serves exists; b is gone");
        for it in &news {
            it.tell(&mut known);
        }
        assert_eq!(known, all[2]);
        told.forget();
        assert_eq!(told.news(&all[2]).names.len(), 1, "everything is new again");
    }
}
