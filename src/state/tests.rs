use super::*;
use minutely_dataflows::checkpoint::{Part, hash};
use minutely_dataflows::edge::{Publication, Task};
use minutely_dataflows::time::WindowStart;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn no_wake() -> Wake {
    Arc::new(|| {})
}

/// Asks until there is an answer; panics after a minute.
fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn fresh() -> Manifest {
    Manifest::fresh(BTreeMap::new())
}

fn child(of: &Manifest) -> Manifest {
    Manifest { seq: of.seq + 1, parent: Some(hash(&of.encode())), ..of.clone() }
}

fn publication(manifest: &Manifest, letters: Option<(String, Vec<u8>)>) -> Publication {
    let needed = manifest.objects().map(|object| object.name.clone()).collect();
    Publication { seq: manifest.seq, manifest: manifest.encode(), letters, needed }
}

fn publish(port: &mut dyn ManifestPort, manifest: &Manifest) -> Result<(), Halt> {
    port.publish(publication(manifest, None));
    poll("it is published", || match port.published() {
        Ok(published) => (published == Some(manifest.seq)).then_some(Ok(())),
        Err(halt) => Some(Err(halt)),
    })
}

/// Writes an object with these keys.
fn write(port: &mut dyn ObjectPort, name: &str, windows: &[i64]) -> ObjectRef {
    let mut draft = minutely_dataflows::checkpoint::Draft::default();
    windows.iter().for_each(|window| draft.push(WindowStart(*window), "A", window));
    port.begin(Task::Write { name: name.into(), draft });
    poll("it is written", || port.done().unwrap().pop())
}

/// A chain with two objects that the head needs, and one that it does not.
fn chain(folder: &Path) -> Manifest {
    let opened = open(folder, false).unwrap();
    let first = fresh().restarted("a run", &[]);
    opened.begin(&first).unwrap();
    let mut objects = opened.store.port(no_wake()).unwrap();
    let (a, b, c) =
        (write(&mut *objects, "a", &[1]), write(&mut *objects, "b", &[2]), write(&mut *objects, "c", &[3, 4]));
    let second = Manifest { parts: vec![Part { objects: vec![a, b.clone()], line: None }], ..child(&first) };
    let third = Manifest { parts: vec![Part { objects: vec![b, c], line: None }], ..child(&second) };
    let mut manifests = opened.manifests(&first, no_wake()).unwrap();
    publish(&mut *manifests, &second).unwrap();
    publish(&mut *manifests, &third).unwrap();
    third
}

fn files(folder: &Path) -> Vec<String> {
    let names =
        |sub: &str| std::fs::read_dir(folder.join(sub)).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names("object").chain(names("manifest")).collect();
    names.sort();
    names
}

#[test]
fn a_state_is_found_again_and_holds_what_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("job/state");
    assert_eq!(peek(&folder).unwrap(), None);
    assert!(!folder.exists(), "looking leaves nothing");
    let head = chain(&folder);
    let number = |n: u64| format!("{n:020}");
    assert_eq!(files(&folder), [number(1), number(2), number(3), "b".into(), "c".into()]);
    assert_eq!(peek(&folder).unwrap().as_ref(), Some(&head));
    let opened = open(&folder, false).unwrap();
    let mut objects = opened.store.port(no_wake()).unwrap();
    write(&mut *objects, "orphan", &[9]);
    let inputs = head.parts[0].objects.clone();
    objects.begin(Task::Merge { name: "d".into(), inputs, line: Some(WindowStart(3)) });
    let merged = poll("they are merged", || objects.done().unwrap().pop());
    assert_eq!((merged.entries, merged.name.as_str()), (2, "d"));
    opened.store.read(&merged).unwrap();
    drop(objects);
    opened.begin(&opened.head.clone().unwrap().restarted("a run", &[])).unwrap();
    assert_eq!(files(&folder), [number(1), number(2), number(3), number(4), "b".into(), "c".into()]);
    assert_eq!(join(&folder).unwrap().generation, head.generation + 1);
}

#[test]
fn one_run_owns_a_state_and_one_that_was_taken_over_commits_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let owner = open(dir.path(), false).unwrap();
    let first = fresh().restarted("a run", &[]);
    owner.begin(&first).unwrap();
    let mut zombie = owner.manifests(&first, no_wake()).unwrap();
    let halt = open(dir.path(), false).err().unwrap();
    assert_eq!(halt.kind, HaltKind::Fenced);
    let pid = std::process::id().to_string();
    assert!(halt.why.contains(&pid) && halt.why.contains("--take-over"), "{halt}");

    let heir = open(dir.path(), true).unwrap();
    let next = heir.head.clone().unwrap().restarted("a run", &[]);
    heir.begin(&next).unwrap();
    heir.begin(&next).unwrap(); // a reply that was lost
    let mut manifests = heir.manifests(&next, no_wake()).unwrap();
    let halt = publish(&mut *zombie, &child(&first)).unwrap_err();
    assert!(halt.kind == HaltKind::Fenced && halt.why.contains("manifest 2 is another run's"), "{halt}");

    // Two that take over at once: one of them goes on.
    let rival = Manifest { run: "another run".into(), ..next.clone() };
    let halt = heir.begin(&rival).unwrap_err();
    assert!(halt.kind == HaltKind::Fenced && halt.why.contains("manifest 2 is another run's"), "{halt}");

    // Another zombie, that slept until its number was collected.
    let mut sleeper = owner.manifests(&first, no_wake()).unwrap();
    let mut head = next;
    for _ in 0..110 {
        let next = child(&head);
        publish(&mut *manifests, &next).unwrap();
        head = next;
    }
    assert_eq!(std::fs::read_dir(dir.path().join("manifest")).unwrap().count(), 100);
    let halt = publish(&mut *sleeper, &child(&first)).unwrap_err();
    assert!(halt.kind == HaltKind::Fenced && halt.why.contains("manifest 1 is gone"), "{halt}");
    assert_eq!(peek(dir.path()).unwrap(), Some(head), "the zombies harmed nothing");
    drop(owner);
    drop(heir);
    open(dir.path(), false).unwrap();
}

/// Does the state open, and are all of its objects whole?
fn look(folder: &Path) -> Result<(), Halt> {
    let head = peek(folder)?.expect("there is one");
    head.objects().try_for_each(|object| store(folder).read(object).map(drop))
}

#[test]
fn any_damage_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path());
    look(dir.path()).unwrap();
    let found = |file: &Path, what: &str| {
        let halt = look(dir.path()).expect_err(what);
        assert_eq!(halt.kind, HaltKind::Data, "{what}: {halt}");
        assert!(halt.why.contains(&file.display().to_string()) && halt.why.contains("restore"), "{what}: {halt}");
    };
    let head = dir.path().join(format!("manifest/{:020}", 3));
    for file in [dir.path().join("object/b"), dir.path().join("object/c"), head] {
        let whole = std::fs::read(&file).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&file, &bytes).unwrap();
            found(&file, &format!("byte {at} flipped"));
        }
        for length in [0, 1, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&file, &whole[..length]).unwrap();
            found(&file, &format!("cut to {length}"));
        }
        std::fs::write(&file, &whole).unwrap();
        look(dir.path()).unwrap();
    }
    let (b, c) = (dir.path().join("object/b"), dir.path().join("object/c"));
    let whole = std::fs::read(&b).unwrap();
    std::fs::copy(&c, &b).unwrap();
    found(&b, "another object in its place");
    std::fs::remove_file(&b).unwrap();
    found(&b, "gone");
    std::fs::write(&b, whole).unwrap();
    look(dir.path()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let halt = open(&file.join("state"), false).err().unwrap();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("choose another folder"), "{halt}");

    let theirs = dir.path().join("object/theirs");
    std::fs::create_dir(dir.path().join("object")).unwrap();
    std::fs::write(&theirs, "x").unwrap();
    let halt = open(dir.path(), false).err().unwrap();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("holds what is no state"), "{halt}");
    assert!(theirs.exists() && std::fs::read_dir(dir.path()).unwrap().count() == 2, "nothing is touched");
}
