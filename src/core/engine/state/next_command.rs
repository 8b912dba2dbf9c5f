//! What a person types to go on from a state: one command, wherever it is told.

use crate::engine::state::record::{Phase, State};
use crate::engine::text::advice::AdvisedCommand;

impl State {
    /// What a person types to switch to these overlays, with all that was pending before; `None`: no switch leads there.
    pub fn whole_switch(&self, to: &[String], planned: bool) -> Option<String> {
        let stack = &self.name();
        match to.strip_prefix(self.home.as_slice())? {
            [] => Some(AdvisedCommand::FailbackWhole { stack }.to_string()),
            [to] => Some(AdvisedCommand::FailoverWhole { stack, to, planned }.to_string()),
            _ => None,
        }
    }

    /// What a person types to go on with the switch that has not ended, and with nothing else; `None`: no command leads there.
    pub fn same_switch(&self) -> Option<String> {
        let stack = &self.name();
        match self.active.strip_prefix(self.home.as_slice())? {
            [] => Some(AdvisedCommand::Failback { stack, lost: self.lost_names() }.to_string()),
            [to] => {
                let planned = self.lost.is_empty();
                let (to, lost) = (to.as_str(), Vec::new());
                Some(AdvisedCommand::Failover { stack, to, lost, planned }.to_string())
            }
            _ => None,
        }
    }

    /// What a person types to finish what the last run left: the one command that is told wherever it is told.
    pub fn resume(&self) -> String {
        let stack = &self.name();
        let run = self.last_run.as_ref().filter(|it| it.is_unfinished());
        if !self.destroyed.is_empty() || run.is_some_and(|it| it.destroys) {
            return AdvisedCommand::Destroy { stack }.to_string();
        }
        // A plain apply carries more, and is allowed nothing of it.
        let allowed = self.switch.as_ref().is_some_and(|it| !it.allowed.is_nothing());
        let is_same = self.phase == Phase::Degraded && allowed;
        let again = is_same.then(|| self.same_switch()).flatten();
        again.unwrap_or_else(|| AdvisedCommand::Apply { stack }.to_string())
    }

    fn lost_names(&self) -> Vec<&str> {
        self.lost.iter().map(|it| it.fault_domain.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::engine::state::journal::{JournalEntry, fold};
    use crate::engine::state::record::{Allowances, Keep, Phase, RunRecord, State};
    use crate::engine::value::LineageKey;

    #[test]
    fn resume_is_one_command_for_each_state() {
        let mut state = State::new("shop", None, "clouds", "lineage", LineageKey(vec![7]));
        state.last_run = Some(RunRecord::began("ann", "apply shop", 1));
        assert_eq!(state.resume(), "`lifeboat apply shop`");
        // What a degraded switch was allowed a plain apply is not.
        let (allowed, to) = (Allowances { outage: true, ..Allowances::default() }, "eu".to_owned());
        fold(
            &mut state,
            &JournalEntry::Switched {
                from: Vec::new(),
                to: vec![to],
                lost: Vec::new(),
                variables: BTreeMap::new(),
                keep: Keep::Nothing,
                allowed,
                last_good: None,
                at: 2,
                who: "ann".into(),
            },
        );
        state.phase = Phase::Degraded;
        assert_eq!(state.resume(), "`lifeboat failover shop --to eu --planned`");
        state.phase = Phase::Switching;
        assert_eq!(state.resume(), "`lifeboat apply shop`");
        let began = RunRecord::began("ann", "destroy shop", 2);
        state.last_run = Some(RunRecord { destroys: true, ..began });
        assert_eq!(state.resume(), "`lifeboat destroy shop`");
    }
}
