//! Tokens, limits, headers and faults of requests.

use serde_json::{Value, json};

use super::{Bench, told};
use crate::linode::data::restricted::RestrictedToken;
use crate::world::core::SandboxReply;

#[test]
fn authorization_is_not_needed_for_catalogs_only() {
    let mut bench = Bench::new();
    for (path, token, expected) in [
        ("/profile", "Bearer token", 200),
        ("/profile", "Bearer invalid", 401),
        ("/profile", "Bearer ", 401),
        ("/profile", "Basic x", 401),
        ("/regions", "Bearer invalid", 401),
    ] {
        let reply = bench.reply(&format!("GET {path}"), &Value::Null, &[("authorization", token)]);
        let answer = reply.answer().unwrap();
        assert_eq!(answer.status, expected, "{path} {token}");
        if expected == 401 {
            assert_eq!(
                String::from_utf8_lossy(&answer.body),
                r#"{"errors":[{"reason":"Invalid Token"}]}"#
            );
        }
    }
}

#[test]
fn answer_tells_its_rate_limits_and_the_version() {
    let mut bench = Bench::new();
    let reply = bench.reply("GET /domains", &Value::Null, &[]);
    let header = |reply: &SandboxReply, wanted: &str| {
        let headers = &reply.answer().unwrap().headers;
        headers
            .iter()
            .find(|(name, _)| name == wanted)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    assert_eq!(header(&reply, "x-spec-version"), "4.229.1");
    assert_eq!(header(&reply, "x-ratelimit-limit"), "1840");
    assert_eq!(header(&reply, "x-accepted-oauth-scopes"), "domains:read_only");
    let body = json!({ "region": "us-east", "type": "g6-nanode-1" });
    for _ in 0..20 {
        bench.ok("POST /linode/instances", &body);
    }
    let full = bench.reply("POST /linode/instances", &body, &[]);
    assert_eq!((full.answer().unwrap().status, header(&full, "retry-after")), (429, "15".into()));
    assert_eq!(bench.said("POST /linode/instances", &body), "429 Too many requests");
    bench.later(15);
    bench.ok("POST /linode/instances", &body);
}

#[test]
fn fault_tells_whether_the_request_was_carried_out() {
    let mut bench = Bench::new();
    let mut made = 0;
    for (effect, kind, carried_out) in [
        ("lost_reply", "closed", true),
        ("truncated", "truncated 200", true),
        ("slow ms=5", "late 200", true),
        ("empty200", "200", true),
        ("429", "429", false),
        ("500", "500", false),
        ("503", "503", false),
        ("html502", "502", false),
        ("hang", "hang", false),
    ] {
        bench.world.faults.add(format!("POST /nodebalancers {effect}").parse().unwrap());
        let body = json!({ "region": "us-east", "label": format!("lb-{effect}").replace([' ', '='], "-") });
        let reply = bench.reply("POST /nodebalancers", &body, &[]);
        let said = match &reply {
            SandboxReply::Answer(answer) => answer.status.to_string(),
            SandboxReply::Late(_, answer) => format!("late {}", answer.status),
            SandboxReply::Truncated(answer) => format!("truncated {}", answer.status),
            SandboxReply::Closed => "closed".into(),
            SandboxReply::Hang => "hang".into(),
        };
        assert_eq!(said, kind, "{effect}");
        made += usize::from(carried_out);
        assert_eq!(bench.world.linode.nodebalancers.len(), made, "{effect}");
    }
}

#[test]
fn counts_and_recorded_tell_the_requests() {
    let mut bench = Bench::new();
    bench.world.start_record();
    bench.get("/linode/instances");
    bench.said("GET /linode/instances/7", &Value::Null);
    assert_eq!(
        bench.world.recorded(),
        ["GET /v4/linode/instances 200", "GET /v4/linode/instances/7 404"]
    );
    assert_eq!(bench.world.counts()["GET /linode/instances/{}"], 1);
}

/// Lists without the rest, "Not found" of it, and a no to what is only to be looked at.
#[test]
fn grants_limit_what_a_restricted_user_sees() {
    let mut bench = Bench::new();
    let id = |it: &Value| it["id"].as_u64().unwrap();
    let mine = id(&bench.machine("us-east", "mine"));
    let read = id(&bench.machine("us-east", "read"));
    let other = id(&bench.machine("us-east", "other"));
    let key = json!({ "label": "k", "ssh_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA" });
    bench.ok("POST /profile/sshkeys", &key);
    let said = |bench: &mut Bench, call: &str, body: &Value| {
        let reply = bench.reply(call, body, &[("authorization", "Bearer sams")]);
        let answer = reply.answer().unwrap();
        let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        (answer.status, body)
    };
    assert_eq!(said(&mut bench, "GET /profile/grants", &Value::Null), (204, Value::Null));
    let user = RestrictedToken {
        name: "sam".into(),
        objects: [("linode".to_owned(), [(mine, true), (read, false)].into())].into(),
        may: ["add_domains".to_owned()].into(),
    };
    bench.world.linode.restricted.put("sams".into(), user);
    let (_, profile) = said(&mut bench, "GET /profile", &Value::Null);
    assert_eq!(told(&profile, &["username", "restricted"]), r#""sam" true"#);
    let (_, grants) = said(&mut bench, "GET /profile/grants", &Value::Null);
    assert_eq!(
        grants["linode"][1],
        json!({ "id": read, "label": "read", "permissions": "read_only" })
    );
    assert_eq!(
        (&grants["global"]["add_domains"], &grants["global"]["add_linodes"]),
        (&json!(true), &json!(false))
    );
    let (_, list) = said(&mut bench, "GET /linode/instances", &Value::Null);
    assert_eq!(list["results"], 2);
    assert_eq!(said(&mut bench, "GET /profile/sshkeys", &Value::Null).1["results"], 0);
    let zone =
        json!({ "domain": "sam.example.com", "type": "master", "soa_email": "a@example.com" });
    let zone = id(&said(&mut bench, "POST /domains", &zone).1);
    let put = json!({ "tags": ["some"] });
    for (call, body, status) in [
        (format!("GET /linode/instances/{other}"), Value::Null, 404),
        (format!("GET /linode/instances/{other}/ips"), Value::Null, 404),
        (format!("DELETE /linode/instances/{other}"), Value::Null, 404),
        (format!("GET /linode/instances/{read}"), Value::Null, 200),
        (format!("PUT /linode/instances/{read}"), put.clone(), 403),
        (format!("PUT /linode/instances/{mine}"), put.clone(), 200),
        ("POST /linode/instances".to_owned(), json!({}), 403),
        ("GET /account".to_owned(), Value::Null, 403),
        ("GET /linode/types".to_owned(), Value::Null, 200),
        ("GET /nodebalancers/types".to_owned(), Value::Null, 200),
        // What it makes is its own to change.
        (format!("PUT /domains/{zone}"), put, 200),
        (format!("GET /domains/{zone}/records"), Value::Null, 200),
    ] {
        assert_eq!(said(&mut bench, &call, &body).0, status, "{call}");
    }
}

#[test]
fn get_account_names_a_customer_that_is_never_real() {
    let mut bench = Bench::new();
    assert_eq!(bench.get("/account")["euuid"].as_str().unwrap().len(), 36);
    bench.check(&[
        ("GET /linode/types/missing-type", Value::Null, "404 Not found"),
        ("GET /images/not-found", Value::Null, "404 Not found"),
        ("GET /images/linode/debian12", Value::Null, "200"),
        ("GET /linode/types/g6-nanode-1", Value::Null, "200"),
        ("GET /nowhere", Value::Null, "404 Not found"),
        ("DELETE /domains", Value::Null, "405 Method Not Allowed"),
    ]);
}
