//! What goes wrong between a job and a code host, over one that lives in memory.

mod memory;

use crate::code_host::author::OwnAuthor;
use crate::code_host::comment::{PostedComment, WantedComment, post};
use crate::code_host::host::{CodeHost as _, HostUser};
use crate::code_host::issue::{KeptIssue, WantedIssue, keep};
use crate::code_host::tests::memory::{Broken, MemoryHost, user};
use crate::engine::retry::ErrorClass;
use crate::render::ci::comment::first_line;
use crate::render::ci::mark::{CiResult, PullHead, RunMark};

const PULL: u64 = 5;

fn mark(commit: &str, run: u64, result: CiResult) -> RunMark {
    RunMark { commit: commit.into(), run, attempt: 1, result }
}

fn body(mark: &RunMark) -> String {
    format!("{}\n{mark}\nthe plan of run {}\n", first_line("shop"), mark.run)
}

/// Posts as a job does.
async fn tell(
    host: &MemoryHost,
    mark: &RunMark,
    head: PullHead<'_>,
) -> Result<PostedComment, (ErrorClass, String)> {
    let told = |why: crate::cloud::error::ProviderError| (why.fault, why.to_string());
    let mut author = OwnAuthor::find(host, None).await.map_err(told)?;
    let (first_line, body) = (first_line("shop"), body(mark));
    let wanted = WantedComment { first_line: &first_line, mark, head, body: &body };
    post(host, &mut author, PULL, &wanted).await.map_err(told)
}

fn planned(run: u64) -> RunMark {
    mark("aaaaaaa", run, CiResult::Planned)
}

#[tokio::test]
async fn post_makes_one_comment_and_writes_it_anew_on_every_outcome() {
    let host = MemoryHost::new("bot");
    assert_eq!(tell(&host, &planned(1), PullHead::Unknown).await, Ok(PostedComment::Created));
    let outcomes = [CiResult::Invalid, CiResult::Refused, CiResult::Partial, CiResult::Applied];
    for (run, result) in (2..).zip(outcomes) {
        let mark = mark("bbbbbbb", run, result);
        assert_eq!(tell(&host, &mark, PullHead::Unknown).await, Ok(PostedComment::Updated));
        assert_eq!(host.bodies(), [body(&mark)]);
    }
}

#[tokio::test]
async fn post_finds_its_comment_on_a_later_page() {
    let host = MemoryHost::new("bot");
    for at in 0..7 {
        host.says("people", &format!("comment {at}"));
    }
    tell(&host, &planned(1), PullHead::Unknown).await.unwrap();
    for at in 0..7 {
        host.says("people", &format!("comment {at} more"));
    }
    assert_eq!(tell(&host, &planned(2), PullHead::Unknown).await, Ok(PostedComment::Updated));
    assert_eq!(host.bodies().iter().filter(|it| it.contains("run 2")).count(), 1);
}

/// Anybody can write the marker: what a stranger wrote is neither overwritten nor believed.
#[tokio::test]
async fn post_leaves_the_comment_of_a_stranger_with_the_marker_alone() {
    let host = MemoryHost::new("bot");
    let theirs = body(&mark("fffffff", 999, CiResult::Applied));
    host.says("stranger", &theirs);
    host.says("Bot2", &theirs);
    assert_eq!(tell(&host, &planned(1), PullHead::Unknown).await, Ok(PostedComment::Created));
    assert_eq!(host.bodies(), [theirs.clone(), theirs, body(&planned(1))]);
}

#[tokio::test]
async fn post_makes_a_deleted_comment_anew() {
    let host = MemoryHost::new("bot");
    tell(&host, &planned(1), PullHead::Unknown).await.unwrap();
    host.delete_all();
    assert_eq!(tell(&host, &planned(2), PullHead::Unknown).await, Ok(PostedComment::Created));
    // Somebody deletes it between the look and the update.
    host.breaks("update", Broken::Gone);
    assert_eq!(tell(&host, &planned(3), PullHead::Unknown).await, Ok(PostedComment::Created));
    assert_eq!(host.bodies(), [body(&planned(3))]);
}

#[tokio::test]
async fn post_says_that_a_token_may_not_comment() {
    let host = MemoryHost::new("bot");
    host.breaks("create", Broken::Denied);
    assert_eq!(
        tell(&host, &planned(1), PullHead::Unknown).await.unwrap_err().0,
        ErrorClass::Denied
    );
    host.breaks("me", Broken::Denied);
    assert_eq!(
        tell(&host, &planned(1), PullHead::Unknown).await.unwrap_err().0,
        ErrorClass::Denied
    );
    assert!(host.bodies().is_empty());
}

/// An answer that is lost is looked up: the comment was made, or it was not.
#[tokio::test]
async fn post_makes_no_second_comment_where_an_answer_was_lost() {
    for broken in [Broken::LostReply, Broken::LostCall] {
        let host = MemoryHost::new("bot");
        host.breaks("create", broken);
        let posted = tell(&host, &planned(1), PullHead::Unknown).await.unwrap();
        assert_ne!(posted, PostedComment::LeftAlone(String::new()));
        assert_eq!(host.bodies(), [body(&planned(1))], "{broken:?}");
    }
    let host = MemoryHost::new("bot");
    (0..9).for_each(|_| host.breaks("create", Broken::LostCall));
    assert_eq!(
        tell(&host, &planned(1), PullHead::Unknown).await.unwrap_err().0,
        ErrorClass::UnknownOutcome
    );
}

/// Both look, see none, and make one each.
#[tokio::test]
async fn post_of_two_jobs_at_once_ends_with_one_comment() {
    let host = MemoryHost::new("bot");
    host.meanwhile("create", "bot", &body(&planned(7)));
    assert_eq!(tell(&host, &planned(8), PullHead::Unknown).await, Ok(PostedComment::Updated));
    assert_eq!(host.bodies(), [body(&planned(8))]);
    // The other one is of a later run: that one stays.
    let host = MemoryHost::new("bot");
    host.meanwhile("create", "bot", &body(&planned(9)));
    let left = tell(&host, &planned(8), PullHead::Unknown).await.unwrap();
    assert!(matches!(&left, PostedComment::LeftAlone(why) if why.contains("a later run")));
    assert_eq!(host.bodies(), [body(&planned(9))]);
}

#[tokio::test]
async fn post_removes_a_second_comment_that_an_earlier_run_left() {
    let host = MemoryHost::new("bot");
    host.says("bot", &body(&planned(1)));
    host.says("bot", &body(&planned(2)));
    host.says("stranger", &body(&planned(2)));
    assert_eq!(tell(&host, &planned(3), PullHead::Unknown).await, Ok(PostedComment::Updated));
    assert_eq!(host.bodies(), [body(&planned(3)), body(&planned(2))]);
}

#[tokio::test]
async fn post_of_a_run_that_is_outdated_leaves_the_newer_comment_alone() {
    let host = MemoryHost::new("bot");
    let newer = mark("bbbbbbb", 9, CiResult::Planned);
    host.says("bot", &body(&newer));
    // A re-run of an old job, and a job whose commit was rebased away.
    for own in [planned(8), mark("aaaaaaa", 10, CiResult::Planned)] {
        let left = tell(&host, &own, PullHead::Newer("bbbbbbb")).await.unwrap();
        assert!(matches!(left, PostedComment::LeftAlone(_)), "{left:?}");
    }
    assert_eq!(host.bodies(), [body(&newer)]);
    // After a rebase the new commit has a run of its own.
    let rebased = mark("ccccccc", 10, CiResult::Planned);
    assert_eq!(tell(&host, &rebased, PullHead::Unknown).await, Ok(PostedComment::Updated));
}

/// The token of an app is nobody's, and it comments by a name of its own.
#[tokio::test]
async fn post_learns_by_which_name_an_app_comments() {
    let host = MemoryHost::new("our-app[bot]");
    host.hides_itself();
    assert_eq!(tell(&host, &planned(1), PullHead::Unknown).await, Ok(PostedComment::Created));
    assert_eq!(tell(&host, &planned(2), PullHead::Unknown).await, Ok(PostedComment::Updated));
    assert_eq!(host.bodies(), [body(&planned(2))]);
    let host = MemoryHost::new("job[bot]");
    host.hides_itself();
    tell(&host, &planned(1), PullHead::Unknown).await.unwrap();
    assert_eq!(tell(&host, &planned(2), PullHead::Unknown).await, Ok(PostedComment::Updated));
}

#[test]
fn is_compares_numbers_where_there_are_some() {
    let own = OwnAuthor::Known(user("bot"));
    assert!(own.is(&user("bot")));
    let renamed = HostUser { login: "bot".into(), id: Some(1) };
    assert!(!own.is(&renamed), "another user has taken the name");
    let said = OwnAuthor::Known(HostUser { id: None, login: "Bot".into() });
    assert!(said.is(&user("bot")));
    let nobody = HostUser { id: None, login: String::new() };
    assert!(!OwnAuthor::OfJob(&[]).is(&nobody) && !OwnAuthor::Known(nobody.clone()).is(&nobody));
}

const LINE: &str = "<!-- lifeboat:drift shop -->";

async fn kept(host: &MemoryHost, wanted: WantedIssue<'_>) -> KeptIssue {
    let mut author = OwnAuthor::find(host, None).await.unwrap();
    keep(host, &mut author, LINE, wanted).await.unwrap()
}

#[tokio::test]
async fn keep_opens_one_issue_updates_it_and_closes_it() {
    let host = MemoryHost::new("bot");
    let (first, second) = (format!("{LINE}\none"), format!("{LINE}\ntwo"));
    let open = |body| WantedIssue::Open { title: "drift", body };
    host.opens("stranger", &first);
    assert_eq!(kept(&host, WantedIssue::Closed { because: "well" }).await, KeptIssue::None);
    assert_eq!(kept(&host, open(&first)).await, KeptIssue::Opened(2));
    assert_eq!(kept(&host, open(&second)).await, KeptIssue::Updated(2));
    assert_eq!(host.issue(2), (true, second.clone()));
    assert_eq!(kept(&host, WantedIssue::Closed { because: "well" }).await, KeptIssue::Closed(2));
    assert!(!host.issue(2).0 && host.issue(1).0, "the stranger's stays open");
    assert_eq!(host.bodies(), ["well"]);
    assert_eq!(kept(&host, open(&first)).await, KeptIssue::Opened(3));
}

#[tokio::test]
async fn keep_of_two_jobs_at_once_ends_with_one_open_issue() {
    let host = MemoryHost::new("bot");
    let body = format!("{LINE}\none");
    host.meanwhile("create_issue", "bot", &body);
    let wanted = WantedIssue::Open { title: "drift", body: &body };
    assert_eq!(kept(&host, wanted).await, KeptIssue::Opened(1));
    assert!(host.issue(1).0 && !host.issue(2).0);
    // An answer that was lost is looked up.
    let host = MemoryHost::new("bot");
    host.breaks("create_issue", Broken::LostReply);
    assert_eq!(kept(&host, wanted).await, KeptIssue::Opened(1));
    assert!(host.pull(1).await.is_ok());
}
