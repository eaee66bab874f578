//! What every command can be told.

use std::path::PathBuf;

use clap::Args;

use crate::output::Format;

/// What every command can be told; `crate::settings` fills in what is not.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Store with the tables: a folder, s3://bucket/prefix, az://…, gs://…, memory://
    #[arg(long, visible_alias = "store", value_name = "URI", global = true)]
    pub uri: Option<String>,
    /// Option of the store, such as region=eu-west-1; may be repeated
    #[arg(long = "storage-option", value_name = "KEY=VALUE", value_parser = pair, global = true)]
    pub storage_options: Vec<(String, String)>,
    /// Folder that keeps what was read from the store
    #[arg(long, value_name = "DIR", global = true)]
    pub cache_dir: Option<PathBuf>,
    /// How to print rows [default: table]
    #[arg(short, long, value_enum, global = true)]
    pub output: Option<Format>,
    /// Configuration to read [default: ./infino.toml, else the user's]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Say nothing of progress
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        // Without the value, which may be a secret.
        _ => Err("write KEY=VALUE".to_owned()),
    }
}
