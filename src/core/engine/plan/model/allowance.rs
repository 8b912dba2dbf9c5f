//! What the guards of a plan let through, and what a run of it has to remember of that.

use crate::engine::allowance::{Exemption, UsedAllowance};
use crate::engine::plan::model::change::Plan;
use crate::engine::state::record::Allowances;

impl Plan {
    /// All that its guards let through: what was typed, and what its layers allow.
    pub fn exempted(&self) -> Allowances {
        let mut all = self.allowed.clone();
        for it in &self.allowances {
            let nothing = Allowances::default();
            all = all.and(&match it.allowance.exempts.clone() {
                Exemption::Delete(it) => Allowances { delete: vec![it], ..nothing },
                Exemption::Replace(it) => Allowances { replace: vec![it], ..nothing },
                Exemption::RevertDrift(it) => Allowances { revert: vec![it], ..nothing },
                Exemption::Destroys(it) => Allowances { destroys: Some(it), ..nothing },
                Exemption::Absent(it) => Allowances { absent: Some(it), ..nothing },
            });
        }
        all
    }

    /// What a run of it has to journal before its first call.
    pub fn used_allowances(&self, at: i64) -> Vec<UsedAllowance> {
        let used = self.allowances.iter().filter(|it| it.is_used());
        used.map(|it| UsedAllowance {
            allowance: it.allowance.clone(),
            lets_go: it.lets_go.clone(),
            at,
        })
        .collect()
    }
}
