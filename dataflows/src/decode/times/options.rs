//! How event times are written.

use crate::decode::unit::TimeUnit;
use serde::{Deserialize, Serialize};

/// How event times are written. The default: numbers of milliseconds, and texts that say their offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeOptions {
    /// The unit of numbers. Default: milliseconds.
    pub unit: TimeUnit,
    /// The format of strptime that all texts and digits are read by; none: numbers, and texts of ISO 8601.
    pub format: Option<String>,
    /// The zone of texts that say no offset: an IANA name, or an offset such as `+01:00`; none: such texts are rejected.
    pub zone: Option<String>,
}

impl Default for TimeOptions {
    fn default() -> Self {
        TimeOptions { unit: TimeUnit::Milliseconds, format: None, zone: None }
    }
}
