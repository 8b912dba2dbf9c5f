//! The one issue about drift of a stack: found by its first line and its author among the open ones, opened, updated, and closed.

use crate::cloud::error::ProviderError;
use crate::code_host::author::OwnAuthor;
use crate::code_host::host::{CodeHost, HostIssue, PAGES_MAX};
use crate::engine::retry::ErrorClass;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptIssue {
    Opened(u64),
    Updated(u64),
    Closed(u64),
    /// There is none, and nothing to tell.
    None,
}

/// What is to be told, or why it is over.
#[derive(Debug, Clone, Copy)]
pub enum WantedIssue<'a> {
    Open { title: &'a str, body: &'a str },
    Closed { because: &'a str },
}

/// Makes it so. Several that are ours become one: the oldest stays open.
pub async fn keep(
    host: &dyn CodeHost,
    author: &mut OwnAuthor,
    first_line: &str,
    wanted: WantedIssue<'_>,
) -> Result<KeptIssue, ProviderError> {
    let own = own_issues(host, author, first_line).await?;
    match (wanted, own.split_first()) {
        (WantedIssue::Closed { because }, Some((oldest, _))) => {
            for it in &own {
                close(host, it.number, because).await?;
            }
            Ok(KeptIssue::Closed(oldest.number))
        }
        (WantedIssue::Closed { .. }, None) => Ok(KeptIssue::None),
        (WantedIssue::Open { body, .. }, Some((oldest, younger))) => {
            host.update_issue(oldest.number, body).await?;
            one_of(host, oldest, younger).await?;
            Ok(KeptIssue::Updated(oldest.number))
        }
        (WantedIssue::Open { title, body }, None) => {
            let made = host.create_issue(title, body).await;
            match &made {
                Ok(it) => author.learn(&it.author),
                // It may have been made: who looks again finds it.
                Err(why) if why.fault == ErrorClass::UnknownOutcome => {}
                Err(_) => return made.map(|it| KeptIssue::Opened(it.number)),
            }
            let own = own_issues(host, author, first_line).await?;
            let Some((oldest, younger)) = own.split_first() else {
                return made.map(|it| KeptIssue::Opened(it.number));
            };
            // Another job opened one at the same time.
            one_of(host, oldest, younger).await?;
            Ok(KeptIssue::Opened(oldest.number))
        }
    }
}

async fn one_of(
    host: &dyn CodeHost,
    oldest: &HostIssue,
    younger: &[HostIssue],
) -> Result<(), ProviderError> {
    for it in younger {
        close(host, it.number, &format!("Closed: #{} tells the same.", oldest.number)).await?;
    }
    Ok(())
}

async fn close(host: &dyn CodeHost, number: u64, because: &str) -> Result<(), ProviderError> {
    host.comment_on_issue(number, because).await?;
    host.close_issue(number).await
}

/// The open ones that are ours, the oldest first.
async fn own_issues(
    host: &dyn CodeHost,
    author: &OwnAuthor,
    first_line: &str,
) -> Result<Vec<HostIssue>, ProviderError> {
    let is_own = |it: &HostIssue| {
        it.body.lines().next().is_some_and(|it| it.trim_end() == first_line)
            && author.is(&it.author)
    };
    let mut own = Vec::new();
    for by in author.all() {
        let mut page = 1;
        for _ in 0..PAGES_MAX {
            let list = host.issues(&by, page).await?;
            own.extend(list.items.into_iter().filter(is_own));
            match list.next {
                Some(next) if next > page => page = next,
                _ => break,
            }
        }
    }
    own.sort_by_key(|it| it.number);
    own.dedup_by_key(|it| it.number);
    Ok(own)
}
