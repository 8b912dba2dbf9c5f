//! Answers that never end, are about something else, or are full of nothing: each is malformed, and soon over.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cloud::error::ProviderError;
use crate::cloud::http::bounded::BODY_BYTES_MAX;
use crate::cloud::http::connection::{Connections, Settings};
use crate::cloud::loopback::{Script, ScriptedReply, no, ok};
use crate::cloud::provider::{Provider, ReadQuery};
use crate::cloud::tests::{NB, attributes, kind, provider, rows, settings};
use crate::engine::address::Address;
use crate::engine::observed::{Observation, UnknownReason, Unreadable};
use crate::engine::value::Attributes;

/// What one question about an object of a kind yields, and how often was asked for it.
async fn asked(
    lines: Vec<(&'static str, ScriptedReply)>,
    name: &str,
    id: Option<&str>,
    given: Json,
) -> (Observation, usize) {
    let script = Script::of(lines).await;
    let (kind, given, address) = (kind(name), attributes(&given), Address::one("it"));
    let question = ReadQuery { address: &address, kind: &kind, id, attributes: &given };
    // Long answers take their time, also on a busy machine.
    let settings = Settings { request_timeout: Duration::from_secs(20), ..settings(&script.url) };
    let provider = Provider::new(Arc::new(Connections::new(settings)));
    let seen = provider.observe(&[question]).await.remove(0);
    (seen, script.asked().len())
}

#[track_caller]
fn malformed(seen: &Observation, word: &str) {
    let Observation::Unknown(Unreadable { reason: UnknownReason::Malformed, why }) = seen else {
        panic!("{word}: {seen:?}")
    };
    assert!(why.contains(word), "{why}");
    assert!(why.len() < 1_000, "{} bytes", why.len());
}

#[tokio::test]
async fn observe_does_not_read_an_endless_answer_to_its_end() {
    let long = || {
        let kind = vec![("content-type", "application/json".to_owned())];
        ScriptedReply::Say(200, kind, format!("{{\"data\": [\"{}", "x".repeat(BODY_BYTES_MAX)))
    };
    let lines = vec![("/networking", rows(0..0, 1, 1)), ("nodebalancers?", long())];
    let (seen, _) = asked(lines, NB, Some("5"), json!({})).await;
    malformed(&seen, "longer than any response");
    let given = json!({ "region": "us-east-1", "name": "shop" });
    let (seen, _) = asked(vec![("describetable", long())], "dynamodb.table", None, given).await;
    malformed(&seen, "the response cannot be parsed");
}

#[tokio::test]
async fn observe_ends_a_list_without_end() {
    for (pages, word) in [(u64::MAX, "too many pages"), (3, "brings nothing new")] {
        let page = || ok(&json!({ "data": [{ "id": 1 }], "page": 1, "pages": pages }));
        let lines = vec![
            ("/networking", rows(0..0, 1, 1)),
            ("nodebalancers?", page()),
            ("nodebalancers?", page()),
        ];
        let (seen, requests) = asked(lines, NB, Some("5"), json!({})).await;
        malformed(&seen, word);
        assert!(requests <= 3, "{requests}");
    }
}

#[tokio::test]
async fn observe_shortens_a_long_reason() {
    let lines = vec![
        ("/networking", rows(0..0, 1, 1)),
        ("nodebalancers?", no(403, &"no ".repeat(1_000_000))),
    ];
    let (seen, _) = asked(lines, NB, Some("5"), json!({})).await;
    let Observation::Unknown(it) = &seen else { panic!("{seen:?}") };
    assert!(it.reason == UnknownReason::Denied && it.why.len() < 1_000, "{} bytes", it.why.len());
}

/// A GET by id that is answered with something else has not shown the object.
#[tokio::test]
async fn observe_and_look_refuse_an_answer_about_something_else() {
    let others = [
        (json!({ "id": 6, "label": "lb", "region": "us-east" }), "another resource, 6"),
        (json!({ "hello": "world" }), "has no ID"),
        (json!({ "id": null, "label": "lb" }), "has no ID"),
    ];
    for (row, word) in others {
        let lines = vec![
            ("/networking", rows(0..0, 1, 1)),
            ("nodebalancers?", rows(0..0, 1, 1)),
            ("/nodebalancers/5", ok(&row)),
        ];
        let (seen, _) = asked(lines, NB, Some("5"), json!({})).await;
        malformed(&seen, word);
        let script = Script::of(vec![("/nodebalancers/5", ok(&row))]).await;
        let look = provider(&script.url).look(&kind(NB), "5", &Attributes::new()).await;
        assert!(look.unwrap_err().to_string().contains(word));
    }
}

#[tokio::test]
async fn observe_takes_a_description_of_nothing_for_no_table() {
    let whole = json!({
        "TableName": "shop", "TableStatus": "ACTIVE", "TableArn": "arn:aws:dynamodb:us-east-1:1:table/shop",
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
    });
    let without = |name: &str| {
        let mut table = whole.clone();
        table[name] = Json::Null;
        table
    };
    let mut other = whole.clone();
    other["TableName"] = "another".into();
    let cases = [
        (without("TableName"), "no name"),
        (without("TableStatus"), "no status"),
        (without("TableArn"), "no ARN"),
        (without("KeySchema"), "no key schema"),
        (without("AttributeDefinitions"), "no attribute definitions"),
        (other, "another table, `another`"),
        (json!({}), "no name"),
    ];
    let given = || json!({ "region": "us-east-1", "name": "shop" });
    for (table, word) in cases {
        let line = ok(&json!({ "Table": table }));
        let (seen, _) = asked(vec![("describetable", line)], "dynamodb.table", None, given()).await;
        malformed(&seen, word);
    }
    for (operation, word) in
        [("describetimetolive", "status"), ("describecontinuousbackups", "without a description")]
    {
        let tags = ok(&json!({ "Tags": [] }));
        let ttl = json!({ "TimeToLiveDescription": { "TimeToLiveStatus": "DISABLED" } });
        let backups =
            json!({ "ContinuousBackupsDescription": { "ContinuousBackupsStatus": "ENABLED" } });
        let null =
            |name: &str, good: Json, bad: Json| ok(if name == operation { &bad } else { &good });
        let lines = vec![
            ("describetable", ok(&json!({ "Table": whole }))),
            ("listtagsofresource", tags),
            (
                "describetimetolive",
                null("describetimetolive", ttl, json!({ "TimeToLiveDescription": {} })),
            ),
            ("describecontinuousbackups", null("describecontinuousbackups", backups, json!({}))),
        ];
        let (seen, _) = asked(lines, "dynamodb.table", None, given()).await;
        malformed(&seen, word);
    }
}

/// An id and a name cannot be compared: who may not see the account is not taken for another one.
#[tokio::test]
async fn account_of_a_narrow_token_is_not_taken_for_another() {
    let of = async |lines, bound: &str| {
        let script = Script::of(lines).await;
        let settings = Settings { sandbox: false, ..settings(&script.url) };
        let provider = Provider::new(Arc::new(Connections::new(settings)));
        let shown = |it: Result<String, ProviderError>| {
            it.unwrap_or_else(|why| format!("{}: {why}", why.reason().word()))
        };
        let told = shown(provider.account("linode", Some(bound)).await);
        told.replace(&script.url, "http://here")
    };
    let user = || ("/profile", ok(&json!({ "username": "ops" })));
    let narrow = || vec![("/account", no(403, "Unauthorized")), user()];
    assert_eq!(of(narrow(), "ops").await, "ops");
    insta::assert_snapshot!(of(narrow(), "E1").await, @"denied: GET http://here/v4/account answered 403: Unauthorized; this stack belongs to account E1, but this token may not read which account it belongs to; give the token the scope account:read_only");
    let whole = || vec![("/account", ok(&json!({ "euuid": "E2" }))), user()];
    assert_eq!(of(whole(), "E1").await, "E2");
    assert_eq!(of(whole(), "ops").await, "ops", "bound by a token that saw no more");
    assert_eq!(of(whole(), "E2").await, "E2");
}

/// The events of an account are read once for all who wait, and each object when they say that it is done.
#[tokio::test]
async fn look_reads_one_list_of_events_for_many_machines() {
    let event = |id: u32, status: &str| json!({ "action": "linode_boot", "status": status, "entity": { "id": id, "type": "linode" } });
    let events =
        |rows: Vec<Json>| ("/account/events", ok(&json!({ "data": rows, "page": 1, "pages": 1 })));
    let row = |id: u32| json!({ "id": id, "status": "running", "image": "linode/debian12" });
    let script = Script::of(vec![
        events((1..=20).map(|id| event(id, "started")).collect()),
        events((1..=20).map(|id| event(id, "finished")).collect()),
        events(Vec::new()),
        ("/linode/instances/7", ok(&row(7))),
    ])
    .await;
    let (provider, kind) = (provider(&script.url), kind("linode.instance"));
    let given = attributes(&json!({ "booted": true, "image": "linode/debian12", "firewall": "3" }));
    let ids: Vec<String> = (1..=20).map(|it: u32| it.to_string()).collect();
    let pause = Duration::from_secs(5);
    let mut waiting = tokio::task::JoinSet::new();
    for id in ids {
        let (provider, kind, given) = (provider.clone(), kind.clone(), given.clone());
        waiting.spawn(async move { provider.ready(&kind, &id, &given, pause).await.unwrap() });
    }
    while let Some(look) = waiting.join_next().await {
        let look = look.unwrap();
        assert!(format!("{look:?}").contains("its linode_boot is started"), "{look:?}");
    }
    assert_eq!(script.asked().len(), 1, "{:?}", script.asked());
    tokio::time::sleep(Duration::from_millis(60)).await;
    let look = provider.ready(&kind, "7", &given, pause).await.unwrap();
    assert!(format!("{look:?}").contains("ready: true"), "{look:?}");
    // No list of firewalls, though it has one.
    let asked = script.asked();
    assert!(asked.iter().all(|it| !it.contains("/networking")), "{asked:?}");
    assert!(asked.len() <= 4, "{asked:?}");
}
