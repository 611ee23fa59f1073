//! The format, its hash, and what is wrong with bytes that were read back.

use xxhash_rust::xxh3::xxh3_128;

/// How every object begins.
pub(super) const MAGIC: &[u8] = b"minutely-1\n";

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// What is wrong with bytes that were read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Damage {
    what: String,
    newer: bool,
}

impl Damage {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Damage { what: what.into(), newer: false }
    }

    /// Whole, and written by a newer version of this program.
    pub(super) fn newer(format: u32) -> Self {
        Damage { what: format!("has format {format}, and this version reads up to {FORMAT}"), newer: true }
    }

    /// Is nothing wrong but that a newer version of this program wrote it?
    pub fn is_newer(&self) -> bool {
        self.newer
    }
}

/// XXH3-128 in 32 hexadecimal digits (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>).
pub fn hash(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}
