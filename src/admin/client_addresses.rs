//! `/api/v1/clients`: clients of frontends with limits for each, those first that come near them.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Query};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::error::Refusal;
use super::state::State;
use crate::logic::network::Network;
use crate::snapshot::Snapshot;
use crate::sync::ClientRecord;

/// How many clients are listed if the request does not say.
const TOP_DEFAULT: usize = 20;

/// The most that can be asked for.
const TOP_MAX: usize = 1000;

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route("/api/v1/clients", context.guard.reads(get(list)))
}

/// What may stand behind the question mark.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// How many clients each list has at most: 20 unless given, 1,000 at most.
    top: Option<usize>,
}

/// Clients of frontends with limits for each client.
#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Clients {
    /// How many clients are known.
    known: usize,
    /// How many may be known: `max_clients` of [global].
    limit: u32,
    /// How many were forgotten so far to make room for others.
    dropped: u64,
    /// Those with the most open sessions first, among equals those with the most sessions so far.
    busiest: Vec<ClientStats>,
    /// Those with the most refused connections first.
    refused: Vec<ClientStats>,
}

/// A client: an address, or a network that counts as one.
#[derive(Debug, JsonSchema, Serialize)]
struct ClientStats {
    /// The address or the network.
    client: String,
    /// The frontend that the client connected to.
    frontend: String,
    /// Its sessions that are open now.
    sessions: u32,
    /// Its sessions so far.
    sessions_total: u32,
    /// Its connections that were refused.
    refused: ClientRefusals,
}

/// Refused connections of a client.
#[derive(Debug, JsonSchema, Serialize)]
struct ClientRefusals {
    /// Because they came too often: `rate`.
    rate: u32,
    /// Because too many sessions were open: `max_sessions`.
    sessions: u32,
}

async fn list(
    extract::State(state): extract::State<Arc<State>>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Clients>, Refusal> {
    let Query(wanted) = wanted.map_err(|why| Refusal::bad_request(why.body_text()))?;
    let top = wanted.top.unwrap_or(TOP_DEFAULT);
    if top > TOP_MAX {
        return Err(Refusal::bad_request(format!("top must be 0 to {TOP_MAX}")));
    }
    // A million clients take some time to look at.
    let read = tokio::task::spawn_blocking(move || Clients::read(&state, top)).await;
    let failed = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error");
    read.map(Json).map_err(failed)
}

impl Clients {
    fn read(state: &State, top: usize) -> Self {
        let snapshot = Arc::clone(&state.active().snapshot);
        let table = &state.shared.clients;
        let counts = table.counts();
        let mut busiest = Top::new(top, |it| (u64::from(it.sessions), it.sessions_started));
        let mut refused = Top::new(top, |it| (it.refused_total(), it.sessions));
        table.for_each(|record| {
            if record.refused_total() > 0 {
                refused.push(record.clone());
            }
            busiest.push(record);
        });
        let shown = |all: Top| -> Vec<ClientStats> {
            let all = all.finish().into_iter();
            all.filter_map(|it| ClientStats::new(&it, &snapshot))
                .collect()
        };
        Clients {
            known: counts.known,
            limit: snapshot.config.global.clients_max,
            dropped: counts.dropped,
            busiest: shown(busiest),
            refused: shown(refused),
        }
    }
}

impl ClientStats {
    /// `None`: its frontend is gone.
    fn new(record: &ClientRecord, snapshot: &Snapshot) -> Option<Self> {
        let mut frontends = snapshot.frontends.iter().zip(&snapshot.config.frontends);
        let (_, frontend) = frontends.find(|(shared, _)| shared.id == record.frontend)?;
        let limits = frontend.per_client.as_ref()?;
        let prefix = match record.address.is_ipv4() {
            true => limits.ipv4_prefix,
            false => limits.ipv6_prefix,
        };
        let [rate, sessions] = record.refused;
        Some(ClientStats {
            client: Network::new(record.address, prefix).to_string(),
            frontend: frontend.name.clone(),
            sessions: record.sessions,
            sessions_total: record.sessions_started,
            refused: ClientRefusals { rate, sessions },
        })
    }
}

/// By what clients are ordered, the greatest first.
type Rank = fn(&ClientRecord) -> (u64, u32);

/// The first so many of all that come.
struct Top {
    count: usize,
    rank: Rank,
    records: Vec<ClientRecord>,
}

impl Top {
    fn new(count: usize, rank: Rank) -> Self {
        Top {
            count,
            rank,
            records: Vec::new(),
        }
    }

    fn push(&mut self, record: ClientRecord) {
        self.records.push(record);
        if self.records.len() >= 2 * self.count + 64 {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let rank = self.rank;
        // The address makes the order the same each time.
        self.records
            .sort_by_key(|it| (Reverse(rank(it)), it.address, it.frontend));
        self.records.truncate(self.count);
    }

    fn finish(mut self) -> Vec<ClientRecord> {
        self.cut();
        self.records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_of_many_is_kept_in_order() {
        let mut top = Top::new(3, |it| (u64::from(it.sessions), it.sessions_started));
        for number in 0..1000_u32 {
            top.push(ClientRecord {
                frontend: 1,
                address: std::net::Ipv4Addr::from_bits(number).into(),
                sessions: number * 7 % 1000,
                sessions_started: 1,
                refused: [0; 2],
            });
        }
        let top: Vec<u32> = top.finish().iter().map(|it| it.sessions).collect();
        assert_eq!(top, [999, 998, 997]);
        let mut none = Top::new(0, |_| (0, 0));
        assert!({
            none.cut();
            none.finish().is_empty()
        });
    }
}
