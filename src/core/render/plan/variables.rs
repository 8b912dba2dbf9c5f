//! What of a plan was given from outside the layers, in its header.

use crate::engine::plan::model::change::Plan;
use crate::render::words::{cut, escape_control, inline};

/// How much of a value stands in a header: a word or a version.
const VALUE_MAX: usize = 40;

/// `, variables: protect=true (from the last apply)`.
pub fn given(plan: &Plan) -> Option<String> {
    let given = plan.variables.iter().map(|it| {
        let value = cut(&inline(&it.value), VALUE_MAX);
        format!("{}={value} (from {})", escape_control(&it.name), escape_control(&it.from))
    });
    let given: Vec<String> = given.collect();
    (!given.is_empty()).then(|| format!(", variables: {}", given.join(", ")))
}
