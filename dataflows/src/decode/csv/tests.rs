//! Rows as they are read, with every reason; the plain path against the other one, and both against the `csv` crate.

use super::cells::{CellSyntax, RowProblem};
use super::number;
use crate::decode::error::{EventPart, FieldError, FieldProblem};
use crate::decode::fields::{CsvOptions, FieldNames, Format};
use crate::decode::{DecodedPart, Decoder, EventOutcome, RecordFormat};
use crate::record::{PartitionName, Reason, Record};

fn record(offset: i64, payload: &[u8]) -> Record<'_> {
    Record { offset, payload: Some(payload), ..Record::default() }
}

fn fields(options: CsvOptions) -> FieldNames {
    FieldNames { format: Format::Csv(options), ..FieldNames::default() }
}

/// What the lines of a file are: an event as text, `skipped`, or a reason with its finding.
fn decoded(fields: &FieldNames, lines: &[&str]) -> Vec<String> {
    let name = PartitionName { log: "dir/EURUSD.csv".into(), number: None };
    let mut decoder = Decoder::new(fields).unwrap().for_partition(&name);
    (0..).zip(lines).map(|(offset, line)| one(&mut decoder, offset, line.as_bytes())).collect()
}

fn one(decoder: &mut Decoder, offset: i64, line: &[u8]) -> String {
    let record = record(offset, line);
    decoder.learn(&record);
    let mut said = String::new();
    decoder.parts(&record, |DecodedPart { outcome, .. }| said += &words(&outcome)).unwrap();
    said
}

fn words(outcome: &EventOutcome<'_>) -> String {
    match outcome {
        EventOutcome::Event(event) => {
            let weight = event.weight.map_or("none".into(), |weight| weight.with_decimals(18).to_string());
            format!("{} {} at {} of {weight}", event.symbol, event.value.with_decimals(18), event.time.0)
        }
        EventOutcome::Skipped => "skipped".into(),
        EventOutcome::Rejected(rejection) => format!("{}: {}", rejection.reason.name(), rejection.finding),
    }
}

#[test]
fn rows_below_a_header_are_read_as_written() {
    let lines = [
        "exported 2026-01-05",
        "ts, symbol ,\"price\",volume,\"a \"\"b\"\"\"\r",
        "1,AAPL,101.25,3,x\r",
        "2, AAPL , 101.5 ,,y",
        "3,\"Smith, \"\"J\"\"\",\"1.5\",0,z",
        "",
        "\r",
        "4,AAPL,\"\",1,",
        "5,AAPL,1",
        "6,AAPL,1,1,,",
        "7,AAPL,,1,",
        "8,\"AAPL,1,1,",
        "9,AA\"PL,1,1,",
        "10,\"AA\"PL,1,1,",
        "11, \"A\" ,1,1e12,",
    ];
    let got = decoded(&fields(CsvOptions { skip_lines: 1, ..CsvOptions::default() }), &lines);
    let cells = "csv: expected a row of 5 cells, as there are columns, found";
    let row = "csv: expected one row of CSV in UTF-8, found";
    let stray = "a quote inside a cell that does not begin with one, or text after a closing quote";
    let empty = "null: price: expected a number, or a string that is exactly one, found null (an empty cell)";
    assert_eq!(
        got,
        [
            "skipped".to_owned(),
            "skipped".into(),
            "AAPL 101.25 at 1000000 of 3".into(),
            "AAPL 101.5 at 2000000 of none".into(),
            "Smith, \"J\" 1.5 at 3000000 of 0".into(),
            "skipped".into(),
            "skipped".into(),
            empty.into(),
            format!("{cells} 3 cells: 5,AAPL,1"),
            format!("{cells} 6 cells: 6,AAPL,1,1,,"),
            empty.into(),
            format!("{row} a quote that is not closed on its line: 8,\"AAPL,1,1,"),
            format!("{row} {stray}: 9,AA\"PL,1,1,"),
            format!("{row} {stray}: 10,\"AA\"PL,1,1,"),
            "A 1 at 11000000 of none".into(),
        ]
    );
}

#[test]
fn columns_are_named_or_numbered() {
    let numbered = FieldNames {
        symbol: vec!["@file".into()],
        value: "/1".into(),
        time: vec!["/0".into()],
        weight: Some("/3".into()),
        filter: vec!["/4!=bust".into()],
        ..fields(CsvOptions { delimiter: b';', ..CsvOptions::default() })
    };
    let lines = ["7;1.5;x", "8;2;;0.5;ok;more", "9;2;;0.5;bust", "t;p"];
    let got = decoded(&numbered, &lines);
    assert_eq!(got[..3], ["EURUSD 1.5 at 7000000 of none", "EURUSD 2 at 8000000 of 0.5", "skipped"]);
    assert!(got[3].starts_with("type: /1: expected a number"), "{}", got[3]);

    let columns = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let named = fields(CsvOptions { columns: columns(&["ts", "symbol", "price", "volume"]), ..CsvOptions::default() });
    assert_eq!(decoded(&named, &["1,A,2,3", "1,A,2"])[0], "A 2 at 1000000 of 3");
    assert_eq!(Decoder::new(&named).unwrap().header_at(), None);
    assert_eq!(Decoder::new(&numbered).unwrap().header_at(), None);
    let header = fields(CsvOptions { skip_lines: 3, ..CsvOptions::default() });
    assert_eq!(Decoder::new(&header).unwrap().header_at(), Some(3));

    let error = |fields: &FieldNames| Decoder::new(fields).map(drop).unwrap_err();
    let of = |part, field: &str, problem| FieldError::Field { part, field: field.into(), problem };
    let lacking = fields(CsvOptions { columns: columns(&["ts", "symbol", "close", "ts"]), ..CsvOptions::default() });
    let unknown = || FieldProblem::UnknownColumn("ts, symbol, close, ts".into());
    assert_eq!(error(&lacking), [of(EventPart::Value, "price", unknown()), of(EventPart::Weight, "volume", unknown())]);
    let twice = FieldNames { value: "close".into(), weight: Some("/2".into()), ..lacking };
    assert_eq!(error(&twice), [of(EventPart::Time, "ts", FieldProblem::ColumnTwice)]);
    let each = FieldNames { each: Some("/data".into()), ..fields(CsvOptions::default()) };
    assert_eq!(error(&each), [of(EventPart::Each, "/data", FieldProblem::NoArray)]);
    let whole = FieldNames {
        symbol: vec!["=A".into()],
        value: "@payload".into(),
        time: vec!["@timestamp".into()],
        weight: None,
        ..fields(CsvOptions::default())
    };
    assert_eq!(error(&whole), [of(EventPart::Value, "@payload", FieldProblem::NotAColumn)]);
    let deep = FieldNames { value: "/0/p".into(), ..fields(CsvOptions::default()) };
    assert_eq!(error(&deep), [of(EventPart::Value, "/0/p", FieldProblem::NotAColumn)]);
    for (delimiter, quote) in [(b',', Some(b',')), (b'\n', None), (b'1', None), (0xe9, None)] {
        let options = CsvOptions { delimiter, quote, ..CsvOptions::default() };
        assert_eq!(error(&fields(options)), [FieldError::Delimiter]);
    }
}

#[test]
fn a_header_that_does_not_fit_is_told_by_every_row() {
    let options = CsvOptions::default;
    let of_header = |header: &[u8]| {
        let mut decoder = Decoder::new(&fields(options())).unwrap();
        assert_eq!(one(&mut decoder, 0, header), "skipped");
        one(&mut decoder, 1, b"1,A,2,3")
    };
    assert_eq!(
        of_header(b"ts,symbol,close,volume"),
        "null: price: expected a number, or a string that is exactly one, found no such field (there are ts, symbol, close, \
         volume)"
    );
    assert_eq!(
        of_header(b"ts,price,price,symbol"),
        "twice: price: expected its column once in the header, found it more than once: ts,price,price,symbol"
    );
    assert!(
        of_header(b"ts,\"price")
            .starts_with("csv: expected a header that is one row of CSV, found a quote that is not")
    );
    assert!(of_header(b"ts,pr\xe9").contains("found no UTF-8 from byte 5 on"));
    assert!(of_header(b"ts;symbol;price;volume").starts_with("csv: expected a row of 1 cells"));
    let mut decoder = Decoder::new(&fields(options())).unwrap();
    assert!(one(&mut decoder, 5, b"1,A,2,3").starts_with("csv: expected a header"));
    // Found before, as a run that resumes does.
    decoder.learn(&record(0, b"ts,symbol,price"));
    assert_eq!(one(&mut decoder, 6, b"1,A,2"), "A 2 at 1000000 of none");
}

#[test]
fn numbers_are_taken_as_dumps_write_them_and_commas_are_not() {
    for (cell, literal) in [
        ("1.5", Some("1.5")),
        ("+1.5", Some("1.5")),
        ("0001.50", Some("1.50")),
        ("-007", Some("-7")),
        ("000", Some("0")),
        ("0-1.25", None),
        ("-00-7", None),
        ("00+7", None),
        (".5", Some("0.5")),
        ("-.5e3", Some("-0.5e3")),
        ("5.", Some("5")),
        ("5.E2", Some("5E2")),
        ("1e+05", Some("1e+05")),
        (".", None),
        ("", None),
        ("+", None),
        ("+-5", None),
        ("--5", None),
        ("1.2.3", None),
        ("1e", None),
        ("0x10", None),
        ("1 000", None),
        ("NaN", None),
        ("é", None),
        ("+é", None),
    ] {
        assert_eq!(number::literal(cell).as_deref(), literal, "{cell}");
    }
    for (cell, hint) in [
        ("1,5", Some("a decimal comma")),
        ("-1234,56", Some("a decimal comma")),
        ("1.234,56", Some("a decimal comma")),
        ("0,123", Some("a decimal comma")),
        ("1,234", Some("a comma for thousands or for decimals")),
        ("1,234.5", Some("a separator of thousands")),
        ("1,234,567", Some("a separator of thousands")),
        ("1'234.5", Some("a separator of thousands")),
        ("1 234.5", Some("a separator of thousands")),
        ("1.234.567", Some("a separator of thousands")),
        ("1.5", None),
        ("abc", None),
        ("", None),
        ("$1,5", None),
    ] {
        let said = number::hint(cell);
        assert!(
            said.is_some() == hint.is_some() && said.unwrap_or_default().starts_with(hint.unwrap_or_default()),
            "{cell}"
        );
    }
    let lines = ["ts;symbol;price;volume", "1;A;1,5;", "2;A;\" +01.50 \";\" .5\"", "3;007;1;1,000.5"];
    let got = decoded(&fields(CsvOptions { delimiter: b';', ..CsvOptions::default() }), &lines);
    assert_eq!(
        got[1..],
        [
            "type: price: expected a number, or a string that is exactly one, found \"1,5\" (a decimal comma: convert it to a \
             point first)",
            "A 1.5 at 2000000 of 0.5",
            "weight: volume: expected a number of at most 100000000000 in magnitude, or none (null, an empty text, \"-\", or no \
             field), found \"1,000.5\" (a separator of thousands: take it out first)",
        ]
    );
}

#[test]
fn symbols_and_conditions_are_texts_and_numbers_as_they_are_meant() {
    let tabs = FieldNames {
        symbol: vec!["ex".into(), "sym".into()],
        weight: None,
        filter: vec!["type=0|trade".into()],
        id: vec!["id".into()],
        ..fields(CsvOptions { delimiter: b'\t', quote: None, ..CsvOptions::default() })
    };
    let lines =
        ["ex\tsym\tprice\tts\ttype\tid", "N\t1.50\t2\t1\ttrade\t1", "N\t007\t2\t1\t0.0\t", "N\t\"7\t2\t1\tquote\t1"];
    let got = decoded(&tabs, &lines);
    assert_eq!(got[1..], ["N/1.50 2 at 1000000 of none", "N/007 2 at 1000000 of none", "skipped"]);
}

/// As the `csv` crate takes it apart.
fn by_the_crate(row: &str, syntax: CellSyntax) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).delimiter(syntax.delimiter).flexible(true);
    match syntax.quote {
        Some(quote) => reader.quote(quote),
        None => reader.quoting(false),
    };
    let mut rows = reader.from_reader(row.as_bytes()).into_records();
    let row: Vec<String> = rows.next().unwrap().unwrap().iter().map(str::to_owned).collect();
    assert!(rows.next().is_none());
    row
}

#[test]
fn cells_are_those_of_the_csv_crate() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let syntax = CellSyntax { delimiter: if rng.bool() { b',' } else { b';' }, quote: rng.bool().then_some(b'"') };
        let row: String =
            (0..rng.usize(1..14)).map(|_| *rng.choice(&['a', ',', ';', '"', '1', 'é', '.']).unwrap()).collect();
        let mut cells = Vec::new();
        match syntax.split(&row, |number, cell| {
            assert_eq!(number, cells.len());
            cells.push(cell.text(&row).into_owned());
        }) {
            Ok(number) => {
                taken += 1;
                assert_eq!((number, &cells), (cells.len(), &by_the_crate(&row, syntax)), "{row}");
            }
            Err(RowProblem::Open | RowProblem::Stray) => {
                refused += 1;
                assert!(syntax.quote.is_some() && row.contains('"'), "{row}");
            }
        }
    }
    assert!(taken > 10_000 && refused > 10_000, "{taken} {refused}");
}

#[test]
fn the_plain_path_gives_what_the_other_gives() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let two = FieldNames {
        symbol: vec!["symbol".into(), "/4".into()],
        filter: vec!["side!=x".into(), "/5".into()],
        id: vec!["volume".into()],
        weight: None,
        ..fields(CsvOptions::default())
    };
    let mut plainly = 0;
    for fields in [fields(CsvOptions::default()), two] {
        let mut decoder = Decoder::new(&fields).unwrap();
        decoder.learn(&record(0, b"ts,symbol,price,volume,side,x"));
        let RecordFormat::Csv(rows) = &decoder.format else { panic!("rows") };
        let columns = rows.columns.clone().unwrap();
        let cells = [
            "1",
            "12.5",
            "-3",
            "A",
            "EUR/USD",
            " x ",
            "",
            "\"1\"",
            "\"a,b\"",
            "\" x \"",
            "\"\"",
            "\"a\"\"b\"",
            "\" 1\"",
            " \"1\"",
            "\"x",
            "a\"",
            "\"1\" ",
            "+5",
            "007",
            "1e3",
            "é",
            "1,5",
            "x",
            "0.1",
        ];
        for _ in 0..100_000 {
            let row: Vec<&str> = (0..6).map(|_| *rng.choice(&cells).unwrap()).collect();
            let row = row.join(",");
            let record = record(1, row.as_bytes());
            if let Some(plain) = rows.plain::<8>(&decoder.rule, &record, row.as_bytes(), &columns) {
                plainly += 1;
                assert!(!matches!(plain, EventOutcome::Rejected(_)), "{row}");
                assert_eq!(plain, rows.any(&decoder.rule, &record, &row, &columns), "{row}");
            }
        }
    }
    assert!(plainly > 1000, "{plainly}");
}

#[test]
fn no_bytes_panic() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let bytes = b"1a,;\"\t\r\n .+-e\xc3\xa9\xff0,";
    for _ in 0..100_000 {
        let options = CsvOptions {
            delimiter: *rng.choice(b",;\t ").unwrap(),
            quote: rng.bool().then_some(b'"'),
            skip_lines: rng.u32(0..2),
            ..CsvOptions::default()
        };
        let mut line = |most| -> Vec<u8> { (0..rng.usize(0..most)).map(|_| *rng.choice(bytes).unwrap()).collect() };
        let (header, row) = (line(12), line(24));
        let numbered =
            FieldNames { symbol: vec!["/0".into()], value: "/1".into(), time: vec!["a".into()], ..fields(options) };
        let mut decoder = Decoder::new(&numbered).unwrap();
        for (offset, line) in [(0, &header), (1, &header), (2, &row), (3, &row)] {
            assert!(!one(&mut decoder, offset, line).is_empty());
        }
    }
    let long = Record { cut_from: Some(100), ..record(1, b"1,A,2,3") };
    let mut decoder = Decoder::new(&fields(CsvOptions::default())).unwrap();
    decoder.learn(&record(0, b"ts,symbol,price,volume"));
    assert_eq!(decoder.decode(&long).unwrap_err().reason, Reason::Long);
    assert_eq!(decoder.decode(&Record { offset: 1, ..Record::default() }).unwrap_err().reason, Reason::Null);
}

#[test]
fn a_header_that_is_an_empty_line_is_called_so() {
    let said = decoded(&fields(CsvOptions::default()), &["\r", "symbol,price,ts", "A,1,1"]);
    assert!(
        said[1].starts_with("csv: ") && said[2].contains("--skip-lines") && said[2].contains("an empty line"),
        "{said:?}"
    );
    let skipped = CsvOptions { skip_lines: 1, ..CsvOptions::default() };
    assert_eq!(decoded(&fields(skipped), &["\r", "symbol,price,ts", "A,1,1"])[2], "A 1 at 1000000 of none");
}
