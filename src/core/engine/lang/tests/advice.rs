//! What the mistakes of newcomers are answered with: input in, help and line out.

use crate::engine::lang::load::{FileProblem, Files, Layer, load};
use crate::engine::lang::merge::variables::RememberedVariables;

struct EmptyFolder;

impl Files for EmptyFolder {
    fn read(&self, _: &str) -> Result<Vec<u8>, FileProblem> {
        Err(FileProblem::Missing)
    }
}

/// `line: label | help` of every mistake.
fn told(stack: &str) -> String {
    let bytes = stack.as_bytes().to_vec();
    let layer = Layer { name: String::new(), file: "stack.yaml".into(), bytes };
    let catalog = crate::kinds::builtin();
    let loaded = load("t", &[layer], &[], RememberedVariables::none(), &EmptyFolder, &catalog);
    let lines = loaded.diagnostics.iter().map(|it| {
        let label = it.labels.first().expect("a place");
        let help = it.help.as_deref().unwrap_or("(none)");
        format!("{}: {} | {help}", label.span.line, label.text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn resources(text: &str) -> String {
    told(&format!(
        "stack: t\nvariables:\n  size: {{ type: int, default: 1 }}\nresources:\n{text}\n"
    ))
}

const WEB: &str = "kind: linode.instance, region: us-east, type: g6-nanode-1";

#[test]
fn load_explains_how_a_value_of_another_type_is_written() {
    insta::assert_snapshot!(resources(&format!("  web: {{ {WEB}, count: \"2\" }}")), @"5: `count` takes an integer, but this is text | remove the quotes");
    insta::assert_snapshot!(resources(&format!("  web: {{ {WEB}, private_ip: yes }}")), @"5: `private_ip` takes true or false, but this is text | write true: YAML 1.2 supports only true and false");
    let record = "  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }\n  www: { kind: linode.domain_record, domain: '${zone}', type: A, name: www, target: 192.0.2.1, ttl_sec: 5m }";
    insta::assert_snapshot!(resources(record), @"6: `ttl_sec` takes an integer, but this is text | write a number; 5m is 300 seconds");
    insta::assert_snapshot!(resources("  web: { kind: linode.instance, type: g6-nanode-1 }"), @"5: `web` needs `region` | add `region:` (Region id, e.g. `us-east`)");
}

#[test]
fn load_translates_words_of_other_tools() {
    insta::assert_snapshot!(resources(&format!("  web: {{ {WEB}, count: '${{var.size}}' }}")), @"5: `var` is a reserved word | a variable is `vars.NAME`");
    insta::assert_snapshot!(resources(&format!("  web: {{ {WEB}, count: 2, label: 'w-${{count.index}}' }}")), @"5: there is no resource `count` | the index of an instance is `each.index`");
}

#[test]
fn load_checks_each_expression_of_a_line_for_quotes() {
    let text = "  web: { kind: linode.instance, region: '${vars.size}', label: ${vars.size} }";
    assert!(resources(text).contains("| quote the expression: '${…}'"), "{}", resources(text));
}

#[test]
fn load_reports_where_a_tab_is() {
    let text = "stack: t\nresources:\n  web:\n    kind: linode.instance\n\tregion: us-east\n";
    let told = told(text);
    assert!(told.starts_with("5: ") && told.ends_with("| indent with spaces"), "{told}");
}

#[test]
fn load_names_a_mistake_within_a_rule_by_its_whole_path() {
    let rule = "{ action: ACCEPT, protocol: TCP, ports: '22', addresses: { ipv4: [10.0.0.0/8] } }";
    let wrong = rule.replace("TCP", "TPC");
    let fw = format!("  fw: {{ kind: linode.firewall, inbound: [{rule}, {wrong}] }}");
    insta::assert_snapshot!(resources(&fw), @"5: `inbound[1].protocol` cannot be `TPC` | did you mean `TCP`?");
    let wrong = rule.replace("ipv4", "ip4");
    let fw = format!("  fw: {{ kind: linode.firewall, inbound: [{wrong}] }}");
    insta::assert_snapshot!(resources(&fw), @"5: `inbound[0].addresses` has no `ip4` | did you mean `ipv4`?");
}
