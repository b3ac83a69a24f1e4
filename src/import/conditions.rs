//! The conditions of `.if` and `.elif`: section 2.4 of HAProxy's configuration manual.

use super::words::Variables;

/// Whether a condition holds. HAProxy is taken for a current version with all features.
///
/// # Errors
///
/// The condition is malformed: a sentence.
pub(super) fn holds(text: &str, variables: &Variables) -> Result<bool, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(false);
    }
    let (value, rest) = any(text, variables, DEPTH_MAX)?;
    match rest.trim() {
        "" => Ok(value),
        rest => Err(format!("`{rest}` is left over in this condition")),
    }
}

/// Brackets within each other, at most.
const DEPTH_MAX: usize = 50;

type Parsed<'t> = Result<(bool, &'t str), String>;

/// Terms joined by `||`.
fn any<'t>(text: &'t str, variables: &Variables, depth: usize) -> Parsed<'t> {
    let (mut value, mut rest) = all(text, variables, depth)?;
    while let Some(next) = rest.trim_start().strip_prefix("||") {
        let (other, after) = all(next, variables, depth)?;
        (value, rest) = (value | other, after);
    }
    Ok((value, rest))
}

/// Terms joined by `&&`.
fn all<'t>(text: &'t str, variables: &Variables, depth: usize) -> Parsed<'t> {
    let (mut value, mut rest) = one(text, variables, depth)?;
    while let Some(next) = rest.trim_start().strip_prefix("&&") {
        let (other, after) = one(next, variables, depth)?;
        (value, rest) = (value & other, after);
    }
    Ok((value, rest))
}

/// A number, a predicate, or a condition in brackets, with or without `!`.
fn one<'t>(text: &'t str, variables: &Variables, depth: usize) -> Parsed<'t> {
    let text = text.trim_start();
    let depth = depth
        .checked_sub(1)
        .ok_or("too many brackets in this condition")?;
    if let Some(negated) = text.strip_prefix('!') {
        let (value, rest) = one(negated, variables, depth)?;
        return Ok((!value, rest));
    }
    if let Some(inner) = text.strip_prefix('(') {
        let (value, rest) = any(inner, variables, depth)?;
        let rest = rest.trim_start().strip_prefix(')');
        return Ok((value, rest.ok_or("a bracket has no end in this condition")?));
    }
    let len = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let (name, rest) = text.split_at(len.unwrap_or(text.len()));
    if let Ok(number) = name.parse::<u64>() {
        return Ok((number != 0, rest));
    }
    let inner = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
    let (arguments, rest) = inner.ok_or_else(|| format!("`{name}` is no condition"))?;
    let (first, second) = arguments.split_once(',').unwrap_or((arguments, ""));
    let value = match name {
        "defined" => variables.contains_key(first.trim()),
        "streq" => first == second,
        "strneq" => first != second,
        "strstr" => first.contains(second),
        "feature" | "version_atleast" | "openssl_version_atleast" | "awslc_api_atleast" => true,
        "version_before" | "openssl_version_before" | "awslc_api_before" => false,
        "ssllib_name_startswith" => "OpenSSL".starts_with(first),
        "enabled" => true,
        _ => return Err(format!("`{name}` is no condition")),
    };
    Ok((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_those_of_the_manual() {
        let variables = [("A".to_owned(), "yes".to_owned())].into();
        for (text, expected) in [
            ("", Ok(false)),
            ("0", Ok(false)),
            ("1", Ok(true)),
            ("!1 || 0 || 2", Ok(true)),
            ("defined(A) && !defined(B)", Ok(true)),
            (
                "streq(yes,yes) && (strneq(a,a) || feature(OPENSSL))",
                Ok(true),
            ),
            ("version_before(3.0)", Ok(false)),
            ("0 && 1 || 1", Ok(true)),
            ("unknown(A)", Err(())),
            ("(1", Err(())),
            ("1 1", Err(())),
            ("&&", Err(())),
        ] {
            assert_eq!(holds(text, &variables).map_err(drop), expected, "{text}");
        }
        assert!(holds(&"(".repeat(100_000), &variables).is_err());
        assert!(holds(&"!".repeat(100_000), &variables).is_err());
    }
}
