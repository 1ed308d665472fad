//! The table of guest kinds: what each decorator promises, the adapter that calls it, and the row that tests walk.

use std::future::Future;
use std::ops::Deref;

use pyo3::prelude::*;
use serde_json::Value;

use crate::error::{BadShape, GuestError};
use crate::guest::{Guest, GuestOptions};
use crate::scope::Scope;
use crate::stream::GuestStream;
use crate::ticket::Args;

/// How Rust uses a method of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// One answer, asynchronous or from a worker thread.
    Call,
    /// An async generator.
    Stream,
    /// Told without waiting; errors go to the unraisable hook.
    Notify,
    /// An attribute, read when the guest is wrapped.
    Once,
}

/// One method of a kind.
#[derive(Debug, Clone, Copy)]
pub struct MethodRow {
    /// Its name in Python.
    pub name: &'static str,
    /// How it is used.
    pub verb: Verb,
    /// Whether a guest without it is refused.
    pub required: bool,
    /// Whether a callable guest without it stands for it.
    pub itself: bool,
    /// The names of its parameters.
    pub params: &'static [&'static str],
}

/// One kind of guest.
#[derive(Debug, Clone, Copy)]
pub struct KindRow {
    /// The kind's name, as in the registry.
    pub kind: &'static str,
    /// The decorator as users write it.
    pub decorator: &'static str,
    /// The adapter's Rust name.
    pub adapter: &'static str,
    /// What a guest of this kind must or may have.
    pub methods: &'static [MethodRow],
}

/// The row of a kind.
pub fn kind(name: &str) -> Option<&'static KindRow> {
    KINDS.iter().copied().find(|row| row.kind == name)
}

const fn flagged(flags: &[&str], wanted: &str) -> bool {
    let mut at = 0;
    while at < flags.len() {
        if same(flags[at].as_bytes(), wanted.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

const fn same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}

macro_rules! verb {
    (call) => {
        Verb::Call
    };
    (stream) => {
        Verb::Stream
    };
    (notify) => {
        Verb::Notify
    };
    (once) => {
        Verb::Once
    };
}

macro_rules! adapter_method {
    (call $method:ident) => {
        /// Calls the method of this name; see [`Guest::call`].
        pub fn $method<T, A, D>(
            &self,
            args: A,
            decode: D,
            scope: Option<&Scope>,
        ) -> impl Future<Output = Result<T, GuestError>> + Send + 'static + use<T, A, D>
        where
            T: Send + 'static,
            A: for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static,
            D: FnOnce(&Bound<'_, PyAny>) -> Result<T, BadShape> + Send + 'static,
        {
            self.0.call(stringify!($method), args, decode, scope)
        }
    };
    (stream $method:ident) => {
        /// The items of the method of this name; see [`Guest::stream`].
        pub fn $method<T, A, D>(&self, args: A, decode: D, scope: Option<&Scope>) -> GuestStream<T>
        where
            T: Send + 'static,
            A: for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static,
            D: FnMut(&Bound<'_, PyAny>) -> Result<T, BadShape> + Send + 'static,
        {
            self.0.stream(stringify!($method), args, decode, scope)
        }
    };
    (notify $method:ident) => {
        /// Tells the method of this name; see [`Guest::notify`].
        pub fn $method<A>(&self, args: A, scope: Option<&Scope>)
        where
            A: for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static,
        {
            self.0.notify(stringify!($method), args, scope);
        }
    };
    (once $method:ident) => {
        /// The attribute of this name, as it was when the guest was wrapped.
        pub fn $method(&self) -> Option<&Value> {
            self.0.once(stringify!($method))
        }
    };
}

/// Makes, for each kind, its row, its adapter and its place in [`KINDS`].
macro_rules! guest_kinds {
    ($($(#[$doc:meta])* $adapter:ident($kind:literal, $decorator:literal) {
        $($verb:ident $method:ident($($param:ident),*) $($flag:ident)*;)+
    })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone)]
            pub struct $adapter(pub Guest);

            impl $adapter {
                /// What a guest of this kind must be.
                pub const ROW: &'static KindRow = &KindRow {
                    kind: $kind,
                    decorator: $decorator,
                    adapter: stringify!($adapter),
                    methods: &[$(MethodRow {
                        name: stringify!($method),
                        verb: verb!($verb),
                        required: !flagged(&[$(stringify!($flag)),*], "optional"),
                        itself: flagged(&[$(stringify!($flag)),*], "itself"),
                        params: &[$(stringify!($param)),*],
                    }),+],
                };

                /// Wraps a Python object as a guest of this kind.
                ///
                /// # Errors
                /// As [`Guest::wrap`].
                pub fn wrap(
                    py: Python<'_>,
                    key: &str,
                    object: &Bound<'_, PyAny>,
                    options: GuestOptions,
                ) -> Result<Self, GuestError> {
                    Guest::wrap(py, Self::ROW, key, object, options).map(Self)
                }

                $(adapter_method!($verb $method);)+
            }

            impl Deref for $adapter {
                type Target = Guest;

                fn deref(&self) -> &Guest {
                    &self.0
                }
            }
        )+

        /// Every kind there is.
        pub static KINDS: &[&'static KindRow] = &[$($adapter::ROW),+];
    };
}

guest_kinds! {
    /// What a model may call: a function, or an object with `invoke`.
    GuestTool("tool", "@tool") {
        call invoke(args, ctx) itself;
        once name() optional;
        once description() optional;
    }

    /// Anything that takes one value and returns one: a function, or an object with `invoke` or `__call__`.
    GuestCallable("callable_", "@callable_") {
        call invoke(input, ctx) itself;
    }

    /// Is told every event; may have something to flush at the end.
    GuestTracer("tracer", "@tracer") {
        notify on_event(event) itself;
        call flush() optional;
    }

    /// A model: streams the events of one request.
    GuestInferenceClient("inference_client", "@inference_client") {
        stream stream(request, ctx) itself;
        once model() optional;
    }

    /// Writes the instructions of a run.
    GuestInstructionStrategy("strategy:instruction", "@strategy(kind=\"instruction\")") {
        call render(ctx) itself;
    }

    /// Selects the tools of a run.
    GuestToolStrategy("strategy:tool", "@strategy(kind=\"tool\")") {
        call select(ctx) itself;
    }

    /// Finds what is worth remembering in a run; may keep what the run said.
    GuestMemoryStrategy("strategy:memory", "@strategy(kind=\"memory\")") {
        call retrieve(ctx) itself;
        call store(ctx, messages) optional;
    }

    /// Decides which skills apply to a run.
    GuestSkillStrategy("strategy:skill", "@strategy(kind=\"skill\")") {
        call applicable(ctx) itself;
    }

    /// Does one iteration of a harness.
    GuestLoopStrategy("strategy:loop", "@strategy(kind=\"loop\")") {
        call step(state, ctx) itself;
        once effect() optional;
    }

    /// Says before each iteration of a harness whether it shall be ended.
    GuestTerminationStrategy("strategy:termination", "@strategy(kind=\"termination\")") {
        call should_terminate(state, ctx) itself;
    }

    /// Reads what a model wrote; may say how a model is told what to write.
    GuestParser("parser", "@parser") {
        call parse(text) itself;
        call format_instructions() optional;
    }

    /// Makes vectors of texts; of many at once where it can.
    GuestEmbedder("embedder", "@embedder") {
        call embed(text) itself;
        call embed_batch(texts) optional;
        once dim() optional;
        once model() optional;
    }

    /// Keeps vectors by id and finds the nearest.
    GuestAnnIndex("ann_index", "@ann_index") {
        call search(query, top_k);
        call upsert(id, vec);
        call len();
        call remove(id) optional;
        once dim() optional;
    }

    /// Finds documents.
    GuestRetriever("retriever", "@retriever") {
        call retrieve(query) itself;
    }

    /// Repairs a text that no parser could read.
    GuestRepairModel("repair_model", "@repair_model") {
        call repair(original, hint) itself;
    }

    /// Loads documents.
    GuestLoader("loader", "@loader") {
        call load() itself;
    }

    /// Cuts a document into pieces.
    GuestSplitter("splitter", "@splitter") {
        call split(document) itself;
    }

    /// Keeps vectors by key.
    GuestKvCache("kv_cache", "@kv_cache") {
        call get(key);
        call put(key, value);
    }

    /// Keeps what was said lately, in its order.
    GuestMemoryStore("memory_store", "@memory_store") {
        call put(namespace, item);
        call list(namespace, limit, before);
        call get(namespace, id) optional;
        call delete(namespace, id) optional;
        call search(namespace, query, limit) optional;
    }

    /// Keeps what shall be found again.
    GuestLongStore("long_store", "@long_store") {
        call put(namespace, key, value, embedding, ttl);
        call get(namespace, key);
        call delete(namespace, key);
        call search(namespace, about);
        call list_namespaces(prefix, limit) optional;
        call update(namespace, key, value, embedding, ttl) optional;
    }

    /// Keeps runs: a store of records, logs, blobs and leases.
    GuestJournal("journal", "@journal") {
        call commit(batch);
        call get(key);
        call scan(space, prefix, after, limit, reverse);
        call read(key, start, limit);
        call end(key);
        call blobs(ids);
        call acquire(key, owner, ttl_ms);
        call renew(lease, ttl_ms);
        call release(lease);
        call claim(space, owner, ttl_ms, limit);
        call sweep(grace_ms);
        call now() optional;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::GuestOptions;

    fn refusal(row: &'static KindRow, code: &std::ffi::CStr) -> String {
        Python::attach(|py| {
            let module = PyModule::from_code(py, code, c"guest.py", c"guest").unwrap();
            let object = module.getattr("guest").unwrap();
            Guest::wrap(py, row, "weather", &object, GuestOptions::default()).unwrap_err().to_string()
        })
    }

    #[test]
    fn every_kind_has_a_decorator_and_a_required_method() {
        for row in KINDS {
            let (name, family) = row.kind.split_once(':').unwrap_or((row.kind, ""));
            let family = if family.is_empty() { String::new() } else { format!("(kind={family:?})") };
            assert_eq!(row.decorator, format!("@{name}{family}"));
            assert!(row.methods.iter().any(|method| method.required), "{}", row.kind);
            assert_eq!(kind(row.kind).unwrap().adapter, row.adapter);
            let missing = refusal(row, c"guest = 7");
            let method = row.methods.iter().find(|method| method.required).unwrap();
            assert!(missing.starts_with(&format!("{} \"weather\": {} broke its contract", row.kind, method.name)));
            assert!(missing.contains("int has no method"), "{missing}");
        }
        assert!(kind("nonsense").is_none());
    }

    #[test]
    fn a_class_that_wants_arguments_is_refused() {
        let code = c"class guest:\n    def __init__(self, city): pass\n    def invoke(self, args): pass\n";
        let text = refusal(GuestTool::ROW, code);
        assert!(text.contains("__init__") && text.contains("decorate an instance instead"), "{text}");
    }

    #[test]
    fn what_a_class_raises_comes_back_as_itself() {
        let code = c"class guest:\n    def __init__(self): raise KeyError('no key')\n";
        assert_eq!(refusal(GuestTool::ROW, code), "KeyError: 'no key'");
    }

    #[test]
    fn a_generator_of_the_wrong_sort_is_refused() {
        assert!(refusal(GuestTool::ROW, c"async def guest(a): yield 1").contains("return one value"));
        assert!(refusal(GuestInferenceClient::ROW, c"def guest(a): yield 1").contains("must be an async generator"));
    }

    #[test]
    fn attributes_are_read_once_and_methods_found() {
        Python::attach(|py| {
            let code =
                c"class Weather:\n    name = 'w'\n    description = object()\n    async def invoke(self, args): pass\n";
            let class = PyModule::from_code(py, code, c"w.py", c"w").unwrap().getattr("Weather").unwrap();
            let tool = GuestTool::wrap(py, "weather", &class, GuestOptions::default()).unwrap();
            assert_eq!(tool.name(), Some(&Value::from("w")));
            assert_eq!(tool.description(), None, "an attribute that is no JSON value is somebody else's");
            assert!(tool.has("invoke") && !tool.has("flush"));
            assert!(tool.object(py).is_instance(&class).unwrap(), "a class is instantiated");
            assert_eq!(tool.flavor("invoke"), Some(crate::flavor::Flavor::Async));
        });
    }
}
