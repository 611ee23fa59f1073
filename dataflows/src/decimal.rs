//! Exact decimals (R2) and the one division (R9).

use serde::{Deserialize, Serialize};

/// A decimal as it was written, scaled by 10^18.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Decimal(pub i128);
