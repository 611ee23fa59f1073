//! What all measurements of a sink have in common.

use super::retry::Timeouts;
use super::target::InfluxTarget;
use super::unwritable::Unwritable;
use crate::sinks::options::SinkOptions;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What all measurements of a sink have in common.
pub(super) struct InfluxContext {
    pub(super) target: Arc<InfluxTarget>,
    pub(super) options: SinkOptions,
    pub(super) timeouts: Timeouts,
    pub(super) unwritable: Unwritable,
    /// Was it reported that the database does not keep points for long enough?
    pub(super) warned: AtomicBool,
}
