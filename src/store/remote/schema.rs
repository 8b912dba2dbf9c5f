//! The JSON Schema of `state:` in a stack file, for editors.

use serde_json::{Map, Value, json};

use crate::store::remote::location::{KEYS, StoreProtocol};

/// Values are plain texts: they are read before anything else is.
pub fn state_schema() -> Value {
    let mut stores = Map::new();
    for protocol in StoreProtocol::ALL {
        let container = protocol.container_word();
        let keys: Map<String, Value> = KEYS
            .into_iter()
            .chain([container])
            .map(|it| (it.to_owned(), json!({ "type": "string" })))
            .collect();
        let store = json!({ "type": "object", "required": [container], "additionalProperties": false, "properties": keys });
        stores.insert(protocol.as_str().into(), store);
    }
    let one = json!({
        "type": "object",
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
        "properties": stores,
    });
    for (key, what) in [
        ("mirror", "A second copy, in another fault domain."),
        (
            "witness",
            "A third store in a fault domain of its own, which decides whether one copy goes on without the other.",
        ),
    ] {
        let mut described = one.clone();
        described["description"] = what.into();
        stores.insert(key.into(), described);
    }
    let containers: Vec<Value> =
        StoreProtocol::ALL.into_iter().map(|it| json!({ "required": [it.as_str()] })).collect();
    json!({
        "type": "object",
        "description": "Where the state is kept; without it, in the folder `state`.",
        "additionalProperties": false,
        "oneOf": containers,
        "properties": stores,
    })
}
