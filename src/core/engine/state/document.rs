//! A whole state as one document of JSON, which people carry from one store to another: versioned, and with a digest of what is in it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use crate::engine::address::Address;
use crate::engine::state::codec::{VERSION, format_version};
use crate::engine::state::record::{Record, State};

/// The newest version of the document itself that this program reads; what is inside has a version of its own.
pub const DOCUMENT_VERSION: u32 = 1;

/// Why a text is no state that can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error(
        "it was written by a newer lifeboat: its format is version {found}, and this one reads up to {known}"
    )]
    Newer { found: u64, known: u32 },
    #[error("it is damaged: its digest is {found}, and it says {told}")]
    Digest { found: String, told: String },
    #[error("it is no document of `state pull`: {why}")]
    Malformed { why: String },
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    digest: String,
    state: &'a Json,
}

#[derive(Deserialize)]
struct Envelope {
    digest: String,
    state: Json,
}

const RECORDS: &str = "records";

fn malformed(why: impl ToString) -> DocumentError {
    DocumentError::Malformed { why: why.to_string() }
}

/// Of the state in one line, whatever white space the document has.
fn digest(state: &Json) -> String {
    let text = state.to_string();
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())))
}

/// The document of a state, its records by address.
pub fn encode_document(state: &State) -> String {
    let plain = "plain data serialises";
    let mut map = Map::new();
    map.insert("version".into(), format_version(state).into());
    if let Json::Object(header) = serde_json::to_value(state).expect(plain) {
        map.extend(header);
    }
    let records = state.records.iter();
    let records =
        records.map(|(address, it)| (address.to_string(), serde_json::to_value(it).expect(plain)));
    map.insert(RECORDS.into(), Json::Object(records.collect()));
    let state = Json::Object(map);
    let document = Document { version: DOCUMENT_VERSION, digest: digest(&state), state: &state };
    serde_json::to_string_pretty(&document).expect(plain) + "\n"
}

/// Reads a document; what is newer, damaged or something else is refused.
pub fn decode_document(text: &str) -> Result<State, DocumentError> {
    let whole: Json = serde_json::from_str(text).map_err(malformed)?;
    supported(&whole, DOCUMENT_VERSION)?;
    let Envelope { digest: told, mut state } = serde_json::from_value(whole).map_err(malformed)?;
    supported(&state, VERSION)?;
    let found = digest(&state);
    if found != told {
        return Err(DocumentError::Digest { found, told });
    }
    let records = state.as_object_mut().and_then(|it| it.shift_remove(RECORDS));
    let Some(Json::Object(records)) = records else {
        return Err(malformed("`records` is missing"));
    };
    let mut state: State = serde_json::from_value(state).map_err(malformed)?;
    for (address, record) in records {
        let address: Address = address.parse().map_err(malformed)?;
        let record: Record = serde_json::from_value(record).map_err(malformed)?;
        state.records.insert(address, record);
    }
    Ok(state)
}

/// Whether this program reads that version.
fn supported(it: &Json, known: u32) -> Result<(), DocumentError> {
    let version = it.get("version").and_then(Json::as_u64);
    let found = version.ok_or_else(|| malformed("`version` is missing"))?;
    if found > u64::from(known) {
        return Err(DocumentError::Newer { found, known });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{DocumentError, decode_document, encode_document};
    use crate::engine::state::record::{Record, State};
    use crate::engine::value::{Attributes, LineageKey, Value};

    fn shop() -> State {
        let mut state = State::new("shop", None, "clouds", "l", LineageKey(vec![1]));
        state.serial = 4;
        let record = |label: &str| Record {
            kind: "linode.nodebalancer".into(),
            id: "7".into(),
            attributes: Attributes::from([("label".to_owned(), Value::text(label))]),
            outputs: Attributes::new(),
            needs: Vec::new(),
            ready: true,
            protected: false,
            retained: false,
            leaving: false,
            since: 1,
            deposed: None,
            tried: Attributes::new(),
        };
        for (address, label) in [("a", "1"), ("b[\"x y\"]", "2\u{202e}")] {
            state.records.insert(address.parse().unwrap(), record(label));
        }
        state
    }

    #[test]
    fn decode_document_reads_what_was_written_and_refuses_the_rest() {
        let mut state = shop();
        state.variables.insert("ratio".into(), Value::Float(0.1 + 0.2));
        let text = encode_document(&state);
        assert_eq!(decode_document(&text), Ok(state.clone()));
        // What programs do to it on the way changes nothing.
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(decode_document(&json.to_string()), Ok(state));
        for cut in (0..text.trim_end().len()).filter(|it| text.is_char_boundary(*it)) {
            decode_document(&text[..cut]).unwrap_err();
        }
        let other = text.replace("\"serial\": 4", "\"serial\": 5");
        assert!(matches!(decode_document(&other), Err(DocumentError::Digest { .. })), "{other}");
        let newer = |from: &str, to: &str| {
            let text = text.replacen(from, to, 1);
            decode_document(&text).unwrap_err().to_string()
        };
        insta::assert_snapshot!(newer("\"version\": 1", "\"version\": 9"), @"it was written by a newer lifeboat: its format is version 9, and this one reads up to 1");
        let inner = newer("\"state\": {\n    \"version\": 1", "\"state\": {\n    \"version\": 9");
        insta::assert_snapshot!(inner, @"it was written by a newer lifeboat: its format is version 9, and this one reads up to 2");
        for other in
            ["", "[]", "{}", "{\"version\":1}", "{\"version\":1,\"digest\":\"x\",\"state\":{}}"]
        {
            assert!(
                matches!(decode_document(other), Err(DocumentError::Malformed { .. })),
                "{other}"
            );
        }
    }
}
