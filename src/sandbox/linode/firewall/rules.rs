//! Firewall rules: what may be sent, and one canonical text of them for comparing and fingerprints.

use serde_json::{Map, Value, json};

use crate::linode::request::body::{RequestBody, is_network};

/// How many rules a firewall has, in both directions together (Linode's API reference).
const MOST_RULES: usize = 25;
/// How many addresses of one family a rule has (Linode's API reference).
const MOST_ADDRESSES: usize = 255;

/// Checks a rule set and keeps it as it came: absent stays absent, null stays null, order stays. It replaces all rules, so
/// that a direction which is left out has none (the API's own words); a policy that is left out is as in `before`.
pub fn read(
    form: &mut RequestBody<'_>,
    body: &Map<String, Value>,
    before: Option<&Value>,
) -> Value {
    let mut rules = Map::new();
    let mut count = 0;
    for (direction, policy) in [("inbound", "inbound_policy"), ("outbound", "outbound_policy")] {
        if before.is_none() {
            form.require(policy);
        }
        let value = form.one_of(policy, &["ACCEPT", "DROP"]).map(Value::String);
        let value =
            value.or_else(|| before.and_then(|it| it.get(policy)).cloned()).unwrap_or_default();
        for (index, item) in form.list(direction).into_iter().flatten().enumerate() {
            count += 1;
            match item.as_object() {
                Some(rule) => check(form, &format!("{direction}[{index}]"), rule),
                None => form.error(direction, "Must be a list of rules"),
            }
        }
        rules.insert(direction.into(), body.get(direction).cloned().unwrap_or_else(|| json!([])));
        rules.insert(policy.into(), value);
    }
    if count > MOST_RULES {
        form.error("inbound", format!("A firewall can have at most {MOST_RULES} rules"));
    }
    Value::Object(rules)
}

fn check(form: &mut RequestBody<'_>, place: &str, rule: &Map<String, Value>) {
    if rule.get("ruleset").is_some_and(|it| !it.is_null()) {
        form.error(&format!("{place}.ruleset"), "the sandbox does not support rule sets");
        return;
    }
    let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default();
    if !matches!(text("action"), "ACCEPT" | "DROP") {
        form.error(&format!("{place}.action"), "Must be one of ACCEPT, DROP");
    }
    let protocol = text("protocol");
    // Names, and the numbers of IANA as texts (recorded: TestFirewallRules_ExtendedProtocols).
    let is_number = !protocol.is_empty() && protocol.parse::<u8>().is_ok();
    if !is_number && !matches!(protocol, "TCP" | "UDP" | "ICMP" | "IPENCAP" | "ALL") {
        form.error(&format!("{place}.protocol"), "Must be one of TCP, UDP, ICMP, IPENCAP");
    }
    let label = text("label");
    if !label.is_empty() && !(3..=32).contains(&label.len()) {
        form.error(&format!("{place}.label"), "Length must be 3-32 characters");
    }
    if text("description").len() > 100 {
        form.error(&format!("{place}.description"), "Length must be 1-100 characters");
    }
    let ports = text("ports");
    if !ports.is_empty() {
        if !matches!(protocol, "TCP" | "UDP" | "6" | "17") {
            form.error(&format!("{place}.ports"), "Ports are only allowed for TCP and UDP");
        } else if let Err(reason) = check_ports(ports) {
            form.error(&format!("{place}.ports"), reason);
        }
    }
    check_addresses(form, place, rule.get("addresses").and_then(Value::as_object));
}

/// A comma list of ports and ascending ranges, at most 15 pieces (a range is two), without leading zeros.
fn check_ports(ports: &str) -> Result<(), &'static str> {
    let port = |text: &str| {
        let text = text.trim();
        if text.starts_with('0') { None } else { text.parse::<u16>().ok() }
    };
    let mut pieces = 0;
    for part in ports.split(',') {
        if let Some((from, to)) = part.split_once('-') {
            pieces += 2;
            if !matches!((port(from), port(to)), (Some(from), Some(to)) if from < to) {
                return Err("Port range must be ascending numbers from 1 to 65535");
            }
        } else {
            pieces += 1;
            if port(part).is_none() {
                return Err("Must be 1-65535");
            }
        }
    }
    if pieces > 15 { Err("A rule can have at most 15 ports") } else { Ok(()) }
}

fn check_addresses(
    form: &mut RequestBody<'_>,
    place: &str,
    addresses: Option<&Map<String, Value>>,
) {
    let mut count = 0;
    for (family, six) in [("ipv4", false), ("ipv6", true)] {
        let Some(list) = addresses.and_then(|it| it.get(family)).and_then(Value::as_array) else {
            continue;
        };
        if list.is_empty() {
            form.error(&format!("{place}.addresses.{family}"), "Must contain at least one address");
        }
        for (index, address) in list.iter().enumerate() {
            count += 1;
            if !address.as_str().is_some_and(|it| is_network(it, six)) {
                form.error(
                    &format!("{place}.addresses.{family}[{index}]"),
                    "Must be a valid IP address and mask",
                );
            }
        }
    }
    if addresses.is_none() || count == 0 && addresses.is_some_and(Map::is_empty) {
        form.error(&format!("{place}.addresses"), "addresses is required");
    }
    if count > MOST_ADDRESSES {
        form.error(&format!("{place}.addresses"), "A rule can have at most 255 addresses");
    }
}

/// One text for rules that say the same, whatever the order of their keys.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            let parts: Vec<String> =
                keys.iter().map(|key| format!("{key}:{}", canonical(&map[*key]))).collect();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => {
            let parts: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", parts.join(","))
        }
        other => other.to_string(),
    }
}
