//! Any configuration of JSON.

use fastrand::Rng;
use minutely_dataflows::decode::{FieldNames, TimeOptions, TimeUnit};
use minutely_dataflows::numbers::{NumberOptions, OnPrecision, WeightSign};

fn one<T: Clone>(rng: &mut Rng, all: &[T]) -> T {
    all[rng.usize(..all.len())].clone()
}

/// A field of this name: at the top, below `d`, in an array, or with a name that a pointer escapes.
fn field(rng: &mut Rng, name: &str) -> String {
    match rng.u8(..16) {
        0..10 => name.to_owned(),
        10..12 => format!("/d/{name}"),
        12 => format!("/{name}"),
        13 => format!("/{}{}", if rng.bool() { "d/" } else { "" }, rng.u8(..3)),
        14 => format!("/d/1/{name}"),
        _ => format!("/a~1b~0/{name}"),
    }
}

/// See the module. Not all of them are right.
pub(super) fn fields(rng: &mut Rng) -> FieldNames {
    let each =
        one(rng, &[None, None, None, None, None, Some(""), Some("/d"), Some("/d/0"), Some("/e")]).map(str::to_owned);
    // As a rule all stand side by side.
    let home = rng.u8(..3);
    let [symbol, value, time, weight, id] = ["symbol", "price", "ts", "volume", "id"].map(|name| match home {
        _ if rng.u8(..60) == 0 => "@payload".to_owned(),
        0 => field(rng, name),
        1 if each.is_none() => format!("/d/{name}"),
        _ => name.to_owned(),
    });
    let beside = |name: &str| if each.is_some() { format!("@message/{name}") } else { name.to_owned() };
    let symbol = match rng.u8(..24) {
        0 => vec!["@key".into()],
        1 => vec!["=A".into()],
        2 => vec![one(rng, &["@file/0", "@file", "@topic", "@file/9"]).into(), symbol],
        3 => vec![symbol, "@key/symbol".into()],
        4 => vec![beside("symbol")],
        5 => vec!["@key/d/symbol".into()],
        _ => vec![symbol],
    };
    let time = match rng.u8(..16) {
        0 => vec!["date".into(), "time".into()],
        1 => vec!["@timestamp".into()],
        2 => vec![beside("ts")],
        _ => vec![time],
    };
    let conditions: [&[&str]; 17] = [
        &[],
        &[],
        &[],
        &[],
        &["symbol"],
        &["!nothing"],
        &["e!=none"],
        &[],
        &[],
        &[],
        &["e=trade|1"],
        &["!/d/e"],
        &["e!=1.50", "price"],
        &["/0=", "!/1"],
        &["e=1e2|true"],
        &["@key!=K|true"],
        &["@file/0=BTC", "@key/e=1"],
    ];
    let mut filter: Vec<String> = one(rng, &conditions).iter().map(|text| (*text).to_owned()).collect();
    if each.is_some() && rng.u8(..4) == 0 {
        filter.push(one(rng, &["@message/e=trade|1", "!@message/d/e", "@message/price"]).to_owned());
    }
    FieldNames {
        each,
        symbol,
        value: if rng.u8(..16) == 0 { "=12.5".into() } else { value },
        time,
        times: times(rng),
        weight: Some(weight).filter(|_| rng.u8(..5) > 0),
        filter,
        id: one(
            rng,
            &[vec![], vec![], vec![id.clone()], vec![id, "/d/id".to_owned()], vec!["/id".into(), "@key".into()]],
        ),
        numbers: numbers(rng),
        ..FieldNames::default()
    }
}

fn times(rng: &mut Rng) -> TimeOptions {
    let format = one(
        rng,
        &[
            None,
            None,
            None,
            None,
            Some("%Y-%m-%d %H:%M:%S%.f"),
            Some("%d.%m.%y %H:%M:%S%.f %z"),
            Some("%s"),
            Some("%Y%m%d %T"),
            Some("%Y-%m-%dT%H:%M:%S%.f[%Q]"),
        ],
    );
    let zone = one(
        rng,
        &[None, None, Some("Europe/Berlin"), Some("+05:30"), Some("America/New_York"), Some("UTC"), Some("-0330")],
    );
    let has_zone = format.is_some_and(|format| ["%z", "%s", "%Q"].iter().any(|word| format.contains(word)));
    TimeOptions {
        unit: if format.is_some() { TimeUnit::Milliseconds } else { one(rng, &TimeUnit::ALL).0 },
        format: format.map(str::to_owned),
        zone: zone.or(format.map(|_| "Asia/Kathmandu")).filter(|_| !has_zone).map(str::to_owned),
    }
}

fn numbers(rng: &mut Rng) -> NumberOptions {
    NumberOptions {
        decimals: one(rng, &[18, 18, 18, 8, 8, 2, 0, 24, 28]),
        weight_decimals: one(rng, &[18, 18, 0, 3, 28]),
        on_precision: one(rng, &[OnPrecision::Round, OnPrecision::Round, OnPrecision::Reject]),
        value_scale: one(rng, &["1", "1", "1", "0.01", "2.5e3", "999999999e-28", "0.3", "1e20"])
            .parse()
            .expect("it is one"),
        weight_sign: one(rng, &[WeightSign::Abs, WeightSign::Keep, WeightSign::Reject]),
    }
}
