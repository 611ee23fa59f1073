//! Every point of a batch is stored or refused (`delivering/`).

mod delivering;

#[test]
fn every_point_is_stored_or_refused() {
    let first = fastrand::u64(..);
    println!("seeds from {first}");
    for n in 0..20_000 {
        let seed = first.wrapping_add(n);
        assert!(delivering::accounts_for_every_point(seed), "seed {seed}");
    }
}
