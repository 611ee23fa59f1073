mod chaos;
mod faulty;

use super::bucket::BucketPrefix;
use super::*;
use minutely_dataflows::checkpoint::{
    MergeRule, ObjectBuilder, PartTrail, TrailMerge, TrailRef, TrailStart, WorkerObjects, hash,
};
use minutely_dataflows::edge::{HaltKind, Publication, Task};
use minutely_dataflows::time::{EventTime, WindowStart};
use std::collections::BTreeMap;
use std::path::Path;
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

fn at(folder: &Path) -> StoreUri {
    StoreUri::Folder(folder.to_owned())
}

/// As its owner, without a limit of time.
fn own(folder: &Path) -> Result<OwnedStore, Halt> {
    open(&at(folder), false, None)
}

fn fresh() -> Manifest {
    Manifest::fresh(BTreeMap::new())
}

fn child(of: &Manifest) -> Manifest {
    Manifest { seq: of.seq + 1, parent: Some(hash(&of.encode())), ..of.clone() }
}

fn publication(manifest: &Manifest, dead_letters: Option<(String, Vec<u8>)>) -> Publication {
    let needed = manifest.objects().map(|object| object.name.clone()).collect();
    Publication { seq: manifest.seq, manifest: manifest.encode(), dead_letters, needed }
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
    let mut draft = ObjectBuilder::default();
    windows.iter().for_each(|window| draft.push(WindowStart(*window), "A", window));
    port.begin(Task::Write { name: name.into(), content: draft.into() });
    poll("it is written", || port.done().unwrap().pop())
}

/// A chain with two objects that the head needs, and one that it does not.
fn chain(folder: &Path) -> Manifest {
    let opened = own(folder).unwrap();
    let first = fresh().restarted("a run");
    opened.begin(&first).unwrap();
    let mut objects = opened.store.port(no_wake()).unwrap();
    let (a, b, c) =
        (write(&mut *objects, "a", &[1]), write(&mut *objects, "b", &[2]), write(&mut *objects, "c", &[3, 4]));
    let second = Manifest {
        parts: vec![WorkerObjects { objects: vec![a, b.clone()], ..WorkerObjects::default() }],
        ..child(&first)
    };
    let third =
        Manifest { parts: vec![WorkerObjects { objects: vec![b, c], ..WorkerObjects::default() }], ..child(&second) };
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
    assert_eq!(peek(&at(&folder)).unwrap(), None);
    assert!(!folder.exists(), "looking leaves nothing");
    let head = chain(&folder);
    let number = |n: u64| format!("{n:020}");
    assert_eq!(files(&folder), [number(1), number(2), number(3), "b".into(), "c".into()]);
    assert_eq!(peek(&at(&folder)).unwrap().as_ref(), Some(&head));
    let opened = own(&folder).unwrap();
    let mut objects = opened.store.port(no_wake()).unwrap();
    write(&mut *objects, "orphan", &[9]);
    let inputs = head.parts[0].objects.clone();
    objects.begin(Task::Merge { name: "d".into(), inputs, rule: MergeRule::Windows(Some(WindowStart(3))) });
    let merged = poll("they are merged", || objects.done().unwrap().pop());
    assert_eq!((merged.entries, merged.name.as_str()), (2, "d"));
    opened.store.read(&merged).unwrap();
    drop(objects);
    opened.begin(&opened.restarted(fresh, "a run")).unwrap();
    assert_eq!(files(&folder), [number(1), number(2), number(3), number(4), "b".into(), "c".into()]);
    assert_eq!(follow(&at(&folder)).unwrap().generation, head.generation + 1);
}

/// It slept between its first manifest and its cleaning, and another run has written since.
#[test]
fn a_run_that_begins_deletes_nothing_of_one_that_took_it_over() {
    let dir = tempfile::tempdir().unwrap();
    let owner = own(dir.path()).unwrap();
    let first = fresh().restarted("a run");
    owner.begin(&first).unwrap();
    let mut objects = owner.store.port(no_wake()).unwrap();
    let named = |generation: u64| format!("{generation:06}-000-00000000");
    let (before, after) = (named(first.generation - 1), named(first.generation + 1));
    write(&mut *objects, &before, &[1]);
    write(&mut *objects, &after, &[2]);
    client::StoreClient::open(&at(dir.path())).unwrap().keep_only(&first);
    assert_eq!(files(dir.path()), [format!("{:020}", first.seq), after]);
}

#[test]
fn one_run_owns_a_state_and_one_that_was_taken_over_commits_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let owner = own(dir.path()).unwrap();
    let first = fresh().restarted("a run");
    owner.begin(&first).unwrap();
    let mut zombie = owner.manifests(&first, no_wake()).unwrap();
    let halt = own(dir.path()).err().unwrap();
    assert_eq!(halt.kind, HaltKind::Fenced);
    let pid = std::process::id().to_string();
    assert!(halt.why.contains(&pid) && halt.why.contains("--take-over"), "{halt}");

    let successor = open(&at(dir.path()), true, None).unwrap();
    let next = successor.restarted(fresh, "a run");
    successor.begin(&next).unwrap();
    successor.begin(&next).unwrap(); // a reply that was lost
    let mut manifests = successor.manifests(&next, no_wake()).unwrap();
    let halt = publish(&mut *zombie, &child(&first)).unwrap_err();
    assert!(halt.kind == HaltKind::Fenced && halt.why.contains("manifest 2 is another run's"), "{halt}");

    // Two that take over at once: one of them gets the state.
    let rival = Manifest { run: "another run".into(), ..next.clone() };
    let halt = successor.begin(&rival).unwrap_err();
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
    assert!(halt.kind == HaltKind::Fenced && halt.why.contains("has followed 2"), "{halt}");
    assert_eq!(peek(&at(dir.path())).unwrap(), Some(head), "the zombies harmed nothing");
    drop(owner);
    drop(successor);
    own(dir.path()).unwrap();
}

#[test]
fn a_merge_that_misses_what_another_run_deleted_says_that_it_is_fenced() {
    let dir = tempfile::tempdir().unwrap();
    let owner = own(dir.path()).unwrap();
    let first = fresh().restarted("a run");
    owner.begin(&first).unwrap();
    let mut zombie = owner.store.port(no_wake()).unwrap();
    let inputs = vec![write(&mut *zombie, "000001-000-00000001", &[1])];
    let merge = |name: &str| Task::Merge { name: name.into(), inputs: inputs.clone(), rule: MergeRule::Windows(None) };
    let successor = open(&at(dir.path()), true, None).unwrap();
    successor.begin(&first.restarted("another run")).unwrap();
    zombie.begin(merge("000001-000-00000002"));
    let halt = poll("it fails", || zombie.done().err());
    assert!(halt.kind == HaltKind::Fenced && halt.why.contains("generation 2 and this is 1"), "{halt}");
    let mut its = successor.store.port(no_wake()).unwrap();
    its.begin(merge("000002-000-00000001"));
    let halt = poll("it fails", || its.done().err());
    assert!(halt.kind == HaltKind::Data && halt.why.contains("restore"), "{halt}");
}

/// Does the state open, and are all of its objects whole?
fn look(folder: &Path) -> Result<(), Halt> {
    let head = peek(&at(folder))?.expect("there is one");
    head.objects().try_for_each(|object| store(&at(folder), None).read(object).map(drop))
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
    let halt = own(&file.join("state")).err().unwrap();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("choose another folder"), "{halt}");

    let theirs = dir.path().join("object/theirs");
    std::fs::create_dir(dir.path().join("object")).unwrap();
    std::fs::write(&theirs, "x").unwrap();
    let halt = own(dir.path()).err().unwrap();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("has other files than a state"), "{halt}");
    assert!(theirs.exists() && std::fs::read_dir(dir.path()).unwrap().count() == 2, "nothing is touched");
}

#[test]
fn every_manifest_that_is_kept_is_checked_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path());
    let file = |seq: u64| dir.path().join(format!("manifest/{seq:020}"));
    let found = |seq: u64, what: &str| {
        let halt = own(dir.path()).err().unwrap_or_else(|| panic!("{what}: opened"));
        assert_eq!(halt.kind, HaltKind::Data, "{what}: {halt}");
        assert!(halt.why.contains(&file(seq).display().to_string()), "{what}: {halt}");
        let checked = check(&at(dir.path())).unwrap().unwrap();
        let named = file(seq).display().to_string();
        assert!(checked.damages.iter().any(|(file, _)| *file == named), "{what}: {:?}", checked.damages);
    };
    let whole = std::fs::read(file(2)).unwrap();
    std::fs::remove_file(file(2)).unwrap();
    found(2, "gone");
    std::fs::write(file(2), &whole[1..]).unwrap();
    found(2, "damaged");
    std::fs::copy(file(1), file(2)).unwrap();
    found(2, "another in its place");
    // Whole, and not the one that was there.
    let other = Manifest { run: "another run".into(), ..Manifest::decode(&whole).unwrap() };
    std::fs::write(file(2), other.encode()).unwrap();
    found(3, "its parent is another");
    std::fs::write(file(2), &whole).unwrap();
    own(dir.path()).unwrap();

    let newer = Manifest { format: minutely_dataflows::checkpoint::FORMAT + 1, ..Manifest::decode(&whole).unwrap() };
    let newer = Manifest { seq: 4, ..newer };
    std::fs::write(file(4), newer.encode()).unwrap();
    let halt = own(dir.path()).err().unwrap();
    assert!(halt.kind == HaltKind::Data && halt.why.contains("has format 2"), "{halt}");
    assert!(halt.why.contains("use the version that wrote it") && !halt.why.contains("restore"), "{halt}");

    for seq in 1..=4 {
        std::fs::remove_file(file(seq)).unwrap();
    }
    let halt = own(dir.path()).err().unwrap();
    assert!(halt.kind == HaltKind::Data && halt.why.contains("has no manifest"), "{halt}");
    assert!(dir.path().join("object/b").exists(), "nothing is deleted");
}

/// An older version may have written other bytes for the same content.
#[test]
fn the_parent_is_known_by_the_bytes_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let first = fresh().restarted("a run");
    own(dir.path()).unwrap().begin(&first).unwrap();
    let file = dir.path().join(format!("manifest/{:020}", 1));
    let text = String::from_utf8(first.encode()).unwrap();
    let body = text[..text.len() - 33].replace("  \"run\": \"a run\",\n", "");
    std::fs::write(&file, format!("{body}{}\n", hash(body.as_bytes()))).unwrap();
    assert_ne!(std::fs::read(&file).unwrap(), first.encode());
    let opened = own(dir.path()).unwrap();
    opened.begin(&opened.restarted(fresh, "the next")).unwrap();
    drop(opened);
    own(dir.path()).unwrap();
    assert_eq!(check(&at(dir.path())).unwrap().unwrap().damages, Vec::new());
}

#[test]
fn what_was_half_written_goes_and_so_does_what_a_killed_run_did_not_collect() {
    let dir = tempfile::tempdir().unwrap();
    chain(dir.path());
    for half in ["object/b#1", "manifest/00000000000000000004#2", "probe-1", "probe-1#1"] {
        std::fs::write(dir.path().join(half), "x").unwrap();
    }
    check(&at(dir.path())).unwrap().unwrap();
    assert!(dir.path().join("object/b#1").exists(), "who looks leaves all as it is");
    let opened = own(dir.path()).unwrap();
    let next = opened.restarted(fresh, "a run");
    opened.begin(&next).unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["lock", "manifest", "object"]);
    assert!(files(dir.path()).iter().all(|name| !name.contains('#')));

    // Two runs that were killed between a manifest and its collection.
    let mut head = child(&next);
    assert!(head.seq > 4 && head.objects().count() == 2);
    let write = |manifest: &Manifest| {
        std::fs::write(dir.path().join(format!("manifest/{:020}", manifest.seq)), manifest.encode()).unwrap();
    };
    while head.seq < 150 {
        write(&head);
        head = child(&head);
    }
    write(&head);
    drop(opened);
    let opened = own(dir.path()).unwrap();
    let next = opened.restarted(fresh, "a run");
    opened.begin(&next).unwrap();
    let mut manifests = opened.manifests(&next, no_wake()).unwrap();
    publish(&mut *manifests, &child(&next)).unwrap();
    drop(manifests);
    let manifests: Vec<_> = files(dir.path()).into_iter().filter(|name| name.len() == 20).collect();
    assert_eq!((manifests.len(), manifests[0].as_str()), (100, "00000000000000000053"));
    check(&at(dir.path())).unwrap().unwrap();
}

#[test]
fn a_check_does_not_miss_what_the_owner_collects_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let opened = own(dir.path()).unwrap();
    let first = fresh().restarted("a run");
    opened.begin(&first).unwrap();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (path, until) = (dir.path().to_owned(), Arc::clone(&done));
    let checks = std::thread::spawn(move || {
        let mut checks = 0;
        while checks < 5 || !until.load(std::sync::atomic::Ordering::Acquire) {
            let checked = check(&at(&path)).unwrap().unwrap();
            assert_eq!(checked.damages, Vec::new());
            checks += 1;
        }
    });
    let mut objects = opened.store.port(no_wake()).unwrap();
    let mut manifests = opened.manifests(&first, no_wake()).unwrap();
    let mut head = first;
    for n in 0..150 {
        let name = format!("object-{n}");
        objects.begin(Task::Write { name: name.clone(), content: ObjectBuilder::default().into() });
        let object = poll("it is written", || objects.done().unwrap().pop());
        head = Manifest {
            parts: vec![WorkerObjects { objects: vec![object], ..WorkerObjects::default() }],
            ..child(&head)
        };
        publish(&mut *manifests, &head).unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::Release);
    checks.join().unwrap();
}

#[test]
fn a_state_is_moved_aside_unless_a_run_owns_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("state");
    chain(&folder);
    let owner = own(&folder).unwrap();
    let halt = rebuild(&at(&folder), "now").unwrap_err();
    assert!(halt.kind == HaltKind::Fenced && halt.why.contains("owns it"), "{halt}");
    drop(owner);
    let old = |more: &str| dir.path().join(format!("state.old-now{more}")).display().to_string();
    assert_eq!(rebuild(&at(&folder), "now").unwrap(), old(""));
    assert_eq!(peek(&at(&folder)).unwrap(), None);
    chain(&folder);
    assert_eq!(rebuild(&at(&folder), "now").unwrap(), old("-2"));
    let halt = rebuild(&at(&folder), "now").unwrap_err();
    assert!(halt.kind == HaltKind::Usage && !folder.exists(), "{halt}");
    look(&dir.path().join("state.old-now")).unwrap();
}

#[test]
fn trouble_is_waited_out_told_and_has_a_limit_if_one_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let objects = dir.path().join("object");
    let opened = own(dir.path()).unwrap();
    opened.begin(&fresh().restarted("a run")).unwrap();
    std::fs::create_dir_all(&objects).unwrap();
    std::fs::remove_dir(&objects).unwrap();
    std::fs::write(&objects, "in the way").unwrap();
    let mut port = opened.store.port(no_wake()).unwrap();
    port.begin(Task::Write { name: "a".into(), content: ObjectBuilder::default().into() });
    let why = poll("it is reported", || opened.health.complaint());
    assert!(why.contains(&dir.path().display().to_string()) && !why.contains("start again"), "{why}");
    assert!(port.done().unwrap().is_empty());
    std::fs::remove_file(&objects).unwrap();
    poll("it is written", || port.done().unwrap().pop());
    assert_eq!(opened.health.complaint(), None);

    // A merge reads before it writes.
    let inputs = vec![write(&mut *port, "b", &[1, 2]), write(&mut *port, "c", &[2, 3])];
    let aside = dir.path().join("aside");
    std::fs::rename(&objects, &aside).unwrap();
    std::fs::write(&objects, "in the way").unwrap();
    port.begin(Task::Merge { name: "d".into(), inputs, rule: MergeRule::Windows(None) });
    poll("it is reported", || opened.health.complaint());
    assert!(port.done().unwrap().is_empty());
    std::fs::remove_file(&objects).unwrap();
    std::fs::rename(&aside, &objects).unwrap();
    let merged = poll("they are merged", || port.done().unwrap().pop());
    assert_eq!((merged.entries, opened.health.complaint()), (3, None));
    drop((port, opened));

    std::fs::remove_dir_all(&objects).unwrap();
    let opened = open(&at(dir.path()), false, Some(Duration::from_millis(300))).unwrap();
    std::fs::write(&objects, "in the way").unwrap();
    let mut port = opened.store.port(no_wake()).unwrap();
    port.begin(Task::Write { name: "a".into(), content: ObjectBuilder::default().into() });
    let halt = poll("it ends", || port.done().err());
    assert!(halt.kind == HaltKind::Unreachable && halt.why.contains("see to the disk"), "{halt}");
}

/// The same code as for a bucket, over a store in memory.
#[test]
fn a_store_without_locks_has_one_owner_too() {
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let place = StoreUri::Remote(Arc::new(BucketPrefix::of(store)));
    assert_eq!(peek(&place).unwrap(), None);
    let opened = open(&place, false, None).unwrap(); // no head: no other run to wait for
    let first = opened.restarted(fresh, "a run");
    opened.begin(&first).unwrap();
    let mut objects = opened.store.port(no_wake()).unwrap();
    let mut manifests = opened.manifests(&first, no_wake()).unwrap();
    let a = write(&mut *objects, "a", &[1]);
    let second = Manifest {
        parts: vec![WorkerObjects { objects: vec![a.clone()], ..WorkerObjects::default() }],
        ..child(&first)
    };
    publish(&mut *manifests, &second).unwrap();
    assert_eq!(peek(&place).unwrap().as_ref(), Some(&second));
    assert_eq!(opened.store.read(&a).unwrap().len() as u64, a.bytes);

    // It moves while a second one looks.
    let folder = StoreClient::open(&place).unwrap();
    wait_for_silent_owner(&folder, |_| Duration::from_millis(60)).unwrap();
    let watched = place.clone();
    let starter = std::thread::spawn(move || {
        wait_for_silent_owner(&StoreClient::open(&watched).unwrap(), |_| Duration::from_secs(60))
    });
    let mut head = second;
    poll("it is noticed", || {
        let next = child(&head);
        publish(&mut *manifests, &next).unwrap();
        head = next;
        starter.is_finished().then_some(())
    });
    let halt = Halt::from(starter.join().unwrap().unwrap_err());
    assert!(halt.kind == HaltKind::Fenced && halt.why.contains("its manifest was"), "{halt}");

    // Taken over, at once.
    let successor = open(&place, true, None).unwrap();
    successor.begin(&successor.restarted(fresh, "the successor")).unwrap();
    let halt = publish(&mut *manifests, &child(&head)).unwrap_err();
    assert!(halt.kind == HaltKind::Fenced && halt.why.contains("is another run's"), "{halt}");
}

#[test]
fn an_owner_is_waited_for_as_long_as_it_says_that_it_may_be_silent() {
    let of = |commits_every| silence(&Manifest { commits_every, ..fresh() }).as_millis();
    assert_eq!(
        [None, Some(50), Some(1000), Some(10_000), Some(60_000)].map(of),
        [12_000, 12_000, 12_000, 30_000, 130_000]
    );
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let place = StoreUri::Remote(Arc::new(BucketPrefix::of(store)));
    let opened = open(&place, false, None).unwrap();
    assert_eq!(opened.commits_every(10_000_000_000), Some(10_000));
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(own(dir.path()).unwrap().commits_every(10_000_000_000), None, "a lock says it");
}

/// Hosts of a cluster with folders of their own under one path, or with a shared one that is seen late.
#[test]
fn objects_of_all_processes_are_seen_before_the_first_cut_is_committed() {
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let place = StoreUri::Remote(Arc::new(BucketPrefix::of(store)));
    let opened = open(&place, false, None).unwrap();
    let first = Manifest { generation: 7, ..opened.restarted(fresh, "a run") };
    opened.begin(&first).unwrap();
    let cut = |name: &str| {
        let objects = vec![ObjectRef::of(name.to_owned(), b"bytes", 1)];
        Manifest { parts: vec![WorkerObjects { objects, ..WorkerObjects::default() }], ..child(&first) }
    };
    let client = StoreClient::open(&place).unwrap();
    let commit = |name: &str| {
        let mut owner = writers::ChainOwner::after(&client, &first)?;
        owner.commit(&client, publication(&cut(name), None), &RetryPolicy::once())
    };
    let halt = Halt::from(commit("000006-001-00000001").unwrap_err());
    assert!(halt.kind == HaltKind::Unreachable && halt.why.contains("sees an older state"), "{halt}");
    let halt = Halt::from(commit("000007-001-00000001").unwrap_err());
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("a folder that they share"), "{halt}");
    assert_eq!(peek(&place).unwrap(), Some(first.clone()), "nothing is committed");
    std::thread::scope(|scope| {
        let late = scope.spawn(|| commit("000007-001-00000002").unwrap());
        client.write("000007-001-00000002", b"bytes", &RetryPolicy::once()).unwrap();
        assert_eq!(late.join().unwrap(), first.seq + 1);
    });
}

/// One that fills a sink or repairs, and commits nothing meanwhile: it does not look gone.
#[test]
fn an_owner_without_a_lock_publishes_while_it_works() {
    let store: Arc<dyn object_store::ObjectStore> = Arc::new(object_store::memory::InMemory::new());
    let place = StoreUri::Remote(Arc::new(BucketPrefix::of(store)));
    let opened = open(&place, false, None).unwrap();
    let mut newest = opened.restarted(fresh, "a run");
    opened.begin(&newest).unwrap();
    let (begun, mut published) = (newest.seq, Instant::now());
    opened.stays(&mut newest, &mut published).unwrap();
    assert_eq!(newest.seq, begun, "it was published just now");
    let watched = StoreClient::open(&place).unwrap();
    let starter = std::thread::spawn(move || wait_for_silent_owner(&watched, |_| Duration::from_secs(60)));
    poll("it is noticed", || {
        published = Instant::now().checked_sub(SILENCE / 3).unwrap();
        opened.stays(&mut newest, &mut published).unwrap();
        assert!(published.elapsed() < SILENCE / 3);
        starter.is_finished().then_some(())
    });
    assert!(starter.join().unwrap().is_err());
    assert_eq!(peek(&place).unwrap(), Some(newest.clone()));

    let dir = tempfile::tempdir().unwrap();
    let locked = own(dir.path()).unwrap();
    let mut newest = locked.restarted(fresh, "a run");
    locked.begin(&newest).unwrap();
    let mut long_ago = Instant::now().checked_sub(SILENCE).unwrap();
    locked.stays(&mut newest, &mut long_ago).unwrap();
    assert_eq!(peek(&at(dir.path())).unwrap().map(|head| head.seq), Some(newest.seq), "a lock says it all");
    assert!(long_ago.elapsed() >= SILENCE);
}

/// While a run has it, and deletes what it has merged.
#[test]
fn an_audit_trail_is_read_beside_its_owner_and_damage_in_it_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let place = at(dir.path());
    assert!(audited(&place, WindowStart(60), "A", &mut || Ok(())).unwrap().is_none());
    let opened = own(dir.path()).unwrap();
    let first = opened.restarted(fresh, "a run");
    opened.begin(&first).unwrap();
    assert!(audited(&place, WindowStart(60), "A", &mut || Ok(())).unwrap().unwrap().trail.is_none());
    let mut objects = opened.store.port(no_wake()).unwrap();
    let mut delta = |name: &str, count: i64| {
        let mut draft = ObjectBuilder::default();
        // As an average: count, and the sum's halves.
        draft.push(WindowStart(60), "A", &(count, (0_i64, count.cast_unsigned() * 5)));
        objects.begin(Task::Write { name: name.into(), content: draft.into() });
        poll("it is written", || objects.done().unwrap().pop())
    };
    let (a, b, c) = (delta("a", 1), delta("b", 2), delta("c", 4));
    let of = |object: &ObjectRef, seq: u64| {
        let at = EventTime(seq.cast_signed() * 1_000_000);
        TrailRef { object: object.clone(), from: at, until: at, last: seq }
    };
    let manifest = |parent: &Manifest, objects: Vec<TrailRef>, deltas: Vec<TrailRef>| {
        let start = TrailStart { seq: 2, at: EventTime(0) };
        let trail = Some(PartTrail { start, objects, deltas });
        Manifest { parts: vec![WorkerObjects { trail, ..WorkerObjects::default() }], ..child(parent) }
    };
    let mut manifests = opened.manifests(&first, no_wake()).unwrap();
    let second = manifest(&first, Vec::new(), vec![of(&a, 2), of(&b, 3)]);
    publish(&mut *manifests, &second).unwrap();
    let rule = MergeRule::Trail(TrailMerge { deltas: vec![2, 3], cuts: Vec::new() });
    objects.begin(Task::Merge { name: "t".into(), inputs: vec![a, b], rule });
    let merged = poll("they are merged", || objects.done().unwrap().pop());
    publish(&mut *manifests, &manifest(&second, vec![of(&merged, 3)], vec![of(&c, 4)])).unwrap();
    let read =
        || audited(&place, WindowStart(60), "A", &mut || Ok(())).map(|state| state.unwrap().trail.unwrap().versions);
    let versions = read().unwrap();
    let numbers: Vec<_> = versions.iter().map(|version| (version.seq, version.count, version.sum)).collect();
    assert_eq!(numbers, [(2, 1, 5), (3, 2, 10), (4, 4, 20)]);
    assert!(!dir.path().join("object/a").exists(), "the trail has taken it over");
    assert_eq!(audited(&place, WindowStart(0), "A", &mut || Ok(())).unwrap().unwrap().trail.unwrap().versions, []);
    let file = dir.path().join("object/t");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let halt = read().unwrap_err();
    assert!(halt.kind == HaltKind::Data && halt.why.contains(&file.display().to_string()), "{halt}");
    std::fs::remove_file(&file).unwrap();
    assert!(read().unwrap_err().why.contains("is not there"));
}
