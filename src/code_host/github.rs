//! GitHub's API, and that of Gitea and Forgejo, which imitates it: what differs is said here, once for each call.

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use crate::cloud::error::ProviderError;
use crate::code_host::client::{ApiCall, ApiClient, items, lacks};
use crate::code_host::environment::HostKind;
use crate::code_host::host::{CodeHost, HostComment, HostIssue, HostPull, HostUser, ListPage};
use crate::engine::retry::ErrorClass;

/// How many comments or issues are asked for at once: the most that GitHub gives.
const GITHUB_PAGE: u32 = 100;
/// The most that Gitea gives unless it is set up otherwise (`[api] MAX_RESPONSE_ITEMS`).
const GITEA_PAGE: u32 = 50;

/// A repository of GitHub, Gitea or Forgejo.
pub(super) struct GitHubApi {
    client: ApiClient,
    host: HostKind,
    /// `/repos/owner/name`.
    repository: String,
}

impl GitHubApi {
    pub(super) fn new(client: ApiClient, host: HostKind, project: &str) -> Self {
        Self { client, host, repository: format!("/repos/{project}") }
    }

    fn is_gitea(&self) -> bool {
        self.host == HostKind::Gitea
    }

    fn call(&self, method: &'static str, below: &str) -> ApiCall {
        ApiCall::new(method, format!("{}{below}", self.repository))
    }

    /// A page of a list.
    fn page(&self, below: &str, page: u32) -> ApiCall {
        let call = self.call("GET", below).with("page", page);
        if self.is_gitea() {
            call.with("limit", GITEA_PAGE)
        } else {
            call.with("per_page", GITHUB_PAGE)
        }
    }

    fn lacks(&self, what: &str) -> ProviderError {
        lacks(&self.repository, what)
    }

    fn comment(&self, json: &Json) -> Result<HostComment, ProviderError> {
        Ok(HostComment {
            id: json["id"].as_u64().ok_or_else(|| self.lacks("the id of a comment"))?,
            author: user(&json["user"]),
            body: json["body"].as_str().unwrap_or_default().to_owned(),
        })
    }

    fn issue(&self, json: &Json) -> Result<HostIssue, ProviderError> {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Ok(HostIssue {
            number: json["number"].as_u64().ok_or_else(|| self.lacks("the number of an issue"))?,
            author: user(&json["user"]),
            title: text("title"),
            body: text("body"),
        })
    }
}

/// A user that was deleted is none.
fn user(json: &Json) -> HostUser {
    let login = json["login"].as_str().unwrap_or_default().to_owned();
    HostUser { id: json["id"].as_u64(), login }
}

#[async_trait]
impl CodeHost for GitHubApi {
    async fn me(&self) -> Result<Option<HostUser>, ProviderError> {
        match self.client.ask(&ApiCall::new("GET", "/user".into())).await {
            Ok(answer) => Ok(Some(user(&answer.json)).filter(|it| !it.login.is_empty())),
            // The token of a job or of an app is nobody's; a token that is none fails at the next call.
            Err(why) => match why.fault {
                ErrorClass::Denied | ErrorClass::Missing | ErrorClass::Unauthenticated => Ok(None),
                _ => Err(why),
            },
        }
    }

    fn job_logins(&self) -> &'static [&'static str] {
        if self.is_gitea() {
            &["gitea-actions", "forgejo-actions"]
        } else {
            &["github-actions[bot]"]
        }
    }

    async fn pull(&self, number: u64) -> Result<HostPull, ProviderError> {
        let answer = self.client.ask(&self.call("GET", &format!("/pulls/{number}"))).await?.json;
        let head = answer["head"]["sha"].as_str().ok_or_else(|| self.lacks("the commit"))?;
        Ok(HostPull { number, head: head.to_owned(), is_open: answer["state"] == "open" })
    }

    async fn pull_of_commit(&self, commit: &str) -> Result<Option<u64>, ProviderError> {
        if self.is_gitea() {
            let call = self.call("GET", &format!("/commits/{commit}/pull"));
            return match self.client.ask(&call).await {
                Ok(answer) => Ok(answer.json["number"].as_u64()),
                Err(why) if why.fault == ErrorClass::Missing => Ok(None),
                Err(why) => Err(why),
            };
        }
        let call = self.page(&format!("/commits/{commit}/pulls"), 1);
        let answer = self.client.ask(&call).await?.json;
        let merged: Vec<&Json> = items(&answer).filter(|it| it["merged_at"].is_string()).collect();
        // The commit of a merge may be in several; by one of them it came.
        let own = merged.iter().find(|it| it["merge_commit_sha"] == commit);
        Ok(own.or(merged.first()).and_then(|it| it["number"].as_u64()))
    }

    async fn comments(&self, pull: u64, page: u32) -> Result<ListPage<HostComment>, ProviderError> {
        let call = self.page(&format!("/issues/{pull}/comments"), page);
        let answer = self.client.ask(&call).await?;
        let comments = items(&answer.json).map(|it| self.comment(it));
        Ok(ListPage { items: comments.collect::<Result<_, _>>()?, next: answer.next })
    }

    async fn create_comment(&self, pull: u64, body: &str) -> Result<HostComment, ProviderError> {
        let call = self.call("POST", &format!("/issues/{pull}/comments"));
        let answer = self.client.ask(&call.body(json!({ "body": body }))).await?;
        self.comment(&answer.json)
    }

    async fn update_comment(&self, _: u64, id: u64, body: &str) -> Result<(), ProviderError> {
        let call = self.call("PATCH", &format!("/issues/comments/{id}"));
        self.client.ask(&call.body(json!({ "body": body }))).await.map(drop)
    }

    async fn delete_comment(&self, _: u64, id: u64) -> Result<(), ProviderError> {
        let call = self.call("DELETE", &format!("/issues/comments/{id}"));
        self.client.ask(&call).await.map(drop)
    }

    async fn issues(&self, by: &HostUser, page: u32) -> Result<ListPage<HostIssue>, ProviderError> {
        let call = self.page("/issues", page).with("state", "open");
        let call = if self.is_gitea() {
            call.with("type", "issues").with("created_by", &by.login)
        } else {
            call.with("creator", &by.login)
        };
        let answer = self.client.ask(&call).await?;
        // To GitHub a pull request is an issue.
        let issues = items(&answer.json).filter(|it| !it["pull_request"].is_object());
        let issues = issues.map(|it| self.issue(it)).collect::<Result<_, _>>()?;
        Ok(ListPage { items: issues, next: answer.next })
    }

    async fn create_issue(&self, title: &str, body: &str) -> Result<HostIssue, ProviderError> {
        let call = self.call("POST", "/issues").body(json!({ "title": title, "body": body }));
        let answer = self.client.ask(&call).await?;
        self.issue(&answer.json)
    }

    async fn update_issue(&self, number: u64, body: &str) -> Result<(), ProviderError> {
        let call = self.call("PATCH", &format!("/issues/{number}"));
        self.client.ask(&call.body(json!({ "body": body }))).await.map(drop)
    }

    async fn comment_on_issue(&self, number: u64, body: &str) -> Result<(), ProviderError> {
        self.create_comment(number, body).await.map(drop)
    }

    async fn close_issue(&self, number: u64) -> Result<(), ProviderError> {
        let call = self.call("PATCH", &format!("/issues/{number}"));
        self.client.ask(&call.body(json!({ "state": "closed" }))).await.map(drop)
    }
}
