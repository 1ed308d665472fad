//! Tiny models through a real ONNX Runtime: that of `ORT_DYLIB_PATH`, or the one of the checkout's `.venv`.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_embed::{EmbedError, Embedder, conformance};
use atomr_agents_embed_onnx::{OnnxConfig, OnnxEmbedder, OnnxError, Pooling};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

/// The library; `None`, and said so, where none is installed. Whoever checks every commit has one.
fn runtime() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("ORT_DYLIB_PATH") {
        return Some(named.into());
    }
    let lib = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect()
    };
    let found =
        inside(&lib).iter().flat_map(|python| inside(&python.join("site-packages/onnxruntime/capi"))).find(|path| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
                name.starts_with("libonnxruntime.so")
                    || (name.starts_with("libonnxruntime.") && name.ends_with(".dylib"))
            })
        });
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "no ONNX Runtime in .venv: `make test` installs one");
    if found.is_none() {
        eprintln!("skipped: no ONNX Runtime; set ORT_DYLIB_PATH, or install requirements-dev.txt into .venv");
    }
    found
}

fn config(model: &str) -> Option<OnnxConfig> {
    let mut config = OnnxConfig::new(format!("{DATA}/{model}"), format!("{DATA}/tokenizer.json"));
    config.usual_runtime = Some(runtime()?);
    Some(config)
}

fn loaded(change: impl FnOnce(&mut OnnxConfig)) -> Option<OnnxEmbedder> {
    let mut config = config("tiny.onnx")?;
    change(&mut config);
    Some(OnnxEmbedder::load(config).unwrap())
}

fn refused(model: &str, change: impl FnOnce(&mut OnnxConfig)) -> Option<OnnxError> {
    let mut config = config(model)?;
    change(&mut config);
    Some(OnnxEmbedder::load(config).unwrap_err())
}

fn near(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
}

#[tokio::test]
async fn it_keeps_the_rules() {
    let Some(embedder) = loaded(|_| {}) else { return };
    conformance::check_embedder(&embedder).await.unwrap();
    assert_eq!(embedder.dim(), Some(8));
}

#[tokio::test]
async fn vectors_are_those_of_another_implementation() {
    let text = std::fs::read(format!("{DATA}/expected.json")).unwrap();
    let expected: BTreeMap<String, BTreeMap<String, Vec<f32>>> = serde_json::from_slice(&text).unwrap();
    let texts: Vec<&str> = expected.keys().map(String::as_str).collect();
    let Some(mean) = loaded(|_| {}) else { return };
    let Some(cls) = loaded(|config| (config.pooling, config.normalize) = (Some(Pooling::Cls), false)) else { return };
    for (embedder, column) in [(mean, "mean"), (cls, "cls")] {
        // Of different lengths: what fills the short ones up must count for nothing.
        let made = embedder.embed(&texts, &CallCtx::new()).await.unwrap();
        for (at, text) in texts.iter().enumerate() {
            assert!(near(made.row(at).unwrap(), &expected[*text][column]), "{column} of {text}");
        }
    }
}

#[tokio::test]
async fn small_batches_change_nothing() {
    let (Some(whole), Some(small)) = (loaded(|_| {}), loaded(|config| config.batch_tokens = 1)) else { return };
    let texts = ["rain", "the wind in bergen and the sun", "", "snow in rome", "rain rain rain rain"];
    let ctx = CallCtx::new();
    let made = [whole.embed(&texts, &ctx).await.unwrap(), small.embed(&texts, &ctx).await.unwrap()];
    assert!(near(made[0].values(), made[1].values()));
}

#[tokio::test]
async fn a_text_that_is_too_long_is_read_from_its_beginning() {
    let Some(embedder) = loaded(|config| config.max_tokens = Some(5)) else { return };
    let made = embedder.embed(&["rain in oslo", "rain in oslo and the sun", "rain"], &CallCtx::new()).await.unwrap();
    assert!(near(made.row(0).unwrap(), made.row(1).unwrap()) && !near(made.row(0).unwrap(), made.row(2).unwrap()));
    // The model has 16 positions; the tokenizer says no limit, and what the runtime refuses is an error of its own.
    let Some(embedder) = loaded(|_| {}) else { return };
    let error = embedder.embed(&["rain ".repeat(40).as_str()], &CallCtx::new()).await.unwrap_err();
    assert!(error.kind() == Kind::Internal && error.to_string().contains("ONNX Runtime failed"), "{error}");
    assert!(embedder.embed(&["rain"], &CallCtx::new()).await.is_ok());
}

#[tokio::test]
async fn a_model_that_pools_by_itself_is_taken_as_it_is() {
    let Some(config) = config("pooled.onnx") else { return };
    let embedder = OnnxEmbedder::load(config).unwrap();
    assert_eq!(embedder.embed(&["rain", "sun"], &CallCtx::new()).await.unwrap().dim(), 8);
}

#[tokio::test]
async fn a_call_that_is_given_up_ends_and_the_next_one_goes_on() {
    let Some(embedder) = loaded(|_| {}) else { return };
    let texts = vec!["rain in oslo"; 2_000];
    let ctx = CallCtx::new();
    ctx.cancel.cancel();
    assert_eq!(embedder.embed(&texts, &ctx).await.unwrap_err().kind(), Kind::Cancelled);
    let late = CallCtx::new().with_timeout(Duration::ZERO);
    assert_eq!(embedder.embed(&texts, &late).await.unwrap_err().kind(), Kind::Timeout);
    let calls = (0..8).map(|_| {
        let embedder = embedder.clone();
        async move { embedder.embed(&["rain", "the sun"], &CallCtx::new()).await.unwrap() }
    });
    let made = futures_util::future::join_all(calls).await;
    assert!(made.iter().all(|vectors| vectors == &made[0]));
}

#[test]
fn the_name_says_everything_that_changes_a_vector() {
    let Some(plain) = loaded(|_| {}) else { return };
    let Some(again) = loaded(|config| config.batch_tokens = 64) else { return };
    assert!(plain.model() == again.model() && plain.model().starts_with("onnx:"), "{}", plain.model());
    for change in [
        (|config| config.normalize = false) as fn(&mut OnnxConfig),
        |config| config.pooling = Some(Pooling::Cls),
        |config| config.max_tokens = Some(7),
    ] {
        assert_ne!(loaded(change).unwrap().model(), plain.model());
    }
    assert_eq!(loaded(|config| config.name = Some("mine".into())).unwrap().model(), "mine");
}

#[test]
fn what_does_not_fit_is_told() {
    let Some(error) = refused("image.onnx", |_| {}) else { return };
    assert!(matches!(&error, OnnxError::Input { input, .. } if input == "pixel_values"), "{error}");
    let error = refused("logits.onnx", |_| {}).unwrap();
    assert!(matches!(&error, OnnxError::Output { found, .. } if found.starts_with("logits is ")), "{error}");
    assert_eq!(error.kind(), Kind::UnsupportedFormat);
    let error = refused("tokenizer.json", |_| {}).unwrap();
    assert!(matches!(error, OnnxError::Format { .. }), "{error}");
    let error = refused("nowhere.onnx", |_| {}).unwrap();
    assert_eq!(error.kind(), Kind::NotFound, "{error}");
    let error = refused("tiny.onnx", |config| config.tokenizer = config.model.clone()).unwrap();
    assert!(matches!(&error, OnnxError::Format { problem, .. } if problem.contains("tokenizer")), "{error}");
    let error = refused("tiny.onnx", |config| config.dimensions = Some(384)).unwrap();
    assert!(matches!(error, OnnxError::Dimension { expected: 384, found: 8, .. }), "{error}");
    let error = refused("tiny.onnx", |config| config.max_tokens = Some(2)).unwrap();
    assert!(matches!(error, OnnxError::Invalid { option: "max_tokens", .. }), "{error}");
    let error = refused("tiny.onnx", |config| config.threads = Some(0)).unwrap();
    assert_eq!(error.to_string(), "threads must be at least 1");
    loaded(|_| {}).unwrap();
    let error = refused("tiny.onnx", |config| config.runtime = Some("other.so".into())).unwrap();
    assert!(matches!(error, OnnxError::OtherRuntime { .. }), "{error}");
    let error = EmbedError::from(error);
    assert!(error.kind() == Kind::Config && error.to_string().contains("other.so"), "{error}");
}

#[test]
fn a_folder_says_how_it_wants_to_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    assert_eq!(OnnxConfig::of_folder(folder.path()).unwrap_err().kind(), Kind::NotFound);
    write("onnx/model.onnx", "");
    let plain = OnnxConfig::of_folder(folder.path()).unwrap();
    assert_eq!((plain.pooling, plain.normalize, plain.max_tokens), (None, true, None));
    assert!(plain.model.ends_with("onnx/model.onnx"));
    write("sentence_bert_config.json", r#"{"max_seq_length": 77}"#);
    write("1_Pooling/config.json", r#"{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#);
    write("modules.json", r#"[{"type": "sentence_transformers.models.Transformer"}]"#);
    let told = OnnxConfig::of_folder(folder.path()).unwrap();
    assert_eq!((told.pooling, told.normalize, told.max_tokens), (Some(Pooling::Cls), false, Some(77)));
    write("1_Pooling/config.json", r#"{"pooling_mode_max_tokens": true}"#);
    assert!(matches!(OnnxConfig::of_folder(folder.path()).unwrap_err(), OnnxError::Format { .. }));
    write("1_Pooling/config.json", "{");
    assert!(OnnxConfig::of_folder(folder.path()).unwrap_err().to_string().contains("is no JSON"));
}

#[test]
fn errors_keep_their_sources() {
    let error = OnnxConfig::of_folder("nowhere").unwrap_err();
    let EmbedError::Failed { source: Some(source), .. } = EmbedError::from(error) else { panic!() };
    let source: Arc<dyn std::error::Error + Send + Sync> = source;
    assert!(source.downcast_ref::<OnnxError>().is_some());
}
