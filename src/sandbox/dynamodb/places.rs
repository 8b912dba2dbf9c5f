//! Regions, resource names and ids: all of them computed, none of them random.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::http::Millis;

/// The one account of the sandbox.
pub const ACCOUNT: &str = "000000000000";

/// Where tables may be; anything else is no region, as on the real service.
pub const REGIONS: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ca-central-1",
    "ca-west-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

pub fn is_region(name: &str) -> bool {
    REGIONS.contains(&name)
}

pub fn table_arn(region: &str, name: &str) -> String {
    format!("arn:aws:dynamodb:{region}:{ACCOUNT}:table/{name}")
}

/// The ARN of a key given as id, alias or ARN; the same words always name the same key.
pub fn key_arn(region: &str, key: &str) -> String {
    if key.starts_with("arn:") && key.contains(":key/") {
        return key.to_owned();
    }
    let id = match key.rsplit_once("alias/") {
        Some((_, alias)) => uuid_of(&["alias", region, alias]),
        None => key.to_owned(),
    };
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}")
}

/// The service's own key, used when encryption is asked for without one.
pub fn managed_key_arn(region: &str) -> String {
    key_arn(region, "alias/aws/dynamodb")
}

/// A UUID (version 4 in shape) drawn from these words.
pub fn uuid_of(words: &[&str]) -> String {
    let mut bytes = digest(words);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = HEXLOWER.encode(&bytes[..16]);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

/// 52 characters like those of `x-amzn-requestid`.
pub fn request_id(words: &[&str]) -> String {
    BASE32_NOPAD.encode(&digest(words))
}

fn digest(words: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.as_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// `2026-11-22T10:00:00.123`, the label of a stream enabled at that time.
pub fn stream_label(at: Millis) -> String {
    instant(at).strftime("%Y-%m-%dT%H:%M:%S%.3f").to_string()
}

/// `Sunday, November 22, 2026 at 10:00:00 AM UTC`, as limits name times.
pub fn spoken_time(at: Millis) -> String {
    instant(at).strftime("%A, %B %-d, %Y at %-I:%M:%S %p UTC").to_string()
}

/// `2026-11-22T10:00:00.123Z`.
pub fn iso_time(at: Millis) -> String {
    instant(at).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn instant(at: Millis) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at).unwrap_or_default()
}
