//! Models that are spread over several files. llama.cpp is given the first and finds the others by their names:
//! `PREFIX-00001-of-00003.gguf` and so on, in one folder.

use std::path::{Path, PathBuf};

/// Which of the files of a model that has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Split {
    /// Files in all.
    pub count: usize,
    /// From 1.
    pub number: usize,
}

impl Split {
    /// All files of a model, in order.
    pub fn all(count: usize) -> impl Iterator<Item = Self> {
        (1..=count).map(move |number| Self { count, number })
    }

    /// The prefix of a file's name (or path) and what its ending says; `None` for a model in one file.
    pub fn parse(file: &str) -> Option<(&str, Self)> {
        let (rest, count) = file.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (prefix, number) = rest.rsplit_once('-')?;
        let number_of = |digits: &str| {
            let plain = digits.len() == 5 && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<usize>().ok().filter(|_| plain)
        };
        let split = Self { count: number_of(count)?, number: number_of(number)? };
        let sound = split.count > 1 && (1..=split.count).contains(&split.number) && !prefix.is_empty();
        sound.then_some((prefix, split))
    }

    /// How the file's name ends.
    pub fn ending(self) -> String {
        format!("-{:05}-of-{:05}.gguf", self.number, self.count)
    }

    /// The file's name.
    pub fn file(self, prefix: &str) -> String {
        prefix.to_owned() + &self.ending()
    }
}

/// The files of the model whose first file is `path`; it alone where its name is none of several.
pub fn paths(path: &Path) -> Vec<PathBuf> {
    match path.file_name().and_then(|name| Split::parse(name.to_str()?)) {
        Some((prefix, split)) => Split::all(split.count).map(|split| path.with_file_name(split.file(prefix))).collect(),
        None => vec![path.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let split = Split { count: 12, number: 3 };
        assert_eq!(split.file("Q4_K_M/x-1.5b"), "Q4_K_M/x-1.5b-00003-of-00012.gguf");
        assert_eq!(Split::parse(&split.file("Q4_K_M/x-1.5b")), Some(("Q4_K_M/x-1.5b", split)));
        for whole in [
            "x.gguf",
            "x-00001-of-00001.gguf",
            "x-00000-of-00002.gguf",
            "x-00003-of-00002.gguf",
            "x-1-of-2.gguf",
            "x-+0001-of-00002.gguf",
            "-00001-of-00002.gguf",
            "x-00001-of-00002.gguf.part",
        ] {
            assert_eq!(Split::parse(whole), None, "{whole}");
        }
    }

    #[test]
    fn the_others_lie_beside_the_first() {
        let files = ["/m/x-00001-of-00002.gguf", "/m/x-00002-of-00002.gguf"];
        assert_eq!(paths(Path::new(files[0])), files.map(PathBuf::from));
        assert_eq!(paths(Path::new("/m/x.gguf")), [PathBuf::from("/m/x.gguf")]);
    }
}
