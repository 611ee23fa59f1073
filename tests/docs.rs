//! What documents say of the code is there: tests, files, functions, links and terms.

#![allow(clippy::unwrap_used, reason = "tests panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The parts of the contract: each has a drawing, and says what it does not promise.
const PARTS: [&str; 9] = [
    "docs/checkpoints.md",
    "docs/cli.md",
    "docs/cluster.md",
    "docs/dataflow.md",
    "docs/repair.md",
    "docs/semantics.md",
    "docs/sinks.md",
    "docs/sources.md",
    "docs/verify.md",
];

/// Words that one paragraph, list item or quotation of these parts may have.
const MOST_WORDS: usize = 120;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The pages that are checked, by their paths from the root.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let docs = docs.filter_map(|name| Some(format!("docs/{}", name.to_str().filter(|name| name.ends_with(".md"))?)));
    let pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/recipes/README.md"].map(str::to_owned);
    let mut pages: Vec<String> = pages.into_iter().chain(docs).collect();
    pages.sort_unstable();
    assert!(pages.len() > 12, "{pages:?}");
    pages
}

/// A page's lines without blocks of code, with their numbers from 1.
fn prose(page: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    let mut blank = true;
    for (number, line) in (1..).zip(text(page).lines()) {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        // Four spaces after a blank line are code; within a list item they are not.
        let code = line.starts_with("    ") && blank && !line.trim_start().starts_with("- ");
        if !(fenced || fence || code) {
            lines.push((number, line.to_owned()));
        }
        blank = line.is_empty() || code;
    }
    assert!(!fenced, "{page}: a block of code has no end");
    lines
}

/// What stands in backticks in a line.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// A line with nothing in its backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// The anchors of a page, as GitHub makes them of headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(page).into_iter().filter(|(_, line)| line.starts_with('#'));
    let anchor = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect::<String>()
    };
    headings
        .map(|(_, line)| {
            let name = anchor(&line);
            let times = seen.entry(name.clone()).or_default();
            *times += 1;
            if *times == 1 { name } else { format!("{name}-{}", *times - 1) }
        })
        .collect()
}

/// Is it in the repository?
fn is_there(path: &str) -> bool {
    root().join(path).exists()
}

/// Each row of the table of promises names tests, by file and function.
#[test]
fn every_promise_names_tests_that_exist() {
    let table = text("docs/guarantees.md");
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| line.starts_with("| ")).map(|l| l.split(" | ").collect()).collect();
    assert!(rows.len() > 10, "a table");
    for row in &rows[1..] {
        let mut source = None;
        let names: Vec<&str> = code(row[2]).collect();
        assert!(names.len() > 1, "no test holds: {}", row[0]);
        for name in names {
            if name.ends_with(".rs") {
                source = Some(text(name));
            } else {
                let is_there = source.as_ref().is_some_and(|source| source.contains(&format!("fn {name}(")));
                assert!(is_there, "there is no test `{name}`: {}", row[0]);
            }
        }
    }
}

/// Links within the repository, to files and to headings.
#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    let mut links = 0;
    for page in pages() {
        let folder = Path::new(&page).parent().unwrap();
        for (number, line) in prose(&page) {
            let line = without_code(&line);
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
            for target in targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
                links += 1;
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let to = if path.is_empty() { PathBuf::from(&page) } else { plain(&folder.join(path)) };
                let to = to.to_str().unwrap();
                if !root().join(to).exists() {
                    wrong.push(format!("{page}:{number}: {target}: there is no such file"));
                } else if !anchor.is_empty() && !anchors(to).contains(anchor) {
                    wrong.push(format!("{page}:{number}: {target}: there is no such heading"));
                }
            }
        }
    }
    assert!(links > 100, "only {links} links were found");
    assert_eq!(wrong, Vec::<String>::new());
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => assert!(plain.pop(), "{path:?} leads out of the repository"),
            part => plain.push(part),
        }
    }
    plain
}

/// The names of all Rust files in a folder, without their folders.
fn rust_files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap());
    let names = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path().is_dir())));
    let inner = |(name, is_dir): (String, bool)| match is_dir {
        true => rust_files(&format!("{folder}/{name}")),
        false => vec![name],
    };
    names.flat_map(inner).filter(|name| name.ends_with(".rs")).collect()
}

/// What looks like a path in the repository, or is a Rust file's name, in backticks, is one.
#[test]
fn every_file_that_is_named_exists() {
    const FOLDERS: [&str; 7] = ["src/", "dataflows/", "tests/", "docs/", "experiments/", "grafana/", ".ci/"];
    let rust: BTreeSet<String> =
        ["src", "dataflows", "tests", "experiments/src"].into_iter().flat_map(rust_files).collect();
    let mut wrong = Vec::new();
    let mut files = 0;
    for page in pages() {
        for (number, line) in prose(&page) {
            for name in code(&line) {
                let is_path = FOLDERS.iter().any(|folder| name.starts_with(folder));
                let is_rust = name.ends_with(".rs") && !name.contains('/');
                if !(is_path || is_rust) || name.contains(|c: char| c.is_whitespace() || "*<>{}…$[]".contains(c)) {
                    continue;
                }
                files += 1;
                if !(is_there(name) || is_rust && rust.contains(name)) {
                    wrong.push(format!("{page}:{number}: `{name}`"));
                }
            }
        }
    }
    assert!(files > 100, "only {files} files were found");
    assert_eq!(wrong, Vec::<String>::new(), "files that pages name and that do not exist");
}

/// The steps of "Follow one record" and "Follow one cut": each `name()` is a function in the file named last before it.
#[test]
fn every_step_names_a_function_that_exists() {
    let page = text("ARCHITECTURE.md");
    let mut wrong = Vec::new();
    for heading in ["## Follow one record", "## Follow one cut"] {
        let part = page.split_once(heading).unwrap().1.split("\n## ").next().unwrap();
        let steps = part.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).count();
        assert!((10..=15).contains(&steps), "{heading} has {steps} steps");
        let mut file = None;
        for name in part.split('`').skip(1).step_by(2) {
            if let Some(function) = name.strip_suffix("()") {
                let file: &str = file.unwrap_or_else(|| panic!("`{name}` has no file before it"));
                if root().join(file).exists() && !sources(file).contains(&format!("fn {function}")) {
                    wrong.push(format!("{heading}: `{file}` has no function `{function}`"));
                }
            } else if name.contains('/') && is_there(name) && !name.starts_with("ticks/") {
                file = Some(name);
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The text of a file, or of all Rust files of a folder.
fn sources(path: &str) -> String {
    let at = root().join(path);
    if at.is_file() {
        return text(path);
    }
    let entries = fs::read_dir(&at).unwrap_or_else(|e| panic!("{path}: {e}"));
    let entries = entries.map(|entry| entry.unwrap().path());
    let names = entries.filter(|path| path.is_dir() || path.extension().is_some_and(|end| end == "rs"));
    names.map(|path| sources(path.strip_prefix(root()).unwrap().to_str().unwrap())).collect()
}

/// The strings in a part of Rust source.
fn strings(source: &str) -> Vec<&str> {
    source.split('"').skip(1).step_by(2).collect()
}

/// The table of rooms in ARCHITECTURE.md is the one that imports are checked by: names, files, who may import whom, exceptions.
#[test]
fn the_table_of_rooms_is_the_one_that_imports_are_checked_by() {
    let source = text("tests/house/rooms.rs");
    let between = |from: &str, to: &str| source.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned();
    let rooms = between("const ROOMS: &[Room] = &[", "\n];");
    let rooms = rooms.split("Room { name:").skip(1).map(|room| {
        let (name, rest) = room.split_once("files:").unwrap();
        let (files, imports) = rest.split_once("imports:").unwrap();
        let files = strings(files).into_iter().map(|path| path.strip_prefix("src/").unwrap_or(path).to_owned());
        let files = files.collect::<Vec<_>>();
        let imports = strings(imports).into_iter().map(|name| name.replace('*', "all")).collect::<Vec<_>>();
        (strings(name)[0].to_owned(), files, imports)
    });
    let page = text("ARCHITECTURE.md");
    let table = page.split_once("| room | ").unwrap().1.split_once("\n\n").unwrap().0;
    let rows = table.lines().skip(2).map(|row| {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let files = code(cells[1]).map(|path| path.trim_end_matches('/').to_owned());
        let files = files.filter(|path| path != "minutely-dataflows").collect::<Vec<_>>();
        let imports = cells[3].split("; ").next().unwrap().split(", ").map(str::to_owned);
        let imports = imports.filter(|name| name != "no other room").collect::<Vec<_>>();
        (cells[0].to_owned(), files, imports)
    });
    assert_eq!(rows.collect::<Vec<_>>(), rooms.collect::<Vec<_>>());

    let exceptions = between("const EXCEPTIONS: &[(&str, &str, &str)] = &[", "];");
    for exception in exceptions.lines().filter(|line| line.contains('"')) {
        let said = page.split_once("An exception, with its reason").map(|(_, rest)| rest.split("\n\n").next().unwrap());
        let from = strings(exception)[0];
        assert!(
            said.is_some_and(|said| code(said).any(|name| name == from)),
            "ARCHITECTURE.md does not name the exception of `{from}`: say it in a paragraph that begins with `An exception, with its reason`"
        );
    }
}

/// Each term of the glossary is there once, in order.
#[test]
fn the_glossary_is_in_order() {
    let page = text("docs/glossary.md");
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let terms: Vec<String> = rows.map(|row| row.split(" | ").next().unwrap()[2..].to_lowercase()).collect();
    let sorted: BTreeSet<&String> = terms.iter().collect();
    assert!(terms.len() > 50);
    assert_eq!(terms.iter().collect::<Vec<_>>(), sorted.into_iter().collect::<Vec<_>>());
}

/// Types and their parts that the glossary names are in the code.
#[test]
fn every_name_of_the_glossary_is_in_the_code() {
    let rust = sources("dataflows/src") + &sources("src");
    let words: BTreeSet<&str> = rust.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let page = text("docs/glossary.md");
    let names = page.split('`').skip(1).step_by(2);
    let names = names.filter(|name| name.starts_with(char::is_uppercase) && !name.contains([' ', '/', '.']));
    let missing = names.filter(|name| !name.split("::").all(|part| words.contains(part)));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new());
}

/// Each part of the contract has a drawing, says what is not promised and where its tests are, and has short paragraphs.
#[test]
fn parts_of_the_contract_are_short_and_say_their_limits() {
    for page in PARTS {
        let whole = text(page);
        assert!(whole.contains("\n```\n"), "{page} has no drawing");
        for heading in ["\n## What is not promised\n", "\n## Tests\n"] {
            assert!(whole.contains(heading), "{page} lacks {heading:?}");
        }
    }
    let mut long = Vec::new();
    for page in PARTS.into_iter().chain(["ARCHITECTURE.md"]) {
        let (mut from, mut words) = (0, 0);
        for (number, line) in prose(page).into_iter().chain([(0, String::new())]) {
            let begins = ["- ", "|", "#", ">"].iter().any(|mark| line.starts_with(mark)) && !line.starts_with("> ")
                || line.starts_with(|c: char| c.is_ascii_digit());
            if line.is_empty() || begins {
                long.extend((words > MOST_WORDS).then(|| format!("{page}:{from}: {words} words")));
                (from, words) = (number, 0);
            }
            words += line.split_whitespace().count();
        }
    }
    assert_eq!(long, Vec::<String>::new(), "blocks of more than {MOST_WORDS} words");
}
