//! Where things are: the root, a stack's folder, its state.

use std::path::{Path, PathBuf};

use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::diagnostic::nearest;
use crate::engine::text::names::StackName;
use crate::ops::contained::link_on_the_way;
use crate::ops::error::OpsError;
use crate::store::error::StoreError;
use crate::store::state_store::StateStore;

/// A stack as it was named on the command line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StackRef {
    pub root: PathBuf,
    pub stack: String,
    pub instance: Option<String>,
}

/// The nearest ancestor that holds `stacks/`.
pub fn root(from: &Path) -> Option<PathBuf> {
    from.ancestors().find(|it| it.join("stacks").is_dir()).map(Path::to_owned)
}

impl StackRef {
    /// Understands `name`, `name@instance` and a path to a stack's folder or file.
    pub fn find(named: &str, from: &Path) -> Result<Self, OpsError> {
        let path = from.join(named);
        if (named.contains('/') || named == ".") && path.exists() {
            let below = root(&path).and_then(|it| link_on_the_way(&it, &path));
            return match below {
                Some(link) => Err(linked(&link)),
                None => Self::at(&path),
            };
        }
        let (stack, instance) = match named.split_once('@') {
            Some((stack, instance)) => (stack, Some(instance.to_owned())),
            None => (named, None),
        };
        let is_plain = |it: &str| {
            !it.is_empty()
                && it
                    .chars()
                    .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || "-_".contains(it))
        };
        if instance.as_ref().is_some_and(|it| !is_plain(it)) {
            return Err(OpsError::input(
                format!("`{named}` does not name a workspace"),
                "write NAME@WORKSPACE; a workspace name consists of lowercase letters, digits, `-`, and `_`",
            ));
        }
        let Some(root) = root(from) else {
            return Err(OpsError::input(
                format!("no `stacks` folder found in {} or its parents", from.display()),
                format!("run {}, or set the folder with -C", AdvisedCommand::Init),
            ));
        };
        let place = Self { root, stack: stack.into(), instance };
        if let Some(link) = link_on_the_way(&place.root, &place.folder()) {
            return Err(linked(&link));
        }
        if place.file().is_file() {
            return Ok(place);
        }
        let names = place.names();
        let near = nearest(stack, names.iter().map(String::as_str))
            .map_or_else(|| known(&names), |it| format!("did you mean `{it}`?"));
        Err(OpsError::input(
            format!("the stack `{stack}` does not exist: {} is missing", place.file().display()),
            near,
        ))
    }

    fn at(path: &Path) -> Result<Self, OpsError> {
        let path =
            path.canonicalize().map_err(|source| OpsError::File { file: path.into(), source })?;
        let folder = if path.is_file() { path.parent().unwrap_or(&path).to_owned() } else { path };
        let name = folder.file_name().map(|it| it.to_string_lossy().into_owned());
        match (root(&folder), name) {
            (Some(root), Some(stack)) if folder == root.join("stacks").join(&stack) => {
                Ok(Self { root, stack, instance: None })
            }
            _ => Err(OpsError::input(
                format!("{} is not the folder of a stack", folder.display()),
                "a stack is the folder `stacks/NAME` with a `stack.yaml` in it",
            )),
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.root.join("stacks"));
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .filter_map(|it| it.ok().filter(|it| it.path().join("stack.yaml").is_file()))
            .map(|it| it.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    pub fn folder(&self) -> PathBuf {
        self.root.join("stacks").join(&self.stack)
    }

    pub fn file(&self) -> PathBuf {
        self.folder().join("stack.yaml")
    }

    /// `name` or `name@instance`.
    pub fn name(&self) -> String {
        StackName { stack: &self.stack, workspace: self.instance.as_deref() }.to_string()
    }

    pub fn state(&self, sandbox: bool) -> PathBuf {
        let state = self.root.join("state");
        let states = if sandbox { state.join("sandbox").join("states") } else { state };
        states.join(self.name())
    }

    /// The other instances of the stack that have a state in this store, the plain one among them.
    pub fn siblings(&self, store: &StateStore) -> Vec<Self> {
        let mut found = self.recorded(store).unwrap_or_default();
        found.retain(|it| it.instance != self.instance);
        found
    }

    /// Every instance of the stack that has a state: the plain one first, the others by name.
    pub fn recorded(&self, store: &StateStore) -> Result<Vec<Self>, StoreError> {
        let names = store.neighbors()?.into_iter();
        let instances = names.filter_map(|name| match name.split_once('@') {
            None => (name == self.stack).then_some(None),
            Some((stack, instance)) => (stack == self.stack).then(|| Some(instance.to_owned())),
        });
        let mut instances: Vec<Option<String>> = instances.collect();
        instances.sort();
        Ok(instances.into_iter().map(|instance| Self { instance, ..self.clone() }).collect())
    }

    /// The path as people see it: below the root.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// Git keeps links, so a pull request could bring one.
fn linked(link: &Path) -> OpsError {
    OpsError::input(
        format!("{} is a symbolic link, but a stack must be a real folder", link.display()),
        "move the folder itself there; files outside it are not read",
    )
}

fn known(names: &[String]) -> String {
    if names.is_empty() {
        format!("run {} to create an example stack", AdvisedCommand::Init)
    } else {
        format!("available stacks: {}", names.join(", "))
    }
}
