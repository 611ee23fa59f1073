//! The configured fields, resolved: which value fills which slot, and what slots are for.

use super::error::{EventPart, FieldError, FieldProblem};
use super::fields::{CONSTANT, ENVELOPE, FieldNames, KEY, MESSAGE, PAYLOAD, TIMESTAMP};
use super::filter::Condition;
use super::log_name::LogName;
use super::path::FieldPath;
use super::tree::{MAX_NODES, TreeNode};

/// Where a part of an event comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FieldInput {
    /// The slot of a field.
    Slot(usize),
    /// The record's key.
    Key,
    /// The log's name, or a part of it.
    Log(LogName),
    /// The same for all records.
    Constant(Box<str>),
    /// The stamp that the log gives.
    Timestamp,
}

/// Which value a slot's field is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The record; with `each`, beside the array.
    Message,
    /// An element of the array.
    Element,
    /// The record's key, which is JSON.
    Key,
    /// The change event that the record is a row of.
    Envelope,
}

/// The slots of an event that has its symbol, value and time in a field each, and neither conditions nor an id.
#[derive(Clone, Copy, Debug)]
pub(super) struct SimpleShape {
    pub(super) symbol: usize,
    pub(super) value: usize,
    pub(super) time: usize,
    pub(super) weight: Option<usize>,
    /// Decimal places from a time to nanoseconds.
    pub(super) places: u32,
}

impl SimpleShape {
    /// `places`: of times that are numbers; `None` where none is one.
    pub(super) fn of(shape: &Shape, places: Option<u32>) -> Option<Self> {
        use FieldInput::Slot;
        let (&[Slot(symbol)], &[Slot(time)]) = (shape.symbol.as_slice(), shape.time.as_slice()) else { return None };
        let Slot(value) = shape.value else { return None };
        let weight = match shape.weight {
            None => None,
            Some(Slot(weight)) => Some(weight),
            Some(_) => return None,
        };
        let alone = shape.filter.is_empty() && shape.id.is_empty() && shape.element.is_none();
        Some(SimpleShape { symbol, value, time, weight, places: places.filter(|_| alone)? })
    }
}

/// All configured fields.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Fields of the record.
    pub(super) message: TreeNode,
    /// With `each`: fields of an element, and the name of the array.
    pub(super) element: Option<(TreeNode, String)>,
    /// Fields of the key.
    pub(super) key: TreeNode,
    /// Fields of the change event that the record is a row of.
    pub(super) envelope: TreeNode,
    /// Name and origin of each slot's field.
    pub(super) slots: Vec<(String, Origin)>,
    /// The way to each slot's field, from its origin on.
    pub(super) paths: Vec<FieldPath>,
    /// The way to the array whose elements are events.
    pub(super) each: Option<FieldPath>,
    pub(super) symbol: Vec<FieldInput>,
    pub(super) value: FieldInput,
    pub(super) time: Vec<FieldInput>,
    pub(super) weight: Option<FieldInput>,
    pub(super) id: Vec<FieldInput>,
    /// Those of the record alone first.
    pub(super) filter: Vec<(FieldInput, Condition)>,
}

impl Shape {
    /// Of these fields.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub(super) fn of(fields: &FieldNames) -> Result<Self, Vec<FieldError>> {
        let mut resolver =
            Resolver { each: fields.each.is_some(), rows: fields.debezium.is_some(), ..Resolver::default() };
        let each = fields.each.as_ref().and_then(|each| resolver.array(each).map(|path| (path, each)));
        let symbol = resolver.inputs(EventPart::Symbol, &fields.symbol);
        let value = resolver.input(EventPart::Value, &fields.value);
        let time = resolver.inputs(EventPart::Time, &fields.time);
        let weight = fields.weight.as_ref().and_then(|field| resolver.input(EventPart::Weight, field));
        let id = fields.id.iter().filter_map(|field| resolver.input(EventPart::Id, field)).collect();
        let mut filter: Vec<_> = fields.filter.iter().filter_map(|text| resolver.condition(text)).collect();
        let Resolver { mut message, mut element, mut key, mut envelope, slots, paths, mut errors, .. } = resolver;
        if let Some((path, _)) = &each {
            message.at(path).elements = true;
        }
        let nodes = [&mut message, &mut element, &mut key, &mut envelope].map(|tree| tree.number(0));
        if nodes.iter().any(|nodes| *nodes > MAX_NODES) {
            errors.push(FieldError::TooManyObjects { most: MAX_NODES });
        }
        let of_message = |(input, _): &(FieldInput, Condition)| !matches!(input, FieldInput::Slot(at) if slots[*at].1 == Origin::Element);
        filter.sort_by_key(|condition| !of_message(condition));
        match (errors.is_empty(), value) {
            (true, Some(value)) => {
                let name = each.as_ref().map(|(_, name)| (*name).clone());
                let element = name.map(|name| (element, name));
                let each = each.map(|(path, _)| path);
                Ok(Shape {
                    message,
                    element,
                    key,
                    envelope,
                    slots,
                    paths,
                    each,
                    symbol,
                    value,
                    time,
                    weight,
                    id,
                    filter,
                })
            }
            _ => Err(errors),
        }
    }

    /// Is the slot of an element?
    pub(super) fn is_of_element(&self, slot: usize) -> bool {
        self.slots[slot].1 == Origin::Element
    }

    /// What people call an input.
    pub(super) fn name<'a>(&'a self, input: &'a FieldInput) -> &'a str {
        match input {
            FieldInput::Slot(at) => &self.slots[*at].0,
            FieldInput::Key => KEY,
            FieldInput::Log(name) => name.word(),
            FieldInput::Constant(text) => text,
            FieldInput::Timestamp => TIMESTAMP,
        }
    }
}

/// Fields on their way to slots.
#[derive(Default)]
struct Resolver {
    each: bool,
    /// Records are rows of change events.
    rows: bool,
    message: TreeNode,
    element: TreeNode,
    key: TreeNode,
    envelope: TreeNode,
    slots: Vec<(String, Origin)>,
    paths: Vec<FieldPath>,
    /// Fields of an event's parts, for telling which are the same or inside one another.
    used: Vec<(EventPart, Origin, FieldPath)>,
    errors: Vec<FieldError>,
}

impl Resolver {
    /// The way to the array whose elements are events.
    fn array(&mut self, field: &str) -> Option<FieldPath> {
        FieldPath::pointer(field).map_err(|problem| self.error(EventPart::Each, field, problem)).ok()
    }

    fn inputs(&mut self, part: EventPart, fields: &[String]) -> Vec<FieldInput> {
        if fields.is_empty() {
            self.error(part, "", FieldProblem::NoName);
        }
        fields.iter().filter_map(|field| self.input(part, field)).collect()
    }

    fn input(&mut self, part: EventPart, field: &str) -> Option<FieldInput> {
        self.resolved(part, field).map_err(|problem| self.error(part, field, problem)).ok()
    }

    fn condition(&mut self, text: &str) -> Option<(FieldInput, Condition)> {
        let parsed = Condition::parse(text);
        let (field, condition) = parsed.map_err(|problem| self.error(EventPart::Filter, text, problem)).ok()?;
        Some((self.input(EventPart::Filter, field)?, condition))
    }

    fn error(&mut self, part: EventPart, field: &str, problem: FieldProblem) {
        self.errors.push(FieldError::Field { part, field: field.to_owned(), problem });
    }

    fn resolved(&mut self, part: EventPart, field: &str) -> Result<FieldInput, FieldProblem> {
        let of_record = if self.each { Origin::Element } else { Origin::Message };
        let names_series = matches!(part, EventPart::Symbol | EventPart::Filter | EventPart::Id);
        if matches!(part, EventPart::Symbol | EventPart::Value)
            && let Some(text) = field.strip_prefix(CONSTANT)
        {
            return Ok(FieldInput::Constant(text.into()));
        }
        let log = if names_series { LogName::of(field)? } else { None };
        let below = |word: &str| field.strip_prefix(word).filter(|rest| rest.starts_with('/'));
        let (origin, path) = match (field, log, below(KEY), below(MESSAGE)) {
            (KEY, ..) if names_series => return Ok(FieldInput::Key),
            (_, Some(name), ..) => return Ok(FieldInput::Log(name)),
            (TIMESTAMP, ..) if part == EventPart::Time => return Ok(FieldInput::Timestamp),
            (PAYLOAD, ..) => (of_record, FieldPath(Vec::new())),
            (_, _, Some(pointer), _) => (Origin::Key, FieldPath::pointer(pointer)?),
            _ if below(ENVELOPE).is_some() && !self.rows => return Err(FieldProblem::NoEnvelope),
            _ if below(ENVELOPE).is_some() => {
                (Origin::Envelope, FieldPath::pointer(below(ENVELOPE).unwrap_or_default())?)
            }
            (_, _, _, Some(_)) if !self.each => return Err(FieldProblem::NoElements),
            (_, _, _, Some(pointer)) => (Origin::Message, FieldPath::pointer(pointer)?),
            _ => (of_record, FieldPath::parse(field)?),
        };
        self.check_conflict(part, origin, &path)?;
        let slot = self.slots.len();
        self.slots.push((field.to_owned(), origin));
        self.paths.push(path.clone());
        let node = match origin {
            Origin::Message => self.message.at(&path),
            Origin::Element => self.element.at(&path),
            Origin::Key => self.key.at(&path),
            Origin::Envelope => self.envelope.at(&path),
        };
        node.slots.push(slot);
        node.number |= matches!(part, EventPart::Value | EventPart::Time | EventPart::Weight);
        self.used.push((part, origin, path));
        Ok(FieldInput::Slot(slot))
    }

    /// Two parts of an event are not the same field, and none is inside another.
    fn check_conflict(&self, part: EventPart, origin: Origin, path: &FieldPath) -> Result<(), FieldProblem> {
        let is_value =
            |part| matches!(part, EventPart::Symbol | EventPart::Value | EventPart::Time | EventPart::Weight);
        let conflicts = |(other, from, way): &&(EventPart, Origin, FieldPath)| {
            let common = way.0.len().min(path.0.len());
            is_value(*other) && *from == origin && way.0[..common] == path.0[..common]
        };
        match self.used.iter().find(conflicts) {
            Some((_, _, way)) if is_value(part) => {
                let common = &way.0[..way.0.len().min(path.0.len())];
                Err(FieldProblem::Conflict(common.last().map_or(PAYLOAD.into(), |name| name.to_string())))
            }
            _ => Ok(()),
        }
    }
}
