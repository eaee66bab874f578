//! Where the tables are and how rows are printed: from the command line, the environment, and a file.
//!
//! What the command line says goes before the environment, that before `infino.toml`. The file is the one that `--config`
//! or `INFINO_CONFIG` names, else `infino.toml` in this folder, else the user's: `$XDG_CONFIG_HOME/infino/infino.toml`,
//! `~/.config/infino/infino.toml`, on Windows `%APPDATA%\infino\infino.toml`.
//!
//! ```toml
//! uri = "s3://bucket/tables"
//! output = "json"
//! cache_dir = "/var/cache/infino"
//! cache_mb = 4096
//!
//! [storage]
//! region = "eu-west-1"
//! ```

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use infino::{ConnectOptions, Connection};
use infino_storage::StoreOptions;
use toml_edit::{Document, Item};

use crate::{CliError, args::Global, output::Format};

/// Where the demo puts its tables, and where other commands look if it is there and nothing else was said.
pub const DEMO_STORE: &str = "./infino-demo";
/// The environment variable that stands in for `--uri`.
pub const URI_VARIABLE: &str = "INFINO_URI";
/// The environment variable that stands in for `--config`.
pub const CONFIG_VARIABLE: &str = "INFINO_CONFIG";
const FILE_NAME: &str = "infino.toml";
const CACHE_BYTES: u64 = 10 << 30;

/// What a command works with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    uri: Option<String>,
    storage: Vec<(String, String)>,
    cache_dir: Option<PathBuf>,
    cache_bytes: Option<u64>,
    output: Option<Format>,
    /// Whether progress is kept quiet.
    pub quiet: bool,
}

impl Settings {
    /// What the command line, the environment and the file say.
    ///
    /// # Errors
    /// A file that was named and is not there, or cannot be read; a key that is not known.
    pub fn resolve(
        global: &Global,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, CliError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let named = global.config.clone().or_else(|| set(CONFIG_VARIABLE).map(PathBuf::from));
        let file = match named {
            Some(path) => read(&path)?,
            None => match places(&set).into_iter().find(|path| path.is_file()) {
                Some(path) => read(&path)?,
                None => Self::default(),
            },
        };
        let uri = set(URI_VARIABLE).map(|uri| uri.to_string_lossy().into_owned());
        let mut storage = file.storage;
        storage.extend(global.storage_options.iter().cloned());
        Ok(Self {
            uri: global.uri.clone().or(uri).or(file.uri),
            storage,
            cache_dir: global.cache_dir.clone().or(file.cache_dir),
            cache_bytes: file.cache_bytes,
            output: global.output.or(file.output),
            quiet: global.quiet,
        })
    }

    /// How rows are printed.
    pub fn output(&self) -> Format {
        self.output.unwrap_or(Format::Table)
    }

    /// How rows are printed, if anything was said of it.
    pub fn output_if_said(&self) -> Option<Format> {
        self.output
    }

    /// The store, for a command that reads.
    ///
    /// # Errors
    /// If none was named and the demo's is not here.
    pub fn uri(&self) -> Result<String, CliError> {
        match &self.uri {
            Some(uri) => Ok(uri.clone()),
            None if Path::new(DEMO_STORE).is_dir() => Ok(DEMO_STORE.to_owned()),
            None => Err(CliError::Usage(format!(
                "which store? Name it with --uri, {URI_VARIABLE} or `uri` in {FILE_NAME}"
            ))),
        }
    }

    /// The store, for the demo, which makes its own.
    pub fn demo_uri(&self) -> String {
        self.uri.clone().unwrap_or_else(|| DEMO_STORE.to_owned())
    }

    /// Connects to [`Self::uri`].
    ///
    /// # Errors
    /// As [`Self::uri`]; a URI or option that cannot be used.
    pub async fn connect(&self) -> Result<Connection, CliError> {
        self.connect_to(&self.uri()?).await
    }

    /// Connects to a store with the memory that a command line may take.
    ///
    /// # Errors
    /// A URI or option that cannot be used.
    pub async fn connect_to(&self, uri: &str) -> Result<Connection, CliError> {
        let mut options =
            ConnectOptions::new().write_buffer_bytes(96 << 20).sql_memory_bytes(256 << 20);
        for (key, value) in &self.storage {
            options = options.storage(key, value.as_str());
        }
        if let Some(dir) = &self.cache_dir {
            options = options.cache_dir(dir, self.cache_bytes.unwrap_or(CACHE_BYTES));
        }
        Ok(infino::connect_with(uri, options).await?)
    }

    /// The options of the store, for objects that are no table's.
    pub fn store_options(&self) -> StoreOptions {
        let options = StoreOptions::new();
        self.storage.iter().fold(options, |options, (key, value)| options.with(key, value.as_str()))
    }
}

/// Where a configuration may be, the nearest first.
fn places(set: &impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let home = || Some(PathBuf::from(set("HOME")?).join(".config"));
    let user = set("XDG_CONFIG_HOME").or_else(|| set("APPDATA")).map(PathBuf::from).or_else(home);
    let here = Some(PathBuf::from(FILE_NAME));
    here.into_iter().chain(user.map(|folder| folder.join("infino").join(FILE_NAME))).collect()
}

fn read(path: &Path) -> Result<Settings, CliError> {
    let wrong = |problem: String| CliError::Usage(format!("{}: {problem}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    parse(&text).map_err(wrong)
}

fn parse(text: &str) -> Result<Settings, String> {
    let document = Document::parse(text).map_err(|error| error.to_string())?;
    let mut settings = Settings::default();
    for (key, item) in document.iter() {
        match key {
            "uri" => settings.uri = Some(string(key, item)?),
            "cache_dir" => settings.cache_dir = Some(string(key, item)?.into()),
            "cache_mb" => {
                let mb = item.as_integer().and_then(|mb| u64::try_from(mb).ok());
                let mb = mb.ok_or_else(|| format!("{key} is a number of megabytes"))?;
                settings.cache_bytes = Some(mb.saturating_mul(1_000_000));
            }
            "output" => {
                let name = string(key, item)?;
                settings.output = Some(Format::from_str(&name, true).map_err(|_| {
                    format!("output cannot be {name:?}; it is one of {}", Format::names())
                })?);
            }
            "storage" => {
                let table = item.as_table_like();
                let table = table.ok_or_else(|| "[storage] is a table of options".to_owned())?;
                for (key, item) in table.iter() {
                    settings.storage.push((key.to_owned(), scalar(key, item)?));
                }
            }
            other => {
                return Err(format!(
                    "no setting is called {other:?}; known are uri, output, cache_dir, cache_mb and [storage]"
                ));
            }
        }
    }
    Ok(settings)
}

fn string(key: &str, item: &Item) -> Result<String, String> {
    item.as_str().map(str::to_owned).ok_or_else(|| format!("{key} is a text in quotes"))
}

/// Options of stores are text; numbers and booleans may be written as such.
fn scalar(key: &str, item: &Item) -> Result<String, String> {
    let number = || item.as_integer().map(|number| number.to_string());
    let flag = || item.as_bool().map(|flag| flag.to_string());
    let text = item.as_str().map(str::to_owned);
    text.or_else(number).or_else(flag).ok_or_else(|| format!("{key} is a text, a number or a flag"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("infino.toml");
        let text = "uri = 'file'\noutput = 'csv'\n[storage]\nregion = 'a'\nretries = 3\n";
        std::fs::write(&path, text).expect("a file");
        let none = |_: &str| None;
        let env = |name: &str| (name == URI_VARIABLE).then(|| OsString::from("env"));
        let global = Global { config: Some(path), ..Global::default() };
        let file = Settings::resolve(&global, none).expect("a sound file");
        assert_eq!(file.uri().expect("it is named"), "file");
        assert_eq!(file.output(), Format::Csv);
        let want = [("region".to_owned(), "a".to_owned()), ("retries".to_owned(), "3".to_owned())];
        assert_eq!(file.storage, want);
        let both = Settings::resolve(&global, env).expect("a sound file");
        assert_eq!(both.uri().expect("it is named"), "env");
        let global = Global { uri: Some("line".to_owned()), ..global };
        let all = Settings::resolve(&global, env).expect("a sound file");
        assert_eq!(all.uri().expect("it is named"), "line");
    }

    #[test]
    fn what_a_file_may_not_say_is_named() {
        for (text, says) in [
            ("url = 'x'", "\"url\""),
            ("uri = 3", "uri is a text"),
            ("output = 'xml'", "ndjson"),
            ("cache_mb = -1", "megabytes"),
            ("storage = 1", "[storage]"),
            ("uri = ", "TOML"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(says), "{error}");
        }
    }
}
