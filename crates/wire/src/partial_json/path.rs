//! Where in a document a value lies.

use std::fmt;
use std::sync::Arc;

/// One step from a value to a value inside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// The member of an object with this key.
    Key(Box<str>),
    /// The element of an array, counted from zero.
    Index(usize),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Node {
    parent: Path,
    segment: Segment,
}

/// The place of a value: the steps to it from the root of the document.
///
/// It is cheap to clone and costs one step however deep the value lies, because it shares the steps above with the
/// paths of its neighbours. [`Display`](fmt::Display) writes it as a JSON pointer (RFC 6901), which
/// [`serde_json::Value::pointer`] takes; the root is the empty pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(Option<Arc<Node>>);

impl Path {
    /// The place of the document itself.
    #[must_use]
    pub fn root() -> Self {
        Self(None)
    }

    /// The place one step below this one.
    #[inline]
    #[must_use]
    pub fn child(&self, segment: Segment) -> Self {
        Self(Some(Arc::new(Node { parent: self.clone(), segment })))
    }

    /// The place that this one lies in; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<&Self> {
        self.0.as_deref().map(|node| &node.parent)
    }

    /// The last step; `None` for the root.
    #[inline]
    #[must_use]
    pub fn last(&self) -> Option<&Segment> {
        self.0.as_deref().map(|node| &node.segment)
    }

    /// The steps from the root to this place.
    #[must_use]
    pub fn segments(&self) -> Vec<&Segment> {
        let mut segments: Vec<_> =
            std::iter::successors(Some(self), |path| path.parent()).filter_map(Self::last).collect();
        segments.reverse();
        segments
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in self.segments() {
            match segment {
                Segment::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))?,
                Segment::Index(index) => write!(f, "/{index}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_json_pointer() {
        let place = Path::root().child(Segment::Key("a/b~".into())).child(Segment::Index(1));
        assert_eq!(place.to_string(), "/a~1b~0/1");
        let document = serde_json::json!({ "a/b~": [0, 7] });
        assert_eq!(document.pointer(&place.to_string()), Some(&7.into()));
        assert_eq!(document.pointer(&Path::root().to_string()), Some(&document));
        assert_eq!(place.segments(), [&Segment::Key("a/b~".into()), &Segment::Index(1)]);
        assert_eq!(place.parent().and_then(Path::parent), Some(&Path::root()));
        assert_eq!(Path::root().last(), None);
    }
}
