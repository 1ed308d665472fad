//! What an agent is reminded of.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx, FinishReason, Message, RunId, TurnInput};
use atomr_agents_memory::{
    ChainedMemory, Fixed, MemoryError, MemoryItem, MemoryStore, Namespace, RecencyMemory, Room, StoredMemory,
    Summaries, SummarizingMemory, Whose,
};
use atomr_agents_state::{MemoryStore as StateInMemory, Store};
use atomr_agents_strategy::MemoryStrategy;
use atomr_agents_testkit::{ScriptedModel, Turn};
use atomr_agents_tokens::{EstimatingCounter, TokenCounter};
use futures_util::future::BoxFuture;

fn ada() -> Namespace {
    Namespace::new(["ada"]).unwrap()
}

fn context() -> AgentContext {
    AgentContext { agent: "a".into(), run: RunId::new(), turn: TurnInput::user("?") }
}

async fn texts(memory: &impl MemoryStrategy) -> Vec<String> {
    let chunks = memory.retrieve(&context(), &CallCtx::new()).await.unwrap();
    chunks.into_iter().map(|chunk| chunk.text).collect()
}

async fn said(memory: &impl MemoryStrategy, text: &str) {
    let messages = [Message::user(text), Message::assistant(format!("re: {text}"))];
    memory.store(&context(), &messages, &CallCtx::new()).await.unwrap();
}

#[tokio::test]
async fn the_newest_are_told_as_far_as_there_is_room_and_from_the_oldest_on() {
    let memory = RecencyMemory::new(Arc::new(StoredMemory::in_memory()), Fixed(ada()), 3, Room::default());
    for text in ["one", "two"] {
        said(&memory, text).await;
    }
    assert_eq!(texts(&memory).await, ["assistant: re: one", "user: two", "assistant: re: two"]);
    let line = EstimatingCounter.count_text("", "assistant: re: two") + 1;
    let store = Arc::new(StoredMemory::in_memory());
    let small = RecencyMemory::new(store, Fixed(ada()), 3, Room::tokens(line));
    said(&small, "two").await;
    assert_eq!(texts(&small).await, ["assistant: re: two"]);
}

fn summarizing(writer: &ScriptedModel, kept: &Arc<dyn Store>, summaries: Summaries) -> SummarizingMemory {
    let items = Arc::new(StoredMemory::new(Arc::clone(kept)));
    SummarizingMemory::new(items, Fixed(ada()), Arc::new(writer.clone()), "small", Room::tokens(10_000))
        .summaries(summaries)
        .kept_in(Arc::clone(kept))
}

#[tokio::test]
async fn every_item_is_in_one_summary_or_told_word_by_word() {
    let writer = (1..=12).fold(ScriptedModel::new(), |writer, n| writer.text(format!("S{n}")));
    let kept: Arc<dyn Store> = Arc::new(StateInMemory::new());
    let summaries = Summaries { from_tokens: 60, keep_last: 2, ..Summaries::default() };
    for n in 0..12 {
        // Each time anew, as another process would.
        said(&summarizing(&writer, &kept, summaries.clone()), &format!("message {n:02}")).await;
    }
    let memory = summarizing(&writer, &kept, summaries);
    let told = texts(&memory).await;
    let requests = writer.requests();
    assert!(requests.len() > 1, "more than one summary was written");
    assert!(told[0].starts_with(&format!("Summary: S{}", requests.len())), "{told:?}");
    // What went into the summaries, in order, and then what is told: all of it, nothing twice.
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|line| line.starts_with("user:") || line.starts_with("assistant:"))
            .map(str::to_owned)
            .collect()
    };
    let mut all: Vec<String> = requests.iter().flat_map(|request| lines(&request.messages[1].text())).collect();
    all.extend(told[1..].iter().cloned());
    let wanted: Vec<String> =
        (0..12).flat_map(|n| [format!("user: message {n:02}"), format!("assistant: re: message {n:02}")]).collect();
    assert_eq!(all, wanted);
    // Each summary begins with the one before.
    assert!(requests[1].messages[1].text().contains("The notes so far:\nS1\n"));
}

#[tokio::test]
async fn a_summary_that_fails_or_is_cut_loses_nothing_and_is_tried_again() {
    let cut = Turn::text("half a summ").ending(FinishReason::Length, "length");
    let writer = ScriptedModel::new().turn(cut).text("").text("S");
    let kept: Arc<dyn Store> = Arc::new(StateInMemory::new());
    let memory = summarizing(&writer, &kept, Summaries { from_tokens: 1, keep_last: 0, ..Summaries::default() });
    said(&memory, "one").await;
    assert!(memory.last_failure().unwrap().contains("it was not ended"), "{:?}", memory.last_failure());
    assert_eq!(texts(&memory).await, ["user: one", "assistant: re: one"]);
    said(&memory, "two").await;
    assert!(memory.last_failure().unwrap().contains("it is empty"));
    said(&memory, "three").await;
    assert_eq!((memory.last_failure(), texts(&memory).await), (None, vec!["Summary: S".to_owned()]));
    assert!(writer.requests()[2].messages[1].text().contains("user: one\nassistant: re: one\nuser: two"));
}

#[tokio::test]
async fn one_memory_that_fails_does_not_keep_the_others_from_keeping() {
    #[derive(Debug)]
    struct Nobody;

    impl Whose for Nobody {
        fn namespace<'a>(&'a self, _: &'a CallCtx) -> BoxFuture<'a, Result<Namespace, MemoryError>> {
            Box::pin(async { Namespace::new([""]) })
        }
    }

    let store = Arc::new(StoredMemory::in_memory());
    let lost = RecencyMemory::new(store.clone(), Nobody, 3, Room::default());
    let kept = RecencyMemory::new(store.clone(), Fixed(ada()), 3, Room::default());
    let chain = ChainedMemory::new([Arc::new(lost) as Arc<dyn MemoryStrategy>, Arc::new(kept)], Room::default());
    let error = chain.store(&context(), &[Message::user("hi")], &CallCtx::new()).await.unwrap_err();
    assert!(error.to_string().contains("the namespace has an empty part"), "{error}");
    let items: Vec<MemoryItem> = store.list(&ada(), 5, None, &CallCtx::new()).await.unwrap();
    assert_eq!(items.len(), 1);
}
