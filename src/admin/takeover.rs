//! `POST /api/v1/takeover`: another process takes the listeners over. It becomes a conversation
//! that is not HTTP, see [`crate::control::takeover`].

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::access::Peer;
use super::context::Context;
use super::error::Refusal;
use crate::control::api;
use crate::task;

/// The routes.
pub(super) fn routes(context: &Context) -> Router<Context> {
    Router::new().route(api::PATH, context.guard.acts(post(take_over)))
}

async fn take_over(
    State(Context { succession, .. }): State<Context>,
    request: Request,
) -> Result<Response, Refusal> {
    // Whoever gets the sockets gets what clients send.
    let peer = request.extensions().get().copied();
    peer.is_some_and(Peer::is_owner)
        .then_some(())
        .ok_or_else(|| {
            let why = "sockets are handed over by the admin socket only, to the user that this \
                       process runs as and to root";
            Refusal::new(StatusCode::FORBIDDEN, why)
        })?;
    let wanted = request.headers().get(header::UPGRADE);
    if wanted.is_none_or(|wanted| wanted != api::PROTOCOL) {
        let why = format!("this path is for `Upgrade: {}`", api::PROTOCOL);
        return Err(Refusal::new(StatusCode::UPGRADE_REQUIRED, why));
    }
    let takeover = succession.takeover;
    let offer = takeover.offer().await;
    let offer = offer.map_err(|why| Refusal::new(StatusCode::CONFLICT, why))?;
    let upgrade = hyper::upgrade::on(request);
    task::spawn(async move {
        match upgrade.await {
            Ok(stream) => match plain(stream) {
                Some(stream) => takeover.transfer(stream, offer).await,
                None => log::warn!("nothing is handed over: the other process spoke too soon"),
            },
            Err(error) => log::warn!("nothing is handed over: {error}"),
        }
    });
    let headers = [
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, api::PROTOCOL),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

/// The socket behind an upgraded connection, if nothing was read from it yet.
fn plain(stream: Upgraded) -> Option<std::os::unix::net::UnixStream> {
    let parts = stream.downcast::<TokioIo<UnixStream>>().ok()?;
    let stream = parts.io.into_inner().into_std().ok()?;
    parts.read_buf.is_empty().then_some(stream)
}
