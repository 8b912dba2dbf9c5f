//! The JSON Schema of stacks, read by a validator that knows nothing of lifeboat.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::harness::{Home, files, repository};

fn validator() -> Validator {
    let schema = Home::new().run(&["schema"]).code(0).json();
    jsonschema::validator_for(&schema).expect("the schema is a schema")
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

#[track_caller]
fn accepts(validator: &Validator, what: &str, stack: &Value) {
    let wrong: Vec<String> =
        validator.iter_errors(stack).map(|it| format!("{}: {it}", it.instance_path())).collect();
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn schema_accepts_every_stack_that_the_project_ships() {
    let validator = validator();
    let mut shipped = files(&repository().join("stacks"), "yaml");
    shipped.retain(|it| it.components().all(|it| it.as_os_str() != "files"));
    shipped.extend(files(&repository().join("src/cli/commands/init"), "yaml"));
    assert!(shipped.len() >= 4, "{shipped:?}");
    for file in shipped {
        let text = std::fs::read_to_string(&file).unwrap();
        accepts(&validator, &file.display().to_string(), &yaml(&text));
    }
    for (folder, _, example, _) in lifeboat::kinds::FOLDERS {
        accepts(&validator, folder, &yaml(example));
    }
}

/// Editors find it by the first line of each layer that `init` writes.
#[test]
fn schema_is_where_the_layers_of_init_say() {
    let home = Home::new();
    home.run(&["init", "new"]).code(0).says(&["wrote   .lifeboat/schema.json"]).done();
    let layers = files(&home.path("new/stacks"), "yaml");
    assert_eq!(layers.len(), 3, "{layers:?}");
    for layer in layers {
        let text = std::fs::read_to_string(&layer).unwrap();
        let named = text.lines().next().unwrap();
        let named = named.strip_prefix("# yaml-language-server: $schema=").unwrap();
        let schema = std::fs::read_to_string(layer.parent().unwrap().join(named)).unwrap();
        let schema = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
        accepts(&schema, &layer.display().to_string(), &yaml(&text));
    }
}

#[test]
fn schema_accepts_every_state_of_every_kind() {
    let validator = validator();
    for (folder, kind, _, life) in lifeboat::kinds::FOLDERS {
        let life = yaml(life);
        for state in life["states"].as_array().unwrap() {
            let mut resource = state["attributes"].clone();
            resource["kind"] = yaml(kind)["kind"].clone();
            let stack = json!({ "stack": "life", "resources": { "it": resource } });
            accepts(&validator, &format!("{folder}: {}", state["name"]), &stack);
        }
    }
}

#[test]
fn schema_refuses_wrong_stacks() {
    let validator = validator();
    let lb = |more: Value| {
        let mut it = json!({ "kind": "linode.nodebalancer", "region": "us-east" });
        it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "stack": "s", "resources": { "lb": it } })
    };
    accepts(&validator, "the right one", &lb(json!({})));
    accepts(
        &validator,
        "an expression for a number",
        &lb(json!({ "client_conn_throttle": "${vars.x}" })),
    );
    for (what, wrong) in [
        ("an unknown key", json!({ "stack": "s", "resorces": {} })),
        (
            "an unknown kind",
            json!({ "stack": "s", "resources": { "it": { "kind": "linode.nonsense" } } }),
        ),
        ("an unknown attribute", lb(json!({ "regoin": "us-east" }))),
        ("a wrong type", lb(json!({ "client_conn_throttle": "much" }))),
        ("out of range", lb(json!({ "client_conn_throttle": 21 }))),
        (
            "a bad name",
            json!({ "stack": "s", "resources": { "Bad-Name": { "kind": "linode.nodebalancer" } } }),
        ),
        ("a list of resources", json!({ "stack": "s", "resources": [] })),
        (
            "an unknown type of a variable",
            json!({ "stack": "s", "variables": { "x": { "type": "strng" } } }),
        ),
        ("a text", json!("stack")),
    ] {
        assert!(!validator.is_valid(&wrong), "{what} is accepted");
    }
}
