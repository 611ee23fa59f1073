//! Rows that are read straight, against the same rows taken apart into cells; and numbers against their literals.

use crate::decimal::Decimal;
use crate::decode::csv::CsvRows;
use crate::decode::fields::{CsvOptions, FieldNames, Format};
use crate::decode::scan::Scanner;
use crate::decode::{Decoder, EventOutcome, RecordFormat};
use crate::literal::Literal;
use crate::record::Record;

fn rng() -> (u64, fastrand::Rng) {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    (seed, fastrand::Rng::with_seed(seed))
}

fn record(offset: i64, payload: &[u8]) -> Record<'_> {
    Record { offset, payload: Some(payload), ..Record::default() }
}

/// A decoder below this header. `columns`: of no header, by their numbers.
fn decoder(delimiter: u8, quote: Option<u8>, header: Option<&str>, weighed: bool) -> Decoder {
    let format = Format::Csv(CsvOptions { delimiter, quote, ..CsvOptions::default() });
    let fields = FieldNames { format, weight: weighed.then(|| "volume".into()), ..FieldNames::default() };
    let fields = match header {
        Some(_) => fields,
        None => FieldNames {
            symbol: vec!["/1".into()],
            value: "/2".into(),
            time: vec!["/0".into()],
            weight: weighed.then(|| "/3".into()),
            ..fields
        },
    };
    let mut decoder = Decoder::new(&fields).unwrap();
    if let Some(header) = header {
        decoder.learn(&record(0, header.as_bytes()));
    }
    decoder
}

/// The event of a row that is read straight.
fn straight<'a>(decoder: &Decoder, row: &'a str) -> Option<EventOutcome<'a>> {
    let (plainly, mut event) = (rows(decoder).straight.as_ref().unwrap(), None);
    plainly.event(&decoder.rule.numbers, row.as_bytes(), &mut |part| event = Some(part.outcome))?;
    event
}

fn rows(decoder: &Decoder) -> &CsvRows {
    let RecordFormat::Csv(rows) = &decoder.format else { panic!("rows") };
    rows
}

/// Some digits, up to 22, with a point among them, now and then with what makes it another text.
fn number(rng: &mut fastrand::Rng) -> String {
    let most = if rng.bool() { 8 } else { 22 };
    let mut text: String = (0..rng.usize(1..=most)).map(|_| rng.digit(10)).collect();
    if rng.u8(..) < 200 && text.starts_with('0') {
        text.replace_range(..1, "7");
    }
    if rng.bool() {
        text.insert(rng.usize(0..=text.len()), '.');
    }
    match rng.u8(0..20) {
        0 => format!("-{text}"),
        1 => format!("{text}e3"),
        2 => format!(" {text}"),
        3 => format!("{text}\r"),
        4 => format!("{text}.5"),
        _ => text,
    }
}

fn symbol(rng: &mut fastrand::Rng) -> String {
    let text: String = (0..rng.usize(1..=20)).map(|_| rng.alphanumeric()).collect();
    match rng.u8(0..16) {
        0 => format!("\"{text}\""),
        1 => format!(" {text}"),
        2 => format!("{text} "),
        3 => format!("{text}é"),
        4 => format!("{text}\u{1}x"),
        5 => format!("{text}\""),
        6 => format!("{text}'\u{7f}"),
        7 => String::new(),
        8 => format!("EUR/USD {text}"),
        _ => text,
    }
}

#[test]
fn a_row_read_straight_is_what_its_cells_say() {
    let (seed, mut rng) = rng();
    let (mut taken, mut all) = (0, 0);
    for (delimiter, quote) in [(b',', Some(b'"')), (b';', Some(b'\'')), (b'\t', None), (b' ', Some(b'"')), (b'.', None)]
    {
        for names in
            ["ts symbol price volume x", "x price volume ts symbol", "symbol x price ts", "x ts symbol price x2", ""]
        {
            let names: Vec<_> = names.split_ascii_whitespace().collect();
            let sign = char::from(delimiter).to_string();
            let header = (!names.is_empty()).then(|| names.join(&sign));
            let decoder = decoder(delimiter, quote, header.as_deref(), rng.bool() && names.len() != 4);
            let rows = rows(&decoder);
            assert_eq!(rows.straight.is_none(), delimiter == b'.', "it may be in a number");
            if rows.straight.is_none() {
                continue;
            }
            let columns = rows.columns.as_ref().unwrap();
            let numbered = ["ts", "symbol", "price", "volume", "x"];
            for _ in 0..4_000 {
                let names = if names.is_empty() { &numbered[..rng.usize(3..=5)] } else { &names };
                let mut cells: Vec<String> = Vec::new();
                for name in names {
                    cells.push(match *name {
                        "symbol" | "x" | "x2" => symbol(&mut rng),
                        "volume" if rng.u8(0..4) == 0 => ["", "-"][rng.usize(0..2)].to_owned(),
                        "ts" if rng.u8(0..4) > 0 => (rng.i64(0..1 << 42) >> rng.u8(0..40)).to_string(),
                        _ => number(&mut rng),
                    });
                }
                match rng.u8(0..40) {
                    0 => cells.push("1".into()),
                    1 => drop(cells.pop()),
                    _ => {}
                }
                let row = cells.join(&sign);
                all += 1;
                let Some(event) = straight(&decoder, &row) else { continue };
                taken += 1;
                assert!(matches!(event, EventOutcome::Event(_)), "{row} seed {seed}");
                let record = record(1, row.as_bytes());
                assert_eq!(event, rows.any(&decoder.rule, &record, &row, columns), "{row:?} seed {seed}");
            }
        }
    }
    assert!(taken > all / 50, "{taken} of {all}");
}

/// What nearly every feed writes is not left to the other ways.
#[test]
fn rows_of_feeds_are_read_straight() {
    let decoder = decoder(b',', Some(b'"'), Some("symbol,price,ts,volume"), true);
    for row in [
        "A,1,1",
        "AAPL,141.63,1767623400000,100",
        "BTCUSDT,61234.56,1767623400000,0.00012345",
        "X,0.123456789,1767623400000,123456789",
        "BRK B/USD.PRIMARY,123456.78901234,1767623400000,",
    ] {
        let is_whole = row.split(',').count() == 4;
        assert_eq!(straight(&decoder, row).is_some(), is_whole, "{row}");
    }
}

#[test]
fn a_plain_number_is_what_its_literal_says() {
    let (seed, mut rng) = rng();
    let mut plain = 0;
    for _ in 0..300_000 {
        let text = number(&mut rng);
        let around = [",", "", "}", "\",\"x\":1", "x"][rng.usize(0..5)];
        let line = format!("12{text}{around}");
        let mut scan = Scanner { bytes: line.as_bytes(), at: 2 };
        let Some(number) = scan.plain_number() else {
            assert_eq!(scan.at, 2, "none moves nothing: {line:?} seed {seed}");
            continue;
        };
        plain += 1;
        let read = &line[2..scan.at];
        let behind = line.as_bytes().get(scan.at).copied().unwrap_or(b',');
        assert!(!behind.is_ascii_digit() && (behind != b'.' || number.fraction > 0), "{line:?} seed {seed}");
        let literal = Literal::parse(read.as_bytes()).unwrap();
        assert_eq!((number.negative, literal.negative), (false, false), "{line:?} seed {seed}");
        let scaled = u128::from(number.digits) * 10_u128.pow(u32::try_from(18 - number.fraction).unwrap());
        match Decimal::parse(read.as_bytes()) {
            Ok(decimal) => assert_eq!(decimal.0.unsigned_abs(), scaled, "{line:?} seed {seed}"),
            Err(_) => assert!(scaled > 10_u128.pow(29), "{line:?} seed {seed}"),
        }
    }
    assert!(plain > 100_000, "{plain}");
}
