//! Posts to webhooks: one attempt, its fault classified.

use std::sync::Arc;
use std::time::Duration;

use crate::cloud::error::ProviderError;
use crate::cloud::http::connection::Connections;
use crate::cloud::http::prober::Prober;
use crate::cloud::http::transport::innermost;
use crate::engine::retry::ErrorClass;

/// How long one attempt takes at most, on the wall's clock. A guess: a receiver that does more than put the event aside does it wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is posted, and where.
#[derive(Clone)]
pub struct WebhookPost {
    pub url: String,
    /// What messages call it; the URL may be secret.
    pub shown: String,
    pub event: String,
    /// The same in each attempt: a receiver that got it twice knows.
    pub delivery: String,
    /// Of the body, in hexadecimal.
    pub signature: Option<String>,
    pub body: String,
}

/// Posts over connections of its own.
#[derive(Debug, Clone)]
pub struct WebhookClient {
    connections: Arc<Connections>,
}

impl WebhookClient {
    /// With the settings of this prober.
    pub fn beside(prober: &Prober) -> Self {
        Self { connections: prober.connections() }
    }

    /// One attempt of at most 5 s. It follows no redirect: who is led elsewhere would get what was signed for another.
    pub async fn post(&self, post: &WebhookPost) -> Result<(), ProviderError> {
        let endpoint = format!("POST {}", post.shown);
        let http = self.connections.probing();
        let http = http.map_err(|why| ProviderError::new(ErrorClass::Rejected, &*endpoint, why))?;
        let request = http
            .post(&post.url)
            .timeout(PATIENCE)
            .header("content-type", "application/json")
            .header("x-lifeboat-event", &post.event)
            .header("x-lifeboat-delivery", &post.delivery)
            .body(post.body.clone());
        let request = match &post.signature {
            Some(it) => request.header("x-lifeboat-signature", format!("sha256={it}")),
            None => request,
        };
        match request.send().await {
            Ok(reply) if reply.status().is_success() => Ok(()),
            Ok(reply) => {
                let status = reply.status().as_u16();
                let class = match status {
                    429 => ErrorClass::Throttled,
                    408 | 500..=599 => ErrorClass::Transient,
                    _ => ErrorClass::Rejected,
                };
                Err(ProviderError::new(class, endpoint, "the event was not taken").status(status))
            }
            // Whether it arrived is unknown; the delivery says that it is the same.
            Err(error) if error.is_timeout() => {
                let words = format!("no answer within {} s", PATIENCE.as_secs());
                Err(ProviderError::new(ErrorClass::Transient, endpoint, words))
            }
            Err(error) => {
                Err(ProviderError::new(ErrorClass::Unreachable, endpoint, innermost(&error)))
            }
        }
    }
}
