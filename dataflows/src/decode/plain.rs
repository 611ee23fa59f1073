//! The plain path: nearly every record's events, straight from its bytes. It never rejects.
//!
//! Plain is JSON in UTF-8 whose configured strings and all names have no escapes, in which the symbol is of ASCII and the
//! configured numbers have no exponent and at most 18 digits. Anything else, right or wrong, goes to serde_json, and is decoded
//! or gets its reason there. So this path can be wrong in one way only, by an event that serde_json would not give, and a test
//! looks for that.

use super::assemble::Assembler;
use super::event::{DecodedPart, EventOutcome};
use super::layout::Layouts;
use super::scan::{JsonToken, JsonTokenKind, Scanner};
use super::tokens::{Found, TokenRow};
use super::tree::TreeNode;
use super::words::is_utf8;
use crate::acc::MAX_ELEMENTS;
use crate::record::{Element, Record};

/// Slots that this path has room for; with more, no record is plain.
pub(super) const MAX_SLOTS: usize = 16;

/// What was found in one value.
#[derive(Clone, Copy)]
struct Row<const N: usize> {
    tokens: [JsonToken; N],
    /// The objects and arrays on pointers' ways that were seen.
    seen: u64,
    /// On a pointer's way there is something without members.
    misshapen: bool,
}

impl<const N: usize> Row<N> {
    const EMPTY: Self = Row { tokens: [JsonToken::ABSENT; N], seen: 0, misshapen: false };

    /// Fills a slot, once.
    fn put(&mut self, slot: usize, token: JsonToken) -> Option<()> {
        matches!(std::mem::replace(&mut self.tokens[slot], token).kind, JsonTokenKind::Absent).then_some(())
    }

    fn values(&self) -> TokenRow<'_> {
        TokenRow { tokens: &self.tokens, misshapen: self.misshapen }
    }
}

/// The elements that were found.
struct Rows<const N: usize> {
    /// Each with where its text is.
    all: Vec<(Row<N>, usize, usize)>,
    /// The array is there.
    found: bool,
}

/// One pass through a record.
struct Pass<'p, 'a, const N: usize> {
    scan: Scanner<'a>,
    element: Option<&'p TreeNode>,
    /// Of elements.
    layouts: &'p Layouts,
    rows: Rows<N>,
}

/// Finds the events of a plain record. Rows have as many slots as are needed, for clearing them costs time.
#[inline]
pub(super) fn events<'a>(
    rule: &'a Assembler,
    layouts: &Layouts,
    record: &Record<'a>,
    each: &mut impl FnMut(DecodedPart<'a>),
) -> Option<()> {
    let bytes = record.payload?;
    u32::try_from(bytes.len()).ok()?; // a token's place has 32 bits
    match (&rule.shape.element, rule.shape.slots.len()) {
        (None, ..=4) => event_of::<4>(rule, layouts, record, bytes, each),
        (None, 5..=8) => event_of::<8>(rule, layouts, record, bytes, each),
        (None, _) => event_of::<MAX_SLOTS>(rule, layouts, record, bytes, each),
        (Some((tree, _)), ..=4) => events_of::<4>(rule, (tree, layouts), record, bytes, each),
        (Some((tree, _)), 5..=8) => events_of::<8>(rule, (tree, layouts), record, bytes, each),
        (Some((tree, _)), _) => events_of::<MAX_SLOTS>(rule, (tree, layouts), record, bytes, each),
    }
}

/// The event of a record that is one.
#[inline]
fn event_of<'a, const N: usize>(
    rule: &'a Assembler,
    layouts: &Layouts,
    record: &Record<'a>,
    bytes: &'a [u8],
    each: &mut impl FnMut(DecodedPart<'a>),
) -> Option<()> {
    if !is_utf8(bytes) {
        return None;
    }
    let mut row = Row::<N>::EMPTY;
    let mut scan = Scanner { bytes, at: 0 };
    if !layouts.fill(&mut scan, &mut row.tokens) || scan.at < bytes.len() {
        row = walked(&rule.shape.message, bytes)?;
    }
    let found = Found { rule, record, bytes, message: row.values(), element: None };
    found.give(&mut |outcome| each(DecodedPart { element: None, outcome }))
}

/// The values of a record whose layout is not known.
#[inline(never)]
fn walked<const N: usize>(tree: &TreeNode, bytes: &[u8]) -> Option<Row<N>> {
    let mut row = Row::EMPTY;
    Pass::whole(tree, None, &Layouts::default(), bytes, &mut row)?;
    Some(row)
}

/// The events of a record that is taken apart.
fn events_of<'a, const N: usize>(
    rule: &'a Assembler,
    (element, layouts): (&TreeNode, &Layouts),
    record: &Record<'a>,
    bytes: &'a [u8],
    each: &mut impl FnMut(DecodedPart<'a>),
) -> Option<()> {
    if !is_utf8(bytes) {
        return None;
    }
    let mut message = Row::<N>::EMPTY;
    let rows = Pass::whole(&rule.shape.message, Some(element), layouts, bytes, &mut message)?;
    let found = |element| Found { rule, record, bytes, message: message.values(), element };
    if !found(None).passes_message()? {
        each(DecodedPart { element: None, outcome: EventOutcome::Skipped });
        return Some(());
    }
    if message.misshapen || !rows.found || u32::try_from(rows.all.len()).ok()? > MAX_ELEMENTS {
        return None;
    }
    // All of them are decided before one is handed out: else a record would be begun here and ended by serde_json.
    let outcomes = rows.all.iter().map(|(row, ..)| found(Some(row.values())).outcome()).collect::<Option<Vec<_>>>()?;
    for ((index, outcome), (_, start, end)) in (0..).zip(outcomes).zip(&rows.all) {
        let text = Some(&bytes[*start..*end]);
        each(DecodedPart { element: Some(Element { index, text }), outcome });
    }
    Some(())
}

/// Learns the layout of a record, or of the first of its elements that has one that is not known.
#[cold]
pub(super) fn learn(rule: &Assembler, layouts: &mut Layouts, record: &Record<'_>) {
    let Some(bytes) = record.payload.filter(|bytes| u32::try_from(bytes.len()).is_ok() && is_utf8(bytes)) else {
        return;
    };
    let Some((tree, _)) = &rule.shape.element else { return layouts.learn(&rule.shape.message, bytes) };
    let mut message = Row::<MAX_SLOTS>::EMPTY;
    let rows = Pass::whole(&rule.shape.message, Some(tree), layouts, bytes, &mut message);
    let is_new = |text: &&[u8]| {
        let (mut scan, mut row) = (Scanner { bytes: text, at: 0 }, Row::<MAX_SLOTS>::EMPTY);
        !layouts.fill(&mut scan, &mut row.tokens)
    };
    let texts = rows.iter().flat_map(|rows| &rows.all).map(|(_, start, end)| &bytes[*start..*end]);
    if let Some(text) = { texts }.find(is_new) {
        layouts.learn(tree, text);
    }
}

impl<'p, 'a, const N: usize> Pass<'p, 'a, N> {
    /// Passes through a whole record. The elements that were found.
    fn whole(
        tree: &TreeNode,
        element: Option<&'p TreeNode>,
        layouts: &'p Layouts,
        bytes: &'a [u8],
        row: &mut Row<N>,
    ) -> Option<Rows<N>> {
        let rows = Rows { all: Vec::new(), found: false };
        let mut pass = Pass { scan: Scanner { bytes, at: 0 }, element, layouts, rows };
        pass.scan.space();
        pass.value(tree, row, 0)?;
        pass.scan.space();
        (pass.scan.at == bytes.len()).then_some(pass.rows)
    }
}

impl<const N: usize> Pass<'_, '_, N> {
    /// A value with configured fields in it. `depth`: how many objects and arrays it is in.
    fn value(&mut self, node: &TreeNode, row: &mut Row<N>, depth: usize) -> Option<()> {
        if !node.slots.is_empty() {
            let start = self.scan.at;
            let token = self.scan.token(node.number)?;
            for slot in &node.slots {
                row.put(*slot, token)?;
            }
            if node.children.is_empty() && !node.elements {
                return Some(());
            }
            self.scan.at = start;
        }
        if node.elements {
            let start = self.scan.at;
            self.elements(depth)?;
            if node.children.is_empty() {
                return Some(());
            }
            self.scan.at = start;
        }
        if node.children.is_empty() {
            return self.scan.skip(depth).map(drop);
        }
        if row.seen & node.bit != 0 || node.bit == 0 {
            return None;
        }
        row.seen |= node.bit;
        match self.scan.peek()? {
            b'{' => self.object(node, row, depth + 1),
            b'[' if node.has_indexes() => self.array(node, row, depth + 1),
            b'"' => None, // perhaps JSON in a string
            _ => {
                row.misshapen = true;
                self.scan.skip(depth).map(drop)
            }
        }
    }

    fn object(&mut self, node: &TreeNode, row: &mut Row<N>, depth: usize) -> Option<()> {
        let mut next = 0;
        self.scan.pass(b'{')?;
        self.scan.space();
        if self.scan.peek()? == b'}' {
            self.scan.at += 1;
            return Some(());
        }
        loop {
            self.scan.space();
            let key = self.scan.string()?;
            self.scan.space();
            self.scan.pass(b':')?;
            self.scan.space();
            match child(node, &self.scan.bytes[key], &mut next) {
                None => drop(self.scan.skip(depth)?),
                Some(TreeNode { leaf: Some(slot), number, .. }) => row.put(*slot, self.scan.token(*number)?)?,
                Some(child) => self.value(child, row, depth)?,
            }
            self.scan.space();
            match self.scan.take()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn array(&mut self, node: &TreeNode, row: &mut Row<N>, depth: usize) -> Option<()> {
        self.scan.pass(b'[')?;
        self.scan.space();
        if self.scan.peek()? == b']' {
            self.scan.at += 1;
            return Some(());
        }
        for index in 0.. {
            self.scan.space();
            match node.children.iter().find(|child| child.index == Some(index)) {
                None => drop(self.scan.skip(depth)?),
                Some(child) => self.value(&child.node, row, depth)?,
            }
            self.scan.space();
            match self.scan.take()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
        None
    }

    /// The array whose elements are events, or an object that is the only one.
    fn elements(&mut self, depth: usize) -> Option<()> {
        let tree = self.element?;
        if std::mem::replace(&mut self.rows.found, true) {
            return None;
        }
        match self.scan.peek()? {
            b'{' => return self.element(tree, depth),
            b'[' => self.scan.at += 1,
            _ => return None,
        }
        self.scan.space();
        if self.scan.peek()? == b']' {
            self.scan.at += 1;
            return Some(());
        }
        loop {
            self.scan.space();
            self.element(tree, depth + 1)?;
            self.scan.space();
            match self.scan.take()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn element(&mut self, tree: &TreeNode, depth: usize) -> Option<()> {
        let (mut row, start) = (Row::<N>::EMPTY, self.scan.at);
        if !self.layouts.fill(&mut self.scan, &mut row.tokens) {
            self.value(tree, &mut row, depth)?;
        }
        self.rows.all.push((row, start, self.scan.at));
        Some(())
    }
}

/// What a key is. Fields come in the same order as a rule: the one after the last is tried first.
#[inline]
fn child<'n>(node: &'n TreeNode, key: &[u8], next: &mut usize) -> Option<&'n TreeNode> {
    if let Some(child) = node.children.get(*next)
        && same(child.name.as_bytes(), key)
    {
        *next += 1;
        return Some(&child.node);
    }
    let at = node.children.iter().position(|child| same(child.name.as_bytes(), key))?;
    *next = at + 1;
    Some(&node.children[at].node)
}

/// Equal; for a few bytes, cheaper than the call that `==` makes.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b)
}
