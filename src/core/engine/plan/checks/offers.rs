//! Whether the clouds take what a plan would send, by the lists that they keep and the settings of the account.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::engine::address::Address;
use crate::engine::lang::model::Stack;
use crate::engine::lang::validate::kind_rules::KindRules;
use crate::engine::plan::model::change::{Plan, StepCall};
use crate::engine::schema::{AccountDefault, Available, Catalog, Chosen, Kind};
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Span};
use crate::engine::value::{Attributes, Value};

/// What a provider is asked about its offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OfferRequest {
    /// The driver of the kind that asks.
    pub provider: String,
    pub source: OfferSource,
    /// A path of its API; of quotas the fault domain.
    pub path: String,
}

impl OfferRequest {
    pub fn new(kind: &Kind, source: OfferSource, path: &str) -> Self {
        Self { provider: kind.provider.clone(), source, path: path.to_owned() }
    }
}

/// What sort of answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OfferSource {
    /// A list of rows.
    List,
    /// One object.
    Object,
    /// What the account may have in a fault domain, by its name.
    Quotas,
}

/// What was read, or why it could not be.
pub type ReadOffers = BTreeMap<OfferRequest, Result<Vec<Json>, String>>;

/// The rows of a list, where it could be read.
fn rows<'a>(read: &'a ReadOffers, kind: &Kind, list: &str) -> Option<&'a [Json]> {
    let read = read.get(&OfferRequest::new(kind, OfferSource::List, list))?;
    read.as_deref().ok()
}

/// Attributes that a call would send, with the names of those that it sends; `None`: all, for it makes the object.
pub struct SentValues<'a> {
    pub address: &'a Address,
    pub kind: &'a Kind,
    pub attributes: &'a Attributes,
    pub changed: Option<Cow<'a, [String]>>,
}

impl SentValues<'_> {
    fn sends(&self, name: &str) -> bool {
        self.changed.as_ref().is_none_or(|it| it.iter().any(|it| it == name))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Value::as_text)
    }
}

fn sent<'a>(plan: &'a Plan, catalog: &'a Catalog) -> impl Iterator<Item = SentValues<'a>> {
    plan.steps.iter().filter_map(|step| {
        let kind = catalog.get(&step.kind)?;
        let (attributes, changed) = match &step.call {
            StepCall::Create { attributes, .. } => (attributes, None),
            StepCall::Update { attributes, changed, .. } => {
                (attributes, Some(Cow::Borrowed(changed.as_slice())))
            }
            _ => return None,
        };
        Some(SentValues { address: &step.address, kind, attributes, changed })
    })
}

/// What has to be read to judge this plan; nothing for one that sends nothing of the sort.
pub fn sources(plan: &Plan, catalog: &Catalog) -> BTreeSet<OfferRequest> {
    sources_of(sent(plan, catalog))
}

/// The same for calls that no plan holds yet.
pub fn sources_of<'a>(all: impl Iterator<Item = SentValues<'a>>) -> BTreeSet<OfferRequest> {
    let mut found = BTreeSet::new();
    let mut rules = KindRules::default();
    for it in all {
        for (name, attribute) in &it.kind.attributes {
            let is_text = it.sends(name) && it.text(name).is_some();
            if let Some(chosen) = attribute.chosen.as_ref().filter(|_| is_text) {
                let lists = chosen.list.iter().chain(chosen.available.iter().map(|it| &it.list));
                let request = |list| OfferRequest::new(it.kind, OfferSource::List, list);
                found.extend(lists.map(|it| request(it)));
            }
            if let Some(account) = &attribute.account_default
                && is_asked(&it, name, account, &mut rules)
            {
                found.insert(OfferRequest::new(it.kind, OfferSource::Object, &account.path));
            }
        }
    }
    found
}

/// Whether it matters what the account gives: some rule would be broken by one of its answers, or one refuses what is given.
fn is_asked<'a>(
    it: &SentValues<'a>,
    name: &str,
    account: &AccountDefault,
    rules: &mut KindRules<'a>,
) -> bool {
    if it.changed.is_some() {
        return false;
    }
    if let Some(given) = it.text(name) {
        return account.refuses.values().flatten().any(|it| it == given);
    }
    let breaks = |gives: &String| !rules.broken(it.kind, &with(it, name, gives)).is_empty();
    account.gives.values().any(breaks)
}

fn with(it: &SentValues<'_>, name: &str, value: &str) -> Attributes {
    let mut attributes = it.attributes.clone();
    attributes.insert(name.to_owned(), Value::text(value));
    attributes
}

/// What the cloud would refuse, each with the line that asks for it; and what could not be looked up, as warnings.
pub fn refused(
    plan: &Plan,
    stack: &Stack,
    catalog: &Catalog,
    read: &ReadOffers,
) -> Vec<Diagnostic> {
    let mut out = refused_of(sent(plan, catalog), stack, catalog, read);
    out.extend(unread(read));
    out
}

/// The same for calls that no plan holds yet, without what could not be looked up.
pub fn refused_of<'a>(
    all: impl Iterator<Item = SentValues<'a>>,
    stack: &Stack,
    catalog: &Catalog,
    read: &ReadOffers,
) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    let mut told = BTreeSet::new();
    let mut rules = KindRules::default();
    for it in all {
        for (name, attribute) in &it.kind.attributes {
            let mut all: Vec<Diagnostic> = Vec::new();
            if let Some(chosen) = &attribute.chosen
                && let Some(value) = it.text(name).filter(|_| it.sends(name))
            {
                all.extend(unknown(&it, chosen, value, read, catalog));
                all.extend(chosen.available.as_ref().and_then(|of| not_here(&it, of, value, read)));
            }
            if it.sends(name) && it.attributes.get(name).is_some_and(|it| !it.is_null()) {
                all.extend(attribute.wants.iter().filter_map(|wants| {
                    let value = it.text(&wants.attribute)?;
                    let list =
                        it.kind.attribute(&wants.attribute)?.chosen.as_ref()?.list.as_ref()?;
                    let row = row(rows(read, it.kind, list)?, value)?;
                    (!is_capable(row, &wants.capability)).then(|| {
                        let text = format!(
                            "`{value}` has no `{}`, which `{name}` requires",
                            wants.capability
                        );
                        Diagnostic::error(DiagnosticCode::NotOffered, text).help(format!(
                            "remove `{name}`, or choose another `{}`",
                            wants.attribute
                        ))
                    })
                }));
            }
            if let Some(account) = &attribute.account_default {
                all.extend(by_account(&it, name, account, read, &mut rules));
            }
            let at = span(stack, it.address, name);
            // Instances of one resource are told once.
            let all = all.into_iter().filter(|one| told.insert((at, one.summary.clone())));
            out.extend(all.map(|one| match (at, one.labels.is_empty()) {
                (Some(at), true) => one.at(at, format!("requested by `{}`", it.address)),
                _ => one,
            }));
        }
    }
    out
}

fn span(stack: &Stack, address: &Address, name: &str) -> Option<Span> {
    let resource = &stack.instances.get(address)?.resource;
    Some(resource.attributes.get(name).map_or(resource.span, |it| it.term.span))
}

fn row<'a>(rows: &'a [Json], id: &str) -> Option<&'a Json> {
    rows.iter().find(|row| row.get("id").and_then(Json::as_str) == Some(id))
}

fn is_capable(row: &Json, capability: &str) -> bool {
    // What says nothing of capabilities is taken to have them.
    let all = row.get("capabilities").and_then(Json::as_array);
    all.is_none_or(|all| all.iter().any(|it| it == capability))
}

/// A value that the cloud's own list does not hold, or not with what is needed of it.
fn unknown(
    it: &SentValues<'_>,
    chosen: &Chosen,
    value: &str,
    read: &ReadOffers,
    catalog: &Catalog,
) -> Option<Diagnostic> {
    let rows = rows(read, it.kind, chosen.list.as_ref()?)?;
    let what = catalog.shipped.get(&chosen.from).map_or("value", |it| it.what.as_str());
    let ids = rows.iter().filter_map(|row| row.get("id")?.as_str());
    let Some(row) = row(rows, value) else {
        let lower = value.to_lowercase();
        let same = ids
            .clone()
            .find(|it| *it == lower || it.rsplit_once('/').is_some_and(|it| it.1 == lower));
        let text = format!("there is no {what} `{value}`");
        let wrong = Diagnostic::error(DiagnosticCode::NotOffered, text).help(format!(
            "{} lists {} of them",
            it.kind.cloud,
            rows.len()
        ));
        return Some(match same {
            Some(same) => wrong.help(format!("did you mean `{same}`?")),
            None => wrong.nearest(value, ids),
        });
    };
    let capability = chosen.capability.as_ref().filter(|it| !is_capable(row, it))?;
    let able: Vec<&str> = rows
        .iter()
        .filter(|row| is_capable(row, capability))
        .filter_map(|row| row.get("id")?.as_str())
        .collect();
    let text = format!("the {what} `{value}` has no {capability}");
    Some(Diagnostic::error(DiagnosticCode::NotOffered, text).help(format!(
        "{} have: {}",
        able.len(),
        able.join(", ")
    )))
}

/// A value that cannot be had in the region that is asked for.
fn not_here(
    it: &SentValues<'_>,
    of: &Available,
    value: &str,
    read: &ReadOffers,
) -> Option<Diagnostic> {
    let region = it.text(&of.region)?;
    let rows = rows(read, it.kind, &of.list)?;
    let text = |row: &Json, name: &str| row.get(name).and_then(Json::as_str).map(str::to_owned);
    let mine = |row: &&Json| text(row, &of.field).as_deref() == Some(value);
    let is_open = |row: &&Json| row.get("available") != Some(&Json::Bool(false));
    let here =
        rows.iter().filter(mine).find(|row| text(row, &of.region).as_deref() == Some(region))?;
    if is_open(&here) {
        return None;
    }
    let elsewhere: Vec<String> =
        rows.iter().filter(mine).filter(is_open).filter_map(|row| text(row, &of.region)).collect();
    let help = if elsewhere.is_empty() {
        format!("choose another {}", of.field)
    } else {
        format!("it is available in {}", elsewhere.join(", "))
    };
    let text = format!("`{value}` is not available in `{region}`");
    Some(Diagnostic::error(DiagnosticCode::NotAvailable, text).help(help))
}

/// What the account's own settings make of a machine.
fn by_account<'a>(
    it: &SentValues<'a>,
    name: &str,
    account: &AccountDefault,
    read: &ReadOffers,
    rules: &mut KindRules<'a>,
) -> Vec<Diagnostic> {
    let request = OfferRequest::new(it.kind, OfferSource::Object, &account.path);
    let settings = read.get(&request).and_then(|it| it.as_ref().ok()).and_then(|it| it.first());
    let setting = settings.and_then(|it| it.get(&account.field)).and_then(Json::as_str);
    let Some(setting) = setting.filter(|_| it.changed.is_none()) else { return Vec::new() };
    let says = format!("the account has the setting `{}: {setting}`", account.field);
    if let Some(given) = it.text(name) {
        let refuses =
            account.refuses.get(setting).is_some_and(|all| all.iter().any(|it| it == given));
        let text = format!("`{name}: {given}` would be refused: {says}");
        let help = "change that setting of the account, or this value";
        return refuses
            .then(|| Diagnostic::error(DiagnosticCode::AccountRefuses, text).help(help))
            .into_iter()
            .collect();
    }
    let Some(gives) = account.gives.get(setting) else { return Vec::new() };
    let broken = rules.broken(it.kind, &with(it, name, gives));
    let told = broken.into_iter().map(|rule| {
        let text = format!("{says}, so `{name}` would be `{gives}`, and {}", rule.message);
        let wrong = Diagnostic::error(DiagnosticCode::AccountRefuses, text);
        let refused = account.refuses.get(setting).is_some_and(|it| !it.is_empty());
        match (&rule.help, refused) {
            (Some(help), false) => wrong.help(help.clone()),
            _ => wrong.help("change that setting of the account"),
        }
    });
    told.collect()
}

/// What could not be read is said once; nothing stops for it.
fn unread(read: &ReadOffers) -> Option<Diagnostic> {
    let missing: Vec<String> = read
        .iter()
        .filter_map(|(it, read)| read.as_ref().err().map(|why| format!("{}: {why}", it.path)))
        .collect();
    (!missing.is_empty()).then(|| {
        let text = format!(
            "some values were not checked, because the cloud's lists could not be read: {}",
            missing.join("; ")
        );
        Diagnostic::warning(DiagnosticCode::CatalogueUnread, text)
            .help("the plan is still valid; the cloud will refuse any step that uses a value it does not offer")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use serde_json::{Value as Json, json};

    use super::{OfferRequest, ReadOffers, refused, sources};
    use crate::engine::plan::model::options::PlanOptions;
    use crate::engine::plan::planner::{PlanInputs, plan_changes};
    use crate::engine::plan::tests::{applied, order, stack};
    use crate::kinds::builtin;

    const WEB: &str = "  web: { kind: linode.instance, count: 2, region: us-east, type: g6-standard-1, image: linode/debian12, authorized_users: [a], label: 'web-${each.index}', user_data: hello, private_ip: true }";

    /// What the clouds say, and what follows for a stack that is to be made.
    fn check(text: &str, change: impl Fn(&mut BTreeMap<String, Json>)) -> String {
        let catalog = builtin();
        let stack = stack(text, &catalog);
        let (order, observed) = (order(&stack), BTreeMap::new());
        let worlds = PlanInputs {
            catalog: &catalog,
            stack: &stack,
            order: &order,
            state: None,
            observed: &observed,
        };
        let plan = plan_changes(&worlds, &PlanOptions::default()).0;
        let mut said = BTreeMap::from([
            (
                "/regions".to_owned(),
                json!([
                    { "id": "us-east", "capabilities": ["Linodes", "Metadata"] },
                    { "id": "us-west", "capabilities": ["Linodes"] },
                ]),
            ),
            (
                "/linode/types".to_owned(),
                json!([{ "id": "g6-standard-1" }, { "id": "g6-standard-2" }]),
            ),
            (
                "/images".to_owned(),
                json!([
                    { "id": "linode/debian12", "capabilities": ["cloud-init"] },
                    { "id": "linode/arch", "capabilities": [] },
                ]),
            ),
            (
                "/regions/availability".to_owned(),
                json!([
                    { "region": "us-east", "plan": "g6-standard-2", "available": false },
                    { "region": "us-west", "plan": "g6-standard-2", "available": true },
                ]),
            ),
            (
                "/account/settings".to_owned(),
                json!([{ "interfaces_for_new_linodes": "legacy_config_only" }]),
            ),
        ]);
        change(&mut said);
        let wanted = sources(&plan, &catalog);
        let read: ReadOffers = wanted
            .iter()
            .map(|it| {
                let rows = said.get(&it.path).and_then(Json::as_array).cloned();
                (it.clone(), rows.ok_or_else(|| "403".to_owned()))
            })
            .collect();
        let mut told = String::new();
        for it in refused(&plan, &stack, &catalog, &read) {
            let places: Vec<String> =
                it.labels.iter().map(|it| stack.sources.place(it.span)).collect();
            writeln!(
                told,
                "{:?} {} {}: {}\n  {}",
                it.severity,
                it.code,
                places.join(" "),
                it.summary,
                it.help.unwrap_or_default()
            )
            .unwrap();
        }
        told
    }

    fn edited(from: &str, to: &str) -> String {
        check(&WEB.replace(from, to), |_| {})
    }

    #[test]
    fn refused_reports_what_the_lists_lack_once_with_its_line() {
        assert_eq!(check(WEB, |_| {}), "");
        insta::assert_snapshot!(
            [
                edited("us-east", "us-wset"),
                edited("us-east", "us-west"),
                edited("g6-standard-1", "g6-standard-2"),
                edited("debian12", "arch"),
                edited("linode/debian12", "private/7"),
            ]
            .join("")
        );
    }

    #[test]
    fn refused_reports_an_account_that_makes_other_machines() {
        let with = |setting: &str, text: &str| {
            check(text, |it| {
                it.insert(
                    "/account/settings".into(),
                    json!([{ "interfaces_for_new_linodes": setting }]),
                );
            })
        };
        let written = WEB
            .replace("private_ip: true", "private_ip: true, interface_generation: legacy_config");
        insta::assert_snapshot!(
            [
                with("linode_default_but_legacy_config_allowed", WEB),
                with("linode_only", WEB),
                with("linode_only", &written),
            ]
            .join("")
        );
        assert_eq!(with("linode_default_but_legacy_config_allowed", &written), "");
    }

    #[test]
    fn unread_warns_of_unreadable_lists_and_stops_nothing() {
        let told = check(WEB, BTreeMap::clear);
        assert!(told.starts_with("Warning catalogue_unread"), "{told}");
        assert_eq!(told.lines().count(), 2, "{told}");
    }

    /// Nothing is read for what stays as it is.
    #[test]
    fn sources_of_an_empty_plan_are_none() {
        let catalog = builtin();
        let stack = stack(WEB, &catalog);
        let (state, observed) = applied(&stack, &catalog);
        let order = order(&stack);
        let worlds = PlanInputs {
            catalog: &catalog,
            stack: &stack,
            order: &order,
            state: Some(&state),
            observed: &observed,
        };
        let plan =
            plan_changes(&worlds, &PlanOptions { now: 3_600_000, ..PlanOptions::default() }).0;
        assert_eq!(sources(&plan, &catalog).into_iter().collect::<Vec<OfferRequest>>(), []);
    }
}
