//! Walks every kind through the states of its `life.yaml` against the sandbox, over real HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic too")]

mod regions;
mod walk;

use std::sync::Arc;

use lifeboat::cloud::http::prober::{Probe, ProbeAnswer, Prober};
use lifeboat::cloud::provider::{JOIN, ReadResult};
use lifeboat::engine::observed::Observation;
use lifeboat::engine::retry::ErrorClass;
use lifeboat::sandbox::faults::state::LostHow;
use serde_json::{Value as Json, json};

use crate::walk::{MARK, Walk};

async fn live(kind: &str) {
    let folder = kind.replace('.', "/");
    let text = std::fs::read_to_string(format!("src/core/kinds/{folder}/life.yaml")).unwrap();
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

/// Every kind in a world of its own.
#[tokio::test(flavor = "multi_thread")]
async fn provider_walks_every_kind_through_its_states() {
    let mut lives = tokio::task::JoinSet::new();
    for kind in lifeboat::kinds::builtin().kinds.into_keys() {
        lives.spawn(async move { live(&kind).await });
    }
    while let Some(life) = lives.join_next().await {
        life.unwrap();
    }
}

/// The firewall in front of an object stands in another list, and is set by an action of its own.
#[tokio::test(flavor = "multi_thread")]
async fn update_attaches_and_detaches_firewalls() {
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
async fn update_makes_changes_of_a_table_in_two_steps() {
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

/// `table` in us-east-1, and a replica of it in each of these regions, under its name.
async fn group(walk: &mut Walk, regions: &[&str]) {
    let table = walk.catalog.kinds["dynamodb.table"].clone();
    let replica = walk.catalog.kinds["dynamodb.replica"].clone();
    let given = json!({ "region": "us-east-1", "name": "shop", "attributes": { "id": "S" }, "hash_key": "id" });
    let all = walk.resolved(&table, "table", &given);
    walk.create("table", &table, all).await;
    for region in regions {
        let given = json!({ "table": "${table}", "region": region });
        let all = walk.resolved(&replica, region, &given);
        walk.create(region, &replica, all).await;
    }
}

/// A lost region is unseen, others are seen, and one that is declared lost is not even asked.
#[tokio::test(flavor = "multi_thread")]
async fn observe_and_look_reach_the_group_of_a_lost_region() {
    let mut walk = Walk::new().await;
    group(&mut walk, &["eu-west-1", "ap-south-1"]).await;
    walk.sandbox.lose("aws:us-east-1", LostHow::Refuse).unwrap();
    let seen = walk.observe("table").await;
    assert!(matches!(&seen, Observation::Unknown(it) if it.why.contains("us-east-1")), "{seen:?}");
    assert!(matches!(walk.observe("eu-west-1").await, Observation::Exists { ready: true, .. }));
    walk.provider.lose(&["aws:us-east-1".to_owned()]);
    let seen = walk.observe("table").await;
    assert!(
        matches!(&seen, Observation::Unknown(it) if it.why.contains("declared lost")),
        "{seen:?}"
    );
    let made = &walk.made["eu-west-1"];
    let look = walk.provider.look(&made.kind, &made.id, &made.attributes).await.unwrap();
    assert!(matches!(look, ReadResult::Exists { ready: true, .. }), "{look:?}");
}

/// A table that is gone while its group lives is joined to it, and does not become a group of its own.
#[tokio::test(flavor = "multi_thread")]
async fn create_joins_an_absent_table_to_its_healthy_group() {
    let mut walk = Walk::new().await;
    let table = walk.catalog.kinds["dynamodb.table"].clone();
    let given = json!({ "region": "us-east-1", "name": "shop", "attributes": { "id": "S" }, "hash_key": "id" });
    let all = walk.resolved(&table, "first", &given);
    walk.create("first", &table, all.clone()).await;
    let mut joining = all;
    joining.insert("region".into(), "eu-west-1".into());
    joining.insert(JOIN.into(), "us-east-1".into());
    let made = walk.provider.create(&table, &joining, None).await.unwrap();
    walk.ready("second", &table, &made.id, &joining).await;
    let Observation::Exists { attributes, .. } = walk.observe("first").await else { panic!() };
    assert_eq!(attributes["replicas"].json(), json!(["eu-west-1"]));
}

/// Two changes that both take time, one after the other.
#[tokio::test(flavor = "multi_thread")]
async fn update_resizes_a_machine_and_switches_it_off_at_once() {
    let mut walk = Walk::new().await;
    let kind = walk.catalog.kinds["linode.instance"].clone();
    let mut given = json!({
        "region": "us-east", "type": "g6-nanode-1", "image": "linode/debian12", "label": "life-web",
        "authorized_users": ["life"],
    });
    let all = walk.resolved(&kind, "web", &given);
    walk.create("web", &kind, all).await;
    for (size, booted) in [("g6-standard-1", false), ("g6-standard-2", true)] {
        given["type"] = json!(size);
        given["booted"] = json!(booted);
        let all = walk.resolved(&kind, "web", &given);
        walk.made.get_mut("web").unwrap().attributes = all.clone();
        let id = walk.made["web"].id.clone();
        walk.change("web", &kind, &id, &all, &["type".into(), "booted".into()]).await;
        walk.compare("web", size).await;
    }
}

/// A run that was cut after it took a member out leaves it going; who deletes the rest waits for that, and is not refused.
#[tokio::test(flavor = "multi_thread")]
async fn delete_of_a_table_whose_member_is_going_is_busy() {
    let mut walk = Walk::new().await;
    group(&mut walk, &["eu-west-1"]).await;
    let delete = async |name: &str| {
        let made = &walk.made[name];
        walk.provider.delete(&made.kind, &made.id, &made.attributes).await
    };
    let refused = delete("table").await.unwrap_err();
    assert_eq!(refused.fault, ErrorClass::Rejected, "while it stays: {refused}");
    // It takes minutes to go: on the wall's clock that is longer than the next call, on any machine.
    walk.sandbox.set_speed(1.0).unwrap();
    delete("eu-west-1").await.unwrap();
    let busy = delete("table").await.unwrap_err();
    assert_eq!(busy.fault, ErrorClass::Busy, "while it goes: {busy}");
}
