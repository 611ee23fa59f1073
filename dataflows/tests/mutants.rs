//! Every mutant is noticed, by the check that it is listed with. One test: the mutant is the whole process's.

#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, reason = "tests panic")]

mod hostile;
mod lagging;
mod memory;

use hostile::Kind;
use minutely_dataflows::acc::Avg;
use minutely_dataflows::control::Settings;
use minutely_dataflows::edge::{HaltKind, Takes};
use minutely_dataflows::mutants::{Mutant, activate};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::time::{SECOND, Windowing};

/// A bounded run over a hostile log: what ends it, or the rows that its sink got.
fn run(seed: u64, audit: bool) -> Result<Vec<minutely_dataflows::row::Row>, minutely_dataflows::edge::Halt> {
    let mut rng = fastrand::Rng::with_seed(seed);
    // Many windows and few cuts: rounds of many chunks.
    let rule = Rule { windowing: Windowing { length: SECOND, lateness: 5 * SECOND }, ..Rule::default() };
    let settings = Settings {
        rule,
        bounded: true,
        instant: Some(hostile::BEGAN.plus(3600 * SECOND)),
        checkpoint_interval: SECOND / 10,
        audit,
        ..Settings::default()
    };
    let partitions = hostile::log(&mut rng, Kind::File, &settings.rule, 4, 3000);
    let takes = [Takes { changes: false, partial: true, open_every: 0 }];
    let mut ran = memory::run::<Avg>(&partitions, &settings, &takes, 2)?;
    let mut rows = ran.sinks.pop().unwrap();
    rows.sort_by(|a, b| (a.minute, &a.symbol).cmp(&(b.minute, &b.symbol)));
    Ok(rows)
}

#[test]
fn every_mutant_is_noticed() {
    let first = fastrand::u64(..);
    println!("seeds from {first}");
    let noticed = |mutant: Mutant, check: &dyn Fn(u64) -> bool| {
        activate(None);
        assert!(!check(first), "{mutant:?}: the program itself is taken for wrong");
        activate(Some(mutant));
        let caught = (0..5).any(|n| check(first.wrapping_add(n)));
        activate(None);
        assert!(caught, "{mutant:?} was not noticed");
    };
    let unbalanced =
        |seed| matches!(run(seed, true), Err(halt) if halt.kind == HaltKind::Internal && halt.why.contains("balance"));
    noticed(Mutant::LostBatch, &unbalanced);
    noticed(Mutant::RetiredTwice, &unbalanced);
    noticed(Mutant::FloorWithoutSilence, &|_| lagging::speaks() > 0);
    noticed(Mutant::EndNotReached, &|_| lagging::is_read_slowly() > 0);
    noticed(Mutant::SilenceCompounds, &|_| lagging::silence() > 0);
    noticed(Mutant::ForgottenBeforeStored, &|seed| {
        let mutant = run(seed, false);
        activate(None);
        let differs = mutant != run(seed, false);
        activate(Some(Mutant::ForgottenBeforeStored));
        differs
    });
}
