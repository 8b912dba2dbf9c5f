//! What takes a task back as it was recorded when the task ran, its secrets resolved anew; and what is told where they cannot be.

use crate::engine::address::Address;
use crate::engine::lang::task_values::{MissingUndo, recorded_work};
use crate::engine::plan::diff::attributes::seal;
use crate::engine::plan::draft::plan_builder::PlanBuilder;
use crate::engine::plan::model::planned_task::{PlannedTask, TaskFate};
use crate::engine::state::task_record::RecordedUndo;
use crate::engine::task::{TaskOccasion, TaskWork};
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Value;

impl PlanBuilder<'_> {
    /// As it is recorded, secrets in clear.
    pub fn resolved_undo(&self, recorded: &RecordedUndo) -> Result<TaskWork<Value>, MissingUndo> {
        let (stack, catalog) = (self.worlds.stack, self.worlds.catalog);
        recorded_work(stack, catalog, (&recorded.work, &recorded.written), &self.known)
    }

    /// A task that is taken back as it was recorded, whatever the layers say of it by now.
    pub fn taken_back(
        &mut self,
        name: &str,
        (occasion, fate): (TaskOccasion, TaskFate),
        recorded: &RecordedUndo,
        work: TaskWork<Value>,
    ) -> PlannedTask {
        let key = self.key();
        let work = work.map(|it| seal(it, key));
        self.tell_changed(name, recorded, &work);
        PlannedTask {
            name: Address::one(name),
            occasion,
            fate,
            place: recorded.place.clone(),
            after: recorded.after.clone(),
            before: recorded.before.clone(),
            spec: recorded.spec(work),
        }
    }

    /// A secret that was rotated meanwhile is another one, and so is one that an overlay had a value of its own for.
    fn tell_changed(&mut self, name: &str, recorded: &RecordedUndo, work: &TaskWork<Value>) {
        let parts = recorded.work.action.parts().into_iter().zip(work.action.parts());
        let is_other = |(then, now): (&Value, &Value)| matches!((then, now), (Value::Fingerprint(then), Value::Fingerprint(now)) if then != now);
        if parts.into_iter().any(is_other) {
            let text = format!(
                "the `undo` of the task `{name}` ({}) is run with another secret than the one that was given when the task ran",
                recorded.place
            );
            self.diagnostics.push(Diagnostic::warning(DiagnosticCode::UndoChanged, text).help(
                "that is right where the secret was rotated meanwhile; else give the one of then",
            ));
        }
    }

    /// What a person can give is asked for before anything is done; for anything else the way home does not wait.
    pub fn misses_undo(&mut self, name: &str, recorded: &RecordedUndo, why: MissingUndo) {
        let place = &recorded.place;
        let again = self.same_again();
        let (names, is_declared) = match why {
            MissingUndo::NotGiven(names) => (names, true),
            MissingUndo::NotDeclared(names) => (names, false),
            MissingUndo::Other(why) => {
                let text = format!(
                    "the task `{name}` stays in force: its `undo` ({place}) is not known here: {why}"
                );
                let help = "take it back by hand; declare a task whose `undo` holds a secret in stack.yaml, so that the way home has it";
                self.diagnostics
                    .push(Diagnostic::warning(DiagnosticCode::TaskStaysInForce, text).help(help));
                return;
            }
        };
        let variables =
            names.iter().map(|it| format!("`vars.{it}`")).collect::<Vec<_>>().join(", ");
        let given = names.iter().map(|it| format!("LIFEBOAT_VAR_{it}")).collect::<Vec<_>>();
        let given = given.join(", ");
        let (what, declare) = if is_declared {
            ("which nobody gave", String::new())
        } else {
            let declared = |it: &String| format!("{it}: {{ type: string, sensitive: true }}");
            let declared = names.iter().map(declared).collect::<Vec<_>>().join(", ");
            (
                "which these layers do not declare",
                format!("add to stack.yaml `variables: {{ {declared} }}`, and "),
            )
        };
        let text = format!("the `undo` of the task `{name}` ({place}) reads {variables}, {what}");
        self.diagnostics.push(Diagnostic::error(DiagnosticCode::MissingSecret, text).help(
            format!(
                "no state holds a secret: {declare}set {given} in the environment; then {again}"
            ),
        ));
    }

    /// The command that plans this again.
    fn same_again(&self) -> String {
        let name = &self.worlds.stack.name;
        match &self.worlds.stack.instance {
            Some(workspace) => {
                AdvisedCommand::Destroy { stack: &format!("{name}@{workspace}") }.to_string()
            }
            None => AdvisedCommand::Failback { stack: name, lost: Vec::new() }.to_string(),
        }
    }
}
