//! The body of an action: a small piece of JSON.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use super::error::Refusal;

/// Longest body in bytes.
const BODY_MAX: usize = 64 * 1024;

/// What is read of a longer one before it is refused: a client that has sent all of it gets the
/// answer, and not a reset.
const DISCARDED_MAX: usize = 1024 * 1024;

/// A body of this type, declared as JSON.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        // A page of another origin can have a browser send any other type without asking.
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "actions need the header `Content-Type: application/json`",
            ));
        }
        let bytes = read(request.into_body()).await?;
        // One that says nothing asks for nothing in particular.
        let bytes = if bytes.trim_ascii().is_empty() {
            b"{}"
        } else {
            bytes.as_slice()
        };
        let body = serde_json::from_slice(bytes);
        body.map(JsonBody).map_err(|why| {
            Refusal::bad_request(format!("the body is not what it should be: {why}"))
        })
    }
}

async fn read(mut body: Body) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::bad_request("the body is not complete"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        len += data.len();
        if len <= BODY_MAX {
            bytes.extend_from_slice(&data);
        } else if len > DISCARDED_MAX {
            break;
        }
    }
    if len > BODY_MAX {
        let why = format!("the body is longer than {} KiB", BODY_MAX / 1024);
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct ServerChange {
        weight: Option<u16>,
    }

    async fn parse(kind: Option<&str>, body: impl Into<Body>) -> Result<ServerChange, Refusal> {
        let mut request = Request::builder().method("POST");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let request = request.body(body.into()).unwrap();
        let body = JsonBody::<ServerChange>::from_request(request, &()).await;
        body.map(|JsonBody(change)| change)
    }

    #[tokio::test]
    async fn json_is_taken_and_nothing_else() {
        let json = Some("application/json");
        for kind in [json, Some("Application/JSON; charset=utf-8")] {
            let change = parse(kind, r#"{"weight": 7}"#).await;
            assert_eq!(change, Ok(ServerChange { weight: Some(7) }));
        }
        assert_eq!(parse(json, " \n").await, Ok(ServerChange { weight: None }));
        for (kind, body, status, why) in [
            (None, "{}", 415, "application/json"),
            (Some("text/plain"), "{}", 415, "application/json"),
            (Some("application/jsonp"), "{}", 415, "application/json"),
            (json, "{", 400, "EOF"),
            (json, "[]", 400, "invalid length"),
            (json, r#"{"weigth": 7}"#, 400, "unknown field `weigth`"),
            (json, r#"{"weight": "7"}"#, 400, "invalid type"),
            (json, r#"{"weight": 70000}"#, 400, "invalid value"),
            (json, "{} {}", 400, "trailing characters"),
            (json, "\u{0}", 400, "expected value"),
        ] {
            let refusal = parse(kind, body).await.unwrap_err();
            assert_eq!(refusal.status.as_u16(), status, "{body}: {refusal:?}");
            assert!(refusal.why.contains(why), "{body}: {refusal:?}");
        }
    }

    #[tokio::test]
    async fn a_long_body_is_refused_and_not_kept() {
        let json = Some("application/json");
        for (len, status) in [
            (BODY_MAX, 400),
            (BODY_MAX + 1, 413),
            (3 * DISCARDED_MAX, 413),
        ] {
            let refusal = parse(json, vec![b'{'; len]).await.unwrap_err();
            assert_eq!(refusal.status.as_u16(), status, "{len}");
        }
        let padded = format!("{{}}{}", " ".repeat(BODY_MAX - 2));
        assert_eq!(parse(json, padded).await, Ok(ServerChange { weight: None }));
    }
}
