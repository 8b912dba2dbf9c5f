//! What a restricted user of an account sees and may change, and what of a plan its grants do not let through.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::plan::model::change::{Plan, Step, StepCall};
use crate::engine::schema::{Catalog, GrantRoutes, Kind};
use crate::engine::state::record::State;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::Diagnostic;
use crate::engine::value::{Attributes, Value};

/// Where the API tells a user what it may do.
pub const TOLD_AT: &str = "GET /profile/grants";

/// The user of a token, where it does not see all of its account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restricted {
    pub user: String,
    /// By the API's word for a sort, and by id: whether it may be changed, or only looked at. What is in no list is hidden.
    pub objects: BTreeMap<String, BTreeMap<String, bool>>,
    /// What it may do in the account as a whole.
    pub global: BTreeSet<String>,
}

impl Restricted {
    /// Why an object that is answered for as if it were not there may be there all the same.
    pub fn hides(&self, kind: &Kind, id: &str, attributes: &Attributes) -> Option<String> {
        let user = &self.user;
        match kind.rest.as_ref()?.grants.as_ref()? {
            GrantRoutes::Own => Some(format!(
                "the token's user `{user}` is restricted, and each user sees only its own {}; use the token of the user who created it",
                kind.kind
            )),
            GrantRoutes::Each { entity, .. } | GrantRoutes::Inside { entity, .. } => {
                let id = named(kind, Some(id), attributes)?.1;
                let is_named = self.objects.get(entity).is_some_and(|it| it.contains_key(&id));
                (!is_named).then(|| {
                    format!(
                        "the token's user `{user}` is restricted, and its grants ({TOLD_AT}) do not include this `{entity}`, so it may exist without being visible; grant access to it, or use the token of an unrestricted user"
                    )
                })
            }
        }
    }

    /// Whether it may look at an object, and not change it.
    fn only_reads(&self, kind: &Kind, id: Option<&str>, attributes: &Attributes) -> Option<String> {
        let (entity, id) = named(kind, id, attributes)?;
        let may_write = *self.objects.get(entity)?.get(&id)?;
        (!may_write).then(|| format!("may only read the `{entity}` {id}"))
    }
}

/// Under which word and id the grants name an object, or what it is inside of.
fn named<'k>(
    kind: &'k Kind,
    id: Option<&str>,
    attributes: &Attributes,
) -> Option<(&'k str, String)> {
    match kind.rest.as_ref()?.grants.as_ref()? {
        GrantRoutes::Own => None,
        GrantRoutes::Each { entity, .. } => Some((entity, id?.to_owned())),
        GrantRoutes::Inside { entity, id } => match attributes.get(id)? {
            Value::Text(id) => Some((entity, id.clone())),
            Value::Int(id) => Some((entity, id.to_string())),
            _ => None,
        },
    }
}

/// Whether it matters to a plan what its user may do.
pub fn is_asked(plan: &Plan, catalog: &Catalog) -> bool {
    let mut changing = plan.steps.iter().filter(|it| it.call.mutates());
    changing.any(|step| {
        let kind = catalog.get(&step.kind).and_then(|it| it.rest.as_ref());
        kind.is_some_and(|it| it.grants.is_some())
    })
}

/// An error for each grant that the steps of a plan need and its user lacks.
pub fn refused(
    plan: &Plan,
    stack: &Stack,
    state: Option<&State>,
    catalog: &Catalog,
    restricted: &Restricted,
) -> Vec<Diagnostic> {
    let mut lacking: BTreeMap<String, Vec<&Address>> = BTreeMap::new();
    for step in plan.steps.iter().filter(|it| it.call.mutates()) {
        let Some(kind) = catalog.get(&step.kind) else { continue };
        if let Some(what) = lacks(plan, state, step, kind, restricted) {
            let needed_by = lacking.entry(what).or_default();
            if !needed_by.contains(&&step.address) {
                needed_by.push(&step.address);
            }
        }
    }
    let told = lacking.into_iter().map(|(what, needed_by)| {
        let more = match needed_by.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first = needed_by[0];
        let text = format!(
            "the token's user `{}` is restricted and {what}: `{first}`{more} cannot be created or changed",
            restricted.user
        );
        let wrong = Diagnostic::error(DiagnosticCode::NotGranted, text).help(format!(
            "give that user the grant ({TOLD_AT} lists its grants), or use the token of a user who has it"
        ));
        match stack.instances.get(first) {
            Some(instance) => wrong.at(instance.resource.span, "requested here"),
            None => wrong,
        }
    });
    told.collect()
}

/// What could not be read is said; nothing stops for it.
pub fn unread(why: &str) -> Diagnostic {
    let text = format!(
        "the permissions of the token's user could not be read and were not checked: {why}"
    );
    Diagnostic::warning(DiagnosticCode::GrantsUnread, text)
        .help("the plan is still valid; the cloud will refuse any step that the user may not make")
}

/// Which grant of the user a step would fail for want of.
fn lacks(
    plan: &Plan,
    state: Option<&State>,
    step: &Step,
    kind: &Kind,
    restricted: &Restricted,
) -> Option<String> {
    if let StepCall::Create { attributes, .. } = &step.call {
        return match kind.rest.as_ref()?.grants.as_ref()? {
            GrantRoutes::Each { add, .. } => (!restricted.global.contains(add))
                .then(|| format!("lacks the account-wide grant `{add}`")),
            _ => restricted.only_reads(kind, None, attributes),
        };
    }
    let change = plan.changes.iter().find(|it| it.address == step.address)?;
    let from = change.moved_from.as_ref().unwrap_or(&change.address);
    let record = state?.records.get(from)?;
    restricted.only_reads(kind, Some(&record.id), &record.attributes)
}

#[cfg(test)]
mod tests {
    use super::{Restricted, refused};
    use crate::engine::plan::model::options::PlanOptions;
    use crate::engine::plan::planner::{PlanInputs, plan_changes};
    use crate::engine::plan::tests::{applied, order, stack};
    use crate::engine::value::{Attributes, Value};
    use crate::kinds::builtin;

    const SITE: &str = "  lb: { kind: linode.nodebalancer, region: us-east, label: lb-1 }
  http: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', port: 80 }
  key: { kind: linode.ssh_key, ssh_key: 'ssh-ed25519 AAAA' }";

    fn sam(objects: &[(&str, &str, bool)], global: &[&str]) -> Restricted {
        let mut sam = Restricted { user: "sam".into(), ..Restricted::default() };
        for (entity, id, write) in objects {
            sam.objects.entry((*entity).into()).or_default().insert((*id).into(), *write);
        }
        sam.global = global.iter().map(ToString::to_string).collect();
        sam
    }

    #[test]
    fn hides_children_of_hidden_objects() {
        let catalog = builtin();
        let hides = |kind: &str, id: &str, it: &Restricted| {
            let parent = Value::text("7");
            let attributes =
                [("nodebalancer", &parent), ("config.nodebalancer", &parent), ("domain", &parent)]
                    .map(|(name, value)| (name.to_owned(), value.clone()));
            it.hides(&catalog.kinds[kind], id, &Attributes::from(attributes)).is_some()
        };
        let some = sam(&[("nodebalancer", "7", false), ("domain", "8", true)], &[]);
        for (kind, id, hidden) in [
            ("linode.nodebalancer", "7", false),
            ("linode.nodebalancer", "9", true),
            ("linode.nodebalancer_config", "1", false),
            ("linode.nodebalancer_node", "1", false),
            ("linode.domain_record", "1", true),
            ("linode.domain", "8", false),
            ("linode.instance", "7", true),
            ("linode.firewall", "7", true),
            ("linode.ssh_key", "1", true),
        ] {
            assert_eq!(hides(kind, id, &some), hidden, "{kind} {id}");
        }
        assert!(!hides("dynamodb.table", "t", &some), "another cloud has other users");
    }

    #[test]
    fn refused_reports_each_missing_grant_once() {
        let catalog = builtin();
        let stack = stack(SITE, &catalog);
        let (state, observed) = applied(&stack, &catalog);
        let order = order(&stack);
        let told = |of: Option<&_>, sam: &Restricted| {
            let worlds = PlanInputs {
                catalog: &catalog,
                stack: &stack,
                order: &order,
                state: of,
                observed: &observed,
            };
            let (mut options, nothing) = (PlanOptions::default(), Vec::new());
            options.now = 3_600_000;
            options.replace = if of.is_some() { vec!["http".parse().unwrap()] } else { nothing };
            let plan = plan_changes(&worlds, &options).0;
            let told = refused(&plan, &stack, of, &catalog, sam);
            told.into_iter().map(|it| it.summary).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(told(None, &sam(&[], &["add_linodes"])), @"the token's user `sam` is restricted and lacks the account-wide grant `add_nodebalancers`: `lb` cannot be created or changed");
        assert_eq!(told(None, &sam(&[], &["add_nodebalancers"])), "");
        let lb = state.records[&"lb".parse().unwrap()].id.clone();
        assert_eq!(told(Some(&state), &sam(&[("nodebalancer", &lb, true)], &[])), "");
        let reads = told(Some(&state), &sam(&[("nodebalancer", &lb, false)], &[]));
        assert!(reads.contains("may only read") && reads.contains("`http`"), "{reads}");
    }
}
