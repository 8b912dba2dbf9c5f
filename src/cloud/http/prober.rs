//! Probes: whether a port is open or a page answers, from here or from inside the sandbox.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::cloud::http::certificate::not_after;
use crate::cloud::http::connection::Connections;
use crate::cloud::http::transport::innermost;

/// What to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    Tcp { host: String, port: u16 },
    Http { url: String },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAnswer {
    Open,
    Refused(String),
    Timeout,
    Http { status: u16, body: String },
}

/// What one look found: the answer, and when the certificate ends that came with it, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    pub answer: ProbeAnswer,
    pub certificate_until: Option<i64>,
}

impl From<ProbeAnswer> for ProbeResult {
    fn from(answer: ProbeAnswer) -> Self {
        Self { answer, certificate_until: None }
    }
}

/// How much of a page is read, in bytes. A health page is short, and `body:` is looked for in this part only. A guess.
const LONGEST_BODY: usize = 64 * 1024;
/// How long one probe takes at most, on the wall's clock. A guess: a service that needs longer does not serve its users, and a
/// gate repeats its probe anyway.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries ports and pages. The addresses of a sandbox are asked of the sandbox and never dialed.
#[derive(Debug, Clone)]
pub struct Prober {
    connections: Arc<Connections>,
}

impl Prober {
    /// A prober with the settings of these connections; it opens none of them.
    pub fn new(connections: Arc<Connections>) -> Self {
        Self { connections }
    }

    /// What it asks with.
    pub fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.connections)
    }

    /// Probes for at most 5 s, on the wall's clock, over a connection of its own. A failure is an answer, never an error.
    pub async fn probe(&self, probe: Probe) -> ProbeAnswer {
        self.look(probe, PATIENCE).await.answer
    }

    /// Probes for at most `within`, on the wall's clock, over a connection of its own, and reads 64 KiB of a page at most.
    pub async fn look(&self, probe: Probe, within: Duration) -> ProbeResult {
        let host = match &probe {
            Probe::Tcp { host, .. } => host.clone(),
            Probe::Http { url } => match reqwest::Url::parse(url) {
                Ok(url) => url.host_str().unwrap_or_default().to_owned(),
                Err(why) => {
                    return ProbeAnswer::Refused(format!("`{url}` is not a URL: {why}")).into();
                }
            },
        };
        match (&self.connections.settings.prober_url, pretended(&host)) {
            (Some(base), true) => self.ask_sandbox(base, &probe).await.into(),
            (Some(base), false) if bare(&host).parse::<IpAddr>().is_err() && !is_here(&host) => {
                self.ask_sandbox(base, &probe).await.into()
            }
            (None, true) => ProbeAnswer::Refused(format!(
                "{host} is an address of the sandbox that is not in use"
            ))
            .into(),
            _ => self.dial(&probe, within).await,
        }
    }

    async fn ask_sandbox(&self, base: &str, probe: &Probe) -> ProbeAnswer {
        let asked = match probe {
            Probe::Tcp { host, port } => ("tcp", format!("{}:{port}", bracketed(host))),
            Probe::Http { url } => ("url", url.clone()),
        };
        let url = format!("{}/_sandbox/probe", base.trim_end_matches('/'));
        let http = match self.connections.http() {
            Ok(http) => http,
            Err(why) => return ProbeAnswer::Refused(why.to_owned()),
        };
        let reply = http.get(url).query(&[asked]).send().await;
        let answer = match reply {
            Ok(reply) => reply.json::<Json>().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(json) => told(&json),
            Err(error) if error.is_timeout() => ProbeAnswer::Timeout,
            Err(error) => {
                ProbeAnswer::Refused(format!("the sandbox did not answer: {}", innermost(&error)))
            }
        }
    }

    async fn dial(&self, probe: &Probe, within: Duration) -> ProbeResult {
        match probe {
            Probe::Tcp { host, port } => {
                let dialled = tokio::net::TcpStream::connect((bare(host), *port));
                match tokio::time::timeout(within, dialled).await {
                    Ok(Ok(_)) => ProbeAnswer::Open.into(),
                    Ok(Err(error)) => ProbeAnswer::Refused(error.to_string()).into(),
                    Err(_) => ProbeAnswer::Timeout.into(),
                }
            }
            Probe::Http { url } => {
                let http = match self.connections.probing() {
                    Ok(http) => http,
                    Err(why) => return ProbeAnswer::Refused(why.to_owned()).into(),
                };
                match http.get(url).timeout(within).send().await {
                    Ok(reply) => {
                        let certificate_until = certificate_until(&reply);
                        ProbeResult { answer: page(reply).await, certificate_until }
                    }
                    Err(error) if error.is_timeout() => ProbeAnswer::Timeout.into(),
                    Err(error) => ProbeAnswer::Refused(innermost(&error)).into(),
                }
            }
        }
    }
}

/// The end of the certificate that the other side showed.
fn certificate_until(reply: &reqwest::Response) -> Option<i64> {
    not_after(reply.extensions().get::<reqwest::tls::TlsInfo>()?.peer_certificate()?)
}

/// The status and as much of the body as anyone would look into.
async fn page(mut reply: reqwest::Response) -> ProbeAnswer {
    let status = reply.status().as_u16();
    let mut body = Vec::new();
    while body.len() < LONGEST_BODY {
        match reply.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break,
            Err(error) if error.is_timeout() => return ProbeAnswer::Timeout,
            Err(error) => return ProbeAnswer::Refused(innermost(&error)),
        }
    }
    body.truncate(LONGEST_BODY);
    ProbeAnswer::Http { status, body: String::from_utf8_lossy(&body).into_owned() }
}

fn told(json: &Json) -> ProbeAnswer {
    let text = |name: &str| json.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    match text("outcome").as_str() {
        "open" => ProbeAnswer::Open,
        "timeout" => ProbeAnswer::Timeout,
        "http" => {
            let status = json.get("status").and_then(Json::as_u64).unwrap_or_default();
            ProbeAnswer::Http {
                status: u16::try_from(status).unwrap_or_default(),
                body: text("body"),
            }
        }
        "refused" => ProbeAnswer::Refused("connection refused".to_owned()),
        "unresolved" => ProbeAnswer::Refused("no zone contains the name".to_owned()),
        other => ProbeAnswer::Refused(format!("the sandbox answered `{other}`")),
    }
}

/// Addresses that only the sandbox gives out: 198.18.0.0/15 and 2001:db8::/32.
pub(crate) fn pretended(host: &str) -> bool {
    match bare(host).parse::<IpAddr>() {
        Ok(IpAddr::V4(it)) => it.octets()[0] == 198 && it.octets()[1] & 0xfe == 18,
        Ok(IpAddr::V6(it)) => it.segments()[0] == 0x2001 && it.segments()[1] == 0xdb8,
        Err(_) => false,
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{ProbeAnswer, pretended, told};

    #[test]
    fn pretended_is_true_of_addresses_of_the_sandbox() {
        for (host, is) in [
            ("198.18.0.1", true),
            ("198.19.255.255", true),
            ("198.20.0.1", false),
            ("192.0.2.1", false),
            ("2001:db8::7", true),
            ("[2001:db8::7]", true),
            ("2001:db9::7", false),
            ("example.com", false),
        ] {
            assert_eq!(pretended(host), is, "{host}");
        }
    }

    #[test]
    fn told_reads_what_the_sandbox_answers() {
        let answer = told(&serde_json::json!({ "outcome": "http", "status": 200, "body": "ok" }));
        assert_eq!(answer, ProbeAnswer::Http { status: 200, body: "ok".into() });
        assert_eq!(told(&serde_json::json!({ "outcome": "open" })), ProbeAnswer::Open);
    }
}
