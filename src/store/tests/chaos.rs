//! Runs that contend for a state in a bucket that fails: there is one chain, all that was committed is in it, and its head is whole. Each
//! seed draws how many runs there are, what fails, and the order of all requests.

use super::super::client::StoreClient;
use super::super::retry::RetryPolicy;
use super::super::writers::ChainOwner;
use super::super::{StoreUri, check, open, peek};
use super::faulty::{Bucket, FaultyClient};
use super::{child, publication};
use crate::store::bucket::BucketPrefix;
use fastrand::Rng;
use minutely_dataflows::checkpoint::{
    Manifest, MergeRule, ObjectBuilder, ObjectContent, ObjectRef, WorkerObjects, hash,
};
use minutely_dataflows::edge::{Halt, HaltKind};
use minutely_dataflows::time::WindowStart;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Its objects hold averages: a count, and the halves of a sum.
fn fresh() -> Manifest {
    Manifest::fresh(BTreeMap::from([("--metrics".into(), "avg".into())]))
}

/// Manifests that their runs were told to be committed.
type Committed = Mutex<Vec<Manifest>>;

fn at(client: &FaultyClient) -> StoreUri {
    StoreUri::Remote(Arc::new(BucketPrefix::of(Arc::new(client.clone()))))
}

/// The objects after one more cut: a new one, and now and then all in one.
fn cut(
    client: &StoreClient,
    head: &Manifest,
    names: &mut impl Iterator<Item = String>,
    is_merge: bool,
) -> Result<Vec<ObjectRef>, Halt> {
    let policy = RetryPolicy::hasty();
    let write = |name: String, bytes: &[u8], entries: u64| {
        client.write(&name, bytes, &policy)?;
        Ok::<_, Halt>(ObjectRef::of(name, bytes, entries))
    };
    let mut objects: Vec<ObjectRef> = head.objects().cloned().collect();
    if is_merge && objects.len() > 1 {
        let name = names.next().expect("there are enough");
        let read = |object| client.object(object, &policy).map_err(|error| client.gone(&name, error));
        let inputs = objects.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let (bytes, entries) = MergeRule::Windows(None).merge(&inputs).expect("each was proven to be whole");
        objects = vec![write(name.clone(), &bytes, entries)?];
    }
    let mut content = ObjectBuilder::default();
    content.push(WindowStart(i64::try_from(head.seq).expect("it is small")), "A", &(1_i64, (0_i64, head.seq)));
    let (bytes, entries) = ObjectContent::from(content).encode();
    objects.push(write(names.next().expect("there are enough"), &bytes, entries)?);
    Ok(objects)
}

/// A run from its start to its end, after so many cuts.
fn run(client: &FaultyClient, rng: &mut Rng, cuts: usize, committed: &Committed) -> Result<(), Halt> {
    let place = at(client);
    let opened = open(&place, true, None)?;
    let mut head = opened.restarted(fresh, &format!("run {:x}", rng.u64(..)));
    opened.begin(&head)?;
    let commits = |manifest: &Manifest| committed.lock().unwrap().push(manifest.clone());
    commits(&head);
    let store = StoreClient::open(&place)?;
    let policy = RetryPolicy::hasty();
    let mut owner = loop {
        // (The start of the thread is tried once, and ends the run with 69.)
        if let Ok(owner) = ChainOwner::after(&store, &head) {
            break owner;
        }
    };
    let generation = head.generation;
    let mut names = (0_u64..).map(|n| format!("{generation:06}-000-{n:08}"));
    for _ in 0..cuts {
        let objects = cut(&store, &head, &mut names, rng.u8(..4) == 0)?;
        let next = Manifest { parts: vec![WorkerObjects { objects, ..WorkerObjects::default() }], ..child(&head) };
        owner.commit(&store, publication(&next, None), &policy)?;
        commits(&next);
        head = next;
    }
    Ok(())
}

/// It ended by its rules: another run owns the state, or the store does not answer.
fn ends_by_the_rules(halt: &Halt, alone: bool) {
    let fenced = halt.kind == HaltKind::Fenced && !alone;
    assert!(fenced || halt.kind == HaltKind::Unreachable, "{halt}");
}

/// A thread's runs, one after the other, each of which goes on where the chain is.
fn lives(client: FaultyClient, mut rng: Rng, (alone, many): (bool, bool), committed: &Committed) {
    // (One that comes after another is fenced by what was on its way of that.)
    for _ in 0..if alone { 1 } else { rng.usize(2..8) } {
        let cuts = if many { rng.usize(20..80) } else { rng.usize(..12) };
        if let Err(halt) = run(&client, &mut rng, cuts, committed) {
            ends_by_the_rules(&halt, alone);
        }
    }
}

/// One that looks, and finds nothing damaged.
fn looks(client: &FaultyClient, times: usize) {
    for _ in 0..times {
        match check(&at(client)) {
            Ok(found) => assert_eq!(found.map(|report| report.damages).unwrap_or_default(), Vec::new()),
            Err(halt) => ends_by_the_rules(&halt, true),
        }
    }
}

/// All that holds when it is calm again.
fn one_chain(bucket: &Arc<Bucket>, committed: Vec<Manifest>) {
    let place = at(&bucket.calm());
    peek(&place).unwrap(); // what was on its way has arrived
    let known: BTreeMap<String, Manifest> = bucket.created().into_iter().map(|m| (hash(&m.encode()), m)).collect();
    let head = peek(&place).unwrap();
    let mut chain = BTreeSet::new();
    let mut here = head.as_ref().map(|head| hash(&head.encode()));
    while let Some(hash) = here {
        here = known[&hash].parent.clone();
        chain.insert(hash);
    }
    let mut numbers = BTreeSet::new();
    for manifest in committed {
        assert!(chain.contains(&hash(&manifest.encode())), "manifest {} was committed and is lost", manifest.seq);
        assert!(numbers.insert(manifest.seq), "two runs have committed a manifest {}", manifest.seq);
    }
    let report = check(&place).unwrap();
    assert_eq!(report.map(|report| report.damages).unwrap_or_default(), Vec::new());
    let opened = open(&place, true, None).unwrap();
    opened.begin(&opened.restarted(fresh, "the last")).unwrap();
    assert_eq!(check(&place).unwrap().unwrap().damages, Vec::new());
}

fn simulate(seed: u64) -> usize {
    let mut rng = Rng::with_seed(seed);
    let (runs, readers) = (rng.usize(1..=3), rng.usize(..=1));
    let (alone, many) = (runs == 1, rng.u8(..10) == 0);
    let bucket = Bucket::new(rng.fork(), runs + readers, [0, 3, 10, 25][rng.usize(..4)]);
    let committed = Committed::default();
    let clients: Vec<FaultyClient> = (0..runs + readers).map(|n| bucket.client(n)).collect();
    std::thread::scope(|scope| {
        for (number, client) in clients.into_iter().enumerate() {
            let (mut rng, committed) = (rng.fork(), &committed);
            if number < runs {
                scope.spawn(move || lives(client, rng, (alone, many), committed));
            } else {
                scope.spawn(move || looks(&client, rng.usize(1..10)));
            }
        }
    });
    let committed = committed.into_inner().unwrap();
    let commits = committed.len();
    one_chain(&bucket, committed);
    if seed.is_multiple_of(50) {
        println!("{runs} runs, {commits} commits, {}", bucket.faults());
    }
    commits
}

/// 200 seeds, and 5,000 with `MINUTELY_TEST_LONG`; from `MINUTELY_TEST_SEED` on.
#[test]
fn a_bucket_that_fails_has_one_chain_in_which_all_is_that_was_committed() {
    let many = if std::env::var_os("MINUTELY_TEST_LONG").is_some() { 5_000 } else { 200 };
    let first = std::env::var("MINUTELY_TEST_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("seeds from {first}");
    let mut commits = 0;
    for n in 0..many {
        let seed = first.wrapping_add(n);
        let run = std::panic::catch_unwind(|| simulate(seed));
        commits += run.unwrap_or_else(|_| panic!("seed {seed}, reason above"));
    }
    println!("{commits} commits");
    assert!(commits > many.try_into().unwrap(), "{commits} commits");
}
