//! An object or array that is open.

use serde_json::Value;

use super::{Path, Segment};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The list of one that holds the document.
    Holder,
    Array,
    Object,
}

/// An open object or array, without its value: that lies in the tree.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) path: Path,
    /// The members or elements that began so far.
    begun: usize,
    /// The key of the member that began last, or the one whose value has to come.
    pub(super) key: String,
    /// The place of the value that began last, once somebody asked for it.
    child: Option<Path>,
    /// That value came with a key that was there before, so it is not the last one of the map.
    repeated: bool,
}

impl Frame {
    pub(super) fn new(kind: Kind, path: Path) -> Self {
        Self { kind, path, begun: 0, key: String::new(), child: None, repeated: false }
    }

    /// A value begins in it.
    pub(super) fn begin(&mut self) {
        self.begun += 1;
        self.child = None;
    }

    /// The place of the value that began last.
    pub(super) fn child_path(&mut self) -> Path {
        if let Some(child) = &self.child {
            return child.clone();
        }
        let segment = match self.kind {
            Kind::Holder => return Path::root(),
            Kind::Array => Segment::Index(self.begun.saturating_sub(1)),
            Kind::Object => Segment::Key(self.key.as_str().into()),
        };
        self.child.insert(self.path.child(segment)).clone()
    }

    /// Puts the value that began last into `node`, which is this frame's.
    pub(super) fn show(&mut self, node: &mut Value, value: Value) {
        match node {
            Value::Array(elements) => elements.push(value),
            Value::Object(members) => self.repeated = members.insert(self.key.clone(), value).is_some(),
            _ => {}
        }
    }

    /// The value that was put into `node` last.
    pub(super) fn shown<'v>(&self, node: &'v mut Value) -> Option<&'v mut Value> {
        match node {
            Value::Array(elements) => elements.last_mut(),
            Value::Object(members) => match self.repeated {
                true => members.get_mut(&self.key),
                false => members.values_mut().next_back(),
            },
            _ => None,
        }
    }
}
