//! What must hold of any bytes. libFuzzer looks for bytes that lead to new code (`dataflows/fuzz/`, a minute each in `./test
//! long`); in `./test` random changes of good ones are tried.

#![allow(dead_code, reason = "each target uses its part")]

use minutely_dataflows::acc::{Accumulate, Avg, Market};
use minutely_dataflows::checkpoint::{
    FirstHeld, IdObject, IndexPart, Manifest, MergeRule, Object, TrailMerge, TrailObject, decode_dead_letters,
    encode_dead_letters, hash, merge,
};
use minutely_dataflows::decode::{CsvOptions, DebeziumOptions, Decoder, FieldNames, Format};
use minutely_dataflows::record::Record;
use std::cell::RefCell;

const MAGIC: &[u8] = b"minutely-1\n";
const INDEX_MAGIC: &[u8] = b"minutely-index-1\n";
const TRAIL_MAGIC: &[u8] = b"minutely-trail-1\n";

fn record(payload: &[u8]) -> Record<'_> {
    Record { offset: 0, key: Some(b"A"), payload: Some(payload), ..Record::default() }
}

/// An event of the plain path is the one that serde_json gives: no record with pointers takes the plain path. As the row of a
/// change event it is the same.
pub(crate) fn decode(bytes: &[u8]) {
    let fields = FieldNames::default();
    let below = |name: &str| format!("/r/{name}");
    let pointers = FieldNames {
        symbol: vec![below(&fields.symbol[0])],
        value: below(&fields.value),
        time: vec![below(&fields.time[0])],
        times: fields.times.clone(),
        weight: fields.weight.as_deref().map(below),
        numbers: fields.numbers.clone(),
        ..FieldNames::default()
    };
    let decoder = Decoder::new(&fields).expect("they are the default");
    let found = decoder.decode(&record(bytes));
    let changes = FieldNames { debezium: Some(DebeziumOptions::default()), ..FieldNames::default() };
    let changes = Decoder::new(&changes).expect("they are the default");
    changes.parts(&record(bytes), drop).expect("no registry");
    if let Ok(event) = found {
        for around in
            [[&b"{\"op\":\"c\",\"after\":"[..], b"}"], [b"{\"schema\":{},\"payload\":{\"after\":", b",\"op\":\"r\"}}"]]
        {
            let change = [around[0], bytes, around[1]].concat();
            assert_eq!(
                changes.decode(&record(&change)).as_ref(),
                Ok(&event),
                "the row of a change event is another event"
            );
        }
        let inside = [b"{\"r\":", bytes, b"}"].concat();
        let other = Decoder::new(&pointers).expect("they are pointers");
        assert_eq!(other.decode(&record(&inside)).as_ref(), Ok(&event), "the plain path gives another event");
    }
}

/// A header, a line end and a row, of which none is said to be anything else if all its cells stand in quotes.
pub(crate) fn row(bytes: &[u8]) {
    let fields = FieldNames { format: Format::Csv(CsvOptions::default()), ..FieldNames::default() };
    let mut decoder = Decoder::new(&fields).expect("they are the default");
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (header, row) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let at = |offset, payload| Record { offset, ..record(payload) };
    decoder.learn(&at(0, header));
    let mut found = None;
    decoder.parts(&at(1, row), |part| drop(found.replace(format!("{:?}", part.outcome)))).expect("no registry");
    let found = found.expect("a row is one event");
    if found.starts_with("Event") && !row.contains(&b'"') {
        let row = row.strip_suffix(b"\r").unwrap_or(row);
        let quoted = |cell: &[u8]| [b"\"", cell.trim_ascii(), b"\""].concat();
        let quoted = row.split(|byte| *byte == b',').map(quoted).collect::<Vec<_>>().join(&b',');
        let again =
            decoder.parts(&at(1, &quoted), |part| assert_eq!(format!("{:?}", part.outcome), found, "in quotes"));
        again.expect("no registry");
    }
}

/// What is read is written again as it was read. The bytes may lack the line with the hash.
pub(crate) fn manifest(bytes: &[u8]) {
    let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let last = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let body = if lines.len() - last == 32 { &bytes[..last] } else { bytes };
    for bytes in [bytes, &[body, hash(body).as_bytes(), b"\n"].concat()] {
        let Ok(manifest) = Manifest::decode(bytes) else { continue };
        let again = manifest.encode();
        assert_eq!(Manifest::decode(&again).as_ref(), Ok(&manifest));
    }
}

/// An object that is proven whole is read, and merges into one that is whole and holds the same.
pub(crate) fn object(bytes: &[u8]) {
    let bytes = if bytes.starts_with(MAGIC) { bytes.to_vec() } else { [MAGIC, bytes].concat() };
    whole::<Avg>(&bytes);
    whole::<Market>(&bytes);
}

/// An object of ids that is proven whole is read, and merges into one that is whole and holds the same.
pub(crate) fn ids(bytes: &[u8]) {
    let Ok(object) = IdObject::open(bytes) else { return };
    let groups: Vec<_> = object.groups(|_| true).collect();
    assert_eq!(groups.iter().map(|group| group.ids.len() as u64).sum::<u64>(), object.entries());
    if object.verify(usize::MAX).is_err() {
        return;
    }
    let (merged, entries) = MergeRule::Ids(FirstHeld::new()).merge(&[bytes]).expect("it is whole");
    let again = IdObject::open(&merged).expect("it was written just now");
    assert_eq!((entries, again.verify(usize::MAX)), (object.entries(), Ok(entries)));
    assert_eq!(again.groups(|_| true).collect::<Vec<_>>(), groups);
}

/// An object of the index that is whole comes back, and merges into one that holds the same.
pub(crate) fn index(bytes: &[u8]) {
    let bytes = if bytes.starts_with(INDEX_MAGIC) { bytes.to_vec() } else { [INDEX_MAGIC, bytes].concat() };
    let Ok(index) = IndexPart::decode(&bytes) else { return };
    let (merged, entries) = MergeRule::Index.merge(&[&bytes]).expect("it is whole");
    assert_eq!((entries, IndexPart::decode(&merged)), (index.len(), Ok(index)));
}

/// An object of the audit trail that is proven whole is read, and merges into one that is whole and holds the same.
pub(crate) fn trail(bytes: &[u8]) {
    let bytes = if bytes.starts_with(TRAIL_MAGIC) { bytes.to_vec() } else { [TRAIL_MAGIC, bytes].concat() };
    let Ok(object) = TrailObject::open(&bytes) else { return };
    if object.verify().is_err() {
        return;
    }
    let merge = |bytes: &[u8]| MergeRule::Trail(TrailMerge::default()).merge(&[bytes]).expect("it is whole");
    // (A version that says what the one before it says is left out.)
    let (merged, entries) = merge(&bytes);
    let again = TrailObject::open(&merged).expect("it was written just now");
    assert_eq!((again.verify(), again.cuts()), (Ok(entries), object.cuts()));
    assert!(entries <= object.entries());
    assert_eq!(merge(&merged), (merged.clone(), entries));
}

fn whole<A: Accumulate>(bytes: &[u8]) {
    let Ok(object) = Object::open(bytes) else { return };
    let read = RefCell::new(Vec::new());
    let outcome = object.read(|_| true, |(window, symbol, _)| read.borrow_mut().push((window, symbol)));
    let Ok(entries) = object.verify::<A>() else { return };
    assert_eq!(outcome, Ok(()), "what is whole can be read");
    let read = read.into_inner();
    assert_eq!(read, entries.iter().map(|(window, symbol, _)| (*window, *symbol)).collect::<Vec<_>>());
    assert_eq!(object.entries(), entries.len() as u64);
    let merged = merge(&[bytes, bytes], None).expect("both are whole");
    let again = Object::open(&merged).and_then(|object| object.verify::<A>().map(|found| found.len()));
    assert_eq!(again, Ok(entries.len()), "one entry a window of a series");
}

/// What is read is written again as it was read.
pub(crate) fn dead_letters(bytes: &[u8]) {
    let bytes = if bytes.starts_with(MAGIC) { bytes.to_vec() } else { [MAGIC, bytes].concat() };
    let Ok(letters) = decode_dead_letters(&bytes) else { return };
    assert_eq!(decode_dead_letters(&encode_dead_letters(&letters)).as_ref(), Ok(&letters));
}
