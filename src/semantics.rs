//! What makes two runs the same job: the values that decide which records count and what rows say. A state belongs to them.
//!
//! A manifest keeps them as text, by option ([`Entries`]). Two runs are compared by value: `60s` is `1m`. The text that this
//! version writes is one for each value ([`Semantics::entries`]); earlier versions wrote what was typed, and their states are
//! recognised by value ([`Semantics::parse`]).

use crate::duration;
use crate::text::event_time;
use minutely_dataflows::coarse::WindowList;
use minutely_dataflows::decimal::MAX_DECIMALS;
use minutely_dataflows::decode::{CsvOptions, DebeziumOptions, FieldNames, Format, TimeOptions, TimeUnit};
use minutely_dataflows::derived::DerivedList;
use minutely_dataflows::numbers::{NumberOptions, OnPrecision, WeightSign};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{EventTime, Windowing};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Text by option, as a manifest has it.
pub(crate) type Entries = BTreeMap<String, String>;

/// The source, as [`crate::sources::identity`] writes it.
pub(crate) const SOURCE: &str = "--source";
/// A property of Kafka's client: do records of open and aborted transactions count?
pub(crate) const ISOLATION: &str = "-X isolation.level";
const FORMAT: &str = "--format";
const COLUMNS: &str = "--columns";
const DELIMITER: &str = "--delimiter";
const QUOTE: &str = "--quote";
const SKIP_LINES: &str = "--skip-lines";
const SCHEMA: &str = "--schema";
const ENVELOPE: &str = "--envelope";
const DECIMAL_SCALE: &str = "--decimal-scale";
const EACH: &str = "--each";
const SYMBOL_FIELD: &str = "--symbol-field";
const VALUE_FIELD: &str = "--value-field";
const TIME_FIELD: &str = "--time-field";
const TIME_UNIT: &str = "--time-unit";
const TIME_FORMAT: &str = "--time-format";
const TIME_ZONE: &str = "--time-zone";
const WEIGHT_FIELD: &str = "--weight-field";
const FILTER: &str = "--where";
const ID_FIELD: &str = "--id-field";
pub(crate) const WINDOW: &str = "--window";
pub(crate) const LATENESS: &str = "--lateness";
pub(crate) const MAX_FUTURE: &str = "--max-future";
pub(crate) const MAX_PAST: &str = "--max-past";
pub(crate) const VALUE_MIN: &str = "--value-min";
pub(crate) const VALUE_MAX: &str = "--value-max";
pub(crate) const OUTLIER: &str = "--outlier";
pub(crate) const SESSION: &str = "--session";
const DECIMALS: &str = "--decimals";
const WEIGHT_DECIMALS: &str = "--weight-decimals";
const ON_PRECISION: &str = "--on-precision";
const VALUE_SCALE: &str = "--value-scale";
const WEIGHT_SIGN: &str = "--weight-sign";
const METRICS: &str = "--metrics";
const DERIVE: &str = "--derive";
const WINDOWS: &str = "--windows";
const COMPLETE_FROM: &str = "--complete-from";

/// See the module. The default is what the options' defaults mean, of no source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Semantics {
    /// The same however the URI is written ([`crate::sources::identity`]).
    pub(crate) source: String,
    pub(crate) fields: FieldNames,
    /// The hash of `--schema`'s file.
    pub(crate) schema: Option<String>,
    pub(crate) windowing: Windowing,
    /// Nanoseconds.
    pub(crate) max_future: i64,
    /// Nanoseconds; none: any age counts.
    pub(crate) max_past: Option<i64>,
    /// What cleans, by option: one text for each value.
    pub(crate) cleaning: Entries,
    /// `--metrics market`; false: `avg`.
    pub(crate) market: bool,
    /// What rows have beside.
    pub(crate) derive: DerivedList,
    /// Which coarser windows have rows.
    pub(crate) windows: WindowList,
    /// It decides which rows are `partial`.
    pub(crate) complete_from: Option<EventTime>,
    pub(crate) isolation: Isolation,
}

/// Kafka's `isolation.level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    #[default]
    ReadCommitted,
    ReadUncommitted,
}

impl Default for Semantics {
    fn default() -> Self {
        let Rule { windowing, max_future, max_past, .. } = Rule::default();
        Semantics {
            source: String::new(),
            fields: FieldNames::default(),
            schema: None,
            windowing,
            max_future,
            max_past,
            cleaning: Entries::new(),
            market: true,
            derive: usual_derive(true),
            windows: WindowList::default(),
            complete_from: None,
            isolation: Isolation::ReadCommitted,
        }
    }
}

impl Semantics {
    /// The text of each value: the one that most people type, so that it is also what earlier versions wrote then (`10m`,
    /// not `600s`). An option that was added later has no entry where it has its default, so a state that is older than the
    /// option is one of the default.
    pub(crate) fn entries(&self) -> Entries {
        let FieldNames { each, symbol, value, time, times, weight, filter, id, numbers, format, debezium } =
            &self.fields;
        let TimeOptions { unit, format: time_format, zone } = times;
        let unit = TimeUnit::ALL.iter().find(|(known, ..)| known == unit).map_or("", |(_, name, _)| name);
        let always = [
            (SOURCE, self.source.clone()),
            (FORMAT, format_name(format).to_owned()),
            (SYMBOL_FIELD, list_text(symbol)),
            (VALUE_FIELD, value.clone()),
            (TIME_FIELD, list_text(time)),
            (TIME_UNIT, unit.to_owned()),
            (WEIGHT_FIELD, weight.clone().unwrap_or_default()),
            (WINDOW, duration_text(self.windowing.length)),
            (LATENESS, duration_text(self.windowing.lateness)),
            (MAX_FUTURE, duration_text(self.max_future)),
            (METRICS, if self.market { "market" } else { "avg" }.to_owned()),
        ];
        let uncommitted = self.isolation == Isolation::ReadUncommitted;
        let others = [
            (SCHEMA, self.schema.clone()),
            (ENVELOPE, debezium.as_ref().map(|_| DEBEZIUM.to_owned())),
            (DECIMAL_SCALE, debezium.as_ref().and_then(scales_text)),
            (EACH, each.clone()),
            (FILTER, (!filter.is_empty()).then(|| list_text(filter))),
            (ID_FIELD, (!id.is_empty()).then(|| list_text(id))),
            (TIME_FORMAT, time_format.clone()),
            (TIME_ZONE, zone.clone()),
            (MAX_PAST, self.max_past.map(duration_text)),
            (DERIVE, (self.derive != usual_derive(self.market)).then(|| self.derive.to_string())),
            (WINDOWS, (!self.windows.is_empty()).then(|| self.windows.to_string())),
            (COMPLETE_FROM, self.complete_from.map(time_text)),
            (ISOLATION, uncommitted.then(|| "read_uncommitted".to_owned())),
        ];
        let others = others.into_iter().chain(number_texts(numbers)).chain(row_entries(format));
        let others = others.filter_map(|(option, text)| Some((option, text?)));
        let all = always.into_iter().chain(others).map(|(option, text)| (option.to_owned(), text));
        all.chain(self.cleaning.clone()).collect()
    }

    /// The values that these entries stand for, and the entries that this version does not know or cannot read.
    pub(crate) fn parse(recorded: &Entries) -> (Self, Entries) {
        let (mut semantics, mut unknown) = (Semantics::default(), Entries::new());
        // Others are of the format.
        if let Some(format) = recorded.get(FORMAT).and_then(|name| format(name)) {
            semantics.fields.format = format;
        }
        // The default depends on it.
        semantics.derive = usual_derive(recorded.get(METRICS).is_none_or(|metrics| metrics != "avg"));
        for (option, text) in recorded {
            if semantics.set(option, text).is_none() {
                unknown.insert(option.clone(), text.clone());
            }
        }
        (semantics, unknown)
    }

    fn set(&mut self, option: &str, text: &str) -> Option<()> {
        let fields = &mut self.fields;
        match option {
            SOURCE => text.clone_into(&mut self.source),
            FORMAT => drop(format(text)?), // taken before
            COLUMNS | DELIMITER | QUOTE | SKIP_LINES => {
                let Format::Csv(rows) = &mut fields.format else { return None };
                match option {
                    COLUMNS => rows.columns = Some(list(text)?),
                    DELIMITER => rows.delimiter = byte(text)?,
                    QUOTE => rows.quote = if text == NO_QUOTE { None } else { Some(byte(text)?) },
                    _ => rows.skip_lines = text.parse().ok()?,
                }
            }
            SCHEMA => self.schema = Some(text.to_owned()),
            ENVELOPE if text == DEBEZIUM => drop(fields.debezium.get_or_insert_default()),
            DECIMAL_SCALE => fields.debezium.get_or_insert_default().scales = scales(text)?,
            EACH => fields.each = Some(text.to_owned()),
            FILTER => fields.filter = list(text)?,
            ID_FIELD => fields.id = list(text)?,
            SYMBOL_FIELD => fields.symbol = list(text)?,
            VALUE_FIELD => text.clone_into(&mut fields.value),
            TIME_FIELD => fields.time = list(text)?,
            TIME_UNIT => {
                fields.times.unit = TimeUnit::ALL.iter().find(|(_, name, _)| *name == text).map(|(unit, ..)| *unit)?
            }
            TIME_FORMAT => fields.times.format = Some(text.to_owned()),
            TIME_ZONE => fields.times.zone = Some(text.to_owned()),
            WEIGHT_FIELD => fields.weight = (!text.is_empty()).then(|| text.to_owned()),
            WINDOW => self.windowing.length = nanoseconds(text).filter(|length| *length > 0)?,
            LATENESS => self.windowing.lateness = nanoseconds(text)?,
            MAX_FUTURE => self.max_future = nanoseconds(text)?,
            MAX_PAST => self.max_past = Some(nanoseconds(text)?),
            VALUE_MIN | VALUE_MAX | OUTLIER | SESSION => drop(self.cleaning.insert(option.to_owned(), text.to_owned())),
            DECIMALS => fields.numbers.decimals = decimals(text)?,
            WEIGHT_DECIMALS => fields.numbers.weight_decimals = decimals(text)?,
            ON_PRECISION => fields.numbers.on_precision = one_of(text, PRECISIONS)?,
            VALUE_SCALE => fields.numbers.value_scale = text.parse().ok()?,
            WEIGHT_SIGN => fields.numbers.weight_sign = one_of(text, SIGNS)?,
            METRICS => self.market = one_of(text, [("market", true), ("avg", false)])?,
            DERIVE => self.derive = text.parse().ok()?,
            WINDOWS => self.windows = text.parse().ok()?,
            COMPLETE_FROM => self.complete_from = Some(event_time(text)?),
            ISOLATION => {
                let (committed, uncommitted) = (Isolation::ReadCommitted, Isolation::ReadUncommitted);
                self.isolation = one_of(text, [("read_committed", committed), ("read_uncommitted", uncommitted)])?;
            }
            _ => return None,
        }
        Some(())
    }

    /// What an option means, which may have no entry among these values' entries.
    fn effective(&self, entries: &Entries, option: &str) -> String {
        match entries.get(option) {
            Some(text) => text.clone(),
            None if option == DERIVE => self.derive.to_string(),
            None => absent(option).to_owned(),
        }
    }

    /// Where these values are not the recorded ones, by option.
    pub(crate) fn differences(&self, recorded: &Entries) -> Vec<Difference> {
        let (was, unknown) = Semantics::parse(recorded);
        let (ours, theirs) = (self.entries(), was.entries());
        let options: BTreeSet<&String> = ours.keys().chain(theirs.keys()).chain(unknown.keys()).collect();
        let differs = |option: &String| {
            let (is, was) = (self.effective(&ours, option), was.effective(&theirs, option));
            let same = is == was && !unknown.contains_key(option);
            (!same).then(|| Difference {
                option: option.clone(),
                is,
                was: recorded.get(option).cloned().unwrap_or(was),
            })
        };
        options.into_iter().filter_map(differs).collect()
    }
}

/// An option that has another value than a state was written with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    option: String,
    is: String,
    was: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { option, is, was } = self;
        write!(f, "{option} {is} (it was {was})")
    }
}

/// What rows have beside where nothing is asked for.
pub(crate) fn usual_derive(market: bool) -> DerivedList {
    if market { DerivedList::usual() } else { DerivedList::default() }
}

/// What an option is, to people, that has no entry.
pub(crate) fn absent(option: &str) -> &'static str {
    match option {
        ISOLATION => "read_committed",
        DECIMALS | WEIGHT_DECIMALS => "18",
        ON_PRECISION => "round",
        VALUE_SCALE => "1",
        WEIGHT_SIGN => "abs",
        ENVELOPE | WINDOWS => "none",
        _ => "not given",
    }
}

/// What this version writes for these values, but spelled as it was: an earlier one may have written a default that has
/// no entry now.
pub(crate) fn without_defaults(recorded: &Entries) -> Entries {
    let is_default = |option: &str, text: &str| option == ISOLATION && text == absent(ISOLATION);
    let kept = recorded.iter().filter(|(option, text)| !is_default(option, text));
    kept.map(|(option, text)| (option.clone(), text.clone())).collect()
}

/// The texts of the number options that do not have their defaults.
fn number_texts(numbers: &NumberOptions) -> [(&'static str, Option<String>); 5] {
    let NumberOptions { decimals, weight_decimals, on_precision, value_scale, weight_sign } = numbers;
    let default = NumberOptions::default();
    let scale = |decimals: &u8, default: u8| (*decimals != default).then(|| decimals.to_string());
    [
        (DECIMALS, scale(decimals, default.decimals)),
        (WEIGHT_DECIMALS, scale(weight_decimals, default.weight_decimals)),
        (ON_PRECISION, (*on_precision != default.on_precision).then(|| name_of(on_precision, PRECISIONS))),
        (VALUE_SCALE, (*value_scale != default.value_scale).then(|| value_scale.to_string())),
        (WEIGHT_SIGN, (*weight_sign != default.weight_sign).then(|| name_of(weight_sign, SIGNS))),
    ]
}

const PRECISIONS: [(&str, OnPrecision); 2] = [("round", OnPrecision::Round), ("reject", OnPrecision::Reject)];
const SIGNS: [(&str, WeightSign); 3] =
    [("abs", WeightSign::Abs), ("keep", WeightSign::Keep), ("reject", WeightSign::Reject)];

fn decimals(text: &str) -> Option<u8> {
    text.parse().ok().filter(|decimals| *decimals <= MAX_DECIMALS)
}

fn name_of<T: PartialEq, const N: usize>(value: &T, known: [(&str, T); N]) -> String {
    known.iter().find(|(_, of)| of == value).map_or("", |(name, _)| name).to_owned()
}

/// `--envelope`.
const DEBEZIUM: &str = "debezium";

/// `--decimal-scale`, if there is one.
fn scales_text(debezium: &DebeziumOptions) -> Option<String> {
    let scales: Vec<_> = debezium.scales.iter().map(|(field, scale)| format!("{field}={scale}")).collect();
    (!scales.is_empty()).then(|| list_text(&scales))
}

fn scales(text: &str) -> Option<Vec<(String, i16)>> {
    let scale = |text: &String| {
        let (field, scale) = text.rsplit_once('=')?;
        Some((field.to_owned(), scale.parse().ok()?))
    };
    list(text)?.iter().map(scale).collect()
}

/// `--quote`, where there is none.
const NO_QUOTE: &str = "none";

/// `--format`.
fn format(name: &str) -> Option<Format> {
    let tabs = CsvOptions { delimiter: b'\t', ..CsvOptions::default() };
    one_of(
        name,
        [
            ("json", Format::Json),
            ("csv", Format::Csv(CsvOptions::default())),
            ("tsv", Format::Csv(tabs)),
            ("json-schema", Format::JsonSchema),
            ("avro", Format::Avro),
            ("protobuf", Format::Protobuf),
        ],
    )
}

fn format_name(format: &Format) -> &'static str {
    match format {
        Format::Json => "json",
        Format::Csv(CsvOptions { delimiter: b'\t', .. }) => "tsv",
        Format::Csv(_) => "csv",
        Format::JsonSchema => "json-schema",
        Format::Avro => "avro",
        Format::Protobuf => "protobuf",
    }
}

/// How rows are written, where it is not as by default.
fn row_entries(format: &Format) -> Vec<(&'static str, Option<String>)> {
    let Format::Csv(rows) = format else { return Vec::new() };
    let CsvOptions { delimiter, quote, columns, skip_lines } = rows;
    let text = |byte: u8| char::from(byte).to_string();
    let defaults = CsvOptions::default();
    vec![
        (COLUMNS, columns.as_deref().map(list_text)),
        (DELIMITER, (![defaults.delimiter, b'\t'].contains(delimiter)).then(|| text(*delimiter))),
        (QUOTE, (*quote != defaults.quote).then(|| quote.map_or(NO_QUOTE.to_owned(), text))),
        (SKIP_LINES, (*skip_lines > 0).then(|| skip_lines.to_string())),
    ]
}

fn byte(text: &str) -> Option<u8> {
    if let [byte] = text.as_bytes() { Some(*byte) } else { None }
}

fn one_of<T, const N: usize>(text: &str, known: [(&str, T); N]) -> Option<T> {
    known.into_iter().find(|(name, _)| *name == text).map(|(_, value)| value)
}

/// Several as a JSON array, one as it is.
fn list_text(list: &[String]) -> String {
    match list {
        [one] if !one.starts_with('[') => one.clone(),
        several => serde_json::to_string(several).expect("memory takes it"),
    }
}

fn list(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') { serde_json::from_str(text).ok() } else { Some(vec![text.to_owned()]) }
}

/// Nanoseconds, of whole milliseconds.
fn nanoseconds(text: &str) -> Option<i64> {
    i64::try_from(duration::parse_ms(text)?).ok()?.checked_mul(1_000_000)
}

/// A duration in the largest unit that it is a whole number of: `1h`, not `60m`.
pub(crate) fn duration_text(nanoseconds: i64) -> String {
    const UNITS: [(i64, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let ms = nanoseconds / 1_000_000;
    let whole = UNITS.iter().find(|(unit, _)| ms != 0 && ms % unit == 0);
    whole.map_or("0".to_owned(), |(unit, name)| format!("{}{name}", ms / unit))
}

pub(crate) fn time_text(time: EventTime) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(time.0)) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{} ns", time.0), // beyond the years that have a name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(pairs: &[(&str, &str)]) -> Entries {
        pairs.iter().map(|(option, text)| ((*option).to_owned(), (*text).to_owned())).collect()
    }

    fn defaults() -> Entries {
        entries(&[
            ("--format", "json"),
            ("--lateness", "10m"),
            ("--max-future", "1m"),
            ("--metrics", "market"),
            ("--source", "sim:"),
            ("--symbol-field", "symbol"),
            ("--time-field", "ts"),
            ("--time-unit", "ms"),
            ("--value-field", "price"),
            ("--weight-field", "volume"),
            ("--window", "1m"),
        ])
    }

    fn with(changes: &[(&str, &str)]) -> Entries {
        let mut all = defaults();
        all.extend(entries(changes));
        all
    }

    fn of(recorded: &Entries) -> Semantics {
        let (semantics, unknown) = Semantics::parse(recorded);
        assert_eq!(unknown, Entries::new());
        semantics
    }

    #[test]
    fn defaults_have_the_text_that_every_version_wrote() {
        let sim = Semantics { source: "sim:".into(), ..Semantics::default() };
        assert_eq!(sim.entries(), defaults());
        assert_eq!(of(&defaults()), sim);
    }

    #[test]
    fn a_value_is_the_same_however_it_is_written() {
        let same = [
            ("--window", &["1m", "60s", "60000ms"][..]),
            ("--lateness", &["10m", "600s", "600000ms"]),
            ("--lateness", &["0", "0s", "0d"]),
            ("--max-future", &["1d", "24h", "1440m"]),
            ("--max-past", &["90m", "5400s"]),
            ("--value-scale", &["0.01", "1e-2", "0.0100"]),
            ("--complete-from", &["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.000Z"]),
        ];
        for (option, texts) in same {
            for text in texts {
                let ours = of(&with(&[(option, texts[0])]));
                let recorded = with(&[(option, text)]);
                assert_eq!(of(&recorded), ours, "{option} {text}");
                assert_eq!(ours.differences(&recorded), [], "{option} {text}");
                assert_eq!(ours.entries()[option], texts[0], "{option} {text}");
            }
        }
        let committed = with(&[(ISOLATION, "read_committed")]);
        assert!(of(&committed) == of(&defaults()) && without_defaults(&committed) == defaults());
        assert_eq!(of(&defaults()).differences(&committed), []);
    }

    #[test]
    fn text_and_value_are_of_one_another() {
        for change in [
            ("--lateness", "90s"),
            ("--window", "1500ms"),
            ("--max-past", "7d"),
            ("--value-min", "-0.5"),
            ("--value-max", "100000"),
            ("--outlier", "20,5"),
            ("--session", "NYSE"),
            ("--metrics", "avg"),
            ("--time-unit", "ns"),
            ("--time-format", "%Y%m%d"),
            ("--time-zone", "Europe/Berlin"),
            ("--format", "csv"),
            ("--format", "tsv"),
            ("--weight-field", ""),
            ("--decimals", "0"),
            ("--decimals", "24"),
            ("--weight-decimals", "6"),
            ("--on-precision", "reject"),
            ("--value-scale", "0.0001"),
            ("--weight-sign", "keep"),
            ("--weight-sign", "reject"),
            ("--complete-from", "2026-01-01T00:00:00.5Z"),
            (ISOLATION, "read_uncommitted"),
        ] {
            let recorded = with(&[change]);
            assert_eq!(of(&recorded).entries(), recorded);
            assert_ne!(of(&recorded), of(&defaults()), "{change:?}");
        }
    }

    #[test]
    fn how_rows_are_written_is_of_their_format() {
        let recorded = with(&[
            ("--format", "csv"),
            ("--columns", r#"["a","b"]"#),
            ("--delimiter", ";"),
            ("--quote", "none"),
            ("--skip-lines", "2"),
        ]);
        let semantics = of(&recorded);
        let columns = Some(vec!["a".to_owned(), "b".to_owned()]);
        let rows = CsvOptions { delimiter: b';', quote: None, columns, skip_lines: 2 };
        assert_eq!((semantics.entries(), &semantics.fields.format), (recorded, &Format::Csv(rows)));
        let json = with(&[("--delimiter", ";")]);
        assert_eq!(Semantics::parse(&json).1, entries(&[("--delimiter", ";")]));
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let ours = of(&with(&[("--lateness", "9m"), (ISOLATION, "read_uncommitted")]));
        let said = |recorded: &Entries| ours.differences(recorded).iter().map(ToString::to_string).collect::<Vec<_>>();
        let recorded = with(&[("--lateness", "600s"), ("--window", "60s"), ("--max-past", "1d")]);
        assert_eq!(
            said(&recorded),
            [
                "--lateness 9m (it was 600s)",
                "--max-past not given (it was 1d)",
                "-X isolation.level read_uncommitted (it was read_committed)"
            ]
        );
        // A state that is older than an option is one of its default.
        let small = of(&with(&[("--decimals", "24"), ("--weight-sign", "keep")]));
        let said_small = small.differences(&defaults()).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(said_small, ["--decimals 24 (it was 18)", "--weight-sign keep (it was abs)"]);
        assert_eq!(of(&defaults()).differences(&with(&[("--decimals", "18"), ("--weight-sign", "abs")])), []);
        let newest = [("--decimals", "29"), ("--on-precision", "truncate"), ("--value-scale", "0")];
        assert_eq!(Semantics::parse(&with(&newest)).1, entries(&newest));
        // Of a version that knows more.
        let newer = with(&[("--lateness", "540s"), (ISOLATION, "read_uncommitted"), ("--color", "red")]);
        assert_eq!(said(&newer), ["--color not given (it was red)"]);
        let unreadable = with(&[("--lateness", "9m"), (ISOLATION, "read_uncommitted"), ("--window", "1 month")]);
        assert_eq!(said(&unreadable), ["--window 1m (it was 1 month)"]);
    }
}
