//! Whole feeds against a server that does what a script says: which records come out.

mod connections;
mod quotes;
pub(crate) mod scripted;

use super::client::FeedClient;
use super::input::FeedInput;
use super::request::FeedRequest;
use super::retry::FeedWaits;
use crate::clock::SystemClock;
use crate::produce::input::RecordInput;
use minutely_dataflows::edge::Halt;
use scripted::ScriptedServer;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits of tests: as short as they can be told apart.
pub(super) fn waits() -> FeedWaits {
    FeedWaits {
        connect: Duration::from_secs(20),
        silence: Duration::from_secs(20),
        ping: Duration::from_millis(50),
        first: Duration::from_millis(5),
        most: Duration::from_millis(20),
        rate_limited: Duration::from_millis(400),
        ..FeedWaits::default()
    }
}

/// A feed that asks the server.
pub(super) fn open(server: &ScriptedServer, uri: &str, waits: FeedWaits) -> FeedInput {
    let request = FeedRequest::of(uri).unwrap().unwrap();
    let client = FeedClient::new(Some(server.url.parse().unwrap()), waits.connect).unwrap();
    FeedInput::start(&request, client, waits, SystemClock::start()).unwrap()
}

/// This many payloads, in order.
pub(super) fn payloads(input: &mut FeedInput, many: usize) -> Vec<String> {
    let (mut found, deadline) = (Vec::new(), Instant::now() + DEADLINE);
    while found.len() < many {
        let before = found.len();
        take(input, many - found.len(), &mut found).unwrap();
        assert!(Instant::now() < deadline, "{} of {many} records: {found:?}", found.len());
        if found.len() == before {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    found
}

/// Why the feed ends.
pub(super) fn failure(input: &mut FeedInput) -> Halt {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Err(halt) = take(input, usize::MAX, &mut Vec::new()) {
            return halt;
        }
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn take(input: &mut FeedInput, most: usize, found: &mut Vec<String>) -> Result<(), Halt> {
    let turn = input.turn(most, &mut |record| {
        let payload = String::from_utf8(record.payload.unwrap().to_vec()).unwrap();
        let symbol = std::str::from_utf8(record.key.unwrap()).unwrap();
        assert!(payload.starts_with(&format!(r#"{{"symbol":"{symbol}","#)), "{payload}");
        assert!(record.time.is_some() && record.time == record.stamp && record.partition == 0);
        found.push(payload);
        ControlFlow::Continue(())
    });
    turn.map(|_| ())
}
