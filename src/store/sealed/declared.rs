//! What `encrypt:` in a stack's `state:` says: which variables of the environment hold the keys.

use serde_json::Value;

use crate::engine::text::diagnostic::nearest;
use crate::store::remote::location::LocationError;
use crate::store::remote::names::is_variable;

/// The key of the block in `state:`.
pub const ENCRYPT: &str = "encrypt";

const KEY_ENV: &str = "key_env";
const OLD_KEY_ENV: &str = "old_key_env";

/// With which keys a state is encrypted. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEncryption {
    /// The variable that holds the key with which is written.
    pub key_env: String,
    /// Those that hold keys with which was written before.
    pub old_key_env: Vec<String>,
}

impl StateEncryption {
    /// With one key.
    pub fn with(variable: &str) -> Result<Self, LocationError> {
        Ok(Self { key_env: name(ENCRYPT, &variable.into())?, old_key_env: Vec::new() })
    }

    /// What is declared.
    pub fn parse(value: &Value) -> Result<Self, LocationError> {
        let Some(map) = value.as_object() else {
            return Err(wrong("`encrypt` is no map", form()));
        };
        if let Some(key) = map.keys().find(|it| ![KEY_ENV, OLD_KEY_ENV].contains(&it.as_str())) {
            let near = nearest(key, [KEY_ENV, OLD_KEY_ENV]);
            let remedy = near.map_or_else(form, |it| format!("did you mean `{it}`?"));
            let key: String = key.chars().filter(|it| !it.is_control()).take(80).collect();
            return Err(wrong(&format!("`encrypt` has no key `{key}`"), remedy));
        }
        let Some(key_env) = map.get(KEY_ENV) else {
            return Err(wrong("`encrypt` does not say which variable holds the key", form()));
        };
        let key_env = name(KEY_ENV, key_env)?;
        let old: Vec<String> = match map.get(OLD_KEY_ENV) {
            None => Vec::new(),
            Some(Value::Array(all)) => {
                all.iter().map(|it| name(OLD_KEY_ENV, it)).collect::<Result<_, _>>()?
            }
            Some(one) => vec![name(OLD_KEY_ENV, one)?],
        };
        if old.contains(&key_env) {
            let what = format!("`old_key_env` names {key_env} as well, which holds the new key");
            return Err(wrong(&what, "name the variable that holds the old key".into()));
        }
        Ok(Self { key_env, old_key_env: old })
    }

    /// As it is declared.
    pub fn written(&self) -> String {
        let old = match self.old_key_env.as_slice() {
            [] => String::new(),
            [one] => format!(", {OLD_KEY_ENV}: {one}"),
            all => format!(", {OLD_KEY_ENV}: [{}]", all.join(", ")),
        };
        format!("{ENCRYPT}: {{ {KEY_ENV}: {}{old} }}", self.key_env)
    }
}

/// The JSON Schema of `state:` with this block beside the stores.
pub fn with_encrypt(mut state: Value) -> Value {
    let variable = serde_json::json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" });
    let old = serde_json::json!({ "anyOf": [variable, { "type": "array", "items": variable }] });
    state["properties"][ENCRYPT] = serde_json::json!({
        "type": "object",
        "description": "Which variables of the environment hold the keys that the state is encrypted with.",
        "required": [KEY_ENV],
        "additionalProperties": false,
        "properties": { KEY_ENV: variable, OLD_KEY_ENV: old },
    });
    // One more than the stores: which of them go together is theirs to say.
    if let Some(most) = state["maxProperties"].as_u64() {
        state["maxProperties"] = (most + 1).into();
    }
    state
}

fn form() -> String {
    "write `encrypt: { key_env: NAME }`, with the name of a variable of the environment that holds the key".into()
}

/// What it says is not repeated if it is no name: it may be the key itself.
fn name(key: &str, value: &Value) -> Result<String, LocationError> {
    match value.as_str().filter(|it| is_variable(it)) {
        Some(name) => Ok(name.to_owned()),
        None => Err(wrong(
            &format!(
                "`{key}` is no name of a variable; what it says is not shown, since it may be a secret"
            ),
            "write the name of a variable of the environment that holds the key".into(),
        )),
    }
}

fn wrong(what: &str, remedy: String) -> LocationError {
    LocationError { what: what.into(), remedy }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::StateEncryption;

    #[test]
    fn parse_reads_names_and_repeats_nothing_that_may_be_a_key() {
        for (declared, written) in [
            (json!({ "key_env": "SHOP_KEY" }), "encrypt: { key_env: SHOP_KEY }"),
            (
                json!({ "key_env": "NEW", "old_key_env": "OLD" }),
                "encrypt: { key_env: NEW, old_key_env: OLD }",
            ),
            (
                json!({ "key_env": "NEW", "old_key_env": ["A", "B"] }),
                "encrypt: { key_env: NEW, old_key_env: [A, B] }",
            ),
        ] {
            let read = StateEncryption::parse(&declared).unwrap();
            assert_eq!(read.written(), written);
        }
        let mut said = Vec::new();
        for declared in [
            json!("SHOP_KEY"),
            json!({}),
            json!({ "key": "SHOP_KEY" }),
            json!({ "key_env": "c2VjcmV0+c2VjcmV0/c2VjcmV0==" }),
            json!({ "key_env": 7 }),
            json!({ "key_env": "A", "old_key_env": ["A"] }),
            json!({ "key_env": "A", "old_key_env": { "B": 1 } }),
        ] {
            said.push(StateEncryption::parse(&declared).unwrap_err().to_string());
        }
        said.push(StateEncryption::with("0a").unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n"), @"
`encrypt` is no map; write `encrypt: { key_env: NAME }`, with the name of a variable of the environment that holds the key
`encrypt` does not say which variable holds the key; write `encrypt: { key_env: NAME }`, with the name of a variable of the environment that holds the key
`encrypt` has no key `key`; did you mean `key_env`?
`key_env` is no name of a variable; what it says is not shown, since it may be a secret; write the name of a variable of the environment that holds the key
`key_env` is no name of a variable; what it says is not shown, since it may be a secret; write the name of a variable of the environment that holds the key
`old_key_env` names A as well, which holds the new key; name the variable that holds the old key
`old_key_env` is no name of a variable; what it says is not shown, since it may be a secret; write the name of a variable of the environment that holds the key
`encrypt` is no name of a variable; what it says is not shown, since it may be a secret; write the name of a variable of the environment that holds the key
");
    }
}
