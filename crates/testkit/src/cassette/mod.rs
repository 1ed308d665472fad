//! A run of one's own, recorded call by call, and played again without a network.

mod difference;
mod failure;
mod hidden;
mod line;
mod recording;
mod replay;

pub use difference::{Difference, ReplayError};
pub use recording::RecordingClient;
pub use replay::ReplayClient;
