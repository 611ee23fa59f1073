//! However many runs contend for a chain, what counts is in it, and its head is whole (`contending/`).

mod contending;

#[test]
fn what_counts_is_in_the_chain_and_its_head_is_whole() {
    let first = fastrand::u64(..);
    println!("seeds from {first}");
    for n in 0..20_000 {
        let seed = first.wrapping_add(n);
        assert!(contending::one_chain(seed), "seed {seed}");
    }
}
