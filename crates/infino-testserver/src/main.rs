//! The test server as a program: `infino-testserver [--port N] [--bucket NAME]... [--delay-ms N] [--access-key K]
//! [--secret-key S]`. It prints where it listens, and serves until it is killed.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use infino_testserver::{Options, Server};

fn main() -> ExitCode {
    let started = parse(std::env::args().skip(1))
        .and_then(|options| Server::start(options).map_err(|error| error.to_string()));
    match started {
        Ok(server) => {
            #[expect(
                clippy::print_stdout,
                reason = "whoever started the program reads the address"
            )]
            {
                println!("{}", server.endpoint());
            }
            server.wait();
            ExitCode::SUCCESS
        }
        Err(problem) => {
            #[expect(clippy::print_stderr, reason = "a program says why it cannot start")]
            {
                eprintln!("infino-testserver: {problem}");
            }
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options::default();
    let mut buckets = Vec::new();
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} needs a number"));
        match name.as_str() {
            "--port" => {
                options.port = u16::try_from(number()?).map_err(|_| "--port goes to 65535")?;
            }
            "--bucket" => buckets.push(value),
            "--delay-ms" => options.delay = Duration::from_millis(number()?),
            "--seed" => options.seed = number()?,
            "--access-key" => options.access_key = value,
            "--secret-key" => options.secret_key = value,
            _ => return Err(format!("{name} is not known; see the top of its README")),
        }
    }
    if !buckets.is_empty() {
        options.buckets = buckets;
    }
    Ok(options)
}
