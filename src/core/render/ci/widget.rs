//! The counts of a plan for GitLab's widget in a merge request (`artifacts: reports: terraform:`).

use serde_json::json;

use crate::engine::plan::model::change::Plan;

/// `{"create":1,"update":0,"delete":2}`: a replacement deletes one and creates another.
pub fn widget(plan: &Plan) -> String {
    let it = plan.summary();
    let (create, delete) = (it.create + it.replace, it.delete + it.replace);
    json!({ "create": create, "update": it.update, "delete": delete }).to_string()
}

#[cfg(test)]
mod tests {
    use super::widget;
    use crate::engine::plan::model::change::Action;
    use crate::engine::plan::tests::sample::{CREATE, REPLACE, change, plan};

    #[test]
    fn widget_counts_a_replacement_on_both_sides() {
        let mut plan = plan();
        for (address, action) in
            [("a", CREATE), ("b", REPLACE), ("c", Action::Update), ("d", Action::Delete)]
        {
            plan.changes.push(change(address, "linode.domain", action, "because"));
        }
        assert_eq!(widget(&plan), r#"{"create":2,"update":1,"delete":2}"#);
    }
}
