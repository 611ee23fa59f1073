//! No two files lead to one another: who reads one file needs only those below it.

use crate::source::Tree;
use std::collections::{BTreeMap, BTreeSet};

/// Circles of today, 2026-11-29: each to be cut, then taken from this list.
#[rustfmt::skip]
const CIRCLES: &[&[&str]] = &[];

/// Is `file` the `mod.rs` (or `NAME.rs` beside `NAME/`) of a folder that `inner` stands in? What it shares is its folder's, and
/// it may open the folder's files: that is no circle.
fn opens_folder_of(file: &str, inner: &str) -> bool {
    let folder = file.strip_suffix("/mod.rs").or(file.strip_suffix(".rs")).unwrap_or(file);
    inner.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Which files each file names. A `pub use` counts for what it leads to, and only for those who name it.
fn graph(tree: &Tree) -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let mut graph: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for edge in tree.edges().into_iter().filter(|edge| !edge.is_reexport && !opens_folder_of(&edge.to, &edge.from)) {
        graph.entry(edge.from).or_default().entry(edge.to).or_default().insert(edge.item);
    }
    graph
}

fn reached<'a>(graph: &'a BTreeMap<String, BTreeMap<String, BTreeSet<String>>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
    while let Some(file) = left.pop() {
        for next in graph.get(file).into_iter().flatten().map(|(next, _)| next.as_str()) {
            if seen.insert(next) {
                left.push(next);
            }
        }
    }
    seen
}

#[test]
fn no_files_lead_to_one_another() {
    let graph = graph(&Tree::read());
    let below: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|file| (file.as_str(), reached(&graph, file))).collect();
    let leads = |from: &str, to: &str| below.get(from).is_some_and(|below| below.contains(to));
    let circles: BTreeSet<Vec<&str>> = below
        .iter()
        .filter(|(file, below)| below.contains(*file))
        .map(|(file, below)| below.iter().copied().filter(|other| leads(other, file)).collect())
        .collect();
    let known: BTreeSet<Vec<&str>> = CIRCLES.iter().map(|circle| circle.to_vec()).collect();
    for circle in circles.difference(&known) {
        let inside = |file: &&str| circle.contains(file);
        let edges = circle.iter().flat_map(|from| graph[*from].iter().map(move |(to, items)| (from, to, items)));
        let shown: Vec<String> = edges
            .filter(|(_, to, _)| inside(&to.as_str()))
            .map(|(from, to, items)| {
                format!("  {from} -> {to}: {}", items.iter().cloned().collect::<Vec<_>>().join(", "))
            })
            .collect();
        println!(
            "a circle of files: move what they share to a file below all of them\n  {circle:?},\n{}",
            shown.join("\n")
        );
    }
    for circle in known.difference(&circles) {
        println!("is a circle no more (take it from CIRCLES): {circle:?}");
    }
    assert_eq!(circles, known, "see above");
}
