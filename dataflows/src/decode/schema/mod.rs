//! Messages that a schema describes: Avro and Protobuf, by the schemas of a registry, by one from a file, or by that of a container.
//!
//! ```text
//!   payload ─ frame ─> schema id ─ SchemaRegistry ─> RegisteredSchema ─> CompiledSchema, kept by the worker ──┐
//!               └────> message ───────────────────────────────────────────────────────────────────────────────┴─> SchemaMessage
//!                                                                                          fields by path ─> Scalar
//! ```
//!
//! **What a schema's types are read as.** Integers, decimals, floats: their exact digits; of a float the shortest that read back
//! as it, of 32 bits by its own measure. NaN and infinities are no numbers. Avro's `timestamp-*`, `local-timestamp-*` (as UTC) and
//! `date`, Debezium's and Protobuf's timestamps: instants, whose unit is known. `time-*` and durations are numbers as they are
//! written. Enums are text. Bytes and fixed without a logical type have no value.
//!
//! **Evolution.** A message is decoded by the schema that it was written with, and fields are found by their names in it. A field
//! that the writer's schema does not have is missing, whatever default a newer schema says.
//!
//! **Promises.** An id always stands for the same schema, so what a record decodes to is a function of the record and of the
//! registry. Whatever the bytes of a message or the text of a schema: an error, never a panic, with bounds on depth and memory. An
//! unknown schema, one that cannot be used, and bytes that are not of theirs are rejected with the reason `schema`.
//!
//! **Does not promise.** Bytes that are valid for a schema by accident decode to something: in Protobuf nearly any do, and fields
//! that it does not know are passed over.

mod avro;
mod compiled;
mod container;
mod decoder;
mod frame;
mod message;
mod numbers;
mod protobuf;
mod registered;
#[cfg(test)]
mod tests;
mod varint;

pub use container::ContainerSchema;
pub(crate) use decoder::framed_json;
pub use decoder::{FileSchema, SchemaDecoder};
pub(crate) use message::{SchemaMessage, SchemaNode};
pub(crate) use numbers::decimal;
pub use registered::{RegisteredSchema, SchemaKind};

/// The index of an array that a step is (RFC 6901): digits without a leading zero.
pub(super) fn index(step: &str) -> Option<usize> {
    let is_index = step == "0" || !step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit());
    step.parse().ok().filter(|_| is_index)
}
