//! An object as a manifest names it: where it is, and what it must be.

use super::damage::{Damage, hash};
use serde::{Deserialize, Serialize};

/// An object as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its name in the store.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its hash ([`hash`]).
    pub hash: String,
    /// How many entries it has.
    pub entries: u64,
}

impl ObjectRef {
    /// Of these bytes.
    pub fn of(name: impl Into<String>, bytes: &[u8], entries: u64) -> Self {
        ObjectRef { name: name.into(), bytes: bytes.len() as u64, hash: hash(bytes), entries }
    }

    /// Are these the bytes that were written?
    ///
    /// # Errors
    /// In what they differ.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Damage> {
        if bytes.len() as u64 != self.bytes {
            return Err(Damage::new(format!("has {} bytes and had {}", bytes.len(), self.bytes)));
        }
        let now = hash(bytes);
        if now == self.hash { Ok(()) } else { Err(Damage::new(format!("has the hash {now} and had {}", self.hash))) }
    }
}
