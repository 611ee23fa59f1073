//! May a run write a table? Judged by what the database says of it ([`TableFacts`]) and what the state knows.

use super::error::{DatabaseProblem, SqliteError};
use super::layout::{FORMAT, TableFacts};
use super::target::TableName;
use crate::sinks::options::SinkOptions;
use std::path::Path;

/// May the run with these options write the table?
///
/// # Errors
/// 64, with what to do; 65 when the rows do not fit the state that the run resumes from.
pub(super) fn decide(
    facts: &TableFacts,
    path: &Path,
    table: &TableName,
    options: &SinkOptions,
) -> Result<(), SqliteError> {
    let refused = |problem: DatabaseProblem| Err(problem.at(path));
    match facts.format {
        None if facts.exists => return refused(DatabaseProblem::NoFormat),
        None | Some(1 | FORMAT) => {}
        Some(other) => return refused(DatabaseProblem::UnknownFormat(other)),
    }
    if facts.exists && facts.greatest.is_none() {
        return refused(DatabaseProblem::TableOfAnotherProgram(table.as_str().to_owned()));
    }
    fits(path, options, facts.newest.and_then(|newest| u64::try_from(newest).ok()))?;
    let ours = &options.owner;
    let theirs = match &facts.owner {
        _ if options.take_sink || !facts.has_rows && facts.owner.is_none() => return Ok(()),
        Some(owner) if options.is_owner(owner) => return Ok(()),
        // The state that has this chain proves it: a job may be renamed, and a new version may count more options.
        Some(owner) if is_of_state(facts, options) && (owner.job == ours.job || owner.semantics == ours.semantics) => {
            return Ok(());
        }
        None if is_of_state(facts, options) => return Ok(()),
        Some(owner) if owner.job == ours.job => format!("job {}, as it was with other options", owner.job),
        Some(owner) => format!("job {}", owner.job),
        None => "a run of an earlier version, which did not say of which job it was".to_owned(),
    };
    let (table, ours, path) = (table.as_str().to_owned(), ours.job.clone(), path.display().to_string());
    refused(DatabaseProblem::TableOfAnotherJob { table, theirs, ours, path })
}

/// Is the state's chain one of this table?
fn is_of_state(facts: &TableFacts, options: &SinkOptions) -> bool {
    let chain = options.chain.and_then(|chain| i64::try_from(chain).ok());
    chain.zip(facts.greatest).is_some_and(|(chain, greatest)| chain <= greatest)
}

/// Do the newest rows fit the state? If an older copy of the state was restored, its next rows are older than those in the
/// database, and all of them would be refused. If an older copy of the database was restored, or it is gone, it lacks rows
/// that the state has forgotten.
fn fits(path: &Path, options: &SinkOptions, newest: Option<u64>) -> Result<(), SqliteError> {
    let (Some(_), Some(prior)) = (options.chain, &options.prior_state) else { return Ok(()) };
    let (newest, known) = (newest.unwrap_or(0), options.position.unwrap_or(0));
    let (place, seq) = (prior.place.clone(), prior.seq);
    if newest > seq {
        Err(DatabaseProblem::StateIsOlder { newest, place, seq }.at(path))
    } else if newest < known {
        Err(DatabaseProblem::DatabaseIsOlder { newest, known, place }.at(path))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::options::Owner;
    use crate::sinks::testing::options;

    #[test]
    fn a_table_is_its_owner_s() {
        let ours = Owner { job: "job".into(), semantics: "semantics".into() };
        let other = Owner { job: "other".into(), semantics: "others".into() };
        let renamed = Owner { job: "before".into(), ..ours.clone() };
        let changed = Owner { semantics: "before".into(), ..ours.clone() };
        let facts = |owner: Option<&Owner>, has_rows| TableFacts {
            format: Some(FORMAT),
            exists: true,
            greatest: Some(4),
            newest: None,
            owner: owner.cloned(),
            has_rows,
        };
        let judged = |facts: &TableFacts, chain, take_sink| {
            let options = SinkOptions { chain, take_sink, ..options(Path::new(".")) };
            decide(facts, Path::new("m.db"), &TableName::default(), &options).map_err(|e| e.to_string())
        };
        for (owner, has_rows, chain, want) in [
            (Some(&ours), true, None, true),
            (Some(&other), true, None, false),
            (Some(&other), false, None, false),
            (Some(&other), true, Some(4), false),
            (Some(&renamed), true, None, false),
            (Some(&renamed), true, Some(4), true),
            (Some(&changed), true, Some(4), true),
            (Some(&changed), true, None, false),
            (Some(&changed), true, Some(5), false),
            (None, false, None, true),
            (None, true, None, false),
            (None, true, Some(4), true),
            (None, true, Some(5), false),
        ] {
            let facts = facts(owner, has_rows);
            assert_eq!(judged(&facts, chain, false).is_ok(), want, "{facts:?} {chain:?}");
            assert_eq!(judged(&facts, chain, true), Ok(()), "it is taken: {facts:?}");
        }
        // An earlier version recorded the same options as they were typed.
        let spelled = SinkOptions { owner_as_typed: Some(changed.clone()), ..options(Path::new(".")) };
        let is_ours =
            |owner| decide(&facts(Some(owner), true), Path::new("m.db"), &TableName::default(), &spelled).is_ok();
        assert_eq!((is_ours(&changed), is_ours(&ours), is_ours(&other)), (true, true, false));
        let why = judged(&facts(Some(&other), true), None, false).unwrap_err();
        for part in ["m.db: its table minutes belongs to job other", "job job", "m.db?table=NAME", "--take-sink"] {
            assert!(why.contains(part), "{part}: {why}");
        }
        assert!(judged(&facts(None, true), None, false).unwrap_err().contains("an earlier version"));
        assert!(judged(&facts(Some(&changed), true), None, false).unwrap_err().contains("with other options"));
    }
}
