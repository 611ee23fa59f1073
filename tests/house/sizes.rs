//! What a reader holds in mind at once: short functions with few parameters, and in the core short files.

use crate::source::{Source, Tree};
use std::collections::BTreeSet;

/// Lines of a function, from its `fn` to its last `}`.
const LINES: usize = 70;
/// Parameters of a function, `self` not counted.
const PARAMETERS: usize = 5;
/// Lines of a file of the core, without its tests.
const FILE_LINES: usize = 400;

/// What is larger on 2026-11-29: each to be split, then taken from this list.
#[rustfmt::skip]
const LARGER: &[&str] = &[];

/// Each function with its lines. rustfmt ends one with a `}` as far from the margin as it began.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let begins = line.trim_start();
        let Some((before, after)) = begins.split_once("fn ") else { continue };
        let name = after.split(['(', '<']).next().unwrap_or_default();
        let is_item = before
            .split_whitespace()
            .all(|word| word.starts_with("pub") || ["const", "async", "unsafe", "extern"].contains(&word));
        let end = format!("{}}}", &line[..line.len() - begins.len()]);
        if is_item && !line.ends_with(';') && !line.ends_with('}') {
            let length = lines[at..].iter().position(|line| *line == end).map_or(0, |last| last + 1);
            found.push((name, length));
        }
    }
    found
}

/// Each function with the number of its parameters, `self` not counted.
fn parameters(tokens: &[String]) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    for at in (0..tokens.len().saturating_sub(2)).filter(|at| tokens[*at] == "fn" && tokens[*at + 1] != "(") {
        let (mut depth, mut in_list, mut starts, mut count) = (0_i32, false, false, 0);
        for (sign, before) in tokens[at + 2..].iter().zip(&tokens[at + 1..]) {
            match sign.as_str() {
                "(" if depth == 0 && !in_list => (in_list, starts) = (true, true),
                "(" | "[" | "{" | "<" => depth += 1,
                ")" if depth == 0 => break,
                ">" if before == "-" => {} // an arrow
                ")" | "]" | "}" | ">" => depth -= 1,
                "," if depth == 0 && in_list => starts = true,
                "&" | "'" | "mut" => {}
                "self" if starts => starts = false,
                _ if starts && before == "'" => {} // a lifetime's name
                _ if starts => (starts, count) = (false, count + 1),
                _ => {}
            }
        }
        found.push((tokens[at + 1].as_str(), count));
    }
    found
}

fn larger(source: &Source) -> Vec<(String, String)> {
    let long = functions(&source.text).into_iter().filter(|(_, lines)| *lines > LINES);
    let long = long.map(|(name, lines)| (format!("{}: fn {name}: lines", source.path), format!("{lines} of {LINES}")));
    let wide = parameters(&source.tokens).into_iter().filter(|(_, count)| *count > PARAMETERS);
    let wide = wide
        .map(|(name, count)| (format!("{}: fn {name}: parameters", source.path), format!("{count} of {PARAMETERS}")));
    let lines = source.text.lines().count();
    let is_large = source.path.starts_with("dataflows/") && lines > FILE_LINES;
    let large = is_large.then(|| (format!("{}: lines", source.path), format!("{lines} of {FILE_LINES}")));
    long.chain(wide).chain(large).collect()
}

#[test]
fn functions_and_files_are_of_a_size_to_read() {
    let sources = Tree::read().sources;
    assert!(sources.iter().map(|source| functions(&source.text).len()).sum::<usize>() > 1_000, "functions are found");
    let found: Vec<(String, String)> = sources.iter().flat_map(larger).collect();
    let names: BTreeSet<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let known: BTreeSet<&str> = LARGER.iter().copied().collect();
    for (name, size) in found.iter().filter(|(name, _)| !known.contains(name.as_str())) {
        println!("too large: {name}: {size}");
    }
    for name in known.difference(&names) {
        println!("is small by now: take it from LARGER in tests/house/sizes.rs: {name}");
    }
    assert_eq!(names, known, "see above");
}

#[test]
fn sizes_are_counted() {
    let text = "impl A {\n    pub(super) const fn b<F: Fn(u8) -> u8>(&mut self, c: (u8, u8), d: &'a [B<u8, u8>]) -> u8\n    {\n        1\n    }\n}\n\
        fn e() {}\nfn f(\n    mut g: u8,\n) {\n}\n";
    assert_eq!(functions(text), [("b", 4), ("f", 4)]);
    let tokens = crate::source::tokens(text);
    assert_eq!(parameters(&tokens), [("b", 2), ("e", 0), ("f", 1)]);
}
