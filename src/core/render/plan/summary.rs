//! A plan in a few sentences: how much changes, how long that takes, and why it will not be applied.

use crate::engine::plan::model::change::{Action, Change, Plan};
use crate::engine::plan::model::forecast::Forecast;
use crate::engine::plan::ranking::{Rank, Ranking};
use crate::engine::recovery::completion::open;
use crate::engine::text::diagnostic::Severity;
use crate::render::plan::tasks::count_running;
use crate::render::words::{count, duration, measured};

/// How many changes of each sort, or why there are none.
pub fn summary(plan: &Plan, ranking: &Ranking<'_>) -> String {
    let it = plan.summary();
    let mut rest = vec![format!("{} unchanged", it.unchanged)];
    rest.extend((it.unknown > 0).then(|| format!("{} unknown", it.unknown)));
    rest.extend((it.frozen > 0).then(|| format!("{} frozen", it.frozen)));
    rest.extend((it.deferred > 0).then(|| format!("{} deferred", it.deferred)));
    rest.extend((it.orphaned > 0).then(|| format!("{} orphaned", it.orphaned)));
    rest.extend((it.drift > 0).then(|| format!("{} changed outside of lifeboat", it.drift)));
    let rest = rest.join(", ");
    if plan.changes_nothing() && it.forget + it.moved + it.await_ == 0 {
        let why = match (verdict(plan), it.unknown, it.frozen) {
            (Some(_), ..) => "No changes. Planning failed".to_owned(),
            (None, 0, _) if !plan.is_empty() && open(plan).is_empty() => {
                "No changes to resources. Applying this plan ends the switch".to_owned()
            }
            (None, 0, 0) => "No changes. Your infrastructure matches the configuration".into(),
            (None, 0, _) => {
                "No changes. Everything outside the lost fault domains matches the configuration"
                    .into()
            }
            (None, unread, _) => format!(
                "Incomplete: {} could not be read; no changes are planned, and the rest matches the configuration",
                count(unread, "resource")
            ),
        };
        return format!("{why} ({rest})");
    }
    let lost = |replaces: bool| {
        let is_copy = |it: &Change| ranking.worst(&it.address) == Some(Rank::Copy);
        let lost = plan.changes.iter().filter(|it| {
            let is_lost = it.loses_data && it.action.destroys() && !is_copy(it);
            is_lost && (it.action != Action::Delete) == replaces
        });
        match lost.count() {
            0 => String::new(),
            1 => " (1 with its data)".into(),
            more => format!(" ({more} with their data)"),
        }
    };
    let mut todo = vec![
        format!("{} to create", it.create),
        format!("{} to update", it.update),
        format!("{} to replace{}", it.replace, lost(true)),
        format!("{} to delete{}", it.delete, lost(false)),
    ];
    let adopted = plan.changes.iter().filter(|it| it.action == Action::Adopt).count();
    let others = [
        (it.moved - adopted, "to move"),
        (adopted, "to adopt"),
        (it.await_, "to await"),
        (it.forget, "to forget"),
    ];
    for (number, words) in others.into_iter().filter(|(number, _)| *number > 0) {
        todo.push(format!("{number} {words}"));
    }
    let running = count_running(plan);
    todo.extend((running > 0).then(|| format!("{} to run", count(running, "task"))));
    if it.outputs > 0 {
        todo.push(format!("{} to set", count(it.outputs, "output")));
    }
    format!("Plan: {}; {rest}", todo.join(", "))
}

/// `Estimated: traffic shifted after 2 min 10 s, all users moved after 7 min 10 s (the TTL is 5 min); …`.
pub fn forecast(it: &Forecast) -> String {
    let whole = duration(it.whole);
    let mut text = match it.directed {
        Some(directed) => format!(
            "Estimated: traffic shifted after {}, all users moved after {} (the TTL is {}); this command ends after {whole}",
            duration(directed.usual),
            duration(directed.usual.saturating_add(directed.dns_bound)),
            duration(directed.dns_bound)
        ),
        None => format!("Estimated: this command ends after {whole}"),
    };
    if it.samples == 0 && it.steps > 0 {
        text.push_str("; these are built-in defaults: nothing was measured yet");
    } else if it.steps > 0 {
        text.push_str(&format!(
            "; this time depends on {}: {}; if each takes as long as its slowest so far, {} {}",
            count(it.steps, "step"),
            measured(it),
            // The bound is of what was estimated first, and of nothing after it.
            if it.directed.is_some() { "traffic is shifted after" } else { "it ends after" },
            duration(it.longest)
        ));
    }
    text
}

/// Why nothing of it will be applied.
pub fn verdict(plan: &Plan) -> Option<String> {
    let number = |severity| plan.notes.iter().filter(|it| it.severity == severity).count();
    let mut stops = Vec::new();
    for severity in [Severity::Refusal, Severity::Error] {
        let (number, noun) = (number(severity), severity.word());
        stops.extend((number > 0).then(|| count(number, noun)));
    }
    (!stops.is_empty()).then(|| format!("{}: this plan cannot be applied", stops.join(" and ")))
}
