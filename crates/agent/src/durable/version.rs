//! What makes a stored run fit to be resumed by an agent that looks the same.

use std::collections::BTreeMap;

use atomr_agents_core::ToolSpec;
use serde::Serialize;

use crate::engine::Engine;

/// What makes up an agent, each part by name with a short hash: model, instructions and tools where they are the same for
/// every run, output. Written as JSON, so that what changed can be named.
pub(crate) fn of(engine: &Engine) -> String {
    let mut parts: BTreeMap<String, String> = BTreeMap::new();
    parts.insert("model".to_owned(), engine.model.clone());
    if let Some(text) = engine.instructions.fixed() {
        parts.insert("instructions".to_owned(), short(text.as_bytes()));
    }
    if let Some(output) = &engine.options.output {
        parts.insert("output".to_owned(), hash(&(&output.name, &output.schema)));
    }
    let fixed = engine.tools.all().map(|toolbox| toolbox.tools()).unwrap_or_default();
    for tool in fixed.iter().chain(&engine.handoff_tools) {
        let ToolSpec { name, description, parameters, .. } = &**tool.tool().spec();
        let version = &tool.tool().meta().version;
        parts.insert(format!("tool {name}"), format!("{version} {}", hash(&(description, parameters))));
    }
    serde_json::to_string(&parts).unwrap_or_default()
}

/// What is different between two versions; `None` if nothing is, or if one of them is not known.
pub(crate) fn difference(before: &str, now: &str) -> Option<String> {
    if before == now || before.is_empty() {
        return None;
    }
    let read = |text: &str| serde_json::from_str::<BTreeMap<String, String>>(text).ok();
    let (Some(before), Some(now)) = (read(before), read(now)) else {
        return Some("it says of itself what this version cannot read".to_owned());
    };
    let mut all = Vec::new();
    for (name, value) in &before {
        match now.get(name) {
            None => all.push(format!("{name} is gone")),
            Some(other) if other != value && name == "model" => all.push(format!("model was {value}, is {other}")),
            Some(other) if other != value => all.push(format!("{name} is another one")),
            Some(_) => {}
        }
    }
    all.extend(now.keys().filter(|name| !before.contains_key(*name)).map(|name| format!("{name} is new")));
    (!all.is_empty()).then(|| all.join(", "))
}

fn short(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..12].to_owned()
}

pub(crate) fn hash<T: Serialize>(value: &T) -> String {
    let mut hasher = blake3::Hasher::new();
    // What has no JSON has no place in a request either; it counts as nothing.
    let _ = serde_json::to_writer(&mut hasher, value);
    hasher.finalize().to_hex()[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_different_is_named() {
        let before = r#"{"instructions":"a","model":"m1","tool pay":"1.0.0 x","tool look":"0.0.0 y"}"#;
        let now = r#"{"instructions":"b","model":"m2","tool pay":"1.0.0 x","tool buy":"0.0.0 y"}"#;
        let told = difference(before, now).unwrap();
        assert_eq!(told, "instructions is another one, model was m1, is m2, tool look is gone, tool buy is new");
        assert_eq!(difference(now, now), None);
        assert_eq!(difference("", now), None);
    }
}
