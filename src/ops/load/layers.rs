//! Reads a stack's layers and the files that its expressions name.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::engine::fault_domain::{FaultDomains, check_assumed};
use crate::engine::graph::Graph;
use crate::engine::lang::load::{FileProblem, Files, Layer, Loaded, load};
use crate::engine::lang::lower::policies::POLICIES;
use crate::engine::lang::merge::variables::{GivenValue, GivenVariable, RememberedVariables};
use crate::engine::lang::model::{InstanceShape, Stack, Term};
use crate::engine::lang::yaml::reader::BYTES_MAX;
use crate::engine::plan::model::options::RecoveryOverlay;
use crate::engine::schema::Catalog;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, nearest, stops};
use crate::engine::text::redact::redactor;
use crate::engine::value::{Secret, Value};
use crate::ops::contained::{self, ContainedTrouble};
use crate::ops::error::OpsError;
use crate::ops::load::stack_ref::StackRef;
use crate::ops::load::stores;

/// The largest file that `file()` and `template()` read. The largest attribute of any kind takes 64 KiB, so this is ample.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A stack that has no mistakes, its graph, and what is worth a warning.
#[derive(Debug)]
pub struct DesiredStack {
    pub stack: Stack,
    pub graph: Graph,
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks the stack under these overlays.
pub fn desired(
    place: &StackRef,
    overlays: &[String],
    given: &[GivenVariable],
    remembered: RememberedVariables<'_>,
    catalog: &Catalog,
) -> Result<DesiredStack, OpsError> {
    let loaded = layers(place, overlays, given, remembered, catalog)?;
    let Loaded { sources, stack, mut diagnostics, .. } = loaded;
    let Some(stack) = stack.filter(|_| !stops(&diagnostics)) else {
        return Err(OpsError::Mistakes { diagnostics, sources });
    };
    let unknown = unknown_losses(place, &stack, given, remembered, catalog)?;
    let unknown: Vec<Diagnostic> =
        unknown.into_iter().chain(unknown_rehearsals(place, &stack)).collect();
    if !unknown.is_empty() {
        diagnostics.extend(unknown);
        return Err(OpsError::Mistakes { diagnostics, sources });
    }
    match Graph::new(&stack) {
        Ok(graph) => Ok(DesiredStack { stack, graph, warnings: diagnostics }),
        Err(mistakes) => {
            diagnostics.extend(mistakes);
            Err(OpsError::Mistakes { diagnostics, sources })
        }
    }
}

/// Overlays that are to be rehearsed, and are not there.
fn unknown_rehearsals(place: &StackRef, stack: &Stack) -> Vec<Diagnostic> {
    let names = overlays(place);
    let missing = stack.rehearses.iter().filter(|(name, _)| !names.contains(name));
    let told = missing.map(|(name, span)| {
        Diagnostic::error(DiagnosticCode::UnknownReference, "Unknown overlay")
            .at(*span, format!("the overlay `{name}` to rehearse does not exist"))
            .help(format!("the overlays of {} are: {}", place.stack, names.join(", ")))
            .nearest(name, names.iter().map(String::as_str))
    });
    told.collect()
}

/// Assumed losses of fault domains in which neither the stack nor anything below its overlays is.
fn unknown_losses(
    place: &StackRef,
    stack: &Stack,
    given: &[GivenVariable],
    remembered: RememberedVariables<'_>,
    catalog: &Catalog,
) -> Result<Vec<Diagnostic>, OpsError> {
    if stack.assumes_lost.is_empty() {
        return Ok(Vec::new());
    }
    let planned = FaultDomains::planned(catalog, stack);
    let stores = stores::domains(place);
    let mut known = planned.names();
    known.extend(stores.iter().map(String::as_str));
    let told = check_assumed(stack, &known);
    if told.is_empty() {
        return Ok(told);
    }
    // What an overlay assumes lost may be just what it removes.
    let base = layers(place, &[], given, remembered, catalog)?.stack.unwrap_or_default();
    let below = FaultDomains::planned(catalog, &base);
    Ok(check_assumed(stack, &known.union(&below.names()).copied().collect()))
}

/// Reads the layers, whatever is wrong with them.
pub fn layers(
    place: &StackRef,
    overlays: &[String],
    given: &[GivenVariable],
    remembered: RememberedVariables<'_>,
    catalog: &Catalog,
) -> Result<Loaded, OpsError> {
    let mut layers = vec![layer(place, "", &place.file())?];
    for name in overlays {
        let file = overlay_file(place, name)?;
        layers.push(layer(place, name, &file)?);
    }
    let files = StackFolder { place, policies: policy_files(&place.root)? };
    let mut loaded = load(&place.stack, &layers, given, remembered, &files, catalog);
    loaded.diagnostics.extend(stores::check(&loaded));
    learn(&loaded, given);
    Ok(loaded)
}

/// What is sensitive in these layers is in no message about them, whether or not it won.
fn learn(loaded: &Loaded, given: &[GivenVariable]) {
    let mut found: Vec<Value> = Vec::new();
    let mut names = BTreeSet::new();
    let known = loaded.stack.iter().flat_map(|it| &it.variables);
    names.extend(known.filter(|(_, it)| it.sensitive).map(|(name, _)| name.as_str()));
    let declared = || {
        let variables = loaded.layers.iter().filter_map(|it| it.as_map()?.get("variables"));
        variables.filter_map(|it| it.node.as_map()).flatten()
    };
    for (name, it) in declared() {
        let said = it.node.as_map().and_then(|it| it.get("sensitive"));
        if said.is_some_and(|it| it.node.value() != Value::Bool(false)) {
            names.insert(name);
        }
    }
    // Of layers that could not be read nobody knows which are.
    let is_sensitive = |name: &str| loaded.stack.is_none() || names.contains(name);
    for it in given.iter().filter(|it| is_sensitive(&it.name)) {
        found.push(match &it.value {
            GivenValue::Text(text) => Value::text(text.clone()),
            GivenValue::Value(value) => value.clone(),
        });
    }
    for (_, it) in declared().filter(|(name, _)| names.contains(&***name)) {
        // Of a declaration everything but what describes: `default` may be misspelt, and a message quotes the line.
        match it.node.as_map() {
            Some(map) => {
                let describes = |key: &str| ["type", "sensitive", "description"].contains(&key);
                let rest = map.iter().filter(|(key, _)| !describes(key));
                found.extend(rest.map(|(_, it)| it.node.value()));
            }
            None => found.push(it.node.value()),
        }
    }
    let hidden = found.into_iter().map(|it| Value::Secret(Secret::new(it)));
    hidden.for_each(|it| redactor().learn(&it));
    let Some(stack) = &loaded.stack else { return };
    let terms = stack.resources.values().flat_map(|it| it.attributes.values().map(|it| &it.term));
    let mut terms: Vec<&Term> = terms.collect();
    while let Some(term) = terms.pop() {
        match &term.shape {
            InstanceShape::Literal(value) => redactor().learn(value),
            InstanceShape::List(items) => terms.extend(items),
            InstanceShape::Map(map) => terms.extend(map.values().map(|it| &it.term)),
            InstanceShape::Expression(_) | InstanceShape::Text(_) => {}
        }
    }
}

fn layer(place: &StackRef, name: &str, file: &Path) -> Result<Layer, OpsError> {
    let below = file.strip_prefix(place.folder()).unwrap_or(file);
    let bytes = read(place, &below.to_string_lossy(), BYTES_MAX as u64).map_err(|why| {
        let what = format!("cannot read {}: {why}", place.shown(file));
        OpsError::input(what, "a layer must be a regular file in the folder of its stack")
    })?;
    Ok(Layer { name: name.into(), file: place.shown(file), bytes })
}

/// The overlays of a stack, by name.
pub fn overlays(place: &StackRef) -> Vec<String> {
    let entries = std::fs::read_dir(place.folder().join("overlays"));
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(|it| it.ok()?.file_name().to_str()?.strip_suffix(".yaml").map(Into::into))
        .collect();
    names.sort();
    names
}

/// What an overlay says of the instance that it belongs to; its other mistakes are told when it is planned.
pub fn instance_of(place: &StackRef, overlay: &str) -> Result<Stack, OpsError> {
    let catalog = crate::kinds::builtin();
    let overlays = [overlay.to_owned()];
    let loaded = layers(place, &overlays, &[], RememberedVariables::none(), &catalog)?;
    let Loaded { sources, stack, diagnostics, .. } = loaded;
    stack.ok_or(OpsError::Mistakes { diagnostics, sources })
}

/// The overlays of a stack that are no workspace of their own, and what each assumes lost; one with mistakes is left out.
pub fn recovery_overlays(place: &StackRef) -> Vec<RecoveryOverlay> {
    let read = |overlay: String| {
        let stack = instance_of(place, &overlay).ok().filter(|it| it.instance.is_none())?;
        let assumes_lost = stack.assumes_lost.into_iter().map(|(name, _)| name).collect();
        Some(RecoveryOverlay { overlay, assumes_lost })
    };
    overlays(place).into_iter().filter_map(read).collect()
}

/// The workspaces that overlays of a stack belong to, each once; an overlay with mistakes is left out.
pub fn workspaces(place: &StackRef) -> Vec<String> {
    let all = overlays(place).into_iter();
    let all = all.filter_map(|it| instance_of(place, &it).ok()?.instance);
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether an overlay says which fault domains it assumes lost.
pub fn assumes_loss(place: &StackRef, overlay: &str) -> Result<bool, OpsError> {
    let catalog = crate::kinds::builtin();
    let overlays = [overlay.to_owned()];
    let loaded = layers(place, &overlays, &[], RememberedVariables::none(), &catalog)?;
    Ok(loaded.stack.is_some_and(|it| !it.assumes_lost.is_empty()))
}

/// The file of one overlay, which must be there.
pub fn overlay_file(place: &StackRef, name: &str) -> Result<PathBuf, OpsError> {
    let names = overlays(place);
    let all = || match names.as_slice() {
        [] => format!("{} has none", place.stack),
        names => format!("the overlays of {} are: {}", place.stack, names.join(", ")),
    };
    if !is_overlay_name(name) {
        return Err(OpsError::input(
            format!("`{name}` is not a valid overlay name"),
            format!("write the overlay's name without its folder and `.yaml`; {}", all()),
        ));
    }
    let file = place.folder().join("overlays").join(format!("{name}.yaml"));
    if file.is_file() {
        return Ok(file);
    }
    let near = nearest(name, names.iter().map(String::as_str)).or_else(|| cousin(name, &names));
    Err(OpsError::input(
        format!("the overlay `{name}` does not exist: {} is missing", place.shown(&file)),
        near.map_or_else(all, |it| format!("did you mean `{it}`?")),
    ))
}

/// Files are named by paths; overlays are not.
pub fn is_overlay_name(name: &str) -> bool {
    !name.contains(['.', '/'])
}

/// The only overlay whose name begins with the same word: `drill_eu` for `drill-us`.
fn cousin<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let word = |it: &str| it.split(['-', '_']).next().unwrap_or_default().to_owned();
    let own = word(name);
    let mut alike = names.iter().filter(|it| !own.is_empty() && word(it) == own);
    let first = alike.next()?;
    alike.next().is_none().then_some(first)
}

/// The stack's folder, and nothing outside it.
struct StackFolder<'a> {
    place: &'a StackRef,
    policies: Vec<Layer>,
}

impl Files for StackFolder<'_> {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        let is_plain = |it| matches!(it, Component::Normal(_) | Component::CurDir);
        if !Path::new(path).components().all(is_plain) {
            return Err(FileProblem::Outside);
        }
        read(self.place, path, FILE_BYTES_MAX).map_err(|why| match why {
            ContainedTrouble::Outside => FileProblem::Outside,
            ContainedTrouble::Missing => FileProblem::Missing,
            ContainedTrouble::TooLarge(_) => FileProblem::TooLarge,
            ContainedTrouble::Other(why) => FileProblem::Other(why),
        })
    }

    fn policies(&self) -> &[Layer] {
        &self.policies
    }
}

/// The files of policies that hold for every stack of a project, `policies/*.yaml` beside `stacks/`, in the order of their names.
pub fn policy_files(root: &Path) -> Result<Vec<Layer>, OpsError> {
    let folder = root.join(POLICIES);
    let wrong = |file: &Path, why: &dyn std::fmt::Display| {
        let what =
            format!("cannot read {}: {why}", file.strip_prefix(root).unwrap_or(file).display());
        OpsError::input(what, "no plan is made that they have not judged: mend it, or remove it")
    };
    let entries = match std::fs::read_dir(&folder) {
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(wrong(&folder, &why)),
        Ok(entries) => entries,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|why| wrong(&folder, &why))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let ending = Path::new(&name).extension();
        if ending.is_some_and(|it| it.eq_ignore_ascii_case("yml")) {
            return Err(wrong(&folder.join(&name), &"its name has to end with .yaml"));
        }
        if let Some(stem) = name.strip_suffix(".yaml").filter(|it| !it.starts_with('.')) {
            names.push((stem.to_owned(), name.clone()));
        }
    }
    names.sort();
    let read = |(name, file): (String, String)| {
        let read = contained::read(root, Path::new(POLICIES), Path::new(&file), BYTES_MAX as u64);
        let bytes = read.map_err(|why| wrong(&folder.join(&file), &why))?;
        Ok(Layer { name, file: format!("{POLICIES}/{file}"), bytes })
    };
    names.into_iter().map(read).collect()
}

fn read(place: &StackRef, path: &str, most: u64) -> Result<Vec<u8>, ContainedTrouble> {
    let folder = Path::new("stacks").join(&place.stack);
    contained::read(&place.root, &folder, Path::new(path), most)
}
