//! Splits the output of a process into lines of bounded length, without losing bytes.

/// The longest line in bytes. A longer line is cut into pieces of this length, to bound the memory.
pub(crate) const MAX_LINE: usize = 64 * 1024;

/// Splits a stream of bytes into lines. An incomplete line waits for its rest.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    partial: Vec<u8>,
}

impl LineSplitter {
    /// Adds the next bytes and returns the lines that they complete, without their newlines.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            while without_end(&self.partial).len() > MAX_LINE {
                let rest = self.partial.split_off(cut_at(&self.partial));
                let piece = std::mem::replace(&mut self.partial, rest);
                lines.push(String::from_utf8_lossy(&piece).into_owned());
            }
            if self.partial.ends_with(b"\n") {
                lines.push(text(&self.partial));
                self.partial.clear();
            }
        }
        lines
    }

    /// Returns the last line, if the stream ended without a newline.
    pub(crate) fn finish(self) -> Option<String> {
        (!self.partial.is_empty()).then(|| text(&self.partial))
    }
}

/// Returns the position at which to cut a long line, which is not inside a character.
fn cut_at(bytes: &[u8]) -> usize {
    let continues = |at: &usize| bytes[*at] & 0b1100_0000 == 0b1000_0000;
    let back = (MAX_LINE - 3..=MAX_LINE).rev().find(|at| !continues(at));
    back.unwrap_or(MAX_LINE)
}

/// Returns the line as text, with `�` for bytes that are not UTF-8.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(without_end(bytes)).into_owned()
}

/// Returns a line without its `\n` or `\r\n`.
fn without_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = LineSplitter::default();
        let mut all: Vec<_> = chunks.iter().flat_map(|chunk| lines.push(chunk)).collect();
        all.extend(lines.finish());
        all
    }

    #[test]
    fn lines_across_chunks() {
        assert_eq!(run(&[b"a\nb", b"c\n", b"\nd\r\n"]), ["a", "bc", "", "d"]);
        assert_eq!(run(&[]), [""; 0]);
        assert_eq!(run(&[b"a\n"]), ["a"]);
    }

    #[test]
    fn the_last_line_needs_no_newline() {
        assert_eq!(run(&[b"a\nlast words"]), ["a", "last words"]);
    }

    #[test]
    fn a_character_may_be_split_between_chunks() {
        assert_eq!(run(&[b"\xc3", b"\xbc\n"]), ["ü"]);
        assert_eq!(run(&[b"\xff\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn a_long_line_is_cut_and_complete() {
        let long = "ü".repeat(MAX_LINE);
        let mut chunk = b"x".to_vec();
        chunk.extend_from_slice(long.as_bytes());
        chunk.extend_from_slice(b"\nnext\n");
        let lines = run(&[&chunk]);
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE));
        let (next, pieces) = lines.split_last().unwrap();
        assert_eq!(next, "next");
        assert_eq!(pieces.concat(), format!("x{long}"));
    }

    #[test]
    fn a_line_of_just_the_limit_stays_whole() {
        for (length, pieces) in [(MAX_LINE - 1, 1), (MAX_LINE, 1), (2 * MAX_LINE, 2)] {
            let exact = vec![b'x'; length];
            for end in [&b"\n"[..], b"\r\n"] {
                let whole = [&exact, end].concat();
                for chunks in [&[exact.as_slice(), end][..], &[whole.as_slice()]] {
                    let lines = run(chunks);
                    assert_eq!(lines.len(), pieces, "{length} {end:?}");
                    assert_eq!(lines.concat().len(), length);
                }
            }
        }
    }

    #[test]
    fn a_piece_of_a_line_keeps_its_last_byte() {
        let line = [vec![b'x'; MAX_LINE - 1], b"\rrest\n".to_vec()].concat();
        let lines = run(&[&line]);
        assert!(lines[0].ends_with("x\r") && lines[1] == "rest");
    }
}
