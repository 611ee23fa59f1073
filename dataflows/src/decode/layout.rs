//! The text around the values of JSON, as it was in an earlier record: nearly all records of a partition have it in common, and only
//! their numbers and strings differ.
//!
//! ```text
//!   {"symbol":"A","price":1.5,"ts":7}     steps: {"symbol":  slot 0   ,"price":  slot 1   ,"ts":  slot 2   }
//! ```
//!
//! A record that has the same text around values that are numbers, strings without escapes, `true`, `false` or `null` is JSON, has
//! the same fields and none twice: for the one that the layout was learnt from was so. What has another layout takes the other way
//! and gives the same event, so what was learnt, and when, changes no result.

use super::scan::{JsonToken, Scanner};
use super::tree::TreeNode;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Layouts that are known at once: a topic has a few kinds of messages.
const LAYOUTS: usize = 4;
/// Steps of one layout, at most: longer records are rarely alike.
const MAX_STEPS: usize = 128;
/// Objects and arrays within one another; half of those that serde_json passes, for an element is within others.
const MAX_DEPTH: usize = 32;

/// Up to eight bytes of text, and the value behind it.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// The text, as a little-endian word.
    word: u64,
    mask: u64,
    length: usize,
    value: StepValue,
}

/// What stands behind a piece of text.
#[derive(Clone, Copy, Debug)]
enum StepValue {
    /// More text.
    Nothing,
    /// A value that is not configured.
    Other,
    /// A configured one. `number`: see [`Scanner::token`].
    Slot { slot: usize, number: bool },
}

/// One layout.
#[derive(Clone, Debug)]
struct Layout {
    steps: Box<[Step]>,
    /// Slots that have the same value as another one: to, from.
    copies: Box<[(usize, usize)]>,
}

/// The layouts of a partition's records, or of the elements that they are taken apart into.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    all: Vec<Layout>,
    /// The one that fitted last.
    newest: AtomicU32,
    /// Values that none fitted.
    misses: AtomicU32,
    /// So many of them, and another one is learnt. It doubles each time, so that what is never alike costs nothing.
    next_at: u32,
}

impl Clone for Layouts {
    /// None is known to the clone: it is for another partition.
    fn clone(&self) -> Self {
        Layouts::default()
    }
}

impl Layouts {
    /// Finds the configured fields of the value that the scanner is at, and passes it. `false`: no layout fits, and nothing is
    /// changed.
    #[inline]
    pub(super) fn fill<const N: usize>(&self, scan: &mut Scanner<'_>, tokens: &mut [JsonToken; N]) -> bool {
        let (start, newest) = (scan.at, self.newest.load(Relaxed) as usize);
        if self.all.get(newest).is_some_and(|layout| layout.fill(scan, tokens).is_some()) {
            return true;
        }
        (scan.at, *tokens) = (start, [JsonToken::ABSENT; N]);
        self.fill_by_others(newest, scan, tokens)
    }

    #[inline(never)]
    fn fill_by_others<const N: usize>(
        &self,
        newest: usize,
        scan: &mut Scanner<'_>,
        tokens: &mut [JsonToken; N],
    ) -> bool {
        let start = scan.at;
        for (at, layout) in (0..).zip(&self.all).filter(|(at, _)| *at as usize != newest) {
            if layout.fill(scan, tokens).is_some() {
                self.newest.store(at, Relaxed);
                return true;
            }
            (scan.at, *tokens) = (start, [JsonToken::ABSENT; N]);
        }
        self.misses.store(self.misses.load(Relaxed).saturating_add(1), Relaxed);
        false
    }

    /// Is another one to be learnt?
    #[inline]
    pub(super) fn wants(&self) -> bool {
        self.misses.load(Relaxed) > self.next_at
    }

    /// Values that none fitted.
    #[cfg(test)]
    pub(super) fn misses(&self) -> u32 {
        self.misses.load(Relaxed)
    }

    /// Learns the layout of this value, unless one fits it or it is not plain. `text` is valid UTF-8.
    pub(super) fn learn(&mut self, tree: &TreeNode, text: &[u8]) {
        self.next_at = self.misses.load(Relaxed).saturating_mul(2);
        let Some(layout) = Layout::of(tree, text) else { return };
        let newest = self.newest.load(Relaxed) as usize;
        let at = if self.all.len() < LAYOUTS { self.all.len() } else { (newest + 1) % LAYOUTS };
        if at < self.all.len() {
            self.all[at] = layout
        } else {
            self.all.push(layout)
        }
        self.newest.store(u32::try_from(at).expect("there are four"), Relaxed);
    }
}

impl Layout {
    #[inline]
    fn fill(&self, scan: &mut Scanner<'_>, tokens: &mut [JsonToken]) -> Option<()> {
        for step in &self.steps {
            if (scan.word() ^ step.word) & step.mask != 0 {
                return None;
            }
            scan.at += step.length;
            match step.value {
                StepValue::Nothing => {}
                StepValue::Other => scan.pass_scalar()?,
                StepValue::Slot { slot, number } => *tokens.get_mut(slot)? = scan.scalar(number)?,
            }
        }
        for (to, from) in &self.copies {
            tokens[*to] = tokens[*from];
        }
        Some(())
    }

    /// Of a whole value, with nothing around it.
    fn of(tree: &TreeNode, text: &[u8]) -> Option<Self> {
        let scan = Scanner { bytes: text, at: 0 };
        let mut builder = Builder { scan, from: 0, steps: Vec::new(), filled: 0, copies: Vec::new(), seen: 0 };
        builder.scan.space();
        builder.value(Some(tree), 0)?;
        builder.scan.space();
        builder.text_up_to(builder.scan.at);
        let Builder { scan, steps, copies, .. } = builder;
        let is_whole = scan.at == text.len() && steps.len() <= MAX_STEPS;
        is_whole.then(|| Layout { steps: steps.into(), copies: copies.into() })
    }
}

/// A layout in the making.
struct Builder<'a> {
    scan: Scanner<'a>,
    /// Text from here on is in no step yet.
    from: usize,
    steps: Vec<Step>,
    /// A bit for each slot that has a value.
    filled: u64,
    copies: Vec<(usize, usize)>,
    /// A bit for each object and array on a pointer's way.
    seen: u64,
}

impl Builder<'_> {
    /// Adds the text before this place.
    fn text_up_to(&mut self, end: usize) {
        for bytes in self.scan.bytes[self.from..end].chunks(8) {
            let (mut word, mut mask) = ([0; 8], [0; 8]);
            word[..bytes.len()].copy_from_slice(bytes);
            mask[..bytes.len()].fill(0xff);
            let (word, mask) = (u64::from_le_bytes(word), u64::from_le_bytes(mask));
            self.steps.push(Step { word, mask, length: bytes.len(), value: StepValue::Nothing });
        }
        self.from = end;
    }

    fn value(&mut self, node: Option<&TreeNode>, depth: usize) -> Option<()> {
        let is_on_way = node.is_some_and(|node| !node.children.is_empty() || node.elements);
        match self.scan.peek()? {
            open @ (b'{' | b'[') if depth < MAX_DEPTH => {
                if let Some(node) = node {
                    let fits = node.slots.is_empty() && !node.elements && (open == b'{' || node.has_indexes());
                    let node_fits = fits && self.seen & node.bit == 0 && (node.bit != 0 || node.children.is_empty());
                    node_fits.then_some(())?;
                    self.seen |= node.bit;
                }
                self.members(node, depth + 1)
            }
            b'{' | b'[' => None,
            _ if is_on_way => None,
            _ => self.scalar(node),
        }
    }

    fn scalar(&mut self, node: Option<&TreeNode>) -> Option<()> {
        self.text_up_to(self.scan.at);
        self.scan.pass_scalar()?;
        self.from = self.scan.at;
        let (slots, number) = node.map_or((&[][..], false), |node| (node.slots.as_slice(), node.number));
        let value = slots.first().map_or(StepValue::Other, |slot| StepValue::Slot { slot: *slot, number });
        match self.steps.last_mut() {
            Some(step) => step.value = value,
            None => self.steps.push(Step { word: 0, mask: 0, length: 0, value }),
        }
        for slot in slots {
            let bit = 1 << u32::try_from(*slot).ok().filter(|slot| *slot < u64::BITS)?;
            (self.filled & bit == 0).then_some(())?;
            self.filled |= bit;
        }
        self.copies.extend(slots.iter().skip(1).map(|slot| (*slot, slots[0])));
        Some(())
    }

    fn members(&mut self, node: Option<&TreeNode>, depth: usize) -> Option<()> {
        let object = self.scan.take()? == b'{';
        let close = if object { b'}' } else { b']' };
        self.scan.space();
        if self.scan.peek()? == close {
            self.scan.at += 1;
            return Some(());
        }
        for index in 0.. {
            self.scan.space();
            let mut children = node.iter().flat_map(|node| &node.children);
            let child = if object {
                let key = self.scan.string()?;
                let key = &self.scan.bytes[key];
                self.scan.space();
                self.scan.pass(b':')?;
                self.scan.space();
                children.find(|child| child.name.as_bytes() == key)
            } else {
                children.find(|child| child.index == Some(index))
            };
            self.value(child.map(|child| &child.node), depth)?;
            self.scan.space();
            match self.scan.take()? {
                b',' => {}
                byte if byte == close => return Some(()),
                _ => return None,
            }
        }
        None
    }
}
