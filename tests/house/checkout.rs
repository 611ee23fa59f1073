//! What a checkout on another system holds: scripts with LF, and fixtures byte for byte.

use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below this folder, but what git ignores.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if ["target", "node_modules", ".git", "minutely-data"].iter().any(|skipped| name == *skipped) {
            continue;
        }
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&entry.path(), found),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// The value of `eol` or `text` for a path, by git itself.
fn attribute(name: &str, path: &str) -> String {
    let output = Command::new("git").arg("-C").arg(root()).args(["check-attr", name, "--", path]).output().unwrap();
    assert!(output.status.success(), "git check-attr: {}", String::from_utf8_lossy(&output.stderr));
    let line = String::from_utf8(output.stdout).unwrap();
    line.trim_end().rsplit(": ").next().unwrap().to_owned()
}

/// `bash` takes a CR for a part of the word before it.
#[test]
fn every_checkout_has_scripts_with_lf() {
    let mut all = Vec::new();
    files(root(), &mut all);
    let mut scripts = 0;
    for path in all {
        let bytes = std::fs::read(&path).unwrap();
        if !bytes.starts_with(b"#!") {
            continue;
        }
        scripts += 1;
        assert!(!bytes.contains(&b'\r'), "{}: has a CR", path.display());
        if root().join(".git").exists() {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
            assert_eq!(attribute("eol", name), "lf", "{name}: .gitattributes must keep its LF");
        }
    }
    assert!(scripts > 20, "{scripts} scripts found");
}

/// A converted fixture would test another file than the one that an earlier version wrote.
#[test]
fn fixtures_are_checked_out_byte_for_byte() {
    if !root().join(".git").exists() {
        return; // unpacked from an archive: nothing converts
    }
    let manifest = "tests/fixtures/state-1/data/job/state/manifest/00000000000000000001";
    assert!(root().join(manifest).exists());
    assert_eq!(attribute("text", manifest), "unset");
    assert_eq!(attribute("text", "docs/images/page-1280-dark.png"), "unset");
}

/// `cargo package` takes files of the crate's own folder alone.
#[test]
fn both_crates_carry_the_licence() {
    let licence = std::fs::read_to_string(root().join("LICENSE")).unwrap();
    assert_eq!(std::fs::read_to_string(root().join("dataflows/LICENSE")).unwrap(), licence);
}

/// `./test` does not build the targets of libFuzzer, `./test long` does: a crate that they lack would be noticed there alone.
#[test]
fn fuzz_targets_name_crates_that_they_depend_on() {
    let folder = root().join("dataflows/fuzz");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let (_, dependencies) = manifest.split_once("[dependencies]\n").unwrap();
    let (dependencies, _) = dependencies.split_once("\n\n").unwrap();
    let known: Vec<_> = dependencies.lines().map(|line| line.split(' ').next().unwrap().replace('-', "_")).collect();
    let mut all = Vec::new();
    files(&folder.join("fuzz_targets"), &mut all);
    files(&root().join("dataflows/tests/fuzz"), &mut all);
    all.retain(|path| path.file_name().unwrap() != "main.rs");
    assert!(all.len() > 8, "{all:?}");
    for path in all {
        let text = std::fs::read_to_string(&path).unwrap();
        let named =
            text.lines().filter_map(|line| line.strip_prefix("use ")).filter_map(|rest| rest.split("::").next());
        let inside =
            |name: &&str| !["std", "crate", "self", "super"].contains(name) && !text.contains(&format!("mod {name}"));
        for name in named.filter(inside) {
            assert!(
                known.iter().any(|known| known == name),
                "{}: dataflows/fuzz/Cargo.toml lacks {name}",
                path.display()
            );
        }
    }
}
