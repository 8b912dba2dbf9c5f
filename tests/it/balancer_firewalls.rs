//! Firewalls before balancers: nobody is sent where nobody is let in, whoever put the firewall there.

use lifeboat::sandbox::linode::dns::targets::MetBy;
use serde_json::{Value, json};

use crate::harness::{Home, Output};
use crate::two_sites::{self, STACK, failback, leads, state};

const CALM: &[&str] = &["failover", "duo", "--to", "calm", "--planned", "--yes"];

/// The stack with a filter that has these rules, and this on the line of one balancer.
fn walled(balancer: &str, rules: &str) -> String {
    let wall = format!(
        "  wall: {{ kind: linode.firewall, label: duo-wall, inbound_policy: DROP, inbound: [{rules}] }}\n  {balancer}: {{ firewall: '${{wall}}', "
    );
    STACK.replace(&format!("  {balancer}: {{ "), &wall)
}

fn accept(ports: &str, network: &str) -> String {
    let family = if network.contains(':') { "ipv6" } else { "ipv4" };
    format!(
        "{{ action: ACCEPT, label: web, protocol: TCP, ports: '{ports}', addresses: {{ {family}: ['{network}'] }} }}"
    )
}

fn apply(home: &Home, allow: &[&str]) -> Output {
    home.sandbox(&[&["apply", "duo", "--yes"], allow].concat())
}

/// Somebody puts a firewall that lets nobody in before a balancer; its id.
fn put_before(home: &Home, balancer: &str) -> Value {
    let id: u64 = state(home).records[&balancer.parse().unwrap()].id.parse().unwrap();
    let rules = json!({ "inbound_policy": "DROP", "outbound_policy": "ACCEPT", "inbound": [], "outbound": [] });
    let body = json!({ "label": "by-hand", "rules": rules, "devices": { "nodebalancers": [id] } });
    home.linode("POST", "/networking/firewalls", &body)["id"].clone()
}

fn take_away(home: &Home, firewall: &Value) {
    home.linode("DELETE", &format!("/networking/firewalls/{firewall}"), &Value::Null);
}

/// What a plan says of what others shut.
fn noted(home: &Home) -> String {
    let plan = home.sandbox(&["plan", "duo", "--format", "json"]).code(0).json();
    let notes = plan["plan"]["notes"].as_array().unwrap().clone();
    let told = notes.iter().filter(|it| it["code"] == "shut_by_others");
    told.map(|it| it["text"].as_str().unwrap()).collect()
}

/// A balancer whose own firewall lets no user in is no use to anybody, before users are sent there and after.
#[test]
fn apply_refuses_a_firewall_that_blocks_users() {
    let home = two_sites::home();
    for rules in [
        String::new(),
        accept("443", "0.0.0.0/0"),
        // Those of machines: only balancers come from there.
        accept("80", "192.168.255.0/24"),
        // Users of the name come by IPv4.
        accept("80", "::/0"),
    ] {
        // `::/0` is told for the name that leads there; nothing leads to the standby yet.
        for balancer in
            ["lb", "eu_lb"].into_iter().filter(|it| !rules.contains("::") || *it == "lb")
        {
            home.stack("duo", walled(balancer, &rules));
            let plan = home.sandbox(&["plan", "duo"]).code(3);
            plan.shows(&[
                "Danger: TRAFFIC",
                "Refused [shuts_users]: `wall` blocks all traffic to port 80",
            ])
            .shows(&["--allow-outage"])
            .done();
            apply(&home, &[]).code(3).done();
        }
    }
    // Some do this on purpose: all users come from their network's addresses.
    home.stack("duo", walled("lb", &accept("80", "203.0.113.0/24")));
    let plan = home.sandbox(&["plan", "duo"]).code(0);
    plan.shows(&["TRAFFIC", "admits only some networks to port 80 of `lb`"]).done();
    home.stack("duo", walled("lb", &accept("80", "0.0.0.0/0")));
    apply(&home, &[]).code(0).done();
    let again = home.sandbox(&["plan", "duo"]).code(0).to_string();
    assert!(!again.contains("admits only some") && !again.contains("TRAFFIC"), "{again}");
}

/// What was allowed once is no reason to send users there: on the way out, and on the way home.
#[test]
fn failover_and_failback_refuse_what_the_layers_block() {
    let home = two_sites::home();
    home.overlay("duo", "calm", "overlay: calm\nresources: { eu_lb: { firewall: '${wall}' }, shop: { target: '${eu_lb.ipv4}' } }\n");
    let wall = walled("lb", "").replace("firewall: '${wall}', ", "");
    home.stack("duo", &wall);
    apply(&home, &[]).code(0).done();
    home.sandbox(CALM).code(3).shows(&["Refused [shuts_users]"]).done();
    home.overlay("duo", "calm", two_sites::CALM);
    home.stack("duo", walled("eu_lb", ""));
    apply(&home, &["--allow-outage"]).code(0).done();
    // It is so already, and told.
    apply(&home, &[]).code(0).shows(&["shut_out", "`wall` blocks all traffic to port 80"]).done();
    home.sandbox(CALM).code(3).shows(&["Refused [shuts_users]"]).done();
    assert_eq!(leads(&home), ["us"]);
    home.stack("duo", &wall);
    apply(&home, &[]).code(0).done();
    home.sandbox(CALM).code(0).done();
    home.stack("duo", walled("lb", ""));
    apply(&home, &["--allow-outage"]).code(0).done();
    failback(&home).code(3).shows(&["Refused [shuts_users]"]).done();
    assert_eq!(leads(&home), ["eu"]);
    home.stack("duo", &wall);
    apply(&home, &[]).code(0).done();
    failback(&home).code(0).done();
    two_sites::settled(&home, &[], "nobody was sent to a shut door");
}

/// What others put there is known by looking: the gate waits, and says what shuts users out.
#[test]
fn failover_and_failback_wait_at_what_somebody_blocked() {
    let home = two_sites::home();
    for (balancer, there, back) in [("eu_lb", "us", "eu"), ("lb", "eu", "us")] {
        let wall = put_before(&home, balancer);
        let name = format!("linode.firewall {wall} (`by-hand`)");
        let shut = format!(
            "{name}, which is not part of this stack, blocks all traffic to port 80 of `{balancer}`"
        );
        assert!(noted(&home).contains(&shut), "{shut}");
        let switch = || if balancer == "lb" { failback(&home) } else { home.sandbox(CALM) };
        let says = format!("{name} blocks all traffic to port 80");
        switch().code(1).says(&["does not serve: timed out", &says]).done();
        assert_eq!(leads(&home), [there], "users stay where they are");
        take_away(&home, &wall);
        switch().code(0).done();
        assert_eq!(leads(&home), [back]);
    }
    two_sites::settled(&home, &[], "nobody was sent to a shut door");
}

/// An `apply` that leads a name there is no other thing.
#[test]
fn apply_sends_no_users_to_what_somebody_blocked() {
    let home = two_sites::home();
    let wall = put_before(&home, "eu_lb");
    home.stack("duo", STACK.replace("target: '${lb.ipv4}'", "target: '${eu_lb.ipv4}'"));
    apply(&home, &[])
        .code(1)
        .says(&["`eu_http` does not serve", "(`by-hand`) blocks all traffic to port 80"])
        .done();
    assert_eq!(leads(&home), ["us"]);
    // Switched off it is in nobody's way.
    home.linode("PUT", &format!("/networking/firewalls/{wall}"), &json!({ "status": "disabled" }));
    apply(&home, &[]).code(0).done();
    assert_eq!(leads(&home), ["eu"]);
    two_sites::settled(&home, &[], "users were let in");
}

/// Where no gate would wait, the plan is refused.
#[test]
fn failover_refuses_a_block_for_which_no_gate_waits() {
    let checked = "nodebalancer: '${eu_lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5";
    let home =
        two_sites::home_of(&STACK.replace(checked, "nodebalancer: '${eu_lb}', protocol: http"));
    let wall = put_before(&home, "eu_lb");
    home.sandbox(CALM).code(3).shows(&["Refused [shuts_users]"]).done();
    take_away(&home, &wall);
    home.sandbox(CALM).code(0).done();
}

/// Where users are, somebody shuts the door: nothing of the stack can mend that, and everybody is told. An `apply` changes
/// nothing of it.
#[test]
fn status_and_audit_tell_what_blocks_users_that_are_there() {
    let home = two_sites::home();
    let wall = put_before(&home, "lb");
    assert_eq!(home.verdict("shop.duo.example.com").unwrap().met, MetBy::Failing, "the oracle");
    apply(&home, &[]).code(0).says(&["nothing to do", "shut_by_others"]).done();
    let audit = home.sandbox(&["audit", "duo", "--online"]);
    audit.shows(&["firewall-shuts", "(`by-hand`), which is not part of this stack"]).done();
    take_away(&home, &wall);
    home.stack("duo", walled("lb", ""));
    apply(&home, &["--allow-outage"]).code(0).done();
    let status = home.sandbox(&["status", "duo"]).code(0);
    status
        .shows(&[
            "in linode:us-east; `wall` blocks all traffic to port 80; 2 of 2 backends recorded, their health was not asked\n",
        ])
        .done();
    let json = home.sandbox(&["status", "duo", "--format", "json"]).json();
    assert_eq!(json["users"][0]["shut"], "`wall` blocks all traffic to port 80");
}

/// A name that leads to a machine itself: at no port would anybody be let in.
#[test]
fn failover_refuses_a_machine_that_is_blocked() {
    let home = two_sites::home();
    home.overlay(
        "duo",
        "calm",
        "overlay: calm\nresources: { shop: { target: '${eu[0].ipv4}' } }\n",
    );
    home.stack("duo", walled("eu", ""));
    // Nobody comes to it but a balancer, which would not reach it any more.
    apply(&home, &[]).code(3).shows(&["shuts_backends"]).done();
    apply(&home, &["--allow-outage"]).code(0).done();
    let shut = "`wall` blocks all traffic to `eu[0]`";
    home.sandbox(CALM).code(3).shows(&["Refused [shuts_users]", shut]).done();
    let open = walled(
        "eu",
        &[accept("80", "192.168.255.0/24"), accept("22", "203.0.113.0/24")].join(", "),
    );
    home.stack("duo", open);
    apply(&home, &[]).code(0).done();
    // Which port users need nobody says.
    let told = home.sandbox(CALM).code(0).to_string();
    assert!(!told.contains("shuts_users") && !told.contains("only some"), "{told}");
}

/// A machine behind the balancer, shut off by hand: its checks see it, and the plan says why.
#[test]
fn plan_tells_what_blocks_a_backend_by_hand() {
    let home = two_sites::home();
    let id: u64 = state(&home).records[&"eu[0]".parse().unwrap()].id.parse().unwrap();
    let rules = json!({ "inbound_policy": "DROP", "outbound_policy": "ACCEPT", "inbound": [], "outbound": [] });
    let body = json!({ "label": "by-hand", "rules": rules, "devices": { "linodes": [id] } });
    home.linode("POST", "/networking/firewalls", &body);
    let shut = "which is not part of this stack, does not admit 192.168.255.0/24 to port 80: no balancer can reach `eu[0]`";
    assert!(noted(&home).contains(shut));
}
