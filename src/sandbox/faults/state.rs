//! What goes wrong in the world: lost fault domains, unhealthy machines, and faults of single requests, seeded and counted.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use crate::faults::spec::{Effect, FaultSpec};
use crate::http::{Millis, SandboxRequest};
use crate::rng::draw;
use crate::rows::change::Rows;

/// How a lost fault domain shows itself to who calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostHow {
    /// The connection stays open and says nothing.
    Hang,
    /// The connection is closed at once; on one shared port that is as near to a refusal as it gets.
    Refuse,
    /// Every call is answered 503.
    Unavailable,
}

impl FromStr for LostHow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hang" => Ok(Self::Hang),
            "refuse" => Ok(Self::Refuse),
            "503" | "unavailable" => Ok(Self::Unavailable),
            other => Err(format!("unknown kind of loss {other:?}; use hang, refuse, or 503")),
        }
    }
}

/// A fault of requests as the world keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestFault {
    pub spec: FaultSpec,
    pub met: u64,
    pub fired: u64,
}

impl fmt::Display for LostHow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hang => "calls hang",
            Self::Refuse => "connections are closed",
            Self::Unavailable => "calls are answered with 503",
        })
    }
}

/// What is gone for good when a lost fault domain heals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doom {
    #[default]
    Nothing,
    /// Objects by label or name.
    These(BTreeSet<String>),
    Everything,
}

impl Doom {
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::These(names) => names.contains(name),
            Self::Everything => true,
        }
    }

    fn grow(&mut self, object: Option<&str>) {
        *self = match (std::mem::take(self), object) {
            (Self::Everything, _) | (_, None) => Self::Everything,
            (Self::Nothing, Some(name)) => Self::These(BTreeSet::from([name.to_owned()])),
            (Self::These(mut names), Some(name)) => {
                names.insert(name.to_owned());
                Self::These(names)
            }
        };
    }
}

/// Whether groups of tables take changes that concern all members while one of them is lost. What the real service does is
/// not known, so a drill can try both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupsMode {
    #[default]
    Frozen,
    Changeable,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostState {
    pub how: LostHow,
    pub since: Millis,
    #[serde(default)]
    pub groups: GroupsMode,
    #[serde(default)]
    pub doom: Doom,
}

/// What a healing ended.
#[derive(Debug, Clone, Default)]
pub struct Healed {
    pub lost: Vec<(String, LostState)>,
    pub unhealthy: Vec<String>,
}

/// Everything that is wrong at the moment.
#[derive(Debug, Default)]
pub struct Faults {
    lost: Rows<String, LostState>,
    unhealthy: Rows<String, Millis>,
    requests: Rows<u64, RequestFault>,
}

impl Faults {
    /// How this fault domain is lost, if it is.
    pub fn lost(&self, fault_domain: &str) -> Option<LostHow> {
        self.lost.get(&fault_domain.to_owned()).map(|it| it.how)
    }

    /// Loses it, or changes how it is lost; since when it is, and what is doomed in it, stays.
    pub fn lose(&mut self, now: Millis, fault_domain: &str, how: LostHow) {
        self.lose_with(now, fault_domain, how, GroupsMode::Frozen);
    }

    pub fn lose_with(&mut self, now: Millis, fault_domain: &str, how: LostHow, groups: GroupsMode) {
        let lost = match self.lost.get(&fault_domain.to_owned()) {
            Some(before) => LostState { how, groups, ..before.clone() },
            None => LostState { how, since: now, groups, doom: Doom::Nothing },
        };
        self.lost.put(fault_domain.into(), lost);
    }

    /// Dooms an object of a lost fault domain, or all of them; false when it is not lost.
    pub fn doom(&mut self, fault_domain: &str, object: Option<&str>) -> bool {
        let lost = self.lost.get_mut(&fault_domain.to_owned());
        lost.map(|it| it.doom.grow(object)).is_some()
    }

    /// Everything that is lost at the moment.
    pub fn all_lost(&self) -> impl Iterator<Item = (&str, &LostState)> {
        self.lost.iter().map(|(name, it)| (name.as_str(), it))
    }

    /// The labels of all unhealthy machines.
    pub fn all_unhealthy(&self) -> impl Iterator<Item = &str> {
        self.unhealthy.iter().map(|(label, _)| label.as_str())
    }

    pub fn is_unhealthy(&self, label: &str) -> bool {
        self.unhealthy.get(&label.to_owned()).is_some()
    }

    pub fn mark_unhealthy(&mut self, now: Millis, label: &str) {
        self.unhealthy.put(label.into(), now);
    }

    /// Ends what is wrong with one fault domain or machine, or everything including the faults of requests.
    pub fn heal(&mut self, name: Option<&str>) -> Healed {
        let chosen = |key: &String| name.is_none_or(|name| name == key);
        let lost: Vec<String> =
            self.lost.iter().map(|(key, _)| key.clone()).filter(chosen).collect();
        let unhealthy: Vec<String> =
            self.unhealthy.iter().map(|(key, _)| key.clone()).filter(chosen).collect();
        for key in &unhealthy {
            self.unhealthy.remove(key);
        }
        if name.is_none() {
            self.end_requests();
        }
        let lost = lost.into_iter().filter_map(|key| Some((key.clone(), self.lost.remove(&key)?)));
        Healed { lost: lost.collect(), unhealthy }
    }

    /// Ends the faults of requests; what is lost or unhealthy stays so.
    pub fn end_requests(&mut self) {
        let faults: Vec<u64> = self.requests.iter().map(|(key, _)| *key).collect();
        for key in faults {
            self.requests.remove(&key);
        }
    }

    pub fn add(&mut self, spec: FaultSpec) {
        let id = self.requests.iter().last().map_or(1, |(last, _)| last + 1);
        self.requests.put(id, RequestFault { spec, met: 0, fired: 0 });
    }

    /// Counts this request against every fault that meets it and says what the first ready one does.
    pub fn strike(&mut self, seed: u64, request: &SandboxRequest) -> Option<Effect> {
        let met: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, fault)| fault.spec.times == 0 || fault.fired < fault.spec.times)
            .filter(|(_, fault)| fault.spec.meets(request))
            .map(|(id, _)| *id)
            .collect();
        let mut effect = None;
        for id in met {
            let Some(fault) = self.requests.get_mut(&id) else { continue };
            fault.met += 1;
            let since = fault.met.checked_sub(fault.spec.nth.max(1));
            let ready = since.is_some_and(|it| it % fault.spec.every.max(1) == 0)
                && draw(seed, id, fault.met) < fault.spec.probability;
            if effect.is_none() && ready {
                fault.fired += 1;
                effect = Some(fault.spec.effect.clone());
            }
        }
        effect
    }

    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.unhealthy.is_empty() && self.requests.is_empty()
    }

    pub fn show(&self) -> Value {
        let lost: serde_json::Map<String, Value> =
            self.lost.iter().map(|(key, it)| (key.clone(), json!(it.how))).collect();
        let unhealthy: Vec<&String> = self.unhealthy.iter().map(|(label, _)| label).collect();
        let requests: Vec<Value> = self.requests.iter().map(|(_, fault)| json!(fault)).collect();
        json!({ "lost": lost, "unhealthy": unhealthy, "requests": requests })
    }

    pub fn take_changes(&mut self) -> Vec<(&'static str, String, Option<Value>)> {
        let mut changes = Vec::new();
        changes.extend(self.lost.take_changes().into_iter().map(|(key, row)| ("lost", key, row)));
        changes.extend(
            self.unhealthy.take_changes().into_iter().map(|(key, row)| ("unhealthy", key, row)),
        );
        changes.extend(
            self.requests.take_changes().into_iter().map(|(key, row)| ("requests", key, row)),
        );
        changes
    }

    #[must_use]
    pub fn apply(&mut self, table: &str, key: &str, row: Option<Value>) -> bool {
        match table {
            "lost" => self.lost.apply(key, row),
            "unhealthy" => self.unhealthy.apply(key, row),
            "requests" => self.requests.apply(key, row),
            _ => false,
        }
    }

    pub fn all(&self) -> Vec<(&'static str, String, Value)> {
        let mut rows = Vec::new();
        rows.extend(self.lost.all().into_iter().map(|(key, row)| ("lost", key, row)));
        rows.extend(self.unhealthy.all().into_iter().map(|(key, row)| ("unhealthy", key, row)));
        rows.extend(self.requests.all().into_iter().map(|(key, row)| ("requests", key, row)));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect, FaultSpec, Faults, LostHow};
    use crate::http::SandboxRequest;

    fn request(method: &str, path: &str) -> SandboxRequest {
        SandboxRequest { method: method.into(), path: path.into(), ..SandboxRequest::default() }
    }

    #[test]
    fn strike_fires_from_the_nth_match_on_and_only_so_often() {
        let mut faults = Faults::default();
        faults.add("POST /linode/instances lost_reply nth=2 times=1".parse().unwrap());
        let post = request("POST", "/v4/linode/instances");
        assert_eq!(faults.strike(1, &request("GET", "/v4/linode/instances")), None);
        assert_eq!(faults.strike(1, &post), None);
        assert_eq!(faults.strike(1, &post), Some(Effect::LostReply));
        assert_eq!(faults.strike(1, &post), None);
    }

    #[test]
    fn strike_fires_on_every_nth_match() {
        let mut faults = Faults::default();
        faults.add("GET 500 nth=2 every=3 times=0".parse().unwrap());
        let hit = |faults: &mut Faults| faults.strike(1, &request("GET", "/v4/domains")).is_some();
        let hits: Vec<bool> = (0..8).map(|_| hit(&mut faults)).collect();
        assert_eq!(hits, [false, true, false, false, true, false, false, true]);
    }

    #[test]
    fn end_requests_ends_faults_of_requests_alone() {
        let mut faults = Faults::default();
        faults.lose(0, "linode:us-east", LostHow::Hang);
        faults.add("hang times=0".parse().unwrap());
        assert_eq!(faults.strike(1, &request("GET", "/v4/domains")), Some(Effect::Hang));
        faults.end_requests();
        assert_eq!(faults.strike(1, &request("GET", "/v4/domains")), None);
        assert_eq!(faults.lost("linode:us-east"), Some(LostHow::Hang));
    }

    #[test]
    fn strike_is_repeated_by_the_same_seed() {
        let runs: Vec<Vec<bool>> = [7, 7, 8]
            .iter()
            .map(|seed| {
                let mut faults = Faults::default();
                faults.add("GET 500 times=0 probability=0.3".parse().unwrap());
                (0..200)
                    .map(|_| faults.strike(*seed, &request("GET", "/v4/domains")).is_some())
                    .collect()
            })
            .collect();
        assert_eq!(runs[0], runs[1]);
        assert_ne!(runs[0], runs[2]);
        let fired = runs[0].iter().filter(|it| **it).count();
        assert!((35..85).contains(&fired), "{fired} of 200 at 0.3");
    }

    #[test]
    fn heal_recovers_by_name_or_all_at_once() {
        let mut faults = Faults::default();
        faults.lose(0, "linode:us-east", LostHow::Hang);
        faults.lose(0, "aws:us-east-1", LostHow::Unavailable);
        faults.mark_unhealthy(0, "web-0");
        faults.heal(Some("linode:us-east"));
        assert_eq!((faults.lost("linode:us-east"), faults.is_unhealthy("web-0")), (None, true));
        faults.heal(None);
        assert!(faults.is_empty());
    }

    #[test]
    fn from_str_requires_what_happens() {
        let error = "POST /domains".parse::<FaultSpec>().unwrap_err();
        assert!(error.starts_with("unknown or missing effect"), "{error}");
    }
}
