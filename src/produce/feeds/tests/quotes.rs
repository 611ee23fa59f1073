//! Yahoo: bars first, then quotes, whatever it answers.

use super::scripted::{Script, ScriptedServer, Step};
use super::{open, payloads, waits};
use crate::produce::feeds::yahoo::encoded;
use crate::produce::input::RecordInput;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::{Duration, Instant};

/// 2026-03-02T14:40:00Z.
const AT: i64 = 1_772_462_400;

fn quote(symbol: &str, price: f32, time_ms: i64, day_volume: i64) -> Step {
    let message = STANDARD.encode(encoded(symbol, price, time_ms, day_volume));
    Step::Text(format!(r#"{{"type":"pricing","message":"{message}"}}"#))
}

fn bars(symbol: &str, starts: &[i64], closes: &str, volumes: &str) -> Script {
    let quote = format!(r#"{{"close":{closes},"volume":{volumes}}}"#);
    let body = format!(
        r#"{{"chart":{{"result":[{{"meta":{{"symbol":"{symbol}"}},"timestamp":{starts:?},"indicators":{{"quote":[{quote}]}}}}],"error":null}}}}"#
    );
    Script::Answer(200, "content-type: application/json\r\n", body)
}

#[test]
fn bars_of_all_symbols_by_time_then_quotes() {
    let gone = r#"{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}"#;
    let outage = || Script::Answer(503, "", "<html>Will be right back...</html>".into());
    let server = ScriptedServer::start(vec![
        ("/v8/finance/chart/NOK?", Script::Answer(401, "", r#"{"finance":{"error":{"code":"Unauthorized"}}}"#.into())),
        ("/v1/test/getcrumb", Script::Answer(200, "", "cR.u/mb".into())),
        (
            "/v8/finance/chart/NOK?",
            bars("NOK", &[AT, AT + 60, AT + 120, AT + 133], "[5.119999885559082,null,5.25,6]", "[900,null,0,1]"),
        ),
        ("/v8/finance/chart/GONE?", Script::Answer(404, "", gone.into())),
        ("/v8/finance/chart/DOWN?", outage()),
        ("/v8/finance/chart/DOWN?", outage()),
        ("/v8/finance/chart/DOWN?", Script::Answer(200, "", "no JSON".into())),
        ("/v8/finance/chart/%5EGSPC?", bars("^GSPC", &[AT + 60], "[6890.5]", "[null]")),
        // The cookie's page, and the streamer: both at `/`.
        (
            "/?version=2",
            Script::Socket(vec![
                Step::Take,
                quote("NOK", 5.25, AT * 1000 - 259_200_000, 100), // three days old
                Step::Text("{}".into()),
                quote("NOK", 5.26, (AT + 200) * 1000, 1_000),
                quote("NOK", 5.27, (AT + 205) * 1000, 1_250),
            ]),
        ),
        (
            "/?version=2",
            Script::Socket(vec![
                Step::Take,
                quote("NOK", 5.27, (AT + 205) * 1000, 1_250),
                quote("NOK", 5.28, (AT + 210) * 1000, 1_300),
                Step::Hold,
            ]),
        ),
        ("/", Script::Answer(502, "set-cookie: A3=d=x1; Path=/; Secure\r\n", String::new())),
    ]);
    let mut input = open(&server, "yahoo:NOK,GONE,DOWN,^GSPC", waits());
    let want = [
        format!(r#"{{"symbol":"NOK","price":"5.12","volume":"900","ts":{}}}"#, AT * 1000),
        format!(r#"{{"symbol":"^GSPC","price":"6890.5","ts":{}}}"#, (AT + 60) * 1000),
        format!(r#"{{"symbol":"NOK","price":"5.25","volume":"0","ts":{}}}"#, (AT + 120) * 1000),
        format!(r#"{{"symbol":"NOK","price":"5.25","ts":{}}}"#, AT * 1000 - 259_200_000),
        format!(r#"{{"symbol":"NOK","price":"5.26","ts":{}}}"#, (AT + 200) * 1000),
        format!(r#"{{"symbol":"NOK","price":"5.27","volume":"250","ts":{}}}"#, (AT + 205) * 1000),
        format!(r#"{{"symbol":"NOK","price":"5.28","volume":"50","ts":{}}}"#, (AT + 210) * 1000),
    ];
    assert_eq!(payloads(&mut input, want.len()), want);
    let told = input.finish().unwrap();
    let counts =
        "yahoo: 7 records of 6 frames, 1 repeat left out, 1 frame not understood, 1 new connection after the first";
    assert_eq!(told, counts);
    let notes = server.notes();
    assert_eq!(server.left(), 0, "{notes:?}");
    let asked = |part: &str| assert!(notes.iter().any(|note| note.contains(part)), "{part}: {notes:?}");
    asked("/v8/finance/chart/NOK?interval=1m&range=1d&includePrePost=false HTTP/1.1");
    asked("&crumb=cR.u%2Fmb HTTP/1.1");
    asked("cookie A3=d=x1");
    asked(r#"{"subscribe":["NOK","GONE","DOWN","^GSPC"]}"#);
}

#[test]
fn a_limit_of_requests_ends_the_bars_not_the_quotes() {
    let limited = || Script::Answer(429, "", "Too Many Requests\r\n".into());
    let server = ScriptedServer::start(vec![
        ("/v8/finance/chart/A?", limited()),
        ("/v8/finance/chart/A?", limited()),
        ("/?version=2", Script::Socket(vec![Step::Take, quote("B", 1.5, AT * 1000, 0), Step::Hold])),
    ]);
    let begun = Instant::now();
    let mut input = open(&server, "yahoo:A,B", waits());
    assert_eq!(payloads(&mut input, 1), [format!(r#"{{"symbol":"B","price":"1.5","ts":{}}}"#, AT * 1000)]);
    assert!(begun.elapsed() >= waits().rate_limited);
    assert_eq!(server.left(), 0);
    assert_eq!(server.notes().iter().filter(|note| note.contains("/chart/")).count(), 2, "B is not asked for any more");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn each_hundred_symbols_have_a_connection() {
    let limited = || Script::Answer(429, "", "Too Many Requests".into());
    let steps = |name: &'static str| vec![Step::Take, quote(name, 2.0, AT * 1000, 0), Step::Hold];
    let server = ScriptedServer::start(vec![
        ("/v8/", limited()),
        ("/v8/", limited()),
        ("/?version=2", Script::Socket(steps("X"))),
        ("/?version=2", Script::Socket(steps("Y"))),
    ]);
    let symbols: Vec<_> = (0..101).map(|n| format!("S{n}")).collect();
    let mut input = open(&server, &format!("yahoo:{}", symbols.join(",")), waits());
    assert_eq!(payloads(&mut input, 2).len(), 2);
    let sizes = |note: &String| note.strip_prefix(r#"{"subscribe":"#).map(|list| list.matches(r#""S"#).count());
    let mut sizes: Vec<_> = server.notes().iter().filter_map(sizes).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 100]);
}
