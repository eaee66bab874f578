//! The listener: connections, faults on the wire, start and stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

use crate::auth::Credentials;
use crate::fault::{Fault, Flaw, Rule, next_random};
use crate::http::{Connection, Request, Response};
use crate::objects::Objects;
use crate::stats::Stats;
use crate::trace::{Trace, Traced};
use crate::{admin, s3};

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port, 0 for one that is free.
    pub port: u16,
    /// Buckets that exist from the start; requests may create more.
    pub buckets: Vec<String>,
    /// The key that may read and write.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// Waited before each request is served.
    pub delay: Duration,
    /// Decides what chance decides.
    pub seed: u64,
    /// Serves requests that nobody has signed.
    pub is_public: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            buckets: vec!["test".to_owned()],
            access_key: "test".to_owned(),
            secret_key: "testtest".to_owned(),
            delay: Duration::ZERO,
            seed: 0,
            is_public: false,
        }
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) credentials: Vec<Credentials>,
    pub(crate) is_public: bool,
    objects: Mutex<Objects>,
    control: Mutex<Control>,
}

struct Control {
    rules: Vec<Rule>,
    flaw: Flaw,
    delay: Duration,
    random: u64,
    in_flight: u64,
    stats: Stats,
    trace: Option<Trace>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn objects(&self) -> MutexGuard<'_, Objects> {
        lock(&self.objects)
    }

    pub(crate) fn flaw(&self) -> Flaw {
        lock(&self.control).flaw
    }

    pub(crate) fn set_flaw(&self, flaw: Flaw) {
        lock(&self.control).flaw = flaw;
    }

    pub(crate) fn set_delay(&self, delay: Duration) {
        lock(&self.control).delay = delay;
    }

    pub(crate) fn add(&self, rule: Rule) {
        lock(&self.control).rules.push(rule);
    }

    pub(crate) fn heal(&self) {
        let mut control = lock(&self.control);
        control.rules.clear();
        control.flaw = Flaw::None;
        control.stats = Stats::default();
    }

    pub(crate) fn stats(&self) -> Stats {
        lock(&self.control).stats.clone()
    }

    fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut lock(&self.control).stats);
    }

    /// What befalls a request, and how long it waits first.
    fn fate(&self, request: &Request) -> (Option<Fault>, Duration) {
        let mut control = lock(&self.control);
        *control.stats.requests.entry(request.method.clone()).or_default() += 1;
        control.stats.bytes_in += request.body.len() as u64;
        let Control { rules, random, .. } = &mut *control;
        let fault = rules.iter_mut().find_map(|rule| {
            let drawn = (next_random(random) >> 11) as f64 / (1u64 << 53) as f64;
            rule.befalls(request, drawn).then_some(rule.fault)
        });
        control.stats.faults += u64::from(fault.is_some());
        (fault, control.delay)
    }

    fn answered(&self, request: &Request, began: Instant, bytes: u64) {
        let mut control = lock(&self.control);
        control.stats.bytes_out += bytes;
        if let Some(trace) = &mut control.trace {
            trace.add(request, began, bytes);
        }
    }

    fn begin(&self) {
        let mut control = lock(&self.control);
        control.in_flight += 1;
        control.stats.in_flight_max = control.stats.in_flight_max.max(control.in_flight);
    }

    fn end(&self) {
        lock(&self.control).in_flight -= 1;
    }

    fn random(&self) -> u64 {
        next_random(&mut lock(&self.control).random)
    }
}

/// A running server. Dropping it closes every connection and forgets every object.
pub struct Server {
    address: SocketAddr,
    options: Options,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// The key that may only read, and its secret.
    pub const READER: (&str, &str) = ("reader", "readerreader");

    /// Starts a server on 127.0.0.1, on threads of its own.
    ///
    /// # Errors
    /// If the port cannot be had or threads cannot be made.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mut objects = Objects::default();
        options.buckets.iter().for_each(|bucket| objects.create_bucket(bucket));
        let key = |access: &str, secret: &str, writes| Credentials {
            access_key: access.to_owned(),
            secret_key: secret.to_owned(),
            writes,
        };
        let shared = Arc::new(Shared {
            credentials: vec![
                key(&options.access_key, &options.secret_key, true),
                key(Self::READER.0, Self::READER.1, false),
            ],
            is_public: options.is_public,
            objects: Mutex::new(objects),
            control: Mutex::new(Control {
                rules: Vec::new(),
                flaw: Flaw::None,
                delay: options.delay,
                random: options.seed,
                in_flight: 0,
                stats: Stats::default(),
                trace: None,
            }),
        });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let serving = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("testserver".to_owned()).spawn(move || {
                runtime.block_on(serve(listener, serving, stopped));
                runtime.shutdown_background();
            })?;
        Ok(Self { address, options, shared, stop, thread: Some(thread) })
    }

    /// `http://127.0.0.1:port`
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URI of a folder of the first bucket.
    pub fn uri(&self, folder: &str) -> String {
        let bucket = self.options.buckets.first().map_or("test", String::as_str);
        format!("s3://{bucket}/{folder}")
    }

    /// What a client must know to write here, as option names and values.
    pub fn client_options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("endpoint", self.endpoint()),
            ("region", "us-east-1".to_owned()),
            ("access_key", self.options.access_key.clone()),
            ("secret_key", self.options.secret_key.clone()),
        ]
    }

    /// What a Google client must know to read and write here, as option names and values. Such clients leave reads
    /// unsigned, so the server must be public.
    pub fn google_options(&self) -> Vec<(&'static str, String)> {
        let key = "{\"private_key\":\"\",\"private_key_id\":\"\",\"client_email\":\"\",\"disable_oauth\":true}";
        vec![("endpoint", self.endpoint()), ("service_account_key", key.to_owned())]
    }

    /// Adds a rule. Of several that match a request the first added befalls it.
    pub fn add(&self, rule: Rule) {
        self.shared.add(rule);
    }

    /// Breaks a promise from now on.
    pub fn set_flaw(&self, flaw: Flaw) {
        self.shared.set_flaw(flaw);
    }

    /// Waits so long before serving each request from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.set_delay(delay);
    }

    /// Removes all rules and the flaw, and counts from zero.
    pub fn heal(&self) {
        self.shared.heal();
    }

    /// Counts since the start or the last [`Server::heal`].
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Remembers every request from now on.
    pub fn trace_begin(&self) {
        lock(&self.shared.control).trace = Some(Trace::new());
    }

    /// The requests answered since [`Server::trace_begin`], in the order of their answers; remembers no more.
    pub fn trace_end(&self) -> Vec<Traced> {
        lock(&self.shared.control).trace.take().map(Trace::into_requests).unwrap_or_default()
    }

    /// Uploads in parts that were begun and neither completed nor aborted.
    pub fn uploads_open(&self) -> usize {
        self.shared.objects().uploads_open()
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // The thread ends only when told to or by a panic, which it has reported.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // No receiver: the thread has ended already.
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => panic!("a bound listener is taken over by the runtime: {error}"),
    };
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            accepted = listener.accept() => {
                // A connection that broke before it was accepted is its client's business.
                let Ok((socket, _)) = accepted else { continue };
                let _ = socket.set_nodelay(true);
                shared.count(|stats| stats.connections += 1);
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    // An error here is a client that has gone.
                    let _ = converse(Connection::new(socket), &shared).await;
                });
            }
        }
    }
}

/// Serves one connection until either side closes it.
async fn converse(mut connection: Connection, shared: &Arc<Shared>) -> io::Result<()> {
    while let Some(request) = connection.read().await? {
        if let Some(response) = admin::answer(shared, &request) {
            connection.write(&response).await?;
            continue;
        }
        shared.begin();
        let goes_on = serve_one(&mut connection, shared, &request).await;
        shared.end();
        let closes =
            request.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        if !goes_on? || closes {
            return Ok(());
        }
    }
    Ok(())
}

/// Serves one request; `false` if the connection ends there.
async fn serve_one(
    connection: &mut Connection,
    shared: &Arc<Shared>,
    request: &Request,
) -> io::Result<bool> {
    let began = Instant::now();
    let (fault, delay) = shared.fate(request);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    match fault {
        Some(Fault::Close) => return Ok(false),
        Some(Fault::Status(status)) => {
            connection.write(&status_error(status)).await?;
            return Ok(true);
        }
        Some(Fault::ClockSkew) => {
            let text = "The difference between the request time and the current time is too large.";
            connection.write(&Response::error(403, "RequestTimeTooSkewed", text)).await?;
            return Ok(true);
        }
        Some(Fault::Delay(wait)) => tokio::time::sleep(wait).await,
        Some(Fault::Late(wait)) => {
            let (shared, request) = (Arc::clone(shared), request.clone());
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                s3::answer(&shared, &request).await;
            });
            return Ok(false);
        }
        _ => {}
    }
    let response = s3::answer(shared, request).await;
    shared.answered(request, began, response.body.len() as u64);
    reply(connection, shared, fault, response).await
}

/// Sends an answer as the fault leaves it; `false` if the connection ends there.
async fn reply(
    connection: &mut Connection,
    shared: &Shared,
    fault: Option<Fault>,
    mut response: Response,
) -> io::Result<bool> {
    match fault {
        Some(Fault::CloseAfter) => return Ok(false),
        Some(Fault::ResetAfter) => {
            connection.socket.set_zero_linger()?;
            return Ok(false);
        }
        Some(Fault::HalfReplyAfter) => {
            let head = response.head();
            connection.socket.write_all(&head.as_bytes()[..head.len() / 2]).await?;
            return Ok(false);
        }
        Some(Fault::Truncate) => {
            connection.socket.write_all(response.head().as_bytes()).await?;
            let half = response.body.len() / 2;
            connection.socket.write_all(&response.body[..half]).await?;
            return Ok(false);
        }
        Some(Fault::StatusAfter(status)) => response = status_error(status),
        Some(Fault::HangAfter(wait)) => tokio::time::sleep(wait).await,
        Some(Fault::BitFlip) if !response.body.is_empty() => {
            let random = shared.random();
            let mut body = response.body.to_vec();
            let at = (random >> 3) as usize % body.len();
            body[at] ^= 1 << (random & 7);
            response.body = body.into();
        }
        _ => {}
    }
    connection.write(&response).await?;
    Ok(true)
}

fn status_error(status: u16) -> Response {
    let code = match status {
        403 => "AccessDenied",
        409 => "ConditionalRequestConflict",
        429 | 503 => "SlowDown",
        _ => "InternalError",
    };
    Response::error(status, code, "injected")
}
