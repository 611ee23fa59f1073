//! Any bytes in place of a record, a manifest, an object and dead letters.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod checks;
mod random;
mod records;
mod right;

use minutely_dataflows::checkpoint::{
    CutRecord, IdObjectBuilder, IndexPart, MergeRule, Object, TrailMerge, WatermarkHolder,
};
use minutely_dataflows::decode::EventId;
use minutely_dataflows::digest::MinuteDigest;
use minutely_dataflows::partition::{IdGroup, IndexEntry};
use minutely_dataflows::time::{EventTime, WindowStart};
use random::any_bytes;
use std::path::Path;

/// The files of a folder, from the root of the repository.
#[expect(clippy::disallowed_methods, reason = "seeds stand in files, and the core does not read them")]
fn files(folder: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let files = std::fs::read_dir(&path).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let files: Vec<Vec<u8>> = files.collect();
    assert!(!files.is_empty(), "{}", path.display());
    files
}

#[test]
fn any_record() {
    any_bytes(&files("dataflows/fuzz/seeds/decode"), checks::decode);
}

#[test]
fn any_row() {
    any_bytes(&files("dataflows/fuzz/seeds/row"), checks::row);
}

#[test]
fn any_records_of_any_configuration() {
    any_bytes(&files("dataflows/fuzz/seeds/records"), records::records);
}

#[test]
fn any_manifest() {
    any_bytes(&files("tests/fixtures/state-1/data/job/state/manifest"), checks::manifest);
}

#[test]
fn any_object() {
    let mut seeds = files("tests/fixtures/state-1/data/job/state/object");
    // One section of 2^64 - 1 bytes: its end is not a number.
    seeds.push(b"minutely-1\n\x01\x00\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x0e\x00\x00\x00".to_vec());
    any_bytes(&seeds, checks::object);
}

#[test]
fn any_object_of_ids() {
    let group = |partition, window, ids: std::ops::Range<u128>| IdGroup {
        partition,
        window: WindowStart(window),
        ids: ids.map(EventId).collect(),
    };
    let groups = vec![group(0, 0, 0..2), group(0, 60, 5..6), group(300, -60, 1 << 100..(1 << 100) + 3)];
    let seeds = [groups, Vec::new()].map(|groups| IdObjectBuilder::new(groups).encode());
    any_bytes(&seeds, checks::ids);
}

#[test]
fn any_object_of_the_index() {
    let entry = |partition, bucket| IndexEntry { partition, bucket, offset: 7, h: Some(EventTime(-5)), floor: None };
    let digests =
        [(WindowStart(-60), MinuteDigest { rows: 3, sum: u128::MAX }), (WindowStart(60), MinuteDigest::default())];
    let index = IndexPart { entries: vec![entry(0, -2), entry(0, 3), entry(300, 2)], digests: digests.into() };
    any_bytes(&[index.encode(), IndexPart::default().encode()], checks::index);
}

#[test]
fn any_object_of_the_audit_trail() {
    let delta = |count: i64, sum: i64| {
        // As an average of so many records: the sum's high half, and its low one.
        let acc = (count, (sum >> 63, sum.cast_unsigned()));
        Object::encode(&[(WindowStart(-60), "é", acc), (WindowStart(60), "é", acc), (WindowStart(60), "B", acc)])
    };
    let held_by = Some(WatermarkHolder { partition: 300, by_floor: true });
    let cut = |seq| CutRecord { seq, at: EventTime(7_000_000), w: Some(EventTime(-5)), held_by };
    let merge = TrailMerge { deltas: vec![3, 9], cuts: vec![cut(3), CutRecord { w: None, held_by: None, ..cut(9) }] };
    let of = |merge: &TrailMerge, inputs: &[&[u8]]| MergeRule::Trail(merge.clone()).merge(inputs).unwrap().0;
    let seeds = [of(&merge, &[&delta(2, -7), &delta(5, 1 << 40)]), of(&TrailMerge::default(), &[])];
    any_bytes(&seeds, checks::trail);
}

#[test]
fn any_dead_letters() {
    any_bytes(&files("tests/fixtures/state-1/data/job/state/object"), checks::dead_letters);
}
