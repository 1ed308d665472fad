//! Pages of the web.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use atomr_agents_http::{FetchError, Fetcher, HttpPolicy, Page};
use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::source::document;
use super::{Decoding, html_text};
use crate::IngestError;
use crate::loader::{Documents, Loader};

/// How many pages are fetched at once.
const AT_ONCE: usize = 4;

/// Loads pages of the web within a policy: whatever they are called and point to, nothing of this machine and its networks.
/// A page is called as its URL; HTML becomes text as with [`Html`](super::Html). The metadata has `url`, where the page was
/// at last, and its `title`.
#[derive(Clone, Debug)]
pub struct Web {
    urls: Vec<String>,
    fetcher: Arc<Fetcher>,
}

impl Web {
    /// Pages, fetched within this policy.
    pub fn new<U: Into<String>>(urls: impl IntoIterator<Item = U>, policy: HttpPolicy) -> Self {
        Self { urls: urls.into_iter().map(Into::into).collect(), fetcher: Arc::new(Fetcher::new(policy)) }
    }
}

/// The encoding that a page says it has: in its head, or in the first kilobyte of HTML.
fn charset(page: &Page, html: bool) -> Option<String> {
    let named = |text: &str| {
        let at = text.to_ascii_lowercase().find("charset=")? + "charset=".len();
        let rest = text.get(at..)?.trim_start_matches(['"', '\'', ' ']);
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"-_:.".contains(letter));
        rest.get(..end.unwrap_or(rest.len())).filter(|name| !name.is_empty()).map(str::to_owned)
    };
    named(&page.content_type).or_else(|| {
        let head = page.body.get(..page.body.len().min(1_024)).filter(|_| html)?;
        named(&String::from_utf8_lossy(head))
    })
}

fn loaded(id: &str, page: &Page) -> Result<Document, IngestError> {
    let kind = page.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let html = matches!(kind.as_str(), "text/html" | "application/xhtml+xml" | "");
    let text = html || kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml");
    if !text {
        return Err(IngestError::invalid(id, format!("it is {kind}, and no text")));
    }
    let decoding = Decoding::named(charset(page, html).as_deref().unwrap_or("detect"));
    let decoding = decoding.map_err(|error| IngestError::invalid(id, error.to_string()))?;
    let body = decoding.decode(id, &page.body)?;
    let (text, title) = if html { html_text(&body) } else { (body, String::new()) };
    let made = document(id, text, id).with("url", Value::from(page.url.as_str()));
    Ok(if title.is_empty() { made } else { made.with("title", title.into()) })
}

impl Loader for Web {
    fn load(&self, ctx: &CallCtx) -> Documents {
        let (fetcher, ctx) = (Arc::clone(&self.fetcher), ctx.clone());
        let pages = stream::iter(self.urls.clone()).map(move |url| {
            let (fetcher, ctx) = (Arc::clone(&fetcher), ctx.clone());
            async move {
                match fetcher.fetch(&url, &ctx).await {
                    Ok(page) => loaded(&url, &page),
                    Err(FetchError::Cancelled) => Err(IngestError::Cancelled),
                    Err(source) => Err(IngestError::Fetch { id: url, source }),
                }
            }
        });
        pages.buffered(AT_ONCE).boxed()
    }
}
