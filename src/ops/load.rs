//! Reads a stack's layers and the files that its expressions name.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::engine::diagnostic::{Diagnostic, nearest, stops};
use crate::engine::fault_domain::{Domains, check_assumed};
use crate::engine::graph::Graph;
use crate::engine::schema::Catalog;
use crate::engine::stack::load::{FileProblem, Files, Layer, Loaded, load};
use crate::engine::stack::model::Stack;
use crate::engine::stack::variables::GivenVariable;
use crate::engine::value::Value;
use crate::ops::error::OpsError;
use crate::ops::place::Place;

/// The largest file that `file()` and `template()` read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A stack that has no mistakes, its graph, and what is worth a warning.
#[derive(Debug)]
pub struct Desired {
    pub stack: Stack,
    pub graph: Graph,
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks the stack under these overlays.
pub fn desired(
    place: &Place,
    overlays: &[String],
    given: &[GivenVariable],
    remembered: &BTreeMap<String, Value>,
    catalog: &Catalog,
) -> Result<Desired, OpsError> {
    let loaded = layers(place, overlays, given, remembered, catalog)?;
    let Loaded { sources, stack, mut diagnostics, .. } = loaded;
    let Some(stack) = stack.filter(|_| !stops(&diagnostics)) else {
        return Err(OpsError::Mistakes { diagnostics, sources });
    };
    let unknown = unknown_losses(place, &stack, given, remembered, catalog)?;
    if !unknown.is_empty() {
        diagnostics.extend(unknown);
        return Err(OpsError::Mistakes { diagnostics, sources });
    }
    match Graph::new(&stack) {
        Ok(graph) => Ok(Desired { stack, graph, warnings: diagnostics }),
        Err(mistakes) => {
            diagnostics.extend(mistakes);
            Err(OpsError::Mistakes { diagnostics, sources })
        }
    }
}

/// Assumed losses of fault domains in which neither the stack nor anything below its overlays is.
fn unknown_losses(
    place: &Place,
    stack: &Stack,
    given: &[GivenVariable],
    remembered: &BTreeMap<String, Value>,
    catalog: &Catalog,
) -> Result<Vec<Diagnostic>, OpsError> {
    if stack.assumes_lost.is_empty() {
        return Ok(Vec::new());
    }
    let planned = Domains::planned(catalog, stack);
    let told = check_assumed(stack, &planned.names());
    if told.is_empty() {
        return Ok(told);
    }
    // What an overlay takes for lost may be just what it removes.
    let base = layers(place, &[], given, remembered, catalog)?.stack.unwrap_or_default();
    let below = Domains::planned(catalog, &base);
    Ok(check_assumed(stack, &planned.names().union(&below.names()).copied().collect()))
}

/// Reads the layers, whatever is wrong with them.
pub fn layers(
    place: &Place,
    overlays: &[String],
    given: &[GivenVariable],
    remembered: &BTreeMap<String, Value>,
    catalog: &Catalog,
) -> Result<Loaded, OpsError> {
    let mut layers = vec![layer(place, "", &place.file())?];
    for name in overlays {
        let file = overlay_file(place, name)?;
        layers.push(layer(place, name, &file)?);
    }
    let files = Folder { folder: place.folder() };
    Ok(load(&place.stack, &layers, given, remembered, &files, catalog))
}

fn layer(place: &Place, name: &str, file: &Path) -> Result<Layer, OpsError> {
    let bytes =
        std::fs::read(file).map_err(|source| OpsError::File { file: file.to_owned(), source })?;
    Ok(Layer { name: name.into(), file: place.shown(file), bytes })
}

/// The overlays of a stack, by name.
pub fn overlays(place: &Place) -> Vec<String> {
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
pub fn instance_of(place: &Place, overlay: &str) -> Result<Stack, OpsError> {
    let catalog = crate::kinds::builtin();
    let overlays = [overlay.to_owned()];
    let loaded = layers(place, &overlays, &[], &BTreeMap::new(), &catalog)?;
    let Loaded { sources, stack, diagnostics, .. } = loaded;
    stack.ok_or(OpsError::Mistakes { diagnostics, sources })
}

/// Whether an overlay says which fault domains it takes for lost.
pub fn assumes_loss(place: &Place, overlay: &str) -> Result<bool, OpsError> {
    let catalog = crate::kinds::builtin();
    let overlays = [overlay.to_owned()];
    let loaded = layers(place, &overlays, &[], &BTreeMap::new(), &catalog)?;
    Ok(loaded.stack.is_some_and(|it| !it.assumes_lost.is_empty()))
}

/// The file of one overlay, which must be there.
pub fn overlay_file(place: &Place, name: &str) -> Result<PathBuf, OpsError> {
    let names = overlays(place);
    let all = || match names.as_slice() {
        [] => format!("{} has none", place.stack),
        names => format!("the overlays of {} are: {}", place.stack, names.join(", ")),
    };
    if !is_overlay_name(name) {
        return Err(OpsError::input(
            format!("`{name}` is not the name of an overlay"),
            format!("an overlay is a name, without folder and `.yaml`; {}", all()),
        ));
    }
    let file = place.folder().join("overlays").join(format!("{name}.yaml"));
    if file.is_file() {
        return Ok(file);
    }
    let near = nearest(name, names.iter().map(String::as_str)).or_else(|| cousin(name, &names));
    Err(OpsError::input(
        format!("there is no overlay `{name}`: {} is missing", place.shown(&file)),
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
struct Folder {
    folder: PathBuf,
}

impl Files for Folder {
    fn read(&self, path: &str) -> Result<Vec<u8>, FileProblem> {
        let other = |why: std::io::Error| match why.kind() {
            std::io::ErrorKind::NotFound => FileProblem::Missing,
            _ => FileProblem::Other(why.to_string()),
        };
        let folder = self.folder.canonicalize().map_err(other)?;
        if Path::new(path)
            .components()
            .any(|it| !matches!(it, std::path::Component::Normal(_) | std::path::Component::CurDir))
        {
            return Err(FileProblem::Outside);
        }
        // Resolved first: a link that leads out is outside, too.
        let file = folder.join(path).canonicalize().map_err(other)?;
        if !file.starts_with(&folder) {
            return Err(FileProblem::Outside);
        }
        if !file.is_file() {
            return Err(FileProblem::Other("it is not a plain file".into()));
        }
        let mut bytes = Vec::new();
        let opened = std::fs::File::open(&file).map_err(other)?;
        opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(other)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(FileProblem::TooLarge);
        }
        Ok(bytes)
    }
}
