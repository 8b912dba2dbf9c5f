//! What every code host can be asked: who asks, a pull request and its comments, and issues.

use async_trait::async_trait;

use crate::cloud::error::ProviderError;

/// Who wrote something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostUser {
    pub id: Option<u64>,
    pub login: String,
}

/// A comment in a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostComment {
    /// Later ones have larger numbers.
    pub id: u64,
    pub author: HostUser,
    pub body: String,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostIssue {
    /// As people write it: `#7`.
    pub number: u64,
    pub author: HostUser,
    pub title: String,
    pub body: String,
}

/// A pull request, or a merge request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPull {
    pub number: u64,
    /// Its last commit.
    pub head: String,
    /// It is neither merged nor closed.
    pub is_open: bool,
}

/// A part of a list; `next`: the number of the page that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage<T> {
    pub items: Vec<T>,
    pub next: Option<u32>,
}

/// How many pages of one list are read. A guess: 20 pages of 100 comments are more than any pull request has that people still read.
pub const PAGES_MAX: u32 = 20;

/// One repository of a code host, asked with one token. Calls are repeated where that is harmless; a call that makes something new is not.
#[async_trait]
pub trait CodeHost: Send + Sync {
    /// Whose token it is; `None`: the host does not tell this sort of token.
    async fn me(&self) -> Result<Option<HostUser>, ProviderError>;
    /// By which names the token of a job comments, where it is not told.
    fn job_logins(&self) -> &'static [&'static str];
    async fn pull(&self, number: u64) -> Result<HostPull, ProviderError>;
    /// The merged pull request by which a commit came.
    async fn pull_of_commit(&self, commit: &str) -> Result<Option<u64>, ProviderError>;
    /// From the oldest on.
    async fn comments(&self, pull: u64, page: u32) -> Result<ListPage<HostComment>, ProviderError>;
    async fn create_comment(&self, pull: u64, body: &str) -> Result<HostComment, ProviderError>;
    async fn update_comment(&self, pull: u64, id: u64, body: &str) -> Result<(), ProviderError>;
    async fn delete_comment(&self, pull: u64, id: u64) -> Result<(), ProviderError>;
    /// The open issues by this user, from the newest on; some hosts also tell others.
    async fn issues(&self, by: &HostUser, page: u32) -> Result<ListPage<HostIssue>, ProviderError>;
    async fn create_issue(&self, title: &str, body: &str) -> Result<HostIssue, ProviderError>;
    async fn update_issue(&self, number: u64, body: &str) -> Result<(), ProviderError>;
    async fn comment_on_issue(&self, number: u64, body: &str) -> Result<(), ProviderError>;
    async fn close_issue(&self, number: u64) -> Result<(), ProviderError>;
}
