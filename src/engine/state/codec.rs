//! The bytes of state and journal: one record or entry per line of JSON, each line checked, versions refused when newer.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::state::journal::Entry;
pub use crate::engine::state::json::{CodecError, VERSION};
use crate::engine::state::json::{EntryLine, Header, RecordLine, address};
use crate::engine::state::record::State;

/// First eight hexadecimal digits of SHA-256: finds damage, not malice.
fn checksum(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)[..4])
}

/// A line with its checksum in front.
fn seal(json: &str) -> String {
    format!("{} {json}\n", checksum(json.as_bytes()))
}

fn open(line: &str, number: usize) -> Result<&str, CodecError> {
    let (sum, json) = line.split_once(' ').ok_or(CodecError::Checksum { line: number })?;
    if sum == checksum(json.as_bytes()) {
        Ok(json)
    } else {
        Err(CodecError::Checksum { line: number })
    }
}

fn damaged(line: usize) -> impl FnOnce(serde_json::Error) -> CodecError {
    move |why| CodecError::Damaged { line, why: why.to_string() }
}

/// The bytes of a snapshot: a header, a line per record, a last line.
pub fn encode_state(state: &State) -> Vec<u8> {
    let mut text = seal(&json(&Header::from(state)));
    for (address, record) in &state.records {
        text.push_str(&seal(&json(&RecordLine {
            address: address.to_string(),
            record: record.into(),
        })));
    }
    text.push_str(&seal(&json(&Last { end: state.records.len() })));
    text.into_bytes()
}

/// Reads a snapshot; anything but a whole one is refused.
pub fn decode_state(bytes: &[u8]) -> Result<State, CodecError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| CodecError::Damaged { line: 1, why: "it is not UTF-8".into() })?;
    let mut lines = text.split_terminator('\n').enumerate().map(|(at, line)| (at + 1, line));
    let (_, first) = lines.next().ok_or(CodecError::Torn)?;
    let first = open(first, 1)?;
    let version: Version = serde_json::from_str(first).map_err(damaged(1))?;
    if version.version > VERSION {
        return Err(CodecError::Newer(version.version));
    }
    let header: Header = serde_json::from_str(first).map_err(damaged(1))?;
    let mut state = header.into_state(1)?;
    let mut records = Vec::new();
    for (number, line) in lines {
        let line = open(line, number)?;
        let line: RecordLine = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(why) => {
                let last: Last = serde_json::from_str(line).map_err(|_| damaged(number)(why))?;
                // In order, as they are written, they fill the map without a search for each.
                state.records = records.into_iter().collect();
                let is_whole = last.end == state.records.len();
                return if is_whole { Ok(state) } else { Err(CodecError::Torn) };
            }
        };
        let address = address(&line.address, number)?;
        records.push((address, line.record.into_record(number)?));
    }
    Err(CodecError::Torn)
}

/// One line of the journal.
pub fn encode_entry(sequence: u64, entry: &Entry) -> String {
    seal(&json(&EntryLine { version: VERSION, sequence, entry: entry.into() }))
}

/// Every whole entry, and how many bytes they take: what follows is a torn tail.
pub fn decode_journal(bytes: &[u8]) -> Result<(Vec<(u64, Entry)>, usize), CodecError> {
    let mut entries = Vec::new();
    let mut good = 0;
    for (at, line) in bytes.split_inclusive(|it| *it == b'\n').enumerate() {
        let number = at + 1;
        let is_last = good + line.len() == bytes.len();
        let whole = std::str::from_utf8(line).ok().and_then(|it| it.strip_suffix('\n'));
        let opened = whole.ok_or(CodecError::Torn).and_then(|it| open(it, number));
        let json = match opened {
            Ok(json) => json,
            // Only a line without its end is torn; a whole one that does not check was acknowledged.
            Err(_) if is_last && whole.is_none() => break,
            Err(why) => return Err(why),
        };
        let version: Version = serde_json::from_str(json).map_err(damaged(number))?;
        if version.version > VERSION {
            return Err(CodecError::Newer(version.version));
        }
        let line_of: EntryLine = serde_json::from_str(json).map_err(damaged(number))?;
        entries.push((line_of.sequence, line_of.entry.into_entry(number)?));
        good += line.len();
    }
    Ok((entries, good))
}

fn json<T: Serialize>(it: &T) -> String {
    serde_json::to_string(it).expect("plain data serialises")
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    end: usize,
}
