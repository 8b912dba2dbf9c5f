//! Complete means served: names that still lead to what is lost, and targets that nothing looks at.

use lifeboat::engine::state::record::Phase;
use serde_json::Value;

use crate::harness::Home;
use crate::two_sites::{self, CALM, LINODE, STACK, failover, leads, lose, settled, state};

/// The stack with more names; `{ip}` is the address of the balancer at home.
fn with(names: &str, ip: &str) -> String {
    STACK.replace("outputs:", &format!("{}outputs:", names.replace("{ip}", ip)))
}

fn ip_of(home: &Home, balancer: &str) -> String {
    let records = state(home).records;
    records[&balancer.parse().unwrap()].outputs["ipv4"].as_text().unwrap().to_owned()
}

const ADMIN: &str = "  admin: { kind: linode.domain_record, domain: '${zone}', type: A, name: admin, target: '${lb.ipv4}', ttl_sec: 30 }\n";
const OLD: &str = "  old: { kind: linode.domain_record, domain: '${zone}', type: A, name: old, target: '{ip}', ttl_sec: 30 }\n";
const TWIN: &str = "  twin: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${web[0].ipv4}', ttl_sec: 30 }\n";

/// At home, with these names beside `shop`.
fn home_with(names: &str) -> (Home, String) {
    let home = two_sites::home();
    let ip = ip_of(&home, "lb");
    home.stack("duo", with(names, &ip));
    two_sites::apply(&home).code(0).done();
    (home, ip)
}

/// The last report of the stack.
fn report(home: &Home) -> Value {
    let all = home.sandbox(&["reports", "duo", "--format", "json"]).code(0).json();
    all["reports"].as_array().unwrap().last().unwrap().clone()
}

/// Named by reference or spelled out, a name that leads to what is lost keeps the switch open, and what is advised ends it.
#[test]
fn failover_is_incomplete_while_a_name_leads_to_what_is_lost() {
    let (home, ip) = home_with(&format!("{ADMIN}{OLD}"));
    lose(&home);
    let leads_there = format!("`old`: it sends users to {ip} (`lb`), but linode:us-east is lost");
    let advice = [
        "the switch is incomplete: some users are still sent to the wrong target",
        "`admin`: it sends users to",
        leads_there.as_str(),
        "write `old: { target: '${eu_lb.ipv4}' }`, like `shop`, under `resources` in stacks/duo/overlays/eu.yaml; then `lifeboat apply duo --sandbox`",
    ];
    for round in 0..2 {
        let told = failover(&home).code(5).says(&advice);
        assert!(!told.stderr.contains(": complete") && !told.stderr.contains("met"), "{told}");
        assert_eq!((leads(&home), state(&home).phase), (vec!["eu".into()], Phase::Switching));
        if round == 0 {
            told.shows(&["leads_into_lost", "`old` sends users to `lb`"]).done();
        }
    }
    let way = format!("users: old points to lb ({ip}) in linode:us-east, which is lost\n");
    home.sandbox(&["status", "duo"]).code(0).shows(&[&way]).done();
    let plan = home.sandbox(&["plan", "duo", "--format", "json"]).json();
    let strays = plan["plan"]["strays"].as_array().unwrap().clone();
    assert_eq!(strays.len(), 2, "{strays:?}");
    assert_eq!((&strays[1]["address"], &strays[1]["to"]), (&"old".into(), &"lb".into()));
    let kept = report(&home);
    assert_eq!(kept["complete"], false);
    assert!(kept["open"].to_string().contains(&leads_there), "{kept:#}");
    let names = "resources: { shop: { target: '${eu_lb.ipv4}' }, admin: { target: '${eu_lb.ipv4}' }, old: { target: '${eu_lb.ipv4}' } }";
    let mended = CALM.replace("resources: { shop: { target: '${eu_lb.ipv4}' } }", names);
    let mended = mended.replace("overlay: calm", "overlay: eu");
    home.overlay(
        "duo",
        "eu",
        format!("{mended}assumes_lost: ['{LINODE}', '{}']\n", two_sites::AWS),
    );
    two_sites::apply(&home).code(0).says(&["failover of duo to eu: complete"]).done();
    settled(&home, &["eu"], "all names have moved");
    failover(&home).code(0).says(&["already active"]).done();
}

/// Where another record of the name leads to what lives, it is told, and no more.
#[test]
fn failover_only_tells_a_name_that_is_served_elsewhere_as_well() {
    let (home, _) = home_with(TWIN);
    lose(&home);
    let told =
        failover(&home).code(0).shows(&["leads_into_lost", "`twin` sends users to `web[0]`"]);
    told.says(&["failover of duo to eu: complete"]).done();
    assert_eq!(state(&home).phase, Phase::Settled);
}

/// Who is there already is told the same; a text under a name leads nobody.
#[test]
fn apply_tells_a_name_that_leads_to_a_loss_declared_later() {
    let text = "  said: { kind: linode.domain_record, domain: '${zone}', type: TXT, name: said, target: '{ip}', ttl_sec: 30 }\n";
    let (home, ip) = home_with(&format!("{OLD}{text}"));
    home.sandbox(&["failover", "duo", "--to", "calm", "--planned", "--yes"]).code(0).done();
    lose(&home);
    let told = home.sandbox(&["apply", "duo", "--lost", LINODE, "--lost", two_sites::AWS, "--yes"]);
    let told = told.code(5).says(&["some users are still sent to the wrong target: `old`", &ip]);
    assert!(!told.to_string().contains("`said`"), "{told}");
    home.sandbox(&["apply", "duo", "--yes"]).code(5).says(&["applied: 0 steps", "`old`"]).done();
}

/// Made after the switch: who says that all is there already looks first.
#[test]
fn failover_tells_a_name_that_came_after_the_switch() {
    let home = two_sites::home();
    lose(&home);
    failover(&home).code(0).done();
    home.stack("duo", with(OLD, &ip_of(&home, "lb")));
    two_sites::apply(&home)
        .code(5)
        .says(&["some users are still sent to the wrong target: `old`"])
        .done();
    assert_eq!(state(&home).phase, Phase::Settled);
    failover(&home)
        .code(5)
        .says(&["users could not be confirmed there", "`old`", "set a healthy `target` for `old`"])
        .done();
}

/// A drill of such a stack says so, and is no rehearsal that went well.
#[test]
fn drill_shows_a_name_that_the_overlay_forgot() {
    let home = Home::woocommerce();
    let file = "stacks/woocommerce/stack.yaml";
    let text = std::fs::read_to_string(home.path(file)).unwrap();
    let admin = ADMIN.replace("ttl_sec: 30", "ttl_sec: 300");
    home.write(file, text.replace("\noutputs:", &format!("{admin}\noutputs:")));
    crate::drill::edit(
        &home,
        "  shop: { name: shop-drill }",
        "  shop: { name: shop-drill }\n  admin: { name: admin-drill }",
    );
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    let told = home.sandbox(crate::drill::DRILL).code(5).says(&[
        "switch: some users are still sent to the wrong target: `admin`",
        "`admin: { target: '${standby_lb.ipv4}' }`, like `shop`, under `resources` in stacks/woocommerce/overlays/failover_eu.yaml\n",
        "no resources remain",
        "drill of woocommerce@drill to failover_eu: incomplete",
    ]);
    assert!(!told.stderr.contains("lifeboat apply woocommerce@drill"), "{told}");
}

const GOAL: &str = "objectives: { rto: 15m }\n";

/// Directs users of `shop` there, with this beside the target.
fn bare(home: &Home, target: &str, more: &str) {
    let resources = format!("resources:\n  shop: {{ target: '{target}'{more} }}\n");
    home.overlay("duo", "bare", format!("overlay: bare\n{GOAL}{resources}"));
}

const TO_BARE: &[&str] = &["failover", "duo", "--to", "bare", "--planned", "--yes"];

#[test]
fn failover_does_not_say_served_where_nothing_checks() {
    for (target, shown) in [
        ("203.0.113.9", "`203.0.113.9`"),
        ("${eu[0].ipv4}", "`45."),
        ("${eu_lb.ipv4}", "`198.18.0."),
    ] {
        let unchecked = "eu_http: { kind: linode.nodebalancer_config, nodebalancer: '${eu_lb}', protocol: http }";
        let checked = "eu_http: { kind: linode.nodebalancer_config, nodebalancer: '${eu_lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }";
        let home = two_sites::home_of(&STACK.replace(checked, unchecked));
        bare(&home, target, "");
        let told = home.sandbox(TO_BARE).code(0);
        let told =
            told.shows(&["unchecked_target", "stacks/duo/overlays/bare.yaml:4", "gate: { http:"]);
        let told = told.says(&[
            "failover of duo to bare: complete, but nothing verified that users are served",
            "objective 15 min: unknown, nothing verified that users are served",
            "nothing verified that `",
            "the target of `shop`, serves",
        ]);
        let shown = if target.contains("eu[0]") { "`" } else { shown };
        assert!(told.stderr.contains(shown) && !told.stderr.contains(": met"), "{target}: {told}");
        let kept = report(&home);
        assert_eq!(kept["objectives"]["rto"]["verdict"], "unknown");
        assert_eq!(kept["unchecked"][0]["address"], "shop", "{kept:#}");
        let list = home.sandbox(&["reports", "duo"]).code(0);
        assert!(list.stdout.contains("(unknown)"), "{list}");
        assert_eq!(state(&home).phase, Phase::Settled);
    }
}

/// With a gate, or a check behind the balancer, it was looked at.
#[test]
fn failover_says_served_where_a_gate_has_looked() {
    let home = two_sites::home();
    bare(&home, "${eu[0].ipv4}", ", gate: { tcp: '${eu[0].ipv4}:22', within: 5m }");
    let told = home.sandbox(TO_BARE).code(0).says(&["objective 15 min: met"]);
    assert!(!told.to_string().contains("unchecked_target"), "{told}");
    let back = home.sandbox(&["failback", "duo", "--yes"]).code(0);
    assert!(!back.to_string().contains("nothing checked"), "{back}");
    assert!(report(&home).get("unchecked").is_none());
}

/// A text that changes with the switch directs nobody.
#[test]
fn failover_needs_no_gate_for_a_text() {
    let text = "  said: { kind: linode.domain_record, domain: '${zone}', type: TXT, name: said, target: home, ttl_sec: 30 }\n";
    let (home, _) = home_with(text);
    let resources = "resources: { shop: { target: '${eu_lb.ipv4}' }, said: { target: away } }";
    home.overlay("duo", "bare", format!("overlay: bare\n{GOAL}{resources}\n"));
    let told = home.sandbox(TO_BARE).code(0).says(&["objective 15 min: met"]);
    assert!(!told.to_string().contains("nothing checked"), "{told}");
}
