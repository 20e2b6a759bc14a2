//! Reads the header of a GGUF. Every length is checked against what is left of the file before anything is allocated for it.

use std::collections::BTreeMap;
use std::io::{BufReader, ErrorKind, Read, Seek};

use super::{GgufError, Weights};

/// More than any real file has, and a bound for what a made-up one can cost.
const MAX_PAIRS: u64 = 1 << 16;
const MAX_TENSORS: u64 = 1 << 20;
const MAX_KEY: u64 = 1 << 16;
/// Arrays of numbers up to this length are kept (one number a layer); longer ones are token tables that nobody asks for.
const MAX_NUMBERS: u64 = 4096;
/// llama.cpp's `GGML_MAX_NAME` and `GGML_MAX_DIMS`.
const MAX_TENSOR_NAME: u64 = 64;
const MAX_DIMENSIONS: u32 = 4;

/// A metadata value, as far as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Integers and booleans.
    Number(u64),
    Text(String),
    Numbers(Vec<u64>),
    /// Number of elements of any other array.
    List(u64),
    /// Floats and negative numbers: nothing here asks for them.
    Other,
}

/// A header whose tensors all lie within the file.
pub(super) struct Header {
    pairs: BTreeMap<String, Value>,
    /// Elements of all tensors together.
    pub elements: u64,
    pub weights: Weights,
}

impl Header {
    pub fn read(reader: BufReader<impl Read + Seek>, size: u64) -> Result<Self, GgufError> {
        let mut cursor = Cursor { reader, position: 0, size };
        cursor.magic()?;
        let version = cursor.u32()?;
        if !(2..=3).contains(&version) {
            return Err(GgufError::Version(version));
        }
        let tensors = cursor.count(MAX_TENSORS, "tensors")?;
        let pairs = cursor.count(MAX_PAIRS, "metadata pairs")?;
        let mut header = Self { pairs: BTreeMap::new(), elements: 0, weights: Weights::default() };
        for _ in 0..pairs {
            let key = cursor.text(MAX_KEY)?;
            let kind = cursor.u32()?;
            let value = cursor.value(kind)?;
            if header.pairs.insert(key.clone(), value).is_some() {
                return Err(GgufError::Damaged(format!("`{key}` stands twice in its header")));
            }
        }
        header.check_tensors(&mut cursor, tensors)?;
        Ok(header)
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.pairs.get(key)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        match self.pairs.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A number; the largest where there is one for each layer.
    pub fn number(&self, key: &str) -> Option<usize> {
        match self.pairs.get(key)? {
            Value::Number(n) => usize::try_from(*n).ok(),
            Value::Numbers(list) => list.iter().max().and_then(|n| usize::try_from(*n).ok()),
            _ => None,
        }
    }

    fn check_tensors(&mut self, cursor: &mut Cursor<impl Read + Seek>, count: u64) -> Result<(), GgufError> {
        let alignment = match self.get("general.alignment") {
            None => 32,
            Some(Value::Number(n)) if n.is_power_of_two() && *n <= 1 << 30 => *n,
            Some(_) => return Err(GgufError::Damaged("its alignment is no power of two".into())),
        };
        let mut end = 0;
        let (mut embeddings, mut own_output) = (0, false);
        for _ in 0..count {
            let tensor = cursor.tensor()?;
            self.weights.add(&tensor.name, tensor.bytes);
            match tensor.name.as_str() {
                "token_embd.weight" => embeddings = tensor.bytes,
                "output.weight" => own_output = true,
                _ => {}
            }
            if tensor.offset % alignment != 0 {
                return Err(GgufError::Damaged(format!("tensor `{}` is not aligned", tensor.name)));
            }
            let tensor_end = tensor.offset.checked_add(tensor.bytes).ok_or_else(|| tensor.too_large())?;
            end = end.max(tensor_end);
            self.elements = self.elements.saturating_add(tensor.elements);
        }
        if !own_output {
            self.weights.shared = embeddings;
        }
        if count == 0 {
            // A first part of a split model may hold metadata alone.
            return Ok(());
        }
        let data = cursor.position.next_multiple_of(alignment);
        let needed = data.checked_add(end).ok_or_else(|| GgufError::Damaged("its tensors lie too far out".into()))?;
        if needed > cursor.size {
            return Err(GgufError::Truncated { needed, size: cursor.size });
        }
        Ok(())
    }
}

/// Where a tensor lies.
struct Tensor {
    name: String,
    elements: u64,
    bytes: u64,
    /// From the beginning of the tensor data.
    offset: u64,
}

impl Tensor {
    fn too_large(&self) -> GgufError {
        GgufError::Damaged(format!("tensor `{}` is impossibly large", self.name))
    }
}

/// A position in a file of known size.
struct Cursor<R> {
    reader: BufReader<R>,
    position: u64,
    size: u64,
}

impl<R: Read + Seek> Cursor<R> {
    fn magic(&mut self) -> Result<(), GgufError> {
        let mut head = [0; 16];
        let n = self.size.min(16) as usize;
        self.reader.read_exact(&mut head[..n]).map_err(|e| self.failed(e))?;
        let guess = match &head[..n] {
            [b'G', b'G', b'U', b'F', ..] => {
                self.reader.seek_relative(4 - n as i64).map_err(GgufError::Io)?;
                self.position = 4;
                return Ok(());
            }
            [] => "it is empty",
            b if b.starts_with(b"version https:/") => "it is a Git LFS pointer: fetch the file with `git lfs pull`",
            b if b.starts_with(b"<!") || b.starts_with(b"<html") => "it is a web page",
            b if b.starts_with(b"PK\x03\x04") => "it is a zip archive",
            b if b.get(8) == Some(&b'{') => "it looks like safetensors",
            b if b.iter().all(|c| c.is_ascii_graphic() || c.is_ascii_whitespace()) => "it is a text",
            _ => "its first bytes are not `GGUF`",
        };
        Err(GgufError::NotGguf(guess))
    }

    fn failed(&self, error: std::io::Error) -> GgufError {
        match error.kind() {
            ErrorKind::UnexpectedEof => GgufError::HeaderTruncated { size: self.size },
            _ => GgufError::Io(error),
        }
    }

    /// Fails unless `n` more bytes are there.
    fn need(&self, n: u64) -> Result<(), GgufError> {
        match self.position.checked_add(n) {
            Some(end) if end <= self.size => Ok(()),
            _ => Err(GgufError::HeaderTruncated { size: self.size }),
        }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        self.need(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|e| self.failed(e))?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn count(&mut self, limit: u64, what: &str) -> Result<u64, GgufError> {
        let n = self.u64()?;
        if n > limit { Err(GgufError::Damaged(format!("it claims to have {n} {what}"))) } else { Ok(n) }
    }

    fn skip(&mut self, n: u64) -> Result<(), GgufError> {
        self.need(n)?;
        let step = i64::try_from(n).map_err(|_| GgufError::HeaderTruncated { size: self.size })?;
        self.reader.seek_relative(step).map_err(GgufError::Io)?;
        self.position += n;
        Ok(())
    }

    /// A length-prefixed string. Bytes that are not UTF-8 are replaced: the texts that matter are ASCII in practice.
    fn text(&mut self, limit: u64) -> Result<String, GgufError> {
        let length = self.u64()?;
        self.need(length)?;
        if length > limit {
            return Err(GgufError::Damaged(format!("a name in its header has {length} bytes")));
        }
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes).map_err(|e| self.failed(e))?;
        self.position += length;
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    fn value(&mut self, kind: u32) -> Result<Value, GgufError> {
        Ok(match kind {
            TEXT => Value::Text(self.text(self.size)?),
            ARRAY => self.array()?,
            _ => self.scalar(kind)?,
        })
    }

    fn scalar(&mut self, kind: u32) -> Result<Value, GgufError> {
        let signed = |n: i64| u64::try_from(n).map_or(Value::Other, Value::Number);
        Ok(match kind {
            0 | 7 => Value::Number(self.bytes::<1>()?[0].into()),
            1 => signed(i8::from_le_bytes(self.bytes()?).into()),
            2 => Value::Number(u16::from_le_bytes(self.bytes()?).into()),
            3 => signed(i16::from_le_bytes(self.bytes()?).into()),
            4 => Value::Number(self.u32()?.into()),
            5 => signed(i32::from_le_bytes(self.bytes()?).into()),
            10 => Value::Number(self.u64()?),
            11 => signed(i64::from_le_bytes(self.bytes()?)),
            _ => {
                self.skip(width(kind)?)?;
                Value::Other
            }
        })
    }

    fn array(&mut self) -> Result<Value, GgufError> {
        let kind = self.u32()?;
        let length = self.u64()?;
        if kind == TEXT {
            // Each string takes eight bytes at least, so that the file bounds this loop.
            self.need(length.saturating_mul(8))?;
            for _ in 0..length {
                let bytes = self.u64()?;
                self.skip(bytes)?;
            }
            return Ok(Value::List(length));
        }
        let bytes = width(kind)?.saturating_mul(length);
        self.need(bytes)?;
        if length > MAX_NUMBERS || matches!(kind, FLOAT32 | FLOAT64) {
            self.skip(bytes)?;
            return Ok(Value::List(length));
        }
        let mut numbers = Vec::with_capacity(length as usize);
        for _ in 0..length {
            numbers.push(match self.scalar(kind)? {
                Value::Number(n) => n,
                _ => 0,
            });
        }
        Ok(Value::Numbers(numbers))
    }

    fn tensor(&mut self) -> Result<Tensor, GgufError> {
        let name = self.text(MAX_TENSOR_NAME)?;
        let damaged = |what: &str| GgufError::Damaged(format!("tensor `{name}` {what}"));
        let dimensions = self.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(damaged("has more than four dimensions"));
        }
        let mut elements = 1_u64;
        let mut row = 1;
        for axis in 0..dimensions {
            let n = self.u64()?;
            if axis == 0 {
                row = n;
            }
            elements = elements.checked_mul(n).ok_or_else(|| damaged("is impossibly large"))?;
        }
        let kind = self.u32()?;
        let (block, block_bytes) = block(kind).ok_or(GgufError::TensorType(kind))?;
        if row % block != 0 {
            return Err(damaged("has rows that are no whole number of blocks"));
        }
        let bytes = (elements / block).checked_mul(block_bytes).ok_or_else(|| damaged("is impossibly large"))?;
        let offset = self.u64()?;
        Ok(Tensor { name, elements, bytes, offset })
    }
}

const FLOAT32: u32 = 6;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;
const FLOAT64: u32 = 12;

/// Bytes of a scalar of this kind.
fn width(kind: u32) -> Result<u64, GgufError> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4 | 5 | FLOAT32 => Ok(4),
        10 | 11 | FLOAT64 => Ok(8),
        _ => Err(GgufError::Damaged(format!("its header has a value of kind {kind}"))),
    }
}

/// Elements and bytes of a block of a tensor type, from llama.cpp's own table; `None` for a type that it lacks.
fn block(kind: u32) -> Option<(u64, u64)> {
    if kind >= llama_cpp_sys_2::GGML_TYPE_COUNT {
        return None;
    }
    // SAFETY: both read a constant table at an index that was just checked against its length.
    let (elements, bytes) = unsafe { (llama_cpp_sys_2::ggml_blck_size(kind), llama_cpp_sys_2::ggml_type_size(kind)) };
    // Types that llama.cpp has removed have empty blocks.
    (elements > 0 && bytes > 0).then_some((elements as u64, bytes as u64))
}
