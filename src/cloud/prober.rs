//! Probes: whether a port is open or a page answers, from here or from inside the sandbox.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::cloud::certificate::not_after;
use crate::cloud::connection::Connections;
use crate::cloud::transport::innermost;

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

const SECONDS_PER_DAY: i64 = 86_400;
/// How much of a page is read.
const LONGEST_BODY: usize = 64 * 1024;
/// How long a probe takes at most, on the wall's clock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries ports and pages. The sandbox's addresses are asked of the sandbox and never dialled.
#[derive(Debug, Clone)]
pub struct Prober {
    connections: Arc<Connections>,
}

impl Prober {
    pub fn new(connections: Arc<Connections>) -> Self {
        Self { connections }
    }

    pub async fn probe(&self, probe: Probe) -> ProbeAnswer {
        let host = match &probe {
            Probe::Tcp { host, .. } => host.clone(),
            Probe::Http { url } => match reqwest::Url::parse(url) {
                Ok(url) => url.host_str().unwrap_or_default().to_owned(),
                Err(why) => return ProbeAnswer::Refused(format!("`{url}` is no URL: {why}")),
            },
        };
        match (&self.connections.settings.prober_url, pretended(&host)) {
            (Some(base), true) => self.ask_sandbox(base, &probe).await,
            (Some(base), false) if host.parse::<IpAddr>().is_err() && !is_here(&host) => {
                self.ask_sandbox(base, &probe).await
            }
            (None, true) => ProbeAnswer::Refused(format!(
                "{host} is an address of the sandbox, which is not in use"
            )),
            _ => self.dial(&probe).await,
        }
    }

    /// How many whole days the certificate of an https address still holds. Nothing when it does not answer or its
    /// certificate is not trusted, an expired one for instance: then a probe of it fails as well, and says why.
    pub async fn certificate_days_left(&self, url: &str) -> Option<i64> {
        let address = reqwest::Url::parse(url).ok().filter(|it| it.scheme() == "https")?;
        let is_sandbox = self.connections.settings.prober_url.is_some();
        if is_sandbox && !address.host_str().is_some_and(is_here) {
            // The sandbox's own addresses are never dialled, and nothing there has a certificate.
            return None;
        }
        let reply = self.connections.http().get(address).timeout(PATIENCE).send().await.ok()?;
        let info = reply.extensions().get::<reqwest::tls::TlsInfo>()?;
        let end = not_after(info.peer_certificate()?)?;
        Some((end - jiff::Timestamp::now().as_second()).div_euclid(SECONDS_PER_DAY))
    }

    async fn ask_sandbox(&self, base: &str, probe: &Probe) -> ProbeAnswer {
        let asked = match probe {
            Probe::Tcp { host, port } => ("tcp", format!("{}:{port}", bracketed(host))),
            Probe::Http { url } => ("url", url.clone()),
        };
        let url = format!("{}/_sandbox/probe", base.trim_end_matches('/'));
        let reply = self.connections.http().get(url).query(&[asked]).send().await;
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

    async fn dial(&self, probe: &Probe) -> ProbeAnswer {
        match probe {
            Probe::Tcp { host, port } => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let dialled = tokio::net::TcpStream::connect((host, *port));
                match tokio::time::timeout(PATIENCE, dialled).await {
                    Ok(Ok(_)) => ProbeAnswer::Open,
                    Ok(Err(error)) => ProbeAnswer::Refused(error.to_string()),
                    Err(_) => ProbeAnswer::Timeout,
                }
            }
            Probe::Http { url } => {
                let request = self.connections.http().get(url).timeout(PATIENCE).send();
                match request.await {
                    Ok(reply) => page(reply).await,
                    Err(error) if error.is_timeout() => ProbeAnswer::Timeout,
                    Err(error) => ProbeAnswer::Refused(innermost(&error)),
                }
            }
        }
    }
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
        other => ProbeAnswer::Refused(format!("the sandbox answered `{other}`")),
    }
}

/// Addresses that only the sandbox gives out: 198.18.0.0/15 and 2001:db8::/32.
fn pretended(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V4(it)) => it.octets()[0] == 198 && it.octets()[1] & 0xfe == 18,
        Ok(IpAddr::V6(it)) => it.segments()[0] == 0x2001 && it.segments()[1] == 0xdb8,
        Err(_) => false,
    }
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
    fn the_sandboxs_addresses() {
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
    fn what_the_sandbox_tells() {
        let answer = told(&serde_json::json!({ "outcome": "http", "status": 200, "body": "ok" }));
        assert_eq!(answer, ProbeAnswer::Http { status: 200, body: "ok".into() });
        assert_eq!(told(&serde_json::json!({ "outcome": "open" })), ProbeAnswer::Open);
    }
}
