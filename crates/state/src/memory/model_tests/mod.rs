//! Everything that three workers can make of two runs: they claim, renew, let go, save, end and fork; the clock ticks;
//! requests are sent again, arrive late, after their sender died; answers are lost. The state that is walked through is
//! the store's own [`Tables`], and what is written has the shape of what a journal writes: each commit is fenced, has its
//! place in the log, and is sent again as it is while nobody knows what became of it.
//!
//! `ATOMR_WALK=wide` walks through more than a million states.

mod workers;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use workers::{ENDED, Held, Rules, SMALL, WIDE, Workers, World};

fn properties() -> Vec<Property<Workers>> {
    vec![
        Property::always(ONCE, |model: &Workers, world: &World| {
            model.every(world, |_, log| log.iter().zip(0..).all(|(frame, at)| (frame.0, frame.1) == (at, at)))
        }),
        Property::always(FENCED, |_: &Workers, world: &World| !world.stale),
        Property::always(FORWARD, |model: &Workers, world: &World| {
            model.every(world, |_, log| log.is_sorted_by_key(|frame| frame.2))
        }),
        Property::always("what somebody was told is there, as it was told", |model: &Workers, world: &World| {
            model.every(world, |run, log| {
                let told = world.told[run].iter().enumerate().filter_map(|(at, token)| Some((at, (*token)?)));
                told.into_iter().all(|(at, token)| log.get(at).is_some_and(|frame| frame.2 == token))
            })
        }),
        Property::always(ENDS, |model: &Workers, world: &World| {
            model.every(world, |run, log| {
                let ended = world.tables.get(&model.runs[run]).is_some_and(|record| record.value == ENDED);
                world.ended_at[run].map_or(!ended, |end| ended && end == log.len() as u64)
            })
        }),
        Property::always("a run has at most one owner", |model: &Workers, world: &World| {
            model.every(world, |run, _| {
                let owners = world.workers.iter().filter_map(|worker| worker.holds);
                let held: Vec<Held> = owners.filter(|held| held.run == run).collect();
                let newest = world.tables.token(&model.runs[run]);
                held.iter().filter(|held| held.token == newest).count() <= 1
                    && held.iter().filter(|held| held.until_ms > world.now_ms).count() <= 1
            })
        }),
        Property::always("what a fork stands on stays", |model: &Workers, world: &World| {
            world.forked_at.is_none_or(|at| world.tables.end(&model.runs[0]) >= at)
        }),
        Property::sometimes("a late write is fenced", |_: &Workers, world: &World| world.fenced),
        Property::sometimes("a run is taken over in its middle", |model: &Workers, world: &World| {
            !model.every(world, |_, log| log.iter().all(|frame| frame.2 == log[0].2))
        }),
        Property::sometimes("both runs have ended", |_: &Workers, world: &World| {
            world.ended_at.iter().all(Option::is_some)
        }),
        Property::sometimes("a run is forked in its middle", |model: &Workers, world: &World| {
            world.forked_at.is_some_and(|at| at > 0) && world.tables.end(&model.runs[1]) > 0
        }),
    ]
}

const ONCE: &str = "every frame is there once, without a gap";
const FENCED: &str = "nobody writes with an old token";
const FORWARD: &str = "the tokens of a log never go back";
const ENDS: &str = "a run that has ended stays as it was, and its record says so";

fn finds(rules: Rules, property: &'static str) {
    let only = HasDiscoveries::AllOf([property].into());
    let checker = Workers::new(rules).checker().finish_when(only).spawn_bfs().join();
    assert!(checker.discovery(property).is_some(), "{:?}", checker.discoveries().keys());
}

/// The walk in the order of distance, which meets everything near, and another that goes deep.
#[test]
fn whatever_the_workers_do_a_run_has_one_history() {
    let wide = std::env::var("ATOMR_WALK").is_ok_and(|which| which == "wide");
    let (rules, most) = if wide { (WIDE, 6_000_000) } else { (SMALL, 400_000) };
    let near = Workers::new(rules).checker().threads(2).target_state_count(most).spawn_bfs().join();
    near.assert_properties();
    let deep = Workers::new(WIDE).checker().threads(2).target_state_count(most / 4).spawn_dfs().join();
    let found = deep.discoveries();
    let faults = deep.model().properties().into_iter().filter(|property| property.expectation == Expectation::Always);
    assert_eq!(faults.map(|fault| fault.name).find(|name| found.contains_key(name)), None);
    let states = near.unique_state_count();
    assert!(states >= if wide { 1_000_000 } else { 50_000 }, "{states} states");
}

#[test]
fn writes_without_a_fence_are_found_out() {
    finds(Rules { fenced: false, ..SMALL }, FENCED);
    finds(Rules { fenced: false, placed: false, ..SMALL }, FORWARD);
}

#[test]
fn writes_without_a_place_are_found_out() {
    finds(Rules { placed: false, ..SMALL }, ONCE);
}

#[test]
fn a_fork_that_does_not_look_at_the_version_is_found_out() {
    finds(Rules { versioned: false, ..SMALL }, ENDS);
}
