//! Whether a graph can be run.

use std::collections::{BTreeSet, HashSet, VecDeque};

use super::fault::GraphFault;
use super::wiring::{AT_END, AT_START, FIRST, Goes, Place, Wiring};

/// Whether a step may have this name.
pub(crate) fn check_name(name: &str, faults: &mut Vec<GraphFault>) {
    let separates = |c: char| c.is_control() || matches!(c, '/' | '#' | ':' | '[' | ']');
    if name.starts_with("__") {
        faults.push(GraphFault::Reserved { name: name.to_owned() });
    } else if name.is_empty() || name.chars().count() > 128 || name.chars().any(separates) {
        faults.push(GraphFault::BadName { name: name.to_owned() });
    }
}

/// Everything that is wrong with how the places are tied together.
pub(crate) fn check_ways(wiring: &Wiring, faults: &mut Vec<GraphFault>) {
    if wiring.followers(AT_START).is_empty() {
        faults.push(GraphFault::NoEntry);
        return;
    }
    let ahead: Vec<Vec<Place>> = (0..wiring.names.len()).map(|place| wiring.followers(place)).collect();
    let reached = reach(&ahead, AT_START);
    let names = |places: &dyn Fn(Place) -> bool| -> Vec<String> {
        (FIRST..wiring.names.len()).filter(|place| places(*place)).map(|place| wiring.name(place).to_string()).collect()
    };
    let lost = names(&|place| !reached.contains(&place));
    if !lost.is_empty() {
        faults.push(GraphFault::Unreachable { steps: lost });
    }
    let mut back = vec![Vec::new(); ahead.len()];
    for (from, to) in ahead.iter().enumerate().flat_map(|(from, all)| all.iter().map(move |to| (from, *to))) {
        back[to].push(from);
    }
    let ending = reach(&back, AT_END);
    // A step that leads nowhere ends its branch of the run by itself.
    let stuck = names(&|place| reached.contains(&place) && !ending.contains(&place) && !ends_itself(&ahead, place));
    if !stuck.is_empty() {
        faults.push(GraphFault::NoWayToEnd { steps: stuck });
    }
}

/// Whether from this place a place without any way out can be reached.
fn ends_itself(ahead: &[Vec<Place>], place: Place) -> bool {
    reach(ahead, place).iter().any(|place| ahead[*place].is_empty())
}

fn reach(ahead: &[Vec<Place>], from: Place) -> HashSet<Place> {
    let mut seen = HashSet::from([from]);
    let mut queue = VecDeque::from([from]);
    while let Some(place) = queue.pop_front() {
        queue.extend(ahead[place].iter().filter(|next| seen.insert(**next)));
    }
    seen
}

/// A cycle, if there is one: the places along it, the first one repeated at the end.
pub(crate) fn cycle(wiring: &Wiring) -> Option<Vec<String>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Open,
        Done,
    }
    let mut seen = vec![Seen::Not; wiring.names.len()];
    for root in 0..wiring.names.len() {
        if seen[root] != Seen::Not {
            continue;
        }
        seen[root] = Seen::Open;
        let mut path = vec![(root, wiring.followers(root), 0)];
        while let Some((place, ahead, next)) = path.last_mut() {
            let Some(to) = ahead.get(*next).copied() else {
                seen[*place] = Seen::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match seen[to] {
                Seen::Done => {}
                Seen::Not => {
                    seen[to] = Seen::Open;
                    path.push((to, wiring.followers(to), 0));
                }
                Seen::Open => {
                    let from = path.iter().position(|(place, ..)| *place == to).unwrap_or(0);
                    let along = path[from..].iter().map(|(place, ..)| *place).chain([to]);
                    return Some(along.map(|place| wiring.name(place).to_string()).collect());
                }
            }
        }
    }
    None
}

/// Pairs of steps that run in one super-step whatever the steps answer: both follow the same place by plain edges, or
/// they follow such a pair.
pub(crate) fn certain_pairs(wiring: &Wiring) -> BTreeSet<(Place, Place)> {
    let plain = |place: Place| -> &[Place] {
        let outs = &wiring.outs[place];
        if outs.goes == Goes::Nowhere { &outs.edges } else { &[] }
    };
    let mut pairs = BTreeSet::new();
    let mut queue = VecDeque::new();
    let mut add = |one: &[Place], two: &[Place], queue: &mut VecDeque<(Place, Place)>| {
        for (one, two) in one.iter().flat_map(|one| two.iter().map(move |two| (*one, *two))) {
            let pair = (one.min(two), one.max(two));
            if one != two && one >= FIRST && two >= FIRST && pairs.insert(pair) {
                queue.push_back(pair);
            }
        }
    };
    for place in 0..wiring.names.len() {
        add(plain(place), plain(place), &mut queue);
    }
    while let Some((one, two)) = queue.pop_front() {
        add(plain(one), plain(two), &mut queue);
    }
    pairs
}
