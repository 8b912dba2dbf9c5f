//! What could not be read, as data in, text out: what waits for it, what goes on, and what has to stay.

use std::collections::BTreeMap;

use crate::engine::address::Address;
use crate::engine::observed::{Observation, UnknownReason, Unreadable};
use crate::engine::plan::model::change::{DeferReason, Plan, StepCall};
use crate::engine::plan::model::options::{Allowances, Intent, RecoveryOverlay};
use crate::engine::plan::tests::switch::{FAILOVER, SITES, SwitchCase, check, plan};
use crate::engine::state::record::{Deposed, Phase, State};

type WorldEdit<'a> = dyn Fn(&mut State, &mut BTreeMap<Address, Observation>) + 'a;

/// These were asked about, and nobody answered.
fn silent<'a>(names: &'a [&'a str]) -> Box<WorldEdit<'a>> {
    Box::new(move |_, observed| {
        for name in names {
            let unseen = Observation::Unknown("no answer".into());
            observed.insert(name.parse().unwrap(), unseen);
        }
    })
}

fn held<'a>(plan: &'a Plan, address: &str) -> Option<(DeferReason, &'a str)> {
    let address: Address = address.parse().unwrap();
    let change = plan.changes.iter().find(|it| it.address == address)?;
    change.deferred.as_ref().map(|it| (it.wait, it.why.as_str()))
}

/// Nobody is called about any of these.
#[track_caller]
fn left_alone(plan: &Plan, addresses: &[&str]) {
    for step in &plan.steps {
        let address = step.address.to_string();
        assert!(!addresses.contains(&address.as_str()), "{} {address}", step.call.word());
    }
}

#[test]
fn plan_defers_what_needs_the_unread_and_goes_on_with_the_rest() {
    let more = "
  late: { kind: linode.nodebalancer, region: us-east, label: late }
  late_http: { kind: linode.nodebalancer_config, nodebalancer: '${late}', check: http, check_path: /ok, check_timeout: 5 }
  alias: { kind: linode.domain_record, domain: '${zone}', type: TXT, name: alias, target: '${late.ipv4}' }
  after: { kind: linode.nodebalancer, region: eu-central, label: after, depends_on: [late] }
  more_after: { kind: linode.nodebalancer, region: eu-central, label: 'x-${after.hostname}' }
  free: { kind: linode.nodebalancer, region: eu-central, label: free }
outputs:";
    // A new value that is not known, beside one that is.
    let base = SITES.replace("outputs:", more).replace(
        "nodebalancer: '${lb_eu}', check: http, check_path: /ok",
        "nodebalancer: '${lb_eu}', check: http, check_path: '/${late.ipv4}'",
    );
    let unseen = silent(&["late"]);
    let case = SwitchCase { base: &base, to: None, change: &*unseen, ..SwitchCase::default() };
    let plan = plan(&case);
    left_alone(&plan, &["late", "late_http", "alias", "after", "more_after", "http_eu"]);
    insta::assert_snapshot!(check(&case));
    // Also the fault domain of what was never made is named; but others of it answered, so it is not lost.
    let (text, help) = silence(&plan);
    assert!(text.contains("linode:us-east (1): no answer"), "{text}");
    assert_eq!(
        help,
        "this does not mean that a site is lost; run the same command again once it is reachable"
    );
}

/// What is told of those who say nothing.
#[track_caller]
fn silence(plan: &Plan) -> (&str, &str) {
    let mut notes = plan.notes.iter().filter(|it| it.code == "unseen_fault_domain");
    let note = notes.next().expect("somebody is silent");
    (&note.text, note.help.as_deref().expect("something can be done"))
}

/// Only who was asked where it is, has something recorded there, and said nothing at all can be lost.
#[test]
fn plan_suggests_a_loss_only_for_silence_and_names_its_overlay() {
    let way = |overlay: &str, lost: &[&str]| RecoveryOverlay {
        overlay: overlay.into(),
        assumes_lost: lost.iter().map(ToString::to_string).collect(),
    };
    let us = ["http", "node[0]", "node[1]"];
    let told = |names: &[&str], ways: &[RecoveryOverlay], lost: &'static [&'static str]| {
        let unseen = silent(names);
        let case = SwitchCase { to: None, change: &*unseen, ways, lost, ..SwitchCase::default() };
        silence(&plan(&case)).1.to_owned()
    };
    let one =
        [way("failover", &["linode:us-east"]), way("other", &["linode:us-east", "aws:us-east-1"])];
    let whole = "if it stays unreachable and is lost: `lifeboat failover t --to failover --lost linode:us-east`";
    assert_eq!(told(&us, &one, &[]), whole);
    // None assumes just that: the only one that assumes it among others, with what is lost said.
    let among = "if it stays unreachable and is lost: `lifeboat failover t --to other --lost linode:us-east`";
    assert_eq!(told(&us, &one[1..], &[]), among);
    let which =
        "if it stays unreachable and is lost: `lifeboat failover t` lists the available overlays";
    assert_eq!(told(&us, &[one[0].clone(), one[0].clone()], &[]), which);
    assert_eq!(told(&us, &[], &[]), which);
    // On the way home: without the tables home serves on, and without its balancer nobody would.
    let home = |names: &[&str], ways: &[RecoveryOverlay]| {
        let unseen = silent(names);
        let case = SwitchCase {
            active: Some(FAILOVER),
            to: None,
            change: &*unseen,
            ways,
            ..SwitchCase::default()
        };
        silence(&plan(&case)).1.to_owned()
    };
    let back = [way("x", &["linode:us-east"])];
    assert_eq!(
        home(&us, &back),
        "if it stays unreachable and is lost: `lifeboat failover t --to x --lost linode:us-east`"
    );
    assert_eq!(
        home(&us, &[]),
        "`shop` would send users to linode:us-east, so this switch needs it: run the same command again once it is reachable; `lifeboat failover t` lists the available overlays"
    );
    // Away to a place that is silent itself.
    let unseen = silent(&["http_eu", "node_eu[0]"]);
    let away = SwitchCase { change: &*unseen, ways: &one, ..SwitchCase::default() };
    assert!(silence(&plan(&away)).1.starts_with("`shop` would send users to linode:eu-central"));
    // Zones and records are everywhere, lists are of all regions, and one that answered there is a sign of life.
    let no_sign =
        "this does not mean that a site is lost; run the same command again once it is reachable";
    assert_eq!(told(&["shop", "zone"], &one, &[]), no_sign);
    assert_eq!(told(&["lb", "web[0]", "web[1]"], &one, &[]), no_sign);
    assert_eq!(told(&["http"], &one, &[]), no_sign);
}

/// A no proves that it is there: the cause is told, before all else, and not a word about a loss.
#[test]
fn plan_tells_the_cause_of_a_denied_read_and_no_loss() {
    let refuse = |reason: UnknownReason, why: &'static str| {
        move |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
            for name in ["http", "node[0]", "node[1]", "lb"] {
                let unseen = Observation::Unknown(Unreadable::new(reason, why));
                observed.insert(name.parse().unwrap(), unseen);
            }
        }
    };
    let denied = refuse(UnknownReason::Denied, "GET x answered 401: Invalid Token");
    let case = SwitchCase { to: None, change: &denied, ..SwitchCase::default() };
    let first = &plan(&case).notes[0];
    assert_eq!(first.code, "denied");
    assert_eq!(
        first.text,
        "GET x answered 401: Invalid Token; so `lb`, `http`, `node[0]` and 1 more could not be read"
    );
    let malformed = refuse(UnknownReason::Malformed, "GET x: not JSON");
    let case = SwitchCase { to: None, change: &malformed, ..SwitchCase::default() };
    assert_eq!(plan(&case).notes[0].code, "malformed");
    for it in [&denied as &WorldEdit<'_>, &malformed] {
        let plan = plan(&SwitchCase { to: None, change: it, ..SwitchCase::default() });
        assert!(plan.unknown().is_some_and(UnknownReason::is_no));
        let said = format!("{:?}", plan.notes);
        assert!(!said.contains("lost") && !said.contains("unseen_fault_domain"), "{said}");
    }
    // Throttled is neither.
    let later = refuse(UnknownReason::Throttled, "GET x answered 429");
    let plan = plan(&SwitchCase { to: None, change: &later, ..SwitchCase::default() });
    assert_eq!(plan.unknown(), Some(UnknownReason::Throttled));
    assert!(!format!("{:?}", plan.notes).contains("--lost"), "{:?}", plan.notes);
}

/// Recorded values serve; a call that has to reach the object itself waits.
#[test]
fn plan_uses_recorded_values_of_what_could_not_be_read() {
    let more = "
  other: { kind: linode.nodebalancer_config, nodebalancer: '${lb}', port: 81, check: http, check_path: /ok, check_timeout: 5 }
  named: { kind: linode.nodebalancer, region: eu-central, label: 'for-${lb.label}-${lb.ipv4.replace(\".\", \"-\")}' }
outputs:";
    let base = SITES.replace("outputs:", more).replace("label: lb-us }", "label: lb-new }");
    let unseen = silent(&["lb"]);
    let case = SwitchCase { base: &base, to: None, change: &*unseen, ..SwitchCase::default() };
    let plan = plan(&case);
    assert_eq!(
        held(&plan, "other"),
        Some((DeferReason::Unknown, "it belongs to `lb`, which could not be read"))
    );
    left_alone(&plan, &["lb", "other"]);
    let [step] = plan.steps.as_slice() else { panic!("{:?}", plan.steps) };
    let StepCall::Create { attributes, .. } = &step.call else { panic!("{step:?}") };
    // The new label is not there yet: it is recorded with the old one.
    assert_eq!(attributes["label"].as_text(), Some("for-lb-us-ipv4-1"));
}

/// The switch goes as far as it can, and what serves users is left as it is.
#[test]
fn plan_switch_keeps_users_while_their_new_target_is_unread() {
    let smaller = FAILOVER.replace("resources:", "resources:\n  web: { count: 1 }");
    let unseen = silent(&["http_eu"]);
    let case = SwitchCase { to: Some(&smaller), change: &*unseen, ..SwitchCase::default() };
    let plan = plan(&case);
    left_alone(&plan, &["shop", "web[1]", "node[1]", "node_eu[1]"]);
    assert!(plan.waiting().count() == 4);
    insta::assert_snapshot!(check(&case));
    // What is only too young to be listed is asked at its gate.
    let young = |state: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        let address: Address = "http_eu".parse().unwrap();
        state.records.get_mut(&address).unwrap().since = 3_599_000;
        observed.insert(address, Observation::Absent);
    };
    let case = SwitchCase { change: &young, ..SwitchCase::default() };
    assert!(check(&case).contains("serving gate shop"), "{}", check(&case));
}

const GROUP: &str = "
  table: { kind: dynamodb.table, region: us-east-1, name: items, attributes: { id: S }, hash_key: id }
  replica: { kind: dynamodb.replica, table: '${table}', region: eu-west-1 }";

/// With the only other member unknown, a new table would be a second group of the same name.
#[test]
fn plan_joins_no_group_whose_other_member_is_unknown() {
    let gone = |_: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        observed.insert("table".parse().unwrap(), Observation::Absent);
        observed.insert("replica".parse().unwrap(), Observation::Unknown("no answer".into()));
    };
    for group_changes in [false, true] {
        let allowed = Allowances { group_changes, ..Allowances::default() };
        let case = SwitchCase {
            applied: GROUP,
            base: GROUP,
            to: None,
            allowed,
            change: &gone,
            ..SwitchCase::default()
        };
        let plan = plan(&case);
        assert!(plan.steps.is_empty(), "{:?}", plan.steps);
        let why = "it would join its group, but the member in eu-west-1 could not be read";
        assert_eq!(held(&plan, "table"), Some((DeferReason::Unknown, why)));
    }
    let more = format!(
        "{GROUP}\n  third: {{ kind: dynamodb.replica, table: '${{table}}', region: eu-central-1 }}"
    );
    let third = |lost, allowed| SwitchCase {
        applied: GROUP,
        base: &more,
        to: None,
        lost,
        allowed,
        ..SwitchCase::default()
    };
    let lost: &[&str] = &["aws:eu-west-1"];
    let joining = plan(&third(lost, Allowances::default()));
    let why = "it would join its group, but the member in eu-west-1 is lost; --allow-group-changes allows it";
    assert_eq!(held(&joining, "third"), Some((DeferReason::Group, why)));
    assert!(joining.steps.is_empty());
    let allowed = Allowances { group_changes: true, ..Allowances::default() };
    assert!(!plan(&third(lost, allowed)).steps.is_empty());
    assert!(!plan(&third(&[], Allowances::default())).steps.is_empty());
}

/// One site is lost, the other silent: what is in neither goes, and nothing is begun that could not end.
#[test]
fn plan_destroy_deletes_what_it_can_and_keeps_what_that_needs() {
    let base = SITES.replace(
        "outputs:",
        "  table: { kind: dynamodb.table, region: us-east-1, name: items, attributes: { id: S }, hash_key: id }
  replica: { kind: dynamodb.replica, table: '${table}', region: eu-west-1 }
  wall: { kind: linode.firewall, label: wall }
  other: { kind: linode.firewall, label: other }
  guarded: { kind: linode.instance, region: eu-central, type: g6-nanode-1, image: linode/debian12, authorized_users: [a], label: guarded, firewall: '${wall}' }
outputs:",
    );
    let unseen = silent(&["lb_eu", "http_eu", "eu[0]", "node_eu[0]", "guarded"]);
    let case = SwitchCase {
        applied: &base,
        base: &base,
        to: None,
        intent: Intent::Destroy,
        lost: &["linode:us-east", "aws:us-east-1"],
        change: &*unseen,
        ..SwitchCase::default()
    };
    let plan = plan(&case);
    left_alone(&plan, &["table", "replica", "wall", "guarded", "lb_eu"]);
    insta::assert_snapshot!(check(&case));
}

/// A record that may still lead there is unknown: neither what it needs nor what serves behind that is deleted.
#[test]
fn plan_deletes_nothing_under_what_could_not_be_read() {
    let two = SITES.replace("outputs:", "  alias: { kind: linode.domain_record, domain: '${zone}', type: A, name: alias, target: '${lb_eu.ipv4}' }\noutputs:");
    let without = two
        .replace("  lb_eu: { kind: linode.nodebalancer, region: eu-central, label: lb-eu }\n", "")
        .lines()
        .filter(|it| !it.contains("http_eu:") && !it.contains("node_eu:"))
        .map(|it| it.replace("${lb_eu.ipv4}", "192.0.2.9") + "\n")
        .collect::<String>();
    let unseen = silent(&["alias"]);
    let case = SwitchCase {
        applied: &two,
        base: &without,
        to: None,
        change: &*unseen,
        ..SwitchCase::default()
    };
    let plan = plan(&case);
    left_alone(&plan, &["lb_eu", "http_eu", "node_eu[0]", "alias"]);
    let why = "users may be sent to it: `alias` could not be read";
    assert_eq!(held(&plan, "lb_eu"), Some((DeferReason::Unknown, why)));
}

/// Lists show what is in a region that is unreachable: they are no sign that it can be called.
#[test]
fn plan_calls_nothing_in_a_fault_domain_where_nobody_answered() {
    let changed = SITES
        .replace("label: 'eu-${each.index}'", "label: 'eu-${each.index}', tags: [new]")
        .replace("label: 'web-${each.index}'", "label: 'web-${each.index}', tags: [new]");
    let more =
        FAILOVER.replace("shop: { target: '${lb_eu.ipv4}' }", "{}").replace("resources:\n  {}", "");
    let unseen = silent(&["http_eu", "node_eu[0]"]);
    let apply = SwitchCase { base: &changed, to: None, change: &*unseen, ..SwitchCase::default() };
    let told = plan(&apply);
    let why = "linode:eu-central is unreachable";
    assert_eq!(held(&told, "eu[0]"), Some((DeferReason::Unknown, why)));
    assert!(told.steps.iter().any(|it| it.address.to_string() == "web[0]"), "{:?}", told.steps);
    let grows = SwitchCase { to: Some(&more), change: &*unseen, ..SwitchCase::default() };
    let told = plan(&grows);
    assert_eq!(held(&told, "eu[1]"), Some((DeferReason::Unknown, why)));
    assert!(told.steps.is_empty(), "{:?}", told.steps);
    let goes =
        SwitchCase { to: None, intent: Intent::Destroy, change: &*unseen, ..SwitchCase::default() };
    let told = plan(&goes);
    assert_eq!(held(&told, "lb_eu"), Some((DeferReason::Unknown, why)));
    left_alone(&told, &["lb_eu", "http_eu", "eu[0]", "node_eu[0]"]);
    assert!(told.steps.iter().any(|it| it.address.to_string() == "lb"), "{:?}", told.steps);
    // One that was asked there and answered is a sign.
    let one = silent(&["node_eu[0]"]);
    let told =
        plan(&SwitchCase { base: &changed, to: None, change: &*one, ..SwitchCase::default() });
    assert!(told.steps.iter().any(|it| it.address.to_string() == "eu[0]"), "{:?}", told.steps);
}

#[test]
fn plan_defers_an_interrupted_replace_in_what_is_lost() {
    let begun = |state: &mut State, _: &mut BTreeMap<Address, Observation>| {
        let record = state.records.get_mut(&Address::one("lb")).unwrap();
        record.deposed = Some(Deposed { id: "99".into(), attributes: record.attributes.clone() });
    };
    let lost: &[&str] = &["linode:us-east"];
    let told = plan(&SwitchCase { to: None, lost, change: &begun, ..SwitchCase::default() });
    let why = "an interrupted replacement will be finished once linode:us-east has recovered";
    assert_eq!(held(&told, "lb"), Some((DeferReason::Lost, why)));
}

/// A gate that cannot be asked is closed: a switch does not take users past it. What is lost is not asked.
#[test]
fn plan_switch_stops_users_at_a_replication_gate_that_was_not_read() {
    let base = SITES.replace(
        "outputs:",
        "  table: { kind: dynamodb.table, region: us-east-1, name: items, attributes: { id: S }, hash_key: id }
  replica: { kind: dynamodb.replica, table: '${table}', region: eu-west-1, gate: { replication: true, within: 60s } }
outputs:",
    );
    let moves = |unseen: &[&str], lost: &[&str]| {
        let unseen = silent(unseen);
        let case = SwitchCase {
            applied: &base,
            base: &base,
            lost,
            change: &*unseen,
            ..SwitchCase::default()
        };
        let plan = plan(&case);
        let moves =
            plan.steps.iter().any(|it| it.call.mutates() && it.address == Address::one("shop"));
        (moves, held(&plan, "shop").map(|it| it.1.to_owned()))
    };
    let closed = Some(
        "the gate of `replica` cannot be checked, because `replica` could not be read".to_owned(),
    );
    for unseen in [&["replica"][..], &["table"], &["table", "replica"]] {
        assert_eq!(moves(unseen, &[]), (false, closed.clone()), "{unseen:?}");
    }
    assert_eq!(moves(&[], &[]), (true, None));
    assert_eq!(moves(&[], &["aws:us-east-1"]), (true, None));
}

/// Users cannot be moved to what is made anew, so that waits, and with it all that would have been made inside it.
#[test]
fn plan_defers_what_is_inside_a_deferred_replacement() {
    let base = SITES.replace(
        "region: us-east, label: lb-us }",
        "region: us-west, label: lb-us, lifecycle: { create_before_destroy: true } }",
    );
    let unseen = silent(&["node[1]"]);
    let case = SwitchCase { base: &base, to: None, change: &*unseen, ..SwitchCase::default() };
    let plan = plan(&case);
    left_alone(&plan, &["lb", "http", "node[0]", "node[1]", "shop"]);
    assert_eq!(
        held(&plan, "http"),
        Some((DeferReason::Unknown, "users are still sent to it: `shop` is deferred"))
    );
}

/// Everything recorded in the first site.
const US: &[&str] = &["lb", "http", "web[0]", "web[1]", "node[0]", "node[1]"];
/// Everything recorded in the second one.
const EU: &[&str] = &["lb_eu", "http_eu", "eu[0]", "node_eu[0]"];

/// The first refusal of a plan, and what it says to do.
fn refusal(case: &SwitchCase<'_>) -> Option<(String, String)> {
    let plan = plan(case);
    let first = plan.refusals().next()?;
    Some((format!("{}: {}", first.code, first.text), first.help.clone().unwrap_or_default()))
}

fn eu_way() -> [RecoveryOverlay; 1] {
    [RecoveryOverlay { overlay: "x".into(), assumes_lost: vec!["linode:us-east".into()] }]
}

#[test]
fn plan_refuses_a_planned_switch_while_one_of_the_sites_says_nothing() {
    let (home, standby) = (silent(US), silent(EU));
    let ways = eu_way();
    let case = SwitchCase { change: &*home, ways: &ways, ..SwitchCase::default() };
    let (text, help) = refusal(&case).unwrap();
    insta::assert_snapshot!(text, @"silent_site: both sites have to answer for a planned switch, but linode:us-east is unreachable");
    insta::assert_snapshot!(help, @"if it is lost: `lifeboat failover t --to x --lost linode:us-east`; otherwise run the same command again once linode:us-east answers");
    let (text, help) = refusal(&SwitchCase { change: &*standby, ..case.clone() }).unwrap();
    insta::assert_snapshot!(text, @"silent_site: both sites have to answer for a planned switch, but linode:eu-central is unreachable");
    insta::assert_snapshot!(help, @"users stay where they are; run the same command again once linode:eu-central answers");
    // Under a declared loss the switch does what it can.
    let lost = SwitchCase { lost: &["linode:us-east"], change: &*standby, ..case.clone() };
    assert_eq!(refusal(&lost), None);
    // One thing that was not read is no silent site.
    let one = silent(&["node[0]"]);
    assert_eq!(refusal(&SwitchCase { change: &*one, ..case.clone() }), None);
}

#[test]
fn plan_refuses_the_way_home_while_home_says_nothing() {
    let (home, standby) = (silent(US), silent(EU));
    let ways = eu_way();
    let back =
        SwitchCase { active: Some(FAILOVER), to: None, ways: &ways, ..SwitchCase::default() };
    let (text, help) = refusal(&SwitchCase { change: &*home, ..back.clone() }).unwrap();
    insta::assert_snapshot!(text, @"silent_site: this switch would lead users of `shop` to `lb`, but linode:us-east is unreachable, and nobody declared that lost");
    insta::assert_snapshot!(help, @"users stay where they are; run the same command again once linode:us-east answers");
    // Users leave a standby that says nothing.
    assert_eq!(refusal(&SwitchCase { change: &*standby, ..back.clone() }), None);
}

/// A failover that never moved its users, given up while home is gone: the standby is all there is.
#[test]
fn plan_refuses_to_delete_the_standby_while_users_are_sent_to_a_dead_home() {
    let away = |state: &mut State| {
        let record = state.records.get_mut(&Address::one("shop")).unwrap();
        let lb = Address::one("lb");
        record.needs = vec![lb.clone(), Address::one("zone")];
        let target = state.records[&lb].outputs["ipv4"].clone();
        let record = state.records.get_mut(&Address::one("shop")).unwrap();
        record.attributes.insert("target".into(), target);
    };
    let silence = silent(US);
    let still_home = |state: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        away(state);
        let shop = Address::one("shop");
        let target = state.records[&shop].attributes["target"].clone();
        if let Some(Observation::Exists { attributes, .. }) = observed.get_mut(&shop) {
            attributes.insert("target".into(), target);
        }
    };
    let unheard = |state: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        still_home(state, observed);
        silence(state, observed);
    };
    let ways = eu_way();
    let back =
        SwitchCase { active: Some(FAILOVER), to: None, ways: &ways, ..SwitchCase::default() };
    let (text, help) = refusal(&SwitchCase { change: &unheard, ..back.clone() }).unwrap();
    insta::assert_snapshot!(text, @"silent_site: this switch would lead users of `shop` to `lb`, but linode:us-east is unreachable, and nobody declared that lost");
    insta::assert_snapshot!(help, @"users are sent there now; to move them to a site that answers: `lifeboat failover t --to x --lost linode:us-east`; to go on with this, run the same command again once linode:us-east answers");
    let lost = SwitchCase { lost: &["linode:us-east"], change: &still_home, ..back.clone() };
    let (text, help) = refusal(&lost).unwrap();
    insta::assert_snapshot!(text, @"lost_target: this would delete `eu[1]` and 1 more, while `shop` sends users to `lb`, and linode:us-east is lost");
    insta::assert_snapshot!(help, @"users are sent there now; to move them to a site that answers: `lifeboat failover t --to x --lost linode:us-east`; to go on with this, run the same command again once linode:us-east answers");
    let outage = Allowances { outage: true, ..Allowances::default() };
    assert_eq!(refusal(&SwitchCase { allowed: outage, ..lost.clone() }), None);
    // The same of the switch home that goes on.
    let goes_on = |state: &mut State, observed: &mut BTreeMap<Address, Observation>| {
        unheard(state, observed);
        state.active = Vec::new();
        state.phase = Phase::Switching;
    };
    let (text, _) = refusal(&SwitchCase { change: &goes_on, ..back.clone() }).unwrap();
    insta::assert_snapshot!(text, @"silent_site: this would delete `eu[1]` and 1 more, while `shop` sends users to `lb`, and linode:us-east is unreachable");
}
