//! The folder of a job in the data folder: what `--job` names, or one named by the job's semantics.
//!
//! A default name is the source's scheme and a hash of the semantics' text. Earlier versions hashed the options as they were
//! typed, so `--window 60s` had another folder than `1m` has. Such a folder is found by the same options and used on, as that
//! version would have done; new folders are named by the values alone.

use crate::semantics::{Entries, Semantics};
use std::path::{Path, PathBuf};

/// Where a job is, and how its state and its sinks record its semantics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobFolder {
    pub(crate) folder: PathBuf,
    /// What a new chain and the sinks record. A chain that exists keeps what it has.
    pub(crate) recorded: Entries,
    /// For people: an earlier version named the folder, and what a new one would be called.
    pub(crate) remark: Option<String>,
    /// What an earlier version would have called the job, and recorded, where that differs: its sinks are this job's, too.
    pub(crate) as_typed: Option<(String, Entries)>,
}

impl JobFolder {
    /// The job that `--job` names. `typed`: as in [`JobFolder::by_semantics`].
    pub(crate) fn named(data: &Path, name: &str, semantics: &Semantics, typed: &[(&str, &str)]) -> Self {
        let recorded = semantics.entries();
        let as_typed = spelled(&recorded, typed);
        let as_typed = (as_typed != recorded).then(|| (name.to_owned(), as_typed));
        JobFolder { folder: data.join(name), recorded, remark: None, as_typed }
    }

    /// The job of these semantics. `typed`: options whose values can be written in more than one way, as they were typed.
    /// Looks whether a folder of an earlier version exists.
    pub(crate) fn by_semantics(data: &Path, semantics: &Semantics, typed: &[(&str, &str)]) -> Self {
        let recorded = semantics.entries();
        let name = default_name(&recorded, semantics);
        let as_typed = spelled(&recorded, typed);
        let older = default_name(&as_typed, semantics);
        let folder = data.join(&older);
        if older == name || !folder.is_dir() {
            let as_typed = (older != name).then_some((older, as_typed));
            return JobFolder { folder: data.join(name), recorded, remark: None, as_typed };
        }
        let spelled = as_typed.iter().filter(|(option, text)| recorded.get(*option) != Some(text));
        let spelled: Vec<_> = spelled.map(|(option, text)| format!("{option} {text}")).collect();
        let remark = format!(
            "using the job folder {}, which an earlier version named by {} as typed; a new job with these values would be {name}",
            folder.display(),
            spelled.join(" ")
        );
        JobFolder { folder, recorded: as_typed, remark: Some(remark), as_typed: None }
    }
}

/// The entries with some options as they were typed.
fn spelled(recorded: &Entries, typed: &[(&str, &str)]) -> Entries {
    let typed = typed.iter().map(|(option, text)| ((*option).to_owned(), (*text).to_owned()));
    recorded.clone().into_iter().chain(typed).collect()
}

fn default_name(entries: &Entries, semantics: &Semantics) -> String {
    let scheme = semantics.source.split(':').next().unwrap_or("job");
    let text: String = entries.iter().map(|(option, text)| format!("{option}\0{text}\0")).collect();
    let hash = xxhash_rust::xxh3::xxh3_64(text.as_bytes()) >> 32;
    format!("{scheme}-{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::{LATENESS, WINDOW};

    #[test]
    fn a_folder_that_an_earlier_version_named_is_found_and_new_ones_are_named_by_the_values() {
        let data = tempfile::tempdir().unwrap();
        let semantics = Semantics { source: crate::sources::identity("sim:"), ..Semantics::default() };
        let job = |window, lateness| {
            JobFolder::by_semantics(data.path(), &semantics, &[(WINDOW, window), (LATENESS, lateness)])
        };
        let usual = job("1m", "10m");
        assert_eq!(usual.folder, data.path().join("sim-54e98843"));
        let unusual = job("60s", "600s");
        assert_eq!((&unusual.folder, &unusual.recorded, &usual.as_typed), (&usual.folder, &usual.recorded, &None));
        let (older, recorded) = unusual.as_typed.unwrap();
        assert_eq!((older.starts_with("sim-"), &*recorded[WINDOW], &*recorded[LATENESS]), (true, "60s", "600s"));
        assert_ne!(data.path().join(older), usual.folder);

        let mut as_typed = semantics.entries();
        as_typed.insert(WINDOW.into(), "60s".into());
        let older = data.path().join(default_name(&as_typed, &semantics));
        std::fs::create_dir(&older).unwrap();
        let found = job("60s", "10m");
        assert_eq!((&found.folder, &found.recorded), (&older, &as_typed));
        let remark = found.remark.unwrap();
        assert!(remark.contains("by --window 60s as typed") && remark.contains("sim-54e98843"), "{remark}");
        // It is this command's, even if the other exists as well: two jobs of an earlier version stay two.
        std::fs::create_dir(&usual.folder).unwrap();
        assert_eq!((job("60s", "10m").folder, job("1m", "10m").folder), (older, usual.folder));
    }
}
