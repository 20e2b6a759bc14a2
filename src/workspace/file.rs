//! Encodings and line ends: bytes to text and back without losing one.

use encoding_rs::WINDOWS_1252;

/// A text file as an editor sees it. Bytes that the edit does not touch survive it, whatever encoding and line ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Content with `\n` line ends and without a byte-order mark.
    pub text: String,
}

/// How a file's text is written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    encoding: Encoding,
    /// It starts with a byte-order mark.
    mark: bool,
    /// Most of its lines end with `\r\n`.
    crlf: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
    /// Latin-1 with the characters that Windows put where it has control codes; every byte is one of its characters.
    Windows1252,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoText {
    Binary,
    /// A UTF-16 mark, but not UTF-16.
    Broken,
}

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const UTF16_LE_MARK: &[u8] = b"\xff\xfe";
const UTF16_BE_MARK: &[u8] = b"\xfe\xff";

/// Text with its line ends as they are, and how it was written.
#[derive(Debug)]
pub(super) struct Decoded {
    pub raw: String,
    pub format: Format,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self.encoding {
            Encoding::Utf8 => "UTF-8",
            Encoding::Utf16Le | Encoding::Utf16Be => "UTF-16",
            Encoding::Windows1252 => "Latin-1 (windows-1252)",
        }
    }

    pub fn is_utf8(self) -> bool {
        self.encoding == Encoding::Utf8
    }

    /// `text`, which has `\n` line ends, with the file's own.
    pub fn line_ends(self, text: &str) -> String {
        if self.crlf { text.replace('\n', "\r\n") } else { text.to_owned() }
    }

    /// Bytes of a text that has its final line ends.
    ///
    /// # Errors
    /// The first character that the encoding lacks.
    pub fn encode(self, raw: &str) -> Result<Vec<u8>, char> {
        let mut bytes = Vec::with_capacity(raw.len() + 3);
        match self.encoding {
            Encoding::Utf8 => {
                bytes.extend(if self.mark { UTF8_MARK } else { &[] });
                bytes.extend(raw.as_bytes());
            }
            Encoding::Utf16Le => {
                bytes.extend(UTF16_LE_MARK);
                bytes.extend(raw.encode_utf16().flat_map(u16::to_le_bytes));
            }
            Encoding::Utf16Be => {
                bytes.extend(UTF16_BE_MARK);
                bytes.extend(raw.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Encoding::Windows1252 => {
                let (encoded, _, lossy) = WINDOWS_1252.encode(raw);
                if lossy {
                    let lacking = |c: &char| WINDOWS_1252.encode(c.encode_utf8(&mut [0; 4])).2;
                    return Err(raw.chars().find(lacking).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                bytes.extend(&*encoded);
            }
        }
        Ok(bytes)
    }
}

/// Reads bytes as text.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, NoText> {
    let (raw, encoding, mark) = decode_bytes(bytes)?;
    let crlf = raw.matches("\r\n").count();
    let lines = raw.matches('\n').count();
    Ok(Decoded { format: Format { encoding, mark, crlf: crlf > lines - crlf }, raw })
}

fn decode_bytes(bytes: &[u8]) -> Result<(String, Encoding, bool), NoText> {
    if let Some(rest) = bytes.strip_prefix(UTF16_LE_MARK) {
        return Ok((decode_utf16(rest, u16::from_le_bytes)?, Encoding::Utf16Le, true));
    }
    if let Some(rest) = bytes.strip_prefix(UTF16_BE_MARK) {
        return Ok((decode_utf16(rest, u16::from_be_bytes)?, Encoding::Utf16Be, true));
    }
    if bytes.contains(&0) {
        return Err(NoText::Binary);
    }
    let (rest, mark) = bytes.strip_prefix(UTF8_MARK).map_or((bytes, false), |rest| (rest, true));
    if let Ok(text) = std::str::from_utf8(rest) {
        return Ok((text.to_owned(), Encoding::Utf8, mark));
    }
    // Every sequence of bytes is windows-1252, compressed data too; text has next to no control codes.
    let control = |byte: &&u8| **byte < 0x20 && !matches!(**byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
    if bytes.iter().filter(control).count() * 20 > bytes.len() {
        return Err(NoText::Binary);
    }
    let (text, _) = WINDOWS_1252.decode_without_bom_handling(bytes);
    Ok((text.into_owned(), Encoding::Windows1252, false))
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, NoText> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(NoText::Broken);
    }
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).collect::<Result<String, _>>();
    match text {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) => Err(NoText::Binary),
        Err(_) => Err(NoText::Broken),
    }
}

/// `text` with `\n` line ends.
pub(super) fn normalise(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Where positions of the normalised text lie in the raw one.
pub(super) struct Offsets {
    /// Positions in the normalised text of the `\n` that are `\r\n` in the raw one.
    crlf: Vec<usize>,
}

impl Offsets {
    pub fn new(raw: &str) -> Self {
        Self { crlf: raw.match_indices("\r\n").enumerate().map(|(count, (at, _))| at - count).collect() }
    }

    pub fn raw(&self, at: usize) -> usize {
        at + self.crlf.partition_point(|newline| *newline < at)
    }
}
