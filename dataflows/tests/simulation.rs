//! Any schedule and any crash come to the oracle's rows (`simulated/`).
//!
//! For every seed: all windows become final by evidence alone, final rows are the oracle's over the log and the listed
//! exceptions, each once; every exception by a floor has a silence that proves it; the ledger balances at every cut;
//! every row and dead letter that is ever sent is in a manifest that is committed; a manifest that counts is in the
//! chain; and the same seed gives the same run, row by row.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod hostile;
mod simulated;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn long() -> bool {
    std::env::var_os("MINUTELY_TEST_LONG").is_some()
}

/// `MINUTELY_TEST_SEED=N` checks that seed alone; `MINUTELY_TEST_SEEDS=N` so many fresh ones.
#[test]
fn any_schedule_and_any_crash_come_to_the_oracles_rows() {
    let one = number("MINUTELY_TEST_SEED");
    let first = one.unwrap_or_else(|| fastrand::u64(..));
    println!("seeds from {first}");
    let seeds = one.map(|_| 1).or_else(|| number("MINUTELY_TEST_SEEDS")).unwrap_or(if long() { 1000 } else { 200 });
    let seen = (0..seeds).map(|n| simulated::check(first.wrapping_add(n)));
    let met = seen.reduce(|a, b| a + b).expect("at least one");
    println!("{met:?}");
    let says_something = met.exceptions > 0 && met.crashes > 0 && met.merges > 0 && met.revenants > 0;
    let says_something = says_something && met.groups > 0;
    assert!(seeds < 100 || says_something, "{met:?}: the test says little");
}

/// An event that repeats an id counts once, whatever crashes lie between the two.
#[test]
fn any_schedule_and_any_crash_drop_the_oracles_duplicates() {
    let one = number("MINUTELY_TEST_SEED");
    let first = one.unwrap_or_else(|| fastrand::u64(..));
    println!("seeds from {first}");
    let seeds = one.map(|_| 1).or_else(|| number("MINUTELY_TEST_SEEDS")).unwrap_or(if long() { 1000 } else { 100 });
    let seen = (0..seeds).map(|n| simulated::check_with_ids(first.wrapping_add(n)));
    let met = seen.reduce(|a, b| a + b).expect("at least one");
    println!("{met:?}");
    let says_something = met.exceptions > 0 && met.crashes > 0 && met.merges > 0 && met.duplicates > 0;
    assert!(seeds < 100 || says_something, "{met:?}: the test says little");
}

/// What is cleaned is a function of the log, whatever crashes lie between an outlier and the values before it.
#[test]
fn any_schedule_and_any_crash_clean_as_the_oracle_does() {
    let one = number("MINUTELY_TEST_SEED");
    let first = one.unwrap_or_else(|| fastrand::u64(..));
    println!("seeds from {first}");
    let seeds = one.map(|_| 1).or_else(|| number("MINUTELY_TEST_SEEDS")).unwrap_or(if long() { 1000 } else { 100 });
    let seen = (0..seeds).map(|n| simulated::check_with_cleaning(first.wrapping_add(n)));
    let met = seen.reduce(|a, b| a + b).expect("at least one");
    println!("{met:?}");
    let says_something = met.exceptions > 0 && met.crashes > 0 && met.duplicates > 0 && met.outliers > 0;
    assert!(seeds < 100 || says_something, "{met:?}: the test says little");
}

#[test]
fn a_crash_before_and_after_every_effect_comes_to_the_oracles_rows() {
    for n in 0..if long() { 20 } else { 3 } {
        let seed = number("MINUTELY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..)).wrapping_add(n);
        println!("seed {seed}");
        println!("{} effects", simulated::crash_at_every_effect(seed, n % 2 == 1, n % 4 > 1));
    }
}

/// A run that ends for want of memory is no answer.
#[test]
fn sinks_that_come_late_stop_the_reading_and_nothing_is_lost() {
    let first = number("MINUTELY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("seeds from {first}");
    (0..20).for_each(|n| simulated::sinks_that_come_late(first.wrapping_add(n)));
}
