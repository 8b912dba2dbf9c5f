//! Webhooks of a layer: `notify`, and what its expressions may look at.

use crate::engine::lang::lower::references::Site;
use crate::engine::lang::lower::resources::unknown_keys;
use crate::engine::lang::merge::overlay::texts;
use crate::engine::lang::model::{InstanceShape, NotifyTopic, Stack, Webhook};
use crate::engine::lang::term::{Terms, expressions};
use crate::engine::lang::yaml::node::{Data, Node};
use crate::engine::schema::Catalog;
use crate::engine::text::codes::DiagnosticCode;
use crate::engine::text::diagnostic::{Diagnostic, Sources};

const KEYS: [&str; 3] = ["url", "secret", "events"];
/// More webhooks are a mistake of whatever wrote them.
const WEBHOOKS_MAX: usize = 16;

/// Reads the `notify` of the merged layers.
pub fn webhooks(node: Option<&Node>, sources: &Sources, out: &mut Vec<Diagnostic>) -> Vec<Webhook> {
    let Some(node) = node.filter(|it| !it.is_null()) else { return Vec::new() };
    let Data::List(items) = &node.data else {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongType, "`notify` must be a list")
                .at(node.span, format!("this is {}", node.word()))
                .help("write `notify: [{ url: https://hooks.example.com/lifeboat }]`"),
        );
        return Vec::new();
    };
    if items.len() > WEBHOOKS_MAX {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongLength, "Too many webhooks")
                .at(node.span, format!("`notify` takes at most {WEBHOOKS_MAX}")),
        );
        return Vec::new();
    }
    items.iter().filter_map(|it| webhook(it, sources, out)).collect()
}

fn webhook(node: &Node, sources: &Sources, out: &mut Vec<Diagnostic>) -> Option<Webhook> {
    let Some(map) = node.as_map() else {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongType, "A webhook must be a map")
                .at(node.span, format!("this is {}", node.word()))
                .help("write `{ url: https://hooks.example.com/lifeboat }`"),
        );
        return None;
    };
    unknown_keys(map, &KEYS, "a webhook", out);
    let topics = map.get("events").map(|it| topics(&it.node, out));
    let Some(url) = map.get("url") else {
        out.push(
            Diagnostic::error(DiagnosticCode::MissingKey, "Missing `url` key")
                .at(node.span, "this webhook has no `url`"),
        );
        return None;
    };
    let url = Terms { sources, out }.term(&url.node);
    let secret = map.get("secret").map(|it| Terms { sources, out }.term(&it.node));
    if let Some(it) = secret.as_ref().filter(|it| matches!(it.shape, InstanceShape::Literal(_))) {
        out.push(
            Diagnostic::error(DiagnosticCode::WrongForm, "A secret stands in the layer")
                .at(it.span, "whoever reads this file can sign with it")
                .help("declare `hook_secret: { type: string, sensitive: true }` under `variables`, and write `secret: '${vars.hook_secret}'`"),
        );
    }
    Some(Webhook { span: node.span, url, secret, topics: topics.unwrap_or_else(usual) })
}

/// What is posted where a webhook does not say: everything but single steps.
fn usual() -> Vec<NotifyTopic> {
    NotifyTopic::ALL.into_iter().filter(|it| *it != NotifyTopic::Steps).collect()
}

fn topics(node: &Node, out: &mut Vec<Diagnostic>) -> Vec<NotifyTopic> {
    let names = || NotifyTopic::ALL.map(NotifyTopic::word);
    let mut found = Vec::new();
    for (text, span) in texts(node, "events", out) {
        match NotifyTopic::ALL.into_iter().find(|it| it.word() == text) {
            Some(topic) => found.push(topic),
            None => out.push(
                Diagnostic::error(DiagnosticCode::NotOneOf, "Unknown event")
                    .at(span, format!("there are no events `{text}`"))
                    .help(format!("`events` takes {}", names().join(", ")))
                    .nearest(&text, names()),
            ),
        }
    }
    found
}

/// Events are posted while resources change: only variables have a value all the time.
pub fn check_references(stack: &Stack, catalog: &Catalog, out: &mut Vec<Diagnostic>) {
    let site = Site { stack, catalog, owner: None, has_self: false };
    for it in &stack.notify {
        let mut all = Vec::new();
        expressions(&it.url, &mut all);
        it.secret.iter().for_each(|it| expressions(it, &mut all));
        let mut needs = Vec::new();
        site.expressions(&all, &mut needs, out);
        out.extend(needs.into_iter().map(|need| {
            Diagnostic::error(DiagnosticCode::WrongReference, "A webhook cannot use a resource")
                .at(need.span, format!("`{}` is a resource", need.name))
                .help("use variables: events are also posted while a resource is lost or changed")
        }));
    }
}
