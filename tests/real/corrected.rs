//! A live run, and a tick that is forty minutes late: its minute and what is derived of it are corrected in every sink, on the API
//! and on the page, and nothing else is.

use super::page::tools;
use crate::common::influx::Influx;
use crate::common::kafka::Kafka;
use crate::common::program::{PATIENCE, Program};
use crate::common::rows::{Rows, Wanted, plain, same, sqlite};
use crate::common::web::json;
use crate::common::{now, rfc3339};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{EventTime, SECOND, Windowing};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

const MINUTE: i64 = 60 * SECOND;

/// Of one symbol, as `/api/minutes` has them, whatever state they say: minutes close as the clock goes on.
fn minutes(address: &str, symbol: &str) -> BTreeMap<String, Value> {
    let rows = json(address, &format!("/api/minutes?symbol={symbol}"));
    let numbers = |row: &Value| {
        let mut row = row.clone();
        row["state"] = Value::Null;
        (rfc3339(row["minute"].as_i64().unwrap() * 1_000_000), row)
    };
    rows["rows"].as_array().unwrap().iter().map(numbers).collect()
}

/// Of two versions, what changed.
fn changed<T: PartialEq>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Vec<String> {
    assert_eq!(before.len(), after.len());
    after.iter().filter(|(minute, row)| before.get(*minute) != Some(row)).map(|(minute, _)| minute.clone()).collect()
}

fn of(rows: &Rows, symbol: &str) -> BTreeMap<String, crate::common::rows::Cells> {
    let rows = rows.iter().filter(|((_, name), _)| name == symbol);
    rows.map(|((minute, _), cells)| (minute.clone(), cells.clone())).collect()
}

/// A browser that has shown what a minute was before.
fn watching(address: &str, minute: &str, before: &str, after: &str) -> Option<(Child, BufReader<ChildStdout>)> {
    let (folder, modules) = tools("a late tick on the page")?;
    let url = format!("http://{address}/#s=A&minute={minute}");
    let mut command = Command::new("node");
    command.current_dir(folder).env("NODE_PATH", modules).env("PATIENCE", "6");
    let mut browser = command
        .args(["corrected.mjs", &url, before, after])
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(browser.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "shown\n");
    Some((browser, said))
}

#[test]
fn a_tick_that_is_forty_minutes_late_is_seen_everywhere() {
    let what = "a late tick in every sink, on the API and on the page";
    let (Some(kafka), Some(influx)) = (Kafka::of_tests(what), Influx::of_tests(what)) else { return };
    let home = tempfile::tempdir().unwrap();
    let topic = kafka.topic("corrected", 2, &[]);
    let db = home.path().join("minutes.db");
    let (source, sink, table) = (kafka.uri(&topic), influx.uri(), format!("sqlite:{}", db.display()));
    let args = [
        "--source",
        &source,
        "--sink",
        &sink,
        "--sink",
        &table,
        "--lateness",
        "3h",
        "--http",
        "127.0.0.1:0",
        "-w",
        "2",
    ];
    let mut run = Program::start(&home.path().join("data"), &args, &[("INFLUX_TOKEN", &influx.token)]);
    let address = run.address();

    // An hour of two symbols in two partitions; the last minute is the one in progress.
    let writer = kafka.writer(&topic);
    let first = EventTime(now().0.div_euclid(MINUTE) * MINUTE - 59 * MINUTE);
    let at = |minute: i64| EventTime(first.0 + minute * MINUTE);
    for minute in 0..60 {
        writer.tick(0, "A", 100 * minute, at(minute));
        writer.tick(1, "B", 100 * (100 + minute), at(minute));
    }
    writer.flush();
    let windowing = Windowing { lateness: 3 * 60 * MINUTE, ..Windowing::default() };
    let rule = Rule { windowing, ..Rule::default() };
    let wanted = || Wanted::of(&kafka.read_back(&topic), &rule, None, true).rows;
    // What is open by the log may be closed by evidence that it is idle.
    let numbers = |rows: &Rows| {
        let any = |mut cells: crate::common::rows::Cells| {
            cells.state = "any".into();
            cells
        };
        rows.iter().map(|(key, cells)| (key.clone(), any(cells.clone()))).collect::<Rows>()
    };
    let table_is = |run: &mut Program, wanted: &Rows| {
        run.until("the table has it", PATIENCE, |_| numbers(&sqlite(&db)) == numbers(wanted));
        run.until("so has InfluxDB", PATIENCE, |_| numbers(&influx.rows("minute_live")) == numbers(&plain(wanted)));
    };
    table_is(&mut run, &wanted());
    let table = sqlite(&db);
    let sma5 = influx.column("minute_live", "sma5");
    // The preview makes rows anew once it knows which of them are whole.
    let mut api = BTreeMap::new();
    run.until("and the API, with what is derived", PATIENCE, |_| {
        api = minutes(&address, "A");
        api.len() == 60 && api.values().all(|row| row["ema12"].is_number())
    });
    let minute = rfc3339(at(20).0);
    let browser = watching(&address, &minute, "average20open", "average70open");

    writer.tick(1, "A", 12_000, EventTime(at(20).0 + 30 * SECOND));
    writer.flush();
    let wanted = wanted();
    table_is(&mut run, &wanted);
    let after = sqlite(&db);
    same(
        "B",
        &numbers(&after).into_iter().filter(|((_, name), _)| name == "B").collect(),
        &numbers(&table).into_iter().filter(|((_, name), _)| name == "B").collect(),
    );
    // An `ema12` goes on for ever; `sma20` is of twenty minutes, `sma5` of five.
    let later = |many: i64| (20..20 + many).map(|minute| rfc3339(at(minute).0)).collect::<Vec<_>>();
    let cells = |rows: &Rows, column: usize| {
        of(rows, "A").into_iter().map(|(minute, cells)| (minute, cells.derived[column])).collect::<BTreeMap<_, _>>()
    };
    for (column, many) in [(0, 5), (1, 20), (2, 40), (3, 1)] {
        assert_eq!(changed(&cells(&table, column), &cells(&after, column)), later(many), "column {column}");
    }
    let of_a = |column: BTreeMap<(String, String), _>| {
        column.into_iter().filter(|((_, name), _)| name == "A").map(|((minute, _), bits)| (minute, bits)).collect()
    };
    let now = influx.column("minute_live", "sma5");
    assert_eq!(changed(&of_a(sma5), &of_a(now.clone())), later(5));
    assert_eq!(of_a(now), cells(&after, 0).into_iter().filter_map(|(minute, bits)| Some((minute, bits?))).collect());
    let mut shown = BTreeMap::new();
    run.until("so has the API", PATIENCE, |_| {
        shown = minutes(&address, "A");
        changed(&api, &shown) == later(40)
    });
    assert_eq!((&shown[&minute]["avg"], &shown[&minute]["count"]), (&Value::from(70.0), &Value::from(2)));
    assert_eq!(shown[&minute]["sma5"].as_f64(), Some(28.0));
    if let Some((mut browser, _said)) = browser {
        assert!(browser.wait().unwrap().success(), "the page was not corrected");
    }
    run.stopped();
}
