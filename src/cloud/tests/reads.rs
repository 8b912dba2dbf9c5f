//! Reads: pages, lists that lack something, and answers that are none.

use serde_json::json;

use crate::cloud::loopback::{Script, ScriptedReply, no, ok, page};
use crate::cloud::provider::{Provider, ReadQuery, ReadResult};
use crate::cloud::tests::{CONFIG, NB, attributes, hasty, kind, provider, rows};
use crate::engine::address::Address;
use crate::engine::observed::Observation;
use crate::engine::schema::Kind;

/// What is seen of NodeBalancers, and of configs in the NodeBalancer 1.
async fn observed(script: &Script, asked: &[(&str, &str)]) -> Vec<String> {
    observed_by(&provider(&script.url), script, asked).await
}

async fn observed_by(provider: &Provider, script: &Script, asked: &[(&str, &str)]) -> Vec<String> {
    let address = Address::one("it");
    let given = attributes(&json!({ "nodebalancer": "1" }));
    let kinds: Vec<Kind> = asked.iter().map(|(name, _)| kind(name)).collect();
    let questions: Vec<ReadQuery<'_>> = asked
        .iter()
        .zip(&kinds)
        .map(|((_, id), kind)| ReadQuery {
            address: &address,
            kind,
            id: Some(*id),
            attributes: &given,
        })
        .collect();
    let answers = provider.observe(&questions).await;
    answers
        .into_iter()
        .map(|it| match it {
            Observation::Exists { attributes, .. } => format!("exists {:?}", attributes["id"]),
            Observation::Absent => "absent".to_owned(),
            Observation::Unknown(it) => format!("{}: {}", it.reason.word(), it.why),
        })
        .map(|it| it.replace(&script.url, "http://here"))
        .collect()
}

#[tokio::test]
async fn observe_asks_one_list_and_confirms_what_it_lacks() {
    let script = Script::of(vec![
        ("/networking/firewalls", rows(0..0, 1, 1)),
        ("nodebalancers?page=1", rows(1..4, 1, 2)),
        ("nodebalancers?page=2", rows(3..6, 2, 2)),
        ("/nodebalancers/77", no(404, "Not found")),
        ("/nodebalancers/78", ok(&json!({ "id": 78 }))),
        ("/nodebalancers/79", no(403, "Unauthorized")),
        ("/profile", ok(&json!({ "username": "ops", "restricted": false }))),
    ])
    .await;
    let asked = [(NB, "5"), (NB, "1"), (NB, "77"), (NB, "78"), (NB, "79")];
    let seen = observed(&script, &asked).await;
    insta::assert_snapshot!(seen.join("\n"), @r#"
    exists "5"
    exists "1"
    absent
    exists "78"
    denied: GET http://here/v4/nodebalancers/79 answered 403: Unauthorized; give the token the required scope and its user the required grant
    "#);
    assert_eq!(script.asked().len(), 7, "{:?}", script.asked());
    assert!(script.asked().contains(&"GET /v4/nodebalancers?page=2&page_size=500".to_owned()));
}

#[tokio::test]
async fn observe_gives_unknown_only_to_the_queries_concerned() {
    let script = Script::of(vec![
        ("/networking/firewalls", rows(0..0, 1, 1)),
        ("/configs", no(404, "Not found")),
        ("/profile", ok(&json!({ "username": "ops", "restricted": false }))),
        ("nodebalancers?", page(502)),
        ("nodebalancers?", page(502)),
        ("nodebalancers?", page(502)),
        ("nodebalancers?", page(502)),
    ])
    .await;
    let seen = observed(&script, &[(NB, "5"), (CONFIG, "6")]).await;
    insta::assert_snapshot!(seen.join("\n"), @r#"
    unreachable: GET http://here/v4/nodebalancers answered 502: an HTML page, "Bad Gateway"
    absent
    "#);
}

#[tokio::test]
async fn observe_takes_nothing_for_absent_at_a_wrong_address() {
    let lines = ["/networking", "nodebalancers?", "/configs"];
    let script = Script::of(lines.map(|it| (it, page(404))).to_vec()).await;
    let seen = observed(&script, &[(NB, "5"), (CONFIG, "6")]).await;
    insta::assert_snapshot!(seen.join("\n"), @r#"
    malformed: GET http://here/v4/nodebalancers answered 404: an HTML page, "Bad Gateway"; check that LINODE_URL names the Linode API, ending in /v4
    malformed: GET http://here/v4/nodebalancers/1/configs answered 404: an HTML page, "Bad Gateway"; check that LINODE_URL names the Linode API, ending in /v4
    "#);
}

#[tokio::test]
async fn observe_repeats_reads_in_passing_trouble() {
    let told = vec![("content-type", "application/json".into()), ("retry-after", "3".into())];
    let throttled =
        ScriptedReply::Say(429, told, r#"{"errors":[{"reason":"Too many requests"}]}"#.into());
    let script = Script::of(vec![
        ("/networking/firewalls", rows(0..0, 1, 1)),
        ("nodebalancers?", throttled),
        ("nodebalancers?", ScriptedReply::Cut),
        ("nodebalancers?", ScriptedReply::Half(r#"{"data":[],"page":1,"pages":1}"#.into())),
        ("nodebalancers?", rows(5..6, 1, 1)),
    ])
    .await;
    let seen = observed(&script, &[(NB, "5")]).await;
    assert_eq!(seen, [r#"exists "5""#]);
}

/// Who says "later" has said something: then it is the answer that is waited for, not the first word.
#[tokio::test]
async fn observe_waits_for_a_place_that_asks_for_patience() {
    let told = vec![("content-type", "application/json".into()), ("retry-after", "40".into())];
    let throttled =
        ScriptedReply::Say(429, told, r#"{"errors":[{"reason":"Too many requests"}]}"#.into());
    let script = Script::of(vec![("/configs", throttled), ("/configs", rows(6..7, 1, 1))]).await;
    let seen = observed_by(&hasty(&script.url), &script, &[(CONFIG, "6")]).await;
    assert_eq!(seen, [r#"exists "6""#]);
    let script = Script::of(vec![("/configs", ScriptedReply::Hang)]).await;
    let seen = observed_by(&hasty(&script.url), &script, &[(CONFIG, "6")]).await;
    assert!(seen[0].contains("no answer within 0."), "{seen:?}");
}

#[tokio::test]
async fn observe_gives_unknown_for_answers_that_are_none() {
    for (line, word) in [
        (ScriptedReply::Say(200, Vec::new(), String::new()), "an empty response"),
        (page(200), "not JSON"),
        (ok(&json!({ "data": [] })), "not a paginated list"),
        (ok(&json!([])), "not a JSON object"),
    ] {
        let script =
            Script::of(vec![("/networking", rows(0..0, 1, 1)), ("nodebalancers?", line)]).await;
        let seen = observed(&script, &[(NB, "5")]).await;
        assert!(seen[0].starts_with("malformed") && seen[0].contains(word), "{seen:?}");
    }
}

#[tokio::test]
async fn observe_needs_a_denied_list_only_for_those_who_use_it() {
    let script = Script::of(vec![
        ("/networking/firewalls", no(403, "Unauthorized")),
        ("nodebalancers?", rows(5..6, 1, 1)),
    ])
    .await;
    assert_eq!(observed(&script, &[(NB, "5")]).await, [r#"exists "5""#]);
}

/// A change is one attempt, and a lost answer to it is never taken for a failure.
#[tokio::test]
async fn alike_compares_identity_in_any_case() {
    let row = |id: u32, label: &str| json!({ "id": id, "label": label, "created": "2026-11-22T10:00:00", "tags": ["lb:s:abcdefgh2345"] });
    let list = json!({ "data": [row(1, "LB"), row(2, "LB-2")], "page": 1, "pages": 1 });
    let script = Script::of(vec![("GET", ok(&list))]).await;
    let given = attributes(&json!({ "region": "us-east", "label": "lb" }));
    let alike = provider(&script.url).alike(&kind(NB), &given).await.unwrap();
    assert_eq!(alike.len(), 1);
    assert_eq!(alike[0].created, Some(1_795_341_600_000));
    assert_eq!(alike[0].mark.as_deref(), Some("lb:s:abcdefgh2345"));
    // A filter compares letter by letter.
    insta::assert_snapshot!(script.asked().join("\n"), @"GET /v4/nodebalancers?page=1&page_size=500");
}

#[tokio::test]
async fn alike_asks_with_a_filter_where_the_case_is_known() {
    let list = json!({ "data": [], "page": 1, "pages": 1 });
    let script = Script::of(vec![("GET", ok(&list))]).await;
    let given = attributes(&json!({ "domain": "Example.com", "soa_email": "a@example.com" }));
    provider(&script.url).alike(&kind("linode.domain"), &given).await.unwrap();
    insta::assert_snapshot!(script.asked().join("\n"), @r#"GET /v4/domains?page=1&page_size=500 | x-filter: {"domain":"example.com"}"#);
}

#[tokio::test]
async fn look_is_not_ready_while_an_event_is_under_way() {
    let events = json!({ "data": [{ "status": "started", "action": "linode_boot", "entity": { "id": 7, "type": "linode" } }], "page": 1, "pages": 1 });
    let script = Script::of(vec![
        ("/linode/instances/7", ok(&json!({ "id": 7, "status": "running" }))),
        ("/account/events", ok(&events)),
    ])
    .await;
    let given = attributes(&json!({ "image": "linode/debian12", "booted": true }));
    let look = provider(&script.url).look(&kind("linode.instance"), "7", &given).await.unwrap();
    let ReadResult::Exists { ready: false, why_not: Some(why_not), .. } = look else {
        panic!("{look:?}")
    };
    insta::assert_snapshot!(why_not, @"its linode_boot is started");
}

/// The API says yes at once, and its events lag: until the new type shows, the machine is not ready.
#[tokio::test]
async fn look_awaits_an_accepted_change_and_not_that_of_a_later_step() {
    let quiet = || ("/account/events", ok(&json!({ "data": [], "page": 1, "pages": 1 })));
    let row = |of: &str| {
        let row = json!({ "id": 7, "status": "running", "type": of, "image": "linode/debian12" });
        ("/linode/instances/7", ok(&row))
    };
    let script = Script::of(vec![
        ("/resize", ok(&json!({}))),
        quiet(),
        row("g6-nanode-1"),
        row("g6-standard-1"),
    ])
    .await;
    let (provider, kind) = (provider(&script.url), kind("linode.instance"));
    let wanted = attributes(&json!({ "type": "g6-standard-1", "booted": false }));
    provider.update(&kind, "7", &wanted, "resize", &["type".into()], None).await.unwrap();
    let look = provider.look(&kind, "7", &wanted).await.unwrap();
    let ReadResult::Exists { why_not: Some(why_not), .. } = look else { panic!("{look:?}") };
    assert_eq!(why_not, "its type is still \"g6-nanode-1\"");
    let look = provider.look(&kind, "7", &wanted).await.unwrap();
    assert!(matches!(look, ReadResult::Exists { ready: true, .. }), "{look:?}");
}
