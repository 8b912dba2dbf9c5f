//! What a value will look like: where only the cloud will know it, the kind's own sample stands in its place, and is checked.

use std::sync::Arc;

use cel::IdedExpr;
use cel::common::ast::Expr;
use cel::common::ast::operators::ADD;

use crate::engine::address::Address;
use crate::engine::lang::cel::code::{Code, Leaf};
use crate::engine::lang::cel::syntax::{children, leaf_of};
use crate::engine::lang::check::attribute::{CheckSite, check_likely};
use crate::engine::lang::check::text_form::wrong;
use crate::engine::lang::model::{Instance, InstanceShape, Scope, Term, TextPart};
use crate::engine::lang::resolve::{Resolved, term};
use crate::engine::lang::validate::attribute_reads::Around;
use crate::engine::schema::Kind;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Severity};
use crate::engine::value::{Attributes, Value};

/// Objects with samples in the place of what the cloud makes.
pub struct Likely<'a>(pub Around<'a>);

impl Scope for Likely<'_> {
    fn object(&self, address: &Address) -> Option<Arc<Attributes>> {
        let object = self.0.scope.object(address)?;
        let resource = &self.0.stack.instances.get(address)?.resource;
        let kind = self.0.catalog.get(&resource.kind)?;
        Some(Arc::new(sampled(kind, &object)))
    }
}

/// An object with samples of what the cloud will make.
pub fn sampled(kind: &Kind, object: &Attributes) -> Attributes {
    let mut sampled = object.clone();
    for (name, attribute) in &kind.attributes {
        let with = attribute.made_with.as_ref().and_then(|it| it.holds(|name| object.get(name)));
        if let Some(like) = attribute.like.as_ref().filter(|_| with != Some(false)) {
            sampled.entry(name.clone()).or_insert_with(|| Value::text(like.clone()));
        }
    }
    sampled
}

/// Tells what will be refused whatever the cloud makes.
pub fn foresee(
    kind: &Kind,
    instance: &Instance,
    resolved: &Resolved,
    around: Around<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let likely = Likely(around);
    for (name, given) in &instance.resource.attributes {
        let Some(attribute) = kind.attribute(name) else { continue };
        let is_open = resolved.attributes.get(name).is_some_and(Value::has_open);
        if !is_open || attribute.has_references() || !is_plain(&given.term) {
            continue;
        }
        let mut wrongs = Vec::new();
        let view = Around { scope: &likely, ..around }.view(instance);
        let value = term(&given.term, &view, &mut wrongs);
        if value.has_open() || !wrongs.is_empty() {
            continue;
        }
        let shown = value.as_text().map(str::to_owned);
        check_likely(value, attribute, name, CheckSite::of(&given.term), &mut wrongs);
        let form = attribute.form_by.as_ref().and_then(|by| {
            let decides = resolved.attributes.get(&by.attribute)?.as_text()?;
            Some((*by.of.get(decides)?, format!("`{}: {decides}`", by.attribute)))
        });
        if let (Some((form, with)), Some(shown)) = (form, shown)
            && let Some(says) = wrong(form, &shown)
        {
            let label = format!("`{name}` would look like `{shown}`, with {with}");
            wrongs.push(
                Diagnostic::error(DiagnosticCode::WrongForm, "Not a value of this attribute")
                    .at(given.term.span, label)
                    .help(says),
            );
        }
        // How long it will be, a sample does not tell.
        let is_certain = |it: &Diagnostic| {
            it.severity == Severity::Error
                && !matches!(it.code, DiagnosticCode::WrongLength | DiagnosticCode::TooLong)
        };
        out.extend(wrongs.into_iter().filter(is_certain));
    }
}

/// Whether a value is put together from others and nothing in it is decided by them: a sample may decide otherwise than
/// what it stands for.
fn is_plain(term: &Term) -> bool {
    match &term.shape {
        InstanceShape::Literal(_) => true,
        InstanceShape::Expression(it) => is_plain_code(&it.code),
        InstanceShape::Text(parts) => parts.iter().all(|it| match it {
            TextPart::Text(_) => true,
            TextPart::Expression(it) => is_plain_code(&it.code),
        }),
        InstanceShape::List(items) => items.iter().all(is_plain),
        InstanceShape::Map(map) => map.values().all(|it| is_plain(&it.term)),
    }
}

fn is_plain_code(code: &Code) -> bool {
    let Code::Cel(cel) = code else { return true };
    let are_paths = cel.leaves.iter().all(|it| matches!(it, Leaf::Path { .. }));
    are_paths && is_sum(&cel.tree)
}

fn is_sum(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Expr::Literal(_) => true,
        Expr::Call(call) => call.func_name == ADD && children(expr).into_iter().all(is_sum),
        _ => leaf_of(expr).is_some(),
    }
}
