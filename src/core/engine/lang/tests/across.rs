//! What cannot go together across references is refused with its line, however it is spelled, and what can is not.

use crate::engine::lang::tests::{bad, codes, problems};

const BALANCER: &str = "  lb: { kind: linode.nodebalancer, region: us-east, label: lb-1 }
  c: { kind: linode.nodebalancer_config, nodebalancer: '${lb}' }
";

fn machine(name: &str, text: &str) -> String {
    format!("  {name}: {{ kind: linode.instance, type: g6-nanode-1, {text} }}\n")
}

fn node(text: &str) -> String {
    format!("  n: {{ kind: linode.nodebalancer_node, config: '${{c}}', label: node, {text} }}\n")
}

fn behind(machines: &str, text: &str) -> String {
    bad(&format!("{BALANCER}{machines}{}", node(text)))
}

#[test]
fn load_refuses_a_backend_without_its_private_address() {
    let bare = machine("web", "count: 2, region: us-east, label: 'web-${each.index}'");
    insta::assert_snapshot!(behind(&bare, "address: '${web[0].private_ipv4}:80'"));
    for spelled in [
        "address: '${web[1].private_ipv4 + \":80\"}'",
        "for_each: '${web}', address: '${each.value.private_ipv4}:80'",
        "count: 2, address: '${web[each.index].private_ipv4}:80'",
        "address: '${[web[0].private_ipv4, \"80\"].join(\":\")}'",
        "address: '${true ? web[0].private_ipv4 : \"192.168.128.7\"}:80'",
        "address: '${web[0].private_ipv4}'",
    ] {
        let told = behind(&bare, spelled);
        assert!(told.contains("has no `private_ipv4` without `private_ip: true`"), "{told}");
        assert!(told.contains("write `private_ip: true` for `web`"), "{told}");
    }
    let asked = bare.replace("region:", "private_ip: true, region:");
    let untaken = "address: '${false ? web[0].private_ipv4 : \"192.168.128.7\"}:80'";
    assert_eq!(behind(&asked, "address: '${web[0].private_ipv4}:80'"), "");
    assert_eq!(behind(&bare, untaken), "");
    let variable = "variables:\n  private: { type: bool, default: false }\nresources:\n";
    let by_variable = bare.replace("region:", "private_ip: '${vars.private}', region:");
    let text = "address: '${web[0].private_ipv4}:80'";
    let whole = format!("stack: s\n{variable}{BALANCER}{by_variable}{}", node(text));
    let told = problems(&[("", &whole)], &[]);
    assert!(told.contains("value will never exist"), "{told}");
    assert_eq!(problems(&[("", &whole.replace("default: false", "default: true"))], &[]), "");
    let overlay = "overlay: bare\nresources: { web: { private_ip: null } }";
    let base = format!("stack: s\nresources:\n{BALANCER}{asked}{}", node(text));
    let told = problems(&[("", &base), ("bare", overlay)], &[]);
    assert!(told.contains("value will never exist"), "{told}");
}

/// What only the cloud will know is checked as far as its sort is known.
#[test]
fn load_refuses_an_address_of_the_wrong_form_before_it_is_known() {
    let web = machine("web", "region: us-east, label: web, private_ip: true");
    insta::assert_snapshot!(behind(&web, "address: '${web.ipv4}:80'"));
    for (address, is_good) in [
        ("${web.private_ipv4}:80", true),
        ("[${web.ipv6}]:80", true),
        ("${web.ipv6}:80", false),
        ("${web.private_ipv4}", false),
        ("${web.private_ipv4}:99999", false),
        ("${lb.hostname}:80", false),
        ("${web.ipv4.startsWith(\"192.168\") ? web.ipv4 : web.private_ipv4}:80", true),
    ] {
        let told = behind(&web, &format!("address: '{address}'"));
        assert_eq!(told.is_empty(), is_good, "{address}: {told}");
    }
    let zone = "  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }\n";
    let record = |text: &str| {
        bad(&format!(
            "{BALANCER}{zone}  r: {{ kind: linode.domain_record, domain: '${{zone}}', name: www, {text} }}"
        ))
    };
    insta::assert_snapshot!(record("type: A, target: '${lb.ipv6}'"));
    assert_eq!(record("type: A, target: '${lb.ipv4}'"), "");
    assert_eq!(record("type: AAAA, target: '${lb.ipv6}'"), "");
    assert_eq!(record("type: CNAME, target: '${lb.hostname}'"), "");
    assert!(record("type: CNAME, target: '${lb.ipv4}'").contains("not an address"));
}

#[test]
fn load_refuses_a_backend_outside_the_region_of_its_balancer() {
    let far = machine("web", "region: eu-central, label: web, private_ip: true");
    insta::assert_snapshot!(behind(&far, "address: '${web.private_ipv4}:80'"));
    let near = machine("near", "region: us-east, label: near, private_ip: true");
    let both = format!("{far}{near}");
    for (address, is_good) in [
        ("${near.private_ipv4}:80", true),
        ("${web.private_ipv4 + \":80\"}", false),
        ("${lb.region == \"us-east\" ? near.private_ipv4 : web.private_ipv4}:80", true),
        ("${lb.region == \"us-east\" ? web.private_ipv4 : near.private_ipv4}:80", false),
    ] {
        let told = behind(&both, &format!("address: '{address}'"));
        assert_eq!(told.is_empty(), is_good, "{address}: {told}");
    }
    let each = machine(
        "web",
        "for_each: { us: us-east, eu: eu-central }, region: '${each.value}', label: 'web-${each.key}', private_ip: true",
    );
    let told = behind(&each, "for_each: '${web}', address: '${each.value.private_ipv4}:80'");
    assert!(told.contains("`region` of `web[\"eu\"]`") && !told.contains("web[\"us\"]"), "{told}");
}

const TABLE: &str = "  t: { kind: dynamodb.table, region: us-east-1, name: abc, attributes: { id: S }, hash_key: id }\n";

#[test]
fn load_refuses_a_second_table_or_member_of_a_group_in_a_region() {
    let beside = |text: &str| bad(&format!("{TABLE}{text}"));
    let table = |name: &str, region: &str| {
        format!(
            "  u: {{ kind: dynamodb.table, region: {region}, name: {name}, attributes: {{ id: S }}, hash_key: id }}\n"
        )
    };
    insta::assert_snapshot!(beside(&table("abc", "eu-west-1")));
    assert_eq!(beside(&table("abcd", "eu-west-1")), "");
    let replica = |region: &str| {
        format!("  r: {{ kind: dynamodb.replica, table: '${{t}}', region: {region} }}\n")
    };
    let both = format!("{}{}", table("'${t.name}'", "eu-west-1"), replica("eu-west-1"));
    insta::assert_snapshot!(beside(&both));
    assert_eq!(beside(&replica("eu-west-1")), "");
    let twice = format!("{}{}", replica("eu-west-1"), replica("ap-south-1").replace("r:", "s:"));
    assert_eq!(beside(&twice), "");
}

#[test]
fn load_refuses_a_ready_check_of_a_machine_that_is_not_running() {
    let ready = |text: &str| bad(&machine("web", &format!("region: us-east, label: web, {text}")));
    let image = "image: linode/debian12, authorized_users: [ops]";
    insta::assert_snapshot!(ready("ready: { tcp: '${self.ipv4}:22' }"));
    let asleep = format!("{image}, booted: false, ready: {{ http: 'http://${{self.ipv4}}/' }}");
    assert!(ready(&asleep).contains("not running"), "{}", ready(&asleep));
    assert_eq!(ready(&format!("{image}, ready: {{ tcp: '${{self.ipv4}}:22' }}")), "");
    assert_eq!(ready("ready: { tcp: '192.0.2.1:22' }"), "", "somebody else answers");
}

#[test]
fn load_refuses_a_ready_check_of_a_port_closed_to_everyone() {
    let knock = |rules: &str, more: &str, ready: &str| {
        let wall =
            format!("  wall: {{ kind: linode.firewall, label: wall, inbound: [{rules}]{more} }}\n");
        let web = "region: us-east, label: web, private_ip: true, image: linode/debian12, authorized_users: [ops], firewall: '${wall}'";
        bad(&format!("{wall}{}", machine("web", &format!("{web}, ready: {ready}"))))
    };
    let rule = |ports: &str, from: &str| {
        format!(
            "{{ action: ACCEPT, protocol: TCP, ports: '{ports}', addresses: {{ ipv4: [{from}] }} }}"
        )
    };
    let ssh = "{ tcp: '${self.ipv4}:22' }";
    let balancers = rule("22", "192.168.255.0/24");
    insta::assert_snapshot!(knock(&balancers, "", ssh));
    let shut = |rules: &str, more: &str, ready: &str| !knock(rules, more, ready).is_empty();
    assert!(shut("", "", ssh) && shut(&rule("80", "0.0.0.0/0"), "", ssh));
    assert!(shut(&rule("80", "0.0.0.0/0"), "", "{ http: 'https://${self.ipv4}/up' }"));
    assert!(shut(&rule("22", "0.0.0.0/0"), "", "{ tcp: '[${self.ipv6}]:22' }"));
    assert!(!shut(&rule("22", "203.0.113.0/24"), "", ssh), "lifeboat may run there");
    assert!(!shut(&rule("80", "0.0.0.0/0"), "", "{ http: 'http://${self.ipv4}/up' }"));
    assert!(!shut(&rule("8080", "0.0.0.0/0"), "", "{ http: 'http://${self.ipv4}:8080/up' }"));
    assert!(!shut("", ", status: disabled", ssh) && !shut("", ", inbound_policy: ACCEPT", ssh));
    assert!(!shut(&balancers, "", "{ tcp: '${self.private_ipv4}:22' }"), "from inside, perhaps");
    assert!(!shut("", "", "{ tcp: '192.0.2.1:22' }"), "that is somebody else");
}

/// The balancer's own filter decides about a gate of the record that leads to it.
#[test]
fn load_refuses_a_gate_on_a_port_that_a_firewall_blocks() {
    let gate = |port: &str| {
        bad(&format!(
            "  wall: {{ kind: linode.firewall, label: wall, inbound: [{{ action: ACCEPT, protocol: TCP, ports: '{port}', addresses: {{ ipv4: [0.0.0.0/0] }} }}] }}
  lb: {{ kind: linode.nodebalancer, region: us-east, label: lb-1, firewall: '${{wall}}' }}
  zone: {{ kind: linode.domain, domain: example.com, soa_email: a@example.com }}
  r: {{ kind: linode.domain_record, domain: '${{zone}}', name: www, type: A, target: '${{lb.ipv4}}', gate: {{ http: 'http://${{lb.ipv4}}/' }} }}"
        ))
    };
    assert_eq!(gate("80"), "");
    assert!(gate("443").contains("`gate` checks port 80 of `lb`"), "{}", gate("443"));
}

/// Whatever is wrong with a key or a certificate, it is never shown.
#[test]
fn load_requires_pem_of_certificates_and_keys_and_never_shows_them() {
    let block =
        |label: &str| format!("\"-----BEGIN {label}-----\\nMAA=\\n-----END {label}-----\\n\"");
    let secret = "variables:\n  key: { type: string, sensitive: true, default: hunter2-hunter2 }\nresources:\n";
    let config = |cert: &str, key: &str| {
        format!(
            "  lb: {{ kind: linode.nodebalancer, region: us-east, label: lb-1 }}\n  c: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', protocol: https, ssl_cert: {cert}, ssl_key: {key} }}"
        )
    };
    let (cert, key) = (block("CERTIFICATE"), block("PRIVATE KEY"));
    assert_eq!(bad(&config(&cert, &key)), "");
    insta::assert_snapshot!(bad(&config("files/shop.pem", &key)));
    let whole = format!("stack: s\n{secret}{}", config(&cert, "'${vars.key}'"));
    let told = problems(&[("", &whole)], &[]);
    assert!(told.contains("-----BEGIN PRIVATE KEY-----") && !told.contains("hunter2"), "{told}");
    let swapped = bad(&config(&key, &cert));
    assert!(swapped.contains("contains a private key"), "{swapped}");
}

/// It is known when one looks, and another one then: nothing that is made of it is ever what was planned.
#[test]
fn load_refuses_values_that_change_without_an_apply() {
    let web = machine("web", "count: 1, region: us-east, label: web");
    let zone = |of: &str, more: &str| {
        bad(&format!(
            "{web}  zone: {{ kind: linode.domain, domain: example.com, soa_email: a@example.com, {more}description: 'it is ${{{of}}}' }}"
        ))
    };
    insta::assert_snapshot!(zone("web[0].status", ""));
    let each = zone("each.value.status", "for_each: '${web}', ");
    assert!(each.contains("changes without an apply"), "{each}");
    assert_eq!(zone("web[0].label", ""), "");
    let each = zone("each.value.labl", "for_each: '${web}', ");
    assert!(each.contains("did you mean `label`?"), "{each}");
}

/// Codes are documented and stay.
#[test]
fn load_gives_each_rule_across_references_its_own_code() {
    let bare = machine("web", "region: us-east, label: web");
    let text = node("address: '${web.private_ipv4}:80'");
    assert_eq!(codes(&format!("{BALANCER}{bare}{text}")), ["never_made"]);
    let again = TABLE.replace("  t:", "  u:").replace("us-east-1", "eu-west-1");
    assert_eq!(codes(&format!("{TABLE}{again}")), ["two_founders"]);
    let web = "region: us-east, label: web, image: linode/debian12, authorized_users: [ops], firewall: '${wall}', ready: { tcp: '${self.ipv4}:22' }";
    let wall = "  wall: { kind: linode.firewall, label: wall }\n";
    assert_eq!(codes(&format!("{wall}{}", machine("web", web))), ["shut_port"]);
    let status = machine("other", "region: us-east, label: '${web.status}'");
    assert_eq!(codes(&format!("{bare}{status}")), ["live_value"]);
}
