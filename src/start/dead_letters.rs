//! Which files a run's dead letters go to.

use super::error::StartError;
use crate::dead_letter_files::DeadLetterFiles;
use crate::fmt::file_stamp;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::time::EventTime;
use std::path::{Path, PathBuf};

/// The first file of a run's dead letters, in the job's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeadLetterFile {
    pub(super) path: PathBuf,
    /// Bytes of it and of those after it that the state knows, and that stay; none for a run that resumes from no state.
    pub(super) keep: Option<u64>,
}

impl DeadLetterFile {
    /// The one that the state names, or a new one. The job's folder is where it is now, whatever folder the program was
    /// started in when the state was written; a name in a state leads to no other folder.
    ///
    /// # Errors
    /// They were written into another folder.
    pub(super) fn of(folder: &Path, prior: Option<&Manifest>, now: EventTime) -> Result<Self, StartError> {
        let Some(prior) = prior else { return Ok(DeadLetterFile { path: new_path(folder, now), keep: None }) };
        let position = prior.dead_letters.position.unwrap_or(0);
        let recorded = Path::new(&prior.dead_letters.name);
        let path = match recorded.file_name() {
            Some(name) => folder.join(name),
            None => new_path(folder, now),
        };
        // (Where the folder cannot be listed the sink says so.)
        let is_gone = DeadLetterFiles::new(&path).resume(position).is_ok_and(|(segment, _)| !segment.path.exists());
        // (In the same folder they are lost, and not elsewhere: the sink says so, and what to do.)
        let is_here = recorded.parent() == Some(&absolute(folder));
        if recorded.file_name().is_none() || !is_gone || position == 0 || is_here {
            return Ok(DeadLetterFile { path, keep: Some(position) });
        }
        let behind = DeadLetterFiles::new(&absolute(&path)).begun_at(position).path;
        Err(StartError::DeadLettersElsewhere { recorded: recorded.to_owned(), folder: absolute(folder), behind })
    }

    /// How a state names it.
    pub(super) fn recorded_name(&self) -> String {
        absolute(&self.path).to_string_lossy().into_owned()
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path that nothing has yet, nor a segment behind it.
fn new_path(folder: &Path, now: EventTime) -> PathBuf {
    let stamp = file_stamp(now);
    let path = |n: u32| match n {
        1 => folder.join(format!("dead-letters-{stamp}.jsonl")),
        n => folder.join(format!("dead-letters-{stamp}-{n}.jsonl")),
    };
    // (As above: a folder that cannot be listed is no reason to try other names.)
    let is_taken = |path: &PathBuf| DeadLetterFiles::new(path).segments().is_ok_and(|segments| !segments.is_empty());
    let is_free = |path: &PathBuf| !path.exists() && !is_taken(path);
    (1..).map(path).find(is_free).expect("a folder has fewer files than there are numbers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::checkpoint::SinkState;
    use minutely_dataflows::edge::{Halt, HaltKind};

    fn manifest(name: &str, position: Option<u64>) -> Manifest {
        Manifest {
            dead_letters: SinkState { name: name.into(), position, ..SinkState::default() },
            ..Manifest::default()
        }
    }

    #[test]
    fn the_states_file_is_looked_for_in_the_jobs_folder_wherever_that_is_now() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let of = |prior: Option<&Manifest>| DeadLetterFile::of(folder, prior, EventTime(0));
        let file = |name: &str, keep| DeadLetterFile { path: folder.join(name), keep };
        let new = "dead-letters-19700101T000000Z.jsonl";
        assert_eq!(of(None).unwrap(), file(new, None));
        std::fs::write(folder.join(new), "another run's").unwrap();
        assert_eq!(of(None).unwrap(), file("dead-letters-19700101T000000Z-2.jsonl", None));
        assert_eq!(of(Some(&manifest("", None))).unwrap(), file("dead-letters-19700101T000000Z-2.jsonl", Some(0)));

        // Nothing was written to it, so it need not be there.
        assert_eq!(of(Some(&manifest("/before/a.jsonl", None))).unwrap(), file("a.jsonl", Some(0)));
        let written = manifest("/before/a.jsonl", Some(7));
        let halt = Halt::from(of(Some(&written)).unwrap_err());
        assert!(halt.kind == HaltKind::Usage && halt.why.contains("/before/a.jsonl"), "{halt}");
        assert!(halt.why.contains("install -m 600 /dev/null '") && halt.why.contains("segment-"), "{halt}");
        // Lost in this folder: they are nowhere else, and the sink says what to do.
        let lost = manifest(folder.join("a.jsonl").to_str().unwrap(), Some(7));
        assert_eq!(of(Some(&lost)).unwrap(), file("a.jsonl", Some(7)));
        std::fs::write(folder.join("a.jsonl"), "a line").unwrap();
        assert_eq!(of(Some(&written)).unwrap(), file("a.jsonl", Some(7)));
        // The first file may be moved away once there is one behind it.
        std::fs::remove_file(folder.join("a.jsonl")).unwrap();
        std::fs::write(DeadLetterFiles::new(&folder.join("a.jsonl")).begun_at(7).path, "").unwrap();
        assert_eq!(of(Some(&written)).unwrap(), file("a.jsonl", Some(7)));
        assert!(of(Some(&manifest("/before/a.jsonl", Some(6)))).is_err(), "it begins behind what the state knows");
        std::fs::remove_file(folder.join(new)).unwrap();
        std::fs::write(DeadLetterFiles::new(&folder.join(new)).begun_at(9).path, "another run's").unwrap();
        assert_eq!(of(None).unwrap(), file("dead-letters-19700101T000000Z-2.jsonl", None));
        // What is no folder cannot be listed: there is a name all the same, and whoever opens it says what is wrong.
        let no_folder = folder.join("a-file");
        std::fs::write(&no_folder, "").unwrap();
        assert_eq!(new_path(&no_folder, EventTime(0)), no_folder.join(new));
    }
}
