//! Every mistake that people make in a stack: exit 1, the line in question, what is wrong and what to do; and nothing happens.

use crate::harness::{Home, Output};

/// The usual suspects of a tiny stack.
const LB: &str = "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-lb }\n";

/// Applies it, as the most daring command, and keeps what was said.
#[track_caller]
fn refused(name: &str, home: &Home, arguments: &[&str]) {
    let apply = home.sandbox(&[&["apply", "tiny", "--yes"], arguments].concat());
    assert_eq!(apply.code, Some(1), "{apply}");
    assert!(apply.stdout.is_empty(), "nothing was planned: {apply}");
    assert!(home.is_untouched(), "nothing happened: {}", home.shown());
    snapshot(name, &apply);
}

fn snapshot(name: &str, output: &Output) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, output.redacted()));
}

/// One wrong stack file.
#[track_caller]
fn check(name: &str, stack: impl AsRef<[u8]>) {
    refused(name, &Home::holding("tiny", stack.as_ref()), &[]);
}

/// The tiny stack under one wrong overlay.
#[track_caller]
fn check_overlay(name: &str, overlay: &str) {
    let home = Home::holding("tiny", LB);
    home.overlay("tiny", "other", overlay);
    refused(name, &home, &["-o", "other"]);
}

#[test]
fn validate_refuses_broken_yaml() {
    check(
        "broken_yaml",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east\n  other: {}\n",
    );
    check("broken_yaml_tab", "stack: tiny\nresources:\n\tlb: {}\n");
    check("empty_file", "");
    check("only_a_comment", "# to come\n");
    check("a_list", "- stack: tiny\n");
    refused("not_utf8", &Home::holding("tiny", b"stack: tiny\nresources: # caf\xe9\n  {}\n"), &[]);
}

#[test]
fn validate_refuses_an_unquoted_expression() {
    check(
        "unquoted_expression",
        format!(
            "{LB}  http: {{ kind: linode.nodebalancer_config, nodebalancer: ${{lb}}, port: 80 }}\n"
        ),
    );
    check(
        "unquoted_expression_in_block",
        "stack: tiny\nvariables: { x: { type: map, default: {} } }\nresources:\n  lb:\n    kind: linode.nodebalancer\n    region: us-east\n    label: ${ {'a': vars.x} }\n",
    );
}

#[test]
fn validate_refuses_a_duplicate_key() {
    check(
        "duplicate_key",
        format!("{LB}  lb: {{ kind: linode.nodebalancer, region: eu-central }}\n"),
    );
    check(
        "duplicate_key_inside",
        "stack: tiny\nresources:\n  lb:\n    kind: linode.nodebalancer\n    region: us-east\n    region: eu-central\n",
    );
}

#[test]
fn validate_refuses_unknown_names() {
    check("unknown_key", "stack: tiny\nresorces: {}\n");
    check(
        "unknown_kind",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancr, region: us-east }\n",
    );
    check(
        "unknown_attribute",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, regoin: us-east }\n",
    );
    check(
        "unknown_reference",
        format!("{LB}  http: {{ kind: linode.nodebalancer_config, nodebalancer: '${{bl}}' }}\n"),
    );
    check("unknown_attribute_in_reference", format!("{LB}outputs:\n  address: '${{lb.ipv5}}'\n"));
    check(
        "unknown_variable",
        "stack: tiny\nvariables: { domain: { type: string, default: x } }\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, label: '${vars.domian}' }\n",
    );
    check(
        "unknown_lifecycle",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, lifecycle: { prevent_destory: true } }\n",
    );
    check("wrong_stack_name", "stack: tinny\nresources: {}\n");
    check("no_stack_name", "resources: {}\n");
    check("no_kind", "stack: tiny\nresources:\n  lb: { region: us-east }\n");
    check(
        "bad_name",
        "stack: tiny\nresources:\n  Load-Balancer: { kind: linode.nodebalancer, region: us-east }\n",
    );
    check(
        "reserved_name",
        "stack: tiny\nresources:\n  self: { kind: linode.nodebalancer, region: us-east }\n",
    );
}

/// A loss of what is nowhere is a slip of the pen; a loss of what the overlay itself gives up is not.
#[test]
fn validate_refuses_losses_of_what_is_not_there() {
    check_overlay("unknown_fault_domain", "overlay: other\nassumes_lost: [linode:us-esat]\n");
    check_overlay("bad_fault_domain", "overlay: other\nassumes_lost: [us-east]\n");
    check_overlay("rehearsal_without_workspace", "overlay: other\nrehearses: failover\n");
    let home = Home::holding("tiny", LB);
    home.overlay("tiny", "moved", "overlay: moved\nassumes_lost: [linode:us-east]\nresources:\n  lb: { region: eu-central }\n");
    home.run(&["validate", "tiny", "-o", "moved"]).code(0).done();
}

#[test]
fn validate_refuses_wrong_overlays() {
    check_overlay("overlay_patches_nothing", "overlay: other\nresources:\n  bl: { label: x-lb }\n");
    check_overlay("overlay_removes_nothing", "overlay: other\nresources:\n  lbs: null\n");
    check_overlay(
        "overlay_changes_kind",
        "overlay: other\nresources:\n  lb: { kind: linode.domain }\n",
    );
    check_overlay("overlay_of_another_name", "overlay: otter\n");
    check_overlay("overlay_unknown_variable", "overlay: other\nvariables: { size: 3 }\n");
    check_overlay(
        "overlay_unknown_attribute",
        "overlay: other\nresources:\n  lb: { lable: x-lb }\n",
    );
    let home = Home::holding("tiny", LB);
    home.overlay("tiny", "other", "overlay: other\n");
    refused("unknown_overlay", &home, &["-o", "othr"]);
}

#[test]
fn validate_refuses_wrong_values() {
    check(
        "wrong_type",
        format!(
            "{LB}  other: {{ kind: linode.nodebalancer, region: us-east, client_conn_throttle: much }}\n"
        ),
    );
    check(
        "wrong_type_of_expression",
        format!(
            "{LB}  other: {{ kind: linode.nodebalancer, region: us-east, client_conn_throttle: '${{lb.label}}' }}\n"
        ),
    );
    check(
        "out_of_range",
        format!(
            "{LB}  other: {{ kind: linode.nodebalancer, region: us-east, client_conn_throttle: 21 }}\n"
        ),
    );
    check(
        "not_one_of",
        format!(
            "{LB}  http: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', protocol: htp }}\n"
        ),
    );
    check(
        "missing_attribute",
        "stack: tiny\nresources:\n  zone: { kind: linode.domain, soa_email: ops@example.com }\n",
    );
    check(
        "broken_rule",
        format!(
            "{LB}  http: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}', protocol: https, port: 443 }}\n"
        ),
    );
    check(
        "computed_attribute",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, ipv4: 192.0.2.1 }\n",
    );
    check(
        "wrong_reference",
        "stack: tiny\nresources:\n  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }\n  http: { kind: linode.nodebalancer_config, nodebalancer: '${zone}' }\n",
    );
    check(
        "count_and_for_each",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, count: 2, for_each: [a] }\n",
    );
    check(
        "bad_duration",
        format!(
            "{LB}  other: {{ kind: linode.nodebalancer, region: us-east, timeouts: {{ create: soon }} }}\n"
        ),
    );
    check(
        "counted_without_index",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, count: 2 }\noutputs:\n  address: '${lb.ipv4}'\n",
    );
}

#[test]
fn validate_refuses_circles() {
    check(
        "cycle",
        "stack: tiny\nresources:\n  a: { kind: linode.nodebalancer, region: us-east, label: 'x-${b.label}' }\n  b: { kind: linode.nodebalancer, region: us-east, label: 'y-${c.label}' }\n  c: { kind: linode.nodebalancer, region: us-east, label: 'z-${a.label}' }\n",
    );
    check(
        "self_reference",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, label: 'x-${lb.region}' }\n",
    );
}

#[test]
fn validate_refuses_bad_expressions() {
    let label = |expression: &str| {
        format!(
            "stack: tiny\nresources:\n  lb: {{ kind: linode.nodebalancer, region: us-east, label: '{expression}' }}\n"
        )
    };
    check("bad_expression", label("shop-${1 +}"));
    check("unclosed_expression", label("shop-${stack.name"));
    check("unknown_function", label("${upper(\"x\")}"));
    check("wrong_operands", label("${1 + \"x\"}"));
    check("not_text", label("x-${[1, 2]}"));
    check("file_outside", label("${file(\"../../secret\")}"));
    check("file_missing", label("${file(\"files/nothing\")}"));
    check("self_outside_ready", label("${self.region}"));
}

#[test]
fn validate_refuses_alias_bombs_and_unknown_aliases() {
    let bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\n";
    check("alias_bomb", format!("stack: tiny\n{bomb}"));
    check("unknown_alias", "stack: tiny\nresources: *nothing\n");
}

#[test]
fn validate_refuses_two_resources_of_one_identity() {
    check(
        "same_identity",
        format!("{LB}  again: {{ kind: linode.nodebalancer, region: us-east, label: tiny-lb }}\n"),
    );
}

#[test]
fn validate_refuses_missing_variables() {
    check(
        "missing_variable",
        "stack: tiny\nvariables: { size: { type: int } }\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, count: '${vars.size}' }\n",
    );
    let home = Home::holding(
        "tiny",
        "stack: tiny\nvariables: { size: { type: int, default: 1 } }\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, count: '${vars.size}' }\n",
    );
    refused("variable_of_another_type", &home, &["--var", "size=big"]);
    refused("unknown_variable_given", &home, &["--var", "szie=2"]);
}

#[test]
fn validate_shows_several_mistakes_at_once() {
    check(
        "several_mistakes",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, regoin: us-east }\n  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com, ttl_sec: many }\n  www: { kind: linode.domain_record, domain: '${zon}', type: A, name: www, target: '${lb.ipv}' }\noutputs: { url: '${lb.ipv4' }\n",
    );
}

/// Not a mistake: it is done, and said that something else will be stored.
#[test]
fn validate_warns_of_what_linode_rounds() {
    let home = Home::holding(
        "tiny",
        "stack: tiny\nresources:\n  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }\n  www: { kind: linode.domain_record, domain: '${zone}', type: A, name: www, target: 192.0.2.1, ttl_sec: 299 }\n",
    );
    let validate = home.run(&["validate", "tiny"]).code(0).says(&["299", "300"]);
    snapshot("rounded", &validate);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

/// A missing secret is a warning as long as nothing has to be planned with it; another one that is missing is nobody's business.
#[test]
fn apply_refuses_a_missing_secret() {
    let home = Home::holding(
        "tiny",
        "stack: tiny\nvariables: { password: { type: string, sensitive: true }, other: { type: string, sensitive: true } }\nresources:\n  web: { kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, label: tiny-web, root_pass: '${vars.password}' }\n",
    );
    let apply = home.sandbox(&["apply", "tiny", "--yes"]).code(1);
    assert!(home.world.is_empty().unwrap(), "{apply}");
    snapshot("missing_secret", &apply);
}

#[test]
fn validate_refuses_yaml_that_stacks_do_not_use() {
    check("complex_key", "stack: tiny\nresources:\n  ? [a, b]\n  : x\n");
    check(
        "merge_key",
        "stack: tiny\nresources:\n  lb: { <<: { kind: linode.nodebalancer }, region: us-east }\n",
    );
    check("yaml_tag", "stack: !secret tiny\nresources: {}\n");
    check("second_document", format!("{LB}---\nstack: tiny\n"));
    check("too_deep", format!("stack: tiny\nresources: {}1{}\n", "[".repeat(200), "]".repeat(200)));
    check("endless_alias", "stack: tiny\nresources: &a { b: *a }\n");
    check(
        "not_finite",
        format!(
            "{LB}  other: {{ kind: linode.nodebalancer, region: us-east, client_conn_throttle: .inf }}\n"
        ),
    );
    check(
        "integer_too_big",
        format!(
            "{LB}  other: {{ kind: linode.nodebalancer, region: us-east, client_conn_throttle: 99999999999999999999 }}\n"
        ),
    );
}

#[test]
fn validate_refuses_values_of_another_shape() {
    let label = |label: &str| {
        format!(
            "stack: tiny\nresources:\n  lb: {{ kind: linode.nodebalancer, region: us-east, label: {label} }}\n"
        )
    };
    check("wrong_length", label("ab"));
    check("wrong_pattern", label("'tiny lb!'"));
    check(
        "unknown_type",
        "stack: tiny\nvariables: { x: { type: strng, default: a } }\nresources: {}\n",
    );
    check(
        "expression_in_default",
        "stack: tiny\nvariables: { x: { type: string, default: '${stack.name}' } }\nresources: {}\n",
    );
    check(
        "not_known",
        format!(
            "{LB}  other: {{ kind: linode.nodebalancer, region: us-east, count: '${{lb.id}}' }}\n"
        ),
    );
    check(
        "bad_address",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, moved_from: 'not an address' }\n",
    );
}

/// Something of the same name is there and is not ours: it is neither taken over nor made twice.
#[test]
fn apply_neither_adopts_nor_repeats_what_belongs_to_others() {
    let home = Home::holding("tiny", LB);
    let stranger = serde_json::json!({ "region": "us-east", "label": "tiny-lb" });
    home.linode("POST", "/nodebalancers", &stranger);
    let before = home.shown();
    let apply = home.sandbox(&["apply", "tiny", "--yes"]).code(3);
    assert_eq!(home.shown(), before, "{apply}");
    snapshot("exists_already", &apply);
}

#[test]
fn validate_warns_of_what_is_odd() {
    let home = Home::holding(
        "tiny",
        format!(
            "{LB}  other: {{ kind: linode.nodebalancer, region: us-east, client_conn_throttle: 007 }}\n"
        ),
    );
    snapshot("leading_zero", &home.run(&["validate", "tiny"]).code(0));
    check(
        "bad_key",
        "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, for_each: [''], region: us-east }\n",
    );
    let home = Home::holding("tiny", LB);
    let explain = home.sandbox(&["explain", "tiny", "bl.label"]).code(1);
    snapshot("unknown_address", &explain);
    let data = "x".repeat(70_000);
    let web = "{ kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12, authorized_users: [a]";
    let home = Home::holding(
        "tiny",
        format!("stack: tiny\nresources:\n  web: {web}, user_data: {data} }}\n"),
    );
    home.run(&["validate", "tiny"]).code(1).says(&["too_long", "bytes"]).done();
}
