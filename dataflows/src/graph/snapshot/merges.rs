//! Which objects of a worker are merged into one, and which hold nothing any more.
//!
//! Windows and folds: sixteen objects of one level are merged into one of the next; all are, when most of what they hold has been superseded.
//!
//! The index: as windows, but that nothing is superseded, and that what has grown too large is merged no more.
//!
//! Ids: no entry supersedes another, and they go by age. An object all of whose windows are final for their partitions is left out
//! as it is, without being read. Sixteen of one size are merged; so are those of which less than half is held. What a merge reads
//! has a bound, so it takes little memory beside millions of ids.

use crate::checkpoint::{FirstHeld, IdSpan, MAX_IDS, MAX_INDEX, MergeRule, ObjectContent, ObjectRef};
use std::collections::BTreeMap;

/// Objects of one level that are merged.
const TIER: usize = 16;
/// Entries that may count no more before objects are merged for it, beyond as many as there are held.
const SLACK: u64 = 4096;

/// An object that is durable, or becomes so.
#[derive(Clone, Debug)]
pub(super) struct DurableObject {
    pub(super) reference: ObjectRef,
    /// Of windows, folds and the index: levels do not rise.
    level: u32,
    /// Of ids: of what.
    spans: Vec<IdSpan>,
}

/// Several objects that become one.
pub(super) struct PlannedMerge {
    /// Oldest first.
    pub(super) inputs: Vec<ObjectRef>,
    level: u32,
    spans: Vec<IdSpan>,
}

impl DurableObject {
    /// What is known of an object before it is written.
    pub(super) fn pending(content: &ObjectContent) -> Self {
        let spans = match content {
            ObjectContent::Windows(_) | ObjectContent::Folds(_) | ObjectContent::Index(_) => Vec::new(),
            ObjectContent::Ids(ids) => ids.spans(),
        };
        DurableObject { reference: ObjectRef::of("", b"", 0), level: 0, spans }
    }

    /// It is durable. `is_first`: no other is.
    pub(super) fn durable(self, reference: ObjectRef, is_first: bool) -> Self {
        // The first has all that is held: as if merged already, so that not every tier takes it up again.
        let level = if is_first { reference.entries.checked_ilog(TIER as u64).unwrap_or(0) } else { 0 };
        DurableObject { reference, level, ..self }
    }

    /// One that an earlier run wrote, and that this one goes on with.
    pub(super) fn adopted(reference: ObjectRef) -> Self {
        let level = reference.entries.checked_ilog(TIER as u64).unwrap_or(0);
        DurableObject { reference, level, spans: Vec::new() }
    }

    /// Ids that are held.
    fn held(&self, first_held: &FirstHeld) -> u64 {
        self.spans.iter().filter(|span| span.is_held(first_held)).map(|span| span.ids).sum()
    }
}

impl PlannedMerge {
    /// Of these, without ids.
    fn of(objects: &[DurableObject], level: u32) -> Self {
        let inputs = objects.iter().map(|object| object.reference.clone()).collect();
        PlannedMerge { inputs, level, spans: Vec::new() }
    }

    /// How many entries its inputs have.
    fn entries(&self) -> u64 {
        self.inputs.iter().map(|input| input.entries).sum()
    }

    /// It is durable: it takes the place of its inputs.
    pub(super) fn replace(self, durable: &mut Vec<DurableObject>, reference: ObjectRef) {
        let is_input = |object: &DurableObject| self.inputs.iter().any(|input| input.name == object.reference.name);
        let at = durable.iter().position(is_input).expect("its inputs stay until it is durable");
        durable[at] = DurableObject { reference, level: self.level, spans: self.spans };
        let is_input = |object: &DurableObject| self.inputs.iter().any(|input| input.name == object.reference.name);
        durable.retain(|object| !is_input(object));
    }
}

/// What is to be merged, if it is time for it. Leaves out objects of ids that hold nothing any more. `held`: entries that count.
pub(super) fn plan(durable: &mut Vec<DurableObject>, held: u64, rule: &MergeRule) -> Option<PlannedMerge> {
    match rule {
        MergeRule::Windows(_) | MergeRule::Folds(_) => plan_windows(durable, held),
        MergeRule::Ids(first_held) => {
            durable.retain(|object| object.held(first_held) > 0);
            plan_ids(durable, first_held)
        }
        MergeRule::Index => {
            durable.sort_by_key(|object| std::cmp::Reverse(object.level));
            plan_tier(durable).filter(|merge| merge.entries() <= MAX_INDEX)
        }
        // It has a plan of its own.
        MergeRule::Trail(_) => None,
    }
}

fn plan_windows(durable: &[DurableObject], held: u64) -> Option<PlannedMerge> {
    let entries: u64 = durable.iter().map(|object| object.reference.entries).sum();
    if durable.len() > 1 && entries > 2 * held + SLACK {
        return Some(PlannedMerge::of(durable, durable[0].level));
    }
    plan_tier(durable)
}

/// Sixteen objects of one level, if there are so many.
fn plan_tier(durable: &[DurableObject]) -> Option<PlannedMerge> {
    let full = durable.chunk_by(|a, b| a.level == b.level).rfind(|run| run.len() >= TIER)?;
    Some(PlannedMerge::of(&full[..TIER], full[0].level + 1))
}

fn plan_ids(durable: &[DurableObject], first_held: &FirstHeld) -> Option<PlannedMerge> {
    let mut by_size: BTreeMap<u32, Vec<&DurableObject>> = BTreeMap::new();
    let mut wasteful = Vec::new();
    for object in durable {
        let held = object.held(first_held);
        if object.reference.entries > 2 * held + SLACK {
            wasteful.push(object);
        } else {
            by_size.entry(held.ilog(TIER as u64)).or_default().push(object);
        }
    }
    let full = by_size.into_values().find(|objects| objects.len() >= TIER);
    let mut room = MAX_IDS;
    let mut fits = |object: &&DurableObject| {
        let fits = object.reference.entries <= room;
        room = room.saturating_sub(object.reference.entries);
        fits
    };
    let inputs: Vec<&DurableObject> = match full {
        Some(objects) if wasteful.is_empty() => objects.into_iter().take(TIER).take_while(&mut fits).collect(),
        _ => wasteful.into_iter().take(TIER).take_while(&mut fits).collect(),
    };
    let rewrites = inputs.iter().any(|object| object.reference.entries > 2 * object.held(first_held) + SLACK);
    if inputs.len() < 2 && !rewrites {
        return None;
    }
    let mut spans: BTreeMap<_, u64> = BTreeMap::new();
    for span in inputs.iter().flat_map(|object| &object.spans).filter(|span| span.is_held(first_held)) {
        *spans.entry((span.partition, span.window)).or_default() += span.ids;
    }
    let spans = spans.into_iter().map(|((partition, window), ids)| IdSpan { partition, window, ids }).collect();
    Some(PlannedMerge { inputs: inputs.into_iter().map(|object| object.reference.clone()).collect(), level: 0, spans })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::WindowStart;

    fn object(number: usize, spans: &[(usize, i64, u64)]) -> DurableObject {
        let spans: Vec<_> = spans
            .iter()
            .map(|&(partition, window, ids)| IdSpan { partition, window: WindowStart(window), ids })
            .collect();
        let entries = spans.iter().map(|span| span.ids).sum();
        DurableObject { reference: ObjectRef::of(number.to_string(), b"", entries), level: 0, spans }
    }

    fn ids(durable: &mut Vec<DurableObject>, first: i64) -> Option<(Vec<String>, u64)> {
        let rule = MergeRule::Ids([(0, WindowStart(first))].into());
        let merge = plan(durable, 0, &rule)?;
        Some((merge.inputs.iter().map(|input| input.name.clone()).collect(), merge.spans.iter().map(|s| s.ids).sum()))
    }

    #[test]
    fn objects_of_ids_go_as_they_are_when_all_of_their_windows_are_final() {
        let mut durable: Vec<_> = (0..15).map(|n| object(n, &[(0, n as i64 * 60, 10)])).collect();
        assert_eq!(ids(&mut durable, 0), None);
        assert_eq!((ids(&mut durable, 300), durable.len()), (None, 10));
        assert_eq!(durable[0].reference.name, "5");
    }

    #[test]
    fn sixteen_objects_of_ids_of_one_size_are_merged_without_what_is_final() {
        let mut durable: Vec<_> = (0..17).map(|n| object(n, &[(0, 0, 1), (0, 60, 20), (1, 0, 5)])).collect();
        durable.insert(0, object(99, &[(0, 60, 5000)]));
        let (inputs, kept) = ids(&mut durable, 60).unwrap();
        assert_eq!((inputs.len(), inputs[0].as_str(), kept), (TIER, "0", 16 * 25));
        let merge = plan(&mut durable, 0, &MergeRule::Ids([(0, WindowStart(60))].into())).unwrap();
        merge.replace(&mut durable, ObjectRef::of("m", b"", 400));
        let names: Vec<_> = durable.iter().map(|object| object.reference.name.as_str()).collect();
        assert_eq!(names, ["99", "m", "16"]);
        assert_eq!(durable[1].held(&FirstHeld::new()), 400);
    }

    #[test]
    fn an_object_that_a_slow_partition_keeps_is_written_again_and_merges_have_a_bound() {
        let mut durable = vec![object(0, &[(0, 0, 9000), (1, 0, 3)]), object(1, &[(0, 60, 9000)])];
        assert_eq!(ids(&mut durable, 60), Some((vec!["0".into()], 3)));
        let mut large: Vec<_> = (0..20).map(|n| object(n, &[(0, 60, MAX_IDS / 2)])).collect();
        assert_eq!(ids(&mut large, 0).map(|(inputs, _)| inputs.len()), Some(2));
        let mut largest: Vec<_> = (0..20).map(|n| object(n, &[(0, 60, MAX_IDS / 2 + 1)])).collect();
        assert_eq!(ids(&mut largest, 0), None);
    }
}
