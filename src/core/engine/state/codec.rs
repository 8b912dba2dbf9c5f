//! The bytes of state and journal: one record or entry per line of JSON, each line checked, versions refused when newer.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::address::Address;
use crate::engine::state::journal::{JournalEntry, StepOutcome};
use crate::engine::state::record::{Phase, Record, State};

/// The newest version that this program reads. What says nothing new is written as the oldest version that can say it, so
/// that an older program goes on reading it: a state and an entry of 1.5 and before are version 1.
pub const VERSION: u32 = 2;

/// Why bytes are not a state or an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("its format is version {0}, but this version of lifeboat reads up to {VERSION}")]
    Newer(u32),
    #[error("line {line}: {why}")]
    Damaged { line: usize, why: String },
    #[error("line {line}: the checksum does not match")]
    Checksum { line: usize },
    #[error("it is truncated")]
    Torn,
    #[error("it does not continue the entries before it")]
    Chain,
    #[error(
        "it is encrypted in version {0} of the form, but this version of lifeboat reads version 1"
    )]
    NewerSeal(u32),
    #[error("it is in plain text, though everything beside it is encrypted")]
    Unsealed,
    #[error("it was encrypted as {name}, and is in the place of something else")]
    Misplaced { name: String },
    #[error("the key {key} does not open it: it was altered or cut short")]
    Altered { key: String },
}

/// The first line of a snapshot.
#[derive(Serialize)]
struct Header<'a> {
    version: u32,
    #[serde(flatten)]
    state: &'a State,
}

/// A line of a snapshot.
#[derive(Serialize, Deserialize)]
struct RecordLine<A, R> {
    address: A,
    record: R,
}

/// A line of a journal.
#[derive(Serialize, Deserialize)]
struct EntryLine<E> {
    version: u32,
    sequence: u64,
    entry: E,
}

/// First eight hexadecimal digits of SHA-256: finds damage, not malice.
fn checksum(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes)[..4])
}

/// A line with its checksum in front.
fn seal(json: &str) -> String {
    format!("{} {json}\n", checksum(json.as_bytes()))
}

/// A line of JSON with its checksum in front and its end.
pub fn seal_line<T: Serialize>(it: &T) -> String {
    seal(&json(it))
}

/// The JSON of a line without its end, if its checksum holds.
pub fn open_line(line: &str, number: usize) -> Result<&str, CodecError> {
    open(line, number)
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

/// The oldest version that can say what a state says.
pub fn format_version(state: &State) -> u32 {
    let of_switch = state.switch.as_ref().is_some_and(|it| !it.failures.is_empty());
    let of_run = state.last_run.as_ref();
    let tells_failures =
        of_switch || of_run.is_some_and(|it| it.incomplete || !it.failures.is_empty());
    let is_new = state.phase == Phase::Degraded
        || !state.tasks.is_empty()
        || !state.used_allowances.is_empty()
        || tells_failures;
    if is_new { 2 } else { 1 }
}

/// The bytes of a snapshot: a header, a line per record, a last line.
pub fn encode_state(state: &State) -> Vec<u8> {
    let version = format_version(state);
    let mut text = seal(&json(&Header { version, state }));
    for (address, record) in &state.records {
        text.push_str(&seal(&json(&RecordLine { address, record })));
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
    let version: StateVersion = serde_json::from_str(first).map_err(damaged(1))?;
    if version.version > VERSION {
        return Err(CodecError::Newer(version.version));
    }
    let mut state: State = serde_json::from_str(first).map_err(damaged(1))?;
    let mut records = Vec::new();
    for (number, line) in lines {
        let line = open(line, number)?;
        let line: RecordLine<Address, Record> = match serde_json::from_str(line) {
            Ok(line) => line,
            Err(why) => {
                let last: Last = serde_json::from_str(line).map_err(|_| damaged(number)(why))?;
                // In order, as they are written, they fill the map without a search for each.
                state.records = records.into_iter().collect();
                let is_whole = last.end == state.records.len();
                return if is_whole { Ok(state) } else { Err(CodecError::Torn) };
            }
        };
        records.push((line.address, line.record));
    }
    Err(CodecError::Torn)
}

/// One line of the journal.
pub fn encode_entry(sequence: u64, entry: &JournalEntry) -> String {
    let is_new = matches!(
        entry,
        JournalEntry::UsersMoved { .. }
            | JournalEntry::UsersAway { .. }
            | JournalEntry::AllowancesUsed { .. }
            | JournalEntry::GateSkipped { .. }
            | JournalEntry::TaskBegan { .. }
            | JournalEntry::TaskEnded { .. }
            | JournalEntry::Ended { outcome: StepOutcome::Withdrawn, .. }
    );
    let version = if is_new { 2 } else { 1 };
    seal(&json(&EntryLine { version, sequence, entry }))
}

/// What a journal holds before its end, or before what is damaged.
#[derive(Debug, Default)]
pub struct JournalRead {
    pub entries: Vec<(u64, JournalEntry)>,
    /// How many bytes they take: what follows is a torn tail, or damaged.
    pub whole: usize,
    /// What is wrong with the line that begins there, unless it is only torn.
    pub damage: Option<CodecError>,
}

/// Every entry up to the first that is not whole.
pub fn read_journal(bytes: &[u8]) -> JournalRead {
    let mut read = JournalRead::default();
    for (at, line) in bytes.split_inclusive(|it| *it == b'\n').enumerate() {
        let is_last = read.whole + line.len() == bytes.len();
        // Only a line without its end is torn; a whole one that does not check was acknowledged.
        let is_torn = is_last && !line.ends_with(b"\n");
        match entry_of(line, at + 1) {
            Ok(entry) => read.entries.push(entry),
            Err(why) => {
                read.damage = Some(why).filter(|_| !is_torn);
                break;
            }
        }
        read.whole += line.len();
    }
    read
}

/// Every whole entry, and how many bytes they take: what follows is a torn tail.
pub fn decode_journal(bytes: &[u8]) -> Result<(Vec<(u64, JournalEntry)>, usize), CodecError> {
    let JournalRead { entries, whole, damage } = read_journal(bytes);
    match damage {
        None => Ok((entries, whole)),
        Some(why) => Err(why),
    }
}

/// The highest number of an entry that can be read, whatever is damaged before it.
pub fn last_number(bytes: &[u8]) -> u64 {
    let lines = bytes.split_inclusive(|it| *it == b'\n').enumerate();
    lines.filter_map(|(at, line)| Some(entry_of(line, at + 1).ok()?.0)).max().unwrap_or(0)
}

fn entry_of(line: &[u8], number: usize) -> Result<(u64, JournalEntry), CodecError> {
    let whole = std::str::from_utf8(line).ok().and_then(|it| it.strip_suffix('\n'));
    let json = open(whole.ok_or(CodecError::Checksum { line: number })?, number)?;
    let version: StateVersion = serde_json::from_str(json).map_err(damaged(number))?;
    if version.version > VERSION {
        return Err(CodecError::Newer(version.version));
    }
    let line: EntryLine<JournalEntry> = serde_json::from_str(json).map_err(damaged(number))?;
    Ok((line.sequence, line.entry))
}

fn json<T: Serialize>(it: &T) -> String {
    serde_json::to_string(it).expect("plain data serialises")
}

#[derive(Deserialize)]
struct StateVersion {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    end: usize,
}
