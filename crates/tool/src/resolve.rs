//! Which versions of which sets belong together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use semver::{Version, VersionReq};

use crate::registry::Index;
use crate::{CheckedTool, Dependency, ToolSet, ToolSetError, Toolbox};

/// The most sets that one resolution may hold.
const MAX_SETS: usize = 256;
/// The most versions that are tried before giving up.
const MAX_TRIES: usize = 20_000;

/// Sets that belong together: what was asked for and all that it needs, one version of each.
#[derive(Clone, Debug)]
pub struct Resolution {
    sets: Vec<Arc<ToolSet>>,
}

impl Resolution {
    /// Exactly these sets, if they have all that they need among them. One that is given twice counts once.
    ///
    /// # Errors
    /// As [`crate::ToolSetRegistry::resolve`], which looks for what is needed among the published ones.
    pub fn of(sets: &[Arc<ToolSet>]) -> Result<Self, ToolSetError> {
        let mut index = Index::new();
        let mut wanted: Vec<Dependency> = Vec::with_capacity(sets.len());
        for set in sets {
            let versions = index.entry(set.id().to_owned()).or_default();
            let requirement = exactly(set.version());
            match versions.insert(set.version().clone(), Arc::clone(set)) {
                Some(other) if Arc::ptr_eq(&other, set) => {}
                Some(_) => {
                    let (id, available) = (set.id().to_owned(), vec![set.version().clone()]);
                    let wanted = vec![(None, requirement.clone()), (None, requirement)];
                    return Err(ToolSetError::Conflict { id, wanted, available });
                }
                None => wanted.push(Dependency { id: set.id().to_owned(), requirement }),
            }
        }
        resolve(&index, &wanted)
    }

    /// The sets, each after those that it needs.
    #[must_use]
    pub fn sets(&self) -> &[Arc<ToolSet>] {
        &self.sets
    }

    /// All their tools.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<CheckedTool>> {
        self.sets.iter().flat_map(|set| set.toolbox().tools())
    }

    /// All their tools, ready to be offered to a model.
    ///
    /// # Errors
    /// [`ToolSetError::DuplicateTool`]; never for what [`crate::ToolSetRegistry::resolve`] gave.
    pub fn toolbox(&self) -> Result<Toolbox, ToolSetError> {
        check_names(&self.sets)?;
        Toolbox::from_checked(self.tools().cloned().collect())
            .map_err(|source| ToolSetError::Tool { id: self.sets.last().map_or("", |set| set.id()).to_owned(), source })
    }
}

/// The range that holds this version alone.
pub(crate) fn exactly(version: &Version) -> VersionReq {
    let comparator = semver::Comparator {
        op: semver::Op::Exact,
        major: version.major,
        minor: Some(version.minor),
        patch: Some(version.patch),
        pre: version.pre.clone(),
    };
    VersionReq { comparators: vec![comparator] }
}

/// Somebody needs a set.
struct Demand<'a> {
    by: Option<&'a ToolSet>,
    what: &'a Dependency,
}

/// Tries the newest versions first and goes back where they do not fit.
struct Search<'a> {
    index: &'a Index,
    demands: Vec<Demand<'a>>,
    chosen: BTreeMap<&'a str, &'a Arc<ToolSet>>,
    tries: usize,
}

pub(crate) fn resolve(index: &Index, wanted: &[Dependency]) -> Result<Resolution, ToolSetError> {
    let demands = wanted.iter().map(|what| Demand { by: None, what }).collect();
    let mut search = Search { index, demands, chosen: BTreeMap::new(), tries: 0 };
    search.solve(0).map(|sets| Resolution { sets })
}

impl<'a> Search<'a> {
    /// Meets the demands from the `next` one on. What was chosen is as before when it fails.
    fn solve(&mut self, mut next: usize) -> Result<Vec<Arc<ToolSet>>, ToolSetError> {
        let what = loop {
            let Some(demand) = self.demands.get(next) else { return self.finish() };
            match self.chosen.get(demand.what.id.as_str()) {
                None => break demand.what,
                Some(chosen) if demand.what.requirement.matches(chosen.version()) => next += 1,
                Some(_) => return Err(self.conflict(&demand.what.id)),
            }
        };
        if self.chosen.len() == MAX_SETS {
            return Err(ToolSetError::TooComplex { limit: MAX_SETS, what: "sets" });
        }
        let mut first = None;
        for candidate in self.candidates(next)? {
            self.tries += 1;
            if self.tries > MAX_TRIES {
                return Err(ToolSetError::TooComplex { limit: MAX_TRIES, what: "tries" });
            }
            let before = self.demands.len();
            let set: &'a ToolSet = candidate;
            self.chosen.insert(set.id(), candidate);
            self.demands.extend(set.dependencies().iter().map(|what| Demand { by: Some(set), what }));
            match self.solve(next + 1) {
                Ok(sets) => return Ok(sets),
                Err(error @ ToolSetError::TooComplex { .. }) => return Err(error),
                // What stands against the newest version is what its user wants to know.
                Err(error) => first = first.or(Some(error)),
            }
            self.demands.truncate(before);
            self.chosen.remove(set.id());
        }
        Err(first.unwrap_or_else(|| self.conflict(&what.id)))
    }

    /// The versions that suit all who are known to need the set, newest first.
    fn candidates(&self, next: usize) -> Result<Vec<&'a Arc<ToolSet>>, ToolSetError> {
        let Demand { by, what } = &self.demands[next];
        let index: &'a Index = self.index;
        let versions = index.get(&what.id);
        let suits = |version: &Version| what.requirement.matches(version);
        if !versions.is_some_and(|versions| versions.keys().any(suits)) {
            return Err(ToolSetError::Missing {
                id: what.id.clone(),
                requirement: what.requirement.clone(),
                by: by.map(ToString::to_string),
                available: self.available(&what.id),
            });
        }
        let asked: Vec<_> = self.demands.iter().filter(|demand| demand.what.id == what.id).collect();
        let suits_all = |version: &Version| asked.iter().all(|demand| demand.what.requirement.matches(version));
        let all = versions.into_iter().flatten().rev();
        Ok(all.filter(|(version, _)| suits_all(version)).map(|(_, set)| set).collect())
    }

    fn available(&self, id: &str) -> Vec<Version> {
        self.index.get(id).map_or_else(Vec::new, |versions| versions.keys().cloned().collect())
    }

    fn conflict(&self, id: &str) -> ToolSetError {
        let asked = self.demands.iter().filter(|demand| demand.what.id == id);
        let wanted = asked.map(|demand| (demand.by.map(ToString::to_string), demand.what.requirement.clone()));
        ToolSetError::Conflict { id: id.to_owned(), wanted: wanted.collect(), available: self.available(id) }
    }

    /// Every demand is met: puts the sets in order and looks at them as a whole.
    fn finish(&self) -> Result<Vec<Arc<ToolSet>>, ToolSetError> {
        let mut order = Order { chosen: &self.chosen, done: Vec::new(), path: Vec::new() };
        for demand in self.demands.iter().filter(|demand| demand.by.is_none()) {
            order.visit(&demand.what.id)?;
        }
        check_names(&order.done)?;
        Ok(order.done)
    }
}

/// Puts sets behind those that they need.
struct Order<'a> {
    chosen: &'a BTreeMap<&'a str, &'a Arc<ToolSet>>,
    done: Vec<Arc<ToolSet>>,
    path: Vec<&'a Arc<ToolSet>>,
}

impl Order<'_> {
    fn visit(&mut self, id: &str) -> Result<(), ToolSetError> {
        let Some(set) = self.chosen.get(id) else { return Ok(()) };
        if self.done.iter().any(|done| done.id() == id) {
            return Ok(());
        }
        if let Some(start) = self.path.iter().position(|open| open.id() == id) {
            let circle = self.path[start..].iter().chain([set]);
            return Err(ToolSetError::Cycle { path: circle.map(ToString::to_string).collect() });
        }
        self.path.push(set);
        for dependency in set.dependencies() {
            self.visit(&dependency.id)?;
        }
        self.path.pop();
        self.done.push(Arc::clone(set));
        Ok(())
    }
}

fn check_names(sets: &[Arc<ToolSet>]) -> Result<(), ToolSetError> {
    let mut owners: HashMap<&str, &ToolSet> = HashMap::new();
    for set in sets {
        for tool in set.toolbox().tools() {
            let name = tool.tool().spec().name.as_str();
            if let Some(first) = owners.insert(name, set) {
                return Err(ToolSetError::DuplicateTool {
                    name: name.to_owned(),
                    first: first.to_string(),
                    second: set.to_string(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FnTool, ToolSetRegistry};
    use proptest::prelude::*;
    use serde_json::json;

    fn set(id: &str, version: &str, needs: &[(&str, &str)], tools: &[&str]) -> ToolSet {
        let builder = needs.iter().fold(ToolSet::builder(id, version), |set, (id, range)| set.depends_on(id, range));
        let tool =
            |name: &&str| Arc::new(FnTool::new(name, "", json!({"type": "object"}), |_, _| async { Ok(json!(1)) }));
        tools.iter().fold(builder, |set, name| set.tool(tool(name))).build().unwrap()
    }

    fn registry(sets: Vec<ToolSet>) -> ToolSetRegistry {
        let registry = ToolSetRegistry::new();
        sets.into_iter().for_each(|set| drop(registry.publish(set).unwrap()));
        registry
    }

    fn resolve(registry: &ToolSetRegistry, wanted: &[(&str, &str)]) -> Result<Vec<String>, ToolSetError> {
        let wanted: Vec<_> = wanted.iter().map(|(id, range)| Dependency::new(id, range).unwrap()).collect();
        registry.resolve(&wanted).map(|found| found.sets().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_closure_comes_in_order_with_one_version_of_each() {
        let registry = registry(vec![
            set("app", "1.0.0", &[("web", "^1"), ("files", "^2")], &["app"]),
            set("web", "1.0.0", &[("net", "^1")], &["fetch"]),
            set("web", "1.4.0", &[("net", "^1.1")], &["fetch"]),
            set("web", "2.0.0", &[], &["fetch"]),
            set("files", "2.1.0", &[("net", "<1.3")], &["read"]),
            set("net", "1.0.0", &[], &[]),
            set("net", "1.2.0", &[], &["ping"]),
            set("net", "1.3.0", &[], &["ping"]),
        ]);
        let found = resolve(&registry, &[("app", "*")]).unwrap();
        assert_eq!(found, ["net 1.2.0", "web 1.4.0", "files 2.1.0", "app 1.0.0"]);
        let wanted = [Dependency::new("app", "*").unwrap()];
        let toolbox = registry.resolve(&wanted).unwrap().toolbox().unwrap();
        let names: Vec<String> = toolbox.specs().iter().map(|spec| spec.name.clone()).collect();
        assert_eq!(names, ["ping", "fetch", "read", "app"]);
        assert!(resolve(&registry, &[]).unwrap().is_empty());
    }

    #[test]
    fn an_older_version_is_taken_where_the_newest_does_not_fit() {
        let registry = registry(vec![
            set("a", "1.0.0", &[("c", "^1")], &[]),
            set("a", "2.0.0", &[("gone", "*")], &[]),
            set("b", "1.0.0", &[("c", "^1")], &[]),
            set("c", "1.0.0", &[], &[]),
            set("c", "2.0.0", &[], &[]),
        ]);
        assert_eq!(resolve(&registry, &[("a", "*"), ("b", "*")]).unwrap(), ["c 1.0.0", "a 1.0.0", "b 1.0.0"]);
        // The demand that comes later still narrows what was chosen earlier.
        assert_eq!(resolve(&registry, &[("c", "*"), ("b", "*")]).unwrap(), ["c 1.0.0", "b 1.0.0"]);
    }

    #[test]
    fn what_stands_against_it_is_named() {
        let registry = registry(vec![
            set("a", "1.0.0", &[("c", "^1")], &[]),
            set("b", "1.0.0", &[("c", "^2")], &[]),
            set("c", "1.0.0", &[], &[]),
            set("c", "2.0.0", &[], &[]),
            set("d", "1.0.0", &[("gone", "^3")], &[]),
            set("e", "1.0.0", &[("c", "^9")], &[]),
            set("x", "1.0.0", &[("y", "*")], &["t"]),
            set("y", "1.0.0", &[("z", "*")], &[]),
            set("z", "1.0.0", &[("y", "*")], &[]),
            set("t1", "1.0.0", &[], &["t"]),
            set("t2", "1.0.0", &[], &["t"]),
        ]);
        let said = |wanted: &[(&str, &str)]| resolve(&registry, wanted).unwrap_err().to_string();
        assert_eq!(
            said(&[("a", "*"), ("b", "*")]),
            "no version of tool set c suits all: a 1.0.0 needs ^1, b 1.0.0 needs ^2; there is 1.0.0, 2.0.0"
        );
        assert_eq!(
            said(&[("d", "*")]),
            "no tool set gone ^3 is published, which d 1.0.0 needs; there is none of that id"
        );
        assert_eq!(said(&[("e", "*")]), "no tool set c ^9 is published, which e 1.0.0 needs; there is 1.0.0, 2.0.0");
        assert_eq!(said(&[("x", "*")]), "tool sets need each other in a circle: y 1.0.0 -> z 1.0.0 -> y 1.0.0");
        assert_eq!(said(&[("t1", "*"), ("t2", "*")]), "the tool \"t\" is both in t1 1.0.0 and in t2 1.0.0");
        assert!(matches!(resolve(&registry, &[("q", "*")]), Err(ToolSetError::Missing { by: None, .. })));
    }

    #[test]
    fn sets_that_are_put_together_must_have_what_they_need() {
        let web = Arc::new(set("web", "1.2.0", &[("net", "^1")], &[]));
        let net = Arc::new(set("net", "1.0.0", &[], &[]));
        let old = Arc::new(set("net", "0.9.0", &[], &[]));
        let of = |sets: &[&Arc<ToolSet>]| Resolution::of(&sets.iter().map(|set| Arc::clone(set)).collect::<Vec<_>>());
        assert_eq!(of(&[&web, &net, &web]).unwrap().sets().len(), 2);
        assert!(matches!(of(&[&web]), Err(ToolSetError::Missing { by: Some(_), .. })));
        assert!(matches!(of(&[&web, &old]), Err(ToolSetError::Conflict { .. })));
        assert!(matches!(of(&[&net, &old]), Err(ToolSetError::Conflict { .. })));
        let other = Arc::new(set("net", "1.0.0", &[], &[]));
        assert!(matches!(of(&[&net, &other]), Err(ToolSetError::Conflict { .. })));
    }

    #[test]
    fn entangled_sets_end_with_an_error_instead_of_a_long_search() {
        let ids: Vec<String> = (0..30).map(|number| format!("s{number}")).collect();
        let mut sets = vec![set("last", "1.0.0", &[("gone", "*")], &[])];
        for (number, id) in ids.iter().enumerate() {
            let next = ids.get(number + 1).map_or("last", String::as_str);
            for version in ["1.0.0", "1.1.0", "1.2.0"] {
                sets.push(set(id, version, &[(next, "*")], &[]));
            }
        }
        let said = resolve(&registry(sets), &[("s0", "*")]).unwrap_err();
        assert!(matches!(said, ToolSetError::TooComplex { limit: MAX_TRIES, .. }), "{said}");
    }

    const RANGES: [&str; 4] = ["*", "=1.0.0", ">=2", "<3"];

    proptest! {
        /// Five sets of three versions each: compares with trying every combination.
        #[test]
        fn a_resolution_exists_exactly_where_some_combination_fits(
            needs in prop::collection::vec(prop::collection::vec((0usize..5, 0usize..4), 0..3), 15),
        ) {
            let id = |number: usize| format!("s{number}");
            let mut sets = Vec::new();
            for (at, needs) in needs.iter().enumerate() {
                let (owner, version) = (at / 3, at % 3 + 1);
                let mut builder = ToolSet::builder(&id(owner), &format!("{version}.0.0"));
                let mut named = vec![owner];
                for &(other, range) in needs {
                    // Only later sets are needed, so that there is no circle; each once.
                    if other > owner && !named.contains(&other) {
                        named.push(other);
                        builder = builder.depends_on(&id(other), RANGES[range]);
                    }
                }
                sets.push(builder.build().unwrap());
            }
            let fits = |versions: &[usize]| (0..5).all(|owner| {
                let reached = reaches(&sets, versions, owner);
                !reached || sets[owner * 3 + versions[owner]].dependencies().iter().all(|need| {
                    let other: usize = need.id[1..].parse().unwrap();
                    need.requirement.matches(sets[other * 3 + versions[other]].version())
                })
            });
            let possible = (0..243usize).any(|code| {
                let versions: Vec<usize> = (0..5u32).map(|place| code / 3usize.pow(place) % 3).collect();
                fits(&versions)
            });
            let found = registry(sets.clone()).resolve(&[Dependency::new("s0", "*").unwrap()]);
            prop_assert_eq!(found.is_ok(), possible);
            if let Ok(found) = found {
                let sets = found.sets();
                for (at, set) in sets.iter().enumerate() {
                    for need in set.dependencies() {
                        let place = sets.iter().position(|other| other.id() == need.id).unwrap();
                        prop_assert!(place < at && need.requirement.matches(sets[place].version()));
                    }
                }
            }
        }
    }

    fn reaches(sets: &[ToolSet], versions: &[usize], goal: usize) -> bool {
        let mut open = vec![0usize];
        while let Some(at) = open.pop() {
            if at == goal {
                return true;
            }
            let needs = sets[at * 3 + versions[at]].dependencies();
            open.extend(needs.iter().map(|need| need.id[1..].parse::<usize>().unwrap()));
        }
        false
    }
}
