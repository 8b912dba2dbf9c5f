//! The example under audit: nothing is found; then each defect is planted singly, and exactly that one is found.

pub mod siblings;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::engine::address::Address;
use crate::engine::lang::load::{FileProblem, Files, Layer, Loaded, load};
use crate::engine::lang::merge::variables::RememberedVariables;
use crate::engine::lang::model::Stack;
use crate::engine::lang::validate::dry_run::objects;
use crate::engine::observed::Observation;
use crate::engine::plan::checks::offers::{OfferRequest, OfferSource};
use crate::engine::plan::model::change::Foreign;
use crate::engine::recovery::audit::checks::certificate::ends;
use crate::engine::recovery::audit::examine::{ExaminedSwitch, audit, invalid};
use crate::engine::recovery::audit::facts::{AuditFacts, Drill, Online, Store};
use crate::engine::recovery::audit::finding::{Audit, Finding, Level};
use crate::engine::recovery::audit::rules::RULES;
use crate::engine::schema::{Catalog, FaultDomain, Kind, Rename};
use crate::engine::state::record::{Record, State};
use crate::engine::text::diagnostic::stops;
use crate::engine::value::{Attributes, LineageKey, Value};

pub(super) const STACK: &str = include_str!("../../../../../../stacks/woocommerce/stack.yaml");
pub(super) const OVERLAY: &str =
    include_str!("../../../../../../stacks/woocommerce/overlays/failover_eu.yaml");
const CLOUD_INIT: &str = include_str!("../../../../../../stacks/woocommerce/files/cloud-init.yaml");

/// Nobody's certificate; it ends at [`ENDS`].
const PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBjDCCATGgAwIBAgIUUEAs/dzCd6sPQVRSUPI9kjXxKB8wCgYIKoZIzj0EAwIw
GzEZMBcGA1UEAwwQc2hvcC5leGFtcGxlLmNvbTAeFw0yNjExMjQxMTQwNDZaFw0y
NzAzMDQxMTQwNDZaMBsxGTAXBgNVBAMMEHNob3AuZXhhbXBsZS5jb20wWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAASaoNTNYfvY365GV/mqVM0zpXQ0Xt5e4szOe0rD
clgPG667XL/bGemTtjrXwIL+Ae0GKoXNR66qvDMbU66EPnMso1MwUTAdBgNVHQ4E
FgQUjwXS4ke644ZtXL5X7jzun7B6b1wwHwYDVR0jBBgwFoAUjwXS4ke644ZtXL5X
7jzun7B6b1wwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAgzfk
tgcskNNVianD2M8zCPKVmwtznUVilbFFgNJb44MCIQCxCRNAWWEhbcP2SVBq0v/D
JLesIDbDdPi5H8llbRQG7A==
-----END CERTIFICATE-----
";
const ENDS: i64 = 1_804_160_446;
const DAY: i64 = 86_400;

struct AuditFolder;

impl Files for AuditFolder {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        match path {
            "files/cloud-init.yaml" => Ok(CLOUD_INIT.into()),
            // The same to the letter, and another file all the same.
            "files/copy.yaml" => Ok(format!("{CLOUD_INIT}# a copy\n").into_bytes()),
            "files/shop.pem" => Ok(PEM.into()),
            _ => Err(FileProblem::Missing),
        }
    }
}

/// Everything that an audit looks at, before anything is wrong with it.
pub(super) struct World {
    pub(super) stack: String,
    pub(super) overlay: String,
    catalog: Catalog,
    /// Whether the overlay is there at all.
    has_overlay: bool,
    state: Box<dyn Fn(&mut State)>,
    facts: Box<dyn Fn(&mut AuditFacts)>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            stack: STACK.into(),
            overlay: OVERLAY.into(),
            catalog: crate::kinds::builtin(),
            has_overlay: true,
            state: Box::new(|_| {}),
            facts: Box::new(|_| {}),
        }
    }

    /// Replaces the first `from` behind `after`.
    pub(super) fn edit(mut self, after: &str, from: &str, to: &str) -> Self {
        self.stack = edited(&self.stack, after, from, to);
        self
    }

    pub(super) fn overlay(mut self, from: &str, to: &str) -> Self {
        self.overlay = edited(&self.overlay, "", from, to);
        self
    }

    pub(super) fn state(mut self, change: impl Fn(&mut State) + 'static) -> Self {
        self.state = Box::new(change);
        self
    }

    pub(super) fn facts(mut self, change: impl Fn(&mut AuditFacts) + 'static) -> Self {
        self.facts = Box::new(change);
        self
    }

    fn kind(mut self, name: &str, change: impl Fn(&mut Kind)) -> Self {
        change(self.catalog.kinds.get_mut(name).unwrap());
        self
    }

    fn load(&self, overlay: bool) -> Loaded {
        let layer = |name: &str, file: &str, text: &str| Layer {
            name: name.into(),
            file: file.into(),
            bytes: text.into(),
        };
        let mut layers = vec![layer("", "stack.yaml", &self.stack)];
        if overlay {
            layers.push(layer("failover_eu", "overlays/failover_eu.yaml", &self.overlay));
        }
        load("woocommerce", &layers, &[], RememberedVariables::none(), &AuditFolder, &self.catalog)
    }

    pub(super) fn audit(&self) -> Audit {
        let (home, recovery) = (self.load(false), self.load(true));
        for loaded in [&home, &recovery] {
            if stops(&loaded.diagnostics) {
                let section = invalid(None, &loaded.diagnostics, &loaded.sources);
                return Audit { sections: vec![section], ..Audit::default() };
            }
        }
        let (home, recovery) = (home.stack.unwrap(), recovery.stack.unwrap());
        let mut state = applied(&self.catalog, &home);
        let mut facts = seen(&self.catalog, &home, &state);
        (self.state)(&mut state);
        (self.facts)(&mut facts);
        let switch = ExaminedSwitch { overlay: "failover_eu", stack: &recovery };
        let switches = if self.has_overlay { vec![switch] } else { Vec::new() };
        audit(&self.catalog, &home, &switches, Some(&state), &facts, false)
    }

    fn line(&self, finding: &Finding) -> String {
        let place = finding.place.as_ref().expect("every finding has a place");
        let text = if place.file == "stack.yaml" { &self.stack } else { &self.overlay };
        text.lines().nth(place.line as usize - 1).unwrap_or("(behind the end)").to_owned()
    }
}

#[track_caller]
/// What DynamoDB allows in a region.
fn quotas(domain: &str) -> OfferRequest {
    let (provider, path) = ("dynamodb".to_owned(), domain.to_owned());
    OfferRequest { provider, source: OfferSource::Quotas, path }
}

/// A list that Linode keeps.
fn list(path: &str) -> OfferRequest {
    OfferRequest { provider: "linode".to_owned(), source: OfferSource::List, path: path.to_owned() }
}

fn edited(text: &str, after: &str, from: &str, to: &str) -> String {
    let start = text.find(after).unwrap_or_else(|| panic!("`{after}` is in the example"));
    let at = text[start..].find(from).unwrap_or_else(|| panic!("`{from}` is behind `{after}`"));
    let (head, tail) = text.split_at(start + at);
    format!("{head}{to}{}", &tail[from.len()..])
}

/// A state in which everything of a stack was applied and is ready.
fn applied(catalog: &Catalog, stack: &Stack) -> State {
    let mut state = State::new(&stack.name, None, "sandbox", "lineage", LineageKey(vec![7; 32]));
    for (number, (address, object)) in objects(stack, catalog).into_iter().enumerate() {
        let instance = &stack.instances[&address];
        let known = object.attributes.into_iter().filter(|(_, it)| !it.has_open());
        let record = Record {
            kind: instance.resource.kind.clone(),
            id: format!("id-{number}"),
            attributes: known.map(|(name, it)| (name, it.sealed(&state.key))).collect(),
            outputs: Attributes::new(),
            needs: instance.needs.iter().map(|(it, _)| it.clone()).collect(),
            ready: true,
            protected: false,
            retained: false,
            leaving: false,
            since: 0,
            deposed: None,
            tried: Attributes::new(),
        };
        state.records.insert(address, record);
    }
    state
}

/// A world that is as recorded, in which every member of a group knows the others, and a drill of ten days ago.
fn seen(catalog: &Catalog, stack: &Stack, state: &State) -> AuditFacts {
    let objects = objects(stack, catalog);
    let mut observed = BTreeMap::new();
    for (address, record) in &state.records {
        let mut attributes = record.attributes.clone();
        let kind = &catalog.kinds[&record.kind];
        if let Some(group) = &kind.group {
            let text = |it: &Attributes, name: &str| {
                it.get(name).and_then(Value::as_text).map(str::to_owned)
            };
            let name = text(&objects[address].attributes, &group.name);
            let fellows = state.records.iter().filter(|(other, record)| {
                let group = catalog.kinds[&record.kind].group.as_ref();
                let theirs = group.and_then(|it| text(&objects[*other].attributes, &it.name));
                *other != address && theirs == name
            });
            let regions = fellows.filter_map(|(_, it)| it.attributes.get("region").cloned());
            attributes.insert(group.others.clone(), Value::List(regions.collect()));
        }
        observed.insert(address.clone(), Observation::Exists { attributes, ready: true });
    }
    let now = (ENDS - 60 * DAY) * 1000;
    AuditFacts {
        now,
        in_sandbox: true,
        rehearsals: [("drill_eu".to_owned(), vec!["failover_eu".to_owned()])].into(),
        drills: vec![Drill {
            overlays: vec!["failover_eu".into()],
            at: now - 10 * DAY * 1000,
            passed: true,
            tasks: BTreeSet::new(),
        }],
        online: Some(Online {
            observed,
            drift: BTreeMap::new(),
            foreign: Vec::new(),
            shut: Vec::new(),
        }),
        ..AuditFacts::default()
    }
}

pub(super) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// One defect: what is wrong, which rule says so, how bad it is, and what stands on the line that it names.
struct Plant {
    rule: &'static str,
    level: Level,
    line: &'static str,
    world: World,
}

fn plant(rule: &'static str, level: Level, line: &'static str, world: World) -> Plant {
    Plant { rule, level, line, world }
}

pub(super) const SERVED: &str = "shop: { target: '${standby_lb.ipv4}' }";
pub(super) const STANDBY: &str = "--- warm standby";
const SHOP: &str = "  shop:\n";

fn independence() -> Vec<Plant> {
    use Level::{Error, Warning};
    let sessions_eu =
        &STACK[STACK.find("  sessions_eu:").unwrap()..STACK.find("  # --- access").unwrap()];
    let private = STACK.replace("linode/debian12", "private/15");
    vec![
        plant(
            "target-lost",
            Error,
            "target: '${lb.ipv4}'",
            World::new().overlay(SERVED, "shop: { ttl_sec: 300 }"),
        ),
        plant(
            "target-unfollowed",
            Warning,
            "shop: { target: 192.0.2.1 }",
            World::new().overlay(SERVED, "shop: { target: 192.0.2.1 }"),
        ),
        // The region of credentials and of the tables.
        plant(
            "needs-lost",
            Error,
            "\"aws_region\": products.region",
            World::new().edit(STANDBY, "products_eu.region", "products.region"),
        ),
        // A stream of a lost table.
        plant(
            "needs-lost",
            Error,
            "sessions.stream_arn",
            World::new().edit(STANDBY, "sessions.name", "sessions.stream_arn"),
        ),
        // A reference to an object that is lost as a whole.
        plant(
            "needs-lost",
            Error,
            "firewall: '${wall}'",
            World::new().kind("linode.firewall", |it| {
                it.fault_domain = FaultDomain::Global("linode:us-east".into());
            }),
        ),
        plant(
            "names-lost-region",
            Warning,
            "user_data:",
            World::new().edit(STANDBY, "products_eu.region", "\"us-east-1\""),
        ),
        plant("data-lost", Error, "  sessions:", World::new().edit("", sessions_eu, "")),
        plant(
            "image-regional",
            Warning,
            "image: private/15",
            World { stack: private, ..World::new() },
        ),
    ]
}

/// What the recovery itself needs, lost.
fn stores() -> Vec<Plant> {
    use Level::{Error, Warning};
    vec![
        plant(
            "state-lost",
            Error,
            "assumes_lost:",
            World::new().facts(|it| it.store.fault_domain = Some("linode:us-east".into())),
        ),
        plant(
            "mirror-lost",
            Warning,
            "assumes_lost:",
            World::new().facts(|it| {
                it.mirror = Some(Store {
                    shown: "s3://mirror".into(),
                    fault_domain: Some("linode:us-east".into()),
                });
            }),
        ),
        plant(
            "setting-lost",
            Warning,
            "assumes_lost:",
            World::new()
                .facts(|it| it.settings = vec![("AWS_REGION".into(), "aws:us-east-1".into())]),
        ),
    ]
}

fn traffic() -> Vec<Plant> {
    use Level::{Error, Warning};
    let zone = "soa_email: 'ops@${vars.domain}' }";
    vec![
        plant(
            "no-objective",
            Warning,
            "# A WooCommerce shop",
            World::new().edit("", "objectives: { rto: 15m, rpo: 1m }", "objectives: { rpo: 1m }"),
        ),
        plant(
            "ttl-too-long",
            Error,
            "ttl_sec: 3600",
            World::new().edit(SHOP, "ttl_sec: 300", "ttl_sec: 3600"),
        ),
        // Silent, so the zone's counts.
        plant(
            "ttl-too-long",
            Error,
            "ttl_sec: 0",
            World::new().edit(SHOP, "ttl_sec: 300", "ttl_sec: 0").edit(
                "  zone:",
                zone,
                "soa_email: 'ops@${vars.domain}', ttl_sec: 3600 }",
            ),
        ),
        // Neither says anything: the cloud's own default.
        plant("ttl-too-long", Error, "  shop:", World::new().edit(SHOP, "    ttl_sec: 300\n", "")),
        plant(
            "ttl-rounded",
            Warning,
            "ttl_sec: 250",
            World::new().edit(SHOP, "ttl_sec: 300", "ttl_sec: 250"),
        ),
    ]
}

fn checks() -> Vec<Plant> {
    use Level::{Error, Warning};
    vec![
        plant(
            "gate-missing",
            Error,
            "target: '${standby[0].ipv4}'",
            World::new().overlay(
                SERVED,
                "shop: { target: '${standby[0].ipv4}' }\n  standby: { type: g6-standard-4 }",
            ),
        ),
        plant(
            "check-missing",
            Error,
            "check: none",
            World::new().edit("  standby_http:", "check: http", "check: none"),
        ),
        plant(
            "check-shallow",
            Warning,
            "check_path: /",
            World::new().edit("  standby_http:", "check_path: /healthcheck.php", "check_path: /"),
        ),
        plant(
            "check-shallow",
            Warning,
            "check: connection",
            World::new().edit("  lb_http:", "check: http", "check: connection"),
        ),
        plant(
            "check-slow",
            Warning,
            "check_interval: 3600",
            World::new().edit("  standby_http:", "check_interval: 15", "check_interval: 3600"),
        ),
        plant(
            "check-static",
            Warning,
            "check_path: /health.html",
            World::new().edit("  lb_http:", "/healthcheck.php", "/health.html"),
        ),
        // A timeout that outlasts the interval is no stack at all.
        plant(
            "invalid",
            Error,
            "check_timeout: 20",
            World::new().edit("  standby_http:", "check_timeout: 5", "check_timeout: 20"),
        ),
        plant(
            "invalid",
            Error,
            "check: http",
            World::new().edit("  standby_http:", "    check_path: /healthcheck.php\n", ""),
        ),
    ]
}

fn copies() -> Vec<Plant> {
    use Level::{Error, Warning};
    let ungated = STACK.replacen("    gate: { replication: true, within: 60s }\n", "", 1);
    let address_of = |state: &mut State| {
        let lb = state.records.get_mut(&address("lb")).unwrap();
        lb.outputs.insert("hostname".into(), Value::text("198-18-0-1.ip.linodeusercontent.com"));
        lb.outputs.insert("ipv4".into(), Value::text("198.18.0.1"));
    };
    let written = |variable: &str| {
        World::new().edit("", "default: mysql.example.net", &format!("default: {variable}"))
    };
    vec![
        plant(
            "assumes-part",
            Warning,
            "assumes_lost: ['linode:us-east']",
            World::new().overlay("['linode:us-east', 'aws:us-east-1']", "['linode:us-east']"),
        ),
        plant(
            "replication-unproved",
            Warning,
            "  products_eu:",
            World { stack: ungated, ..World::new() },
        ),
        plant("names-lost-address", Error, "user_data:", written("198.18.0.1").state(address_of)),
        plant(
            "names-lost-address",
            Error,
            "user_data:",
            written("198-18-0-1.ip.linodeusercontent.com").state(address_of),
        ),
    ]
}

fn backends() -> Vec<Plant> {
    use Level::{Error, Warning};
    let node = "    address: '${each.value.private_ipv4}:80'";
    let mode = |after: &str, mode: &str| {
        World::new().edit(after, node, &format!("    mode: {mode}\n{node}"))
    };
    vec![
        plant("backend-shut", Error, "mode: reject", mode("  standby_node:", "reject")),
        plant("backend-shut", Error, "mode: drain", mode("  lb_node:", "drain")),
        plant(
            "ports-differ",
            Error,
            "private_ipv4}:8080",
            // The firewall lets both in: the port alone is wrong.
            World::new().edit("  standby_node:", ":80'", ":8080'").edit(
                "  wall:",
                "ports: '80'",
                "ports: '80, 8080'",
            ),
        ),
        plant(
            "firewall-missing",
            Error,
            "  standby:",
            World::new().edit(STANDBY, "    firewall: '${wall}'\n", ""),
        ),
        plant(
            "firewall-shuts",
            Error,
            "inbound:",
            World::new().edit("  wall:", "ports: '80'", "ports: '443'"),
        ),
        plant(
            "firewall-shuts",
            Error,
            "inbound:",
            World::new()
                .edit("  wall:", "192.168.255.0/24", "192.168.128.0/17, 192.168.255.0/28")
                .edit("  wall:", "192.168.128.0/17, ", ""),
        ),
        plant(
            "administration-open",
            Warning,
            "inbound:",
            World::new().edit("  wall:", "['${vars.ops_network}']", "[0.0.0.0/0]"),
        ),
        plant(
            "administration-open",
            Warning,
            "inbound_policy: ACCEPT",
            World::new().edit("  wall:", "inbound_policy: DROP", "inbound_policy: ACCEPT"),
        ),
        plant(
            "home-single",
            Warning,
            "  lb_node:",
            World::new().edit(
                "",
                "web_size: { type: int, default: 2",
                "web_size: { type: int, default: 1",
            ),
        ),
    ]
}

fn standby() -> Vec<Plant> {
    use Level::{Error, Warning};
    vec![
        plant(
            "standby-cold",
            Warning,
            "  standby:",
            World::new().edit(
                "",
                "standby_size: { type: int, default: 1",
                "standby_size: { type: int, default: 0",
            ),
        ),
        plant(
            "standby-differs",
            Error,
            "image: linode/debian13",
            World::new().edit(STANDBY, "image: linode/debian12", "image: linode/debian13"),
        ),
        plant(
            "standby-differs",
            Error,
            "user_data:",
            World::new().edit(STANDBY, "\"revision\": vars.revision", "\"revision\": \"v1.4.1\""),
        ),
        plant(
            "standby-differs",
            Error,
            "user_data:",
            World::new().edit(STANDBY, "files/cloud-init.yaml", "files/copy.yaml"),
        ),
        plant(
            "standby-differs",
            Error,
            "user_data:",
            World::new().overlay("standby_size: 2", "standby_size: 2\n  revision: v2"),
        ),
        plant(
            "standby-differs",
            Warning,
            "user_data:",
            World::new().edit(STANDBY, "\"products\": products.name", "\"products\": \"other\""),
        ),
        plant(
            "standby-smaller",
            Warning,
            "type: '${vars.plan}'",
            World::new().overlay("standby_size: 2", "standby_size: 1"),
        ),
        plant(
            "standby-smaller",
            Warning,
            "type: g6-nanode-1",
            World::new().edit(STANDBY, "type: '${vars.plan}'", "type: g6-nanode-1"),
        ),
    ]
}

fn names() -> Vec<Plant> {
    vec![plant(
        "name-shared",
        Level::Error,
        "  shop:",
        World::new().facts(|it| {
            it.online.as_mut().unwrap().foreign.push(Foreign {
                address: address("shop"),
                kind: "linode.domain_record".into(),
                id: "7".into(),
                leads_to: "192.0.2.1".into(),
                misleads: true,
            });
        }),
    )]
}

fn recorded() -> Vec<Plant> {
    use Level::{Error, Warning};
    let observed = |name: &'static str, what: Observation| {
        World::new().facts(move |it| {
            it.online.as_mut().unwrap().observed.insert(address(name), what.clone());
        })
    };
    let apart: Attributes = [("replicas".to_owned(), Value::List(Vec::new()))].into();
    vec![
        plant(
            "standby-unmade",
            Error,
            "  standby_lb:",
            World::new().state(|it| drop(it.records.remove(&address("standby_lb")))),
        ),
        plant(
            "standby-unmade",
            Error,
            "  standby:",
            World::new()
                .state(|it| it.records.get_mut(&address("standby[0]")).unwrap().ready = false),
        ),
        plant(
            "standby-stale",
            Error,
            "user_data:",
            World::new().state(|it| {
                let record = it.records.get_mut(&address("standby[0]")).unwrap();
                record.attributes.insert("user_data".into(), Value::text("an older revision"));
            }),
        ),
        plant(
            "standby-drifted",
            Error,
            "  standby_lb:",
            World::new().facts(|it| {
                let online = it.online.as_mut().unwrap();
                online.drift.insert(address("standby_lb"), vec!["label".into()]);
            }),
        ),
        plant(
            "standby-unseen",
            Warning,
            "  standby_lb:",
            observed("standby_lb", Observation::Unknown("no answer".into())),
        ),
        plant(
            "replica-inactive",
            Error,
            "  products_eu:",
            World::new().state(|it| drop(it.records.remove(&address("products_eu")))),
        ),
        plant(
            "replica-inactive",
            Error,
            "  products_eu:",
            observed(
                "products_eu",
                Observation::Exists { attributes: Attributes::new(), ready: false },
            ),
        ),
        plant(
            "replica-split",
            Error,
            "  products_eu:",
            observed("products_eu", Observation::Exists { attributes: apart, ready: true }),
        ),
    ]
}

/// With a table that is not made yet and has what it reads bought beforehand.
pub(super) fn provisioned(units: u64) -> World {
    let table = format!(
        "  log:\n    kind: dynamodb.table\n    region: eu-west-1\n    name: log\n    attributes: {{ id: S }}\n    hash_key: id\n    billing_mode: PROVISIONED\n    read_capacity: {units}\n    write_capacity: 1\n    point_in_time_recovery: true\n    deletion_protection: true\n"
    );
    World::new()
        .edit("", "\noutputs:\n", &format!("{table}\noutputs:\n"))
        .state(|it| drop(it.records.remove(&address("log"))))
}

fn data() -> Vec<Plant> {
    use Level::Warning;
    vec![
        plant(
            "data-unprotected",
            Warning,
            "deletion_protection: false",
            World::new().edit(
                "  products:",
                "deletion_protection: '${vars.protect}'",
                "deletion_protection: false",
            ),
        ),
        plant(
            "data-unprotected",
            Warning,
            "  sessions_eu:",
            World::new().edit("  sessions_eu:", "    deletion_protection: '${vars.protect}'\n", ""),
        ),
        plant(
            "not-offered",
            Level::Error,
            "type: '${vars.plan}'",
            World::new().facts(|it| {
                let row = |region: &str, available: bool| {
                    json!({ "region": region, "plan": "g6-standard-2", "available": available })
                };
                let rows = Ok(vec![row("eu-central", false), row("eu-west", true)]);
                it.offers = Some([(list("/regions/availability"), rows)].into());
            }),
        ),
        plant(
            "quota-exceeded",
            Level::Error,
            "read_capacity: 30000",
            provisioned(30_000).facts(|it| {
                let told = json!({ "TableMaxReadCapacityUnits": 40_000, "AccountMaxReadCapacityUnits": 20_000 });
                it.offers = Some([(quotas("aws:eu-west-1"), Ok(vec![told]))].into());
            }),
        ),
        plant(
            "offers-unread",
            Warning,
            "# A WooCommerce shop",
            World::new().facts(|it| {
                it.offers = Some([(list("/regions"), Err("403".to_owned()))].into());
            }),
        ),
        plant(
            "data-not-restorable",
            Warning,
            "  products:",
            World::new().edit("  products:", "    point_in_time_recovery: true\n", ""),
        ),
        plant(
            "replace-gap",
            Warning,
            "lifecycle: {}",
            World::new().edit(
                "  web:",
                "lifecycle: { create_before_destroy: true }",
                "lifecycle: {}",
            ),
        ),
        plant(
            "replace-gap",
            Warning,
            "  standby:",
            World::new().edit(STANDBY, "    lifecycle: { create_before_destroy: true }\n", ""),
        ),
    ]
}

fn practice() -> Vec<Plant> {
    use Level::{Error, Note, Warning};
    let https = |pem: &str, days: i64| {
        let key = r#""-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----""#;
        let to = format!("protocol: https\n    ssl_cert: {pem}\n    ssl_key: {key}\n");
        let world = World::new().edit("  lb_http:", "protocol: http\n", &to);
        world.facts(move |it| {
            it.now = (ENDS - days * DAY) * 1000;
            it.drills[0].at = it.now;
        })
    };
    // PEM, with nothing in it that is a certificate.
    let from_text = r#""-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----""#;
    let from_file = "'${file(\"files/shop.pem\")}'";
    let drilled = |days: i64, passed: bool| {
        World::new().facts(move |it| {
            it.drills[0].at = it.now - days * DAY * 1000;
            it.drills[0].passed = passed;
        })
    };
    vec![
        plant(
            "no-recovery",
            Warning,
            "# A WooCommerce shop",
            World { has_overlay: false, ..World::new() },
        ),
        plant(
            "assumes-nothing",
            Warning,
            "# ",
            World::new().overlay("assumes_lost: ['linode:us-east', 'aws:us-east-1']\n", ""),
        ),
        plant("certificate-expiring", Warning, "ssl_cert:", https(from_file, 20)),
        plant("certificate-expiring", Error, "ssl_cert:", https(from_file, 6)),
        plant("certificate-expiring", Error, "ssl_cert:", https(from_file, -3)),
        plant("certificate-unreadable", Warning, "ssl_cert:", https(from_text, 20)),
        plant("drill-old", Warning, "# ", drilled(91, true)),
        plant("drill-failed", Warning, "# ", drilled(1, false)),
        plant("drill-never", Note, "# ", World::new().facts(|it| it.drills.clear())),
        plant("rehearsal-missing", Warning, "# ", World::new().facts(|it| it.rehearsals.clear())),
    ]
}

/// The example with one task, which drills run or not.
fn with_task(in_drill: &str) -> World {
    let task =
        format!("tasks:\n  purge: {{ on: [failover], exec: [./purge], in_drill: {in_drill} }}\n");
    World { stack: format!("{STACK}{task}"), ..World::new() }
}

fn tasks() -> Vec<Plant> {
    use Level::{Error, Note, Warning};
    let drilled = |it: &mut AuditFacts| {
        it.drills[0].tasks.insert("purge".into());
    };
    vec![
        plant("task-never-drilled", Warning, "purge: {", with_task("run")),
        plant("task-never-drilled", Note, "purge: {", with_task("skip")),
        plant(
            "task-program-missing",
            Error,
            "purge: {",
            with_task("run").facts(move |it| {
                drilled(it);
                it.missing_programs.insert("purge".into(), "./purge does not exist".into());
            }),
        ),
    ]
}

fn all_plants() -> impl Iterator<Item = Plant> {
    let all = [
        independence(),
        stores(),
        copies(),
        traffic(),
        checks(),
        backends(),
        standby(),
        names(),
        recorded(),
        data(),
        practice(),
        tasks(),
    ];
    all.into_iter().flatten()
}

fn said(world: &World, audit: &Audit) -> Vec<String> {
    let shown = |it: &Finding| {
        format!("{} {}: {} | {}", it.level.word(), it.rule.id, it.why, world.line(it).trim())
    };
    audit.findings().map(shown).collect()
}

#[test]
fn audit_finds_nothing_in_the_example() {
    let world = World::new();
    assert_eq!(said(&world, &world.audit()), Vec::<String>::new());
}

#[test]
fn audit_finds_each_defect_alone_and_on_its_line() {
    let mut wrong = Vec::new();
    let mut planted = BTreeSet::new();
    for it in all_plants() {
        planted.insert(it.rule);
        let audit = it.world.audit();
        let found: Vec<&Finding> = audit.findings().collect();
        let is_it = match found.as_slice() {
            [one] => {
                one.rule.id == it.rule
                    && one.level == it.level
                    && it.world.line(one).contains(it.line)
                    && !one.why.is_empty()
                    && !one.remedy.is_empty()
            }
            _ => false,
        };
        if !is_it {
            wrong.push(format!("{} at «{}»: {:#?}", it.rule, it.line, said(&it.world, &audit)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all: BTreeSet<&str> = RULES.iter().map(|it| it.id).collect();
    assert_eq!(planted, all, "every rule has a defect of its own");
    assert_eq!(all.len(), RULES.len(), "names are used once");
}

/// Where no side has one, both are told, and neither is worse than the other.
#[test]
fn audit_finds_a_missing_firewall_on_both_sides() {
    let stack = STACK.replace("    firewall: '${wall}'\n", "");
    let world = World { stack, ..World::new() };
    let found: Vec<(&str, Level)> =
        world.audit().findings().map(|it| (it.rule.id, it.level)).collect();
    assert_eq!(found, [("firewall-missing", Level::Warning); 2]);
}

/// In the sandbox a switch may be off; where somebody's data is, it is a finding like any other.
#[test]
fn audit_finds_protection_off_by_a_variable_outside_the_sandbox() {
    let world = World::new().facts(|it| it.in_sandbox = false);
    let found = said(&world, &world.audit());
    assert_eq!(found.len(), 4, "{found:#?}");
    let is_it = |it: &String| {
        it.contains("data-unprotected")
            && it.contains("(variable `protect`, which has its default)")
    };
    assert!(found.iter().all(is_it), "{found:#?}");
    let on = world.edit(
        "",
        "protect: { type: bool, default: false",
        "protect: { type: bool, default: true",
    );
    assert_eq!(said(&on, &on.audit()), Vec::<String>::new());
}

/// What a page can answer is read where the layers write it.
#[test]
fn audit_finds_a_health_page_that_always_says_yes() {
    let always = "write_files:\n  - path: /var/www/shop/healthcheck.php\n    content: |\n      <?php\n      // 503 would be better\n      echo 'ok';\n  - path: /etc/other\n    content: exit 1";
    let data = format!("user_data: {}", serde_json::to_string(always).unwrap());
    let world = |text: &str| {
        let stack = STACK.replace("user_data: >-", "user_data_was: >-");
        let mut lines: Vec<String> = Vec::new();
        let mut skip = false;
        for line in stack.lines() {
            if line.trim() == "user_data_was: >-" {
                lines.push(format!("    {text}"));
                skip = true;
            } else if skip {
                skip = !line.ends_with("})}");
            } else {
                lines.push(line.to_owned());
            }
        }
        World { stack: lines.join("\n") + "\n", ..World::new() }
    };
    let told = |world: World| -> Vec<&'static str> {
        world.audit().findings().map(|it| it.rule.id).collect()
    };
    assert_eq!(told(world(&data)), ["check-static"; 2]);
    // Also where the text is not whole before something is made.
    let open = format!("{always}\n# ${{standby_lb.ipv4}}");
    let open = format!("user_data: {}", serde_json::to_string(&open).unwrap());
    assert_eq!(told(world(&open)), ["check-static"; 2]);
    let asks = data.replace("echo 'ok';", "http_response_code(503);");
    assert_eq!(told(world(&asks)), Vec::<&str>::new());
}

#[test]
fn audit_states_what_it_worked_out() {
    let audit = World::new().audit();
    let facts: Vec<String> =
        audit.sections[1].facts.iter().map(|it| format!("{}: {}", it.name, it.text)).collect();
    insta::assert_snapshot!(facts.join("\n"), @r#"
    ttl: `shop` is cached for 5 min (`ttl_sec`); the objective is 15 min
    detection: `lb_http` removes a dead backend after 50 s: 3 × 15 s + 5 s
    detection: `standby_http` removes a dead backend after 50 s: 3 × 15 s + 5 s
    way: while users are sent to the backends that exist, the switch creates 1 resource: `standby[1]`
    capacity: home has 2 × g6-standard-2 (4 vCPU), the recovery 2 × g6-standard-2 (4 vCPU)
    quorum: traffic is shifted as soon as 1 of 2 backends serves: 50 % of home's capacity (2 of 4 vCPU)
    state: serial 0 in , 18 resources
    drill: the last drill of `failover_eu` was 10 days ago and passed
    "#);
}

/// Two records of one name serve together; after the loss one must go.
#[test]
fn audit_finds_a_record_of_the_lost_one_of_two_serving_sites() {
    let second = "  shop_eu: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${standby_lb.ipv4}', ttl_sec: 300 }\n";
    let both = World::new().edit("", "\noutputs:\n", &format!("{second}\noutputs:\n"));
    let told = |overlay: &str, size: u32| {
        let world = World::new();
        let world = World { stack: both.stack.clone(), ..world };
        let world = world
            .overlay(SERVED, overlay)
            .overlay("standby_size: 2", &format!("standby_size: {size}"));
        said(&world, &world.audit())
    };
    assert_eq!(told("shop: null", 2), Vec::<String>::new());
    let [one] = told("wall: {}", 2).try_into().unwrap();
    assert!(one.starts_with("error target-lost: `shop` still points to `lb`"), "{one}");
    let [one] = told("shop: null", 1).try_into().unwrap();
    assert!(one.starts_with("warning standby-smaller"), "{one}");
}

/// While a switch is in force, the standby is as the overlay says.
#[test]
fn audit_after_a_switch_compares_the_standby_with_the_overlay() {
    let larger = "shop: { target: '${standby_lb.ipv4}' }\n  standby: { type: g6-standard-4 }";
    let world = World::new().overlay(SERVED, larger);
    let switched = |active: &'static str, size: &'static str| {
        let world = World { overlay: world.overlay.clone(), ..World::new() };
        let world = world.state(move |it| {
            it.active = vec![active.into()];
            for (name, id) in [("standby[0]", "a"), ("standby[1]", "b"), ("standby_node[1]", "c")] {
                let like =
                    if name.starts_with("standby_node") { "standby_node[0]" } else { "standby[0]" };
                let mut record = it.records[&address(like)].clone();
                if like == "standby[0]" {
                    record.attributes.insert("type".into(), Value::text(size));
                }
                record.id = id.into();
                for (attribute, value) in &mut record.attributes {
                    let number = if name.ends_with("[1]") { "1" } else { "0" };
                    if let ("label", Value::Text(label)) = (attribute.as_str(), value) {
                        *label = format!("shop-eu-{number}");
                    }
                }
                it.records.insert(address(name), record);
            }
        });
        said(&world, &world.audit())
    };
    assert_eq!(switched("failover_eu", "g6-standard-4"), Vec::<String>::new());
    let [one] = switched("failover_eu", "g6-standard-2").try_into().unwrap();
    assert!(one.contains("standby-stale") && one.contains("type: g6-standard-4"), "{one}");
    assert_eq!(switched("other", "g6-standard-2"), Vec::<String>::new());
}

#[test]
fn audit_accepts_a_gate_in_place_of_health_checks() {
    let gated = "shop: { target: '${standby[0].ipv4}', gate: { tcp: '${standby[0].ipv4}:22' } }\n  standby: { type: g6-standard-4 }";
    let world = World::new().overlay(SERVED, gated);
    assert_eq!(said(&world, &world.audit()), Vec::<String>::new());
}

#[test]
fn audit_notes_the_gap_of_a_kind_that_is_never_renamed() {
    let first = "lifecycle: { create_before_destroy: true }";
    let world = World { stack: STACK.replace(first, "lifecycle: {}"), ..World::new() };
    let world = world.kind("linode.instance", |it| it.identity.rename = Rename::Never);
    let found = world.audit();
    let told: Vec<(&str, Level)> = found.findings().map(|it| (it.rule.id, it.level)).collect();
    assert_eq!(told, [("replace-gap", Level::Note); 2]);
    assert!(found.findings().all(|it| it.remedy.contains("cannot rename")));
}

#[test]
fn audit_compares_unknown_sizes_by_their_number() {
    let of = |from: &str, to: &str| {
        let world = World::new().edit("  web:", "type: '${vars.plan}'", from).edit(
            STANDBY,
            "type: '${vars.plan}'",
            to,
        );
        let audit = world.audit();
        audit.findings().map(|it| it.rule.id).collect::<Vec<_>>()
    };
    assert_eq!(of("type: g9-new-1", "type: g9-new-1"), Vec::<&str>::new());
    assert_eq!(of("type: g9-new-2", "type: g9-new-1"), ["standby-smaller"]);
    assert_eq!(of("type: g6-standard-2", "type: g6-standard-1"), ["standby-smaller"]);
    assert_eq!(of("type: g6-standard-1", "type: g6-standard-2"), Vec::<&str>::new());
}

#[test]
fn ends_reads_the_first_certificate_of_a_chain() {
    assert_eq!(ends(PEM), Ok(ENDS));
    assert_eq!(ends(&format!("{PEM}{PEM}")), Ok(ENDS));
    assert!(ends("").is_err());
    assert!(ends(&PEM.replace("MIIBjDCC", "MIIBjDCD")).is_err());
}
