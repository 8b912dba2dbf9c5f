//! How tests of policies ended: lines for people, one JSON document for programs.

use serde_json::json;

use crate::engine::plan::policy_test::PolicyTestResult;
use crate::engine::text::plain::{counted, escape_control, listed};

/// What is renamed or removed raises it, what is added does not.
const VERSION: u32 = 1;

/// The tests of one file.
pub struct TestedFile {
    pub file: String,
    pub results: Vec<PolicyTestResult>,
    /// Policies that no test expects: nobody has seen that they find anything.
    pub untested: Vec<String>,
}

/// A line for each test, and what they come to.
pub fn text(tested: &[TestedFile]) -> String {
    let mut text = String::new();
    for file in tested {
        text.push_str(&format!("{}\n", escape_control(&file.file)));
        for it in &file.results {
            let end = if it.has_passed() { "ok  " } else { "FAIL" };
            text.push_str(&format!("  {end}  {}\n", escape_control(&it.name)));
            for wrong in &it.wrong {
                text.push_str(&format!("        {}\n", escape_control(wrong)));
            }
        }
        if !file.untested.is_empty() {
            let names = listed(file.untested.iter().map(String::as_str));
            text.push_str(&format!("  not covered by a test: {names}\n"));
        }
    }
    let all = tested.iter().map(|it| it.results.len()).sum::<usize>();
    let passed = tested.iter().flat_map(|it| &it.results).filter(|it| it.has_passed()).count();
    match all {
        0 => text.push_str("no tests: add `tests:` to a file of policies\n"),
        all => text.push_str(&format!(
            "{}: {passed} passed, {} failed\n",
            counted(all, "test"),
            all - passed
        )),
    }
    text
}

/// The same as a document, without its last line break.
pub fn json(tested: &[TestedFile]) -> String {
    let test = |it: &PolicyTestResult| json!({ "name": it.name, "passed": it.has_passed(), "wrong": it.wrong });
    let file = |it: &TestedFile| {
        json!({
            "file": it.file,
            "tests": it.results.iter().map(test).collect::<Vec<_>>(),
            "untested": it.untested,
        })
    };
    let document = json!({
        "format": "lifeboat policy test",
        "version": VERSION,
        "files": tested.iter().map(file).collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&document).expect("plain data serialises")
}
