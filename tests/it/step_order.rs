//! The order of steps as the world sees it: one after another with health in between, names that pass on, gates that stay closed.

use std::time::Duration;

use lifeboat::sandbox::linode::dns::targets::MetBy;
use lifeboat::sandbox::requests::received::Received;
use serde_json::json;

use crate::converge::fired;
use crate::harness::Home;

/// The name that users ask for.
const NAME: &str = "shop.shop.example.com";

const SHOP: &str = "stack: shop
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: shop-lb }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }
  web: { kind: linode.instance, count: 2, region: us-east, type: g6-nanode-1, image: linode/debian12, label: 'web-${each.index}', private_ip: true, authorized_users: [ops] }
  node: { kind: linode.nodebalancer_node, for_each: '${web}', config: '${http}', label: '${each.value.label}', address: '${each.value.private_ipv4}:80' }
  zone: { kind: linode.domain, domain: shop.example.com, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 30 }
";

fn home() -> Home {
    let home = Home::holding("shop", SHOP);
    home.log_requests();
    home.sandbox(&["apply", "shop", "--yes"]).code(0).done();
    home
}

/// Both machines are to be replaced; `more`: what else their resource says.
fn reimage(home: &Home, more: &str) {
    let other = SHOP.replace("linode/debian12", "linode/ubuntu24.04");
    let users = "authorized_users: [ops]";
    home.stack("shop", other.replace(users, &format!("{users}{more}")));
}

fn position(requests: &[Received], wanted: impl Fn(&Received) -> bool) -> Vec<usize> {
    let found = requests.iter().enumerate().filter(|(_, it)| wanted(it));
    found.map(|(at, _)| at).collect()
}

/// Both ways of replacing: each old machine goes only after a node was looked at again, and the second after the first one's.
#[test]
fn apply_replaces_the_second_of_a_pair_once_the_first_serves() {
    for beside in ["", ", lifecycle: { create_before_destroy: true }"] {
        let home = home();
        reimage(&home, beside);
        home.log_requests();
        home.sandbox(&["apply", "shop", "--yes"])
            .code(0)
            .shows(&["node[0]: serving gate: wait until it is healthy and takes traffic"])
            .done();
        let log = home.requests().0;
        let gone = position(&log, |it| it.method == "DELETE" && it.path.contains("/instances/"));
        let moved = position(&log, |it| it.method == "PUT" && it.path.contains("/nodes/"));
        let looks = position(&log, |it| it.method == "GET" && it.path.contains("/nodes/"));
        assert_eq!((gone.len(), moved.len()), (2, 2), "{log:?}");
        let seen_after = |at: usize| looks.iter().any(|it| *it > moved[0] && *it < at);
        assert!(moved[0] < gone[1] && seen_after(gone[1]) && seen_after(moved[1]), "{log:?}");
        home.sandbox(&["plan", "shop", "--detailed-exitcode"]).code(0).done();
    }
}

/// A machine is ready long before its application: an old one goes when the balancer has found the new one healthy.
#[test]
fn apply_waits_for_an_application_that_starts_late() {
    for beside in ["", ", lifecycle: { create_before_destroy: true }"] {
        let home = home();
        home.app_starts_after(Duration::from_secs(120));
        home.world.advance(Duration::from_secs(600)).unwrap();
        reimage(&home, &format!(", ready: {{ tcp: '${{self.ipv4}}:22' }}{beside}"));
        home.log_requests();
        home.sandbox(&["apply", "shop", "--yes"]).code(0).done();
        home.users().unharmed(&[NAME], beside);
        assert_eq!(home.verdict(NAME).unwrap().met, MetBy::Served);
    }
}

/// A revision that never serves stops at the first machine: the other one still takes users.
#[test]
fn apply_stops_at_the_first_machine_that_never_becomes_healthy() {
    for (beside, gone) in [("", 1), (", lifecycle: { create_before_destroy: true }", 0)] {
        let home = home();
        home.app_is_broken_by("ubuntu24.04");
        reimage(&home, beside);
        home.log_requests();
        home.sandbox(&["apply", "shop", "--yes"])
            .code(1)
            .says(&["`node[0]` does not serve"])
            .done();
        assert_eq!(home.requests().with("DELETE").with("/instances/").len(), gone);
        home.users().unharmed(&[NAME], beside);
        assert_eq!(home.verdict(NAME).unwrap().met, MetBy::Served);
    }
}

/// Somebody deletes a node while its machine's sibling is being changed.
#[test]
fn apply_recreates_what_is_gone_when_it_is_to_be_changed() {
    let home = home();
    home.stack(
        "shop",
        SHOP.replace(
            "address: '${each.value.private_ipv4}:80' }",
            "address: '${each.value.private_ipv4}:80', weight: 60 }",
        ),
    );
    home.sandbox(&["plan", "shop", "--out", "shop.plan.json"])
        .code(0)
        .shows(&["no longer exists by then is created anew"])
        .done();
    let state = home.state("shop").unwrap();
    let path = |address: &str| {
        let node = &state.records[&address.parse().unwrap()];
        let text = |name: &str| node.attributes[name].as_text().unwrap().to_owned();
        let (balancer, config) = (text("config.nodebalancer"), text("config"));
        format!("/nodebalancers/{balancer}/configs/{config}/nodes/{}", node.id)
    };
    home.log_requests();
    home.fault("PUT /nodebalancers slow ms=2000 times=1");
    let mut apply = home.start(&["apply", "shop", "--yes", "--sandbox"]);
    assert!(apply.until(|| fired(&home) > 0));
    // The other one, whichever was first.
    let first = home.requests().with("PUT").0;
    let nodes = ["node[0]", "node[1]"].map(path);
    let other = nodes.iter().find(|it| first.iter().all(|request| !request.path.ends_with(*it)));
    home.linode("DELETE", other.unwrap(), &json!(null));
    apply.end().code(0).done();
    assert_eq!(home.requests().with("POST").with("/nodes").len(), 1);
    home.sandbox(&["plan", "shop", "--detailed-exitcode"]).code(0).done();
    // A plan that says "update" is not carried out as a create.
    home.sandbox(&["apply", "shop.plan.json", "--yes"]).code(3).says(&["stale"]).done();
}

#[test]
fn apply_moves_a_name_to_another_type_at_once() {
    let home = home();
    home.stack(
        "shop",
        SHOP.replace("  shop:", "  alias:").replace(
            "type: A, name: shop, target: '${lb.ipv4}'",
            "type: CNAME, name: shop, target: shop.example.net",
        ),
    );
    home.log_requests();
    home.sandbox(&["apply", "shop", "--yes"]).code(0).done();
    let log = home.requests().mutating().with("/records");
    assert_eq!(log.0.iter().map(|it| it.method.as_str()).collect::<Vec<_>>(), ["DELETE", "POST"]);
    home.sandbox(&["plan", "shop", "--detailed-exitcode"]).code(0).done();
}

#[test]
fn apply_passes_on_and_exchanges_labels() {
    let stack = |names: &str, count: u8| {
        format!(
            "stack: names\nresources:\n  wall: {{ kind: linode.firewall, count: {count}, label: '${{[{names}][each.index]}}' }}\n"
        )
    };
    let home = Home::holding("names", stack(r#""ant", "bee", "cat""#, 3));
    home.sandbox(&["apply", "names", "--yes"]).code(0).done();
    for (names, count) in
        [(r#""bee", "ant", "cat""#, 3), (r#""ant", "cat", "bee""#, 3), (r#""cat", "bee""#, 2)]
    {
        home.stack("names", stack(names, count));
        home.sandbox(&["apply", "names", "--yes"]).code(0).done();
        home.sandbox(&["plan", "names", "--detailed-exitcode"]).code(0).done();
    }
}

const SITES: &str = "stack: sites
variables:
  size: { type: int, default: 1 }
  mode: { type: string, default: accept }
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: us-lb }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }
  web: { kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, label: us-web, private_ip: true, authorized_users: [ops] }
  node: { kind: linode.nodebalancer_node, config: '${http}', label: us-node, address: '${web.private_ipv4}:80' }
  eu_lb: { kind: linode.nodebalancer, region: eu-central, label: eu-lb }
  eu_http: { kind: linode.nodebalancer_config, nodebalancer: '${eu_lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }
  eu: { kind: linode.instance, count: '${vars.size}', region: eu-central, type: g6-nanode-1, image: linode/debian12, label: 'eu-web-${each.index}', private_ip: true, authorized_users: [ops] }
  eu_node: { kind: linode.nodebalancer_node, for_each: '${eu}', config: '${eu_http}', label: '${each.value.label}', address: '${each.value.private_ipv4}:80', mode: '${vars.mode}' }
  zone: { kind: linode.domain, domain: sites.example.com, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}', ttl_sec: 30 }
";

const EU: &str = "overlay: eu\nassumes_lost: ['linode:us-east']\nvariables: { size: 2 }\nresources: { shop: { target: '${eu_lb.ipv4}' } }\n";

fn sites() -> Home {
    let home = Home::holding("sites", SITES);
    home.overlay("sites", "eu", EU);
    home.sandbox(&["apply", "sites", "--yes"]).code(0).done();
    home
}

/// Somebody has taken the standby's node out of service: the cloud calls it healthy, and it takes nobody.
#[test]
fn failover_gate_stays_closed_before_what_takes_nobody() {
    let home = sites();
    let state = home.state("sites").unwrap();
    let node = &state.records[&"eu_node[0]".parse().unwrap()];
    let text = |name: &str| node.attributes[name].as_text().unwrap().to_owned();
    let path = format!(
        "/nodebalancers/{}/configs/{}/nodes/{}",
        text("config.nodebalancer"),
        text("config"),
        node.id
    );
    home.stack(
        "sites",
        SITES.replace(
            "mode: '${vars.mode}'",
            "mode: '${vars.mode}', lifecycle: { ignore_changes: [mode] }",
        ),
    );
    home.overlay("sites", "eu", EU.replace("variables: { size: 2 }\n", ""));
    home.linode("PUT", &path, &json!({ "mode": "reject" }));
    home.log_requests();
    home.sandbox(&["failover", "sites", "--to", "eu", "--yes"])
        .code(1)
        .says(&["`eu_http` does not serve", "mode \"reject\""])
        .done();
    assert_eq!(home.requests().mutating().with("/records").len(), 0);
}

/// Where both sites are up, users wait for all of the new one: the plan says so, with the command that moves them now, which does.
#[test]
fn failover_advises_a_command_that_moves_users_first() {
    let home = sites();
    home.fault("POST /linode/instances 503 times=999");
    let told = home.sandbox(&["failover", "sites", "--to", "eu", "--planned", "--yes"]).code(1);
    let now = "lifeboat failover sites --to eu --planned --var size=1 --sandbox";
    let told = told.says(&["users of `shop` wait until", now]);
    let words: Vec<&str> = now.split(' ').skip(1).collect();
    home.log_requests();
    home.run(&[&words[..], &["--yes"]].concat()).code(0).done();
    assert_eq!(home.requests().mutating().with("PUT").with("/records").len(), 1);
    // What was left out is made by the second command that it told.
    home.world.end_faults().unwrap();
    let rest = "lifeboat apply sites --var size=2 --sandbox";
    assert!(told.to_string().contains(rest), "{told}");
    home.sandbox(&["plan", "sites", "--detailed-exitcode"]).code(0).done();
    let words: Vec<&str> = rest.split(' ').skip(1).collect();
    home.run(&[&words[..], &["--yes"]].concat()).code(0).done();
    home.sandbox(&["explain", "sites", "vars.size"])
        .code(0)
        .shows(&[
            "vars.size = 2",
            "from the last apply: 2",
            "instead of stacks/sites/overlays/eu.yaml",
        ])
        .done();
}

/// The record could not be read: users may still be at the standby, so nothing of it goes.
#[test]
fn failback_keeps_the_standby_while_nobody_knows_where_users_are() {
    for fault in ["GET /domains 500 times=8", "GET /domains empty200 times=6"] {
        let home = sites();
        home.sandbox(&["failover", "sites", "--to", "eu", "--planned", "--yes"]).code(0).done();
        home.fault(fault);
        home.log_requests();
        home.sandbox(&["failback", "sites", "--yes"]).done();
        home.users().unharmed(&["shop.sites.example.com"], fault);
        assert_eq!(home.verdict("shop.sites.example.com").unwrap().met, MetBy::Served, "{fault}");
        home.world.end_faults().unwrap();
        home.sandbox(&["failback", "sites", "--yes"]).code(0).done();
        home.users().unharmed(&["shop.sites.example.com"], fault);
    }
}

/// A condition that has to hold several times in a row is asked so often.
#[test]
fn apply_checks_a_condition_as_often_as_it_says() {
    let knocks = |times: &str| {
        let home = Home::holding(
            "one",
            format!(
                "stack: one
resources:
  web: {{ kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, label: one-web, authorized_users: [ops], ready: {{ tcp: '${{self.ipv4}}:22'{times}, within: 10m }} }}
"
            ),
        );
        home.log_requests();
        home.sandbox(&["apply", "one", "--yes"]).code(0).done();
        home.probes().len()
    };
    let once = knocks("");
    assert!((1..4).contains(&once), "{once}");
    assert!(knocks(", times: 8") >= 8);
}
