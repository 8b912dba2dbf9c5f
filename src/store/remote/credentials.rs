//! Whose credentials a store is asked with: its own, else those of the AWS default chain; never an endpoint of theirs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_dynamodb::config::SharedHttpClient;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::cloud::error::innermost;
use crate::cloud::http::credentials::Learning;
use crate::engine::text::redact::redactor;
use crate::store::error::RemoteFault;
use crate::store::remote::attempts::{FailedRequest, RequestEffect, causes};
use crate::store::remote::location::{CredentialSource, CredentialVariables, StoreLocation};

/// How long credentials without an end of their own are kept: the file that they are read from may be changed.
const KEPT: Duration = Duration::from_mins(5);

/// How long before their end credentials are not used any more: a request may take a while, and clocks differ.
const SPARE: Duration = Duration::from_mins(1);

/// What signs the requests to a store.
async fn credentials(location: &StoreLocation) -> Result<SharedCredentialsProvider, FailedRequest> {
    let CredentialSource { profile, role_arn, variables } = &location.credentials;
    let region = Region::new(location.region.clone());
    let provider = ProviderConfig::without_region().with_region(Some(region.clone()));
    let plain = plain_if_needed();
    let provider = match &plain {
        Some(plain) => provider.with_http_client(plain.clone()),
        None => provider,
    };
    let base = if let Some(variables) = variables {
        SharedCredentialsProvider::new(of_variables(variables)?)
    } else if let Some(profile) = profile {
        let file = ProfileFileCredentialsProvider::builder().configure(&provider);
        SharedCredentialsProvider::new(file.profile_name(profile).build())
    } else {
        let chain = DefaultCredentialsChain::builder().configure(provider).region(region.clone());
        SharedCredentialsProvider::new(chain.build().await)
    };
    let all = match role_arn {
        None => base,
        Some(role) => {
            let config = bare_config(region, plain).await;
            let role =
                AssumeRoleProvider::builder(role).session_name("lifeboat").configure(&config);
            SharedCredentialsProvider::new(role.build_from_provider(base).await)
        }
    };
    Ok(SharedCredentialsProvider::new(Learning(all)))
}

/// What only time, region and the way there go into: an endpoint that the environment names for something else is left out.
async fn bare_config(region: Region, plain: Option<SharedHttpClient>) -> SdkConfig {
    let version = BehaviorVersion::v2026_01_12();
    let loader = aws_config::defaults(version).region(region.clone()).no_credentials();
    let loaded = match &plain {
        Some(plain) => loader.http_client(plain.clone()).load().await,
        None => loader.load().await,
    };
    let mut bare = SdkConfig::builder().behavior_version(version).region(region);
    bare.set_time_source(loaded.time_source());
    bare.set_sleep_impl(loaded.sleep_impl());
    bare.set_http_client(loaded.http_client());
    bare.build()
}

/// A client without TLS where none with it can be made: the AWS SDK would end the whole program.
pub(super) fn plain_if_needed() -> Option<SharedHttpClient> {
    https_error().map(|_| plain_http())
}

/// Why there can be no HTTPS at all.
pub(super) fn https_error() -> Option<String> {
    static MADE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let made =
        MADE.get_or_init(|| reqwest::Client::builder().build().err().map(|why| innermost(&why)));
    made.clone()
}

/// For this machine alone: no certificates are looked for.
pub(super) fn plain_http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

fn of_variables(names: &CredentialVariables) -> Result<Credentials, FailedRequest> {
    let value = |name: &str| {
        let value = std::env::var(name).unwrap_or_default();
        if !value.is_empty() {
            return Ok(value);
        }
        let words = format!("the variable {name} is not set, which should hold its credentials");
        Err(FailedRequest::new(RemoteFault::Denied, RequestEffect::None, words)
            .advice(format!("set {name}, or name other variables in `state`")))
    };
    let CredentialVariables { access_key, secret_key, session_token } = names;
    let session_token = session_token.as_deref().map(value).transpose()?;
    if let Some(token) = &session_token {
        redactor().learn_text(token);
    }
    Ok(Credentials::new(value(access_key)?, value(secret_key)?, session_token, None, "variables"))
}

/// How long the whole chain may take. Outside AWS it asks a metadata service that is not there, for some seconds.
const CHAIN_MAX: Duration = Duration::from_secs(10);

/// What a chain that gave no credentials says. That there are none is no silence, whatever was asked in vain on the way; that
/// somebody who does give them cannot be reached is not known to be a no.
pub(super) fn no_credentials(error: &CredentialsError) -> FailedRequest {
    // What follows names each part of the chain, on a line of its own.
    let why = innermost(error);
    let why = why.split(". Attempted:").next().unwrap_or_default().to_owned();
    let is_out_of_reach = || {
        causes(error).any(|it| {
            let words = it.to_string();
            it.is::<std::io::Error>()
                || ["(Connect)", "dns error"].iter().any(|part| words.contains(part))
        })
    };
    match error {
        CredentialsError::ProviderTimedOut(_) => silent(&why),
        CredentialsError::ProviderError(_) if is_out_of_reach() => silent(&why),
        _ => {
            let words = format!("there are no credentials for it: {why}");
            FailedRequest::new(RemoteFault::Denied, RequestEffect::None, words).advice(
                "set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the store a `profile` or `access_key_env` of its own",
            )
        }
    }
}

fn silent(why: &str) -> FailedRequest {
    let words = format!("whoever gives its credentials does not answer: {why}");
    FailedRequest::new(RemoteFault::Unreachable, RequestEffect::None, words)
}

/// The credentials of one store, kept until shortly before their end.
#[derive(Debug, Clone)]
pub(super) struct StoreCredentials {
    chain: SharedCredentialsProvider,
    kept: Arc<Mutex<Option<(Credentials, Instant)>>>,
}

impl StoreCredentials {
    pub(super) async fn of(location: &StoreLocation) -> Result<Self, FailedRequest> {
        let chain = credentials(location).await?;
        Ok(Self { chain, kept: Arc::default() })
    }

    /// Before a request, since it is not the store that takes this time.
    pub(super) async fn ensure(&self) -> Result<(), FailedRequest> {
        match tokio::time::timeout(CHAIN_MAX, self.get()).await {
            Ok(found) => found.map(drop).map_err(|why| no_credentials(&why)),
            Err(_) => Err(silent("nothing came within 10 s")),
        }
    }

    async fn get(&self) -> Result<Credentials, CredentialsError> {
        // Locked meanwhile: who comes at the same time waits for the same answer.
        let mut kept = self.kept.lock().await;
        if let Some((found, until)) = &*kept
            && Instant::now() < *until
        {
            return Ok(found.clone());
        }
        let found = self.chain.provide_credentials().await?;
        let left = found.expiry().map_or(KEPT, |it| {
            it.duration_since(SystemTime::now()).unwrap_or_default().saturating_sub(SPARE)
        });
        *kept = Some((found.clone(), Instant::now() + left));
        Ok(found)
    }
}

impl ProvideCredentials for StoreCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }
}

#[async_trait::async_trait]
impl object_store::CredentialProvider for StoreCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.get().await.map_err(|why| object_store::Error::Generic {
            store: "credentials",
            source: Box::new(why),
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().into(),
            secret_key: found.secret_access_key().into(),
            token: found.session_token().map(Into::into),
        }))
    }
}
