//! What is carried for the night when nothing else is there: a state, its layers and files, and what each failover would do, in one file with a version and a digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// The newest version that this program reads.
pub const BUNDLE_VERSION: u32 = 1;

/// Why bytes are no bundle that can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error(
        "it was written by a different lifeboat version: its format is version {found}, and this one reads version {BUNDLE_VERSION}"
    )]
    Version { found: u64 },
    #[error("it is damaged: its digest is {found}, and it says {told}")]
    Digest { found: String, told: String },
    #[error("it is no bundle of `state export`, or only a part of one: {why}")]
    Malformed { why: String },
}

/// One file of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledFile {
    /// In base64.
    bytes: String,
    /// A task may run it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_program: bool,
}

/// What one overlay would do, as of when the bundle was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundledPlan {
    pub assumes_lost: Vec<String>,
    /// The plan, as `plan --out` saves it.
    pub plan: Option<String>,
    /// Why there is none.
    pub why: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryBundle {
    /// `shop`
    pub stack: String,
    /// In milliseconds since the Unix epoch.
    pub made_at: i64,
    pub by: String,
    /// The version of lifeboat that made it.
    pub lifeboat: String,
    /// The digest of the program that made it.
    pub program: String,
    /// Where the state is, for people.
    pub store: String,
    pub serial: u64,
    pub lineage: String,
    /// The document of the state.
    pub state: String,
    /// By their paths below the root.
    pub files: BTreeMap<String, BundledFile>,
    pub plans: BTreeMap<String, BundledPlan>,
}

#[derive(Serialize)]
struct WrittenBundle<'a> {
    bundle_version: u32,
    digest: String,
    bundle: &'a Json,
}

#[derive(Deserialize)]
struct ReadBundle {
    digest: String,
    bundle: Json,
}

impl BundledFile {
    pub fn new(bytes: &[u8], is_program: bool) -> Self {
        Self { bytes: data_encoding::BASE64.encode(bytes), is_program }
    }

    /// `None` if it is not what was written.
    pub fn content(&self) -> Option<Vec<u8>> {
        data_encoding::BASE64.decode(self.bytes.as_bytes()).ok()
    }
}

/// SHA-256, as people compare it.
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)))
}

/// The text of a bundle.
pub fn encode_bundle(bundle: &RecoveryBundle) -> String {
    let plain = "plain data serialises";
    let bundle = serde_json::to_value(bundle).expect(plain);
    let digest = sha256(bundle.to_string().as_bytes());
    let written = WrittenBundle { bundle_version: BUNDLE_VERSION, digest, bundle: &bundle };
    serde_json::to_string_pretty(&written).expect(plain) + "\n"
}

/// Reads a bundle; one of another version, a damaged one and anything else is refused.
pub fn decode_bundle(bytes: &[u8]) -> Result<RecoveryBundle, BundleError> {
    let malformed = |why: serde_json::Error| BundleError::Malformed { why: why.to_string() };
    let whole: Json = serde_json::from_slice(bytes).map_err(malformed)?;
    let version = whole.get("bundle_version").and_then(Json::as_u64);
    let missing = || BundleError::Malformed { why: "`bundle_version` is missing".into() };
    let found = version.ok_or_else(missing)?;
    if found != u64::from(BUNDLE_VERSION) {
        return Err(BundleError::Version { found });
    }
    let ReadBundle { digest: told, bundle } = serde_json::from_value(whole).map_err(malformed)?;
    let found = sha256(bundle.to_string().as_bytes());
    if found != told {
        return Err(BundleError::Digest { found, told });
    }
    serde_json::from_value(bundle).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::{BundledFile, BundledPlan, RecoveryBundle, decode_bundle, encode_bundle};

    fn bundle() -> RecoveryBundle {
        let plan = |plan: Option<&str>, why: Option<&str>| BundledPlan {
            assumes_lost: vec!["linode:us-east".into()],
            plan: plan.map(Into::into),
            why: why.map(Into::into),
        };
        RecoveryBundle {
            stack: "shop".into(),
            made_at: 1,
            by: "ann".into(),
            lifeboat: "0.1.0".into(),
            program: "sha256:0".into(),
            store: "s3://shop".into(),
            serial: 4,
            lineage: "l".into(),
            state: "{}".into(),
            files: [("stacks/shop/run.sh".into(), BundledFile::new(b"\xff", true))].into(),
            plans: [
                ("eu".into(), plan(Some("{}"), None)),
                ("us".into(), plan(None, Some("unreachable"))),
            ]
            .into(),
        }
    }

    #[test]
    fn decode_bundle_reads_what_was_written() {
        let written = encode_bundle(&bundle());
        let read = decode_bundle(written.as_bytes()).unwrap();
        assert_eq!(read, bundle());
        assert_eq!(read.files["stacks/shop/run.sh"].content().unwrap(), b"\xff");
    }

    #[test]
    fn decode_bundle_refuses_what_is_torn_altered_or_of_another_version() {
        let written = encode_bundle(&bundle());
        for cut in [0, 1, written.len() / 2, written.len() - 3] {
            decode_bundle(&written.as_bytes()[..cut]).unwrap_err();
        }
        let mut said = Vec::new();
        for wrong in [
            written.replace("\"bundle_version\": 1", "\"bundle_version\": 2"),
            written.replace("\"serial\": 4", "\"serial\": 5"),
            "{}".into(),
            "stack: shop".into(),
        ] {
            said.push(decode_bundle(wrong.as_bytes()).unwrap_err().to_string());
        }
        insta::assert_snapshot!(said.join("\n"), @"
it was written by a different lifeboat version: its format is version 2, and this one reads version 1
it is damaged: its digest is sha256:2d48f9bb18b51d62c23523319711b5e21aba8d4d99da849f522aef6aa279754b, and it says sha256:676ed1218c1ab0db5419190c5d2251ada4160c51bdd857b5503aed4adbddde7b
it is no bundle of `state export`, or only a part of one: `bundle_version` is missing
it is no bundle of `state export`, or only a part of one: expected value at line 1 column 1
");
    }
}
