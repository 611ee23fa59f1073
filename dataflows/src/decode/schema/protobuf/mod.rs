//! Protobuf: .proto text or a set of descriptors, and one message, by the crates `protox` and `prost-reflect`.
//!
//! Both bound their recursion (31 messages within messages in a text, 100 levels in a message), and a message takes memory in
//! proportion to its bytes.

mod compile;
#[cfg(test)]
mod tests;
mod value;

pub(super) use compile::ProtobufSchema;
pub(super) use value::ProtobufNode;
