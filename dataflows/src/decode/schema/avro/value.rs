//! One datum in Avro's binary encoding, to a tree.
//!
//! Whatever the bytes: no panic, at most [`MOST_DEPTH`] levels, and memory in proportion to the payload. A datum ends where
//! its payload ends; bytes that are left are as wrong as bytes that are missing.

use super::types::{AvroSchema, AvroType, RecordType, TypeId};
use std::sync::Arc;

/// Levels of records, arrays, maps and unions at most. A schema that leads to itself would go on for ever.
const MOST_DEPTH: usize = 64;
/// Values of a message at most, beside four for each byte. Nulls and empty records are written in no bytes at all: an array
/// of 2^62 of them is 10 bytes long.
const FREE_VALUES: usize = 4096;
/// Bytes that may hold values of a datum whose end is not known, at most.
const MOST_COUNTED: usize = 1 << 20;

/// A value within a message.
#[derive(Clone, Debug)]
pub(crate) enum AvroValue<'a> {
    Null,
    Boolean(bool),
    /// An int or a long.
    Integer(i64),
    Float(f32),
    Double(f64),
    /// Bytes, or a fixed.
    Bytes(&'a [u8]),
    Text(&'a str),
    Enum(Arc<str>),
    /// Whole units since 1970; a unit in nanoseconds.
    Instant(i64, i64),
    /// An integer in two's complement, most significant byte first, times 10^-scale.
    Decimal(&'a [u8], i64),
    /// 16 bytes.
    Uuid(&'a [u8]),
    Array(Vec<AvroValue<'a>>),
    Map(Vec<(&'a str, AvroValue<'a>)>),
    /// Its values, in the order of the type's fields.
    Record(Arc<RecordType>, Vec<AvroValue<'a>>),
}

/// The bytes are not of the schema.
#[derive(Debug)]
struct Malformed {
    what: String,
    /// From the innermost field outwards.
    within: Vec<String>,
}

impl From<&str> for Malformed {
    fn from(what: &str) -> Self {
        Malformed { what: what.to_owned(), within: Vec::new() }
    }
}

impl From<String> for Malformed {
    fn from(what: String) -> Self {
        Malformed { what, within: Vec::new() }
    }
}

impl AvroSchema {
    /// The message that a payload is.
    ///
    /// # Errors
    /// What is wrong with its bytes, and at which: for people.
    pub(crate) fn decode<'a>(&self, payload: &'a [u8]) -> Result<AvroValue<'a>, String> {
        let (value, length) = self.first(payload, FREE_VALUES + payload.len().saturating_mul(4))?;
        match payload.len() - length {
            0 => Ok(value),
            more => Err(format!("{length} bytes of it, and {more} more")),
        }
    }

    /// How many bytes of these the first datum takes.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn length_of_first(&self, bytes: &[u8]) -> Result<usize, String> {
        // Its length is not known, so what follows it must not raise the number of values.
        let values = FREE_VALUES + bytes.len().min(MOST_COUNTED) * 4;
        self.first(bytes, values).map(|(_, length)| length)
    }

    /// The first datum of these bytes, of so many values at most, and how many bytes it takes.
    fn first<'a>(&self, bytes: &'a [u8], values: usize) -> Result<(AvroValue<'a>, usize), String> {
        let mut datum = Datum { types: &self.types, rest: bytes, values };
        let value = datum.value(self.root, MOST_DEPTH);
        let at = bytes.len() - datum.rest.len();
        match value {
            Ok(value) => Ok((value, at)),
            Err(Malformed { what, within }) => {
                let path: Vec<_> = within.iter().rev().map(String::as_str).collect();
                let within = if path.is_empty() {
                    String::new()
                } else {
                    format!(" in {}", crate::escape::escaped(&path.join(".")))
                };
                Err(format!("{what}{within}, at byte {at} of {}", bytes.len()))
            }
        }
    }
}

/// What is left of a message.
struct Datum<'t, 'a> {
    types: &'t [AvroType],
    rest: &'a [u8],
    /// Values that may still come.
    values: usize,
}

impl<'a> Datum<'_, 'a> {
    fn value(&mut self, of: TypeId, depth: usize) -> Result<AvroValue<'a>, Malformed> {
        let depth = depth.checked_sub(1).ok_or("more than 64 levels")?;
        self.values = self.values.checked_sub(1).ok_or("more values than its bytes can hold")?;
        let types = self.types;
        Ok(match &types[of] {
            AvroType::Null => AvroValue::Null,
            AvroType::Boolean => match self.bytes(1)? {
                [0] => AvroValue::Boolean(false),
                [1] => AvroValue::Boolean(true),
                _ => return Err("a boolean that is neither 0 nor 1".into()),
            },
            AvroType::Int => AvroValue::Integer(self.int()?),
            AvroType::Long => AvroValue::Integer(self.long()?),
            AvroType::Float => AvroValue::Float(f32::from_le_bytes(self.array()?)),
            AvroType::Double => AvroValue::Double(f64::from_le_bytes(self.array()?)),
            AvroType::Bytes => AvroValue::Bytes(self.prefixed()?),
            AvroType::Text => AvroValue::Text(self.text()?),
            AvroType::Fixed(size) => AvroValue::Bytes(self.bytes(*size)?),
            AvroType::Instant { unit, is_int: true } => AvroValue::Instant(self.int()?, *unit),
            AvroType::Instant { unit, is_int: false } => AvroValue::Instant(self.long()?, *unit),
            AvroType::Decimal { scale, size: None } => AvroValue::Decimal(self.prefixed()?, *scale),
            AvroType::Decimal { scale, size: Some(size) } => AvroValue::Decimal(self.bytes(*size)?, *scale),
            AvroType::BigDecimal => self.big_decimal()?,
            AvroType::Uuid => AvroValue::Uuid(self.bytes(16)?),
            AvroType::Enum(symbols) => {
                let index = self.long()?;
                let symbol = usize::try_from(index).ok().and_then(|index| symbols.get(index));
                AvroValue::Enum(
                    symbol.ok_or_else(|| format!("symbol {index} of an enum of {}", symbols.len()))?.clone(),
                )
            }
            AvroType::Array(items) => AvroValue::Array(self.blocks(|datum| datum.value(*items, depth))?),
            AvroType::Map(values) => {
                AvroValue::Map(self.blocks(|datum| Ok((datum.text()?, datum.value(*values, depth)?)))?)
            }
            AvroType::Union(branches) => {
                let index = self.long()?;
                let branch = usize::try_from(index).ok().and_then(|index| branches.get(index));
                let branch = branch.ok_or_else(|| format!("branch {index} of a union of {}", branches.len()))?;
                self.value(*branch, depth)?
            }
            AvroType::Record(record) => {
                let mut values = Vec::with_capacity(record.fields.len().min(self.values));
                for (name, of) in &record.fields {
                    values.push(self.value(*of, depth).map_err(|mut error| {
                        error.within.push(name.clone());
                        error
                    })?);
                }
                AvroValue::Record(Arc::clone(record), values)
            }
            AvroType::Named => return Err("a type that is not defined".into()),
        })
    }

    /// The items of an array or a map: blocks with their number of items, until one of none.
    fn blocks<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let mut items = Vec::new();
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(items);
            }
            if count < 0 {
                self.long()?; // the block's length in bytes, for those who skip it
            }
            for _ in 0..count.unsigned_abs() {
                items.push(item(self)?); // ends at the latest when no values may come any more
            }
        }
    }

    fn big_decimal(&mut self) -> Result<AvroValue<'a>, Malformed> {
        let bytes = self.prefixed()?;
        let mut inner = Datum { types: self.types, rest: bytes, values: 0 };
        let unscaled = inner.prefixed()?;
        let scale = inner.int()?;
        if inner.rest.is_empty() {
            return Ok(AvroValue::Decimal(unscaled, scale));
        }
        Err("a big-decimal with more bytes than it has".into())
    }

    fn bytes(&mut self, size: usize) -> Result<&'a [u8], Malformed> {
        let (bytes, rest) = self.rest.split_at_checked(size).ok_or("its end")?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or("its end")?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Bytes after their number.
    fn prefixed(&mut self) -> Result<&'a [u8], Malformed> {
        let size = self.long()?;
        let size = usize::try_from(size).map_err(|_| format!("a length of {size}"))?;
        self.bytes(size)
    }

    fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.prefixed()?).map_err(|_| "a string that is no UTF-8".into())
    }

    fn int(&mut self) -> Result<i64, Malformed> {
        let long = self.long()?;
        if i32::try_from(long).is_ok() { Ok(long) } else { Err("an int of more than 32 bits".into()) }
    }

    /// A variable-length integer in zigzag encoding: at most 10 bytes, of the last only one bit.
    fn long(&mut self) -> Result<i64, Malformed> {
        let (zigzag, rest) = super::super::varint::read(self.rest).ok_or("an integer that does not end in 10 bytes")?;
        self.rest = rest;
        Ok(super::super::varint::unzigzag(zigzag))
    }
}
