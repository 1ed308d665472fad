//! How a callable runs: read from its code object, without importing `inspect`.

use pyo3::prelude::*;

/// How a guest's method runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// A coroutine function: a task of the caller's loop.
    Async,
    /// An async generator function: a stream on the caller's loop.
    AsyncGen,
    /// A plain callable: a worker thread.
    Thread,
    /// A plain callable that is declared quick: the loop's own thread.
    Inline,
}

const GENERATOR: u32 = 0x20;
const COROUTINE: u32 = 0x80;
const ITERABLE_COROUTINE: u32 = 0x100;
const ASYNC_GENERATOR: u32 = 0x200;

/// The flavour of `callable`; `None` never happens for callables, but an attribute that raises is no reason to fail.
pub(crate) fn flavor_of(callable: &Bound<'_, PyAny>, inline: bool) -> Option<Flavor> {
    let flags = flags(callable)?;
    Some(if flags & ASYNC_GENERATOR != 0 {
        Flavor::AsyncGen
    } else if flags & (COROUTINE | ITERABLE_COROUTINE) != 0 || is_marked(callable) {
        Flavor::Async
    } else if inline {
        Flavor::Inline
    } else {
        Flavor::Thread
    })
}

/// Whether `callable` is a plain generator function.
pub(crate) fn is_generator(callable: &Bound<'_, PyAny>) -> bool {
    flags(callable).is_some_and(|flags| flags & GENERATOR != 0)
}

/// Whether the attribute is there and true.
pub(crate) fn is_true(object: &Bound<'_, PyAny>, name: &str) -> bool {
    object.getattr_opt(name).ok().flatten().is_some_and(|value| value.is_truthy().unwrap_or(false))
}

/// What `inspect.markcoroutinefunction` and compilers of Python leave on callables without a code object.
fn is_marked(callable: &Bound<'_, PyAny>) -> bool {
    ["_is_coroutine_mark", "_is_coroutine"]
        .iter()
        .any(|name| callable.getattr_opt(*name).ok().flatten().is_some_and(|mark| !mark.is_none()))
}

fn flags(callable: &Bound<'_, PyAny>) -> Option<u32> {
    let mut callable = callable.clone();
    // Through `functools.partial`, bound methods and callable objects to the function below; the bound is against cycles.
    for _ in 0..16 {
        if let Some(code) = callable.getattr_opt("__code__").ok()? {
            return code.getattr("co_flags").and_then(|flags| flags.extract()).ok();
        }
        let below = match callable.getattr_opt("func").ok()?.filter(|_| is_partial(&callable)) {
            Some(function) => Some(function),
            None => callable.getattr_opt("__func__").ok()?,
        };
        callable = match below {
            Some(below) => below,
            None => match callable.get_type().getattr_opt("__call__").ok()? {
                // A slot wrapper has no code: a built-in callable, plain by definition.
                Some(call) if call.hasattr("__code__").unwrap_or(false) => call,
                _ => return Some(0),
            },
        };
    }
    Some(0)
}

fn is_partial(callable: &Bound<'_, PyAny>) -> bool {
    callable.get_type().qualname().is_ok_and(|name| name == "partial")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &std::ffi::CStr = c"
import functools
async def a(): pass
async def g(): yield 1
def s(): pass
class Call:
    async def __call__(self): pass
class Plain:
    def __call__(self): pass
class Methods:
    async def run(self): pass
table = dict(a=a, partial=functools.partial(functools.partial(a)), call=Call(), bound=Methods().run, g=g, s=s,
    plain=Plain(), builtin=len, type_=int, wrapped=functools.wraps(s)(a))
";

    #[test]
    fn the_flavour_is_found_through_every_wrapping() {
        Python::attach(|py| {
            let table = PyModule::from_code(py, CODE, c"flavours.py", c"flavours").unwrap().getattr("table").unwrap();
            let of = |name: &str| flavor_of(&table.get_item(name).unwrap(), false).unwrap();
            for name in ["a", "partial", "call", "bound", "wrapped"] {
                assert_eq!(of(name), Flavor::Async, "{name}");
            }
            assert_eq!(of("g"), Flavor::AsyncGen);
            for name in ["s", "plain", "builtin", "type_"] {
                assert_eq!(of(name), Flavor::Thread, "{name}");
            }
            assert_eq!(flavor_of(&table.get_item("s").unwrap(), true), Some(Flavor::Inline));
        });
    }
}
