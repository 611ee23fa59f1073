//! Digests of the minutes that a manifest still holds window by window: those that no object of the index has yet.

use super::audit::METRICS;
use super::damage::Damage;
use super::manifest::{Manifest, WorkerObjects};
use super::object::{Object, merge};
use crate::acc::{Accumulate, Avg, Market};
use crate::coarse::split_name;
use crate::decimal::Scales;
use crate::digest::{MinuteDigest, row_bytes};
use crate::time::WindowStart;
use std::collections::BTreeMap;

/// What the minutes before `before` come to that this worker's part of a manifest holds. `objects`: the bytes of all of its objects of
/// windows, in their order. Parts of a minute add up, over workers and with what the index has of it.
///
/// # Errors
/// One of them is damaged.
pub fn held_digests(
    manifest: &Manifest,
    part: &WorkerObjects,
    objects: &[Vec<u8>],
    (before, scales): (WindowStart, Scales),
) -> Result<BTreeMap<WindowStart, MinuteDigest>, Damage> {
    let inputs: Vec<&[u8]> = objects.iter().map(Vec::as_slice).collect();
    let merged = merge(&inputs, part.retired_before)?;
    let object = Object::open(&merged)?;
    match manifest.semantics.get(METRICS).map(String::as_str) {
        Some("avg") => digests::<Avg>(&object, before, scales),
        _ => digests::<Market>(&object, before, scales),
    }
}

fn digests<A: Accumulate>(
    object: &Object<'_>,
    before: WindowStart,
    scales: Scales,
) -> Result<BTreeMap<WindowStart, MinuteDigest>, Damage> {
    let (mut all, mut broken) = (BTreeMap::<WindowStart, MinuteDigest>::new(), None);
    object.read(
        |_| true,
        |(window, name, acc)| {
            if window >= before || split_name(name).1.is_some() {
                return;
            }
            match A::decode(acc) {
                Ok(acc) => {
                    let row = row_bytes(name, window, scales, &acc.numbers());
                    all.entry(window).or_default().add(MinuteDigest::of_row(&row));
                }
                Err(_) => broken = Some(format!("has an invalid entry for {name}")),
            }
        },
    )?;
    broken.map_or(Ok(all), |why| Err(Damage::new(why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acc::LogPosition;
    use crate::coarse::stored_name;
    use crate::decode::DecodedEvent;
    use crate::time::EventTime;

    fn acc(value: i128) -> Avg {
        let event = DecodedEvent {
            symbol: "A".into(),
            value: crate::decimal::Decimal(value),
            weight: None,
            time: EventTime(0),
            weight_beyond: false,
            id: None,
            rounded: false,
        };
        Avg::of(&event, LogPosition { identity: 1, offset: 0 })
    }

    #[test]
    fn the_newest_entries_of_final_minutes_that_are_held_are_added_up() {
        let five = stored_name("A", "5m".parse().ok()).into_owned();
        let entries = |entries: &[(i64, &str, i128)]| {
            let entries: Vec<_> =
                entries.iter().map(|(at, name, value)| (WindowStart(*at), *name, acc(*value))).collect();
            Object::encode(&entries)
        };
        let objects = [
            entries(&[(0, "A", 1), (60, "A", 2), (60, "B", 3), (60, &five, 9)]),
            entries(&[(60, "A", 5), (120, "C", 7), (180, "C", 8)]),
        ];
        let part = WorkerObjects { retired_before: Some(WindowStart(60)), ..WorkerObjects::default() };
        let manifest = Manifest { semantics: [(METRICS.to_owned(), "avg".to_owned())].into(), ..Manifest::default() };
        let scales = Scales::default();
        let found = held_digests(&manifest, &part, &objects, (WindowStart(180), scales)).unwrap();
        let row = |window: i64, name: &str, value: i128| {
            MinuteDigest::of_row(&row_bytes(name, WindowStart(window), scales, &acc(value).numbers()))
        };
        let mut both = row(60, "A", 5);
        both.add(row(60, "B", 3));
        assert_eq!(found, [(WindowStart(60), both), (WindowStart(120), row(120, "C", 7))].into());
        let cut = [objects[0][..objects[0].len() - 1].to_vec()];
        assert!(held_digests(&manifest, &part, &cut, (WindowStart(180), scales)).is_err());
    }
}
