//! Wrong variants of single lines, so that tests can show that they would notice (`--features mutants`). Without the
//! feature, none is on and nothing of this is in the binary. `tests/mutants.rs` has for each the check that notices it.

macro_rules! mutants {
    ($($(#[doc = $doc:expr])+ $name:ident,)+) => {
        /// One wrong line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Mutant {
            /// The program itself.
            None,
            $($(#[doc = $doc])+ $name,)+
        }

        impl Mutant {
            /// All that are wrong.
            pub const ALL: &[Mutant] = &[$(Mutant::$name),+];
        }
    };
}

mutants! {
    /// `graph/intern.rs`: a batch is lost after the exchange. Breaks R11's second equation.
    LostBatch,
    /// `graph/retire.rs`: what is retired counts twice in the tally. Breaks R11's second equation.
    RetiredTwice,
    /// `partition/mod.rs`: a floor rises without the partition's own silence (R8). Loses what a slow partition brings.
    FloorWithoutSilence,
    /// `partition/mod.rs`: a partition whose records are not read is taken for caught up (R8). Loses them to its floor.
    IdleUnderBackPressure,
    /// `graph/read/reader.rs`: what can be read is taken for all there is, although a transaction is open (R8).
    OpenTransactionIsTheEnd,
    /// `partition/watermarks.rs`: silence is added to floors (R8). Minutes become final ahead of the clock.
    SilenceCompounds,
    /// `partition/watermarks.rs`: A is the least watermark of the others, caught up or not (R8). The last windows never close.
    WatermarkOfTheOthers,
    /// `control/admission.rs`: a partition found while running is read from where `--start` says. Loses its first records.
    NewPartitionFromLatest,
    /// `control/watermark.rs`: a bounded run closes the windows of a log that goes on. Loses to its floors what comes later.
    ClosesWhatGoesOn,
    /// `control/rounds.rs`: windows may be forgotten when a round begins, not when it is stored. Forgets rows that were never sent.
    ForgottenBeforeStored,
    /// `control/rounds.rs`: windows are to be forgotten before the run's first commit, when the trace does not hold all that it is to forget.
    LineBeforeCommit,
    /// `control/mod.rs`: a run may end by the decision that commits its last cut. Loses that cut's dead letters.
    EndsWithItsCommit,
    /// `control/mod.rs`: partitions are taken as they are when the parts are there, not as they were at the cut.
    SnapshotNotAwaited,
    /// `graph/snapshot/mod.rs`: a part of a cut is sent before its object is durable.
    ObjectNotAwaited,
    /// `graph/snapshot/mod.rs`: a batch is filed under the lower bound of its times. Its later updates miss their cut.
    FiledUnderCapability,
    /// `partition/mod.rs`: ids are let go of by the floor, too. Whether an event is a duplicate depends on when a floor rose.
    IdsExpireByFloor,
    /// `graph/read/ids.rs`: a run does not take back the ids that the one before it held. Counts again what is repeated after a crash.
    IdsNotRestored,
    /// `graph/intern.rs`: coarser windows are made of the minutes of an earlier run again.
    CoarseCountedTwice,
    /// `graph/intern.rs`: coarser windows of an earlier run are forgotten.
    CoarseNotRestored,
    /// `partition/outliers.rs`: a run does not take back the values that the one before it held. Accepts an outlier after a crash.
    OutliersNotRestored,
    /// `partition/outliers.rs`: where most values are equal, every other one is an outlier.
    OutlierOfEqualValues,
    /// `checkpoint/trail_object.rs`: what deltas had is lost to the audit trail as they are merged, but for the newest.
    TrailNotCarried,
    /// `graph/folds.rs`: a run does not take back the folds that the one before it held. An ema begins anew after a crash.
    FoldsNotRestored,
    /// `control/rounds.rs`: windows are forgotten that later rows still look back at.
    LookBackForgotten,
    /// `checkpoint/encoding.rs`: a restart keeps the generation, and so the epochs, of the run before.
    EpochReused,
    /// `checkpoint/sinks.rs`: a run may leave a sink out, and no manifest says so. Loses that sink's rows.
    SinkLeftOut,
    /// `checkpoint/publish.rs`: a manifest counts once it is created, whether others have followed it or not.
    FollowersIgnored,
    /// `checkpoint/publish.rs`: a run that is fenced collects what it believes to be old.
    ZombieCollects,
    /// `acc.rs`: a diff is zero when its sum is. Windows that sum to nothing vanish.
    SumOnlyDiff,
    /// `acc.rs`: sums are floating point.
    FloatSum,
    /// `delivery.rs`: a point that a database refuses is dropped and not recorded.
    PointDropped,
    /// `delivery.rs`: a write of which the oldest points were left out is bisected like any other. Blames some that are stored.
    OldestBisected,
    /// `delivery.rs`: a write that was refused in part is taken for success.
    PartialIsSuccess,
}

#[cfg(feature = "mutants")]
static ACTIVE: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Makes one mutant the program.
#[cfg(feature = "mutants")]
pub fn activate(mutant: Mutant) {
    ACTIVE.store(mutant as u8, std::sync::atomic::Ordering::SeqCst);
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
