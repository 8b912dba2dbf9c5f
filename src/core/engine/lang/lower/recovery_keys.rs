//! What layers say about a recovery: objectives, what an overlay assumes lost, and the workspace that a drill runs in.

use crate::engine::lang::check::gate::duration;
use crate::engine::lang::lower::resources::{section, unknown_keys};
use crate::engine::lang::merge::overlay::texts;
use crate::engine::lang::model::{Objectives, Stack};
use crate::engine::lang::yaml::node::{Data, Map, Node};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};

const OBJECTIVES: [&str; 2] = ["rto", "rpo"];

/// Reads the merged `objectives`.
pub fn objectives(node: Option<&Node>, out: &mut Vec<Diagnostic>) -> Objectives {
    let Some(map) = section(node, "objectives", out) else { return Objectives::default() };
    unknown_keys(map, &OBJECTIVES, "`objectives`", out);
    let [rto_seconds, rpo_seconds] = OBJECTIVES.map(|name| {
        let it = map.get(name)?;
        Some((duration(&it.node, name, out)?, it.key))
    });
    Objectives { rto_seconds, rpo_seconds }
}

/// Reads the keys that only overlays have; the first layer is the stack file.
pub fn overlay_keys(layers: &[Node], stack: &mut Stack, out: &mut Vec<Diagnostic>) {
    for map in layers.iter().skip(1).filter_map(Node::as_map) {
        if let Some(it) = map.get("assumes_lost") {
            stack.assumes_lost.extend(lost(&it.node, out));
        }
        if let Some(it) = map.get("borrow") {
            stack.borrow.extend(texts(&it.node, "borrow", out));
        }
        if let Some(it) = map.get("workspace") {
            let name = it.node.as_text().filter(|it| is_workspace_name(it));
            if name.is_none() {
                out.push(Diagnostic::error(DiagnosticCode::BadName, "Invalid name").at(
                    it.node.span,
                    "a workspace name consists of lowercase letters, digits, `_`, and `-`",
                ));
            }
            stack.instance = name.map(str::to_owned).or(stack.instance.take());
        }
        rehearses(map, stack, out);
    }
    borrows_for_a_workspace(layers, out);
}

/// The plain stack is who lends: only a workspace can borrow.
fn borrows_for_a_workspace(layers: &[Node], out: &mut Vec<Diagnostic>) {
    let overlays = || layers.iter().skip(1).filter_map(Node::as_map);
    if overlays().any(|it| it.contains_key("workspace")) {
        return;
    }
    out.extend(overlays().filter_map(|it| it.get("borrow")).map(|it| {
        Diagnostic::error(DiagnosticCode::MissingKey, "`borrow` requires `workspace`")
            .at(it.key, "this overlay has no `workspace`, so the stack would borrow from itself")
            .help("add `workspace: drill` beside it, or remove `borrow`")
    }));
}

/// The fault domains that an overlay assumes lost.
fn lost(node: &Node, out: &mut Vec<Diagnostic>) -> Vec<(String, Span)> {
    let mut found = texts(node, "assumes_lost", out);
    found.retain(|(text, span)| {
        let is_one = is_fault_domain(text);
        if !is_one {
            out.push(
                Diagnostic::error(DiagnosticCode::BadFaultDomain, "Not a fault domain")
                    .at(*span, "a fault domain is a cloud and a region")
                    .help("write `linode:us-east` or `aws:us-east-1`"),
            );
        }
        is_one
    });
    found
}

/// `linode:us-east`
pub fn is_fault_domain(text: &str) -> bool {
    let is_small = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    text.split_once(':').is_some_and(|(cloud, region)| {
        cloud.starts_with(|it: char| it.is_ascii_lowercase())
            && region.starts_with(|it: char| it.is_ascii_lowercase())
            && cloud.chars().all(is_small)
            && region.chars().all(is_small)
    })
}

fn is_workspace_name(text: &str) -> bool {
    text.starts_with(|it: char| it.is_ascii_lowercase())
        && text
            .chars()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || matches!(it, '_' | '-'))
}

/// One overlay or several; a rehearsal needs a workspace of its own, and cannot be of itself.
fn rehearses(map: &Map, stack: &mut Stack, out: &mut Vec<Diagnostic>) {
    let Some(it) = map.get("rehearses") else { return };
    let named = match &it.node.data {
        Data::Text(one) => vec![(one.to_string(), it.node.span)],
        _ => texts(&it.node, "rehearses", out),
    };
    if !map.contains_key("workspace") {
        out.push(
            Diagnostic::error(DiagnosticCode::MissingKey, "`rehearses` requires `workspace`")
                .at(it.key, "this overlay has no `workspace`")
                .help("add `workspace: drill` beside it"),
        );
    }
    let own = map.get("overlay").and_then(|it| it.node.as_text());
    for (name, span) in named {
        if Some(name.as_str()) == own {
            out.push(
                Diagnostic::error(DiagnosticCode::BadName, "An overlay cannot rehearse itself")
                    .at(span, "it names itself")
                    .help("write the overlay that a failover switches to"),
            );
        } else {
            stack.rehearses.push((name, span));
        }
    }
}

/// Whether what is borrowed is there.
pub fn check_borrowed(stack: &Stack, out: &mut Vec<Diagnostic>) {
    let names = || stack.resources.keys().map(String::as_str);
    for (name, span) in &stack.borrow {
        if !stack.resources.contains_key(name) {
            let wrong = Diagnostic::error(DiagnosticCode::UnknownReference, "Unknown reference")
                .at(*span, format!("there is no resource `{name}` to borrow"))
                .help("`borrow` names resources of the stack, without index");
            out.push(wrong.nearest(name, names()));
        }
    }
}
