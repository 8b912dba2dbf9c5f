//! Commands that messages tell to type: whole, on one line, filled in, accepted when typed, and harmless.

use clap::Parser as _;
use lifeboat::cli::args::Arguments;
use lifeboat::engine::text::advice::AdvisedCommand;
use lifeboat::render::plan::text::{TextOptions, text};

use crate::harness::{Home, Output};

/// How a command begins in a text.
const OPENING: &str = "`lifeboat ";

/// The commands between backticks of a text, word by word as a shell splits them; each has to end on its line.
pub(crate) fn commands(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut rest = line;
        while let Some(at) = rest.find(OPENING) {
            rest = &rest[at + OPENING.len()..];
            let end = rest.find('`').unwrap_or_else(|| panic!("broken over lines: {line}"));
            found.push(split(&rest[..end]));
            rest = &rest[end..];
        }
        let broken = line.trim_end().ends_with("`lifeboat");
        assert!(!broken, "broken over lines: {line}");
    }
    found
}

/// Words of a command line with single quotes and backslashes outside of them.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut some) = (Vec::new(), String::new(), false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => (quoted, some) = (!quoted, true),
            ' ' if !quoted => {
                if some {
                    words.push(std::mem::take(&mut word));
                }
                some = false;
            }
            '\\' if !quoted => {
                word.extend(letters.next());
                some = true;
            }
            other => {
                word.push(other);
                some = true;
            }
        }
    }
    assert!(!quoted, "a quote is open: {line}");
    words.extend(some.then_some(word));
    words
}

/// Every command that an output tells to type can be typed: called by the harness for each run of every test.
pub(crate) fn check(said: &str, stdout: &str, stderr: &str) {
    // What explains the commands themselves speaks of them with blanks.
    if ["man", "help", "kinds", "completions", "render"].iter().any(|it| said.starts_with(it))
        || said.contains("--help")
    {
        return;
    }
    for words in commands(stderr).into_iter().chain(commands(stdout)) {
        parses(&words);
    }
}

fn parses(words: &[String]) {
    let typed = ["lifeboat".to_owned()].into_iter().chain(words.iter().cloned());
    if let Err(why) = Arguments::try_parse_from(typed) {
        panic!("`lifeboat {}` is told to be typed, and refused: {why}", words.join(" "));
    }
    let blank =
        |it: &&String| it.len() > 1 && it.chars().all(|it| it.is_ascii_uppercase() || it == '_');
    // The name of a variable of the environment looks like one.
    let variable = words.iter().position(|it| it == "--encrypt").map(|it| it + 1);
    let mut others = words.iter().enumerate().filter(|(at, _)| Some(*at) != variable);
    assert!(!others.any(|(_, it)| blank(&it)), "something is left to fill in: {words:?}");
}

fn plan_again(stack: &str) -> AdvisedCommand<'_> {
    let options = vec!["--replace".into(), "web[0]".into(), "--allow-outage".into()];
    AdvisedCommand::PlanAgain { stack, overlays: &[], options, out: "my plan" }
}

fn of_reviewed_plans(stack: &str) -> [AdvisedCommand<'_>; 4] {
    [
        AdvisedCommand::PlanStore { stack },
        AdvisedCommand::ApplyReviewed { stack },
        AdvisedCommand::CiApply { stack },
        AdvisedCommand::ApprovePlan { stack, digest: "sha256:0123456789abcdef" },
    ]
}

/// One of each. Whoever adds a command adds it here: the match of [`stands_above`] has no other arm.
fn samples() -> Vec<AdvisedCommand<'static>> {
    static OVERLAYS: std::sync::LazyLock<Vec<String>> =
        std::sync::LazyLock::new(|| vec!["eu".into(), "more".into()]);
    let (stack, to, address) = ("shop@drill", "eu", "node[\"it's a `key`\"]");
    let lost = vec!["linode:us-east", "aws:us-east-1"];
    let mut samples = vec![
        AdvisedCommand::Init,
        AdvisedCommand::Kinds { kind: None },
        AdvisedCommand::Kinds { kind: Some("linode.instance") },
        AdvisedCommand::Graph { stack },
        AdvisedCommand::Validate { stack, overlays: &[] },
        AdvisedCommand::Validate { stack, overlays: &OVERLAYS },
        AdvisedCommand::Plan { stack, overlays: &[], out: None },
        AdvisedCommand::Plan { stack, overlays: &OVERLAYS, out: Some("my plan") },
        plan_again(stack),
        AdvisedCommand::Apply { stack },
        AdvisedCommand::ApplySkippingGate { stack, address },
        AdvisedCommand::Report { stack, report: "20261127T221329Z-failback-base" },
        AdvisedCommand::Show { file: "plan.json" },
        AdvisedCommand::ApplyLetting { stack, flag: "--allow-replace", address },
        AdvisedCommand::ApplyLetting { stack, flag: "--revert-drift", address },
        AdvisedCommand::ApplyLetting { stack, flag: "--allow-delete", address },
        AdvisedCommand::ApplySwitch { stack, overlays: &[] },
        AdvisedCommand::ApplySwitch { stack, overlays: &OVERLAYS },
        AdvisedCommand::ApplyVariables { stack, variables: vec!["size=3".into(), "a=b c".into()] },
        AdvisedCommand::ApplyPlan { file: "my plan" },
        AdvisedCommand::Destroy { stack },
        AdvisedCommand::DestroyLetting { stack, address },
        AdvisedCommand::FailoverWhere { stack },
        AdvisedCommand::Failover { stack, to, lost: lost.clone(), planned: false },
        AdvisedCommand::Failover { stack, to, lost: Vec::new(), planned: true },
        AdvisedCommand::Failback { stack, lost: Vec::new() },
        AdvisedCommand::Failback { stack, lost },
        AdvisedCommand::FailoverWhole { stack, to, planned: true },
        AdvisedCommand::FailbackWhole { stack },
        AdvisedCommand::Recovered { stack, fault_domain: "linode:us-east" },
        AdvisedCommand::Drill { stack, to, cleanup: false },
        AdvisedCommand::Drill { stack, to, cleanup: true },
        AdvisedCommand::Status { stack },
        AdvisedCommand::Reports { stack },
        AdvisedCommand::StateList { stack },
        AdvisedCommand::StateLog { stack },
        AdvisedCommand::StateRestore { stack },
        AdvisedCommand::StateRestoreSerial { stack, serial: 7 },
        AdvisedCommand::StateMirrorSuspend { stack: "shop" },
        AdvisedCommand::StateMirrorResume { stack: "shop" },
        AdvisedCommand::StateKeep { stack: "shop", role: "mirror" },
        AdvisedCommand::StateMigrate { stack, to: "s3://b?region=r&profile=p", encrypt: None },
        AdvisedCommand::StateMigrate { stack, to: "folder", encrypt: Some("SHOP_KEY") },
        AdvisedCommand::StateShare { stack, to: "s3://BUCKET/lifeboat?region=REGION" },
        AdvisedCommand::StatePush { stack, file: "my shop.state.json", forked_at: 7 },
        AdvisedCommand::FailoverFrom { stack, from: "shop bundle", to },
        AdvisedCommand::StateRebuild { stack },
        AdvisedCommand::StateRekey { stack },
        AdvisedCommand::StateForget { stack, address },
        AdvisedCommand::StateRemember { stack, address },
        AdvisedCommand::StateUnprotect { stack, address },
        AdvisedCommand::StateResolve { stack, address },
        AdvisedCommand::StateResolveTask { stack, task: "purge", is_done: true },
        AdvisedCommand::StateResolveTask { stack, task: "purge", is_done: false },
        AdvisedCommand::Approve { stack, task: "purge" },
        AdvisedCommand::SandboxShow,
        AdvisedCommand::SandboxLogOn,
        AdvisedCommand::SandboxUnhealthy { label: "web-0" },
        AdvisedCommand::SandboxHeal { name: None },
        AdvisedCommand::SandboxHeal { name: Some("web-0") },
    ];
    samples.extend(of_reviewed_plans(stack));
    samples.iter().for_each(stands_above);
    samples
}

/// Whoever adds a command has to add it here, and so to the samples above.
fn stands_above(it: &AdvisedCommand<'_>) {
    match it {
        AdvisedCommand::Init
        | AdvisedCommand::Kinds { .. }
        | AdvisedCommand::Graph { .. }
        | AdvisedCommand::Validate { .. }
        | AdvisedCommand::Plan { .. }
        | AdvisedCommand::PlanAgain { .. }
        | AdvisedCommand::Apply { .. }
        | AdvisedCommand::ApplySkippingGate { .. }
        | AdvisedCommand::Report { .. }
        | AdvisedCommand::Show { .. }
        | AdvisedCommand::ApplyLetting { .. }
        | AdvisedCommand::DestroyLetting { .. }
        | AdvisedCommand::ApplySwitch { .. }
        | AdvisedCommand::ApplyVariables { .. }
        | AdvisedCommand::ApplyPlan { .. }
        | AdvisedCommand::Destroy { .. }
        | AdvisedCommand::FailoverWhere { .. }
        | AdvisedCommand::Failover { .. }
        | AdvisedCommand::Failback { .. }
        | AdvisedCommand::FailoverWhole { .. }
        | AdvisedCommand::FailbackWhole { .. }
        | AdvisedCommand::Recovered { .. }
        | AdvisedCommand::Drill { .. }
        | AdvisedCommand::Status { .. }
        | AdvisedCommand::Reports { .. }
        | AdvisedCommand::StateList { .. }
        | AdvisedCommand::StateLog { .. }
        | AdvisedCommand::StateRestore { .. }
        | AdvisedCommand::StateRestoreSerial { .. }
        | AdvisedCommand::StateMirrorSuspend { .. }
        | AdvisedCommand::StateMirrorResume { .. }
        | AdvisedCommand::StateKeep { .. }
        | AdvisedCommand::StateMigrate { .. }
        | AdvisedCommand::StateShare { .. }
        | AdvisedCommand::StatePush { .. }
        | AdvisedCommand::FailoverFrom { .. }
        | AdvisedCommand::StateRebuild { .. }
        | AdvisedCommand::StateRekey { .. }
        | AdvisedCommand::StateForget { .. }
        | AdvisedCommand::StateRemember { .. }
        | AdvisedCommand::StateUnprotect { .. }
        | AdvisedCommand::StateResolve { .. }
        | AdvisedCommand::StateResolveTask { .. }
        | AdvisedCommand::Approve { .. }
        | AdvisedCommand::PlanStore { .. }
        | AdvisedCommand::ApplyReviewed { .. }
        | AdvisedCommand::CiApply { .. }
        | AdvisedCommand::ApprovePlan { .. }
        | AdvisedCommand::SandboxShow
        | AdvisedCommand::SandboxLogOn
        | AdvisedCommand::SandboxUnhealthy { .. }
        | AdvisedCommand::SandboxHeal { .. } => {}
    }
}

#[test]
fn advised_command_is_accepted_in_every_world() {
    for command in samples() {
        parses(&command.words());
        for (sandbox, directory) in [(false, None), (true, None), (true, Some("my shop"))] {
            let text = command.to_string();
            // A backtick in a key would end it for a reader, too; everything else comes through the shell.
            if command.words().iter().any(|it| it.contains('`')) {
                continue;
            }
            let typed =
                lifeboat::engine::text::advice::in_world(&text, sandbox, directory).into_owned();
            let [words] = commands(&typed).try_into().expect("it is one command");
            parses(&words);
            assert_eq!(words[..command.words().len()], command.words());
        }
    }
}

/// Whatever the width.
#[test]
fn plan_keeps_advised_commands_on_one_line() {
    let home = Home::holding("tiny", TWO);
    home.overlay("tiny", "eu", OVER);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    home.lose("linode:us-east");
    let plan = home.sandbox(&["plan", "tiny", "--format", "json"]).code(5);
    let (plan, _) = lifeboat::engine::plan::format::codec::decode(&plan.stdout).unwrap();
    let whole = "`lifeboat failover tiny --to eu --lost linode:us-east --sandbox`";
    for width in [1, 20, 40, 60, 80, 100, 200] {
        let shown = text(&plan, &TextOptions { color: false, width, verbose: false });
        assert!(shown.contains(whole), "{width}: {shown}");
    }
    let told = home.sandbox(&["plan", "tiny"]).code(5);
    assert!(told.stderr.contains(whole) && told.stdout.contains(whole), "{told}");
}

const TWO: &str = "stack: tiny
resources:
  us: { kind: linode.nodebalancer, region: us-east, label: tiny-us }
  us_http: { kind: linode.nodebalancer_config, nodebalancer: '${us}', port: 80 }
  eu: { kind: linode.nodebalancer, region: eu-central, label: tiny-eu }
  zone: { kind: linode.domain, domain: example.com, type: master, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${us.ipv4}' }
";

const OVER: &str =
    "assumes_lost: ['linode:us-east']\nresources:\n  shop: { target: '${eu.ipv4}' }\n";

/// The only command of an output that begins so, as it is to be typed.
#[track_caller]
fn advised(output: &Output, verb: &str) -> Vec<String> {
    let all = [commands(&output.stderr), commands(&output.stdout)].concat();
    let mut all: Vec<Vec<String>> = all.into_iter().filter(|it| it[0] == verb).collect();
    all.dedup();
    assert_eq!(all.len(), 1, "{all:?}\n{output}");
    all.remove(0)
}

fn type_it(home: &Home, words: &[String]) -> Output {
    home.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Silence of a site: the overlay that assumes just that is named, and with several nobody guesses.
#[test]
fn plan_advises_a_failover_that_works_when_a_site_is_silent() {
    let home = Home::holding("tiny", TWO);
    home.overlay("tiny", "eu", OVER);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    home.lose("linode:us-east");
    let told = home.sandbox(&["plan", "tiny"]).code(5);
    let failover = advised(&told, "failover");
    assert_eq!(
        failover,
        ["failover", "tiny", "--to", "eu", "--lost", "linode:us-east", "--sandbox"]
    );
    // Another one assumes the same: the command that is told then lists them, and changes nothing.
    home.overlay("tiny", "other", OVER);
    let told = home.sandbox(&["plan", "tiny"]).code(5);
    let which = advised(&told, "failover");
    assert_eq!(which, ["failover", "tiny", "--sandbox"]);
    let before = home.shown();
    let listed = type_it(&home, &which).code(64).says(&[
        "  `lifeboat failover tiny --to eu --sandbox`\n    assumes lost: linode:us-east\n",
        "  `lifeboat failover tiny --to other --sandbox`\n    assumes lost: linode:us-east\n",
    ]);
    assert_eq!(home.shown(), before, "{listed}");
    type_it(&home, &[failover, vec!["--yes".into()]].concat()).code(0).done();
}

/// Records, zones and lists are read of the API, which is nobody's site: its silence is no loss of one.
#[test]
fn plan_tells_no_failure_of_the_api_itself_as_a_loss() {
    let home = Home::holding("tiny", TWO);
    home.overlay("tiny", "eu", OVER);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    for fault in ["GET /domains 503 times=8", "GET /nodebalancers hang times=8"] {
        home.fault(fault);
        let told = home.sandbox(&["plan", "tiny"]).code(5);
        assert!(!told.stderr.contains("--lost"), "{told}");
        assert!(!told.stdout.contains("--lost"), "{told}");
        home.world.end_faults().unwrap();
    }
}

/// Whoever plans anew asks for the same; a plan without steps has nothing to apply.
#[test]
fn apply_of_a_stale_plan_advises_the_same_plan_with_all_its_options() {
    let home = Home::holding("tiny", TWO);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    let made = ["plan", "tiny", "--replace", "eu", "--allow-destroys", "9", "--out", "p.json"];
    home.sandbox(&made).code(0).says(&["to apply exactly this plan"]).done();
    home.stack("tiny", TWO.replace("ops@", "admin@"));
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    let stale = home.sandbox(&["apply", "p.json", "--yes"]).code(3);
    let again = advised(&stale, "plan");
    assert_eq!(again, [&made[..], &["--sandbox"]].concat());
    type_it(&home, &again).code(0).shows(&["1 to replace"]).done();
    let empty = home.sandbox(&["plan", "tiny", "--out", "empty.json"]).code(0);
    empty.says(&["it changes nothing, so there is nothing to apply"]).done();
    let nothing = home.sandbox(&["apply", "empty.json", "--yes"]).code(0);
    nothing.says(&["nothing to do: this plan changes nothing"]).done();
}

/// A site that answers "no" lives: the cause comes first, exit 1, and not a word about a loss.
#[test]
fn plan_tells_a_denial_with_its_cause_and_never_as_a_loss() {
    let home = Home::holding("tiny", TABLES);
    home.overlay("tiny", "eu", "assumes_lost: ['aws:us-east-1']\nresources: { carts: null }\n");
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    let cases = [
        ("DescribeTable 401 times=0", "ExpiredTokenException", "denied"),
        ("DescribeTable 403 times=0", "AccessDeniedException", "denied"),
        ("GET /nodebalancers 401 times=0", "Invalid Token", "denied"),
        ("GET /domains 403 times=0", "not authorized", "denied"),
        ("GET /nodebalancers empty200 times=0", "an empty response", "malformed"),
    ];
    for (fault, cause, code) in cases {
        home.fault(fault);
        for command in [
            &["plan", "tiny"][..],
            &["apply", "tiny", "--yes"],
            &["failover", "tiny", "--to", "eu", "--planned", "--yes"],
        ] {
            // A switch that is over cannot be told from one that is not.
            if command[0] == "failover" && !fault.starts_with("DescribeTable 401") {
                continue;
            }
            let told = home.sandbox(command).code(1);
            let heard = format!("{}{}", told.stderr, told.stdout);
            assert!(!heard.contains("--lost") && !heard.contains("unseen_fault"), "{told}");
            let first = told.stderr.lines().take(6).collect::<String>();
            assert!(first.contains(code) && first.contains(cause), "{fault}: {told}");
        }
        home.world.end_faults().unwrap();
    }
}

const TABLES: &str = "stack: tiny
resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-lb }
  zone: { kind: linode.domain, domain: example.com, type: master, soa_email: ops@example.com }
  items: { kind: dynamodb.table, region: us-east-1, name: items, attributes: { id: S }, hash_key: id }
  items_eu: { kind: dynamodb.replica, table: '${items}', region: eu-west-1 }
  carts: { kind: linode.nodebalancer, region: us-east, label: tiny-carts }
";

/// The protection of production is none of a drill's business.
#[test]
fn drill_advises_lifting_a_protection_in_its_own_overlay_only() {
    let home = Home::holding(
        "tiny",
        "stack: tiny\nvariables: { at: { type: string, default: us } }\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, label: 'tiny-lb-${vars.at}', lifecycle: { prevent_destroy: true } }\n",
    );
    let away =
        "overlay: away\ndescription: elsewhere\nresources: { lb: { client_conn_throttle: 5 } }\n";
    home.overlay("tiny", "away", away);
    let drill = "workspace: drill\nrehearses: away\nvariables: { at: drill }\n";
    home.overlay("tiny", "drill", drill);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    let told = home.sandbox(&["drill", "tiny", "--to", "drill", "--yes"]).code(3);
    let heard = format!("{}{}", told.stdout, told.stderr);
    assert!(!heard.contains("unprotect"), "{told}");
    assert!(heard.contains("in the overlay `drill`"), "{told}");
    home.overlay(
        "tiny",
        "drill",
        format!("{drill}resources: {{ lb: {{ lifecycle: {{ prevent_destroy: false }} }} }}\n"),
    );
    home.sandbox(&["drill", "tiny", "--to", "drill", "--yes"]).code(0).done();
    // Where a layer says so, unprotecting the state never helps; where none does any more, it does.
    let told = home.sandbox(&["destroy", "tiny", "--yes"]).code(3);
    assert!(!told.stdout.contains("unprotect"), "{told}");
    home.stack("tiny", "stack: tiny\nresources: {}\n");
    let told = home.sandbox(&["apply", "tiny", "--yes"]).code(3);
    let unprotect = advised(&told, "state");
    assert_eq!(unprotect, ["state", "unprotect", "tiny", "lb", "--sandbox"]);
    type_it(&home, &unprotect).code(0).done();
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
}

/// A switch into what is made for a drill is no switch: what is told instead is accepted.
#[test]
fn failover_refuses_the_overlay_of_a_drill() {
    let home = Home::holding("tiny", TWO);
    home.overlay("tiny", "rehearsal", "workspace: rehearsal\nresources: { us: { label: r-us }, eu: { label: r-eu }, zone: { domain: example.org } }\n");
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    let before = home.shown();
    for flags in [&["--yes"][..], &["--yes", "--planned"]] {
        let told = home.sandbox(&[&["failover", "tiny", "--to", "rehearsal"], flags].concat());
        let told = told.code(3);
        assert_eq!(advised(&told, "drill"), ["drill", "tiny", "--to", "rehearsal", "--sandbox"]);
        assert!(!told.stderr.contains("--planned"), "{told}");
    }
    assert_eq!(home.shown(), before);
}
