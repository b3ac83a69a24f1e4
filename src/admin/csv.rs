//! `/stats.csv`: the statistics with HAProxy's header line and columns, so that what collects from it
//! collects from us.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Router, extract};

use super::columns::COLUMNS;
use super::context::Context;
use super::document::Stats;
use super::error::Refusal;
use super::rows::{Filter, rows};
use super::state::State;

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    let mut paths = vec!["/stats.csv".to_owned(), "/stats;csv".to_owned()];
    let page = context.page.iter().map(|page| format!("{page};csv"));
    paths.extend(page);
    paths.dedup();
    let mut router = Router::new();
    for path in paths {
        router = router.route(&path, context.guard.reads(get(csv)));
    }
    router
}

async fn csv(extract::State(state): extract::State<Arc<State>>) -> Result<String, Refusal> {
    let text = text(&Stats::read(&state), &Filter::default());
    text.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// The header, and the rows that are wanted.
pub(super) fn text(stats: &Stats, filter: &Filter<'_>) -> std::io::Result<String> {
    let mut lines = csv::Writer::from_writer(Vec::new());
    let [first, others @ ..] = COLUMNS.map(|column| column.name);
    let first = format!("# {first}");
    // As HAProxy writes it: each field is followed by a comma, as if there were one more, which is empty.
    lines.write_record([first.as_str()].into_iter().chain(others).chain([""]))?;
    for row in rows(stats, filter) {
        lines.write_record(row.fields().chain([""]))?;
    }
    let bytes = lines
        .into_inner()
        .map_err(csv::IntoInnerError::into_error)?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}
