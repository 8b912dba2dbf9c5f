//! Which variables are remembered where: what was given for a switch holds on its side, and ends when home is active again.

use std::collections::BTreeMap;

use crate::engine::lang::merge::variables::{RememberedVariables, is_remembered, remembered};
use crate::engine::lang::model::Stack;
use crate::engine::state::record::{State, SwitchRecord};
use crate::engine::value::Value;

impl State {
    /// The variables that a plan under these overlays goes on with. Where it begins a switch these are home's: what was given
    /// for the side that is left stays there. Who turns back to a side that an unfinished switch left finds its own.
    pub fn remembered(&self, overlays: &[String]) -> RememberedVariables<'_> {
        if self.active == overlays {
            return RememberedVariables { values: &self.variables, overlays: &self.active };
        }
        let mut left = self.unfinished_switch().into_iter().flat_map(|it| {
            let turned = it.turned.iter().map(|it| (&it.overlays, &it.variables));
            turned.chain([(&it.from, &it.variables)])
        });
        if let Some((overlays, values)) = left.clone().find(|(it, _)| *it == overlays) {
            return RememberedVariables { values, overlays };
        }
        if let Some(values) = &self.home_variables {
            return RememberedVariables { values, overlays: &self.home };
        }
        // A state that an earlier version switched away does not say what home had.
        let (overlays, values) = left.next().unwrap_or((&self.active, &self.variables));
        RememberedVariables { values, overlays }
    }

    /// What an apply away from home is given and holds at home as well: a new release is not rolled back by the failback. What
    /// the switch was given another value of, and what an overlay sets that is not home's, is this side's alone.
    pub fn given_for_home(&self, stack: &Stack) -> BTreeMap<String, Value> {
        let Some(home) = self.home_variables.as_ref().filter(|_| self.switching().is_none()) else {
            return BTreeMap::new();
        };
        let mut given = remembered(&stack.variables);
        given.retain(|name, value| {
            let before = self.variables.get(name);
            let is_sides = before != home.get(name)
                || stack.variables[name].set_by.as_ref().is_some_and(|it| !self.home.contains(it));
            before != Some(value) && !is_sides
        });
        given
    }

    /// What was given where users are now, and has another value under the overlays of a switch, though neither they nor this run
    /// say so: name, value now, value then.
    pub fn reverted<'a>(&'a self, stack: &'a Stack) -> Vec<(&'a str, &'a Value, &'a Value)> {
        if self.active == stack.overlays {
            return Vec::new();
        }
        let changed = self.variables.iter().filter_map(|(name, before)| {
            let variable = stack.variables.get(name).filter(|it| !it.sensitive)?;
            let is_told =
                variable.set_by.is_some() || (variable.is_given() && !is_remembered(variable));
            (!is_told && variable.value != *before).then_some((
                name.as_str(),
                before,
                &variable.value,
            ))
        });
        changed.collect()
    }

    /// What home had, from before the first switch that left it.
    pub(super) fn leave_home(&mut self, to: &[String]) {
        if self.home_variables.is_none() && to != self.home {
            let left = self.unfinished_switch().map(SwitchRecord::left).unwrap_or_default();
            let left = left.into_iter().find(|it| it.overlays == self.home);
            self.home_variables = left
                .map(|it| it.variables)
                .or_else(|| (self.active == self.home).then(|| self.variables.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::engine::lang::model::{Stack, Variable};
    use crate::engine::state::journal::{JournalEntry, fold};
    use crate::engine::state::record::{Allowances, Keep, State};
    use crate::engine::text::diagnostic::Span;
    use crate::engine::value::{LineageKey, Value};

    type Variables = BTreeMap<String, Value>;

    fn names(text: &str) -> Vec<String> {
        text.split_terminator(' ').map(str::to_owned).collect()
    }

    fn values(all: &[(&str, i64)]) -> Variables {
        all.iter().map(|(name, it)| ((*name).to_owned(), Value::Int(*it))).collect()
    }

    /// Applied at home with `size` 1.
    fn home() -> State {
        let mut state = State::new("shop", None, "sandbox", "l", LineageKey(vec![1]));
        ran(&mut state, "", &[("size", 1)]);
        state
    }

    fn ran(state: &mut State, overlays: &str, variables: &[(&str, i64)]) {
        let began = JournalEntry::RunBegan {
            who: "w".into(),
            command: "apply".into(),
            at: 1,
            plan: String::new(),
            steps: 0,
            destroys: false,
            variables: Some(values(variables)),
            home_variables: state.given_for_home(&stack(variables, None)),
        };
        fold(state, &began);
        ended(state, overlays, variables);
    }

    fn ended(state: &mut State, overlays: &str, variables: &[(&str, i64)]) {
        let entry = JournalEntry::RunEnded {
            at: 2,
            complete: true,
            overlays: names(overlays),
            variables: values(variables),
            outputs: BTreeMap::new(),
        };
        fold(state, &entry);
    }

    /// A switch begins with these variables.
    fn begins(state: &mut State, to: &str, variables: &[(&str, i64)]) {
        let from = state.unfinished_switch().map_or(&state.active, |it| &it.from).clone();
        let entry = JournalEntry::Switched {
            from,
            to: names(to),
            lost: Vec::new(),
            variables: values(variables),
            keep: Keep::Nothing,
            allowed: Allowances::default(),
            last_good: None,
            at: 3,
            who: "w".into(),
        };
        fold(state, &entry);
    }

    fn switched(state: &mut State, to: &str, variables: &[(&str, i64)]) {
        begins(state, to, variables);
        ended(state, to, variables);
    }

    fn stack(variables: &[(&str, i64)], set_by: Option<&str>) -> Stack {
        let variable = |it: &i64| Variable {
            value: Value::Int(*it),
            sensitive: false,
            from: "--var".into(),
            set_by: set_by.map(str::to_owned),
            declared_by: None,
            span: Span::default(),
        };
        let variables = variables.iter().map(|(name, it)| ((*name).to_owned(), variable(it)));
        Stack { variables: variables.collect(), ..Stack::default() }
    }

    #[track_caller]
    fn remembers(state: &State, overlays: &str, expected: &[(&str, i64)]) {
        assert_eq!(state.remembered(&names(overlays)).values, &values(expected), "{overlays:?}");
    }

    #[test]
    fn remembered_of_a_switch_holds_on_its_side_and_ends_with_it() {
        let mut state = home();
        remembers(&state, "eu", &[("size", 1)]);
        switched(&mut state, "eu", &[("size", 1), ("standby", 3)]);
        remembers(&state, "eu", &[("size", 1), ("standby", 3)]);
        remembers(&state, "", &[("size", 1)]);
        remembers(&state, "us", &[("size", 1)]);
        switched(&mut state, "us", &[("size", 5)]);
        remembers(&state, "", &[("size", 1)]);
        switched(&mut state, "", &[("size", 1)]);
        assert_eq!((&state.variables, &state.home_variables), (&values(&[("size", 1)]), &None));
    }

    #[test]
    fn remembered_of_a_switch_that_turns_is_that_of_the_side_it_turns_to() {
        let mut state = home();
        begins(&mut state, "eu", &[("size", 1), ("standby", 3)]);
        remembers(&state, "eu", &[("size", 1), ("standby", 3)]);
        remembers(&state, "", &[("size", 1)]);
        remembers(&state, "us", &[("size", 1)]);
        ended(&mut state, "eu", &[("size", 1), ("standby", 3)]);
        begins(&mut state, "", &[("size", 2)]);
        remembers(&state, "", &[("size", 2)]);
        remembers(&state, "eu", &[("size", 1), ("standby", 3)]);
        remembers(&state, "us", &[("size", 1)]);
    }

    #[test]
    fn given_for_home_is_a_release_and_no_value_of_the_side() {
        let mut state = home();
        switched(&mut state, "eu", &[("size", 1), ("standby", 3)]);
        ran(&mut state, "eu", &[("size", 1), ("standby", 4), ("revision", 2)]);
        remembers(&state, "eu", &[("size", 1), ("standby", 4), ("revision", 2)]);
        remembers(&state, "", &[("size", 1), ("revision", 2)]);
        let of_overlay = stack(&[("count", 3)], Some("eu"));
        assert_eq!(state.given_for_home(&of_overlay), values(&[]));
        // Who resumes a switch says it for the switch.
        begins(&mut state, "", &[("size", 1)]);
        assert_eq!(state.given_for_home(&stack(&[("revision", 3)], None)), values(&[]));
    }

    /// An earlier version said nothing of home; what it recorded of a switch that goes on it still knows.
    #[test]
    fn remembered_of_an_older_state_is_what_it_has() {
        let mut state = home();
        switched(&mut state, "eu", &[("standby", 3)]);
        state.home_variables = None;
        remembers(&state, "", &[("standby", 3)]);
        let mut state = home();
        begins(&mut state, "eu", &[("standby", 3)]);
        state.home_variables = None;
        remembers(&state, "", &[("size", 1)]);
        remembers(&state, "us", &[("size", 1)]);
        begins(&mut state, "eu", &[("standby", 3)]);
        assert_eq!(state.home_variables, Some(values(&[("size", 1)])));
    }
}
