//! The one comment of a stack in a pull request, and the summary of a job: how it ended, of which commit and run that is, and the plan.

use crate::engine::plan::model::change::Note;
use crate::engine::text::diagnostic::Severity;
use crate::render::ci::mark::{COMMIT_SHOWN, CiResult, RunMark};
use crate::render::escape::{prose, said, span};
use crate::render::plan::markdown::{MIN_BYTES, markdown, marker};
use crate::render::plan::outline::ShownPlan;
use crate::render::run::{RunStep, StepBecame};
use crate::render::words::{count, cut, escape_control, moment};

/// How many bytes there are for all that stands before the plan: a quarter of the smallest budget of a code host.
const HEAD_BYTES: usize = 16_000;
/// How many characters of one sentence are shown: room for a refusal with its command.
const SENTENCE_MAX: usize = 1_200;

/// What a job has to tell.
#[derive(Debug, Clone)]
pub struct CiComment<'a> {
    /// `shop`, `shop@drill`.
    pub stack: &'a str,
    pub mark: RunMark,
    /// Where the log of the run is read.
    pub url: Option<&'a str>,
    /// In milliseconds since the Unix epoch.
    pub at: i64,
    /// The commit that the pull request has by now, where that is another one.
    pub newer: Option<&'a str>,
    /// Sentences; each may have further lines, and code between backticks.
    pub says: Vec<String>,
    pub problems: &'a [Note],
    /// What became of the steps of an apply.
    pub steps: &'a [RunStep],
    pub plan: Option<ShownPlan<'a>>,
}

/// By which the comment of a stack is found: its first line.
pub fn first_line(stack: &str) -> String {
    format!("<!-- lifeboat:plan {} -->", marker(stack))
}

impl CiComment<'_> {
    /// At most so many bytes: what is left for the plan is cut as [`markdown`] does, and never without a word.
    pub fn text(&self, bytes_max: usize) -> String {
        let mut text = first_line(self.stack) + "\n";
        // Where nothing is posted there is no run.
        if !self.mark.commit.is_empty() {
            text.push_str(&format!("{}\n", self.mark));
        }
        text.push_str(&self.title());
        let budget = HEAD_BYTES.min(bytes_max.saturating_sub(MIN_BYTES));
        let mut hidden = 0;
        for line in self.lines() {
            // Room for the line that counts the others.
            if hidden > 0 || text.len() + line.len() + 100 > budget {
                hidden += 1;
            } else {
                text.push_str(&line);
            }
        }
        if hidden > 0 {
            text.push_str(&format!("- ✂️ {} not shown here: see the log\n", count(hidden, "line")));
        }
        if let Some(plan) = self.plan {
            let left = bytes_max.saturating_sub(text.len() + 1);
            let plan = markdown(plan, Some(left));
            // Its first line is the marker, which stands above.
            let plan = plan.split_once('\n').map_or("", |it| it.1);
            text.push('\n');
            text.push_str(plan);
        }
        text
    }

    fn title(&self) -> String {
        let sign = match self.mark.result {
            CiResult::Planned => "📝",
            CiResult::Applied => "✅",
            CiResult::Held => "⏳",
            CiResult::Partial | CiResult::Failed => "❌",
            CiResult::Invalid | CiResult::Refused => "⛔",
        };
        let commit: String = self.mark.commit.chars().take(COMMIT_SHOWN).collect();
        let name = prose(&cut(&escape_control(self.stack), 100));
        let run = match self.url.filter(|it| is_link(it)) {
            Some(url) => format!(" · [run {}]({url})", self.mark.run),
            None => String::new(),
        };
        let commit = match commit.as_str() {
            "" => String::new(),
            it => format!(" · commit `{it}`"),
        };
        format!(
            "{sign} **{name}: {}**{commit}{run} · {}\n\n",
            self.mark.result.word(),
            moment(self.at)
        )
    }

    /// Each a whole item of a list: no line begins with what somebody else wrote, which GitLab might take for a command.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(newer) = self.newer {
            let newer: String = newer.chars().take(COMMIT_SHOWN).collect();
            lines.push(format!(
                "- ⚠️ **Outdated:** the pull request is at the commit `{newer}` by now\n"
            ));
        }
        lines.extend(self.says.iter().flat_map(|it| items(it)));
        lines.extend(self.problems.iter().map(problem));
        lines.extend(steps(self.steps));
        lines
    }
}

/// Whether it can stand in a link as it is.
pub(super) fn is_link(url: &str) -> bool {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-._~:/?#&=%+@".contains(it);
    (url.starts_with("https://") || url.starts_with("http://")) && url.chars().all(is_plain)
}

/// A sentence as an item, and its further lines as items below it.
pub(super) fn items(text: &str) -> Vec<String> {
    let clean = |it: &str| said(&cut(&escape_control(it), SENTENCE_MAX));
    let mut lines = text.lines().filter(|it| !it.trim().is_empty());
    let first = lines.next().map(|it| format!("- {}\n", clean(it.trim())));
    let more = lines.map(|it| {
        let it = it.trim();
        format!("  - {}\n", clean(it.strip_prefix("- ").unwrap_or(it)))
    });
    first.into_iter().chain(more).collect()
}

fn problem(it: &Note) -> String {
    let sign = if it.severity == Severity::Warning { "⚠️" } else { "⛔" };
    let clean = |it: &str| said(&cut(&escape_control(it), SENTENCE_MAX));
    let mut line = format!("- {sign} {}: {}", span(&escape_control(&it.code)), clean(&it.text));
    for place in &it.places {
        line.push_str(&format!(" · {}", span(&cut(&escape_control(place), SENTENCE_MAX))));
    }
    if let Some(help) = &it.help {
        line.push_str(&format!("<br>help: {}", clean(&help.replace('\n', " "))));
    }
    line + "\n"
}

/// How many steps were done, and each one that was not.
fn steps(all: &[RunStep]) -> Vec<String> {
    if all.is_empty() {
        return Vec::new();
    }
    let of = |is: fn(&StepBecame) -> bool| all.iter().filter(|it| is(&it.became)).count();
    let counted = [
        (of(|it| *it == StepBecame::Done), "done"),
        (of(|it| matches!(it, StepBecame::Failed(_))), "failed"),
        (of(|it| matches!(it, StepBecame::PassedOver(_))), "passed over"),
        (of(|it| matches!(it, StepBecame::InDoubt(_))), "indeterminate"),
        (of(|it| *it == StepBecame::NotDone), "not done"),
    ];
    let counted = counted.into_iter().filter(|it| it.0 > 0);
    let counted: Vec<String> = counted.map(|(number, word)| format!("{number} {word}")).collect();
    let mut lines = vec![format!("- {}: {}\n", count(all.len(), "step"), counted.join(", "))];
    for it in all.iter().filter(|it| it.became != StepBecame::Done) {
        let why = it
            .became
            .why()
            .map(|it| format!(": {}", said(&cut(&escape_control(it), SENTENCE_MAX))));
        lines.push(format!(
            "  - {} {}: {}{}\n",
            span(&escape_control(&it.address.to_string())),
            prose(it.call),
            it.became.word(),
            why.unwrap_or_default()
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{CiComment, first_line};
    use crate::engine::address::Address;
    use crate::engine::plan::model::change::Note;
    use crate::engine::text::diagnostic::Severity;
    use crate::render::ci::mark::{CiResult, RunMark};
    use crate::render::run::{RunStep, StepBecame};

    fn comment(result: CiResult) -> CiComment<'static> {
        let commit = "0123456789abcdef0123456789abcdef01234567".into();
        CiComment {
            stack: "shop",
            mark: RunMark { commit, run: 77, attempt: 1, result },
            url: Some("https://github.com/shop/infra/actions/runs/77"),
            at: 1_795_000_000_000,
            newer: None,
            says: Vec::new(),
            problems: &[],
            steps: &[],
            plan: None,
        }
    }

    #[test]
    fn text_says_how_an_apply_ended_and_which_steps_were_not_done() {
        let step = |name: &str, became| RunStep {
            part: None,
            address: Address::one(name.to_owned()),
            call: "create",
            became,
        };
        let steps = [
            step("zone", StepBecame::Done),
            step("www", StepBecame::Failed("POST /domains answered 500: ask @admins".into())),
            step("mx", StepBecame::NotDone),
        ];
        let text = CiComment { steps: &steps, ..comment(CiResult::Partial) }.text(65_536);
        insta::assert_snapshot!(text, @r"
        <!-- lifeboat:plan shop -->
        <!-- lifeboat:run 0123456789abcdef0123456789abcdef01234567 77.1 partial -->
        ❌ **shop: partially applied** · commit `0123456789` · [run 77](https://github.com/shop/infra/actions/runs/77) · 2026-11-18T11:06:40Z

        - 3 steps: 1 done, 1 failed, 1 not done
          - `www` create: failed: POST /domains answered 500: ask @&#8203;admins
          - `mx` create: not done
        ");
    }

    /// Nobody is mentioned, nothing is formatted, and no line is a command of GitLab.
    #[test]
    fn text_lets_nothing_of_a_stack_become_more_than_text() {
        let nasty = "@admins <!-- --> **x** [a](b)\n/close\n- /merge #1 `lifeboat plan shop`";
        let problems = [Note {
            severity: Severity::Error,
            code: "unknown_key".into(),
            text: "`a`: @team\n/close".into(),
            places: vec!["stacks/`x`/stack.yaml:1:1".into()],
            help: Some("ask @team\n/merge".into()),
        }];
        let it = CiComment {
            stack: "x --> <b>\n/close",
            url: Some("javascript:alert(1)"),
            says: vec![nasty.into()],
            problems: &problems,
            newer: Some("ffffffff"),
            ..comment(CiResult::Invalid)
        };
        let text = it.text(65_536);
        assert!(text.lines().all(|it| !it.starts_with('/')), "{text}");
        assert!(!text.contains("javascript") && !text.contains("<b>"), "{text}");
        assert!(!text.contains("@admins") && !text.contains("@team"), "{text}");
        assert_eq!(text.matches("<!--").count(), 2, "{text}");
        assert!(text.contains("`lifeboat plan shop`"), "{text}");
        assert!(text.starts_with(&first_line(it.stack)) && RunMark::of(&text).is_some());
    }

    #[test]
    fn text_keeps_to_its_budget_and_counts_what_it_leaves_out() {
        let mistake = |at: usize| Note {
            severity: Severity::Error,
            code: "unknown_key".into(),
            text: "x".repeat(300),
            places: vec![format!("stacks/shop/stack.yaml:{at}:1")],
            help: None,
        };
        let problems: Vec<Note> = (0..500).map(mistake).collect();
        let text = CiComment { problems: &problems, ..comment(CiResult::Invalid) }.text(65_535);
        assert!(text.len() <= 16_000, "{}", text.len());
        assert!(text.contains("lines not shown here"), "{text}");
    }
}
