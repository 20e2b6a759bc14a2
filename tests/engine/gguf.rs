//! Writes small GGUF files.

use std::fs;
use std::path::Path;

/// A GGUF as it grows.
#[derive(Default)]
pub struct File {
    pairs: u64,
    header: Vec<u8>,
    tensors: u64,
    table: Vec<u8>,
    data: Vec<u8>,
    seed: u32,
}

impl File {
    fn key(&mut self, key: &str, kind: u32) {
        self.pairs += 1;
        text(&mut self.header, key);
        self.header.extend(kind.to_le_bytes());
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key, 8);
        text(&mut self.header, value);
    }

    pub fn number(&mut self, key: &str, value: u32) {
        self.key(key, 4);
        self.header.extend(value.to_le_bytes());
    }

    pub fn float(&mut self, key: &str, value: f32) {
        self.key(key, 6);
        self.header.extend(value.to_le_bytes());
    }

    pub fn texts(&mut self, key: &str, values: &[String]) {
        self.list(key, 8, values.len());
        values.iter().for_each(|value| text(&mut self.header, value));
    }

    pub fn numbers(&mut self, key: &str, values: &[i32]) {
        self.list(key, 5, values.len());
        values.iter().for_each(|value| self.header.extend(value.to_le_bytes()));
    }

    fn list(&mut self, key: &str, kind: u32, len: usize) {
        self.key(key, 9);
        self.header.extend(kind.to_le_bytes());
        self.header.extend((len as u64).to_le_bytes());
    }

    /// A tensor of numbers around `middle`.
    pub fn tensor(&mut self, name: &str, shape: &[u64], middle: f32, spread: f32) {
        self.tensors += 1;
        text(&mut self.table, name);
        self.table.extend((shape.len() as u32).to_le_bytes());
        shape.iter().for_each(|n| self.table.extend(n.to_le_bytes()));
        self.table.extend(0_u32.to_le_bytes());
        self.table.extend((self.data.len() as u64).to_le_bytes());
        for _ in 0..shape.iter().product::<u64>() {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = (self.seed >> 8) as f32 / 8_388_608.0 - 1.0;
            self.data.extend((middle + spread * random).to_le_bytes());
        }
        self.data.resize(self.data.len().next_multiple_of(32), 0);
    }

    pub fn write(self, path: &Path) {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend(self.tensors.to_le_bytes());
        file.extend(self.pairs.to_le_bytes());
        file.extend(self.header);
        file.extend(self.table);
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend(self.data);
        fs::write(path, file).unwrap();
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
