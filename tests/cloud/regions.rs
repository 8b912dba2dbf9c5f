//! Regions that are far apart or gone: how long data takes to the other side, and that nobody is held up by silence.

use std::time::{Duration, Instant};

use lifeboat::cloud::provider::MemberRead;
use lifeboat::engine::observed::Observation;
use lifeboat::engine::retry::ErrorClass;
use lifeboat::sandbox::faults::state::LostHow;
use lifeboat::sandbox::http::SandboxRequest;
use serde_json::{Value as Json, json};

use crate::walk::Walk;

/// A table in us-east-1 with a numeric range key, and its replica in eu-west-1.
async fn pair() -> Walk {
    let mut walk = Walk::new().await;
    let kinds = ["dynamodb.table", "dynamodb.replica"].map(|it| walk.catalog.kinds[it].clone());
    let given = json!({
        "region": "us-east-1", "name": "shop", "attributes": { "id": "B", "at": "N" },
        "hash_key": "id", "range_key": "at",
    });
    let all = walk.resolved(&kinds[0], "table", &given);
    walk.create("table", &kinds[0], all).await;
    let given = json!({ "table": "${table}", "region": "eu-west-1" });
    let all = walk.resolved(&kinds[1], "copy", &given);
    walk.create("copy", &kinds[1], all).await;
    walk
}

fn member<'a>(walk: &'a Walk, name: &str) -> MemberRead<'a> {
    let made = &walk.made[name];
    MemberRead { kind: &made.kind, attributes: &made.attributes }
}

/// How many items the table has, by somebody else's account.
fn count(walk: &Walk, region: &str) -> Json {
    let scope = format!("AWS4-HMAC-SHA256 Credential=AK/20260101/{region}/dynamodb/aws4_request");
    let request = SandboxRequest {
        method: "POST".into(),
        path: "/".into(),
        headers: vec![
            ("content-type".into(), "application/x-amz-json-1.0".into()),
            ("x-amz-target".into(), "DynamoDB_20120810.Scan".into()),
            ("authorization".into(), scope),
        ],
        body: json!({ "TableName": "shop" }).to_string().into_bytes(),
        ..SandboxRequest::default()
    };
    let reply = walk.sandbox.handle(&request);
    let body: Json = serde_json::from_slice(&reply.answer().unwrap().body).unwrap();
    body["Count"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicates_measures_both_ways_and_deletes_its_item() {
    let walk = pair().await;
    walk.sandbox.set_lag(600_000, 600_000).unwrap();
    for (writer, reader, region) in [("table", "copy", "us-east-1"), ("copy", "table", "eu-west-1")]
    {
        let within = Duration::from_secs(7_200);
        let took = walk.provider.replicates(member(&walk, writer), member(&walk, reader), within);
        let took = took.await.unwrap();
        // The acknowledgement takes its time too, seconds of a busy machine, and the canary travels meanwhile.
        assert!((60..7_200).contains(&took.as_secs()), "{took:?}");
        assert_eq!(count(&walk, region), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicates_names_both_ends_when_its_item_does_not_arrive() {
    let walk = pair().await;
    walk.sandbox.set_lag(86_400_000, 86_400_000).unwrap();
    let fly = async |from: &str, to: &str| {
        let within = Duration::from_secs(20);
        walk.provider.replicates(member(&walk, from), member(&walk, to), within).await.unwrap_err()
    };
    let late = fly("table", "copy").await;
    assert_eq!(late.fault, ErrorClass::Transient);
    let told = late.to_string();
    for part in ["`shop`", "(us-east-1)", "(eu-west-1)", "did not arrive within 20s"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(count(&walk, "us-east-1"), 0, "it is taken away all the same");

    walk.sandbox.lose("aws:eu-west-1", LostHow::Hang).unwrap();
    let told = fly("table", "copy").await.to_string();
    assert!(told.contains("did not arrive within 20s"), "{told}");
    assert_eq!(count(&walk, "us-east-1"), 0);
    let told = fly("copy", "table").await.to_string();
    assert!(told.contains("(us-east-1)") && told.contains("no answer"), "{told}");

    let same = fly("table", "table").await;
    assert_eq!(same.fault, ErrorClass::Rejected, "{same}");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicates_tells_of_an_item_that_cannot_be_deleted() {
    let walk = pair().await;
    walk.sandbox.fault("DeleteItem 500 times=1".parse().unwrap()).unwrap();
    let within = Duration::from_secs(3_600);
    let left = walk.provider.replicates(member(&walk, "table"), member(&walk, "copy"), within);
    let told = left.await.unwrap_err().to_string();
    for part in ["the item arrived after", "could not be deleted", "lifeboat-canary-", "by hand"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(count(&walk, "us-east-1"), 1);
}

/// Balancers of a region that hangs, with more lists in them than are asked for at one time.
#[tokio::test(flavor = "multi_thread")]
async fn observe_gives_up_a_silent_region_as_a_whole() {
    let mut walk = Walk::new().await;
    let kinds = ["linode.nodebalancer", "linode.nodebalancer_config", "linode.nodebalancer_node"]
        .map(|it| walk.catalog.kinds[it].clone());
    for (region, count) in [("us-east", 12), ("eu-west", 1)] {
        for number in 0..count {
            let [lb, config, node] =
                ["lb", "config", "node"].map(|it| format!("{it}-{region}-{number}"));
            let all = walk.resolved(&kinds[0], &lb, &json!({ "region": region, "label": lb }));
            walk.create(&lb, &kinds[0], all).await;
            let given = json!({ "nodebalancer": format!("${{{lb}}}") });
            let all = walk.resolved(&kinds[1], &config, &given);
            walk.create(&config, &kinds[1], all).await;
            let given = json!({
                "config": format!("${{{config}}}"), "label": node, "address": "192.168.128.9:80",
            });
            let all = walk.resolved(&kinds[2], &node, &given);
            walk.create(&node, &kinds[2], all).await;
        }
    }
    walk.sandbox.lose("linode:us-east", LostHow::Hang).unwrap();
    let began = Instant::now();
    let mut reasons = std::collections::BTreeSet::new();
    for (name, seen) in walk.observe_all().await {
        let is_within = !name.starts_with("lb") && name.contains("us-east");
        match seen {
            Observation::Unknown(it) if is_within => _ = reasons.insert(it.why),
            Observation::Exists { .. } if !is_within => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    let took = began.elapsed();
    assert_eq!(reasons.len(), 1, "one silence, one reason: {reasons:?}");
    let why = reasons.first().unwrap();
    assert!(why.starts_with("linode:us-east at http://127.0.0.1:"), "{why}");
    assert!(why.contains("no answer within"), "{why}");
    // Three turns of eight lists, each as long as a request may take, would be fifteen seconds.
    assert!(took < walk.connections.settings.request_timeout, "{took:?}");
}
