//! Snapshots and journals: whatever the bytes are, what is read is what would be written, and a cut journal is a prefix.
//!
//! Each line may stand without its checksum: it gets one, so that the fuzzer comes past the first check.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lifeboat_core::engine::state::codec::{
    decode_state, encode_entry, encode_state, last_number, read_journal,
};
use lifeboat_core::engine::state::journal::replay;
use sha2::{Digest, Sha256};

fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in bytes.split_inclusive(|it| *it == b'\n') {
        let json = match line.iter().position(|it| *it == b'{') {
            Some(at) => &line[at..],
            None => line,
        };
        let json = json.strip_suffix(b"\n").unwrap_or(json);
        let sum = data_encoding::HEXLOWER.encode(&Sha256::digest(json)[..4]);
        out.extend_from_slice(sum.as_bytes());
        out.push(b' ');
        out.extend_from_slice(json);
        if line.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
    out
}

fn check(bytes: &[u8]) {
    if let Ok(state) = decode_state(bytes) {
        let written = encode_state(&state);
        let read = decode_state(&written).expect("what is written is read");
        assert_eq!(state, read);
    }
    let read = read_journal(bytes);
    assert!(read.whole <= bytes.len());
    let prefix = read_journal(&bytes[..read.whole]);
    assert_eq!(prefix.entries, read.entries);
    assert!(prefix.damage.is_none(), "{:?}", prefix.damage);
    assert!(last_number(bytes) >= read.entries.iter().map(|it| it.0).max().unwrap_or(0));
    let mut state = None;
    for (sequence, entry) in &read.entries {
        let line = encode_entry(*sequence, entry);
        assert_eq!(read_journal(line.as_bytes()).entries, [(*sequence, entry.clone())]);
        state = replay(state, *sequence, entry);
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&sealed(bytes));
});
