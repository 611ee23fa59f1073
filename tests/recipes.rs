//! Examples of feeds: records as a feed has them, the options of its user, and the right rows, in `tests/recipes/NAME/`.
//!
//! `options` has one argument a line, as `--symbol-field=s`, and beside them lines `KEY = VALUE`:
//!
//! | key | is |
//! |---|---|
//! | `config` | a ready-made configuration, by its path from the root of the repository |
//! | `source` | the input: a pattern within the folder, or `-` for stdin; else the file whose name begins with `input.` |
//! | `read`, `counted`, … | how many records or events the run must say; `events` are as many as are read, the others none, unless named |
//! | `needs` | a part of the program that is not there yet; the example is left out, and the test says so |
//!
//! `rows.csv` has the right rows, by `tests/recipes/expected.py`: computed in exact fractions, without the program.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{Ended, command, files};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The header of `rows.csv`. Rows of the program have their state, too.
const HEADER: &str = "symbol,minute,count,sum,avg,open,high,low,close,volume,vwap";
/// Numbers of the program's last line.
const COUNTS: [&str; 9] =
    ["read", "events", "counted", "late", "rejected", "quarantined", "skipped", "duplicate", "rounded"];
/// The instant of all runs that name no other.
const AS_OF: &str = "--as-of=2026-04-01T00:00:00Z";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One folder.
struct Example {
    name: String,
    folder: PathBuf,
    args: Vec<String>,
    config: Option<String>,
    /// A pattern within the folder, or `-`.
    source: String,
    needs: Option<String>,
    counts: BTreeMap<String, u64>,
    /// Without their header, in order.
    rows: Vec<Vec<String>>,
}

impl Example {
    fn read(folder: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(folder.join("options")).map_err(|e| format!("options: {e}"))?;
        if !text.starts_with("# ") {
            return Err("options: the first line must be a comment that says what the feed is".to_owned());
        }
        let (mut args, mut values) = (Vec::new(), BTreeMap::new());
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split_once(" = ") {
                _ if line.starts_with("--") => args.push(line.to_owned()),
                Some((key, value)) if values.insert(key, value).is_none() => {}
                _ => return Err(format!("options: `{line}` is no argument, no `KEY = VALUE`, or there twice")),
            }
        }
        let mut own = |key: &str| values.remove(key).map(str::to_owned);
        let (config, needs, source) = (own("config"), own("needs"), own("source"));
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (key, value) in values {
            let number = value.parse().map_err(|_| format!("options: {key} = {value} is no number"))?;
            if !COUNTS.contains(&key) {
                return Err(format!("options: there is no key {key}"));
            }
            counts.insert(key.to_owned(), number);
        }
        let read = *counts.get("read").ok_or("options: how many records are read is not said")?;
        for name in COUNTS {
            counts.entry(name.to_owned()).or_insert(if name == "events" { read } else { 0 });
        }
        let source = source.map_or_else(|| only_input(folder), Ok)?;
        let rows = csv_rows(&folder.join("rows.csv"), HEADER)?;
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        Ok(Example { name, folder: folder.to_owned(), args, config, source, needs, counts, rows })
    }

    /// What is wrong with what the program gives, at this number of workers.
    fn check(&self, workers: &str) -> Result<(), String> {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("rows.csv");
        let source = if self.source == "-" { "-".into() } else { self.folder.join(&self.source).display().to_string() };
        let mut run = command();
        if let Some(config) = &self.config {
            run.arg("--config").arg(root().join(config));
        }
        run.args([format!("--source=file:{source}"), format!("--sink=csv:{}", out.display())]);
        run.args(["--emit=final", "--derive=none", "--state=none", "--http=none", "-w", workers]).args(&self.args);
        if !self.args.iter().any(|arg| arg.starts_with("--as-of")) {
            run.arg(AS_OF);
        }
        run.arg("--data").arg(home.path().join("data")).stdin(match self.source.as_str() {
            "-" => File::open(self.folder.join(only_input(&self.folder)?)).unwrap().into(),
            _ => Stdio::null(),
        });
        let done = run.output().unwrap();
        let ended = Ended { code: done.status.code(), said: String::from_utf8_lossy(&done.stderr).into_owned() };
        if ended.code != Some(0) {
            return Err(format!("ended with {:?}: {}", ended.code, ended.said));
        }
        let program_header = HEADER.replace("avg,", "avg,state,");
        let mut rows = csv_rows(&out, &program_header)?;
        for row in &mut rows {
            let state = row.remove(5);
            if state != "final" {
                return Err(format!("{row:?} is {state}"));
            }
        }
        rows.sort();
        if rows != self.rows {
            return Err(format!("rows\n got {rows:?}\nwant {:?}\n{}", self.rows, ended.said));
        }
        let counts = counts(&ended.said)?;
        if counts == self.counts {
            Ok(())
        } else {
            Err(format!("got {counts:?}\nwant {:?}\n{}", self.counts, ended.said))
        }
    }
}

/// The one file of a folder whose name begins with `input.`
fn only_input(folder: &Path) -> Result<String, String> {
    let names = files(folder).into_iter().filter_map(|path| path.to_str().map(str::to_owned));
    let inputs: Vec<String> = names.filter(|name| name.starts_with("input.")).collect();
    match inputs.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(format!("there must be one file input.*, or options must say the source: {inputs:?}")),
    }
}

fn csv_rows(path: &Path, header: &str) -> Result<Vec<Vec<String>>, String> {
    let name = path.file_name().unwrap().display();
    let mut file = csv::Reader::from_path(path).map_err(|e| format!("{name}: {e}"))?;
    let found = file.headers().map_err(|e| format!("{name}: {e}"))?.iter().collect::<Vec<_>>().join(",");
    if found != header {
        return Err(format!("{name}: its header is {found}, not {header}"));
    }
    let rows = file.records().map(|row| row.map(|row| row.iter().map(str::to_owned).collect()));
    rows.collect::<Result<_, _>>().map_err(|e| format!("{name}: {e}"))
}

/// The numbers of the last line: `done: 3 records read, 5 events = 4 counted + 0 late + …; …`.
fn counts(said: &str) -> Result<BTreeMap<String, u64>, String> {
    let line =
        said.lines().find_map(|line| line.split_once("done: ")).ok_or_else(|| format!("no last line: {said}"))?.1;
    let (read, classes) = line.split(';').next().unwrap().split_once(" = ").ok_or("no equation")?;
    let mut counts: BTreeMap<String, u64> = COUNTS.map(|name| (name.to_owned(), 0)).into();
    for term in read.split(", ").chain(classes.split(" + ").flat_map(|term| term.split(", "))) {
        let (number, name) = term.split_once(' ').ok_or_else(|| format!("`{term}` is no term: {line}"))?;
        let name = match name {
            "record read" | "records read" => "read",
            "event" => "events",
            name => name,
        };
        let count = counts.get_mut(name).ok_or_else(|| format!("`{name}` is no count: {line}"))?;
        *count = number.parse().map_err(|e| format!("{term}: {e}"))?;
    }
    if !read.contains("event") {
        counts.insert("events".to_owned(), counts["read"]);
    }
    Ok(counts)
}

/// All folders, by name; what is wrong with those that are malformed.
fn examples() -> (Vec<Example>, Vec<String>) {
    let entries = fs::read_dir(root().join("tests/recipes")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    let (mut examples, mut wrong) = (Vec::new(), Vec::new());
    for folder in folders {
        match Example::read(&folder) {
            Ok(example) => examples.push(example),
            Err(why) => wrong.push(format!("{}: {why}", folder.file_name().unwrap().display())),
        }
    }
    (examples, wrong)
}

#[test]
fn every_example_gives_the_right_rows() {
    let (examples, mut wrong) = examples();
    let mut checked = 0;
    for example in &examples {
        if let Some(what) = &example.needs {
            eprintln!("left out: {}, needs {what}", example.name);
            continue;
        }
        checked += 1;
        for workers in ["1", "3"] {
            let found = example.check(workers).map_err(|why| format!("{} with -w {workers}: {why}", example.name));
            wrong.extend(found.err());
        }
    }
    assert!(wrong.is_empty(), "{} examples are wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
    assert!(checked > 40, "only {checked} examples were found");
}

/// The table of examples is whole, and every configuration is one that an example uses.
#[test]
fn every_example_and_every_configuration_is_in_the_table() {
    let page = fs::read_to_string(root().join("docs/recipes/README.md")).unwrap();
    let (examples, wrong) = examples();
    assert_eq!(wrong, Vec::<String>::new());
    for Example { name, .. } in &examples {
        assert!(
            page.contains(&format!("(../../tests/recipes/{name}/)")),
            "docs/recipes/README.md has no link to {name}"
        );
    }
    let configs = files(&root().join("docs/recipes"));
    let configs: Vec<_> = configs.iter().filter(|path| path.extension() == Some("toml".as_ref())).collect();
    assert!(configs.len() > 10, "{configs:?}");
    for config in configs {
        let path = format!("docs/recipes/{}", config.display());
        assert!(examples.iter().any(|example| example.config.as_ref() == Some(&path)), "no example uses {path}");
        assert!(page.contains(&format!("]({})", config.display())), "docs/recipes/README.md has no link to {path}");
    }
}

/// The first command of README over files, word for word, on trades in Binance's public layout: two days, of which one is
/// compressed, with the answer to a subscription and a quote among them.
#[test]
fn the_file_example_of_the_readme_reads_what_binance_sends() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap().replace("\\\n", " ");
    let example = readme.lines().find(|line| line.starts_with("    minutely --source 'file:")).expect("it has one");
    assert!(example.contains("*.jsonl.gz"), "{example}");
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("trades")).unwrap();
    let trade = |id: i64, symbol: &str, price: &str, size: &str, time: i64| {
        format!(
            r#"{{"e":"trade","E":{},"s":"{symbol}","t":{id},"p":"{price}","q":"{size}","T":{time},"m":{},"M":true}}"#,
            time + 3,
            id % 2 == 0
        )
    };
    let day = 1_756_684_800_000; // 2025-09-01
    let quote = r#"{"u":400900217,"s":"BNBBTC","b":"0.01690","B":"31.21","a":"0.01700","A":"40.66"}"#;
    let files = [
        vec![
            r#"{"result":null,"id":1}"#.to_owned(),
            trade(1, "BNBBTC", "0.01690000", "1.50000000", day + 1_000),
            quote.to_owned(),
            trade(2, "BNBBTC", "0.01700000", "0.50000000", day + 59_999),
        ],
        vec![trade(3, "BNBBTC", "0.01710000", "0.25000000", day + 86_400_000)],
    ];
    for (name, lines) in ["2025-09-01", "2025-09-02"].iter().zip(files) {
        let file = File::create(home.path().join(format!("trades/{name}.jsonl.gz"))).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::default());
        std::io::Write::write_all(&mut gzip, (lines.join("\n") + "\n").as_bytes()).unwrap();
        gzip.finish().unwrap();
    }
    let program = Path::new(env!("CARGO_BIN_EXE_minutely")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-ec", example]).current_dir(home.path()).env("PATH", path).stdin(Stdio::null());
    let ours = |name: &str| name.starts_with("MINUTELY_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| ours(&name.to_string_lossy())) {
        shell.env_remove(name);
    }
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("3 counted"), "{said}");
    let rows = fs::read_to_string(home.path().join("minutes.csv")).unwrap();
    let finals: Vec<&str> = rows.lines().filter(|row| row.contains(",final,")).collect();
    assert_eq!(
        finals,
        [
            "BNBBTC,2025-09-01T00:00:00Z,2,0.0339,0.01695,final,0.0169,0.017,0.0169,0.017,2.0,0.016925,0.01695,0.01695,0.01695,0.00007071067811865475",
            "BNBBTC,2025-09-02T00:00:00Z,1,0.0171,0.0171,final,0.0171,0.0171,0.0171,0.0171,0.25,0.0171,0.0171,0.0171,0.016973076923076924,"
        ],
        "{rows}"
    );
}

/// A test that compares nothing passes, too: a wrong number, a count or a key that is wrong fails.
#[test]
fn an_example_that_is_wrong_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("wrong");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let row = "A,2026-01-01T00:00:00Z,1,1.5,1.5,1.5,1.5,1.5,1.5,2.0,1.5";
    write("input.jsonl", "{\"symbol\":\"A\",\"price\":1.5,\"ts\":1767225600000,\"volume\":2}\n");
    write("rows.csv", &format!("{HEADER}\n{row}\n"));
    let checked = |options: &str| {
        write("options", options);
        Example::read(&folder).and_then(|example| example.check("1"))
    };
    assert_eq!(checked("# One\nread = 1\ncounted = 1\n"), Ok(()));
    let failed = |options: &str, why: &str| {
        let found = checked(options).unwrap_err();
        assert!(found.contains(why), "{options}: {found}");
    };
    failed("# One\nread = 1\ncounted = 1\nlate = 1\n", "\"late\": 1");
    failed("# One\nread = 1\ncounted = 1\n--value-field=x\n", "rows\n got []");
    failed("# One\nread = 1\ncounted = 1\n--value-feld=x\n", "ended with Some(64)");
    failed("# One\ncounted = 1\n", "is not said");
    failed("# One\nread = 1\nwritten = 1\n", "no key written");
    failed("# One\nread = 1\nread = 1\n", "there twice");
    failed("read = 1\n", "must be a comment");
    write("rows.csv", &format!("{HEADER}\n{}\n", row.replace("1.5,2.0", "1.50,2.0")));
    failed("# One\nread = 1\ncounted = 1\n", "rows\n got");
    write("input.txt", "");
    failed("# One\nread = 1\ncounted = 1\n", "one file input.*");
}
