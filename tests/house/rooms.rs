//! Who may import whom. A new file falls in the room of its folder; one that lies in no room fails with a word on what to do.
//! To move a file or a folder, change `files` of its room: a prefix `src/store` stands for `src/store.rs` and `src/store/…`, and
//! the longest that fits counts. An empty place may stay listed while another of the same room is there.

use crate::source::Tree;
use std::collections::{BTreeMap, BTreeSet};

struct Room {
    name: &'static str,
    files: &'static [&'static str],
    /// Rooms that it may import; `*`: all.
    imports: &'static [&'static str],
}

#[rustfmt::skip]
const ROOMS: &[Room] = &[
    // What is decided: no clock, no disk, no network.
    Room { name: "core",    files: &["dataflows/src"], imports: &[] },
    // What all edges share.
    Room { name: "formats", files: &["src/advice", "src/dead_letter_files", "src/dead_letter_line", "src/text", "src/uri", "src/duration", "src/size", "src/fmt", "src/metrics_text", "src/start_at", "src/semantics", "src/property"], imports: &["core"] },
    Room { name: "clock",   files: &["src/clock"], imports: &["core"] },
    Room { name: "system",  files: &["src/descriptors", "src/secret"], imports: &["core", "formats"] },
    Room { name: "console", files: &["src/bar", "src/console", "src/messages"], imports: &["core", "formats", "clock"] },
    Room { name: "signals", files: &["src/signals"], imports: &["core", "console"] },
    Room { name: "threads", files: &["src/threads"], imports: &["core", "clock"] },
    Room { name: "kafka",   files: &["src/kafka"],   imports: &["core", "formats", "clock", "console", "system"] },
    Room { name: "rabbitmq", files: &["src/rabbitmq"], imports: &["core", "formats", "system"] },
    // The edges: none knows another.
    Room { name: "sources", files: &["src/sources"], imports: &["kafka", "rabbitmq", "core", "formats", "clock", "system", "threads"] },
    Room { name: "sinks",   files: &["src/sinks"],   imports: &["core", "formats", "clock", "system", "threads"] },
    Room { name: "store",   files: &["src/store"], imports: &["core", "formats", "clock", "threads"] },
    Room { name: "http",    files: &["src/http"],    imports: &["core", "formats", "clock", "system", "threads"] },
    Room { name: "cluster", files: &["src/cluster"], imports: &["core", "formats", "clock", "console"] },
    // What was asked for: the words, then what they mean.
    Room { name: "arguments", files: &["src/cli"], imports: &["core", "formats", "clock", "console"] },
    Room { name: "registry", files: &["src/registry"], imports: &["core", "formats", "system", "threads", "arguments"] },
    Room { name: "config",  files: &["src/config", "src/job_folder"],
        imports: &["core", "formats", "clock", "system", "arguments", "kafka", "registry", "sources", "sinks", "store", "http", "cluster"] },
    // The other commands.
    Room { name: "produce", files: &["src/produce"], imports: &["core", "formats", "clock", "console", "system", "arguments", "kafka", "rabbitmq"] },
    Room { name: "inspect", files: &["src/inspect"], imports: &["core", "formats", "clock", "console", "store"] },
    Room { name: "independent", files: &["src/independent"], imports: &["core"] },
    Room { name: "verify", files: &["src/verify"], imports: &["core", "formats", "clock", "console", "arguments", "config", "sources", "sinks", "store", "independent"] },
    Room { name: "repair", files: &["src/repair"], imports: &["core", "formats", "clock", "console", "arguments", "config", "sinks", "store", "verify"] },
    Room { name: "amend", files: &["src/amend"], imports: &["core", "formats", "clock", "console", "arguments", "config", "sources", "sinks", "store", "verify"] },
    Room { name: "letters", files: &["src/letters"], imports: &["core", "formats", "console", "arguments"] },
    Room { name: "explain", files: &["src/explain"], imports: &["core", "formats", "clock", "console", "arguments", "config", "sinks", "store", "verify", "letters"] },
    Room { name: "redrive", files: &["src/redrive"], imports: &["core", "formats", "clock", "console", "arguments", "kafka", "config", "verify", "amend"] },
    // Only here all of them meet.
    Room { name: "start",   files: &["src/start"], imports: &["*"] },
    Room { name: "main",    files: &["src/main"], imports: &["*"] },
];

/// Imports that the table forbids: from, to, why it is still there.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// What the core never names.
#[rustfmt::skip]
const OUTSIDE_OF_THE_CORE: &[(&str, &str)] = &[
    ("std::env", "configuration is passed in"),
    ("std::fs", "the store and the sinks act"),
    ("std::io", "bytes are passed in and out"),
    ("std::net", "sources and sinks act"),
    ("std::process", "only `main` ends the process"),
    ("std::thread", "timely's workers are the only threads"),
    ("std::time::Instant",    "time is passed in, as event time or by a `Clock`"),
    ("std::time::SystemTime", "time is passed in, as event time or by a `Clock`"),
];

/// What `verify --independent` may know of the core: plain types and options, and none of what decodes, judges or computes.
#[rustfmt::skip]
const PLAIN_TYPES: &[&str] = &[
    "decimal::ExactNumber", "decimal::Scales", "derived::DerivedList", "digest::MarketNumbers", "digest::RowNumbers",
    "decode::CONSTANT", "decode::FieldNames", "decode::Format", "decode::KEY", "decode::LOG_NAMES", "decode::MESSAGE", "decode::PAYLOAD",
    "decode::TIMESTAMP", "decode::TimeOptions", "decode::TimeUnit", "numbers::NumberOptions", "numbers::OnPrecision",
    "numbers::WeightSign", "partition::OutlierRule", "partition::Rule", "record", "row", "time",
];

fn room_of(path: &str) -> &'static Room {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let fits = |files: &str| stem.strip_prefix(files).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let fitting = |room: &Room| room.files.iter().filter(|files| fits(files)).map(|files| files.len()).max();
    let room = ROOMS.iter().filter_map(|room| Some((fitting(room)?, room))).max_by_key(|(length, _)| *length);
    room.unwrap_or_else(|| panic!("{path}: lies in no room: add it to `files` of one in tests/house/rooms.rs")).1
}

fn may_import(from: &Room, to: &str) -> bool {
    from.name == to || from.imports.contains(&"*") || from.imports.contains(&to)
}

#[test]
fn rooms_import_only_whom_they_may() {
    let tree = Tree::read();
    let mut breaks: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for edge in tree.edges() {
        let (from, to) = (room_of(&edge.from), room_of(&edge.to).name);
        if !may_import(from, to) {
            breaks.entry((from.name, to)).or_default().insert(format!("{} -> {}: {}", edge.from, edge.to, edge.item));
        }
    }
    let allowed: BTreeSet<(&str, &str)> = EXCEPTIONS.iter().map(|(from, to, _)| (*from, *to)).collect();
    let found: BTreeSet<(&str, &str)> = breaks.keys().copied().collect();
    for pair in found.difference(&allowed) {
        println!("`{}` may not import `{}` (tests/house/rooms.rs):", pair.0, pair.1);
        breaks[pair].iter().for_each(|edge| println!("  {edge}"));
    }
    for (from, to) in allowed.difference(&found) {
        println!("`{from}` does not import `{to}` any more: take it from EXCEPTIONS in tests/house/rooms.rs");
    }
    assert_eq!(found, allowed, "see above");
}

/// Each file is in a room, no room is empty, and no room may import itself by way of others.
#[test]
fn the_table_is_true_of_the_tree() {
    let full: BTreeSet<&str> = Tree::read().sources.iter().map(|source| room_of(&source.path).name).collect();
    for room in ROOMS {
        assert!(full.contains(room.name), "no file is in the room `{}`", room.name);
    }
    let mut placed = BTreeSet::new();
    for room in ROOMS {
        let above = room.imports.iter().find(|name| **name != "*" && !placed.contains(*name));
        assert!(
            above.is_none(),
            "`{}` imports upwards: `{}`: a room stands below those that import it",
            room.name,
            above.unwrap_or(&"")
        );
        placed.insert(room.name);
    }
}

#[test]
fn what_is_independent_knows_plain_types_alone() {
    let mut named = Vec::new();
    for source in Tree::read().sources.iter().filter(|source| room_of(&source.path).name == "independent") {
        for path in source.outside() {
            let Some(item) = path.strip_prefix("minutely_dataflows::") else { continue };
            let is_plain = |plain: &str| item == plain || item.starts_with(&format!("{plain}::"));
            if !PLAIN_TYPES.iter().any(|plain| is_plain(plain)) {
                named.push(format!("{}: `{path}`", source.path));
            }
        }
    }
    assert_eq!(named, Vec::<String>::new());
}

#[test]
fn the_core_acts_on_nothing() {
    let mut named = Vec::new();
    for source in Tree::read().sources.iter().filter(|source| room_of(&source.path).name == "core") {
        for path in source.outside() {
            let forbidden =
                OUTSIDE_OF_THE_CORE.iter().find(|(word, _)| path == *word || path.starts_with(&format!("{word}::")));
            named.extend(forbidden.map(|(_, why)| format!("{}: `{path}`: {why}", source.path)));
        }
    }
    assert_eq!(named, Vec::<String>::new());
}
