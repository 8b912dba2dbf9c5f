//! One world in the sandbox, and the steps of a life in it: create, change, look, delete, compare.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lifeboat::cloud::clock::{Clock, Scaled, WallClock};
use lifeboat::cloud::error::ProviderError;
use lifeboat::cloud::http::connection::{Connections, Settings};
use lifeboat::cloud::provider::{Provider, ReadQuery, ReadResult};
use lifeboat::cloud::retry::{silently, with_retry};
use lifeboat::engine::address::Address;
use lifeboat::engine::normalize::normalise;
use lifeboat::engine::observed::Observation;
use lifeboat::engine::retry::CHANGING;
use lifeboat::engine::schema::{Catalog, Kind};
use lifeboat::engine::value::{Attributes, Value};
use lifeboat::sandbox::{Sandbox, SandboxOptions, ServingSandbox};
use serde_json::Value as Json;

pub(crate) const MARK: &str = "lb:life:abcdefgh2345";

/// What stands in the sandbox: kind, id, attributes as they were asked for.
pub(crate) struct Made {
    pub kind: Kind,
    pub id: String,
    pub attributes: Attributes,
}

pub(crate) struct Walk {
    pub sandbox: Sandbox,
    pub connections: Arc<Connections>,
    pub provider: Provider,
    pub clock: Arc<dyn Clock>,
    pub catalog: Catalog,
    pub made: BTreeMap<String, Made>,
    _serving: ServingSandbox,
}

impl Walk {
    pub(crate) async fn new() -> Self {
        let speed = 200.0;
        let sandbox =
            Sandbox::open(None, &SandboxOptions { speed, ..SandboxOptions::default() }).unwrap();
        let serving = sandbox.start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let clock: Arc<dyn Clock> =
            Arc::new(Scaled { anchor: sandbox.now(), since: WallClock.now(), speed });
        let settings = Settings::for_sandbox(Arc::clone(&clock), &serving.url());
        let connections = Arc::new(Connections::new(settings));
        Self {
            provider: Provider::new(Arc::clone(&connections)),
            connections,
            sandbox,
            clock,
            catalog: lifeboat::kinds::builtin(),
            made: BTreeMap::new(),
            _serving: serving,
        }
    }

    /// References become ids, and what they carry comes along; silence becomes the default.
    pub(crate) fn resolved(&self, kind: &Kind, name: &str, given: &Json) -> Attributes {
        let mut all = Attributes::new();
        for (attribute, it) in kind.settable() {
            let value = match given.get(attribute) {
                Some(Json::String(text)) if text.starts_with("${") => {
                    let target = &self.made[text.trim_start_matches("${").trim_end_matches('}')];
                    for carried in &it.carries {
                        let value = target.attributes.get(carried).cloned().unwrap_or_default();
                        all.insert(format!("{attribute}.{carried}"), value);
                    }
                    Value::text(&target.id)
                }
                Some(json) => Value::from_json(json),
                None if it.default_from.is_some() => Value::text(format!("life-{name}")),
                None => match &it.default_without {
                    Some(it) if given.get(&it.attribute).is_none() => Value::from_json(&it.then),
                    _ => it.default_value().unwrap_or_default(),
                },
            };
            all.insert(attribute.clone(), value);
        }
        all
    }

    pub(crate) async fn create(&mut self, name: &str, kind: &Kind, attributes: Attributes) {
        let alike = self.provider.alike(kind, &attributes).await.unwrap();
        assert_eq!(alike, [], "{name}: nothing is alike before");
        let created = with_retry(&*self.clock, CHANGING, &silently, |_| {
            self.provider.create(kind, &attributes, Some(MARK))
        })
        .await
        .unwrap_or_else(|why| panic!("{name}: {why}"));
        let alike = self.provider.alike(kind, &attributes).await.unwrap();
        let ids: Vec<_> = alike.iter().map(|it| it.id.as_str()).collect();
        if kind.kind != "dynamodb.replica" {
            assert_eq!(ids, [created.id.as_str()], "{name}: what was made is alike");
        }
        if kind.mark.is_some() && kind.provider == "linode" {
            assert_eq!(alike[0].mark.as_deref(), Some(MARK), "{name}");
        }
        self.ready(name, kind, &created.id, &attributes).await;
        let late: Vec<String> = kind
            .settable()
            .filter(|(at, it)| {
                it.after_create && attributes[*at] != it.default_value().unwrap_or_default()
            })
            .map(|(at, _)| at.clone())
            .collect();
        self.change(name, kind, &created.id, &attributes, &late).await;
        let made = Made { kind: kind.clone(), id: created.id, attributes };
        self.made.insert(name.to_owned(), made);
    }

    pub(crate) async fn change(
        &self,
        name: &str,
        kind: &Kind,
        id: &str,
        all: &Attributes,
        changed: &[String],
    ) {
        let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
        for attribute in changed {
            // It may be set: then what can only be unset first is.
            let before = Value::text("whatever");
            for way in kind.attributes[attribute].ways(&before, &all[attribute]) {
                match groups.iter_mut().find(|(group, _)| *group == way) {
                    Some((_, names)) => names.push(attribute.clone()),
                    None => groups.push((way, vec![attribute.clone()])),
                }
            }
        }
        for (group, changed) in groups {
            let mut all = all.clone();
            kind.unset(group, &changed, &mut all);
            with_retry(&*self.clock, CHANGING, &silently, |_| {
                self.provider.update(kind, id, &all, group, &changed, Some(MARK))
            })
            .await
            .unwrap_or_else(|why: ProviderError| panic!("{name} {group} {changed:?}: {why}"));
            self.ready(name, kind, id, &all).await;
        }
    }

    pub(crate) async fn ready(&self, name: &str, kind: &Kind, id: &str, attributes: &Attributes) {
        let mut last = None;
        for _ in 0..2000 {
            let look = self.provider.look(kind, id, attributes).await;
            match look.unwrap_or_else(|why| panic!("{name}: {why}")) {
                ReadResult::Exists { ready: true, .. } => return,
                other => last = Some(other),
            }
            self.clock.sleep(Duration::from_secs(2)).await;
        }
        panic!("{name} is never ready: {last:?}");
    }

    pub(crate) async fn delete(&mut self, name: &str) {
        let made = &self.made[name];
        let (kind, id, all) = (&made.kind, &made.id, &made.attributes);
        let mut open = all.clone();
        open.insert("deletion_protection".into(), false.into());
        if all.get("deletion_protection") == Some(&Value::Bool(true)) {
            self.change(name, kind, id, &open, &["deletion_protection".into()]).await;
        }
        with_retry(&*self.clock, CHANGING, &silently, |_| self.provider.delete(kind, id, all))
            .await
            .unwrap_or_else(|why| panic!("{name}: {why}"));
        let mut gone = false;
        for _ in 0..2000 {
            gone = self.provider.look(kind, id, all).await.unwrap() == ReadResult::Absent;
            if gone {
                break;
            }
            self.clock.sleep(Duration::from_secs(2)).await;
        }
        assert!(gone, "{name} is never gone");
        with_retry(&*self.clock, CHANGING, &silently, |_| self.provider.delete(kind, id, all))
            .await
            .unwrap_or_else(|why| panic!("{name}, deleted twice: {why}"));
        let seen = self.observe(name).await;
        assert_eq!(seen, Observation::Absent, "{name}");
        self.made.remove(name);
    }

    pub(crate) async fn observe(&self, name: &str) -> Observation {
        let made = &self.made[name];
        let address = Address::one(name);
        let question = ReadQuery {
            address: &address,
            kind: &made.kind,
            id: Some(&made.id),
            attributes: &made.attributes,
        };
        self.provider.observe(&[question]).await.remove(0)
    }

    /// Everything that was made, in one look.
    pub(crate) async fn observe_all(&self) -> Vec<(String, Observation)> {
        let addresses: Vec<Address> = self.made.keys().map(Address::one).collect();
        let made = addresses.iter().zip(self.made.values());
        let questions: Vec<ReadQuery<'_>> = made
            .map(|(address, it)| ReadQuery {
                address,
                kind: &it.kind,
                id: Some(&it.id),
                attributes: &it.attributes,
            })
            .collect();
        let seen = self.provider.observe(&questions).await;
        self.made.keys().cloned().zip(seen).collect()
    }

    /// What is observed is what was asked for, as far as the cloud tells it.
    pub(crate) async fn compare(&self, name: &str, state: &str) {
        // Tags are read back with a lag of some seconds.
        self.clock.sleep(Duration::from_secs(5)).await;
        let Observation::Exists { attributes, ready } = self.observe(name).await else {
            panic!("{name} ({state}) is not there");
        };
        assert!(ready, "{name} ({state})");
        let made = &self.made[name];
        assert_eq!(attributes["id"], Value::text(&made.id), "{name} ({state})");
        for (at, it) in made.kind.settable() {
            let Some(seen) = attributes.get(at) else { continue };
            if it.optional_computed && made.attributes[at].is_null() {
                continue;
            }
            let normal = |it: &Value| match normalise(&made.kind, at, it, &made.attributes) {
                Value::Text(text) if text.is_empty() => Value::Null,
                other => other,
            };
            let (seen, wanted) = (normal(seen), normal(&made.attributes[at]));
            assert_eq!(seen, wanted, "{name} ({state}): {at}");
        }
        let told = made.kind.settable().filter(|(_, it)| !it.write_only).count();
        assert!(attributes.len() + 2 >= told, "{name} ({state}) tells too little: {attributes:?}");
    }
}
