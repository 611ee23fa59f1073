//! Lets one worker work at a time, drawn by a seed: the same seed gives the same schedule. Now and then a worker sleeps
//! for many turns while the others go on, so that what it missed comes all at once and frontiers jump.

use std::sync::{Condvar, Mutex, MutexGuard};

/// Whose turn it is.
pub(crate) struct Baton {
    state: Mutex<Turn>,
    /// One a worker.
    called: Vec<Condvar>,
}

struct Turn {
    rng: fastrand::Rng,
    turn: usize,
    alive: Vec<bool>,
    /// Turns that a worker sleeps yet.
    asleep: Vec<u32>,
    waiting: usize,
}

impl Baton {
    pub(crate) fn new(workers: usize, seed: u64) -> Self {
        let rng = fastrand::Rng::with_seed(seed);
        let state = Turn { rng, turn: usize::MAX, alive: vec![true; workers], asleep: vec![0; workers], waiting: 0 };
        Baton { state: Mutex::new(state), called: (0..workers).map(|_| Condvar::new()).collect() }
    }

    fn pass(&self, turn: &mut Turn) {
        let alive: Vec<usize> = (0..turn.alive.len()).filter(|i| turn.alive[*i]).collect();
        turn.asleep.iter_mut().for_each(|turns| *turns = turns.saturating_sub(1));
        let awake: Vec<usize> = alive.iter().filter(|i| turn.asleep[**i] == 0).copied().collect();
        turn.turn = turn.rng.choice(if awake.is_empty() { alive } else { awake }).unwrap_or(usize::MAX);
        if let Some(called) = self.called.get(turn.turn) {
            if turn.rng.u8(..100) == 0 {
                turn.asleep[turn.turn] = turn.rng.u32(..400);
            }
            called.notify_all();
        }
    }

    fn wait(&self, turn: MutexGuard<'_, Turn>, worker: usize) {
        drop(self.called[worker].wait_while(turn, |turn| turn.turn != worker).unwrap());
    }

    /// Begins when all workers are there.
    pub(crate) fn begin(&self, worker: usize) -> Runner<'_> {
        let mut turn = self.state.lock().unwrap();
        turn.waiting += 1;
        if turn.waiting == turn.alive.len() {
            self.pass(&mut turn);
        }
        self.wait(turn, worker);
        Runner { baton: self, worker }
    }

    pub(crate) fn give_way(&self, worker: usize) {
        let mut turn = self.state.lock().unwrap();
        self.pass(&mut turn);
        self.wait(turn, worker);
    }
}

/// A worker among the others. When it ends, however it does, they go on.
pub(crate) struct Runner<'a> {
    baton: &'a Baton,
    worker: usize,
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        let mut turn = self.baton.state.lock().unwrap();
        turn.alive[self.worker] = false;
        self.baton.pass(&mut turn);
    }
}
