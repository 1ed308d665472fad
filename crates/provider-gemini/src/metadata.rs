//! What stands beside a whole candidate: where its words come from.

use atomr_agents_core::{Citation, ModelEvent, Value};
use serde_json::json;

use crate::config::PROVIDER;

/// The events that a candidate's metadata of this name give.
pub(crate) fn events(name: &'static str, data: Value, out: &mut Vec<ModelEvent>) {
    match name {
        "citationMetadata" => {
            let sources = data["citationSources"].as_array().or_else(|| data["citations"].as_array());
            out.extend(sources.into_iter().flatten().map(|source| ModelEvent::Citation(plain(source))));
        }
        "groundingMetadata" => {
            out.extend(grounded(&data).map(ModelEvent::Citation));
            out.push(ModelEvent::ServerTool { name: name.to_owned(), data });
        }
        _ => out.push(ModelEvent::ServerTool { name: name.to_owned(), data }),
    }
}

fn plain(source: &Value) -> Citation {
    Citation {
        provider: PROVIDER.into(),
        title: text(&source["title"]),
        url: text(&source["uri"]),
        quote: None,
        data: source.clone(),
    }
}

/// One citation per source, with the places of the answer that it supports.
fn grounded(data: &Value) -> impl Iterator<Item = Citation> {
    let chunks = data["groundingChunks"].as_array().into_iter().flatten();
    chunks.enumerate().map(|(at, chunk)| {
        let supports = data["groundingSupports"].as_array().into_iter().flatten();
        let segments: Vec<&Value> = supports
            .filter(|support| {
                let indices = support["groundingChunkIndices"].as_array();
                indices.is_some_and(|indices| indices.iter().any(|index| index.as_u64() == Some(at as u64)))
            })
            .map(|support| &support["segment"])
            .collect();
        let source = ["web", "retrievedContext", "maps"].iter().find_map(|kind| chunk.get(kind)).unwrap_or(chunk);
        Citation {
            provider: PROVIDER.into(),
            title: text(&source["title"]),
            url: text(&source["uri"]),
            quote: text(&source["text"]),
            data: json!({"chunk": chunk, "segments": segments}),
        }
    })
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_source_is_a_citation_with_what_it_supports() {
        let data = json!({
            "groundingChunks": [{"web": {"uri": "u", "title": "t"}}, {"retrievedContext": {"text": "words"}}, {}],
            "groundingSupports": [{"segment": {"endIndex": 3}, "groundingChunkIndices": [0, 1]}, {"segment": {}}],
        });
        let mut out = Vec::new();
        events("groundingMetadata", data.clone(), &mut out);
        let citation = |title: Option<&str>, url: Option<&str>, quote: Option<&str>, at: usize, segments: Value| {
            ModelEvent::Citation(Citation {
                provider: "gemini".into(),
                title: title.map(str::to_owned),
                url: url.map(str::to_owned),
                quote: quote.map(str::to_owned),
                data: json!({"chunk": data["groundingChunks"][at], "segments": segments}),
            })
        };
        let segment = json!([{"endIndex": 3}]);
        assert_eq!(
            out,
            [
                citation(Some("t"), Some("u"), None, 0, segment.clone()),
                citation(None, None, Some("words"), 1, segment),
                citation(None, None, None, 2, json!([])),
                ModelEvent::ServerTool { name: "groundingMetadata".into(), data: data.clone() },
            ]
        );
    }

    #[test]
    fn recited_sources_are_citations() {
        let mut out = Vec::new();
        let source = json!({"startIndex": 1, "uri": "u", "license": "mit"});
        events("citationMetadata", json!({"citationSources": [source]}), &mut out);
        let [ModelEvent::Citation(citation)] = &out[..] else { panic!("{out:?}") };
        assert_eq!((citation.url.as_deref(), &citation.data), (Some("u"), &source));
    }
}
