//! How tokens are drawn, how much is thought, and which shape the answer has.

use atomr_agents_core::{OutputSchema, Sampling, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Settings, unsupported};
use serde_json::{Map, json};

use super::schema;
use crate::config::PROVIDER;
use crate::generation::Generation;

/// The `generationConfig`.
pub(super) fn settings(
    sampling: &Sampling,
    output: Option<&OutputSchema>,
    generation: Generation,
    include_thoughts: bool,
) -> Result<Map<String, Value>, InferenceError> {
    let mut settings = Settings::new();
    let mut set = |name: &str, value: Option<Value>| settings.set(name, value);
    set("temperature", sampling.temperature.map(Value::from));
    set("topP", sampling.top_p.map(Value::from));
    set("maxOutputTokens", sampling.max_tokens.map(Value::from));
    set("stopSequences", (!sampling.stop.is_empty()).then(|| json!(sampling.stop)));
    set("seed", sampling.seed.map(Value::from));
    set("thinkingConfig", thinking(sampling, generation, include_thoughts)?);
    if let Some(output) = output {
        set("responseMimeType", Some("application/json".into()));
        set("responseJsonSchema", Some(schema(&output.schema)));
    }
    Ok(settings.into_fields())
}

/// A level and a budget together are refused: the one that the model's generation was made for counts.
fn thinking(
    sampling: &Sampling,
    generation: Generation,
    include_thoughts: bool,
) -> Result<Option<Value>, InferenceError> {
    let effort = sampling.reasoning_effort.as_deref().map(str::to_ascii_lowercase);
    let mut config = Map::new();
    let thinks = match (effort.as_deref(), sampling.thinking_budget) {
        (None, None) => return Ok(None),
        (Some(effort), _) if generation.is_third() => {
            config.insert("thinkingLevel".into(), level(effort, generation).into());
            effort != "none"
        }
        (_, Some(budget)) => {
            config.insert("thinkingBudget".into(), budget.into());
            budget > 0
        }
        (Some(effort), None) => {
            let budget = budget(effort)?;
            config.insert("thinkingBudget".into(), budget.into());
            budget > 0
        }
    };
    if thinks && include_thoughts {
        config.insert("includeThoughts".into(), true.into());
    }
    Ok(Some(Value::Object(config)))
}

/// The provider's own words, and those of others that have no level here.
fn level(effort: &str, generation: Generation) -> &str {
    match effort {
        "none" => generation.lowest_level(),
        "xhigh" | "max" => "high",
        other => other,
    }
}

/// What the provider itself takes these words for where a model counts tokens.
fn budget(effort: &str) -> Result<u32, InferenceError> {
    match effort {
        "none" => Ok(0),
        "minimal" | "low" => Ok(1024),
        "medium" => Ok(8192),
        "high" | "xhigh" | "max" => Ok(24_576),
        other => Err(unsupported(
            PROVIDER,
            format!(
                "this model knows no reasoning effort {other:?}; say none, minimal, low, medium or high, or a thinking \
                 budget"
            ),
        )),
    }
}
