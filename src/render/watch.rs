//! A watcher's events: one JSON object on one line each, with a sentence for people in it.

use serde_json::{Map, Value as Json, json};

use crate::engine::watch::Event;
use crate::render::words::{count, duration};

/// What every line of one watcher says.
#[derive(Debug, Clone)]
pub struct About {
    pub stack: String,
    pub overlay: String,
    /// Without a password that it may hold.
    pub url: String,
}

/// The line of an event, without its end.
pub fn line(about: &About, at: i64, event: &Event) -> String {
    let mut fields = Map::new();
    fields.insert("time".into(), time(at).into());
    fields.insert("event".into(), event.name().into());
    fields.insert("stack".into(), about.stack.as_str().into());
    fields.insert("overlay".into(), about.overlay.as_str().into());
    fields.insert("url".into(), about.url.as_str().into());
    fields.insert("detail".into(), detail(about, event).into());
    for (name, value) in facts(event) {
        fields.insert(name.into(), value);
    }
    Json::Object(fields).to_string()
}

/// `2026-11-24T11:00:00.000Z`, always as long, so that lines sort.
pub fn time(at: i64) -> String {
    let stamp = jiff::Timestamp::from_millisecond(at);
    stamp.map_or_else(|_| at.to_string(), |it| format!("{it:.3}"))
}

fn seconds(milliseconds: i64) -> u64 {
    u64::try_from(milliseconds / 1_000).unwrap_or_default()
}

fn facts(event: &Event) -> Vec<(&'static str, Json)> {
    match event {
        Event::Started { active, remembers } => {
            vec![("active", json!(active)), ("remembers", json!(remembers))]
        }
        Event::ProbeFailed { failed, of, .. } => vec![("failed", json!(failed)), ("of", json!(of))],
        Event::ProbeOk { good, of } => vec![("good", json!(good)), ("of", json!(of))],
        Event::CertificateExpires { days, until } => {
            vec![("days", json!(days)), ("until", json!(time(*until)))]
        }
        Event::Down { since, failed, of } => {
            vec![("since", json!(time(*since))), ("failed", json!(failed)), ("of", json!(of))]
        }
        Event::Up { since, good } => vec![("since", json!(time(*since))), ("good", json!(good))],
        Event::Cooldown { last, until } => {
            vec![("last_switch", json!(time(*last))), ("until", json!(time(*until)))]
        }
        Event::Switching { attempt } => vec![("attempt", json!(attempt))],
        Event::Switched { milliseconds } => vec![("seconds", json!(seconds(*milliseconds)))],
        Event::SwitchFailed { exit, again, .. } => {
            vec![("exit", json!(exit)), ("again", json!(time(*again)))]
        }
        Event::Unready { .. }
        | Event::Undecided { .. }
        | Event::AlreadySwitched
        | Event::SwitchHeld { .. }
        | Event::NotSaved { .. }
        | Event::Stopped { .. } => Vec::new(),
    }
}

fn detail(about: &About, event: &Event) -> String {
    let overlay = &about.overlay;
    match event {
        Event::Started { active, remembers } => {
            let active = if active.is_empty() { "base".into() } else { active.join(" + ") };
            let seen = if *remembers { "; goes on with what was seen before" } else { "" };
            format!("watching; active is {active}{seen}")
        }
        Event::ProbeFailed { why, failed, of } => {
            format!("{why}; {failed} of the last {of} failed")
        }
        Event::ProbeOk { good, of } => format!("good again, {good} of {of} in a row"),
        Event::Unready { why }
        | Event::Undecided { why }
        | Event::SwitchHeld { why }
        | Event::NotSaved { why }
        | Event::Stopped { why } => why.clone(),
        Event::CertificateExpires { days, until } if *days < 0 => {
            format!("the certificate ended at {}", time(*until))
        }
        Event::CertificateExpires { days, until } => {
            format!(
                "the certificate ends in {}, at {}",
                count(usize::try_from(*days).unwrap_or_default(), "day"),
                time(*until)
            )
        }
        Event::Down { since, failed, of } => {
            format!("down since {}: {failed} of the last {of} failed", time(*since))
        }
        Event::Up { since, good } => {
            format!("up: {good} good in a row; it was down since {}", time(*since))
        }
        Event::Cooldown { last, until } => format!(
            "it would switch, but the last switch began at {}; not before {}",
            time(*last),
            time(*until)
        ),
        Event::AlreadySwitched => {
            format!("{overlay} is active already; there is nothing to switch")
        }
        Event::Switching { attempt: 1 } => format!("switching to {overlay}"),
        Event::Switching { attempt } => format!("switching to {overlay}, attempt {attempt}"),
        Event::Switched { milliseconds } => {
            format!("switched to {overlay} in {}", duration(seconds(*milliseconds)))
        }
        Event::SwitchFailed { why, again, .. } => {
            format!("{why}; tried again from {} on, while it is down", time(*again))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{About, line, time};
    use crate::engine::watch::Event;

    #[test]
    fn every_event_is_a_line_with_the_same_head() {
        let about = About { stack: "shop".into(), overlay: "eu".into(), url: "http://x/".into() };
        let why = || "connection\nrefused".to_owned();
        let events = [
            Event::Started { active: Vec::new(), remembers: true },
            Event::Unready { why: why() },
            Event::ProbeFailed { why: why(), failed: 1, of: 5 },
            Event::ProbeOk { good: 1, of: 3 },
            Event::Undecided { why: why() },
            Event::CertificateExpires { days: 1, until: 86_400_000 },
            Event::CertificateExpires { days: -1, until: 0 },
            Event::Down { since: 1_500, failed: 3, of: 5 },
            Event::Up { since: 0, good: 3 },
            Event::Cooldown { last: 0, until: 86_400_000 },
            Event::AlreadySwitched,
            Event::Switching { attempt: 1 },
            Event::Switching { attempt: 2 },
            Event::Switched { milliseconds: 61_000 },
            Event::SwitchHeld { why: why() },
            Event::SwitchFailed { why: why(), exit: Some(1), again: 60_000 },
            Event::NotSaved { why: why() },
            Event::Stopped { why: "SIGTERM".into() },
        ];
        let lines: Vec<String> = events.iter().map(|it| line(&about, 1_000, it)).collect();
        assert!(lines.iter().all(|it| !it.contains('\n')));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn times_are_utc() {
        assert_eq!([0, 1_500].map(time), ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.500Z"]);
    }
}
