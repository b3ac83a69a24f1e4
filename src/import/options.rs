//! `option NAME` and `no option NAME`: section 4.2 of HAProxy's manual.

use super::check::{self, Asked};
use super::directive::Directive;
use super::keywords;
use super::notes::{Notes, Place};
use super::proxy::{ForwardedFor, Settings};

/// `option NAME`.
///
/// # Errors
///
/// There is no such option: a sentence.
pub(super) fn set(
    settings: &mut Settings,
    directive: &Directive,
    place: &Place,
    notes: &mut Notes,
) -> Result<(), String> {
    if check::option(&mut settings.check, directive, place, notes) {
        return Ok(());
    }
    match directive.word(1).unwrap_or_default() {
        "forwardfor" => {
            settings.forwarded_for = forwarded_for(directive, place, notes);
        }
        "httpclose" | "forceclose" => settings.closes = true,
        "dontlognull" => settings.skips_empty = true,
        "httplog" | "tcplog" | "httpslog" => {
            let why = "the access log has two forms, text and JSON: `ringway help access-log`";
            notes.differs(place, directive, why);
        }
        "tcpka" => settings.keepalive.is_on = true,
        name @ ("clitcpka" | "srvtcpka") => {
            // One of the two alone is half of what there is here.
            if !settings.keepalive.is_on {
                notes.differs(place, directive, format!("`{name}`: both sides are probed"));
            }
            settings.keepalive.is_on = true;
        }
        name => match keywords::option(name) {
            Some((verdict, why)) => notes.add(place, directive, verdict, why),
            None => return Err(format!("there is no option `{name}`")),
        },
    }
    Ok(())
}

/// `no option NAME`: what was said before holds no longer.
///
/// # Errors
///
/// There is no such option: a sentence.
pub(super) fn unset(
    settings: &mut Settings,
    name: &str,
    directive: &Directive,
    place: &Place,
    notes: &mut Notes,
) -> Result<(), String> {
    match name {
        "forwardfor" => settings.forwarded_for = None,
        "httpclose" | "forceclose" => settings.closes = false,
        "dontlognull" => settings.skips_empty = false,
        "tcpka" | "clitcpka" | "srvtcpka" => settings.keepalive.is_on = false,
        "httpchk" | "tcp-check" => settings.check.asked = Asked::Connect,
        "httplog" | "tcplog" | "httpslog" => {}
        "redispatch" => {
            let why = "a connect that fails is tried again on another server";
            notes.differs(place, directive, why);
        }
        name if keywords::option(name).is_some() => {
            let why = "it is not so here either, or cannot be otherwise";
            notes.not_needed(place, directive, why);
        }
        name => return Err(format!("there is no option `{name}`")),
    }
    Ok(())
}

/// `option forwardfor [except NETWORK] [header NAME] [if-none]`
fn forwarded_for(directive: &Directive, place: &Place, notes: &mut Notes) -> Option<ForwardedFor> {
    for word in directive.from(2) {
        let why = match word.as_str() {
            "header" => "the line is `X-Forwarded-For`",
            "except" => "the line is for all clients or for none",
            "if-none" => "the address of the client is always added",
            _ => continue,
        };
        notes.differs(place, directive, format!("`{word}`: {why}"));
    }
    Some(ForwardedFor::Append)
}
