//! What messages propose in place of an unknown word.

/// The candidate that resembles `word` most, if any does enough.
pub(super) fn suggest<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    // Below this, suggestions are more often silly than helpful.
    const LIKENESS_MIN: f64 = 0.8;
    candidates
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Joins `"a", "b" or "c"`.
pub(super) fn one_of<'c>(choices: impl Iterator<Item = &'c str>) -> String {
    let quoted: Vec<String> = choices.map(|choice| format!("\"{choice}\"")).collect();
    either(&quoted)
}

pub(super) fn either(choices: &[String]) -> String {
    match choices {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => choices.concat(),
    }
}
