//! Known names that are like an unknown one, for messages that ask "did you mean".

/// Names that are at least this near to one that is unknown are proposed for it.
const NEAR: f64 = 0.7;

/// No name of ours is as long, in bytes: one that is longer is near to none.
const NAME_LEN_MAX: usize = 256;

/// Names that are proposed at most.
const NEAR_MAX: usize = 3;

/// The names that are most like this one, the most first.
pub fn near(wanted: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    if wanted.len() > NAME_LEN_MAX {
        return Vec::new();
    }
    let likeness = |name: &str| strsim::jaro_winkler(wanted, name);
    let mut names: Vec<(f64, String)> = names.map(|name| (likeness(&name), name)).collect();
    names.retain(|(likeness, _)| *likeness >= NEAR);
    names.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    names.truncate(NEAR_MAX);
    names.into_iter().map(|(_, name)| name).collect()
}

/// A sentence: there is nothing of this kind and name. It ends with near names, or else with `where_all_are`.
pub fn unknown(
    kind: &str,
    wanted: &str,
    names: impl Iterator<Item = String>,
    where_all_are: &str,
) -> String {
    match near(wanted, names).as_slice() {
        [] => format!("there is no {kind} {wanted}: {where_all_are} has the names"),
        near => format!(
            "there is no {kind} {wanted}: did you mean {}?",
            near.join(" or ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_near_are_proposed() {
        let all = ["app/web1", "app/web2", "db/primary"].map(str::to_owned);
        let near = |wanted| near(wanted, all.clone().into_iter());
        assert_eq!(near("app/wbe1"), ["app/web1", "app/web2"]);
        assert_eq!(near("db/primray"), ["db/primary"]);
        assert_eq!(near("zzz/zzz"), Vec::<String>::new());
        assert_eq!(near(&"app/web1".repeat(100)), Vec::<String>::new());
    }

    #[test]
    fn a_sentence_has_near_names_or_says_where_all_are() {
        let sentence = |wanted| {
            let names = ["app", "db"].map(str::to_owned);
            unknown("backend", wanted, names.into_iter(), "`ringway status`")
        };
        assert_eq!(sentence("ap"), "there is no backend ap: did you mean app?");
        assert_eq!(
            sentence("zzz"),
            "there is no backend zzz: `ringway status` has the names"
        );
    }
}
