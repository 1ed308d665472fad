//! Graphs as pictures.

use std::fmt::Write;

use super::layout::{Layout, layout};
use super::{ANYWHERE, caption, drawn, kind_of};
use crate::{END, EdgeKind, EdgeShape, GraphShape, START};

const HEIGHT: f64 = 40.0;
const LAYER: f64 = 96.0;
const MARGIN: f64 = 32.0;
/// About how wide a letter is in the font that is asked for.
const LETTER: f64 = 8.2;

const STYLE: &str = "text{font:14px system-ui,sans-serif;fill:#1f2933;text-anchor:middle;dominant-baseline:central}\
.kind,.label{font-size:11px;fill:#52606d}.label{paint-order:stroke;stroke:#fff;stroke-width:4px}\
.place{fill:#f5f7fa;stroke:#52606d;stroke-width:1.5}.end{fill:#1f2933}.end+text{fill:#fff}\
.edge{fill:none;stroke:#52606d;stroke-width:1.5}.sometimes{stroke-dasharray:5 4}";

/// The graph as an SVG document.
pub(crate) fn svg(shape: &GraphShape) -> String {
    let names = drawn(shape);
    let widths: Vec<f64> = names.iter().map(|name| width_of(caption(name))).collect();
    let at = |name: &str| names.iter().position(|drawn| *drawn == name);
    let edges: Vec<(&EdgeShape, (usize, usize))> =
        shape.edges.iter().filter_map(|edge| Some((edge, (at(&edge.from)?, at(&edge.to)?)))).collect();
    let ends: Vec<(usize, usize)> = edges.iter().map(|(_, ends)| *ends).collect();
    let plan = layout(&widths, &ends);
    // Edges that lead back to their own step, or up to the layer above, leave the picture's middle to the right.
    let (width, height) =
        (plan.width + 2.0 * MARGIN + 48.0, plan.layers as f64 * LAYER - (LAYER - HEIGHT) + 2.0 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         role=\"img\"><title>{}</title><style>{STYLE}</style><defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" \
         markerWidth=\"8\" markerHeight=\"8\" orient=\"auto-start-reverse\"><path d=\"M0 1L9 5L0 9z\" fill=\"#52606d\"/></marker>\
         </defs><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        escaped(&shape.name)
    );
    for (index, (edge, ends)) in edges.iter().enumerate() {
        draw_edge(&mut out, edge, *ends, index, &plan, &widths);
    }
    for (index, name) in names.iter().enumerate() {
        draw_place(&mut out, name, kind_of(shape, name), middle(&plan, index), widths[index]);
    }
    out.push_str("</svg>\n");
    out
}

fn width_of(text: &str) -> f64 {
    (text.chars().count() as f64 * LETTER + 32.0).max(72.0)
}

/// The middle of a place.
fn middle(plan: &Layout, place: usize) -> (f64, f64) {
    let spot = plan.spots[place];
    (spot.x + MARGIN, spot.layer as f64 * LAYER + HEIGHT / 2.0 + MARGIN)
}

fn draw_place(out: &mut String, name: &str, kind: &str, (x, y): (f64, f64), width: f64) {
    let (left, top) = (x - width / 2.0, y - HEIGHT / 2.0);
    let _ = match (name, kind) {
        (START | END, _) => writeln!(
            out,
            "<rect class=\"place end\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"20\"/>"
        ),
        (_, "branch") | (ANYWHERE, _) => {
            let (right, bottom, inset) = (x + width / 2.0, y + HEIGHT / 2.0, 14.0);
            writeln!(
                out,
                "<path class=\"place\" d=\"M{left:.1} {y:.1}L{:.1} {top:.1}H{:.1}L{right:.1} {y:.1}L{:.1} {bottom:.1}H{:.1}z\"/>",
                left + inset,
                right - inset,
                right - inset,
                left + inset,
            )
        }
        _ => writeln!(
            out,
            "<rect class=\"place\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" rx=\"6\"/>"
        ),
    };
    let telling = !matches!(kind, "" | "node");
    let text_y = if telling { y - 6.0 } else { y };
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{text_y:.1}\">{}</text>", escaped(caption(name)));
    if telling {
        let _ = writeln!(out, "<text class=\"kind\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>", y + 11.0, escaped(kind));
    }
}

fn draw_edge(out: &mut String, edge: &EdgeShape, ends: (usize, usize), index: usize, plan: &Layout, widths: &[f64]) {
    let ((from_x, from_y), (to_x, to_y)) = (middle(plan, ends.0), middle(plan, ends.1));
    let half = HEIGHT / 2.0;
    let back = plan.back[index];
    let (path, label) = if ends.0 == ends.1 {
        let side = from_x + widths[ends.0] / 2.0;
        let path = format!(
            "M{side:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {side:.1} {:.1}",
            from_y - 10.0,
            side + 44.0,
            from_y - 26.0,
            side + 44.0,
            from_y + 26.0,
            from_y + 10.0
        );
        (path, (side + 36.0, from_y))
    } else if back && plan.bends[index].is_empty() {
        // Up to the layer above, along the right side of both.
        let (out_x, in_x) = (from_x + widths[ends.0] / 2.0, to_x + widths[ends.1] / 2.0);
        let far = out_x.max(in_x) + 44.0;
        let path = format!("M{out_x:.1} {from_y:.1}C{far:.1} {from_y:.1} {far:.1} {to_y:.1} {in_x:.1} {to_y:.1}");
        (path, (far - 12.0, (from_y + to_y) / 2.0))
    } else {
        let turn = if back { -1.0 } else { 1.0 };
        // Ways back begin and end beside the ways on.
        let aside = |place: usize| if back { widths[place] / 4.0 } else { 0.0 };
        let (from_x, to_x) = (from_x + aside(ends.0), to_x + aside(ends.1));
        let mut points = vec![(from_x, from_y + turn * half)];
        for bend in &plan.bends[index] {
            let (x, y) = (bend.x + MARGIN, bend.layer as f64 * LAYER + half + MARGIN);
            points.extend([(x, y - turn * half), (x, y + turn * half)]);
        }
        points.push((to_x, to_y - turn * half));
        let mut path = format!("M{:.1} {:.1}", points[0].0, points[0].1);
        for pair in points.windows(2) {
            let ((x, y), (next_x, next_y)) = (pair[0], pair[1]);
            let halfway = (y + next_y) / 2.0;
            let _ = write!(path, "C{x:.1} {halfway:.1} {next_x:.1} {halfway:.1} {next_x:.1} {next_y:.1}");
        }
        (path, ((points[0].0 + points[1].0) / 2.0, (points[0].1 + points[1].1) / 2.0))
    };
    let dashed = if edge.kind == EdgeKind::Sometimes { " sometimes" } else { "" };
    let _ = writeln!(out, "<path class=\"edge{dashed}\" marker-end=\"url(#arrow)\" d=\"{path}\"/>");
    let text = match (edge.label.as_str(), edge.kind) {
        ("", EdgeKind::First) => "first",
        (label, _) => label,
    };
    if !text.is_empty() {
        let _ =
            writeln!(out, "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\">{}</text>", label.0, label.1, escaped(text));
    }
}

/// Text as it may stand in a document.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
