//! Pages, filters, tags and events.

use serde_json::{Value, json};

use super::Bench;

fn labels(bench: &mut Bench, path: &str, filter: &Value) -> Vec<String> {
    let reply =
        bench.reply(&format!("GET {path}"), &Value::Null, &[("x-filter", &filter.to_string())]);
    let answer = reply.answer().unwrap();
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    match body["data"].as_array() {
        Some(rows) => rows.iter().map(|it| it["label"].as_str().unwrap().to_owned()).collect(),
        None => vec![format!("{} {}", answer.status, body["errors"][0])],
    }
}

#[test]
fn list_has_pages_of_25_to_500_rows() {
    let mut bench = Bench::new();
    bench.world.linode.set_limits(&crate::linode::RateLimits::lifted());
    for number in 0..60 {
        bench.ok(
            "POST /nodebalancers",
            &json!({ "region": "us-east", "label": format!("lb-{number}") }),
        );
    }
    let page = |bench: &mut Bench, query: &str| {
        let body = bench.get(&format!("/nodebalancers?{query}"));
        let rows = body["data"].as_array().unwrap().len();
        format!("{rows} rows, page {} of {}, {}", body["page"], body["pages"], body["results"])
    };
    assert_eq!(page(&mut bench, ""), "60 rows, page 1 of 1, 60");
    assert_eq!(page(&mut bench, "page=2&page_size=50"), "10 rows, page 2 of 2, 60");
    assert_eq!(bench.get("/domains")["pages"], 1, "an empty list has one page");
    bench.check(&[
        ("GET /nodebalancers?page_size=24", Value::Null, "400 page_size: Must be 25-500"),
        ("GET /nodebalancers?page_size=501", Value::Null, "400 page_size: Must be 25-500"),
    ]);
}

#[test]
fn list_obeys_filters() {
    let mut bench = Bench::new();
    for (label, region, tag) in
        [("web-0", "us-east", "one"), ("web-1", "eu-west", "one"), ("db-0", "us-east", "TWO")]
    {
        let body =
            json!({ "region": region, "type": "g6-nanode-1", "label": label, "tags": [tag] });
        bench.ok("POST /linode/instances", &body);
    }
    for (filter, expected) in [
        (json!({ "label": "web-0" }), "web-0"),
        (json!({ "region": "us-east", "tags": "two" }), "db-0"),
        (json!({ "label": { "+contains": "web" }, "region": { "+neq": "us-east" } }), "web-1"),
        (json!({ "+or": [{ "label": "db-0" }, { "label": "web-1" }] }), "web-1 db-0"),
        (json!({ "+order_by": "label", "+order": "asc" }), "db-0 web-0 web-1"),
        (json!({ "id": { "+gt": 1 }, "+order_by": "label", "+order": "desc" }), "web-1 web-0 db-0"),
        (json!({ "label": "nobody" }), ""),
        (json!({ "foo": 1 }), r#"400 {"reason":"Cannot filter on foo","field":"X-Filter"}"#),
        (
            json!({ "+order_by": "status" }),
            r#"400 {"reason":"Cannot filter on status","field":"X-Filter"}"#,
        ),
        (
            json!({ "+and": [{ "specs": 1 }] }),
            r#"400 {"reason":"Cannot filter on specs","field":"X-Filter"}"#,
        ),
    ] {
        assert_eq!(
            labels(&mut bench, "/linode/instances", &filter).join(" "),
            expected,
            "{filter}"
        );
    }
    assert_eq!(
        labels(&mut bench, "/domains", &json!({ "id": 1 })),
        [r#"400 {"reason":"Cannot filter on id","field":"X-Filter"}"#],
        "an empty list refuses too"
    );
    let id = bench.get("/linode/instances")["data"][0]["id"].clone();
    let filter =
        json!({ "action": "linode_create", "entity.id": id, "entity.type": "linode" }).to_string();
    let reply = bench.reply("GET /account/events", &Value::Null, &[("x-filter", &filter)]);
    let body: Value = serde_json::from_slice(&reply.answer().unwrap().body).unwrap();
    assert_eq!(
        (&body["results"], &body["data"][0]["entity"]["label"]),
        (&json!(1), &json!("web-0"))
    );
}

#[test]
fn get_tag_lists_what_has_it_until_it_is_deleted() {
    let mut bench = Bench::new();
    bench.machine("us-east", "bare");
    let body = json!({ "region": "us-east", "type": "g6-nanode-1", "label": "web", "tags": ["lb:shop:abc"] });
    bench.ok("POST /linode/instances", &body);
    bench.ok(
        "POST /nodebalancers",
        &json!({ "region": "us-east", "label": "front", "tags": ["LB:shop:ABC"] }),
    );
    let wearing = bench.get("/tags/lb:shop:abc");
    let found: Vec<String> = wearing["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            format!("{} {}", it["type"].as_str().unwrap(), it["data"]["label"].as_str().unwrap())
        })
        .collect();
    assert_eq!(found, ["linode web", "nodebalancer front"]);
    assert_eq!(bench.get("/tags")["results"], 1, "tags that differ in case are one");
    bench.ok("DELETE /tags/lb:shop:abc", &Value::Null);
    bench.check(&[("GET /tags/lb:shop:abc", Value::Null, "404 Not found")]);
    assert_eq!(bench.get("/nodebalancers")["data"][0]["tags"], json!([]));
}

/// Only lists lag: by its id an object is found at once.
#[test]
fn list_lacks_what_is_young_and_get_by_id_finds_it() {
    let mut bench = Bench::new();
    let mut balancer = |label: &str| {
        let body = json!({ "region": "us-east", "label": label });
        bench.ok("POST /nodebalancers", &body)["id"].as_u64().unwrap()
    };
    let old = balancer("old");
    bench.later(20);
    let young = bench.ok("POST /nodebalancers", &json!({ "region": "us-east", "label": "young" }));
    let young = young["id"].as_u64().unwrap();
    let config = bench.ok(&format!("POST /nodebalancers/{young}/configs"), &json!({ "port": 80 }));
    bench.world.faults.add("GET stale_list ms=15000 times=0".parse().unwrap());
    let mut ids = |list: &str| {
        let shown = bench.ok(list, &Value::Null);
        let rows = shown["data"].as_array().unwrap().iter().map(|it| it["id"].as_u64().unwrap());
        let rows: Vec<u64> = rows.collect();
        assert_eq!(shown["results"], rows.len());
        rows
    };
    assert_eq!(ids("GET /nodebalancers"), [old]);
    assert_eq!(ids(&format!("GET /nodebalancers/{young}/configs")), [0_u64; 0]);
    bench.ok(&format!("GET /nodebalancers/{young}"), &Value::Null);
    bench.ok(&format!("GET /nodebalancers/{young}/configs/{}", config["id"]), &Value::Null);
    bench.later(15);
    let shown = bench.ok("GET /nodebalancers", &Value::Null);
    assert_eq!(shown["results"], 2);
}
