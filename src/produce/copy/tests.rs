use super::*;
use crate::produce::stamps::Retention;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Two partitions of so many records each, of which every third is left out; event times are seconds.
struct Numbers {
    next: [u8; 2],
    end: u8,
}

impl RecordInput for Numbers {
    fn partitions(&self) -> i32 {
        2
    }

    fn turn(
        &mut self,
        max: usize,
        each: &mut dyn FnMut(&InputRecord<'_>) -> ControlFlow<()>,
    ) -> Result<InputTurn, Halt> {
        let mut turn = InputTurn::default();
        for (partition, next) in (0..).zip(&mut self.next) {
            for _ in 0..max.min(usize::from(self.end - *next)) {
                let number = *next;
                (*next, turn.read) = (number + 1, turn.read + 1);
                if number % 3 == 2 {
                    turn.skipped += 1;
                    continue;
                }
                let time = (number % 2 == 0).then_some(EventTime(i64::from(number)));
                let record = InputRecord { partition, payload: Some(&[number]), time, ..InputRecord::default() };
                if each(&record).is_break() {
                    return Ok(turn);
                }
            }
        }
        Ok(turn)
    }

    fn ended(&self) -> bool {
        self.next == [self.end; 2]
    }

    fn progress(&self) -> Option<InputProgress> {
        None
    }
}

/// Keeps partition, number and stamp of what it takes; refuses this many records before its end.
#[derive(Default)]
struct Kept {
    taken: RefCell<Vec<(i32, u8, Option<EventTime>)>>,
    refuses_at: Option<usize>,
    checked: Cell<usize>,
}

impl RecordTarget for Kept {
    fn topic(&self) -> &'static str {
        "kept"
    }

    fn retention(&self) -> Retention {
        Retention::Whatever
    }

    fn send(&self, record: &OutputRecord<'_>, _: &AtomicBool) -> Result<(), Halt> {
        if self.refuses_at == Some(self.taken.borrow().len()) {
            return Err(Halt::new(HaltKind::Data, "refused"));
        }
        let number = record.payload.unwrap()[0];
        self.taken.borrow_mut().push((record.partition, number, record.stamp));
        Ok(())
    }

    fn check(&self) -> Result<(), Halt> {
        self.checked.set(self.checked.get() + 1);
        Ok(())
    }

    fn finish(&self, _: Duration) -> Result<u64, Halt> {
        Ok(0)
    }

    fn acknowledged_by_partition(&self) -> BTreeMap<i32, u64> {
        BTreeMap::new()
    }
}

fn options(limit: Option<u64>, stamp: Stamp) -> CopyOptions {
    let (clock, stop) = (SystemClock::start(), Arc::default());
    CopyOptions { limit, pace: Pace::new(None, None), stamp, clock, stop }
}

#[test]
fn all_is_copied_and_counted() {
    let target = Kept::default();
    let copied = copy(options(None, Stamp::Event), &mut Numbers { next: [0, 0], end: 9 }, &target).unwrap();
    let newest = Some(EventTime(6));
    assert_eq!(copied, Copied { produced: 12, newest, untimed: 6, skipped: 6 });
    let taken = target.taken.into_inner();
    let of = |partition| taken.iter().filter(move |(of, ..)| *of == partition).map(|(_, number, _)| *number);
    assert_eq!(of(1).collect::<Vec<_>>(), [0, 1, 3, 4, 6, 7]);
    assert!(of(0).eq(of(1)) && target.checked.get() > 0);
    assert!(taken.iter().all(|(_, number, stamp)| number % 2 == 1 || *stamp == Some(EventTime(i64::from(*number)))));
}

#[test]
fn the_limit_a_stop_and_a_refusal_end_it() {
    for limit in 1..12 {
        let target = Kept::default();
        let copied = copy(options(Some(limit), Stamp::Broker), &mut Numbers { next: [0, 0], end: 9 }, &target).unwrap();
        let taken = target.taken.into_inner();
        assert_eq!((copied.produced, taken.len() as u64), (limit, limit));
        assert!(taken.iter().all(|(_, _, stamp)| stamp.is_none()), "the broker stamps");
    }
    let stopped = options(None, Stamp::Now);
    stopped.stop.store(true, Ordering::Release);
    let copied = copy(stopped, &mut Numbers { next: [0, 0], end: 9 }, &Kept::default()).unwrap();
    assert_eq!(copied, Copied::default());
    let target = Kept { refuses_at: Some(5), ..Kept::default() };
    let halt = copy(options(None, Stamp::Now), &mut Numbers { next: [0, 0], end: 9 }, &target).unwrap_err();
    assert_eq!((halt.kind, target.taken.into_inner().len()), (HaltKind::Data, 5));
}

#[test]
fn a_limit_says_how_far_it_is() {
    let bytes = Some(InputProgress::Bytes(ReadProgress { done: 5, total: 9 }));
    assert_eq!((progress(3, None, bytes), progress(3, None, None)), (bytes, None));
    assert_eq!(progress(3, Some(8), bytes), Some(InputProgress::Records(ReadProgress { done: 3, total: 8 })));
}
