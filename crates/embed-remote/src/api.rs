//! How each server is asked and how its answer is read.

use atomr_agents_embed::Vectors;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

/// Whose words are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Api {
    /// `POST /embeddings` of OpenAI and of the many servers that speak like it.
    OpenAi,
    /// `POST …:batchEmbedContents` of Gemini.
    Gemini,
    /// `POST /api/embed` of Ollama.
    Ollama,
}

/// A vector as numbers, or as the bytes of numbers of 32 bits.
#[derive(Deserialize)]
#[serde(untagged)]
enum Numbers {
    Plain(Vec<f32>),
    Base64(String),
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    data: Vec<OpenAiVector>,
}

#[derive(Deserialize)]
struct OpenAiVector {
    index: Option<usize>,
    embedding: Numbers,
}

#[derive(Deserialize)]
struct GeminiAnswer {
    #[serde(default)]
    embeddings: Vec<GeminiVector>,
}

#[derive(Deserialize)]
struct GeminiVector {
    #[serde(default)]
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct OllamaAnswer {
    embeddings: Vec<Vec<f32>>,
}

impl Api {
    /// The most texts of one request.
    pub(crate) fn most_texts(self) -> usize {
        match self {
            Self::OpenAi => 2048,
            Self::Gemini => 100,
            Self::Ollama => 256,
        }
    }

    /// Where the request goes, below a base URL of this path.
    pub(crate) fn path(self, base: &str, model: &str) -> String {
        let version =
            |part: &str| part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        match self {
            Self::OpenAi => "/embeddings".to_owned(),
            Self::Gemini => {
                let prefix = if base.split('/').any(version) { "" } else { "/v1beta" };
                format!("{prefix}/{}:batchEmbedContents", gemini_name(model))
            }
            Self::Ollama => "/api/embed".to_owned(),
        }
    }

    pub(crate) fn body(self, model: &str, dimensions: Option<usize>, texts: &[&str]) -> Value {
        let mut body = match self {
            // As bytes an answer is a third as long, and every bit is the server's.
            Self::OpenAi => json!({"model": model, "input": texts, "encoding_format": "base64"}),
            Self::Gemini => {
                let name = gemini_name(model);
                let request = |text: &&str| {
                    let mut request = json!({"model": name, "content": {"parts": [{"text": text}]}});
                    if let Some(dimensions) = dimensions {
                        request["outputDimensionality"] = dimensions.into();
                    }
                    request
                };
                json!({"requests": texts.iter().map(request).collect::<Vec<_>>()})
            }
            // A text that is cut without a word has a vector that is not its own.
            Self::Ollama => json!({"model": model, "input": texts, "truncate": false}),
        };
        if let (Self::OpenAi | Self::Ollama, Some(dimensions)) = (self, dimensions) {
            body["dimensions"] = dimensions.into();
        }
        body
    }

    /// The vectors of an answer, one for each text in their order; or what is wrong with it.
    pub(crate) fn read(self, body: &[u8], texts: usize) -> Result<Vectors, String> {
        let wrong = |error: serde_json::Error| format!("its answer is not what it should be: {error}");
        let rows: Vec<Vec<f32>> = match self {
            Self::OpenAi => ordered(serde_json::from_slice::<OpenAiAnswer>(body).map_err(wrong)?.data)?,
            Self::Gemini => {
                let answer: GeminiAnswer = serde_json::from_slice(body).map_err(wrong)?;
                answer.embeddings.into_iter().map(|vector| vector.values).collect()
            }
            Self::Ollama => serde_json::from_slice::<OllamaAnswer>(body).map_err(wrong)?.embeddings,
        };
        if rows.len() != texts {
            return Err(format!("it answered {} vectors for {texts} texts", rows.len()));
        }
        let dim = rows.first().map_or(1, Vec::len);
        if let Some((at, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != dim || row.is_empty()) {
            return Err(format!("vector {at} of its answer has {} numbers, the first has {dim}", row.len()));
        }
        Vectors::new(dim, rows.into_iter().flatten().collect()).map_err(|error| format!("of its answer, {error}"))
    }
}

/// Gemini's models lie in a folder.
fn gemini_name(model: &str) -> String {
    if model.contains('/') { model.to_owned() } else { format!("models/{model}") }
}

/// The vectors in the order of the texts, which is what their indexes say, if they say anything.
fn ordered(data: Vec<OpenAiVector>) -> Result<Vec<Vec<f32>>, String> {
    let count = data.len();
    let mut rows: Vec<Option<Vec<f32>>> = (0..count).map(|_| None).collect();
    for (at, vector) in data.into_iter().enumerate() {
        let index = vector.index.unwrap_or(at);
        let row = match vector.embedding {
            Numbers::Plain(numbers) => numbers,
            Numbers::Base64(text) => unpacked(&text)?,
        };
        match rows.get_mut(index) {
            Some(place @ None) => *place = Some(row),
            Some(Some(_)) => return Err(format!("it answered two vectors for text {index}")),
            None => return Err(format!("it answered {count} vectors, one of them for text {index}")),
        }
    }
    Ok(rows.into_iter().flatten().collect())
}

fn unpacked(text: &str) -> Result<Vec<f32>, String> {
    let bytes = STANDARD.decode(text).map_err(|error| format!("a vector of its answer is no base64: {error}"))?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(format!("a vector of its answer has {} bytes, which are no 32-bit numbers", bytes.len()));
    }
    Ok(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
}
