//! A state that is older than what it has made: what carries its tags and is not in it is named, and users are not moved on its word.

use crate::engine::address::Address;
use crate::engine::plan::checks::unrecorded::Unknown;
use crate::engine::plan::model::change::{Action, Change, DeferReason, Deferred, Plan};
use crate::engine::plan::model::options::{Intent, RecoveryOverlay};
use crate::engine::schema::Catalog;
use crate::engine::state::record::Allowances;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;

/// How many resources a message names before it only counts the rest: more would not fit on a line.
const NAMED_MAX: usize = 5;

/// What a plan is judged by.
pub struct OutdatedCheck<'a> {
    pub plan: &'a Plan,
    pub catalog: &'a Catalog,
    /// How commands name the stack.
    pub name: &'a str,
    pub intent: Intent,
    pub allowed: &'a Allowances,
    /// It is a switch, or goes on with one.
    pub is_switch: bool,
    /// The overlays, and what of the unknown each of them declares.
    pub ways: &'a [(RecoveryOverlay, Vec<Address>)],
}

impl OutdatedCheck<'_> {
    /// What is said of tagged objects that state does not know: outside of a switch a refusal where users would be moved.
    pub fn told(&self, unknown: &[Unknown]) -> Option<Diagnostic> {
        let named: Vec<String> = unknown
            .iter()
            .take(NAMED_MAX)
            .map(|it| format!("`{}` ({}, {})", it.address, it.kind, it.id))
            .collect();
        if named.is_empty() {
            return None;
        }
        let more = if unknown.len() > named.len() { ", …" } else { "" };
        let verb = if unknown.len() == 1 { "carries" } else { "carry" };
        let text = format!(
            "the state has no record of existing resources: {}{more} {verb} its ownership tag, so either the state is outdated or the records were removed from it",
            named.join(", ")
        );
        let moved = self.moved();
        let is_meant = self.intent == Intent::Destroy
            || moved.iter().all(|it| self.allowed.revert.contains(it));
        let told = if is_meant || self.is_switch {
            Diagnostic::warning(DiagnosticCode::OlderState, text)
        } else {
            Diagnostic::refusal(DiagnosticCode::OlderState, text)
        };
        Some(told.help(self.ways_on(unknown, &moved)))
    }

    /// What a destroy leaves of them: it is not over while they are there.
    pub fn left(&self, unknown: &[Unknown]) -> Vec<Change> {
        let planned = |it: &Address| self.plan.changes.iter().any(|change| change.address == *it);
        let left =
            unknown.iter().filter(|it| self.intent == Intent::Destroy && !planned(&it.address));
        left.map(|it| Change {
            address: it.address.clone(),
            kind: it.kind.clone(),
            action: Action::NoOp,
            reason: "it carries the stack's ownership tag, but is not in the state".into(),
            place: None,
            attributes: Vec::new(),
            loses_data: false,
            unknown: None,
            frozen: None,
            deferred: Some(Deferred {
                action: Action::Delete,
                wait: DeferReason::Unknown,
                why: "only recorded resources are deleted".into(),
                attributes: Vec::new(),
            }),
            id: Some(it.id.clone()),
            moved_from: None,
        })
        .collect()
    }

    /// The names whose users this plan would move.
    fn moved(&self) -> Vec<&Address> {
        let moves = |action: Action| {
            matches!(
                action,
                Action::Create | Action::Update | Action::Replace { .. } | Action::Delete
            )
        };
        let names = self.plan.changes.iter().filter(|it| {
            let kind = self.catalog.get(&it.kind);
            let directs = |kind: &crate::engine::schema::Kind| {
                it.action != Action::Update || it.attributes.iter().any(|it| kind.directs(&it.name))
            };
            kind.is_some_and(|kind| kind.drain.is_some() && moves(it.action) && directs(kind))
        });
        names.map(|it| &it.address).collect()
    }

    fn ways_on(&self, unknown: &[Unknown], moved: &[&Address]) -> String {
        let stack = self.name;
        if self.intent == Intent::Destroy {
            return "they are not deleted: put the newer state back and destroy again, or delete them by hand".into();
        }
        let mut ways = vec!["put the newer state back".to_owned()];
        let declares = |it: &&(RecoveryOverlay, Vec<Address>)| {
            unknown.iter().all(|unknown| it.1.contains(&unknown.address))
        };
        ways.extend(self.ways.iter().filter(declares).map(|(way, _)| {
            let (to, planned) = (way.overlay.as_str(), way.assumes_lost.is_empty());
            let switch = AdvisedCommand::Failover { stack, to, lost: Vec::new(), planned };
            format!("if it is lost and users are at {to}, continue from there: {switch}")
        }));
        ways.push("if they are no longer needed, delete them by hand".to_owned());
        if let ([first], false) = (moved, self.is_switch) {
            let (flag, address) = ("--revert-drift", first.to_string());
            let letting = AdvisedCommand::ApplyLetting { stack, flag, address: &address };
            ways.push(format!("to move users anyway: {letting}"));
        }
        ways.join("; ")
    }
}
