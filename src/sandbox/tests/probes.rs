//! What a look from outside finds.

use std::time::Duration;

use serde_json::{Value, json};

use super::{machine, manual, ok};
use crate::Sandbox;
use crate::faults::state::LostHow;
use crate::probe::{SandboxProbe, SandboxProbeAnswer};

fn look(sandbox: &Sandbox, what: &str) -> String {
    let probe = if what.contains("://") {
        SandboxProbe::Http { url: what.into() }
    } else {
        let (host, port) = what.rsplit_once(':').unwrap();
        SandboxProbe::Tcp { host: host.into(), port: port.parse().unwrap() }
    };
    match sandbox.probe(&probe) {
        SandboxProbeAnswer::Open => "open".into(),
        SandboxProbeAnswer::Refused => "refused".into(),
        SandboxProbeAnswer::Timeout => "timeout".into(),
        SandboxProbeAnswer::Unresolved => "unresolved".into(),
        SandboxProbeAnswer::Http { status, .. } => status.to_string(),
    }
}

#[test]
fn probe_looks_at_machines_balancers_and_names() {
    let sandbox = Sandbox::open(None, &manual()).unwrap();
    let web = machine(&sandbox, "web-0");
    let balancer =
        ok(&sandbox, "POST", "/nodebalancers", &json!({ "region": "us-east", "label": "front" }));
    let (web, front) = (web["ipv4"][0].as_str().unwrap(), balancer["ipv4"].as_str().unwrap());
    let configs = format!("/nodebalancers/{}/configs", balancer["id"]);
    let node = json!({ "label": "web-0", "address": "192.168.128.10:80" });
    let body = json!({
        "check": "http", "check_path": "/", "check_interval": 15, "check_timeout": 5, "nodes": [node],
    });
    ok(&sandbox, "POST", &configs, &body);
    let zone = json!({ "domain": "example.com", "type": "master", "soa_email": "ops@example.com" });
    let zone = ok(&sandbox, "POST", "/domains", &zone);
    let records = format!("/domains/{}/records", zone["id"]);
    for record in [
        json!({ "type": "A", "name": "shop", "target": front }),
        json!({ "type": "CNAME", "name": "www", "target": "shop.example.com." }),
        json!({ "type": "A", "name": "*.any", "target": web }),
    ] {
        ok(&sandbox, "POST", &records, &record);
    }
    let all = [
        format!("{web}:22"),
        format!("http://{web}/healthcheck"),
        format!("http://{front}/"),
        format!("{front}:443"),
        "http://www.example.com/x?y".to_owned(),
        "x.any.example.com:80".to_owned(),
        "http://nobody.example.com/".to_owned(),
        balancer["hostname"].as_str().unwrap().to_owned() + ":80",
    ];
    let seen =
        |sandbox: &Sandbox| all.iter().map(|it| look(sandbox, it)).collect::<Vec<_>>().join(" ");
    assert_eq!(seen(&sandbox), "timeout timeout 503 refused 503 timeout unresolved open");
    sandbox.advance(Duration::from_mins(2)).unwrap();
    assert_eq!(seen(&sandbox), "open 200 200 refused 200 open unresolved open");
    sandbox.sicken("web-0").unwrap();
    assert_eq!(seen(&sandbox), "open 503 503 refused 503 open unresolved open");
    sandbox.heal(Some("web-0")).unwrap();
    sandbox.lose("linode:us-east", LostHow::Refuse).unwrap();
    assert_eq!(
        seen(&sandbox),
        "timeout timeout timeout timeout timeout timeout unresolved timeout"
    );
    sandbox.heal(None).unwrap();
    ok(&sandbox, "PUT", &format!("/domains/{}", zone["id"]), &json!({ "status": "disabled" }));
    assert_eq!(look(&sandbox, "shop.example.com:80"), "unresolved");
    assert_eq!(
        sandbox.show().unwrap()["linode"]["domains"][0]["records"].as_array().map(Vec::len),
        Some(3)
    );
    let gone = ok(&sandbox, "GET", "/linode/instances", &Value::Null)["data"][0]["id"].clone();
    ok(&sandbox, "DELETE", &format!("/linode/instances/{gone}"), &Value::Null);
    assert_eq!(look(&sandbox, &format!("{web}:22")), "timeout");
}
