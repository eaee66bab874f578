//! The server's own paths, for who controls it from another process: `POST /__fault`, `POST /__flaw`, `POST /__delay`,
//! `POST /__reset`, `GET /__stats`. They need no signature.

use std::time::Duration;

use crate::escape::query_pairs;
use crate::fault::{Flaw, Rule};
use crate::http::{Request, Response};
use crate::server::Shared;

/// Answers if the request is for one of these paths.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Option<Response> {
    let command = request.path().strip_prefix("/__")?;
    let pairs = query_pairs(request.query());
    let get =
        |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if command == "stats" {
        return Some(json(shared.stats().to_json()));
    }
    let done = match command {
        "fault" => Rule::from_query(&pairs).map(|rule| shared.add(rule)),
        "flaw" => match get("kind").unwrap_or_default() {
            "none" => Ok(Flaw::None),
            "ignores_conditions" => Ok(Flaw::IgnoresConditions),
            "checks_then_writes" => Ok(Flaw::ChecksThenWrites),
            "ignores_ranges" => Ok(Flaw::IgnoresRanges),
            other => Err(format!("kind {other:?} is not known")),
        }
        .map(|flaw| shared.set_flaw(flaw)),
        "delay" => match get("ms").unwrap_or_default().parse() {
            Ok(ms) => {
                shared.set_delay(Duration::from_millis(ms));
                Ok(())
            }
            Err(_) => Err("ms must be a number".to_owned()),
        },
        "reset" => {
            shared.heal();
            Ok(())
        }
        other => Err(format!("there is no /__{other}")),
    };
    Some(match done {
        Ok(()) => json("{}".to_owned()),
        Err(problem) => Response::error(400, "InvalidArgument", &problem),
    })
}

fn json(body: String) -> Response {
    Response::new(200).with("content-type", "application/json").body(body)
}
