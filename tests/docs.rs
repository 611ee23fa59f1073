//! What documents say of the code is there.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::path::Path;

/// Each row of the table of promises names tests, by file and function.
#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("docs/guarantees.md")).unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| line.starts_with("| ")).map(|l| l.split(" | ").collect()).collect();
    assert!(rows.len() > 10, "a table");
    for row in &rows[1..] {
        let mut source = None;
        let names: Vec<&str> = row[2].split('`').skip(1).step_by(2).collect();
        assert!(names.len() > 1, "no test holds: {}", row[0]);
        for name in names {
            if name.ends_with(".rs") {
                source = Some(std::fs::read_to_string(root.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")));
            } else {
                let is_there = source.as_ref().is_some_and(|source| source.contains(&format!("fn {name}(")));
                assert!(is_there, "there is no test `{name}`: {}", row[0]);
            }
        }
    }
}
