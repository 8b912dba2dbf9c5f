//! Where a job tells what it did: the comment of its pull request, the summary of the job, annotations, and files.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::cli::args::ci::{CodeHostArgs, HostArg};
use crate::cli::commands::ci::outcome::CiOutcome;
use crate::cli::context::CommandContext;
use crate::cli::out;
use crate::cloud::clock::WallClock;
use crate::cloud::error::ProviderError;
use crate::code_host::author::OwnAuthor;
use crate::code_host::comment::{PostedComment, WantedComment, post};
use crate::code_host::environment::{
    CiJob, HostKind, JobPull, JobSurroundings, detect, read_event,
};
use crate::code_host::host::{CodeHost, HostPull};
use crate::code_host::issue::{KeptIssue, WantedIssue, keep};
use crate::code_host::open::open;
use crate::engine::text::redact::redactor;
use crate::ops::error::OpsError;
use crate::render::ci::annotations::{Annotation, annotations};
use crate::render::ci::comment::{CiComment, first_line};
use crate::render::ci::issue;
use crate::render::ci::mark::{CiResult, PullHead, RunMark};
use crate::render::plan::outline::ShownPlan;
use crate::store::lock_record::wall;
use crate::store::private::replace;

/// How many bytes the summary of one step may have (GitHub: 1 MiB). Gitea takes as many.
const SUMMARY_BYTES_MAX: usize = 1 << 20;
/// The least room that is worth a summary: the smallest budget of a plan, twice over.
const SUMMARY_BYTES_MIN: usize = 32_000;
/// How long the text may be that is printed where there is no code host.
const PRINTED_BYTES_MAX: usize = 1_000_000;

/// What tells.
pub(super) struct Teller {
    /// `None`: there is no code host.
    job: Option<CiJob>,
    host: Option<Result<Box<dyn CodeHost>, ProviderError>>,
    surroundings: JobSurroundings,
    /// By whom its comments are, as was said.
    author: Option<String>,
}

impl Teller {
    /// Reads the environment; asks nobody.
    pub(super) fn new(wanted: &CodeHostArgs) -> Result<Self, OpsError> {
        let read = |name: &str| std::env::var(name).ok().filter(|it| !it.trim().is_empty());
        let kind = match wanted.host {
            Some(HostArg::Github) => Some(HostKind::GitHub),
            Some(HostArg::Gitlab) => Some(HostKind::GitLab),
            Some(HostArg::Gitea) => Some(HostKind::Gitea),
            Some(HostArg::None) => None,
            None => detect(&read),
        };
        let job = kind.map(|it| CiJob::of(it, &read, &read_event)).transpose();
        let job = job.map_err(|why| {
            let help = "run it in a pipeline of that code host, or print what would be posted with --host none";
            OpsError::usage(format!("the environment of the job is incomplete: {why}"), help)
        })?;
        Ok(Self {
            host: job.as_ref().map(|it| open(it, Arc::new(WallClock))),
            job,
            surroundings: JobSurroundings::of(&read),
            author: wanted.author.clone(),
        })
    }

    /// Whether everything is printed, and nothing posted.
    pub(super) fn is_printing(&self) -> bool {
        self.job.is_none()
    }

    /// Where the log of the run is read.
    pub(super) fn run_url(&self) -> Option<&str> {
        self.job.as_ref()?.run.url.as_deref()
    }

    /// For which pull request the job runs.
    pub(super) fn pull(&self) -> Option<&JobPull> {
        self.job.as_ref()?.pull.as_ref()
    }

    fn host(&self) -> Result<&dyn CodeHost, ProviderError> {
        match self.host.as_ref().expect("a job has a code host") {
            Ok(host) => Ok(&**host),
            // An error cannot be had twice; it was told by its words.
            Err(why) => {
                let error = ProviderError::new(why.fault, why.endpoint.clone(), why.words.clone());
                Err(match &why.advice {
                    Some(advice) => error.advice(advice.clone()),
                    None => error,
                })
            }
        }
    }

    /// How the pull request of the job is now; `None`: there is none.
    pub(super) async fn pull_now(&self) -> Option<Result<HostPull, ProviderError>> {
        let number = self.pull()?.number?;
        match self.host() {
            Ok(host) => Some(host.pull(number).await),
            Err(why) => Some(Err(why)),
        }
    }

    /// Whether a pull request is still at the commit of this job.
    pub(super) fn is_head(&self, now: &HostPull) -> bool {
        self.job.as_ref().is_some_and(|it| it.commit == now.head)
    }

    /// The merged pull request by which the commit of this job came.
    pub(super) async fn merged_pull(&self) -> Result<Option<u64>, ProviderError> {
        let Some(job) = &self.job else { return Ok(None) };
        if let Some(number) = job.pull.as_ref().and_then(|it| it.number) {
            return Ok(Some(number));
        }
        self.host()?.pull_of_commit(&job.commit).await
    }

    fn mark(&self, result: CiResult) -> RunMark {
        let job = self.job.as_ref();
        RunMark {
            commit: job.map(|it| it.commit.clone()).unwrap_or_default(),
            run: job.map_or(0, |it| it.run.number),
            attempt: job.map_or(0, |it| it.run.attempt),
            result,
        }
    }

    fn text(&self, stack: &str, it: &CiOutcome, head: PullHead<'_>, bytes_max: usize) -> String {
        let plan = it.plan.as_ref().map(|(plan, envelope)| ShownPlan {
            plan,
            forecast: envelope.forecast.as_ref(),
            cost: envelope.cost.as_ref(),
        });
        let comment = CiComment {
            stack,
            mark: self.mark(it.result),
            url: self.run_url(),
            at: wall(),
            newer: head.newer(),
            says: it.says.clone(),
            problems: &it.problems,
            steps: &it.steps,
            plan,
        };
        bounded(bytes_max, |most| comment.text(most))
    }

    /// Writes the comment of a pull request.
    pub(super) async fn comment(
        &self,
        stack: &str,
        pull: u64,
        it: &CiOutcome,
        head: PullHead<'_>,
    ) -> Result<PostedComment, ProviderError> {
        let host = self.host()?;
        let mut author = OwnAuthor::find(host, self.author.as_deref()).await?;
        let body = self.text(stack, it, head, self.bytes_max());
        let (mark, first_line) = (self.mark(it.result), first_line(stack));
        let wanted = WantedComment { first_line: &first_line, mark: &mark, head, body: &body };
        post(host, &mut author, pull, &wanted).await
    }

    fn bytes_max(&self) -> usize {
        self.job.as_ref().map_or(PRINTED_BYTES_MAX, |it| it.host.bytes_max())
    }

    /// Opens, updates or closes the issue of a stack.
    pub(super) async fn issue(
        &self,
        stack: &str,
        wanted: &dyn Fn(usize) -> String,
        well: Option<&str>,
    ) -> Result<KeptIssue, ProviderError> {
        let host = self.host()?;
        let mut author = OwnAuthor::find(host, self.author.as_deref()).await?;
        let (line, title) = (issue::first_line(stack), issue::title(stack));
        let body = bounded(self.bytes_max(), wanted);
        let wanted = match well {
            Some(because) => WantedIssue::Closed { because },
            None => WantedIssue::Open { title: &title, body: &body },
        };
        keep(host, &mut author, &line, wanted).await
    }

    /// Adds the outcome to the summary of the job, or prints it where there is no code host.
    pub(super) fn summarize(&self, stack: &str, it: &CiOutcome, head: PullHead<'_>) {
        self.summary(&|most| self.text(stack, it, head, most));
    }

    /// The same for any text.
    pub(super) fn summary(&self, text: &dyn Fn(usize) -> String) {
        if self.is_printing() {
            return out::data(&bounded(PRINTED_BYTES_MAX, text));
        }
        let Some(file) = &self.surroundings.summary else { return };
        let there = file.metadata().map_or(0, |it| usize::try_from(it.len()).unwrap_or(usize::MAX));
        let left = SUMMARY_BYTES_MAX.saturating_sub(there.saturating_add(2));
        if left < SUMMARY_BYTES_MIN {
            return out::talk(
                "the summary of the job is full: what was to stand there is left out",
            );
        }
        let written = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(file)
            .and_then(|mut it| writeln!(it, "{}\n", bounded(left, text)));
        if let Err(why) = written {
            out::talk(&format!("warning: the summary of the job was not written: {why}"));
        }
    }

    /// Marks lines, where the code host reads that from the log.
    pub(super) fn annotate(&self, all: &[Annotation]) {
        let text = annotations(all);
        if self.surroundings.annotates && !text.is_empty() {
            out::data(text.trim_end());
        }
    }
}

/// A text without secrets that has at most so many bytes: what stands in place of one may be longer.
fn bounded(most: usize, text: impl Fn(usize) -> String) -> String {
    let hidden = |most: usize| redactor().hide(&text(most)).into_owned();
    let whole = hidden(most);
    match whole.len().checked_sub(most) {
        None | Some(0) => whole,
        Some(over) => hidden(most.saturating_sub(2 * over)),
    }
}

/// Writes a file that a later step of the job reads.
pub(super) fn write(context: &CommandContext, file: &Path, text: &str) -> Result<(), OpsError> {
    let path = context.directory.join(file);
    replace(&path, text.as_bytes()).map_err(|source| OpsError::File { file: path, source })
}
