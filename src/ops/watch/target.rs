//! What a watcher looks at: the URL with what a good answer is, and control targets that tell whether the observer is cut off.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::task::JoinSet;

use crate::cloud::http::prober::{Probe, ProbeAnswer, ProbeResult, Prober};
use crate::engine::recovery::watch::{Control, Round};
use crate::ops::error::OpsError;

/// What is watched, and with what; made by [`Targets::new`] only.
#[derive(Debug, Clone)]
pub struct Targets {
    url: Url,
    expect: u16,
    body: Option<String>,
    controls: Vec<Url>,
    within: Duration,
}

/// What a good answer is, and within which time it has to come, on the wall's clock.
#[derive(Debug, Clone)]
pub struct ExpectedAnswer {
    pub status: u16,
    pub body: Option<String>,
    pub within: Duration,
}

impl ExpectedAnswer {
    /// Status 200 within 5 s, whatever the page says: what `watch` expects where nobody says more.
    pub fn usual() -> Self {
        Self { status: 200, body: None, within: Duration::from_secs(5) }
    }
}

impl Targets {
    pub fn new(url: &str, controls: &[String], expected: ExpectedAnswer) -> Result<Self, OpsError> {
        let ExpectedAnswer { status, body, within } = expected;
        let url = parsed("--url", url, &["http", "https"])?;
        let controls: Result<Vec<Url>, OpsError> =
            controls.iter().map(|it| parsed("--control", it, &["http", "https", "tcp"])).collect();
        let controls = controls?;
        let place = |it: &Url| (it.host_str().map(str::to_lowercase), it.port_or_known_default());
        if let Some(same) = controls.iter().find(|it| place(it) == place(&url)) {
            return Err(OpsError::usage(
                format!("--control {} is on the host that is watched", shown(same)),
                "use a target that stays up when the URL is down; otherwise no decision is possible",
            ));
        }
        if body.as_ref().is_some_and(String::is_empty) {
            return Err(OpsError::usage("--body is empty, which every page contains", "omit it"));
        }
        Ok(Self { url, expect: status, body, controls, within })
    }

    /// The URL as typed, for who is handed it.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The URL for people and logs.
    pub fn shown(&self) -> String {
        shown(&self.url)
    }

    pub fn has_control(&self) -> bool {
        !self.controls.is_empty()
    }

    /// What tells this target from another; history of one is no evidence about the other.
    pub fn identity(&self) -> String {
        format!("{}\n{}\n{}", self.url, self.expect, self.body.as_deref().unwrap_or_default())
    }

    /// Looks at everything at the same time.
    pub async fn look(&self, prober: &Arc<Prober>, at: i64) -> Round {
        let mut looks = JoinSet::new();
        for (index, url) in std::iter::once(&self.url).chain(&self.controls).enumerate() {
            let (prober, probe, within) = (Arc::clone(prober), probe_of(url), self.within);
            looks.spawn(async move { (index, prober.look(probe, within).await) });
        }
        let mut seen = looks.join_all().await;
        seen.sort_by_key(|(index, _)| *index);
        let mut seen = seen.into_iter().map(|(_, it)| it);
        let target = seen.next().expect("the URL is always probed");
        Round {
            at,
            certificate_until: target.certificate_until,
            target: self.judge(&target.answer),
            control: self.control(&seen.collect::<Vec<_>>()),
        }
    }

    /// Good, or why not.
    fn judge(&self, answer: &ProbeAnswer) -> Result<(), String> {
        match answer {
            ProbeAnswer::Http { status, .. } if *status != self.expect => {
                Err(format!("HTTP {status} instead of {}", self.expect))
            }
            ProbeAnswer::Http { body, .. } => match &self.body {
                Some(text) if !body.contains(text) => {
                    Err(format!("the body does not contain `{text}`"))
                }
                _ => Ok(()),
            },
            ProbeAnswer::Open => Err("the port is open, but nothing speaks HTTP".into()),
            ProbeAnswer::Refused(why) => Err(why.clone()),
            ProbeAnswer::Timeout => Err(format!("no answer within {} s", self.within.as_secs())),
        }
    }

    /// One that answers is enough: the others may have their own troubles.
    fn control(&self, seen: &[ProbeResult]) -> Control {
        if self.controls.is_empty() {
            return Control::NotAsked;
        }
        let mut silent = Vec::new();
        for (url, sighting) in self.controls.iter().zip(seen) {
            let why = match &sighting.answer {
                ProbeAnswer::Open => return Control::Answered,
                // What a proxy says instead of a site that it does not reach is no answer of the site.
                ProbeAnswer::Http { status, .. } if *status < 500 && *status != 407 => {
                    return Control::Answered;
                }
                ProbeAnswer::Http { status, .. } => format!("HTTP {status}"),
                ProbeAnswer::Refused(why) => why.clone(),
                ProbeAnswer::Timeout => "no answer".into(),
            };
            silent.push(format!("{}: {why}", shown(url)));
        }
        Control::Silent(silent.join("; "))
    }
}

fn parsed(flag: &str, text: &str, schemes: &[&str]) -> Result<Url, OpsError> {
    let wrong = |why: &str| {
        let what = format!("{flag} {} {why}", shown_text(text));
        OpsError::usage(what, format!("write it as {}", forms(schemes)))
    };
    let url = Url::parse(text).map_err(|why| wrong(&format!("is not a URL: {why}")))?;
    if !schemes.contains(&url.scheme()) {
        return Err(wrong(&format!("begins with `{}:`", url.scheme())));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("has no host"));
    }
    if url.port_or_known_default().is_none() {
        return Err(wrong("has no port"));
    }
    Ok(url)
}

fn forms(schemes: &[&str]) -> String {
    let form = |it: &&str| match *it {
        "tcp" => "tcp://HOST:PORT".to_owned(),
        scheme => format!("{scheme}://HOST/PATH"),
    };
    schemes.iter().map(form).collect::<Vec<_>>().join(" or ")
}

/// What is no URL may hold a password all the same.
fn shown_text(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("`…@{rest}`"),
        None => format!("`{text}`"),
    }
}

/// Without what may be secret in it.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // A URL with a host takes both; what has none never gets here.
    url.set_username("").ok();
    url.set_password(None).ok();
    url.to_string()
}

fn probe_of(url: &Url) -> Probe {
    if url.scheme() != "tcp" {
        return Probe::Http { url: url.to_string() };
    }
    let host = url.host_str().unwrap_or_default();
    Probe::Tcp {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ExpectedAnswer, Targets};
    use crate::cloud::http::prober::{ProbeAnswer, ProbeResult};
    use crate::engine::recovery::watch::Control;

    fn targets(url: &str, controls: &[&str], body: Option<&str>) -> Result<Targets, String> {
        let controls: Vec<String> = controls.iter().map(ToString::to_string).collect();
        let within = Duration::from_secs(5);
        let expected = ExpectedAnswer { status: 200, body: body.map(Into::into), within };
        Targets::new(url, &controls, expected).map_err(|why| why.to_string())
    }

    #[test]
    fn new_refuses_what_cannot_be_watched_without_its_password() {
        for (url, controls, says) in [
            ("shop.example.com", &[][..], "--url `shop.example.com` is not a URL"),
            ("ftp://shop/", &[], "begins with `ftp:`"),
            ("tcp://shop:80", &[], "begins with `tcp:`"),
            ("http://", &[], "is not a URL"),
            ("me:hush@shop", &[], "--url `…@shop` begins with `me:`"),
            ("http://shop/", &["tcp://x"], "--control `tcp://x` has no port"),
            ("https://shop/a", &["tcp://SHOP:443"], "is on the host that is watched"),
        ] {
            let why = targets(url, controls, None).unwrap_err();
            assert!(why.contains(says) && !why.contains("hush"), "{why}");
        }
        assert!(targets("http://shop/", &[], Some("")).is_err());
        let good = targets("http://me:hush@shop/x", &["tcp://[::1]:53"], None).unwrap();
        assert_eq!(good.shown(), "http://shop/x");
        assert!(good.url().contains("hush"));
    }

    #[test]
    fn judge_requires_status_and_body() {
        let all = targets("http://shop/", &[], Some("Welcome")).unwrap();
        let page = |status, body: &str| ProbeAnswer::Http { status, body: body.into() };
        for (answer, said) in [
            (page(200, "Welcome!"), Ok(())),
            (page(200, "welcome"), Err("the body does not contain `Welcome`")),
            (page(301, "Welcome"), Err("HTTP 301 instead of 200")),
            (ProbeAnswer::Timeout, Err("no answer within 5 s")),
            (ProbeAnswer::Refused("Connection refused".into()), Err("Connection refused")),
        ] {
            assert_eq!(all.judge(&answer), said.map_err(str::to_owned), "{answer:?}");
        }
    }

    #[test]
    fn control_needs_one_answer_and_not_that_of_a_proxy() {
        let all = targets("http://shop/", &["http://a/", "tcp://b:53"], None).unwrap();
        let page = |status| ProbeAnswer::Http { status, body: String::new() };
        let control = |a, b| all.control(&[ProbeResult::from(a), ProbeResult::from(b)]);
        for answered in [
            control(page(404), ProbeAnswer::Timeout),
            control(page(502), ProbeAnswer::Open),
            control(page(200), ProbeAnswer::Open),
        ] {
            assert_eq!(answered, Control::Answered);
        }
        let silent = Control::Silent("http://a/: HTTP 502; tcp://b:53: no answer".into());
        assert_eq!(control(page(502), ProbeAnswer::Timeout), silent);
        assert_ne!(control(page(407), ProbeAnswer::Timeout), Control::Answered);
        assert_eq!(targets("http://shop/", &[], None).unwrap().control(&[]), Control::NotAsked);
    }
}
