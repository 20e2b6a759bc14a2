//! The files that real later changes needed, ranked from the changes' messages. The sets are no part of the repository:
//! without them this test says so and passes.

use std::path::{Path, PathBuf};
use std::process::Command;

use moru::code::Request;

use super::folder::Folder;

/// `$MORU_SHARED/tasks/locate`, or `../shared/tasks/locate` beside the checkout.
fn suite() -> Option<PathBuf> {
    let shared = std::env::var_os("MORU_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")));
    let suite = shared.join("tasks/locate");
    if suite.is_dir() {
        return Some(suite);
    }
    eprintln!("skipped: there are no requests in {}; set MORU_SHARED to the folder that has them", suite.display());
    None
}

/// Recall among the first five files, and the reciprocal of the first right one's rank, for each request of a repository.
fn measure(archive: &Path, requests: &Path) -> Vec<(f64, f64)> {
    let folder = Folder::new(&[]);
    let unpacked = Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(unpacked.success());
    let index = folder.fresh();
    let rows = std::fs::read_to_string(requests).unwrap();
    let measured = rows.lines().map(|row| {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        let request = Request { text: row["request"].as_str().unwrap().to_owned(), ..Request::default() };
        let mut ranked: Vec<String> = Vec::new();
        for slice in index.context(&request, 4000, &|text: &str| text.len().div_ceil(3)) {
            if !ranked.contains(&slice.file) {
                ranked.push(slice.file);
            }
        }
        let wanted: Vec<&str> = row["files"].as_array().unwrap().iter().filter_map(|file| file.as_str()).collect();
        let ranks: Vec<usize> =
            wanted.iter().filter_map(|file| ranked.iter().position(|found| found == file)).collect();
        let recall = ranks.iter().filter(|rank| **rank < 5).count() as f64 / wanted.len() as f64;
        (recall, ranks.iter().map(|rank| 1.0 / (rank + 1) as f64).fold(0.0, f64::max))
    });
    measured.collect()
}

#[test]
fn the_files_that_changes_needed_rank_high() {
    let Some(suite) = suite() else { return };
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(&suite).unwrap() {
        let requests = entry.unwrap().path();
        if requests.extension().is_some_and(|extension| extension == "jsonl") {
            rows.extend(measure(&requests.with_extension("tar.gz"), &requests));
        }
    }
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let recall = mean(rows.iter().map(|row| row.0).collect());
    let reciprocal = mean(rows.iter().map(|row| row.1).collect());
    assert!(recall >= 0.80 && reciprocal >= 0.72, "recall@5 {recall:.3}, MRR {reciprocal:.3} of {}", rows.len());
}
