//! The text files under a few folders, in the order of their names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{FILE_BYTES_MAX, Language, language, passage::Source};

/// A file worth reading.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) len: u64,
    root: PathBuf,
    language: Language,
}

impl File {
    /// What every passage of this file says about where it is from.
    pub(super) fn source(&self) -> Source {
        let relative = self.path.strip_prefix(&self.root).unwrap_or(&self.path);
        let parts: Vec<String> =
            relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        // A file at the top belongs to the folder that was asked for.
        let folder = match &parts[..] {
            [first, _, ..] => first.clone(),
            _ => self.root.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let (name, version) = name_and_version(&folder);
        Source {
            path: parts.join("/"),
            crate_name: name.to_owned(),
            version: version.to_owned(),
            language: self.language.clone(),
        }
    }
}

/// `serde-1.0.228` as `serde` and `1.0.228`; a folder without a version has an empty one.
fn name_and_version(folder: &str) -> (&str, &str) {
    let is_version = |text: &str| {
        let mut parts = text.splitn(3, '.');
        let number = |part: Option<&str>| {
            part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        };
        number(parts.next())
            && number(parts.next())
            && parts.next().is_some_and(|patch| patch.starts_with(|ch: char| ch.is_ascii_digit()))
    };
    let dashes = folder.match_indices('-').map(|(at, _)| folder.split_at(at));
    let mut named = dashes.filter(|(name, rest)| !name.is_empty() && is_version(&rest[1..]));
    named.next().map_or((folder, ""), |(name, rest)| (name, &rest[1..]))
}

/// Walks folders depth first. Hidden and build folders are left out, links are not followed, folders
/// that cannot be read are passed over.
#[derive(Debug)]
pub(super) struct Walk {
    roots: Vec<PathBuf>,
    root: PathBuf,
    /// What is still to be visited, the next one last: of each folder on the way down its later entries.
    pending: Vec<(PathBuf, Kind)>,
}

#[derive(Debug)]
enum Kind {
    Folder,
    File(Language),
}

impl Walk {
    pub(super) fn new(roots: &[PathBuf]) -> Self {
        let roots = roots.iter().rev().cloned().collect();
        Self { roots, root: PathBuf::new(), pending: Vec::new() }
    }

    fn enter(&mut self, folder: &Path) {
        let mut entries: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let (path, kind) = (entry.path(), entry.file_type().ok()?);
                if kind.is_file() {
                    return language::of(&path).map(|language| (path, Kind::File(language)));
                }
                (kind.is_dir() && !is_build_folder(&path)).then_some((path, Kind::Folder))
            })
            .filter(|(path, _)| !is_hidden(path))
            .collect();
        entries.sort_by(|a, b| b.0.cmp(&a.0));
        self.pending.append(&mut entries);
    }
}

impl Iterator for Walk {
    type Item = File;

    fn next(&mut self) -> Option<File> {
        loop {
            match self.pending.pop() {
                Some((path, Kind::File(language))) => {
                    let Ok(metadata) = fs::metadata(&path) else { continue };
                    let len = metadata.len();
                    if (1..=FILE_BYTES_MAX).contains(&len) {
                        return Some(File { path, len, root: self.root.clone(), language });
                    }
                }
                Some((path, Kind::Folder)) => self.enter(&path),
                None => {
                    self.root = self.roots.pop()?;
                    self.enter(&self.root.clone());
                }
            }
        }
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Output of builds and copies of packages; a cache says of itself that it is one.
fn is_build_folder(path: &Path) -> bool {
    let named = ["node_modules", "__pycache__"];
    path.file_name().is_some_and(|name| named.iter().any(|other| name == *other))
        || path.join("CACHEDIR.TAG").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_the_registry_names_its_crate_and_version() {
        assert_eq!(name_and_version("serde-1.0.228"), ("serde", "1.0.228"));
        assert_eq!(name_and_version("a-b-2.0.0-rc.1+x-1.0.0"), ("a-b", "2.0.0-rc.1+x-1.0.0"));
        assert_eq!(name_and_version("wasi-0.11.1+wasi-snapshot"), ("wasi", "0.11.1+wasi-snapshot"));
        assert_eq!(name_and_version("sha-2"), ("sha-2", ""));
        assert_eq!(name_and_version("src"), ("src", ""));
        assert_eq!(name_and_version("-1.0.0"), ("-1.0.0", ""));
    }
}
