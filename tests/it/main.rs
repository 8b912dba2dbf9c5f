//! Drives the real binary against the sandbox: one file per doubt, one home per test.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic too")]

mod harness;
mod advice;
mod tidy;
mod before;
mod schema;
mod main_job;
mod readme;
mod mistakes;
mod screen;
mod unseen;
mod over;
mod lost;
mod ledger;
mod guards;
mod kinds;
mod offered;
mod outside;
mod converge;
mod drill;
mod foretold;
mod cut_off;
mod audit;
mod lease;
mod watch;
mod users;
mod duo;
mod switch;
mod pair;
mod losses;
mod hold;
mod cut;
mod crash;
mod fate;
mod matrix;
mod turn;
mod turned;
mod order;
mod shown;
mod served;
mod canary;
mod hostile;
mod recorded;
mod granted;
mod foreign;
mod older;
mod logs;
mod words;
mod astray;
mod door;

/// A test file that nobody lists would pass for ever.
#[test]
fn test_files_are_all_listed_in_main() {
    let here = harness::repository().join("tests/it");
    let listed = std::fs::read_to_string(here.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(here).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|it| *it != "main") {
            let line = format!("mod {module};\n");
            assert!(listed.contains(&line), "tests/it/{name} is not listed in tests/it/main.rs");
        }
    }
}
