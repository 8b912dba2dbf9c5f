//! Which requests go wrong, and how: the specification of one fault and how people write it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::http::SandboxRequest;

/// How long a list stays stale unless the fault says otherwise, in world milliseconds. In linodego's recordings a disk was
/// missing from its list 15 s after it was made, and present after 30 s.
pub const STALE_MILLISECONDS: u64 = 20_000;

/// What happens to a request that a fault matches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Not carried out; 429 with `Retry-After` in seconds.
    TooManyRequests { retry_after: u64 },
    /// Not carried out; 500.
    InternalError,
    /// Not carried out; 503.
    Unavailable,
    /// Not carried out; the credentials are no good (any more).
    Unauthenticated,
    /// Not carried out; the credentials are good and do not allow it.
    Forbidden,
    /// Carried out; the connection is closed without an answer.
    LostReply,
    /// Carried out; answered after this many milliseconds on the wall.
    Slow { milliseconds: u64 },
    /// Not carried out; a gateway's page in place of JSON.
    Html502,
    /// Carried out; the body breaks off in the middle.
    Truncated,
    /// Carried out; 200 with nothing in it.
    Empty200,
    /// Not carried out; the connection stays open and says nothing.
    Hang,
    /// Carried out; a list lacks what was made in the last milliseconds of the world's time.
    StaleList { milliseconds: u64 },
}

/// Which requests a fault meets, and what it does to them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultSpec {
    pub method: Option<String>,
    /// A prefix of the path after the version (`/linode/instances`), or of the whole path.
    pub path: Option<String>,
    /// A DynamoDB operation such as `CreateTable`.
    pub operation: Option<String>,
    /// Only from the nth matching request on, counted from 1.
    pub nth: u64,
    /// From there on only every nth of them; 1 means each, and so does 0.
    #[serde(default)]
    pub every: u64,
    /// At most this often; 0 means for ever.
    pub times: u64,
    /// With this probability, drawn from the world's seed.
    pub probability: f64,
    pub effect: Effect,
}

impl FaultSpec {
    /// Meets every request once.
    pub fn once(effect: Effect) -> Self {
        Self {
            method: None,
            path: None,
            operation: None,
            nth: 1,
            every: 1,
            times: 1,
            probability: 1.0,
            effect,
        }
    }

    /// Whether this request is one of those.
    pub fn meets(&self, request: &SandboxRequest) -> bool {
        let path = request
            .path
            .strip_prefix("/v4beta")
            .or_else(|| request.path.strip_prefix("/v4"))
            .unwrap_or(&request.path);
        let operation = request.header("x-amz-target").and_then(|target| target.rsplit('.').next());
        self.method.as_ref().is_none_or(|it| it.eq_ignore_ascii_case(&request.method))
            && self.path.as_ref().is_none_or(|it| {
                path.starts_with(it.as_str()) || request.path.starts_with(it.as_str())
            })
            && self.operation.as_ref().is_none_or(|it| operation == Some(it.as_str()))
    }
}

impl FromStr for FaultSpec {
    type Err = String;

    /// Reads `POST /linode/instances lost_reply nth=2 times=1`, `CreateTable 503`, `slow ms=800 probability=0.1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut spec = Self::once(Effect::InternalError);
        let (mut effect, mut retry_after, mut milliseconds) = (None, 2, None);
        for word in text.split_whitespace() {
            if let Some((name, value)) = word.split_once('=') {
                let number = |it: &str| {
                    it.parse::<u64>().map_err(|_| format!("{word:?}: expected a number"))
                };
                match name {
                    "nth" => spec.nth = number(value)?,
                    "every" => spec.every = number(value)?,
                    "times" => spec.times = number(value)?,
                    "probability" => {
                        spec.probability =
                            value.parse().map_err(|_| format!("{word:?}: expected a number"))?;
                    }
                    "retry_after" => retry_after = number(value)?,
                    "ms" => milliseconds = Some(number(value)?),
                    other => {
                        return Err(format!(
                            "unknown setting {other:?}; use nth, every, times, probability, retry_after, or ms"
                        ));
                    }
                }
            } else if word.starts_with('/') {
                spec.path = Some(word.into());
            } else if ["GET", "POST", "PUT", "DELETE"].contains(&word) {
                spec.method = Some(word.into());
            } else if word.starts_with(|first: char| first.is_ascii_uppercase()) {
                spec.operation = Some(word.into());
            } else {
                effect = Some(word);
            }
        }
        spec.effect = match effect {
            Some("429") => Effect::TooManyRequests { retry_after },
            Some("401") => Effect::Unauthenticated,
            Some("403") => Effect::Forbidden,
            Some("500") => Effect::InternalError,
            Some("503") => Effect::Unavailable,
            Some("lost_reply") => Effect::LostReply,
            Some("slow") => Effect::Slow { milliseconds: milliseconds.unwrap_or(1_000) },
            Some("html502") => Effect::Html502,
            Some("truncated") => Effect::Truncated,
            Some("empty200") => Effect::Empty200,
            Some("hang") => Effect::Hang,
            Some("stale_list") => {
                Effect::StaleList { milliseconds: milliseconds.unwrap_or(STALE_MILLISECONDS) }
            }
            _ => {
                return Err("unknown or missing effect; write 401, 403, 429, 500, 503, lost_reply, slow, html502, truncated, empty200, hang, or stale_list".into());
            }
        };
        Ok(spec)
    }
}
