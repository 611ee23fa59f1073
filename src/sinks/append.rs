//! A file that only grows, and that nobody else writes to: what CSV rows and dead letters go to.
//!
//! A failed write is cut off again and repeated until there is room, so the file holds whole writes only. A failed
//! fsync ends the run: the system may have dropped what it could not write, and a second fsync would not say so.
//!
//! Before and after each write, and every few seconds, it is looked whether the path still names the file and whether the
//! file is as long as it was left: what others delete, move, cut or write to is not written on, and what goes to a file
//! without a name is not stored. No symbolic link is followed.

use super::file_id::FileId;
use crate::threads::{Backoff, Health, Stop, WriterExit};
use minutely_dataflows::edge::{Halt, HaltKind};
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What an [`Appender`] needs of a file; tests have one that fails on demand.
pub(super) trait Place: Write + Send {
    /// Cuts it back to so many bytes and goes on writing there.
    ///
    /// # Errors
    /// When the system cannot.
    fn cut(&mut self, len: u64) -> io::Result<()>;

    /// Returns once what was written survives a power cut.
    ///
    /// # Errors
    /// When that is unknown.
    fn sync(&mut self) -> io::Result<()>;

    /// Which file it is, and how many bytes it has now. None where it is no file.
    ///
    /// # Errors
    /// When the system does not say.
    fn found(&self) -> io::Result<Option<(FileId, u64)>>;
}

impl Place for File {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn found(&self) -> io::Result<Option<(FileId, u64)>> {
        self.metadata().map(|meta| Some((FileId::of(&meta), meta.len())))
    }
}

impl Place for Box<dyn Place> {
    fn cut(&mut self, len: u64) -> io::Result<()> {
        (**self).cut(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn found(&self) -> io::Result<Option<(FileId, u64)>> {
        (**self).found()
    }
}

/// What others wrote to would be cut, or written to, through a link: none is followed. A pipe is not waited for.
const NO_LINK: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();

/// How a file that only grows is opened. At its end: were it cut by others between a look and a write, the write would
/// leave a hole otherwise, and the file be as long as it should. `private`: it holds payloads, for nobody else to read.
pub(super) fn growing(private: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).append(true).custom_flags(NO_LINK);
    if private {
        options.mode(0o600);
    }
    options
}

/// The folder that holds this path.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Makes the entry of a new file durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Can a file be made here? Made and removed again: permission bits alone do not tell (read-only file systems, root).
fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".minutely-probe-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    match made {
        Ok(_) => std::fs::remove_file(&path),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// Can a file at this path be written to, leaving nothing behind? `ours` is a folder that may still be made. Says
/// whether the file exists.
///
/// # Errors
/// 64, with what to do.
pub(super) fn look_writable(what: &str, path: &Path, ours: &Path) -> Result<bool, Halt> {
    let usage = |why: String| Halt::new(HaltKind::Usage, format!("{what} {}: {why}", path.display()));
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_symlink() => {
            return Err(usage("is a symbolic link, which is not followed; name the file itself".to_owned()));
        }
        Ok(meta) if !meta.is_file() => return Err(usage("is not a regular file; name a file".to_owned())),
        Ok(_) => {
            let opened = OpenOptions::new().read(true).write(true).custom_flags(NO_LINK).open(path);
            return opened.map(|_| true).map_err(|e| usage(format!("{e}; make it writable or choose another path")));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(usage(format!("{e}; choose a path that can be written"))),
    }
    let mut folder = folder_of(path);
    if folder == ours {
        while !folder.exists() && folder.parent().is_some() {
            folder = folder_of(folder);
        }
    }
    match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(usage(format!("{} is not a folder; choose another path", folder.display()))),
        Err(e) => return Err(usage(format!("its folder {}: {e}; make the folder first", folder.display()))),
    }
    probe(folder).map_err(|e| {
        usage(format!("its folder {} is not writable: {e}; make it writable or choose another path", folder.display()))
    })?;
    Ok(false)
}

/// Would [`create`] do, leaving nothing behind?
///
/// # Errors
/// 64, or 65 for a file that is shorter than it was, with what to do.
pub(super) fn look(what: &str, path: &Path, ours: &Path, keep: Option<u64>) -> Result<(), Halt> {
    let len = if look_writable(what, path, ours)? { std::fs::metadata(path).map_or(0, |meta| meta.len()) } else { 0 };
    refuse_content(what, path, len, keep)
}

fn refuse_content(what: &str, path: &Path, len: u64, keep: Option<u64>) -> Result<(), Halt> {
    if let Some(had) = keep.filter(|had| *had > len) {
        let has = match FileId::at(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => "is not there".to_owned(),
            _ => format!("has {len} bytes"),
        };
        let shown = path.display();
        let ways_out = match what {
            "csv" => "restore it as it was (files are rotated by ?rotate=, not by another program), or name another path, which has \
                      what the state still holds and what comes, and have this one forgotten (--forget-sink), or begin anew with another path and --job NAME"
                .to_owned(),
            _ => format!(
                "restore it as it was, or, if what it held is not needed, put as many empty lines in its place \
                 (head -c {had} /dev/zero | tr '\\0' '\\n' >'{shown}'), or begin anew with --job NAME"
            ),
        };
        let why = format!("{what} {shown}: {has} and had {had} bytes when the state was written: {ways_out}");
        return Err(Halt::new(HaltKind::Data, why));
    }
    if len == 0 || keep.is_some() {
        return Ok(());
    }
    let why = format!(
        "{what} {}: holds {len} bytes that are not of this run, and nothing is appended to what others wrote; move it \
         away or choose another path",
        path.display()
    );
    Err(Halt::new(HaltKind::Usage, why))
}

/// How much of a file is the state's, and what is done if another run has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Claim {
    /// So many bytes are the state's; none: nothing is.
    pub(super) keep: Option<u64>,
    /// A run that hangs may have it: its place is taken by a copy of what is the state's.
    pub(super) take_over: bool,
    /// It is for its owner's eyes alone.
    pub(super) private: bool,
}

/// A copy of a file's first bytes in its place, locked: whoever has the file open still writes to a file without a name,
/// which harms nobody.
fn displace(file: &mut File, path: &Path, keep: u64, private: bool) -> io::Result<File> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".taken-over-{}", std::process::id()));
    let beside = path.with_file_name(name);
    match std::fs::remove_file(&beside) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut copy = growing(private).create_new(true).open(&beside)?;
    copy.lock()?;
    file.seek(SeekFrom::Start(0))?;
    let copied = io::copy(&mut file.take(keep), &mut copy);
    let copied = copied.and_then(|_| copy.sync_all()).and_then(|()| std::fs::rename(&beside, path));
    copied.inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    Ok(copy)
}

/// Opens a file for this run alone: a new or empty one; or, where the state says how many bytes of it are to be kept, what
/// it then holds beyond them is cut off.
///
/// # Errors
/// 64, or 65 for a file that is shorter than it was, with what to do; 69 when the disk is full.
pub(super) fn create(what: &str, path: &Path, claim: Claim) -> Result<File, Halt> {
    let keep = claim.keep;
    let full = |e: &io::Error| matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let usage = |why: String| Halt::new(HaltKind::Usage, format!("{what} {}: {why}", path.display()));
    let mut file = growing(claim.private).create(true).open(path).map_err(|e| {
        let kind = if full(&e) { HaltKind::Unreachable } else { HaltKind::Usage };
        Halt { kind, ..usage(format!("{e}; choose a path that can be written")) }
    })?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) if claim.take_over && keep.is_some() => {
            refuse_content(what, path, file.metadata().map_or(0, |meta| meta.len()), keep)?;
            let copied = displace(&mut file, path, keep.unwrap_or(0), claim.private);
            file = copied.map_err(|e| usage(format!("cannot be taken over: {e}; end the run that writes to it")))?;
        }
        Err(TryLockError::WouldBlock) => {
            return Err(usage("another run is writing to it; choose another path".to_owned()));
        }
        // A file system without locks: the content check below still holds, two runs started at once do not see it.
        Err(TryLockError::Error(e)) => tracing::warn!("{what} {}: cannot be locked: {e}", path.display()),
    }
    let meta = file.metadata().map_err(|e| usage(format!("{e}; choose another path")))?;
    if !meta.is_file() {
        return Err(usage("is not a regular file; name a file".to_owned()));
    }
    refuse_content(what, path, meta.len(), keep)?;
    let cut = Place::cut(&mut file, keep.unwrap_or(0)).and_then(|()| file.sync_all());
    cut.map_err(|e| usage(format!("cannot be cut back to what the state knows: {e}; choose another path")))?;
    sync_folder_of(path).map_err(|e| usage(format!("its folder cannot be synchronized: {e}; choose another path")))?;
    Ok(file)
}

/// Appends whole writes, each tried until it is there.
pub(super) struct Appender<P = File> {
    place: P,
    path: PathBuf,
    /// Bytes of whole writes.
    len: u64,
    health: Arc<Health>,
    stop: Stop,
}

impl<P: Place> Appender<P> {
    /// Appends to a place that holds `len` bytes.
    pub(super) fn new(place: P, len: u64, path: &Path, health: Arc<Health>, stop: Stop) -> Self {
        Appender { place, path: path.to_owned(), len, health, stop }
    }

    /// How many bytes the file has.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// [`WriterExit::Stopped`]; trouble with the disk is waited out.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), WriterExit> {
        let mut backoff = Backoff::of_files();
        let mut whole = true;
        loop {
            self.wait_until_there(whole)?;
            let tried =
                if whole { Ok(()) } else { self.place.cut(self.len) }.and_then(|()| self.place.write_all(bytes));
            match tried {
                Ok(()) => break,
                Err(e) => {
                    whole = false;
                    self.health.set_trouble(format!("{}: {e}", self.path.display()));
                    backoff.wait(&self.stop)?;
                }
            }
        }
        self.len += u64::try_from(bytes.len()).expect("a usize fits a u64");
        self.health.clear_trouble();
        Ok(())
    }

    /// Returns once all writes are durable, in a file that the path names.
    ///
    /// # Errors
    /// When it is unknown whether they are.
    pub(super) fn sync(&mut self) -> Result<(), WriterExit> {
        self.place.sync().map_err(|e| {
            let why = format!(
                "{}: could not be made durable: {e}; the system may have dropped what was written since the last time, \
                 so the run ends: see to the disk and start again",
                self.path.display()
            );
            WriterExit::Halt(Halt::new(HaltKind::Unreachable, why))
        })?;
        self.wait_until_there(true)?;
        self.health.clear_trouble();
        Ok(())
    }

    /// Nothing is to be written: is the file still there?
    pub(super) fn idle(&self) {
        match self.missed(true) {
            Some(why) => self.health.set_trouble(why),
            None => self.health.clear_trouble(),
        }
    }

    /// Waits while the path names another file or none, and while the file is not what was left of it.
    fn wait_until_there(&self, whole: bool) -> Result<(), WriterExit> {
        let mut backoff = Backoff::of_files();
        while let Some(why) = self.missed(whole) {
            self.health.set_trouble(why);
            backoff.wait(&self.stop)?;
        }
        Ok(())
    }

    /// What is wrong with the file, if others deleted, moved, cut or wrote to it. `whole`: no write failed half-way.
    fn missed(&self, whole: bool) -> Option<String> {
        let path = self.path.display();
        let (file, len) = match self.place.found() {
            Ok(found) => found?,
            Err(e) => return Some(format!("{path}: {e}")),
        };
        if let Some(why) = file.missed_at(&self.path) {
            return Some(why);
        }
        let had = self.len;
        match len.cmp(&had) {
            std::cmp::Ordering::Less => Some(format!(
                "{path}: has {len} bytes and had {had}: another program cut it while this run writes to it, so rows wait; put \
                 back what it held, or stop this run: the state keeps what is not stored, and the next start says what can \
                 be done"
            )),
            std::cmp::Ordering::Greater if whole => Some(format!(
                "{path}: has {len} bytes, of which another program wrote those after {had}, so rows wait; stop this run and \
                 start it again, which cuts them off"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sinks::testing::{poll, temp};
    use std::sync::Mutex;

    /// A disk of so many bytes, which may grow.
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

    impl Place for SmallDisk {
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
            for halt in
                [look("csv", path, nowhere, None).unwrap_err(), create("csv", path, Claim::default()).unwrap_err()]
            {
                assert_eq!(halt.kind, HaltKind::Usage, "{halt}");
                assert!(halt.why.contains(&path.display().to_string()), "{halt}");
            }
        }
        assert_eq!(std::fs::read(&full).unwrap(), b"theirs");
        let unwritable = Path::new("/proc/x.csv"); // for root, too
        let halt = look("csv", unwritable, nowhere, None).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains("/proc"), "{halt}");
        look("csv", &missing, missing.parent().unwrap(), None).unwrap(); // a folder of ours is made later
        look("csv", &dir.path().join("new"), nowhere, None).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "looking leaves nothing");
    }

    #[test]
    fn a_file_of_the_state_is_cut_back_and_never_made_up() {
        let dir = temp();
        let path = dir.path().join("ours");
        std::fs::write(&path, "kept|torn").unwrap();
        look("csv", &path, Path::new("/"), Some(5)).unwrap();
        let mut file = create("csv", &path, kept(5)).unwrap();
        file.write_all(b"more").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"kept|more");
        drop(file);
        for halt in
            [look("csv", &path, Path::new("/"), Some(10)).unwrap_err(), create("csv", &path, kept(10)).unwrap_err()]
        {
            assert!(halt.kind == HaltKind::Data && halt.why.contains("has 9 bytes and had 10"), "{halt}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"kept|more");
    }

    fn kept(keep: u64) -> Claim {
        Claim { keep: Some(keep), ..Claim::default() }
    }

    #[test]
    fn what_a_run_writes_that_was_taken_over_goes_nowhere() {
        let dir = temp();
        let path = dir.path().join("ours");
        let mut zombie = create("csv", &path, Claim::default()).unwrap();
        zombie.write_all(b"kept|more").unwrap();
        assert!(create("csv", &path, kept(5)).unwrap_err().why.contains("another run"));
        let theirs = Claim { take_over: true, ..Claim::default() };
        assert!(create("csv", &path, theirs).unwrap_err().why.contains("another run"), "it is not the state's");
        let mut heir = create("csv", &path, Claim { keep: Some(5), take_over: true, ..Claim::default() }).unwrap();
        zombie.write_all(b"|zombie").unwrap();
        zombie.cut(2).unwrap();
        heir.write_all(b"heir").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"kept|heir");
        assert!(create("csv", &path, kept(5)).unwrap_err().why.contains("another run"), "it is locked");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let halt = create("csv", &path, Claim { keep: Some(50), take_over: true, ..Claim::default() }).unwrap_err();
        assert_eq!(halt.kind, HaltKind::Data, "{halt}");
    }

    #[test]
    fn two_runs_do_not_share_a_file() {
        let dir = temp();
        let path = dir.path().join("one");
        let held = create("csv", &path, Claim::default()).unwrap();
        assert!(create("csv", &path, Claim::default()).unwrap_err().why.contains("another run"));
        drop(held);
        create("csv", &path, Claim::default()).unwrap();
    }

    #[test]
    fn what_others_do_to_a_file_is_noticed_and_nothing_is_written_on() {
        let dir = temp();
        let (path, aside) = (dir.path().join("one"), dir.path().join("aside"));
        let file = create("csv", &path, Claim::default()).unwrap();
        let health = Health::new("csv");
        let mut appender = Appender::new(file, 0, &path, health.clone(), Stop::new());
        appender.append(b"12345\n").unwrap();
        let text = || std::fs::read_to_string(&path).unwrap();
        let others: [(&dyn Fn(), &dyn Fn(), &str); 4] = [
            (
                &|| std::fs::rename(&path, &aside).unwrap(),
                &|| std::fs::rename(&aside, &path).unwrap(),
                "deleted or moved",
            ),
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
        let halt = look("csv", &link, Path::new("/"), None).unwrap_err();
        assert!(halt.kind == HaltKind::Usage && halt.why.contains("symbolic link"), "{halt}");
        assert_eq!(create("csv", &link, Claim::default()).unwrap_err().kind, HaltKind::Usage);
        let private = dir.path().join("private");
        create("dead letters", &private, Claim { private: true, ..Claim::default() }).unwrap();
        assert_eq!(std::fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
