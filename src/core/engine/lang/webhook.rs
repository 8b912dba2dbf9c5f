//! What a webhook is posted: its address, its signature, and its secret, which never leaves.

use std::sync::Arc;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::engine::address::Address;
use crate::engine::lang::check::probe_address::{host_of_page, page};
use crate::engine::lang::model::{NotifyTopic, Scope, Stack, Term, Webhook};
use crate::engine::lang::resolve::term;
use crate::engine::lang::view::ScopeView;
use crate::engine::schema::Catalog;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, stops};
use crate::engine::value::{Attributes, Value};

/// A webhook with what its expressions yield.
#[derive(Clone, PartialEq, Eq)]
pub struct ResolvedWebhook {
    pub url: String,
    secret: Option<String>,
    pub topics: Vec<NotifyTopic>,
}

impl std::fmt::Debug for ResolvedWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl ResolvedWebhook {
    /// Scheme and host: the path of a webhook is often all that keeps others from posting to it.
    pub fn shown(&self) -> String {
        let scheme = self.url.split("://").next().unwrap_or_default();
        let host = host_of_page(&self.url).map_or("", |(host, _)| host);
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        format!("{scheme}://{host}/…")
    }

    /// HMAC-SHA-256 of a body under the secret, in hexadecimal; `None`: it has no secret.
    pub fn signature(&self, body: &[u8]) -> Option<String> {
        let secret = self.secret.as_ref()?.as_bytes();
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        mac.update(body);
        Some(data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()))
    }
}

/// Nothing that is made: a webhook looks at variables only.
pub struct NoObjects;

impl Scope for NoObjects {
    fn object(&self, _address: &Address) -> Option<Arc<Attributes>> {
        None
    }
}

/// The address and the secret. `Ok(None)`: they are made of a sensitive variable that this run was not given.
pub fn resolve_webhook(
    stack: &Stack,
    catalog: &Catalog,
    hook: &Webhook,
) -> Result<Option<ResolvedWebhook>, Vec<Diagnostic>> {
    let mut out = Vec::new();
    let url = resolved(stack, catalog, &hook.url, &mut out);
    let secret = hook.secret.as_ref().map(|it| (it, resolved(stack, catalog, it, &mut out)));
    if stops(&out) {
        return Err(out);
    }
    // What is not known yet was told where it stands.
    if url.has_open()
        || url.has_withheld()
        || secret.as_ref().is_some_and(|(_, it)| it.has_withheld())
    {
        return Ok(None);
    }
    let Some(url) = plain_text(&url).filter(|it| is_address(it)) else {
        return Err(vec![
            Diagnostic::error(DiagnosticCode::BadAddress, "Not an address")
                .at(hook.url.span, "a webhook has an address that begins with https:// or http://"),
        ]);
    };
    let secret = match secret {
        None => None,
        Some((_, Value::Secret(it)))
            if plain_text(it.expose()).is_some_and(|it| !it.is_empty()) =>
        {
            plain_text(it.expose()).map(str::to_owned)
        }
        Some((term, it)) => {
            let wrong = match it {
                Value::Secret(_) => "this is empty, or no text",
                _ => "this is not sensitive, so it is kept in the state and shown",
            };
            return Err(vec![
                Diagnostic::error(DiagnosticCode::WrongForm, "Not a secret")
                    .at(term.span, wrong)
                    .help("use a variable of type string with `sensitive: true`"),
            ]);
        }
    };
    Ok(Some(ResolvedWebhook { url: url.to_owned(), secret, topics: hook.topics.clone() }))
}

fn resolved(stack: &Stack, catalog: &Catalog, it: &Term, out: &mut Vec<Diagnostic>) -> Value {
    let scope = Some(&NoObjects as &dyn Scope);
    let view = ScopeView { stack, catalog, scope, instance: None, own: None, texts: stack };
    term(it, &view, out)
}

fn plain_text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Secret(secret) => plain_text(secret.expose()),
        _ => None,
    }
}

fn is_address(url: &str) -> bool {
    let has_host = host_of_page(url).is_some_and(|(host, _)| !host.is_empty());
    page(url).is_ok() && has_host && !url.contains(|it: char| it.is_whitespace() || it.is_control())
}

#[cfg(test)]
mod tests {
    use super::ResolvedWebhook;

    fn hook(url: &str, secret: Option<&str>) -> ResolvedWebhook {
        ResolvedWebhook { url: url.into(), secret: secret.map(Into::into), topics: Vec::new() }
    }

    /// The second test case of RFC 4231: what any receiver computes.
    #[test]
    fn signature_is_hmac_sha256_in_hexadecimal() {
        let signed = hook("https://x/", Some("Jefe")).signature(b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signed.as_deref(), Some(expected));
        assert_eq!(hook("https://x/", None).signature(b""), None);
    }

    #[test]
    fn shown_says_no_path_and_no_password() {
        let url = "https://me:hush@hooks.example.com:8443/services/T0/B0/hush?a=hush";
        let hook = hook(url, Some("hush"));
        assert_eq!(hook.shown(), "https://hooks.example.com/…");
        assert_eq!(format!("{hook:?}"), "https://hooks.example.com/…");
    }
}
