//! What the clouds do not offer stops before the first call, with the line that asks for it; and what turns out wrong later says what, where and why.

use crate::harness::Home;

const WEB: &str =
    "region: us-east, type: g6-standard-1, image: linode/debian12, authorized_users: [ops]";

fn machine(attributes: &str) -> Home {
    Home::holding(
        "tiny",
        format!("stack: tiny\nresources:\n  web: {{ kind: linode.instance, {attributes} }}\n"),
    )
}

#[track_caller]
fn refused(attributes: &str, says: &[&str]) {
    let home = machine(attributes);
    home.log_requests();
    let apply =
        home.sandbox(&["apply", "tiny", "--yes"]).code(1).says(says).says(&["stack.yaml:3:"]);
    home.requests().mutating().none();
    apply.done();
}

#[test]
fn plan_refuses_what_no_list_holds_with_its_line() {
    refused(
        &WEB.replace("us-east", "us-est"),
        &["there is no Linode region `us-est`", "did you mean `us-east`?"],
    );
    refused(&WEB.replace("g6-standard-1", "t3.micro"), &["there is no Linode plan `t3.micro`"]);
    refused(&WEB.replace("debian12", "debian99"), &["there is no Linode image `linode/debian99`"]);
    refused(
        &WEB.replace("g6-standard-1", "g7-premium-2"),
        &["`g7-premium-2` is not available in `us-east`", "it is available in"],
    );
}

/// A list that cannot be read is said, and nothing stops for it.
#[test]
fn plan_goes_on_without_the_lists() {
    let home = machine(WEB);
    home.fault("GET /regions 500 times=0");
    home.sandbox(&["plan", "tiny"]).code(0).says(&["catalogue_unread", "/regions"]).done();
}

/// Each list is read once for a run, and not at all where nothing is sent.
#[test]
fn apply_reads_each_list_once_and_only_for_what_is_sent() {
    let home = machine(&format!("count: 3, label: 'web-${{each.index}}', {WEB}"));
    home.log_requests();
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    assert_eq!(home.requests().with("GET /v4/regions ").len(), 1, "{}", home.requests());
    assert_eq!(home.requests().with("GET /v4/images ").len(), 1, "{}", home.requests());
    home.log_requests();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.requests().with("/v4/regions").none();
}

/// The value that proves wrong, the line that gives it, and what would be right.
#[test]
fn apply_names_the_place_of_a_value_that_proves_wrong_later() {
    let home = Home::holding(
        "tiny",
        format!(
            "stack: tiny
resources:
  web: {{ kind: linode.instance, label: web, {WEB} }}
  lb: {{ kind: linode.nodebalancer, region: us-east, label: tiny-lb }}
  http: {{ kind: linode.nodebalancer_config, nodebalancer: '${{lb}}' }}
  node: {{ kind: linode.nodebalancer_node, config: '${{http}}', label: node, address: '${{web.ipv4.replace(\"192.0.2.1\", \"192.168.1.1\")}}:80' }}
"
        ),
    );
    let apply = home.sandbox(&["apply", "tiny", "--yes"]).code(1);
    let said = format!("{apply}").replace('\n', " ");
    for part in ["cannot be `198.18.", "stacks/tiny/stack.yaml:6:", "begins with 192.168"] {
        assert!(said.contains(part), "{part}: {apply}");
    }
}
