//! `timeout`: section 4.2 of HAProxy's manual.

use super::directive::Directive;
use super::notes::{Notes, Place};
use super::proxy::Timeouts;
use super::values;

/// `timeout NAME TIME`; a time of 0 is none.
///
/// # Errors
///
/// The line is malformed: a sentence.
pub(super) fn read(
    timeouts: &mut Timeouts,
    directive: &Directive,
    place: &Place,
    notes: &mut Notes,
) -> Result<(), String> {
    let (Some(name), Some(value)) = (directive.word(1), directive.word(2)) else {
        return Err("`timeout` needs a name and a time".to_owned());
    };
    let time = Some(values::time(value)?).filter(|time| !time.is_zero());
    let field = match name {
        "connect" => &mut timeouts.connect,
        "client" => &mut timeouts.client,
        "server" => &mut timeouts.server,
        "client-fin" => &mut timeouts.client_fin,
        "server-fin" => &mut timeouts.server_fin,
        "tunnel" => &mut timeouts.tunnel,
        "queue" => &mut timeouts.queue,
        "http-request" => &mut timeouts.request,
        "check" => &mut timeouts.check,
        "http-keep-alive" => {
            let why = "between two requests of a connection `idle_timeout` holds";
            notes.differs(place, directive, why);
            return Ok(());
        }
        "tarpit" | "client-hs" => {
            notes.not_needed(
                place,
                directive,
                "nobody is held back, and TLS is not ended here",
            );
            return Ok(());
        }
        other => return Err(format!("there is no timeout `{other}`")),
    };
    *field = time;
    Ok(())
}
