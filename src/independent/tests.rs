//! Both decoders, and both arithmetics, over the same hostile records: the same verdicts and the same exact numbers, or the rule's text,
//! the decoder or this one is wrong.
//!
//! A few seconds' worth of records in `./test`, a million with `MINUTELY_TEST_LONG`.

mod configured;
mod hostile_json;
mod rows;

use super::event::{EventReader, IndependentEvent, ReadEvent};
use super::rules::IndependentRules;
use configured::fields;
use hostile_json::RecordMaker;
use minutely_dataflows::decode::{Decoder, EventOutcome, FieldNames};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::{PartitionName, Reason, Record};
use std::collections::{BTreeMap, HashMap};

/// Records of one configuration.
const RECORDS: u64 = 100;

/// How many records: as many as take a few seconds, or a million.
fn records() -> u64 {
    if std::env::var_os("MINUTELY_TEST_LONG").is_some() { 1_000_000 } else { 40_000 }
}

fn random() -> fastrand::Rng {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    fastrand::Rng::with_seed(seed)
}

/// A partition of a topic, or a file.
fn partition(rng: &mut fastrand::Rng) -> PartitionName {
    match rng.bool() {
        true => PartitionName { log: "ticks".to_owned(), number: Some(3) },
        false => PartitionName { log: "x/BTC-USD_2026 1.jsonl.gz".to_owned(), number: None },
    }
}

/// What of an event both decoders must agree on.
#[derive(Debug, PartialEq)]
enum Read {
    Event {
        symbol: String,
        value: String,
        time: i64,
        weight: Option<String>,
        beyond: bool,
        rounded: bool,
        has_id: bool,
    },
    Skipped,
    Rejected(Reason),
}

fn by_decoder(outcome: &EventOutcome<'_>) -> Read {
    match outcome {
        EventOutcome::Skipped => Read::Skipped,
        EventOutcome::Rejected(rejection) => Read::Rejected(rejection.reason),
        EventOutcome::Event(event) => Read::Event {
            symbol: event.symbol.to_string(),
            value: event.value.0.to_string(),
            time: event.time.0,
            weight: event.weight.map(|weight| weight.0.to_string()),
            beyond: event.weight_beyond,
            rounded: event.rounded,
            has_id: event.id.is_some(),
        },
    }
}

fn independently(event: &ReadEvent) -> Read {
    match event {
        ReadEvent::Skipped => Read::Skipped,
        ReadEvent::Rejected(reason) => Read::Rejected(*reason),
        ReadEvent::Event(event) => Read::Event {
            symbol: event.symbol.clone(),
            value: event.value.to_string(),
            time: event.time,
            weight: event.weight.as_ref().map(ToString::to_string),
            beyond: event.is_weight_beyond,
            rounded: event.is_rounded,
            has_id: event.id.is_some(),
        },
    }
}

/// What both say of a record, and the ids of its events.
struct BothReadings {
    decoder: Vec<(Option<u32>, Read)>,
    independent: Vec<(Option<u32>, Read)>,
    /// Of the same events: the decoder's hash, and series and texts.
    ids: Vec<(u128, (String, Vec<String>))>,
}

fn both(decoder: &Decoder, reader: &EventReader, record: &Record<'_>) -> BothReadings {
    let mut both = BothReadings { decoder: Vec::new(), independent: Vec::new(), ids: Vec::new() };
    let mut hashes = Vec::new();
    let parts = decoder.parts(record, |part| {
        both.decoder.push((part.element.map(|element| element.index), by_decoder(&part.outcome)));
        if let EventOutcome::Event(event) = &part.outcome {
            hashes.push(event.id);
        }
    });
    parts.expect("there is no registry");
    let mut texts = Vec::new();
    reader.events(record, &mut |element, event| {
        both.independent.push((element, independently(&event)));
        if let ReadEvent::Event(event) = event {
            let IndependentEvent { symbol, id, .. } = *event;
            texts.push(id.map(|id| (symbol, id)));
        }
    });
    both.ids = hashes.into_iter().zip(texts).filter_map(|(hash, texts)| Some((hash?.0, texts?))).collect();
    both
}

/// Where the two say something else, one of each kind.
#[derive(Default)]
struct Differences(BTreeMap<String, String>);

impl Differences {
    fn add(&mut self, fields: &FieldNames, record: &Record<'_>, both: &BothReadings) {
        let differ =
            |((_, a), (_, b)): (&(Option<u32>, Read), &(Option<u32>, Read))| (a != b).then(|| (a.word(), b.word()));
        let first = both.decoder.iter().zip(&both.independent).find_map(differ);
        let payload =
            record.payload.map(|payload| String::from_utf8_lossy(&payload[..payload.len().min(1000)]).into_owned());
        let BothReadings { decoder, independent, .. } = both;
        let text = format!(
            "decoder {decoder:?}\nindependent {independent:?}\nof {payload:?}\nkey {:?}\nby {fields:?}\n",
            record.key
        );
        // The shortest record of the kind.
        let known = self.0.entry(format!("{first:?}")).or_insert_with(|| text.clone());
        if text.len() < known.len() {
            *known = text;
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|(kind, text)| format!("{kind}\n{text}\n")).collect()
    }
}

impl Read {
    /// What became of it, in a word.
    fn word(&self) -> &'static str {
        match self {
            Read::Event { beyond: true, .. } => "beyond",
            Read::Event { rounded: true, .. } => "rounded",
            Read::Event { .. } => "exact",
            Read::Skipped => "skipped",
            Read::Rejected(reason) => reason.name(),
        }
    }
}

#[test]
fn both_decoders_read_the_same() {
    let mut rng = random();
    let (mut tried, mut told) = (0, BTreeMap::<&str, u64>::new());
    let mut differences = Differences::default();
    while tried < records() {
        let fields = fields(&mut rng);
        let name = partition(&mut rng);
        let (Ok(decoder), Ok(rules)) = (Decoder::new(&fields), IndependentRules::of(&fields, &Rule::default())) else {
            continue;
        };
        let (mut decoder, reader) = (decoder.for_partition(&name), rules.reader(&name));
        let mut maker = RecordMaker::new(&mut rng, &fields);
        let (mut by_hash, mut by_texts) = (HashMap::new(), HashMap::new());
        for offset in 0..RECORDS.min(records() - tried) {
            let made = maker.record(&mut rng);
            let record = made.lend(offset.cast_signed());
            decoder.learn(&record);
            let both = both(&decoder, &reader, &record);
            if both.decoder != both.independent {
                differences.add(&fields, &record, &both);
                continue;
            }
            for (hash, texts) in both.ids {
                assert_eq!(*by_hash.entry(hash).or_insert_with(|| texts.clone()), texts, "one hash of two ids");
                assert_eq!(*by_texts.entry(texts).or_insert(hash), hash, "two hashes of one id");
            }
            for (_, read) in both.decoder {
                *told.entry(read.word()).or_default() += 1;
            }
        }
        tried += RECORDS;
    }
    eprintln!("{tried} records: {told:?}");
    assert!(differences.0.is_empty(), "{} kinds of differences:\n{}", differences.0.len(), differences.text());
    assert!(told["exact"] > tried / 40, "few events: {told:?}");
    for what in [
        "exact",
        "rounded",
        "beyond",
        "skipped",
        "json",
        "shape",
        "twice",
        "symbol",
        "type",
        "range",
        "precision",
        "time",
        "weight",
        "null",
    ] {
        assert!(told.contains_key(what), "no record was {what}: {told:?}");
    }
}
