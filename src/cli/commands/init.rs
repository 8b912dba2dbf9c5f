//! `init`: a first stack that runs in the sandbox, and the next three commands.

use std::path::{Path, PathBuf};

use crate::cli::commands::Scene;
use crate::cli::exit::Exit;
use crate::cli::out;
use crate::ops::error::OpsError;

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
    if there.exists() {
        let what = format!("{} is there already", there.display());
        return Err(OpsError::input(
            what,
            "choose another folder, or remove it; nothing was written",
        ));
    }
    for (name, text) in files {
        let file = root.join(name);
        if file.exists() {
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
    std::fs::write(file, text).map_err(wrong)
}
