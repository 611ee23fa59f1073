//! Avro: schemas as JSON, and one datum in the binary encoding.
//!
//! ```text
//!   text of a schema ──> parse ──> AvroSchema (types by number) ──┐
//!   payload ──────────────────────────────────────────────────────┴─> decode ──> AvroValue, a tree that borrows the payload
//! ```
//!
//! Written here and not left to the crate `apache-avro`, which writes what the tests decode: it reads a boolean that is cut
//! off as null, gives floats and decimals that are to be made text again, decodes by recursion without a limit (the stack's
//! end is the end of the process), and brings 25 crates. What it costs: a schema's defaults and aliases are not looked at,
//! for a message is read by the schema that it was written with.
//!
//! Specification: <https://avro.apache.org/docs/1.12.0/specification/>.

mod parse;
#[cfg(test)]
mod tests;
mod types;
mod value;

pub(super) use types::AvroSchema;
pub(super) use value::AvroValue;
