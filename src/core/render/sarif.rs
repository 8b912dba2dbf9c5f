//! An audit as SARIF 2.1.0, so that code hosts show findings on the lines of a pull request.

use serde_json::{Value, json};

use crate::engine::recovery::audit::finding::{Audit, AuditRule, Finding, Level};
use crate::engine::recovery::audit::rules::RULES;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub fn sarif(audit: &Audit) -> String {
    let results: Vec<Value> = audit
        .sections
        .iter()
        .flat_map(|section| {
            let overlay = section.overlay.as_deref();
            section.findings.iter().map(move |it| result(it, overlay))
        })
        .collect();
    let whole = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "lifeboat",
                    "version": env!("CARGO_PKG_VERSION"),
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": RULES.iter().map(|it| rule(it)).collect::<Vec<_>>(),
                }
            },
            "automationDetails": { "id": format!("lifeboat/audit/{}/", audit.stack) },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }]
    });
    format!("{whole:#}\n")
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn rule(rule: &AuditRule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "help": { "text": rule.remedy },
        "defaultConfiguration": { "level": level(rule.level) },
    })
}

fn result(finding: &Finding, overlay: Option<&str>) -> Value {
    let under = overlay.map(|it| format!(" (switched to {it})")).unwrap_or_default();
    let message =
        format!("{}: {}{under}. To do: {}.", finding.rule.title, finding.why, finding.remedy);
    let locations: Vec<Value> = finding
        .place
        .iter()
        .map(|it| {
            json!({
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(&it.file), "uriBaseId": "%SRCROOT%" },
                    "region": { "startLine": it.line, "startColumn": it.column },
                }
            })
        })
        .collect();
    json!({
        "ruleId": finding.rule.id,
        "ruleIndex": RULES.iter().position(|it| *it == finding.rule),
        "level": level(finding.level),
        "message": { "text": message },
        "locations": locations,
    })
}

/// A path as a relative reference: what is not plain is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
