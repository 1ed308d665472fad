//! Models that run in this process: [`LocalRunnerClient`] makes an
//! [`InferenceClient`](atomr_agents_inference::InferenceClient) of any `ModelRunner` of the crate `atomr-infer-core`, the
//! interface of `atomr-infer`'s runtimes.
//!
//! That interface takes text and images and gives text. Tools, a forced shape of the answer, thinking and other media have no
//! place in it: a request that needs them is refused, not sent without them.
//!
//! This crate knows no runtime and loads no weights; it knows no tool and no agent.

mod classify;
mod client;
mod lower;

pub use atomr_infer_core as infer;
pub use client::LocalRunnerClient;
