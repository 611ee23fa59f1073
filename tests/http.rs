//! What `--http` serves, on the whole program: the API says what the sinks say, streams lose nothing, strangers are
//! refused, and readers that do not read hold nobody up.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program, address, command};
use common::web::{ask, get, integer, json, serving};
use common::{poll, rfc3339};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// A token, as it is given in headers.
const TOKEN: &str = "correct.horse.battery.staple";

#[test]
fn the_status_balances_and_the_run_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let source = "sim:?history=20m&late=1%&broken=1%&future=1%";
    let (program, at) = serving(folder.path(), &["--source", source, "-w", "2"], &[]);
    poll("it is ready", PATIENCE, || (ask(&at, "GET /readyz", &[]).status == 200).then_some(()));
    assert_eq!(get(&at, "/healthz"), "ok");
    let status = poll("there are dead letters, and a W", PATIENCE, || {
        let status = json(&at, "/api/status");
        (!status["dead_letters"]["recent"].as_array().unwrap().is_empty() && !status["w"].is_null()).then_some(status)
    });
    let ledger = |term: &str| integer(&status["ledger"][term]);
    assert_eq!(ledger("read"), ledger("counted") + ledger("late") + ledger("rejected") + ledger("quarantined"));
    assert_eq!(ledger("counted"), ledger("held") + ledger("retired"));
    assert_eq!(status["ledger"]["balances"], true);
    let partitions = status["partitions"].as_array().unwrap();
    for of in partitions {
        let n = |name: &str| integer(&of[name]);
        assert_eq!(n("read"), n("counted") + n("late") + n("rejected") + n("quarantined"), "{of}");
        assert_eq!(n("next") - n("start"), n("read") + n("gaps"), "{of}");
    }
    assert_eq!(partitions.iter().filter(|of| of["holds_w"] == true).count(), 1);
    assert!(status["lateness"]["counts"].as_array().unwrap().iter().map(integer).sum::<i64>() > 0);
    assert!(status["open_minute"]["why"].as_str().unwrap().contains("waits for sim/"), "{}", status["open_minute"]);
    assert_eq!(integer(&status["workers"]), 2);

    assert!(get(&at, "/").contains("/assets/app.js"));
    assert!(get(&at, "/assets/app.js").contains("import"));
    let document = json(&at, "/api/openapi.json");
    for path in document["paths"].as_object().unwrap().keys() {
        match path.as_str() {
            "/api/stream" | "/api/explain" => {}
            groups if groups.starts_with("/api/groups") => {
                assert_eq!(ask(&at, &format!("GET {path}"), &[]).status, 404, "there are none");
            }
            _ => drop(get(&at, path)),
        }
    }
    assert_eq!(status["settings"]["groups"], false);
    let health = |at: &str| Command::new(env!("CARGO_BIN_EXE_minutely")).args(["health", at]).output().unwrap();
    assert_eq!(health(&at).status.code(), Some(0));
    drop(program);
    let ended = health(&at);
    assert_eq!(ended.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("/healthz"));
}

#[test]
fn what_a_broken_invariant_left_is_served_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let (mut program, at) = serving(folder.path(), &["--source", "sim:?symbols=500", "--max-keys", "10"], &[]);
    program.until("it halts", PATIENCE, |program| program.said().contains("has come to a halt"));
    get(&at, "/api/status");
    program.terminate();
    let ended = program.ended(PATIENCE);
    assert_eq!(ended.code, Some(70), "{}", ended.said);
    assert!(ended.said.contains("--max-keys"), "{}", ended.said);
}

/// Is a value as this schema of the document says? All objects have the fields that must be there, and no others but those of a row.
fn is_as(document: &Value, schema: &Value, value: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let of = name.strip_prefix("#/").unwrap().split('/').fold(document, |at, part| &at[part]);
        return is_as(document, of, value, at);
    }
    if let Some(all) = schema["oneOf"].as_array() {
        let fitting = all.iter().filter(|one| (one["type"] == "null") == value.is_null());
        return fitting.for_each(|one| is_as(document, one, value, at));
    }
    if let Some(words) = schema["enum"].as_array() {
        return assert!(words.contains(value), "{at}: {value} is none of {words:?}");
    }
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = match &schema["type"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    };
    let fits = types.iter().any(|one| *one == is || (*one == "number" && is == "integer"));
    assert!(fits, "{at}: {value} is {is}, not of {types:?}");
    for one in value.as_array().into_iter().flatten() {
        is_as(document, &schema["items"], one, at);
    }
    let Some(fields) = value.as_object() else { return };
    for name in schema["required"].as_array().unwrap() {
        assert!(fields.contains_key(name.as_str().unwrap()), "{at} has no {name}: {value:#}");
    }
    for (name, value) in fields {
        match schema["properties"].get(name) {
            Some(of) => is_as(document, of, value, &format!("{at}/{name}")),
            None => assert!(at.ends_with("/row"), "{at}/{name} is not in the document"),
        }
    }
}

#[test]
fn a_minute_is_explained_from_the_log_while_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite:{}", folder.path().join("minutes.db").display());
    let options =
        ["--source", "sim:?history=30m&rate=60&symbols=5&late=1%&broken=1%&partitions=3", "--sink", &db, "--job", "j"];
    let (program, at) = serving(folder.path(), &[&options[..], &["-w", "2"]].concat(), &[]);
    let document = json(&at, "/api/openapi.json");
    let (row, told) = poll("a final minute is explained", PATIENCE, || {
        let rows = json(&at, "/api/minutes?limit=200");
        let row = rows["rows"].as_array().unwrap().iter().find(|row| row["state"] == "final").cloned()?;
        let query = format!("symbol={}&minute={}", row["symbol"].as_str().unwrap(), row["minute"]);
        let answer = ask(&at, &format!("GET /api/explain?{query}"), &[]);
        let told: Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status == 200 && told["state"] == "final" && told["sinks"][0]["is"] == "equal").then_some((row, told))
    });
    is_as(&document, &document["components"]["schemas"]["Explanation"], &told, "");
    assert_eq!((&told["row"]["count"], &told["row"]["sum"]), (&row["count"], &row["sum"]), "{told:#}");
    let partitions = told["partitions"].as_array().unwrap();
    assert_eq!(partitions.iter().map(|of| integer(&of["records"])).sum::<i64>(), integer(&row["count"]), "{told:#}");
    assert!(partitions.iter().all(|of| of["final_by"]["by"] == "record"), "{told:#}");
    assert!(told["final_last_by"]["partition"].as_str().unwrap().starts_with("sim/"), "{told:#}");
    // As the command has it, beside the run.
    let mut command = command();
    command.args(["explain", "--json", "--data"]).arg(folder.path()).args(options);
    let (symbol, minute) = (told["symbol"].as_str().unwrap(), told["minute"].as_str().unwrap());
    let output = command.args([symbol, minute]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let same: Value = serde_json::from_slice(&output.stdout).unwrap();
    for field in ["row", "sinks", "end", "final_at", "final_last_by"] {
        assert_eq!(same[field], told[field], "{field}");
    }
    let status = |query: &str| ask(&at, &format!("GET /api/explain{query}"), &[]).status;
    assert_eq!((status(""), status("?symbol=A&minute=x"), status("?symbol=%00&minute=0")), (400, 400, 404));
    let unknown = ask(&at, &format!("GET /api/explain?symbol={}X&minute={}", symbol, row["minute"]), &[]);
    assert!(unknown.status == 404 && unknown.body.contains(&format!("there are {symbol}")), "{}", unknown.body);
    program.stopped();
    let (without, at) = serving(&folder.path().join("none"), &["--source", "sim:?history=1m", "--state", "none"], &[]);
    let answer = ask(&at, "GET /api/explain?symbol=A&minute=0", &[]);
    assert!(answer.status == 404 && answer.body.contains("keeps no state"), "{}", answer.body);
    without.stopped();
}

#[test]
fn digests_are_those_of_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let db = format!("sqlite:{}", folder.path().join("minutes.db").display());
    let options = ["--source", "sim:?history=40m&rate=60&symbols=5", "--sink", &db, "--job", "j", "--derive", "none"];
    let (program, at) = serving(folder.path(), &options, &[]);
    let document = json(&at, "/api/openapi.json");
    let told = poll("minutes are forgotten", PATIENCE, || {
        let told = json(&at, "/api/digests?limit=3");
        (told["digests"].as_array().unwrap().len() == 3 && !told["next"].is_null()).then_some(told)
    });
    is_as(&document, &document["components"]["schemas"]["Digests"], &told, "");
    let (from, to) = (&told["digests"][0]["minute"], &told["next"]);
    let of_three = json(&at, &format!("/api/digests?from={from}&to={to}"));
    assert_eq!((&of_three["digests"], &of_three["next"]), (&told["digests"], &Value::Null));
    let time = |ms: &Value| rfc3339(integer(ms) * 1_000_000);
    let mut command = command();
    command.args(["digest", "--from", &time(from), "--to", &time(to), "--data"]).arg(folder.path()).args(options);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let all = &of_three["all"];
    let mut lines: Vec<String> = Vec::new();
    for one in told["digests"].as_array().unwrap() {
        lines.push(format!("{} {} {}", time(&one["minute"]), one["digest"].as_str().unwrap(), one["rows"]));
    }
    lines.push(format!("all {} {} rows in 3 minutes", all["digest"].as_str().unwrap(), all["rows"]));
    assert_eq!(printed.lines().collect::<Vec<_>>(), lines);
    assert_eq!(ask(&at, "GET /api/digests?limit=0", &[]).status, 400);
    program.stopped();
}

/// Lines of a CSV whose rows are final.
fn finals(text: &str) -> BTreeSet<String> {
    text.lines().filter(|line| line.contains(",final")).map(str::to_owned).collect()
}

#[test]
fn minutes_are_the_csv_sinks_finals_byte_for_byte_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let source = format!("sim:?seed={}&history=30s&rate=500&late=1%&disorder=300ms", fastrand::u32(..));
    let (csv, db) = (format!("csv:{}", path("m.csv").display()), format!("sqlite:{}", path("m.db").display()));
    let times = ["--window", "500ms", "--lateness", "1s", "--idle", "1s"];
    let file = || std::fs::read_to_string(path("m.csv")).unwrap_or_default();
    let mut seen = 0;
    for workers in ["2", "1"] {
        let args = [&["--source", &source, "--sink", &csv, "--sink", &db, "-w", workers][..], &times].concat();
        let (program, at) = serving(&path("data"), &args, &[]);
        let stored =
            poll("the sink has finals", PATIENCE, || Some(finals(&file())).filter(|stored| stored.len() > seen + 200));
        seen = stored.len();
        // The sink may be a moment ahead of what is told.
        let told = poll("the API tells what the sink has", PATIENCE, || {
            let told = get(&at, "/api/minutes?format=csv");
            assert_eq!(told.lines().next(), file().lines().next());
            Some(finals(&told)).filter(|told| told.is_superset(&stored))
        });
        poll("the sink has what was told", PATIENCE, || finals(&file()).is_superset(&told).then_some(()));
        // Page by page it is the same, in order.
        let symbol = "AAPL";
        let minutes: Vec<String> = told
            .iter()
            .filter(|line| line.starts_with(symbol))
            .map(|line| line.split(',').nth(1).unwrap().into())
            .collect();
        let to = minutes.last().unwrap();
        let whole = get(&at, &format!("/api/minutes?format=csv&to={to}"));
        let (mut cursor, mut got) = (String::new(), Vec::new());
        loop {
            let page = json(&at, &format!("/api/minutes?to={to}&limit=37{cursor}"));
            assert_eq!(page["source"], "sqlite+memory");
            for row in page["rows"].as_array().unwrap() {
                let text = |name: &str| row[name].as_str().unwrap().to_owned();
                got.push((text("symbol"), text("sum"), row["count"].to_string()));
            }
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let cell = |line: &str, n: usize| line.split(',').nth(n).unwrap().to_owned();
        // CSV's sums have a decimal point always.
        let exact = |line: &str| cell(line, 3).strip_suffix(".0").map_or_else(|| cell(line, 3), str::to_owned);
        let want: Vec<_> = whole.lines().skip(1).map(|line| (cell(line, 0), exact(line), cell(line, 2))).collect();
        assert_eq!(got, want);
        let one = get(&at, &format!("/api/minutes?format=csv&to={to}&symbol={symbol}&symbol=nobody"));
        let mut of_all: Vec<&str> = whole.lines().filter(|line| line.starts_with("AAPL,")).collect();
        of_all.insert(0, whole.lines().next().unwrap());
        assert_eq!(one.lines().collect::<Vec<_>>(), of_all);
        program.stopped();
    }
}

/// Groups have names of their own: one is called as a symbol.
#[test]
fn groups_are_the_csv_sinks_byte_for_byte_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(
        path("groups.csv"),
        "symbol,group,weight\nAAPL,tech,1\nMSFT,tech,2.5\nMSFT,AAPL,1\nABSENT,AAPL,9\nABSENT,no one,1\n",
    )
    .unwrap();
    let source = format!("sim:?seed={}&symbols=5&history=30s&rate=300&late=1%", fastrand::u32(..));
    let (csv, db) = (format!("csv:{}", path("m.csv").display()), format!("sqlite:{}", path("m.db").display()));
    let groups = path("groups.csv").display().to_string();
    let times = ["--window", "500ms", "--lateness", "1s", "--idle", "1s", "--derive", "sma5"];
    let args = ["--source", &source, "--sink", &csv, "--sink", &db, "--groups", &groups];
    // Rows of groups have values in the last columns.
    let of_groups = |text: &str| -> Vec<String> {
        text.lines().skip(1).filter(|line| !line.ends_with(",,,")).map(str::to_owned).collect()
    };
    let file = || of_groups(&std::fs::read_to_string(path("m.csv")).unwrap_or_default());
    let mut seen = 0;
    for workers in ["2", "1"] {
        let (program, at) = serving(&path("data"), &[&args[..], &times, &["-w", workers]].concat(), &[]);
        let stored = poll("the sink has more", PATIENCE, || Some(file()).filter(|rows| rows.len() > seen + 40));
        seen = stored.len();
        let told = poll("the API tells what the sink has", PATIENCE, || {
            let told = of_groups(&get(&at, "/api/groups/minutes?format=csv"));
            let has_all = stored.iter().collect::<BTreeSet<_>>().is_subset(&told.iter().collect());
            has_all.then_some(told)
        });
        poll("the sink has what was told", PATIENCE, || {
            told.iter().collect::<BTreeSet<_>>().is_subset(&file().iter().collect()).then_some(())
        });
        let key =
            |line: &String| (line.split(',').nth(1).unwrap().to_owned(), line.split(',').next().unwrap().to_owned());
        assert!(told.is_sorted_by_key(key) && told.iter().map(key).collect::<BTreeSet<_>>().len() == told.len());
        // Page by page it is the same, and of one group what it is of all.
        let to = told.last().unwrap().split(',').nth(1).unwrap().to_owned();
        let (mut cursor, mut rows) = (String::new(), Vec::new());
        loop {
            let page = json(&at, &format!("/api/groups/minutes?to={to}&limit=7{cursor}"));
            rows.extend(page["rows"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let cells = |row: &Value| -> Vec<String> {
            let number = |name: &str| format!("{:?}", row[name].as_f64().unwrap());
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            let last = ["members", "listed", "weight"].map(number);
            [[text("group"), row["count"].to_string(), text("sum"), text("state")].to_vec(), last.to_vec()].concat()
        };
        let of_text = |line: &String| -> Vec<String> {
            let all: Vec<_> = line.split(',').map(str::to_owned).collect();
            let n = all.len();
            let sum = all[3].strip_suffix(".0").unwrap_or(&all[3]).to_owned(); // of CSV they have a decimal point always
            [vec![all[0].clone(), all[2].clone(), sum, all[5].clone()], all[n - 3..].to_vec()].concat()
        };
        let want: Vec<_> = told.iter().filter(|line| key(line).0 < to).map(of_text).collect();
        assert_eq!(rows.iter().map(cells).collect::<Vec<_>>(), want);
        let one = json(&at, &format!("/api/groups/minutes?to={to}&group=AAPL&group=none"));
        let of_one: Vec<_> = rows.iter().filter(|row| row["group"] == "AAPL").cloned().collect();
        assert_eq!(one["rows"].as_array().unwrap(), &of_one);
        assert!(of_one.iter().all(|row| row["listed"] == 2.0 && row["members"] == 1.0 && row["symbol"].is_null()));
        // Symbols have none of it.
        let symbols = json(&at, &format!("/api/minutes?to={to}&symbol=AAPL&symbol=tech"));
        assert!(
            symbols["rows"].as_array().unwrap().iter().all(|row| row["symbol"] == "AAPL" && row["group"].is_null())
        );
        let list = json(&at, "/api/groups");
        let names: Vec<_> = list["groups"].as_array().unwrap().iter().map(|one| one["group"].clone()).collect();
        assert_eq!((names, integer(&list["total"])), (vec!["AAPL".into(), "tech".into()], 2), "one has no member here");
        let tech = &json(&at, "/api/groups?q=TEC")["groups"][0];
        assert!(
            tech["group"] == "tech"
                && tech["weight"] == 3.5
                && integer(&tech["minute"]) > integer(&tech["first_minute"])
        );
        assert_eq!(json(&at, "/api/status")["settings"]["groups"], true);
        for bad in ["/api/groups/minutes?symbol=A", "/api/groups/minutes?window=5m", "/api/groups?minute=1"] {
            assert_eq!(ask(&at, &format!("GET {bad}"), &[]).status, 400, "{bad}");
        }
        program.stopped();
    }
}

/// One event of the stream.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    id: String,
    name: String,
    data: String,
}

impl Event {
    fn number(&self) -> u64 {
        self.id.rsplit_once('-').unwrap().1.parse().unwrap()
    }
}

/// A reader of `/api/stream`.
struct Reader(BufReader<TcpStream>);

impl Reader {
    fn open(address: &str, query: &str, last: Option<&str>) -> Self {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        write!(socket, "GET /api/stream{query} HTTP/1.0\r\nHost: {address}\r\n{last}\r\n").unwrap();
        let mut reader = BufReader::new(socket);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{line}");
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        Reader(reader)
    }

    fn next(&mut self) -> Event {
        let (mut event, mut line) =
            (Event { id: String::new(), name: String::new(), data: String::new() }, String::new());
        loop {
            line.clear();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => event.id = id.into(),
                Some(("event", name)) => event.name = name.into(),
                Some(("data", data)) => event.data = data.into(),
                Some(other) => panic!("{other:?}"),
                None if event.data.is_empty() => {} // after a comment
                None => return event,
            }
        }
    }
}

#[test]
fn a_stream_resumes_without_loss_or_duplicates() {
    let folder = tempfile::tempdir().unwrap();
    let source = "sim:?history=1m&rate=500&symbols=5";
    let (_program, at) = serving(folder.path(), &["--source", source, "-w", "2", "--window", "1s"], &[]);
    let symbol = poll("there is a symbol", PATIENCE, || {
        json(&at, "/api/symbols")["symbols"][0]["symbol"].as_str().map(str::to_owned)
    });
    let mut whole = Reader::open(&at, "", None);
    let hello = whole.next();
    assert_eq!(hello.name, "hello");
    let mut last = whole.next();
    let begin = last.number();
    let mut some = Reader::open(&at, &format!("?symbols={symbol}"), Some(&last.id));
    let (mut pieces, mut rng) = (vec![last.clone()], common::seed());
    for _ in 0..12 {
        let mut piece = Reader::open(&at, "", Some(&last.id));
        let first = piece.next();
        assert_eq!((first.name.as_str(), first.id.as_str()), ("hello", last.id.as_str()));
        for _ in 0..rng.usize(1..12) {
            last = piece.next();
            pieces.push(last.clone());
        }
    }
    let numbers: Vec<u64> = pieces.iter().map(Event::number).collect();
    assert_eq!(numbers, (begin..=last.number()).collect::<Vec<_>>(), "one after the other, each once");
    let mut all = vec![pieces[0].clone()];
    while all.last().unwrap().number() < last.number() {
        all.push(whole.next());
    }
    assert_eq!(pieces, all);
    assert!(all.iter().any(|event| event.name == "rows") && all.iter().any(|event| event.name == "marks"));

    // One symbol alone is what it is of the whole.
    let rows = |event: &Event| -> Vec<Value> {
        let data: Value = serde_json::from_str(&event.data).unwrap();
        data["rows"].as_array().unwrap().iter().filter(|row| row[0] == symbol.as_str()).cloned().collect()
    };
    let of_all: BTreeMap<u64, Vec<Value>> = all[1..]
        .iter()
        .filter(|event| event.name == "rows")
        .map(|event| (event.number(), rows(event)))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    assert_eq!(some.next().name, "hello");
    let mut of_one = BTreeMap::new();
    loop {
        let event = some.next();
        if event.number() > last.number() {
            break;
        }
        if event.name == "rows" {
            let data: Value = serde_json::from_str(&event.data).unwrap();
            of_one.insert(event.number(), data["rows"].as_array().unwrap().clone());
        }
    }
    assert_eq!(of_one, of_all);

    for foreign in ["0-1", "nonsense", &format!("{}-99999999", hello.id.rsplit_once('-').unwrap().0)] {
        let mut reader = Reader::open(&at, "", Some(foreign));
        assert_eq!([reader.next().name, reader.next().name], ["hello", "reset"], "{foreign}");
    }
}

const SHORT: [&str; 8] =
    ["--window", "1s", "--lateness", "1s", "--idle", "1s", "--source", "sim:?history=5s&rate=2000&symbols=3"];

#[test]
fn live_rows_come_to_be_what_is_final() {
    let folder = tempfile::tempdir().unwrap();
    let (_program, at) = serving(folder.path(), &[&["-w", "2"], &SHORT[..]].concat(), &[]);
    streamed_rows_are_final(&at);
}

/// The ends are those of all rows of the minute, as the API has them.
#[test]
fn movers_are_the_ends_of_a_final_minute() {
    let folder = tempfile::tempdir().unwrap();
    let (_program, at) = serving(folder.path(), &[&["--derive", "sma2,chg1,chg2"], &SHORT[..]].concat(), &[]);
    let minute = poll("a minute is final", PATIENCE, || {
        let movers = json(&at, "/api/movers?top=2");
        let there = integer(&movers["with_value"]) == 3 && movers["state"] == "final" && movers["by"] == "chg1";
        there.then(|| integer(&movers["minute"]))
    });
    let rows = json(&at, &format!("/api/minutes?from={minute}&to={}", minute + 1));
    let rows = rows["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for by in ["chg1", "avg", "volume"] {
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| value.as_str().unwrap().parse().unwrap());
        let mut want: Vec<_> = rows.iter().map(|row| (number(&row[by]), row["symbol"].as_str().unwrap())).collect();
        want.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
        let movers = json(&at, &format!("/api/movers?by={by}&top=2&minute={}", minute + 999));
        let ends = |name: &str| -> Vec<_> {
            let rows = movers[name].as_array().unwrap().iter();
            rows.map(|row| (number(&row["value"]), row["symbol"].as_str().unwrap())).collect()
        };
        assert_eq!((integer(&movers["minute"]), integer(&movers["rows"])), (minute, 3));
        assert_eq!(ends("smallest"), want[..2], "{by}");
        want.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        assert_eq!(ends("largest"), want[..2], "{by}");
    }
}

#[test]
fn so_do_those_of_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let (data, hosts) = (folder.path().join("data"), common::two_hosts(folder.path()));
    let args = |process| [&["-n", "2", "-h", &hosts, "-p", process], &SHORT[..]].concat();
    let _other = Program::start(&data, &args("1"), &[]);
    let (_program, at) = serving(&data, &args("0"), &[]);
    streamed_rows_are_final(&at);
    assert_eq!(integer(&json(&at, "/api/status")["workers"]), 2);
}

/// What the stream says of windows that its marks make final is what the API has.
fn streamed_rows_are_final(at: &str) {
    let mut reader = Reader::open(at, "", None);
    let mut newest: BTreeMap<(i64, String), Value> = BTreeMap::new();
    let (mut began, mut compared) = (None, 0);
    while compared < 30 {
        let event = reader.next();
        let data: Value = serde_json::from_str(&event.data).unwrap();
        match event.name.as_str() {
            "rows" => {
                for row in data["rows"].as_array().unwrap() {
                    began = began.or(row[1].as_i64().map(|minute| minute + 2000));
                    newest.insert((integer(&row[1]), row[0].as_str().unwrap().into()), row.clone());
                }
            }
            // What these marks make final had its last row before them.
            "marks" if data["w"].is_number() => {
                let w = data["w"].as_f64().unwrap();
                #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
                let ended = |minute: i64| (minute + 2000) as f64 <= w;
                let of = newest.keys().filter(|(minute, _)| Some(*minute) >= began && ended(*minute)).cloned();
                for (minute, symbol) in of.collect::<Vec<_>>() {
                    let row = newest.remove(&(minute, symbol.clone())).unwrap();
                    let path = format!("/api/minutes?symbol={symbol}&from={minute}&limit=1");
                    let stored = &json(at, &path)["rows"][0];
                    let want = (&stored["count"], &stored["avg"], &stored["close"]);
                    assert_eq!((&row[2], &row[3], &row[7]), want, "{row} and {stored}");
                    assert!(stored["state"] == "final" || stored["state"] == "partial", "{stored}");
                    compared += 1;
                }
            }
            _ => {}
        }
    }
}

#[test]
fn strangers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_program, at) = serving(folder.path(), &["--source", "sim:?history=1m"], &[]);
    let port = at.rsplit_once(':').unwrap().1;
    let status = |first: &str, headers: &[&str]| ask(&at, first, headers).status;
    for host in ["localhost", "127.0.0.1", "[::1]:1", &format!("LOCALHOST:{port}")] {
        assert_eq!(status("GET /api/status", &[&format!("Host: {host}")]), 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"] {
        assert_eq!(status("GET /api/status", &[&format!("Host: {host}")]), 421, "{host}");
    }
    let why = ask(&at, "GET /", &["Host: minutely.example.org:443"]).body;
    assert!(why.contains("--http-host minutely.example.org"), "{why}");
    assert_eq!(status("GET /", &["Host: localhost", "Host: evil.example"]), 400);
    assert_eq!(status("GET /", &["Host: a b"]), 400);
    assert_eq!(status("GET /api/status", &[&format!("Origin: http://{at}")]), 200);
    for origin in ["http://evil.example", "null", "http://localhost:1", &format!("http://{at}.evil.example")] {
        assert_eq!(status("GET /api/status", &[&format!("Origin: {origin}")]), 403, "{origin}");
    }
    // An image of a page elsewhere has no Origin.
    let fetch = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"];
    assert_eq!(status("GET /api/minutes?format=csv", &fetch), 403);
    let link = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
    assert_eq!(status("GET /", &link), 200);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let answer = ask(&at, &format!("{method} /api/status"), &[]);
        assert!(answer.status == 405 && answer.head.contains("allow: get, head"), "{method}: {answer:?}");
    }
    assert_eq!(status("GET /api/status", &["Content-Length: 5"]), 413);
    assert_eq!(status(&format!("GET /api/symbols?q={}", "x".repeat(30_000)), &[]), 414);
    for path in [
        "/api/status?x=1",
        "/api/minutes?from=tomorrow",
        "/api/symbols?limit=0",
        "/api/minutes?cursor=!",
        "/api/movers?top=0",
    ] {
        assert_eq!(status(&format!("GET {path}"), &[]), 400, "{path}");
    }
    for path in ["/api/movers?by=nope", "/nothing", "/assets/../mod.rs", "/assets/%2e%2e%2fmod.rs", "/assets/", "/api"]
    {
        assert_eq!(status(&format!("GET {path}"), &[]), 404, "{path}");
    }
    let page = ask(&at, "GET /", &[]);
    for part in ["content-security-policy: default-src 'none'", "nosniff", "no-referrer", "frame-ancestors 'none'"] {
        assert!(page.head.contains(part), "{part}: {}", page.head);
    }
    let head = ask(&at, "HEAD /api/status", &[]);
    assert!(head.status == 200 && head.body.is_empty());
    Program::run(&folder.path().join("other"), &["--http", &at], &[]).refused(69, &["another program listens there"]);
}

#[test]
fn behind_a_proxy_it_is_called_by_the_names_that_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let named = [("MINUTELY_HTTP_HOST", "minutely.example.org, other.example.org")];
    let (_program, at) = serving(folder.path(), &["--source", "sim:?history=1m"], &named);
    let status = |headers: &[&str]| ask(&at, "GET /api/status", headers).status;
    for host in ["minutely.example.org", "Other.Example.org:8443", "localhost"] {
        assert_eq!(status(&[&format!("Host: {host}"), &format!("Origin: https://{host}")]), 200, "{host}");
    }
    for host in ["example.org", "evil.example"] {
        assert_eq!(status(&[&format!("Host: {host}")]), 421, "{host}");
    }
    assert_eq!(status(&["Host: minutely.example.org", "Origin: https://other.example.org"]), 403);
    let (_program, at) = serving(
        &folder.path().join("b"),
        &["--source", "sim:?history=1m", "--http-host", "a", "--http-host", "b"],
        &[],
    );
    for host in ["a", "b"] {
        assert_eq!(ask(&at, "GET /api/status", &[&format!("Host: {host}")]).status, 200, "{host}");
    }
    let url = ["--http", "127.0.0.1:0", "--http-host", "https://a.example/"];
    Program::run(&folder.path().join("c"), &url, &[])
        .refused(64, &["--http-host https://a.example/", "without scheme"]);
}

#[test]
fn others_reach_it_only_with_a_flag_and_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let data = |name: &str| folder.path().join(name);
    let token = [("MINUTELY_HTTP_TOKEN", TOKEN)];
    Program::run(&data("a"), &["--http", "0.0.0.0:0"], &token).refused(64, &["--http-public"]);
    Program::run(&data("a"), &["--http", "0.0.0.0:0", "--http-public"], &[]).refused(64, &["needs a token"]);
    let short = Program::run(&data("a"), &["--http", "0.0.0.0:0"], &[("MINUTELY_HTTP_TOKEN", "hunter2")]);
    assert!(short.code == Some(64) && short.said.contains("at least 16") && !short.said.contains("hunter2"));
    let file = data("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let args = ["--http", "0.0.0.0:0", "--http-public", "--http-token-file", file.to_str().unwrap()];
    let (program, at) = serving(&data("b"), &[&args[..], &["--source", "sim:?history=1m"]].concat(), &[]);
    let at = at.replace("0.0.0.0", "127.0.0.1");
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let explain = "/api/explain?symbol=A&minute=0";
    for path in
        ["/", "/assets/app.js", "/api/status", "/api/stream", explain, "/metrics", "/?token=wrong.wrong.wrong.wrong"]
    {
        assert_eq!(ask(&at, &format!("GET {path}"), &[]).status, 401, "{path}");
        assert_eq!(ask(&at, &format!("GET {path}"), &["Authorization: Bearer nonsense"]).status, 401, "{path}");
    }
    assert_eq!(ask(&at, "GET /healthz", &[]).status, 200);
    assert_eq!(ask(&at, "GET /api/status", &[&bearer]).status, 200);
    let entered = ask(&at, &format!("GET /?token={TOKEN}"), &[]);
    assert_eq!(entered.status, 303);
    assert!(entered.head.contains("httponly; samesite=strict") && entered.head.contains("location: /\r\n"));
    let cookie = format!("Cookie: minutely_token={TOKEN}");
    let shown: String = ["/", "/api/status", "/metrics", "/api/openapi.json"]
        .map(|path| ask(&at, &format!("GET {path}"), &[&cookie]))
        .map(|answer| format!("{} {}", answer.head, answer.body))
        .concat();
    assert!(shown.contains("minutely_commits_total") && !shown.contains(TOKEN) && !program.said().contains(TOKEN));
}

#[test]
fn five_hundred_readers_that_do_not_read_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let source = "sim:?history=1m&rate=3000&symbols=200";
    let args = ["--source", source, "-w", "2", "--window", "2s", "--lateness", "1s", "--idle", "1s"];
    let (program, at) = serving(folder.path(), &args, &[]);
    let stalled: Vec<TcpStream> = (0..500)
        .map(|_| {
            let mut socket = TcpStream::connect(&at).unwrap();
            write!(socket, "GET /api/stream HTTP/1.1\r\nHost: {at}\r\n\r\n").unwrap();
            socket
        })
        .collect();
    let metric = |name: &str| -> f64 {
        let text = get(&at, "/metrics");
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_default().to_owned();
        line.rsplit_once(' ').map_or(0.0, |(_, value)| value.parse().unwrap())
    };
    poll("all are there", PATIENCE, || (metric("minutely_http_streams") >= 500.0).then_some(()));
    let now = || {
        let status = json(&at, "/api/status");
        (integer(&status["ledger"]["counted"]), status["w"].as_f64().unwrap_or_default())
    };
    let (counted, w) = now();
    let mut reader = Reader::open(&at, "", None);
    // Ten seconds of event time later the run is where it must be, and somebody who reads has all of it.
    let mut last = reader.next().number();
    poll("it goes on", PATIENCE, || {
        let event = reader.next();
        if event.name != "reset" {
            assert_eq!(event.number(), last + 1);
        }
        last = event.number();
        let (then, mark) = now();
        (then > counted && mark > w + 10_000.0).then_some(())
    });
    drop(stalled);
    program.stopped();
}

#[test]
fn hostile_names_come_through_whole_and_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(1)</script>",
        "a,b",
        "say \"hi\"",
        "=cmd|'x'!A1",
        "\u{202e}txt",
        "é\u{1f980}",
        "\u{fffd}",
        &"\u{1f980}".repeat(256),
        "%00",
        "..",
        "A&B=C#D",
        "{{7*7}}",
    ];
    let mut log = String::new();
    for minute in 0..2000_i64 {
        let name = names[usize::try_from(minute).unwrap() % names.len()];
        let tick =
            serde_json::json!({"symbol": name, "price": 1.5, "ts": 1_767_600_000_000 + minute * 60_000, "volume": 2});
        log += &format!("{tick}\n");
    }
    let path = folder.path().join("ticks.jsonl");
    std::fs::write(&path, log).unwrap();
    // Nobody reads its rows, so it stays.
    let mut child = Command::new(env!("CARGO_BIN_EXE_minutely"))
        .args(["--source", &format!("file:{}", path.display()), "--sink", "stdout:", "--http", "127.0.0.1:0", "--data"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    let at = loop {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
        if let Some(at) = address(&said) {
            break at;
        }
    };
    let symbols = poll("all names are there", PATIENCE, || {
        let symbols = json(&at, "/api/symbols");
        (integer(&symbols["total"]) == i64::try_from(names.len()).unwrap()).then_some(symbols)
    });
    let told: BTreeSet<&str> =
        symbols["symbols"].as_array().unwrap().iter().map(|s| s["symbol"].as_str().unwrap()).collect();
    assert_eq!(told, names.into_iter().collect());
    for name in names {
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let rows = poll("its rows are there", PATIENCE, || {
            let page = json(&at, &format!("/api/minutes?symbol={encoded}"));
            let rows = page["rows"].as_array().unwrap().clone();
            (rows.len() >= 2000 / names.len()).then_some(rows)
        });
        assert!(rows.iter().all(|row| row["symbol"] == name && row["sum"] == "1.5"));
        let found = json(&at, &format!("/api/symbols?q={encoded}"));
        assert!(integer(&found["total"]) >= 1, "{name}");
        let answer = ask(&at, &format!("GET /api/minutes?format=csv&symbol={encoded}&limit=1"), &[]);
        assert!(answer.head.contains("text/csv") && answer.head.contains("nosniff"));
        let mut csv = csv::Reader::from_reader(answer.body.as_bytes());
        assert_eq!(&csv.records().next().unwrap().unwrap()[0], name);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn prometheus_takes_the_metrics() {
    let promtool = std::env::var("MINUTELY_PROMTOOL").unwrap_or_else(|_| "promtool".into());
    if Command::new(&promtool).arg("--version").output().is_err() {
        let note = "LEFT OUT: /metrics by promtool, which is in Debian's package prometheus; or name it by MINUTELY_PROMTOOL\n";
        std::io::stderr().write_all(note.as_bytes()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (_program, at) = serving(folder.path(), &["--source", "sim:?history=2m&late=1%"], &[]);
    poll("it is ready", PATIENCE, || (ask(&at, "GET /readyz", &[]).status == 200).then_some(()));
    let metrics = get(&at, "/metrics");
    for line in metrics.lines().filter(|line| line.starts_with("# TYPE ")) {
        assert!(line.starts_with("# TYPE minutely_"), "{line}");
    }
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && said.is_empty(), "{said}\n{metrics}");
}

#[test]
fn a_fuzzer_that_reads_the_document_finds_no_fault() {
    let Some(folder) = common::needs("the API by schemathesis", "MINUTELY_TEST_SCHEMATHESIS") else { return };
    let here = tempfile::tempdir().unwrap();
    let db = format!("sqlite:{}", here.path().join("m.db").display());
    let groups = here.path().join("groups.csv");
    std::fs::write(&groups, "symbol,group\nAAPL,tech\nMSFT,tech\n").unwrap();
    let source = "sim:?history=15m&rate=200&late=1%&broken=1%";
    let args = ["--source", source, "--sink", &db, "--groups", groups.to_str().unwrap()];
    let (program, at) = serving(&here.path().join("data"), &args, &[]);
    poll("it is ready", PATIENCE, || (ask(&at, "GET /readyz", &[]).status == 200).then_some(()));
    let mut command = Command::new("python3");
    command.current_dir(here.path()).env("PYTHONPATH", &folder).arg(Path::new(&folder).join("bin/schemathesis"));
    command.args(["run", &format!("http://{at}/api/openapi.json"), "--no-color", "--generation-database", "none"]);
    // What it finds by chance is for `./test long`; the same cases always for the others.
    let seed = if std::env::var_os("MINUTELY_TEST_LONG").is_some() { fastrand::u32(..) } else { 2 };
    command.args(["--seed", &seed.to_string()]);
    // A stream does not end.
    command.args(["--exclude-path", "/api/stream", "--max-examples", "25", "--request-timeout", "60"]);
    let ended = command.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(said.contains("No issues found"), "{said}");
    program.stopped();
}
