//! The JSON Schema of stack files and overlays, for editors: draft 2020-12, made of the catalog.

use serde_json::{Map, Value, json};

use crate::engine::schema::{Attribute, Catalog, Kind, Type};

/// The schema of a stack file; a file with `overlay:` is an overlay. What says where the state is kept comes from whoever opens
/// stores.
pub fn json_schema(catalog: &Catalog, state: Value) -> Value {
    let mut defs = definitions();
    defs.insert("state".into(), state);
    for kind in catalog.kinds.values() {
        defs.insert(kind.kind.clone(), of_kind(kind, false));
        defs.insert(format!("{} in an overlay", kind.kind), of_kind(kind, true));
    }
    let names: Vec<&String> = catalog.kinds.keys().collect();
    let choose = |suffix: &str| -> Vec<Value> {
        names
            .iter()
            .map(|name| {
                json!({
                    "if": { "type": "object", "properties": { "kind": { "const": name } }, "required": ["kind"] },
                    "then": { "$ref": format!("#/$defs/{name}{suffix}").replace(' ', "%20") },
                })
            })
            .collect()
    };
    defs.insert(
        "resource".into(),
        json!({
            "type": "object",
            "required": ["kind"],
            "properties": { "kind": { "enum": names } },
            "allOf": choose(""),
        }),
    );
    defs.insert(
        "resource in an overlay".into(),
        json!({
            "type": ["object", "null"],
            "properties": { "kind": { "enum": names } },
            "allOf": choose(" in an overlay"),
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lifeboat stack",
        "type": "object",
        "if": { "required": ["overlay"] },
        "then": { "$ref": "#/$defs/overlay" },
        "else": { "$ref": "#/$defs/stack" },
        "$defs": defs,
    })
}

fn definitions() -> Map<String, Value> {
    let name = json!({ "pattern": "^[a-z][a-z0-9_]*$" });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let made = json!({
        "expression": { "type": "string", "pattern": "\\$\\{", "description": "One CEL expression in ${…}, or text with some." },
        "duration": { "type": "string", "pattern": "^([0-9]+[smhd])+$", "description": "`90s`, `5m`, `1h30m`" },
        "stack": {
            "type": "object",
            "required": ["stack"],
            "additionalProperties": false,
            "properties": {
                "stack": { "type": "string", "description": "The name of the stack's folder." },
                "description": { "type": "string" },
                "state": { "$ref": "#/$defs/state" },
                "objectives": { "$ref": "#/$defs/objectives" },
                "notify": { "$ref": "#/$defs/notify" },
                "allow": { "$ref": "#/$defs/allow" },
                "variables": { "type": ["object", "null"], "propertyNames": name, "additionalProperties": { "$ref": "#/$defs/variable" } },
                "resources": { "type": ["object", "null"], "propertyNames": name, "additionalProperties": { "$ref": "#/$defs/resource" } },
                "outputs": { "type": ["object", "null"] },
                "tasks": { "type": ["object", "null"], "propertyNames": name, "additionalProperties": { "$ref": "#/$defs/task" } },
                "policies": { "type": ["object", "null"], "propertyNames": name, "additionalProperties": { "$ref": "#/$defs/policy" } },
            },
        },
        "overlay": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "overlay": { "type": "string", "description": "The name of the file." },
                "description": { "type": "string" },
                "assumes_lost": {
                    "type": "array",
                    "items": { "type": "string", "pattern": "^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$" },
                    "description": "Fault domains that a switch to this overlay assumes lost: `linode:us-east`.",
                },
                "workspace": { "type": "string", "pattern": "^[a-z][a-z0-9_-]*$", "description": "Name of a separate workspace with its own state." },
                "rehearses": { "oneOf": [{ "type": "string" }, texts], "description": "The overlays that a drill switches to." },
                "borrow": texts,
                "objectives": { "$ref": "#/$defs/objectives" },
                "notify": { "$ref": "#/$defs/notify" },
                "allow": { "$ref": "#/$defs/allow" },
                "variables": { "type": ["object", "null"] },
                "resources": { "type": ["object", "null"], "propertyNames": name, "additionalProperties": { "$ref": "#/$defs/resource%20in%20an%20overlay" } },
                "outputs": { "type": ["object", "null"] },
                "tasks": { "type": ["object", "null"], "propertyNames": name, "additionalProperties": { "type": ["object", "null"] } },
                "policies": { "type": ["object", "null"], "propertyNames": name, "additionalProperties": { "type": ["object", "null"] } },
            },
        },
    });
    let mut all = object(made);
    all.extend(blocks());
    all.extend(task_blocks());
    all.insert("policy".into(), policy());
    all
}

fn object(made: Value) -> Map<String, Value> {
    match made {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Webhooks that events are posted to.
fn notify() -> Value {
    json!({
        "type": ["array", "null"],
        "maxItems": 16,
        "description": "Webhooks that events are posted to as JSON.",
        "items": {
            "type": "object",
            "required": ["url"],
            "additionalProperties": false,
            "properties": {
                "url": { "type": "string", "description": "An https or http address; its expressions use variables only." },
                "secret": { "$ref": "#/$defs/expression", "description": "A sensitive variable, which signs each body: `'${vars.hook_secret}'`." },
                "events": {
                    "type": "array",
                    "items": { "enum": ["switch", "drill", "watch", "audit", "steps"] },
                    "description": "Which events; all but `steps` where nothing is said.",
                },
            },
        },
    })
}

/// What a layer lets through the guards.
fn allow() -> Value {
    let addresses =
        |what: &str| json!({ "type": "array", "items": { "type": "string" }, "description": what });
    let count = |what: &str| json!({ "type": "integer", "minimum": 0, "description": what });
    json!({
        "type": ["object", "null"],
        "required": ["until", "because"],
        "additionalProperties": false,
        "description": "What this layer allows of a plan that lifeboat would refuse otherwise, once.",
        "properties": {
            "delete": addresses("Deletes or replacements that lose data."),
            "replace": addresses("Replacements whose only cause is drift."),
            "revert_drift": addresses("Traffic attributes that were changed outside and are taken back."),
            "destroys": count("So many deletes and replacements at once."),
            "absent": count("So many recorded resources that do not exist."),
            "until": { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].+)?$", "description": "The last day on which it counts (UTC), or a time; at most 30 days ahead." },
            "because": { "type": "string", "minLength": 1 },
        },
    })
}

/// A rule over plans.
fn policy() -> Value {
    json!({
        "type": "object",
        "required": ["message"],
        "additionalProperties": false,
        "oneOf": [
            { "required": ["deny"], "not": { "required": ["warn"] } },
            { "required": ["warn"], "not": { "required": ["deny"] } },
        ],
        "properties": {
            "deny": { "$ref": "#/$defs/expression", "description": "True, or a list of what is wrong: the plan is refused." },
            "warn": { "$ref": "#/$defs/expression", "description": "True, or a list of what is wrong: the plan says so." },
            "in_switch": { "enum": ["warn", "deny"], "default": "warn", "description": "What becomes of a failover or a failback." },
            "message": { "type": "string", "description": "What is wrong and what to do, for whoever wrote the change." },
            "description": { "type": "string" },
        },
    })
}

/// One gate, or a `ready` condition.
fn gate() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "oneOf": [
            { "required": ["tcp"] },
            { "required": ["http"] },
            { "required": ["replication"] },
            {
                "anyOf": [{ "required": ["serves"] }, { "required": ["health"] }],
                "not": { "anyOf": [{ "required": ["tcp"] }, { "required": ["http"] }, { "required": ["replication"] }] },
            },
        ],
        "properties": {
            "tcp": { "type": "string", "description": "host:port that must accept a connection" },
            "http": { "type": "string", "description": "URL that must answer" },
            "replication": { "const": true, "description": "What one member of the group is told, another one knows." },
            "health": { "type": "boolean", "description": "Whether the health checks behind what users are sent to are waited for, which they are unless this is false." },
            "expect": { "type": "integer", "minimum": 100, "maximum": 599 },
            "body": { "type": "string" },
            "times": { "type": "integer", "minimum": 1, "maximum": 1000 },
            "within": { "$ref": "#/$defs/duration" },
            "serves": {
                "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "pattern": "^([1-9][0-9]?|100)%$" }],
                "description": "How many of the backends wanted have to serve before users are sent to them."
            },
        },
    })
}

/// The maps with fixed keys inside stacks and resources.
fn blocks() -> Map<String, Value> {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    object(json!({
        "variable": {
            "type": "object",
            "required": ["type"],
            "additionalProperties": false,
            "properties": {
                "type": { "enum": ["string", "int", "number", "bool", "list", "map", "any"] },
                "default": true,
                "sensitive": { "type": "boolean" },
                "description": { "type": "string" },
            },
        },
        "objectives": {
            "type": ["object", "null"],
            "additionalProperties": false,
            "properties": {
                "rto": { "anyOf": [{ "$ref": "#/$defs/duration" }, { "type": "null" }], "description": "Maximum time until users are served again." },
                "rpo": { "anyOf": [{ "$ref": "#/$defs/duration" }, { "type": "null" }], "description": "Maximum age of the latest data that may be lost." },
            },
        },
        "notify": notify(),
        "allow": allow(),
        "gate": gate(),
        "gates": {
            "anyOf": [{ "$ref": "#/$defs/gate" }, { "type": "array", "minItems": 1, "maxItems": 16, "items": { "$ref": "#/$defs/gate" } }],
            "description": "Each of these has to hold before users are sent to it, and so have the health checks behind it.",
        },
        "lifecycle": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "create_before_destroy": { "type": "boolean" },
                "prevent_destroy": { "type": "boolean" },
                "ignore_changes": texts,
            },
        },
        "timeouts": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "create": { "$ref": "#/$defs/duration" },
                "update": { "$ref": "#/$defs/duration" },
                "delete": { "$ref": "#/$defs/duration" },
            },
        },
    }))
}

/// Tasks, and what they do.
fn task_blocks() -> Map<String, Value> {
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let scalar = json!({ "type": ["string", "number", "boolean"] });
    let one_of = |names: &[&str]| -> Value {
        let others = |name: &&str| -> Vec<Value> {
            let others = names.iter().filter(|it| *it != name);
            others.map(|it| json!({ "required": [it] })).collect()
        };
        let alone = |it: &&str| json!({ "required": [it], "not": { "anyOf": others(it) } });
        names.iter().map(alone).collect()
    };
    let exec = json!({ "type": "array", "minItems": 1, "items": scalar, "description": "A program and its arguments; no shell reads them." });
    let confirm = json!({ "type": "string", "description": "What a person approves before the switch goes on." });
    let within = json!({ "$ref": "#/$defs/duration" });
    let http = json!({ "$ref": "#/$defs/request" });
    let verify = json!({ "exec": exec, "http": http, "env": texts, "within": within });
    let mut undo = object(verify.clone());
    undo.insert("confirm".into(), confirm);
    let own = json!({
        "verify": { "$ref": "#/$defs/verify" },
        "undo": { "$ref": "#/$defs/undo" },
        "rerun": { "enum": ["safe", "never"], "default": "never", "description": "Whether it may run again when nobody knows how it ended." },
        "on_failure": { "enum": ["stop", "continue"], "default": "stop" },
        "if_lost": { "enum": ["try", "skip"], "default": "try" },
    });
    let mut instead = undo.clone();
    instead.extend(object(own));
    let mut task = instead.clone();
    task.extend(object(json!({
        "on": {
            "type": "array",
            "minItems": 1,
            "items": { "enum": ["failover", "planned", "failback", "drill"] },
            "description": "On which switches it runs; `failover` is one under loss.",
        },
        "after": texts,
        "before": texts,
        "in_drill": {
            "anyOf": [{ "enum": ["run", "skip"] }, { "type": "object", "additionalProperties": false, "properties": instead }],
            "description": "What a drill does with it; there is no default.",
        },
        "description": { "type": "string" },
    })));
    object(json!({
        "task": {
            "type": "object",
            "required": ["on", "in_drill"],
            "additionalProperties": false,
            "oneOf": one_of(&["exec", "http", "confirm"]),
            "properties": task,
        },
        "verify": { "type": "object", "additionalProperties": false, "oneOf": one_of(&["exec", "http"]), "properties": verify },
        "undo": { "type": "object", "additionalProperties": false, "oneOf": one_of(&["exec", "http", "confirm"]), "properties": undo },
        "request": {
            "type": "object",
            "required": ["url"],
            "additionalProperties": false,
            "properties": {
                "method": { "enum": ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] },
                "url": { "type": "string" },
                "headers": { "type": "object", "additionalProperties": scalar },
                "body": scalar,
                "expect": { "anyOf": [{ "type": "integer", "minimum": 100, "maximum": 599 }, { "type": "array", "items": { "type": "integer", "minimum": 100, "maximum": 599 } }] },
            },
        },
    }))
}

/// A resource of a kind. In an overlay nothing is required and null removes.
fn of_kind(kind: &Kind, in_overlay: bool) -> Value {
    let maybe_null = |schema: Value| {
        if in_overlay { json!({ "anyOf": [schema, { "type": "null" }] }) } else { schema }
    };
    let reference = |name: &str| maybe_null(json!({ "$ref": format!("#/$defs/{name}") }));
    let mut properties = Map::new();
    properties.insert("kind".into(), json!({ "const": kind.kind }));
    properties.insert("description".into(), maybe_null(json!({ "type": "string" })));
    properties.insert(
        "count".into(),
        maybe_null(or_expression(json!({ "type": "integer", "minimum": 0 }))),
    );
    let over = json!({ "type": ["array", "object"] });
    properties.insert("for_each".into(), maybe_null(or_expression(over)));
    properties.insert(
        "depends_on".into(),
        maybe_null(json!({ "type": "array", "items": { "type": "string" } })),
    );
    properties.insert("moved_from".into(), maybe_null(json!({ "type": "string" })));
    for (name, of) in
        [("lifecycle", "lifecycle"), ("ready", "gate"), ("gate", "gates"), ("timeouts", "timeouts")]
    {
        properties.insert(
            name.into(),
            match (in_overlay, name) {
                (false, _) => reference(of),
                (true, "gate") => json!({ "type": ["object", "array", "null"] }),
                (true, _) => json!({ "type": ["object", "null"] }),
            },
        );
    }
    let mut required = vec!["kind".to_owned()];
    for (name, attribute) in kind.settable() {
        properties.insert(name.clone(), maybe_null(described(attribute)));
        if attribute.required && attribute.default_from.is_none() && !in_overlay {
            required.push(name.clone());
        }
    }
    json!({
        "type": "object",
        "description": kind.summary,
        "required": required,
        "additionalProperties": false,
        "properties": properties,
    })
}

fn described(attribute: &Attribute) -> Value {
    let mut schema = or_expression(of_attribute(attribute));
    if let Some(map) = schema.as_object_mut() {
        if !attribute.doc.is_empty() {
            map.insert("description".into(), json!(attribute.doc));
        }
        if let Some(default) = &attribute.default {
            map.insert("default".into(), default.clone());
        }
    }
    schema
}

fn or_expression(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "$ref": "#/$defs/expression" }] })
}

fn of_attribute(attribute: &Attribute) -> Value {
    let mut schema = Map::new();
    let name = match attribute.kind {
        Type::Text => "string",
        Type::Int => "integer",
        Type::Float => "number",
        Type::Bool => "boolean",
        Type::List | Type::Set => "array",
        Type::Map => "object",
        // Only an expression can name a resource.
        Type::Reference => return json!({ "$ref": "#/$defs/expression" }),
        Type::Any => return json!(true),
    };
    schema.insert("type".into(), json!(name));
    let (least, most) = match attribute.kind {
        Type::Text => ("minLength", "maxLength"),
        _ => ("minItems", "maxItems"),
    };
    if let Some(length) = attribute.length {
        schema.insert(least.into(), json!(length.0));
        schema.insert(most.into(), json!(length.1));
    }
    if let Some(range) = attribute.range {
        schema.insert("minimum".into(), json!(range.0));
        schema.insert("maximum".into(), json!(range.1));
    }
    if !attribute.one_of.is_empty() {
        match &attribute.or_matches {
            None => schema.insert("enum".into(), json!(attribute.one_of)),
            Some(pattern) => schema.insert(
                "anyOf".into(),
                json!([{ "enum": attribute.one_of }, { "pattern": pattern }]),
            ),
        };
    }
    if let Some(pattern) = &attribute.pattern {
        schema.insert("pattern".into(), json!(pattern));
    }
    if let Some(members) = &attribute.members {
        let properties: Map<String, Value> =
            members.iter().map(|(name, it)| (name.clone(), described(it))).collect();
        let required: Vec<&String> =
            members.iter().filter(|(_, it)| it.required).map(|(name, _)| name).collect();
        schema.insert("properties".into(), Value::Object(properties));
        schema.insert("required".into(), json!(required));
        schema.insert("additionalProperties".into(), json!(false));
    } else if let Some(of) = &attribute.of {
        let key = if attribute.kind == Type::Map { "additionalProperties" } else { "items" };
        schema.insert(key.into(), described(of));
    }
    Value::Object(schema)
}

#[cfg(test)]
mod tests {
    use super::json_schema;

    fn wrong(text: &str) -> Vec<String> {
        let state = serde_json::json!({ "type": "object" });
        let schema = json_schema(&crate::kinds::builtin(), state);
        let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
        let stack: serde_json::Value = serde_yaml::from_str(text).expect("the tests write YAML");
        validator.iter_errors(&stack).map(|it| it.instance_path().to_string()).collect()
    }

    #[test]
    fn json_schema_agrees_with_an_independent_validator() {
        for kind in crate::kinds::builtin().kinds.keys() {
            let example = crate::kinds::example(kind).unwrap_or_default();
            let text = if example.contains("resources:") {
                example.to_owned()
            } else {
                let lines: Vec<String> = example.lines().map(|it| format!("  {it}")).collect();
                format!("resources:\n{}\n", lines.join("\n"))
            };
            let text = if text.contains("stack:") { text } else { format!("stack: s\n{text}") };
            assert_eq!(wrong(&text), Vec::<String>::new(), "{kind}: {text}");
        }
        let lb = "{ kind: linode.nodebalancer, region: us-east";
        assert!(!wrong(&format!("stack: s\nresources: {{ lb: {lb}, regoin: x }} }}")).is_empty());
        assert!(!wrong(&format!("stack: s\nresources: {{ lb: {lb}, label: 5 }} }}")).is_empty());
        assert!(!wrong("stack: s\nresources: { lb: { kind: linode.nodebalancer } }").is_empty());
        assert!(
            wrong("overlay: o\nresources: { lb: { region: eu, label: null }, zone: null }")
                .is_empty()
        );
        assert!(!wrong("overlay: o\nresuorces: {}").is_empty());
        assert!(wrong("stack: s\nobjectives: { rto: 15m, rpo: 1m }").is_empty());
        assert!(!wrong("stack: s\nobjectives: { rto: 15 }").is_empty());
        assert!(wrong("stack: s\nnotify: [{ url: 'https://x', secret: '${vars.a}', events: [switch, drill, watch, audit, steps] }]").is_empty());
        assert!(!wrong("stack: s\nnotify: [{ url: 'https://x', events: [switching] }]").is_empty());
        let allow = |it: &str| wrong(&format!("stack: s\nallow: {{ {it} }}"));
        assert!(allow("delete: [a], replace: ['a[0]'], revert_drift: [], destroys: 4, absent: 0, until: 2026-12-24, because: moved").is_empty());
        assert!(!allow("delete: [a], because: moved").is_empty());
        assert!(!allow("delete: [a], until: 2026-12-24").is_empty());
        assert!(!allow("outage: true, until: 2026-12-24, because: moved").is_empty());
        assert!(!wrong("stack: s\nnotify: [{ url: 'https://x', secret: hush }]").is_empty());
        assert!(
            wrong("overlay: o\nworkspace: drill\nrehearses: eu\nobjectives: { rpo: null }")
                .is_empty()
        );
        assert!(!wrong("overlay: o\nassumes_lost: [us-east]").is_empty());
        let table =
            "kind: dynamodb.table, region: us-east-1, name: ttt, hash_key: a, attributes: { a: S }";
        let gated =
            |gate: &str| format!("stack: s\nresources: {{ t: {{ {table}, gate: {{ {gate} }} }} }}");
        assert!(wrong(&gated("replication: true, within: 60s")).is_empty());
        assert!(!wrong(&gated("replication: true, tcp: x")).is_empty());
        let task = |task: &str| format!("stack: s\ntasks: {{ t: {{ {task} }} }}");
        let purge = "on: [failover], exec: [./purge, 5], in_drill";
        for fits in [
            format!("{purge}: run"),
            format!("{purge}: {{ exec: [./purge, dry] }}"),
            format!(
                "{purge}: skip, verify: {{ http: {{ url: 'http://a/' }} }}, undo: {{ confirm: x }}"
            ),
            "on: [planned, drill], confirm: Go?, within: 1h, in_drill: skip, rerun: safe".into(),
        ] {
            assert_eq!(wrong(&task(&fits)), Vec::<String>::new(), "{fits}");
        }
        for wrong_one in [
            "on: [failover], exec: [./purge]".into(),
            "on: [], exec: [./purge], in_drill: run".into(),
            "on: [failover], in_drill: run".into(),
            format!("{purge}: never"),
            format!("{purge}: run, confirm: x"),
            format!("{purge}: run, mysql: {{}}"),
            format!("{purge}: run, verify: {{ confirm: x }}"),
        ] {
            assert!(!wrong(&task(&wrong_one)).is_empty(), "{wrong_one}");
        }
        assert!(wrong("overlay: o\ntasks: { t: null, u: { within: 5m } }").is_empty());
    }
}
