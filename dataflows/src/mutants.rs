//! Wrong variants of single lines, so that tests can show that they would notice (`--features mutants`). Without the
//! feature, none is on and nothing of this is in the binary.

/// One wrong line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mutant {
    /// `graph/intern.rs`: a batch is lost after the exchange. Breaks R11's second equation.
    LostBatch = 1,
    /// `graph/retire.rs`: what is forgotten is forgotten twice in the tally. Breaks the trace's audit.
    RetiredTwice = 2,
    /// `partition.rs`: a floor rises without the partition's own silence (R8). Loses what a slow partition brings.
    FloorWithoutSilence = 3,
    /// `partition.rs`: a partition with records to read is taken for caught up. Loses them to its own floor.
    EndNotReached = 4,
    /// `control.rs`: the line moves when a round begins, not when it is stored. Forgets rows that were never sent.
    ForgottenBeforeStored = 5,
    /// `partition.rs`: silence is added to floors (R8). Minutes become final ahead of the clock.
    SilenceCompounds = 6,
}

#[cfg(feature = "mutants")]
static ACTIVE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Makes one mutant, or none, the program.
#[cfg(feature = "mutants")]
pub fn activate(mutant: Option<Mutant>) {
    ACTIVE.store(mutant.map_or(0, |mutant| mutant as u8), std::sync::atomic::Ordering::SeqCst);
}

/// Is this one the program?
#[cfg(feature = "mutants")]
pub(crate) fn on(mutant: Mutant) -> bool {
    ACTIVE.load(std::sync::atomic::Ordering::Relaxed) == mutant as u8
}

/// Is this one the program? Never.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn on(_: Mutant) -> bool {
    false
}
