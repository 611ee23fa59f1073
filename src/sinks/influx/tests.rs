//! Against a scripted server, for the answers that a real one never gives, and against a real one if there is one.

use super::client::{self, Client};
use super::line::tests::{PointFields, PointKey, parse, want};
use super::retention::{retention, too_short};
use super::target::{Access, Destination};
use super::*;
use crate::sinks::testing::{self, hostile_symbol, poll, random_rows, row, seed, store_all, temp};
use crate::sinks::{check, open as open_uri, validate};
use crate::text::Columns;
use minutely_dataflows::edge::{HaltKind, RowBatch};
use minutely_dataflows::row::Row;
use minutely_dataflows::time::{SECOND, State, WindowStart};
use reqwest::Url;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Of rows with all columns.
fn options(data: &Path) -> SinkOptions {
    SinkOptions { columns: testing::columns(true), ..testing::options(data) }
}

const SECRET: &str = "s3cr3t-t0k3n";

/// What the server does with a write, instead of what InfluxDB does.
#[derive(Clone)]
enum Step {
    Answer {
        stores: bool,
        status: u16,
        headers: &'static str,
        text: &'static str,
    },
    Close {
        stores: bool,
    },
    /// Says nothing until the client gives up.
    Silence,
}

fn answer(status: u16, text: &'static str) -> Step {
    Step::Answer { stores: false, status, headers: "", text }
}

struct Seen {
    at: Instant,
    head: String,
    body: Vec<u8>,
    lines: usize,
}

type Rule = Box<dyn Fn(&PointKey) -> Option<u16> + Send + Sync>;

/// InfluxDB as seen by a writer: a bad point spoils the batch (400) or is left out (422).
struct Fake {
    at: SocketAddr,
    points: Mutex<BTreeMap<PointKey, PointFields>>,
    seen: Mutex<Vec<Seen>>,
    /// For writes of points, then for empty ones.
    script: Mutex<[VecDeque<Step>; 2]>,
    rule: Rule,
    line_limit: usize,
    /// More bytes than that are too many in any write.
    byte_limit: AtomicUsize,
    /// How long it takes for a line, before it answers.
    per_line: Duration,
    retention: u64,
    /// The lines of marks that were written.
    marks: Mutex<Vec<String>>,
    /// The answer to a query for a mark.
    marked: Mutex<(u16, String)>,
    /// If not empty: only of this measurement, and all others have none.
    marked_alone: Mutex<String>,
    /// An InfluxDB 1, where a point that is left out is a 400 as well.
    first: bool,
}

impl Fake {
    fn start(rule: Rule, line_limit: usize) -> Arc<Self> {
        Self::of(false, rule, line_limit)
    }

    fn of(first: bool, rule: Rule, line_limit: usize) -> Arc<Self> {
        Self::with(600, Duration::ZERO, first, rule, line_limit)
    }

    fn with(retention: u64, per_line: Duration, first: bool, rule: Rule, line_limit: usize) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Arc::new(Fake {
            at: listener.local_addr().unwrap(),
            points: Mutex::default(),
            seen: Mutex::default(),
            script: Mutex::default(),
            rule,
            line_limit,
            byte_limit: AtomicUsize::new(usize::MAX),
            per_line,
            retention,
            marks: Mutex::default(),
            marked: Mutex::new((200, if first { r#"{"results":[{"statement_id":0}]}"# } else { "" }.to_owned())),
            marked_alone: Mutex::default(),
            first,
        });
        let theirs = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let fake = theirs.clone();
                std::thread::spawn(move || fake.serve(&stream));
            }
        });
        fake
    }

    fn plain() -> Arc<Self> {
        Self::start(Box::new(|_| None), usize::MAX)
    }

    fn script(&self, points: impl IntoIterator<Item = Step>, empty: impl IntoIterator<Item = Step>) {
        *self.script.lock().unwrap() = [points.into_iter().collect(), empty.into_iter().collect()];
    }

    fn target(&self) -> InfluxTarget {
        self.address_with("")
    }

    fn address_with(&self, query: &str) -> InfluxTarget {
        let env = |name: &str| ["INFLUX_TOKEN", "MINUTELY_INFLUX1_PASSWORD"].contains(&name).then(|| SECRET.to_owned());
        let (scheme, rest) = match self.first {
            true => ("influxdb1", format!("//{}/my%20db?user=me&{query}", self.at)),
            false => ("influxdb", format!("//{}/my%20org/b?{query}", self.at)),
        };
        InfluxTarget::parse(scheme, &rest, &crate::uri::redacted(&format!("{scheme}:{rest}")), &env).unwrap()
    }

    /// Points' writes, without the empty ones.
    fn writes(&self) -> Vec<(Vec<u8>, usize, Instant)> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|s| s.lines > 0).map(|s| (s.body.clone(), s.lines, s.at)).collect()
    }

    fn points(&self) -> BTreeMap<PointKey, PointFields> {
        self.points.lock().unwrap().clone()
    }

    fn serve(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).ok()? == 0 {
                    return None;
                }
            }
            let header = |name: &str| {
                let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(name))?;
                line.split_once(':').map(|(_, value)| value.trim().to_owned())
            };
            let mut body = vec![0; header("content-length:").map_or(0, |len| len.parse().unwrap())];
            reader.read_exact(&mut body).ok()?;
            let whole = head.clone();
            let question = head.clone() + &String::from_utf8_lossy(&body);
            let head = head.replacen(" /a%2Fb/influx/", " /", 1); // as a proxy does
            let say = |status: u16, headers: &str, text: &str| {
                let len = text.len();
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: {len}\r\n{headers}\r\n{text}");
                (&mut &*stream).write_all(answer.as_bytes()).ok()
            };
            if let Some((status, text)) = self.asked(&head, &question) {
                say(status, "", &text)?;
                continue;
            }
            if body.len() > self.byte_limit.load(Ordering::Relaxed) {
                say(413, "", "<html>too large</html>")?;
                continue;
            }
            let mut text = String::new();
            flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
            if text.starts_with("minutely_jobs,") {
                self.marks.lock().unwrap().push(text);
                say(204, "", "")?;
                continue;
            }
            let lines = text.lines().count();
            let step = self.script.lock().unwrap()[usize::from(lines == 0)].pop_front();
            self.seen.lock().unwrap().push(Seen { at: Instant::now(), head: whole, body, lines });
            std::thread::sleep(self.per_line * u32::try_from(lines).unwrap());
            match step {
                None => {
                    let (status, text) = self.influx(&text);
                    say(status, "", &text)?;
                }
                Some(Step::Answer { stores, status, headers, text: said }) => {
                    stores.then(|| self.influx(&text));
                    say(status, headers, said)?;
                }
                Some(Step::Close { stores }) => {
                    stores.then(|| self.influx(&text));
                    return None;
                }
                Some(Step::Silence) => {
                    drop(reader.read(&mut [0]));
                    return None;
                }
            }
        }
    }

    /// The answer to what is no write.
    fn asked(&self, head: &str, question: &str) -> Option<(u16, String)> {
        let retention = self.retention;
        if head.starts_with("GET /health ") {
            return Some((200, r#"{"name":"influxdb","status":"pass"}"#.to_owned()));
        }
        if head.starts_with("GET /ping ") {
            return Some((204, String::new()));
        }
        if head.starts_with("GET /api/v2/buckets?") {
            let rules = format!(r#"[{{"type":"expire","everySeconds":{retention}}}]"#);
            return Some((200, format!(r#"{{"buckets":[{{"name":"b","retentionRules":{rules}}}]}}"#)));
        }
        if head.starts_with("POST /api/v2/query?") || head.starts_with("GET /query?db=") {
            let alone = self.marked_alone.lock().unwrap().clone();
            let none = if self.first { r#"{"results":[{"statement_id":0}]}"# } else { "" };
            // As text of a query in Flux and in InfluxQL.
            let is_of = |quoted: &str| question.contains(quoted);
            let asks = alone.is_empty() || is_of(&format!("\"{alone}\"")) || is_of(&format!("%27{alone}%27"));
            return Some(if asks { self.marked.lock().unwrap().clone() } else { (200, none.to_owned()) });
        }
        let policies = format!(
            r#"{{"results":[{{"series":[{{"columns":["name","duration","default"],"values":[["x","{retention}s",true]]}}]}}]}}"#
        );
        head.starts_with("GET /query?").then_some((200, policies))
    }

    fn influx(&self, text: &str) -> (u16, String) {
        if text.lines().count() > self.line_limit {
            return (413, "too large".to_owned());
        }
        let points: Vec<_> = text.lines().map(|line| parse(line).unwrap()).collect();
        let bad: Vec<_> = points.iter().map(|(key, _)| (self.rule)(key)).collect();
        if bad.contains(&Some(400)) {
            return (400, r#"{"code":"invalid","message":"unable to parse 'x': bad"}"#.to_owned());
        }
        if bad.contains(&Some(413)) {
            return (413, String::new());
        }
        let good = points.into_iter().zip(&bad).filter(|(_, bad)| bad.is_none()).map(|(point, _)| point);
        self.points.lock().unwrap().extend(good);
        match bad.iter().flatten().count() {
            0 => (204, String::new()),
            n if self.first => {
                (400, format!(r#"{{"error":"partial write: points beyond retention policy dropped={n}"}}"#))
            }
            // As the real one does, it may name fewer than there are.
            n => (422, format!(r#"{{"message":"partial write: field type conflict … dropped={n}"}}"#)),
        }
    }
}

fn quick() -> Timeouts {
    let ms = Duration::from_millis;
    let long = Duration::from_secs(3_600);
    Timeouts { request: Duration::from_secs(20), first: ms(1), most: ms(4), hold: ms(1), look: long }
}

/// Sinks that have begun: what is scripted after this is for their rows.
fn sinks(fake: &Fake, data: &Path, emit: Emit, timeouts: Timeouts) -> Vec<OpenSink> {
    let begun = || fake.marks.lock().unwrap().len();
    let before = begun();
    let sinks = open_at(fake.target(), &SinkOptions { emit, ..options(data) }, timeouts).unwrap();
    poll("the sinks begin", || begun() >= before + sinks.len());
    sinks
}

fn wanted<'a>(measurement: &str, rows: impl IntoIterator<Item = &'a Row>) -> BTreeMap<PointKey, PointFields> {
    rows.into_iter().map(|row| want(measurement, row)).collect()
}

/// What stands in `unwritable.jsonl`: (measurement, symbol, minute, answer).
fn unwritable(data: &Path) -> Vec<(String, String, i64, String)> {
    let text = std::fs::read_to_string(data.join("unwritable.jsonl")).unwrap_or_default();
    let line = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let minute = text(&value["point"]["minute"]).parse::<jiff::Timestamp>().unwrap().as_nanosecond();
        let minute = i64::try_from(minute).unwrap();
        (text(&value["point"]["measurement"]), text(&value["point"]["symbol"]), minute, text(&value["answer"]))
    };
    text.lines().map(line).collect()
}

/// Rows of hostile symbols within some hours, one per point, in order.
fn rows_within_hours(rng: &mut fastrand::Rng, rows: usize, market: bool) -> Vec<Row> {
    let mut by_point = BTreeMap::new();
    for mut row in random_rows(rng, rows, market) {
        row.minute = WindowStart((29_453_760 + rng.i64(0..600)) * 60 * SECOND);
        by_point.insert((row.minute, row.symbol.clone()), row);
    }
    by_point.into_values().collect()
}

#[test]
fn both_measurements_get_all_their_points_in_batches() {
    let (fake, dir, mut rng) = (Fake::plain(), temp(), seed());
    let mut sinks = sinks(&fake, dir.path(), Emit::Changes, quick());
    assert_eq!(sinks.len(), 2);
    assert_eq!(sinks[0].takes, RowFilter { changes: false, partial: false, open_every: 0 });
    assert_eq!(sinks[1].takes, RowFilter { changes: true, partial: true, open_every: 5_000_000_000 });
    let mut rows = rows_within_hours(&mut rng, 12_000, true);
    rows.retain(|row| !row.symbol.ends_with('\\'));
    let finals: Vec<_> = rows.iter().filter(|row| row.state == State::Final).cloned().collect();
    store_all(&mut *sinks[0].port, 1, &finals);
    store_all(&mut *sinks[1].port, 1, &rows);
    let mut all = wanted("minute", &finals);
    all.extend(wanted("minute_live", &rows));
    assert_eq!(fake.points(), all);
    assert!(fake.writes().iter().all(|(_, lines, _)| *lines <= 5_000));
    assert_eq!(fake.writes().len(), finals.len().div_ceil(5_000) + rows.len().div_ceil(5_000));
    let seen = fake.seen.lock().unwrap();
    let head = seen[0].head.to_ascii_lowercase();
    assert!(head.starts_with("post /api/v2/write?org=my+org&bucket=b&precision=ns "), "{head}");
    assert!(head.contains(&format!("authorization: token {SECRET}")), "{head}");
    assert_eq!(unwritable(dir.path()), vec![]);
}

#[test]
fn an_influxdb_1_gets_the_same_lines_and_all_that_it_left_out_is_recorded() {
    let left_out = |key: &PointKey| (key.2 < 60_000_000_000).then_some(422);
    let (fake, dir) = (Fake::of(true, Box::new(left_out), usize::MAX), temp());
    let mut sinks = sinks(&fake, dir.path(), Emit::Changes, quick());
    assert_eq!(
        sinks.iter().map(|sink| sink.takes).collect::<Vec<_>>(),
        measurements(Emit::Changes).iter().map(|(_, takes)| *takes).collect::<Vec<_>>()
    );
    let old: Vec<_> = (0..500).map(|i| row(&format!("s{i}"), 0, 1)).collect();
    store_all(&mut *sinks[0].port, 1, &old);
    assert_eq!(fake.writes().len(), 2, "a batch of which every point is left out needs no bisection");
    let recorded = unwritable(dir.path());
    assert_eq!(recorded.len(), 500);
    assert!(
        recorded.iter().all(|r| r.3 == "400: partial write: points beyond retention policy dropped=500"),
        "{:?}",
        recorded[0]
    );

    let mixed: Vec<_> = (0..500).map(|i| row(&format!("s{i}"), 60 * i64::from(i % 50 > 0), 1)).collect();
    store_all(&mut *sinks[1].port, 1, &mixed);
    let (bad, good): (Vec<_>, Vec<_>) = mixed.iter().partition(|row| row.minute.0 == 0); // (in no order: bisected)
    assert_eq!((fake.points(), unwritable(dir.path()).len()), (wanted("minute_live", good), 500 + bad.len()));
    let head = fake.seen.lock().unwrap()[0].head.to_ascii_lowercase();
    assert!(head.starts_with("post /write?db=my+db&precision=ns "), "{head}");
    assert!(head.contains("authorization: basic bwu6cznjcjn0lxqwaznu"), "me:{SECRET} in base 64: {head}");
}

/// What the place says of how long it keeps points.
fn kept(target: InfluxTarget) -> Option<u64> {
    let client = Client::new(&Arc::new(target), quick(), crate::clock::SystemClock::start()).unwrap();
    client::runtime().unwrap().block_on(retention(&client))
}

#[test]
fn an_influxdb_1_is_looked_at_and_says_what_to_do() {
    let (fake, dir) = (Fake::of(true, Box::new(|_| None), usize::MAX), temp());
    let look = |target: InfluxTarget| {
        let options = SinkOptions { start_timeout: Duration::from_secs(30), ..options(dir.path()) };
        checked(&Arc::new(target), &options, quick())
    };
    fake.script([], [answer(503, "starting"), Step::Close { stores: false }]);
    assert_eq!(look(fake.target()), Ok(ServerCheck::Ready), "waits a moment for a server that starts");
    assert_eq!(kept(fake.target()), Some(600));
    for (status, want) in [
        (401, "does not know user `me` with this password (401: no); set MINUTELY_INFLUX1_PASSWORD"),
        (403, "user `me` may not write to database `my db` (403: no); grant WRITE"),
        (404, "does not find database `my db` (404: no); create it"),
        (200, "is this the address of an InfluxDB 1?"),
    ] {
        fake.script([], [answer(status, r#"{"error":"no"}"#)]);
        let halt = look(fake.target()).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains(want), "{halt}");
        assert!(!format!("{halt:?} {:?}", fake.target()).contains(SECRET));
    }
    fake.script([], [answer(401, "")]);
    let halt = look(InfluxTarget { access: Access::Open, ..fake.target() }).unwrap_err();
    assert!(halt.why.contains("wants to know who writes (401: ); give ?user=NAME"), "{halt}");
    assert_eq!(fake.points(), BTreeMap::new());
}

#[test]
fn an_unknown_outcome_sends_the_identical_bytes_again() {
    let (fake, dir) = (Fake::plain(), temp());
    let mut sinks = sinks(&fake, dir.path(), Emit::Final, quick());
    assert_eq!(sinks.len(), 1, "no `minute_live` with --emit final");
    let stored = |status, headers| Step::Answer { stores: true, status, headers, text: "timeout" };
    let steps = [
        Step::Answer { stores: false, status: 429, headers: "Retry-After: 1\r\n", text: "" },
        answer(503, "busy"),
        stored(500, ""),
        Step::Close { stores: true },
        Step::Close { stores: false },
        answer(502, "<html>bad gateway</html>"),
    ];
    let attempts = steps.len() + 1;
    fake.script(steps, []);
    let rows = [row("A", 0, 1), row("B", 0, 2)];
    store_all(&mut *sinks[0].port, 3, &rows);
    let writes = fake.writes();
    assert_eq!(writes.len(), attempts);
    assert!(writes.iter().all(|(body, _, _)| *body == writes[0].0));
    assert!(writes[1].2 - writes[0].2 >= Duration::from_secs(1), "Retry-After is heeded");
    assert_eq!(fake.points(), wanted("minute", &rows));
    assert_eq!(sinks[0].health.trouble(), None);
    assert_eq!(unwritable(dir.path()), vec![]);
}

#[test]
fn a_server_that_says_nothing_is_asked_again() {
    let (fake, dir) = (Fake::plain(), temp());
    let timeouts = Timeouts { request: Duration::from_millis(400), ..quick() };
    let mut sinks = sinks(&fake, dir.path(), Emit::Final, timeouts);
    fake.script([Step::Silence, Step::Silence], []);
    store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1)]);
    assert!(fake.writes().len() >= 3);
    assert_eq!(fake.points(), wanted("minute", &[row("A", 0, 1)]));
}

#[test]
fn what_is_too_large_is_split_down_to_the_point() {
    let too_large = |key: &PointKey| (key.1 == "s7").then_some(413);
    let (fake, dir) = (Fake::start(Box::new(too_large), 100), temp());
    let mut sinks = sinks(&fake, dir.path(), Emit::Final, quick());
    let rows: Vec<_> = (0..1_000).map(|i| row(&format!("s{i}"), 0, i + 1)).collect();
    store_all(&mut *sinks[0].port, 1, &rows);
    assert_eq!(fake.points(), wanted("minute", rows.iter().filter(|row| row.symbol != "s7")));
    assert_eq!(unwritable(dir.path()), vec![("minute".to_owned(), "s7".to_owned(), 0, "413: ".to_owned())]);
    assert_eq!(sinks[0].health.unwritable(), 1);
}

#[test]
fn exactly_the_points_that_are_to_blame_are_recorded_and_all_others_written() {
    let mut rng = seed();
    for _ in 0..20 {
        let share = [1, 2, 10, 100, 1_000][rng.usize(..5)];
        let salt = rng.u64(..);
        let verdict = move |key: &PointKey| -> Option<u16> {
            let mut rng = fastrand::Rng::with_seed(salt ^ xxhash_rust::xxh3::xxh3_64(format!("{key:?}").as_bytes()));
            if rng.u32(..share) > 0 { None } else { Some([400, 422, 413][rng.usize(..3)]) }
        };
        let (fake, dir) = (Fake::start(Box::new(verdict), [20, 1_000, usize::MAX][rng.usize(..3)]), temp());
        let mut sinks = sinks(&fake, dir.path(), Emit::Changes, quick());
        let count = rng.usize(1..400);
        let rows = rows_within_hours(&mut rng, count, false);
        store_all(&mut *sinks[1].port, 1, &rows);
        let key = |row: &Row| ("minute_live".to_owned(), row.symbol.clone(), row.minute.0);
        let (bad, good): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| row.symbol.ends_with('\\') || verdict(&key(row)).is_some());
        assert_eq!(fake.points(), wanted("minute_live", good));
        let recorded: Vec<_> = unwritable(dir.path()).into_iter().map(|r| (r.0, r.1, r.2)).collect();
        assert_eq!(recorded.len(), bad.len(), "each once");
        assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), bad.into_iter().map(key).collect());
    }
}

#[test]
fn a_server_that_needs_longer_than_it_is_given_gets_less_and_is_waited_for() {
    let (fake, dir) = (Fake::with(600, Duration::from_millis(1), false, Box::new(|_| None), usize::MAX), temp());
    let timeouts = Timeouts { request: Duration::from_millis(300), ..quick() };
    let target = fake.address_with("batch=1000");
    let mut sinks = open_at(target, &SinkOptions { emit: Emit::Final, ..options(dir.path()) }, timeouts).unwrap();
    let rows: Vec<_> = (0..3_000).map(|i| row(&format!("s{i:04}"), 0, 1)).collect();
    store_all(&mut *sinks[0].port, 1, &rows);
    assert_eq!(fake.points(), wanted("minute", &rows));
    let sizes: Vec<_> = fake.writes().iter().map(|(_, lines, _)| *lines).collect();
    assert_eq!(sizes[0], 1_000, "{sizes:?}");
    assert!(sizes[1] < 1_000 && sizes.len() < 20, "half as much, and not the same for ever: {sizes:?}");
    assert_eq!((sinks[0].health.trouble(), unwritable(dir.path())), (None, vec![]));
}

#[test]
fn a_limit_that_no_point_fits_into_is_the_servers_and_blames_none() {
    let (fake, dir) = (Fake::plain(), temp());
    fake.byte_limit.store(60, Ordering::Relaxed);
    let options = SinkOptions { emit: Emit::Final, ..options(dir.path()) };
    let mut sinks = open_at(fake.target(), &options, quick()).unwrap();
    let rows: Vec<_> = (0..20).map(|i| row(&format!("s{i:02}"), 0, 1)).collect();
    sinks[0].port.offer(RowBatch { round: 1, seq: 1, rows: rows.clone(), last: true }).unwrap();
    poll("it says whose limit it is", || {
        sinks[0].health.trouble().is_some_and(|why| why.contains("client_max_body_size"))
    });
    assert_eq!((sinks[0].port.stored(), unwritable(dir.path())), (Ok(None), vec![]));
    fake.byte_limit.store(usize::MAX, Ordering::Relaxed);
    poll("rows are stored again", || sinks[0].port.stored().unwrap().map(|stored| stored.at) == Some(1));
    assert_eq!((fake.points(), unwritable(dir.path())), (wanted("minute", &rows), vec![]));
    assert_eq!(sinks[0].health.trouble(), None);
}

#[test]
fn every_success_is_one_and_an_error_under_a_success_is_none() {
    let (fake, dir) = (Fake::plain(), temp());
    let mut sinks = sinks(&fake, dir.path(), Emit::Final, quick());
    let taken = |status, text| Step::Answer { stores: true, status, headers: "", text };
    for (round, step) in [taken(200, ""), taken(201, "{}"), taken(202, "accepted")].into_iter().enumerate() {
        fake.script([step], []);
        let seen = fake.writes().len();
        let round = u64::try_from(round).unwrap() + 1;
        store_all(&mut *sinks[0].port, round, &[row("A", 0, 1)]);
        assert_eq!((fake.writes().len(), sinks[0].health.trouble()), (seen + 1, None));
    }
    for (round, text) in [(4, r#"{"error":"database not found"}"#), (5, "<html>Welcome</html>")] {
        fake.script(vec![answer(200, text); 1_000_000], []);
        sinks[0].port.offer(RowBatch { round, seq: round, rows: vec![row("B", 0, 1)], last: true }).unwrap();
        poll("it is held", || sinks[0].health.trouble().is_some_and(|why| why.contains("unexpected answer")));
        fake.script([], []);
        poll("rows are stored again", || sinks[0].port.stored().unwrap().map(|stored| stored.at) == Some(round));
    }
}

#[test]
fn a_sink_whose_every_point_is_refused_is_not_well_and_nothing_is_stored() {
    let old = |key: &PointKey| (key.2 == 0).then_some(422);
    let (fake, dir) = (Fake::start(Box::new(old), usize::MAX), temp());
    let mut sinks = sinks(&fake, dir.path(), Emit::Final, quick());
    store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1), row("B", 0, 1)]);
    let trouble = sinks[0].health.trouble().unwrap();
    assert!(trouble.contains("refuses every point (the last 2") && trouble.contains("unwritable.jsonl"), "{trouble}");
    assert_eq!(sinks[0].health.refused_all(), Some(2));
    store_all(&mut *sinks[0].port, 2, &[row("A", 0, 1), row("B", 60, 1)]);
    assert_eq!((sinks[0].health.trouble(), sinks[0].health.refused_all()), (None, None));
    assert_eq!(sinks[0].health.unwritable(), 3);
}

#[test]
fn a_path_before_the_place_is_a_proxys() {
    let (fake, dir) = (Fake::plain(), temp());
    let rest = format!("//{}/a%2Fb/influx/my%20org/b?token_env=T", fake.at);
    let target = InfluxTarget::parse("influxdb", &rest, "influxdb", &|_| Some(SECRET.to_owned())).unwrap();
    assert_eq!(kept(target), Some(600));
    let target = InfluxTarget::parse("influxdb", &rest, "influxdb", &|_| Some(SECRET.to_owned())).unwrap();
    let mut sinks = open_at(target, &SinkOptions { emit: Emit::Final, ..options(dir.path()) }, quick()).unwrap();
    store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1)]);
    assert_eq!(fake.points(), wanted("minute", &[row("A", 0, 1)]));
    let seen = fake.seen.lock().unwrap();
    assert!(seen.iter().all(|seen| seen.head.starts_with("POST /a%2Fb/influx/api/v2/write?org=my+org&bucket=b&")));
}

#[test]
fn what_a_real_influxdb_stores_beyond_its_retention_is_not_called_unwritable() {
    let Some(real) = Real::find("points older than a real retention", 7_200) else { return };
    let dir = temp();
    let mut sinks = open_uri(&real.uri(&real.bucket), &options(dir.path())).unwrap();
    // Three hours of minutes: of what is older than two, a real one stores what stands in a shard of younger points.
    let now = options(dir.path()).clock.wall().0 / (60 * SECOND) * 60;
    let rows: Vec<_> = (0..180)
        .flat_map(|minute| (0..20).map(move |i| row(&format!("s{i:02}"), now - (180 - minute) * 60, 1)))
        .collect();
    store_all(&mut *sinks[0].port, 1, &rows);
    store_all(&mut *sinks[1].port, 1, &rows);
    for (number, measurement) in ["minute", "minute_live"].into_iter().enumerate() {
        let stored: BTreeSet<_> = real.read(measurement).into_keys().collect();
        let recorded = unwritable(dir.path()).into_iter().filter(|r| r.0 == measurement);
        let refused: BTreeSet<_> = recorded.map(|r| (r.1, r.2)).collect();
        assert_eq!(stored.intersection(&refused).count(), 0, "none is stored and refused");
        assert_eq!(stored.len() + refused.len(), rows.len());
        assert!(refused.len() > 20 && stored.len() >= 120 * 20, "{} of {}", refused.len(), stored.len());
        assert_eq!(sinks[number].health.trouble(), None);
    }
}

#[test]
fn a_422_that_left_out_every_point_needs_no_bisection() {
    let (fake, dir) = (Fake::start(Box::new(|_| Some(422)), usize::MAX), temp());
    let mut sinks = sinks(&fake, dir.path(), Emit::Final, quick());
    let rows: Vec<_> = (0..500).map(|i| row(&format!("s{i}"), 0, 1)).collect();
    store_all(&mut *sinks[0].port, 1, &rows);
    assert_eq!(fake.writes().len(), 2, "refused, and refused again once it is known to be about the points");
    assert_eq!(unwritable(dir.path()).len(), 500);
}

#[test]
fn a_server_that_refuses_even_an_empty_write_blames_no_point() {
    let (fake, dir) = (Fake::plain(), temp());
    let mut sinks = sinks(&fake, dir.path(), Emit::Final, quick());
    fake.script([answer(400, "no such thing"), answer(400, "once more")], vec![answer(400, "no such thing"); 3]);
    store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1), row("B", 0, 1)]);
    assert_eq!(fake.points(), wanted("minute", &[row("A", 0, 1), row("B", 0, 1)]));
    assert_eq!(unwritable(dir.path()), vec![]);
    assert_eq!(fake.seen.lock().unwrap().iter().filter(|s| s.lines == 0).count(), 1 + 4 + 1);
}

#[test]
fn a_matter_of_set_up_holds_everything_and_says_what_to_do() {
    let (fake, dir) = (Fake::plain(), temp());
    for (status, want) in
        [(401, "INFLUX_TOKEN"), (403, "may not write"), (404, "create the bucket"), (302, "unexpected")]
    {
        let timeouts = Timeouts { hold: Duration::from_millis(50), ..quick() };
        let mut sinks = sinks(&fake, dir.path(), Emit::Final, timeouts);
        let rows = [row("A", i64::from(status), 1)];
        fake.script(vec![answer(status, r#"{"code":"c","message":"no"}"#); 1_000_000], []);
        sinks[0].port.offer(RowBatch { round: 1, seq: 1, rows: rows.to_vec(), last: true }).unwrap();
        poll("trouble is shown", || sinks[0].health.trouble().is_some());
        let trouble = sinks[0].health.trouble().unwrap();
        assert!(trouble.contains(want) && trouble.contains(&format!("{status}: no")), "{trouble}");
        assert!(!trouble.contains(SECRET));
        assert_eq!(sinks[0].port.stored(), Ok(None));
        fake.script([], []);
        poll("the round is stored", || sinks[0].port.stored().unwrap().map(|stored| stored.at) == Some(1));
        assert_eq!(sinks[0].health.trouble(), None);
        assert!(fake.points().contains_key(&want_key(&rows[0])));
    }
    assert_eq!(unwritable(dir.path()), vec![]);
}

fn want_key(row: &Row) -> PointKey {
    want("minute", row).0
}

#[test]
fn a_drop_waits_neither_for_a_silent_server_nor_for_the_next_attempt() {
    let (fake, dir) = (Fake::plain(), temp());
    let hour = Duration::from_secs(3600);
    let timeouts = Timeouts { request: hour, first: hour, most: hour, hold: hour, look: hour };
    for step in [Step::Silence, answer(503, "busy"), answer(401, "no")] {
        let mut sinks = sinks(&fake, dir.path(), Emit::Final, timeouts);
        let seen = fake.writes().len();
        fake.script([step], []);
        sinks[0].port.offer(RowBatch { round: 1, seq: 1, rows: vec![row("A", 0, 1)], last: true }).unwrap();
        poll("it is sent", || fake.writes().len() > seen);
        let health = sinks[0].health.clone();
        drop(sinks);
        assert_eq!(Arc::strong_count(&health), 1, "the thread has let go");
    }
    assert_eq!(fake.points(), BTreeMap::new());
}

#[test]
fn minute_takes_final_rows_alone() {
    let (fake, dir) = (Fake::plain(), temp());
    for state in [State::Open, State::Closed, State::Partial] {
        let mut sinks = sinks(&fake, dir.path(), Emit::Changes, quick());
        let rows = vec![Row { state, ..row("A", 0, 1) }];
        sinks[0].port.offer(RowBatch { round: 1, seq: 1, rows, last: true }).unwrap();
        poll("it halts", || sinks[0].port.stored().is_err_and(|h| h.kind == HaltKind::Internal));
    }
    assert_eq!(fake.points(), BTreeMap::new());
}

#[test]
fn the_set_up_check_says_what_to_do_and_leaves_nothing() {
    let (fake, dir) = (Fake::plain(), temp());
    let look = |start_timeout| {
        checked(&Arc::new(fake.target()), &SinkOptions { start_timeout, ..options(dir.path()) }, quick())
    };
    let second = Duration::from_secs(1);
    for (status, want) in [
        (401, "does not know the token"),
        (403, "may not write to bucket `b`"),
        (404, "organization `my org` or bucket `b`"),
        (400, "is this the address"),
        (302, "is this the address"),
    ] {
        fake.script([], [answer(status, SECRET.split_at(3).0)]);
        let halt = look(second).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains(want), "{halt}");
        assert!(!format!("{halt:?} {:?}", fake.target()).contains(SECRET));
    }
    fake.script([], [answer(503, "starting"), Step::Close { stores: false }]);
    assert_eq!(look(Duration::from_secs(30)), Ok(ServerCheck::Ready), "waits a moment for a server that starts");
    fake.script([], vec![answer(503, "starting"); 1_000_000]);
    assert_eq!(look(Duration::from_millis(100)), Ok(ServerCheck::Absent("503: starting".to_owned())));
    fake.script([], vec![Step::Silence; 1_000]);
    assert_eq!(look(Duration::from_millis(100)), Ok(ServerCheck::Absent("no answer in time".to_owned())));
    assert_eq!((fake.points(), kept(fake.target())), (BTreeMap::new(), Some(600)));

    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = InfluxTarget { base: Url::parse(&format!("http://{unused}")).unwrap(), ..fake.target() };
    let options = SinkOptions { start_timeout: second, ..options(dir.path()) };
    let found = checked(&Arc::new(target), &options, quick()).unwrap();
    assert!(matches!(&found, ServerCheck::Absent(why) if why.contains("refused")), "{found:?}");

    let warned = |seconds| too_short(seconds, &options);
    assert!(warned(Some(659)).unwrap().contains("keeps points for 659 s"));
    assert_eq!((warned(Some(660)), warned(None)), (None, None));
}

#[test]
fn a_server_that_comes_later_gets_every_row_and_one_that_refuses_then_is_held() {
    let (fake, dir) = (Fake::plain(), temp());
    fake.script([], vec![answer(503, "starting"); 1_000_000]);
    let mut sinks = open_at(fake.target(), &options(dir.path()), quick()).unwrap();
    assert!(sinks.iter().all(|sink| sink.health.trouble().is_some()), "not before it is known");
    let says = |sink: &OpenSink| sink.health.trouble().is_some_and(|why| why.contains("503: starting"));
    poll("trouble is shown before there is a row", || sinks.iter().all(says));
    for sink in &mut sinks {
        sink.port.offer(RowBatch { round: 1, seq: 1, rows: vec![row("A", 0, 1)], last: true }).unwrap();
    }
    fake.script([], vec![answer(401, "no"); 1_000_000]);
    let advises = |sink: &OpenSink| sink.health.trouble().is_some_and(|why| why.contains("set INFLUX_TOKEN"));
    poll("it says what to do", || sinks.iter().all(advises));
    assert!(sinks.iter_mut().all(|sink| sink.port.stored() == Ok(None)));
    assert_eq!(fake.points(), BTreeMap::new());
    fake.script([], []);
    for sink in &mut sinks {
        poll("it is stored", || sink.port.stored().unwrap().map(|stored| stored.at) == Some(1));
        assert_eq!(sink.health.trouble(), None);
    }
    assert_eq!(fake.points().len(), 2);
}

#[test]
fn the_mark_names_the_place_and_is_written_again_before_it_is_forgotten() {
    let (fake, dir) = (Fake::with(1, Duration::ZERO, false, Box::new(|_| None), usize::MAX), temp());
    let query = "tag.venue=New%20York&measurement=my%20minute";
    let target = fake.address_with(query);
    let sinks = open_at(target, &options(dir.path()), quick()).unwrap();
    poll("both places are marked", || fake.marks.lock().unwrap().len() == 2);
    let marks = fake.marks.lock().unwrap().clone();
    for name in [r"my\ minute", r"my\ minute_live"] {
        let want = format!(
            r#"minutely_jobs,measurement={name},tags=venue\=New%20York job="job",semantics="semantics",version="{}",folder="{}" "#,
            env!("CARGO_PKG_VERSION"),
            dir.path().display()
        );
        assert_eq!(marks.iter().filter(|mark| mark.starts_with(&want)).count(), 1, "{want} is not in {marks:?}");
    }
    // (It is asked when nothing came for five seconds.)
    poll("they are written again", || fake.marks.lock().unwrap().len() >= 4);
    assert!(sinks.iter().all(|sink| sink.health.trouble().is_none()));
    assert!(sinks[0].health.remark().unwrap().contains("is gone"), "the query still says that there is none");
}

#[test]
fn a_query_that_is_not_answered_is_a_remark_and_writes_go_on() {
    for (answer, want) in [
        ((403, "forbidden"), "403: forbidden"),
        ((500, "no such thing"), "500: no such thing"),
        ((200, "<html>"), "is not understood"),
        ((404, "not found"), "404: not found"),
    ] {
        let (fake, dir) = (Fake::plain(), temp());
        *fake.marked.lock().unwrap() = (answer.0, answer.1.to_owned());
        let mut sinks = sinks(&fake, dir.path(), Emit::Final, quick());
        store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1)]);
        let remark = sinks[0].health.remark().unwrap();
        assert!(remark.contains(want) && remark.contains("is unknown"), "{remark}");
        assert_eq!((sinks[0].health.trouble(), fake.points().len()), (None, 1));
        let target = Arc::new(fake.target());
        assert_eq!(checked(&target, &options(dir.path()), quick()), Ok(ServerCheck::Ready));
    }
}

/// The answer that a job `other` owns a series.
fn theirs(first: bool) -> &'static str {
    match first {
        true => r#"{"results":[{"series":[{"values":[[7,"other","s"]]}]}]}"#,
        false => ",_time,_value,_field\n,1970-01-01T00:00:00Z,other,job\n,1970-01-01T00:00:00Z,s,semantics\n",
    }
}

#[test]
fn another_jobs_place_is_refused_at_the_start_and_when_it_turns_out_later() {
    for first in [false, true] {
        let (fake, dir) = (Fake::of(first, Box::new(|_| None), usize::MAX), temp());
        let timeouts = Timeouts { look: Duration::ZERO, ..quick() };
        let mut sinks = sinks(&fake, dir.path(), Emit::Final, timeouts);
        store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1)]);
        *fake.marked.lock().unwrap() = (200, theirs(first).to_owned());
        let says = |halt: &Halt| halt.kind == HaltKind::Usage && halt.why.contains("belongs to job `other`");
        let halt = checked(&Arc::new(fake.target()), &options(dir.path()), quick()).unwrap_err();
        assert!(says(&halt) && halt.why.contains(&fake.target().name), "{halt}");
        let taken = SinkOptions { take_sink: true, ..options(dir.path()) };
        assert_eq!(checked(&Arc::new(fake.target()), &taken, quick()), Ok(ServerCheck::Ready));
        sinks[0].port.offer(RowBatch { round: 2, seq: 2, rows: vec![row("B", 0, 1)], last: true }).unwrap();
        poll("a run that has lost its place ends", || sinks[0].port.stored().is_err_and(|halt| says(&halt)));

        // A server that comes after the start.
        fake.script([], vec![answer(503, "starting"); 3]);
        let mut sinks = open_at(fake.target(), &options(dir.path()), quick()).unwrap();
        poll("it ends", || sinks[0].port.stored().is_err_and(|halt| says(&halt)));
        let before = fake.marks.lock().unwrap().len();
        let sinks = open_at(fake.target(), &SinkOptions { emit: Emit::Final, ..taken }, quick()).unwrap();
        poll("it is taken", || fake.marks.lock().unwrap().len() > before);
        assert_eq!(sinks[0].health.trouble(), None);
        assert_eq!(fake.points().len(), 1, "what came after is not written");
    }
}

/// Rows of coarser windows and of groups have measurements of their own, and another job may have one that is called so.
#[test]
fn each_measurement_that_is_written_has_its_mark_and_is_refused_to_another_job() {
    for first in [false, true] {
        let (fake, dir) = (Fake::of(first, Box::new(|_| None), usize::MAX), temp());
        let windows = vec!["5m".parse().unwrap(), "1d".parse().unwrap()];
        let columns = Columns { windows, groups: true, ..testing::columns(true) };
        let options = SinkOptions { columns, ..options(dir.path()) };
        let all = ["minute", "window_5m", "window_1d", "group_minute"];
        let sinks = open_at(fake.target(), &options, quick()).unwrap();
        poll("all are marked", || fake.marks.lock().unwrap().len() == 8);
        let marks = fake.marks.lock().unwrap().clone();
        for name in all.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_live")]) {
            let begin = format!("minutely_jobs,measurement={name},tags=none job=\"job\"");
            assert_eq!(marks.iter().filter(|mark| mark.starts_with(&begin)).count(), 1, "{name}: {marks:?}");
        }
        assert!(sinks.iter().all(|sink| sink.health.trouble().is_none() && sink.health.remark().is_none()));
        drop(sinks);
        *fake.marked.lock().unwrap() = (200, theirs(first).to_owned());
        for name in all.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_live")]) {
            fake.marked_alone.lock().unwrap().clone_from(&name);
            let says = |halt: &Halt| {
                let why = format!("measurement `{name}` belongs to job `other`");
                halt.kind == HaltKind::Usage && halt.why.contains(&why)
            };
            let halt = checked(&Arc::new(fake.target()), &options, quick()).unwrap_err();
            assert!(says(&halt), "{halt}");
            // A server that comes after the start: no mark is written before all were read.
            let before = fake.marks.lock().unwrap().len();
            let emit = if name.ends_with("_live") { Emit::Changes } else { Emit::Final };
            let mut sinks = open_at(fake.target(), &SinkOptions { emit, ..options.clone() }, quick()).unwrap();
            let refused = sinks.last_mut().unwrap();
            poll("it ends", || refused.port.stored().is_err_and(|halt| says(&halt)));
            let named = format!("minutely_jobs,measurement={name},");
            assert!(!fake.marks.lock().unwrap()[before..].iter().any(|mark| mark.starts_with(&named)));
            // It is no other's without its rows.
            let none = SinkOptions { columns: testing::columns(true), ..options.clone() };
            let is_minutes = name.starts_with("minute");
            assert_eq!(checked(&Arc::new(fake.target()), &none, quick()).is_err(), is_minutes, "{name}");
        }
    }
}

#[test]
fn a_drop_does_not_wait_for_a_server_that_is_not_there() {
    let (fake, dir) = (Fake::plain(), temp());
    let hour = Duration::from_secs(3600);
    for step in [Step::Silence, answer(503, "busy"), answer(401, "no")] {
        fake.script([], [step]);
        let seen = fake.seen.lock().unwrap().len();
        let timeouts = Timeouts { request: hour, first: hour, most: hour, hold: hour, look: hour };
        let sinks =
            open_at(fake.target(), &SinkOptions { emit: Emit::Final, ..options(dir.path()) }, timeouts).unwrap();
        poll("it is asked", || fake.seen.lock().unwrap().len() > seen);
        let health = sinks[0].health.clone();
        drop(sinks);
        assert_eq!(Arc::strong_count(&health), 1, "the thread has let go");
    }
}

fn checked(target: &Arc<InfluxTarget>, options: &SinkOptions, timeouts: Timeouts) -> Result<ServerCheck, Halt> {
    Ok(looked(target, options, timeouts)?)
}

/// The environment of the tests of addresses.
fn variables(name: &str) -> Option<String> {
    match name {
        "MINE" | "INFLUX_TOKEN" => Some(SECRET.to_owned()),
        "BAD" => Some(format!("{SECRET} {SECRET}")),
        "BLANK" => Some(" \n".to_owned()),
        _ => None,
    }
}

/// An address of an InfluxDB 2: base, organization, bucket, token, and where the token is from.
fn read_address(
    tls: bool,
    rest: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(String, String, String, String, String), String> {
    let scheme = if tls { "influxdb+https" } else { "influxdb" };
    let parsed = InfluxTarget::parse(scheme, rest, &crate::uri::redacted(&format!("influxdb:{rest}")), env);
    let said = format!("{parsed:?}");
    assert!(!said.contains(SECRET), "{said}");
    parsed.map_err(|all| all.join("\n")).map(|a| match (a.destination, a.access) {
        (Destination::Bucket { org, bucket }, Access::Token(token)) => {
            (a.base.to_string(), org, bucket, token.text, token.from)
        }
        other => panic!("not of an InfluxDB 2: {other:?}"),
    })
}

#[test]
fn addresses_are_read() {
    let (dir, env) = (temp(), variables);
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let read = |tls, rest: &str, env: &dyn Fn(&str) -> Option<String>| read_address(tls, rest, env);
    let ok = |base: &str, org: &str, bucket: &str, from: &str| {
        Ok((base.to_owned(), org.to_owned(), bucket.to_owned(), SECRET.to_owned(), from.to_owned()))
    };
    let from = "INFLUX_TOKEN";
    assert_eq!(read(false, "//h:99/o/b", &env), ok("http://h:99/", "o", "b", from));
    assert_eq!(read(false, "//h/o/b", &env), ok("http://h:8086/", "o", "b", from));
    assert_eq!(read(false, "//h:80/o/b", &env), ok("http://h/", "o", "b", from));
    assert_eq!(read(true, "//h/o/b", &env), ok("https://h/", "o", "b", from));
    assert_eq!(read(true, "//[::1]:8086/o/b", &env), ok("https://[::1]:8086/", "o", "b", from));
    assert_eq!(read(false, "//h/my%20org/a%2Fb%C3%A9", &env), ok("http://h:8086/", "my org", "a/bé", from));
    assert_eq!(read(false, "//h/o/b?token_env=MINE", &env), ok("http://h:8086/", "o", "b", "MINE"));
    assert_eq!(
        read(true, "//h/a%2Fb/influx/o/b?timeout=1m&batch=7", &env),
        ok("https://h/a%2Fb/influx", "o", "b", from)
    );
    let uri = format!("//h/o/b?token_file={}", file.display());
    assert_eq!(read(false, &uri, &env), ok("http://h:8086/", "o", "b", &format!("the file {}", file.display())));
}

#[test]
fn every_mistake_of_an_address_is_told_without_the_secret() {
    let secret = format!("//me:{SECRET}@h/o/b");
    let in_query = format!("//h/o/b?token={SECRET}");
    for (rest, wants) in [
        ("", vec!["give it as influxdb://"]),
        ("//", vec!["give it as influxdb://"]),
        ("//h:port/o/b", vec!["give it as influxdb://"]),
        ("//h", vec!["/org/bucket"]),
        ("//h/o", vec!["/org/bucket"]),
        ("//h//o/b", vec!["/org/bucket"]),
        ("//h/o/b/", vec!["/org/bucket"]),
        ("//h/o/b?timeout=1ms&batch=0", vec!["timeout=1ms: is a time from 1s to 10m", "batch=0: is a number of lines"]),
        ("//h/o/%zz", vec!["/org/bucket"]),
        (secret.as_str(), vec!["a secret does not go into the address"]),
        (in_query.as_str(), vec!["a token does not go into the address"]),
        ("//h/o/b?token_env=NO", vec!["no environment variable `NO`"]),
        ("//h/o/b?token_env=BAD", vec!["characters that no token has"]),
        ("//h/o/b?token_env=BLANK", vec!["there is no token in BLANK"]),
        ("//h/o/b?token_file=/no/such", vec!["token_file /no/such"]),
        ("//h/o/b?token_env=MINE&token_env=MINE", vec!["more than one token"]),
        ("//h/o?batch_=1&token_env=NO#x", vec!["/org/bucket", "`batch_` is unknown", "`NO`", "%23"]),
        ("//h/o/b?tag.symbol=x&measurement=", vec!["cannot be called `symbol`", "the measurement `` is empty"]),
    ] {
        let all = read_address(false, rest, &variables).unwrap_err();
        assert_eq!(all.lines().count(), wants.len(), "{rest}: {all}");
        for want in wants {
            assert!(all.contains(want), "{rest}: {all}");
        }
    }
    assert!(read_address(false, "//h/o/b", &|_| None).unwrap_err().contains("MINUTELY_INFLUX_TOKEN or INFLUX_TOKEN"));
    let said = validate(&format!("influxdb+http://me:{SECRET}@h/o/b?token={SECRET}"));
    assert!(said[0].contains("unknown") && !said[0].contains(SECRET), "{said:?}");
}

#[test]
fn addresses_of_an_influxdb_1_name_a_user_a_token_or_no_credentials() {
    let dir = temp();
    let file = dir.path().join("password");
    std::fs::write(&file, format!("{SECRET} é\n")).unwrap();
    let env = |name: &str| match name {
        "MINE" | "INFLUX_TOKEN" | "MINUTELY_INFLUX_TOKEN" => Some(SECRET.to_owned()),
        "MINUTELY_INFLUX1_PASSWORD" => Some(format!("{SECRET} 1")),
        _ => None,
    };
    let read = |scheme: &str, rest: &str| {
        let parsed = InfluxTarget::parse(scheme, rest, &crate::uri::redacted(&format!("{scheme}:{rest}")), &env);
        let said = format!("{parsed:?}");
        assert!(!said.contains(SECRET), "{said}");
        parsed.map_err(|all| all.join("\n"))
    };
    let ok = |scheme: &str, rest: &str, base: &str, database: &str, who: &str| {
        let target = read(scheme, rest).unwrap();
        let access = match &target.access {
            Access::Open => "open".to_owned(),
            Access::Token(token) => format!("token {} of {}", token.text, token.from),
            Access::User { name, password } => format!("{name}:{} of {}", password.text, password.from),
        };
        assert_eq!((target.base.as_str(), access.as_str()), (base, who), "{rest}");
        assert_eq!(target.destination, Destination::Database(database.to_owned()), "{rest}");
    };
    ok("influxdb1", "//h/d", "http://h:8086/", "d", "open");
    ok("influxdb1+https", "//h/my%20d%2Fb", "https://h/", "my d/b", "open");
    let by_default = format!("me:{SECRET} 1 of MINUTELY_INFLUX1_PASSWORD");
    ok("influxdb1", "//h:99/d?user=me", "http://h:99/", "d", &by_default);
    ok("influxdb1", "//h/d?user=me&password_env=MINE", "http://h:8086/", "d", &format!("me:{SECRET} of MINE"));
    let rest = format!("//h/d?password_file={}&user=me", file.display());
    ok("influxdb1", &rest, "http://h:8086/", "d", &format!("me:{SECRET} é of the file {}", file.display()));
    ok("influxdb1", "//h/influx/d", "http://h:8086/influx", "d", "open");
    ok("influxdb1", "//h/d?token_env=MINE", "http://h:8086/", "d", &format!("token {SECRET} of MINE"));

    let (secret, in_query) = (format!("//me:{SECRET}@h/d"), format!("//h/d?user=me&password={SECRET}"));
    for (rest, wants) in [
        ("", vec!["give it as influxdb1://host:port/db"]),
        ("//h", vec!["the database, /db"]),
        ("//h/o//b", vec!["the database, /db"]),
        (secret.as_str(), vec!["give ?user=NAME and set MINUTELY_INFLUX1_PASSWORD"]),
        (in_query.as_str(), vec!["a password does not go into the address"]),
        ("//h/d?user=me&password_env=NO", vec!["no environment variable `NO` (password_env)"]),
        ("//h/d?user=me&password_file=/no/such", vec!["password_file /no/such"]),
        ("//h/d?password_env=MINE", vec!["a password belongs to a user"]),
        ("//h/d?user=a:b", vec!["is not a user's name"]),
        ("//h/d?user=me&token_env=MINE", vec!["names more than one"]),
        ("//h/d?token_env=MINE&token_env=MINE", vec!["names more than one"]),
        ("//h/d?rp=week&user=me&password_env=NO#x", vec!["%23", "`rp` is unknown", "`NO`"]),
    ] {
        let all = read("influxdb1", rest).unwrap_err();
        assert_eq!(all.lines().count(), wants.len(), "{rest}: {all}");
        wants.iter().for_each(|want| assert!(all.contains(want), "{rest}: {all}"));
    }
    let none = InfluxTarget::parse("influxdb1", "//h/d?user=me", "influxdb1", &|_| None).unwrap_err();
    assert!(none[0].contains("there is no password; set MINUTELY_INFLUX1_PASSWORD"), "{none:?}");
}

/// A real InfluxDB, with a bucket of the test's own.
struct Real {
    url: String,
    org: String,
    file: String,
    bucket: String,
    admin: influxdb2::Client,
    runtime: tokio::runtime::Runtime,
}

impl Real {
    fn find(what: &str, retention_s: i32) -> Option<Self> {
        let (Ok(url), Ok(file)) =
            (std::env::var("MINUTELY_TEST_INFLUX_URL"), std::env::var("MINUTELY_TEST_INFLUX_TOKEN_FILE"))
        else {
            eprintln!("LEFT OUT: {what}, needs MINUTELY_TEST_INFLUX_URL and MINUTELY_TEST_INFLUX_TOKEN_FILE");
            return None;
        };
        let org = std::env::var("MINUTELY_TEST_INFLUX_ORG").unwrap_or_else(|_| "market".to_owned());
        let token = std::fs::read_to_string(&file).unwrap();
        let admin = influxdb2::Client::new(&url, &org, token.trim());
        let runtime = client::runtime().unwrap();
        let bucket = format!("test-{:016x}", fastrand::u64(..));
        let real = Real { url, org, file, bucket, admin, runtime };
        real.create(retention_s);
        Some(real)
    }

    fn org_id(&self) -> String {
        let orgs = self.runtime.block_on(self.admin.list_organizations(Default::default())).unwrap().orgs;
        orgs.iter().find(|org| org.name == self.org).unwrap().id.clone().unwrap()
    }

    /// Makes the bucket.
    fn create(&self, retention_s: i32) {
        let mut request = influxdb2::models::PostBucketRequest::new(self.org_id(), self.bucket.clone());
        if retention_s > 0 {
            let expire = influxdb2::models::retention_rule::Type::Expire;
            request.retention_rules = vec![influxdb2::models::RetentionRule::new(expire, retention_s)];
        }
        self.runtime.block_on(self.admin.create_bucket(Some(request))).unwrap();
    }

    fn id(&self) -> Option<String> {
        let request =
            influxdb2::api::buckets::ListBucketsRequest { name: Some(self.bucket.clone()), ..Default::default() };
        self.runtime.block_on(self.admin.list_buckets(Some(request))).ok()?.buckets.into_iter().find_map(|one| one.id)
    }

    /// Deletes the bucket.
    fn delete(&self) {
        let id = self.id().unwrap();
        self.runtime.block_on(self.admin.delete_bucket(&id)).unwrap();
    }

    /// Something that the client has no call for.
    fn post(&self, path: &str, body: &serde_json::Value) -> String {
        let token = std::fs::read_to_string(&self.file).unwrap();
        let request = reqwest::Client::new().post(format!("{}{path}", self.url.trim_end_matches('/')));
        let request = request.header("Authorization", format!("Token {}", token.trim()));
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        self.runtime.block_on(async { request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap() })
    }

    /// A token that may write to the bucket, and nothing else.
    fn write_only(&self) -> String {
        let org = self.org_id();
        let resource = serde_json::json!({"type": "buckets", "id": self.id().unwrap(), "orgID": org});
        let body = serde_json::json!({"orgID": org, "permissions": [{"action": "write", "resource": resource}]});
        let made: serde_json::Value = serde_json::from_str(&self.post("/api/v2/authorizations", &body)).unwrap();
        made["token"].as_str().unwrap().to_owned()
    }

    /// Deletes all points of a measurement.
    fn forget(&self, measurement: &str) {
        let body = serde_json::json!({
            "start": "1970-01-01T00:00:00Z", "stop": "2262-01-01T00:00:00Z",
            "predicate": format!("_measurement=\"{measurement}\""),
        });
        self.post(&format!("/api/v2/delete?org={}&bucket={}", self.org, self.bucket), &body);
    }

    fn uri(&self, bucket: &str) -> String {
        let host = self.url.strip_prefix("http://").unwrap().trim_end_matches('/');
        format!("influxdb://{host}/{}/{bucket}?token_file={}", self.org, self.file)
    }

    /// The v1 endpoint of the same server: a bucket is a database of its name.
    fn uri1(&self, database: &str, access: &str) -> String {
        let host = self.url.strip_prefix("http://").unwrap().trim_end_matches('/');
        format!("influxdb1://{host}/{database}?{access}={}", self.file)
    }

    /// All points of a measurement, by symbol and minute, each field as text.
    fn read(&self, measurement: &str) -> BTreeMap<(String, i64), BTreeMap<String, String>> {
        let mut url = Url::parse(&self.url).unwrap();
        url.set_path("/query");
        url.query_pairs_mut()
            .append_pair("db", &self.bucket)
            .append_pair("epoch", "ns")
            .append_pair("q", &format!("SELECT * FROM {measurement}"));
        let token = std::fs::read_to_string(&self.file).unwrap();
        let text = self.runtime.block_on(async {
            let request = reqwest::Client::new().get(url).header("Accept", "application/csv");
            let request = request.header("Authorization", format!("Token {}", token.trim()));
            request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
        });
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let record = |record: csv::Result<csv::StringRecord>| {
            let record = record.unwrap();
            let mut fields: BTreeMap<_, _> = header
                .iter()
                .zip(&record)
                .filter(|(name, value)| !matches!(*name, "name" | "tags") && !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let time = fields.remove("time").unwrap().parse().unwrap();
            ((fields.remove("symbol").unwrap(), time), fields)
        };
        reader.records().map(record).collect()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        if let Some(id) = self.id() {
            drop(self.runtime.block_on(self.admin.delete_bucket(&id)));
        }
    }
}

/// A point as [`Real::read`] must give it, numbers by their bits.
fn same(got: &BTreeMap<String, String>, want: &Row) {
    let mut got = got.clone();
    let mut take = |name: &str| got.remove(name).unwrap_or_else(|| panic!("{want:?} has no {name}"));
    assert_eq!(take("count"), want.count.to_string());
    assert_eq!(take("sum"), want.sum.to_string());
    assert_eq!(take("state"), want.state.name());
    let mut numbers = vec![("avg", want.avg)];
    if let Some(m) = &want.market {
        numbers.extend([("open", m.open), ("high", m.high), ("low", m.low), ("close", m.close)]);
        numbers.extend(m.volume.map(|v| ("volume", v.to_f64())));
        numbers.extend(m.vwap.map(|v| ("vwap", v)));
    }
    let columns = testing::columns(true).derived;
    let derived = columns.iter().map(String::as_str).zip(&want.derived);
    numbers.extend(derived.filter_map(|(name, value)| Some((name, (*value)?))));
    for (name, number) in numbers {
        assert_eq!(take(name).parse::<f64>().unwrap().to_bits(), number.to_bits(), "{name} of {want:?}");
    }
    assert_eq!(got, BTreeMap::new(), "nothing else");
}

#[test]
fn a_real_influxdb_gives_back_every_bit_of_hostile_rows() {
    let Some(real) = Real::find("rows through a real InfluxDB", 0) else { return };
    let (dir, mut rng) = (temp(), seed());
    let mut rows = rows_within_hours(&mut rng, 9_000, true);
    rows.push(Row { minute: rows[rows.len() - 1].minute, ..row(&"z".repeat(70_000), 0, 1) }); // a real 400
    assert_eq!(validate(&real.uri(&real.bucket)), Vec::<String>::new());
    check(&real.uri(&real.bucket), &options(dir.path())).unwrap();
    let mut sinks = open_uri(&real.uri(&real.bucket), &options(dir.path())).unwrap();
    let finals: Vec<_> = rows.iter().filter(|row| row.state == State::Final).cloned().collect();
    store_all(&mut *sinks[0].port, 1, &finals);
    store_all(&mut *sinks[1].port, 1, &rows);
    store_all(&mut *sinks[1].port, 2, &rows); // repeated: nothing changes
    for (measurement, sent) in [("minute", &finals), ("minute_live", &rows)] {
        let got = real.read(measurement);
        let fits = |row: &&Row| !row.symbol.ends_with('\\') && row.symbol.len() < 65_000;
        assert_eq!(got.len(), sent.iter().filter(fits).count());
        for row in sent.iter().filter(fits) {
            same(&got[&(row.symbol.clone(), row.minute.0)], row);
        }
    }
    let recorded = unwritable(dir.path());
    assert!(recorded.iter().all(|r| r.1.ends_with('\\') || (r.1.len() == 70_000 && r.3.starts_with("400: "))));
    let refused = |rows: &[Row]| rows.iter().filter(|r| r.symbol.ends_with('\\') || r.symbol.len() == 70_000).count();
    assert_eq!(recorded.len(), refused(&finals) + 2 * refused(&rows));
}

#[test]
fn a_place_in_a_real_influxdb_has_one_owner() {
    let Some(real) = Real::find("owners of places in a real InfluxDB", 0) else { return };
    let dir = temp();
    let of = |job: &str| SinkOptions {
        owner: crate::sinks::Owner { job: job.into(), semantics: "s".into() },
        ..options(dir.path())
    };
    let (one, two) = (of("one"), of("two"));
    let both = [real.uri(&real.bucket), real.uri1(&real.bucket, "token_file")];
    let with = |uri: &str, query: &str| format!("{uri}&{query}");
    let store = |uri: &str, options: &SinkOptions, count: i64| {
        check(uri, options).unwrap();
        let mut sinks = open_uri(uri, options).unwrap();
        sinks.iter_mut().for_each(|sink| store_all(&mut *sink.port, 1, &[row("DUP", 0, count)]));
        sinks
    };
    store(&both[0], &one, 1); // and the place is kept by its mark, not by the run
    for uri in &both {
        let halt = check(uri, &two).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains("`minute` belongs to job `one`"), "{halt}");
        // another measurement or other tags are another place
        for (query, count) in [("tag.venue=B%20%22C%22", 2), ("measurement=twos", 3)] {
            store(&with(uri, query), &two, count);
            let halt = check(&with(uri, query), &one).unwrap_err();
            assert!(halt.why.contains("belongs to job `two`"), "{halt}");
        }
        check(uri, &one).unwrap();
        check(&with(uri, "measurement=elsewhere"), &one).unwrap();
        let same_name =
            SinkOptions { owner: crate::sinks::Owner { semantics: "t".into(), ..one.owner.clone() }, ..one.clone() };
        let halt = check(uri, &same_name).unwrap_err();
        assert!(halt.why.contains("another job that is called `one` as well"), "{halt}");
    }
    let counts = |measurement: &str| -> BTreeSet<(Option<String>, String)> {
        let rows = real.read(measurement);
        rows.into_values().map(|mut fields| (fields.remove("venue"), fields.remove("count").unwrap())).collect()
    };
    assert_eq!(counts("twos"), [(None, "3".to_owned())].into());
    assert_eq!(counts("minute where venue = ''"), [(None, "1".to_owned())].into(), "it is not overwritten");
    assert_eq!(counts("minute where venue != ''"), [(Some("B \"C\"".to_owned()), "2".to_owned())].into());

    // Taken from its job, which notices that.
    let timeouts = Timeouts { look: Duration::ZERO, ..Timeouts::default() };
    let target = |uri: &str| {
        let (scheme, rest) = uri.split_once(':').unwrap();
        InfluxTarget::parse(scheme, rest, scheme, &|_| None).unwrap()
    };
    let mut had = open_at(target(&both[0]), &one, timeouts).unwrap();
    store_all(&mut *had[0].port, 1, &[row("DUP", 0, 1)]);
    store(&both[1], &SinkOptions { take_sink: true, ..two }, 4);
    had[0].port.offer(RowBatch { round: 2, seq: 2, rows: vec![row("DUP", 0, 1)], last: true }).unwrap();
    poll("it is reported", || had[0].port.stored().is_err_and(|halt| halt.why.contains("belongs to job `two`")));
    assert_eq!(counts("minute where venue = ''"), [(None, "4".to_owned())].into());
}

#[test]
fn of_two_jobs_that_begin_at_once_in_a_real_influxdb_one_writes_at_most() {
    let Some(real) = Real::find("two jobs that begin at once", 0) else { return };
    let dir = temp();
    for round in 0..10 {
        let uri = format!("{}&measurement=round{round}", real.uri(&real.bucket));
        let begin = std::sync::Barrier::new(2);
        let stores = |job: &str| {
            let owner = crate::sinks::Owner { job: job.into(), semantics: "s".into() };
            begin.wait();
            let mut sinks = open_uri(&uri, &SinkOptions { owner, emit: Emit::Final, ..options(dir.path()) }).unwrap();
            sinks[0].port.offer(RowBatch { round: 1, seq: 1, rows: vec![row(job, 0, 1)], last: true }).unwrap();
            poll("it is stored or refused", || sinks[0].port.stored() != Ok(None));
            sinks[0].port.stored().is_ok()
        };
        let both = std::thread::scope(|scope| {
            let one = scope.spawn(|| stores("one"));
            stores("two") && one.join().unwrap()
        });
        assert!(!both, "round {round}");
    }
}

#[test]
fn a_token_that_may_not_read_a_real_influxdb_writes_and_says_so() {
    let Some(real) = Real::find("a token that may only write", 0) else { return };
    let dir = temp();
    let file = dir.path().join("token");
    std::fs::write(&file, real.write_only()).unwrap();
    let uri = real.uri(&real.bucket).replace(&real.file, &file.display().to_string());
    // Rows that an older version wrote, without a mark.
    let mut sinks = open_uri(&real.uri(&real.bucket), &options(dir.path())).unwrap();
    store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1)]);
    drop(sinks);
    real.forget("minutely_jobs");
    check(&uri, &options(dir.path())).unwrap();
    let mut sinks = open_uri(&uri, &options(dir.path())).unwrap();
    store_all(&mut *sinks[0].port, 1, &[row("B", 0, 1)]);
    let remark = sinks[0].health.remark().unwrap();
    assert!(remark.contains("is unknown") && remark.contains("let the token read"), "{remark}");
    assert_eq!((sinks[0].health.trouble(), real.read("minute").len()), (None, 2));
    // Its own mark keeps others out, who may read.
    let other = SinkOptions { owner: Default::default(), ..options(dir.path()) };
    assert!(check(&real.uri(&real.bucket), &other).unwrap_err().why.contains("belongs to job `job`"));
}

#[test]
fn a_bucket_that_is_deleted_and_made_anew_is_held_and_then_said() {
    let Some(real) = Real::find("a bucket that is deleted in mid-run", 0) else { return };
    let dir = temp();
    let target = {
        let uri = real.uri(&real.bucket);
        InfluxTarget::parse("influxdb", uri.strip_prefix("influxdb:").unwrap(), "influxdb", &|_| None).unwrap()
    };
    let timeouts = Timeouts { look: Duration::ZERO, ..quick() };
    let mut sinks = open_at(target, &SinkOptions { emit: Emit::Final, ..options(dir.path()) }, timeouts).unwrap();
    store_all(&mut *sinks[0].port, 1, &[row("A", 0, 1)]);
    real.delete();
    sinks[0].port.offer(RowBatch { round: 2, seq: 2, rows: vec![row("B", 0, 1)], last: true }).unwrap();
    poll("it is held", || sinks[0].health.trouble().is_some_and(|why| why.contains("create the bucket")));
    assert_eq!(sinks[0].port.stored().unwrap().map(|stored| stored.at), Some(1));
    real.create(0);
    poll("rows are stored again", || sinks[0].port.stored().unwrap().map(|stored| stored.at) == Some(2));
    store_all(&mut *sinks[0].port, 3, &[row("C", 0, 1)]);
    let symbols: Vec<_> = real.read("minute").into_keys().map(|(symbol, _)| symbol).collect();
    assert_eq!((symbols, unwritable(dir.path())), (vec!["B".to_owned(), "C".to_owned()], vec![]));
    let remark = sinks[0].health.remark().unwrap();
    assert!(remark.contains("the mark of this job") && remark.contains("is gone"), "{remark}");
    assert!(check(&real.uri(&real.bucket), &SinkOptions { owner: Default::default(), ..options(dir.path()) }).is_err());
}

#[test]
fn a_real_influxdb_says_no_clearly() {
    let Some(real) = Real::find("set-up mistakes at a real InfluxDB", 0) else { return };
    let dir = temp();
    let wrong = dir.path().join("wrong");
    std::fs::write(&wrong, "no-such-token").unwrap();
    check(&real.uri(&real.bucket), &options(dir.path())).unwrap();
    for (uri, want) in [
        (real.uri("no-such-bucket"), "no-such-bucket"),
        (real.uri(&real.bucket).replace(&format!("/{}/", real.org), "/no-such-org/"), "no-such-org"),
        (real.uri(&real.bucket).replace(&real.file, &wrong.display().to_string()), "does not know the token"),
    ] {
        let halt = check(&uri, &options(dir.path())).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains(want), "{halt}");
        assert!(!halt.why.contains("no-such-token"));
    }
}

#[test]
fn a_real_422_leaves_out_what_is_to_blame_alone() {
    let Some(real) = Real::find("partial writes at a real InfluxDB", 3_600) else { return };
    let (dir, mut rng) = (temp(), seed());
    let options = options(dir.path());
    let uri = real.uri(&real.bucket);
    let target =
        InfluxTarget::parse("influxdb", uri.strip_prefix("influxdb:").unwrap(), "influxdb", &|_| None).unwrap();
    assert_eq!(kept(target), Some(3_600));
    let mut sinks = open_uri(&real.uri(&real.bucket), &options).unwrap();
    let now = options.clock.wall().0 / (60 * SECOND) * 60 * SECOND;
    let rows: Vec<_> = (0..300)
        .map(|i| {
            let age = if rng.u32(..30) == 0 { 7_200 } else { 60 };
            let symbol = format!("{i}{}x", hostile_symbol(&mut rng));
            Row { minute: WindowStart(now - age * SECOND), ..row(&symbol, 0, i + 1) }
        })
        .collect();
    store_all(&mut *sinks[0].port, 1, &rows);
    let old: BTreeSet<_> = rows.iter().filter(|row| row.minute.0 < now - 3_600 * SECOND).map(|r| &r.symbol).collect();
    let got = real.read("minute");
    assert_eq!(got.len() + old.len(), rows.len());
    for row in rows.iter().filter(|row| !old.contains(&row.symbol)) {
        same(&got[&(row.symbol.clone(), row.minute.0)], row);
    }
    let recorded = unwritable(dir.path());
    assert_eq!(recorded.iter().map(|r| &r.1).collect::<BTreeSet<_>>(), old);
    assert!(recorded.iter().all(|r| r.3.starts_with("422: ")));
}

#[test]
fn the_v1_endpoint_of_a_real_influxdb_gives_back_every_bit_and_says_no_clearly() {
    let Some(real) = Real::find("rows through a real v1 endpoint", 3_600) else { return };
    let (dir, mut rng) = (temp(), seed());
    let options = options(dir.path());
    let uris = [real.uri1(&real.bucket, "token_file"), real.uri1(&real.bucket, "user=anybody&password_file")];
    for uri in &uris {
        let rest = uri.strip_prefix("influxdb1:").unwrap();
        let target = InfluxTarget::parse("influxdb1", rest, "influxdb1", &|_| None).unwrap();
        // This endpoint says `0s` of every bucket.
        assert_eq!(kept(target), None, "{uri}");
    }
    let now = options.clock.wall().0 / (60 * SECOND) * 60 * SECOND;
    let mut rows = rows_within_hours(&mut rng, 3_000, true);
    rows.retain(|row| !row.symbol.ends_with('\\'));
    for (n, row) in rows.iter_mut().enumerate() {
        row.symbol = format!("{n}{}", row.symbol);
        row.minute = WindowStart(now - if n % 1_000 == 7 { 7_200 } else { 60 } * SECOND); // some, long before
    }
    let finals: Vec<_> = rows.iter().map(|row| Row { state: State::Final, ..row.clone() }).collect();
    store_all(&mut *open_uri(&uris[0], &options).unwrap()[0].port, 1, &finals);
    store_all(&mut *open_uri(&uris[1], &options).unwrap()[1].port, 1, &rows);
    for (measurement, sent) in [("minute", &finals), ("minute_live", &rows)] {
        let got = real.read(measurement);
        let fits = |row: &&Row| row.minute.0 > now - 3_600 * SECOND;
        assert_eq!(got.len(), sent.iter().filter(fits).count());
        sent.iter().filter(fits).for_each(|row| same(&got[&(row.symbol.clone(), row.minute.0)], row));
    }
    let recorded = unwritable(dir.path());
    assert_eq!(recorded.len(), 2 * rows.len().div_ceil(1_000));
    assert!(recorded.iter().all(|r| r.3.starts_with("422: ")));

    let wrong = dir.path().join("wrong");
    std::fs::write(&wrong, "no-such-password").unwrap();
    let wrong = |uri: &str| uri.replace(&real.file, &wrong.display().to_string());
    let open = uris[0].split('?').next().unwrap();
    for (uri, want) in [
        (wrong(&uris[0]), "does not know the token"),
        (wrong(&uris[1]), "does not know user `anybody` with this password"),
        (open.to_owned(), "wants to know who writes"),
        (real.uri1("no-such-database", "token_file"), "does not find database `no-such-database`"),
    ] {
        let halt = check(&uri, &options).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains(want), "{halt}");
        assert!(!halt.why.contains("no-such-password"));
    }
}
