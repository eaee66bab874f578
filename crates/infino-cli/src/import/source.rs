//! What is read: files, folders, patterns, objects, standard input.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use infino_storage::Store;

use crate::{
    CliError,
    args::{self, FileFormat},
    settings::Settings,
};

/// One file, object or stream with rows.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// How a person would name it.
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) format: FileFormat,
    /// Its length as stored, if that is known.
    pub(super) len: Option<u64>,
}

/// Where a source is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Local(PathBuf),
    Stdin,
    Remote { store: Arc<dyn Store>, path: String },
}

/// How the bytes of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// What the name of a file says of how it is laid out.
pub fn format_of(name: &str) -> Option<(FileFormat, Option<Packed>)> {
    let name = name.to_ascii_lowercase();
    let (stem, packed) = if let Some(stem) = name.strip_suffix(".gz") {
        (stem, Some(Packed::Gzip))
    } else if let Some(stem) = name.strip_suffix(".zst") {
        (stem, Some(Packed::Zstd))
    } else {
        (&name[..], None)
    };
    let format = match stem.rsplit_once('.')?.1 {
        "parquet" | "pq" => FileFormat::Parquet,
        "csv" => FileFormat::Csv,
        "tsv" | "tab" => FileFormat::Tsv,
        "ndjson" | "jsonl" | "ldjson" => FileFormat::Ndjson,
        "json" => FileFormat::Json,
        "arrow" | "arrows" | "feather" | "ipc" => FileFormat::Arrow,
        _ => return None,
    };
    Some((format, packed))
}

/// The sources that the command line names, in order; those of a folder or a pattern by name.
pub(super) async fn expand(
    args: &args::Import,
    settings: &Settings,
) -> Result<Vec<Source>, CliError> {
    let mut sources = Vec::new();
    for text in &args.sources {
        if text == "-" {
            let format = args.format.ok_or_else(|| {
                CliError::Usage(
                    "standard input has no name that says how it is laid out: give --format".into(),
                )
            })?;
            let name = "standard input".to_owned();
            sources.push(Source { name, place: Place::Stdin, format, len: None });
        } else if text.contains("://") && !text.starts_with("file://") {
            remote(text, args.format, settings, &mut sources).await?;
        } else {
            local(text.strip_prefix("file://").unwrap_or(text), args.format, &mut sources)?;
        }
    }
    let stdins = sources.iter().filter(|source| matches!(source.place, Place::Stdin)).count();
    if stdins > 1 {
        return Err(CliError::Usage("standard input can be read once".to_owned()));
    }
    Ok(sources)
}

fn format(name: &str, given: Option<FileFormat>) -> Result<FileFormat, CliError> {
    given.or_else(|| format_of(name).map(|(format, _)| format)).ok_or_else(|| {
        CliError::Usage(format!("{name}: its name does not say how it is laid out; give --format"))
    })
}

fn local(text: &str, given: Option<FileFormat>, sources: &mut Vec<Source>) -> Result<(), CliError> {
    let path = Path::new(text);
    let wrong = |problem: String| CliError::Usage(format!("{text}: {problem}"));
    let mut files = Vec::new();
    if path.is_dir() {
        walk(path, &mut files).map_err(|error| wrong(error.to_string()))?;
        files.retain(|file| given.is_some() || format_of(&file.to_string_lossy()).is_some());
        if files.is_empty() {
            return Err(wrong("the folder has no file that can be read".to_owned()));
        }
    } else if path.exists() {
        files.push(path.to_owned());
    } else {
        let found = glob::glob(text).map_err(|error| wrong(error.to_string()))?;
        files.extend(found.filter_map(Result::ok).filter(|file| file.is_file()));
        if files.is_empty() {
            return Err(wrong("no such file".to_owned()));
        }
    }
    for path in files {
        let name = path.display().to_string();
        let len = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|found| found.len());
        sources.push(Source {
            format: format(&name, given)?,
            name,
            place: Place::Local(path),
            len,
        });
    }
    Ok(())
}

/// The files below a folder, by name; hidden ones are left out.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

async fn remote(
    uri: &str,
    given: Option<FileFormat>,
    settings: &Settings,
    sources: &mut Vec<Source>,
) -> Result<(), CliError> {
    let pattern_at = uri.find(['*', '?', '[']);
    let named = pattern_at.map_or(uri, |at| &uri[..at]);
    let scheme_end = uri.find("://").map_or(0, |at| at + 3);
    let Some(slash) = named[scheme_end..].rfind('/').map(|at| at + scheme_end) else {
        return Err(CliError::Usage(format!(
            "{uri}: name an object, a folder/ or a pattern in it"
        )));
    };
    let (base, rest) = (&uri[..slash], &uri[slash + 1..]);
    let store =
        infino_storage::connect(base, &settings.store_options()).map_err(infino::Error::from)?;
    let mut push = |path: String, len| -> Result<(), CliError> {
        let name = format!("{base}/{path}");
        let format = format(&name, given)?;
        let place = Place::Remote { store: store.clone(), path };
        sources.push(Source { name, place, format, len: Some(len) });
        Ok(())
    };
    if pattern_at.is_none() && !rest.is_empty() {
        let info = store.head(rest).await.map_err(infino::Error::from)?;
        return push(rest.to_owned(), info.len);
    }
    let pattern = match rest {
        "" => None,
        pattern => Some(
            glob::Pattern::new(pattern)
                .map_err(|error| CliError::Usage(format!("{uri}: {error}")))?,
        ),
    };
    let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
    let mut found = store.list("").await.map_err(infino::Error::from)?;
    found.retain(|info| match &pattern {
        Some(pattern) => pattern.matches_with(&info.path, options),
        None => given.is_some() || format_of(&info.path).is_some(),
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    if found.is_empty() {
        return Err(CliError::Usage(format!("{uri}: no such object")));
    }
    found.into_iter().try_for_each(|info| push(info.path, info.len))
}

/// What tells an import of these sources into this table from others; `None` if they cannot be read again.
pub(super) fn fingerprint(table: &str, sources: &[Source]) -> Option<String> {
    let mut hash = blake3::Hasher::new();
    hash.update(table.as_bytes());
    for source in sources {
        let len = match source.place {
            Place::Stdin => return None,
            _ => source.len?,
        };
        hash.update(&[0]);
        hash.update(source.name.as_bytes());
        hash.update(&len.to_le_bytes());
    }
    Some(hash.finalize().to_hex()[..16].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_how_files_are_laid_out() {
        for (name, want) in [
            ("a.parquet", Some((FileFormat::Parquet, None))),
            ("x/a.B.JSONL.gz", Some((FileFormat::Ndjson, Some(Packed::Gzip)))),
            ("a.csv.zst", Some((FileFormat::Csv, Some(Packed::Zstd)))),
            ("a.json", Some((FileFormat::Json, None))),
            ("a.gz", None),
            ("csv", None),
        ] {
            assert_eq!(format_of(name), want, "{name}");
        }
    }

    #[test]
    fn a_fingerprint_knows_table_names_and_lengths() {
        let source = |name: &str, len| Source {
            name: name.to_owned(),
            place: Place::Local(name.into()),
            format: FileFormat::Csv,
            len,
        };
        let print = |table, sources: &[Source]| fingerprint(table, sources);
        let one = print("t", &[source("a", Some(1))]);
        assert!(one.is_some());
        assert_eq!(one, print("t", &[source("a", Some(1))]));
        assert_ne!(one, print("u", &[source("a", Some(1))]));
        assert_ne!(one, print("t", &[source("a", Some(2))]));
        assert_ne!(one, print("t", &[source("a", Some(1)), source("b", Some(1))]));
        assert_eq!(None, print("t", &[source("a", None)]));
    }
}
