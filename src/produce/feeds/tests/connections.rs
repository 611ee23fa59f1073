//! Connections that break, are closed, refused, limited, silent; and what is told of them.

use super::scripted::{Script, ScriptedServer, Step};
use super::{failure, open, payloads, waits};
use crate::produce::feeds::client::FeedClient;
use crate::produce::feeds::connection::FeedConnection;
use crate::produce::feeds::feed::Feed;
use crate::produce::feeds::frame::{FrameContent, FrameError};
use crate::produce::feeds::output::FeedOutput;
use crate::produce::feeds::retry::FeedWaits;
use crate::produce::input::RecordInput;
use minutely_dataflows::edge::HaltKind;
use std::time::{Duration, Instant};

/// A trade of Coinbase: its price is its id.
fn trade(kind: &str, id: u64) -> Step {
    Step::Text(format!(
        r#"{{"type":"{kind}","trade_id":{id},"side":"sell","size":"2.50","price":"{id}.10","product_id":"XLM-EUR","sequence":{},"time":"2026-03-02T10:00:00.5Z"}}"#,
        id * 3
    ))
}

fn payload(id: u64) -> String {
    format!(r#"{{"symbol":"XLM-EUR","price":"{id}.10","volume":"2.50","ts":1772445600500,"trade_id":{id}}}"#)
}

#[test]
fn what_is_missed_between_connections_is_known() {
    let text = |text: &str| Step::Text(text.to_owned());
    let server = ScriptedServer::start(vec![
        (
            "/",
            Script::Socket(vec![
                Step::Take,
                text(r#"{"type":"subscriptions","channels":[]}"#),
                trade("last_match", 7),
                trade("match", 8),
                text("<html>"),
                Step::Binary(vec![0xff, 0x00]),
                trade("match", 9),
            ]), // and dropped: a closed socket without a code
        ),
        ("/", Script::Socket(vec![Step::Take, trade("last_match", 9), trade("match", 10), Step::Close(1001, "bye")])),
        // A frame of a reserved kind.
        ("/", Script::Socket(vec![Step::Take, trade("last_match", 10), Step::Raw(vec![0x8b, 0x00]), Step::Hold])),
        ("/", Script::Socket(vec![Step::Take, trade("last_match", 14), trade("match", 15), Step::Hold])),
    ]);
    let mut input = open(&server, "coinbase:XLM-EUR", waits());
    assert_eq!(payloads(&mut input, 5), [8, 9, 10, 14, 15].map(payload));
    let told = input.finish().unwrap();
    let want = "coinbase: 5 records of 11 frames, 2 repeats left out, 2 frames not understood, 3 trades known to be missing, 3 new \
                connections after the first";
    assert_eq!(told, want);
    let asked = server.notes();
    let subscription = r#"{"channels":["matches"],"product_ids":["XLM-EUR"],"type":"subscribe"}"#;
    assert_eq!(asked.iter().filter(|note| *note == subscription).count(), 4, "{asked:?}");
    assert_eq!(server.left(), 0);
    server.wait_for("gone: closed");
}

#[test]
fn a_silent_server_is_left_and_one_that_answers_pings_is_not() {
    let server = ScriptedServer::start(vec![
        ("/", Script::Socket(vec![Step::Take, trade("match", 1), Step::Silence])),
        (
            "/",
            Script::Socket(vec![
                Step::Take,
                trade("match", 2),
                Step::Serve(Duration::from_millis(2500)),
                trade("match", 3),
                Step::Hold,
            ]),
        ),
    ]);
    let mut input = open(&server, "coinbase:XLM-EUR", FeedWaits { silence: Duration::from_secs(1), ..waits() });
    assert_eq!(payloads(&mut input, 3), [1, 2, 3].map(payload));
    let told = input.finish().unwrap();
    assert!(told.ends_with("3 frames, 1 new connection after the first"), "{told}");
}

#[test]
fn refused_handshakes_are_waited_out() {
    let outage = "<html><h1>Will be right back</h1></html>".to_owned();
    let server = ScriptedServer::start(vec![
        ("/", Script::Answer(503, "content-type: text/html\r\n", outage)),
        ("/", Script::Answer(200, "", "hello".into())),
        ("/", Script::WrongKey),
        ("/", Script::Answer(429, "retry-after: 1\r\n", "Too Many Requests".into())),
        ("/", Script::Socket(vec![Step::Take, trade("match", 1), Step::Close(1008, "Too many requests")])),
        ("/", Script::Answer(451, "", "not in your country".into())),
        ("/", Script::Socket(vec![Step::Take, trade("match", 2), Step::Hold])),
    ]);
    let begun = Instant::now();
    let mut input = open(&server, "coinbase:XLM-EUR", waits());
    assert_eq!(payloads(&mut input, 2), [1, 2].map(payload));
    // As long as the server asks, then as long as it must be.
    assert!(begun.elapsed() > Duration::from_millis(1400), "{:?}", begun.elapsed());
    assert!(input.finish().unwrap().contains("2 records of 2 frames, 1 new connection"));
    assert_eq!(server.left(), 0);
}

#[test]
fn what_a_feed_does_not_have_ends_it_with_its_words() {
    let error = r#"{"type":"error","message":"Failed to subscribe","reason":"XX-YY is not a valid product"}"#;
    let refusals = [
        (Script::Socket(vec![Step::Take, Step::Text(error.into()), Step::Hold]), "XX-YY is not a valid product"),
        (Script::Answer(451, "", "not in your country".into()), "it answers 451 (not in your country)"),
    ];
    for (script, words) in refusals {
        let server = ScriptedServer::start(vec![("/", script)]);
        let mut input = open(&server, "coinbase:XX-YY", waits());
        let halt = failure(&mut input);
        assert_eq!(halt.kind, HaltKind::Unreachable);
        assert!(halt.why.starts_with("coinbase: ") && halt.why.contains(words), "{}", halt.why);
    }
    // Later it may be an outage: it is tried again.
    let server = ScriptedServer::start(vec![
        ("/", Script::Socket(vec![Step::Take, trade("match", 1), Step::Text(error.into()), Step::Hold])),
        ("/", Script::Socket(vec![Step::Take, trade("match", 2), Step::Hold])),
    ]);
    assert_eq!(payloads(&mut open(&server, "coinbase:XLM-EUR", waits()), 2), [1, 2].map(payload));
}

#[test]
fn a_copier_that_is_slow_loses_nothing() {
    let many = 15_000;
    let frame = |id: usize| {
        let data = format!(r#"{{"e":"trade","s":"ADAEUR","t":{id},"p":"0.{id}","q":"1","T":1772445600000}}"#);
        Step::Text(format!(r#"{{"stream":"adaeur@trade","data":{data}}}"#))
    };
    let mut steps: Vec<_> = (0..many).map(frame).collect();
    steps.push(Step::Hold);
    let server = ScriptedServer::start(vec![("/stream?streams=adaeur@trade/soleur@trade", Script::Socket(steps))]);
    let mut input = open(&server, "binance:ADAEUR,SOLEUR", waits());
    assert_eq!(payloads(&mut input, 1).len(), 1);
    std::thread::sleep(Duration::from_millis(300)); // the queue fills
    let found = payloads(&mut input, many - 1);
    assert!(found.iter().zip(1..).all(|(payload, id)| payload.ends_with(&format!(r#""trade_id":{id}}}"#))));
    assert_eq!(input.finish().unwrap(), format!("binance: {many} records of {many} frames"));
    assert!(server.notes()[0].starts_with("GET /stream?streams=adaeur@trade/soleur@trade HTTP/1.1"));
}

#[test]
fn it_ends_at_once_whatever_it_waits_for() {
    let quiet = || vec![("/", Script::Socket(vec![Step::Take, Step::Hold]))];
    let limited = || vec![("/", Script::Answer(429, "retry-after: 3600\r\n", String::new()))];
    for scripts in [quiet(), limited(), vec![]] {
        let server = ScriptedServer::start(scripts);
        let mut input = open(&server, "coinbase:XLM-EUR", waits());
        server.wait_for("GET / HTTP/1.1");
        let begun = Instant::now();
        assert_eq!(input.finish().unwrap(), "coinbase: 0 records of 0 frames");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

/// Subscribes again and again.
struct Heartbeat;

impl Feed for Heartbeat {
    fn records(&self) -> &'static str {
        "beats"
    }

    fn symbols(&self) -> &[String] {
        &[]
    }

    fn url(&self) -> String {
        "https://heart.example/beat".to_owned()
    }

    fn subscription(&self) -> Option<String> {
        Some("subscribe".to_owned())
    }

    fn resubscribe_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(20))
    }

    fn read(&mut self, _: &[u8]) -> Result<FrameContent, FrameError> {
        Ok(FrameContent::default())
    }
}

#[test]
fn a_subscription_is_sent_again_where_the_feed_wants_it() {
    let server = ScriptedServer::start(vec![("/beat", Script::Socket(vec![Step::Take, Step::Take, Step::Take]))]);
    let client = FeedClient::new(Some(server.url.parse().unwrap()), Duration::from_secs(20)).unwrap();
    let (events, _taken) = tokio::sync::mpsc::channel(1);
    let out = FeedOutput { events, tally: std::sync::Arc::default() };
    let connection = FeedConnection::new("heart".into(), Box::new(Heartbeat), client, waits(), out);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let thread = std::thread::spawn(move || runtime.block_on(connection.run(stopped)));
    server.wait_for("GET /beat");
    let many = || server.notes().iter().filter(|note| *note == "subscribe").count();
    let begun = Instant::now();
    while many() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", server.notes());
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(stop);
    thread.join().unwrap();
}
