//! Credentials that the AWS chain finds, known to the redactor before the first request can carry them.

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use crate::engine::text::redact::redactor;

/// A chain whose secrets are secrets of this run: a server may send back what it was sent.
#[derive(Debug)]
pub(crate) struct Learning(pub SharedCredentialsProvider);

impl ProvideCredentials for Learning {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let found = self.0.provide_credentials().await?;
            redactor().learn_text(found.secret_access_key());
            if let Some(token) = found.session_token() {
                redactor().learn_text(token);
            }
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};

    use super::Learning;
    use crate::engine::text::redact::redactor;

    #[tokio::test]
    async fn provide_credentials_redacts_keys_of_a_profile() {
        let keys = Credentials::new(
            "AKIA",
            "profile-canary-1",
            Some("session-canary-2".into()),
            None,
            "test",
        );
        let chain = Learning(SharedCredentialsProvider::new(keys));
        chain.provide_credentials().await.unwrap();
        let echo =
            "400: SignatureDoesNotMatch profile-canary-1, X-Amz-Security-Token: session-canary-2";
        assert!(!redactor().redact(echo).contains("canary"));
    }
}
