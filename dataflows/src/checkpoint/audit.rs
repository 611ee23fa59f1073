//! A state, read again and counted again: what `minutely state check` does. Pure; `src/store/` fetches the bytes.

use super::damage::Damage;
use super::dead_letters::decode_dead_letters;
use super::fold_object::read_folds;
use super::id_object::IdObject;
use super::index_object::IndexPart;
use super::manifest::Manifest;
use super::object::Object;
use super::object_ref::ObjectRef;
use super::trail_object::TrailObject;
use super::trail_ref::PartTrail;
use crate::acc::{Avg, Market};
use crate::coarse::split_name;
use crate::time::WindowStart;
use std::collections::{BTreeMap, HashMap};

/// Where a manifest says what is summed: a name of format 1, which is that of an option of the command line.
pub(super) const METRICS: &str = "--metrics";

/// (window, symbol, records counted).
type Entry = (WindowStart, String, i64);

/// Objects that were verified, by name: those of one manifest, or of several that follow one another. Dead letters,
/// ids, folds, the index and the audit trail have no entries here.
#[derive(Debug, Default)]
pub struct Audit(BTreeMap<String, Vec<Entry>>);

/// What a manifest holds, counted in its objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowTotals {
    /// Windows times series.
    pub keys: u64,
    /// Records in them; in coarser ones they are not counted again.
    pub records: i64,
}

impl Audit {
    /// Was this object verified?
    pub fn knows(&self, object: &ObjectRef) -> bool {
        self.0.contains_key(&object.name)
    }

    /// Verifies an object of a manifest: length, hash, and every single entry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, manifest: &Manifest, object: &ObjectRef, bytes: &[u8]) -> Result<(), Damage> {
        object.check(bytes)?;
        let holds_dead_letters = manifest.unstored.iter().any(|(_, dead_letters)| dead_letters.name == object.name);
        let holds_ids = manifest.parts.iter().flat_map(|part| &part.ids).any(|ids| ids.name == object.name);
        let trail = manifest.parts.iter().filter_map(|part| part.trail.as_ref());
        let holds_trail = trail.flat_map(|trail: &PartTrail| &trail.objects).any(|of| of.object.name == object.name);
        let (entries, count) = if holds_dead_letters {
            (Vec::new(), decode_dead_letters(bytes)?.len() as u64)
        } else if holds_ids {
            (Vec::new(), IdObject::open(bytes)?.verify(manifest.partitions.len())?)
        } else if manifest.parts.iter().flat_map(|part| &part.index).any(|index| index.name == object.name) {
            (Vec::new(), IndexPart::decode(bytes)?.len())
        } else if holds_trail {
            (Vec::new(), TrailObject::open(bytes)?.verify()?)
        } else if manifest.parts.iter().flat_map(|part| &part.folds).any(|folds| folds.name == object.name) {
            let mut folds = 0;
            read_folds(bytes, |_| true, |_, _| folds += 1)?;
            (Vec::new(), folds)
        } else {
            let opened = Object::open(bytes)?;
            let entries = match manifest.semantics.get(METRICS).map(String::as_str) {
                Some("avg") => opened.verify::<Avg>()?,
                _ => opened.verify::<Market>()?,
            };
            let count = entries.len() as u64;
            (entries.into_iter().map(|(window, symbol, n)| (window, symbol.to_owned(), n)).collect(), count)
        };
        if count != object.entries {
            return Err(Damage::new(format!("has {count} entries and had {}", object.entries)));
        }
        self.0.insert(object.name.clone(), entries);
        Ok(())
    }

    /// What the windows hold that a manifest has not forgotten, all of whose objects were added.
    pub fn held(&self, manifest: &Manifest) -> WindowTotals {
        let mut held = WindowTotals::default();
        for part in &manifest.parts {
            let mut newest = HashMap::new();
            let entries = part.objects.iter().filter_map(|object| self.0.get(&object.name));
            for (window, symbol, count) in entries.flatten() {
                if Some(*window) >= part.retired_before {
                    newest.insert((*window, symbol.as_str()), *count);
                }
            }
            held.keys += newest.len() as u64;
            // Coarser windows count the same records again.
            let minutes = newest.iter().filter(|((_, name), _)| split_name(name).1.is_none());
            held.records += minutes.map(|(_, count)| count).sum::<i64>();
        }
        held
    }
}

impl Manifest {
    /// Records that count, over all partitions.
    pub fn counted(&self) -> i64 {
        self.partitions.iter().filter_map(|p| Some(p.state.as_ref()?.counts.counted)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acc::Accumulate;
    use crate::checkpoint::WorkerObjects;
    use crate::record::PartitionName;
    use crate::time::EventTime;
    use differential_dataflow::difference::Semigroup;

    fn acc(count: i64) -> Avg {
        let event = crate::decode::DecodedEvent {
            symbol: "A".into(),
            value: crate::decimal::Decimal(7),
            weight: None,
            time: EventTime(0),
            weight_beyond: false,
            id: None,
            rounded: false,
        };
        let position =
            crate::acc::LogPosition { identity: PartitionName { log: "t".into(), number: None }.identity(), offset: 0 };
        let mut sum = Avg::of(&event, position);
        for _ in 1..count {
            sum.plus_equals(&Avg::of(&event, position));
        }
        sum
    }

    /// An object with these entries, as it is and as a manifest names it.
    fn object(name: &str, entries: &[(i64, &str, i64)]) -> (ObjectRef, Vec<u8>) {
        let entries: Vec<_> =
            entries.iter().map(|(window, symbol, n)| (WindowStart(*window), *symbol, acc(*n))).collect();
        let bytes = Object::encode(&entries);
        (ObjectRef::of(name, &bytes, entries.len() as u64), bytes)
    }

    #[test]
    fn the_newest_entries_that_are_not_retired_are_counted_again() {
        let (a, b) =
            (object("a", &[(0, "A", 1), (60, "A", 2), (60, "B", 3)]), object("b", &[(60, "A", 5), (120, "C", 7)]));
        let part = WorkerObjects {
            objects: vec![a.0.clone(), b.0.clone()],
            retired_before: Some(WindowStart(60)),
            ..WorkerObjects::default()
        };
        let manifest = Manifest {
            semantics: [(METRICS.to_owned(), "avg".to_owned())].into(),
            parts: vec![part],
            ..Manifest::default()
        };
        let mut audit = Audit::default();
        audit.add(&manifest, &a.0, &a.1).unwrap();
        assert!(audit.knows(&a.0) && !audit.knows(&b.0));
        audit.add(&manifest, &b.0, &b.1).unwrap();
        assert_eq!(audit.held(&manifest), WindowTotals { keys: 3, records: 5 + 3 + 7 });

        // Objects whose hash is right and whose content is not.
        let wrong = |bytes: &[u8], entries: u64| {
            Audit::default().add(&manifest, &ObjectRef::of("x", bytes, entries), bytes).unwrap_err().to_string()
        };
        assert!(wrong(&a.1, 4).contains("3 entries and had 4"));
        let mut nothing = acc(1);
        nothing.plus_equals(&nothing.retraction());
        let zero = Object::encode(&[(WindowStart(0), "A", nothing)]);
        assert!(wrong(&zero, 1).contains("entry for A"));
        let other = Object::encode(&[(WindowStart(0), "A", 7_u8)]);
        assert!(wrong(&other, 1).contains("entry for A"));
        let twice = Object::encode(&[(WindowStart(0), "A", acc(1)), (WindowStart(0), "A", acc(2))]);
        assert!(wrong(&twice, 2).contains("ascend"));
        assert!(wrong(b"minutely", 0).contains("not a checkpoint object"));
    }
}
