//! The conformance suite on Azurite, the Azure Blob Storage emulator, if there is one: on the `PATH` as `azurite-blob`, or
//! where the variable `INFINO_AZURITE` says.

mod conformance;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use infino_storage::{StorageError, StoreOptions, connect};

/// The emulator's published account.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

struct Azurite {
    process: Child,
    port: u16,
    _data: tempfile::TempDir,
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn program() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("INFINO_AZURITE") {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("azurite-blob")).find(|it| it.exists())
}

impl Azurite {
    fn start(program: PathBuf) -> Self {
        // Free a moment ago; nothing else on this machine is likely to take it before the emulator does.
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let data = tempfile::tempdir().unwrap();
        let process = Command::new(program)
            .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--location"])
            .arg(data.path())
            .args(["--silent", "--skipApiVersionCheck", "--disableTelemetry"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let azurite = Self { process, port, _data: data };
        for _ in 0..300 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return azurite;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("Azurite did not start within 30 s");
    }

    /// Creates a container by a request signed as the Blob service's "Shared Key" wants it.
    fn create_container(&self, name: &str) {
        let date = http_date();
        let version = "2023-11-03";
        let resource = format!("/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container");
        let to_sign =
            format!("PUT{}x-ms-date:{date}\nx-ms-version:{version}\n{resource}", "\n".repeat(12));
        let key = STANDARD.decode(KEY).unwrap();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
        let signature = STANDARD.encode(ring::hmac::sign(&key, to_sign.as_bytes()));
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            socket,
            "PUT /{ACCOUNT}/{name}?restype=container HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nx-ms-date: {date}\r\nx-ms-version: {version}\r\nauthorization: SharedKey {ACCOUNT}:{signature}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            self.port
        )
        .unwrap();
        let mut reply = String::new();
        socket.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
    }

    fn options(&self) -> StoreOptions {
        StoreOptions::new()
            .without_environment()
            .with("account_name", ACCOUNT)
            .with("account_key", KEY)
            .with("endpoint", format!("http://127.0.0.1:{}/{ACCOUNT}", self.port))
            .with("part_bytes", "5242880")
            .with("multipart_bytes", "6000000")
    }
}

fn http_date() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = chrono::DateTime::from_timestamp(now.as_secs() as i64, 0).unwrap();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure() {
    let Some(program) = program() else {
        #[expect(
            clippy::print_stderr,
            reason = "whoever runs the tests learns that one did not run"
        )]
        {
            eprintln!("skipped: no azurite-blob on the PATH, and INFINO_AZURITE is not set");
        }
        return;
    };
    let azurite = Azurite::start(program);
    azurite.create_container("test");
    let store = connect("az://test/prefix", &azurite.options()).unwrap();
    conformance::check_all(store, (11 << 20) + 17).await;

    let missing = connect("az://nowhere/prefix", &azurite.options()).unwrap();
    let outcome = missing.get("o").await;
    assert!(matches!(outcome, Err(StorageError::Invalid { .. })), "{outcome:?}");
    let denied = azurite.options().with("account_key", "c2VjcmV0");
    let outcome = connect("az://test/prefix", &denied).unwrap().get("o").await;
    assert!(matches!(outcome, Err(StorageError::Denied { .. })), "{outcome:?}");
}
