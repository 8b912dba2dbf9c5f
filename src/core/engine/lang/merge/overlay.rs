//! Lays overlays over a stack: RFC 7396 merge patches in which every value keeps the layer it came from.

use crate::engine::lang::yaml::node::{Data, Map, MapEntry, Node};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};

/// The parts of a stack that an overlay may change.
pub const PARTS: [&str; 6] =
    ["variables", "resources", "outputs", "objectives", "tasks", "policies"];

/// A part that is a list: an overlay replaces all of it, or removes it.
pub const NOTIFY: &str = "notify";

/// Lays one overlay over what the layers below make.
pub fn lay(base: &mut Node, overlay: &Node, out: &mut Vec<Diagnostic>) {
    let (Data::Map(base), Some(patch)) = (&mut base.data, overlay.as_map()) else { return };
    if let Some(entry) = patch.get(NOTIFY) {
        patch_entry(base, NOTIFY, entry, "key", out);
    }
    for part in PARTS {
        let Some(entry) = patch.get(part) else { continue };
        let Some(changes) = entry.node.as_map() else {
            if !entry.node.is_null() {
                out.push(
                    Diagnostic::error(DiagnosticCode::WrongType, format!("`{part}` must be a map"))
                        .at(entry.node.span, format!("this is {}", entry.node.word())),
                );
            }
            continue;
        };
        let target = base.entry(part.into()).or_insert_with(|| empty(entry));
        if target.node.is_null() {
            target.node.data = Data::Map(Box::default());
        }
        let Data::Map(target) = &mut target.node.data else { continue };
        for (name, change) in changes {
            match part {
                "resources" => resource(target, name, change, out),
                "variables" => variable(target, name, change, out),
                "outputs" => patch_entry(target, name, change, "output", out),
                "tasks" => patch_entry(target, name, change, "task", out),
                "policies" => patch_entry(target, name, change, "policy", out),
                _ => patch_entry(target, name, change, "objective", out),
            }
        }
    }
}

fn empty(like: &MapEntry) -> MapEntry {
    let node = Node { data: Data::Map(Box::default()), ..like.node.clone() };
    MapEntry { key: like.key, node }
}

fn resource(target: &mut Map, name: &str, change: &MapEntry, out: &mut Vec<Diagnostic>) {
    let Some(patch) = change.node.as_map() else {
        return patch_entry(target, name, change, "resource", out);
    };
    match target.get(name) {
        None if !patch.contains_key("kind") => {
            let wrong = Diagnostic::error(
                DiagnosticCode::UnknownResource,
                "An overlay changes a resource that does not exist",
            )
            .at(change.key, format!("no layer below declares `{name}`"))
            .help("to add a resource, give it a `kind`");
            out.push(wrong.nearest(name, target.keys().map(AsRef::as_ref)));
        }
        Some(below) => {
            let old = below.node.as_map().and_then(|it| it.get("kind"));
            let new = patch.get("kind");
            if let (Some(old), Some(new)) = (old, new)
                && old.node.as_text() != new.node.as_text()
            {
                out.push(
                    Diagnostic::error(
                        DiagnosticCode::KindChanged,
                        "An overlay cannot change the kind of a resource",
                    )
                    .at(new.node.span, format!("the kind of `{name}` is changed here"))
                    .at(old.node.span, "its kind is set here")
                    .help(format!("remove it with `{name}: null`, and add one with another name")),
                );
                return;
            }
            patch_entry(target, name, change, "resource", out);
        }
        None => patch_entry(target, name, change, "resource", out),
    }
}

/// A scalar or list is the variable's new default.
fn variable(target: &mut Map, name: &str, change: &MapEntry, out: &mut Vec<Diagnostic>) {
    let is_known = target.contains_key(name);
    let is_declaration = change.node.as_map().is_some_and(|it| it.contains_key("type"));
    if !is_known && !is_declaration && !change.node.is_null() {
        let wrong = Diagnostic::error(
            DiagnosticCode::UnknownVariable,
            "An overlay sets a variable that does not exist",
        )
        .at(change.key, format!("no layer below declares `{name}`"))
        .help("to declare a variable, give it a `type`");
        out.push(wrong.nearest(name, target.keys().map(AsRef::as_ref)));
        return;
    }
    let is_default = !matches!(change.node.data, Data::Map(_) | Data::Null);
    match target.get_mut(name) {
        Some(MapEntry { node: Node { data: Data::Map(declared), .. }, .. }) if is_default => {
            let default = MapEntry { key: change.key, node: change.node.clone() };
            declared.insert("default".into(), default);
        }
        _ => patch_entry(target, name, change, "variable", out),
    }
}

/// RFC 7396: maps merge, `null` removes, all else replaces.
fn patch_entry(
    target: &mut Map,
    name: &str,
    change: &MapEntry,
    what: &str,
    out: &mut Vec<Diagnostic>,
) {
    match (&change.node.data, target.get_mut(name)) {
        (Data::Null, Some(_)) => {
            target.shift_remove(name);
        }
        (Data::Null, None) => {
            let wrong = Diagnostic::error(
                DiagnosticCode::NothingToRemove,
                "An overlay removes an entry that does not exist",
            )
            .at(change.key, format!("no layer below has the {what} `{name}`"));
            out.push(wrong.nearest(name, target.keys().map(AsRef::as_ref)));
        }
        (Data::Map(patch), Some(MapEntry { node: Node { data: Data::Map(below), .. }, .. })) => {
            let what = if matches!(what, "resource" | "attribute") { "attribute" } else { "key" };
            for (name, change) in patch.iter() {
                patch_entry(below, name, change, what, out);
            }
        }
        (_, Some(below)) => {
            below.node = without_nulls(&change.node);
            below.key = change.key;
        }
        (_, None) => {
            let node = without_nulls(&change.node);
            target.insert(name.into(), MapEntry { key: change.key, node });
        }
    }
}

/// What a patch means where nothing is below it: its nulls remove nothing.
fn without_nulls(node: &Node) -> Node {
    match &node.data {
        Data::Map(map) => {
            let kept = map
                .iter()
                .filter(|(_, it)| !it.node.is_null())
                .map(|(name, it)| {
                    (name.clone(), MapEntry { key: it.key, node: without_nulls(&it.node) })
                })
                .collect();
            Node { data: Data::Map(Box::new(kept)), ..*node }
        }
        _ => node.clone(),
    }
}

/// The texts of a list in a layer, each with its place.
pub fn texts(node: &Node, what: &str, out: &mut Vec<Diagnostic>) -> Vec<(String, Span)> {
    let wrong = |it: &Node| {
        Diagnostic::error(DiagnosticCode::WrongType, format!("`{what}` must be a list of text"))
            .at(it.span, format!("this is {}", it.word()))
    };
    let Data::List(items) = &node.data else {
        out.push(wrong(node));
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items {
        match item.as_text() {
            Some(text) => found.push((text.to_owned(), item.span)),
            None => out.push(wrong(item)),
        }
    }
    found
}
