//! The example's machines, made from Debian's own packages in a folder: what their health page answers, and when.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use crate::process::{Ran, Root, lifeboat_at_home};

/// Characters that mean something to YAML, to PHP, to a shell and to an ini file; SQL has to take it between single quotes.
const PASSWORD: &str = r#"a"b$c #1; {d}=é: %"#;

const ANSWERS: [&str; 7] = [
    "another password: 503 database",
    "all is well: 200 ok",
    "a file that only root reads: 503 database",
    "its rights again: 200 ok",
    "no table: 503 database",
    "the database stopped: 503 database",
    "the database is back: 200 ok",
];

/// A health page that says yes whatever happens keeps a dead shop in service; one that always says no keeps a live one out.
#[test]
fn the_example_s_health_page_tells_a_dead_database_from_a_live_one() {
    let Some(root) = root_user() else { return };
    let folder = Root::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("stacks/woocommerce");
    copy(&example, &folder.folder("stacks/woocommerce"));
    folder.write("machine/user-data", &user_data(&folder));
    let machine = folder.folder("machine").display().to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/machine.sh");
    // A machine without a way to Debian's packages is no fault of the example.
    let reach = ["bash", script, "reach", &machine, PASSWORD];
    if !as_root(&root, &reach).output().is_ok_and(|it| it.status.success()) {
        return left_out("a way to Debian's packages");
    }
    let own = ["unshare", "--mount", "--pid", "--fork", "--kill-child"];
    let make = ["bash", script, "make", &machine, PASSWORD];
    let asked = Ran::of(&mut as_root(&root, &[own, make].concat())).ends_with(0);
    let answers: Vec<&str> = asked
        .printed()
        .lines()
        .filter(|it| ANSWERS.iter().any(|case| it.starts_with(before_colon(case))))
        .collect();
    assert_eq!(answers, ANSWERS, "{}", asked.printed());
}

fn before_colon(case: &str) -> &str {
    case.split_once(": ").map_or(case, |it| it.0)
}

/// What the sandbox's metadata service would hand to the standby.
fn user_data(folder: &Root) -> String {
    let home = folder.path();
    let given = format!("database_password={PASSWORD}");
    let words =
        ["--var", "database_host=127.0.0.1", "--var", &given, "--var", "repository=/srv/origin"];
    let apply = [&["apply", "woocommerce", "--sandbox", "--yes"], words.as_slice()].concat();
    lifeboat_at_home(home, &apply).ends_with(0);
    let shown = lifeboat_at_home(home, &["sandbox", "show"]).ends_with(0);
    let world: serde_yaml::Value = serde_yaml::from_str(shown.printed()).unwrap();
    let machine = &world["linode:eu-central"]["instances"][0];
    assert_eq!(
        (&machine["label"], &machine["image"]),
        (&"shop-eu-0".into(), &"linode/debian12".into())
    );
    machine["user_data"].as_str().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// How root's commands begin here.
type RootUser = Vec<&'static str>;

/// Who may make a machine: root, or whoever may become it without a password. Without either, or where not even root may
/// make namespaces (a container without privileges), the check says so past the captured output, and is left out.
fn root_user() -> Option<RootUser> {
    let may = |user: &RootUser| {
        let mut command = as_root(
            user,
            &["unshare", "--mount", "--pid", "--net", "--fork", "chroot", "/", "true"],
        );
        command.output().is_ok_and(|it| it.status.success())
    };
    let found = [Vec::new(), vec!["sudo", "-n"]].into_iter().find(may);
    let has_apt = Path::new("/usr/lib/apt/apt-helper").is_file();
    if found.is_none() || !has_apt {
        left_out(if has_apt { "root and its namespaces" } else { "apt" });
        return None;
    }
    found
}

/// Said past the captured output: `eprintln!` is what tests keep to themselves.
fn left_out(lacks: &str) {
    let text = "NOT CHECKED: the example's health page on Debian's packages; this machine lacks";
    std::io::stderr().write_all(format!("\n{text} {lacks}\n\n").as_bytes()).unwrap();
}

fn as_root(user: &RootUser, words: &[&str]) -> Command {
    let all = [user.as_slice(), words].concat();
    let mut command = Command::new(all[0]);
    command.args(&all[1..]).stdin(std::process::Stdio::null());
    command
}
