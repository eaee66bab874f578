//! Real text to search: the files of a folder, cut into passages.
//!
//! [`Corpus::open`] chooses the folder: one that is given, or the sources of the Rust dependencies on
//! this machine. [`Corpus::passages`] then streams it: one file is in memory at a time, files come in the
//! order of their names, and a file whose exact bytes came before is left out. Which files count as text is
//! [`language`]'s to say, where a file is cut is [`passage`]'s.

pub mod language;
pub mod passage;
mod walk;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashSet, VecDeque},
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Read,
    path::PathBuf,
};

pub use language::Language;
pub use passage::Passage;
use walk::Walk;

/// Files longer than this are data or generated, in bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why there is nothing to read.
#[derive(Debug)]
pub enum CorpusError {
    /// Neither `CARGO_HOME` nor the home folder leads to sources of dependencies.
    NoRegistry {
        /// Where they were looked for; absent when no home folder is known.
        looked_in: Option<PathBuf>,
    },
    /// The folder given is not there, is not a folder or may not be read.
    NotReadable {
        /// As given.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl std::fmt::Display for CorpusError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoRegistry { looked_in: Some(path) } => {
                write!(f, "no Rust dependencies found in {}: ", path.display())?;
                f.write_str("name a folder with text files, --path DIR")
            }
            Self::NoRegistry { looked_in: None } => {
                f.write_str("no home folder is known: name a folder with text files, --path DIR")
            }
            Self::NotReadable { path, source } => {
                write!(f, "the folder {} cannot be read: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for CorpusError {}

/// A folder, or a few, whose text files are to be read.
#[derive(Debug, Clone)]
pub struct Corpus {
    roots: Vec<PathBuf>,
    bytes_max: u64,
}

/// How much a [`Corpus`] holds at most; binary and repeated files are found only by reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// Files with a known extension and a sensible length.
    pub files: u64,
    /// Their lengths together, the limit of the corpus applied.
    pub bytes: u64,
}

impl Corpus {
    /// The folders at `paths`, or if there are none the sources cargo has unpacked on this machine; reading
    /// stops after the file that reaches `bytes_max`.
    ///
    /// # Errors
    /// [`CorpusError`] if one of them cannot be read.
    pub fn open(paths: &[PathBuf], bytes_max: Option<u64>) -> Result<Self, CorpusError> {
        let readable = |path: &PathBuf| {
            let listed = fs::read_dir(path).and_then(|_| fs::canonicalize(path));
            listed.map_err(|source| CorpusError::NotReadable { path: path.clone(), source })
        };
        let roots = if paths.is_empty() {
            registry()?
        } else {
            paths.iter().map(readable).collect::<Result<_, _>>()?
        };
        Ok(Self { roots, bytes_max: bytes_max.unwrap_or(u64::MAX) })
    }

    /// The folders that are read.
    pub fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// Counts what is there, without reading it.
    pub fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        for file in Walk::new(&self.roots) {
            survey.files += 1;
            survey.bytes += file.len;
            if survey.bytes >= self.bytes_max {
                break;
            }
        }
        survey.bytes = survey.bytes.min(self.bytes_max);
        survey
    }

    /// Reads the files and cuts them, in the order of their names.
    pub fn passages(&self) -> Passages {
        Passages {
            walk: Walk::new(&self.roots),
            bytes_left: self.bytes_max,
            seen: HashSet::new(),
            cut: VecDeque::new(),
            counts: Counts::default(),
        }
    }
}

/// What [`Passages`] has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files cut into passages.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Files passed over: unreadable, binary, generated, or the same as one before.
    pub skipped: u64,
}

/// The passages of a [`Corpus`], file by file.
#[derive(Debug)]
pub struct Passages {
    walk: Walk,
    bytes_left: u64,
    /// Hashes of the files cut so far: 8 bytes for each, all that grows with the corpus.
    seen: HashSet<u64>,
    cut: VecDeque<Passage>,
    counts: Counts,
}

impl Passages {
    /// What has been read by now.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The text of `file`, unless it is one to pass over.
    fn read(&mut self, file: &walk::File) -> Option<String> {
        let mut bytes = Vec::with_capacity(usize::try_from(file.len).ok()?);
        let opened = fs::File::open(&file.path).ok()?;
        // A file that grows meanwhile must not outgrow the bound.
        opened.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        if !language::is_written_by_hand(&text) {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        self.seen.insert(hasher.finish()).then_some(text)
    }
}

impl Iterator for Passages {
    type Item = Passage;

    fn next(&mut self) -> Option<Passage> {
        loop {
            if let Some(passage) = self.cut.pop_front() {
                return Some(passage);
            }
            if self.bytes_left == 0 {
                return None;
            }
            let file = self.walk.next()?;
            match self.read(&file) {
                Some(text) => {
                    self.counts.files += 1;
                    self.counts.bytes += text.len() as u64;
                    self.bytes_left = self.bytes_left.saturating_sub(text.len() as u64);
                    self.cut = passage::cut(&file.source(), &text);
                }
                None => self.counts.skipped += 1,
            }
        }
    }
}

/// The folders into which cargo unpacks the sources of dependencies, one for each registry.
fn registry() -> Result<Vec<PathBuf>, CorpusError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("HOME").or_else(|| set("USERPROFILE"));
    let cargo = set("CARGO_HOME").or_else(|| home.map(|home| home.join(".cargo")));
    let Some(looked_in) = cargo.map(|cargo| cargo.join("registry").join("src")) else {
        return Err(CorpusError::NoRegistry { looked_in: None });
    };
    let entries = fs::read_dir(&looked_in).into_iter().flatten().flatten();
    let mut roots: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    roots.sort();
    if roots.is_empty() {
        return Err(CorpusError::NoRegistry { looked_in: Some(looked_in) });
    }
    Ok(roots)
}
