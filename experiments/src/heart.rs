//! The heart with small hands: a clock, sinks that take all, and files as a log.
