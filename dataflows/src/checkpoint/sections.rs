//! Sections: the content of an object by shard, so that a worker reads of it what it holds, and a merge goes shard by shard.
//!
//! ```text
//!   head  section of shard 3, section of shard 7, …  index  length of the index (u32, little endian)
//! ```
//!
//! The index says for each shard that has a section where it begins, how long it is and how many entries it has, in postcard's wire
//! format (<https://postcard.jamesmunns.com/wire-format>).

use super::damage::Damage;
use serde::{Deserialize, Serialize};

/// Where a shard's section is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Section {
    pub(super) shard: u64,
    pub(super) from: u64,
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

/// Writes sections one after the other.
pub(super) struct SectionWriter {
    bytes: Vec<u8>,
    index: Vec<Section>,
}

impl SectionWriter {
    /// `head`: how the object begins.
    pub(super) fn new(head: Vec<u8>) -> Self {
        SectionWriter { bytes: head, index: Vec::new() }
    }

    /// Adds a section, unless it has no entry. `write` appends its bytes, and says how many entries they are.
    pub(super) fn section(&mut self, shard: u64, write: impl FnOnce(&mut Vec<u8>) -> u64) {
        let from = self.bytes.len();
        let entries = write(&mut self.bytes);
        if entries > 0 {
            let bytes = (self.bytes.len() - from) as u64;
            self.index.push(Section { shard, from: from as u64, bytes, entries });
        }
    }

    /// The object's bytes.
    pub(super) fn end(mut self) -> Vec<u8> {
        let from = self.bytes.len();
        self.bytes = postcard::to_extend(&self.index, self.bytes).expect("memory takes it");
        let length = u32::try_from(self.bytes.len() - from).expect("an index of 256 sections");
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes
    }
}

/// The index at the end of an object; none where there is none.
pub(super) fn index_of(bytes: &[u8]) -> Option<Vec<Section>> {
    let (body, length) = bytes.split_last_chunk::<4>()?;
    let from = body.len().checked_sub(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    postcard::from_bytes(body.get(from..)?).ok()
}

impl Section {
    /// Its bytes.
    ///
    /// # Errors
    /// When they are not there.
    pub(super) fn of<'a>(&self, object: &'a [u8]) -> Result<&'a [u8], Damage> {
        let range = || {
            let from = usize::try_from(self.from).ok()?;
            object.get(from..from.checked_add(usize::try_from(self.bytes).ok()?)?)
        };
        range().ok_or_else(broken)
    }
}

/// Why a section is not one.
pub(super) fn broken() -> Damage {
    Damage::new("has a broken section")
}

/// Do sections follow one another from this byte on, shards ascending, each with an entry?
///
/// # Errors
/// When they do not.
pub(super) fn verify_index(index: &[Section], mut from: u64) -> Result<(), Damage> {
    let mut before = None;
    for Section { shard, from: begins, bytes, entries } in index.iter().copied() {
        if begins != from || Some(shard) <= before || entries == 0 {
            return Err(Damage::new("has sections that do not follow one another"));
        }
        from = begins.checked_add(bytes).ok_or_else(broken)?;
        before = Some(shard);
    }
    Ok(())
}
