//! What io_uring offers on different kernels, as far as the engine makes use of it.

use std::fmt;

/// The kernel version whose features a ring uses, or may use at best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Features {
    /// Linux 6.1: `SINGLE_ISSUER`, `DEFER_TASKRUN`.
    Linux6_1,
    /// Linux 6.6: also `NO_SQARRAY`.
    Linux6_6,
    /// Linux 6.17: also a multishot receive that ends by itself after so many bytes. Without the
    /// bound it could not be stopped before a slow peer's bytes fill all buffers.
    #[default]
    Linux6_17,
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Features::Linux6_17 => {
                "single issuer, deferred task work, no submission array, bounded multishot receives"
            }
            Features::Linux6_6 => "single issuer, deferred task work, no submission array",
            Features::Linux6_1 => "single issuer, deferred task work",
        })
    }
}
