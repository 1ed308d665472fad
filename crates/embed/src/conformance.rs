//! What every embedder and every index must do, as checks that any implementation can run in its tests.

use atomr_agents_core::CallCtx;

use crate::{AnnIndex, EmbedError, Embedder, Neighbour, Vectors};

/// Checks the rules of [`Embedder`]: a name, one vector for each text in their order, none for none, the same dimension
/// always and the one it says, the same vector for the same text, alone and among others (to 1e-4).
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_embedder(embedder: &dyn Embedder) -> Result<(), String> {
    let ctx = CallCtx::new();
    let made = async |texts: &[&str]| {
        embedder.embed(texts, &ctx).await.map_err(|error| format!("embed of {} texts failed: {error}", texts.len()))
    };
    if embedder.model().is_empty() {
        return Err("model() is empty".into());
    }
    let texts = ["rain in Oslo", "", "wind in Bergen", "rain in Oslo", "né ☔"];
    let all = made(&texts).await?;
    if all.len() != texts.len() {
        return Err(format!("{} texts gave {} vectors", texts.len(), all.len()));
    }
    if let Some(dim) = embedder.dim()
        && dim != all.dim()
    {
        return Err(format!("dim() says {dim}, the vectors have {}", all.dim()));
    }
    let near = |a: Option<&[f32]>, b: Option<&[f32]>| match (a, b) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4),
        _ => false,
    };
    if !near(all.row(0), all.row(3)) {
        return Err("the same text in one call has two vectors".into());
    }
    if near(all.row(0), all.row(2)) {
        return Err("two different texts have the same vector".into());
    }
    for (at, text) in texts.iter().enumerate() {
        if !near(made(&[text]).await?.row(0), all.row(at)) {
            return Err(format!("the vector of {text:?} alone differs from its vector among others"));
        }
    }
    match made(&[]).await?.len() {
        0 => Ok(()),
        some => Err(format!("no text gave {some} vectors")),
    }
}

/// Checks the rules of [`AnnIndex`] on an empty index of dimension 3 over the cosine or the dot product.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_index(index: &dyn AnnIndex) -> Result<(), String> {
    let failed = |what: &str, error: EmbedError| format!("{what} failed: {error}");
    let vectors = |values: &[f32]| Vectors::new(3, values.to_vec()).map_err(|error| error.to_string());
    let found = async |query: &[f32], k| {
        let found = index.search(query, k, None).await.map_err(|error| failed("search", error))?;
        Ok::<_, String>(found.into_iter().map(|Neighbour { id, .. }| id).collect::<Vec<_>>())
    };
    let expect = |what: &str, found: Vec<u64>, wanted: &[u64]| {
        if found == wanted { Ok(()) } else { Err(format!("{what}: found {found:?}, not {wanted:?}")) }
    };
    if index.dim() != 3 {
        return Err(format!("dim() is {}, not 3", index.dim()));
    }
    expect("an empty index", found(&[1.0, 0.0, 0.0], 5).await?, &[])?;
    let three = vectors(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.8, 0.6, 0.0])?;
    index.upsert(&[7, u64::MAX, 9], &three).await.map_err(|error| failed("upsert", error))?;
    expect("the nearest first", found(&[1.0, 0.0, 0.0], 5).await?, &[7, 9, u64::MAX])?;
    expect("no more than k", found(&[1.0, 0.0, 0.0], 2).await?, &[7, 9])?;
    expect("k = 0", found(&[1.0, 0.0, 0.0], 0).await?, &[])?;
    let odd: crate::Allowed<'_> = &|id| id == 9;
    let allowed = index.search(&[1.0, 0.0, 0.0], 2, Some(odd)).await.map_err(|error| failed("search", error))?;
    expect("with a filter", allowed.iter().map(|found| found.id).collect(), &[9])?;
    index
        .upsert(&[7, 7], &vectors(&[0.0, 0.0, -1.0, 0.0, 0.0, 1.0])?)
        .await
        .map_err(|error| failed("upsert", error))?;
    expect("the last vector of an id counts", found(&[0.0, 0.0, 1.0], 1).await?, &[7])?;
    let removed = index.remove(&[9, 9, 1234]).await.map_err(|error| failed("remove", error))?;
    if removed != 1 {
        return Err(format!("remove of one that is there answered {removed}"));
    }
    expect("a removed one is not found", found(&[0.8, 0.6, 0.0], 5).await?, &[u64::MAX, 7])?;
    let wrong = Vectors::new(2, vec![1.0, 0.0]).map_err(|error| error.to_string())?;
    if !matches!(index.upsert(&[1], &wrong).await, Err(EmbedError::Dimension { expected: 3, found: 2 })) {
        return Err("a vector of another dimension was not refused".into());
    }
    if index.upsert(&[1], &three).await.is_ok() {
        return Err("three vectors for one id were not refused".into());
    }
    if !matches!(index.search(&[1.0], 1, None).await, Err(EmbedError::Dimension { expected: 3, found: 1 })) {
        return Err("a query of another dimension was not refused".into());
    }
    if !matches!(index.search(&[1.0, f32::NAN, 0.0], 1, None).await, Err(EmbedError::NotFinite { .. })) {
        return Err("a query with a NaN was not refused".into());
    }
    match index.count().await {
        Ok(2) => Ok(()),
        len => Err(format!("two vectors are left, count() says {len:?}")),
    }
}
