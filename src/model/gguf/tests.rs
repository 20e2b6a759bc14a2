use std::io::{BufReader, Cursor};

use proptest::prelude::*;

use super::{Gguf, GgufError};

/// Writes small GGUFs.
#[derive(Clone, Default)]
struct Builder {
    pairs: Vec<u8>,
    count: u64,
    /// The tensor's type.
    kind: u32,
}

impl Builder {
    fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key, 8);
        self.string(value);
        self
    }

    fn number(mut self, key: &str, value: u32) -> Self {
        self.key(key, 4);
        self.pairs.extend(value.to_le_bytes());
        self
    }

    fn numbers(mut self, key: &str, values: &[u32]) -> Self {
        self.key(key, 9);
        self.pairs.extend(4_u32.to_le_bytes());
        self.pairs.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|v| self.pairs.extend(v.to_le_bytes()));
        self
    }

    fn texts(mut self, key: &str, values: &[&str]) -> Self {
        self.key(key, 9);
        self.pairs.extend(8_u32.to_le_bytes());
        self.pairs.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|v| self.string(v));
        self
    }

    fn key(&mut self, key: &str, kind: u32) {
        self.count += 1;
        self.string(key);
        self.pairs.extend(kind.to_le_bytes());
    }

    fn string(&mut self, text: &str) {
        self.pairs.extend((text.len() as u64).to_le_bytes());
        self.pairs.extend(text.as_bytes());
    }

    /// The file, with one F32 tensor of `elements` elements that lies at `offset`.
    fn build(mut self, elements: u64, offset: u64) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
        file.extend(self.count.to_le_bytes());
        self.string("weights");
        file.extend(&self.pairs);
        file.extend(1_u32.to_le_bytes());
        file.extend(elements.to_le_bytes());
        file.extend(self.kind.to_le_bytes());
        file.extend(offset.to_le_bytes());
        let data = file.len().next_multiple_of(32);
        file.resize(data + (elements.min(1 << 20) * 4 + offset.min(1 << 20)) as usize, 0);
        file
    }
}

fn model() -> Builder {
    Builder::default()
        .text("general.architecture", "qwen2")
        .number("general.file_type", 15)
        .number("qwen2.block_count", 28)
        .number("qwen2.context_length", 32768)
        .number("qwen2.embedding_length", 1536)
        .number("qwen2.attention.head_count", 12)
        .number("qwen2.attention.head_count_kv", 2)
        .texts("tokenizer.ggml.tokens", &["a", "b", "c"])
        .text("tokenizer.chat_template", "{{ x }}")
}

fn read(file: &[u8]) -> Result<Gguf, GgufError> {
    Gguf::read(BufReader::new(Cursor::new(file)), file.len() as u64)
}

#[test]
fn facts_are_read() {
    let gguf = read(&model().build(64, 0)).unwrap();
    assert_eq!((gguf.architecture.as_str(), gguf.quantisation.as_str()), ("qwen2", "Q4_K_M"));
    assert_eq!((gguf.layers, gguf.context_length, gguf.vocabulary, gguf.parameters), (28, 32768, 3, 64));
    assert_eq!(gguf.chat_template.as_deref(), Some("{{ x }}"));
    // 28 layers, 2 heads, 128 elements for a key and for a value, two bytes each.
    assert_eq!(gguf.kv_bytes_per_token(), 28 * 2 * 256 * 2);
}

#[test]
fn heads_may_differ_from_layer_to_layer() {
    let file = Builder::default()
        .text("general.architecture", "x")
        .number("x.block_count", 3)
        .number("x.attention.key_length", 4)
        .number("x.attention.value_length", 4)
        .numbers("x.attention.head_count_kv", &[2, 0, 2])
        .build(8, 0);
    assert_eq!(read(&file).unwrap().kv_bytes_per_token(), 4 * 8 * 2);
}

#[test]
fn a_model_in_several_files_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, file: Builder| {
        let path = folder.path().join(name);
        std::fs::write(&path, file.build(64, 0)).unwrap();
        path
    };
    let part = |no| Builder::default().number("split.no", no).number("split.count", 3);
    let first = put("m-00001-of-00003.gguf", model().number("split.no", 0).number("split.count", 3));
    let says = |path| Gguf::open(path).unwrap_err().to_string();
    let second = put("m-00002-of-00003.gguf", part(1));
    assert!(says(&first).contains("m-00003-of-00003.gguf") && says(&first).contains("missing"));
    put("m-00003-of-00003.gguf", part(2));
    let gguf = Gguf::open(&first).unwrap();
    let sizes = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
    assert_eq!((gguf.parameters, gguf.size), (3 * 64, sizes.sum()));
    assert!(says(&second).contains("-00001-of-00003.gguf"));
    put("m-00002-of-00003.gguf", part(2));
    assert!(says(&first).contains("m-00002-of-00003.gguf") && says(&first).contains("not part 2 of 3"));
    let renamed = put("first.gguf", model().number("split.count", 3));
    assert!(says(&renamed).contains("-00001-of-00003.gguf"));
}

#[test]
fn every_truncation_is_an_error() {
    let file = model().build(64, 0);
    for end in 0..file.len() {
        assert!(read(&file[..end]).is_err(), "cut at {end} of {}", file.len());
    }
}

#[test]
fn what_is_no_gguf_is_told() {
    let says = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(says(b"").contains("empty"));
    assert!(says(b"hello, this is a text\n").contains("a text"));
    assert!(says(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
    assert!(says(b"<!doctype html>").contains("web page"));
    assert!(says(b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0\0\0").contains("zip"));
    assert!(says(b"GGUF\x01\0\0\0").contains("version 1"));
}

#[test]
fn damage_is_told() {
    let says = |file: Vec<u8>| read(&file).unwrap_err().to_string();
    assert!(says(model().build(64, 4)).contains("aligned"));
    assert!(says(model().build(1 << 40, 0)).contains("incomplete"));
    assert!(says(model().build(u64::MAX, 0)).contains("impossibly large"));
    assert!(says(model().build(64, u64::MAX - 31)).contains("impossibly large"));
    assert!(says(model().number("general.file_type", 1).build(64, 0)).contains("twice"));
    assert!(says(model().number("general.alignment", 3).build(64, 0)).contains("alignment"));
    assert!(says(Builder::default().build(64, 0)).contains("language model"));
    assert!(says(Builder::default().text("general.architecture", "clip").build(64, 0)).contains("mmproj"));
    assert!(says(Builder { kind: 200, ..model() }.build(64, 0)).contains("type 200"));
    // Type 4 was removed from llama.cpp; type 12 (Q4_K) has blocks of 256.
    assert!(says(Builder { kind: 4, ..model() }.build(64, 0)).contains("type 4"));
    assert!(says(Builder { kind: 12, ..model() }.build(64, 0)).contains("blocks"));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        prop_assert!(read(&bytes).is_err());
        let mut with_magic = b"GGUF\x03\0\0\0".to_vec();
        with_magic.extend(&bytes);
        // Two zero counts make a header without anything, which is no model either.
        prop_assert!(read(&with_magic).is_err());
    }

    #[test]
    fn a_changed_header_never_panics(changes in prop::collection::vec((0_usize..400, any::<u8>()), 1..6)) {
        let mut file = model().build(64, 0);
        for (at, byte) in changes {
            let at = at % file.len();
            file[at] = byte;
        }
        if let Ok(gguf) = read(&file) {
            let _ = gguf.kv_bytes_per_token();
        }
    }
}
