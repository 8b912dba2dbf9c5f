//! What a task printed: the end of it is kept, however much it was.

use std::collections::VecDeque;

/// How much of it is kept, in bytes: some thousand lines, and what went wrong is said last.
pub const KEPT_BYTES: usize = 64 * 1024;

/// The end of an output that may be endless.
#[derive(Debug, Default)]
pub struct KeptOutput {
    kept: VecDeque<u8>,
    /// How many bytes were dropped before what is kept.
    dropped: u64,
}

impl KeptOutput {
    pub fn push(&mut self, bytes: &[u8]) {
        let bytes = match bytes.len().checked_sub(KEPT_BYTES) {
            Some(more) => {
                self.dropped += more as u64;
                &bytes[more..]
            }
            None => bytes,
        };
        let more = (self.kept.len() + bytes.len()).saturating_sub(KEPT_BYTES);
        self.dropped += self.kept.drain(..more).len() as u64;
        self.kept.extend(bytes);
    }

    /// As text. Of a line that was cut nothing is told: a part of a secret is not known for one.
    pub fn text(&self) -> String {
        let bytes: Vec<u8> = self.kept.iter().copied().collect();
        if self.dropped == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        let end = bytes.iter().position(|it| *it == b'\n').map_or(bytes.len(), |it| it + 1);
        let dropped = self.dropped + end as u64;
        let rest = String::from_utf8_lossy(&bytes[end..]);
        format!("({dropped} bytes before this were not kept)\n{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_BYTES, KeptOutput};

    #[test]
    fn text_keeps_the_end_and_counts_the_rest() {
        let mut output = KeptOutput::default();
        output.push(b"one\ntwo\n");
        assert_eq!(output.text(), "one\ntwo\n");
        for _ in 0..300 {
            output.push(&[b'x'; 1000]);
        }
        output.push(b"\nlast\n");
        assert!(output.kept.len() <= KEPT_BYTES);
        assert_eq!(output.text(), "(300009 bytes before this were not kept)\nlast\n");
        output.push(&vec![b'\n'; 3 * KEPT_BYTES]);
        assert_eq!(output.kept.len(), KEPT_BYTES);
    }
}
