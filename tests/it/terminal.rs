//! What people meet at the terminal: help that can be followed, pages, completions, and refusals before questions.

use crate::harness::Home;

#[test]
fn drill_that_rehearses_nothing_is_refused() {
    let home = Home::woocommerce();
    crate::drill::edit(&home, "rehearses: failover_eu\n", "");
    home.sandbox(crate::drill::DRILL)
        .code(1)
        .says(&[
            "`drill_eu` sets no `rehearses`",
            "write `rehearses: failover_eu` in stacks/woocommerce/overlays/drill_eu.yaml",
        ])
        .done();
    crate::drill::edit(&home, "borrow:", "rehearses: failover_ue\nborrow:");
    home.run(&["validate", "woocommerce", "-o", "drill_eu"])
        .code(1)
        .says(&[
            "the overlay `failover_ue` to rehearse does not exist",
            "did you mean `failover_eu`?",
        ])
        .done();
}

/// Linode takes labels for the same that differ only in case.
#[test]
fn drill_refuses_a_label_of_the_real_one_in_other_letters() {
    let home = crate::drill::shop();
    crate::drill::edit(&home, "lb: { label: drill-us }", "lb: { label: SHOP-us }");
    home.sandbox(crate::drill::DRILL).code(3).done();
}

#[test]
fn failover_to_an_unknown_overlay_is_refused_before_it_asks() {
    let home = Home::woocommerce();
    home.sandbox(&["failover", "woocommerce", "--to", "nosuch"])
        .code(1)
        .says(&["nosuch", "failover_eu"])
        .done();
}

#[test]
fn validate_and_kinds_take_the_sandbox_flag_as_well() {
    let home = Home::woocommerce();
    for words in [
        &["validate", "woocommerce"][..],
        &["render", "woocommerce"],
        &["graph", "woocommerce"],
        &["kinds"],
    ] {
        home.run(&[words, &["--sandbox"]].concat()).code(0).done();
    }
}

#[test]
fn kinds_and_functions_document_fields_of_rules_and_functions() {
    let home = Home::new();
    home.run(&["kinds", "linode.firewall"])
        .code(0)
        .shows(&["    protocol: text; required; one of TCP", "      ipv4: a list"])
        .done();
    home.run(&["functions"]).code(0).shows(&["each.index", "template(PATH, MAP)"]).done();
}

/// Every page that a page names can be printed.
#[test]
fn man_prints_each_page_that_is_named() {
    let home = Home::new();
    let page = home.run(&["man"]).code(0);
    let text = page.stdout.replace('\\', "");
    let mut named: Vec<&str> = text
        .split(|it: char| !it.is_ascii_alphanumeric() && it != '-')
        .filter(|it| it.starts_with("lifeboat-") && it.len() > "lifeboat-".len())
        .collect();
    named.sort_unstable();
    named.dedup();
    assert!(named.len() > 15, "{named:?}");
    for name in named {
        home.run(&["man", name]).code(0).shows(&[".TH"]).done();
    }
    home.run(&["man", "state", "list"]).code(0).shows(&["lifeboat\\-state\\-list"]).done();
    home.run(&["man", "plna"]).code(1).says(&["did you mean `plan`?"]).done();
}

/// As a shell asks: the words so far, and which of them is being typed.
#[test]
fn completions_know_stacks_overlays_kinds_and_addresses() {
    let mut home = Home::woocommerce();
    home.run(&["completions", "bash"]).code(0).shows(&["COMPLETE="]).done();
    home.set("COMPLETE", "bash");
    home.set("_CLAP_COMPLETE_COMP_TYPE", "9");
    home.set("_CLAP_IFS", "\n");
    let mut asked = |words: &[&str], expected: &str| {
        let at = (words.len() - 1).to_string();
        home.set("_CLAP_COMPLETE_INDEX", &at);
        let output = home.run(&[&["--"], words].concat()).code(0);
        assert!(output.stdout.lines().any(|it| it.trim() == expected), "{words:?}: {output}");
    };
    asked(&["lifeboat", "plan", "woo"], "woocommerce");
    asked(&["lifeboat", "plan", "woocommerce", "-o", "fail"], "failover_eu");
    asked(&["lifeboat", "kinds", "linode.fire"], "linode.firewall");
    asked(&["lifeboat", "explain", "woocommerce", "web["], "web[1]");
}
