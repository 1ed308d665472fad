//! From pieces to pieces with vectors.

use atomr_agents_core::{CallCtx, Document, Kind};
use atomr_agents_embed::{EmbedError, Embedder, Vectors};
use tokio::sync::OwnedSemaphorePermit;

use super::records::Record;
use crate::IngestError;

/// A document that was cut, and the room that it takes.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) record: Record,
    pub(super) pieces: Vec<Document>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Documents with the vectors of their pieces, in order.
#[derive(Debug)]
pub(super) struct Embedded {
    pub(super) cuts: Vec<Cut>,
    pub(super) vectors: Option<Vectors>,
}

/// What a failure says of the texts that it was about: nothing, where it would be the same for all others.
fn by_text(error: &EmbedError) -> bool {
    !matches!(
        error.kind(),
        Kind::Authentication | Kind::Permission | Kind::Config | Kind::QuotaExceeded | Kind::Cancelled | Kind::Connect
    )
}

/// Embeds the pieces of some documents. Those of which a piece has no vector are failures.
pub(super) async fn embed(
    embedder: &dyn Embedder,
    cuts: Vec<Cut>,
    batch: usize,
    ctx: &CallCtx,
) -> (Option<Embedded>, Vec<IngestError>) {
    let rows = match vectors(embedder, &cuts, batch, ctx).await {
        Ok(rows) => rows,
        Err(error) if cuts.len() > 1 && by_text(&error) => {
            // One of them may have spoiled the others.
            let (mut kept, mut failures): (Option<Embedded>, Vec<IngestError>) = (None, Vec::new());
            for cut in cuts {
                let (embedded, failed) = Box::pin(embed(embedder, vec![cut], batch, ctx)).await;
                failures.extend(failed);
                let Some(embedded) = embedded else { continue };
                kept = match kept {
                    None => Some(embedded),
                    Some(all) => joined(all, embedded, &mut failures),
                };
            }
            return (kept, failures);
        }
        Err(error) => {
            let failed = |cut: Cut| IngestError::Embed { id: cut.record.id, source: error.clone() };
            return (None, cuts.into_iter().map(failed).collect());
        }
    };
    assembled(cuts, rows)
}

/// Both together; where their vectors have not the same dimension, the second is a failure.
fn joined(mut all: Embedded, more: Embedded, failures: &mut Vec<IngestError>) -> Option<Embedded> {
    if let (Some(vectors), Some(others)) = (&mut all.vectors, &more.vectors)
        && let Err(source) = vectors.append(others)
    {
        let failed = |cut: Cut| IngestError::Embed { id: cut.record.id, source: source.clone() };
        failures.extend(more.cuts.into_iter().map(failed));
        return Some(all);
    }
    all.cuts.extend(more.cuts);
    Some(all)
}

/// The vectors of all pieces, as far as they could be made.
struct Rows {
    dim: usize,
    /// One for each piece.
    rows: Vec<Option<Vec<f32>>>,
    /// What stopped the rest.
    cause: Option<EmbedError>,
}

async fn vectors(embedder: &dyn Embedder, cuts: &[Cut], batch: usize, ctx: &CallCtx) -> Result<Rows, EmbedError> {
    let texts: Vec<&str> = cuts.iter().flat_map(|cut| &cut.pieces).map(|piece| piece.text.as_str()).collect();
    let mut made = Rows { dim: 0, rows: Vec::with_capacity(texts.len()), cause: None };
    for some in texts.chunks(batch) {
        let start = made.rows.len();
        match embedder.embed(some, ctx).await {
            Ok(vectors) if vectors.len() == some.len() => {
                made.dim = vectors.dim();
                made.rows.extend(vectors.rows().map(|row| Some(row.to_vec())));
            }
            Ok(vectors) => {
                let message = format!("it gave {} vectors for {} texts", vectors.len(), some.len());
                let what = embedder.model().to_owned();
                return Err(EmbedError::Failed { what, kind: Kind::Protocol, message, source: None });
            }
            Err(EmbedError::Partial { done, vectors, cause, .. }) => {
                made.dim = vectors.dim();
                made.rows.resize(start + some.len(), None);
                for (at, row) in done.into_iter().zip(vectors.rows()) {
                    if let Some(slot) = made.rows.get_mut(start + at) {
                        *slot = Some(row.to_vec());
                    }
                }
                made.cause = Some(*cause);
                break;
            }
            Err(error) if start > 0 => {
                made.cause = Some(error);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    made.rows.resize(texts.len(), None);
    Ok(made)
}

fn assembled(cuts: Vec<Cut>, made: Rows) -> (Option<Embedded>, Vec<IngestError>) {
    let Rows { dim, rows, cause } = made;
    let (mut kept, mut values, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    let mut rows = rows.into_iter();
    for cut in cuts {
        let own: Vec<Option<Vec<f32>>> = rows.by_ref().take(cut.pieces.len()).collect();
        match &cause {
            Some(cause) if own.iter().any(Option::is_none) => {
                failures.push(IngestError::Embed { id: cut.record.id, source: cause.clone() });
            }
            _ => {
                values.extend(own.into_iter().flatten().flatten());
                kept.push(cut);
            }
        }
    }
    if kept.is_empty() {
        return (None, failures);
    }
    // Documents without pieces have no vector, and are kept nevertheless.
    match (values.is_empty(), Vectors::new(dim.max(1), values)) {
        (true, _) => (Some(Embedded { cuts: kept, vectors: None }), failures),
        (false, Ok(vectors)) => (Some(Embedded { cuts: kept, vectors: Some(vectors) }), failures),
        (false, Err(source)) => {
            let failed = |cut: Cut| IngestError::Embed { id: cut.record.id, source: source.clone() };
            failures.extend(kept.into_iter().map(failed));
            (None, failures)
        }
    }
}
