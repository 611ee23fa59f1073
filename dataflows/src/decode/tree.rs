//! The configured fields of one value as a tree of names and indexes.

use super::path::{FieldPath, array_index, escaped_step};

/// Objects and arrays that the fields' pointers may lead through: those that were seen have a bit each.
pub(super) const MAX_NODES: usize = 64;

/// A value on the way to configured fields, or one itself.
#[derive(Clone, Debug, Default)]
pub(super) struct TreeNode {
    /// The pointer that leads here; empty for the whole.
    pub(super) path: String,
    /// The slots that this value fills.
    pub(super) slots: Vec<usize>,
    /// One of its slots is read as a number.
    pub(super) number: bool,
    /// Its slot, if it fills one and nothing is inside it: as nearly all configured fields. Known once they are numbered.
    pub(super) leaf: Option<usize>,
    /// Its elements are events.
    pub(super) elements: bool,
    /// What is inside it.
    pub(super) children: Vec<TreeChild>,
    /// Of those with children: for telling whether it came twice.
    pub(super) bit: u64,
}

/// A member of an object or an element of an array.
#[derive(Clone, Debug)]
pub(super) struct TreeChild {
    /// Its name, or its index in digits.
    pub(super) name: Box<str>,
    pub(super) index: Option<usize>,
    pub(super) node: TreeNode,
}

impl TreeNode {
    /// The node that a path leads to, which is made if need be.
    pub(super) fn at(&mut self, path: &FieldPath) -> &mut TreeNode {
        let mut node = self;
        for step in &path.0 {
            let known = node.children.iter().position(|child| child.name == *step);
            let at = known.unwrap_or_else(|| {
                let path = format!("{}/{}", node.path, escaped_step(step));
                let child = TreeNode { path, ..TreeNode::default() };
                node.children.push(TreeChild { name: step.clone(), index: array_index(step), node: child });
                node.children.len() - 1
            });
            node = &mut node.children[at].node;
        }
        node
    }

    /// Gives each value on a pointer's way its bit, from this one on; the next free one. Bits beyond [`MAX_NODES`] are 0.
    pub(super) fn number(&mut self, mut next: usize) -> usize {
        if self.children.is_empty() {
            self.leaf = match self.slots.as_slice() {
                [slot] if !self.elements => Some(*slot),
                _ => None,
            };
            return next;
        }
        self.bit = if next < MAX_NODES { 1 << next } else { 0 };
        next += 1;
        for child in &mut self.children {
            next = child.node.number(next);
        }
        next
    }

    /// May it be an array?
    pub(super) fn has_indexes(&self) -> bool {
        self.children.iter().any(|child| child.index.is_some())
    }

    /// Is nothing to be found in it?
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.children.is_empty() && !self.elements
    }
}
