//! Objects of folds: those of one worker's series that changed since the cut before ([`crate::derived`]).
//!
//! They have the shape of objects of windows ([`super::object`]); an entry is a series and its fold, under window 0. The newest entry
//! of a series counts, whichever minute it is of.

use super::damage::Damage;
use super::object::{Object, ObjectBuilder};
use crate::derived::Fold;
use crate::time::WindowStart;
use std::collections::BTreeMap;

/// Hands each fold of the shards that are wanted to `each`.
///
/// # Errors
/// When the bytes are damaged.
pub fn read_folds<'a>(
    bytes: &'a [u8],
    wanted: impl Fn(u64) -> bool,
    mut each: impl FnMut(&'a str, Fold),
) -> Result<(), Damage> {
    let mut broken = None;
    Object::open(bytes)?.read(wanted, |(_, series, fold)| match postcard::take_from_bytes(fold) {
        Ok((fold, [])) => each(series, fold),
        _ => broken = Some(series),
    })?;
    broken.map_or(Ok(()), |series| Err(Damage::new(format!("has an invalid fold of {series}"))))
}

/// One object for several of one worker, oldest first, without the folds whose newest minute is before `since`.
///
/// # Errors
/// When one of them is damaged.
pub(super) fn merge_folds(inputs: &[&[u8]], since: Option<WindowStart>) -> Result<Vec<u8>, Damage> {
    let mut newest = BTreeMap::new();
    for bytes in inputs {
        read_folds(bytes, |_| true, |series, fold| drop(newest.insert(series, fold)))?;
    }
    let mut builder = ObjectBuilder::default();
    for (series, fold) in newest.iter().filter(|(_, fold)| Some(fold.newest()) >= since) {
        builder.push(WindowStart(0), series, fold);
    }
    Ok(builder.encode())
}
