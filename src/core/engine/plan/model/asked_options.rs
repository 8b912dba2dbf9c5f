//! What a plan was asked for beside its stack and overlays, as it is typed: whoever plans anew asks for the same.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::plan::model::change::Plan;

impl Plan {
    /// The options, each behind its flag; variables are not among them, since their values are not kept.
    pub fn asked_options(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut flag = |flag: &str, value: Option<String>| {
            words.push(flag.to_owned());
            words.extend(value);
        };
        let allowed = &self.allowed;
        let lists = [
            ("--replace", &self.replace),
            ("--allow-delete", &allowed.delete),
            ("--allow-replace", &allowed.replace),
            ("--revert-drift", &allowed.revert),
        ];
        for (name, addresses) in lists {
            for it in addresses {
                flag(name, Some(it.to_string()));
            }
        }
        for (name, limit) in
            [("--allow-destroys", allowed.destroys), ("--allow-absent", allowed.absent)]
        {
            if let Some(it) = limit {
                flag(name, Some(it.to_string()));
            }
        }
        let newly_lost = self.lost.iter().filter(|it| it.recorded.is_none());
        for it in newly_lost {
            flag("--lost", Some(it.fault_domain.clone()));
        }
        let switches = [
            ("--allow-outage", allowed.outage),
            ("--allow-group-changes", allowed.group_changes),
            ("--include-pending", self.include_pending),
            // Otherwise the overlay would say what is lost.
            ("--planned", self.switch.is_some() && self.lost.is_empty()),
        ];
        for (name, _) in switches.iter().filter(|(_, is_on)| *is_on) {
            flag(name, None);
        }
        skipped(&allowed.skip_gates, flag);
        words
    }
}

/// One reason stands for all of them on a command line.
fn skipped(gates: &BTreeMap<Address, String>, mut flag: impl FnMut(&str, Option<String>)) {
    for it in gates.keys() {
        flag("--skip-gate", Some(it.to_string()));
    }
    if let Some(because) = gates.values().next() {
        flag("--because", Some(because.clone()));
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::address::Address;
    use crate::engine::plan::model::change::{LossDeclaration, Plan};
    use crate::engine::state::record::Allowances;

    #[test]
    fn asked_options_are_all_that_was_typed() {
        assert_eq!(Plan::default().asked_options(), Vec::<String>::new());
        let loss = |fault_domain: &str, recorded| LossDeclaration {
            fault_domain: fault_domain.to_owned(),
            recorded,
        };
        let (web, shop) = (Address::index("web", 0), Address::one("shop"));
        let allowed = Allowances {
            delete: vec![web.clone()],
            replace: vec![web.clone()],
            revert: vec![shop.clone()],
            destroys: Some(4),
            absent: Some(3),
            outage: true,
            group_changes: true,
            skip_gates: [(shop, "seen by hand".to_owned())].into(),
        };
        let plan = Plan {
            allowed,
            replace: vec![web],
            include_pending: true,
            lost: vec![loss("linode:us-east", None), loss("aws:us-east-1", Some((1, "me".into())))],
            ..Plan::default()
        };
        insta::assert_snapshot!(plan.asked_options().join(" "), @"--replace web[0] --allow-delete web[0] --allow-replace web[0] --revert-drift shop --allow-destroys 4 --allow-absent 3 --lost linode:us-east --allow-outage --allow-group-changes --include-pending --skip-gate shop --because seen by hand");
        let switch = Some((Vec::new(), vec!["eu".to_owned()]));
        let planned = Plan { switch, ..Plan::default() };
        assert_eq!(planned.asked_options(), ["--planned"]);
    }
}
