//! The rules of the house, checked over `src/`: layers, purity, names, sizes, and that every mistake has been shown once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use lifeboat::engine::text::codes::DiagnosticCode;
use regex::Regex;

use crate::harness::{files, repository};

/// A file ends before this.
const LINES_MAX: usize = 535;

/// Names that say nothing.
const EMPTY_NAMES: [&str; 5] = ["utils", "helpers", "manager", "common", "misc"];

/// Codes that no test and no snapshot shows yet; the list may only shrink.
const UNSHOWN_CODES: &[&str] =
    &["bad_rule", "cannot_rename", "file_too_large", "unknown_kind_in_state"];

/// One file of `src/`.
struct Source {
    /// `src/core/engine/plan/steps/order.rs`
    name: String,
    /// `["engine", "plan", "steps", "order"]`; empty for lib.rs.
    module: Vec<String>,
    text: String,
    /// Without comments, texts and test modules.
    code: String,
    /// The texts of the code, test modules left out.
    texts: Vec<String>,
    /// The file holds nothing but tests.
    is_test: bool,
}

static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let root = repository();
    let read = |path: &Path| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(path).unwrap();
        source(name, text)
    };
    let mut sources: Vec<Source> =
        files(&root.join("src"), "rs").iter().map(|it| read(it)).collect();
    let only_in_tests: Vec<String> = sources
        .iter()
        .flat_map(|it| {
            let declared = &Regex::new(r"#\[cfg\(test\)\]\s*(?:pub )?mod (\w+);").unwrap();
            let module = it.module.join("::");
            declared
                .captures_iter(&it.text)
                .map(|found| format!("{module}::{}", &found[1]))
                .collect::<Vec<_>>()
        })
        .collect();
    for source in &mut sources {
        let module = format!("{}::", source.module.join("::"));
        source.is_test = only_in_tests.iter().any(|it| module.starts_with(&format!("{it}::")));
    }
    sources
});

fn source(name: String, text: String) -> Source {
    let module: Vec<String> = name
        .trim_start_matches("src/")
        .trim_start_matches("core/")
        .trim_end_matches(".rs")
        .split('/')
        .filter(|it| !matches!(*it, "lib" | "main" | "mod"))
        .map(Into::into)
        .collect();
    let (code, texts) = split(without_tests(&text));
    Source { name, module, text, code, texts, is_test: false }
}

/// Test modules stand at the end of their file.
fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests {").map_or(text, |at| text.split_at(at).0)
}

/// Code without comments and texts, and the texts.
fn split(text: &str) -> (String, Vec<String>) {
    static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
        let raw = "r#\"(?s:.*?)\"#|r\"[^\"]*\"";
        let text = "b?\"(?:[^\"\\\\]|\\\\(?s:.))*\"";
        let letter = r"b?'(?:[^'\\]|\\.|\\u\{[0-9a-f]+\}|\\x[0-9a-f]{2})'";
        Regex::new(&format!(r"//[^\n]*|(?s:/\*.*?\*/)|{raw}|{text}|{letter}")).unwrap()
    });
    let mut texts = Vec::new();
    let code = TOKEN.replace_all(text, |found: &regex::Captures<'_>| {
        let token = &found[0];
        if token.starts_with('/') {
            return String::new();
        }
        texts.push(token.to_owned());
        "\"\"".to_owned()
    });
    (code.into_owned(), texts)
}

fn in_use() -> impl Iterator<Item = &'static Source> {
    SOURCES.iter().filter(|it| !it.is_test)
}

fn report(broken: Vec<String>) {
    assert!(broken.is_empty(), "{} of the rules' breaks:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn every_file_opens_with_one_sentence() {
    let mut all = files(&repository().join("src"), "rs");
    all.extend(files(&repository().join("tests"), "rs"));
    all.extend(files(&repository().join("benches"), "rs"));
    let opening = |text: &str| {
        let first = text.lines().next().unwrap_or_default();
        first.starts_with("//! ") && first.ends_with(['.', ':', ';', ','])
    };
    let wrong = all.iter().filter(|it| !opening(&std::fs::read_to_string(it).unwrap()));
    report(wrong.map(|it| it.display().to_string()).collect());
}

/// Every module's children in the order of their `mod` lines, by the module's path. A crate that stands in `lib.rs` under a
/// name of its own is a layer like a module.
fn orders() -> BTreeMap<String, Vec<String>> {
    let line = Regex::new(
        r"(?m)^\s*(?:pub(?:\([a-z]+\))? )?mod (\w+);|^pub use lifeboat_core::\{([a-z, ]+)\};|^pub use lifeboat_\w+ as (\w+);",
    )
    .unwrap();
    let names = |it: regex::Captures<'_>| -> Vec<String> {
        let found = it.iter().skip(1).flatten().next().unwrap().as_str();
        found.split(", ").map(Into::into).collect()
    };
    let children = |it: &Source| line.captures_iter(&it.code).flat_map(names).collect();
    let modules =
        SOURCES.iter().filter(|it| it.name != "src/core/lib.rs" && it.name != "src/main.rs");
    modules.map(|it| (it.module.join("::"), children(it))).collect()
}

#[test]
fn modules_use_only_what_is_declared_above_them() {
    let path = Regex::new(r"\bcrate((?:::\w+)+)(?:::\{([^}]*)\})?").unwrap();
    let orders = orders();
    let mut broken = BTreeSet::new();
    for it in in_use().filter(|it| it.name != "src/main.rs") {
        assert!(!it.code.contains("crate::{"), "{}: one line for each use", it.name);
        for found in path.captures_iter(&it.code) {
            let bundle = found.get(2).map_or("self", |it| it.as_str());
            for part in bundle.split(',').map(str::trim).filter(|it| !it.is_empty()) {
                let mut target: Vec<&str> = found[1]
                    .split("::")
                    .chain(part.split("::"))
                    .filter(|it| !it.is_empty())
                    .collect();
                target.retain(|it| *it != "self");
                if it.module.first().is_some_and(|it| it == "sandbox") {
                    target.insert(0, "sandbox");
                }
                if let Some(why) = looks_down(&it.module, &target, &orders) {
                    broken.insert(format!("{} uses {}: {why}", it.name, target.join("::")));
                }
            }
        }
    }
    report(broken.into_iter().collect());
}

/// Why one module may not use another.
fn looks_down(
    module: &[String],
    target: &[&str],
    orders: &BTreeMap<String, Vec<String>>,
) -> Option<String> {
    let shared = module.iter().zip(target).take_while(|(a, b)| a == *b).count();
    let parent = module[..shared].join("::");
    let order = orders.get(&parent)?;
    // A parent may name its children.
    let own = order.iter().position(|it| Some(it) == module.get(shared))?;
    let Some(named) = target.get(shared) else {
        return Some("that is its own parent".into());
    };
    let other = order.iter().position(|it| it == named);
    match other {
        Some(other) if other < own => None,
        Some(_) => Some(format!("`{named}` is declared below `{}`", order[own])),
        None => Some("it reaches through its own parent".into()),
    }
}

#[test]
fn looks_down_finds_uses_of_what_is_declared_below() {
    let orders = BTreeMap::from([
        (String::new(), vec!["engine".into(), "cli".into()]),
        ("engine".into(), vec!["value".into(), "plan".into()]),
    ]);
    let check = |module: &str, target: &str| {
        let module: Vec<String> = module.split("::").map(Into::into).collect();
        looks_down(&module, &target.split("::").collect::<Vec<_>>(), &orders).is_none()
    };
    assert!(check("cli", "engine::plan"));
    assert!(check("engine::plan", "engine::value::Value"));
    assert!(!check("engine::value", "engine::plan"));
    assert!(!check("engine::value", "cli::out"));
    assert!(!check("engine::plan", "engine::Thing"));
    assert!(check("engine", "engine::plan::Plan"));
}

#[test]
fn no_kind_is_named_in_general_code() {
    let kinds: Vec<String> = lifeboat::kinds::builtin().kinds.into_keys().collect();
    let mut broken = Vec::new();
    for it in in_use() {
        // Where kinds live, where their cloud is pretended, where they are driven by hand, and a first stack.
        let home =
            ["src/core/kinds/", "src/sandbox/", "src/cloud/dynamodb/", "src/cli/commands/init/"];
        if home.iter().any(|home| it.name.starts_with(home)) {
            continue;
        }
        let text = it.texts.join("\n");
        for kind in kinds.iter().filter(|kind| text.contains(kind.as_str())) {
            broken.push(format!("{} names {kind}", it.name));
        }
    }
    report(broken);
}

/// Texts of general code that name a provider or its cloud all the same, and why.
const NAMING: [(&str, &str, &str); 5] = [
    (
        "src/cloud/settings.rs",
        "https://api.linode.com/v4",
        "where LINODE_URL leads if nobody sets it",
    ),
    (
        "src/cli/commands/audit.rs",
        "such as --here linode:us-east",
        "advice shows what a fault domain is",
    ),
    (
        "src/cli/commands/sandbox/mistakes.rs",
        "write `linode:REGION`",
        "the same, of the sandbox's own",
    ),
    (
        "src/core/engine/lang/lower/recovery_keys.rs",
        "write `linode:us-east`",
        "the same, in an overlay",
    ),
    (
        "src/core/engine/lang/json_schema.rs",
        "a switch to this overlay assumes lost",
        "the same, in an editor",
    ),
];

/// Concurrency, accounts, endpoints and fault domains of a provider are its driver's: a new cloud is a new driver, and no
/// branch anywhere else.
#[test]
fn no_provider_is_named_in_general_code() {
    let catalog = lifeboat::kinds::builtin();
    let kinds = catalog.kinds.values();
    let names: BTreeSet<&str> =
        kinds.flat_map(|it| [it.provider.as_str(), it.cloud.as_str()]).collect();
    assert!(names.len() >= 3, "{names:?}");
    let names: Vec<&str> = names.into_iter().collect();
    let name = Regex::new(&format!(r"\b({})\b", names.join("|"))).unwrap();
    // Where kinds live, where each is driven and pretended, where states are kept with one, and a first stack.
    let home = [
        "src/core/kinds/",
        "src/sandbox/",
        "src/cloud/linode/",
        "src/cloud/dynamodb/",
        "src/store/remote/",
        "src/cli/commands/init/",
    ];
    let mut broken = Vec::new();
    let mut met = BTreeSet::new();
    for it in in_use().filter(|it| !home.iter().any(|home| it.name.starts_with(home))) {
        for text in it.texts.iter().filter(|text| name.is_match(text)) {
            let allowed =
                NAMING.iter().find(|(file, part, _)| *file == it.name && text.contains(*part));
            match allowed {
                Some((file, part, _)) => {
                    met.insert((*file, *part));
                }
                None => broken.push(format!("{} names a provider: {text}", it.name)),
            }
        }
    }
    let stale = NAMING.iter().filter(|(file, part, _)| !met.contains(&(*file, *part)));
    broken.extend(stale.map(|(file, part, _)| format!("{file} does not say {part} any more")));
    report(broken);
}

/// What is to be typed is built in one place, so that a test can type all of it.
#[test]
fn no_command_is_written_by_hand_into_a_message() {
    let mut broken = Vec::new();
    // The sandbox uses nothing of the engine.
    let home =
        ["src/core/engine/text/advice.rs", "src/sandbox/shared.rs", "src/sandbox/world/folder.rs"];
    for it in in_use().filter(|it| !home.contains(&it.name.as_str())) {
        let texts = it.texts.iter().filter(|it| it.contains("`lifeboat "));
        broken.extend(texts.map(|text| format!("{} writes {text}", it.name)));
    }
    report(broken);
}

#[test]
fn module_names_and_file_lengths_keep_to_the_rules() {
    let mut broken = Vec::new();
    for it in SOURCES.iter() {
        for name in it.module.iter().filter(|name| EMPTY_NAMES.contains(&name.as_str())) {
            broken.push(format!("{} is called {name}", it.name));
        }
        let lines = without_tests(&it.text).lines().count();
        if lines > LINES_MAX && !it.is_test {
            broken.push(format!("{} has {lines} lines before its tests", it.name));
        }
    }
    report(broken);
}

#[test]
fn sources_hold_no_todo_dbg_or_ignored_test() {
    let marks = ["todo!", "unimplemented!", "dbg!", "#[ignore", "FIXME", "XXX"];
    let mut broken = Vec::new();
    for it in SOURCES.iter() {
        for mark in marks.iter().filter(|mark| it.text.contains(**mark)) {
            broken.push(format!("{} holds {mark}", it.name));
        }
    }
    report(broken);
}

#[test]
fn no_path_of_anybody_s_machine_is_committed() {
    let root = repository().display().to_string();
    let mut all = files(&repository().join("src"), "rs");
    all.extend(files(&repository().join("tests"), "rs"));
    all.extend(files(&repository().join("tests"), "snap"));
    all.extend(files(&repository().join("stacks"), "yaml"));
    let names = |it: &Path| std::fs::read_to_string(it).unwrap().contains(&root);
    report(all.iter().filter(|it| names(it)).map(|it| it.display().to_string()).collect());
}

/// Files of the store that know what a folder is: the backend, how it writes for the owner alone, and what git tracks.
const FOLDER_FILES: [&str; 4] = [
    "src/store/file_lock.rs",
    "src/store/folder.rs",
    "src/store/private.rs",
    "src/store/tracked.rs",
];

/// Files of ops that read what people write: layers, files and templates, where a stack is, and all of it for a bundle.
const READING_FILES: [&str; 6] = [
    "src/ops/contained.rs",
    "src/ops/load/base_files.rs",
    "src/ops/load/layers.rs",
    "src/ops/load/stack_files.rs",
    "src/ops/load/stack_ref.rs",
    "src/ops/tasks/program.rs",
];

/// What code asks of the file system past [`lifeboat::store::backend::Backend`].
fn touches_files(code: &str) -> bool {
    static FILES: LazyLock<Regex> = LazyLock::new(|| {
        let path = r"\b(?:std|tokio|rustix)\s*::\s*(?:\{[^;]*\b)?fs\b|\bfs\s*::|\bFile\s*::|\bOpenOptions\b";
        let of_a_path = r"\.(?:exists|try_exists|is_file|is_dir|read_dir|canonicalize|metadata|symlink_metadata)\(";
        Regex::new(&format!("{path}|{of_a_path}")).unwrap()
    });
    FILES.is_match(code)
}

fn touching(room: &str) -> Vec<&'static str> {
    let of_room = in_use().filter(|it| it.name.starts_with(room));
    of_room.filter(|it| touches_files(&it.code)).map(|it| it.name.as_str()).collect()
}

/// Another place for states is another backend: leases, journals, reports and memories are built once, and over no folder.
/// What states there are is asked of the store as well.
#[test]
fn states_are_files_only_where_the_store_is_a_folder() {
    assert_eq!(touching("src/store/"), FOLDER_FILES);
    assert_eq!(touching("src/ops/"), READING_FILES);
}

#[test]
fn the_rule_about_files_bites() {
    for code in [
        "std::fs::read(&path)",
        "use std::fs::{File, OpenOptions};",
        "use std::{fmt, fs, io};",
        "File::open(path)",
        "if path.exists() {}",
        "state.is_dir()",
        "tokio::fs::write(path, bytes)",
    ] {
        assert!(touches_files(code), "{code}");
    }
    for code in ["backend.get(&key)", "use std::path::PathBuf;", "WatchFile::new(backend)", "offs"]
    {
        assert!(!touches_files(code), "{code}");
    }
}

/// A mistake that nobody has ever seen shown is probably not worded well.
#[test]
fn every_code_is_in_a_test_or_a_snapshot() {
    let mut said = String::new();
    let mut shown = String::new();
    for it in SOURCES.iter().filter(|it| it.name != "src/core/engine/text/codes.rs") {
        let code = if it.is_test { "" } else { without_tests(&it.text) };
        said.push_str(code);
        shown.push_str(it.text.split_at(code.len()).1);
    }
    for folder in ["src", "tests"] {
        for file in files(&repository().join(folder), "snap") {
            shown.push_str(&std::fs::read_to_string(file).unwrap());
        }
    }
    for file in files(&repository().join("tests"), "rs") {
        // This list is no proof.
        if !file.ends_with("tidy.rs") {
            shown.push_str(&std::fs::read_to_string(file).unwrap());
        }
    }
    let word = |it: &str| Regex::new(&format!(r"\b{it}\b")).unwrap();
    let codes = || DiagnosticCode::ALL.iter();
    let unsaid = codes().filter(|it| !word(&format!("DiagnosticCode::{it:?}")).is_match(&said));
    assert_eq!(unsaid.collect::<Vec<_>>(), [&DiagnosticCode::WrongType; 0], "nothing says these");
    let unshown = codes().filter(|it| !word(it.as_str()).is_match(&shown));
    let unshown: Vec<String> = unshown.map(ToString::to_string).collect();
    let expected: Vec<String> = UNSHOWN_CODES.iter().map(ToString::to_string).collect();
    assert_eq!(unshown, expected, "left: no test shows these; right: the list in this file");
}

/// A name of a type is said once in the whole house, so that whoever searches for it finds one thing. Associated types have the
/// names that their traits give them.
#[test]
fn no_type_name_is_declared_twice() {
    let declared =
        Regex::new(r"(?m)^(?:    )?(?:pub(?:\([\w: ]+\))? )?(?:struct|enum|trait|union) (\w+)")
            .unwrap();
    let alias = Regex::new(r"(?m)^(?:pub(?:\([\w: ]+\))? )?type (\w+)").unwrap();
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in SOURCES.iter() {
        for found in declared.captures_iter(&source.text).chain(alias.captures_iter(&source.text)) {
            places.entry(found.get(1).unwrap().as_str()).or_default().push(&source.name);
        }
    }
    assert!(places.len() > 500, "the search finds types: {}", places.len());
    let twice = places.iter().filter(|(_, places)| places.len() > 1);
    report(twice.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect());
}
