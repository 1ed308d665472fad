//! Drawing graphs.

mod layout;
mod mermaid;
mod svg;

pub(crate) use mermaid::mermaid;
pub(crate) use svg::svg;

use crate::{END, GraphShape, START};

/// A place that is drawn where an edge may lead anywhere.
const ANYWHERE: &str = "*";

/// What is drawn: every step, the two ends, and the place for anywhere where an edge leads there.
fn drawn(shape: &GraphShape) -> Vec<&str> {
    let mut names = vec![START];
    names.extend(shape.nodes.iter().map(|node| node.name.as_str()));
    for end in [ANYWHERE, END] {
        if shape.edges.iter().any(|edge| edge.to == end) {
            names.push(end);
        }
    }
    names
}

/// What stands in a place.
fn caption(name: &str) -> &str {
    match name {
        START => "start",
        END => "end",
        ANYWHERE => "any step",
        name => name,
    }
}

/// What kind of step a place is.
fn kind_of<'s>(shape: &'s GraphShape, name: &str) -> &'s str {
    shape.nodes.iter().find(|node| node.name == name).map_or("", |node| node.kind.as_str())
}
