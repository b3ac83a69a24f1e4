//! Rules that hold for all sections: how durations, sizes, names, addresses and paths are written.

use super::super::{defaults, format_size};

/// A rule that `ringway help` knows by name.
pub(super) struct Rule {
    pub name: &'static str,
    /// Plain sentences.
    pub text: &'static str,
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "durations",
        text: "Durations are strings of whole numbers with the units ms, s, m, h and d, the larger \
               unit first: \"500ms\", \"5s\", \"1m30s\", \"2h\", \"1d\". A bare number is an error. \
               Numbers may have `_` between digits.",
    },
    Rule {
        name: "sizes",
        text: "Sizes are strings of one whole number with its unit: \"100B\", \"16KiB\"; also MiB \
               and GiB, and KB, MB and GB for powers of ten. A bare number is an error. Numbers may \
               have `_` between digits.",
    },
    Rule {
        name: "names",
        text: "Names are 1 to 64 of the characters A-Z a-z 0-9 _ . -. A name with a dot is quoted \
               in a header: [backend.\"app.v1\"].",
    },
    Rule {
        name: "addresses",
        text: "Addresses are `IP:port`, `[IPv6]:port` or `host:port`. The host name of a listener is \
               resolved at the start and at each reload to the first address that the system's \
               resolver gives; one that cannot be resolved is an error. `ringway help host-names` \
               tells of those of servers.",
    },
    Rule {
        name: "paths",
        text: "Paths of files begin in the working directory unless they begin with `/`.",
    },
];

/// What holds for the file as a whole.
pub(super) fn file() -> String {
    format!(
        "One TOML file in UTF-8, of at most {}. Unknown keys are errors. `ringway check` reports \
         every error of the file in one run; `ringway check --print-effective` prints the \
         configuration in effect, with every value filled in, and says which values were not \
         written.",
        format_size(defaults::FILE_BYTES_MAX)
    )
}
