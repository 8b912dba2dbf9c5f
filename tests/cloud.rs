//! Walks every kind through the states of its `life.yaml` against the sandbox, over real HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic too")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lifeboat::cloud::clock::{Clock, Scaled, Wall};
use lifeboat::cloud::connection::{Connections, Settings};
use lifeboat::cloud::error::ProviderError;
use lifeboat::cloud::patience::{patiently, silently};
use lifeboat::cloud::prober::{Probe, ProbeAnswer, Prober};
use lifeboat::cloud::provider::{Look, Provider, Question};
use lifeboat::engine::address::Address;
use lifeboat::engine::observed::Observation;
use lifeboat::engine::plan::normalise::normalise;
use lifeboat::engine::retry::CHANGING;
use lifeboat::engine::schema::{Catalog, Kind};
use lifeboat::engine::value::{Attributes, Value};
use lifeboat::sandbox::faults::How;
use lifeboat::sandbox::{Options, Sandbox, Serving};
use serde_json::{Value as Json, json};

const MARK: &str = "lb:life:abcdefgh2345";

/// What stands in the sandbox: kind, id, attributes as they were asked for.
struct Made {
    kind: Kind,
    id: String,
    attributes: Attributes,
}

struct Walk {
    sandbox: Sandbox,
    connections: Arc<Connections>,
    provider: Provider,
    clock: Arc<dyn Clock>,
    catalog: Catalog,
    made: BTreeMap<String, Made>,
    _serving: Serving,
}

impl Walk {
    async fn new() -> Self {
        let speed = 200.0;
        let sandbox = Sandbox::open(None, &Options { speed, ..Options::default() }).unwrap();
        let serving = sandbox.start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let clock: Arc<dyn Clock> =
            Arc::new(Scaled { anchor: sandbox.now(), since: Wall.now(), speed });
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
    fn resolved(&self, kind: &Kind, name: &str, given: &Json) -> Attributes {
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
                None => it.default_value().unwrap_or_default(),
            };
            all.insert(attribute.clone(), value);
        }
        all
    }

    async fn create(&mut self, name: &str, kind: &Kind, attributes: Attributes) {
        let alike = self.provider.alike(kind, &attributes).await.unwrap();
        assert_eq!(alike, [], "{name}: nothing is alike before");
        let created = patiently(&*self.clock, CHANGING, &silently, |_| {
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

    async fn change(
        &self,
        name: &str,
        kind: &Kind,
        id: &str,
        all: &Attributes,
        changed: &[String],
    ) {
        let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for attribute in changed {
            let via = kind.attributes[attribute].via.as_str();
            groups.entry(via).or_default().push(attribute.clone());
        }
        for (group, changed) in groups {
            patiently(&*self.clock, CHANGING, &silently, |_| {
                self.provider.update(kind, id, all, group, &changed, Some(MARK))
            })
            .await
            .unwrap_or_else(|why: ProviderError| panic!("{name} {group} {changed:?}: {why}"));
            self.ready(name, kind, id, all).await;
        }
    }

    async fn ready(&self, name: &str, kind: &Kind, id: &str, attributes: &Attributes) {
        let mut last = None;
        for _ in 0..2000 {
            let look = self.provider.look(kind, id, attributes).await;
            match look.unwrap_or_else(|why| panic!("{name}: {why}")) {
                Look::Exists { ready: true, .. } => return,
                other => last = Some(other),
            }
            self.clock.sleep(Duration::from_secs(2)).await;
        }
        panic!("{name} is never ready: {last:?}");
    }

    async fn delete(&mut self, name: &str) {
        let made = &self.made[name];
        let (kind, id, all) = (&made.kind, &made.id, &made.attributes);
        let mut open = all.clone();
        open.insert("deletion_protection".into(), false.into());
        if all.get("deletion_protection") == Some(&Value::Bool(true)) {
            self.change(name, kind, id, &open, &["deletion_protection".into()]).await;
        }
        patiently(&*self.clock, CHANGING, &silently, |_| self.provider.delete(kind, id, all))
            .await
            .unwrap_or_else(|why| panic!("{name}: {why}"));
        let mut gone = false;
        for _ in 0..2000 {
            gone = self.provider.look(kind, id, all).await.unwrap() == Look::Absent;
            if gone {
                break;
            }
            self.clock.sleep(Duration::from_secs(2)).await;
        }
        assert!(gone, "{name} is never gone");
        patiently(&*self.clock, CHANGING, &silently, |_| self.provider.delete(kind, id, all))
            .await
            .unwrap_or_else(|why| panic!("{name}, deleted twice: {why}"));
        let seen = self.observe(name).await;
        assert_eq!(seen, Observation::Absent, "{name}");
        self.made.remove(name);
    }

    async fn observe(&self, name: &str) -> Observation {
        let made = &self.made[name];
        let address = Address::one(name);
        let question = Question {
            address: &address,
            kind: &made.kind,
            id: Some(&made.id),
            attributes: &made.attributes,
        };
        self.provider.observe(&[question]).await.remove(0)
    }

    /// What is observed is what was asked for, as far as the cloud tells it.
    async fn compare(&self, name: &str, state: &str) {
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

async fn walk(kind: &str) {
    let folder = kind.replace('.', "/");
    let text = std::fs::read_to_string(format!("src/kinds/{folder}/life.yaml")).unwrap();
    let life: Json = serde_yaml::from_str(&text).unwrap();
    let mut walk = Walk::new().await;
    let name = life["address"].as_str().unwrap();
    let mut order = Vec::new();
    for (around, given) in life["around"].as_object().into_iter().flatten() {
        let kind = walk.catalog.kinds[given["kind"].as_str().unwrap()].clone();
        let attributes = walk.resolved(&kind, around, given);
        walk.create(around, &kind, attributes).await;
        order.push(around.clone());
    }
    let kind = walk.catalog.kinds[kind].clone();
    for state in life["states"].as_array().unwrap() {
        let wanted = walk.resolved(&kind, name, &state["attributes"]);
        let said = state["name"].as_str().unwrap();
        match state["expect"].as_str().unwrap() {
            "update" => {
                let made = walk.made.get_mut(name).unwrap();
                let changed: Vec<String> = kind
                    .settable()
                    .map(|(at, _)| at.clone())
                    .filter(|at| made.attributes[at] != wanted[at])
                    .filter(|at| !(kind.attributes[at].optional_computed && wanted[at].is_null()))
                    .collect();
                made.attributes = wanted.clone();
                let id = made.id.clone();
                walk.change(name, &kind, &id, &wanted, &changed).await;
            }
            "replace" => {
                walk.delete(name).await;
                walk.create(name, &kind, wanted).await;
            }
            _ => walk.create(name, &kind, wanted).await,
        }
        walk.compare(name, said).await;
    }
    walk.delete(name).await;
    for around in order.iter().rev() {
        walk.delete(around).await;
    }
}

macro_rules! walks {
    ($($test:ident: $kind:literal),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            walk($kind).await;
        })*
    };
}

walks! {
    instance: "linode.instance",
    nodebalancer: "linode.nodebalancer",
    nodebalancer_config: "linode.nodebalancer_config",
    nodebalancer_node: "linode.nodebalancer_node",
    domain: "linode.domain",
    domain_record: "linode.domain_record",
    firewall: "linode.firewall",
    ssh_key: "linode.ssh_key",
    table: "dynamodb.table",
    replica: "dynamodb.replica",
}

/// The firewall in front of an object stands in another list, and is set by an action of its own.
#[tokio::test(flavor = "multi_thread")]
async fn firewalls_are_attached_looked_up_and_taken_away() {
    let mut walk = Walk::new().await;
    let catalog = walk.catalog.clone();
    let kind = |name: &str| &catalog.kinds[name];
    for wall in ["one", "two"] {
        let all = walk.resolved(kind("linode.firewall"), wall, &json!({ "label": wall }));
        walk.create(wall, kind("linode.firewall"), all).await;
    }
    let lb = json!({ "region": "us-east", "label": "life-lb", "firewall": "${one}" });
    let web = json!({
        "region": "us-east", "type": "g6-nanode-1", "image": "linode/debian12", "label": "life-web",
        "authorized_users": ["life"], "firewall": "${one}", "private_ip": true,
    });
    for (name, of, mut given) in
        [("lb", "linode.nodebalancer", lb), ("web", "linode.instance", web)]
    {
        let all = walk.resolved(kind(of), name, &given);
        walk.create(name, kind(of), all).await;
        for target in [json!("${two}"), Json::Null] {
            given["firewall"] = target;
            let all = walk.resolved(kind(of), name, &given);
            let made = walk.made.get_mut(name).unwrap();
            made.attributes = all.clone();
            let id = made.id.clone();
            walk.change(name, kind(of), &id, &all, &["firewall".into()]).await;
            walk.compare(name, "firewalled").await;
            let Observation::Exists { attributes, .. } = walk.observe(name).await else { panic!() };
            assert_eq!(attributes["firewall"], all["firewall"], "{name}");
        }
    }
    let Observation::Exists { attributes, .. } = walk.observe("web").await else { panic!() };
    let host = attributes["ipv4"].as_text().unwrap().to_owned();
    let prober = Prober::new(Arc::clone(&walk.connections));
    assert_eq!(prober.probe(Probe::Tcp { host, port: 22 }).await, ProbeAnswer::Open);
}

/// Changes that DynamoDB wants in two steps end where they should, and strangers' tags and the mark stay.
#[tokio::test(flavor = "multi_thread")]
async fn settings_in_two_steps_arrive() {
    let mut walk = Walk::new().await;
    let kind = walk.catalog.kinds["dynamodb.table"].clone();
    let base = json!({
        "region": "us-east-1", "name": "life_table", "attributes": { "id": "S" }, "hash_key": "id",
        "stream": "NEW_IMAGE", "ttl_attribute": "old", "tags": { "a": "1", "b": "2" },
    });
    let all = walk.resolved(&kind, "table", &base);
    walk.create("table", &kind, all).await;
    walk.compare("table", "made").await;
    let mut then = base.clone();
    then["stream"] = json!("KEYS_ONLY");
    then["tags"] = json!({ "b": "3", "c": "4" });
    let all = walk.resolved(&kind, "table", &then);
    walk.made.get_mut("table").unwrap().attributes = all.clone();
    let id = walk.made["table"].id.clone();
    let changed: Vec<String> = ["stream", "tags"].map(str::to_owned).to_vec();
    walk.change("table", &kind, &id, &all, &changed).await;
    walk.compare("table", "changed").await;
    let alike = walk.provider.alike(&kind, &all).await.unwrap();
    assert_eq!(alike[0].mark.as_deref(), Some(MARK));
    // The same again changes nothing and is no error.
    walk.change("table", &kind, &id, &all, &changed).await;
}

/// A lost region is unseen, others are seen, and one that is declared lost is not even asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_region_is_unseen_and_its_group_is_reached_through_another_member() {
    let mut walk = Walk::new().await;
    let (table, replica) = (
        walk.catalog.kinds["dynamodb.table"].clone(),
        walk.catalog.kinds["dynamodb.replica"].clone(),
    );
    let given = json!({ "region": "us-east-1", "name": "shop", "attributes": { "id": "S" }, "hash_key": "id" });
    let all = walk.resolved(&table, "table", &given);
    walk.create("table", &table, all).await;
    for region in ["eu-west-1", "ap-south-1"] {
        let all =
            walk.resolved(&replica, region, &json!({ "table": "${table}", "region": region }));
        walk.create(region, &replica, all).await;
    }
    walk.sandbox.lose("aws:us-east-1", How::Refuse).unwrap();
    let seen = walk.observe("table").await;
    assert!(matches!(&seen, Observation::Unseen(why) if why.contains("us-east-1")), "{seen:?}");
    assert!(matches!(walk.observe("eu-west-1").await, Observation::Exists { ready: true, .. }));
    let settings = Settings {
        lost_regions: ["us-east-1".to_owned()].into(),
        ..walk.connections.settings.clone()
    };
    walk.provider = Provider::new(Arc::new(Connections::new(settings)));
    let seen = walk.observe("table").await;
    assert!(matches!(&seen, Observation::Unseen(why) if why.contains("declared lost")), "{seen:?}");
    let made = &walk.made["eu-west-1"];
    let look = walk.provider.look(&made.kind, &made.id, &made.attributes).await.unwrap();
    assert!(matches!(look, Look::Exists { ready: true, .. }), "{look:?}");
}
