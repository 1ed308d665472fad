//! What every memory must do, as checks that any implementation can run in its tests.

use std::fmt::Debug;
use std::time::Duration;

use atomr_agents_core::CallCtx;
use atomr_agents_retriever::Filter;
use serde_json::json;

use crate::{By, LongStore, MemoryError, MemoryItem, MemoryStore, Namespace, NewItem, Search, StoreItem};

fn expect<T: PartialEq + Debug>(what: &str, found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?}, not {wanted:?}")) }
}

fn said<T>(what: &str, result: Result<T, MemoryError>) -> Result<T, String> {
    result.map_err(|error| format!("{what} failed: {error}"))
}

fn namespace(parts: &[&str]) -> Result<Namespace, String> {
    said("Namespace::new", Namespace::new(parts.iter().copied()))
}

/// Checks the rules of [`MemoryStore`] on an empty one.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_short(store: &dyn MemoryStore) -> Result<(), String> {
    let ctx = &CallCtx::new();
    let (ada, below, other) = (namespace(&["u", "ada"])?, namespace(&["u", "ada", "x"])?, namespace(&["u", "ad"])?);
    let items: Vec<MemoryItem> =
        ["rain in Oslo", "wind in Bergen", "more rain"].map(|text| MemoryItem::new(json!({"text": text}))).into();
    let contents = |items: Vec<MemoryItem>| items.into_iter().map(|item| item.text()).collect::<Vec<_>>();
    let list = async |namespace, limit, before| said("list", store.list(namespace, limit, before, ctx).await);
    expect("an empty namespace", list(&ada, 5, None).await?, vec![])?;
    for item in &items {
        said("put", store.put(&ada, item, ctx).await)?;
    }
    let newest = ["more rain", "wind in Bergen", "rain in Oslo"].map(str::to_owned);
    expect("the last one first", contents(list(&ada, 5, None).await?), newest.to_vec())?;
    expect("no more than the limit", contents(list(&ada, 2, None).await?), newest[..2].to_vec())?;
    expect("a limit of 0", list(&ada, 0, None).await?, vec![])?;
    let last = items.last().map(|item| item.id.as_str());
    expect("those before one", contents(list(&ada, 5, last).await?), newest[1..].to_vec())?;
    for foreign in [&below, &other] {
        expect("what is in another namespace", list(foreign, 5, None).await?, vec![])?;
    }
    let Some(first) = items.first() else { return Ok(()) };
    expect("get", said("get", store.get(&ada, &first.id, ctx).await)?, Some(first.clone()))?;
    expect("get of none", said("get", store.get(&ada, "none", ctx).await)?, None)?;
    let found = said("search", store.search(&ada, "Bergen?", 5, ctx).await)?;
    expect("search", contents(found), vec!["wind in Bergen".to_owned()])?;
    expect("search without words", said("search", store.search(&ada, "?!", 5, ctx).await)?, vec![])?;
    let changed = MemoryItem { content: json!("sun in Oslo"), ..first.clone() };
    said("put", store.put(&ada, &changed, ctx).await)?;
    expect("an item written anew", said("get", store.get(&ada, &first.id, ctx).await)?, Some(changed))?;
    expect("the number after that", list(&ada, 5, None).await?.len(), 3)?;
    expect("delete", said("delete", store.delete(&ada, &first.id, ctx).await)?, true)?;
    expect("delete of none", said("delete", store.delete(&ada, &first.id, ctx).await)?, false)?;
    expect("what is left", list(&ada, 5, None).await?.len(), 2)
}

fn keys(items: Vec<StoreItem>) -> Vec<String> {
    items.into_iter().map(|item| item.key).collect()
}

/// Checks the rules of [`LongStore`] on an empty one; with `meaning`, one that has an embedder under which texts that share
/// words are nearer than others.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_long(store: &dyn LongStore, meaning: bool) -> Result<(), String> {
    let ctx = &CallCtx::new();
    let (ada, facts) = (namespace(&["u", "ada"])?, namespace(&["u", "ada", "facts"])?);
    let (other, all) = (namespace(&["u", "ad/a"])?, namespace(&["u"])?);
    let put = async |namespace: &Namespace, key: &str, value| {
        said("put", store.put(NewItem::new(namespace.clone(), key, value), ctx).await)
    };
    let get = async |namespace: &Namespace, key: &str| said("get", store.get(namespace, key, ctx).await);
    let find = async |search: Search| said("search", store.search(&search, ctx).await).map(keys);
    expect("an empty store", get(&ada, "home").await?, None)?;
    expect("a search in an empty store", find(Search::below(all.clone()).query("Oslo").by(By::Words)).await?, vec![])?;
    put(&ada, "home", json!({"text": "lives in Oslo", "kind": "fact", "year": 2020})).await?;
    put(&facts, "food", json!({"text": "likes fish from Bergen", "kind": "taste", "year": 2024})).await?;
    put(&other, "home", json!("lives in Bergen")).await?;
    let item = get(&ada, "home").await?.ok_or("what was put is not there")?;
    expect("the value", item.value["text"].as_str(), Some("lives in Oslo"))?;
    expect("its place", (&item.namespace, item.key.as_str(), item.score), (&ada, "home", None))?;
    let words = |namespace: &Namespace, query: &str| Search::below(namespace.clone()).query(query).by(By::Words);
    expect("a search by words", find(words(&ada, "Bergen")).await?, vec!["food".to_owned()])?;
    expect("a search above", find(words(&all, "Bergen").top_k(5)).await?.len(), 2)?;
    expect("a search for nothing", find(words(&all, "Bergen").top_k(0)).await?, vec![])?;
    expect("a search without words", find(words(&all, "?")).await?, vec![])?;
    let late = Filter::gt("year", 2022);
    expect("a filter", find(Search::below(all.clone()).filter(late)).await?, vec!["food".to_owned()])?;
    if meaning {
        let near = Search::below(ada.clone()).query("Oslo: who lives there").top_k(1);
        expect("a search by meaning", find(near.clone()).await?, vec!["home".to_owned()])?;
        expect("a search by both", find(near.by(By::Both)).await?, vec!["home".to_owned()])?;
        let taste = Search::below(ada.clone()).query("Oslo").filter(Filter::eq("kind", "taste"));
        expect("a filter under meaning", find(taste).await?, vec!["food".to_owned()])?;
    }
    let namespaces = said("list_namespaces", store.list_namespaces(&all, 10, ctx).await)?;
    expect("the namespaces", namespaces, vec![other.clone(), ada.clone(), facts.clone()])?;
    let few = said("list_namespaces", store.list_namespaces(&ada, 1, ctx).await)?;
    expect("no more namespaces than asked for", few, vec![ada.clone()])?;
    changes(store, &ada, ctx).await?;
    let over = NewItem::new(ada.clone(), "soon", json!("gone")).ttl(Duration::from_millis(1));
    said("put", store.put(over, ctx).await)?;
    std::thread::sleep(Duration::from_millis(5));
    expect("an item whose time is over", get(&ada, "soon").await?, None)?;
    expect("a search for it", find(words(&ada, "gone")).await?, vec![])?;
    match store.put(NewItem::new(Namespace::root(), "k", json!(1)), ctx).await {
        Err(MemoryError::Name { .. }) => Ok(()),
        other => Err(format!("an item above all namespaces was not refused: {other:?}")),
    }
}

/// Update, replace, delete.
async fn changes(store: &dyn LongStore, ada: &Namespace, ctx: &CallCtx) -> Result<(), String> {
    let item = |key: &str, value| NewItem::new(ada.clone(), key, value);
    let before = said("get", store.get(ada, "home", ctx).await)?.ok_or("the item is gone")?;
    let old = said("update", store.update(item("home", json!("lives in Rome")), ctx).await)?;
    expect("what an update replaced", old.map(|old| old.value), Some(before.value))?;
    let after = said("get", store.get(ada, "home", ctx).await)?.ok_or("the item is gone")?;
    expect("what it is after it", (after.value, after.created_ms), (json!("lives in Rome"), before.created_ms))?;
    expect("an update of none", said("update", store.update(item("none", json!(1)), ctx).await)?, None)?;
    expect("nothing was written by it", said("get", store.get(ada, "none", ctx).await)?, None)?;
    expect("delete", said("delete", store.delete(ada, "home", ctx).await)?, true)?;
    expect("delete of none", said("delete", store.delete(ada, "home", ctx).await)?, false)?;
    expect("what was deleted", said("get", store.get(ada, "home", ctx).await)?, None)
}
