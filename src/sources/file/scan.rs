//! Where a JSON text ends: a scanner that takes bytes as they come, and keeps no more than the brackets that are open.
//!
//! It checks brackets, strings, colons and commas, so that it never runs past a text whose structure is broken; what a number or a
//! name may look like is left to the decoder.

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// All bytes belong to the text, which goes on.
    More,
    /// So many bytes do, and the text is whole.
    Whole(usize),
    /// No text of JSON goes on with the byte at this place.
    Broken(usize),
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Value,
    /// A value or `]`.
    FirstElement,
    /// A key or `}`.
    FirstKey,
    Key,
    Colon,
    /// A comma or what closes the innermost bracket.
    Next,
    /// The rest of a string; it is a key.
    String {
        key: bool,
        escaped: bool,
    },
    /// The rest of a number, or of a word such as `true`.
    Word,
}

/// A text that is being scanned.
#[derive(Debug)]
pub(super) struct ValueScan {
    /// `[` and `{` that are open.
    open: Vec<u8>,
    expects: Expects,
}

/// The white space of JSON.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_')
}

impl ValueScan {
    /// At the first byte of a text, which is not blank.
    pub(super) fn new() -> Self {
        ValueScan { open: Vec::new(), expects: Expects::Value }
    }

    /// The text ends here: may it? A number or a word may; all others were found whole before.
    pub(super) fn may_end(&self) -> bool {
        self.open.is_empty() && self.expects == Expects::Word
    }

    /// Goes on with these bytes.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scanned {
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            match self.expects {
                Expects::String { key, escaped } => {
                    at = match self.string(&bytes[at..], key, escaped) {
                        Ok(length) => at + length,
                        Err(length) => return Scanned::Broken(at + length),
                    };
                    if self.is_whole() {
                        return Scanned::Whole(at);
                    }
                    continue;
                }
                Expects::Word if is_word(byte) => {}
                Expects::Word => {
                    if self.open.is_empty() {
                        return Scanned::Whole(at);
                    }
                    self.expects = Expects::Next;
                    continue;
                }
                _ if is_blank(byte) => {}
                _ => {
                    if !self.sign(byte) {
                        return Scanned::Broken(at);
                    }
                    if self.is_whole() {
                        return Scanned::Whole(at + 1);
                    }
                }
            }
            at += 1;
        }
        Scanned::More
    }

    fn is_whole(&self) -> bool {
        self.open.is_empty() && self.expects == Expects::Next
    }

    /// The rest of a string, in bytes with its quote, or as much as there is; or where it is broken, by a control character.
    fn string(&mut self, bytes: &[u8], key: bool, mut escaped: bool) -> Result<usize, usize> {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                ..0x20 => return Err(at),
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.expects = if key { Expects::Colon } else { Expects::Next };
                    return Ok(at + 1);
                }
                _ => {}
            }
        }
        self.expects = Expects::String { key, escaped };
        Ok(bytes.len())
    }

    /// A sign outside of strings and words. Says whether it may stand here.
    fn sign(&mut self, sign: u8) -> bool {
        use Expects::{Colon, FirstElement, FirstKey, Key, Next, Value, Word};
        let string = |key| Expects::String { key, escaped: false };
        self.expects = match (self.expects, sign) {
            (Value | FirstElement, b'{') => {
                self.open.push(sign);
                FirstKey
            }
            (Value | FirstElement, b'[') => {
                self.open.push(sign);
                FirstElement
            }
            (Value | FirstElement, b'"') => string(false),
            (FirstKey | Key, b'"') => string(true),
            (Colon, b':') => Value,
            (Next, b',') if self.open.last() == Some(&b'{') => Key,
            (Next, b',') if self.open.last() == Some(&b'[') => Value,
            (FirstElement | Next, b']') if self.open.last() == Some(&b'[') => self.close(),
            (FirstKey | Next, b'}') if self.open.last() == Some(&b'{') => self.close(),
            (Value | FirstElement, word) if is_word(word) => Word,
            _ => return false,
        };
        true
    }

    fn close(&mut self) -> Expects {
        self.open.pop();
        Expects::Next
    }
}
