//! Rounds in, events out.

use super::memory::UnreadableNotes;
use super::{
    Active, Control, DAY, Decision, Notes, Round, WatchEvent, WatchMemory, WatchOutcome,
    WatchRules, decide, ended, interrupted, observe,
};
use crate::engine::recovery::users_moved::UsersAre;

pub(super) const MINUTE: i64 = 60_000;

/// Two of three is down, two in a row is up, and a switch an hour.
pub(super) fn rules() -> WatchRules {
    WatchRules {
        failed: 2,
        of: 3,
        good: 2,
        cooldown: 60 * MINUTE,
        stale: 120 * MINUTE,
        certificate_days: 14,
    }
}

pub(super) fn round(at: i64, letter: char) -> Round {
    let control = match letter {
        'c' => Control::Silent("no answer".into()),
        _ => Control::Answered,
    };
    let target = if letter == 'g' { Ok(()) } else { Err("HTTP 503".to_owned()) };
    Round { at, target, control, certificate_until: None }
}

pub(super) fn notes(memory: &WatchMemory) -> Notes {
    let mut notes = Notes::default();
    notes.put(memory);
    notes
}

/// What a restarted watcher knows.
pub(super) fn reread(memory: &WatchMemory) -> WatchMemory {
    Notes::decode(&notes(memory).encode()).unwrap().of(&memory.watched)
}

/// A round a minute: `g` good, `b` bad, `c` the control silent, too. Whatever began goes as `outcome` says.
fn run(
    memory: &mut WatchMemory,
    from: i64,
    letters: &str,
    active: Active,
    outcome: &WatchOutcome,
) -> String {
    let mut said = Vec::new();
    for (at, letter) in (from..).zip(letters.chars()) {
        let at = at * MINUTE;
        let (events, case) = observe(memory, &rules(), &round(at, letter));
        said.extend(events.iter().map(WatchEvent::name));
        let Some(case) = case else { continue };
        let (event, decision) = decide(memory, &rules(), case, active);
        said.extend(event.iter().map(WatchEvent::name));
        if decision != Decision::Wait {
            said.extend(ended(memory, at, outcome.clone()).iter().map(WatchEvent::name));
        }
    }
    said.join(" ")
}

fn done(letters: &str) -> String {
    run(&mut WatchMemory::new("x"), 0, letters, Active::Elsewhere, &WatchOutcome::Done)
}

#[test]
fn observe_needs_some_of_the_last_for_down_and_a_row_for_up() {
    let down = "probe-failed probe-failed down switching switched";
    assert_eq!(done("ggg"), "");
    assert_eq!(done("gbg"), "probe-failed probe-ok");
    assert_eq!(
        done("gbggb"),
        "probe-failed probe-ok probe-failed",
        "two of four are no two of three"
    );
    assert_eq!(done("gbb"), down);
    assert_eq!(done("gbgb"), "probe-failed probe-ok probe-failed down switching switched");
    assert_eq!(done("gbbg"), format!("{down} answered probe-ok"));
    assert_eq!(done("gbbgg"), format!("{down} answered probe-ok up"));
    assert_eq!(
        done("gbbggb"),
        format!("{down} answered probe-ok up probe-failed"),
        "what was before it was up is not counted again"
    );
}

#[test]
fn observe_counts_nothing_without_a_control() {
    assert_eq!(done("gbcb"), "probe-failed undecided probe-failed down switching switched");
    assert_eq!(done("gbccccc"), "probe-failed undecided undecided undecided undecided undecided");
}

#[test]
fn decide_waits_for_the_cooldown_and_says_so_once() {
    let mut memory = WatchMemory::new("x");
    let first = run(&mut memory, 0, "gbbgg", Active::Elsewhere, &WatchOutcome::Done);
    assert!(first.ends_with("switched answered probe-ok up"), "{first}");
    let second = run(&mut memory, 5, "bbb", Active::Elsewhere, &WatchOutcome::Done);
    assert_eq!(second, "probe-failed probe-failed down cooldown probe-failed");
    let third = run(&mut memory, 61, "bbb", Active::Elsewhere, &WatchOutcome::Done);
    assert_eq!(third, "probe-failed probe-failed switching switched probe-failed cooldown");
}

#[test]
fn decide_does_not_switch_to_what_is_active() {
    let mut memory = WatchMemory::new("x");
    let said = run(&mut memory, 0, "gbbb", Active::There, &WatchOutcome::Done);
    assert_eq!(said, "probe-failed probe-failed down already-switched probe-failed");
    assert_eq!((memory.begun, memory.last_switch), (None, None));
}

#[test]
fn decide_retries_a_failed_switch_after_pauses_that_double() {
    let failed = WatchOutcome::Failed { why: "exit 1".into(), exit: Some(1), moved: true };
    let mut memory = WatchMemory::new("x");
    let letters = "b".repeat(40);
    let mut tried = Vec::new();
    for (at, letter) in (0..).zip(letters.chars()) {
        let before = memory.outage.as_ref().map_or(0, |it| it.attempts);
        run(&mut memory, at, &letter.to_string(), Active::Elsewhere, &failed);
        if memory.outage.as_ref().map_or(0, |it| it.attempts) > before {
            tried.push(at);
        }
    }
    assert_eq!(tried, [1, 2, 4, 8, 16, 31]);
    let up = run(&mut memory, 41, "gg", Active::Elsewhere, &failed);
    assert_eq!(up, "probe-ok up");
    let next = run(&mut memory, 43, "bb", Active::Elsewhere, &failed);
    assert_eq!(next, "probe-failed probe-failed down cooldown", "it may have moved users");
    let resumed = run(&mut memory, 45, "b", Active::Underway, &WatchOutcome::Done);
    assert_eq!(
        resumed, "probe-failed switching switched",
        "to finish half a switch is no second one"
    );
}

#[test]
fn decide_starts_no_cooldown_after_a_switch_that_moved_nobody() {
    let refused = WatchOutcome::Failed { why: "exit 3".into(), exit: Some(3), moved: false };
    let mut memory = WatchMemory::new("x");
    run(&mut memory, 0, "gbbgg", Active::Elsewhere, &refused);
    let next = run(&mut memory, 5, "bb", Active::Elsewhere, &WatchOutcome::Done);
    assert_eq!(next, "probe-failed probe-failed down switching switched");
}

#[test]
fn decide_tries_again_while_the_lease_is_held() {
    let mut memory = WatchMemory::new("x");
    let held = WatchOutcome::Held { active: Active::Elsewhere };
    let said = run(&mut memory, 0, "bbb", Active::Elsewhere, &held);
    let again = "switching switch-held";
    assert_eq!(said, format!("probe-failed probe-failed down {again} probe-failed {again}"));
    let held = WatchOutcome::Held { active: Active::There };
    let said = run(&mut memory, 3, "bb", Active::Elsewhere, &held);
    assert_eq!(
        said,
        "probe-failed switching already-switched probe-failed switching already-switched"
    );
    assert_eq!(memory.last_switch, None);
}

/// Somebody knows more than a watcher does: it keeps its hands off until the cooldown is over.
#[test]
fn decide_does_not_reverse_a_preempted_switch() {
    let mut memory = WatchMemory::new("x");
    let turned = WatchOutcome::Turned { by: "ann (lifeboat failback shop)".into() };
    let said = run(&mut memory, 0, "bbbb", Active::Elsewhere, &turned);
    assert_eq!(
        said,
        "probe-failed probe-failed down switching switch-held probe-failed cooldown probe-failed"
    );
}

#[test]
fn interrupted_assumes_that_a_killed_switch_moved_users() {
    let mut memory = WatchMemory::new("x");
    run(&mut memory, 0, "gb", Active::Elsewhere, &WatchOutcome::Done);
    let (_, case) = observe(&mut memory, &rules(), &round(2 * MINUTE, 'b'));
    decide(&mut memory, &rules(), case.unwrap(), Active::Elsewhere);
    let mut other = WatchMemory::new("y");
    other.learn(&notes(&memory));
    assert_eq!(other.last_switch, Some(2 * MINUTE), "another watcher keeps its hands off");
    let mut again = reread(&memory);
    let event = interrupted(&mut again, 5 * MINUTE, (Active::Elsewhere, UsersAre::Moved), true);
    assert_eq!(event.map(|it| it.name()), Some("switch-failed"));
    let said = run(&mut again, 6, "b", Active::Elsewhere, &WatchOutcome::Done);
    assert_eq!(said, "probe-failed switching switched", "the same switch, once more");
    let there = |users| {
        let mut memory = reread(&memory);
        interrupted(&mut memory, 5 * MINUTE, (Active::There, users), true)
    };
    for users in [UsersAre::Moved, UsersAre::Stayed] {
        let event = there(users);
        assert!(matches!(event, Some(WatchEvent::Switched { users: told, .. }) if told == users));
    }
}

#[test]
fn observe_ignores_old_rounds_and_those_of_another_target() {
    let mut memory = WatchMemory::new("x");
    run(&mut memory, 0, "gb", Active::Elsewhere, &WatchOutcome::Done);
    let said = run(&mut memory, 1_000, "b", Active::Elsewhere, &WatchOutcome::Done);
    assert_eq!(said, "probe-failed", "the first failure is sixteen hours old");
    memory.last_switch = Some(7);
    let other = notes(&memory).of("y");
    assert_eq!(other, WatchMemory { last_switch: Some(7), ..WatchMemory::new("y") });
    assert_eq!(reread(&memory), memory);
}

#[test]
fn observe_warns_of_a_certificate_once_a_day() {
    let mut memory = WatchMemory::new("x");
    let mut days = Vec::new();
    for hour in 0..48 {
        let at = hour * 60 * MINUTE;
        let good = Round { certificate_until: Some(15 * DAY), ..round(at, 'g') };
        let seen = if hour == 30 { round(at, 'b') } else { good };
        for event in observe(&mut memory, &rules(), &seen).0 {
            if let WatchEvent::CertificateExpires { days: left, .. } = event {
                days.push((hour, left));
            }
        }
    }
    assert_eq!(days, [(25, 13)]);
}

#[test]
fn notes_decode_tells_damage_from_a_newer_version() {
    let mut memory = WatchMemory::new("x");
    run(&mut memory, 0, "gb", Active::Elsewhere, &WatchOutcome::Done);
    memory.unanswered = Some(0);
    let text = notes(&memory).encode();
    assert_eq!(Notes::decode(&text), Ok(notes(&memory)));
    let flipped = text.replacen("\"good\":false", "\"good\":true", 1);
    assert_eq!(Notes::decode(&flipped), Err(UnreadableNotes::Checksum));
    let version = |version: u32| format!("\"version\":{version}");
    // A switch that nothing has answered since is said in version 2 only; without one an older program reads on.
    assert!(text.contains(&version(2)), "{text}");
    let answered = WatchMemory { unanswered: None, ..memory.clone() };
    assert!(notes(&answered).encode().contains(&version(1)));
    let newer = text.replacen(&version(2), &version(3), 1);
    assert_eq!(Notes::decode(&newer), Err(UnreadableNotes::Newer(3)));
    for cut in 0..text.trim_end().len() {
        assert!(matches!(Notes::decode(&text[..cut]), Err(UnreadableNotes::Damaged(_))), "{cut}");
    }
}

#[test]
fn notes_put_forgets_the_stalest_target_beyond_the_limit() {
    let mut notes = Notes::default();
    for at in 0..20 {
        notes.put(&WatchMemory { answered: Some(at), ..WatchMemory::new(&format!("target {at}")) });
        notes.put(&WatchMemory { answered: Some(at), ..WatchMemory::new("often") });
    }
    let known = |name: &str| notes.of(name).answered;
    assert_eq!(
        (known("often"), known("target 19"), known("target 5")),
        (Some(19), Some(19), Some(5))
    );
    assert_eq!(known("target 4"), None);
}
