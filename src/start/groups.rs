//! `--groups`, looked at again while a run goes on: an edit that is whole and right holds for minutes that are not final yet, any other is
//! told and changes nothing.

use crate::config::GroupsFile;
use crate::console::{say, warn};
use crate::fmt::number_of;
use crate::text::rfc3339;
use crate::threads::{Stop, lock};
use minutely_dataflows::derived::{GroupSource, GroupTable};
use minutely_dataflows::time::{EventTime, WindowStart};
use std::fmt;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// Between two looks. A file that has changed is read once two looks have found it alike: editors write in parts.
const EVERY: Duration = Duration::from_secs(1);

/// A file of groups that is watched.
pub(super) struct WatchedGroups {
    path: PathBuf,
    newest: Mutex<Arc<GroupTable>>,
    /// The first table was taken over.
    begun: AtomicBool,
    stop: Stop,
}

/// All processes of a run look alike: worker 0 alone has rows of groups.
impl fmt::Debug for WatchedGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WatchedGroups")
    }
}

impl WatchedGroups {
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start(file: &GroupsFile) -> std::io::Result<Arc<Self>> {
        let groups = Arc::new(WatchedGroups {
            path: file.path.clone(),
            newest: Mutex::new(Arc::clone(&file.table)),
            begun: AtomicBool::new(false),
            stop: Stop::new(),
        });
        let (watched, mut watch) = (Arc::downgrade(&groups), Watch::new(file));
        let (path, stop) = (groups.path.clone(), groups.stop.clone());
        let work = move || {
            while stop.wait(EVERY).is_ok() {
                let Some(groups) = watched.upgrade() else { return };
                match watch.look(&path) {
                    Some(Ok(table)) => *lock(&groups.newest) = table,
                    Some(Err(why)) => warn(&format!("{why}; the table that was read before still holds")),
                    None => {}
                }
            }
        };
        std::thread::Builder::new().name("groups".into()).spawn(work)?;
        Ok(groups)
    }
}

impl Drop for WatchedGroups {
    fn drop(&mut self) {
        self.stop.set();
    }
}

impl GroupSource for WatchedGroups {
    fn newest(&self) -> Arc<GroupTable> {
        Arc::clone(&lock(&self.newest))
    }

    fn adopted(&self, table: &GroupTable, from: Option<WindowStart>) {
        let (path, (lines, groups)) = (self.path.display(), table.size());
        let edited = if self.begun.swap(true, Ordering::Relaxed) { " was edited" } else { "" };
        let since = from.map_or(String::new(), |from| {
            format!(", for minutes from {} on; all before are final", rfc3339(EventTime(from.0), 0))
        });
        let [lines, groups] = [(lines, "line"), (groups, "group")].map(|(many, what)| number_of(many as u64, what));
        say(&format!("--groups {path}{edited}: {lines}, {groups}{since}"));
    }
}

/// What tells two contents of a file apart without reading it: its length and when it was written to.
type FileStamp = (u64, Option<SystemTime>);

/// What was seen of the file.
struct Watch {
    text: String,
    /// Of the content that was read last, or could not be.
    read: Option<FileStamp>,
    /// At the last look.
    seen: Option<FileStamp>,
}

impl Watch {
    fn new(file: &GroupsFile) -> Self {
        // It may have been edited since it was read: it is read again.
        Watch { text: file.text.clone(), read: None, seen: None }
    }

    /// The table of a new content, or what is wrong with it; nothing where it is the same, or still changes.
    fn look(&mut self, path: &Path) -> Option<Result<Arc<GroupTable>, String>> {
        let stamp = || std::fs::metadata(path).ok().map(|meta: Metadata| (meta.len(), meta.modified().ok()));
        let now = Some(stamp().unwrap_or_default());
        if std::mem::replace(&mut self.seen, now) != now || self.read == now {
            return None;
        }
        let file = GroupsFile::read(path);
        if Some(stamp().unwrap_or_default()) != now {
            return None;
        }
        self.read = now;
        match file {
            Ok(file) if file.text == self.text => None,
            Ok(file) => {
                self.text = file.text;
                Some(Ok(file.table))
            }
            Err(why) => Some(Err(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_read_once_it_rests_and_a_broken_one_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("groups.csv");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("symbol,group\nA,g\n");
        let mut watch = Watch::new(&GroupsFile::read(&path).unwrap());
        let mut looks = |many: usize| -> Vec<_> {
            let look = |_| watch.look(&path).map(|found| found.map(|table| table.size()));
            (0..many).filter_map(look).collect()
        };
        assert_eq!(looks(3), []);
        write("symbol,group\nA,g\nB,h\n");
        assert_eq!(looks(1), [], "it may still be written to");
        assert_eq!(looks(3), [Ok((2, 2))]);
        write("symbol,group\nA,\n");
        let told = looks(4);
        assert!(matches!(&told[..], [Err(why)] if why.contains("line 2: `group` is empty")), "{told:?}");
        std::fs::remove_file(&path).unwrap();
        let told = looks(4);
        assert!(matches!(&told[..], [Err(why)] if why.contains("cannot be read")), "{told:?}");
        write("symbol,group\nA,g\nB,h\n");
        assert_eq!(looks(4), [], "what it was");
        write("symbol,group\nA,g\nB,h\nC,h\n");
        assert_eq!(looks(4), [Ok((3, 2))]);
    }
}
