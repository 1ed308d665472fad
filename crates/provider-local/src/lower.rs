//! A request in the words of a runner.

use atomr_agents_core::{Media, MediaKind, MediaSource, Message, ModelRequest, Part, Role};
use atomr_agents_inference::InferenceError;
use atomr_agents_tokens::{EstimatingCounter, TokenCounter};
use atomr_infer_core::batch::ContentPart;
use atomr_infer_core::{ExecuteBatch, Message as InferMessage, MessageContent, Role as InferRole, SamplingParams};

/// What is set aside for an answer without a limit of its own.
const USUAL_OUTPUT: u64 = 1_024;

pub(crate) fn lower(
    provider: &str,
    request_id: String,
    request: &ModelRequest,
) -> Result<ExecuteBatch, InferenceError> {
    let unsupported = |message: &str| InferenceError::Unsupported {
        provider: provider.to_owned(),
        message: format!("its interface has no place for {message}"),
    };
    if !request.tools.is_empty() {
        return Err(unsupported("tools"));
    }
    if request.output.is_some() {
        return Err(unsupported("the shape of an answer"));
    }
    if let Some(field) = request.extra_body.keys().next() {
        return Err(unsupported(&format!("the field {field} of the extra body")));
    }
    let messages = request.messages.iter().filter_map(|message| self::message(message, &unsupported).transpose());
    let messages = messages.collect::<Result<_, _>>()?;
    let output = request.sampling.max_tokens.map_or(USUAL_OUTPUT, u64::from);
    let estimate = EstimatingCounter.count_request(request).saturating_add(output);
    Ok(ExecuteBatch {
        request_id,
        model: request.model.clone(),
        messages,
        sampling: sampling(request, &unsupported)?,
        stream: true,
        estimated_tokens: u32::try_from(estimate).unwrap_or(u32::MAX),
    })
}

fn sampling(
    request: &ModelRequest,
    unsupported: &dyn Fn(&str) -> InferenceError,
) -> Result<SamplingParams, InferenceError> {
    let asked = &request.sampling;
    if asked.reasoning_effort.is_some() || asked.thinking_budget.is_some_and(|budget| budget > 0) {
        return Err(unsupported("settings of thinking"));
    }
    let seed = asked.seed.map(u64::try_from).transpose().map_err(|_| unsupported("a negative seed"))?;
    #[allow(clippy::cast_possible_truncation)] // a runner's numbers are f32
    let narrow = |value: Option<f64>| value.map(|value| value as f32);
    Ok(SamplingParams {
        temperature: narrow(asked.temperature),
        top_p: narrow(asked.top_p),
        max_tokens: asked.max_tokens,
        stop: asked.stop.clone(),
        seed,
        ..SamplingParams::default()
    })
}

/// The message, if anything of it can be said: thoughts, tool calls and what only one provider understands are left out.
fn message(
    message: &Message,
    unsupported: &dyn Fn(&str) -> InferenceError,
) -> Result<Option<InferMessage>, InferenceError> {
    let role = match message.role {
        Role::System => InferRole::System,
        Role::User => InferRole::User,
        Role::Assistant => InferRole::Assistant,
        Role::Tool => InferRole::Tool,
    };
    let mut parts = Vec::new();
    said(&message.parts, &mut parts, unsupported)?;
    if parts.is_empty() {
        return Ok(None);
    }
    let texts = parts.iter().map(|part| match part {
        ContentPart::Text { text } => Some(text.as_str()),
        _ => None,
    });
    let content = match texts.collect::<Option<String>>() {
        Some(text) => MessageContent::Text(text),
        None => MessageContent::Parts(parts),
    };
    Ok(Some(InferMessage { role, content }))
}

fn said(
    parts: &[Part],
    out: &mut Vec<ContentPart>,
    unsupported: &dyn Fn(&str) -> InferenceError,
) -> Result<(), InferenceError> {
    for part in parts {
        match part {
            Part::Text { text } | Part::Refusal { text } => out.push(ContentPart::Text { text: text.clone() }),
            Part::Media(Media { kind: MediaKind::Image, source, media_type }) => out.push(match source {
                MediaSource::Base64(data) => ContentPart::ImageBase64 { mime: media_type.clone(), data: data.clone() },
                MediaSource::Url(url) => ContentPart::ImageUrl { url: url.clone() },
                MediaSource::FileId(_) => return Err(unsupported("files of a provider")),
            }),
            Part::Media(_) => return Err(unsupported("sound, video and documents")),
            Part::ToolResult { parts, .. } => said(parts, out, unsupported)?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use atomr_agents_core::{Sampling, ToolCall, ToolSpec, Value};

    fn lowered(request: &ModelRequest) -> Result<ExecuteBatch, InferenceError> {
        lower("local", "r1".into(), request)
    }

    #[test]
    fn text_images_and_sampling_are_said_and_what_is_nobodys_business_is_left_out() {
        let image = |source| Part::Media(Media { kind: MediaKind::Image, source, media_type: "image/png".into() });
        let assistant = vec![Part::thinking("hm"), Part::ToolCall(ToolCall::new("c", "add", "{}"))];
        let mut request = ModelRequest::new(
            "m",
            vec![
                Message::system("Be brief."),
                Message { role: Role::User, parts: vec![Part::text("a"), image(MediaSource::Base64("AA==".into()))] },
                Message { role: Role::Assistant, parts: assistant },
                Message::tool_result("c", "42", false),
            ],
        );
        request.sampling = Sampling {
            temperature: Some(0.5),
            max_tokens: Some(7),
            stop: vec!["END".into()],
            seed: Some(3),
            ..Sampling::default()
        };
        let batch = lowered(&request).unwrap();
        let json = serde_json::to_value(&batch.messages).unwrap();
        let wanted = r#"[{"role":"system","content":"Be brief."},
            {"role":"user","content":[{"type":"text","text":"a"},
                {"type":"image_base64","mime":"image/png","data":"AA=="}]},
            {"role":"tool","content":"42"}]"#;
        assert_eq!(json, serde_json::from_str::<Value>(wanted).unwrap());
        assert_eq!((batch.sampling.temperature, batch.sampling.max_tokens), (Some(0.5), Some(7)));
        assert_eq!((batch.sampling.stop, batch.sampling.seed, batch.stream), (vec!["END".to_owned()], Some(3), true));
        assert!(batch.estimated_tokens > 5_000, "the image counts: {}", batch.estimated_tokens);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let refused = |change: &dyn Fn(&mut ModelRequest), word: &str| {
            let mut request = ModelRequest::new("m", vec![Message::user("hi")]);
            change(&mut request);
            let error = lowered(&request).unwrap_err();
            assert!(matches!(error, InferenceError::Unsupported { .. }) && error.to_string().contains(word), "{error}");
        };
        let tool = ToolSpec { name: "t".into(), description: String::new(), parameters: Value::Null, strict: false };
        refused(&|r| r.tools = vec![Arc::new(tool.clone())], "tools");
        refused(&|r| _ = r.extra_body.insert("top_k".into(), Value::from(1)), "top_k");
        refused(&|r| r.sampling.seed = Some(-1), "seed");
        refused(&|r| r.sampling.reasoning_effort = Some("low".into()), "thinking");
        let media = |kind, source| Part::Media(Media { kind, source, media_type: String::new() });
        let sound = media(MediaKind::Audio, MediaSource::Url("u".into()));
        refused(&|r| r.messages[0].parts.push(sound.clone()), "sound");
        let file = media(MediaKind::Image, MediaSource::FileId("f".into()));
        refused(&|r| r.messages[0].parts.push(file.clone()), "files");
    }
}
