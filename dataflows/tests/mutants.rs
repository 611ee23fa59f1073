//! Every mutant is noticed: by one of its recorded seeds (a change of the simulation changes what a seed draws), and by
//! what share of fresh ones is told. One test: the mutant is the whole process's.

#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, reason = "tests panic")]

mod contending;
mod delivering;
mod ending;
mod hostile;
mod lagging;
mod memory;
mod nightly;
mod simulated;

use minutely_dataflows::mutants::{Mutant, activate};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What notices a mutant, and seeds with which it did.
fn noticed_by(mutant: Mutant) -> (fn(u64) -> bool, &'static [u64]) {
    let simulation: fn(u64) -> bool = |seed| catch_unwind(AssertUnwindSafe(|| simulated::check(seed))).is_err();
    let ids: fn(u64) -> bool = |seed| catch_unwind(AssertUnwindSafe(|| simulated::check_with_ids(seed))).is_err();
    let cleaned: fn(u64) -> bool =
        |seed| catch_unwind(AssertUnwindSafe(|| simulated::check_with_cleaning(seed))).is_err();
    let chain: fn(u64) -> bool = |seed| (0..2000).any(|n| !contending::one_chain(seed.wrapping_add(n)));
    let delivery: fn(u64) -> bool = |seed| (0..50).any(|n| !delivering::accounts_for_every_point(seed.wrapping_add(n)));
    match mutant {
        Mutant::None => unreachable!("it is the program"),
        Mutant::FloorWithoutSilence => (|_| lagging::speaks() > 0, &[0]),
        Mutant::IdleUnderBackPressure => (|_| lagging::is_read_slowly() > 0, &[0]),
        Mutant::EndsWithItsCommit => (|_| (0..20).any(|_| ending::lacks_dead_letters() > 0), &[0]),
        Mutant::ClosesWhatGoesOn => (|_| nightly::late(true) > 0, &[0]),
        Mutant::SilenceCompounds => (|_| lagging::silence() > 0, &[0]),
        Mutant::FollowersIgnored | Mutant::ZombieCollects => (chain, &[0]),
        Mutant::PointDropped | Mutant::PartialIsSuccess | Mutant::OldestBisected => (delivery, &[0]),
        Mutant::IdsExpireByFloor => (ids, &[7024, 7101, 7134, 7140]),
        Mutant::IdsNotRestored => (ids, &[7000, 7004, 7018]),
        Mutant::CoarseCountedTwice | Mutant::CoarseNotRestored => (simulation, &[3003, 3009, 3012]),
        Mutant::OutliersNotRestored => (cleaned, &[8004, 8011, 8013]),
        Mutant::OutlierOfEqualValues => (cleaned, &[8004, 8006, 8010]),
        Mutant::OpenTransactionIsTheEnd => (simulation, &[5019, 5020, 5027]),
        Mutant::FiledUnderCapability => (simulation, &[5001, 5005, 5012]),
        Mutant::LineBeforeCommit => (simulation, &[5000, 5016, 5069]),
        Mutant::SinkLeftOut => (simulation, &[5000, 5011, 5015, 5016]),
        Mutant::MembershipOfTheEnd => (simulation, &[9000, 9002, 9004]),
        Mutant::GroupsOfHalfAMinute => (simulation, &[9112, 9148, 9308]),
        Mutant::FoldsNotRestored => (simulation, &[5018, 5075, 5079]),
        Mutant::LookBackForgotten => (simulation, &[5000, 5001, 5002]),
        Mutant::TrailNotCarried => (simulation, &[3000, 5005, 5007, 5010]),
        Mutant::NewPartitionFromLatest => (simulation, &[5002, 5009, 5016]),
        Mutant::LostBatch
        | Mutant::RetiredTwice
        | Mutant::WatermarkOfTheOthers
        | Mutant::ForgottenBeforeStored
        | Mutant::SnapshotNotAwaited
        | Mutant::ObjectNotAwaited
        | Mutant::EpochReused
        | Mutant::SumOnlyDiff
        | Mutant::FloatSum => (simulation, &[3000, 3001, 3002, 3003, 3004]),
    }
}

/// `MINUTELY_TEST_SEEDS=N`: so many fresh seeds a mutant; `MINUTELY_TEST_SEED=N`: from this one on;
/// `MINUTELY_TEST_MUTANT=NAME`: this one alone.
#[test]
fn every_mutant_is_noticed() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let first = number("MINUTELY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seeds = number("MINUTELY_TEST_SEEDS").unwrap_or(10);
    println!("seeds from {first}");
    let report = std::panic::take_hook();
    let mut missed = Vec::new();
    let alone = std::env::var("MINUTELY_TEST_MUTANT").ok();
    let wanted = |mutant: &Mutant| alone.as_ref().is_none_or(|name| *name == format!("{mutant:?}"));
    for mutant in Mutant::ALL.iter().copied().filter(wanted) {
        let (notices, recorded) = noticed_by(mutant);
        assert!(!notices(first), "{mutant:?}: the program itself is taken for wrong");
        std::panic::set_hook(Box::new(|_| {}));
        activate(mutant);
        if !recorded.iter().any(|seed| notices(*seed)) {
            missed.push(mutant);
        }
        let fresh: Vec<_> = (0..seeds).map(|n| first.wrapping_add(n)).filter(|seed| notices(*seed)).collect();
        activate(Mutant::None);
        drop(std::panic::take_hook());
        let one = match &fresh[..] {
            [] => String::new(),
            some => format!(", by seeds {:?}", &some[..some.len().min(3)]),
        };
        println!("{mutant:?}: noticed by {} of {seeds} fresh seeds{one}", fresh.len());
    }
    std::panic::set_hook(report);
    assert!(missed.is_empty(), "not noticed with their recorded seeds: {missed:?}");
}
