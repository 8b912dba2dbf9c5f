//! GitLab's API: notes of merge requests, and issues.

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use crate::cloud::error::ProviderError;
use crate::code_host::client::{ApiCall, ApiClient, items, lacks};
use crate::code_host::host::{CodeHost, HostComment, HostIssue, HostPull, HostUser, ListPage};

/// How many notes or issues are asked for at once: each may have a million characters.
const PAGE: u32 = 20;

/// A project of GitLab.
pub(super) struct GitLabApi {
    client: ApiClient,
    /// `/projects/7`.
    project: String,
}

impl GitLabApi {
    pub(super) fn new(client: ApiClient, project: &str) -> Self {
        Self { client, project: format!("/projects/{}", project.replace('/', "%2F")) }
    }

    fn call(&self, method: &'static str, below: &str) -> ApiCall {
        ApiCall::new(method, format!("{}{below}", self.project))
    }

    fn page(&self, below: &str, page: u32) -> ApiCall {
        self.call("GET", below).with("page", page).with("per_page", PAGE)
    }

    fn lacks(&self, what: &str) -> ProviderError {
        lacks(&self.project, what)
    }

    fn note(&self, json: &Json) -> Result<HostComment, ProviderError> {
        Ok(HostComment {
            id: json["id"].as_u64().ok_or_else(|| self.lacks("the id of a note"))?,
            author: user(&json["author"]),
            body: json["body"].as_str().unwrap_or_default().to_owned(),
        })
    }

    fn issue(&self, json: &Json) -> Result<HostIssue, ProviderError> {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Ok(HostIssue {
            number: json["iid"].as_u64().ok_or_else(|| self.lacks("the number of an issue"))?,
            author: user(&json["author"]),
            title: text("title"),
            body: text("description"),
        })
    }
}

fn user(json: &Json) -> HostUser {
    let login = json["username"].as_str().unwrap_or_default().to_owned();
    HostUser { id: json["id"].as_u64(), login }
}

#[async_trait]
impl CodeHost for GitLabApi {
    async fn me(&self) -> Result<Option<HostUser>, ProviderError> {
        let answer = self.client.ask(&ApiCall::new("GET", "/user".into())).await?;
        Ok(Some(user(&answer.json)).filter(|it| !it.login.is_empty()))
    }

    fn job_logins(&self) -> &'static [&'static str] {
        &[]
    }

    async fn pull(&self, number: u64) -> Result<HostPull, ProviderError> {
        let call = self.call("GET", &format!("/merge_requests/{number}"));
        let answer = self.client.ask(&call).await?.json;
        let head = answer["sha"].as_str().ok_or_else(|| self.lacks("the commit"))?;
        Ok(HostPull { number, head: head.to_owned(), is_open: answer["state"] == "opened" })
    }

    async fn pull_of_commit(&self, commit: &str) -> Result<Option<u64>, ProviderError> {
        let below = format!("/repository/commits/{commit}/merge_requests");
        let answer = self.client.ask(&self.page(&below, 1).with("state", "merged")).await?.json;
        let is_own = |it: &&Json| {
            ["merge_commit_sha", "squash_commit_sha", "sha"].iter().any(|name| it[*name] == commit)
        };
        let merged: Vec<&Json> = items(&answer).filter(|it| it["state"] == "merged").collect();
        let own = merged.iter().copied().find(is_own);
        Ok(own.or(merged.first().copied()).and_then(|it| it["iid"].as_u64()))
    }

    async fn comments(&self, pull: u64, page: u32) -> Result<ListPage<HostComment>, ProviderError> {
        let call = self.page(&format!("/merge_requests/{pull}/notes"), page);
        let call = call.with("sort", "asc").with("order_by", "created_at");
        let answer = self.client.ask(&call).await?;
        // What GitLab itself writes there is no comment.
        let notes = items(&answer.json).filter(|it| it["system"] != true);
        let notes = notes.map(|it| self.note(it)).collect::<Result<_, _>>()?;
        Ok(ListPage { items: notes, next: answer.next })
    }

    async fn create_comment(&self, pull: u64, body: &str) -> Result<HostComment, ProviderError> {
        let call = self.call("POST", &format!("/merge_requests/{pull}/notes"));
        let answer = self.client.ask(&call.body(json!({ "body": body }))).await?;
        self.note(&answer.json)
    }

    async fn update_comment(&self, pull: u64, id: u64, body: &str) -> Result<(), ProviderError> {
        let call = self.call("PUT", &format!("/merge_requests/{pull}/notes/{id}"));
        self.client.ask(&call.body(json!({ "body": body }))).await.map(drop)
    }

    async fn delete_comment(&self, pull: u64, id: u64) -> Result<(), ProviderError> {
        let call = self.call("DELETE", &format!("/merge_requests/{pull}/notes/{id}"));
        self.client.ask(&call).await.map(drop)
    }

    async fn issues(&self, by: &HostUser, page: u32) -> Result<ListPage<HostIssue>, ProviderError> {
        let call = self.page("/issues", page).with("state", "opened");
        let call = match by.id {
            Some(id) => call.with("author_id", id),
            None => call.with("author_username", &by.login),
        };
        let answer = self.client.ask(&call).await?;
        let issues = items(&answer.json).map(|it| self.issue(it)).collect::<Result<_, _>>()?;
        Ok(ListPage { items: issues, next: answer.next })
    }

    async fn create_issue(&self, title: &str, body: &str) -> Result<HostIssue, ProviderError> {
        let call = self.call("POST", "/issues");
        let call = call.body(json!({ "title": title, "description": body }));
        let answer = self.client.ask(&call).await?;
        self.issue(&answer.json)
    }

    async fn update_issue(&self, number: u64, body: &str) -> Result<(), ProviderError> {
        let call = self.call("PUT", &format!("/issues/{number}"));
        self.client.ask(&call.body(json!({ "description": body }))).await.map(drop)
    }

    async fn comment_on_issue(&self, number: u64, body: &str) -> Result<(), ProviderError> {
        let call = self.call("POST", &format!("/issues/{number}/notes"));
        self.client.ask(&call.body(json!({ "body": body }))).await.map(drop)
    }

    async fn close_issue(&self, number: u64) -> Result<(), ProviderError> {
        let call = self.call("PUT", &format!("/issues/{number}"));
        self.client.ask(&call.body(json!({ "state_event": "close" }))).await.map(drop)
    }
}
