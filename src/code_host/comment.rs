//! The one comment of a stack in a pull request: found by its first line and its author, made once, written anew by each later run.
//!
//! ```text
//! list ─▶ none of ours ─▶ create ─▶ list again ─▶ an older one of ours ─▶ write that one, delete the one just made
//!     └─▶ one of ours ─▶ is it of a later run, or is this run outdated? ─▶ leave it alone
//!                    └─▶ update ─▶ it is gone ─▶ create
//! ```
//!
//! Two jobs that both make one therefore end with one: who made the younger one removes it. Of several that are ours the oldest counts.

use crate::cloud::error::ProviderError;
use crate::code_host::author::OwnAuthor;
use crate::code_host::host::{CodeHost, HostComment, PAGES_MAX};
use crate::engine::retry::ErrorClass;
use crate::render::ci::mark::{PullHead, RunMark, stands};

/// How many comments of ours are removed at most where there are several. A guess: two jobs at once leave one too many.
const SURPLUS_MAX: usize = 10;

/// How often a comment is made anew that may have been made, or that somebody deleted meanwhile.
const ATTEMPTS: usize = 3;

/// A comment as it is to be.
#[derive(Debug, Clone)]
pub struct WantedComment<'a> {
    /// By which it is found.
    pub first_line: &'a str,
    pub mark: &'a RunMark,
    pub head: PullHead<'a>,
    pub body: &'a str,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostedComment {
    Created,
    Updated,
    /// Another one stands, for this reason.
    LeftAlone(String),
}

/// Makes it so.
pub async fn post(
    host: &dyn CodeHost,
    author: &mut OwnAuthor,
    pull: u64,
    wanted: &WantedComment<'_>,
) -> Result<PostedComment, ProviderError> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let own = own_comments(host, author, pull, wanted.first_line).await?;
        let tried = match own.first() {
            Some(found) => update(host, pull, found, wanted).await,
            None => create(host, author, pull, wanted).await,
        };
        match tried {
            Ok(posted) => {
                remove(host, pull, own.get(1..).unwrap_or_default()).await;
                return Ok(posted);
            }
            // It may have been made: who looks again finds it. What is gone is made anew.
            Err(why) if may_look_again(&why, !own.is_empty()) => last = Some(why),
            Err(why) => return Err(why),
        }
    }
    Err(last.expect("each attempt that did not return has failed"))
}

fn may_look_again(why: &ProviderError, was_there: bool) -> bool {
    why.fault == ErrorClass::UnknownOutcome || (was_there && why.fault == ErrorClass::Missing)
}

async fn update(
    host: &dyn CodeHost,
    pull: u64,
    found: &HostComment,
    wanted: &WantedComment<'_>,
) -> Result<PostedComment, ProviderError> {
    let mark = RunMark::of(&found.body);
    if let Some(why) = mark.and_then(|it| stands(&it, wanted.mark, wanted.head)) {
        return Ok(PostedComment::LeftAlone(why));
    }
    if found.body.trim_end() != wanted.body.trim_end() {
        host.update_comment(pull, found.id, wanted.body).await?;
    }
    Ok(PostedComment::Updated)
}

async fn create(
    host: &dyn CodeHost,
    author: &mut OwnAuthor,
    pull: u64,
    wanted: &WantedComment<'_>,
) -> Result<PostedComment, ProviderError> {
    let made = host.create_comment(pull, wanted.body).await?;
    author.learn(&made.author);
    let own = own_comments(host, author, pull, wanted.first_line).await?;
    let Some(oldest) = own.first().filter(|it| it.id < made.id) else {
        return Ok(PostedComment::Created);
    };
    let posted = update(host, pull, oldest, wanted).await?;
    remove(host, pull, std::slice::from_ref(&made)).await;
    Ok(posted)
}

/// Those that are ours, the oldest first.
async fn own_comments(
    host: &dyn CodeHost,
    author: &OwnAuthor,
    pull: u64,
    first_line: &str,
) -> Result<Vec<HostComment>, ProviderError> {
    let is_own = |it: &HostComment| {
        it.body.lines().next().is_some_and(|it| it.trim_end() == first_line)
            && author.is(&it.author)
    };
    let mut own = Vec::new();
    let mut page = 1;
    for _ in 0..PAGES_MAX {
        let list = host.comments(pull, page).await?;
        own.extend(list.items.into_iter().filter(is_own));
        match list.next {
            Some(next) if next > page => page = next,
            _ => {
                own.sort_by_key(|it| it.id);
                own.dedup_by_key(|it| it.id);
                return Ok(own);
            }
        }
    }
    let words = format!("the pull request has more than {PAGES_MAX} pages of comments");
    Err(ProviderError::new(ErrorClass::Rejected, format!("the comments of #{pull}"), words))
}

/// Removes what is too many; the next run does what fails now.
async fn remove(host: &dyn CodeHost, pull: u64, surplus: &[HostComment]) {
    for it in surplus.iter().take(SURPLUS_MAX) {
        if let Err(why) = host.delete_comment(pull, it.id).await {
            tracing::info!(id = it.id, %why, "a second comment stays");
        }
    }
}
