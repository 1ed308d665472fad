//! Where the places of a graph are drawn: in layers from top to bottom.

use std::collections::BTreeMap;

/// A place in the drawing: which layer, and where its middle is, in pixels from the left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spot {
    pub(super) layer: usize,
    pub(super) x: f64,
}

/// Where everything goes.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// By the position of the place.
    pub(super) spots: Vec<Spot>,
    /// For each edge the points it goes through between its ends, one for each layer that it passes.
    pub(super) bends: Vec<Vec<Spot>>,
    /// Whether the edge leads back up.
    pub(super) back: Vec<bool>,
    pub(super) layers: usize,
    pub(super) width: f64,
}

/// How much room an edge takes that passes a layer.
const LANE: f64 = 28.0;
/// Room between two neighbours.
const GAP: f64 = 36.0;

/// Lays out places of these widths with these edges; the first place is at the top.
pub(super) fn layout(widths: &[f64], edges: &[(usize, usize)]) -> Layout {
    let back = back_edges(widths.len(), edges);
    let layer = layers(widths.len(), edges, &back);
    let depth = layer.iter().max().map_or(0, |deepest| deepest + 1);
    // What stands in each layer: places, and lanes of edges that pass it.
    let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); depth];
    for (place, at) in layer.iter().enumerate() {
        cells[*at].push(Cell { what: What::Place(place), width: widths[place], x: 0.0 });
    }
    for (edge, (from, to)) in edges.iter().enumerate() {
        let (top, bottom) = (layer[*from].min(layer[*to]), layer[*from].max(layer[*to]));
        for row in cells.iter_mut().take(bottom).skip(top + 1) {
            row.push(Cell { what: What::Lane(edge), width: LANE, x: 0.0 });
        }
    }
    let links = links(edges, &layer, &back);
    order(&mut cells, &links);
    let width = place_cells(&mut cells, &links);
    let mut out = Layout {
        spots: vec![Spot { layer: 0, x: 0.0 }; widths.len()],
        back,
        layers: depth,
        width,
        ..Layout::default()
    };
    out.bends = vec![Vec::new(); edges.len()];
    for (at, row) in cells.iter().enumerate() {
        for cell in row {
            let spot = Spot { layer: at, x: cell.x };
            match cell.what {
                What::Place(place) => out.spots[place] = spot,
                What::Lane(edge) => out.bends[edge].push(spot),
            }
        }
    }
    for (edge, (from, to)) in edges.iter().enumerate() {
        if layer[*from] > layer[*to] {
            out.bends[edge].reverse();
        }
    }
    out
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Place(usize),
    Lane(usize),
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    what: What,
    width: f64,
    x: f64,
}

/// Edges that lead back to a place that is still open when they are followed from the first place on.
fn back_edges(places: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let mut back = vec![false; edges.len()];
    let mut ahead = vec![Vec::new(); places];
    for (edge, (from, _)) in edges.iter().enumerate() {
        ahead[*from].push(edge);
    }
    // 0 not seen, 1 open, 2 done.
    let mut seen = vec![0_u8; places];
    for root in 0..places {
        if seen[root] != 0 {
            continue;
        }
        seen[root] = 1;
        let mut path = vec![(root, 0)];
        while let Some((place, next)) = path.last_mut() {
            let Some(edge) = ahead[*place].get(*next).copied() else {
                seen[*place] = 2;
                path.pop();
                continue;
            };
            *next += 1;
            let to = edges[edge].1;
            match seen[to] {
                0 => {
                    seen[to] = 1;
                    path.push((to, 0));
                }
                1 => back[edge] = true,
                _ => {}
            }
        }
    }
    back
}

/// The layer of each place: below everything that leads to it.
fn layers(places: usize, edges: &[(usize, usize)], back: &[bool]) -> Vec<usize> {
    let mut layer = vec![0; places];
    // The longest way has fewer edges than there are places.
    for _ in 0..places {
        let mut moved = false;
        for (edge, (from, to)) in edges.iter().enumerate() {
            if !back[edge] && layer[*to] <= layer[*from] {
                layer[*to] = layer[*from] + 1;
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    layer
}

/// Which cells of neighbouring layers are tied together, from top to bottom.
fn links(edges: &[(usize, usize)], layer: &[usize], back: &[bool]) -> Vec<(What, What)> {
    let mut links = Vec::new();
    for (edge, (from, to)) in edges.iter().enumerate() {
        let (top, bottom) = if back[edge] { (*to, *from) } else { (*from, *to) };
        match layer[bottom].saturating_sub(layer[top]) {
            0 => {}
            1 => links.push((What::Place(top), What::Place(bottom))),
            _ => links.extend([(What::Place(top), What::Lane(edge)), (What::Lane(edge), What::Place(bottom))]),
        }
    }
    links
}

/// Orders each layer by the middle of what its cells are tied to, from above and from below in turn.
fn order(cells: &mut [Vec<Cell>], links: &[(What, What)]) {
    for round in 0..8 {
        let down = round % 2 == 0;
        let rows: Vec<usize> =
            if down { (1..cells.len()).collect() } else { (0..cells.len().saturating_sub(1)).rev().collect() };
        for row in rows {
            let beside = if down { row - 1 } else { row + 1 };
            let at: BTreeMap<What, usize> =
                cells[beside].iter().enumerate().map(|(at, cell)| (cell.what, at)).collect();
            let own: BTreeMap<What, usize> = cells[row].iter().enumerate().map(|(at, cell)| (cell.what, at)).collect();
            let middle = |cell: &Cell| {
                mean(neighbours(cell.what, links, down).filter_map(|what| at.get(&what).map(|at| *at as f64)))
            };
            let key = |cell: &Cell| middle(cell).unwrap_or_else(|| own[&cell.what] as f64);
            cells[row].sort_by(|one, two| key(one).total_cmp(&key(two)));
        }
    }
}

/// What a cell is tied to, above or below it. A lane is tied to itself in the next layer, too.
fn neighbours<'l>(what: What, links: &'l [(What, What)], above: bool) -> impl Iterator<Item = What> + 'l {
    let tied = links.iter().filter_map(move |(top, bottom)| match above {
        true => (*bottom == what).then_some(*top),
        false => (*top == what).then_some(*bottom),
    });
    tied.chain(matches!(what, What::Lane(_)).then_some(what))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Gives every cell its x: near the middle of what it is tied to, without overlaps. Returns the width of it all.
fn place_cells(cells: &mut [Vec<Cell>], links: &[(What, What)]) -> f64 {
    for row in cells.iter_mut() {
        pack(row, |cell| cell.x);
    }
    for round in 0..12 {
        let down = round % 2 == 0;
        let rows: Vec<usize> =
            if down { (1..cells.len()).collect() } else { (0..cells.len().saturating_sub(1)).rev().collect() };
        for row in rows {
            let beside: BTreeMap<What, f64> =
                cells[if down { row - 1 } else { row + 1 }].iter().map(|cell| (cell.what, cell.x)).collect();
            let wish = |cell: &Cell| {
                mean(neighbours(cell.what, links, down).filter_map(|what| beside.get(&what).copied())).unwrap_or(cell.x)
            };
            pack(&mut cells[row], wish);
        }
    }
    let all = || cells.iter().flatten();
    let left = all().map(|cell| cell.x - cell.width / 2.0).fold(f64::INFINITY, f64::min);
    let right = all().map(|cell| cell.x + cell.width / 2.0).fold(f64::NEG_INFINITY, f64::max);
    if left > right {
        return 0.0;
    }
    cells.iter_mut().flatten().for_each(|cell| cell.x -= left);
    right - left
}

/// Puts the cells of a row where they wish to be, pushed apart where they would touch, the row as a whole in the middle of
/// the wishes.
fn pack(row: &mut [Cell], wish: impl Fn(&Cell) -> f64) {
    let wishes: Vec<f64> = row.iter().map(wish).collect();
    let mut edge = f64::NEG_INFINITY;
    let mut shift = 0.0;
    for (cell, wish) in row.iter_mut().zip(&wishes) {
        cell.x = wish.max(edge + cell.width / 2.0);
        edge = cell.x + cell.width / 2.0 + GAP;
        shift += cell.x - wish;
    }
    if !row.is_empty() {
        shift /= row.len() as f64;
        row.iter_mut().for_each(|cell| cell.x -= shift);
    }
}
