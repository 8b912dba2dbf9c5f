//! Opens the code host of a job.

use std::sync::Arc;

use crate::cloud::clock::Clock;
use crate::cloud::error::ProviderError;
use crate::code_host::client::ApiClient;
use crate::code_host::environment::{CiJob, HostKind};
use crate::code_host::github::GitHubApi;
use crate::code_host::gitlab::GitLabApi;
use crate::code_host::host::CodeHost;
use crate::engine::retry::ErrorClass;

/// The repository of a job, asked with its token; nothing is asked yet.
pub fn open(job: &CiJob, clock: Arc<dyn Clock>) -> Result<Box<dyn CodeHost>, ProviderError> {
    let Some(token) = job.token.clone() else {
        let words = format!("{} is not set", job.host.token_names()[0]);
        let error = ProviderError::new(ErrorClass::Unauthenticated, &*job.api, words);
        return Err(error.advice(job.host.how_to_token()));
    };
    let client = ApiClient::new(job.host, &job.api, token, clock)?;
    Ok(match job.host {
        HostKind::GitLab => Box::new(GitLabApi::new(client, &job.project)),
        HostKind::GitHub | HostKind::Gitea => {
            Box::new(GitHubApi::new(client, job.host, &job.project))
        }
    })
}
