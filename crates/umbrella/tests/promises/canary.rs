//! A key in every place where keys are, and in every place where they should not be; then everything that was written,
//! printed or kept is searched for it.

use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};

use atomr_agents::cache::{CachedClient, InMemoryLlmCache};
use atomr_agents::observability::{JsonlTracer, OutputOptions, RunTree, StdoutTracer, redact_event};
use atomr_agents::prelude::*;
use atomr_agents_http::{HeaderValue, SecretRef};
use atomr_agents_testkit::{Exchange, RecordingClient, ReplayServer, Reply, Script, Turn};
use serde_json::{Value, json};

/// In the form of a known service's keys, which is what tracers and cassettes know a secret by.
const CANARY: &str = "sk-proj-Canary0123456789abcdefABCDEF";

/// The canary as it is, and as base64 (at each of the three offsets), in hex and percent-encoded.
fn forms() -> Vec<String> {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = CANARY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut forms = vec![CANARY.to_owned(), "Canary0123456789".to_owned(), hex.to_uppercase(), hex, percent];
    for skip in 0..3 {
        let bytes = &CANARY.as_bytes()[skip..];
        forms.push(base64(&bytes[..bytes.len() / 3 * 3]));
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks_exact(3) {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        out.extend([18, 12, 6, 0].map(|shift| char::from(LETTERS[(bits >> shift) as usize & 63])));
    }
    out
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that was written, printed or kept, by the name of the place.
#[derive(Default)]
struct Found(Vec<(String, String)>);

impl Found {
    fn add(&mut self, place: &str, text: impl Into<String>) {
        self.0.push((place.to_owned(), text.into()));
    }

    /// The places where the canary is, in whatever form.
    fn places(&self) -> Vec<&str> {
        let forms = forms();
        let has = |text: &str| forms.iter().any(|form| text.contains(form.as_str()));
        self.0.iter().filter(|(_, text)| has(text)).map(|(place, _)| place.as_str()).collect()
    }
}

/// The keys: written down in the program, in a file and in the environment.
fn keys(folder: &Path) -> Vec<SecretRef> {
    let path = folder.join("key");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    io::Write::write_all(&mut file, CANARY.as_bytes()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // Tests may not set variables; whoever runs them may, with the canary's value.
    let mut keys = vec![SecretRef::literal(CANARY), SecretRef::File(path)];
    keys.extend(std::env::var_os("ATOMR_AGENTS_CANARY").map(|_| SecretRef::Env("ATOMR_AGENTS_CANARY".into())));
    keys
}

/// A server that quotes the key it was sent in what it refuses, then answers with a call that has one among its
/// arguments, and at last says one itself.
fn script() -> Script {
    let turns = [
        Turn::tool_calls([("login", json!({"api_key": CANARY, "user": "u"})), ("fail", json!({"note": CANARY}))]),
        Turn::text("I used ").after_text("it. "),
    ];
    let refused = Mutex::new(true);
    let format = atomr_agents_testkit::Format::OpenAiChat;
    Script::choose(move |request| {
        let key = request.header("authorization").unwrap_or_default().to_owned();
        if std::mem::take(&mut *refused.lock().unwrap()) {
            let body = json!({"error": {"message": format!("{key} is busy"), "type": "server_error", "got": [key]}});
            return Some(Exchange::json(500, &body).header("x-quoted", CANARY).into());
        }
        let turn = turns.get(request.assistant_turns())?;
        Some(Reply::new(format.stream(turn)))
    })
}

fn client(url: &str, key: &SecretRef, cache: &InMemoryLlmCache, tape: &Path) -> Arc<dyn InferenceClient> {
    let mut config = OpenAiConfig::new(url, Some(key.resolve().unwrap())).unwrap();
    config.connection.retry.base = std::time::Duration::from_millis(1);
    let mut header = HeaderValue::from_str(CANARY).unwrap();
    header.set_sensitive(true);
    config.connection.http.headers.insert("x-gateway-key", header);
    let client = Arc::new(OpenAiClient::new(config).unwrap());
    let cached = Arc::new(CachedClient::new(client, Arc::new(cache.clone())));
    Arc::new(RecordingClient::new(cached, tape).unwrap().hiding(CANARY))
}

fn agent(client: Arc<dyn InferenceClient>, bus: &EventBus) -> Agent {
    let login = FnTool::new("login", "", json!({"type": "object"}), |arguments: Value, _| async move {
        Ok(json!({"password": arguments["api_key"], "user": arguments["user"]}))
    });
    let fail = FnTool::new("fail", "", json!({"type": "object"}), |_, _| async {
        let source: Arc<dyn std::error::Error + Send + Sync> = Arc::new(io::Error::other(CANARY));
        Err(ToolError::Failed { message: format!("401 for {CANARY}"), source: Some(source) })
    });
    let tools = StaticTools::new([Arc::new(login) as Arc<dyn Tool>, Arc::new(fail)]).unwrap();
    let options = AgentOptions { buses: vec![bus.clone()], ..AgentOptions::default() };
    AgentBuilder::new(client, "gpt-4o").with_tools(tools).with_options(options).build().unwrap()
}

async fn scenario(key: &SecretRef, folder: &Path, found: &mut Found) {
    let (log, tape) = (folder.join("events.jsonl"), folder.join("tape.jsonl"));
    let (page, tree, bus, cache) = (Page::default(), RunTree::new(), EventBus::new(), InMemoryLlmCache::default());
    let server = ReplayServer::start(script()).await.unwrap();
    let client = client(&server.url(), key, &cache, &tape);
    let agent = agent(Arc::clone(&client), &bus);
    let mut events = bus.subscribe();
    let stdout = StdoutTracer::to(page.clone(), false, OutputOptions::default()).unwrap();
    let jsonl = JsonlTracer::open(&log).unwrap();
    let tracers = [
        bus.attach_tracer(Arc::new(tree.clone())).unwrap(),
        bus.attach_tracer(Arc::new(jsonl)).unwrap(),
        bus.attach_tracer(Arc::new(stdout)).unwrap(),
    ];
    let ctx = CallCtx::new();
    for turn in 0..5 {
        let result = agent.run(format!("turn {turn}"), ctx.clone()).await.unwrap();
        assert_eq!(result.iterations, 2);
    }
    // What the caller's own program holds is its own: the transcript has what was said, so it is not searched.
    for tracer in tracers {
        found.add("Debug of a tracer's handle", format!("{tracer:?}"));
        tracer.detach().await.unwrap();
    }
    let batch = events.try_recv_batch(10_000).unwrap();
    let retried = batch.events.iter().filter(|event| matches!(event.kind, EventKind::ModelRetried { .. }));
    assert_eq!(retried.clone().count(), 1, "the server has quoted the key once");
    for event in retried {
        found.add("the retry's reason, unmasked", format!("{event:?}"));
    }
    for event in &batch.events {
        found.add("an event, masked", format!("{:?}", redact_event(event)));
    }
    found.add("JsonlTracer", std::fs::read_to_string(&log).unwrap());
    found.add("StdoutTracer", String::from_utf8(page.0.lock().unwrap().clone()).unwrap());
    found.add("cassette", std::fs::read_to_string(&tape).unwrap());
    for run in tree.roots() {
        found.add("RunTree", format!("{run} {run:?} {}", serde_json::to_string(&run).unwrap()));
    }
    found.add("Debug", format!("{key:?} {agent:?} {tree:?} {bus:?} {cache:?} {ctx:?} {:?}", key.resolve()));
    found.add("serialised", serde_json::to_string(key).unwrap());
}

/// The refusal is the last word here, so it comes out as an error.
async fn refused(key: &SecretRef, found: &mut Found) {
    let quote = |request: &atomr_agents_testkit::Received| {
        let key = request.header("authorization").unwrap_or_default().to_owned();
        let body = json!({"error": {"message": format!("Incorrect API key provided: {key}"), "code": key}});
        Some(Exchange::json(401, &body).into())
    };
    let server = ReplayServer::start(Script::choose(quote)).await.unwrap();
    let config = OpenAiConfig::new(&server.url(), Some(key.resolve().unwrap())).unwrap();
    found.add("Debug of a client's settings", format!("{config:?}"));
    let client = OpenAiClient::new(config).unwrap();
    found.add("Debug of a client", format!("{client:?}"));
    let error = agent(Arc::new(client), &EventBus::new()).run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Authentication);
    found.add("error", format!("{error} {error:?}"));
    let mut source: Option<&dyn std::error::Error> = Some(&error);
    while let Some(cause) = source {
        found.add("a cause of the error", format!("{cause} {cause:?}"));
        source = cause.source();
    }
}

#[tokio::test]
async fn a_key_is_in_nothing_that_is_written_printed_or_kept() {
    let mut found = Found::default();
    let folder = tempfile::tempdir().unwrap();
    for (at, key) in keys(folder.path()).iter().enumerate() {
        let own = folder.path().join(format!("run-{at}"));
        std::fs::create_dir(&own).unwrap();
        scenario(key, &own, &mut found).await;
        refused(key, &mut found).await;
    }
    let size: usize = found.0.iter().map(|(_, text)| text.len()).sum();
    println!("{} artefacts, {size} bytes", found.0.len());
    assert!(found.0.len() > 100 && size > 20_000, "{} artefacts, {size} bytes", found.0.len());
    assert_eq!(found.places(), Vec::<&str>::new());
}

#[test]
fn the_search_finds_every_form() {
    for form in forms() {
        let mut found = Found::default();
        found.add("here", format!("a{form}b"));
        assert_eq!(found.places(), ["here"], "{form}");
    }
    assert_eq!(base64(b"sk-"), "c2st");
}
