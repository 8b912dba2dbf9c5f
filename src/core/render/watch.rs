//! A watcher's events: one JSON object on one line each, with a sentence for people in it.

use serde_json::{Map, Value as Json, json};

use crate::engine::recovery::users_moved::UsersAre;
use crate::engine::recovery::watch::WatchEvent;
use crate::engine::text::advice::AdvisedCommand;
use crate::engine::text::names::OverlayNames;
use crate::render::words::{count, duration, users_are};

/// What every line of one watcher says.
#[derive(Debug, Clone)]
pub struct About {
    pub stack: String,
    pub overlay: String,
    /// Without a password that it may hold.
    pub url: String,
}

/// The line of an event, without its end.
pub fn line(about: &About, at: i64, event: &WatchEvent) -> String {
    Json::Object(fields(about, at, event)).to_string()
}

/// The same as a map.
pub fn fields(about: &About, at: i64, event: &WatchEvent) -> Map<String, Json> {
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
    fields
}

/// `2026-11-24T11:00:00.000Z`, always as long, so that lines sort.
pub fn time(at: i64) -> String {
    let stamp = jiff::Timestamp::from_millisecond(at);
    stamp.map_or_else(|_| at.to_string(), |it| format!("{it:.3}"))
}

fn seconds(milliseconds: i64) -> u64 {
    u64::try_from(milliseconds / 1_000).unwrap_or_default()
}

fn facts(event: &WatchEvent) -> Vec<(&'static str, Json)> {
    match event {
        WatchEvent::Started { active, remembers } => {
            vec![("active", json!(active)), ("remembers", json!(remembers))]
        }
        WatchEvent::ProbeFailed { failed, of, .. } => {
            vec![("failed", json!(failed)), ("of", json!(of))]
        }
        WatchEvent::ProbeOk { good, of } => vec![("good", json!(good)), ("of", json!(of))],
        WatchEvent::CertificateExpires { days, until } => {
            vec![("days", json!(days)), ("until", json!(time(*until)))]
        }
        WatchEvent::Down { since, failed, of } => {
            vec![("since", json!(time(*since))), ("failed", json!(failed)), ("of", json!(of))]
        }
        WatchEvent::Up { since, good } => {
            vec![("since", json!(time(*since))), ("good", json!(good))]
        }
        WatchEvent::Cooldown { last, until } => {
            vec![("last_switch", json!(time(*last))), ("until", json!(time(*until)))]
        }
        WatchEvent::Heartbeat { groups } => vec![("groups", json!(groups))],
        WatchEvent::Switching { attempt } => vec![("attempt", json!(attempt))],
        WatchEvent::Switched { milliseconds, users, degraded } => {
            let phase = if degraded.is_some() { "degraded" } else { "settled" };
            vec![
                ("seconds", json!(seconds(*milliseconds))),
                ("phase", json!(phase)),
                ("users", json!(users.word())),
            ]
        }
        WatchEvent::Answered { after } => vec![("seconds", json!(seconds(*after)))],
        WatchEvent::SwitchFailed { exit, again, .. } => {
            vec![("exit", json!(exit)), ("again", json!(time(*again)))]
        }
        WatchEvent::Unready { .. }
        | WatchEvent::Undecided { .. }
        | WatchEvent::AlreadySwitched
        | WatchEvent::SwitchHeld { .. }
        | WatchEvent::NotSaved { .. }
        | WatchEvent::NoHeartbeat { .. }
        | WatchEvent::Stopped { .. } => Vec::new(),
    }
}

fn detail(about: &About, event: &WatchEvent) -> String {
    let overlay = &about.overlay;
    match event {
        WatchEvent::Started { active, remembers } => {
            let active = OverlayNames(active);
            let seen = if *remembers { "; continuing with the recorded history" } else { "" };
            format!("watching; the active overlay is {active}{seen}")
        }
        WatchEvent::ProbeFailed { why, failed, of } => {
            format!("{why}; {failed} of the last {of} probes failed")
        }
        WatchEvent::ProbeOk { good, of } => {
            format!("healthy again: {good} of {of} required probes in a row")
        }
        WatchEvent::Unready { why }
        | WatchEvent::Undecided { why }
        | WatchEvent::SwitchHeld { why }
        | WatchEvent::NotSaved { why }
        | WatchEvent::Stopped { why } => why.clone(),
        WatchEvent::NoHeartbeat { why } => format!("not every heartbeat is written: {why}"),
        WatchEvent::Heartbeat { groups } => {
            format!("heartbeats are written: {}", groups.join(", "))
        }
        WatchEvent::CertificateExpires { days, until } if *days < 0 => {
            format!("the certificate expired at {}", time(*until))
        }
        WatchEvent::CertificateExpires { days, until } => {
            format!(
                "the certificate expires in {}, at {}",
                count(usize::try_from(*days).unwrap_or_default(), "day"),
                time(*until)
            )
        }
        WatchEvent::Down { since, failed, of } => {
            format!("down since {}: {failed} of the last {of} probes failed", time(*since))
        }
        WatchEvent::Up { since, good } => {
            format!("up: {good} healthy probes in a row; it was down since {}", time(*since))
        }
        WatchEvent::Cooldown { last, until } => format!(
            "no switch during the cooldown: the last switch began at {}; the next one is possible at {}",
            time(*last),
            time(*until)
        ),
        WatchEvent::AlreadySwitched => {
            format!("{overlay} is already active; nothing to switch")
        }
        WatchEvent::Switching { attempt: 1 } => format!("switching to {overlay}"),
        WatchEvent::Switching { attempt } => format!("switching to {overlay}, attempt {attempt}"),
        WatchEvent::Switched { milliseconds, users, degraded } => {
            switched(about, *milliseconds, *users, degraded.as_deref())
        }
        WatchEvent::Answered { after } => {
            let after = duration(seconds(*after));
            format!("first healthy probe after the switch, {after} after it began")
        }
        WatchEvent::SwitchFailed { why, again, .. } => {
            format!("{why}; the next attempt is at {} if the URL is still down", time(*again))
        }
    }
}

/// What became of a switch, and of its users.
fn switched(about: &About, milliseconds: i64, users: UsersAre, degraded: Option<&str>) -> String {
    let (overlay, took) = (&about.overlay, duration(seconds(milliseconds)));
    let told = match users {
        UsersAre::Stayed => {
            format!("applied {overlay} in {took}, which moved no users: {}", users_are(users))
        }
        UsersAre::Moved | UsersAre::NotMoved | UsersAre::PartlyMoved | UsersAre::Unconfirmed => {
            format!("switched to {overlay} in {took}; {}", users_are(users))
        }
    };
    match degraded {
        Some(why) => format!(
            "{told}; the rest of the switch is not finished ({why}): run {} to resume",
            AdvisedCommand::Apply { stack: &about.stack }
        ),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::{About, line, time};
    use crate::engine::recovery::users_moved::UsersAre;
    use crate::engine::recovery::watch::WatchEvent;

    #[test]
    fn line_has_the_same_head_for_every_event() {
        let about = About { stack: "shop".into(), overlay: "eu".into(), url: "http://x/".into() };
        let why = || "connection\nrefused".to_owned();
        let switched =
            |users, degraded| WatchEvent::Switched { milliseconds: 61_000, users, degraded };
        let events = [
            WatchEvent::Started { active: Vec::new(), remembers: true },
            WatchEvent::Unready { why: why() },
            WatchEvent::ProbeFailed { why: why(), failed: 1, of: 5 },
            WatchEvent::ProbeOk { good: 1, of: 3 },
            WatchEvent::Undecided { why: why() },
            WatchEvent::CertificateExpires { days: 1, until: 86_400_000 },
            WatchEvent::CertificateExpires { days: -1, until: 0 },
            WatchEvent::Down { since: 1_500, failed: 3, of: 5 },
            WatchEvent::Up { since: 0, good: 3 },
            WatchEvent::Cooldown { last: 0, until: 86_400_000 },
            WatchEvent::AlreadySwitched,
            WatchEvent::Switching { attempt: 1 },
            WatchEvent::Switching { attempt: 2 },
            switched(UsersAre::Moved, None),
            switched(UsersAre::Moved, Some(why())),
            switched(UsersAre::Stayed, None),
            WatchEvent::Answered { after: 75_000 },
            WatchEvent::SwitchHeld { why: why() },
            WatchEvent::SwitchFailed { why: why(), exit: Some(1), again: 60_000 },
            WatchEvent::NotSaved { why: why() },
            WatchEvent::Heartbeat { groups: vec!["products_eu".into(), "sessions_eu".into()] },
            WatchEvent::NoHeartbeat { why: why() },
            WatchEvent::Stopped { why: "SIGTERM".into() },
        ];
        let lines: Vec<String> = events.iter().map(|it| line(&about, 1_000, it)).collect();
        assert!(lines.iter().all(|it| !it.contains('\n')));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn time_is_utc() {
        assert_eq!([0, 1_500].map(time), ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.500Z"]);
    }
}
