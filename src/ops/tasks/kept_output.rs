//! What a task printed: the end of it is kept, however much it was.

use std::collections::VecDeque;

use crate::engine::text::plain::lines;
use crate::engine::text::redact::Redactor;

/// How much of it is kept, in bytes: some thousand lines, and what went wrong is said last.
pub const KEPT_BYTES: usize = 64 * 1024;

/// The end of an output that may be endless.
#[derive(Debug)]
pub struct KeptOutput {
    kept: VecDeque<u8>,
    /// How many bytes are held at a time: what is kept, and before it as much as one secret may have.
    held: usize,
    /// How many bytes were dropped before what is kept.
    dropped: u64,
}

impl KeptOutput {
    /// `reach`: the longest that a secret in it may be, in bytes.
    pub fn new(reach: usize) -> Self {
        Self { kept: VecDeque::new(), held: KEPT_BYTES + reach, dropped: 0 }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let bytes = match bytes.len().checked_sub(self.held) {
            Some(more) => {
                self.dropped += more as u64;
                &bytes[more..]
            }
            None => bytes,
        };
        let more = (self.kept.len() + bytes.len()).saturating_sub(self.held);
        self.dropped += self.kept.drain(..more).len() as u64;
        self.kept.extend(bytes);
    }

    /// As text in which nothing acts on a terminal, wherever it is printed later; redacted before it is cut: a part of a secret is
    /// not known for one. Of a line that was cut nothing is told.
    pub fn text(&self, redactor: &Redactor) -> String {
        lines(&self.redacted(redactor)).into_owned()
    }

    fn redacted(&self, redactor: &Redactor) -> String {
        let bytes: Vec<u8> = self.kept.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let (at, rest) = redactor.tail(&text, KEPT_BYTES);
        if self.dropped == 0 && at == 0 {
            return rest;
        }
        let line = rest.find('\n').map_or(rest.len(), |it| it + 1);
        let dropped = self.dropped + (at + line) as u64;
        format!("({dropped} bytes before this were not kept)\n{}", &rest[line..])
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_BYTES, KeptOutput};
    use crate::engine::text::redact::Redactor;

    #[test]
    fn text_keeps_the_end_and_counts_the_rest() {
        let redactor = Redactor::default();
        let mut output = KeptOutput::new(1_000);
        output.push(b"one\ntwo\n");
        assert_eq!(output.text(&redactor), "one\ntwo\n");
        for _ in 0..300 {
            output.push(&[b'x'; 1000]);
        }
        output.push(b"\nlast\n");
        assert!(output.kept.len() <= KEPT_BYTES + 1_000);
        assert_eq!(output.text(&redactor), "(300009 bytes before this were not kept)\nlast\n");
        output.push(&vec![b'\n'; 3 * KEPT_BYTES]);
        assert_eq!(output.kept.len(), KEPT_BYTES + 1_000);
    }

    #[test]
    fn text_leaves_nothing_that_acts_on_a_terminal() {
        let mut output = KeptOutput::new(0);
        output.push(b"\x1b]0;owned\x07\tred\n");
        assert_eq!(output.text(&Redactor::default()), "\\u{1b}]0;owned\\u{7}\tred\n");
    }

    /// Wherever a secret of several lines lies to the cut, no line of it is left.
    #[test]
    fn text_leaves_no_line_of_a_secret_that_is_cut() {
        let redactor = Redactor::default();
        let secret = "alpha one\nbravo two\ncharlie 3\ndelta four\n";
        redactor.learn_text(secret);
        for behind in (KEPT_BYTES - 2 * secret.len()..KEPT_BYTES + secret.len()).step_by(3) {
            let mut output = KeptOutput::new(redactor.reach());
            output.push(&vec![b'y'; 100_000]);
            output.push(format!("\n{secret}").as_bytes());
            output.push(&vec![b'x'; behind]);
            output.push(b"\nlast\n");
            let text = output.text(&redactor);
            for line in secret.lines() {
                assert!(!text.contains(line), "{behind}: {}", &text[..100]);
            }
            assert!(text.ends_with("\nlast\n"), "{behind}");
        }
    }
}
