//! What the drivers make of a world that answers badly, late or not at all.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cloud::clock::Scaled;
use crate::cloud::connection::{Connections, Settings, Token};
use crate::cloud::loopback::{Line, Script, no, ok, page};
use crate::cloud::provider::{Look, Provider, Question};
use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::retry::Fault;
use crate::engine::schema::Kind;
use crate::engine::value::{Attributes, Value};

/// Pauses between attempts take a hundredth of their time.
const FAST: Scaled = Scaled { anchor: 0, since: 0, speed: 100.0 };

fn provider(url: &str) -> Provider {
    let clock = Arc::new(FAST);
    let settings = Settings {
        linode_url: format!("{url}/v4"),
        linode_token: Some(Token::new("hush")),
        dynamodb_endpoint: Some(url.to_owned()),
        sandbox: true,
        request_timeout: Duration::from_millis(300),
        ..Settings::from_env(clock, |_| None)
    };
    Provider::new(Arc::new(Connections::new(settings)))
}

fn kind(name: &str) -> Kind {
    crate::kinds::builtin().kinds[name].clone()
}

fn attributes(json: &Json) -> Attributes {
    Value::from_json(json).as_map().unwrap().clone()
}

fn rows(ids: std::ops::Range<u32>, page: u32, pages: u32) -> Line {
    let data: Vec<Json> =
        ids.map(|id| json!({ "id": id, "label": format!("l{id}"), "region": "us-east" })).collect();
    ok(&json!({ "data": data, "page": page, "pages": pages, "results": 0 }))
}

/// What is seen of NodeBalancers, and of configs in the NodeBalancer 1.
async fn observed(script: &Script, asked: &[(&str, &str)]) -> Vec<String> {
    let address = Address::one("it");
    let given = attributes(&json!({ "nodebalancer": "1" }));
    let kinds: Vec<Kind> = asked.iter().map(|(name, _)| kind(name)).collect();
    let questions: Vec<Question<'_>> = asked
        .iter()
        .zip(&kinds)
        .map(|((_, id), kind)| Question {
            address: &address,
            kind,
            id: Some(*id),
            attributes: &given,
        })
        .collect();
    let answers = provider(&script.url).observe(&questions).await;
    answers
        .into_iter()
        .map(|it| match it {
            Observation::Exists { attributes, .. } => format!("exists {:?}", attributes["id"]),
            Observation::Absent => "absent".to_owned(),
            Observation::Unseen(why) => format!("unseen: {why}"),
        })
        .map(|it| it.replace(&script.url, "http://here"))
        .collect()
}

const NB: &str = "linode.nodebalancer";
const CONFIG: &str = "linode.nodebalancer_config";

#[tokio::test]
async fn one_list_answers_every_question_and_what_it_lacks_is_confirmed() {
    let script = Script::of(vec![
        ("/networking/firewalls", rows(0..0, 1, 1)),
        ("nodebalancers?page=1", rows(1..4, 1, 2)),
        ("nodebalancers?page=2", rows(3..6, 2, 2)),
        ("/nodebalancers/77", no(404, "Not found")),
        ("/nodebalancers/78", ok(&json!({ "id": 78 }))),
        ("/nodebalancers/79", no(403, "Unauthorized")),
    ])
    .await;
    let asked = [(NB, "5"), (NB, "1"), (NB, "77"), (NB, "78"), (NB, "79")];
    let seen = observed(&script, &asked).await;
    insta::assert_snapshot!(seen.join("\n"), @r#"
    exists "5"
    exists "1"
    absent
    exists "78"
    unseen: GET http://here/v4/nodebalancers/79 answered 403: Unauthorized; give the token the scope and the user the grant for this
    "#);
    assert_eq!(script.asked().len(), 6, "{:?}", script.asked());
    assert!(script.asked().contains(&"GET /v4/nodebalancers?page=2&page_size=500".to_owned()));
}

#[tokio::test]
async fn only_the_questions_concerned_are_unseen_and_children_of_nothing_are_absent() {
    let script = Script::of(vec![
        ("/networking/firewalls", rows(0..0, 1, 1)),
        ("/configs", no(404, "Not found")),
        ("nodebalancers?", page(502)),
        ("nodebalancers?", page(502)),
        ("nodebalancers?", page(502)),
        ("nodebalancers?", page(502)),
    ])
    .await;
    let seen = observed(&script, &[(NB, "5"), (CONFIG, "6")]).await;
    insta::assert_snapshot!(seen.join("\n"), @r#"
    unseen: GET http://here/v4/nodebalancers answered 502: an HTML page, "Bad Gateway"
    absent
    "#);
}

#[tokio::test]
async fn a_wrong_address_makes_nothing_absent() {
    let lines = ["/networking", "nodebalancers?", "/configs"];
    let script = Script::of(lines.map(|it| (it, page(404))).to_vec()).await;
    let seen = observed(&script, &[(NB, "5"), (CONFIG, "6")]).await;
    insta::assert_snapshot!(seen.join("\n"), @r#"
    unseen: GET http://here/v4/nodebalancers answered 404: an HTML page, "Bad Gateway"; check that LINODE_URL names the Linode API, ending in /v4
    unseen: GET http://here/v4/nodebalancers/1/configs answered 404: an HTML page, "Bad Gateway"; check that LINODE_URL names the Linode API, ending in /v4
    "#);
}

#[tokio::test]
async fn reads_are_repeated_in_passing_trouble_and_obey_the_clock() {
    let told = vec![("content-type", "application/json".into()), ("retry-after", "3".into())];
    let throttled = Line::Say(429, told, r#"{"errors":[{"reason":"Too many requests"}]}"#.into());
    let script = Script::of(vec![
        ("/networking/firewalls", rows(0..0, 1, 1)),
        ("nodebalancers?", throttled),
        ("nodebalancers?", Line::Cut),
        ("nodebalancers?", Line::Half(r#"{"data":[],"page":1,"pages":1}"#.into())),
        ("nodebalancers?", rows(5..6, 1, 1)),
    ])
    .await;
    let seen = observed(&script, &[(NB, "5")]).await;
    assert_eq!(seen, [r#"exists "5""#]);
}

#[tokio::test]
async fn answers_that_are_none_are_unseen() {
    for (line, word) in [
        (Line::Say(200, Vec::new(), String::new()), "an empty answer"),
        (page(200), "not JSON"),
        (ok(&json!({ "data": [] })), "not a list with pages"),
        (ok(&json!([])), "not a JSON object"),
    ] {
        let script =
            Script::of(vec![("/networking", rows(0..0, 1, 1)), ("nodebalancers?", line)]).await;
        let seen = observed(&script, &[(NB, "5")]).await;
        assert!(seen[0].starts_with("unseen") && seen[0].contains(word), "{seen:?}");
    }
}

#[tokio::test]
async fn a_list_that_may_not_be_seen_matters_to_those_who_use_it() {
    let script = Script::of(vec![
        ("/networking/firewalls", no(403, "Unauthorized")),
        ("nodebalancers?", rows(5..6, 1, 1)),
    ])
    .await;
    assert_eq!(observed(&script, &[(NB, "5")]).await, [r#"exists "5""#]);
}

/// A change is one attempt, and a lost answer to it is never taken for a failure.
#[tokio::test]
async fn changes_are_tried_once_and_classified() {
    let kind = kind(NB);
    let given = attributes(&json!({ "region": "us-east", "label": "lb" }));
    for (line, fault) in [
        (Line::Cut, Fault::UnknownOutcome),
        (Line::Hang, Fault::UnknownOutcome),
        (Line::Half(r#"{"id":1,"label":"x"}"#.into()), Fault::UnknownOutcome),
        (Line::Say(200, Vec::new(), String::new()), Fault::UnknownOutcome),
        (ok(&json!({ "label": "no id" })), Fault::UnknownOutcome),
        (page(502), Fault::UnknownOutcome),
        (no(503, "later"), Fault::Transient),
        (no(400, "Linode busy."), Fault::Busy),
        (no(400, "Label must be unique"), Fault::Conflict),
        (no(401, "Invalid Token"), Fault::Unauthenticated),
    ] {
        let shown = format!("{line:?}");
        let script = Script::of(vec![("POST", line)]).await;
        let error = provider(&script.url).create(&kind, &given, None).await.unwrap_err();
        assert_eq!(error.fault, fault, "{shown}: {error}");
        assert_eq!(script.asked().len(), 1, "{shown}");
        assert!(!format!("{error} {error:?}").contains("hush"));
    }
    let error = provider("http://127.0.0.1:1").create(&kind, &given, None).await.unwrap_err();
    assert_eq!(error.fault, Fault::Unreachable);
}

#[tokio::test]
async fn what_is_gone_is_deleted_and_absent() {
    let kind = kind(NB);
    let script =
        Script::of(vec![("DELETE", no(404, "Not found")), ("GET", no(404, "Not found"))]).await;
    let provider = provider(&script.url);
    provider.delete(&kind, "5", &Attributes::new()).await.unwrap();
    assert_eq!(provider.look(&kind, "5", &Attributes::new()).await.unwrap(), Look::Absent);
}

#[tokio::test]
async fn look_alikes_are_asked_for_by_filter_and_compared_by_identity() {
    let row = |id: u32, label: &str| json!({ "id": id, "label": label, "created": "2026-11-22T10:00:00", "tags": ["lb:s:abcdefgh2345"] });
    let list = json!({ "data": [row(1, "lb"), row(2, "LB-2")], "page": 1, "pages": 1 });
    let script = Script::of(vec![("GET", ok(&list))]).await;
    let given = attributes(&json!({ "region": "us-east", "label": "lb" }));
    let alike = provider(&script.url).alike(&kind(NB), &given).await.unwrap();
    assert_eq!(alike.len(), 1);
    assert_eq!(alike[0].created, Some(1_795_341_600_000));
    assert_eq!(alike[0].mark.as_deref(), Some("lb:s:abcdefgh2345"));
    insta::assert_snapshot!(script.asked().join("\n"), @r#"GET /v4/nodebalancers?page=1&page_size=500 | x-filter: {"label":"lb"}"#);
}

#[tokio::test]
async fn an_object_with_an_event_under_way_is_not_ready() {
    let events = json!({ "data": [{ "status": "started", "action": "linode_boot" }], "page": 1, "pages": 1 });
    let script = Script::of(vec![
        ("/linode/instances/7", ok(&json!({ "id": 7, "status": "running" }))),
        ("/account/events", ok(&events)),
    ])
    .await;
    let given = attributes(&json!({ "image": "linode/debian12", "booted": true }));
    let look = provider(&script.url).look(&kind("linode.instance"), "7", &given).await.unwrap();
    let Look::Exists { ready: false, why_not: Some(why_not), .. } = look else {
        panic!("{look:?}")
    };
    insta::assert_snapshot!(why_not, @"its linode_boot is started");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Script::of(Vec::new()).await;
    let moved =
        Line::Say(302, vec![("location", format!("{}/v4/x", elsewhere.url))], String::new());
    let script = Script::of(vec![("POST", moved)]).await;
    let given = attributes(&json!({ "region": "us-east", "label": "lb" }));
    let error = provider(&script.url).create(&kind(NB), &given, None).await.unwrap_err();
    assert_eq!(error.fault, Fault::Rejected);
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn dynamodb_faults_as_the_sdk_shows_them() {
    let table = kind("dynamodb.table");
    let given = attributes(&json!({
        "region": "us-east-1", "name": "shop", "attributes": { "id": "S" }, "hash_key": "id",
    }));
    let error = |code: &str, message: &str| {
        let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message });
        Line::Say(
            400,
            vec![("content-type", "application/x-amz-json-1.0".into())],
            body.to_string(),
        )
    };
    for (line, fault) in [
        (error("ResourceInUseException", "Table already exists: shop"), Fault::Conflict),
        (error("ResourceInUseException", "Table is being deleted: shop"), Fault::Busy),
        (error("ThrottlingException", "Rate exceeded"), Fault::Throttled),
        (error("AccessDeniedException", "no"), Fault::Denied),
        (page(502), Fault::UnknownOutcome),
        (page(503), Fault::Transient),
        (page(400), Fault::UnknownOutcome),
        (Line::Say(200, Vec::new(), String::new()), Fault::UnknownOutcome),
        (Line::Say(200, Vec::new(), "{\"Table".into()), Fault::UnknownOutcome),
        (Line::Half("{\"TableDescription\":{}}".into()), Fault::UnknownOutcome),
        (Line::Cut, Fault::UnknownOutcome),
        (Line::Hang, Fault::UnknownOutcome),
    ] {
        let shown = format!("{line:?}");
        let script = Script::of(vec![("createtable", line)]).await;
        let error = provider(&script.url).create(&table, &given, None).await.unwrap_err();
        assert_eq!(error.fault, fault, "{shown}: {error}");
        assert_eq!(script.asked(), ["createtable"], "{shown}");
    }
    let error = provider("http://127.0.0.1:1").create(&table, &given, None).await.unwrap_err();
    assert_eq!(error.fault, Fault::Unreachable, "{error}");
}

#[tokio::test]
async fn a_region_that_does_not_answer_or_answers_nothing_is_unseen() {
    let table = kind("dynamodb.table");
    let given = attributes(&json!({ "region": "us-east-1", "name": "shop" }));
    let address = Address::one("shop");
    let question = Question { address: &address, kind: &table, id: None, attributes: &given };
    let empty =
        Line::Say(200, vec![("content-type", "application/x-amz-json-1.0".into())], "{}".into());
    for lines in [vec![("describetable", empty)], vec![("describetable", Line::Hang); 4]] {
        let script = Script::of(lines).await;
        let seen = provider(&script.url).observe(&[question]).await;
        assert!(matches!(seen[0], Observation::Unseen(_)), "{seen:?}");
    }
}
