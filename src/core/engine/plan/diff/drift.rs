//! What was changed outside, and what a plan does not simply take back: what only a replacement would undo, and where users are sent.

use crate::engine::normalize::normalise;
use crate::engine::plan::model::change::{Action, AttributeChange};
use crate::engine::plan::model::options::{Intent, PlanOptions};
use crate::engine::plan::model::planned_change::PlannedChange;
use crate::engine::schema::{Kind, OnChange};
use crate::engine::state::record::Record;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::Value;

/// Whether the world differs from what is recorded. What a call of ours that ended badly may have made is no such difference.
fn is_outside(kind: &Kind, record: &Record, it: &AttributeChange) -> bool {
    let normal = |value: &Value| normalise(kind, &it.name, value, &record.attributes);
    let is_ours =
        |value: Option<&Value>| value.is_some_and(|value| normal(value) == normal(&it.before));
    let recorded = record.attributes.get(&it.name);
    recorded.is_some() && !is_ours(recorded) && !is_ours(record.tried.get(&it.name))
}

/// Whether it means a replacement, and would not if nobody had changed anything outside.
pub fn replaces_by_drift(kind: &Kind, record: &Record, it: &AttributeChange) -> bool {
    if it.replaces.is_none() || it.after.has_open() || !is_outside(kind, record, it) {
        return false;
    }
    let normal = |value: &Value| normalise(kind, &it.name, value, &record.attributes);
    let recorded = record.attributes.get(&it.name).cloned().unwrap_or_default();
    let (recorded, wanted) = (normal(&recorded), normal(&it.after));
    let meaning = kind.attribute(&it.name).map(|it| it.meaning(&recorded, &wanted).0);
    recorded == wanted || meaning != Some(OnChange::Replace)
}

/// Whether it would undo what was done outside, and nothing can.
pub fn refused_by_drift(kind: &Kind, record: &Record, it: &AttributeChange) -> bool {
    let meaning = kind.attribute(&it.name).map(|at| at.meaning(&it.before, &it.after).0);
    meaning == Some(OnChange::Refuse) && is_outside(kind, record, it)
}

/// Whether users were sent elsewhere than state and layers say.
fn directs_by_drift(kind: &Kind, record: &Record, it: &AttributeChange) -> bool {
    let users = kind.directs_users(|name| record.attributes.get(name));
    users && kind.directs(&it.name) && is_outside(kind, record, it)
}

/// `type (recorded: "a", observed: "b")` of each.
fn told(record: &Record, all: &[&AttributeChange]) -> String {
    let recorded =
        |it: &AttributeChange| record.attributes.get(&it.name).cloned().unwrap_or_default();
    let one = |it: &&AttributeChange| {
        format!("`{}` (recorded: {}, observed: {})", it.name, recorded(it).json(), it.before.json())
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What the layers would have to say to keep what is there.
fn kept(all: &[&AttributeChange]) -> String {
    let one = |it: &&AttributeChange| {
        if it.before.has_secret() {
            format!("the observed `{}`", it.name)
        } else {
            format!("`{}: {}`", it.name, it.before.json())
        }
    };
    all.iter().map(one).collect::<Vec<_>>().join(" and ")
}

/// What a plan says about a change that takes back what somebody else did: outside of a switch a refusal, with both ways
/// on; in a switch, which wins, a word.
pub fn drifted(it: &PlannedChange<'_>, options: &PlanOptions, stack: &str) -> Option<Diagnostic> {
    let (kind, record) = (it.kind, it.record?);
    if options.intent != Intent::Apply {
        return None;
    }
    let address = &it.change.address;
    let shown = address.to_string();
    let letting =
        |flag: &'static str| AdvisedCommand::ApplyLetting { stack, flag, address: &shown };
    let replacing: Vec<&AttributeChange> =
        it.change.attributes.iter().filter(|it| it.replaces.is_some()).collect();
    let is_replaced = matches!(it.change.action, Action::Replace { .. });
    let is_said = options.replace.contains(address) || options.allowed.replace.contains(address);
    if is_replaced
        && !is_said
        && !replacing.is_empty()
        && replacing.iter().all(|it| replaces_by_drift(kind, record, it))
    {
        let text = format!(
            "`{address}` would be replaced only because it was changed outside of lifeboat: {}",
            told(record, &replacing)
        );
        let refusal = Diagnostic::refusal(DiagnosticCode::DriftReplaces, text).help(format!(
            "to keep it as it is, set {}; to replace it: {}",
            kept(&replacing),
            letting("--allow-replace")
        ));
        return Some(placed(it, refusal, "it would be replaced to restore this value"));
    }
    let is_changed = is_replaced || it.change.action == Action::Update;
    let directing: Vec<&AttributeChange> =
        it.change.attributes.iter().filter(|it| directs_by_drift(kind, record, it)).collect();
    if !is_changed || directing.is_empty() || options.allowed.revert.contains(address) {
        return None;
    }
    let what = format!(
        "traffic was shifted outside of lifeboat by a change to `{address}`: {}",
        told(record, &directing)
    );
    if options.is_switch() {
        let help = "the switch decides where users are sent, so it reverts that change";
        let warning = Diagnostic::warning(DiagnosticCode::DriftOverruled, what).help(help);
        return Some(placed(it, warning, "the switch sets this value"));
    }
    let refusal = Diagnostic::refusal(DiagnosticCode::DriftDirects, what).help(format!(
        "to keep it as it is, set {}; to revert it: {}",
        kept(&directing),
        letting("--revert-drift")
    ));
    Some(placed(it, refusal, "this plan would send users here"))
}

fn placed(it: &PlannedChange<'_>, told: Diagnostic, label: &str) -> Diagnostic {
    let Some(instance) = it.instance else { return told };
    let named =
        it.change.attributes.iter().find_map(|it| instance.resource.attributes.get(&it.name));
    told.at(named.map_or(instance.resource.span, |it| it.key), label)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use crate::engine::observed::Observation;
    use crate::engine::plan::model::change::Plan;
    use crate::engine::plan::model::options::{Allowances, PlanOptions};
    use crate::engine::plan::planner::{PlanInputs, plan_changes};
    use crate::engine::plan::tests::switch::{self, FAILOVER};
    use crate::engine::plan::tests::{applied, order, stack};
    use crate::engine::state::record::State;
    use crate::engine::value::Value;
    use crate::kinds::builtin;

    const SITE: &str = "
  web: { kind: linode.instance, region: us-east, type: g6-standard-2, image: linode/debian12, authorized_users: [a], label: web-1 }
  zone: { kind: linode.domain, domain: example.com, soa_email: a@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: 192.0.2.1, ttl_sec: 300 }";

    /// The site, after somebody has changed one attribute in the cloud.
    fn plan(after: &str, hand: (&str, &str, &str), options: &PlanOptions, tried: bool) -> Plan {
        plan_from(SITE, after, hand, options, tried)
    }

    fn plan_from(
        before: &str,
        after: &str,
        hand: (&str, &str, &str),
        options: &PlanOptions,
        tried: bool,
    ) -> Plan {
        let catalog = builtin();
        let (mut state, mut observed) = applied(&stack(before, &catalog), &catalog);
        let (address, name, value) = hand;
        let address = address.parse().unwrap();
        if let Some(Observation::Exists { attributes, .. }) = observed.get_mut(&address) {
            attributes.insert(name.into(), Value::text(value));
        }
        if tried {
            let record = state.records.get_mut(&address).unwrap();
            record.tried.insert(name.into(), Value::text(value));
        }
        let desired = stack(after, &catalog);
        let order = order(&desired);
        let state: Option<&State> = Some(&state);
        let worlds = PlanInputs {
            catalog: &catalog,
            stack: &desired,
            order: &order,
            state,
            observed: &observed,
        };
        let options = PlanOptions { now: 3_600_000, ..options.clone() };
        plan_changes(&worlds, &options).0
    }

    fn said(plan: &Plan) -> String {
        let mut text = String::new();
        for it in plan.changes.iter().filter(|it| !it.attributes.is_empty()) {
            writeln!(text, "{} {}", it.action.word(), it.address).unwrap();
        }
        for note in &plan.notes {
            let help = note.help.as_deref().unwrap_or_default();
            writeln!(text, "{} {}: {}\n  {help}", note.severity.word(), note.code, note.text)
                .unwrap();
        }
        text
    }

    fn check(after: &str, hand: (&str, &str, &str)) -> String {
        said(&plan(after, hand, &PlanOptions::default(), false))
    }

    #[test]
    fn drifted_refuses_nothing_of_a_record_that_directs_nobody() {
        let text = SITE.replace(
            "type: A, name: shop, target: 192.0.2.1",
            "type: TXT, name: shop, target: hello",
        );
        let hand = ("shop", "target", "world");
        let plan = plan_from(&text, &text, hand, &PlanOptions::default(), false);
        assert_eq!(said(&plan), "update shop\n");
    }

    #[test]
    fn replaces_by_drift_keeps_what_only_a_replacement_would_revert() {
        let grown = ("web", "type", "g6-standard-8");
        insta::assert_snapshot!(check(SITE, grown), @r#"
        replace web
        refusal drift_replaces: `web` would be replaced only because it was changed outside of lifeboat: `type` (recorded: "g6-standard-2", observed: "g6-standard-8")
          to keep it as it is, set `type: "g6-standard-8"`; to replace it: `lifeboat apply t --allow-replace web`
        "#);
        let rebuilt = ("web", "image", "linode/debian13");
        insta::assert_snapshot!(check(SITE, rebuilt), @r#"
        replace web
        refusal drift_replaces: `web` would be replaced only because it was changed outside of lifeboat: `image` (recorded: "linode/debian12", observed: "linode/debian13")
          to keep it as it is, set `image: "linode/debian13"`; to replace it: `lifeboat apply t --allow-replace web`
        "#);
        // To another size: without what was done by hand it would be a resize in place.
        let wanted = SITE.replace("g6-standard-2", "g6-standard-4");
        insta::assert_snapshot!(check(&wanted, grown), @r#"
        replace web
        refusal drift_replaces: `web` would be replaced only because it was changed outside of lifeboat: `type` (recorded: "g6-standard-2", observed: "g6-standard-8")
          to keep it as it is, set `type: "g6-standard-8"`; to replace it: `lifeboat apply t --allow-replace web`
        "#);
        // The layers themselves want another image: they are the reason.
        let wanted = SITE.replace("debian12", "ubuntu24.04");
        assert!(!check(&wanted, rebuilt).contains("drift_replaces"));
        // They want what is there.
        let wanted = SITE.replace("g6-standard-2", "g6-standard-8");
        assert_eq!(check(&wanted, grown), "");
    }

    #[test]
    fn directs_by_drift_keeps_users_where_they_were_sent() {
        let moved = ("shop", "target", "192.0.2.99");
        insta::assert_snapshot!(check(SITE, moved), @r#"
        update shop
        refusal drift_directs: traffic was shifted outside of lifeboat by a change to `shop`: `target` (recorded: "192.0.2.1", observed: "192.0.2.99")
          to keep it as it is, set `target: "192.0.2.99"`; to revert it: `lifeboat apply t --revert-drift shop`
        "#);
        let wanted = SITE.replace("192.0.2.1", "192.0.2.2");
        assert!(check(&wanted, moved).contains("drift_directs"));
        // Towards what is desired, and what is no traffic.
        assert_eq!(check(&SITE.replace("192.0.2.1", "192.0.2.99"), moved), "");
        assert_eq!(check(SITE, ("zone", "soa_email", "b@example.com")), "update zone\n");
    }

    #[test]
    fn directs_by_drift_ignores_what_our_own_call_may_have_done() {
        let wanted = SITE.replace("192.0.2.1", "192.0.2.2");
        let moved = ("shop", "target", "192.0.2.99");
        assert_eq!(said(&plan(&wanted, moved, &PlanOptions::default(), true)), "update shop\n");
    }

    #[test]
    fn plan_reverts_drift_with_an_allowance() {
        let allowed = Allowances {
            replace: vec!["web".parse().unwrap()],
            revert: vec!["shop".parse().unwrap()],
            ..Allowances::default()
        };
        let options = PlanOptions { allowed, ..PlanOptions::default() };
        let grown = ("web", "type", "g6-standard-8");
        assert_eq!(said(&plan(SITE, grown, &options, false)), "replace web\n");
        let moved = ("shop", "target", "192.0.2.99");
        assert_eq!(said(&plan(SITE, moved, &options, false)), "update shop\n");
    }

    #[test]
    fn plan_replaces_what_the_replace_option_names() {
        let options =
            PlanOptions { replace: vec!["web".parse().unwrap()], ..PlanOptions::default() };
        let plan = plan(SITE, ("web", "status", "running"), &options, false);
        let change = plan.changes.iter().find(|it| it.address.name == "web").unwrap();
        assert_eq!(
            (change.action.word(), &*change.reason),
            ("replace", "replacement was requested with --replace")
        );
        assert!(plan.notes.is_empty(), "{:?}", plan.notes);
        let options =
            PlanOptions { replace: vec!["wbe".parse().unwrap()], ..PlanOptions::default() };
        insta::assert_snapshot!(said(&self::plan(SITE, ("web", "status", "running"), &options, false)), @r#"
        error unknown_address: `--replace wbe`: `wbe` does not exist
          did you mean `web`?
        "#);
    }

    /// A switch decides where users are sent; what it does not touch it leaves alone.
    #[test]
    fn plan_switch_moves_users_and_replaces_nothing_because_of_drift() {
        let hand = |state: &mut State,
                    observed: &mut std::collections::BTreeMap<_, Observation>| {
            let _ = state;
            for (address, name, value) in [
                ("shop", "target", "192.0.2.99"),
                ("eu[0]", "type", "g6-standard-8"),
                ("web[0]", "type", "g6-standard-8"),
            ] {
                let address = address.parse().unwrap();
                let Some(Observation::Exists { attributes, .. }) = observed.get_mut(&address)
                else {
                    panic!("{address} is there")
                };
                attributes.insert(name.into(), Value::text(value));
            }
        };
        let case = switch::SwitchCase { to: Some(FAILOVER), change: &hand, ..Default::default() };
        let plan = switch::plan(&case);
        insta::assert_snapshot!(said(&plan), @r#"
        create eu[1]
        create node_eu[1]
        update shop
        warning drift_overruled: traffic was shifted outside of lifeboat by a change to `shop`: `target` (recorded: "ipv4-1", observed: "192.0.2.99")
          the switch decides where users are sent, so it reverts that change
        "#);
        let held: Vec<String> = plan
            .changes
            .iter()
            .filter_map(|it| Some(format!("{}: {}", it.address, it.deferred.as_ref()?.why)))
            .collect();
        insta::assert_snapshot!(held.join("\n"), @r#"
        web[0]: it was changed outside of lifeboat, and a switch does not replace resources because of drift
        eu[0]: it was changed outside of lifeboat, and a switch does not replace resources because of drift
        "#);
    }
}
