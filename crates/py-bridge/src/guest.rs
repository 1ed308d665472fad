//! The one way in: a Python function, instance or class that Rust calls by the contract of its kind.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyType};
use serde_json::Value;

use crate::call::{CallState, Finish, Outcome, Waiter};
use crate::codec::arguments;
use crate::error::{BadShape, GuestError};
use crate::flavor::{Flavor, flavor_of, is_true};
use crate::kinds::{KindRow, MethodRow, Verb};
use crate::notify::Notices;
use crate::port::{Job, LoopPort};
use crate::scope::Scope;
use crate::slot::slot;
use crate::stream::GuestStream;
use crate::ticket::{Args, Ticket};
use crate::{glue, json, pool, runtime};

/// How a guest is wrapped.
#[derive(Debug, Clone, Copy, Default)]
pub struct GuestOptions {
    /// Synchronous methods are pure and quick: run them on the loop's own thread instead of a worker thread. An object
    /// says the same of itself with `__atomr_inline__ = True`.
    pub inline: bool,
}

/// A Python object that keeps the contract of its kind. Cheap to clone; dropping it needs no interpreter.
#[derive(Clone)]
pub struct Guest(Arc<Inner>);

struct Inner {
    row: &'static KindRow,
    key: String,
    object: Py<PyAny>,
    origin: Weak<LoopPort>,
    methods: HashMap<&'static str, Arc<Method>>,
    once: HashMap<&'static str, Value>,
    /// For plain functions that are told: one call of it stands for many of theirs, see [`Guest::each`].
    each: HashMap<&'static str, Arc<Method>>,
    notices: Notices,
}

/// One resolved method of a guest.
pub(crate) struct Method {
    callable: Py<PyAny>,
    pub(crate) flavor: Flavor,
}

impl Method {
    pub(crate) fn callable<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.callable.bind(py).clone()
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guest({}.{})", self.kind(), self.key())
    }
}

impl Guest {
    /// Wraps `object` and checks it against the row of its kind. A class is instantiated without arguments; a function
    /// stands for the method that the row marks `itself`.
    ///
    /// # Errors
    /// `Contract`, naming decorator, key and method, if the object is no such guest; what a class raised while it was
    /// instantiated comes back as itself.
    pub fn wrap(
        py: Python<'_>,
        row: &'static KindRow,
        key: &str,
        object: &Bound<'_, PyAny>,
        options: GuestOptions,
    ) -> Result<Self, GuestError> {
        let object = if object.is_instance_of::<PyType>() { instantiate(row, key, object)? } else { object.clone() };
        let inline = options.inline || is_true(&object, "__atomr_inline__");
        let mut methods = HashMap::new();
        let mut once = HashMap::new();
        let mut each = HashMap::new();
        for method in row.methods {
            if let Verb::Once = method.verb {
                if let Some(value) = read_once(row, key, &object, method)? {
                    once.insert(method.name, value);
                }
            } else if let Some(found) = resolve(row, key, &object, method, inline)? {
                if found.flavor == Flavor::Thread {
                    pool::want();
                }
                if method.verb == Verb::Notify && matches!(found.flavor, Flavor::Thread | Flavor::Inline) {
                    let glue = glue::glue(py).map_err(|error| GuestError::raised(py, error))?;
                    each.insert(
                        method.name,
                        Arc::new(Method { callable: glue.each.clone_ref(py), flavor: found.flavor }),
                    );
                }
                methods.insert(method.name, Arc::new(found));
            }
        }
        Ok(Self(Arc::new(Inner {
            row,
            key: key.to_owned(),
            object: object.unbind(),
            origin: LoopPort::origin(py),
            methods,
            once,
            each,
            notices: Notices::default(),
        })))
    }

    /// The kind's name, such as `tool`.
    pub fn kind(&self) -> &'static str {
        self.0.row.kind
    }

    /// The key under which the guest is known.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The wrapped object: for a class, its instance.
    pub fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.0.object.bind(py).clone()
    }

    /// Whether the guest has this method; only an optional one can be missing.
    pub fn has(&self, method: &str) -> bool {
        self.0.methods.contains_key(method)
    }

    /// How this method runs.
    pub fn flavor(&self, method: &str) -> Option<Flavor> {
        self.0.methods.get(method).map(|method| method.flavor)
    }

    /// An attribute that was read when the guest was wrapped.
    pub fn once(&self, name: &str) -> Option<&Value> {
        self.0.once.get(name)
    }

    /// Calls a method. Asynchronous ones run as a task of the caller's loop, synchronous ones on a worker thread.
    ///
    /// The future is lazy; dropping it cancels the task, or leaves the thread to itself.
    pub fn call<T, A, D>(
        &self,
        method: &'static str,
        args: A,
        decode: D,
        scope: Option<&Scope>,
    ) -> impl Future<Output = Result<T, GuestError>> + Send + 'static + use<T, A, D>
    where
        T: Send + 'static,
        A: for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static,
        D: FnOnce(&Bound<'_, PyAny>) -> Result<T, BadShape> + Send + 'static,
    {
        let guest = self.clone();
        let scope = scope.cloned();
        async move {
            let found = guest.method(method)?;
            guest.run(method, found, args, decode, scope).await
        }
    }

    /// Whether [`Guest::each`] can tell this method many things at once: it is a plain function.
    pub fn has_each(&self, method: &str) -> bool {
        self.0.each.contains_key(method)
    }

    /// Tells a plain function many things, in their order, on one visit to its thread; waits until it has heard them.
    /// What it raises goes to `sys.unraisablehook` and does not keep it from the rest.
    ///
    /// # Errors
    /// `Contract` if there is no such plain method (see [`Guest::has_each`]); otherwise as [`Guest::call`], with nothing
    /// said of single calls.
    pub async fn each<A>(&self, method: &'static str, items: A, scope: Option<&Scope>) -> Result<(), GuestError>
    where
        A: for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyList>> + Send + 'static,
    {
        let each = self.0.each.get(method).cloned();
        let Some(each) = each else {
            return Err(GuestError::contract(self.kind(), self.key(), method, "the guest has no such plain method"));
        };
        let told = self.method(method)?;
        let args = arguments(move |py: Python<'_>| {
            let items = items(py)?;
            Ok(Args::positional((told.callable(py), items).into_pyobject(py)?))
        });
        self.clone().run(method, each, args, |_| Ok(()), scope.cloned()).await
    }

    async fn run<T, A, D>(
        self,
        method: &'static str,
        found: Arc<Method>,
        args: A,
        decode: D,
        scope: Option<Scope>,
    ) -> Result<T, GuestError>
    where
        T: Send + 'static,
        A: for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static,
        D: FnOnce(&Bound<'_, PyAny>) -> Result<T, BadShape> + Send + 'static,
    {
        let guest = self;
        runtime::alive()?;
        let port = guest.port(scope.as_ref());
        if port.is_none() && !matches!(found.flavor, Flavor::Thread | Flavor::Inline) {
            return Err(guest.no_loop());
        }
        let (tell, told) = slot();
        let who = guest.clone();
        let finish: Finish = Box::new(move |outcome| {
            let result = match outcome {
                Outcome::Value(value) => decode(value).map_err(|bad| who.breach(method, &bad)),
                Outcome::Failed(GuestError::NoEventLoop { .. }) => Err(who.no_loop()),
                Outcome::Failed(error) => Err(error),
            };
            tell.set(result)
        });
        let state = CallState::new(port.clone(), scope.as_ref().map(Scope::enter), finish);
        let ticket = Ticket { state: state.clone(), method: found, scope, build: Box::new(args) };
        let _waiter = Waiter(state.clone());
        start(ticket, port.as_ref());
        told.await.unwrap_or_else(|| Err(lost(port.as_ref())))
    }

    /// Calls a method that is an async generator; its items come through a bounded queue.
    ///
    /// The stream is lazy; dropping it closes the generator with `aclose`, so that its `finally` runs.
    pub fn stream<T, A, D>(&self, method: &'static str, args: A, decode: D, scope: Option<&Scope>) -> GuestStream<T>
    where
        T: Send + 'static,
        A: for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static,
        D: FnMut(&Bound<'_, PyAny>) -> Result<T, BadShape> + Send + 'static,
    {
        GuestStream::new(self.clone(), method, Box::new(args), Box::new(decode), scope.cloned())
    }

    /// Tells the guest something. Returns at once; notices of one guest arrive in their order, and what the guest raises
    /// goes to `sys.unraisablehook`.
    pub fn notify<A>(&self, method: &'static str, args: A, scope: Option<&Scope>)
    where
        A: for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static,
    {
        if self.has(method) {
            self.0.notices.push(self, method, Box::new(args), scope.cloned());
        }
    }

    /// Waits until everything that the guest was told so far has arrived.
    pub async fn told(&self) {
        self.0.notices.delivered().await;
    }

    /// How many notices were dropped because the guest could not keep up.
    pub fn missed(&self) -> u64 {
        self.0.notices.missed()
    }

    pub(crate) fn notices(&self) -> &Notices {
        &self.0.notices
    }

    pub(crate) fn method(&self, name: &str) -> Result<Arc<Method>, GuestError> {
        let found = self.0.methods.get(name).cloned();
        found.ok_or_else(|| GuestError::contract(self.kind(), self.key(), name, "the guest has no such method"))
    }

    /// The caller's loop first, the loop of origin second.
    pub(crate) fn port(&self, scope: Option<&Scope>) -> Option<Arc<LoopPort>> {
        match scope {
            Some(scope) => Some(scope.port().clone()),
            None => self.0.origin.upgrade().filter(|port| !port.is_closed()),
        }
    }

    pub(crate) fn breach(&self, method: &str, bad: &BadShape) -> GuestError {
        GuestError::contract(self.kind(), self.key(), method, bad.message.clone())
    }

    pub(crate) fn no_loop(&self) -> GuestError {
        GuestError::NoEventLoop { guest: format!("{}.{}", self.kind(), self.key()) }
    }
}

/// Why a call ended without a word.
pub(crate) fn lost(port: Option<&Arc<LoopPort>>) -> GuestError {
    if let Err(error) = runtime::alive() {
        error
    } else if port.is_some_and(|port| port.is_closed()) {
        GuestError::LoopClosed
    } else {
        GuestError::Panicked { message: "the call was lost while its result was read".to_owned() }
    }
}

fn start(ticket: Ticket, port: Option<&Arc<LoopPort>>) {
    let state = ticket.state.clone();
    match (ticket.method.flavor, port) {
        (Flavor::Inline, Some(port)) => state.send(port, Job::Inline(ticket)),
        (Flavor::Thread | Flavor::Inline, _) => pool::submit(ticket),
        (Flavor::Async | Flavor::AsyncGen, Some(port)) => state.send(port, Job::Start(ticket)),
        (Flavor::Async | Flavor::AsyncGen, None) => {
            state.settle(Outcome::Failed(GuestError::NoEventLoop { guest: String::new() }));
        }
    }
}

fn instantiate<'py>(row: &KindRow, key: &str, class: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, GuestError> {
    let py = class.py();
    class.call0().map_err(|error| {
        // A TypeError without a frame of its own is the call's: the class wants arguments.
        if error.is_instance_of::<pyo3::exceptions::PyTypeError>(py) && error.traceback(py).is_none() {
            let why = BadShape::from(error).message;
            let text = format!("the class must be callable without arguments ({why}); decorate an instance instead");
            GuestError::contract(row.kind, key, "__init__", text)
        } else {
            GuestError::raised(py, error)
        }
    })
}

fn read_once(
    row: &KindRow,
    key: &str,
    object: &Bound<'_, PyAny>,
    method: &MethodRow,
) -> Result<Option<Value>, GuestError> {
    let py = object.py();
    match object.getattr_opt(method.name).map_err(|error| GuestError::raised(py, error))? {
        Some(value) => match json::from_py(&value) {
            Ok(value) => Ok(Some(value)),
            Err(fault) if method.required => Err(GuestError::contract(row.kind, key, method.name, fault.to_string())),
            // An attribute that merely has the same name, such as the weights that a client calls `model`.
            Err(_) => Ok(None),
        },
        None if method.required => Err(missing(row, key, object, method)),
        None => Ok(None),
    }
}

fn resolve(
    row: &KindRow,
    key: &str,
    object: &Bound<'_, PyAny>,
    method: &'static MethodRow,
    inline: bool,
) -> Result<Option<Method>, GuestError> {
    let py = object.py();
    let named = object.getattr_opt(method.name).map_err(|error| GuestError::raised(py, error))?;
    // Text has methods of these names, too (`split`), and nobody means them.
    let text = object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>();
    let callable = match named.filter(|named| named.is_callable() && !text) {
        Some(named) => named,
        None if method.itself && object.is_callable() => object.clone(),
        None if method.required => return Err(missing(row, key, object, method)),
        None => return Ok(None),
    };
    let inline = inline || is_true(&callable, "__atomr_inline__");
    let flavor = flavor_of(&callable, inline);
    let wrong = match (method.verb, flavor) {
        (Verb::Stream, Some(Flavor::Thread | Flavor::Inline)) if crate::flavor::is_generator(&callable) => {
            Some("it must be an async generator: `async def` with `yield`, this one is a plain generator")
        }
        (Verb::Call | Verb::Notify, Some(Flavor::AsyncGen)) => {
            Some("it must return one value, this one is an async generator")
        }
        _ => None,
    };
    if let Some(message) = wrong {
        return Err(GuestError::contract(row.kind, key, method.name, message));
    }
    Ok(Some(Method { callable: callable.unbind(), flavor: flavor.unwrap_or(Flavor::Thread) }))
}

fn missing(row: &KindRow, key: &str, object: &Bound<'_, PyAny>, method: &MethodRow) -> GuestError {
    let class = object.get_type().qualname().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    let or_callable = if method.itself { ", and is not callable itself" } else { "" };
    let params = method.params.join(", ");
    let text = format!("{class} has no method `{}({params})`{or_callable}", method.name);
    GuestError::contract(row.kind, key, method.name, text)
}
