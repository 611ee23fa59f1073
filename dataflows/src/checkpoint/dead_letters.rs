//! Objects of dead letters: those of one cut that were not stored when its manifest was made.
//!
//! ```text
//!   "minutely-1\n"  the parts that format 1 began with, of each  the parts that were added since, of each  elements, of each
//! ```
//!
//! The lists are in postcard's wire format. Version 0.1 has no third one; it is left out where no record was taken apart.

use super::damage::{Damage, MAGIC};
use crate::record::{DeadLetter, Finding, Judged, PartitionName, Reason};
use serde::Deserialize;

/// A dead letter as format 1 began, by which every version reads it: partition, offset, reason, payload, and what it was
/// judged by.
type First<N, B, J> = (N, i64, Reason, B, J);
/// What was added, behind all the first parts, where a version that does not know it stops reading: the key, what was found,
/// and how long a payload was that was cut off.
type More<B, F> = (B, F, Option<u64>);

/// Dead letters of one cut, as bytes.
pub fn encode_dead_letters(dead_letters: &[DeadLetter]) -> Vec<u8> {
    let first: Vec<First<_, _, _>> =
        dead_letters.iter().map(|l| (&l.partition, l.offset, l.reason, &l.raw, &l.judged)).collect();
    let more: Vec<More<_, _>> = dead_letters.iter().map(|l| (&l.key, &l.finding, l.cut_from)).collect();
    let elements: Vec<Option<u32>> = dead_letters.iter().map(|l| l.element).collect();
    let bytes = postcard::to_extend(&first, MAGIC.to_vec()).expect("memory takes it");
    let bytes = postcard::to_extend(&more, bytes).expect("memory takes it");
    if elements.iter().all(Option::is_none) {
        return bytes;
    }
    postcard::to_extend(&elements, bytes).expect("memory takes it")
}

/// From bytes.
///
/// # Errors
/// When the bytes are damaged.
pub fn decode_dead_letters(bytes: &[u8]) -> Result<Vec<DeadLetter>, Damage> {
    let broken = || Damage::new("holds no dead letters, or not all of them");
    let bytes = bytes.strip_prefix(MAGIC).ok_or_else(broken)?;
    type Firsts = Vec<First<PartitionName, Option<Vec<u8>>, Option<Judged>>>;
    let (first, rest) = postcard::take_from_bytes::<Firsts>(bytes).map_err(|_| broken())?;
    let (more, rest) = added::<More<Option<Vec<u8>>, Option<Finding>>>(rest, first.len()).ok_or_else(broken)?;
    let (elements, rest) = added::<Option<u32>>(rest, first.len()).ok_or_else(broken)?;
    if !rest.is_empty() {
        return Err(broken());
    }
    let whole = |((first, more), element)| {
        let (partition, offset, reason, raw, judged) = first;
        let (key, finding, cut_from) = more;
        DeadLetter { partition, offset, element, reason, raw, cut_from, key, judged, finding }
    };
    Ok(first.into_iter().zip(more).zip(elements).map(whole).collect())
}

/// A list that was added later, of this many; defaults where it is not there.
fn added<T: Clone + Default + for<'a> Deserialize<'a>>(bytes: &[u8], many: usize) -> Option<(Vec<T>, &[u8])> {
    if bytes.is_empty() {
        return Some((vec![T::default(); many], bytes));
    }
    postcard::take_from_bytes::<Vec<T>>(bytes).ok().filter(|(added, _)| added.len() == many)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decimal::Decimal;
    use crate::record::Evidence;
    use crate::time::EventTime;

    #[test]
    fn letters_come_back() {
        let partition = PartitionName { log: "t".into(), number: Some(3) };
        let judged = Judged {
            symbol: "A".into(),
            value: Decimal(-5),
            time: EventTime(9),
            evidence: Evidence::Floor(EventTime(1 << 60)),
        };
        let late = DeadLetter {
            partition,
            offset: 7,
            element: None,
            reason: Reason::Late,
            raw: Some(vec![0, 255]),
            cut_from: None,
            key: None,
            judged: Some(judged),
            finding: None,
        };
        let null = DeadLetter { reason: Reason::Null, raw: None, judged: None, ..late.clone() };
        let finding = Finding { field: Some("ts".into()), expected: "a number".into(), found: "null".into() };
        let keyed =
            DeadLetter { key: Some(vec![254]), finding: Some(finding), cut_from: Some(1 << 40), ..null.clone() };
        let dead_letters = vec![late, null, keyed];
        let bytes = encode_dead_letters(&dead_letters);
        assert_eq!(decode_dead_letters(&bytes).unwrap(), dead_letters);
        for end in 0..bytes.len() {
            let left = decode_dead_letters(&bytes[..end]);
            assert!(
                left.is_err() || left.unwrap().iter().all(|l| (&l.key, &l.finding, l.cut_from) == (&None, &None, None))
            );
        }
    }

    /// In both directions: what an older version wrote is read, and what is written now is read by an older version.
    #[test]
    fn letters_are_those_of_format_1() {
        type Old = Vec<(PartitionName, i64, Reason, Option<Vec<u8>>, Option<Judged>)>;
        let old: Old = vec![(PartitionName { log: "t".into(), number: None }, 3, Reason::Json, Some(vec![b'x']), None)];
        let bytes = postcard::to_extend(&old, MAGIC.to_vec()).unwrap();
        let dead_letters = decode_dead_letters(&bytes).unwrap();
        assert_eq!(
            (dead_letters.len(), dead_letters[0].offset, &dead_letters[0].finding, &dead_letters[0].key),
            (1, 3, &None, &None)
        );
        let now = encode_dead_letters(&dead_letters);
        assert_eq!(postcard::from_bytes::<Old>(now.strip_prefix(MAGIC).unwrap()).unwrap(), old);
    }
}
