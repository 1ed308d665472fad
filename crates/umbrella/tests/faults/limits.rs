//! Rows that are about the caller's limits, and failures that do not go away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atomr_agents::prelude::*;
use atomr_agents_testkit::{Cut, Exchange, Fault, ReplayServer, Reply, RetryAfter, Script, Turn};
use serde_json::json;

use crate::case::{Places, end_word, first};
use crate::play::{HANG, Ran, agent};
use crate::speakers::{Patience, Speaker, speakers};

/// Runs against a server that always answers so, and tells how it ended, how many requests it took and what ran.
async fn end(
    speaker: &Speaker,
    script: Script,
    patience: Patience,
    ctx: CallCtx,
) -> (Result<RunResult, RunError>, usize, usize) {
    let server = ReplayServer::start(script).await.unwrap();
    let ran = Ran::default();
    let agent = agent((speaker.client)(&server.url(), patience), &ran);
    let outcome = tokio::time::timeout(HANG, agent.run("go", ctx)).await.expect("it hangs");
    assert!(server.quiet(HANG).await, "{}: the connection stays open", speaker.format);
    let ran = ran.lock().unwrap().len();
    (outcome, server.summary().requests, ran)
}

#[tokio::test]
async fn what_does_not_go_away_is_told_after_the_last_attempt() {
    for speaker in &speakers() {
        for (reply, kinds, patience) in [
            (Reply::new(speaker.format.error(500, "no")), vec![Kind::ServerError], Patience::Long),
            (Reply::new(speaker.format.error(529, "no")), vec![Kind::ServerError, Kind::Overloaded], Patience::Long),
            (Reply::new(speaker.format.rate_limited(&RetryAfter::Millis(1))), vec![Kind::RateLimited], Patience::Long),
            (Fault::CloseBeforeHeaders.into(), vec![Kind::StreamInterrupted], Patience::Long),
            (Fault::StallBeforeHeaders.into(), vec![Kind::Timeout], Patience::Short),
            (Fault::ResetAt(0).into(), vec![Kind::StreamInterrupted], Patience::Long),
            (Reply::new(Exchange::event_stream("")), vec![Kind::StreamInterrupted], Patience::Long),
        ] {
            let (outcome, asked, ran) = end(speaker, Script::always(reply), patience, CallCtx::new()).await;
            let kind = outcome.unwrap_err().kind();
            assert!(kinds.contains(&kind), "{}: {kind} is not {kinds:?}", speaker.format);
            assert_eq!((asked, ran), (3, 0), "{}: {kinds:?}", speaker.format);
        }
    }
}

#[tokio::test]
async fn a_wait_that_does_not_fit_into_the_time_left_is_told_at_once() {
    for speaker in &speakers() {
        for after in [RetryAfter::Seconds(30), RetryAfter::Millis(30_000), RetryAfter::Date(Duration::from_secs(35))] {
            let script = Script::always(speaker.format.rate_limited(&after));
            let begin = Instant::now();
            let ctx = CallCtx::new().with_timeout(Duration::from_secs(29));
            let (outcome, asked, _) = end(speaker, script, Patience::Long, ctx).await;
            assert_eq!((outcome.unwrap_err().kind(), asked), (Kind::RateLimited, 1), "{}", speaker.format);
            assert!(begin.elapsed() < Duration::from_secs(25), "it waited");
        }
    }
}

#[tokio::test]
async fn the_deadline_ends_a_stalled_and_a_slow_answer_and_no_tool_runs() {
    for speaker in &speakers() {
        let places = Places::of(speaker.format);
        let whole = || Reply::new(speaker.format.stream(&first()));
        for reply in [
            Fault::StallBeforeHeaders.into(),
            whole().fault(Fault::StallAt(0)),
            whole().fault(Fault::StallAt(places.within("echo"))),
            whole().fault(Fault::StallAt(places.before(end_word(speaker.format)))),
            whole().cut(Cut::PerEvent(Duration::from_millis(100))),
        ] {
            let ctx = CallCtx::new().with_timeout(Duration::from_millis(250));
            let (outcome, asked, ran) = end(speaker, Script::always(reply.clone()), Patience::Long, ctx).await;
            assert_eq!(outcome.unwrap_err().kind(), Kind::Timeout, "{}: {reply:?}", speaker.format);
            assert_eq!((asked, ran), (1, 0), "{}", speaker.format);
        }
    }
}

#[tokio::test]
async fn cancelling_at_any_stage_closes_the_connection_and_no_tool_runs() {
    for speaker in &speakers() {
        let places = Places::of(speaker.format);
        let whole = || Reply::new(speaker.format.stream(&first()));
        for reply in [
            Fault::StallBeforeHeaders.into(),
            whole().fault(Fault::StallAt(0)),
            whole().fault(Fault::StallAt(places.before("see. "))),
            whole().fault(Fault::StallAt(places.within("echo"))),
            whole().fault(Fault::StallAt(places.before(end_word(speaker.format)))),
            whole().cut(Cut::PerEvent(Duration::from_millis(100))),
        ] {
            let ctx = CallCtx::new();
            let cancel = ctx.cancel.clone();
            let (ended, ()) = tokio::join!(end(speaker, Script::always(reply.clone()), Patience::Long, ctx), async {
                tokio::time::sleep(Duration::from_millis(150)).await;
                cancel.cancel();
            });
            let (outcome, asked, ran) = ended;
            assert_eq!(outcome.unwrap_err().kind(), Kind::Cancelled, "{}: {reply:?}", speaker.format);
            assert_eq!((asked, ran), (1, 0), "{}", speaker.format);
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_stays_here() {
    for speaker in &speakers() {
        let elsewhere = ReplayServer::start(Script::turns([Turn::text("stolen")])).await.unwrap();
        for url in [elsewhere.url(), format!("http://localhost:{}/v1", elsewhere.address().port())] {
            let script = Script::always(Fault::RedirectTo(url));
            let (outcome, asked, _) = end(speaker, script, Patience::Long, CallCtx::new()).await;
            assert_eq!((outcome.unwrap_err().kind(), asked), (Kind::Protocol, 1), "{}", speaker.format);
        }
        assert_eq!((elsewhere.summary().requests, elsewhere.connections()), (0, 0), "{}", speaker.format);
    }
}

#[tokio::test]
async fn a_good_run_is_a_good_run_however_it_is_cut() {
    for speaker in &speakers() {
        let turns = || [first(), Turn::text("done")];
        let steps = || turns().map(|turn| Reply::new(speaker.format.stream(&turn)));
        for script in [
            Script::turns(turns()),
            Script::conversation(steps()).cut(Cut::Every(1)),
            Script::conversation(steps()).cut(Cut::Seeded(11)),
            Script::conversation(steps()).cut(Cut::PerEvent(Duration::from_millis(1))),
        ] {
            let (outcome, asked, ran) = end(speaker, script, Patience::Long, CallCtx::new()).await;
            let result = outcome.unwrap();
            assert_eq!((result.output.as_str(), asked, ran), ("done", 2, 2), "{}", speaker.format);
            let calls: Vec<_> = result.messages.iter().flat_map(Message::tool_calls).collect();
            assert_eq!(calls[1].arguments().unwrap(), json!({"text": "zwölf"}), "{}", speaker.format);
            assert!(result.usage.input_tokens > 0 && result.usage.output_tokens > 0, "{}", speaker.format);
        }
    }
}

/// Nothing is shared between the runs of one client but its connections.
#[tokio::test]
async fn a_broken_run_does_not_disturb_the_others_of_its_client() {
    for speaker in &speakers() {
        let places = Places::of(speaker.format);
        let broken = Reply::new(speaker.format.stream(&first())).fault(Fault::ResetAt(places.within("echo")));
        let good = Reply::new(speaker.format.stream(&Turn::text("fine")));
        let count = std::sync::atomic::AtomicUsize::new(0);
        let script = Script::choose(move |_| {
            let even = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst).is_multiple_of(2);
            Some(if even { broken.clone() } else { good.clone() })
        });
        let server = ReplayServer::start(script).await.unwrap();
        let agent = Arc::new(agent((speaker.client)(&server.url(), Patience::Long), &Ran::default()));
        let runs = (0..20).map(|_| agent.run("go", CallCtx::new()));
        let outcomes = futures_util::future::join_all(runs).await;
        let fine = outcomes.iter().filter(|outcome| outcome.as_ref().is_ok_and(|result| result.output == "fine"));
        let broken = outcomes
            .iter()
            .filter(|outcome| outcome.as_ref().is_err_and(|error| error.kind() == Kind::StreamInterrupted));
        assert_eq!((fine.count(), broken.count()), (10, 10), "{}", speaker.format);
    }
}
