//! `init`: a first stack that runs in the sandbox, the pipelines for it, and the next three commands.

mod pipelines;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::args::CiHost;
use crate::cli::commands::describe::schema_text;
use crate::cli::commands::init::pipelines::pipelines;
use crate::cli::commands::runner::EXAMPLE_STORE;
use crate::cli::context::CommandContext;
use crate::cli::exit::Exit;
use crate::cli::out;
use crate::engine::text::advice::AdvisedCommand;
use crate::ops::contained::link_on_the_way;
use crate::ops::error::OpsError;

/// The name of the stack in [`STACK`] and in the pipelines.
const NAME: &str = "first";
const STACK: &str = include_str!("init/stack.yaml");
const FAILOVER: &str = include_str!("init/eu.yaml");
const DRILL: &str = include_str!("init/drill.yaml");

/// Where editors find what a stack may say. With another version of lifeboat, `schema` prints it anew.
const SCHEMA: &str = ".lifeboat/schema.json";

/// What git must never see: a checkout would put an old state in place of the newest, and a clone would have its key.
const IGNORED: [&str; 3] = ["/state/*", "!/state/.gitkeep", "*.plan.json"];

pub fn init(context: &CommandContext, dir: Option<PathBuf>, ci: CiHost) -> Result<Exit, OpsError> {
    let root = dir.map_or_else(|| context.directory.clone(), |it| context.directory.join(it));
    let mut files = vec![
        ("stacks/first/stack.yaml", for_editors("../..", STACK)),
        ("stacks/first/overlays/eu.yaml", for_editors("../../..", FAILOVER)),
        ("stacks/first/overlays/drill.yaml", for_editors("../../..", DRILL)),
        (SCHEMA, schema_text() + "\n"),
    ];
    files.extend(pipelines(ci));
    // The first stack must not grow into one that is there: look before anything is written.
    let there = root.join("stacks/first");
    if there.symlink_metadata().is_ok() {
        let what = format!("{} already exists", there.display());
        return Err(OpsError::input(
            what,
            "choose another folder, or remove it; nothing was written",
        ));
    }
    // Git keeps links: what comes with a repository must not lead this elsewhere.
    let linked = files.iter().find_map(|(name, _)| {
        let file = root.join(name);
        link_on_the_way(&root, file.parent().unwrap_or(&root))
    });
    if let Some(link) = linked {
        let what = format!("{} is a symbolic link, which lifeboat does not follow", link.display());
        return Err(OpsError::input(what, "replace it with a folder; nothing was written"));
    }
    for (name, text) in files {
        let file = root.join(name);
        if file.symlink_metadata().is_ok() {
            out::talk(&format!("kept    {name}"));
            continue;
        }
        write(&file, &text)?;
        out::talk(&format!("wrote   {name}"));
    }
    ignore(&root)?;
    if ci != CiHost::None {
        out::talk(&before_the_pipelines());
    }
    let cd =
        if root == context.directory { String::new() } else { format!("cd {}\n", root.display()) };
    out::data(&format!(
        "{cd}lifeboat plan first --sandbox\nlifeboat apply first --sandbox --yes\nlifeboat drill first --to drill --sandbox --yes"
    ));
    Ok(Exit::Done)
}

/// A layer behind the line by which an editor finds the schema of it, from its folder up to the root.
fn for_editors(up: &str, layer: &str) -> String {
    format!("# yaml-language-server: $schema={up}/{SCHEMA}\n{layer}")
}

/// A hosted runner is gone after its job, and a folder on it as well.
fn before_the_pipelines() -> String {
    let share = AdvisedCommand::StateShare { stack: NAME, to: EXAMPLE_STORE };
    format!(
        "the pipelines run on hosted runners, which share no folder: before their first run, keep the state in a store, such as {share}; their first lines say what else they need"
    )
}

/// Puts the lines into `.gitignore` that are not in it; what is there stays.
fn ignore(root: &Path) -> Result<(), OpsError> {
    let file = root.join(".gitignore");
    let found = file.symlink_metadata().ok();
    if found.as_ref().is_some_and(std::fs::Metadata::is_symlink) {
        // Git keeps links: what they lead to is not ours to write.
        out::talk(&format!(
            "kept    .gitignore (a symbolic link): add {} to it yourself",
            IGNORED.join(", ")
        ));
        return Ok(());
    }
    let there = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => return Err(OpsError::File { file, source }),
    };
    let has = |line: &str| there.lines().any(|it| it.trim() == line);
    // The exception counts only behind the rule.
    let rule_is_new = !has(IGNORED[0]);
    let missing: Vec<&str> =
        IGNORED.into_iter().filter(|it| !has(it) || rule_is_new && it.starts_with('!')).collect();
    let word = match (there.is_empty(), missing.is_empty()) {
        (true, _) => "wrote   .gitignore".to_owned(),
        (false, true) => "kept    .gitignore".to_owned(),
        (false, false) => format!("added   {} to .gitignore", missing.join(", ")),
    };
    if !missing.is_empty() {
        let end = if there.is_empty() || there.ends_with('\n') { "" } else { "\n" };
        let lines = format!("{end}{}\n", missing.join("\n"));
        if found.is_some() {
            let added = std::fs::OpenOptions::new().append(true).open(&file);
            let added = added.and_then(|mut it| it.write_all(lines.as_bytes()));
            added.map_err(|source| OpsError::File { file, source })?;
        } else {
            write(&file, &lines)?;
        }
    }
    out::talk(&word);
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), OpsError> {
    let wrong = |source| OpsError::File { file: file.to_owned(), source };
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(wrong)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let made = options.write(true).create_new(true).open(file);
    made.and_then(|mut it| it.write_all(text.as_bytes())).map_err(wrong)
}
