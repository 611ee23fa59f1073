//! What every thread of the state needs.

use super::retry::StoreHealth;
use super::uri::StoreUri;
use std::sync::Arc;
use std::time::Duration;

/// Where the state is, and how a thread waits for it.
#[derive(Clone)]
pub(super) struct StoreAccess {
    pub(super) place: StoreUri,
    /// How long trouble is waited out; none for ever.
    pub(super) limit: Option<Duration>,
    pub(super) health: Arc<StoreHealth>,
}
