//! `minutely state rebuild`: moves a state aside, so that the next run begins a new chain.

use super::bucket::BucketPrefix;
use super::client::StoreClient;
use super::error::{MoveProblem, StoreError};
use super::lock::lock;
use super::silence::{silence, wait_for_silent_owner};
use super::uri::StoreUri;
use minutely_dataflows::checkpoint::Manifest;
use minutely_dataflows::edge::Halt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Moves a state aside. Returns the new place, whose name ends in `stamp`.
///
/// # Errors
/// 64: there is none, or it cannot be moved. 69: the store does not answer. 78: a run owns it.
pub(crate) fn rebuild(place: &StoreUri, stamp: &str) -> Result<String, Halt> {
    let moved = match place {
        StoreUri::Folder(path) => move_folder(place, path, stamp),
        StoreUri::Remote(bucket) => move_prefix(place, bucket, stamp, silence),
    };
    Ok(moved?)
}

fn not_moved(place: &StoreUri, problem: MoveProblem) -> StoreError {
    StoreError::NotMoved { place: place.clone(), problem }
}

/// What is added to the name of a state that is the `n`-th to be moved aside within a second.
fn suffix(stamp: &str, n: u32) -> String {
    if n == 1 { format!(".old-{stamp}") } else { format!(".old-{stamp}-{n}") }
}

fn move_folder(place: &StoreUri, path: &Path, stamp: &str) -> Result<String, StoreError> {
    let not_moved = |problem| not_moved(place, problem);
    if !path.join("lock").exists() {
        return Err(not_moved(MoveProblem::NoState));
    }
    let _lock = lock(path, false)?;
    let path = std::path::absolute(path).map_err(|e| not_moved(MoveProblem::NoPath(e)))?;
    let name = path.file_name().ok_or_else(|| not_moved(MoveProblem::NoName))?.to_string_lossy().into_owned();
    let free = |n: u32| path.with_file_name(format!("{name}{}", suffix(stamp, n)));
    let aside = (1..).map(free).find(|path| !path.exists()).expect("some number is free");
    let moved = std::fs::rename(&path, &aside);
    moved.map_err(|source| not_moved(MoveProblem::Refused { to: aside.clone(), source }))?;
    Ok(aside.display().to_string())
}

/// In a bucket nothing can be moved: all is copied, and then deleted. Objects go first and then manifests, the oldest first: what is left of
/// a state when this is interrupted is one whose objects are not there, which no run resumes from, and can be moved aside as well.
fn move_prefix(
    place: &StoreUri,
    bucket: &BucketPrefix,
    stamp: &str,
    silence: fn(&Manifest) -> Duration,
) -> Result<String, StoreError> {
    let client = StoreClient::open(place)?;
    if client.files()?.is_empty() {
        return Err(not_moved(place, MoveProblem::NoState));
    }
    wait_for_silent_owner(&client, silence)?;
    let files = client.files()?; // the last cut of an owner that has gone meanwhile is there, too
    let mut free = (1..).map(|n| Arc::new(bucket.beside(&suffix(stamp, n))));
    let aside = loop {
        let aside = free.next().expect("there are enough numbers");
        if StoreClient::open(&StoreUri::Remote(Arc::clone(&aside)))?.files()?.is_empty() {
            break aside;
        }
    };
    for key in &files {
        client.copy(bucket, &aside, key)?;
    }
    if client.files()? != files {
        return Err(client.owned("it has written while its state was copied"));
    }
    client.delete_all(&files)?;
    Ok(StoreUri::Remote(aside).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::bucket::BucketPrefix;
    use super::*;
    use futures_util::TryStreamExt;
    use minutely_dataflows::edge::HaltKind;
    use object_store::memory::InMemory;
    use object_store::path::Path as Key;
    use object_store::{ObjectStore, ObjectStoreExt};

    #[test]
    fn a_state_in_a_bucket_is_moved_aside_unless_a_run_writes_it() {
        let store = Arc::new(InMemory::new());
        let bucket = BucketPrefix::of(Arc::clone(&store) as Arc<dyn ObjectStore>).beside(".jobs");
        let bucket = Arc::new(bucket);
        let place = StoreUri::Remote(Arc::clone(&bucket));
        let halt = Halt::from(move_prefix(&place, &bucket, "now", |_| Duration::ZERO).unwrap_err());
        assert!(halt.kind == HaltKind::Usage && halt.why.contains("there is none"), "{halt}");
        let runtime = super::super::runtime::shared().unwrap();
        let put = |name: &str| {
            runtime.block_on(store.put(&Key::from(name), "x".into())).unwrap();
        };
        let fill = || ["jobs/object/a", "jobs/manifest/00000000000000000007", "jobs-2/object/a"].map(put);
        let names = || {
            let listed = runtime.block_on(store.list(None).try_collect::<Vec<_>>()).unwrap();
            let mut names: Vec<String> = listed.into_iter().map(|meta| meta.location.to_string()).collect();
            names.sort();
            names
        };
        fill();
        assert_eq!(move_prefix(&place, &bucket, "now", |_| Duration::ZERO).unwrap(), "memory:///jobs.old-now");
        let first = ["jobs-2/object/a", "jobs.old-now/manifest/00000000000000000007", "jobs.old-now/object/a"];
        assert_eq!(names(), first);
        fill();
        assert_eq!(move_prefix(&place, &bucket, "now", |_| Duration::ZERO).unwrap(), "memory:///jobs.old-now-2");
        assert_eq!(names().len(), 5);

        fill();
        let writing = std::thread::spawn({
            let (place, bucket) = (place.clone(), Arc::clone(&bucket));
            move || move_prefix(&place, &bucket, "later", |_| Duration::from_secs(60))
        });
        let mut seq = 7;
        while !writing.is_finished() {
            seq += 1;
            put(&format!("jobs/manifest/{seq:020}"));
            std::thread::sleep(Duration::from_millis(5)); // as often as a run commits
        }
        let halt = Halt::from(writing.join().unwrap().unwrap_err());
        assert!(halt.kind == HaltKind::Fenced && halt.why.contains("its manifest was"), "{halt}");
        assert!(names().iter().all(|name| !name.contains("later")), "nothing is copied");
    }
}
