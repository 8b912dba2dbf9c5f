//! What a shell may complete: stacks, overlays, kinds and addresses, as the layers in reach say.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap_complete::engine::CompletionCandidate;

use crate::engine::lang::merge::variables::RememberedVariables;
use crate::kinds::builtin;
use crate::ops::load::layers;
use crate::ops::load::stack_ref::{StackRef, root};

/// The folders under `stacks/`.
pub fn stacks(current: &OsStr) -> Vec<CompletionCandidate> {
    beginning(current, names())
}

/// The overlays of the stack that stands on the line; of all stacks, where none does yet.
pub fn overlays(current: &OsStr) -> Vec<CompletionCandidate> {
    let named = chosen();
    let stacks = named.map_or_else(names, |it| vec![it]);
    let places = stacks.iter().filter_map(|it| place(it));
    let mut overlays: Vec<String> = places.flat_map(|it| layers::overlays(&it)).collect();
    overlays.sort();
    overlays.dedup();
    beginning(current, overlays)
}

pub fn kinds(current: &OsStr) -> Vec<CompletionCandidate> {
    beginning(current, builtin().kinds.into_keys().collect())
}

/// The addresses of the stack that stands on the line.
pub fn addresses(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(place) = chosen().and_then(|it| place(&it)) else { return Vec::new() };
    let layers = layers::layers(&place, &[], &[], RememberedVariables::none(), &builtin());
    let stack = layers.ok().and_then(|it| it.stack);
    let addresses = stack.into_iter().flat_map(|it| it.instances.into_keys());
    beginning(current, addresses.map(|it| it.to_string()).collect())
}

fn beginning(current: &OsStr, all: Vec<String>) -> Vec<CompletionCandidate> {
    let Some(current) = current.to_str() else { return Vec::new() };
    all.into_iter().filter(|it| it.starts_with(current)).map(CompletionCandidate::new).collect()
}

/// Where the line would work: the folder behind `-C`, else this one.
fn directory() -> PathBuf {
    let words: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let behind = words.windows(2).find(|it| it[0] == "-C" || it[0] == "--directory");
    behind.map_or_else(|| PathBuf::from("."), |it| PathBuf::from(&it[1]))
}

fn names() -> Vec<String> {
    let here = std::fs::canonicalize(directory()).unwrap_or_default();
    let Some(root) = root(&here) else { return Vec::new() };
    let entries = std::fs::read_dir(root.join("stacks")).into_iter().flatten().flatten();
    let folders = entries.filter(|it| it.path().join("stack.yaml").is_file());
    let mut names: Vec<String> =
        folders.filter_map(|it| it.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn place(stack: &str) -> Option<StackRef> {
    StackRef::find(stack, &std::fs::canonicalize(directory()).ok()?).ok()
}

/// The first word of the line that is a stack. While completing, the shell gives the whole line.
fn chosen() -> Option<String> {
    let stacks = names();
    let words = std::env::args_os().filter_map(|it| it.into_string().ok());
    words.into_iter().find(|it| stacks.iter().any(|stack| it.split('@').next() == Some(stack)))
}
