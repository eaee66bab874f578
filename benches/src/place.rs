//! Where the bytes are: memory, a folder, or an S3 server that takes its time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use infino::{ConnectOptions, Connection, Error};
use infino_storage::StoreOptions;
use infino_storage::fault::{FaultStore, Operation};
use infino_testserver::{Options, Server};

/// A kind of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    Disk,
    S3,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::Memory, Self::Disk, Self::S3];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::S3 => "s3",
        }
    }
}

/// A place that is open, empty at first; gone when dropped.
pub(crate) struct Site {
    place: Place,
    folder: PathBuf,
    server: Option<Server>,
    store: Option<Arc<FaultStore>>,
    threads: usize,
}

/// Requests and bytes so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
}

impl Spent {
    pub(crate) fn since(self, before: Self) -> Self {
        Self { requests: self.requests - before.requests, bytes: self.bytes - before.bytes }
    }
}

impl Site {
    pub(crate) fn new(place: Place, threads: usize) -> Self {
        let server = || Server::start(Options::default()).expect("a port on 127.0.0.1 is free");
        let name = format!("infino-bench-{}", std::process::id());
        Self {
            place,
            folder: std::env::temp_dir().join(name),
            server: (place == Place::S3).then(server),
            store: None,
            threads,
        }
    }

    fn uri(&self) -> String {
        match (&self.server, self.place) {
            (Some(server), _) => server.uri("bench"),
            (None, Place::Memory) => "memory://bench".to_owned(),
            (None, _) => self.folder().to_owned(),
        }
    }

    /// The folder of [`Place::Disk`].
    pub(crate) fn folder(&self) -> &str {
        self.folder.to_str().expect("temporary folders have names in UTF-8")
    }

    /// A connection that has read nothing yet.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let options = ConnectOptions::new().threads(self.threads);
        let given = self.server.iter().flat_map(|server| server.client_options());
        let options = given.fold(options, |options, (key, value)| options.storage(key, value));
        infino::connect_with(&self.uri(), options).await
    }

    /// The store itself, counted.
    pub(crate) fn store(&mut self) -> Arc<FaultStore> {
        let given = self.server.iter().flat_map(|server| server.client_options());
        let options =
            given.fold(StoreOptions::new(), |options, (key, value)| options.with(key, value));
        let uri = self.uri();
        let open = || infino_storage::connect(&uri, &options).expect("the place is there");
        self.store.get_or_insert_with(|| FaultStore::counting(open())).clone()
    }

    /// Each request waits so long from here on.
    pub(crate) fn delay(&self, ms: u64) {
        if let Some(server) = &self.server {
            server.set_delay(Duration::from_millis(ms));
        }
    }

    /// Whether a call here waits for a network.
    pub(crate) fn is_far(&self) -> bool {
        self.server.is_some()
    }

    /// Requests and bytes read so far; `None` where nobody counts.
    pub(crate) fn spent(&self) -> Option<Spent> {
        if let Some(server) = &self.server {
            let stats = server.stats();
            return Some(Spent { requests: stats.requests_total(), bytes: stats.bytes_out });
        }
        let counters = self.store.as_ref()?.counters();
        let all = Operation::ALL.map(|operation| counters.of(operation));
        Some(Spent {
            requests: all.iter().map(|count| count.calls).sum(),
            bytes: all.iter().map(|count| count.bytes_read).sum(),
        })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
