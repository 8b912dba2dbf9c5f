//! Active and active: two records of one name, of which a switch takes one away and brings it back.

use lifeboat::sandbox::requests::received::Received;

use crate::harness::Home;
use crate::two_sites::{AWS, LINODE, leads, served};

const STACK: &str = "stack: pair
resources:
  us_web: { kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, label: duo-us-0, private_ip: true, authorized_users: [ops] }
  us_lb: { kind: linode.nodebalancer, region: us-east, label: duo-us }
  us_http: { kind: linode.nodebalancer_config, nodebalancer: '${us_lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }
  us_node: { kind: linode.nodebalancer_node, config: '${us_http}', label: us1, address: '${us_web.private_ipv4}:80' }
  eu_web: { kind: linode.instance, region: eu-central, type: g6-nanode-1, image: linode/debian12, label: duo-eu-0, private_ip: true, authorized_users: [ops] }
  eu_lb: { kind: linode.nodebalancer, region: eu-central, label: duo-eu }
  eu_http: { kind: linode.nodebalancer_config, nodebalancer: '${eu_lb}', protocol: http, check: http, check_path: /ok, check_interval: 15, check_timeout: 5 }
  eu_node: { kind: linode.nodebalancer_node, config: '${eu_http}', label: eu1, address: '${eu_web.private_ipv4}:80' }
  zone: { kind: linode.domain, domain: pair.example.com, soa_email: ops@example.com }
  shop_us: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${us_lb.ipv4}', ttl_sec: 120 }
  shop_eu: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${eu_lb.ipv4}', ttl_sec: 120 }
";

/// The site goes with its record.
const AWAY: &str = "overlay: away\nresources: { shop_us: null, us_node: null, us_http: null, us_lb: null, us_web: null }\n";
/// Only the record goes.
const ASIDE: &str =
    "overlay: aside\nassumes_lost: ['linode:us-east']\nresources: { shop_us: null }\n";

/// Twice what others remember the record for, in milliseconds.
const DRAIN: i64 = 2 * 120 * 1_000;

fn home() -> Home {
    let home = Home::holding("pair", STACK);
    home.overlay("pair", "away", AWAY);
    home.overlay("pair", "aside", ASIDE);
    home.log_requests();
    home.sandbox(&["apply", "pair", "--yes"]).code(0).done();
    assert_eq!(leads(&home), ["eu", "us"]);
    home
}

fn deletes(home: &Home) -> Vec<Received> {
    home.requests().0.into_iter().filter(|it| it.method == "DELETE").collect()
}

#[test]
fn failover_keeps_what_a_removed_record_led_to_until_caches_expire() {
    let home = home();
    let away = ["failover", "pair", "--to", "away", "--planned", "--yes"];
    // The brake counts five of eleven; that is what the person means.
    home.sandbox(&[&away[..], &["--allow-destroys", "5"]].concat())
        .code(0)
        .shows(&[
            "shop_us: serving gate: wait for a healthy backend behind eu_http",
            "shop_us: drain gate: wait 4 min",
        ])
        .done();
    assert_eq!(leads(&home), ["eu"]);
    let deletes = deletes(&home);
    assert!(deletes[0].path.contains("/records/"), "{deletes:?}");
    assert_eq!(deletes.iter().filter(|it| it.path.contains("/records/")).count(), 1);
    assert_eq!(deletes.len(), 5, "{deletes:?}");
    for later in &deletes[1..] {
        assert!(
            later.at - deletes[0].at >= DRAIN,
            "{later} came {} ms after it",
            later.at - deletes[0].at
        );
    }
    home.sandbox(&["failback", "pair", "--yes"]).code(0).done();
    assert_eq!(leads(&home), ["eu", "us"]);
    home.sandbox(&["plan", "pair", "--detailed-exitcode"]).code(0).done();
    served(&home, "away and back");
}

/// One more answer for a name that serves takes users along: it must not lead to what is lost.
#[test]
fn failback_restores_no_record_while_its_site_is_lost() {
    let home = home();
    home.lose(LINODE);
    home.sandbox(&["failover", "pair", "--to", "aside", "--yes"]).code(0).done();
    home.log_requests();
    let back = home.sandbox(&["failback", "pair", "--lost", LINODE, "--yes"]).code(3);
    back.shows(&["lost_target", "`shop_us` would send users to `us_lb`"]).done();
    home.requests().mutating().none();
    assert_eq!(leads(&home), ["eu"]);
}

/// A record is not taken away while the other one leads to nothing healthy.
#[test]
fn failover_waits_until_the_other_record_serves() {
    let home = home();
    home.world.sicken("duo-eu-0").unwrap();
    home.log_requests();
    let aside = ["failover", "pair", "--to", "aside", "--planned", "--yes"];
    home.sandbox(&aside).code(1).says(&["serving gate", "eu_http"]).done();
    home.sandbox(&["apply", "pair", "--yes"]).code(1).done();
    home.requests().mutating().none();
    assert_eq!(leads(&home), ["eu", "us"]);
    home.world.heal(Some("duo-eu-0")).unwrap();
    home.sandbox(&["apply", "pair", "--yes"]).code(0).done();
    assert_eq!(leads(&home), ["eu"]);
    served(&home, "the other one was sick");
}

#[test]
fn failover_under_loss_removes_the_lost_record_until_the_failback() {
    let home = home();
    home.lose(LINODE);
    home.log_requests();
    home.sandbox(&["failover", "pair", "--to", "aside", "--yes"]).code(0).done();
    assert_eq!(leads(&home), ["eu"]);
    let asked = home.requests();
    asked.to_fault_domain(LINODE).one_look();
    asked.to_fault_domain(AWS).one_look();
    home.world.heal(None).unwrap();
    home.sandbox(&["failback", "pair", "--yes"]).code(0).done();
    assert_eq!(leads(&home), ["eu", "us"]);
    home.sandbox(&["plan", "pair", "--detailed-exitcode"]).code(0).done();
    served(&home, "lost and found");
}
