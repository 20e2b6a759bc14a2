//! What a command prints, kept within bounds while it prints: whole lines from the beginning and from the end, without
//! colours, cursor movements and the past of progress bars.

use std::collections::VecDeque;

use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};

/// A collector of output. However much is pushed, it holds about `limit` bytes.
pub struct Output {
    /// The beginning of a character whose rest has not come yet.
    pending: Vec<u8>,
    parser: Parser<DefaultCharAccumulator>,
    lines: Lines,
}

impl Output {
    /// Keeps at most `limit` bytes of text.
    pub fn new(limit: usize) -> Self {
        Self { pending: Vec::new(), parser: Parser::<DefaultCharAccumulator>::new(), lines: Lines::new(limit) }
    }

    /// Takes the next bytes. What is no UTF-8 is replaced.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        let joined;
        if !self.pending.is_empty() {
            joined = [&std::mem::take(&mut self.pending), bytes].concat();
            bytes = &joined;
        }
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.feed(chunk.valid());
            let invalid = chunk.invalid();
            let unfinished = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if unfinished && chunks.peek().is_none() {
                self.pending = invalid.to_vec();
            } else if !invalid.is_empty() {
                self.feed("\u{fffd}");
            }
        }
    }

    /// The parser passes over bytes that are no UTF-8; it gets none.
    fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            self.parser.advance(&mut self.lines, byte);
        }
    }

    /// The text: all lines, or the first and the last with a line between that says how many were left out.
    pub fn text(mut self) -> String {
        if !self.pending.is_empty() {
            self.feed("\u{fffd}");
        }
        self.lines.end_line();
        let Lines { mut head, tail, omitted, .. } = self.lines;
        if omitted > 0 {
            let plural = if omitted == 1 { "line" } else { "lines" };
            head.push_str(&format!("[… {omitted} {plural} left out …]\n"));
        }
        head.extend(tail);
        head.truncate(head.trim_end().len());
        head
    }
}

/// The lines so far. Those of the head come first; once it is full, the tail is a window over the rest.
struct Lines {
    line: String,
    /// Bytes of the line that were dropped in its middle are not kept; this counts characters that came after it was full.
    dropped: usize,
    /// A carriage return came last: what is printed next overwrites the line.
    returned: bool,
    head: String,
    head_limit: usize,
    head_full: bool,
    tail: VecDeque<String>,
    tail_size: usize,
    tail_limit: usize,
    line_limit: usize,
    omitted: u64,
}

impl Lines {
    fn new(limit: usize) -> Self {
        // Errors stand at the end more often than at the beginning.
        let head_limit = limit * 2 / 5;
        Self {
            line: String::new(),
            dropped: 0,
            returned: false,
            head: String::new(),
            head_limit,
            head_full: false,
            tail: VecDeque::new(),
            tail_size: 0,
            tail_limit: limit - head_limit,
            line_limit: (limit / 4).min(2000),
            omitted: 0,
        }
    }

    fn put(&mut self, c: char) {
        if self.returned {
            self.clear();
        }
        if self.line.len() < self.line_limit {
            self.line.push(c);
        } else {
            self.dropped += 1;
        }
    }

    fn clear(&mut self) {
        self.line.clear();
        self.dropped = 0;
        self.returned = false;
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        if self.dropped > 0 {
            line.push_str(&format!("[… {} characters]", self.dropped));
        }
        line.push('\n');
        self.clear();
        if !self.head_full && self.head.len() + line.len() <= self.head_limit {
            self.head.push_str(&line);
            return;
        }
        self.head_full = true;
        self.tail_size += line.len();
        self.tail.push_back(line);
        while self.tail_size > self.tail_limit && self.tail.len() > 1 {
            if let Some(oldest) = self.tail.pop_front() {
                self.tail_size -= oldest.len();
                self.omitted += 1;
            }
        }
    }
}

impl Perform for Lines {
    fn print(&mut self, c: char) {
        // DEL is passed on as if it could be seen.
        if c != '\u{7f}' {
            self.put(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end_line(),
            b'\r' => self.returned = true,
            b'\t' => self.put('\t'),
            0x08 if self.dropped == 0 => {
                self.line.pop();
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, _intermediates: &[u8], _ignore: bool, action: u8) {
        // Erasing the whole line: how progress bars make room for the next state.
        if action == b'K' && params.iter().next().is_some_and(|first| first == [2]) {
            self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(limit: usize, bytes: &[u8]) -> String {
        let mut output = Output::new(limit);
        // In two pieces, so that what is split between reads is seen to hold.
        let (a, b) = bytes.split_at(bytes.len() / 2);
        output.push(a);
        output.push(b);
        output.text()
    }

    #[test]
    fn is_cleaned() {
        for (printed, expected) in [
            (&b"plain\ntext\n"[..], "plain\ntext"),
            (b"\x1b[1;31merror\x1b[0m: \x1b]8;;http://x\x07link\x1b]8;;\x07", "error: link"),
            (b"10%\r50%\r100%\ndone\n", "100%\ndone"),
            (b"dos\r\nlines\r\n", "dos\nlines"),
            (b"Building\x1b[2K\rFinished\n", "Finished"),
            (b"caf\xc3\xa9 \xff!", "caf\u{e9} \u{fffd}!"),
            (b"\xc3\xa9", "\u{e9}"),
            (b"cut \xe2\x82", "cut \u{fffd}"),
            (b"\xe2\x82-", "\u{fffd}-"),
            (b"a\tb", "a\tb"),
            (b"spin|\x08/\x08-\x08.", "spin."),
            (b"", ""),
            (b"\n\n  indented\n\n\n", "\n\n  indented"),
        ] {
            assert_eq!(shown(1000, printed), expected, "{:?}", String::from_utf8_lossy(printed));
        }
    }

    #[test]
    fn keeps_head_and_tail_on_line_borders() {
        let printed: String = (1..=1000).map(|n| format!("line {n}\n")).collect();
        let text = shown(200, printed.as_bytes());
        assert!(text.len() <= 240, "{}", text.len());
        assert!(text.starts_with("line 1\nline 2\n"), "{text}");
        assert!(text.ends_with("line 999\nline 1000"), "{text}");
        let kept = text.lines().filter(|line| line.starts_with("line ")).count();
        assert!(text.contains(&format!("[… {} lines left out …]", 1000 - kept)), "{text}");
    }

    #[test]
    fn leaves_nothing_out_that_fits() {
        let printed: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        assert_eq!(shown(printed.len() + 40, printed.as_bytes()), printed.trim_end());
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut output = Output::new(400);
        for _ in 0..1000 {
            output.push(&[b'x'; 1000]);
        }
        assert!(output.lines.line.capacity() < 4096);
        assert_eq!(output.text(), format!("{}[… {} characters]", "x".repeat(100), 1_000_000 - 100));
    }
}
