//! Whether users follow soon enough, only once the standby serves, and whether anybody would notice that it does not.

use crate::engine::address::Address;
use crate::engine::containment::declared_containers;
use crate::engine::normalize::stored;
use crate::engine::plan::guard::danger::{DETECTION_SECONDS_MAX, detection};
use crate::engine::recovery::audit::case::AuditCase;
use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::schema::Drain;
use crate::engine::value::Value;

/// One half of the objective goes to resolvers that remember the old answer; detection, preparation and gates share the other
/// half. A guess.
const TTL_SHARE: u64 = 2;

pub static NO_OBJECTIVE: AuditRule = AuditRule {
    id: "no-objective",
    level: Level::Warning,
    title: "The stack has no recovery time objective",
    remedy: "write `objectives: { rto: 15m }`; TTLs and drills are compared with it",
};
pub static TTL_TOO_LONG: AuditRule = AuditRule {
    id: "ttl-too-long",
    level: Level::Error,
    title: "DNS caches keep the old answer for more than half of the objective",
    remedy: "lower the TTL days before it is needed",
};
pub static TTL_ROUNDED: AuditRule = AuditRule {
    id: "ttl-rounded",
    level: Level::Warning,
    title: "The cloud stores a different number than the configuration sets",
    remedy: "write the stored number",
};
pub static GATE_MISSING: AuditRule = AuditRule {
    id: "gate-missing",
    level: Level::Error,
    title: "Traffic can shift before the standby serves",
    remedy: "give it a `gate`, or point it to a target whose backends are checked",
};
pub static CHECK_MISSING: AuditRule = AuditRule {
    id: "check-missing",
    level: Level::Error,
    title: "Backends are not checked",
    remedy: "check a page that works only when the application does",
};
pub static CHECK_SHALLOW: AuditRule = AuditRule {
    id: "check-shallow",
    level: Level::Warning,
    title: "The health check does not test the application",
    remedy: "check a dedicated page that answers 200 only when the database and everything else that users need works",
};

pub static CHECK_SLOW: AuditRule = AuditRule {
    id: "check-slow",
    level: Level::Warning,
    title: "A dead backend keeps receiving users for too long",
    remedy: "check more often: 3 × 15 s + 5 s detects a failure within a minute",
};

/// What is about the stack, whatever is lost.
pub fn check_stack(home: &Side<'_>, out: &mut AuditSection) {
    if home.stack.objectives.rto_seconds.is_none() {
        let why = "without `objectives: { rto: … }`, there is no limit to compare with";
        out.findings.push(Finding::new(&NO_OBJECTIVE, Some(home.top()), why));
    }
    check_numbers(home, out);
}

/// Numbers that the cloud rounds.
pub fn check_numbers(side: &Side<'_>, out: &mut AuditSection) {
    for item in side.items() {
        for (name, attribute) in item.kind.settable().filter(|(_, it)| !it.rounds_up_to.is_empty())
        {
            let Some(Value::Int(number)) = item.value(name) else { continue };
            let kept = stored(attribute, *number);
            if kept != *number {
                let why = format!(
                    "`{name}` of `{}` is {number}, but the cloud stores {kept}",
                    item.address
                );
                let place = side.place_of(item, name);
                out.findings.push(Finding::new(&TTL_ROUNDED, Some(place), why).about(item.address));
            }
        }
    }
}

pub fn check(case: &AuditCase<'_>, out: &mut AuditSection) {
    for address in &case.moving {
        // What others remember is what is there now.
        if let Some(item) = case.home.item(address).or_else(|| case.recovery.item(address)) {
            remembered(case, item, out);
        }
    }
    for item in case.moved() {
        gated(case, item, out);
    }
    for is_home in [true, false] {
        let side = if is_home { case.home } else { case.recovery };
        let behind: Vec<SideItem<'_>> = case.behind(is_home).collect();
        let known: Vec<&Address> = behind.iter().map(|it| it.address).collect();
        for (at, item) in behind.iter().enumerate() {
            if !known[..at].contains(&item.address) {
                checked(side, *item, out);
                slow(side, *item, out);
            }
        }
    }
}

/// Seconds that others remember a direction for, and the attribute that says so.
fn time_to_live(side: &Side<'_>, item: SideItem<'_>, drain: &Drain) -> (u64, String) {
    let own = item.kind.attribute(&drain.ttl).and_then(|attribute| {
        let Some(Value::Int(number)) = item.value(&drain.ttl) else { return None };
        u64::try_from(stored(attribute, *number)).ok()
    });
    if let Some(own) = own.filter(|it| *it > 0) {
        return (own, format!("`{}`", drain.ttl));
    }
    let containers = declared_containers(side.stack, item.instance, item.kind);
    let holder = containers.into_iter().next();
    let inherited = holder.and_then(|it| {
        let holder = side.item(&it)?;
        let seconds = holder.int(&drain.inherits).filter(|it| *it > 0)?;
        Some((seconds, format!("`{}` of `{it}`", drain.inherits)))
    });
    inherited.unwrap_or((drain.otherwise, "the cloud's default".into()))
}

fn remembered(case: &AuditCase<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    let Some(drain) = &item.kind.drain else { return };
    let (seconds, source) = time_to_live(case.home, item, drain);
    let Some((rto, _)) = case.recovery.stack.objectives.rto_seconds else {
        let text = format!("`{}` is cached for {} ({source})", item.address, span_of(seconds));
        out.fact("ttl", text);
        return;
    };
    let text = format!(
        "`{}` is cached for {} ({source}); the objective is {}",
        item.address,
        span_of(seconds),
        span_of(rto)
    );
    if seconds > rto / TTL_SHARE {
        let why = format!("{text}, half of which is needed for detection and preparation");
        let place = case.home.place_of(item, &drain.ttl);
        out.findings.push(
            Finding::new(&TTL_TOO_LONG, Some(place), why).about(item.address).remedy(lower(
                item,
                drain,
                rto / TTL_SHARE,
            )),
        );
    }
    out.fact("ttl", text);
}

/// The greatest number that is stored as it is and still short enough.
fn lower(item: SideItem<'_>, drain: &Drain, most: u64) -> String {
    let stored = item.kind.attribute(&drain.ttl).map(|it| &it.rounds_up_to);
    let fitting = stored.into_iter().flatten().copied();
    let fitting =
        fitting.filter(|it| *it > 0 && u64::try_from(*it).is_ok_and(|it| it <= most)).max();
    let least = stored.into_iter().flatten().copied().filter(|it| *it > 0).min();
    match (fitting, least) {
        (Some(wanted), _) => format!("write `{}: {wanted}`, days before it is needed", drain.ttl),
        // 0 is no short time: it leaves the choice to the zone.
        (None, Some(least)) => format!(
            "no TTL is short enough for this objective; the shortest is `{}: {least}`",
            drain.ttl
        ),
        (None, None) => format!("write `{}: {}`, days before it is needed", drain.ttl, most.max(1)),
    }
}

fn gated(case: &AuditCase<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    if item.instance.resource.gates.probes().next().is_some() || item.kind.drain.is_none() {
        return;
    }
    let roots = super_targets(case, item);
    if roots.is_empty() {
        // Lost, or unknown: told as such.
        return;
    }
    let contained = case.recovery.wanted.contained(&roots);
    let mut counting = contained.iter().filter_map(|it| case.recovery.item(it));
    if counting.any(|it| it.kind.serves_when.is_some()) {
        // An unchecked one is told where it is declared.
        return;
    }
    let why = format!(
        "`{}` points to `{}`, which has no health check, and has no `gate` of its own",
        item.address, roots[0]
    );
    let place = item.kind.traffic.first().map(|it| case.recovery.place_of(item, it));
    out.findings.push(Finding::new(&GATE_MISSING, place, why).about(item.address));
}

fn super_targets(case: &AuditCase<'_>, item: SideItem<'_>) -> Vec<Address> {
    let mut all = case.recovery.wanted.targets(item.kind, item.instance);
    all.retain(|it| !case.recovery.is_in(it, &case.lost));
    all
}

/// One health check: that there is one, that it is deep, and how soon it tells.
fn checked(side: &Side<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    let Some(serves) = &item.kind.serves_when else { return };
    let (attribute, value) = &serves.unless;
    if item.text(attribute) == Some(value) {
        let why = format!(
            "`{attribute}` of `{}` is {value}: a dead backend keeps receiving users, and a switch to it has nothing to wait for",
            item.address
        );
        let place = side.place_of(item, attribute);
        out.findings.push(Finding::new(&CHECK_MISSING, Some(place), why).about(item.address));
        return;
    }
    let Some(check) = &item.kind.health_check else { return };
    let method = item.text(&check.method).unwrap_or_default();
    let is_deep = check.deep.iter().any(|it| it == method);
    let path = item.text(&check.path).unwrap_or_default();
    let wrong = match (is_deep, path) {
        (false, _) => {
            Some((&check.method, format!("a {method} proves only that something listens")))
        }
        (true, "" | "/") => {
            Some((&check.path, "the front page may be served by a cache or a default site".into()))
        }
        _ => None,
    };
    if let Some((attribute, reason)) = wrong {
        let shown = item.text(attribute).unwrap_or_default();
        let why = format!("`{attribute}` of `{}` is `{shown}`: {reason}", item.address);
        let place = side.place_of(item, attribute);
        out.findings.push(Finding::new(&CHECK_SHALLOW, Some(place), why).about(item.address));
    }
    let numbers = [&check.interval, &check.timeout, &check.attempts].map(|it| item.int(it));
    if let [Some(interval), Some(timeout), Some(attempts)] = numbers {
        let total = interval * attempts + timeout;
        out.fact(
            "detection",
            format!(
                "`{}` removes a dead backend after {}: {attempts} × {interval} s + {timeout} s",
                item.address,
                span_of(total)
            ),
        );
    }
}

/// A check that notices later than half of the objective, or than a gate waits.
fn slow(side: &Side<'_>, item: SideItem<'_>, out: &mut AuditSection) {
    let Some(check) = &item.kind.health_check else { return };
    let Some(seconds) = detection(check, |name| item.value(name)) else { return };
    let rto = side.stack.objectives.rto_seconds.map(|(rto, _)| rto / TTL_SHARE);
    let most = rto.unwrap_or(DETECTION_SECONDS_MAX).min(DETECTION_SECONDS_MAX);
    let is_off = item
        .kind
        .serves_when
        .as_ref()
        .is_some_and(|it| item.text(&it.unless.0) == Some(&it.unless.1));
    if seconds <= most || is_off {
        return;
    }
    let why = format!(
        "`{}` removes a dead backend after {}, but the maximum is {}",
        item.address,
        span_of(seconds),
        span_of(most)
    );
    let place = side.place_of(item, &check.interval);
    out.findings.push(Finding::new(&CHECK_SLOW, Some(place), why).about(item.address));
}

/// `45 s`, `5 min`, `2 h 30 min`.
pub fn span_of(seconds: u64) -> String {
    let part = |number: u64, unit: &str| (number > 0).then(|| format!("{number} {unit}"));
    let parts = [
        part(seconds / 86_400, "d"),
        part(seconds % 86_400 / 3600, "h"),
        part(seconds % 3600 / 60, "min"),
        part(seconds % 60, "s"),
    ];
    let shown: Vec<String> = parts.into_iter().flatten().take(2).collect();
    if shown.is_empty() { "0 s".into() } else { shown.join(" ") }
}
