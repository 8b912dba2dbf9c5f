//! The bytes of a log that is kept in objects: a head that says what is in place, and batches of entries, each of which names the digest of the one before.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::state::codec::{CodecError, JournalRead, open_line, read_journal, seal_line};
use crate::engine::state::journal::JournalEntry;

/// The newest version of heads and batches that this program reads.
pub const CHAIN_VERSION: u32 = 1;

/// How many hexadecimal digits of a SHA-256 are kept: 128 bits, far more than chance needs.
const DIGEST_DIGITS: usize = 32;

/// What is in place, in the one object that is replaced under its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// The epoch of the last holder that fenced off the ones before it.
    pub epoch: u64,
    /// The serial of the snapshot.
    #[serde(default)]
    pub serial: u64,
    /// The number of the last entry that the snapshot holds: what has a lower number is not read.
    #[serde(default)]
    pub sequence: u64,
    /// The digest of the batch that ended with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The digest of the snapshot in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What was in place, the oldest first; the last one is in place now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub saved: Vec<SavedRun>,
}

/// A snapshot, and the entries that led to it, by their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRun {
    pub serial: u64,
    pub snapshot: String,
    pub entries: String,
}

/// The first line of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    /// The number of its first entry.
    pub first: u64,
    /// The number of its last entry.
    pub last: u64,
    pub epoch: u64,
    /// The digest of the batch before, unless this is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// A batch as it was read.
#[derive(Debug)]
pub struct ReadBatch {
    pub header: BatchHeader,
    pub entries: Vec<(u64, JournalEntry)>,
    /// Where its entries begin.
    pub lines_at: usize,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    it: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

impl LogHead {
    /// The head of a log that holds nothing yet.
    pub fn empty(epoch: u64) -> Self {
        Self { epoch, serial: 0, sequence: 0, chain: None, digest: None, saved: Vec::new() }
    }

    /// The name of the snapshot in place.
    pub fn snapshot(&self) -> Option<&str> {
        self.saved.last().map(|it| it.snapshot.as_str())
    }
}

/// What stands for these bytes.
pub fn digest_of(bytes: &[u8]) -> String {
    let mut digest = data_encoding::HEXLOWER.encode(&Sha256::digest(bytes));
    digest.truncate(DIGEST_DIGITS);
    digest
}

pub fn encode_head(head: &LogHead) -> Vec<u8> {
    encode_header(head, CHAIN_VERSION)
}

/// One sealed line with a version.
pub(super) fn encode_header<T: Serialize>(it: &T, version: u32) -> Vec<u8> {
    seal_line(&Versioned { version, it }).into_bytes()
}

pub fn decode_head(bytes: &[u8]) -> Result<LogHead, CodecError> {
    decode_header(bytes, CHAIN_VERSION)
}

/// What is one sealed line with a version.
pub(super) fn decode_header<T: for<'a> Deserialize<'a>>(
    bytes: &[u8],
    known: u32,
) -> Result<T, CodecError> {
    let text = std::str::from_utf8(bytes).map_err(|_| not_text())?;
    header(text.strip_suffix('\n').ok_or(CodecError::Torn)?, known)
}

/// The bytes of a batch: its header, and a sealed line for each entry.
pub fn encode_batch(header: &BatchHeader, lines: &str) -> Vec<u8> {
    let mut text = seal_line(&Versioned { version: CHAIN_VERSION, it: header });
    text.push_str(lines);
    text.into_bytes()
}

/// Reads a batch; anything but a whole one with the entries that its header names is refused.
pub fn decode_batch(bytes: &[u8]) -> Result<ReadBatch, CodecError> {
    let lines_at = bytes.iter().position(|it| *it == b'\n').ok_or(CodecError::Torn)? + 1;
    let first = std::str::from_utf8(&bytes[..lines_at - 1]).map_err(|_| not_text())?;
    let header: BatchHeader = header(first, CHAIN_VERSION)?;
    let JournalRead { entries, whole, damage } = read_journal(&bytes[lines_at..]);
    if let Some(why) = damage {
        return Err(why);
    }
    let numbers = entries.iter().map(|(at, _)| *at);
    if lines_at + whole != bytes.len() || !numbers.eq(header.first..=header.last) {
        return Err(CodecError::Torn);
    }
    Ok(ReadBatch { header, entries, lines_at })
}

fn header<T: for<'a> Deserialize<'a>>(line: &str, known: u32) -> Result<T, CodecError> {
    let json = open_line(line, 1)?;
    let damaged = |why: serde_json::Error| CodecError::Damaged { line: 1, why: why.to_string() };
    let version: VersionOnly = serde_json::from_str(json).map_err(damaged)?;
    if version.version > known {
        return Err(CodecError::Newer(version.version));
    }
    let read: Versioned<T> = serde_json::from_str(json).map_err(damaged)?;
    Ok(read.it)
}

fn not_text() -> CodecError {
    CodecError::Damaged { line: 1, why: "it is not UTF-8".into() }
}

#[cfg(test)]
mod tests {
    use super::{
        BatchHeader, LogHead, SavedRun, decode_batch, decode_head, digest_of, encode_batch,
        encode_head,
    };
    use crate::engine::state::codec::{CodecError, encode_entry};
    use crate::engine::state::journal::JournalEntry;

    fn bound(account: &str) -> JournalEntry {
        JournalEntry::Bound { cloud: "linode".into(), account: account.into() }
    }

    #[test]
    fn head_reads_what_it_wrote_and_refuses_the_rest() {
        let saved = SavedRun { serial: 3, snapshot: "s".into(), entries: "e".into() };
        let head = LogHead {
            serial: 3,
            sequence: 42,
            chain: Some(digest_of(b"batch")),
            digest: Some(digest_of(b"snapshot")),
            saved: vec![saved],
            ..LogHead::empty(7)
        };
        let bytes = encode_head(&head);
        insta::assert_snapshot!(String::from_utf8_lossy(&bytes), @r#"50841167 {"version":1,"epoch":7,"serial":3,"sequence":42,"chain":"4bb24efc9641afc5ded1ca77eabb6e2f","digest":"16a0eeb0791b6c92451fd284dd9f599e","saved":[{"serial":3,"snapshot":"s","entries":"e"}]}"#);
        assert_eq!(decode_head(&bytes), Ok(head));
        for cut in 0..bytes.len() {
            decode_head(&bytes[..cut]).unwrap_err();
        }
        let newer = String::from_utf8(bytes).unwrap().replace("\"version\":1", "\"version\":9");
        assert!(matches!(decode_head(newer.as_bytes()), Err(CodecError::Checksum { .. })));
        let newer = crate::engine::state::codec::seal_line(&serde_json::json!({ "version": 9 }));
        assert_eq!(decode_head(newer.as_bytes()), Err(CodecError::Newer(9)));
    }

    #[test]
    fn batch_reads_what_it_wrote_and_refuses_the_rest() {
        let lines = [encode_entry(5, &bound("a")), encode_entry(6, &bound("b"))].concat();
        let header =
            BatchHeader { first: 5, last: 6, epoch: 2, previous: Some(digest_of(b"before")) };
        let bytes = encode_batch(&header, &lines);
        insta::assert_snapshot!(String::from_utf8_lossy(&bytes), @r#"
716ef72a {"version":1,"first":5,"last":6,"epoch":2,"previous":"6db7d803e74f1ffa7d8f5adc0bf95b3e"}
ac16e4e1 {"version":1,"sequence":5,"entry":{"bound":{"cloud":"linode","account":"a"}}}
1e1a592e {"version":1,"sequence":6,"entry":{"bound":{"cloud":"linode","account":"b"}}}
"#);
        let read = decode_batch(&bytes).unwrap();
        assert_eq!((read.header, read.entries.len()), (header.clone(), 2));
        assert_eq!(&bytes[read.lines_at..], lines.as_bytes());
        for cut in 0..bytes.len() {
            decode_batch(&bytes[..cut]).unwrap_err();
        }
        for wrong in [BatchHeader { first: 4, ..header.clone() }, BatchHeader { last: 7, ..header }]
        {
            decode_batch(&encode_batch(&wrong, &lines)).unwrap_err();
        }
    }
}
