//! Where users were at every logged request, as the sandbox saw it: `home.users()` after `home.log_requests()` and some runs.
//!
//! The verdict is the sandbox's own (`src/sandbox/linode/dns/targets.rs`): node modes, ports, firewalls and the application count.
//! A request is blamed only for what it changed itself; what time and faults did is told apart.

use std::time::Duration;

use lifeboat::sandbox::linode::dns::targets::{MetBy, ServedVerdict};
use lifeboat::sandbox::requests::log;

use crate::harness::Home;

/// The log of requests, to be asked about users.
pub(crate) struct Users(log::Requests);

/// A name at one request, before it and after it; `None`: no record had it.
pub(crate) struct Moment {
    /// `PUT /v4/domains/… 200`.
    pub(crate) request: String,
    pub(crate) before: Option<ServedVerdict>,
    pub(crate) after: Option<ServedVerdict>,
}

impl Moment {
    /// Users were served until the request and not after it.
    fn is_harm(&self) -> bool {
        is_served(self.before.as_ref()) && !is_served(self.after.as_ref())
    }
}

fn is_served(verdict: Option<&ServedVerdict>) -> bool {
    verdict.is_some_and(|it| it.met == MetBy::Served)
}

impl Home {
    /// Where users were at every request since the log was begun.
    pub(crate) fn users(&self) -> Users {
        let log = self.world.requests().unwrap();
        assert!(!log.is_full && !log.received.is_empty(), "the log proves nothing");
        Users(log)
    }

    /// What users of a name meet now; `None`: no record has it.
    pub(crate) fn verdict(&self, name: &str) -> Option<ServedVerdict> {
        self.world.users().unwrap().names.remove(name)
    }

    /// Users of a name are served now, or nothing serves to which it could lead.
    #[track_caller]
    pub(crate) fn served_if_anything_serves(&self, name: &str, said: &str) {
        let verdict = self.verdict(name).unwrap_or_else(|| panic!("{said}: {name} is gone"));
        assert!(verdict.met == MetBy::Served || !verdict.way, "{said}: {name} is {verdict}");
    }

    /// From now on the application of every machine answers only so long (world time) after its boot.
    pub(crate) fn app_starts_after(&self, delay: Duration) {
        let delay = i64::try_from(delay.as_millis()).unwrap();
        self.world.set_app("", |it| it.start = Some(delay)).unwrap();
    }

    /// From now on it listens on these ports and no others.
    pub(crate) fn app_listens_on(&self, ports: &[u16]) {
        self.world.set_app("", |it| it.ports = Some(ports.iter().copied().collect())).unwrap();
    }

    /// From now on it answers errors on every machine whose user data or image holds this text.
    pub(crate) fn app_is_broken_by(&self, text: &str) {
        use lifeboat::sandbox::linode::data::apps::BrokenApp;
        self.world.set_app(text, |it| it.broken = Some(BrokenApp::Errors)).unwrap();
    }
}

impl Users {
    /// One name (`shop.example.com`) at every request.
    pub(crate) fn of(&self, name: &str) -> Vec<Moment> {
        let moments = self.0.watched().map(|it| Moment {
            request: it.request.to_string(),
            before: it.before.names.get(name).cloned(),
            after: it.after.names.get(name).cloned(),
        });
        moments.collect()
    }

    /// The requests that took users of a name from what served them.
    pub(crate) fn harm(&self, name: &str) -> Vec<String> {
        let told = |it: Option<&ServedVerdict>| it.map_or("gone".to_owned(), ToString::to_string);
        let moments = self.of(name);
        assert!(moments.iter().any(|it| it.after.is_some()), "{name} never was in the log");
        let harmful = moments.iter().filter(|it| it.is_harm());
        harmful
            .map(|it| format!("{name} is {} after {}", told(it.after.as_ref()), it.request))
            .collect()
    }

    /// No request took users of these names from what served them.
    #[track_caller]
    pub(crate) fn unharmed(&self, names: &[&str], said: &str) {
        let wrong: Vec<String> = names.iter().flat_map(|it| self.harm(it)).collect();
        assert!(wrong.is_empty(), "{said}: {}", wrong.join("\n"));
    }
}

/// A balancer over one machine, and a name that leads to it; `port` is where the node sends users.
fn shop(port: u16) -> Home {
    let stack = format!(
        "stack: shop
resources:
  web: {{ kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, label: web, private_ip: true, user_data: 'rev-1',
    authorized_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBx0JmEu3c6nZ1vXkS2uQ0h8jZ5l9T3u7b8m2s4d5f6g a@b.c] }}
  lb: {{ kind: linode.nodebalancer, region: us-east, label: front }}
  http: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', check: http, check_path: /, check_interval: 15, check_timeout: 5 }}
  node: {{ kind: linode.nodebalancer_node, config: '${{http}}', label: web, address: '${{web.private_ipv4}}:{port}' }}
  zone: {{ kind: linode.domain, domain: example.com, type: master, soa_email: a@b.c }}
  name: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: shop, target: '${{lb.ipv4}}' }}
"
    );
    let home = Home::holding("shop", stack);
    home.sandbox(&["apply", "shop", "--yes"]).code(0).done();
    home.world.advance(Duration::from_secs(30)).unwrap();
    home
}

fn met(home: &Home) -> MetBy {
    home.verdict("shop.example.com").unwrap().met
}

/// The oracle must not be blind: ports, modes, firewalls, start-up and revisions all count.
#[test]
fn verdict_counts_everything_between_users_and_machines() {
    let home = shop(8080);
    assert_eq!(met(&home), MetBy::Served);
    home.app_listens_on(&[80]);
    assert_eq!(met(&home), MetBy::Failing);
    home.app_listens_on(&[80, 8080]);
    assert_eq!(met(&home), MetBy::Served);
    home.app_is_broken_by("rev-1");
    assert_eq!(met(&home), MetBy::Failing);
    home.world.set_app("rev-1", |it| it.broken = None).unwrap();
    home.app_starts_after(Duration::from_hours(240));
    assert_eq!(met(&home), MetBy::Failing);
    home.app_starts_after(Duration::ZERO);
    let machine =
        home.linode("GET", "/linode/instances", &serde_json::Value::Null)["data"][0]["id"].clone();
    let rule = |network: &str| {
        serde_json::json!({ "inbound_policy": "DROP", "outbound_policy": "ACCEPT", "outbound": [], "inbound": [
            { "action": "ACCEPT", "label": "web", "protocol": "TCP", "ports": "8080", "addresses": { "ipv4": [network] } },
        ]})
    };
    let body = serde_json::json!({ "label": "wall", "rules": rule("10.0.0.0/8"), "devices": { "linodes": [machine] } });
    let wall = home.linode("POST", "/networking/firewalls", &body)["id"].clone();
    assert_eq!(met(&home), MetBy::Failing, "balancers come from 192.168.255.0/24");
    home.linode("PUT", &format!("/networking/firewalls/{wall}/rules"), &rule("192.168.255.0/24"));
    assert_eq!(met(&home), MetBy::Served);
    let nodes = "/nodebalancers/1700001/configs/2700001/nodes";
    let node = home.linode("GET", nodes, &serde_json::Value::Null)["data"][0]["id"].clone();
    for (mode, expected) in
        [("reject", MetBy::Failing), ("drain", MetBy::Failing), ("backup", MetBy::Served)]
    {
        home.linode("PUT", &format!("{nodes}/{node}"), &serde_json::json!({ "mode": mode }));
        assert_eq!(met(&home), expected, "{mode}");
    }
    let verdict = home.verdict("shop.example.com").unwrap();
    assert!(verdict.way, "{verdict}");
}

/// A request is blamed for what it did and for nothing else, and each change stands in the log once.
#[test]
fn harm_finds_who_took_users_from_what_served_them() {
    let home = shop(80);
    home.log_requests();
    home.sandbox(&["plan", "shop"]).code(0).done();
    home.lose("linode:us-east");
    home.sandbox(&["plan", "shop"]).code(5).done();
    home.users().unharmed(&["shop.example.com"], "a loss is nobody's fault");
    home.served_if_anything_serves("shop.example.com", "nothing else serves");
    home.world.heal(None).unwrap();
    home.linode("GET", "/domains", &serde_json::Value::Null);
    let nodes = "/nodebalancers/1700001/configs/2700001/nodes";
    let node = home.linode("GET", nodes, &serde_json::Value::Null)["data"][0]["id"].clone();
    home.linode("DELETE", &format!("{nodes}/{node}"), &serde_json::Value::Null);
    let harm = home.users().harm("shop.example.com");
    assert_eq!(harm.len(), 1, "{harm:?}");
    assert!(
        harm[0].contains("failing") && harm[0].contains("DELETE /v4/nodebalancers/"),
        "{harm:?}"
    );
    let log = home.world.requests().unwrap();
    let told =
        log.received.iter().filter(|it| !it.before.is_empty() || !it.by_it.is_empty()).count();
    assert_eq!(told, 4, "the beginning, the loss, the recovery and the harm");
}
