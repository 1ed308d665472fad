//! Graphs in the language of Mermaid.

use std::fmt::Write;

use super::{ANYWHERE, caption, drawn, kind_of};
use crate::{END, EdgeKind, GraphShape, START};

/// The graph as a flowchart. Steps have numbers for ids, so that no name can be taken for a word of the language.
pub(crate) fn mermaid(shape: &GraphShape) -> String {
    let names = drawn(shape);
    let id = |name: &str| names.iter().position(|drawn| *drawn == name).unwrap_or(0);
    let mut text = String::from("flowchart TD\n");
    for (at, name) in names.iter().enumerate() {
        let caption = quoted(caption(name));
        let (open, close) = match (*name, kind_of(shape, name)) {
            (START | END, _) => ("([", "])"),
            (ANYWHERE, _) => ("{{", "}}"),
            (_, "branch") => ("{", "}"),
            (_, "subgraph") => ("[[", "]]"),
            (_, "human") => ("[/", "/]"),
            _ => ("[", "]"),
        };
        let _ = writeln!(text, "    n{at}{open}\"{caption}\"{close}");
    }
    for edge in &shape.edges {
        let arrow = if edge.kind == EdgeKind::Sometimes { "-.->" } else { "-->" };
        let label = match (edge.label.as_str(), edge.kind) {
            ("", EdgeKind::Together) => "|\"all\"|".to_owned(),
            ("", EdgeKind::First) => "|\"first\"|".to_owned(),
            ("", _) => String::new(),
            (label, _) => format!("|\"{}\"|", quoted(label)),
        };
        let _ = writeln!(text, "    n{} {arrow}{label} n{}", id(&edge.from), id(&edge.to));
    }
    text
}

/// Text that stands between double quotes: what would end it or begin markup is written as the code of the character.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '<' | '>' | '&' | '#' | ';' | '`' | '\\' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
