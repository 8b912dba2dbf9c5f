//! The first two lines of a comment: by which it is found again, and of which run it is.

use std::fmt;

/// How a job ended, as its comment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CiResult {
    Planned,
    /// The layers have mistakes.
    Invalid,
    /// A guard, or nobody has reviewed it: nothing was changed.
    Refused,
    /// Something else kept it from its end before anything was changed.
    Failed,
    /// Another run holds the lease.
    Held,
    Applied,
    /// Some of it was done.
    Partial,
}

impl CiResult {
    const ALL: [Self; 7] = [
        Self::Planned,
        Self::Invalid,
        Self::Refused,
        Self::Failed,
        Self::Held,
        Self::Applied,
        Self::Partial,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Held => "waiting",
            Self::Applied => "applied",
            Self::Partial => "partially applied",
        }
    }

    /// The same without blanks.
    fn code(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Held => "held",
            other => other.word(),
        }
    }

    /// Whether it tells of changes that were made.
    pub fn has_changed(self) -> bool {
        matches!(self, Self::Applied | Self::Partial)
    }
}

/// Of which run a comment is. A later run has a larger number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMark {
    pub commit: String,
    pub run: u64,
    pub attempt: u64,
    pub result: CiResult,
}

const OPENING: &str = "<!-- lifeboat:run ";
const CLOSING: &str = " -->";

impl fmt::Display for RunMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commit, run, attempt, result } = self;
        write!(f, "{OPENING}{commit} {run}.{attempt} {}{CLOSING}", result.code())
    }
}

impl RunMark {
    /// That of a comment, in its second line. `None`: it has none that this lifeboat understands.
    pub fn of(body: &str) -> Option<Self> {
        let line = body.lines().nth(1)?.trim_end();
        let inside = line.strip_prefix(OPENING)?.strip_suffix(CLOSING)?;
        let [commit, run, result] = inside.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let (run, attempt) = run.split_once('.')?;
        let is_commit = !commit.is_empty() && commit.bytes().all(|it| it.is_ascii_hexdigit());
        let result = CiResult::ALL.into_iter().find(|it| it.code() == result)?;
        let mark = Self {
            commit: commit.to_owned(),
            run: run.parse().ok()?,
            attempt: attempt.parse().ok()?,
            result,
        };
        is_commit.then_some(mark)
    }
}

/// The last commit of a pull request, beside that of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullHead<'a> {
    /// It was not asked, or nobody answered.
    Unknown,
    /// It is that of the job.
    This,
    /// Another one came since.
    Newer(&'a str),
}

impl<'a> PullHead<'a> {
    /// The commit that the pull request has by now, where that is another one.
    pub fn newer(self) -> Option<&'a str> {
        match self {
            Self::Newer(commit) => Some(commit),
            Self::Unknown | Self::This => None,
        }
    }
}

/// Why a job leaves the comment alone that is there, in a sentence; `None`: it is for this one to write.
pub fn stands(found: &RunMark, own: &RunMark, head: PullHead<'_>) -> Option<String> {
    let short = |commit: &str| commit.chars().take(COMMIT_SHOWN).collect::<String>();
    let is_same = found.commit == own.commit;
    // What was changed is told over what was not, whoever came later.
    let tells_more = own.result.has_changed() && !found.result.has_changed();
    let has_waited = found.result == CiResult::Held && own.result != CiResult::Held;
    // What the pull request does not have any more nobody reviews, whoever wrote it.
    let is_gone = head == PullHead::This && !is_same;
    if tells_more || has_waited || is_gone {
        return None;
    }
    if (found.run, found.attempt) > (own.run, own.attempt) {
        let commit = short(&found.commit);
        return Some(format!("a later run wrote the comment, for the commit {commit}"));
    }
    if let Some(newer) = head.newer().filter(|_| !is_same) {
        return Some(format!(
            "the pull request is at the commit {} by now, and the comment is of {}",
            short(newer),
            short(&found.commit)
        ));
    }
    if is_same && own.result == CiResult::Held && found.result.has_changed() {
        return Some(format!("the comment says that this commit was {}", found.result.word()));
    }
    None
}

/// How much of a commit people read: as much as tells it from any other in most repositories.
pub const COMMIT_SHOWN: usize = 10;

#[cfg(test)]
mod tests {
    use super::{CiResult, PullHead, RunMark, stands};

    fn mark(commit: &str, run: u64, attempt: u64, result: CiResult) -> RunMark {
        RunMark { commit: commit.into(), run, attempt, result }
    }

    #[test]
    fn of_reads_what_was_written_and_nothing_else() {
        for result in CiResult::ALL {
            let it = mark("0123abcd", 7, 2, result);
            assert_eq!(RunMark::of(&format!("<!-- lifeboat:plan shop -->\n{it}\nmore")), Some(it));
        }
        for wrong in [
            "",
            "<!-- lifeboat:run 0123abcd 7.2 planned -->",
            "\n<!-- lifeboat:run 0123abcd 7.2 planned --> <b>",
            "\n<!-- lifeboat:run main 7.2 planned -->",
            "\n<!-- lifeboat:run 0123abcd 7 planned -->",
            "\n<!-- lifeboat:run 0123abcd 7.2 merged -->",
            "\n<!-- lifeboat:run 0123abcd 99999999999999999999.2 planned -->",
        ] {
            assert_eq!(RunMark::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn stands_keeps_what_a_later_run_wrote() {
        let own = mark("aaaaaaa", 7, 1, CiResult::Planned);
        let found = |commit, run, attempt| mark(commit, run, attempt, CiResult::Planned);
        assert_eq!(stands(&found("aaaaaaa", 7, 1), &own, PullHead::Unknown), None);
        assert_eq!(stands(&found("bbbbbbb", 6, 9), &own, PullHead::Unknown), None);
        assert!(stands(&found("bbbbbbb", 8, 1), &own, PullHead::Unknown).is_some());
        assert!(
            stands(&found("aaaaaaa", 7, 2), &own, PullHead::Unknown)
                .unwrap()
                .contains("a later run")
        );
    }

    #[test]
    fn stands_keeps_the_comment_of_another_commit_from_an_outdated_run() {
        let own = mark("aaaaaaa", 7, 1, CiResult::Planned);
        let found = mark("bbbbbbb", 6, 1, CiResult::Planned);
        assert!(
            stands(&found, &own, PullHead::Newer("ccccccc")).unwrap().contains("ccccccc by now")
        );
        let same = mark("aaaaaaa", 6, 1, CiResult::Planned);
        assert_eq!(stands(&same, &own, PullHead::Newer("ccccccc")), None);
    }

    /// After a force push back to an earlier commit, its job is run again.
    #[test]
    fn stands_for_nothing_that_the_pull_request_does_not_have_any_more() {
        let own = mark("aaaaaaa", 7, 2, CiResult::Planned);
        let other = mark("bbbbbbb", 9, 1, CiResult::Planned);
        assert_eq!(stands(&other, &own, PullHead::This), None);
        let same = mark("aaaaaaa", 9, 1, CiResult::Planned);
        assert!(stands(&same, &own, PullHead::This).is_some());
    }

    /// Two jobs of one commit: who came too late does not hide what the other one did.
    #[test]
    fn stands_keeps_applied_from_a_run_that_only_waited() {
        let found = mark("aaaaaaa", 7, 1, CiResult::Applied);
        assert!(
            stands(&found, &mark("aaaaaaa", 8, 1, CiResult::Held), PullHead::Unknown).is_some()
        );
        assert_eq!(stands(&found, &mark("bbbbbbb", 8, 1, CiResult::Held), PullHead::Unknown), None);
        assert_eq!(
            stands(&found, &mark("aaaaaaa", 8, 1, CiResult::Refused), PullHead::Unknown),
            None
        );
        // The other way round: the later one waited, and told so first.
        let waited = mark("aaaaaaa", 8, 1, CiResult::Held);
        for result in [CiResult::Applied, CiResult::Partial, CiResult::Refused] {
            assert_eq!(stands(&waited, &mark("aaaaaaa", 7, 1, result), PullHead::Unknown), None);
        }
        let refused = mark("aaaaaaa", 8, 1, CiResult::Refused);
        assert_eq!(
            stands(&refused, &mark("aaaaaaa", 7, 1, CiResult::Applied), PullHead::Unknown),
            None
        );
    }
}
