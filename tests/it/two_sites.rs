//! A system on two sites that switches, and what must be true of its users at every request.

use std::collections::BTreeMap;

use lifeboat::engine::state::record::{Phase, State};
use lifeboat::sandbox::Requests;
use lifeboat::sandbox::linode::dns::targets::{MetBy, ServedVerdict};
use lifeboat::sandbox::requests::received::Received;

use crate::harness::{Home, Output};

pub(crate) const STACK: &str = "stack: duo
variables:
  standby: { type: int, default: 1 }
  size: { type: string, default: g6-nanode-1 }
  image: { type: string, default: linode/debian12 }
resources:
  table: { kind: dynamodb.table, region: us-east-1, name: duo, attributes: { id: S }, hash_key: id }
  copy: { kind: dynamodb.replica, table: '${table}', region: eu-west-1 }
  web: { kind: linode.instance, count: 2, region: us-east, type: '${vars.size}', image: '${vars.image}', label: 'duo-us-${each.index}', private_ip: true, authorized_users: [ops], depends_on: [table] }
  lb: { kind: linode.nodebalancer, region: us-east, label: duo-us }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }
  node: { kind: linode.nodebalancer_node, for_each: '${web}', config: '${http}', label: '${each.value.label}', address: '${each.value.private_ipv4}:80' }
  eu: { kind: linode.instance, count: '${vars.standby}', region: eu-central, type: '${vars.size}', image: '${vars.image}', label: 'duo-eu-${each.index}', private_ip: true, authorized_users: [ops], depends_on: [copy] }
  eu_lb: { kind: linode.nodebalancer, region: eu-central, label: duo-eu }
  eu_http: { kind: linode.nodebalancer_config, nodebalancer: '${eu_lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }
  eu_node: { kind: linode.nodebalancer_node, for_each: '${eu}', config: '${eu_http}', label: '${each.value.label}', address: '${each.value.private_ipv4}:80' }
  zone: { kind: linode.domain, domain: duo.example.com, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 30 }
outputs:
  home: '${lb.ipv4}'
";

/// The switch that is told nothing of a loss.
pub(crate) const CALM: &str =
    "overlay: calm\nvariables: { standby: 2 }\nresources: { shop: { target: '${eu_lb.ipv4}' } }\n";

pub(crate) const LINODE: &str = "linode:us-east";
pub(crate) const AWS: &str = "aws:us-east-1";

/// Applied at home, with the overlays `eu`, which assumes a loss, and `calm`, which does not; requests are logged.
pub(crate) fn home() -> Home {
    home_of(STACK)
}

pub(crate) fn home_of(stack: &str) -> Home {
    let home = Home::holding("duo", stack);
    home.overlay("duo", "calm", CALM);
    let losing = format!("{CALM}assumes_lost: ['{LINODE}', '{AWS}']\n");
    home.overlay("duo", "eu", losing.replace("overlay: calm", "overlay: eu"));
    home.log_requests();
    home.sandbox(&["apply", "duo", "--yes"]).code(0).done();
    home
}

pub(crate) fn lose(home: &Home) {
    home.lose(LINODE);
    home.lose(AWS);
}

/// No request and no probe named what `lose` loses, but for the one look of a failover before it declares that lost.
#[track_caller]
pub(crate) fn lost_is_left_alone(home: &Home) {
    let asked = home.requests();
    asked.to_fault_domain(LINODE).one_look();
    asked.to_fault_domain(AWS).one_look();
    home.probes().to_fault_domain(LINODE).none();
}

pub(crate) fn failover(home: &Home) -> Output {
    home.sandbox(&["failover", "duo", "--to", "eu", "--yes"])
}

pub(crate) fn failback(home: &Home) -> Output {
    home.sandbox(&["failback", "duo", "--yes"])
}

pub(crate) fn apply(home: &Home) -> Output {
    home.sandbox(&["apply", "duo", "--yes"])
}

pub(crate) fn state(home: &Home) -> State {
    home.state("duo").unwrap()
}

/// The switch is over, these overlays are active, and nothing is left to do.
#[track_caller]
pub(crate) fn settled(home: &Home, active: &[&str], said: &str) {
    let state = state(home);
    assert_eq!(
        (state.active.as_slice(), state.phase),
        (&owned(active)[..], Phase::Settled),
        "{said}"
    );
    assert!(state.pending.is_empty(), "{said}: {:?}", state.pending);
    let plan = home.sandbox(&["plan", "duo", "--detailed-exitcode"]);
    assert_eq!(plan.code, Some(0), "{said}: {plan}");
    served(home, said);
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Where `shop` leads: `us`, `eu`, or both.
pub(crate) fn leads(home: &Home) -> Vec<String> {
    let world = home.world.show().unwrap();
    let rows = |it: &serde_json::Value| it.as_array().cloned().unwrap_or_default();
    let of = |address: &serde_json::Value| {
        let balancers = rows(&world["linode"]["nodebalancers"]);
        let found = balancers.iter().find(|it| it["ipv4"] == *address);
        found.map_or("nowhere".into(), |it| {
            it["label"].as_str().unwrap().trim_start_matches("duo-").to_owned()
        })
    };
    let zones = rows(&world["linode"]["domains"]);
    let records = zones.iter().flat_map(|it| rows(&it["records"]));
    let mut found: Vec<String> =
        records.filter(|it| it["name"] == "shop").map(|it| of(&it["target"])).collect();
    found.sort();
    found
}

/// At every request since the log was begun: no name that had led somewhere leads nowhere, none is led to what does not
/// serve, and users are served unless the only place they ever knew is lost.
#[track_caller]
pub(crate) fn served(home: &Home, said: &str) {
    served_by(home, |_| true, said);
}

/// The same for the names that are meant.
#[track_caller]
pub(crate) fn served_by(home: &Home, meant: impl Fn(&str) -> bool, said: &str) {
    let log = home.world.requests().unwrap();
    assert!(!log.is_full && !log.received.is_empty(), "{said}: the log proves nothing");
    let known = log.watched().any(|it| it.after.names.keys().any(|name| meant(name)));
    assert!(known, "{said}: no name led anywhere");
    let wrong = unserved(&log, meant);
    assert!(wrong.is_empty(), "{said}: {}", wrong.join("\n"));
}

fn unserved(log: &Requests, meant: impl Fn(&str) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut before: BTreeMap<String, ServedVerdict> = BTreeMap::new();
    for (at, it) in log.watched().enumerate() {
        let mut now = it.after.names;
        now.retain(|name, verdict| meant(name) && !verdict.targets.is_empty());
        let request = it.request;
        for name in before.keys().filter(|name| !now.contains_key(*name)) {
            wrong.push(format!("{name} leads nowhere after {request}"));
        }
        for (name, verdict) in &now {
            let known = before.get(name);
            for (target, met) in &verdict.targets {
                let is_new = known.is_none_or(|it| !it.targets.contains_key(target));
                // What was there when the log was begun was led there before.
                if at > 0 && is_new && *met != MetBy::Served {
                    wrong
                        .push(format!("{name} is led to {target}, which is {met:?}, by {request}"));
                }
            }
            if !verdict.targets.values().any(|met| matches!(met, MetBy::Served | MetBy::Lost)) {
                wrong.push(format!("{name} serves nobody after {request}: {verdict}"));
            }
        }
        before = now;
    }
    wrong
}

/// The check itself must not be blind.
#[test]
fn unserved_finds_what_is_wrong_with_users() {
    let line = |targets: &str| -> Received {
        let verdict = format!(r#"{{"met":"served","way":true,"targets":{{{targets}}}}}"#);
        let verdict = if targets.is_empty() { "null".into() } else { verdict };
        let text = format!(
            r#"{{"at":1,"method":"PUT","path":"/v4/domains/1/records/1","outcome":{{"answered":200}},"by_it":{{"names":{{"shop":{verdict}}}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    };
    let told = |lines: &[&str]| {
        let received = lines.iter().map(|it| line(it)).collect();
        unserved(&Requests { received, is_full: false }, |_| true).join("; ")
    };
    let served = r#""a":"served""#;
    assert_eq!(told(&[served, r#""a":"lost""#, r#""b":"served""#]), "");
    assert!(told(&[served, ""]).contains("leads nowhere"));
    assert!(told(&[served, r#""b":"failing""#]).contains("is led to b"));
    assert!(told(&[served, r#""a":"failing""#]).contains("serves nobody"));
    assert!(told(&[served, r#""b":"lost""#]).contains("is led to b"));
}

/// What was lost at home has recovered, and nothing is left of anything.
pub(crate) fn found_and_destroyed(home: &Home) {
    home.sandbox(&["recovered", "duo", LINODE]).code(0).done();
    home.sandbox(&["recovered", "duo", AWS]).code(0).done();
    home.sandbox(&["destroy", "duo", "--yes"]).code(0).done();
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}
