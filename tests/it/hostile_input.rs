//! Layers, environments and machines that mean no good, or know no better: links, bombs, control characters, full disks.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Home, Output};

const ZONE: &str = "stack: tiny\nresources:\n  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }\n";
const OUTSIDE: &str = "LINODE_TOKEN=secret-of-somebody-else";

/// The longest that a bomb may take on a machine that is busy with other tests, in an unoptimised build.
const BOMB: Duration = Duration::from_secs(30);

fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.args(arguments).current_dir(home.path(".")).env_clear().stdin(Stdio::null());
    command
        .env("HOME", home.path("."))
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// Runs it, and looks that it ended by itself and without a panic.
#[track_caller]
fn ran(mut command: Command) -> (i32, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!text.contains("panicked at"), "{text}");
    (output.status.code().unwrap_or_else(|| panic!("{:?}: {text}", output.status)), text)
}

#[track_caller]
fn tells_nothing(run: &Output) {
    let text = format!("{}{}", run.stdout, run.stderr);
    assert!(!text.contains("secret-of-somebody"), "{run}");
}

#[test]
fn validate_follows_no_link_out_of_the_stack() {
    let home = Home::holding("tiny", ZONE);
    home.write("outside/token", OUTSIDE);
    home.write("outside/stack.yaml", ZONE.replace("tiny", "linked"));
    let link = |target: &str, below: &str| {
        std::fs::create_dir_all(home.path(below).parent().unwrap()).unwrap();
        symlink(home.path(target), home.path(below)).unwrap();
    };
    link("outside/token", "stacks/tiny/overlays/eu.yaml");
    link("outside/token", "stacks/tiny/vars.yaml");
    link("outside", "stacks/tiny/files");
    link("outside", "stacks/linked");
    link("outside/token", "stacks/other/stack.yaml");
    let file = "outputs: { token: \"${file('files/token')}\" }\n";
    home.stack("reader", format!("stack: reader\n{file}"));
    link("outside", "stacks/reader/files");
    for words in [
        &["validate", "tiny", "-o", "eu"][..],
        &["plan", "tiny", "--sandbox", "--var-file", "stacks/tiny/vars.yaml"],
        &["validate", "linked"],
        &["validate", "stacks/linked"],
        &["validate", "other"],
        &["validate", "reader"],
        &["render", "tiny", "-o", "eu"],
        &["apply", "other", "--sandbox", "--yes"],
    ] {
        let run = home.run(words).code(1);
        tells_nothing(&run);
    }
    // Within the stack's folder a link is as good as a file.
    home.write("stacks/tiny/shared.yaml", "overlay: near\n");
    symlink("../shared.yaml", home.path("stacks/tiny/overlays/near.yaml")).unwrap();
    home.run(&["validate", "tiny", "-o", "near"]).code(0).done();
}

#[test]
fn plan_overwrites_nothing_but_a_plan() {
    let home = Home::holding("tiny", ZONE);
    home.write("mine", "my own words");
    symlink("mine", home.path("link.json")).unwrap();
    symlink("mine", home.path("p.json.new")).unwrap();
    std::fs::create_dir(home.path("real")).unwrap();
    symlink("real", home.path("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(home.path("pipe")).status().unwrap().success());
    let out = |file: &str| home.sandbox(&["plan", "tiny", "--out", file]);
    for file in ["link.json", "pipe", "mine", "stacks/tiny/stack.yaml", "folder/p.json", "real"] {
        out(file).code(1).says(&["nothing was written"]).done();
    }
    out("p.json").code(0).done();
    out("p.json").code(0).done();
    assert_eq!(std::fs::read_to_string(home.path("mine")).unwrap(), "my own words");
    assert_eq!(std::fs::read_to_string(home.path("stacks/tiny/stack.yaml")).unwrap(), ZONE);
    assert!(std::fs::symlink_metadata(home.path("link.json")).unwrap().is_symlink());
    let mode =
        |file: &str| std::fs::metadata(home.path(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("p.json"), 0o600);
    home.sandbox(&["apply", "p.json", "--yes"]).code(0).done();
    let state = |file: &str| mode(&format!("state/sandbox/states/tiny/{file}"));
    assert_eq!((state("state.snapshot"), state("journal")), (0o600, 0o600));
}

#[test]
fn init_writes_through_no_link() {
    let home = Home::new();
    std::fs::create_dir_all(home.path("new")).unwrap();
    std::fs::create_dir_all(home.path("outside")).unwrap();
    symlink("../outside", home.path("new/.github")).unwrap();
    home.run(&["init", "new"]).code(1).says(&["is a symbolic link", "nothing was written"]).done();
    assert!(!home.path("new/stacks").exists());
    std::fs::remove_file(home.path("new/.github")).unwrap();
    symlink("nowhere", home.path("new/.gitignore")).unwrap();
    home.run(&["init", "new"]).code(0).says(&["kept    .gitignore"]).done();
    assert!(!home.path("new/nowhere").exists());
    assert_eq!(std::fs::read_dir(home.path("outside")).unwrap().count(), 0);
}

#[test]
fn plan_panics_on_no_machine() {
    let home = Home::holding("tiny", ZONE);
    // No certificate authorities: a slim image.
    let bare = |arguments: &[&str]| {
        let mut command = command(&home, arguments);
        command.env("SSL_CERT_FILE", "/nowhere/file").env("SSL_CERT_DIR", "/nowhere/folder");
        command
    };
    let (code, text) = ran(bare(&["plan", "tiny", "--sandbox"]));
    assert_eq!(code, 0, "{text}");
    let mut clouds = bare(&["plan", "tiny"]);
    let (code, text) = ran({
        clouds.env("LINODE_TOKEN", "x");
        clouds
    });
    assert!(code == 1 && text.contains("certificate"), "{code} {text}");
    home.stack("data", "stack: data\nresources:\n  t: { kind: dynamodb.table, region: us-east-1, name: t_t, attributes: { a: S }, hash_key: a, billing_mode: PAY_PER_REQUEST }\n");
    let mut clouds = bare(&["plan", "data"]);
    let (code, text) = ran({
        clouds.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SECRET_ACCESS_KEY", "x");
        clouds
    });
    assert!(code == 1 && text.contains("certificate"), "{code} {text}");
    // Names, values and paths that are no UTF-8.
    let odd = OsStr::from_bytes(b"caf\xe9-secret-of-somebody");
    for (name, value) in [
        (odd, odd),
        (OsStr::new("OTHER"), odd),
        (OsStr::new("USER"), odd),
        (OsStr::new("LINODE_TOKEN"), odd),
    ] {
        let mut strange = command(&home, &["plan", "tiny", "--sandbox"]);
        let (code, text) = ran({
            strange.env(name, value);
            strange
        });
        assert!(code == 0 && !text.contains("secret-of-somebody"), "{code} {text}");
    }
    let mut given = command(&home, &["plan", "tiny", "--sandbox"]);
    let (code, text) = ran({
        given.env("LIFEBOAT_VAR_x", odd);
        given
    });
    assert!(code == 1 && text.contains("LIFEBOAT_VAR_x is not UTF-8"), "{code} {text}");
    assert!(!text.contains("secret-of-somebody"), "{text}");
    let folder = home.path(".").join(odd);
    std::fs::create_dir_all(folder.join("stacks/tiny")).unwrap();
    std::fs::write(folder.join("stacks/tiny/stack.yaml"), ZONE).unwrap();
    for words in [
        &["plan", "tiny", "--sandbox"][..],
        &["apply", "tiny", "--sandbox", "--yes"],
        &["state", "list", "tiny", "--sandbox"],
    ] {
        let mut there = command(&home, words);
        let (code, text) = ran({
            there.arg("-C").arg(odd);
            there
        });
        assert_eq!(code, 0, "{text}");
    }
}

/// A reader that goes away, and streams that were never open: cron, `| head`, a container without a terminal.
#[test]
fn apply_ends_nothing_half_way_when_streams_are_closed() {
    let home = Home::woocommerce();
    let shell = |line: &str| {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &line.replace("lifeboat", env!("CARGO_BIN_EXE_lifeboat"))])
            .current_dir(home.path("."))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null());
        ran(shell)
    };
    for (line, expected) in [
        ("lifeboat plan woocommerce --sandbox >&-", 0),
        ("lifeboat plan woocommerce --sandbox 2>&-", 0),
        ("lifeboat plan woocommerce --sandbox <&- >&- 2>&-", 0),
        ("lifeboat plan nosuch --sandbox 2>&-", 1),
        ("lifeboat apply woocommerce --sandbox --yes <&- >&- 2>&-", 0),
    ] {
        let (code, text) = shell(line);
        assert_eq!(code, expected, "{line}: {text}");
    }
    // What was done is done, and recorded.
    home.sandbox(&["plan", "woocommerce", "--detailed-exitcode"]).code(0).done();
    let (code, text) = shell(
        "lifeboat destroy woocommerce --sandbox --yes 2>&1 | head -n 1 >/dev/null; lifeboat state list woocommerce --sandbox",
    );
    assert!(code == 0 || text.contains("nothing was applied"), "{code} {text}");
    assert!(home.world.is_empty().unwrap(), "{}", home.shown());
}

/// `RLIMIT_FSIZE` is a disk that is full for this process alone; the signal is switched off, as on a real disk there is none.
#[test]
fn apply_tells_a_full_disk_and_tears_nothing() {
    let home = Home::woocommerce();
    home.sandbox(&["plan", "woocommerce"]).code(0).done();
    for blocks in ["0", "4", "16", "40"] {
        let line = format!(
            "trap '' 25; ulimit -f {blocks}; exec '{}' apply woocommerce --sandbox --yes",
            env!("CARGO_BIN_EXE_lifeboat")
        );
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &line])
            .current_dir(home.path("."))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null());
        let (code, text) = ran(shell);
        assert!([1, 3, 4, 5].contains(&code), "{code} {text}");
    }
    home.sandbox(&["apply", "woocommerce", "--yes"]).code(0).done();
    home.sandbox(&["plan", "woocommerce", "--detailed-exitcode"]).code(0).done();
}

#[test]
fn validate_and_apply_take_lines_longer_than_any_screen() {
    let home = Home::new();
    let long = "k".repeat(70_000);
    home.stack("wide", format!("{{\"stack\": \"wide\", \"outputs\": {{\"{long}\": 1, \"b\": \"${{nothing.x}}\"}}, \"wrong\": 1}}"));
    home.run(&["validate", "wide"]).code(1).says(&["wrong", "nothing"]).done();
    let zone = format!(
        "{ZONE}  r:\n    kind: linode.domain_record\n    for_each: ['{long}', 'b']\n    domain: '${{zone}}'\n    type: A\n    name: 'r${{each.key.size()}}'\n    target: 192.0.2.1\n"
    );
    home.stack("tiny", zone);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    home.sandbox(&["state", "list", "tiny"]).code(0).shows(&[&long, "r[\"b\"]"]).done();
    home.sandbox(&["status", "tiny"]).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

/// What would take minutes or gigabytes: its name, the body of its stack, and the code that it ends in.
fn bombs() -> Vec<(&'static str, String, &'static str)> {
    let record = |name: &str, target: &str| {
        format!(
            "  {name}: {{ kind: linode.domain_record, domain: '${{zone}}', type: TXT, name: {name}, target: '{target}' }}\n"
        )
    };
    let chain = |text: &dyn Fn(usize) -> String| -> String {
        (1..40).map(|it| record(&format!("t{it}"), &text(it))).collect()
    };
    let doubling = chain(&|it| format!("${{t{0}.target}}${{t{0}.target}}", it - 1));
    let ring: String = (0..2_000)
        .map(|it| record(&format!("c{it}"), &format!("${{c{}.target}}", (it + 1) % 2_000)))
        .collect();
    let lost: String =
        (0..20_000).map(|it| record(&format!("r{it}"), &format!("${{q{it}.target}}"))).collect();
    let large = "x".repeat(1 << 20);
    let aliases: Vec<String> = (0..500).map(|it| format!("  a{it}: *big\n")).collect();
    let aliases = aliases.concat();
    let many = "${stack.name}".repeat(100_000);
    let thousand = format!("[{}]", vec!["'x'"; 1_000].join(", "));
    vec![
        ("doubling", format!("{}{doubling}", record("t0", &"x".repeat(200))), "too_long"),
        ("ring", ring, "cycle"),
        ("lost", lost, "more"),
        ("aliases", format!("outputs:\n  big: &big '{large}'\n{aliases}"), "alias_bomb"),
        ("many", format!("outputs: {{ a: '{many}' }}\n"), "too_many_expressions"),
        (
            "replace",
            format!(
                "outputs: {{ a: \"${{'aaaaaaaaaa'{}}}\" }}\n",
                ".replace('a', 'aaaaaaaaaa')".repeat(9)
            ),
            "too_costly",
        ),
        // Each of them could be paid for.
        (
            "many maps",
            format!(
                "variables: {{ l: {{ type: list, default: {thousand} }} }}\noutputs:\n{}",
                (0..500)
                    .map(|it| format!(
                        "  o{it}: '${{vars.l.map(a, vars.l.filter(b, b == a).size()).size()}}'\n"
                    ))
                    .collect::<Vec<_>>()
                    .concat()
            ),
            "too_costly",
        ),
        (
            "many copies",
            format!(
                "variables: {{ t: {{ type: string, default: '{large}' }} }}\noutputs:\n{}",
                (0..500).map(|it| format!("  o{it}: '${{vars.t}}'\n")).collect::<Vec<_>>().concat()
            ),
            "too_costly",
        ),
        (
            "map",
            format!(
                "variables: {{ l: {{ type: list, default: {thousand} }} }}\noutputs: {{ a: '${{vars.l.map(a, vars.l.map(b, vars.l.map(c, a + b + c))).size()}}' }}\n"
            ),
            "too_costly",
        ),
    ]
}

#[test]
fn validate_reports_bombs() {
    let home = Home::new();
    for (what, body, says) in bombs() {
        let body = if body.starts_with("  ") {
            format!(
                "resources:\n  zone: {{ kind: linode.domain, domain: example.com, soa_email: ops@example.com }}\n{body}"
            )
        } else {
            body
        };
        home.stack("bomb", format!("stack: bomb\n{body}"));
        let begun = Instant::now();
        let run = home.sandbox(&["plan", "bomb"]);
        let (took, said) = (begun.elapsed(), &run.stderr);
        assert!(took < BOMB, "{what}: {took:?}");
        assert!(
            run.code == Some(1) && said.contains(says),
            "{what}: {:?} {}",
            run.code,
            said.chars().take(3_000).collect::<String>()
        );
        assert!(said.len() < 200_000, "{what}: {} bytes", said.len());
    }
}

/// ESC, OSC 8, CR, newline, C1, bidi.
const NASTY: &str = "a\\e]8;;http://x\\e\\\\b\\rc\\nurl = forged\\u009b31m\\u202ed";

#[test]
fn plan_and_apply_let_nothing_act_on_the_terminal() {
    let home = Home::new();
    let stack = format!(
        "stack: tiny\nvariables: {{ k: {{ type: list, default: [\"{NASTY}\"] }} }}\nresources:\n  zone: {{ kind: linode.domain, domain: example.com, soa_email: ops@example.com }}\n  r:\n    kind: linode.domain_record\n    for_each: '${{vars.k}}'\n    domain: '${{zone}}'\n    type: TXT\n    name: r\n    target: 'x'\noutputs: {{ forged: \"{NASTY}\", url: real }}\n"
    );
    home.stack("tiny", &stack);
    let mut runs = vec![
        home.sandbox(&["plan", "tiny", "--out", "p.json"]).code(0),
        home.run(&["show", "p.json"]).code(0),
        home.run(&["graph", "tiny"]).code(0),
        home.sandbox(&["apply", "tiny", "--yes"]).code(0),
        home.sandbox(&["state", "list", "tiny"]).code(0),
        home.sandbox(&["state", "log", "tiny", "--entries"]).code(0),
        home.sandbox(&["status", "tiny"]).code(0),
        home.run(&["render", "tiny"]).code(0),
        home.run(&["validate", NASTY_NAME]).code(1),
        home.run(&["validate", "tiny", "-o", NASTY_NAME]).code(1),
        home.run(&["plan", "tiny", NASTY_NAME]).code(64),
        home.sandbox(&["state", "show", "tiny", NASTY_NAME]).code(64),
    ];
    let applied = &runs[3].stdout;
    assert_eq!(
        applied.lines().filter(|it| it.starts_with("url = ")).collect::<Vec<_>>(),
        ["url = real"]
    );
    // The address that is printed is the one that is typed.
    let list = runs[4].stdout.clone();
    let address =
        list.lines().find(|it| it.starts_with("r[")).unwrap().rsplit_once("\"]").unwrap().0;
    runs.push(
        home.sandbox(&["state", "show", "tiny", &format!("{address}\"]")])
            .code(0)
            .shows(&["linode.domain_record"]),
    );
    home.stack("tiny", stack.replace("name: r\n", &format!("name: r\n    \"{NASTY}\": 1\n")));
    runs.push(home.run(&["validate", "tiny"]).code(1));
    home.write(
        "stacks/tiny/stack.yaml",
        "stack: tiny\n# \u{1b}]0;title\u{7}\u{9b}31m\u{202e}\nwrong: 1 # \u{1b}[2J\r\n",
    );
    runs.push(home.run(&["validate", "tiny"]).code(1));
    for run in runs {
        let acts = |it: char| {
            (it.is_control() && it != '\n' && it != '\t') || matches!(it, '\u{202a}'..='\u{202e}')
        };
        assert!(
            !run.stdout.contains(acts) && !run.stderr.contains(acts),
            "{:?}\n{:?}",
            run.stdout,
            run.stderr
        );
    }
}

const NASTY_NAME: &str = "x\u{1b}[2J\u{1b}]0;t\u{7}\r\u{202e}y";
