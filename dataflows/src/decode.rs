//! From payload to event (R2).
