//! What an engine is made from, and why one could not be made.

/// Bounds of what an engine may take.
#[derive(Clone, Copy, Debug)]
pub struct ResourceLimits {
    /// Most memory for buffers, in bytes.
    pub buffer_bytes_max: u64,
    /// Most kernel pipes.
    pub pipes_max: usize,
}

/// Why an engine could not be made.
#[derive(Debug)]
pub struct SetupError {
    /// What was tried.
    pub step: &'static str,
    /// What the kernel said.
    pub error: std::io::Error,
}

impl SetupError {
    pub(super) fn new(step: &'static str) -> impl FnOnce(std::io::Error) -> SetupError {
        move |error| SetupError { step, error }
    }
}
