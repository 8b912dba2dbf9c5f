//! Changes and single calls: one attempt, and what each outcome means.

use std::sync::Arc;

use serde_json::json;

use crate::cloud::error::ProviderError;
use crate::cloud::http::connection::{Connections, Settings};
use crate::cloud::loopback::{Script, ScriptedReply, no, ok, page};
use crate::cloud::provider::{Provider, ReadQuery, ReadResult};
use crate::cloud::tests::{NB, attributes, kind, provider, settings};
use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::retry::{ErrorClass, READING};
use crate::engine::value::Attributes;

#[tokio::test]
async fn create_is_tried_once_and_classified() {
    let kind = kind(NB);
    let given = attributes(&json!({ "region": "us-east", "label": "lb" }));
    for (line, fault) in [
        (ScriptedReply::Cut, ErrorClass::UnknownOutcome),
        (ScriptedReply::Hang, ErrorClass::UnknownOutcome),
        (ScriptedReply::Half(r#"{"id":1,"label":"x"}"#.into()), ErrorClass::UnknownOutcome),
        (ScriptedReply::Say(200, Vec::new(), String::new()), ErrorClass::UnknownOutcome),
        (ok(&json!({ "label": "no id" })), ErrorClass::UnknownOutcome),
        (page(502), ErrorClass::UnknownOutcome),
        (no(503, "later"), ErrorClass::Transient),
        (no(400, "Linode busy."), ErrorClass::Busy),
        (no(400, "Label must be unique"), ErrorClass::Conflict),
        (no(401, "Invalid Token"), ErrorClass::Unauthenticated),
    ] {
        let shown = format!("{line:?}");
        let script = Script::of(vec![("POST", line)]).await;
        let error = provider(&script.url).create(&kind, &given, None).await.unwrap_err();
        assert_eq!(error.fault, fault, "{shown}: {error}");
        assert_eq!(script.asked().len(), 1, "{shown}");
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
    let error = provider("http://127.0.0.1:1").create(&kind, &given, None).await.unwrap_err();
    assert_eq!(error.fault, ErrorClass::Unreachable);
}

#[tokio::test]
async fn delete_and_look_take_not_found_for_absent() {
    let kind = kind(NB);
    let script =
        Script::of(vec![("DELETE", no(404, "Not found")), ("GET", no(404, "Not found"))]).await;
    let provider = provider(&script.url);
    provider.delete(&kind, "5", &Attributes::new()).await.unwrap();
    assert_eq!(provider.look(&kind, "5", &Attributes::new()).await.unwrap(), ReadResult::Absent);
}

#[tokio::test]
async fn create_follows_no_redirect() {
    let elsewhere = Script::of(Vec::new()).await;
    let moved = ScriptedReply::Say(
        302,
        vec![("location", format!("{}/v4/x", elsewhere.url))],
        String::new(),
    );
    let script = Script::of(vec![("POST", moved)]).await;
    let given = attributes(&json!({ "region": "us-east", "label": "lb" }));
    let error = provider(&script.url).create(&kind(NB), &given, None).await.unwrap_err();
    assert_eq!(error.fault, ErrorClass::Rejected);
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn create_classifies_faults_of_dynamodb() {
    let table = kind("dynamodb.table");
    let given = attributes(&json!({
        "region": "us-east-1", "name": "shop", "attributes": { "id": "S" }, "hash_key": "id",
    }));
    let error = |code: &str, message: &str| {
        let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message });
        ScriptedReply::Say(
            400,
            vec![("content-type", "application/x-amz-json-1.0".into())],
            body.to_string(),
        )
    };
    for (line, fault) in [
        (error("ResourceInUseException", "Table already exists: shop"), ErrorClass::Conflict),
        (error("ResourceInUseException", "Table is being deleted: shop"), ErrorClass::Busy),
        (error("ThrottlingException", "Rate exceeded"), ErrorClass::Throttled),
        (error("AccessDeniedException", "no"), ErrorClass::Denied),
        (page(502), ErrorClass::UnknownOutcome),
        (page(503), ErrorClass::Transient),
        (page(400), ErrorClass::UnknownOutcome),
        (ScriptedReply::Say(200, Vec::new(), String::new()), ErrorClass::UnknownOutcome),
        (ScriptedReply::Say(200, Vec::new(), "{\"Table".into()), ErrorClass::UnknownOutcome),
        (ScriptedReply::Half("{\"TableDescription\":{}}".into()), ErrorClass::UnknownOutcome),
        (ScriptedReply::Cut, ErrorClass::UnknownOutcome),
        (ScriptedReply::Hang, ErrorClass::UnknownOutcome),
    ] {
        let shown = format!("{line:?}");
        let script = Script::of(vec![("createtable", line)]).await;
        let error = provider(&script.url).create(&table, &given, None).await.unwrap_err();
        assert_eq!(error.fault, fault, "{shown}: {error}");
        assert_eq!(script.asked(), ["createtable"], "{shown}");
    }
    let error = provider("http://127.0.0.1:1").create(&table, &given, None).await.unwrap_err();
    assert_eq!(error.fault, ErrorClass::Unreachable, "{error}");
}

#[tokio::test]
async fn observe_gives_unknown_for_a_region_without_an_answer() {
    let table = kind("dynamodb.table");
    let given = attributes(&json!({ "region": "us-east-1", "name": "shop" }));
    let address = Address::one("shop");
    let question = ReadQuery { address: &address, kind: &table, id: None, attributes: &given };
    let empty = ScriptedReply::Say(
        200,
        vec![("content-type", "application/x-amz-json-1.0".into())],
        "{}".into(),
    );
    for lines in [vec![("describetable", empty)], vec![("describetable", ScriptedReply::Hang); 4]] {
        let script = Script::of(lines).await;
        let seen = provider(&script.url).observe(&[question]).await;
        assert!(matches!(seen[0], Observation::Unknown(_)), "{seen:?}");
    }
}

#[tokio::test]
async fn account_is_the_customer_or_the_user_of_a_narrow_token() {
    let of = async |lines| {
        let script = Script::of(lines).await;
        let settings = Settings { sandbox: false, ..settings(&script.url) };
        let provider = Provider::new(Arc::new(Connections::new(settings)));
        let shown =
            |it: Result<String, ProviderError>| it.unwrap_or_else(|why| format!("{:?}", why.fault));
        (shown(provider.account("linode", None).await), shown(provider.account("aws", None).await))
    };
    let whole = vec![("/account", ok(&json!({ "euuid": "E1" })))];
    let (linode, aws) = of(whole).await;
    assert_eq!(linode, "E1");
    assert!(aws.starts_with("endpoint:127.0.0.1:"), "{aws}");
    let user = ok(&json!({ "username": "ops" }));
    let narrow = vec![("/account", no(403, "Unauthorized")), ("/profile", user)];
    assert_eq!(of(narrow).await.0, "ops");
    assert_eq!(of(vec![("/account", no(401, "Invalid Token"))]).await.0, "Unauthenticated");
}

/// A table as DescribeTable tells it, with what it says of the replica in us-west-2.
fn described(region: &str, replica: Option<&str>) -> ScriptedReply {
    let replicas: Vec<_> = replica
        .iter()
        .map(|it| json!({ "RegionName": "us-west-2", "ReplicaStatus": it }))
        .collect();
    ok(&json!({ "Table": {
        "TableName": "shop", "TableStatus": "ACTIVE", "Replicas": replicas, "CreationDateTime": 5.0,
        "TableArn": format!("arn:aws:dynamodb:{region}:1:table/shop"),
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
    } }))
}

/// Its own region finds a member some seconds after the others list it, and a table of that name may be no member at all.
#[tokio::test]
async fn alike_tells_a_replica_by_its_group() {
    let replica = kind("dynamodb.replica");
    let given = json!({ "region": "us-west-2", "table": "t", "table.region": "us-east-1", "table.name": "shop" });
    let given = attributes(&given);
    let absent = || {
        let words = json!({ "__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "no" });
        ScriptedReply::Say(
            400,
            vec![("content-type", "application/x-amz-json-1.0".into())],
            words.to_string(),
        )
    };
    let (west, east) = ("us-west-2", "us-east-1");
    for (own, group, expected) in [
        (None, None, None),
        (None, Some("CREATING"), Some(false)),
        (None, Some("DELETING"), None),
        (Some(west), Some("CREATING"), Some(false)),
        (Some(west), Some("ACTIVE"), Some(false)),
        (Some(west), None, Some(true)),
    ] {
        let tags = ("listtags", ok(&json!({ "Tags": [] })));
        let own_lines = match own {
            Some(region) => vec![("describetable", described(region, None)), tags],
            None => vec![("describetable", absent())],
        };
        let lines = own_lines.into_iter().chain([("describetable", described(east, group))]);
        let script = Script::of(lines.collect()).await;
        let alike = provider(&script.url).alike(&replica, &given).await.unwrap();
        let told: Vec<bool> = alike.iter().map(|it| it.foreign).collect();
        assert_eq!(told, Vec::from_iter(expected), "{own:?}, listed as {group:?}");
        assert!(alike.iter().all(|it| it.id.contains(":us-west-2:")), "{alike:?}");
    }
}

/// A replica whose home is gone is still known by its own region: a failover has to recover it.
#[tokio::test]
async fn alike_believes_the_region_of_a_replica_when_no_other_member_answers() {
    let replica = kind("dynamodb.replica");
    let given = json!({ "region": "us-west-2", "table": "t", "table.region": "us-east-1", "table.name": "shop" });
    let unwell = std::iter::repeat_n(("describetable", page(503)), READING.attempts as usize);
    let own = || ("describetable", described("us-west-2", None));
    let tags = ("listtags", ok(&json!({ "Tags": [] })));
    let lines = [own(), tags].into_iter().chain(unwell).chain([own()]);
    let script = Script::of(lines.collect()).await;
    let alike = provider(&script.url).alike(&replica, &attributes(&given)).await.unwrap();
    assert_eq!(alike.iter().map(|it| it.foreign).collect::<Vec<_>>(), [false]);
}
