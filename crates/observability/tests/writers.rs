//! The tracers that write: what they write, and what becomes of it when the target is slow, full or gone.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::fs;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomr_agents_core::{CallCtx, Event, EventKind, EventSink, Kind, RunId};
use atomr_agents_observability::{
    EventBus, FlushPolicy, JsonlTracer, OutputOptions, RunEvents, StdoutTracer, Tracer, TracerError, conformance,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn text(text: &str) -> EventKind {
    EventKind::TextDelta { text: text.into() }
}

fn event(kind: EventKind) -> Arc<Event> {
    Arc::new(Event { run: RunId::new(), seq: 1, index: 0, path: Arc::from(""), parent: None, time_ms: 1, kind })
}

/// A target whose bytes can be looked at.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A target that stands still until its gate is dropped; says when it is first written to.
struct Stalled(Page, Receiver<()>, Sender<()>);

impl Stalled {
    fn new(page: &Page) -> (Self, Sender<()>, Receiver<()>) {
        let ((open, gate), (arrived, arrival)) = (channel(), channel());
        (Self(page.clone(), gate, arrived), open, arrival)
    }
}

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.2.send(());
        let _ = self.1.recv();
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_writing_tracers_conform() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    conformance::check(Arc::new(JsonlTracer::open(&path).unwrap())).await.unwrap();
    let lines = fs::read_to_string(&path).unwrap();
    assert!(lines.lines().count() > EventKind::samples().len());
    let page = Page::default();
    let tracer = StdoutTracer::to(page.clone(), false, OutputOptions::default()).unwrap();
    conformance::check(Arc::new(tracer)).await.unwrap();
    assert!(page.text().lines().count() > 10);
}

#[tokio::test]
async fn each_event_is_one_line_that_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let bus = EventBus::new();
    let tracer = Arc::new(JsonlTracer::open(&path).unwrap());
    let handle = bus.attach_tracer(tracer.clone()).unwrap();
    let mut stream = bus.subscribe();
    let ctx = CallCtx::new().with_sink(Arc::new(RunEvents::new([bus])));
    for kind in EventKind::samples() {
        ctx.child("planner").emit(kind);
    }
    ctx.emit(text("a\nb\u{2028}\u{0}🧵"));
    handle.detach().await.unwrap();
    let sent = stream.try_recv_batch(1_000).unwrap().events;
    let lines = fs::read_to_string(&path).unwrap();
    let read: Vec<Event> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read.len(), EventKind::samples().len() + 1);
    assert!(read.iter().zip(&sent).all(|(read, sent)| *read == **sent));
    assert_eq!((tracer.written(), tracer.lost()), (sent.len() as u64, 0));
}

#[tokio::test]
async fn the_file_is_opened_once_and_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("events.jsonl"), folder.path().join("moved.jsonl"));
    fs::write(&path, "{\"whole\":1}\n{\"torn\":").unwrap();
    let tracer = JsonlTracer::open(&path).unwrap();
    tracer.on_event(event(text("first"))).await.unwrap();
    tracer.flush().await.unwrap();
    fs::rename(&path, &moved).unwrap();
    tracer.on_event(event(text("second"))).await.unwrap();
    tracer.close(PATIENCE).unwrap();
    let lines = fs::read_to_string(&moved).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!((lines.len(), lines[0], lines[1]), (4, "{\"whole\":1}", "{\"torn\":"));
    for (line, word) in [(lines[2], "first"), (lines[3], "second")] {
        assert_eq!(serde_json::from_str::<Event>(line).unwrap().kind, text(word));
    }
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn a_new_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    drop(JsonlTracer::open(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_cannot_be_opened_is_told_at_once_and_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = JsonlTracer::open(folder.path().join("no/such/folder/events.jsonl")).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    assert!(error.to_string().contains("no/such/folder"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_cannot_be_written_is_told_and_counted() {
    let bus = EventBus::new();
    let tracer = Arc::new(JsonlTracer::open("/dev/full").unwrap());
    let handle = bus.attach_tracer(tracer.clone()).unwrap();
    bus.publish(event(text("lost")));
    let error = handle.flush().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Runtime);
    assert!(error.to_string().contains("space"), "{error}");
    assert_eq!((tracer.written(), tracer.lost(), handle.errors()), (0, 1, 1));
    assert!(handle.is_attached());
    // Told while it goes on, too; that does not keep it from the next flush.
    tracer.on_event(event(text("lost"))).await.unwrap();
    while tracer.lost() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(tracer.on_event(event(text("lost"))).await.is_err());
    assert!(tracer.flush().await.is_err());
    tracer.flush().await.unwrap();
}

/// Fails once, in the middle of a line.
struct Tears(Page, u32);

impl Write for Tears {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1 += 1;
        match self.1 {
            1 => self.0.write(&bytes[..9]),
            2 => Err(io::Error::other("full")),
            _ => self.0.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn after_a_torn_line_the_next_one_is_whole() {
    let page = Page::default();
    let tracer = StdoutTracer::to(Tears(page.clone(), 0), false, OutputOptions::default()).unwrap();
    tracer.on_event(event(EventKind::CacheHit { cache: "first".into() })).await.unwrap();
    assert_eq!(tracer.flush().await.unwrap_err().to_string(), "tracer stdout failed: full");
    tracer.on_event(event(EventKind::CacheHit { cache: "second".into() })).await.unwrap();
    tracer.flush().await.unwrap();
    let text = page.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0].len(), tracer.lost()), (2, 9, 1));
    assert!(lines[1].ends_with("cache_hit second"), "{text}");
}

#[tokio::test]
async fn a_target_that_stands_still_costs_the_producer_nothing_and_every_event_is_accounted_for() {
    let page = Page::default();
    let (target, gate, arrival) = Stalled::new(&page);
    let options = OutputOptions { capacity: 4, ..OutputOptions::default() };
    let bus = EventBus::with_capacity(8);
    let handle = bus.attach_tracer(Arc::new(StdoutTracer::to(target, false, options).unwrap())).unwrap();
    bus.publish(event(EventKind::CacheHit { cache: "c".into() }));
    while arrival.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    for _ in 1..1_000 {
        bus.publish(event(EventKind::CacheHit { cache: "c".into() }));
        tokio::task::yield_now().await;
    }
    drop(gate);
    handle.detach().await.unwrap();
    let text = page.text();
    let shown = text.lines().filter(|line| line.contains("cache_hit")).count();
    let missed: usize = text
        .lines()
        .filter_map(|line| line.split_once("lagged "))
        .map(|(_, told)| told.split(' ').next().unwrap().parse::<usize>().unwrap())
        .sum();
    assert_eq!(shown + missed, 1_000);
    assert!(missed > 900, "{missed}");
}

fn is_late(result: Result<(), TracerError>) -> bool {
    result.is_err_and(|error| error.kind() == Kind::Timeout)
}

#[tokio::test]
async fn flush_close_and_a_full_queue_have_a_deadline() {
    let page = Page::default();
    let (target, gate, _arrival) = Stalled::new(&page);
    let options = OutputOptions { capacity: 1, deadline: Duration::from_millis(20), ..OutputOptions::default() };
    let tracer = StdoutTracer::to(target, false, options).unwrap();
    tracer.on_event(event(EventKind::CacheHit { cache: "first".into() })).await.unwrap();
    assert!(is_late(tracer.flush().await));
    tracer.on_event(event(EventKind::CacheHit { cache: "second".into() })).await.unwrap();
    assert!(is_late(tracer.on_event(event(EventKind::CacheHit { cache: "third".into() })).await));
    assert_eq!(tracer.lost(), 1);
    assert!(is_late(tracer.close(Duration::from_millis(20))));
    drop(gate);
    tracer.close(PATIENCE).unwrap();
    assert_eq!(page.text().lines().count(), 2);
    let closed = tracer.on_event(event(text("late"))).await.unwrap_err();
    assert_eq!(closed.kind(), Kind::Cancelled);
    tracer.flush().await.unwrap();
}

#[tokio::test]
async fn each_policy_writes_without_being_asked() {
    for flush in [FlushPolicy::Idle, FlushPolicy::Event, FlushPolicy::Every(Duration::from_millis(5))] {
        let page = Page::default();
        let options = OutputOptions { flush, ..OutputOptions::default() };
        let tracer = StdoutTracer::to(page.clone(), false, options).unwrap();
        tracer.on_event(event(EventKind::CacheHit { cache: "c".into() })).await.unwrap();
        let written = async {
            while page.text().is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, written).await.is_ok(), "{flush:?}");
    }
}

#[tokio::test]
async fn dropping_a_tracer_writes_what_it_had_taken() {
    let page = Page::default();
    let options = OutputOptions { flush: FlushPolicy::Every(PATIENCE), ..OutputOptions::default() };
    let tracer = StdoutTracer::to(page.clone(), false, options).unwrap();
    tracer.on_event(event(text("kept"))).await.unwrap();
    drop(tracer);
    let written = async {
        while !page.text().contains("kept") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, written).await.is_ok());
}

// --- what the lines say ---

async fn lines(emit: impl FnOnce(&CallCtx)) -> Vec<String> {
    let page = Page::default();
    let bus = EventBus::new();
    let tracer = StdoutTracer::to(page.clone(), false, OutputOptions::default()).unwrap();
    let handle = bus.attach_tracer(Arc::new(tracer)).unwrap();
    let events: Arc<dyn EventSink> = Arc::new(RunEvents::new([bus]));
    emit(&CallCtx::new().with_sink(events));
    handle.detach().await.unwrap();
    // The time and the run are not the same twice.
    page.text().lines().map(|line| line[20..].to_owned()).collect()
}

#[tokio::test]
async fn lines_are_indented_by_the_path_and_pieces_are_joined() {
    let piece = |arguments: &str| EventKind::ToolCallStreamed {
        call_index: 0,
        call_id: "c".into(),
        name: "add".into(),
        arguments: arguments.into(),
    };
    let told = lines(|ctx| {
        let writer = ctx.child("planner").child("writer");
        ctx.emit(EventKind::RunStarted { agent: "planner".into(), model: "m".into() });
        ctx.emit(EventKind::ThinkingDelta { text: "Let me ".into() });
        ctx.emit(EventKind::ThinkingDelta { text: "see.".into() });
        ctx.emit(text("Light "));
        writer.emit(text("Dear "));
        ctx.emit(text("rain."));
        writer.emit(text("Sir"));
        ctx.emit(piece(""));
        ctx.emit(piece("{\"a\":"));
        ctx.emit(piece("1}"));
        writer.emit(EventKind::RunFailed { error: Kind::Timeout, message: "late".into(), elapsed_ms: 5 });
        ctx.emit(EventKind::RunFinished { usage: Box::default(), cost: None, elapsed_ms: 1_234 });
        ctx.emit(text("unfinished"));
    })
    .await;
    assert_eq!(
        told,
        [
            "run_started planner on m",
            "thinking_delta \"Let me see.\"",
            "text_delta \"Light rain.\"",
            "    writer: text_delta \"Dear Sir\"",
            "    writer: run_failed after 5 ms, timeout: late",
            "tool_call_streamed add \"{\"a\":1}\"",
            "run_finished in 1.23 s, 0 + 0 tokens",
            "text_delta \"unfinished\"",
        ]
    );
}

#[tokio::test]
async fn no_line_steers_the_terminal_breaks_or_tells_a_secret() {
    const SECRET: &str = "sk-proj-0123456789abcdefghijkl";
    let evil = format!("\u{1b}]0;owned\u{7}\r\n\u{202e}{SECRET}");
    let told = lines(|ctx| {
        // Split between pieces, so that only the joined text shows it.
        ctx.emit(text(&SECRET[..12]));
        ctx.emit(text(&SECRET[12..]));
        ctx.emit(EventKind::RunStarted { agent: evil.clone(), model: evil.clone() });
        ctx.child(&evil).emit(EventKind::ToolStarted {
            call_index: 0,
            call_id: "c".into(),
            name: evil.as_str().into(),
            arguments: format!("{{\"password\": \"hunter2\", \"x\": \"{evil}\"}}"),
        });
        ctx.emit(text(&"é".repeat(3_000)));
    })
    .await;
    assert_eq!(told.len(), 4, "{told:#?}");
    let all = told.concat();
    assert!(!all.contains(&SECRET[8..]) && !all.contains("hunter2") && !all.chars().any(char::is_control), "{all}");
    assert!(told[0].contains("sk-[redacted]"));
    assert!(told[3].ends_with("é\"… (+2800 characters)"), "{}", told[3]);
}

#[tokio::test]
async fn every_kind_has_something_to_say() {
    let told = lines(|ctx| EventKind::samples().into_iter().for_each(|kind| ctx.emit(kind))).await;
    for kind in EventKind::samples() {
        let line = told.iter().find(|line| line.starts_with(kind.name()));
        assert!(line.is_some_and(|line| line.len() > kind.name().len() + 1), "{}", kind.name());
    }
}

#[tokio::test]
async fn colours_are_there_only_when_they_are_asked_for() {
    for colours in [false, true] {
        let page = Page::default();
        let tracer = StdoutTracer::to(page.clone(), colours, OutputOptions::default()).unwrap();
        tracer.on_event(event(EventKind::CacheHit { cache: "c".into() })).await.unwrap();
        tracer.flush().await.unwrap();
        assert_eq!(page.text().contains("\u{1b}["), colours);
    }
}
