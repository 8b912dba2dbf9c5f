//! One handful of plans in every dress.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

use crate::engine::address::Address;
use crate::engine::plan::format::codec::PlanEnvelope;
use crate::engine::plan::model::change::{
    Action, Change, Danger, Drift, DriftedAttribute, LossDeclaration, OutputChange, Plan,
    SwitchRest,
};
use crate::engine::plan::model::forecast::{ExpectedTime, Forecast};
use crate::engine::plan::model::replacement::Replacement;
use crate::engine::plan::tests::sample::{CREATE, REPLACE, any_plan, change, note, plan};
use crate::engine::recovery::user_routes::UserRoute;
use crate::engine::recovery::ways_out::{FirstMove, OfferedWay, SwitchMode};
use crate::engine::schema::Sort;
use crate::engine::state::journal::{JournalEntry, StepOutcome, fold};
use crate::engine::state::record::{Allowances, Keep, RunRecord, State};
use crate::engine::text::diagnostic::Severity;
use crate::engine::text::plain::is_invisible;
use crate::engine::value::{Attributes, LineageKey, Secret, Value};
use crate::render::escape;
use crate::render::plan::html;
use crate::render::plan::json::json;
use crate::render::plan::markdown::{MIN_BYTES, markdown};
use crate::render::plan::outline::ShownPlan;
use crate::render::plan::text::{TextOptions, text};
use crate::render::status::{self, StatusFacts};
use crate::render::words::{digest, escape_control};

const NONE: Value = Value::Null;

fn list(items: &[&str]) -> Value {
    Value::List(items.iter().map(|it| (*it).into()).collect())
}

fn map(entries: &[(&str, &str)]) -> Value {
    let entries = entries.iter().map(|(name, it)| ((*name).to_owned(), Value::from(*it)));
    Value::Map(entries.collect::<Attributes>())
}

fn unchanged() -> Vec<Change> {
    let names = ["zone", "products", "lb"];
    names.into_iter().map(|it| change(it, "linode.thing", Action::NoOp, "")).collect()
}

fn empty() -> Plan {
    plan().of(unchanged())
}

fn creates() -> Plan {
    let web = |index: i64| {
        change(&format!("web[{index}]"), "linode.instance", CREATE, "not in state")
            .with("label", NONE, format!("web-{index}").as_str())
            .with("private_ip", NONE, true)
            .with("tags", NONE, list(&["a", "b"]))
            .with("ipv4", NONE, Value::Open)
            .with("root_pass", NONE, Value::Fingerprint("aa11".into()))
            .with("backups", NONE, false)
            .with("watchdog", NONE, true)
    };
    let web = |index| {
        let mut web = web(index);
        web.attributes.iter_mut().rev().take(2).for_each(|it| it.place = None);
        web
    };
    plan().of(vec![web(0), web(1)])
}

fn replaces() -> Plan {
    let web = change("web", "linode.instance", REPLACE, "region: an instance lives in one region");
    let web = web.with("region", "us-east", "eu-west").forced("an instance lives in one region");
    let mut web = web.with("label", "web", "web-eu");
    web.id = Some("123".into());
    let first = Action::Replace { create_first: true };
    let lb = change("lb", "linode.nodebalancer", first, "region: it cannot be changed in place");
    let lb = lb.with("region", "us-east", "eu-west").forced("it cannot be changed in place");
    let mut table = change("orders", "dynamodb.table", Action::Delete, "it is no longer declared");
    table.loses_data = true;
    table.place = None;
    table.id = Some("orders".into());
    let mut plan = plan().of(vec![web, lb, table]);
    let replaced = |name: &str, ipv4: &str, away| Replacement {
        address: Address::one(name),
        loses: [("ipv4".to_owned(), ipv4.to_owned())].into(),
        away,
    };
    plan.replacements = vec![replaced("web", "192.0.2.1", 97), replaced("lb", "192.0.2.2", 0)];
    plan.notes.push(note(
        Severity::Warning,
        "unmarked",
        "`web` could not be tagged",
        "allow tags:write",
    ));
    plan.notes.push(note(
        Severity::Refusal,
        "data_loss",
        "this plan would delete `orders` (dynamodb.table) and permanently delete its data",
        "declare it again in the stack or its overlay, or allow this: --allow-delete 'orders'",
    ));
    plan
}

fn switched() -> Plan {
    let shop = change("shop", "linode.domain_record", Action::Update, "target, ttl_sec differs")
        .with("target", "198.18.0.1", Value::Open)
        .with("ttl_sec", 300, 30);
    let mut plan = plan().of(vec![shop]);
    plan.instance = Some("drill".into());
    plan.overlays = vec!["scale_up".into()];
    plan.switch = Some((vec![], vec!["scale_up".into()]));
    plan.lost = vec![LossDeclaration { fault_domain: "linode:us-east".into(), recorded: None }];
    plan.outputs.push(OutputChange { name: "url".into(), before: "a".into(), after: Value::Open });
    plan
}

fn drifted() -> Plan {
    let mut plan = empty();
    let shop = |absent, attributes| Drift {
        address: "shop".parse().unwrap(),
        kind: "linode.domain_record".into(),
        absent,
        attributes,
    };
    plan.drift.push(shop(
        false,
        vec![DriftedAttribute {
            name: "ttl_sec".into(),
            recorded: 300.into(),
            observed: 60.into(),
        }],
    ));
    plan.drift.push(shop(true, vec![]));
    plan
}

fn unseen() -> Plan {
    let reason = "it could not be read, so no change is planned for it";
    let mut hidden = change("products", "dynamodb.table", Action::NoOp, reason);
    hidden.unknown = Some("dynamodb.us-east-1.amazonaws.com did not answer within 5 s".into());
    let mut moved = change(
        "web[0]",
        "linode.instance",
        Action::Move,
        "the record moves to another address; the resource is not changed",
    );
    moved.moved_from = Some("web".parse().unwrap());
    let wait = change("lb", "linode.nodebalancer", Action::Await, "it is not ready yet");
    let gone = change(
        "old",
        "linode.instance",
        Action::Forget,
        "it no longer exists and is no longer declared",
    );
    plan().of(vec![hidden, moved, wait, gone])
}

fn secrets() -> Plan {
    let seal = |it: &str| Value::Fingerprint(it.into());
    let web = change("web", "linode.instance", Action::Update, "root_pass differs")
        .with("root_pass", seal("#one#"), seal("#two#"))
        .with(
            "env",
            map(&[("a", "1")]),
            Value::Map(Attributes::from([("k".into(), seal("#tri#"))])),
        )
        .with("plain", Value::Secret(Secret::new("hunter2".into())), NONE);
    plan().of(vec![web])
}

fn long() -> Plan {
    let script = |revision: &str| {
        let mut lines: Vec<String> = (0..12).map(|it| format!("line {it}")).collect();
        lines[5] = format!("revision={revision}\t\u{1b}[31m```");
        lines.join("\n")
    };
    let lines =
        |from: usize| (from..from + 20).map(|it| format!("10.0.0.{it}/32")).collect::<Vec<_>>();
    let addresses = |from: usize| list(&lines(from).iter().map(String::as_str).collect::<Vec<_>>());
    let web = change("web", "linode.instance", Action::Update, "user_data, tags, allow differs")
        .with("user_data", script("v1").as_str(), (script("v2") + "\n").as_str())
        .with("allow", addresses(1), addresses(2))
        .with(
            "metadata",
            map(&[("owner", "team a"), ("purpose", "the shop of the north"), ("x", "1")]),
            map(&[("owner", "team b"), ("purpose", "the shop of the north"), ("a b", "2")]),
        )
        .with("blob", "x".repeat(400).as_str(), "y".repeat(400).as_str());
    plan().of(vec![web])
}

/// 299 creations, and a deletion as the very last.
fn many() -> Plan {
    let mut changes: Vec<Change> = (0..299)
        .map(|it| {
            change(&format!("web[{it}]"), "linode.instance", CREATE, "not in state").with(
                "label",
                NONE,
                format!("web-{it}").as_str(),
            )
        })
        .collect();
    changes.push(change("database", "dynamodb.table", Action::Delete, "it is no longer declared"));
    plan().of(changes)
}

fn samples() -> Vec<(&'static str, Plan)> {
    vec![
        ("empty", empty()),
        ("creates", creates()),
        ("replaces", replaces()),
        ("switched", switched()),
        ("drifted", drifted()),
        ("unseen", unseen()),
        ("secrets", secrets()),
        ("long", long()),
    ]
}

#[test]
fn text_of_every_sample() {
    let options = TextOptions { color: false, width: 100, verbose: false };
    for (name, plan) in samples() {
        insta::assert_snapshot!(format!("text_{name}"), text(&plan, &options));
    }
    insta::assert_snapshot!(
        "text_verbose",
        text(&unseen(), &TextOptions { verbose: true, ..options })
    );
    insta::assert_snapshot!(
        "text_narrow",
        text(&replaces(), &TextOptions { width: 60, ..options })
    );
}

/// Nothing that a plan can hold makes a rendering long or slow.
#[test]
fn text_shows_large_values_by_their_digest() {
    let lines = |word: &str, number: usize| {
        (0..number).map(|it| format!("{word} {it}")).collect::<Vec<_>>().join("\n")
    };
    let items = |number: i64| Value::List((0..number).map(Value::Int).collect());
    let web = change("web", "linode.instance", Action::Update, "much differs")
        .with("far", lines("a", 20_000).as_str(), lines("b", 20_000).as_str())
        .with("near", lines("a", 4_000).as_str(), lines("b", 4_000).as_str())
        .with("items", items(100_000), items(100_001));
    let plan = plan().of(vec![web]);
    let page = text(&plan, &TextOptions { color: false, width: 80, verbose: false });
    assert!(page.len() < 8_000 && page.lines().count() < 80, "{}", page.len());
    assert!(page.contains("more lines, sha256:") && page.contains("characters, sha256:"));
}

#[test]
fn text_only_adds_color_to_the_words() {
    let options = TextOptions { color: true, width: 80, verbose: true };
    for (name, plan) in samples() {
        let mut colored = text(&plan, &options);
        for code in ["0", "1;31", "1", "2", "31", "32", "33", "36"] {
            colored = colored.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(colored, text(&plan, &TextOptions { color: false, ..options }), "{name}");
    }
}

#[test]
fn markdown_of_every_sample() {
    for (name, plan) in samples() {
        insta::assert_snapshot!(format!("markdown_{name}"), markdown(&plan, None));
    }
    let cut = markdown(&many(), Some(MIN_BYTES));
    assert!(cut.len() <= MIN_BYTES, "{}", cut.len());
    insta::assert_snapshot!("markdown_many", cut);
}

/// 45 tags, a rule that opens SSH, and a table that goes: in this order of the graph.
fn drowned() -> Plan {
    let tags = |it: i64| {
        change(&format!("web[{it}]"), "linode.instance", Action::Update, "tags differs").with(
            "tags",
            list(&["a"]),
            list(&["a", "b"]),
        )
    };
    let mut changes: Vec<Change> = (0..45).map(tags).collect();
    changes.push(change("lb", "linode.nodebalancer", Action::Delete, "it is no longer declared"));
    changes.push(change("fw", "linode.firewall", Action::Update, "inbound differs"));
    let mut orders = change("orders", "dynamodb.table", Action::Delete, "it is no longer declared");
    orders.loses_data = true;
    changes.push(orders);
    let mut plan = plan().of(changes);
    let danger = |address: &str, sort, says: &str| Danger {
        address: address.parse().unwrap(),
        sort,
        says: says.into(),
        stays: Vec::new(),
    };
    plan.dangers = vec![
        danger("orders", Sort::Data, "its data will be permanently deleted"),
        danger("fw", Sort::Exposure, "TCP 22 (SSH) will be open to everyone"),
    ];
    plan.lost = (1..5)
        .map(|it| LossDeclaration { fault_domain: format!("linode:us-east-{it}"), recorded: None })
        .collect();
    plan
}

#[test]
fn text_and_markdown_put_danger_first_and_equals_once() {
    let plain = TextOptions { color: false, width: 100, verbose: false };
    let page = text(&drowned(), &plain);
    insta::assert_snapshot!("text_drowned", page);
    let painted = text(&drowned(), &TextOptions { color: true, ..plain });
    assert!(
        painted.contains(
            "\u{1b}[1;31m        DATA LOSS: its data will be permanently deleted\u{1b}[0m"
        ),
        "{painted}"
    );
    let page = markdown(&drowned(), None);
    insta::assert_snapshot!("markdown_drowned", page);
    let page = html::html(&drowned());
    let at = |it: &str| page.find(it).unwrap_or_else(|| panic!("{it} in {page}"));
    assert!(at("DATA LOSS: its data will be permanently deleted") < at("<code>lb</code>"));
    assert!(at("EXPOSURE: TCP 22") < at("tags of 45 resources: web[0], web[1]"));
    assert!(page.contains("class=\"entry risky\""));
    // Where there is little room, the dangerous ones are told before the many.
    let mut many = many();
    many.changes.push(change("fw", "linode.firewall", Action::Update, "inbound differs"));
    many.dangers = drowned().dangers;
    let cut = markdown(&many, Some(MIN_BYTES));
    assert!(cut.len() <= MIN_BYTES && cut.contains("open to everyone"), "{cut}");
}

/// Somebody who sees the loss of data every week no longer reads it.
#[test]
fn text_tells_the_loss_of_a_copy_as_less_than_the_loss_of_data() {
    let mut plan = drowned();
    plan.dangers[0].stays = vec!["us-east-1".into()];
    let page = text(&plan, &TextOptions { color: false, width: 100, verbose: false });
    assert!(page.contains("Danger: COPY LOSS ×1: orders; EXPOSURE ×1: fw"), "{page}");
    assert!(page.contains("2 to delete;") && !page.contains("DATA LOSS"), "{page}");
}

/// Who opens a pull request sees the worst without scrolling, however much there is besides.
#[test]
fn markdown_names_the_dangers_of_sixty_changes_in_its_first_lines() {
    let mut plan = drowned();
    let others = (0..12).map(|it| {
        change(&format!("cache[{it}]"), "linode.instance", REPLACE, "image differs").with(
            "image",
            "linode/debian12",
            "linode/debian13",
        )
    });
    plan = plan.of(others.collect());
    let sorts = [Sort::Data, Sort::Traffic, Sort::Exposure, Sort::Protection];
    let more = (0..12).map(|it| Danger {
        address: Address::index("cache", it),
        sort: sorts[it as usize % sorts.len()],
        says: format!("something of its own: {it}"),
        stays: Vec::new(),
    });
    plan.dangers.extend(more);
    plan.allowed.destroys = Some(14);
    assert_eq!(plan.changes.len(), 60);
    plan.bindings.files = [("stacks/shop/stack.yaml".into(), "sha256:12ab".into())].into();
    let page =
        markdown(ShownPlan { forecast: Some(&FORECAST), ..ShownPlan::from(&plan) }, Some(65_536));
    let head: Vec<&str> = page.lines().take(15).collect();
    insta::assert_snapshot!(head.join("\n"));
    let end: Vec<&str> = page.lines().rev().take(6).collect();
    assert!(end.contains(&"  stacks/shop/stack.yaml sha256:12ab"), "{page}");
    // Without the many each is told in a sentence.
    plan.dangers.truncate(2);
    let page = markdown(&plan, Some(65_536));
    let head: Vec<&str> = page.lines().take(15).collect();
    assert!(head.join("\n").contains("fw: TCP 22 (SSH) will be open to everyone"), "{page}");
}

#[test]
fn markdown_marks_every_stack_with_a_comment_of_its_own() {
    let marker = |name: &str| {
        let plan = Plan { stack: name.into(), ..plan() };
        markdown(&plan, None).lines().next().unwrap().to_owned()
    };
    assert_eq!(marker("shop"), "<!-- lifeboat:plan shop -->");
    let odd = ["a--b", "a__b", "a-->b", "a\n-b", &"x".repeat(70), &"x".repeat(71), "é", "è"];
    let all: std::collections::BTreeSet<String> = odd.iter().map(|it| marker(it)).collect();
    assert_eq!(all.len(), odd.len());
    assert!(all.iter().all(|it| it.matches("--").count() == 2 && it.ends_with(" -->")), "{all:?}");
}

#[test]
fn text_html_and_markdown_show_a_long_value_once() {
    let script: Vec<String> = (0..55).map(|it| format!("line {it}\n")).collect();
    let script = script.concat();
    let web = |it: i64| {
        change(&format!("web[{it}]"), "linode.instance", CREATE, "not in state")
            .with("label", NONE, format!("web-{it}").as_str())
            .with("user_data", NONE, script.as_str())
    };
    let plan = plan().of((0..3).map(web).collect());
    let plain = TextOptions { color: false, width: 100, verbose: false };
    for page in [text(&plan, &plain), html::html(&plan), markdown(&plan, None)] {
        assert_eq!(page.matches("line 54").count(), 1, "{page}");
        assert_eq!(page.matches("(line by line at `web[0]`)").count(), 2, "{page}");
    }
}

#[test]
fn markdown_never_hides_a_destroy_for_its_budget() {
    let mut plan = many();
    for it in &mut plan.changes {
        it.action = Action::Delete;
    }
    let cut = markdown(&plan, Some(MIN_BYTES));
    assert!(cut.len() <= MIN_BYTES, "{}", cut.len());
    let is_listed = |it: &String| cut.contains(&escape::code(it));
    let hidden: Vec<String> =
        plan.changes.iter().map(|it| it.address.to_string()).filter(|it| !is_listed(it)).collect();
    assert!(hidden.len() > 50 && hidden.len() < 290, "{}", hidden.len());
    let told = format!("**{} deletions not listed**", hidden.len());
    assert!(cut.contains(&told) && cut.contains(&digest(&hidden.join("\n"))), "{cut}");
    assert!(!cut.contains("Every deletion, replacement"));
}

/// Whether every destroyed address is there, or a count of at least those that are not.
fn tells_destroys(plan: &Plan, text: &str) -> bool {
    let addresses = plan.changes.iter().filter(|it| it.action.destroys());
    let hidden = addresses
        .filter(|it| !text.contains(&escape::code(&escape_control(&it.address.to_string()))))
        .count();
    let counted = text.split_once(" not listed**").and_then(|(before, _)| before.rsplit_once("**"));
    let parts = counted.map_or("", |it| it.1).split(", ");
    let told = parts.filter(|it| !it.ends_with("shift") && !it.ends_with("shifts"));
    let told = told.filter_map(|it| it.split(' ').next()?.parse::<usize>().ok()).sum();
    hidden <= told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn markdown_keeps_its_budget(plan in any_plan(), over in 0..4000_usize) {
        let budget = MIN_BYTES + over;
        let shown = ShownPlan { forecast: Some(&FORECAST), ..ShownPlan::from(&plan) };
        let cut = markdown(shown, Some(budget));
        prop_assert!(cut.len() <= budget, "{} of {budget}", cut.len());
        prop_assert!(tells_destroys(&plan, &cut));
        let whole = markdown(shown, None);
        prop_assert!(tells_destroys(&plan, &whole) && !whole.contains("not listed"));
        prop_assert!(cut == whole || whole.len() > budget);
    }

    #[test]
    fn text_html_and_markdown_let_nothing_break_out(plan in any_plan()) {
        let plain = TextOptions { color: false, width: 60, verbose: true };
        for page in [text(&plan, &plain), markdown(&plan, None), html::html(&plan)] {
            let allowed = ['\n', '\u{fe0f}'];
            prop_assert!(!page.contains(|it| is_invisible(it) && !allowed.contains(&it)));
        }
        prop_assert!(!html::html(&plan).contains("<script"));
        let (mut fence, mut outside) = (None, String::new());
        for line in markdown(&plan, None).lines() {
            match &fence {
                Some(end) if line == *end => fence = None,
                Some(_) => {}
                None if line.starts_with("```") => fence = Some(line.trim_end_matches("diff").to_owned()),
                None => outside.push_str(line),
            }
        }
        prop_assert!(fence.is_none() && !outside.contains("<script"));
        prop_assert_eq!(outside.matches("<details>").count(), outside.matches("</details>").count());
    }
}

#[test]
fn html_and_json_of_a_replacement() {
    insta::assert_snapshot!("html_replaces", html::html(&replaces()));
    let envelope =
        PlanEnvelope { by: "ci".into(), lifeboat: "0.1.0".into(), ..PlanEnvelope::default() };
    insta::assert_snapshot!("json_replaces", json(&replaces(), &envelope));
}

const FORECAST: Forecast = Forecast {
    directed: Some(ExpectedTime { usual: 130, dns_bound: 300 }),
    whole: 800,
    longest: 180,
    steps: 10,
    measured: 8,
    samples: 12,
};

#[test]
fn text_says_how_long_a_switch_takes_and_how_sure_that_is() {
    let plan = empty();
    let lines = |forecast: Forecast| {
        let options = TextOptions { color: false, width: 0, verbose: false };
        let text =
            text(ShownPlan { forecast: Some(&forecast), ..ShownPlan::from(&plan) }, &options);
        text.lines().find(|it| it.starts_with("Estimated: ")).unwrap().to_owned()
    };
    insta::assert_snapshot!(lines(FORECAST), @"Estimated: traffic shifted after 2 min 10 s, all users moved after 7 min 10 s (the TTL is 5 min); this command ends after 13 min 20 s; this time depends on 10 steps: 8 measured before (12 times in all), 2 are guesses; if each takes as long as its slowest so far, traffic is shifted after 3 min");
    insta::assert_snapshot!(lines(Forecast { measured: 0, samples: 0, ..FORECAST }), @"Estimated: traffic shifted after 2 min 10 s, all users moved after 7 min 10 s (the TTL is 5 min); this command ends after 13 min 20 s; these are built-in defaults: nothing was measured yet");
    insta::assert_snapshot!(lines(Forecast { directed: None, samples: 1, steps: 1, measured: 1, ..FORECAST }), @"Estimated: this command ends after 13 min 20 s; this time depends on 1 step: 1 measured before (once); if each takes as long as its slowest so far, it ends after 3 min");
    let shown = ShownPlan { forecast: Some(&FORECAST), ..ShownPlan::from(&plan) };
    let sentence = lines(FORECAST);
    assert!(markdown(shown, None).contains(&sentence));
    assert!(html::html(shown).contains(&format!("<p>{sentence}</p>")));
    let envelope = PlanEnvelope { forecast: Some(FORECAST), ..PlanEnvelope::default() };
    assert!(json(&plan, &envelope).contains("\"dns_bound\": 300"));
    assert!(
        !text(&plan, &TextOptions { color: false, width: 0, verbose: false }).contains("Estimated")
    );
}

#[test]
fn text_html_and_markdown_show_no_secret() {
    let plan = secrets();
    let verbose = TextOptions { color: true, width: 0, verbose: true };
    for page in [text(&plan, &verbose), markdown(&plan, None), html::html(&plan)] {
        assert!(page.contains("(sensitive)"));
        assert!(!page.contains("hunter2") && !page.contains("#one#") && !page.contains("#tri#"));
    }
}

/// For people within the terminal; a program finds one fact on each line.
#[test]
fn status_wraps_long_lines_and_no_output() {
    let mut state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
    state.last_run = Some(RunRecord {
        finished: Some(1),
        ..RunRecord::began("somebody with a long name@a long machine", "apply", 0)
    });
    state.outputs.insert("words".into(), Value::text("a  text of many words that stays as it is"));
    let facts = StatusFacts {
        typed: &|it| it.to_owned(),
        name: "shop".into(),
        now: 60_000,
        state: &state,
        ways: Vec::new(),
        plan: None,
        trouble: None,
        store: None,
        lease: None,
        run: None,
        objective: None,
        estimate: None,
        online: None,
        first: None,
    };
    let narrow = status::text(&facts, 40);
    insta::assert_snapshot!(narrow);
    let wide = status::text(&facts, 0);
    assert_eq!(wide.lines().filter(|it| it.starts_with("last run: ")).count(), 1);
    let whole = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(whole(&wide), whole(&narrow));
    assert!(wide.lines().all(|it| !it.starts_with(' ')), "{wide}");
}

/// A switch that began, after which these were written.
fn in_a_switch(entries: &[JournalEntry]) -> State {
    let mut state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
    let began = JournalEntry::Switched {
        from: Vec::new(),
        to: vec!["eu".into()],
        lost: Vec::new(),
        variables: Attributes::new(),
        keep: Keep::Nothing,
        allowed: Allowances::default(),
        last_good: None,
        at: 10_000,
        who: "ann@laptop, process 7".into(),
    };
    fold(&mut state, &began);
    for it in entries {
        fold(&mut state, it);
    }
    state
}

fn status_of(state: &State, ways: Vec<UserRoute>) -> String {
    status::text(&StatusFacts { ways, ..status_facts(state) }, 0)
}

fn status_facts(state: &State) -> StatusFacts<'_> {
    StatusFacts {
        typed: &|it| it.to_owned(),
        name: "shop".into(),
        now: 70_000,
        state,
        ways: Vec::new(),
        plan: None,
        trouble: None,
        store: None,
        lease: None,
        run: None,
        objective: Some(900),
        estimate: None,
        online: None,
        first: None,
    }
}

fn shifted(was: &str) -> JournalEntry {
    let (was, address) = (vec![Address::one(was)], Address::one("www"));
    JournalEntry::directed(&address, was, 600, 300, 20_000)
}

/// Law 11: users count as moved only where a traffic shift of the switch was observed.
#[test]
fn status_has_users_moved_only_where_a_shift_was_observed() {
    let phase = |entries: &[JournalEntry]| {
        let told = status_of(&in_a_switch(entries), Vec::new());
        let starts = |it: &&str| it.starts_with("phase: ") || it.starts_with("switch time: ");
        told.lines().filter(starts).collect::<Vec<_>>().join("\n")
    };
    let moved = JournalEntry::UsersMoved { at: 20_000 };
    insta::assert_snapshot!(phase(&[]), @r#"
    phase: switching from base since 1970-01-01T00:00:10Z, 1 min ago by ann@laptop; no users have moved; run `lifeboat apply shop` to resume
    switch time: 1 min of 15 min used
    "#);
    insta::assert_snapshot!(phase(&[shifted("lb"), moved.clone()]), @r#"
    phase: degraded: users have moved; the rest of the switch is not finished; run `lifeboat apply shop` to resume (begun from base since 1970-01-01T00:00:10Z, 1 min ago by ann@laptop)
    switch time: traffic was shifted after 10 s, DNS caches included 5 min 10 s; objective 15 min
    "#);
    insta::assert_snapshot!(phase(&[moved]), @r#"
    phase: degraded: no traffic was to be shifted, so users are sent where they were; the rest of the switch is not finished; run `lifeboat apply shop` to resume (begun from base since 1970-01-01T00:00:10Z, 1 min ago by ann@laptop)
    switch time: not counted, because no traffic was to be shifted
    "#);
}

/// Who waits for DNS caches, or only deletes what is not needed any more, lacks nothing; and one found out later that users had
/// moved, which changes no time.
#[test]
fn status_of_a_switch_that_lacks_nothing_says_what_it_waits_for() {
    let mut gone = change("eu[1]", "linode.instance", Action::Delete, "it is no longer declared");
    let mut plan = plan();
    let told = |plan: &Plan| {
        let state = in_a_switch(&[shifted("lb"), JournalEntry::UsersMoved { at: 65_000 }]);
        let facts = StatusFacts { plan: Some(plan), ..status_facts(&state) };
        let told = status::text(&facts, 0);
        let starts = |it: &&str| it.starts_with("phase: ") || it.starts_with("switch time: ");
        told.lines().filter(starts).collect::<Vec<_>>().join("\n")
    };
    let changes = vec![gone.address.clone()];
    plan.rest = Some(SwitchRest { from: Vec::new(), changes, failures: BTreeMap::new() });
    plan.changes = vec![gone.clone()];
    insta::assert_snapshot!(told(&plan), @r#"
phase: degraded: users have moved; nothing is missing where they are; left: the wait for DNS caches until 1970-01-01T00:10:20Z, then 1 deletion; run `lifeboat apply shop` to resume (begun from base since 1970-01-01T00:00:10Z, 1 min ago by ann@laptop)
switch time: traffic was shifted after 10 s, DNS caches included 5 min 10 s; objective 15 min
"#);
    gone.action = Action::Create;
    plan.changes = vec![gone];
    assert!(
        told(&plan).contains("; the rest of the switch is not finished; run"),
        "{}",
        told(&plan)
    );
}

/// A planned switch leaves no loss behind, and home is as far away.
#[test]
fn status_away_from_home_names_the_way_home() {
    let mut state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
    assert!(status_of(&state, Vec::new()).contains("phase: settled (no switch is going on)\n"));
    state.active = vec!["eu".into()];
    let told = status_of(&state, Vec::new());
    assert!(
        told.contains("(no switch is going on); to go home: `lifeboat failback shop`\n"),
        "{told}"
    );
}

/// A loss that is declared on the way begins nothing anew.
#[test]
fn status_counts_a_recovery_from_the_first_command_of_its_switch() {
    let mut state = in_a_switch(&[]);
    let again = JournalEntry::Switched {
        from: Vec::new(),
        to: vec!["eu".into()],
        lost: Vec::new(),
        variables: Attributes::new(),
        keep: Keep::Nothing,
        allowed: Allowances::default(),
        last_good: None,
        at: 65_000,
        who: "ann".into(),
    };
    fold(&mut state, &again);
    assert!(status_of(&state, Vec::new()).contains("switch time: 1 min of 15 min used"));
}

/// Whoever plans a switch has nothing to recover from.
#[test]
fn status_calls_the_clock_of_a_switch_a_recovery_under_loss_alone() {
    let mut state = in_a_switch(&[]);
    for (under_loss, told) in [
        (false, "switch time: 1 min of 15 min used"),
        (true, "recovery time: 1 min of 15 min used"),
    ] {
        state.switch.as_mut().unwrap().under_loss = under_loss;
        let text = status_of(&state, Vec::new());
        assert!(text.lines().any(|it| it == told), "{text}");
    }
}

/// A failback, begun at 10 s, after which these were written.
fn going_home(entries: &[JournalEntry]) -> State {
    let mut state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
    state.active = vec!["eu".into()];
    let began = JournalEntry::Switched {
        from: vec!["eu".into()],
        to: Vec::new(),
        lost: Vec::new(),
        variables: Attributes::new(),
        keep: Keep::Data,
        allowed: Allowances::default(),
        last_good: None,
        at: 10_000,
        who: "ann".into(),
    };
    fold(&mut state, &began);
    for it in entries {
        fold(&mut state, it);
    }
    state
}

/// Home that died in the middle of a failback: what would be run to resume it cannot finish it.
#[test]
fn status_of_a_failback_whose_home_is_gone_names_the_way_back() {
    let way = || OfferedWay {
        overlay: "eu".into(),
        assumes_lost: vec!["a:us".into()],
        mode: SwitchMode::UnderLoss(Vec::new()),
    };
    let told = |state: &State, first: Option<FirstMove>| {
        let facts = StatusFacts {
            first: first.as_ref(),
            online: first.is_some().then_some(&[]),
            ..status_facts(state)
        };
        let told = status::text(&facts, 0);
        let starts = |it: &&str| {
            ["phase: ", "switch time: ", "recovery time: "]
                .iter()
                .any(|start| it.starts_with(start))
        };
        told.lines().filter(starts).collect::<Vec<_>>().join("\n")
    };
    let begun = going_home(&[]);
    insta::assert_snapshot!(told(&begun, None), @r#"
    phase: switching from eu since 1970-01-01T00:00:10Z, 1 min ago by ann; no users have moved; run `lifeboat apply shop` to resume, or, if home is unreachable, `lifeboat failover shop` to see what to do
    switch time: 1 min of 15 min used
    "#);
    let stays = FirstMove::TurnBack { way: way(), stuck: Vec::new() };
    insta::assert_snapshot!(told(&begun, Some(stays)), @r#"
    phase: switching from eu since 1970-01-01T00:00:10Z, 1 min ago by ann; no users have moved; the failback cannot finish while home is unreachable; users are still sent to the standby; if home is lost: `lifeboat failover shop --to eu`
    switch time: 1 min of 15 min used
    "#);
    let home = going_home(&[shifted("eu_lb"), JournalEntry::UsersMoved { at: 21_000 }]);
    let stuck = FirstMove::TurnBack { way: way(), stuck: vec!["a:us".into()] };
    insta::assert_snapshot!(told(&home, Some(stuck)), @r#"
    phase: degraded: users have moved; the rest of the switch is not finished; the failback cannot finish while home is unreachable; users are sent to a:us, which is unreachable; if home is lost: `lifeboat failover shop --to eu` (begun from eu since 1970-01-01T00:00:10Z, 1 min ago by ann)
    recovery time: 50 s since home was last seen good, at 1970-01-01T00:00:20Z, when traffic was shifted to it; objective 15 min
    "#);
}

/// What a switch led its users back to is no old target of theirs.
#[test]
fn status_tells_a_drain_of_this_switch_and_none_of_the_one_before() {
    let state = in_a_switch(&[shifted("lb")]);
    let way = |to: &str| UserRoute {
        address: Address::one("www"),
        target: "192.0.2.1".into(),
        to: vec![Address::one(to)],
        fault_domain: None,
        is_lost: false,
        is_to_move: false,
        wanted: Vec::new(),
        shut: None,
        backends: None,
    };
    let gone = change("old", "linode.instance", Action::Delete, "it is no longer declared");
    let deletes = Plan { changes: vec![gone], ..plan() };
    let told = |state: &State, plan: Option<&Plan>, to: &str| {
        let told =
            status::text(&StatusFacts { ways: vec![way(to)], plan, ..status_facts(state) }, 0);
        let is_old = |it: &&str| it.starts_with("draining: ") || it.starts_with("DNS caches: ");
        told.lines().find(is_old).map(str::to_owned)
    };
    insta::assert_snapshot!(told(&state, Some(&deletes), "standby").unwrap(), @"draining: www: lb, its old target, is kept for another 9 min 10 s, until 1970-01-01T00:10:20Z (twice the TTL), since DNS caches may still send users there");
    assert_eq!(told(&state, Some(&deletes), "lb"), None);
    // Nothing is kept where nothing is to be deleted.
    insta::assert_snapshot!(told(&state, Some(&plan()), "standby").unwrap(), @"DNS caches: www: some users may still be sent to lb, its old target, for another 9 min 10 s, until 1970-01-01T00:10:20Z (twice the TTL)");
    // What is lost is not waited for, and users may come all the same; also when the switch is over.
    let (was, address) = (vec![Address::one("lb")], Address::one("www"));
    let shift = JournalEntry::directed(&address, was, 0, 300, 20_000);
    let lost = in_a_switch(&[shift.clone(), ended(60_000)]);
    assert!(lost.phase.is_settled());
    insta::assert_snapshot!(told(&lost, Some(&deletes), "standby").unwrap(), @"DNS caches: www: some users may still be sent to lb, its old target, which served nobody when it was left, for another 4 min 10 s, until 1970-01-01T00:05:20Z (the TTL)");
    assert_eq!(told(&in_a_switch(&[shift, ended(400_000)]), None, "standby"), None);
}

fn ended(at: i64) -> JournalEntry {
    JournalEntry::RunEnded {
        at,
        complete: true,
        overlays: vec!["eu".into()],
        variables: Attributes::new(),
        outputs: Attributes::new(),
    }
}

/// A first apply that failed is no switch, and is told all the same.
#[test]
fn status_tells_why_the_last_run_failed_and_how_it_goes_on() {
    let mut state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
    let run = |complete| JournalEntry::RunEnded {
        at: 9_000,
        complete,
        overlays: Vec::new(),
        variables: Attributes::new(),
        outputs: Attributes::new(),
    };
    let began = JournalEntry::RunBegan {
        who: "ann@laptop, process 7, https://ci.example/runs/9".into(),
        command: "apply shop --yes".into(),
        at: 8_000,
        plan: String::new(),
        steps: 3,
        destroys: false,
        variables: None,
        home_variables: Attributes::new(),
    };
    let failed = JournalEntry::Ended {
        address: Address::one("web"),
        step: 0,
        outcome: StepOutcome::failed("no"),
        at: 9_000,
    };
    for entry in [began.clone(), failed, run(false)] {
        fold(&mut state, &entry);
    }
    let told = |state: &State| {
        let all = status_of(state, Vec::new());
        let starts = |it: &&str| {
            ["phase: ", "failed: ", "last run: "].iter().any(|start| it.starts_with(start))
        };
        all.lines().filter(starts).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(told(&state), @r#"
    phase: settled (no switch is unfinished), but the last run did not finish: run `lifeboat apply shop` to resume
    failed: waiting for web, 1970-01-01T00:00:09Z, 1 min 1 s ago: no
    last run: began 1970-01-01T00:00:08Z, 1 min 2 s ago by ann@laptop, https://ci.example/runs/9: `apply shop --yes`, incomplete after 1 s
    "#);
    for entry in [began, run(true)] {
        fold(&mut state, &entry);
    }
    insta::assert_snapshot!(told(&state), @r#"
    phase: settled (no switch is going on)
    last run: began 1970-01-01T00:00:08Z, 1 min 2 s ago by ann@laptop, https://ci.example/runs/9: `apply shop --yes`, took 1 s
    "#);
}
