//! The real models. `./dev test` fetches them and says where they are.

use std::io::{BufReader, Cursor};
use std::path::PathBuf;

use moru::model::fit::{Room, fit};
use moru::model::{Catalog, Gguf};

fn model(name: &str) -> PathBuf {
    let folder = std::env::var_os("MORU_TEST_MODELS").expect("MORU_TEST_MODELS is set by `./dev test`: run that");
    PathBuf::from(folder).join(format!("{name}.gguf"))
}

#[test]
fn headers_say_what_the_catalog_says() {
    let catalog = Catalog::load(&PathBuf::from("/nonexistent")).unwrap();
    for (name, layers, kv_bytes) in [("qwen2.5-coder-0.5b", 24, 12_288), ("qwen2.5-coder-1.5b", 28, 28_672)] {
        let gguf = Gguf::open(&model(name)).unwrap();
        let entry = catalog.get(name).unwrap();
        assert_eq!(gguf.architecture, entry.architecture);
        assert_eq!(gguf.quantisation, entry.quantisation);
        assert_eq!(gguf.context_length, entry.context);
        assert_eq!(Some(gguf.size), entry.size);
        assert_eq!((gguf.layers, gguf.kv_bytes_per_token()), (layers, kv_bytes));
        assert_eq!((gguf.vocabulary, gguf.pre_tokenizer.as_deref()), (151_936, Some("qwen2")));
        assert!(gguf.chat_template.unwrap().contains("<|im_start|>"));
    }
}

#[test]
fn a_truncated_model_is_told_wherever_it_is_cut() {
    use std::io::Read;
    let path = model("qwen2.5-coder-0.5b");
    let size = std::fs::metadata(&path).unwrap().len();
    // The header, with what comes after it taken on trust from the size.
    let mut head = vec![0; 8 << 20];
    std::fs::File::open(&path).unwrap().read_exact(&mut head).unwrap();
    let read = |size: u64| Gguf::read(BufReader::new(Cursor::new(&head[..size.min(8 << 20) as usize])), size);
    assert!(read(size).is_ok());
    for cut in [size - 1, size / 2, 6 << 20, 1 << 20, 5000, 100, 10, 4, 0] {
        assert!(read(cut).is_err(), "cut to {cut}");
    }
}

#[test]
fn the_default_model_fits_into_four_gigabytes() {
    let gguf = Gguf::open(&model("qwen2.5-coder-1.5b")).unwrap();
    let fit = fit(&gguf, &Room { memory: 4 << 30, gpus: Vec::new(), context: 0, gpu_layers: None }).unwrap();
    assert_eq!(fit.context, 32768);
}
