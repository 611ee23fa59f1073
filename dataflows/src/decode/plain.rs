//! The plain path: nearly every record's events, straight from its bytes. It never rejects.
//!
//! Plain is JSON in UTF-8 whose configured strings and all names have no escapes, in which the symbol is of ASCII and the
//! configured numbers have no exponent and at most 18 digits. Anything else, right or wrong, goes to serde_json, and is decoded
//! or gets its reason there. So this path can be wrong in one way only, by an event that serde_json would not give, and a test
//! looks for that.

use super::assemble::Assembler;
use super::event::{DecodedEvent, DecodedPart, EventOutcome};
use super::scan::{JsonToken, JsonTokenKind, PlainNumber, Scanner};
use super::shape::Input;
use super::times::iso::plain_instant;
use super::tree::TreeNode;
use crate::acc::MAX_ELEMENTS;
use crate::decimal::POWERS;
use crate::record::{Element, MAX_SYMBOL_BYTES, Record};
use crate::time::EventTime;
use std::borrow::Cow;

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

    fn values(&self) -> Values<'_> {
        Values { tokens: &self.tokens, misshapen: self.misshapen }
    }
}

/// A row of any number of slots.
#[derive(Clone, Copy)]
struct Values<'f> {
    tokens: &'f [JsonToken],
    misshapen: bool,
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
    rows: Rows<N>,
}

/// Finds the events of a plain record. Rows have as many slots as are needed, for clearing them costs time.
pub(super) fn events<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    each: &mut impl FnMut(DecodedPart<'a>),
) -> Option<()> {
    match rule.shape.slots.len() {
        ..=4 => events_of::<4>(rule, record, each),
        5..=8 => events_of::<8>(rule, record, each),
        _ => events_of::<MAX_SLOTS>(rule, record, each),
    }
}

fn events_of<'a, const N: usize>(
    rule: &'a Assembler,
    record: &Record<'a>,
    each: &mut impl FnMut(DecodedPart<'a>),
) -> Option<()> {
    let text = std::str::from_utf8(record.payload?).ok()?;
    u32::try_from(text.len()).ok()?; // a token's place has 32 bits
    let shape = &rule.shape;
    let scan = Scanner { bytes: text.as_bytes(), at: 0 };
    let mut pass = Pass {
        scan,
        element: shape.element.as_ref().map(|(tree, _)| tree),
        rows: Rows { all: Vec::new(), found: false },
    };
    let mut message = Row::<N>::EMPTY;
    pass.scan.space();
    pass.value(&shape.message, &mut message, 0)?;
    pass.scan.space();
    if pass.scan.at < text.len() {
        return None;
    }
    if shape.element.is_none() {
        let found = Found { rule, record, text, message: message.values(), element: None };
        each(DecodedPart { element: None, outcome: found.outcome()? });
        return Some(());
    }
    let found = |element| Found { rule, record, text, message: message.values(), element };
    if !found(None).passes_message()? {
        each(DecodedPart { element: None, outcome: EventOutcome::Skipped });
        return Some(());
    }
    if !pass.rows.found || u32::try_from(pass.rows.all.len()).ok()? > MAX_ELEMENTS {
        return None;
    }
    // All of them are decided before one is handed out: else a record would be begun here and ended by serde_json.
    let outcomes =
        pass.rows.all.iter().map(|(row, ..)| found(Some(row.values())).outcome()).collect::<Option<Vec<_>>>()?;
    for ((index, outcome), (_, start, end)) in (0..).zip(outcomes).zip(&pass.rows.all) {
        let text = Some(&text.as_bytes()[*start..*end]);
        each(DecodedPart { element: Some(Element { index, text }), outcome });
    }
    Some(())
}

/// The event of a row of tokens, one for each slot, that stand in this text.
pub(super) fn row_event<'a>(
    rule: &'a Assembler,
    record: &Record<'a>,
    text: &'a str,
    tokens: &[JsonToken],
) -> Option<EventOutcome<'a>> {
    let message = Values { tokens, misshapen: false };
    Found { rule, record, text, message, element: None }.outcome()
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
        self.value(tree, &mut row, depth)?;
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

/// The tokens of an event.
struct Found<'f, 'a> {
    rule: &'a Assembler,
    record: &'f Record<'a>,
    text: &'a str,
    message: Values<'f>,
    element: Option<Values<'f>>,
}

impl<'a> Found<'_, 'a> {
    fn token(&self, slot: usize) -> &JsonToken {
        match &self.element {
            Some(row) if self.rule.shape.is_of_element(slot) => &row.tokens[slot],
            _ => &self.message.tokens[slot],
        }
    }

    /// Do all conditions on the record hold?
    fn passes_message(&self) -> Option<bool> {
        let of_message = |input: &Input| !matches!(input, Input::Slot(at) if self.rule.shape.is_of_element(*at));
        self.passes(of_message)
    }

    fn passes(&self, which: impl Fn(&Input) -> bool) -> Option<bool> {
        for (input, condition) in self.rule.shape.filter.iter().filter(|(input, _)| which(input)) {
            let holds = match input {
                Input::Slot(at) => {
                    let token = self.token(*at);
                    match token.kind {
                        JsonTokenKind::Absent | JsonTokenKind::Null => condition.holds(&super::scalar::Scalar::Absent),
                        JsonTokenKind::Text => condition.holds_plainly(&self.text[token.range()], false)?,
                        JsonTokenKind::Literal => condition.holds_plainly(&self.text[token.range()], true)?,
                        JsonTokenKind::Nested => return None,
                    }
                }
                _ => return None,
            };
            if !holds {
                return Some(false);
            }
        }
        Some(true)
    }

    fn outcome(&self) -> Option<EventOutcome<'a>> {
        if !self.rule.shape.filter.is_empty() && !self.passes(|_| true)? {
            return Some(EventOutcome::Skipped);
        }
        if self.message.misshapen || self.element.is_some_and(|row| row.misshapen) {
            return None;
        }
        let shape = &self.rule.shape;
        let symbol = match shape.symbol.as_slice() {
            [one] => Cow::Borrowed(self.symbol(one)?),
            parts => Cow::Owned(parts.iter().map(|part| self.symbol(part)).collect::<Option<Vec<_>>>()?.join("/")),
        };
        if symbol.len() > MAX_SYMBOL_BYTES {
            return None;
        }
        let Input::Slot(value) = shape.value else { return None };
        let PlainNumber { negative, digits, fraction } = self.token(value).number()?;
        let value = self.rule.numbers.plain_value(negative, digits, fraction)?;
        let time = self.time()?;
        let weight = match &shape.weight {
            None => None,
            Some(Input::Slot(at)) => match self.token(*at) {
                JsonToken { kind: JsonTokenKind::Absent | JsonTokenKind::Null, .. } => None,
                token => {
                    let PlainNumber { negative, digits, fraction } = token.number()?;
                    Some(self.rule.numbers.plain_weight(negative, digits, fraction)?)
                }
            },
            Some(_) => return None,
        };
        let id = match &shape.id {
            None => None,
            Some(Input::Slot(at)) => match self.token(*at) {
                JsonToken { kind: JsonTokenKind::Absent | JsonTokenKind::Null, .. } => None,
                JsonToken { kind: JsonTokenKind::Nested, .. } => return None,
                token => Some(super::assemble::event_id(&symbol, &self.text[token.range()])),
            },
            Some(_) => return None,
        };
        Some(EventOutcome::Event(DecodedEvent { symbol, value, time, weight, id, rounded: false }))
    }

    /// A part of the symbol, where it is plain ASCII.
    fn symbol(&self, input: &'a Input) -> Option<&'a str> {
        let text = match input {
            Input::Slot(at) => {
                let token = self.token(*at);
                let is_name = match token.kind {
                    JsonTokenKind::Text => true,
                    JsonTokenKind::Literal => self.text[token.range()].bytes().all(|b| b.is_ascii_digit()),
                    _ => false,
                };
                self.text.get(token.range()).filter(|_| is_name)?
            }
            Input::Key => std::str::from_utf8(self.record.key?).ok()?,
            Input::Log(which) => self.rule.log_names[*which].as_deref()?,
            Input::Constant(text) => text,
            Input::Timestamp => return None,
        };
        (!text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b))).then_some(text)
    }

    fn time(&self) -> Option<EventTime> {
        match self.rule.shape.time.as_slice() {
            [Input::Slot(at)] => {
                let places = self.rule.number_places()?;
                let token = self.token(*at);
                match token.number() {
                    Some(number) => whole(&number, places),
                    None if token.kind == JsonTokenKind::Text => plain_instant(self.text[token.range()].as_bytes()),
                    None => None,
                }
            }
            [Input::Timestamp] => self.record.timestamp,
            _ => None,
        }
    }
}

fn whole(number: &PlainNumber, places: u32) -> Option<EventTime> {
    let power = POWERS[usize::try_from(places).ok()?];
    let ns = i64::try_from(number.digits.checked_mul(power)?).ok()?;
    let fits = number.fraction == 0 && ns <= EventTime::LIMIT;
    fits.then_some(EventTime(if number.negative { -ns } else { ns }))
}
