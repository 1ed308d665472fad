//! The table of `docs/portable-transcripts.md`, made of what was sent.

use std::path::Path;

use atomr_agents::core::{Message, Part, Value};

use crate::checks::texts;
use crate::fixtures::{hint, writes};
use crate::format;
use crate::scenes::{PIXEL, Scene, scenes};
use crate::speakers::{Speaker, speakers};

const BEGIN: &str = "<!-- the matrix: written by the test `portable` -->\n";
const END: &str = "<!-- end of the matrix -->";

/// One cell.
pub(crate) struct Entry {
    scene: &'static str,
    from: &'static str,
    to: &'static str,
    became: String,
}

impl Entry {
    /// What became of the conversation on its way.
    pub(crate) fn of(scene: &Scene, from: &Speaker, to: &Speaker, transcript: &[Message], body: &Value) -> Self {
        let parts = || transcript.iter().flat_map(|message| &message.parts);
        let became = match scene.name {
            "thinking" => thoughts(transcript, body),
            "parallel-tools" | "structured-output" => {
                let turns = format::calls(to.format, body);
                let calls: usize = turns.iter().map(|(calls, _)| calls.len()).sum();
                let results: usize = turns.iter().map(|(_, results)| results.len()).sum();
                let number = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
                format!("{}, {}", number(calls, "call"), number(results, "result"))
            }
            "image-results" => {
                let path = path_to(body, PIXEL).unwrap();
                let inside = ["functionResponse", "output"].iter().any(|key| path.contains(&(*key).to_owned()))
                    || path.iter().filter(|key| *key == "content").count() > 1;
                if inside { "in the result" } else { "after the result" }.to_owned()
            }
            "refusals" => {
                let said = parts().find_map(|part| match part {
                    Part::Refusal { text } => Some(text.as_str()),
                    _ => None,
                });
                let text = said.map_or_else(|| transcript.last().unwrap().text(), str::to_owned);
                let path = path_to(body, &text).unwrap();
                if path.contains(&"refusal".to_owned()) { "as a refusal" } else { "as text" }.to_owned()
            }
            _ => {
                let kept = parts().any(|part| match part {
                    Part::ServerTool { data, .. } => {
                        texts(data).iter().any(|word| word.len() > 24 && texts(body).iter().any(|text| text == word))
                    }
                    _ => false,
                });
                if kept { "whole" } else { "the text only" }.to_owned()
            }
        };
        Self { scene: scene.name, from: from.provider, to: to.provider, became }
    }

    /// The name of its fixture.
    pub(crate) fn fixture(&self) -> String {
        format!("{}/{}-to-{}", self.scene, self.from, self.to)
    }
}

fn thoughts(transcript: &[Message], body: &Value) -> String {
    let sent = texts(body);
    let thoughts = transcript.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::Thinking { text, .. } => Some(text.trim()),
        _ => None,
    });
    let thoughts: Vec<&str> = thoughts.filter(|text| !text.is_empty()).collect();
    assert!(!thoughts.is_empty(), "nobody thought");
    let whole = thoughts.iter().all(|thought| {
        // A provider may tell a thought in pieces.
        let start: String = thought.chars().take(20).collect();
        sent.iter().any(|text| text.contains(&start))
    });
    let proven = transcript.iter().flat_map(|message| message.tool_calls()).any(|call| {
        let proof = call.private.as_ref().and_then(|private| private.data["thoughtSignature"].as_str());
        proof.is_some_and(|proof| sent.contains(&proof))
    });
    match (whole, proven) {
        (true, _) => "thought and proof",
        (false, true) => "proof",
        (false, false) => "left out",
    }
    .to_owned()
}

/// The names of the fields that lead to the first text that holds `word`.
fn path_to(value: &Value, word: &str) -> Option<Vec<String>> {
    match value {
        Value::String(text) => text.contains(word).then(Vec::new),
        Value::Array(items) => items.iter().find_map(|item| path_to(item, word)),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let mut path = path_to(value, word)?;
            path.insert(0, name.clone());
            Some(path)
        }),
        _ => None,
    }
}

fn markdown(entries: &[Entry]) -> String {
    let names: Vec<&str> = scenes().iter().map(|scene| scene.name).collect();
    let mut text = format!("| from | to | {} |\n", names.join(" | ").replace('-', " "));
    text += &format!("|---|---|{}\n", "---|".repeat(names.len()));
    for from in speakers() {
        for to in speakers() {
            let cell = |name: &&str| {
                let of = |entry: &&Entry| (entry.scene, entry.from, entry.to) == (*name, from.provider, to.provider);
                entries.iter().find(of).map_or("—", |entry| entry.became.as_str())
            };
            let cells: Vec<&str> = names.iter().map(cell).collect();
            let to = if from.provider == to.provider { "itself" } else { to.provider };
            text += &format!("| {} | {to} | {} |\n", from.provider, cells.join(" | "));
        }
    }
    text
}

/// Compares the table with the published one, or publishes it.
pub(crate) fn compare(entries: &[Entry]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/portable-transcripts.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (kept, tail) = rest.split_once(END).expect("the table has an end");
    let made = markdown(entries);
    if writes() {
        std::fs::write(path, format!("{head}{BEGIN}\n{made}\n{END}{tail}")).unwrap();
    } else {
        assert_eq!(kept.trim(), made.trim(), "the published table is not what was sent; {}", hint());
    }
}
