//! Which sections an index is made of, and what must be true of them.

use std::collections::HashMap;
use std::path::Path;

use super::file::{Reader, Section, Writer, failed};
use super::graph::{Graph, GraphOptions, Layer, NONE, Upper};
use super::metric::Metric;
use super::rows::Rows;
use super::state::State;
use super::{IndexOptions, MOST};
use crate::EmbedError;
use atomr_agents_core::Kind;

/// The numbers of the section [`Section::About`], in this order.
const ABOUT: usize = 18;

pub(super) fn save(state: &State, options: &IndexOptions, path: &Path) -> Result<(), EmbedError> {
    let rows = &state.rows;
    let graph = state.graph.as_ref();
    let of_graph = |value: fn(&Graph) -> usize| graph.map_or(0, value) as u64;
    let about: [u64; ABOUT] = [
        u64::from(rows.metric.number()),
        rows.dim as u64,
        rows.len() as u64,
        options.max_vectors as u64,
        options.exact_below as u64,
        u64::from(options.recall.to_bits()),
        options.m as u64,
        options.ef_construction as u64,
        state.ef.unwrap_or(0) as u64,
        state.declined as u64,
        u64::from(graph.is_some()),
        of_graph(|graph| graph.uppers.len()),
        of_graph(|graph| graph.linked),
        of_graph(|graph| graph.first as usize),
        of_graph(|graph| graph.ef),
        of_graph(|graph| graph.measured),
        of_graph(|graph| graph.options.m),
        of_graph(|graph| graph.options.ef_construction),
    ];
    let gone: Vec<u32> = (0..rows.len() as u32).filter(|row| !rows.alive(*row)).collect();
    let mut writer = Writer::default();
    writer.add(Section::About, 0, &about);
    writer.add(Section::Ids, 0, rows.ids.as_slice());
    writer.add(Section::Vectors, 0, rows.vectors.as_slice());
    writer.add(Section::Codes, 0, rows.codes.as_slice());
    writer.add(Section::Factors, 0, rows.factors.as_slice());
    writer.add(Section::Gone, 0, &gone);
    if let Some(graph) = graph {
        writer.add(Section::Links, 0, graph.base.links.as_slice());
        for (at, upper) in graph.uppers.iter().enumerate() {
            writer.add(Section::UpperCodes, at, &upper.codes);
            writer.add(Section::UpperFactors, at, &upper.factors);
            writer.add(Section::UpperBelow, at, &upper.below);
            writer.add(Section::UpperLinks, at, upper.layer.links.as_slice());
        }
    }
    writer.write(path)
}

pub(super) fn load(path: &Path) -> Result<(State, IndexOptions), EmbedError> {
    let reader = Reader::open(path)?;
    let about: Vec<usize> = reader
        .values::<u64>(Section::About, 0)?
        .into_iter()
        .map(|number| usize::try_from(number).unwrap_or(usize::MAX))
        .collect();
    let Ok(about) = <[usize; ABOUT]>::try_from(about) else {
        return Err(reader.corrupt("does not say what it holds"));
    };
    let [metric, dim, count, max_vectors, exact_below, recall, m, ef_construction, ef, declined, has_graph, graph @ ..] =
        about;
    let Some(metric) = u32::try_from(metric).ok().and_then(Metric::of_number) else {
        return Err(failed(path, Kind::UnsupportedFormat, "has a metric that is not known here"));
    };
    let recall = f32::from_bits(u32::try_from(recall).unwrap_or(u32::MAX));
    let ef = (ef > 0).then_some(ef);
    let options = IndexOptions { metric, max_vectors, exact_below, recall, m, ef_construction, ef };
    options.check(dim).map_err(|error| reader.corrupt(&format!("has options that make no sense: {error}")))?;
    let rows = rows(&reader, dim, metric, count)?;
    let graph = if has_graph == 1 { Some(read_graph(&reader, &rows, graph)?) } else { None };
    Ok((State { rows, graph, declined, ef }, options))
}

fn rows(reader: &Reader<'_>, dim: usize, metric: Metric, count: usize) -> Result<Rows, EmbedError> {
    let mut rows = Rows::new(dim, metric);
    rows.ids = reader.block(Section::Ids, 0)?;
    rows.vectors = reader.block(Section::Vectors, 0)?;
    rows.codes = reader.block(Section::Codes, 0)?;
    rows.factors = reader.block(Section::Factors, 0)?;
    let lengths =
        [(rows.ids.len(), 1), (rows.vectors.len(), dim), (rows.codes.len(), rows.stride), (rows.factors.len(), 1)];
    if count > MOST || lengths.iter().any(|(len, each)| count.checked_mul(*each) != Some(*len)) {
        return Err(reader.corrupt("has sections of different lengths"));
    }
    if !rows.vectors.as_slice().iter().fold(0.0f32, |sum, value| sum + value * 0.0).is_finite() {
        return Err(reader.corrupt("has a value that is no finite number"));
    }
    let mut gone = vec![false; count];
    for row in reader.values::<u32>(Section::Gone, 0)? {
        *gone.get_mut(row as usize).ok_or_else(|| reader.corrupt("has lost a row that it never had"))? = true;
    }
    let there = rows.ids.as_slice().iter().copied().zip(0u32..).zip(&gone);
    rows.places = there.filter(|(_, gone)| !**gone).map(|(place, _)| place).collect::<HashMap<_, _>>();
    if rows.places.len() != gone.iter().filter(|gone| !**gone).count() {
        return Err(reader.corrupt("has an id twice"));
    }
    Ok(rows)
}

fn read_graph(reader: &Reader<'_>, rows: &Rows, about: [usize; 7]) -> Result<Graph, EmbedError> {
    let [uppers, linked, first, ef, measured, m, ef_construction] = about;
    let sound = (4..=64).contains(&m) && ef > 0 && linked <= rows.len() && first < rows.len() && uppers < 16;
    if !sound {
        return Err(reader.corrupt("has a graph that does not fit its rows"));
    }
    let width = m * 2;
    let layer = |section, at, nodes: usize| {
        let layer = Layer { width, links: reader.block(section, at)? };
        let links = layer.links.as_slice();
        // A link that leads nowhere would be followed to the place of another row, or to none.
        if links.len() != nodes * width || links.iter().any(|link| *link != NONE && *link as usize >= nodes) {
            return Err(reader.corrupt("has links to rows that it has not"));
        }
        Ok(layer)
    };
    let nodes = reader.block::<u32>(Section::Links, 0)?.len() / width;
    if nodes < linked || nodes > rows.len() {
        return Err(reader.corrupt("has a graph that does not fit its rows"));
    }
    let mut graph = Graph {
        options: GraphOptions { m, ef_construction },
        uppers: Vec::new(),
        base: layer(Section::Links, 0, nodes)?,
        linked,
        first: first as u32,
        ef,
        measured,
    };
    let mut below_len = rows.len();
    for at in 0..uppers {
        let below: Vec<u32> = reader.values(Section::UpperBelow, at)?;
        let upper = Upper {
            layer: layer(Section::UpperLinks, at, below.len())?,
            codes: reader.values(Section::UpperCodes, at)?,
            factors: reader.values(Section::UpperFactors, at)?,
            below,
        };
        let count = upper.below.len();
        let fits = upper.codes.len() == count * rows.stride && upper.factors.len() == count;
        if count == 0 || !fits || upper.below.iter().any(|below| *below as usize >= below_len) {
            return Err(reader.corrupt("has a layer that does not fit the one below"));
        }
        below_len = count;
        graph.uppers.push(upper);
    }
    Ok(graph)
}

#[cfg(test)]
mod tests;
