//! Plans for tests: a builder for those made by hand, and a strategy for random ones.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

use crate::engine::address::Address;
use crate::engine::allowance::{Exemption, ReviewedAllowance};
use crate::engine::observed::{UnknownReason, Unreadable};
use crate::engine::plan::model::change::{
    Action, AttributeChange, Bindings, Change, Danger, DeferReason, Deferred, Drift,
    DriftedAttribute, Intent, LossDeclaration, Note, OutputChange, Plan, StaleReport, Step,
    StepCall, TrafficShift,
};
use crate::engine::plan::model::planned_allowance::PlannedAllowance;
use crate::engine::plan::model::planned_task::{PlannedTask, TaskFate};
use crate::engine::plan::model::replacement::Replacement;
use crate::engine::schema::Sort;
use crate::engine::state::record::{Allowances, Phase};
use crate::engine::task::{IfLost, OnFailure, Rerun, TaskAction, TaskOccasion, TaskSpec, TaskWork};
use crate::engine::text::diagnostic::Severity;
use crate::engine::value::{Attributes, Value};

pub const CREATE: Action = Action::Create;
pub const REPLACE: Action = Action::Replace { create_first: false };

/// A plan of nothing for `woocommerce` in the sandbox.
pub fn plan() -> Plan {
    Plan {
        stack: "woocommerce".into(),
        bindings: Bindings {
            target: "sandbox".into(),
            intent: Intent::Apply,
            ..Bindings::default()
        },
        ..Plan::default()
    }
}

/// A task that runs a program after one resource and before another.
pub fn task(name: &str) -> PlannedTask {
    let exec = |command: &[&str]| TaskWork {
        action: TaskAction::Exec {
            command: command.iter().map(|it| Value::text(*it)).collect(),
            env: vec!["CACHE_TOKEN".into()],
        },
        within: 300,
    };
    PlannedTask {
        name: Address::one(name),
        occasion: TaskOccasion::Failover,
        fate: TaskFate::Run,
        place: "stacks/woocommerce/stack.yaml:90".into(),
        after: vec![Address::one("lb")],
        before: vec![Address::one("shop")],
        spec: TaskSpec {
            work: exec(&["./purge.sh", "shop"]),
            verify: Some(exec(&["./is_purged.sh"])),
            undo: None,
            rerun: Rerun::Safe,
            on_failure: OnFailure::Continue,
            if_lost: IfLost::Try,
        },
    }
}

pub fn change(address: &str, kind: &str, action: Action, reason: &str) -> Change {
    Change {
        address: address.parse().unwrap(),
        kind: kind.into(),
        action,
        reason: reason.into(),
        place: Some("stacks/woocommerce/stack.yaml:12".into()),
        attributes: Vec::new(),
        loses_data: false,
        unknown: None,
        frozen: None,
        deferred: None,
        id: None,
        moved_from: None,
    }
}

impl Change {
    #[must_use]
    pub fn with(mut self, name: &str, before: impl Into<Value>, after: impl Into<Value>) -> Self {
        self.attributes.push(AttributeChange {
            name: name.into(),
            before: before.into(),
            after: after.into(),
            replaces: None,
            place: Some(format!("stacks/woocommerce/stack.yaml:{}", 13 + self.attributes.len())),
        });
        self
    }

    #[must_use]
    pub fn forced(mut self, why: &str) -> Self {
        self.attributes.last_mut().unwrap().replaces = Some(why.into());
        self
    }
}

impl Plan {
    /// With one step for every change that is one, each after the one before.
    #[must_use]
    pub fn of(mut self, changes: Vec<Change>) -> Self {
        for change in &changes {
            let call = match change.action {
                Action::NoOp => continue,
                Action::Delete => StepCall::Delete { deposed: false },
                Action::Forget => StepCall::Forget,
                _ => StepCall::Ready,
            };
            let id = self.steps.len();
            self.steps.push(Step {
                id,
                address: change.address.clone(),
                kind: change.kind.clone(),
                call,
                waits: id.checked_sub(1).into_iter().collect(),
                lane: None,
                segment: id,
                weight: 1,
                shift: None,
                quorums: Vec::new(),
            });
        }
        self.changes.extend(changes);
        self
    }
}

pub fn note(severity: Severity, code: &str, text: &str, help: &str) -> Note {
    Note {
        code: code.into(),
        severity,
        text: text.into(),
        places: vec!["stacks/woocommerce/stack.yaml:12".into()],
        help: Some(help.into()),
    }
}

/// Any text, with what is dangerous in terminals, Markdown and HTML more often than by chance.
pub fn text() -> impl Strategy<Value = String> {
    let nasty = prop_oneof![
        Just("```\n"),
        Just("</details><script>"),
        Just("\u{1b}[2J"),
        Just("\u{202e}"),
        Just("\r\n"),
        Just("-->"),
        Just("`` ` "),
        Just("@team #1"),
        Just("\\\""),
    ];
    prop_oneof![
        "[a-z0-9_.-]{0,12}".boxed(),
        ".{0,40}".boxed(),
        (any::<String>(), nasty, "[a-z\n]{0,60}").prop_map(|(a, b, c)| a + b + &c).boxed(),
    ]
}

/// Any sealed value; floats that every reader of JSON reads alike.
pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i32>().prop_map(|it| Value::Float(f64::from(it) / 8.0)),
        text().prop_map(Value::Text),
        Just(Value::Open),
        "[0-9a-f]{0,32}".prop_map(Value::Fingerprint),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            btree_map("[a-z./ ]{0,6}", inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    btree_map("[a-z_]{1,8}", value(), 0..4)
}

pub fn address() -> impl Strategy<Value = Address> {
    let name = "[a-z][a-z0-9_]{0,8}";
    prop_oneof![
        name.prop_map(Address::one),
        (name, any::<u32>()).prop_map(|(name, at)| Address::index(name, at)),
        (name, text()).prop_map(|(name, key)| Address::named(name, key)),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::NoOp),
        Just(Action::Await),
        Just(Action::Move),
        Just(Action::Adopt),
        Just(Action::Create),
        Just(Action::Update),
        any::<bool>().prop_map(|create_first| Action::Replace { create_first }),
        Just(Action::Delete),
        Just(Action::Forget),
    ]
}

fn changed() -> impl Strategy<Value = AttributeChange> {
    (text(), value(), value(), option::of(text()), option::of(text())).prop_map(
        |(name, before, after, replaces, place)| AttributeChange {
            name,
            before,
            after,
            replaces,
            place,
        },
    )
}

fn any_change() -> impl Strategy<Value = Change> {
    let words = (text(), text(), option::of(text()), option::of(text()), option::of(text()));
    let rest = (vec(changed(), 0..3), any::<bool>(), option::of(address()));
    let frozen = (option::of(text()), option::of(any_held()));
    (address(), action(), words, rest, frozen).prop_map(|(address, action, words, rest, frozen)| {
        Change {
            address,
            action,
            kind: words.0,
            reason: words.1,
            place: words.2,
            unknown: words.3.map(|why| Unreadable::new(UnknownReason::Denied, why)),
            id: words.4,
            attributes: rest.0,
            loses_data: rest.1,
            moved_from: rest.2,
            frozen: frozen.0,
            deferred: frozen.1,
        }
    })
}

fn any_held() -> impl Strategy<Value = Deferred> {
    let wait = prop_oneof![
        Just(DeferReason::Lost),
        Just(DeferReason::Pending),
        Just(DeferReason::Group),
        Just(DeferReason::Unknown),
        Just(DeferReason::Retained)
    ];
    (action(), wait, text(), vec(changed(), 0..2))
        .prop_map(|(action, wait, why, attributes)| Deferred { action, wait, why, attributes })
}

fn any_loss() -> impl Strategy<Value = LossDeclaration> {
    (text(), option::of((any::<i64>(), text())))
        .prop_map(|(fault_domain, recorded)| LossDeclaration { fault_domain, recorded })
}

fn any_stale() -> impl Strategy<Value = StaleReport> {
    (text(), address(), text(), option::of(any::<i64>())).prop_map(
        |(what, from, fault_domain, since)| StaleReport { what, from, fault_domain, since },
    )
}

fn call() -> impl Strategy<Value = StepCall> {
    prop_oneof![
        address().prop_map(|from| StepCall::Move { from }),
        Just(StepCall::Forget),
        (attributes(), option::of(text()))
            .prop_map(|(attributes, label)| StepCall::Create { attributes, label }),
        (text(), vec(text(), 0..3), attributes(), any::<bool>()).prop_map(
            |(group, changed, attributes, or_create)| {
                StepCall::Update { group, changed, attributes, or_create }
            }
        ),
        any::<bool>().prop_map(|deposed| StepCall::Delete { deposed }),
        (text(), option::of(text())).prop_map(|(attribute, to)| StepCall::Rename { attribute, to }),
        Just(StepCall::Ready),
        any::<bool>().prop_map(|deposed| StepCall::Gone { deposed }),
        Just(StepCall::Gate),
        (vec(address(), 0..3), btree_map(address(), 2..5_usize, 0..2))
            .prop_map(|(of, serves)| StepCall::Serving { of, serves, probe: 0 }),
        (address(), any::<bool>()).prop_map(|(from, back)| StepCall::Replication { from, back }),
        (any::<u64>(), option::of(any::<i64>()))
            .prop_map(|(seconds, until)| StepCall::Drain { seconds, until }),
    ]
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (address(), text(), call(), vec(any::<usize>(), 0..3), option::of(text()));
    let directs = (vec(address(), 0..2), any::<(u64, u64)>())
        .prop_map(|(was, (seconds, ttl))| TrafficShift { was, seconds, ttl });
    vec((step, any::<usize>(), any::<u64>(), option::of(directs)), 0..6).prop_map(|steps| {
        let numbered = steps.into_iter().enumerate();
        numbered
            .map(|(id, ((address, kind, call, waits, lane), segment, weight, directs))| Step {
                id,
                address,
                kind,
                call,
                waits: waits.into_iter().filter_map(|it| it.checked_rem(id)).collect(),
                lane,
                segment,
                weight,
                shift: directs,
                quorums: Vec::new(),
            })
            .collect()
    })
}

fn bindings() -> impl Strategy<Value = Bindings> {
    let map = || btree_map(text(), text(), 0..3);
    let lists = (vec(text(), 0..3), vec(text(), 0..3));
    let words = (text(), text(), text(), text());
    (words, (map(), map(), map()), lists, any::<(u64, u64, bool)>()).prop_map(
        |(words, maps, lists, (serial, sequence, destroys))| Bindings {
            version: words.0,
            kinds: words.1,
            lineage: words.2,
            target: words.3,
            intent: if destroys { Intent::Destroy } else { Intent::Apply },
            files: maps.0,
            variables: maps.1,
            accounts: maps.2,
            active: lists.0,
            lost: lists.1,
            serial,
            sequence,
        },
    )
}

fn any_note() -> impl Strategy<Value = Note> {
    let severity =
        prop_oneof![Just(Severity::Warning), Just(Severity::Refusal), Just(Severity::Error)];
    (text(), severity, text(), vec(text(), 0..2), option::of(text())).prop_map(
        |(code, severity, text, places, help)| Note { severity, code, text, places, help },
    )
}

fn any_danger() -> impl Strategy<Value = Danger> {
    let sort = prop_oneof![
        Just(Sort::Data),
        Just(Sort::Traffic),
        Just(Sort::Exposure),
        Just(Sort::Protection)
    ];
    (address(), sort, text()).prop_map(|(address, sort, says)| Danger {
        address,
        sort,
        says,
        stays: Vec::new(),
    })
}

fn any_replacement() -> impl Strategy<Value = Replacement> {
    (address(), btree_map(text(), text(), 0..3), any::<u64>())
        .prop_map(|(address, loses, away)| Replacement { address, loses, away })
}

fn any_drift() -> impl Strategy<Value = Drift> {
    let one = (text(), value(), value()).prop_map(|(name, recorded, observed)| DriftedAttribute {
        name,
        recorded,
        observed,
    });
    let attributes = vec(one, 0..3);
    (address(), text(), any::<bool>(), attributes)
        .prop_map(|(address, kind, absent, attributes)| Drift { address, kind, absent, attributes })
}

fn any_allowance() -> impl Strategy<Value = PlannedAllowance> {
    let exempts = prop_oneof![
        address().prop_map(Exemption::Delete),
        address().prop_map(Exemption::Replace),
        address().prop_map(Exemption::RevertDrift),
        any::<usize>().prop_map(Exemption::Destroys),
        any::<usize>().prop_map(Exemption::Absent),
    ];
    (exempts, text(), text(), text(), btree_map(address(), text(), 0..2)).prop_map(
        |(exempts, until, because, place, lets_go)| PlannedAllowance {
            allowance: ReviewedAllowance { exempts, until, because },
            place,
            lets_go,
        },
    )
}

/// Any sealed plan.
pub fn any_plan() -> impl Strategy<Value = Plan> {
    let overlays = || vec(text(), 0..3);
    let head = (text(), option::of(text()), option::of((overlays(), overlays())), overlays());
    let output = (text(), value(), value()).prop_map(|(name, before, after)| OutputChange {
        name,
        before,
        after,
    });
    let body = (
        vec(any_change(), 0..8),
        vec(any_drift(), 0..3),
        vec(output, 0..3),
        (vec(any_danger(), 0..3), vec(any_replacement(), 0..3)),
    );
    let losses = (vec(any_loss(), 0..3), vec(text(), 0..2), vec(any_stale(), 0..2));
    let allowed = (vec(address(), 0..2), option::of(any::<usize>()), any::<bool>(), any::<bool>());
    let phase = prop_oneof![Just(Phase::Settled), Just(Phase::Switching), Just(Phase::Degraded)];
    let allowed = allowed.prop_map(|(delete, destroys, outage, pending)| {
        (Allowances { delete, destroys, outage, ..Allowances::default() }, pending)
    });
    let losses = (losses, allowed, phase);
    let notes = (vec(any_note(), 0..3), vec(any_allowance(), 0..2));
    (head, bindings(), body, any_steps(), notes, losses).prop_map(
        |(head, bindings, body, steps, (notes, allowances), (losses, allowed, phase))| Plan {
            allowances,
            phase,
            rest: None,
            allowed: allowed.0,
            include_pending: allowed.1,
            skipped_gates: Vec::new(),
            variables: Vec::new(),
            replace: Vec::new(),
            lost: losses.0.clone(),
            recovered: losses.1,
            stale: losses.2,
            stack: head.0,
            instance: head.1,
            switch: head.2,
            overlays: head.3,
            bindings,
            changes: body.0,
            dangers: body.3.0,
            replacements: body.3.1,
            drift: body.1,
            foreign: Vec::new(),
            strays: Vec::new(),
            // As many as there are losses: their count is drawn anyway.
            tasks: (0..losses.0.len()).map(|it| task(&format!("task_{it}"))).collect(),
            outputs: body.2,
            steps,
            notes,
        },
    )
}
