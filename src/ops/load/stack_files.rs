//! All files of a stack's folder, read for a bundle, and put down again where there is no checkout.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use crate::engine::lang::lower::policies::POLICIES;
use crate::engine::state::bundle::BundledFile;
use crate::ops::contained;
use crate::ops::error::OpsError;
use crate::ops::load::layers::policy_files;
use crate::ops::load::stack_ref::StackRef;
use crate::store::private;

/// The largest file that goes into a bundle. Layers and templates are at most 1 MiB; programs of tasks are scripts.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The most files of one stack. A guess: far more than any stack has, and few enough to stop at a folder that is none.
const FILES_MAX: usize = 10_000;

/// Only the owner may run it, as only the owner may read the rest.
const PROGRAM: u32 = 0o700;

/// The files of the stack, and the policies of the project, by their paths below the root. Hidden ones are left out; a link is what it
/// leads to, inside the folder.
pub fn collect(place: &StackRef) -> Result<BTreeMap<String, BundledFile>, OpsError> {
    let mut found = BTreeMap::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(below) = todo.pop() {
        let folder = place.folder().join(&below);
        let wrong = |source| OpsError::File { file: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let name = entry.file_name();
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            let path = below.join(&name);
            if entry.file_type().map_err(wrong)?.is_dir() {
                todo.push(path);
                continue;
            }
            if found.len() >= FILES_MAX {
                return Err(refused(place, &path, &format!("it has more than {FILES_MAX} files")));
            }
            let stack = Path::new("stacks").join(&place.stack);
            let bytes = contained::read(&place.root, &stack, &path, FILE_BYTES_MAX)
                .map_err(|why| refused(place, &path, &why.to_string()))?;
            let mode = std::fs::metadata(entry.path()).map_err(wrong)?.permissions().mode();
            let key = stack.join(&path).display().to_string();
            found.insert(key, BundledFile::new(&bytes, mode & 0o111 != 0));
        }
    }
    let policies = policy_files(&place.root)?.into_iter();
    found.extend(policies.map(|it| (it.file, BundledFile::new(&it.bytes, false))));
    Ok(found)
}

fn refused(place: &StackRef, path: &Path, why: &str) -> OpsError {
    OpsError::input(
        format!("{} cannot go into a bundle: {why}", place.shown(&place.folder().join(path))),
        "a bundle holds the regular files of the stack's folder; move away what is none of it",
    )
}

/// Puts them below a folder that is not there yet, for its owner alone.
pub fn put_down(
    root: &Path,
    stack: &str,
    files: &BTreeMap<String, BundledFile>,
) -> Result<(), OpsError> {
    for (path, file) in files {
        let wrong = |why: &str| {
            OpsError::input(
                format!("the bundle holds a file that cannot be put down, {path}: {why}"),
                "use a bundle as `state export` writes it; no cloud was called",
            )
        };
        let below = Path::new(path);
        let is_plain = below.components().all(|it| matches!(it, Component::Normal(_)));
        let is_policy = below.parent() == Some(Path::new(POLICIES));
        if !is_plain || !is_policy && !below.starts_with(Path::new("stacks").join(stack)) {
            return Err(wrong("it is neither below the folder of its stack nor a policy"));
        }
        let bytes = file.content().ok_or_else(|| wrong("it is not in base64"))?;
        let at = root.join(below);
        let folder = at.parent().unwrap_or(root);
        let io = |source| OpsError::File { file: at.clone(), source };
        std::fs::create_dir_all(folder).map_err(io)?;
        private::replace(&at, &bytes).map_err(io)?;
        if file.is_program {
            let mode = std::fs::Permissions::from_mode(PROGRAM);
            std::fs::set_permissions(&at, mode).map_err(io)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::{collect, put_down};
    use crate::engine::state::bundle::BundledFile;
    use crate::ops::load::stack_ref::StackRef;

    #[test]
    fn collect_and_put_down_carry_files_and_leave_links_out_of_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let at = |it: &str| root.path().join(it);
        std::fs::create_dir_all(at("stacks/shop/files")).unwrap();
        std::fs::create_dir_all(at("stacks/shop/.git")).unwrap();
        std::fs::create_dir_all(at("policies")).unwrap();
        for (file, text) in [
            ("stacks/shop/stack.yaml", "stack: shop\n"),
            ("stacks/shop/files/run.sh", "#!/bin/sh\n"),
            ("stacks/shop/.git/config", "hidden"),
            ("token", "secret"),
            ("policies/all.yaml", "policies: {}\n"),
            ("policies/notes.md", "read by nobody"),
        ] {
            std::fs::write(at(file), text).unwrap();
        }
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(at("stacks/shop/files/run.sh"), mode).unwrap();
        symlink("run.sh", at("stacks/shop/files/same")).unwrap();
        let place = StackRef::find("shop", root.path()).unwrap();
        let files = collect(&place).unwrap();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "policies/all.yaml",
                "stacks/shop/files/run.sh",
                "stacks/shop/files/same",
                "stacks/shop/stack.yaml",
            ]
        );
        let other = tempfile::tempdir().unwrap();
        put_down(other.path(), "shop", &files).unwrap();
        let mode = |it: &str| {
            std::fs::symlink_metadata(other.path().join(it)).unwrap().permissions().mode() & 0o777
        };
        assert_eq!(mode("stacks/shop/files/run.sh"), 0o700);
        assert_eq!(mode("stacks/shop/stack.yaml"), 0o600);
        assert_eq!(collect(&StackRef::find("shop", other.path()).unwrap()).unwrap(), files);

        symlink("../../../token", at("stacks/shop/files/out")).unwrap();
        let why = collect(&place).unwrap_err().to_string();
        assert!(why.contains("stacks/shop/files/out cannot go into a bundle"), "{why}");
        for path in ["stacks/shop/../../x", "/etc/x", "stacks/other/x", "x"] {
            let files = [(path.to_owned(), BundledFile::new(b"", false))].into();
            put_down(other.path(), "shop", &files).unwrap_err();
        }
    }
}
