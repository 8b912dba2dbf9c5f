//! Stacks in, words out: what loading says about good and bad input.

pub mod advice;
pub mod refused;
pub mod across;
pub mod nested_references;
pub mod tasks;

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use crate::engine::address::Address;
use crate::engine::lang::load::{FileProblem, Files, Layer, Loaded, load};
use crate::engine::lang::merge::variables::{
    GivenValue, GivenVariable, RememberedVariables, SAID, SURROUNDINGS,
};
use crate::engine::lang::model::{GateProbe, Scope};
use crate::engine::lang::origin::{explain, render};
use crate::engine::lang::resolve::resolve;
use crate::engine::lang::webhook::resolve_webhook;
use crate::engine::schema::Catalog;
use crate::engine::text::diagnostic::{Diagnostic, Severity, Sources, Span};
use crate::engine::value::{Attributes, Value};

/// The stack of the design.
const SHOP: &str = r#"stack: woocommerce
variables:
  domain:       { type: string, default: shop.example.com }
  revision:     { type: string, default: v1 }
  standby_size: { type: int, default: 1 }
  db_password:  { type: string, sensitive: true, default: hunter2 }
resources:
  products:
    kind: dynamodb.table
    region: us-east-1
    name: woocommerce_products
    attributes: { product_id: S }
    hash_key: product_id
    billing_mode: PAY_PER_REQUEST
  products_eu:
    kind: dynamodb.replica
    table: '${products}'
    region: eu-west-1
  web:
    kind: linode.instance
    count: 2
    region: us-east
    type: g6-standard-2
    image: linode/ubuntu24.04
    root_pass: '${vars.db_password}'
    label: 'web-${each.index}'
    private_ip: true
    user_data: '${template("files/cloud-init.yaml", {"revision": vars.revision, "table": products.name})}'
    ready: { tcp: '${self.ipv4}:22', within: 5m }
    lifecycle: { create_before_destroy: true }
  lb: { kind: linode.nodebalancer, region: us-east, label: shop-us }
  lb_http:
    kind: linode.nodebalancer_config
    nodebalancer: '${lb}'
    port: 80
    protocol: http
    check: http
    check_path: /healthcheck.php
    check_interval: 15
    check_timeout: 5
  lb_node:
    kind: linode.nodebalancer_node
    for_each: '${web}'
    config: '${lb_http}'
    label: '${each.value.label}'
    address: '${each.value.private_ipv4}:8080'
  zone: { kind: linode.domain, domain: example.com, type: master, soa_email: ops@example.com }
  shop:
    kind: linode.domain_record
    domain: '${zone}'
    type: A
    name: shop
    target: '${lb.ipv4}'
    ttl_sec: 300
    gate: { http: 'http://${lb.ipv4}/healthcheck.php', expect: 200, times: 3, within: 5m }
outputs:
  url: 'http://${vars.domain}/'
"#;

struct InMemoryFolder;

impl Files for InMemoryFolder {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        match path {
            "files/cloud-init.yaml" => {
                Ok(b"#cloud-config\n# {{ revision }} {{ table }} ${HOME}\n".to_vec())
            }
            "files/broken" => Ok(b"a\n{{ revision + 1 }}\n".to_vec()),
            "files/binary" => Ok(vec![0xff, 0xfe]),
            "files/link" => Err(FileProblem::Outside),
            "files/large" => Err(FileProblem::TooLarge),
            _ => Err(FileProblem::Missing),
        }
    }
}

fn load_layers(layers: &[(&str, &str)], given: &[(&str, &str)]) -> Loaded {
    load_with(&crate::kinds::builtin(), layers, given)
}

fn load_with(catalog: &Catalog, layers: &[(&str, &str)], given: &[(&str, &str)]) -> Loaded {
    let layers: Vec<Layer> = layers
        .iter()
        .map(|(name, text)| Layer {
            name: (*name).to_owned(),
            file: if name.is_empty() {
                "stack.yaml".to_owned()
            } else {
                format!("overlays/{name}.yaml")
            },
            bytes: text.as_bytes().to_vec(),
        })
        .collect();
    let given: Vec<GivenVariable> = given
        .iter()
        .map(|(name, text)| GivenVariable {
            name: name.strip_prefix(SURROUNDINGS).unwrap_or(name).to_owned(),
            // A name as the environment has it comes from there.
            from: match name.strip_prefix(SURROUNDINGS) {
                Some(_) => (*name).to_owned(),
                None => "--var".to_owned(),
            },
            value: GivenValue::Text((*text).to_owned()),
        })
        .collect();
    let name = if layers[0].bytes.starts_with(b"stack: woocommerce") { "woocommerce" } else { "s" };
    load(name, &layers, &given, RememberedVariables::none(), &InMemoryFolder, catalog)
}

/// One line for each diagnostic, with its labels and help.
fn say(sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for it in diagnostics {
        let sort = match it.severity {
            Severity::Warning => "warning: ",
            Severity::Error => "",
            Severity::Refusal => "refused: ",
        };
        let place =
            it.labels.first().map(|it| format!("{}: ", sources.place(it.span))).unwrap_or_default();
        let _ = write!(text, "{place}{sort}{}", it.summary);
        for (index, label) in it.labels.iter().enumerate() {
            let source = sources.get(label.span).map_or("", |it| &it.text);
            let quoted =
                source.get(label.span.start as usize..label.span.end as usize).unwrap_or("?");
            let quoted = quoted.split('\n').next().unwrap_or_default();
            let at =
                if index == 0 { String::new() } else { format!("{} ", sources.place(label.span)) };
            let _ = write!(text, " [{at}«{quoted}» {}]", label.text);
        }
        if let Some(help) = &it.help {
            let _ = write!(text, " -- {help}");
        }
        text.push('\n');
    }
    text
}

pub(super) fn problems(layers: &[(&str, &str)], given: &[(&str, &str)]) -> String {
    let loaded = load_layers(layers, given);
    say(&loaded.sources, &loaded.diagnostics)
}

/// What an earlier apply was given beats what it knew of, and not what an overlay sets that was chosen since.
#[test]
fn load_prefers_a_newly_chosen_overlay_to_what_is_remembered() {
    let layer = |name: &str, file: &str, text: &str| Layer {
        name: name.into(),
        file: file.into(),
        bytes: text.as_bytes().to_vec(),
    };
    let layers = [
        layer(
            "",
            "stack.yaml",
            "stack: s\nvariables: { size: { type: int, default: 1 }, count: { type: int, default: 1 } }\nresources: {}\n",
        ),
        layer("eu", "overlays/eu.yaml", "overlay: eu\nvariables: { size: 5 }\n"),
    ];
    let values = [("size".to_owned(), Value::Int(3)), ("count".to_owned(), Value::Int(4))].into();
    let told = |overlays: &[&str], given: &[GivenVariable]| {
        let overlays: Vec<String> = overlays.iter().map(|it| (*it).to_owned()).collect();
        let remembered = RememberedVariables { values: &values, overlays: &overlays };
        let catalog = crate::kinds::builtin();
        let stack = load("s", &layers, given, remembered, &InMemoryFolder, &catalog).stack;
        let told = stack
            .unwrap()
            .variables
            .into_iter()
            .map(|(name, it)| format!("{name} {} by {}", it.value.json(), it.from));
        told.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(told(&[], &[]), "count 4 by the last apply, size 5 by overlays/eu.yaml:2");
    assert_eq!(told(&["eu"], &[]), "count 4 by the last apply, size 3 by the last apply");
    let given = GivenVariable {
        name: "size".into(),
        from: SAID.into(),
        value: GivenValue::Text("7".into()),
    };
    assert_eq!(told(&[], &[given]), "count 4 by the last apply, size 7 by --var");
}

/// The environment is there for every stack; the command line for this one.
#[test]
fn load_ignores_environment_variables_of_other_stacks() {
    let stack = "stack: s\nvariables: { size: { type: int, default: 1 }, db: { type: string, default: a } }\nresources: {}\n";
    let told = |given: &[(&str, &str)]| problems(&[("", stack)], given);
    assert_eq!(told(&[("LIFEBOAT_VAR_domain", "x"), ("LIFEBOAT_VAR_OTHER", "x")]), "");
    insta::assert_snapshot!(told(&[("LIFEBOAT_VAR_SIZE", "2")]), @"warning: `LIFEBOAT_VAR_SIZE` has no effect: no variable is called `SIZE` -- did you mean `LIFEBOAT_VAR_size`?");
    assert_eq!(told(&[("LIFEBOAT_VAR_SIZE", "2"), ("LIFEBOAT_VAR_size", "3")]), "");
    insta::assert_snapshot!(told(&[("domain", "x")]), @"`--var` sets `domain`, which the stack does not declare -- declare it: variables: { domain: { type: string } }");
    insta::assert_snapshot!(told(&[("9OTHER", "x")]), @"`--var` sets `9OTHER`, which the stack does not declare -- a variable name consists of lowercase letters, digits, and `_`");
    let warned = crate::engine::text::diagnostic::stops(
        &load_layers(&[("", stack)], &[("LIFEBOAT_VAR_DB", "b")]).diagnostics,
    );
    assert!(!warned, "a hint stops nothing (variable_case)");
}

#[test]
fn load_accepts_the_example_of_the_design() {
    let loaded = load_layers(&[("", SHOP)], &[]);
    assert_eq!(say(&loaded.sources, &loaded.diagnostics), "");
    let stack = loaded.stack.unwrap();
    let mut text = String::new();
    for instance in stack.instances.values() {
        let needs: Vec<String> = instance
            .needs
            .iter()
            .map(|(address, span)| format!("{address} (line {})", span.line))
            .collect();
        let _ = writeln!(text, "{}: {}", instance.address, needs.join(", "));
    }
    insta::assert_snapshot!(text, @r#"
    products: 
    products_eu: products (line 17)
    web[0]: products (line 28)
    web[1]: products (line 28)
    lb: 
    lb_http: lb (line 34)
    lb_node[0]: lb_http (line 44), web[0] (line 43)
    lb_node[1]: lb_http (line 44), web[1] (line 43)
    zone: 
    shop: zone (line 50), lb (line 53)
    "#);
}

/// The codes of what is said about it.
pub(super) fn codes(resources: &str) -> Vec<&'static str> {
    let text = format!("stack: s\nresources:\n{resources}");
    load_layers(&[("", &text)], &[]).diagnostics.iter().map(|it| it.code.as_str()).collect()
}

/// What is said about a stack of one file; `resources:` is put before it.
pub(super) fn bad(resources: &str) -> String {
    problems(
        &[(
            "",
            &format!(
                "stack: s\nvariables:\n  n: {{ type: int, default: 3 }}\nresources:\n{resources}"
            ),
        )],
        &[],
    )
}

#[test]
fn load_reports_broken_yaml_with_its_place() {
    let mut all = String::new();
    for text in [
        "",
        "# nothing\n",
        "stack: s\nresources: {\n",
        "stack: s\nresources:\n  lb: { kind: linode.domain, domain: ${vars.x}, type: master }\n",
        "stack: s\nresources:\n  lb:\n    kind: x\n    label: ${vars.n > 1 ? 'a': 'b'}\n",
        "stack: s\nstack: s\n",
        "stack: s\nresources: {}\n---\nstack: t\n",
        "stack: s\nvariables: &v\n  <<: *v\n",
        "stack: s\nresources: [1\n",
        "stack: s\noutputs: { a: !!str 1, b: 007, c: 99999999999999999999, d: 1e999 }\n",
        "stack: 's\n",
        "\tstack: s\n",
        "stack: s\n? [a]\n: b\n",
        "- 1\n",
        "just text\n",
    ] {
        let _ = writeln!(all, "{text:?}\n{}", problems(&[("", text)], &[]));
    }
    insta::assert_snapshot!(all, @r##"
    ""
    stack.yaml:1:1: The file is empty [«» there is nothing in this file but comments or blanks] -- a stack begins with `stack: NAME`, an overlay with `overlay: NAME`, and a file of policies with `policies:`

    "# nothing\n"
    stack.yaml:1:1: The file is empty [«» there is nothing in this file but comments or blanks] -- a stack begins with `stack: NAME`, an overlay with `overlay: NAME`, and a file of policies with `policies:`

    "stack: s\nresources: {\n"
    stack.yaml:2:12: This is not YAML [«{» unclosed bracket '{']

    "stack: s\nresources:\n  lb: { kind: linode.domain, domain: ${vars.x}, type: master }\n"
    stack.yaml:3:39: This is not YAML [«{» while parsing a flow mapping, did not find expected ',' or '}'] -- quote the expression: '${…}'

    "stack: s\nresources:\n  lb:\n    kind: x\n    label: ${vars.n > 1 ? 'a': 'b'}\n"
    stack.yaml:5:30: This is not YAML [«:» mapping values are not allowed in this context] -- quote the expression: '${…}'

    "stack: s\nstack: s\n"
    stack.yaml:2:1: `stack` is given twice [«stack» given again here] [stack.yaml:1:1 «stack» first given here] -- keep one of them

    "stack: s\nresources: {}\n---\nstack: t\n"
    stack.yaml:3:1: A file holds one document [«---» a second document begins here] -- remove the `---`, or move what follows into a file of its own

    "stack: s\nvariables: &v\n  <<: *v\n"
    stack.yaml:3:3: Merge keys are not part of YAML 1.2 [«<<» `<<` merges nothing here] -- overlays merge maps; `count` and `for_each` repeat resources
    stack.yaml:3:7: An alias inside its own anchor [«*v» this would contain itself]

    "stack: s\nresources: [1\n"
    stack.yaml:2:12: This is not YAML [«[» unclosed bracket '[']

    "stack: s\noutputs: { a: !!str 1, b: 007, c: 99999999999999999999, d: 1e999 }\n"
    stack.yaml:2:21: YAML tags are not used in stacks [«1» tagged `!!str`] -- to make something text, quote it: '…'
    stack.yaml:2:27: warning: A number with leading zeros [«007» YAML reads this as the number 7] -- if text is meant, quote it: '007'
    stack.yaml:2:35: An integer that fits nowhere [«99999999999999999999» beyond 64 bits] -- if text is meant, quote it: '99999999999999999999'
    stack.yaml:2:60: A number must be finite [«1e999» not a finite number] -- if text is meant, quote it: '1e999'

    "stack: 's\n"
    stack.yaml:1:8: This is not YAML [«'» unclosed quote]

    "\tstack: s\n"

    "stack: s\n? [a]\n: b\n"
    stack.yaml:2:3: A key must be plain text [«[» this list or map stands where a key is expected]

    "- 1\n"
    stack.yaml:1:1: A stack must be a map [«- 1» this is a list]

    "just text\n"
    stack.yaml:1:1: A stack must be a map [«just text» this is text]
    "##);
}

#[test]
fn load_reads_how_many_backends_have_to_serve() {
    let record = |gate: &str| {
        format!(
            "  zone: {{ kind: linode.domain, domain: example.com, soa_email: a@example.com }}\n  r: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: www, target: 192.0.2.1, ttl_sec: 300, gate: {{ {gate} }} }}\n"
        )
    };
    for good in
        ["serves: 1", "serves: '50%'", "serves: 2, within: 10m", "tcp: '192.0.2.1:80', serves: 2"]
    {
        assert_eq!(bad(&record(good)), "", "{good}");
    }
    let mut told = String::new();
    for wrong in [
        "serves: 0",
        "serves: '0%'",
        "serves: '101%'",
        "serves: half",
        "serves: [1]",
        "serves: 1, expect: 200",
        "within: 5m",
    ] {
        let _ = writeln!(told, "{wrong}: {}", bad(&record(wrong)).replace("warning: ", ""));
    }
    insta::assert_snapshot!(told);
    let table = "  t: { kind: dynamodb.table, region: us-east-1, name: ttt, attributes: { a: S }, hash_key: a, gate: { replication: true, serves: 1 } }\n  w: { kind: linode.instance, region: us-east, type: g6-nanode-1, ready: { tcp: '192.0.2.1:80', serves: 1 } }\n";
    insta::assert_snapshot!(bad(table));
}

#[test]
fn load_reads_one_gate_or_a_list_of_them() {
    let record = |gate: &str| {
        format!(
            "  zone: {{ kind: linode.domain, domain: example.com, soa_email: a@example.com }}\n  r: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: www, target: 192.0.2.1, ttl_sec: 300, gate: {gate} }}\n"
        )
    };
    let (tcp, http) = ("{ tcp: '192.0.2.1:80', times: 3 }", "{ http: 'http://192.0.2.1/' }");
    for good in [
        format!("[{tcp}, {http}]"),
        format!("[{tcp}, {{ serves: 2, times: 3, within: 10m }}]"),
        format!("[{{ health: false }}, {http}]"),
        "{ health: false }".into(),
        "{ health: true, serves: 1 }".into(),
        "{ tcp: '192.0.2.1:80', health: false }".into(),
    ] {
        assert_eq!(bad(&record(&good)), "", "{good}");
    }
    let mut told = String::new();
    for wrong in [
        "[]".into(),
        "[1]".into(),
        "{ health: no }".into(),
        "{ health: false, serves: 2 }".into(),
        "[{ health: false }, { serves: 2 }]".into(),
        "[{ serves: 1 }, { serves: 2 }]".into(),
        format!("[{tcp}, {{ replication: true }}]"),
        "{ tcp: '192.0.2.1:80', http: 'http://192.0.2.1/' }".into(),
        format!("[{}]", vec![tcp; 17].join(", ")),
    ] {
        let _ = writeln!(told, "{}: {}", &wrong[..wrong.len().min(60)], bad(&record(&wrong)));
    }
    insta::assert_snapshot!(told);
    let elsewhere = "  t: { kind: dynamodb.table, region: us-east-1, name: ttt, attributes: { a: S }, hash_key: a, gate: [{ replication: true }, { replication: true, health: false }] }\n  w: { kind: linode.instance, region: us-east, type: g6-nanode-1, ready: { tcp: '192.0.2.1:80', health: false } }\n  x: { kind: linode.instance, region: us-east, type: g6-nanode-1, ready: [{ tcp: '192.0.2.1:80' }] }\n";
    insta::assert_snapshot!(bad(elsewhere));
}

#[test]
fn load_names_the_code_of_a_broken_template() {
    let broken =
        "  g: { kind: linode.nodebalancer, region: '${template(\"files/broken\", {})}' }\n";
    assert_eq!(codes(broken), ["bad_template"]);
}

#[test]
fn load_refuses_alias_bombs_and_deep_nesting() {
    let mut text = String::from("stack: s\noutputs:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        let _ = writeln!(text, "  a{level}: &a{level} [{below}]");
    }
    insta::assert_snapshot!(problems(&[("", &text)], &[]), @r#"stack.yaml:8:12: Aliases stand for too much [«*a4» more than 100000 values or 8 MiB in all] -- write less with aliases; `count` and `for_each` repeat resources"#);
    let deep = format!("stack: s\noutputs: {}", "[".repeat(10_000));
    insta::assert_snapshot!(problems(&[("", &deep)], &[]), @r#"stack.yaml:2:265: This is not YAML [«[» recursion limit exceeded]"#);
}

#[test]
fn load_refuses_bytes_that_are_not_utf8() {
    let layer = Layer {
        name: String::new(),
        file: "stack.yaml".into(),
        bytes: b"stack: s\na: \xff\n".to_vec(),
    };
    let loaded = load(
        "s",
        &[layer],
        &[],
        RememberedVariables::none(),
        &InMemoryFolder,
        &crate::kinds::builtin(),
    );
    insta::assert_snapshot!(say(&loaded.sources, &loaded.diagnostics), @r#"stack.yaml:2:4: The file is not UTF-8 [«» byte 0xff cannot stand here] -- save the file as UTF-8"#);
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one stack with every mistake, and what is said about it"
)]
fn load_reports_every_mistake_in_one_run() {
    insta::assert_snapshot!(bad(r#"
  Web: { kind: linode.nodebalancer, region: us-east }
  for: { kind: linode.nodebalancer, region: us-east }
  math: { kind: linode.nodebalancer, region: us-east }
  a: { kind: linode.nodebalncer, region: us-east }
  b: { region: us-east }
  c: { kind: linode.nodebalancer, regoin: us-east }
  d: { kind: linode.nodebalancer, region: 5, label: 007, ipv4: x }
  e: { kind: linode.nodebalancer_config, nodebalancer: lb, port: 99999, protocol: htp, check_timeout: '5' }
  f: { kind: linode.nodebalancer_config, nodebalancer: '${zone}', port: 80 }
  g: { kind: linode.nodebalancer, region: '${vras.n}', label: '${vars.m}' }
  h: { kind: linode.nodebalancer, region: '${zoen.domain}', label: '${zone.domian}' }
  i: { kind: linode.nodebalancer, region: '${i.region}', count: 1, for_each: [a] }
  j: { kind: linode.nodebalancer, region: 'a-${vars.n + }' }
  k: { kind: linode.nodebalancer, region: "\u0061 ${vars.n + 'x'}" }
  l: { kind: linode.nodebalancer, region: '${self.region}', label: '${each.index}' }
  zone: { kind: linode.domain, domain: example.com, type: master, soa_email: ops@example.com }
  zone2: { kind: linode.domain, domain: example.com, type: master }
  many: { kind: linode.nodebalancer, count: 2, region: us-east, label: 'same' }
  m: { kind: linode.nodebalancer, region: '${many.region}', label: '${many[5].label}' }
  n: { kind: linode.nodebalancer, region: 'x ${many}', depends_on: [mnay] }
  r: { kind: linode.domain_record, domain: '${zone}', type: A, name: www, target: 192.0.2.1, ttl_sec: 301, gate: { tcp: x, every: 5m, within: 5 } }
  s: { kind: linode.nodebalancer, region: us-east, lifecycle: { prevent_destory: true, ignore_changes: [lable] }, timeouts: { create: 5 } }
  t: ~
  u: { kind: linode.nodebalancer, region: '${vars.n > 2 ? vars.n : 5}' }
  v: { kind: linode.nodebalancer, region: '${unclosed' }
  w: { kind: linode.nodebalancer_config, nodebalancer: '${many}', port: 80 }
  x: { kind: linode.nodebalancer_config, nodebalancer: '${many[0].id}', port: 80 }
  y: { kind: linode.nodebalancer_config, nodebalancer: '${vars.n}', port: 80 }
  z: { kind: linode.nodebalancer, region: us-east, label: 007 }
"#), @r#"
    stack.yaml:6:3: Invalid name [«Web» a name consists of lowercase letters, digits, and `_`, and starts with a letter] -- write `web`
    stack.yaml:7:3: Invalid name [«for» `for` is a reserved word in expressions] -- write `for_`
    stack.yaml:8:3: Invalid name [«math» `math` is a reserved word in expressions] -- write `math_`
    stack.yaml:9:14: Unknown kind [«linode.nodebalncer» unknown kind `linode.nodebalncer`] -- did you mean `linode.nodebalancer`?
    stack.yaml:10:3: A resource requires a `kind` [«b» `b` has none] -- `lifeboat kinds` lists them
    stack.yaml:11:3: A required attribute is missing [«c» `c` needs `region`] -- add `region:` (Region id, e.g. `us-east`)
    stack.yaml:11:35: Unknown attribute [«regoin» `linode.nodebalancer` has no attribute `regoin`] -- did you mean `region`?
    stack.yaml:12:43: Wrong type [«5» `region` takes text, but this is an integer] -- quote it: '…'
    stack.yaml:12:53: Wrong type [«007» `label` takes text, but this is an integer] -- quote it: '…'
    stack.yaml:12:58: Read-only attribute [«ipv4» `ipv4` is set by the cloud and cannot be configured] -- remove it
    stack.yaml:13:56: Wrong type [«lb» `nodebalancer` takes a reference to a resource] -- name a resource of kind linode.nodebalancer: '${name}'
    stack.yaml:13:66: Out of range [«99999» `port` cannot be 99999] -- from 1 to 65535
    stack.yaml:13:83: Not one of the choices [«htp» `protocol` cannot be `htp`] -- did you mean `http`?
    stack.yaml:13:103: Wrong type [«'5'» `check_timeout` takes an integer, but this is text] -- remove the quotes
    stack.yaml:14:59: Wrong kind of resource [«zone» `nodebalancer` takes a linode.nodebalancer, but `zone` is a linode.domain] -- name a resource of kind linode.nodebalancer
    stack.yaml:15:46: Unknown reference [«vras.n» there is no resource `vras`] -- did you mean `vars`?
    stack.yaml:15:66: Unknown variable [«vars.m» there is no variable `m`] -- did you mean `vars.n`?
    stack.yaml:16:46: Unknown reference [«zoen.domain» there is no resource `zoen`] -- did you mean `zone`?
    stack.yaml:16:71: Unknown attribute [«zone.domian» `linode.domain` has no attribute `domian`] -- did you mean `domain`?
    stack.yaml:17:46: A resource refers to itself [«i.region» this is part of `i`] -- `self` is available only in `ready` and `gate`; use `each.index` or a variable
    stack.yaml:17:68: `count` and `for_each` exclude each other [«for_each» set beside `count`] [stack.yaml:17:58 «count» set here] -- keep one of them
    stack.yaml:18:57: The expression cannot be read [«» the expression is incomplete]
    stack.yaml:19:53: The expression cannot be computed [«vars.n + 'x'» `+` cannot be applied to an integer and text]
    stack.yaml:20:46: Unknown reference [«self.region» `self` is available only in `ready` and `gate`]
    stack.yaml:20:71: Unknown reference [«each.index» `each` is available only with `count` and `for_each`]
    stack.yaml:22:33: Two resources have the same identity [«domain» `zone2` has the same domain as `zone`] [stack.yaml:21:32 «domain» `zone` is here] -- give one of them another domain
    stack.yaml:22:54: Conflicting attributes [«type» a zone of type master needs a `soa_email`]
    stack.yaml:23:65: Two resources have the same identity [«label» `many[1]` has the same label as `many[0]`] -- make the label depend on `each`
    stack.yaml:24:46: Unknown reference [«many.region» `many` is a list, since it has a `count`] -- write `many[0].region`, or `many.map(it, it.region)` for all
    stack.yaml:24:71: The expression cannot be computed [«many[5].label» `[5]` does not exist; the list has 2 elements]
    stack.yaml:25:48: This value cannot be used inside text [«many» it is a list] -- use one of its parts, or join a list: list.join(',')
    stack.yaml:25:69: Unknown reference [«mnay» there is no resource `mnay`] -- did you mean `many`?
    stack.yaml:26:103: warning: The cloud rounds this value [«301» stored as 3600] -- write `ttl_sec: 3600`
    stack.yaml:26:124: Unknown key [«every» `gate` has no such key] -- it has tcp, http, replication, health, expect, body, times, within, serves
    stack.yaml:26:143: Not a duration [«5» `within` takes a number with a unit] -- write `90s`, `5m` or `1h30m`
    stack.yaml:27:65: Unknown key [«prevent_destory» `lifecycle` has no `prevent_destory`] -- did you mean `prevent_destroy`?
    stack.yaml:27:105: Unknown attribute [«lable» `linode.nodebalancer` has no attribute `lable`] -- did you mean `label`?
    stack.yaml:27:135: Not a duration [«5» `create` takes a number with a unit] -- write `90s`, `5m` or `1h30m`
    stack.yaml:28:3: A resource must be a map [«t» this is nothing] -- write `t: { kind: …, … }`
    stack.yaml:29:43: Wrong type [«'${vars.n > 2 ? vars.n : 5}'» `region` takes text, but this is an integer] -- convert it: string(…)
    stack.yaml:30:44: An expression is not closed [«${» no `}` follows] -- for a literal `${` write `$${`
    stack.yaml:31:59: Wrong kind of resource [«many» `many` is several resources] -- name one of them: '${many[0]}'
    stack.yaml:32:59: Wrong kind of resource [«many[0].id» `nodebalancer` takes the resource itself] -- write '${many}'
    stack.yaml:33:59: Wrong kind of resource [«vars.n» `nodebalancer` takes a resource] -- name a resource of kind linode.nodebalancer: '${for}'
    stack.yaml:34:59: Wrong type [«007» `label` takes text, but this is an integer] -- quote it: '…'
    "#);
}

#[test]
fn load_reads_files_inside_the_folder_only() {
    insta::assert_snapshot!(bad(r#"
  a: { kind: linode.nodebalancer, region: '${file("../secret")}' }
  b: { kind: linode.nodebalancer, region: '${file("/etc/passwd")}' }
  c: { kind: linode.nodebalancer, region: '${file("files/nothing")}' }
  d: { kind: linode.nodebalancer, region: '${file("files/link")}' }
  e: { kind: linode.nodebalancer, region: '${file("files/large")}' }
  f: { kind: linode.nodebalancer, region: '${file("files/binary")}' }
  g: { kind: linode.nodebalancer, region: '${template("files/broken", {"revision": "x"})}' }
  h: { kind: linode.nodebalancer, region: '${template("files/broken", {})}' }
  i: { kind: linode.nodebalancer, region: '${file(lb.ipv4)}' }
  j: { kind: linode.nodebalancer, region: '${["a"].map(x, file(x))[0]}' }
  lb: { kind: linode.nodebalancer, region: us-east }
"#), @r#"
    stack.yaml:6:46: The file cannot be read [«file("../secret")» `../secret` is outside the stack's folder] -- only files in the folder of stack.yaml and below can be read
    stack.yaml:7:46: The file cannot be read [«file("/etc/passwd")» `/etc/passwd` is outside the stack's folder] -- only files in the folder of stack.yaml and below can be read
    stack.yaml:8:46: The file cannot be read [«file("files/nothing")» the file `files/nothing` does not exist] -- paths are relative to the folder of stack.yaml
    stack.yaml:9:46: The file cannot be read [«file("files/link")» `files/link` is outside the stack's folder] -- only files in the folder of stack.yaml and below can be read
    stack.yaml:10:46: The file cannot be read [«file("files/large")» `files/large` is larger than 1 MiB]
    stack.yaml:11:46: The file cannot be read [«file("files/binary")» `files/binary` is not UTF-8]
    stack.yaml:12:46: The expression is wrong [«template("files/broken", {"revision": "x"})» in files/broken:2: `+` cannot be applied to text and an integer]
    stack.yaml:13:46: The expression is wrong [«template("files/broken", {})» in files/broken:2: `revision` does not exist] -- a template sees only the keys of its map
    stack.yaml:14:46: The file cannot be read [«file(lb.ipv4)» the file's path must be known before the clouds are read] -- build the path from variables and `each`
    stack.yaml:15:59: The expression cannot be read [«file(x)» `file` cannot use the variable of a `map` or `filter`] -- read the file once, outside
    "#);
}

#[test]
fn load_merges_overlays_and_reports_what_they_cannot_change() {
    let overlay = r"overlay: eu
assumes_lost: ['linode:us-east']
worksapce: drill
variables:
  standby_size: 3
  standby_sise: 4
  domain: null
resources:
  web: { count: 1, lifecycle: null, labl: null }
  shop: { kind: linode.domain, ttl_sec: 30 }
  shp: { ttl_sec: 30 }
  gone: null
  zone: { description: new, soa_email: null }
outputs:
  url: null
  extra: '${vars.standby_size}'
";
    insta::assert_snapshot!(problems(&[("", SHOP), ("eu", overlay)], &[]), @r#"
    stack.yaml:47:53: Conflicting attributes [«type» a zone of type master needs a `soa_email`]
    overlays/eu.yaml:3:1: Unknown key [«worksapce» an overlay has no `worksapce`] -- did you mean `workspace`?
    overlays/eu.yaml:6:3: An overlay sets a variable that does not exist [«standby_sise» no layer below declares `standby_sise`] -- did you mean `standby_size`?
    overlays/eu.yaml:9:37: An overlay removes an entry that does not exist [«labl» no layer below has the attribute `labl`] -- did you mean `label`?
    overlays/eu.yaml:10:17: An overlay cannot change the kind of a resource [«linode.domain» the kind of `shop` is changed here] [stack.yaml:49:11 «linode.domain_record» its kind is set here] -- remove it with `shop: null`, and add one with another name
    overlays/eu.yaml:11:3: An overlay changes a resource that does not exist [«shp» no layer below declares `shp`] -- did you mean `shop`?
    overlays/eu.yaml:12:3: An overlay removes an entry that does not exist [«gone» no layer below has the resource `gone`] -- did you mean `zone`?
    "#);
}

#[test]
fn load_merges_objectives_of_overlays() {
    let base = format!("{SHOP}objectives: {{ rto: 1h30m, rpo: 1m }}\n");
    let overlay = "overlay: eu\nobjectives: { rto: 15m, rpo: null }\n";
    let of = |layers: &[(&str, &str)]| {
        let loaded = load_layers(layers, &[]);
        assert_eq!(say(&loaded.sources, &loaded.diagnostics), "");
        let stack = loaded.stack.unwrap();
        let shown = |it: Option<(u64, Span)>| {
            it.map(|(seconds, span)| format!("{seconds} s at {}", loaded.sources.line(span)))
        };
        [shown(stack.objectives.rto_seconds), shown(stack.objectives.rpo_seconds)]
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of(&[("", SHOP)]), [None, None]);
    let plain = of(&[("", &base)]);
    assert_eq!(plain, [some("5400 s at stack.yaml:58"), some("60 s at stack.yaml:58")]);
    let laid = of(&[("", &base), ("eu", overlay)]);
    assert_eq!(laid, [some("900 s at overlays/eu.yaml:2"), None]);
    insta::assert_snapshot!(problems(&[("", &format!("{SHOP}objectives: {{ rto: 15, rop: 1m }}\n")), ("eu", "overlay: eu\nobjectives: { rpo: null }\n")], &[]), @r#"
    stack.yaml:58:20: Not a duration [«15» `rto` takes a number with a unit] -- write `90s`, `5m` or `1h30m`
    stack.yaml:58:24: Unknown key [«rop» `objectives` has no `rop`] -- did you mean `rpo`?
    overlays/eu.yaml:2:15: An overlay removes an entry that does not exist [«rpo» no layer below has the objective `rpo`] -- did you mean `rop`?
    "#);
    insta::assert_snapshot!(problems(&[("", &format!("{SHOP}objectives: 15m\n"))], &[]), @r#"stack.yaml:58:13: `objectives` must be a map [«15m» this is text]"#);
}

/// Webhooks with their events; an overlay replaces all of them.
#[test]
fn load_reads_webhooks_and_their_mistakes_at_their_places() {
    let hook = "notify: [{ url: 'https://${vars.domain}/hook', secret: '${vars.db_password}' }]\n";
    let told = |layers: &[(&str, &str)]| {
        let loaded = load_layers(layers, &[]);
        assert_eq!(say(&loaded.sources, &loaded.diagnostics), "");
        let stack = loaded.stack.unwrap();
        let hooks = stack.notify.iter().map(|it| {
            let resolved = resolve_webhook(&stack, &crate::kinds::builtin(), it).unwrap().unwrap();
            let topics: Vec<&str> = resolved.topics.iter().map(|it| it.word()).collect();
            let signed = resolved.signature(b"").is_some();
            format!("{} {} signed {signed}", resolved.url, topics.join("+"))
        });
        hooks.collect::<Vec<_>>().join("\n")
    };
    let base = format!("{SHOP}{hook}");
    let usual = "https://shop.example.com/hook switch+drill+watch+audit signed true";
    assert_eq!(told(&[("", SHOP)]), "");
    assert_eq!(told(&[("", &base)]), usual);
    let overlay = "overlay: eu\nnotify: [{ url: 'http://127.0.0.1:9', events: [steps, drill] }]\n";
    assert_eq!(
        told(&[("", &base), ("eu", overlay)]),
        "http://127.0.0.1:9 steps+drill signed false"
    );
    assert_eq!(told(&[("", &base), ("eu", "overlay: eu\nnotify: null\n")]), "");
    let wrong = r"overlay: eu
notify:
  - { url: 'ftp://x', event: [switch] }
  - { secret: '${vars.db_password}' }
  - { url: 'https://${lb.ipv4}/', secret: hush, events: [swich, 7] }
  - { url: 'https://x y/' }
  - { url: 'https://${vars.domian}/' }
  - { url: 'https://x/', secret: '${vars.domain}' }
  - https://x/
";
    insta::assert_snapshot!(problems(&[("", &base), ("eu", wrong)], &[]));
    insta::assert_snapshot!(problems(
        &[("", &format!("{SHOP}notify: {{ url: https://x/ }}\n"))],
        &[]
    ));
}

#[test]
fn load_reads_losses_and_rehearsal_of_an_overlay() {
    let overlay = r"overlay: drill
workspace: drill
rehearses: eu
borrow: [zone, products]
assumes_lost: ['linode:us-east', 'aws:us-east-1']
";
    let loaded = load_layers(&[("", SHOP), ("drill", overlay)], &[]);
    assert_eq!(say(&loaded.sources, &loaded.diagnostics), "");
    let stack = loaded.stack.unwrap();
    let shown = |all: &[(String, Span)]| {
        let shown = all.iter().map(|(it, span)| format!("{it} {}", loaded.sources.place(*span)));
        shown.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(shown(&stack.rehearses), "eu overlays/drill.yaml:3:12");
    assert_eq!(
        shown(&stack.borrow),
        "zone overlays/drill.yaml:4:10, products overlays/drill.yaml:4:16"
    );
    assert_eq!(
        shown(&stack.assumes_lost),
        "linode:us-east overlays/drill.yaml:5:16, aws:us-east-1 overlays/drill.yaml:5:34"
    );
    let wrong = r"overlay: drill
rehearses: [eu, drill, 5]
borrow: [zoen, 'web[0]']
assumes_lost: [us-east, 'Linode:us-east', 'linode:us-east', 7]
workspace: Drill 1
";
    let loaded = load_layers(&[("", SHOP), ("drill", wrong)], &[]);
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|it| it.code.as_str()).collect();
    assert!(codes.contains(&"bad_fault_domain"), "{codes:?}");
    insta::assert_snapshot!(say(&loaded.sources, &loaded.diagnostics), @r#"
    overlays/drill.yaml:2:17: An overlay cannot rehearse itself [«drill» it names itself] -- write the overlay that a failover switches to
    overlays/drill.yaml:2:24: `rehearses` must be a list of text [«5» this is an integer]
    overlays/drill.yaml:3:10: Unknown reference [«zoen» there is no resource `zoen` to borrow] -- did you mean `zone`?
    overlays/drill.yaml:3:16: Unknown reference [«'web[0]'» there is no resource `web[0]` to borrow] -- `borrow` names resources of the stack, without index
    overlays/drill.yaml:4:16: Not a fault domain [«us-east» a fault domain is a cloud and a region] -- write `linode:us-east` or `aws:us-east-1`
    overlays/drill.yaml:4:25: Not a fault domain [«'Linode:us-east'» a fault domain is a cloud and a region] -- write `linode:us-east` or `aws:us-east-1`
    overlays/drill.yaml:4:61: `assumes_lost` must be a list of text [«7» this is an integer]
    overlays/drill.yaml:5:12: Invalid name [«Drill 1» a workspace name consists of lowercase letters, digits, `_`, and `-`]
    "#);
    let without = "overlay: drill\nrehearses: eu\n";
    insta::assert_snapshot!(problems(&[("", SHOP), ("drill", without)], &[]), @r#"overlays/drill.yaml:2:1: `rehearses` requires `workspace` [«rehearses» this overlay has no `workspace`] -- add `workspace: drill` beside it"#);
    let plain = "overlay: drill\nborrow: [zone]\n";
    insta::assert_snapshot!(problems(&[("", SHOP), ("drill", plain)], &[]), @r#"overlays/drill.yaml:2:1: `borrow` requires `workspace` [«borrow» this overlay has no `workspace`, so the stack would borrow from itself] -- add `workspace: drill` beside it, or remove `borrow`"#);
    // Two overlays of one instance may share the words.
    // Whoever writes the key of before is told the one of today.
    let old = "overlay: drill\ninstance: drill\n";
    insta::assert_snapshot!(problems(&[("", SHOP), ("drill", old)], &[]), @"overlays/drill.yaml:2:1: Unknown key [«instance» an overlay has no `instance`] -- it is now called `workspace`");
    let own = "overlay: own\nworkspace: drill\n";
    assert_eq!(problems(&[("", SHOP), ("drill", plain), ("own", own)], &[]), "");
}

#[test]
fn load_accepts_gates_only_where_they_apply() {
    let good = SHOP.replace(
        "    billing_mode: PAY",
        "    gate: { replication: true, within: 60s }\n    billing_mode: PAY",
    );
    let loaded = load_layers(&[("", &good)], &[]);
    assert_eq!(say(&loaded.sources, &loaded.diagnostics), "");
    let gate = loaded.stack.unwrap().resources["products"].gates.replication().unwrap().clone();
    assert!(matches!(gate.probe, GateProbe::Replication), "{gate:?}");
    assert_eq!((gate.within_seconds, gate.times), (60, 1));
    let bad_gates = r"
  t: { kind: dynamodb.table, region: us-east-1, name: ttt, attributes: { a: S }, hash_key: a, gate: { http: 'http://192.0.2.1/' } }
  u: { kind: dynamodb.table, region: us-east-1, name: uuu, attributes: { a: S }, hash_key: a, gate: { replication: false, expect: 200 } }
  v: { kind: dynamodb.table, region: us-east-1, name: vvv, attributes: { a: S }, hash_key: a, ready: { replication: true } }
  w: { kind: linode.nodebalancer, region: us-east, gate: { tcp: '192.0.2.1:80' } }
  x: { kind: linode.nodebalancer, region: us-east, gate: { replication: true } }
  y: { kind: linode.nodebalancer, region: us-east, ready: { tcp: 'a:1', http: 'b' } }
  z: { kind: dynamodb.table, region: us-east-1, name: zzz, attributes: { a: S }, hash_key: a, gate: { replicaton: true } }
";
    let text = format!("stack: s\nresources:{bad_gates}");
    let loaded = load_layers(&[("", &text)], &[]);
    assert!(loaded.diagnostics.iter().any(|it| it.code.as_str() == "wrong_gate"));
    insta::assert_snapshot!(say(&loaded.sources, &loaded.diagnostics), @r#"
    stack.yaml:3:103: This gate does not apply to this kind [«http» a `dynamodb.table` does not decide where users are sent] -- write `gate: { replication: true, within: 60s }`
    stack.yaml:4:116: Wrong type [«false» `replication` takes only true] -- for no gate, remove it
    stack.yaml:4:123: Unknown key [«expect» `expect` requires `http`]
    stack.yaml:5:104: This gate does not apply to this kind [«replication» `replication` checks a group, but `ready` checks one resource] -- write it under `gate`
    stack.yaml:6:60: This gate does not apply to this kind [«tcp» a `linode.nodebalancer` does not decide where users are sent] -- to wait until it works, use `ready`; `gate` belongs on resources that decide where users are sent
    stack.yaml:7:60: This gate does not apply to this kind [«replication» a `linode.nodebalancer` has no replicas] -- `replication` goes with dynamodb.replica, dynamodb.table
    stack.yaml:8:59: `ready` has no check [«{ tcp: 'a:1', http: 'b' }» set one of `tcp`, `http`, and `replication`]
    stack.yaml:9:101: `gate` has no check [«{ replicaton: true }» set one of `tcp`, `http`, and `replication`, or `health` or `serves` for the health checks alone]
    stack.yaml:9:103: Unknown key [«replicaton» `gate` has no such key] -- did you mean `replication`?
    "#);
}

#[test]
fn load_records_which_layer_set_a_variable() {
    let overlay = "overlay: eu\nvariables: { standby_size: 3 }\n";
    let later = "overlay: more\nvariables: { domain: other.example.com }\n";
    let loaded =
        load_layers(&[("", SHOP), ("eu", overlay), ("more", later)], &[("revision", "v2")]);
    assert_eq!(say(&loaded.sources, &loaded.diagnostics), "");
    let mut text = String::new();
    for (name, it) in loaded.stack.unwrap().variables {
        let _ = writeln!(text, "{name} = {:?} from {}", it.value, it.from);
    }
    insta::assert_snapshot!(text, @r#"
    db_password = {"$sensitive":true} from default
    domain = "other.example.com" from overlays/more.yaml:2
    revision = "v2" from --var
    standby_size = 3 from overlays/eu.yaml:2
    "#);
    insta::assert_snapshot!(problems(&[("", SHOP)], &[("standby_size", "many"), ("domian", "x")]), @r#"
    `--var` sets `domian`, which the stack does not declare -- did you mean `domain`?
    stack.yaml:5:3: `--var` has the wrong type for `standby_size` [«standby_size» declared as int, not `many`]
    "#);
}

#[test]
fn load_accepts_the_examples_of_all_kinds() {
    for kind in crate::kinds::builtin().kinds.keys() {
        let text = crate::kinds::example(kind).unwrap_or_default();
        let layer = Layer { name: String::new(), file: format!("{kind}.yaml"), bytes: text.into() };
        let loaded = load(
            "example",
            &[layer],
            &[],
            RememberedVariables::none(),
            &InMemoryFolder,
            &crate::kinds::builtin(),
        );
        assert_eq!(say(&loaded.sources, &loaded.diagnostics), "", "{kind}");
    }
}

/// Everything computed is open.
struct Nothing;

impl Scope for Nothing {
    fn object(&self, _: &Address) -> Option<Arc<Attributes>> {
        None
    }
}

#[test]
fn explain_tells_the_origin_of_a_value() {
    let overlay =
        "overlay: eu\nresources:\n  shop:\n    ttl_sec: 30\n  web: { root_pass: swordfish }\n";
    let loaded = load_layers(&[("", SHOP), ("eu", overlay)], &[("revision", "v2")]);
    let mut text = String::new();
    for subject in [
        ("shop", "ttl_sec"),
        ("shop", "target"),
        ("web[0]", "label"),
        ("web[1]", "user_data"),
        ("web[0]", "root_pass"),
        ("web[0]", "ipv4"),
        ("lb", "client_conn_throttle"),
        ("zone", "description"),
        ("web", "label"),
        ("shpo", "x"),
        ("shop", "ttl"),
    ] {
        let address: Address = subject.0.parse().unwrap();
        match explain(&loaded, &crate::kinds::builtin(), &address, subject.1, &Nothing) {
            Ok(origin) => text.push_str(&origin.to_string()),
            Err(wrong) => text.push_str(&say(&loaded.sources, &wrong)),
        }
    }
    insta::assert_snapshot!(text, @r#"
    shop.ttl_sec = 30
      from overlays/eu.yaml:4: 30
      instead of stack.yaml:54: 300
    shop.target = (known after apply)
      from stack.yaml:53: '${lb.ipv4}'
    web[0].label = "web-0"
      from stack.yaml:26: 'web-${each.index}'
    web[1].user_data = (known after apply)
      from stack.yaml:28: '${template("files/cloud-init.yaml", {"revision": vars.revision, "table": products.name})}'
      vars.revision = "v2" (--var)
    web[0].root_pass = (sensitive)
      from overlays/eu.yaml:5: (sensitive)
      instead of stack.yaml:25: '${vars.db_password}'
    web[0].ipv4 = (known after apply)
      set by the cloud
    lb.client_conn_throttle = 0
      the kind's default
    zone.description = ""
      the kind's default
    `web` does not exist -- write `web[0]`
    `shpo` does not exist -- did you mean `shop`?
    `linode.domain_record` has no attribute `ttl` -- did you mean `ttl_sec`?
    "#);
}

#[test]
fn render_shows_the_merged_stack_without_secrets() {
    let base = "stack: s\nvariables:\n  password: { type: string, sensitive: true, default: hunter2 }\nresources:\n  web:\n    kind: linode.instance\n    region: us-east\n    type: g6-nanode-1\n    image: linode/debian12\n    root_pass: swordfish\n";
    let overlay = "overlay: eu\nresources:\n  web: { region: eu-central, tags: [a-b, '007'], image: null, root_pass: '${vars.password}' }\n";
    let loaded = load_layers(&[("", base), ("eu", overlay)], &[]);
    assert_eq!(say(&loaded.sources, &loaded.diagnostics), "");
    insta::assert_snapshot!(render(&loaded, &crate::kinds::builtin()), @r#"
    stack: s
    variables:
      password:
        type: string
        sensitive: true
        default: (sensitive)
    resources:
      web:
        kind: linode.instance
        region: eu-central
        type: g6-nanode-1
        root_pass: ${vars.password}
        tags:
        - a-b
        - '007'
    "#);
    let loaded = load_layers(&[("", base)], &[]);
    let text = render(&loaded, &crate::kinds::builtin());
    assert!(!text.contains("hunter2") && !text.contains("swordfish"), "{text}");
    let stack = loaded.stack.unwrap();
    assert!(!format!("{:?}", stack.variables).contains("hunter2"));
}

#[test]
fn resolve_fills_attributes_and_defaults() {
    let loaded = load_layers(&[("", SHOP)], &[]);
    let stack = loaded.stack.unwrap();
    let mut text = String::new();
    for address in ["web[0]", "lb_node[1]", "shop", "products_eu"] {
        let instance = &stack.instances[&address.parse::<Address>().unwrap()];
        let resolved = resolve(&stack, &crate::kinds::builtin(), instance, &Nothing).unwrap();
        let _ = writeln!(text, "{address}");
        for (name, value) in &resolved.attributes {
            let given = if resolved.is_given(name) { "" } else { " (default)" };
            let _ = writeln!(text, "  {name} = {value:?}{given}");
        }
    }
    insta::assert_snapshot!(text, @r#"
    web[0]
      backups_enabled = false (default)
      booted = true (default)
      image = "linode/ubuntu24.04"
      label = "web-0"
      private_ip = true
      region = "us-east"
      root_pass = {"$sensitive":true}
      tags = [] (default)
      type = "g6-standard-2"
      user_data = {"$open":true}
    lb_node[1]
      address = {"$open":true}
      config = {"$open":true}
      config.nodebalancer = {"$open":true} (default)
      label = {"$open":true}
      mode = "accept" (default)
      weight = 50 (default)
    shop
      domain = {"$open":true}
      domain.domain = {"$open":true} (default)
      name = "shop"
      port = 0 (default)
      priority = 0 (default)
      target = {"$open":true}
      ttl_sec = 300
      type = "A"
      weight = 0 (default)
    products_eu
      deletion_protection = false (default)
      point_in_time_recovery = false (default)
      region = "eu-west-1"
      table = {"$open":true}
      table.billing_mode = {"$open":true} (default)
      table.name = {"$open":true} (default)
      table.region = {"$open":true} (default)
      table.stream = {"$open":true} (default)
      tags = {} (default)
    "#);
}

#[test]
fn load_expands_repetition_only_where_it_is_known() {
    let loaded = load_layers(
        &[(
            "",
            r#"stack: s
variables:
  sites: { type: map, default: { fra: eu-central, was: us-east } }
  hidden: { type: list, default: [a], sensitive: true }
resources:
  lb: { kind: linode.nodebalancer, for_each: '${vars.sites}', region: '${each.value}', label: 'lb-${each.key}' }
  names: { kind: linode.nodebalancer, for_each: [one, two], region: us-east, label: 'x-${each.key}' }
  none: { kind: linode.nodebalancer, count: 0, region: us-east }
  config: { kind: linode.nodebalancer_config, for_each: '${lb}', nodebalancer: '${each.value}', port: 80 }
  other: { kind: linode.nodebalancer_config, nodebalancer: '${lb["fra"]}', port: 81 }
outputs:
  labels: '${lb.map(k, lb[k].label).join(",")}'
  count: '${size(none)}'
"#,
        )],
        &[],
    );
    assert_eq!(say(&loaded.sources, &loaded.diagnostics), "");
    let stack = loaded.stack.unwrap();
    let text: Vec<String> = stack
        .instances
        .values()
        .map(|it| {
            let needs: Vec<String> = it.needs.iter().map(|(it, _)| it.to_string()).collect();
            format!("{} <- {}", it.address, needs.join(" "))
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    lb["fra"] <- 
    lb["was"] <- 
    names["one"] <- 
    names["two"] <- 
    config["fra"] <- lb["fra"]
    config["was"] <- lb["was"]
    other <- lb["fra"]
    "#);
    insta::assert_snapshot!(bad(r#"
  a: { kind: linode.nodebalancer, count: -1, region: us-east }
  b: { kind: linode.nodebalancer, count: many, region: us-east }
  c: { kind: linode.nodebalancer, count: '${lb.ipv4}', region: us-east }
  d: { kind: linode.nodebalancer, for_each: '${lb}', region: us-east }
  e: { kind: linode.nodebalancer, for_each: [a, a, 5], region: us-east }
  f: { kind: linode.nodebalancer, for_each: '${g}', region: us-east }
  g: { kind: linode.nodebalancer, for_each: '${f}', region: us-east }
  h: { kind: linode.nodebalancer, for_each: '${vars.n}', region: us-east }
  i: { kind: linode.nodebalancer_config, nodebalancer: '${k["frra"]}', port: 81 }
  j: { kind: linode.nodebalancer_config, nodebalancer: '${k}', port: 81 }
  k: { kind: linode.nodebalancer, for_each: [fra], region: us-east, label: '${each.index}' }
  lb: { kind: linode.nodebalancer, region: us-east }
"#), @r#"
    stack.yaml:6:42: Out of range [«-1» `count` cannot be -1] -- from 0 to 250000
    stack.yaml:7:42: Wrong type [«many» `count` takes an integer, but this is text] -- write a number
    stack.yaml:8:45: The expression is wrong [«lb.ipv4» `lb` is known only after the clouds are read] -- use variables, which are known beforehand
    stack.yaml:9:45: This resource is not repeated [«'${lb}'» `lb` has neither `count` nor `for_each`] -- remove `for_each`, and use '${lb}' where it is needed
    stack.yaml:10:45: Duplicate key [«[a, a, 5]» `a` appears in the list twice]
    stack.yaml:11:45: Resources repeat over each other in a cycle [«'${g}'» `for_each` of `f` refers back to itself]
    stack.yaml:13:45: Wrong type [«'${vars.n}'» `for_each` takes a list of text, a map, or a repeated resource, but this is an integer]
    stack.yaml:14:59: Unknown reference [«k["frra"]» `k` has no key `frra`] -- did you mean `k["fra"]`?
    stack.yaml:15:59: Wrong kind of resource [«k» `k` is several resources] -- name one of them: '${k["fra"]}'
    stack.yaml:16:79: Unknown reference [«each.index» with `for_each`, use `each.key` and `each.value`]
    "#);
}

proptest! {
    #[test]
    fn load_panics_on_no_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let layer = Layer { name: String::new(), file: "stack.yaml".into(), bytes };
        load("s", &[layer], &[], RememberedVariables::none(), &InMemoryFolder, &crate::kinds::builtin());
    }

    /// The example with a piece cut out, doubled or replaced: every span lies on characters.
    #[test]
    fn load_reports_broken_stacks_with_places_that_exist(
        at in 0..SHOP.len(), length in 0_usize..40, put in "[\\[\\]{}:,&*!|>'\"%@`ü ${}a0\n-]{0,6}",
    ) {
        let end = (at + length).min(SHOP.len());
        let text = format!("{}{put}{}", &SHOP[..at], &SHOP[end..]);
        let loaded = load_layers(&[("", &text)], &[]);
        for label in loaded.diagnostics.iter().flat_map(|it| &it.labels) {
            let source = loaded.sources.get(label.span).expect("spans name a source");
            prop_assert!(source.text.get(label.span.start as usize..label.span.end as usize).is_some(), "{label:?}");
            prop_assert!(label.span.line >= 1 && label.span.column >= 1);
        }
    }

    #[test]
    fn load_changes_nothing_for_an_empty_overlay(which in 0..6_usize) {
        let overlay = ["overlay: o\n", "overlay: o\nresources: {}\n", "overlay: o\nresources: { web: {} }\n", "overlay: o\nvariables: ~\n",
            "overlay: o\nresources: { shop: { ttl_sec: 300 } }\n", "overlay: o\noutputs: {}\n"][which];
        let plain = load_layers(&[("", SHOP)], &[]);
        let laid = load_layers(&[("", SHOP), ("o", overlay)], &[]);
        prop_assert_eq!(say(&laid.sources, &laid.diagnostics), "");
        let catalog = crate::kinds::builtin();
        prop_assert_eq!(render(&plain, &catalog), render(&laid, &catalog));
    }
}
