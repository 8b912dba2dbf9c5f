//! `init`: a first stack that runs in the sandbox, and the next three commands.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::commands::Scene;
use crate::cli::exit::Exit;
use crate::cli::out;
use crate::ops::error::OpsError;
use crate::ops::inside::link_on_the_way;

const STACK: &str = include_str!("init/stack.yaml");
const OVERLAY: &str = include_str!("init/two.yaml");
const WORKFLOW: &str = include_str!("init/workflow.yml");
const GITIGNORE: &str = "/state/sandbox/\n/state/*/watch-*\n*.plan.json\n";

pub fn init(scene: &Scene, dir: Option<PathBuf>) -> Result<Exit, OpsError> {
    let root = dir.map_or_else(|| scene.directory.clone(), |it| scene.directory.join(it));
    let files = [
        ("stacks/first/stack.yaml", STACK),
        ("stacks/first/overlays/two.yaml", OVERLAY),
        (".gitignore", GITIGNORE),
        (".github/workflows/lifeboat.yml", WORKFLOW),
    ];
    // The first stack must not grow into one that is there: look before anything is written.
    let there = root.join("stacks/first");
    if there.symlink_metadata().is_ok() {
        let what = format!("{} is there already", there.display());
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
        let what = format!("{} is a link, and is not followed", link.display());
        return Err(OpsError::input(what, "put a folder there; nothing was written"));
    }
    for (name, text) in files {
        let file = root.join(name);
        if file.symlink_metadata().is_ok() {
            out::talk(&format!("kept    {name}"));
            continue;
        }
        write(&file, text)?;
        out::talk(&format!("wrote   {name}"));
    }
    let cd =
        if root == scene.directory { String::new() } else { format!("cd {}\n", root.display()) };
    out::data(&format!(
        "{cd}lifeboat plan first --sandbox\nlifeboat apply first --sandbox --yes\nlifeboat plan first -o two --sandbox"
    ));
    Ok(Exit::Done)
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
