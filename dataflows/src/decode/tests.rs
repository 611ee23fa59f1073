//! The decoder's tests: as written, with every reason, and against serde_json.

use super::{Decoder, EventOutcome, FieldNames, KEY, Layouts, RecordFormat, json, plain};
use crate::decimal::Scales;
use crate::numbers::{NumberOptions, OnPrecision, WeightSign};
use crate::record::{Reason, Record, Rejection};
use serde_json::value::RawValue;

fn record(payload: &[u8]) -> Record<'_> {
    Record { offset: 0, key: Some(b"KEY"), payload: Some(payload), ..Record::default() }
}

fn decode(payload: &str) -> Result<(String, String, i64, Option<String>), Reason> {
    let decoder = Decoder::new(&FieldNames::default()).unwrap();
    let event = decoder.decode(&record(payload.as_bytes())).map_err(|rejection| rejection.reason)?;
    let weight = event.weight.map(|w| w.with_decimals(18).to_string());
    Ok((event.symbol.into_owned(), event.value.with_decimals(18).to_string(), event.time.0, weight))
}

#[test]
fn events_are_taken_as_written() {
    let event = |symbol: &str, value: &str, ns, weight: Option<&str>| {
        Ok((symbol.to_owned(), value.to_owned(), ns, weight.map(ToOwned::to_owned)))
    };
    for (payload, want) in [
        (r#"{"symbol":"A","price":1.50,"ts":1,"volume":2}"#, event("A", "1.5", 1_000_000, Some("2"))),
        (
            r#" { "ts" : 1e3 , "x":[{"price":1}], "price" : "1e2", "symbol":"é ß" } "#,
            event("é ß", "100", 1_000_000_000, None),
        ),
        (r#"{"s\u0079mbol":"\u0041\"","price":"\u0031","ts":-1.5,"volume":null}"#, event("A\"", "1", -1_500_000, None)),
        (
            r#"{"symbol":"A","price":-0.000000000000000001,"ts":4611686018427.387904}"#,
            event("A", "-0.000000000000000001", 1 << 62, None),
        ),
        (r#"{"symbol":"A","price":1,"ts":-0.0000001}"#, event("A", "1", -1, None)),
        (
            r#"{"symbol":"A","price":1,"ts":"2026-03-02T09:30:00.25+01:00"}"#,
            event("A", "1", 1_772_440_200_250_000_000, None),
        ),
    ] {
        assert_eq!(decode(payload), want, "{payload}");
    }
}

#[test]
fn everything_else_has_its_reason() {
    use Reason::{Json, Null, Precision, Range, Shape, Symbol, Time, Twice, Type, Weight};
    for (payload, want) in [
        ("", Json),
        (r#"{"symbol":"A","price":1,"ts":1"#, Json),
        (r#"{"symbol":"A","price":1,"ts":1}}"#, Json),
        (r#"{"symbol":"A","price":01,"ts":1}"#, Json),
        (r#"{"symbol":"A","price":1,"ts":1,}"#, Json),
        (r#"{"symbol":"A","price":1,"ts":1,"x":"\u12G4"}"#, Json),
        (r#"{"symbol":"A","price":NaN,"ts":1}"#, Json),
        ("\u{feff}{}", Json),
        ("[]", Shape),
        ("null", Shape),
        ("1", Shape),
        (r#"{"symbol":"A","price":1,"price":1,"ts":1}"#, Twice),
        (r#"{"symbol":"A","price":1,"ts":1,"t\u0073":null}"#, Twice),
        (r#"{"symbol":"","price":1,"ts":1}"#, Symbol),
        (r#"{"symbol":"\ud800","price":1,"ts":1}"#, Symbol),
        (r#"{"symbol":"a\nb","price":1,"ts":1}"#, Symbol),
        ("{\"symbol\":\"a\u{85}b\",\"price\":1,\"ts\":1}", Symbol),
        (r#"{"symbol":7.5,"price":1,"ts":1}"#, Type),
        (r#"{"symbol":"A","price":true,"ts":1}"#, Type),
        (r#"{"symbol":"A","price":" 1","ts":1}"#, Type),
        (r#"{"symbol":"A","price":{},"ts":1}"#, Type),
        (r#"{"symbol":"A","price":1,"ts":"now"}"#, Type),
        (r#"{"symbol":"A","price":1e12,"ts":1}"#, Range),
        (r#"{"symbol":"A","price":1e-19,"ts":1}"#, Precision),
        (r#"{"symbol":"A","price":1,"ts":4611686018427.387905}"#, Time),
        (r#"{"symbol":"A","price":1,"ts":"2026-01-01T00:00:00"}"#, Time),
        (r#"{"symbol":"A","price":1,"ts":1e400}"#, Time),
        (r#"{"symbol":"A","price":1,"ts":1,"volume":"1e"}"#, Weight),
        (r#"{"symbol":"A","price":1,"ts":1,"volume":"--"}"#, Weight),
        (r#"{"symbol":"A","price":1,"ts":1,"volume":[]}"#, Weight),
        (r#"{"symbol":"A","price":null,"ts":1}"#, Null),
        (r#"{"price":1,"ts":1}"#, Null),
        ("{}", Null),
    ] {
        assert_eq!(decode(payload), Err(want), "{payload}");
    }
    let deep = format!(r#"{{"symbol":"A","price":1,"ts":1,"x":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    assert!(decode(&deep).is_ok() || decode(&deep) == Err(Json), "deep nesting is decided, not a crash");
    let decoder = Decoder::new(&FieldNames::default()).unwrap();
    let reason = |record: &Record<'_>| decoder.decode(record).unwrap_err().reason;
    assert_eq!(reason(&record(b"{\"symbol\":\"\xff\",\"price\":1,\"ts\":1}")), Json);
    assert_eq!(reason(&Record { payload: None, ..record(b"") }), Null);
}

#[test]
fn pointers_and_keys() {
    let fields = FieldNames {
        symbol: vec![KEY.into()],
        value: "/data/a~1b".into(),
        time: vec!["/data/t/ms".into()],
        weight: None,
        ..FieldNames::default()
    };
    let decoder = Decoder::new(&fields).unwrap();
    let decode = |payload: &str| {
        let event = decoder.decode(&record(payload.as_bytes()));
        event
            .map(|e| (e.symbol.into_owned(), e.value.with_decimals(18).to_string(), e.time.0))
            .map_err(|Rejection { reason, finding }| (reason, finding.field))
    };
    let event = Ok(("KEY".to_owned(), "2".to_owned(), 7_000_000));
    assert_eq!(decode(r#"{"data":{"a/b":2,"t":{"ms":7}}}"#), event);
    assert_eq!(decode(r#"{"dat\u0061":{"a/b":2,"t":{"ms":7}}}"#), event);
    let wrong = |reason, field: &str| Err((reason, Some(field.to_owned())));
    assert_eq!(decode("[]"), Err((Reason::Shape, None)));
    assert_eq!(decode(r#"{"data":[]}"#), wrong(Reason::Shape, "/data"));
    assert_eq!(decode(r#"{"data":{"t":7}}"#), wrong(Reason::Shape, "/data/t"));
    assert_eq!(decode(r#"{"data":{"a/b":2,"t":{"ms":7},"t":{}}}"#), wrong(Reason::Twice, "/data/t"));
    assert_eq!(decode(r#"{"data":{"a/b":2,"t":{"ms":7,"ms":7}}}"#), wrong(Reason::Twice, "/data/t/ms"));
    assert_eq!(decode(r#"{"data":{}}"#), wrong(Reason::Null, "/data/a~1b"));
    let errors =
        Decoder::new(&FieldNames { value: "x".into(), time: vec!["x".into()], symbol: vec!["".into()], ..fields });
    assert_eq!(errors.unwrap_err().len(), 2);
}

#[test]
fn a_rejection_says_where_what_was_expected_and_what_was_found() {
    let decoder = Decoder::new(&FieldNames::default()).unwrap();
    let said = |payload: &[u8]| decoder.decode(&record(payload)).unwrap_err().finding.to_string();
    for (payload, parts) in [
        (
            &br#"{"symbol":"A","price":1}"#[..],
            &["ts: expected a number", "found no such field (there are price, symbol)"][..],
        ),
        (br#"{"symbol":"A","price":null,"ts":1}"#, &["price: expected a number", "found null"]),
        (br#"{"symbol":"A","price":"1,5","ts":1}"#, &["price: expected a number", "found \"1,5\""]),
        (br#"{"symbol":-7,"price":1,"ts":1}"#, &["symbol: expected a symbol of 1 to 1024 bytes", "found -7"]),
        (
            br#"{"symbol":"A","price":1,"ts":1,"volume":"1,5"}"#,
            &["volume: expected a number of at most", "found \"1,5\""],
        ),
        (
            br#"{"symbol":"A","price":1e12,"ts":1}"#,
            &["price: expected a number of at most", "found 1e12; --decimals 17"],
        ),
        (
            br#"{"symbol":"A","price":1.5e-19,"ts":1}"#,
            &["price: expected a number that keeps six", "; --decimals 20 would"],
        ),
        (br#"{"symbol":"A","price":1,"ts":1767225600000000}"#, &["ts: ", "microseconds (--time-unit us)"]),
        (br#"{"symbol":"A","price":1,"ts":1767225600000000000}"#, &["ts: ", "nanoseconds (--time-unit ns)"]),
        (
            br#"{"symbol":"A","price":1,"ts":"2026-01-01 00:00:00"}"#,
            &["ts: ", "(--time-zone), found \"2026-01-01 00:00:00\""],
        ),
        ("{\"symbol\":\"a\u{202e}\\u001b\",\"price\":1,\"ts\":1}".as_bytes(), &["found a\\u{202e}\\u{1b}"]),
        (b"", &["expected one whole JSON text in UTF-8, found nothing (an empty record)"]),
        (b"symbol,price,ts", &["found symbol,price,ts (expected value at line 1 column 1)"]),
        (b"\xef\xbb\xbf{}", &["a byte order mark"]),
        (b"\xff\xfe{\0", &["UTF-16"]),
        (b"{\"symbol\":\"\xe9\"}", &["no UTF-8 from byte 11 on"]),
        (b"[1]", &["expected an object (of an array, /0 is the first element, and --each reads all), found [1]"]),
    ] {
        let said = said(payload);
        assert!(parts.iter().all(|part| said.contains(part)), "{said:?} has not all of {parts:?}");
    }
    let long = format!(r#"{{"symbol":"A","price":"{}","ts":1}}"#, "x".repeat(1_000_000));
    assert!(said(long.as_bytes()).len() < 300, "{}", said(long.as_bytes()));
    let cut = decoder.decode(&Record { cut_from: Some(5_000), ..record(br#"{"symbol":"A","price":1,"ts":1}"#) });
    let Rejection { reason, finding } = cut.unwrap_err();
    assert_eq!((reason, finding.found.starts_with("5000 bytes")), (Reason::Long, true), "{finding}");
    let by_key = Decoder::new(&FieldNames { symbol: vec![KEY.into()], ..FieldNames::default() }).unwrap();
    let bad = by_key.decode(&Record { key: Some(&[0xff, b'A']), ..record(br#"{"price":1,"ts":1}"#) }).unwrap_err();
    assert_eq!((bad.reason, bad.finding.field.as_deref()), (Reason::Symbol, Some(KEY)));
}

/// In both paths: numbers of the plain one, and those with exponents, escapes or too many digits.
#[test]
fn numbers_are_read_as_the_options_say() {
    let read = |numbers: &NumberOptions, price: &str, volume: &str| {
        let decoder = Decoder::new(&FieldNames { numbers: numbers.clone(), ..FieldNames::default() }).unwrap();
        let payload = format!(r#"{{"symbol":"A","price":{price},"ts":1,"volume":{volume}}}"#);
        let event = decoder.decode(&record(payload.as_bytes())).map_err(|rejection| rejection.reason)?;
        let Scales { value, weight } = decoder.scales();
        let weight = event.weight.map(|number| number.with_decimals(weight).to_string());
        Ok((event.value.with_decimals(value).to_string(), weight, event.rounded))
    };
    let default = NumberOptions::default();
    let event = |value: &str, weight: Option<&str>, rounded| Ok((value.to_owned(), weight.map(str::to_owned), rounded));
    assert_eq!(
        read(&default, "2871.4000000000001", "0.0027810000000000001"),
        event("2871.4000000000001", Some("0.002781"), true)
    );
    assert_eq!(read(&default, "0.0000231780821917808221", "1"), event("0.000023178082191781", Some("1"), true));
    assert_eq!(read(&default, "7.45E-6", "1.2e9"), event("0.00000745", Some("1200000000"), false));
    for weight in ["-0.25", "\"-0.25\"", "-2.5e-1"] {
        assert_eq!(read(&default, "1", weight), event("1", Some("0.25"), false), "{weight}");
    }
    for none in ["null", "\"\"", "\"-\""] {
        assert_eq!(read(&default, "1", none), event("1", None, false), "{none}");
    }
    assert_eq!(read(&default, "1", "0"), event("1", Some("0"), false));
    let paise = NumberOptions { value_scale: "0.01".parse().unwrap(), decimals: 4, ..default.clone() };
    assert_eq!(read(&paise, "274365", "1"), event("2743.65", Some("1"), false));
    assert_eq!(read(&paise, "\"274365.125\"", "1"), event("2743.6512", Some("1"), true));
    assert_eq!(read(&paise, "125.125", "1"), Err(Reason::Precision));
    // A weight beyond the range is none, and its price counts; where nothing may be rounded it is refused.
    assert_eq!(read(&default, "1", "1e12"), event("1", None, true));
    let strict = NumberOptions { on_precision: OnPrecision::Reject, weight_sign: WeightSign::Reject, ..default };
    assert_eq!(read(&strict, "0.1000000000000000055", "1"), Err(Reason::Precision));
    assert_eq!(read(&strict, "1", "0.1000000000000000055"), Err(Reason::Weight));
    assert_eq!(read(&strict, "1", "-1"), Err(Reason::Weight));
    assert_eq!(read(&strict, "1", "1e12"), Err(Reason::Weight));
    let signed = NumberOptions { weight_sign: WeightSign::Keep, weight_decimals: 0, ..strict };
    assert_eq!(
        read(&signed, "1", "-123456789012345678901234567"),
        event("1", Some("-123456789012345678901234567"), false)
    );
}

/// R2, in both paths: by field and by key, of ASCII and of other characters.
#[test]
fn a_symbol_has_at_most_1024_bytes() {
    let by_name = Decoder::new(&FieldNames::default()).unwrap();
    let by_key = Decoder::new(&FieldNames { symbol: vec![KEY.into()], ..FieldNames::default() }).unwrap();
    for (symbol, fits) in
        [("Q".repeat(1024), true), ("Q".repeat(1025), false), ("é".repeat(512), true), ("é".repeat(513), false)]
    {
        let payload = format!(r#"{{"symbol":"{symbol}","price":1,"ts":1}}"#);
        let by_key_alone = br#"{"price":1,"ts":1}"#;
        for (decoder, payload) in [(&by_name, payload.as_bytes()), (&by_key, by_key_alone)] {
            let record = Record { key: Some(symbol.as_bytes()), ..record(payload) };
            let reason = decoder.decode(&record).map(|event| event.symbol.len()).map_err(|wrong| wrong.reason);
            assert_eq!(reason, if fits { Ok(1024) } else { Err(Reason::Symbol) }, "{} bytes", symbol.len());
        }
    }
}

/// Any damage: what is JSON for serde_json is JSON here, and nothing else is.
#[test]
fn json_is_what_the_reference_says() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let decoder = Decoder::new(&FieldNames::default()).unwrap();
    let pieces = [
        r#""symbol":"A""#,
        r#""price":1.25"#,
        r#""ts":1"#,
        r#""volume":"3""#,
        r#""x":[1,{"y":null},"z"]"#,
        r#""a":-0.5e+7"#,
        r#""b":true"#,
        r#""é":"\n""#,
        r#""c":{"symbol":[]}"#,
        r#""long":123456789012345678901234567890.5"#,
    ];
    let mut taken = 0;
    for _ in 0..60_000 {
        let body: Vec<_> = (0..rng.usize(..9)).map(|_| pieces[rng.usize(..pieces.len())]).collect();
        let mut text = format!("{{{}}}", body.join(if rng.bool() { "," } else { " ,\t" })).into_bytes();
        for _ in 0..rng.usize(..3) {
            let at = rng.usize(..text.len());
            match rng.u8(..3) {
                0 => text[at] = *rng.choice(b"{}[],:\"\\0123456789.eE+-tfn \t\x01\xff").unwrap(),
                1 => drop(text.remove(at)),
                _ => text.insert(at, *rng.choice(b"{}[],:\"\\0.eE- ").unwrap()),
            }
            if text.is_empty() {
                break;
            }
        }
        let reference = serde_json::from_slice::<&RawValue>(&text).is_ok();
        let ours = decoder.decode(&record(&text));
        let json = !matches!(&ours, Err(Rejection { reason: Reason::Json, .. }));
        assert_eq!(json, reference, "{:?} seed {seed}", String::from_utf8_lossy(&text));
        taken += usize::from(ours.is_ok());
    }
    assert!(taken > 100, "too few events to say anything: {taken}");
}

/// Whatever the plain path says, serde_json says too; and it says something of nearly every proper record.
#[test]
fn it_says_what_serde_json_says() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let defaults = FieldNames::default;
    let below = |name: &str| format!("/r/{name}");
    let nested = FieldNames {
        symbol: vec![below("symbol")],
        value: below("price"),
        time: vec![below("ts")],
        weight: Some(below("volume")),
        ..defaults()
    };
    let all = [
        defaults(),
        FieldNames { symbol: vec![KEY.into()], ..defaults() },
        FieldNames {
            symbol: vec!["venue".into(), "=X".into(), "symbol".into()],
            filter: vec!["volume!=1".into(), "!é".into()],
            id: vec!["volume".into(), "venue".into()],
            ..defaults()
        },
        FieldNames { each: Some(String::new()), ..defaults() },
        FieldNames { filter: vec!["/r/venue=A|5|7.25".into()], ..nested.clone() },
        FieldNames { each: Some("/r".into()), filter: vec!["@message/x".into(), "!venue".into()], ..defaults() },
        FieldNames { each: Some("/r/1".into()), symbol: vec!["@message/x".into()], ..defaults() },
        FieldNames {
            symbol: vec!["/1/symbol".into()],
            value: "/1/price".into(),
            time: vec!["/0".into()],
            ..defaults()
        },
    ]
    .map(|fields| Decoder::new(&fields).unwrap());
    let wraps = [
        "#",
        "{\"r\":#}",
        "[#,#]",
        "{\"x\":\"A\",\"r\":[#,{},#]}",
        "[1767623400000,#]",
        "{\"r\":[1,[#]],\"x\":7}",
        "{\"r\":\"#\"}",
        "{\"r\":[#],\"x\":\"B\"}",
        "{\"r\":#,\"x\":0}",
    ];
    let values = [
        "1",
        "-1.50",
        "0",
        "-0",
        "00",
        "01",
        "1.",
        ".5",
        "-",
        "+1",
        "1e2",
        "\"7.25\"",
        "\"7.25",
        "null",
        "true",
        "nul",
        "\"\"",
        "\"A\"",
        "\"é\"",
        "\"\\u0041\"",
        "\"a\tb\"",
        "\"\u{7f}\"",
        "{}",
        "[1]",
        "100000000000",
        "100000000000.1",
        "0.123456789012345678",
        "0.1234567890123456789",
        "999999999999999999",
        "4611686018427",
        "4611686018428",
        "1.0",
        "-1767623400000",
        "1767623400000",
        "\"BTC-USD long name\"",
        "\"name\\\"\"",
        "\"\u{1}\"",
    ];
    let keys = ["symbol", "price", "ts", "volume", "symbo", "symbol ", "", "venue", "pric\\u0065", "é"];
    let spaces = ["", "", " ", "\t\r\n"];
    let (mut plain, mut total) = ([0; 8], [0; 8]);
    for _ in 0..300_000 {
        let mut text = String::from("{");
        for (key, value) in [("symbol", "\"ABCD\""), ("price", "12.75"), ("ts", "1767623400000"), ("volume", "5")] {
            let (odd_key, odd_value) = (keys[rng.usize(..keys.len())], values[rng.usize(..values.len())]);
            let (key, value) = match rng.u8(..24) {
                0 | 1 => (key, odd_value),
                2 | 3 => (odd_key, value),
                4 | 5 => (odd_key, odd_value),
                6 => continue,
                _ => (key, value),
            };
            if text.len() > 1 {
                text.push(if rng.u8(..) == 0 { ';' } else { ',' });
            }
            let space = spaces.map(|_| if rng.u8(..) == 0 { "\u{a0}" } else { spaces[rng.usize(..spaces.len())] });
            text += &format!("{}\"{key}\"{}:{}{value}{}", space[0], space[1], space[2], space[3]);
        }
        text.push('}');
        let text = if rng.bool() { text } else { wraps[rng.usize(..wraps.len())].replace('#', &text) };
        let mut bytes = text.into_bytes();
        if rng.u8(..4) == 0 {
            let at = rng.usize(..bytes.len());
            match rng.u8(..3) {
                0 => bytes[at] = rng.u8(..),
                1 => bytes.truncate(at),
                _ => bytes.insert(at, rng.u8(..)),
            }
        }
        let record = Record { offset: 0, key: Some(b"KEY"), payload: Some(&bytes), ..Record::default() };
        for (nth, decoder) in all.iter().enumerate() {
            total[nth] += 1;
            let mut found = Vec::new();
            if plain::events(&decoder.rule, &Layouts::default(), &record, &mut |part| found.push(part)).is_some() {
                plain[nth] += found.iter().filter(|part| matches!(part.outcome, EventOutcome::Event(_))).count();
                let mut wanted = Vec::new();
                json::events(&decoder.rule, &record, &mut |part| wanted.push(part));
                assert_eq!(found, wanted, "{}, decoder {nth}, seed {seed}", String::from_utf8_lossy(&bytes));
            } else {
                assert_eq!(found, [], "nothing is handed out before all is decided");
            }
        }
    }
    println!("plain {plain:?} of {total:?}");
    assert!(plain[0] * 8 > total[0] && plain[1] * 8 > total[1], "{plain:?} of {total:?}: it does not do its work");
    assert!(plain.iter().all(|plain| *plain > 20), "{plain:?}: it does not do its work");
}

/// Each of several fields is part of the id, and none runs into the next; an event that lacks one has none. In both paths.
#[test]
fn an_id_of_several_fields_is_all_of_them() {
    let of = |id: &[&str], fields: &str| {
        let id = id.iter().map(|field| (*field).to_owned()).collect();
        let decoder = Decoder::new(&FieldNames { id, ..FieldNames::default() }).unwrap();
        let plain = format!(r#"{{"symbol":"A","price":1,"ts":1,{fields}}}"#);
        let escaped = format!(r#"{{"symbol":"\u0041","price":1,"ts":1,{fields}}}"#);
        let [plain, escaped] = [plain, escaped].map(|text| decoder.decode(&record(text.as_bytes())).unwrap().id);
        assert_eq!(plain, escaped, "{fields}");
        plain
    };
    let both = ["x", "i"];
    let first = of(&both, r#""x":"N","i":12"#);
    assert!(first.is_some() && first == of(&both, r#""i":12,"x":"N""#));
    for other in [r#""x":"N","i":13"#, r#""x":"M","i":12"#, r#""x":"N1","i":2"#, r#""x":"N1","i":"2""#] {
        assert_ne!(of(&both, other), first, "{other}");
    }
    assert_ne!(of(&["i", "x"], r#""x":"N","i":12"#), first);
    for lacking in [r#""x":"N""#, r#""x":null,"i":12"#] {
        assert_eq!(of(&both, lacking), None, "{lacking}");
    }
    // What a state of an earlier version has.
    let one = of(&["i"], r#""i":12"#).unwrap();
    let text = [&1_u64.to_le_bytes()[..], b"A12"].concat();
    assert_eq!(one.0, xxhash_rust::xxh3::xxh3_128(&text));
}

/// Arrays as text, as connectors write what they do not know.
#[test]
fn an_array_in_a_string_is_taken_apart_and_one_that_is_null_is_called_so() {
    let fields = FieldNames { each: Some("/d".into()), ..FieldNames::default() };
    let decoder = Decoder::new(&fields).unwrap();
    let said = |payload: &str| {
        let mut said = Vec::new();
        let each = |part: crate::decode::DecodedPart<'_>| {
            let element = part.element.map(|element| element.index);
            said.push(match part.outcome {
                EventOutcome::Event(event) => format!("{element:?} {} {}", event.symbol, event.value.with_decimals(18)),
                EventOutcome::Skipped => "skipped".into(),
                EventOutcome::Rejected(rejection) => format!("{element:?} {}", rejection.finding),
            });
        };
        decoder.parts(&record(payload.as_bytes()), each).unwrap();
        said
    };
    let element = r#"{\"symbol\":\"Q\",\"price\":2.50,\"ts\":1767623400000}"#;
    let both = format!(r#"{{"d":"[{element}, {element}]"}}"#);
    assert_eq!(said(&both), ["Some(0) Q 2.5", "Some(1) Q 2.5"]);
    assert_eq!(said(&format!(r#"{{"d":"{element}"}}"#)), ["Some(0) Q 2.5"]);
    assert_eq!(said(r#"{"d":"[]"}"#), [""; 0]);
    assert_eq!(said(r#"{"d":" [] \n"}"#), [""; 0]);
    // A string that is no JSON as a whole is a string.
    let broken = [(r#"{"d":"[1"}"#, "\"[1\""), (r#"{"d":"{1"}"#, "\"{1\""), (r#"{"d":"\f[]"}"#, "\"\\f[]\"")];
    for (payload, found) in [(r#"{"d":null}"#, "null"), (r#"{"d":"x"}"#, "\"x\"")].into_iter().chain(broken) {
        let said = said(payload);
        assert!(said.len() == 1 && said[0].starts_with("None /d") && said[0].ends_with(found), "{said:?}");
    }
}

/// JSON lets names have half of a surrogate pair. Such a name is no field's, wherever it stands and whatever is configured.
#[test]
fn half_of_a_pair_in_a_name_is_json_and_no_field() {
    let want = decode(r#"{"symbol":"A","price":1,"ts":1}"#);
    for name in [r"\ud800", r"symbol\udfff", r"\ude00\ud83d"] {
        for payload in [
            format!(r#"{{"{name}":2,"symbol":"A","price":1,"ts":1}}"#),
            format!(r#"{{"symbol":"A","price":1,"ts":1,"x":{{"{name}":[]}}}}"#),
            format!(r#"{{"symbol":"A","price":1,"ts":1,"{name}":1,"{name}":1}}"#),
        ] {
            assert_eq!(decode(&payload), want, "{payload}");
        }
    }
    assert_eq!(decode(r#"{"\ud800":2,"symbol":"A","price":1,"ts":1,"ts":1}"#), Err(Reason::Twice));
}

/// A field beside the array whose pointer leads through a value makes the record `shape`, however the record is written.
#[test]
fn a_record_whose_field_beside_the_array_is_misplaced_is_misshapen() {
    let fields = |each: &str, time: &str| FieldNames {
        each: Some(each.into()),
        time: vec![time.into()],
        ..FieldNames::default()
    };
    for (each, time, payload) in [
        ("/d", "@message/x/ts", r#"{"x":5,"d":[{"symbol":"A","price":1}]}"#),
        ("/d", "@message/x/ts", r#"{"\u0078":5,"d":[{"symbol":"A","price":1}]}"#),
        ("", "@message/ts", r#"[{"symbol":"A","price":1}]"#),
        ("", "@message/ts", "[]"),
    ] {
        let decoder = Decoder::new(&fields(each, time)).unwrap();
        let mut reasons = Vec::new();
        let each = |part: crate::decode::DecodedPart<'_>| match part.outcome {
            EventOutcome::Rejected(rejection) => reasons.push(rejection.reason),
            other => panic!("{payload}: {other:?}"),
        };
        decoder.parts(&record(payload.as_bytes()), each).unwrap();
        assert_eq!(reasons, [Reason::Shape], "{payload}");
    }
}

#[test]
fn an_empty_text_is_no_id() {
    let fields = FieldNames { id: vec!["id".into()], ..FieldNames::default() };
    let decoder = Decoder::new(&fields).unwrap();
    for (id, is_one) in [("\"\"", false), ("null", false), ("\"\\u0061\"", true), ("\" \"", true), ("0", true)] {
        let payload = format!(r#"{{"symbol":"A","price":1,"ts":1767623400000,"id":{id}}}"#);
        assert_eq!(decoder.decode(&record(payload.as_bytes())).unwrap().id.is_some(), is_one, "{id}");
    }
}

/// Records that are laid out as ones before, or nearly so: what was learnt of those changes nothing.
#[test]
fn a_known_layout_changes_no_event() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let defaults = FieldNames::default;
    let nested = FieldNames { value: "/d/price".into(), filter: vec!["/d/0!=x".into(), "a".into()], ..defaults() };
    let array =
        FieldNames { symbol: vec!["/1".into()], value: "/0/price".into(), time: vec!["/2".into()], ..defaults() };
    let all = [
        (defaults(), r#"{"symbol":$,"price":$,"ts":$,"volume":$}"#),
        (defaults(), r#" {"x": {"y":[$ ,$]},"ts": $, "price" :$,"é":$, "symbol":$,"e":{}, "f":[] } "#),
        (
            FieldNames { filter: vec!["symbol".into(), "symbol!=B".into()], ..defaults() },
            r#"{"ts":$,"symbol":$,"price":$}"#,
        ),
        (nested, r#"{"symbol":$,"ts":$,"d":{"price":$,"0":$},"a":$}"#),
        (array, r#"[{"price":$},$,$,$]"#),
        (
            FieldNames { each: Some("/r".into()), ..defaults() },
            r#"{"r":[{"symbol":$,"price":$,"ts":$},{"symbol":$,"price":$,"ts":$}]}"#,
        ),
        (
            FieldNames {
                each: Some(String::new()),
                symbol: vec!["=A".into()],
                value: "@payload".into(),
                time: vec!["@timestamp".into()],
                weight: None,
                ..defaults()
            },
            "[$,$]",
        ),
    ];
    let values = [
        "1",
        "-0.5",
        "12345678.25",
        "123456789012345678",
        "1e2",
        "00",
        "null",
        "true",
        "{}",
        "\"A\"",
        "\"é\"",
        "\"7.5\"",
        "\"\"",
        "\"a\\n\"",
        "\"long enough\"",
        "\"a",
    ];
    for (fields, layout) in &all {
        let mut decoder = Decoder::new(fields).unwrap();
        let (mut plainly, mut known) = (0, 0);
        for turn in 0..40_000 {
            let mut text = String::new();
            for piece in layout.split_inclusive('$') {
                text += piece.trim_end_matches('$');
                if piece.ends_with('$') {
                    let usual = "1767623400"; // a symbol, a price, a time and a weight
                    text += if rng.u8(..8) == 0 { values[rng.usize(..values.len())] } else { usual };
                }
            }
            let mut bytes = text.into_bytes();
            if rng.u8(..4) == 0 {
                let at = rng.usize(..bytes.len());
                match rng.u8(..4) {
                    0 => bytes[at] = rng.u8(..),
                    1 => bytes.truncate(at),
                    2 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, *rng.choice(b" \t0\"}],{[\0\xff").unwrap()),
                }
            }
            let record = Record { timestamp: Some(crate::time::EventTime(turn)), ..record(&bytes) };
            decoder.learn(&record);
            let RecordFormat::Json { layouts, .. } = &decoder.format else { panic!("JSON") };
            let misses = layouts.misses();
            let mut found = [Vec::new(), Vec::new()];
            let [with, without] = &mut found;
            let plain = plain::events(&decoder.rule, layouts, &record, &mut |part| with.push(part));
            known += u32::from(layouts.misses() == misses);
            let walked = plain::events(&decoder.rule, &Layouts::default(), &record, &mut |part| without.push(part));
            let shown = String::from_utf8_lossy(&bytes);
            assert_eq!((plain, &found[0]), (walked, &found[1]), "{shown}, seed {seed}");
            if plain.is_some() {
                plainly += 1;
                let mut wanted = Vec::new();
                json::events(&decoder.rule, &record, &mut |part| wanted.push(part));
                assert_eq!(found[0], wanted, "{shown}, seed {seed}");
            }
        }
        println!("{layout}: {plainly} plain, {known} of a known layout");
        assert!(plainly > 400 && known > 8_000, "{layout}: {plainly}, {known}: it does not do its work");
    }
}
