//! The one issue about drift of a stack.

use crate::engine::plan::model::change::{Action, Drift, Plan};
use crate::engine::recovery::audit::finding::{Audit, Level};
use crate::render::ci::comment::{is_link, items};
use crate::render::escape::{said, span};
use crate::render::plan::markdown::marker;
use crate::render::words::{count, cut, duration, escape_control, moment};

/// How many lines there are of one sort; the rest is counted. A guess: who has more reads the log.
const SHOWN_MAX: usize = 40;
/// How many characters of one line are shown.
const LINE_MAX: usize = 600;

/// How long ago the last drill was that passed, where an age was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrillAge {
    /// `None`: there was none.
    pub seconds: Option<u64>,
    pub most_seconds: u64,
}

impl DrillAge {
    pub fn is_too_old(self) -> bool {
        self.seconds.is_none_or(|it| it > self.most_seconds)
    }

    /// In a sentence.
    pub fn says(self) -> String {
        let most = duration(self.most_seconds);
        match self.seconds {
            None => format!("no drill has passed, and there should be one within {most}"),
            Some(it) => {
                let age = duration(it);
                format!(
                    "the last drill that passed was {age} ago, and there should be one within {most}"
                )
            }
        }
    }
}

/// What a look at a stack found.
#[derive(Debug, Clone, Copy)]
pub struct DriftReport<'a> {
    /// `shop`, `shop@drill`.
    pub stack: &'a str,
    pub plan: Option<&'a Plan>,
    pub audit: &'a Audit,
    pub drill: Option<DrillAge>,
    pub url: Option<&'a str>,
    /// In milliseconds since the Unix epoch.
    pub at: i64,
    /// What could not be read.
    pub unread: usize,
}

/// The title of the issue: the same whatever is found.
pub fn title(stack: &str) -> String {
    format!("lifeboat: {} has drifted, or would not recover", cut(&escape_control(stack), 100))
}

/// By which the issue of a stack is found: its first line.
pub fn first_line(stack: &str) -> String {
    format!("<!-- lifeboat:drift {} -->", marker(stack))
}

impl DriftReport<'_> {
    /// Whether there is something to do. Notes of an audit are no findings.
    pub fn is_well(&self) -> bool {
        self.plan.is_none_or(|it| it.drift.is_empty() && it.is_empty())
            && self.audit.worst().is_none_or(|it| it < Level::Warning)
            && !self.drill.is_some_and(DrillAge::is_too_old)
    }

    /// In one line, for the log and for the word with which the issue is closed.
    pub fn says(&self) -> String {
        let drifted = self.plan.map_or(0, |it| it.drift.len());
        let changes = self.plan.map_or(0, |it| pending(it).len());
        let of = |level| self.audit.count(level);
        let mut parts = vec![
            format!("{} drifted", count(drifted, "resource")),
            format!("{} pending", count(changes, "change")),
            count(of(Level::Error), "audit error"),
            count(of(Level::Warning), "audit warning"),
        ];
        parts.extend(self.drill.filter(|it| it.is_too_old()).map(DrillAge::says));
        format!("{}: {}", self.stack, parts.join(", "))
    }

    /// The whole text, at most so many bytes.
    pub fn text(&self, bytes_max: usize) -> String {
        let run = match self.url {
            Some(url) if is_link(url) => format!(" · [run]({url})"),
            _ => String::new(),
        };
        let mut text = format!("{}\n**{}**{run}\n\n", first_line(self.stack), moment(self.at));
        text.push_str(&items(&self.says()).concat());
        let mut sections = Vec::new();
        if let Some(plan) = self.plan {
            sections.push((
                "Drift: observed differs from recorded",
                plan.drift.iter().map(drifted).collect(),
            ));
            sections.push(("Pending changes", pending(plan)));
        }
        for (heading, level) in [("Audit errors", Level::Error), ("Audit warnings", Level::Warning)]
        {
            let of_level = self.audit.findings().filter(|it| it.level == level);
            let line = of_level.map(|it| {
                let place = it.place.as_ref().map(|it| {
                    format!(" · {}", span(&format!("{}:{}", escape_control(&it.file), it.line)))
                });
                format!(
                    "{}: {}; {}{}",
                    span(it.rule.id),
                    clean(&it.why),
                    clean(&it.remedy),
                    place.unwrap_or_default()
                )
            });
            sections.push((heading, line.collect()));
        }
        let late = self.drill.filter(|it| it.is_too_old()).map(DrillAge::says);
        sections.push(("Drills", late.into_iter().collect()));
        if self.unread > 0 {
            text.push_str(&format!(
                "- ⚠️ {} could not be read: this may not be all\n",
                count(self.unread, "resource")
            ));
        }
        for (heading, lines) in sections.into_iter().filter(|it| !it.1.is_empty()) {
            section(&mut text, heading, &lines, bytes_max);
        }
        text
    }
}

fn section(text: &mut String, heading: &str, lines: &[String], bytes_max: usize) {
    text.push_str(&format!("\n### {heading}\n\n"));
    let mut shown = 0;
    for line in lines.iter().take(SHOWN_MAX) {
        // Room for the headings and counts of the sections that follow.
        if text.len() + line.len() + 1_000 > bytes_max {
            break;
        }
        text.push_str(&format!("- {line}\n"));
        shown += 1;
    }
    if lines.len() > shown {
        text.push_str(&format!("- and {} more, which the log shows\n", lines.len() - shown));
    }
}

fn clean(text: &str) -> String {
    said(&cut(&escape_control(text), LINE_MAX))
}

fn drifted(it: &Drift) -> String {
    let address = span(&escape_control(&it.address.to_string()));
    if it.absent {
        return format!("{address} is gone");
    }
    let names: Vec<String> =
        it.attributes.iter().map(|it| span(&escape_control(&it.name))).collect();
    format!("{address}: {}", names.join(", "))
}

/// What an apply would do now; what waits for a lost fault domain is not among it.
fn pending(plan: &Plan) -> Vec<String> {
    if plan.is_empty() {
        return Vec::new();
    }
    let is_meant = |action| !matches!(action, Action::NoOp);
    let changes = plan.changes.iter().filter(|it| is_meant(it.action) && it.deferred.is_none());
    let mut lines: Vec<String> = changes
        .map(|it| {
            let address = span(&escape_control(&it.address.to_string()));
            format!("{address} {}: {}", it.action.word(), clean(&it.reason))
        })
        .collect();
    if lines.is_empty() {
        lines.push("the outputs, or the active overlays".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{DriftReport, DrillAge, first_line, title};
    use crate::engine::plan::model::change::{Drift, Plan};
    use crate::engine::recovery::audit::finding::{
        Audit, AuditSection, Finding, FindingPlace, Level,
    };
    use crate::engine::recovery::audit::rules::INVALID;

    fn report<'a>(audit: &'a Audit, plan: Option<&'a Plan>) -> DriftReport<'a> {
        DriftReport { stack: "shop", plan, audit, drill: None, url: None, at: 0, unread: 0 }
    }

    fn found(level: Level) -> Audit {
        let place = FindingPlace { file: "stacks/shop/stack.yaml".into(), line: 3, column: 1 };
        let finding = Finding::new(&INVALID, Some(place), "ask @team").at_level(level);
        let section = AuditSection { findings: vec![finding], ..AuditSection::default() };
        Audit { stack: "shop".into(), sections: vec![section], ..Audit::default() }
    }

    #[test]
    fn is_well_counts_warnings_and_late_drills_and_no_notes() {
        assert!(report(&found(Level::Note), None).is_well());
        assert!(!report(&found(Level::Warning), None).is_well());
        let nothing = Audit::default();
        let age = |seconds| Some(DrillAge { seconds, most_seconds: 100 });
        for (drill, is_well) in
            [(None, true), (age(Some(100)), true), (age(Some(101)), false), (age(None), false)]
        {
            assert_eq!(
                DriftReport { drill, ..report(&nothing, None) }.is_well(),
                is_well,
                "{drill:?}"
            );
        }
    }

    #[test]
    fn text_lists_what_was_found() {
        let drift = |name: &str| Drift {
            address: name.parse().unwrap(),
            kind: "x".into(),
            absent: true,
            attributes: Vec::new(),
        };
        let plan =
            Plan { drift: (0..50).map(|it| drift(&format!("r{it}"))).collect(), ..Plan::default() };
        let audit = found(Level::Error);
        let drill = Some(DrillAge { seconds: None, most_seconds: 86_400 });
        let report = DriftReport { drill, unread: 1, ..report(&audit, Some(&plan)) };
        assert!(!report.is_well());
        let text = report.text(65_535);
        assert!(text.starts_with(&first_line("shop")), "{text}");
        for part in [
            "shop: 50 resources drifted, 0 changes pending, 1 audit error, 0 audit warnings",
            "- `r0` is gone\n",
            "- and 10 more, which the log shows\n",
            "### Audit errors\n\n- `invalid`: ask @&#8203;team; `validate` shows",
            "· `stacks/shop/stack.yaml:3`",
            "- no drill has passed, and there should be one within 1 d\n",
            "- ⚠️ 1 resource could not be read",
        ] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert!(report.text(3_000).len() <= 3_000);
        assert_eq!(title("shop"), "lifeboat: shop has drifted, or would not recover");
    }
}
