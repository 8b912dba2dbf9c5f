//! Secrets of an `undo` that only the overlay of a failover has: the way home, whose layers do without it, would not know them.

use crate::engine::lang::model::{Stack, Variable};
use crate::engine::lang::task_values::variables_of;
use crate::engine::lang::term::expressions;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// Warns of each. A workspace is left with the layers that it was made of.
pub fn undo_secrets(stack: &Stack, out: &mut Vec<Diagnostic>) {
    if stack.instance.is_some() {
        return;
    }
    for task in stack.tasks.values() {
        for part in task.spec.undo.iter().flat_map(|it| it.action.parts()) {
            let mut all = Vec::new();
            expressions(part, &mut all);
            for name in variables_of(&all) {
                let Some(variable) = stack.variables.get(&name).filter(|it| it.sensitive) else {
                    continue;
                };
                let Some(overlay) = only_in(variable) else { continue };
                let label = format!("`vars.{name}` is a secret, and only `{overlay}` has it");
                let summary = format!(
                    "The failback will not know a secret of the `undo` of the task `{}`",
                    task.name
                );
                out.push(
                    Diagnostic::warning(DiagnosticCode::UndoSecret, summary).at(part.span, label).help(
                        format!("no state holds a secret: declare it in stack.yaml, `variables: {{ {name}: {{ type: string, sensitive: true }} }}`, and give it to the failback as LIFEBOAT_VAR_{name}; or let the program read it from its own environment: `env: [NAME]`"),
                    ),
                );
            }
        }
    }
}

/// The overlay without which it is not declared, or has no value.
fn only_in(variable: &Variable) -> Option<&String> {
    let set_by = variable.set_by.as_ref().filter(|_| !variable.is_given());
    variable.declared_by.as_ref().or(set_by)
}
