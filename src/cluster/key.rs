//! The key of a run: what its processes have in common and nobody else knows. It is never sent; keys for tags and for TLS are
//! derived of it (HKDF, RFC 5869).

use ring::rand::{SecureRandom, SystemRandom};
use ring::{hkdf, hmac};
use std::fmt::{self, Write};
use std::io;

/// Bytes of a new key, of a derived one, of a challenge and of a tag.
pub(super) const BYTES: usize = 32;
/// A longer key is a mistake.
const MAX_BYTES: usize = 1024;
/// A random key of 32 bytes has fewer different ones once in 10^28.
const MIN_DIFFERENT_BYTES: usize = 12;

/// The key of a run.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClusterKey(Vec<u8>);

impl fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey")
    }
}

/// Why a text is no key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAKey {
    #[error("is no key: takes what `minutely cluster-key` prints, at least {} hexadecimal digits", 2 * BYTES)]
    NotHexadecimal,
    #[error("is a key of {0} bytes: takes at least {BYTES} random ones, as `minutely cluster-key` makes them")]
    Length(usize),
    #[error("is a key that can be guessed: takes {BYTES} random bytes, as `minutely cluster-key` makes them")]
    NotRandom,
}

/// Random bytes that were never used before.
pub(super) fn nonce() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(bytes)
}

impl ClusterKey {
    /// A new one, of 32 random bytes.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn random() -> io::Result<Self> {
        nonce().map(|bytes| ClusterKey(bytes.to_vec()))
    }

    /// Of the text that [`ClusterKey::text`] makes; white space around it does not matter.
    ///
    /// # Errors
    /// It is no key.
    pub(crate) fn parse(text: &str) -> Result<Self, NotAKey> {
        let text = text.trim().as_bytes();
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.chunks(2).map(byte).collect();
        let bytes = bytes.filter(|bytes| !bytes.is_empty()).ok_or(NotAKey::NotHexadecimal)?;
        if !(BYTES..=MAX_BYTES).contains(&bytes.len()) {
            return Err(NotAKey::Length(bytes.len()));
        }
        let mut different = bytes.clone();
        different.sort_unstable();
        different.dedup();
        if different.len() < MIN_DIFFERENT_BYTES {
            return Err(NotAKey::NotRandom);
        }
        Ok(ClusterKey(bytes))
    }

    /// Of these bytes, however they were made.
    pub(super) fn of_bytes(bytes: &[u8; BYTES]) -> Self {
        ClusterKey(bytes.to_vec())
    }

    /// Hexadecimal digits.
    pub(crate) fn text(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    /// Of what tags are made.
    pub(super) fn tags(&self) -> TagKey {
        TagKey(hmac::Key::new(hmac::HMAC_SHA256, &self.derive("tag of a caller")))
    }

    /// A key for this purpose alone.
    pub(super) fn derive(&self, purpose: &str) -> [u8; BYTES] {
        let pseudorandom = hkdf::Salt::new(hkdf::HKDF_SHA256, b"minutely cluster 2").extract(&self.0);
        let mut bytes = [0; BYTES];
        let info = [purpose.as_bytes()];
        let derived = pseudorandom.expand(&info, hkdf::HKDF_SHA256);
        derived.and_then(|derived| derived.fill(&mut bytes)).expect("32 bytes are fewer than 255 blocks of SHA-256");
        bytes
    }
}

/// By what a caller proves that it knows the key, before anything else.
pub(super) struct TagKey(hmac::Key);

impl TagKey {
    /// The tag of this challenge.
    pub(super) fn tag(&self, challenge: &[u8; BYTES]) -> [u8; BYTES] {
        let mut tag = [0; BYTES];
        tag.copy_from_slice(hmac::sign(&self.0, challenge).as_ref());
        tag
    }

    /// Is this the tag of that challenge? Takes as long for any other.
    pub(super) fn is_tag(&self, challenge: &[u8; BYTES], tag: &[u8]) -> bool {
        hmac::verify(&self.0, challenge, tag).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_at_least_32_random_bytes() {
        let key = ClusterKey::random().unwrap();
        assert_eq!(ClusterKey::parse(&format!(" {}\n", key.text())), Ok(key.clone()));
        assert_eq!(ClusterKey::parse(&key.text().to_uppercase()), Ok(key.clone()));
        assert_ne!(ClusterKey::random().unwrap(), key);
        assert!(!format!("{key:?}").contains(&key.text()));
        let text = key.text();
        for (text, why) in [
            ("", NotAKey::NotHexadecimal),
            (&text[1..], NotAKey::NotHexadecimal),
            ("correct horse battery staple correct horse battery staple correct", NotAKey::NotHexadecimal),
            (&text[2..], NotAKey::Length(31)),
            (&"0123456789abcdef".repeat(200), NotAKey::Length(1600)),
            (&"0123456789abcdef".repeat(4), NotAKey::NotRandom),
        ] {
            assert_eq!(ClusterKey::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn what_is_derived_is_for_one_purpose() {
        let key = ClusterKey::random().unwrap();
        assert_ne!(key.derive("a"), key.derive("b"));
        assert_eq!(key.derive("a"), key.clone().derive("a"));
        assert_ne!(key.derive("a").to_vec(), key.0);
        let (tags, challenge) = (key.tags(), [7; BYTES]);
        assert!(tags.is_tag(&challenge, &tags.tag(&challenge)) && !tags.is_tag(&[8; BYTES], &tags.tag(&challenge)));
    }
}
