//! What both sides of RabbitMQ need, the source and `minutely produce`: the address, a connection over AMQP 0.9.1, what a server
//! says of a queue, and why a request fails.

mod address;
mod client;
mod declare;
mod failure;

pub(crate) use address::{RabbitAddress, address};
pub(crate) use client::{connect, runtime};
pub(crate) use declare::{StreamLookup, look_up, stream_arguments};
pub(crate) use failure::RequestFailure;

/// What to do where a server's certificate is not trusted.
pub(crate) const TRUST: &str = "rabbitmqs: trusts whom the system trusts: install the certificate of the server's own CA there, or name its \
     file in the variable SSL_CERT_FILE, and write the host as the certificate has it";
/// The header by which the server gives a record's offset, and by which a consumer says where it begins.
pub(crate) const OFFSET_HEADER: &str = "x-stream-offset";
/// The header of a record's key.
pub(crate) const KEY_HEADER: &str = "key";
/// The header of a record's stamp in milliseconds, under the name that RabbitMQ's own plugin gives it; the property has whole
/// seconds.
pub(crate) const MILLIS_HEADER: &str = "timestamp_in_ms";
