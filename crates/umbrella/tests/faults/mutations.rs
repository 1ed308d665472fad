//! Good answers with a few damaged bytes, through the real clients: 10,000 of them.
//!
//! Nothing in these formats tells a damaged letter from another letter: what was written is taken at its word. What must
//! never be is a tool call that the bytes do not speak of, be it cut, merged, begun by one event and ended by another.
//! So each outcome is the answer itself, an error, or exactly what a slow reader finds in the damaged bytes; and an answer
//! that was only cut is never another one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use atomr_agents::core::{CallCtx, Message, ModelRequest};
use atomr_agents::inference::{InferenceClient, InferenceError, ModelReply, run};
use atomr_agents_testkit::{Exchange, Format, ReplayServer, Reply, Script};
use futures_util::StreamExt;

use crate::case::{first, second};
use crate::play::HANG;
use crate::reader::{self, Said};
use crate::speakers::{Patience, Speaker, speakers};

const MUTATIONS: usize = 10_000;
/// So many at once.
const LANES: usize = 8;
/// Larger bodies only take longer.
const LARGEST: usize = 48 << 10;

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    /// Less than `end`.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        // Letters that mean something are more dangerous than others.
        let telling = b"\"{}[],:\\\n\r0123456789dataex ";
        if self.below(2) == 0 { telling[self.below(telling.len())] } else { self.below(256) as u8 }
    }
}

/// Damages the body; says how, and whether it was only cut.
fn damage(body: &mut Vec<u8>, numbers: &mut Numbers) -> (String, bool) {
    let at = numbers.below(body.len());
    let kind = numbers.below(8);
    match kind {
        0 | 1 => body[at] ^= 1 << numbers.below(8),
        2 | 3 => body[at] = numbers.byte(),
        4 => drop(body.remove(at)),
        5 => body.insert(at, numbers.byte()),
        6 => {
            let end = (at + 1 + numbers.below(64)).min(body.len());
            let again = body[at..end].to_vec();
            body.splice(at..at, again);
        }
        _ => body.truncate(at),
    }
    (format!("kind {kind} at {at}"), kind == 7)
}

/// The calls of an answer. Their order is no matter of what is run.
fn said(reply: &ModelReply) -> Said {
    in_order(reply.message.tool_calls().map(|call| (call.name.clone(), reader::arguments(&call.raw))).collect())
}

fn in_order(mut calls: Said) -> Said {
    calls.sort_by_cached_key(|(name, arguments)| format!("{name} {arguments}"));
    calls
}

/// A client and a server that answers it with whatever is laid down.
struct Lane {
    _server: ReplayServer,
    client: Arc<dyn InferenceClient>,
    next: Arc<Mutex<Option<Reply>>>,
}

impl Lane {
    async fn new(speaker: &Speaker) -> Self {
        let next = Arc::new(Mutex::new(None::<Reply>));
        let reply = Arc::clone(&next);
        let server = ReplayServer::start(Script::choose(move |_| reply.lock().unwrap().clone())).await.unwrap();
        let client = (speaker.client)(&server.url(), Patience::Once);
        Self { _server: server, client, next }
    }

    async fn ask(&self, exchange: Exchange) -> Result<ModelReply, InferenceError> {
        *self.next.lock().unwrap() = Some(exchange.into());
        let request = Arc::new(ModelRequest::new("m", vec![Message::user("go")]));
        let answer = run(&self.client, request, CallCtx::new());
        tokio::time::timeout(HANG, answer).await.expect("it hangs")
    }
}

/// The good streams of a format that the slow reader understands: recorded ones, and two that are written here.
async fn good(speaker: &Speaker, lane: &Lane) -> Vec<(Exchange, ModelReply)> {
    let folder = match speaker.format {
        Format::OpenAiChat => "openai-chat",
        Format::OpenAiResponses => "openai-responses",
        Format::Anthropic => "anthropic-messages",
        _ => "gemini-generate-content",
    };
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/recordings").join(folder);
    let mut folders: Vec<_> = std::fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("response.body").is_file());
    folders.sort();
    let recorded = folders.iter().map(|folder| Exchange::load(folder).unwrap());
    let written = [first(), second()].map(|turn| speaker.format.stream(&turn));
    let mut good = Vec::new();
    for exchange in recorded.chain(written).filter(|one| one.is_stream() && one.body.len() <= LARGEST) {
        let Ok(reply) = lane.ask(exchange.clone()).await else { continue };
        if said(&reply) == in_order(reader::calls(speaker.format, &exchange.body)) {
            good.push((exchange, reply));
        }
    }
    good
}

/// What became of one damaged answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Became {
    /// The answer, as if nothing had been.
    Identical,
    /// An error with a kind.
    Error,
    /// What the damaged bytes say.
    AsWritten,
}

async fn one(speaker: &Speaker, lane: &Lane, good: &[(Exchange, ModelReply)], seed: usize) -> Result<Became, String> {
    let mut numbers = Numbers(seed as u64);
    // Answers with tool calls are what this is about.
    let mut pick = numbers.below(good.len());
    if good[pick].1.message.tool_calls().next().is_none() {
        pick = numbers.below(good.len());
    }
    let (exchange, reply) = &good[pick];
    let mut body = exchange.body.to_vec();
    let (how, cut) = damage(&mut body, &mut numbers);
    let damaged = Exchange { body: body.clone().into(), ..exchange.clone() };
    let Ok(answer) = lane.ask(damaged).await else { return Ok(Became::Error) };
    let calls = said(&answer);
    if calls == said(reply) && answer.message.text() == reply.message.text() {
        return Ok(Became::Identical);
    }
    let written = in_order(reader::calls(speaker.format, &body));
    if !cut && (calls == said(reply) || calls == written) {
        return Ok(Became::AsWritten);
    }
    let (name, format) = (&exchange.name, speaker.format);
    Err(format!("{format}, {name:?}, seed {seed}, {how}: {calls:?}, the bytes say {written:?}"))
}

#[tokio::test]
async fn ten_thousand_damaged_answers_give_the_answer_an_error_or_what_the_bytes_say_and_never_another_call() {
    let speakers = speakers();
    let (mut became, mut wrong, mut played) = (BTreeMap::new(), Vec::new(), 0);
    for speaker in &speakers {
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            lanes.push(Lane::new(speaker).await);
        }
        let good = good(speaker, &lanes[0]).await;
        let calling = good.iter().filter(|(_, reply)| reply.message.tool_calls().next().is_some()).count();
        assert!(
            good.len() >= 10 && calling >= 4,
            "{}: {} good streams, {calling} with calls",
            speaker.format,
            good.len()
        );
        let each = MUTATIONS.div_ceil(speakers.len());
        let (good, lanes) = (&good, &lanes);
        let plays = (0..LANES).map(|lane| async move {
            let mut outcomes = Vec::new();
            for seed in (lane..each).step_by(LANES) {
                outcomes.push(one(speaker, &lanes[lane], good, seed).await);
            }
            outcomes
        });
        let outcomes: Vec<_> = futures_util::stream::iter(plays).buffer_unordered(LANES).collect().await;
        for outcome in outcomes.into_iter().flatten() {
            played += 1;
            match outcome {
                Ok(what) => *became.entry((speaker.format.to_string(), what)).or_insert(0) += 1,
                Err(text) => wrong.push(text),
            }
        }
    }
    println!("{played} damaged answers: {became:?}");
    assert!(played >= MUTATIONS);
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}
