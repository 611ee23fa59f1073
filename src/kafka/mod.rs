//! What both sides of Kafka need, the source and `minutely produce`: the address, librdkafka's properties, how to
//! authenticate, and why a connection fails.

mod address;
mod config;
mod context;
mod failure;
mod oauth;
mod properties;
mod wording;

pub(crate) use address::{KafkaAddress, address};
#[cfg(test)]
pub(crate) use config::empty;
pub(crate) use config::{
    consumer_config, login_mistakes, producer_config, property_mistake, property_mistakes, reads_uncommitted,
};
pub(crate) use context::{ConsumerClient, KafkaContext, RequestClient};
pub(crate) use oauth::token;
pub(crate) use properties::{GivenProperties, properties};
pub(crate) use wording::{lower, reason};
