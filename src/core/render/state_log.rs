//! The log of a state: a line for each run, with its entries if they are wanted, and the same for programs.

use serde_json::{Value as Json, json};

use crate::engine::state::record::Phase;
use crate::engine::state::run_log::{LoggedEnding, LoggedRun, LoggedSwitch, StepTally};
use crate::engine::text::names::OverlayNames;
use crate::render::journal_words::{entry_time, entry_words};
use crate::render::words::{count, escape_control, moment, person};

/// The version of the JSON.
const LOG_VERSION: u32 = 1;

/// How many changes by hand a line tells. A guess: more do not fit on a line.
const TOLD_MAX: usize = 3;

/// How many digits of a plan's digest a line shows: as many as other places do.
const DIGITS: usize = 12;

/// How the log is shown.
#[derive(Debug, Clone, Copy)]
pub struct LogView {
    /// With the single entries.
    pub entries: bool,
    /// The epoch of the holder that is at work now.
    pub live: Option<u64>,
}

/// Two lines for each run, the newest first: the serial of the state that it saved, when it was and what became of it; who did it,
/// and with which command.
pub fn state_log_text(runs: &[LoggedRun], view: LogView) -> String {
    let serial = |it: &LoggedRun| it.serial.map_or_else(|| "–".to_owned(), |it| it.to_string());
    let width = runs.iter().map(|it| serial(it).chars().count()).max().unwrap_or(0);
    let width = width.max("serial".len());
    let mut lines = vec![
        format!("{:>width$}  {:<20}  result", "serial", "began"),
        format!("{:width$}    by, with which command", ""),
    ];
    for run in runs {
        let at = run.at.map_or_else(|| "–".to_owned(), moment);
        let (serial, result) = (serial(run), result(run, view.live));
        lines.push(format!("{serial:>width$}  {at}  {result}"));
        lines.push(format!("{:width$}    {}", "", parts(run).join(", ")));
        for (number, entry) in run.entries.iter().filter(|_| view.entries) {
            let at = entry_time(entry).map_or_else(String::new, |it| format!("{}  ", moment(it)));
            lines.push(format!("{:width$}      {number}  {at}{}", "", entry_words(entry)));
        }
    }
    lines.join("\n")
}

fn parts(run: &LoggedRun) -> Vec<String> {
    let who = run.who.as_deref().map_or_else(|| "–".to_owned(), person);
    let command = run.command.as_deref().map(|it| format!(": `{}`", escape_control(it)));
    let mut parts = vec![format!("{who}{}", command.unwrap_or_default())];
    parts.extend(run.because.iter().map(|it| format!("because \"{}\"", escape_control(it))));
    parts.extend(run.plan.iter().map(|it| format!("plan {}", escape_control(&short(it)))));
    parts.extend(run.epoch.map(|it| format!("epoch {it}")));
    parts
}

/// A digest by as many characters as tell it from others.
fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + DIGITS).collect()
}

/// `complete, 4 of 4 steps`, `switch from base to eu: degraded, 3 of 5 steps, 1 failed`, `lb: removed from the state`
fn result(run: &LoggedRun, live: Option<u64>) -> String {
    let mut said = Vec::new();
    if let Some(LoggedSwitch { from, to, lost }) = &run.switch {
        let lost =
            if lost.is_empty() { String::new() } else { format!(", lost {}", lost.join(" ")) };
        said.push(format!("switch from {} to {}{lost}", OverlayNames(from), OverlayNames(to)));
    }
    said.push(state_of(run, live).to_owned());
    said.extend(open_phase(run).map(|it| it.word().to_owned()));
    if run.plan.is_some() {
        let StepTally { planned, done, failed, indeterminate } = run.steps;
        said.push(if planned == 0 && done == 0 {
            "no steps".into()
        } else {
            format!("{done} of {}", count(planned.max(done), "step"))
        });
        for (number, word) in [(failed, "failed"), (indeterminate, "indeterminate")] {
            said.extend((number > 0).then(|| format!("{number} {word}")));
        }
    } else {
        let told: Vec<String> = by_hand(run).collect();
        said.extend(told.iter().take(TOLD_MAX).cloned());
        if told.len() > TOLD_MAX {
            said.push(format!("and {} more", told.len() - TOLD_MAX));
        }
    }
    said.join(", ")
}

/// What a change without a plan did.
fn by_hand(run: &LoggedRun) -> impl Iterator<Item = String> {
    use crate::engine::state::journal::JournalEntry;
    let wanted = |it: &&(u64, JournalEntry)| !matches!(it.1, JournalEntry::Leased { .. });
    run.entries.iter().filter(wanted).map(|(_, entry)| entry_words(entry))
}

fn state_of(run: &LoggedRun, live: Option<u64>) -> &'static str {
    match run.ending {
        LoggedEnding::Open if live.is_some() && run.epoch == live => "running",
        LoggedEnding::Open => "cut off",
        ending => ending.word(),
    }
}

/// How far a switch is that has not ended.
fn open_phase(run: &LoggedRun) -> Option<Phase> {
    run.phase.filter(|it| !it.is_settled() || run.switch.is_some())
}

/// The same for programs; times are in milliseconds since the Unix epoch.
pub fn state_log_json(stack: &str, runs: &[LoggedRun], view: LogView) -> String {
    let runs: Vec<Json> = runs.iter().map(|it| run_json(it, view)).collect();
    let all = json!({ "version": LOG_VERSION, "stack": stack, "runs": runs });
    serde_json::to_string_pretty(&all).expect("plain data serialises")
}

fn run_json(run: &LoggedRun, view: LogView) -> Json {
    let StepTally { planned, done, failed, indeterminate } = run.steps;
    let result = state_of(run, view.live).replace(' ', "_");
    let mut json = json!({
        "serial": run.serial,
        "epoch": run.epoch,
        "at": run.at,
        "finished": run.finished,
        "who": run.who,
        "command": run.command,
        "because": run.because,
        "plan": run.plan,
        "result": result,
        "steps": run.plan.as_ref().map(|_| json!({
            "planned": planned, "done": done, "failed": failed, "indeterminate": indeterminate,
        })),
        "switch": run.switch.as_ref().map(|it| json!({
            "from": it.from, "to": it.to, "lost": it.lost,
        })),
        "phase": run.phase.map(Phase::word),
    });
    if let Some(map) = json.as_object_mut().filter(|_| view.entries) {
        let entry = |(number, entry): &(u64, _)| json!({ "number": number, "at": entry_time(entry), "text": entry_words(entry) });
        map.insert("entries".into(), run.entries.iter().map(entry).collect());
    }
    json
}

#[cfg(test)]
mod tests {
    use super::{LogView, state_log_json, state_log_text};
    use crate::engine::state::journal::{JournalEntry, StepOutcome};
    use crate::engine::state::record::Phase;
    use crate::engine::state::run_log::{LoggedEnding, LoggedRun, LoggedSwitch, StepTally};

    const AT: i64 = 1_795_000_000_000;

    fn run(serial: Option<u64>, ending: LoggedEnding) -> LoggedRun {
        LoggedRun {
            serial,
            epoch: Some(4),
            at: Some(AT),
            finished: Some(AT + 5_000),
            who: Some("ann@laptop, process 7, https://ci.example/runs/9".into()),
            command: Some("apply shop --yes".into()),
            because: Vec::new(),
            plan: Some("sha256:12ab34cd56ef7890".into()),
            steps: StepTally { planned: 4, done: 4, failed: 0, indeterminate: 0 },
            switch: None,
            phase: Some(Phase::Settled),
            ending,
            entries: Vec::new(),
        }
    }

    fn runs() -> Vec<LoggedRun> {
        let moved = StepOutcome::Moved { from: "lb".parse().unwrap() };
        let ended = JournalEntry::Ended {
            address: "front".parse().unwrap(),
            step: 0,
            outcome: moved,
            at: AT,
        };
        vec![
            LoggedRun { epoch: Some(6), finished: None, ..run(None, LoggedEnding::Open) },
            LoggedRun { finished: None, ..run(None, LoggedEnding::Open) },
            LoggedRun {
                command: Some("state mv shop lb front".into()),
                plan: None,
                steps: StepTally::default(),
                entries: vec![(31, ended)],
                ..run(Some(12), LoggedEnding::Saved)
            },
            LoggedRun {
                because: vec!["the page is \u{1b}green".into()],
                command: Some("failover shop --to eu".into()),
                steps: StepTally { planned: 5, done: 3, failed: 1, indeterminate: 1 },
                switch: Some(LoggedSwitch {
                    from: Vec::new(),
                    to: vec!["eu".into()],
                    lost: vec!["linode:us-east".into()],
                }),
                phase: Some(Phase::Degraded),
                ..run(Some(9), LoggedEnding::Incomplete)
            },
            LoggedRun {
                at: None,
                who: None,
                command: None,
                epoch: None,
                ..run(Some(8), LoggedEnding::Complete)
            },
        ]
    }

    #[test]
    fn state_log_text_has_a_line_for_each_run() {
        let view = LogView { entries: false, live: Some(6) };
        insta::assert_snapshot!(state_log_text(&runs(), view), @r#"
        serial  began                 result
                  by, with which command
             –  2026-11-18T11:06:40Z  running, 4 of 4 steps
                  ann@laptop, https://ci.example/runs/9: `apply shop --yes`, plan sha256:12ab34cd56ef, epoch 6
             –  2026-11-18T11:06:40Z  cut off, 4 of 4 steps
                  ann@laptop, https://ci.example/runs/9: `apply shop --yes`, plan sha256:12ab34cd56ef, epoch 4
            12  2026-11-18T11:06:40Z  saved, `front`: moved from `lb`
                  ann@laptop, https://ci.example/runs/9: `state mv shop lb front`, epoch 4
             9  2026-11-18T11:06:40Z  switch from base to eu, lost linode:us-east, incomplete, degraded, 3 of 5 steps, 1 failed, 1 indeterminate
                  ann@laptop, https://ci.example/runs/9: `failover shop --to eu`, because "the page is \u{1b}green", plan sha256:12ab34cd56ef, epoch 4
             8  –  complete, 4 of 4 steps
                  –, plan sha256:12ab34cd56ef
        "#);
        let one = &runs()[2..3];
        insta::assert_snapshot!(state_log_text(one, LogView { entries: true, ..view }), @r"
        serial  began                 result
                  by, with which command
            12  2026-11-18T11:06:40Z  saved, `front`: moved from `lb`
                  ann@laptop, https://ci.example/runs/9: `state mv shop lb front`, epoch 4
                    31  2026-11-18T11:06:40Z  `front`: moved from `lb`
        ");
    }

    #[test]
    fn state_log_json_says_its_version_and_everything() {
        let view = LogView { entries: true, live: Some(6) };
        insta::assert_snapshot!(state_log_json("shop", &runs()[..3], view), @r#"
        {
          "version": 1,
          "stack": "shop",
          "runs": [
            {
              "serial": null,
              "epoch": 6,
              "at": 1795000000000,
              "finished": null,
              "who": "ann@laptop, process 7, https://ci.example/runs/9",
              "command": "apply shop --yes",
              "because": [],
              "plan": "sha256:12ab34cd56ef7890",
              "result": "running",
              "steps": {
                "planned": 4,
                "done": 4,
                "failed": 0,
                "indeterminate": 0
              },
              "switch": null,
              "phase": "settled",
              "entries": []
            },
            {
              "serial": null,
              "epoch": 4,
              "at": 1795000000000,
              "finished": null,
              "who": "ann@laptop, process 7, https://ci.example/runs/9",
              "command": "apply shop --yes",
              "because": [],
              "plan": "sha256:12ab34cd56ef7890",
              "result": "cut_off",
              "steps": {
                "planned": 4,
                "done": 4,
                "failed": 0,
                "indeterminate": 0
              },
              "switch": null,
              "phase": "settled",
              "entries": []
            },
            {
              "serial": 12,
              "epoch": 4,
              "at": 1795000000000,
              "finished": 1795000005000,
              "who": "ann@laptop, process 7, https://ci.example/runs/9",
              "command": "state mv shop lb front",
              "because": [],
              "plan": null,
              "result": "saved",
              "steps": null,
              "switch": null,
              "phase": "settled",
              "entries": [
                {
                  "number": 31,
                  "at": 1795000000000,
                  "text": "`front`: moved from `lb`"
                }
              ]
            }
          ]
        }
        "#);
    }
}
