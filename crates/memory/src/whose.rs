//! Whose memory a call works with, said by the host.

use std::fmt::Debug;
use std::sync::Arc;

use atomr_agents_core::CallCtx;
use futures_util::future::BoxFuture;

use crate::{MemoryError, Namespace};

/// Says in which namespace a call remembers and recalls. It is asked by the strategies and tools, with the call's
/// context; a model has no part in it.
///
/// ```
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_memory::{Namespace, MemoryError, Whose};
/// use futures_util::future::BoxFuture;
///
/// /// Who is served, as the host put it into the context.
/// struct User(String);
///
/// #[derive(Debug)]
/// struct OfUser;
///
/// impl Whose for OfUser {
///     fn namespace<'a>(&'a self, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Namespace, MemoryError>> {
///         Box::pin(async move { Namespace::new(["users", &ctx.get::<User>().expect("a user is served").0]) })
///     }
/// }
/// ```
pub trait Whose: Debug + Send + Sync + 'static {
    /// The namespace of this call.
    ///
    /// # Errors
    /// Where nobody can be told: then nothing is remembered or recalled.
    fn namespace<'a>(&'a self, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Namespace, MemoryError>>;
}

/// The same namespace in every call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed(pub Namespace);

impl Whose for Fixed {
    fn namespace<'a>(&'a self, _ctx: &'a CallCtx) -> BoxFuture<'a, Result<Namespace, MemoryError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

impl<W: Whose + ?Sized> Whose for Arc<W> {
    fn namespace<'a>(&'a self, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Namespace, MemoryError>> {
        (**self).namespace(ctx)
    }
}
