//! What clouds always refuse is refused with its line, each by its kind of rule, and what they take is not.

use crate::engine::lang::tests::{bad, codes};

const ZONE: &str =
    "  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }\n";

fn record(text: &str) -> String {
    bad(&format!("{ZONE}  r: {{ kind: linode.domain_record, domain: '${{zone}}', {text} }}"))
}

fn kind(kind: &str, text: &str) -> String {
    bad(&format!("  it: {{ kind: {kind}, {text} }}"))
}

fn all(kind: impl Fn(&str) -> String, texts: &[&str]) -> String {
    let one = |text: &&str| {
        let said = kind(text);
        format!(
            "{text}\n  {}",
            if said.is_empty() { "fits".into() } else { said.trim_end().replace('\n', "\n  ") }
        )
    };
    texts.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn load_requires_of_records_what_their_type_needs() {
    insta::assert_snapshot!(all(
        record,
        &[
            "type: A, name: www, target: 192.0.2.1",
            "type: A, name: www, target: www.example.com",
            "type: A, name: www, target: lb.ipv4",
            "type: AAAA, name: www, target: 192.0.2.1",
            "type: AAAA, name: www, target: 2001:DB8::1",
            "type: CNAME, name: www, target: 192.0.2.1",
            "type: CNAME, name: www, target: bücher.example.",
            "type: CNAME, name: '', target: other.example.net",
            "type: MX, name: '', target: mail.example.net., priority: 10",
            "type: MX, name: '', target: ''",
            "type: TXT, name: '', target: ''",
            "type: TXT, name: '', target: 'v=spf1 -all'",
            "type: CAA, name: '', target: letsencrypt.org., tag: issue",
            "type: NS, name: '*', target: ns.example.net",
            "type: A, name: '@', target: 192.0.2.1",
            "type: A, name: büro, target: 192.0.2.1",
            "type: A, name: www., target: 192.0.2.1",
            "type: SRV, service: _sip, protocol: _tcp, port: 5060, target: sip",
            "type: A, name: www, target: 192.0.2.1, service: sip",
            "type: A, name: www, target: 192.0.2.1, priority: 5",
            "type: A, name: www, target: 192.0.2.1, tag: issue",
        ]
    ));
}

#[test]
fn load_refuses_zones_that_are_not_ascii_or_end_in_a_dot() {
    insta::assert_snapshot!(all(
        |it| kind("linode.domain", it),
        &[
            "domain: example.com., soa_email: a@example.com",
            "domain: bücher.example, soa_email: a@example.com",
            "domain: example, soa_email: a@example.com",
            "domain: example.com, soa_email: ops",
            "domain: example.com, soa_email: ''",
            "domain: example.com, type: slave, master_ips: [ns.example.net]",
            "domain: example.com, soa_email: a@example.com, axfr_ips: [10.0.0.0/8]",
        ]
    ));
}

#[test]
fn load_refuses_firewalls_with_bad_networks_or_ports() {
    let rules = |it: &str| kind("linode.firewall", &format!("label: wall, inbound: [{it}]"));
    insta::assert_snapshot!(all(
        rules,
        &[
            "{ action: ACCEPT, protocol: TCP, ports: '80, 443', addresses: { ipv4: [0.0.0.0/0], ipv6: ['::/0'] } }",
            "{ action: ACCEPT, protocol: TCP, addresses: { ipv4: [192.0.2.1] } }",
            "{ action: ACCEPT, protocol: TCP, addresses: { ipv4: [] } }",
            "{ action: ACCEPT, protocol: TCP, addresses: {} }",
            "{ action: ACCEPT, protocol: TCP }",
            "{ action: ACCEPT, protocol: ICMP, ports: '80', addresses: { ipv4: [0.0.0.0/0] } }",
            "{ action: ACCEPT, protocol: TCP, ports: '443-80', addresses: { ipv4: [0.0.0.0/0] } }",
            "{ action: ACCEPT, protocol: TCP, addresses: { ipv4: ['::/0'] } }",
            "{ action: ACCEPT, protocol: ALL, addresses: { ipv4: [0.0.0.0/0] } }",
            "{ action: ACCEPT, protocol: '50', addresses: { ipv4: [0.0.0.0/0] } }",
            "{ action: ACCEPT, protocol: '6', ports: '22', addresses: { ipv4: [0.0.0.0/0] } }",
            "{ action: ACCEPT, protocol: ALL, ports: '22', addresses: { ipv4: [0.0.0.0/0] } }",
            "{ action: ACCEPT, protocol: '256', addresses: { ipv4: [0.0.0.0/0] } }",
            "{ action: ACCEPT, protocol: 50, addresses: { ipv4: [0.0.0.0/0] } }",
            "{ action: ACCEPT, protocol: tcp, addresses: { ipv4: [0.0.0.0/0] } }",
        ]
    ));
    assert!(kind("linode.firewall", "label: wall--1").contains("without `--` in it"));
    let one = "{ action: ACCEPT, protocol: TCP, addresses: { ipv4: [0.0.0.0/0] } }";
    let many = vec![one; 13].join(", ");
    let both =
        kind("linode.firewall", &format!("label: wall, inbound: [{many}], outbound: [{many}]"));
    assert!(both.contains("at most 25 rules"), "{both}");
}

const MACHINE: &str = "region: us-east, type: g6-nanode-1";

#[test]
fn load_requires_an_image_and_a_login_of_machines() {
    let machine = |it: &str| kind("linode.instance", &format!("{MACHINE}, {it}"));
    insta::assert_snapshot!(all(
        machine,
        &[
            "label: bare",
            "label: bare, booted: true",
            "label: web--1",
            "image: linode/debian12, authorized_keys: []",
            "image: linode/debian12, authorized_keys: [nonsense]",
            "image: linode/debian12, authorized_users: [ops], private_ip: true, interface_generation: linode",
            "image: linode/debian12, authorized_users: [ops], private_ip: true, interface_generation: legacy_config",
        ]
    ));
    // A firewall is named, whatever its id will be; and the interface's own would be another.
    let walled = |generation: &str| {
        bad(&format!(
            "  wall: {{ kind: linode.firewall, label: wall }}\n  web: {{ kind: linode.instance, {MACHINE}, label: web, firewall: '${{wall}}', interface_generation: {generation} }}"
        ))
    };
    assert_eq!(walled("legacy_config"), "");
    insta::assert_snapshot!(walled("linode"));
    let keyed = bad(&format!(
        "  web: {{ kind: linode.instance, {MACHINE}, for_each: [a--b, a..b, fine] }}"
    ));
    insta::assert_snapshot!(keyed);
}

#[test]
fn load_refuses_regions_and_plans_that_no_cloud_offers() {
    let place = |it: &str| kind("linode.nodebalancer", &format!("label: lb-1, {it}"));
    insta::assert_snapshot!(all(
        place,
        &[
            "region: us-east",
            "region: US-East",
            "region: us-est",
            "region: us-east-1",
            "region: atlantis"
        ]
    ));
    let machine = |it: &str| {
        kind("linode.instance", &format!("region: us-east, authorized_users: [ops], {it}"))
    };
    insta::assert_snapshot!(all(
        machine,
        &[
            "type: t3.micro, image: linode/debian12",
            "type: g6-standard-2, image: debian12",
            "type: g6-standard-2, image: private/12",
            "type: g6-standrad-2, image: linode/debian99",
        ]
    ));
    let table = |it: &str| {
        kind("dynamodb.table", &format!("name: abc, attributes: {{ id: S }}, hash_key: id, {it}"))
    };
    insta::assert_snapshot!(all(
        table,
        &["region: us-west-7", "region: us-east", "region: eu-west-1"]
    ));
    insta::assert_snapshot!(bad(
        "  t: { kind: dynamodb.table, region: us-east-1, name: abc, attributes: { id: S }, hash_key: id }\n  r: { kind: dynamodb.replica, table: '${t}', region: cn-north-1 }"
    ));
}

#[test]
fn load_enforces_limits_of_table_tags_and_streams() {
    let table = |it: &str| {
        kind(
            "dynamodb.table",
            &format!("region: us-east-1, name: abc, attributes: {{ id: S }}, hash_key: id, {it}"),
        )
    };
    let many = (0..50).map(|it| format!("k{it}: v")).collect::<Vec<_>>().join(", ");
    insta::assert_snapshot!(table(&format!("tags: {{ {many} }}")));
    insta::assert_snapshot!(all(
        table,
        &["tags: { 'aws:x': y }", "range_key: id", "ttl_attribute: ''"]
    ));
    assert!(table("tags: { lifeboat: x }").contains("is lifeboat's own"));
    let long = "k".repeat(129);
    assert!(table(&format!("tags: {{ {long}: v }}")).contains("129 characters"));
    insta::assert_snapshot!(bad(
        "  t: { kind: dynamodb.table, region: us-east-1, name: abc, attributes: { id: S }, hash_key: id, stream: NEW_IMAGE }\n  r: { kind: dynamodb.replica, table: '${t}', region: eu-west-1 }"
    ));
}

#[test]
fn load_reports_text_that_was_meant_for_a_value() {
    let lb = "  lb: { kind: linode.nodebalancer, region: us-east, label: lb-1 }\n";
    let described = |it: &str| {
        bad(&format!(
            "{lb}  zone: {{ kind: linode.domain, domain: example.com, soa_email: a@example.com, description: {it} }}"
        ))
    };
    insta::assert_snapshot!(all(
        described,
        &[
            "lb.ipv4",
            "'{{ lb.ipv4 }}'",
            "'to {{lb.ipv4}} and on'",
            "lb.nothing",
            "'{{ ds.meta }}'",
            "www.example.com",
            "'${\"lb.ipv4\"}'"
        ]
    ));
    let node = bad(&format!(
        "{lb}  c: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}' }}\n  n: {{ kind: linode.nodebalancer_node, config: '${{c}}', label: node, address: lb.ipv4 }}"
    ));
    insta::assert_snapshot!(node);
}

#[test]
fn load_requires_backends_to_be_private_addresses_with_a_port() {
    let lb = "  lb: { kind: linode.nodebalancer, region: us-east, label: lb-1 }\n  c: { kind: linode.nodebalancer_config, nodebalancer: '${lb}' }\n";
    let node = |it: &str| {
        bad(&format!(
            "{lb}  n: {{ kind: linode.nodebalancer_node, config: '${{c}}', label: node, address: {it} }}"
        ))
    };
    insta::assert_snapshot!(all(
        node,
        &[
            "192.168.130.1:80",
            "192.168.300.1:80",
            "192.168.130.1:99999",
            "203.0.113.9:80",
            "'[2001:db8::1]:80'",
            "'192.168.130.1'"
        ]
    ));
}

/// A CNAME stands alone, whatever the spelling of its neighbour's name; labels are told apart without their case.
#[test]
fn load_refuses_conflicting_record_names_and_labels() {
    let beside = |it: &str| {
        bad(&format!(
            "{ZONE}  a: {{ kind: linode.domain_record, domain: '${{zone}}', type: CNAME, name: www, target: other.example.net }}\n  b: {{ kind: linode.domain_record, domain: '${{zone}}', {it} }}"
        ))
    };
    insta::assert_snapshot!(all(
        beside,
        &[
            "type: A, name: WWW.example.com, target: 192.0.2.1",
            "type: CNAME, name: www, target: third.example.net",
            "type: TXT, name: www2, target: note",
        ]
    ));
    insta::assert_snapshot!(bad(
        "  a: { kind: linode.nodebalancer, region: us-east, label: Shop-lb }\n  b: { kind: linode.nodebalancer, region: us-east, label: shop-LB }"
    ));
}

/// Codes are documented and stay.
#[test]
fn load_gives_each_rule_of_a_cloud_its_own_code() {
    let zone = |it: &str| codes(&format!("{ZONE}{it}"));
    let place = |it: &str| {
        codes(&format!("  lb: {{ kind: linode.nodebalancer, label: lb-1, region: {it} }}"))
    };
    let record = "kind: linode.domain_record, domain: '${zone}', name: www";
    assert_eq!(
        zone(&format!("  a: {{ {record}, type: A, target: www.example.com }}")),
        ["wrong_form"]
    );
    assert_eq!(
        zone(&format!("  a: {{ {record}, type: TXT, target: zone.id }}")),
        ["unquoted_reference"]
    );
    let both = format!(
        "  a: {{ {record}, type: CNAME, target: other.example.net }}\n  b: {{ {record}, type: TXT, target: x }}"
    );
    assert_eq!(zone(&both), ["stands_alone"]);
    assert_eq!(place("atlantis"), ["not_known_here"]);
    assert_eq!(place("us-east-1"), ["not_offered"]);
    let group = "  t: { kind: dynamodb.table, region: us-east-1, name: abc, attributes: { id: S }, hash_key: id }\n  r: { kind: dynamodb.replica, table: '${t}', region: us-gov-west-1 }";
    assert_eq!(codes(group), ["other_partition"]);
}

#[test]
fn load_refuses_an_allowance_without_reason_day_or_address() {
    let allow = |text: &str| bad(&format!("{ZONE}\nallow: {{ {text} }}"));
    insta::assert_snapshot!(all(
        allow,
        &[
            "delete: [zone], until: 2026-12-24, because: it moves",
            "delete: [zone], because: it moves",
            "delete: [zone], until: 2026-12-24",
            "delete: [zone], until: 2026-12-24, because: ''",
            "delete: [zone], until: tomorrow, because: it moves",
            "delete: [zone], until: 2026-02-30, because: it moves",
            "delete: zone, until: 2026-12-24, because: it moves",
            "delete: ['zone['], until: 2026-12-24, because: it moves",
            "outage: true, until: 2026-12-24, because: it moves",
            "destroys: -1, until: 2026-12-24, because: it moves",
            "destroys: many, until: 2026-12-24, because: it moves",
            "until: 2026-12-24, because: it moves",
        ]
    ));
}
