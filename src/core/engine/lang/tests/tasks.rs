//! Tasks in, words out: what loading says about good and bad ones, with the place.

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::lang::task_values::{MissingUndo, as_written, recorded_work, resolve_task};
use crate::engine::lang::tests::{Nothing, load_layers, problems};
use crate::engine::task::{Rerun, TaskAction, TaskOccasion, TaskWork, WrittenPart};
use crate::engine::value::{LineageKey, Value};
use crate::kinds::builtin;

const SITE: &str = "stack: s
variables:
  city: { type: string, default: Frankfurt }
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: lb-us }
  web: { kind: linode.instance, count: 2, region: us-east, type: g6-nanode-1, image: linode/debian12, authorized_users: [a] }
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${lb.ipv4}' }
tasks:
";

fn told(tasks: &str) -> String {
    problems(&[("", &format!("{SITE}{tasks}"))], &[])
}

fn all(texts: &[&str]) -> String {
    let one = |text: &&str| format!("{text}\n{}", told(&format!("  t: {{ {text} }}\n")));
    texts.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn load_reads_tasks_with_their_addresses_and_needs() {
    let tasks = "  purge:
    on: [failover, planned, failback]
    after: [shop, 'web[1]']
    exec: [./purge.sh, '${lb.ipv4}', 'to ${vars.city}', 5]
    in_drill: { exec: [./purge.sh, --rehearse] }
  go:
    on: [planned]
    before: [purge, web]
    confirm: 'Send users to ${vars.city}?'
    in_drill: skip
";
    assert_eq!(told(tasks), "");
    let loaded = load_layers(&[("", &format!("{SITE}{tasks}"))], &[]);
    let stack = loaded.stack.unwrap();
    let [purge, go] = ["purge", "go"].map(|it| &stack.tasks[it]);
    assert_eq!(purge.on, [TaskOccasion::Failover, TaskOccasion::Planned, TaskOccasion::Failback]);
    assert_eq!(purge.needs.iter().map(|it| &it.0).collect::<Vec<_>>(), [&Address::one("lb")]);
    assert_eq!(purge.after[1].address, Some(Address::index("web", 1)));
    assert!(
        matches!(&purge.spec.work.action, TaskAction::Exec { command, .. } if command.len() == 4)
    );
    let drilled = purge.spec(true).unwrap();
    assert!(matches!(&drilled.work.action, TaskAction::Exec { command, .. } if command.len() == 2));
    assert!(go.spec(true).is_none() && go.spec(false).is_some());
    assert_eq!(go.spec.work.within, 1_800, "a person is waited for half an hour");
    assert_eq!(go.spec.rerun, Rerun::Safe, "a question may be asked again");
    assert_eq!(purge.spec.rerun, Rerun::Never);
}

#[test]
fn load_refuses_tasks_that_say_too_little_or_too_much() {
    insta::assert_snapshot!(all(&[
        "on: [failover], exec: [./a]",
        "exec: [./a], in_drill: run",
        "on: [failover], in_drill: run",
        "on: [failover], exec: [./a], confirm: Go?, in_drill: run",
        "on: [failover], mysql: { promote: db }, in_drill: run",
        "on: [failovr], exec: [./a], in_drill: run",
        "on: [], exec: [./a], in_drill: run",
        "on: [drill], exec: [./a], in_drill: skip",
        "on: [failover], exec: ./a, in_drill: run",
        "on: [failover], exec: [[./a]], in_drill: run",
        "on: [failover], exec: [./a, '${web}'], in_drill: run",
        "on: [failover], exec: [./a], within: 0s, in_drill: run",
        "on: [failover], exec: [./a], within: soon, in_drill: run",
        "on: [failover], exec: [./a], rerun: maybe, in_drill: run",
        "on: [failover], exec: [./a], in_drill: sometimes",
        "on: [failover], exec: [./a], in_drill: { on: [drill] }",
        "on: [failover], exec: [./a], verify: { confirm: Done? }, in_drill: run",
        "on: [failover], exec: [./a], undo: {}, in_drill: run",
        "on: [planned, failback], exec: [./a], undo: { exec: [./b] }, in_drill: run",
        "on: [failover], exec: [./a], env: ['A=b'], in_drill: run",
        "on: [failover], confirm: Go?, env: [A], in_drill: run",
        "on: [failover], http: 'http://a/', in_drill: run",
        "on: [failover], http: {}, in_drill: run",
        "on: [failover], http: { url: 'ftp://a/' }, in_drill: run",
        "on: [failover], http: { url: 'http://a/', method: FETCH }, in_drill: run",
        "on: [failover], http: { url: 'http://a/', expect: [2000] }, in_drill: run",
        "on: [failover], http: { url: 'http://a/', headers: { 'a b': c } }, in_drill: run",
        "on: [failover], exec: [./a, '${nobody.ipv4}'], in_drill: run",
    ]));
}

#[test]
fn load_refuses_tasks_that_name_what_is_not_there_or_wait_in_a_circle() {
    let run = "exec: [./a], in_drill: run";
    let stacks = [
        format!("  shop: {{ on: [failover], {run} }}\n"),
        format!("  vars: {{ on: [failover], {run} }}\n"),
        format!("  t: {{ on: [failover], after: [shopp], {run} }}\n"),
        format!("  t: {{ on: [failover], after: ['web[2]'], {run} }}\n"),
        format!("  t: {{ on: [failover], after: [t], {run} }}\n"),
        format!("  t: {{ on: [failover], before: ['not one'], {run} }}\n"),
        format!(
            "  a: {{ on: [failover], after: [b], {run} }}\n  b: {{ on: [failover], after: [c], {run} }}\n  c: {{ on: [failover], after: [a], {run} }}\n"
        ),
        format!("  t: {{ on: [failover], after: [shop], before: [lb], {run} }}\n"),
        "  t: { on: [failover], before: [lb], exec: [./a, '${lb.ipv4}'], in_drill: run }\n".into(),
    ];
    let one = |text: &String| format!("{text}{}", told(text));
    insta::assert_snapshot!(stacks.iter().map(one).collect::<Vec<_>>().join("\n"));
}

#[test]
fn load_merges_tasks_of_overlays_like_resources() {
    let base = format!("{SITE}  t: {{ on: [failover], exec: [./a], in_drill: run }}\n");
    let with = |overlay: &str| {
        let overlay = format!("overlay: o\ntasks: {{ {overlay} }}\n");
        load_layers(&[("", &base), ("o", &overlay)], &[])
    };
    let stack = with("t: { within: 7m, in_drill: skip }").stack.unwrap();
    assert_eq!(stack.tasks["t"].spec.work.within, 420);
    assert!(stack.tasks["t"].spec(true).is_none());
    assert!(with("t: null").stack.unwrap().tasks.is_empty());
    let said = |overlay: &str| -> Vec<&str> {
        with(overlay).diagnostics.iter().map(|it| it.code.as_str()).collect()
    };
    assert_eq!(said("u: { on: [planned], confirm: Go?, in_drill: run }"), [""; 0]);
    assert_eq!(said("u: null"), ["nothing_to_remove"]);
    assert_eq!(said("t: { exec: null }"), ["bad_task"]);
}

const SECRETS: &str = "stack: s
variables:
  user:  { type: string, default: 'a$' }
  token: { type: string, sensitive: true }
";

fn with_token(token: &str) -> Stack {
    let loaded = load_layers(&[("", SECRETS)], &[("token", token)]);
    loaded.stack.unwrap()
}

/// What is recorded of an `undo`, and what the layers write of its secrets.
fn recorded(undo: &str) -> (TaskWork<Value>, Vec<WrittenPart>) {
    let task = format!(
        "tasks:\n  t: {{ on: [planned], exec: [./a], undo: {{ {undo} }}, in_drill: skip }}\n"
    );
    let loaded = load_layers(&[("", &format!("{SECRETS}{task}"))], &[("token", "hunter2hunter2")]);
    let stack = loaded.stack.unwrap();
    let spec = &stack.tasks["t"].spec;
    let resolved = resolve_task(&stack, &builtin(), spec, &Nothing).unwrap();
    let key = LineageKey(vec![7; 32]);
    let sealed = resolved.undo.unwrap().map(|it| it.sealed(&key));
    (sealed, as_written(&stack, &builtin(), spec.undo.as_ref().unwrap(), &Nothing))
}

/// What was known and no secret is as it was then; a secret is read anew, wherever the layers give it.
#[test]
fn recorded_work_reads_secrets_again_and_nothing_else() {
    let undo = "exec: [./b, '${vars.user}', '${vars.token}', 'X ${vars.user}${vars.token} $${HOME}', '${base64(vars.token)}']";
    let (work, written) = recorded(undo);
    let texts: Vec<(usize, &str)> = written.iter().map(|it| (it.part, &*it.text)).collect();
    assert_eq!(
        texts,
        [
            (2, "${vars.token}"),
            (3, "X a${'$'}${vars.token} $${HOME}"),
            (4, "${base64(vars.token)}"),
        ]
    );
    assert!(!format!("{work:?}{written:?}").contains("hunter2"));
    let now = with_token("rotated-token");
    let work = recorded_work(&now, &builtin(), (&work, &written), &Nothing).unwrap();
    let parts: Vec<String> =
        work.action.parts().iter().map(|it| it.exposed().as_text().unwrap().to_owned()).collect();
    assert_eq!(
        parts,
        ["./b", "a$", "rotated-token", "X a$rotated-token ${HOME}", "cm90YXRlZC10b2tlbg=="]
    );
    assert!(work.action.parts()[2].has_secret(), "it stays one");
}

#[test]
fn recorded_work_says_what_is_missing() {
    let (work, written) = recorded("exec: [./b, '${vars.token}']");
    let again = |stack: &Stack, written: &[WrittenPart]| {
        recorded_work(stack, &builtin(), (&work, written), &Nothing).unwrap_err()
    };
    let mut not_given = with_token("x");
    not_given.variables.get_mut("token").unwrap().value = Value::withheld();
    assert_eq!(again(&not_given, &written), MissingUndo::NotGiven(vec!["token".into()]));
    assert_eq!(again(&Stack::default(), &written), MissingUndo::NotDeclared(vec!["token".into()]));
    let of_before = again(&with_token("x"), &[]);
    assert_eq!(of_before, MissingUndo::Other("it holds a value that is not recorded".into()));
    let text = "${vars.token + nobody.ipv4}".to_owned();
    let reads_nobody = again(&with_token("x"), &[WrittenPart { part: 1, text }]);
    assert!(
        matches!(&reads_nobody, MissingUndo::Other(why) if why.contains("nobody")),
        "{reads_nobody:?}"
    );
}

/// The failback has the layers of home: what only the overlay knows it would not know.
#[test]
fn load_warns_of_an_undo_with_a_secret_that_only_an_overlay_has() {
    let declared = "variables: { key: { type: string, sensitive: true } }";
    let task = |undo: &str| {
        format!(
            "tasks: {{ t: {{ on: [planned], exec: [./a], undo: {{ {undo} }}, in_drill: skip }} }}"
        )
    };
    let said = |variables: &str, undo: &str, given: &[(&str, &str)]| {
        let overlay = format!("overlay: eu\n{variables}\n{}\n", task(undo));
        problems(&[("", SECRETS), ("eu", &overlay)], given)
    };
    let given = &[("token", "hunter2hunter2"), ("key", "hunter3hunter3")][..];
    insta::assert_snapshot!(said(declared, "exec: [./b, 'Bearer ${vars.key}']", given), @"overlays/eu.yaml:3:63: warning: The failback will not know a secret of the `undo` of the task `t` [«'Bearer ${vars.key}'» `vars.key` is a secret, and only `eu` has it] -- no state holds a secret: declare it in stack.yaml, `variables: { key: { type: string, sensitive: true } }`, and give it to the failback as LIFEBOAT_VAR_key; or let the program read it from its own environment: `env: [NAME]`");
    let of_home = said("", "exec: [./b, '${vars.token}']", &given[..1]);
    assert_eq!(of_home, "", "the stack file declares it");
    assert_eq!(said(declared, "exec: [./b], env: [KEY]", given), "", "no secret of the layers");
    let default = "variables: { token: hunter4hunter4 }";
    let by_overlay = said(default, "exec: [./b, '${vars.token}']", &[]);
    assert!(by_overlay.contains("only `eu` has it"), "{by_overlay}");
    assert!(!said(default, "exec: [./b, '${vars.token}']", &given[..1]).contains("only `eu`"));
}
