//! Files on a disk that fills up, files that others change, and files of other runs.

use super::*;
use crate::sinks::file_id::FileId;
use crate::sinks::testing::{poll, temp};
use minutely_dataflows::edge::{Halt, HaltKind};
use std::io::{self, Write};
use std::sync::Mutex;

fn look(path: &Path, ours: &Path, keep: Option<u64>) -> Result<(), Halt> {
    Ok(super::look(FileUse::Csv, path, ours, keep)?)
}

fn create(path: &Path, claim: FileClaim) -> Result<File, Halt> {
    Ok(super::create(FileUse::Csv, path, claim)?)
}

/// A disk with room for a number of bytes, which may grow.
#[derive(Clone)]
pub(crate) struct SmallDisk(pub(crate) Arc<Mutex<(Vec<u8>, usize)>>);

impl SmallDisk {
    pub(crate) fn new(room: usize) -> Self {
        SmallDisk(Arc::new(Mutex::new((Vec::new(), room))))
    }

    pub(crate) fn content(&self) -> Vec<u8> {
        self.0.lock().unwrap().0.clone()
    }
}

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.0.lock().unwrap();
        let room = disk.1.saturating_sub(disk.0.len());
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(room);
        disk.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AppendFile for SmallDisk {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().0.truncate(usize::try_from(len).unwrap());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn found(&self) -> io::Result<Option<(FileId, u64)>> {
        Ok(None)
    }
}

#[test]
fn a_full_disk_is_waited_out_and_nothing_is_there_twice() {
    let disk = SmallDisk::new(7);
    let health = Health::new("disk");
    let mut appender = Appender::new(disk.clone(), 0, Path::new("x"), health.clone(), Stop::new());
    appender.append(b"12345").unwrap();
    let thread = std::thread::spawn(move || appender.append(b"67890").map(|()| appender));
    poll("it says so", || health.trouble().is_some_and(|t| t.starts_with("x: ")));
    disk.0.lock().unwrap().1 = 100;
    let mut appender = thread.join().unwrap().unwrap();
    assert_eq!(health.trouble(), None);
    appender.append(b"!").unwrap();
    assert_eq!(disk.content(), b"1234567890!");
}

#[test]
fn a_stop_ends_the_waiting() {
    let (stop, health) = (Stop::new(), Health::new("disk"));
    let mut appender = Appender::new(SmallDisk::new(0), 0, Path::new("x"), health.clone(), stop.clone());
    let thread = std::thread::spawn(move || appender.append(b"1"));
    poll("it waits", || health.trouble().is_some());
    stop.set();
    assert_eq!(thread.join().unwrap(), Err(WriterExit::Stopped));
}

#[test]
fn what_others_wrote_what_is_no_file_and_what_has_no_folder_is_refused_without_a_trace() {
    let dir = temp();
    let nowhere = Path::new("/");
    let full = dir.path().join("full");
    std::fs::write(&full, "theirs").unwrap();
    let missing = dir.path().join("no/such");
    let inside = full.join("x");
    for path in [&full, dir.path(), &missing, &inside] {
        for halt in [look(path, nowhere, None).unwrap_err(), create(path, FileClaim::default()).unwrap_err()] {
            assert_eq!(halt.kind, HaltKind::Usage, "{halt}");
            assert!(halt.why.contains(&path.display().to_string()), "{halt}");
        }
    }
    assert_eq!(std::fs::read(&full).unwrap(), b"theirs");
    let unwritable = Path::new("/proc/x.csv"); // for root, too
    let halt = look(unwritable, nowhere, None).unwrap_err();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("/proc"), "{halt}");
    look(&missing, missing.parent().unwrap(), None).unwrap(); // a folder of ours is made later
    look(&dir.path().join("new"), nowhere, None).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "looking leaves nothing");
}

#[test]
fn a_file_of_the_state_is_cut_back_and_never_made_up() {
    let dir = temp();
    let path = dir.path().join("ours");
    std::fs::write(&path, "kept|torn").unwrap();
    look(&path, Path::new("/"), Some(5)).unwrap();
    let mut file = create(&path, kept(5)).unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"kept|more");
    drop(file);
    for halt in [look(&path, Path::new("/"), Some(10)).unwrap_err(), create(&path, kept(10)).unwrap_err()] {
        assert!(halt.kind == HaltKind::Data && halt.why.contains("has 9 bytes and had 10"), "{halt}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"kept|more");
}

fn kept(keep: u64) -> FileClaim {
    FileClaim { keep: Some(keep), ..FileClaim::default() }
}

#[test]
fn what_a_run_writes_that_was_taken_over_goes_nowhere() {
    let dir = temp();
    let path = dir.path().join("ours");
    let mut zombie = create(&path, FileClaim::default()).unwrap();
    zombie.write_all(b"kept|more").unwrap();
    assert!(create(&path, kept(5)).unwrap_err().why.contains("another run"));
    let theirs = FileClaim { take_over: true, ..FileClaim::default() };
    assert!(create(&path, theirs).unwrap_err().why.contains("another run"), "it is not the state's");
    let mut successor = create(&path, FileClaim { keep: Some(5), take_over: true, ..FileClaim::default() }).unwrap();
    zombie.write_all(b"|zombie").unwrap();
    zombie.cut(2).unwrap();
    successor.write_all(b"successor").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"kept|successor");
    assert!(create(&path, kept(5)).unwrap_err().why.contains("another run"), "it is locked");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let halt = create(&path, FileClaim { keep: Some(50), take_over: true, ..FileClaim::default() }).unwrap_err();
    assert_eq!(halt.kind, HaltKind::Data, "{halt}");
}

#[test]
fn two_runs_do_not_share_a_file() {
    let dir = temp();
    let path = dir.path().join("one");
    let held = create(&path, FileClaim::default()).unwrap();
    assert!(create(&path, FileClaim::default()).unwrap_err().why.contains("another run"));
    drop(held);
    create(&path, FileClaim::default()).unwrap();
}

#[test]
fn what_others_do_to_a_file_is_noticed_and_nothing_is_written_on() {
    let dir = temp();
    let (path, aside) = (dir.path().join("one"), dir.path().join("aside"));
    let file = create(&path, FileClaim::default()).unwrap();
    let health = Health::new("csv");
    let mut appender = Appender::new(file, 0, &path, health.clone(), Stop::new());
    appender.append(b"12345\n").unwrap();
    let text = || std::fs::read_to_string(&path).unwrap();
    let others: [(&dyn Fn(), &dyn Fn(), &str); 4] = [
        (&|| std::fs::rename(&path, &aside).unwrap(), &|| std::fs::rename(&aside, &path).unwrap(), "deleted or moved"),
        (
            &|| {
                std::fs::rename(&path, &aside).unwrap();
                std::fs::write(&path, "12345\n").unwrap();
            },
            &|| std::fs::rename(&aside, &path).unwrap(),
            "replaced by another file",
        ),
        (
            &|| drop(std::fs::File::create(&path).unwrap()),
            &|| std::fs::write(&path, "12345\n").unwrap(),
            "has 0 bytes and had 6: another program cut it",
        ),
        (
            &|| std::fs::write(&path, "12345\ntheirs").unwrap(),
            &|| std::fs::write(&path, "12345\n").unwrap(),
            "another program wrote those after 6",
        ),
    ];
    for (hurt, mend, want) in others {
        hurt();
        appender.idle();
        assert!(health.trouble().is_some_and(|t| t.contains(want)), "{want}: {:?}", health.trouble());
        mend();
        appender.idle();
        assert_eq!(health.trouble(), None);
        hurt();
        let thread = std::thread::spawn(move || appender.append(b"").map(|()| appender));
        poll("it waits", || health.trouble().is_some());
        mend();
        appender = thread.join().unwrap().unwrap();
        assert_eq!(text(), "12345\n");
    }
    appender.append(b"6\n").unwrap();
    appender.sync().unwrap();
    assert_eq!(text(), "12345\n6\n");
}

#[test]
fn no_link_is_followed_and_what_is_private_is_so() {
    use std::os::unix::fs::PermissionsExt;
    let dir = temp();
    let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
    std::fs::write(&victim, "").unwrap();
    std::os::unix::fs::symlink(&victim, &link).unwrap();
    let halt = look(&link, Path::new("/"), None).unwrap_err();
    assert!(halt.kind == HaltKind::Usage && halt.why.contains("symbolic link"), "{halt}");
    assert_eq!(create(&link, FileClaim::default()).unwrap_err().kind, HaltKind::Usage);
    let private = dir.path().join("private");
    super::create(FileUse::DeadLetters, &private, FileClaim { private: true, ..FileClaim::default() }).unwrap();
    assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
}
