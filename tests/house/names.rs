//! One word, one thing: no two files have a public type of one name.

use crate::source::Tree;
use std::collections::{BTreeMap, BTreeSet};

/// Names of today that stand for several things, 2026-11-29: each to be given to one of them, then taken from this list.
#[rustfmt::skip]
const SHARED: &[&str] = &[];

#[test]
fn a_type_name_stands_for_one_thing() {
    let mut homes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in Tree::read().sources {
        for public in (0..source.tokens.len()).filter(|at| source.tokens[*at] == "pub") {
            let mut after = source.tokens[public + 1..].iter();
            let mut next = after.next().map(String::as_str);
            if next == Some("(") {
                next = after.by_ref().skip_while(|token| *token != ")").nth(1).map(String::as_str);
            }
            while matches!(next, Some("unsafe" | "auto")) {
                next = after.next().map(String::as_str);
            }
            if let (Some("struct" | "enum" | "trait" | "type" | "union"), Some(name)) = (next, after.next()) {
                homes.entry(name.clone()).or_default().insert(source.path.clone());
            }
        }
    }
    assert!(homes.len() > 100, "{} types found", homes.len());
    let shared: BTreeSet<&str> =
        homes.iter().filter(|(_, files)| files.len() > 1).map(|(name, _)| name.as_str()).collect();
    let known: BTreeSet<&str> = SHARED.iter().copied().collect();
    for name in shared.difference(&known) {
        println!("`{name}` names several things: {:?}", homes[*name]);
    }
    for name in known.difference(&shared) {
        println!("`{name}` names one thing by now: take it from SHARED");
    }
    assert_eq!(shared, known, "see above");
}
