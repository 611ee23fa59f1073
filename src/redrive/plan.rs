//! What is to be redriven, as the command line asks for it.

use super::path::PayloadPath;
use crate::cli::{RedriveArgs, UsageErrors};
use std::path::PathBuf;

/// Where corrected records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedriveTarget {
    Topic,
    Amend,
}

/// A field of the run, and where the payloads of letters have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldMap {
    pub(super) name: String,
    pub(super) from: PayloadPath,
    /// As it was given.
    pub(super) shown: String,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct RedrivePlan {
    pub(super) file: PathBuf,
    pub(super) maps: Vec<FieldMap>,
    /// None: it is shown alone.
    pub(super) target: Option<RedriveTarget>,
    pub(super) json: bool,
}

impl RedrivePlan {
    /// What these arguments mean.
    ///
    /// # Errors
    /// All that is wrong.
    pub(crate) fn of(args: &RedriveArgs) -> Result<Self, UsageErrors> {
        let mut errors = UsageErrors::default();
        let mut maps = Vec::new();
        for text in &args.maps {
            match text.split_once('=') {
                Some((name, path)) if !name.is_empty() => {
                    if let Some(from) =
                        errors.ok(PayloadPath::parse(path).map_err(|why| format!("--map {text}: {why}")))
                    {
                        maps.push(FieldMap { name: name.to_owned(), from, shown: text.clone() });
                    }
                }
                _ => errors.push(format!("--map {text}: give FIELD=PATH, such as price=.p")),
            }
        }
        let target = match (args.yes, args.to_topic, args.amend) {
            (_, true, true) => {
                errors.push("--to-topic and --amend exclude each other: a record would count twice");
                None
            }
            (true, false, false) => {
                errors.push("--yes: say where corrected records go: --to-topic or --amend");
                None
            }
            (true, true, false) => Some(RedriveTarget::Topic),
            (true, false, true) => Some(RedriveTarget::Amend),
            (false, ..) => None,
        };
        let file = args.letters.as_ref().filter(|file| !file.is_empty()).map(PathBuf::from);
        if file.is_none() {
            errors.push("redrive: takes a file of dead letters, such as minutely-data/JOB/dead-letters-….jsonl");
        }
        errors.unless_any(file.map(|file| RedrivePlan { file, maps, target, json: args.json }))
    }
}
