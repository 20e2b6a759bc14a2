//! What a GGUF file says of itself, and whether it is whole. The header is read by this small reader before llama.cpp sees
//! the file: llama.cpp maps a truncated file happily and dies of it later, inside C++.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.

mod header;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use serde::Serialize;

use super::{ModelError, Split};
use header::{Header, Value};

/// Facts of a GGUF whose header is sound and whose tensors all lie within the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Gguf {
    /// `general.architecture` (`qwen2`, …).
    pub architecture: String,
    /// `general.name`.
    pub title: Option<String>,
    /// `Q4_K_M`, …; `unknown` where the file has a type that this version cannot name.
    pub quantisation: String,
    /// Elements of all tensors. More than the number in the model's name where embeddings are stored twice.
    pub parameters: u64,
    /// Tokens of context that the model was trained for; 0 where the file does not say.
    pub context_length: usize,
    pub layers: usize,
    pub embedding_length: usize,
    pub feed_forward_length: usize,
    pub heads: usize,
    /// Key-value heads of all layers together.
    pub kv_heads: usize,
    /// Elements of a key of one head.
    pub key_length: usize,
    /// Elements of a value of one head.
    pub value_length: usize,
    /// Experts a layer; 0 for a dense model.
    pub experts: usize,
    /// How many of them compute a token, each with a feed-forward layer of so many elements.
    pub experts_used: usize,
    pub expert_feed_forward_length: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// `tokenizer.ggml.model` (`gpt2`, `llama`, …).
    pub tokenizer: Option<String>,
    /// `tokenizer.ggml.pre`: how text is split before it is tokenised.
    pub pre_tokenizer: Option<String>,
    /// The model's own Jinja template.
    #[serde(skip)]
    pub chat_template: Option<String>,
    /// Number of files over which the model is spread.
    pub split_count: usize,
    /// Bytes of all its files.
    pub size: u64,
    #[serde(skip)]
    pub weights: Weights,
}

/// Where the bytes of a model's weights lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weights {
    /// The repeating layers, in order.
    pub layers: Vec<Layer>,
    /// What is looked up rather than multiplied with, and stays in main memory: the token embeddings.
    pub input: u64,
    /// The output layer.
    pub output: u64,
    /// The token embeddings where they are the output layer too: a GPU that computes it has a copy.
    pub shared: u64,
}

/// The bytes of one repeating layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layer {
    pub dense: u64,
    /// The experts that a router chooses among.
    pub experts: u64,
}

impl Weights {
    /// Takes in a tensor by its name, as llama.cpp names them.
    fn add(&mut self, name: &str, bytes: u64) {
        let layer = name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')?.0.parse::<usize>().ok());
        if let Some(index) = layer.filter(|&index| index < MAX_LAYERS) {
            if self.layers.len() <= index {
                self.layers.resize(index + 1, Layer::default());
            }
            let layer = &mut self.layers[index];
            let part = if name.contains("_exps") { &mut layer.experts } else { &mut layer.dense };
            *part = part.saturating_add(bytes);
        } else {
            let part = if name.starts_with("output") { &mut self.output } else { &mut self.input };
            *part = part.saturating_add(bytes);
        }
    }
}

impl Weights {
    /// Takes in those of another file of the model.
    fn merge(&mut self, other: &Self) {
        if self.layers.len() < other.layers.len() {
            self.layers.resize(other.layers.len(), Layer::default());
        }
        for (own, more) in self.layers.iter_mut().zip(&other.layers) {
            own.dense = own.dense.saturating_add(more.dense);
            own.experts = own.experts.saturating_add(more.experts);
        }
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        // What the first file lacked may stand in this one.
        self.shared = if self.output > 0 { 0 } else { self.shared.max(other.shared) };
    }
}

/// More than any real model has.
const MAX_LAYERS: usize = 4096;

/// Why a file cannot be used as a model.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    #[error("this is no GGUF file ({0}); Moru runs models in the GGUF format only")]
    NotGguf(&'static str),
    #[error("the file is incomplete: its tensors need {needed} bytes and it has {size}; download it again")]
    Truncated { needed: u64, size: u64 },
    #[error("the file ends within its header, after {size} bytes; download it again")]
    HeaderTruncated { size: u64 },
    #[error("GGUF version {0} is not supported; versions 2 and 3 are")]
    Version(u32),
    #[error("the file is damaged: {0}; download it again")]
    Damaged(String),
    #[error("a tensor has type {0}, which this version does not know; a newer Moru may")]
    TensorType(u32),
    #[error("the file holds {0} and not a language model; choose the model's own file")]
    NotAModel(String),
    #[error("it is a part of a model; give the first part, whose name ends in -00001-of-{0:05}.gguf")]
    LaterPart(usize),
    #[error("it is the first of several files of a model, and llama.cpp finds the others only if its name ends in {0}")]
    PartName(String),
    #[error("this part of the model is missing; download it to the same folder")]
    NoPart,
    #[error("the file is not part {} of {} of a model, as its name says; download it again", .0.number, .0.count)]
    OtherPart(Split),
    #[error("cannot read the file: {0}")]
    Io(std::io::Error),
}

impl Gguf {
    /// Reads and checks the header of a file.
    ///
    /// # Errors
    /// The file cannot be read, is no GGUF, or is not whole.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let (header, size) = header_of(path)?;
        let first = Self::from_header(&header, size).map_err(|source| wrong(path, source))?;
        if first.split_count == 1 { Ok(first) } else { first.with_parts(path) }
    }

    /// Checks one of several files of a model by itself.
    ///
    /// # Errors
    /// As [`Gguf::open`], or it is another one than `split` says.
    pub fn check_part(path: &Path, split: Split) -> Result<(), ModelError> {
        part(path, split).map(drop)
    }

    /// The same with what the other files of a model hold that is spread over several. They lie beside the first, under the
    /// names by which llama.cpp finds them: `NAME-00001-of-00003.gguf`.
    fn with_parts(mut self, path: &Path) -> Result<Self, ModelError> {
        let ending = Split { count: self.split_count, number: 1 }.ending();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(prefix) = name.strip_suffix(&ending) else {
            return Err(wrong(path, GgufError::PartName(ending)));
        };
        for split in Split::all(self.split_count).skip(1) {
            let other = path.with_file_name(split.file(prefix));
            if !other.exists() {
                return Err(wrong(&other, GgufError::NoPart));
            }
            let (header, size) = part(&other, split)?;
            self.weights.merge(&header.weights);
            self.parameters = self.parameters.saturating_add(header.elements);
            self.size = self.size.saturating_add(size);
        }
        Ok(self)
    }

    /// As [`Gguf::open`], for `size` bytes from a reader. Never holds more memory than about `size`.
    ///
    /// # Errors
    /// As [`Gguf::open`].
    pub fn read(reader: BufReader<impl Read + Seek>, size: u64) -> Result<Self, GgufError> {
        let header = Header::read(reader, size)?;
        Self::from_header(&header, size)
    }

    fn from_header(header: &Header, size: u64) -> Result<Self, GgufError> {
        let text = |key: &str| header.text(key).map(str::to_owned);
        let split_count = header.number("split.count").unwrap_or(1).max(1);
        if header.number("split.no").is_some_and(|part| part > 0) {
            return Err(GgufError::LaterPart(split_count));
        }
        let architecture =
            text("general.architecture").ok_or_else(|| GgufError::NotAModel("no `general.architecture`".into()))?;
        let kind = header.text("general.type").unwrap_or("model");
        if kind != "model" || architecture == "clip" {
            let kind = if architecture == "clip" { "a projector for images (mmproj)" } else { kind };
            return Err(GgufError::NotAModel(kind.to_owned()));
        }
        let number = |key: &str| header.number(&format!("{architecture}.{key}")).unwrap_or(0);
        let layers = number("block_count");
        let heads = number("attention.head_count");
        let kv_heads = match header.get(&format!("{architecture}.attention.head_count_kv")) {
            Some(Value::Numbers(per_layer)) => per_layer.iter().fold(0, |a: usize, n| a.saturating_add(*n as usize)),
            Some(Value::Number(n)) => layers.saturating_mul(*n as usize),
            _ => layers.saturating_mul(heads),
        };
        let head_size = number("embedding_length").checked_div(heads).unwrap_or(0);
        let length = |key| header.number(&format!("{architecture}.attention.{key}")).unwrap_or(head_size);
        Ok(Self {
            title: text("general.name"),
            quantisation: header.number("general.file_type").and_then(quantisation).unwrap_or("unknown").to_owned(),
            parameters: header.elements,
            context_length: number("context_length"),
            layers,
            embedding_length: number("embedding_length"),
            feed_forward_length: number("feed_forward_length"),
            heads,
            kv_heads,
            key_length: length("key_length"),
            value_length: length("value_length"),
            experts: number("expert_count"),
            experts_used: number("expert_used_count"),
            expert_feed_forward_length: number("expert_feed_forward_length"),
            vocabulary: match header.get("tokenizer.ggml.tokens") {
                Some(Value::List(n)) => *n as usize,
                _ => number("vocab_size"),
            },
            tokenizer: text("tokenizer.ggml.model"),
            pre_tokenizer: text("tokenizer.ggml.pre"),
            chat_template: text("tokenizer.chat_template"),
            split_count,
            size,
            weights: header.weights.clone(),
            architecture,
        })
    }

    /// Bytes that one token takes in a KV cache of 16-bit floats. An upper bound: layers with a sliding window or a
    /// recurrent state take less.
    pub fn kv_bytes_per_token(&self) -> u64 {
        let elements = self.key_length.saturating_add(self.value_length).saturating_mul(self.kv_heads);
        (elements as u64).saturating_mul(2)
    }
}

fn wrong(path: &Path, source: GgufError) -> ModelError {
    ModelError::Gguf { path: path.to_owned(), source }
}

/// The header of a file, and the bytes of the file.
fn header_of(path: &Path) -> Result<(Header, u64), ModelError> {
    let file = File::open(path).map_err(ModelError::io("read", path))?;
    let meta = file.metadata().map_err(ModelError::io("read", path))?;
    if !meta.is_file() {
        return Err(wrong(path, GgufError::NotGguf("it is a folder or a device")));
    }
    let header = Header::read(BufReader::with_capacity(1 << 16, file), meta.len());
    Ok((header.map_err(|source| wrong(path, source))?, meta.len()))
}

/// The same for one of several files, which must be the one that it is taken for: llama.cpp looks at that too.
fn part(path: &Path, split: Split) -> Result<(Header, u64), ModelError> {
    let (header, size) = header_of(path)?;
    let says = (header.number("split.no"), header.number("split.count"));
    if says != (split.number.checked_sub(1), Some(split.count)) {
        return Err(wrong(path, GgufError::OtherPart(split)));
    }
    Ok((header, size))
}

/// Name of a value of `general.file_type` (llama.cpp's `llama_ftype`).
fn quantisation(file_type: usize) -> Option<&'static str> {
    Some(match file_type {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        19 => "IQ2_XXS",
        20 => "IQ2_XS",
        21 => "Q2_K_S",
        22 => "IQ3_XS",
        23 => "IQ3_XXS",
        24 => "IQ1_S",
        25 => "IQ4_NL",
        26 => "IQ3_S",
        27 => "IQ3_M",
        28 => "IQ2_S",
        29 => "IQ2_M",
        30 => "IQ4_XS",
        31 => "IQ1_M",
        32 => "BF16",
        36 => "TQ1_0",
        37 => "TQ2_0",
        38 => "MXFP4",
        39 => "NVFP4",
        40 => "Q1_0",
        41 => "Q2_0",
        _ => return None,
    })
}
