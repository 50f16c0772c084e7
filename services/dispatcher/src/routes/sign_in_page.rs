//! The two pages of a sign-in: each says whose the link or invitation is, and does something only when its reader says so.

use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};
use tocsin_store::LinkOf;

use super::html;
use super::session::team_text;

/// The page of a one-time link.
pub(super) fn of_link(of: &LinkOf, link: &str) -> Response {
    let text = format!("You sign in as <b>{}</b>. The link is good once.", who(of));
    page(
        "/v1/sign-in/link",
        &text,
        "Sign in",
        &[("link", link)],
        " form-action 'self';",
    )
}

/// The page of an invitation. `return_to`: anything.
pub(super) fn of_invitation(of: &LinkOf, invitation: &str, return_to: Option<&str>) -> Response {
    let text = format!(
        "The account with which you sign in next is bound to <b>{}</b>: whoever signs in with it is them from then on. Go on only if that is you.",
        who(of)
    );
    let mut fields = vec![("invitation", invitation)];
    fields.extend(return_to.map(|path| ("return_to", path)));
    // Browsers hold where a form is sent on to against `form-action` too, and the provider may send people on further.
    page("/v1/sign-in", &text, "That is me: sign in", &fields, "")
}

fn who(of: &LinkOf) -> String {
    format!("{} of {}", of.person, team_text(&of.subject))
}

fn page(action: &str, text: &str, button: &str, fields: &[(&str, &str)], form_action: &str) -> Response {
    let hidden: String = fields
        .iter()
        .map(|(name, value)| {
            format!(
                "<input type=\"hidden\" name=\"{name}\" value=\"{}\">",
                html::text(value)
            )
        })
        .collect();
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Tocsin: sign in</title>\n\
         <style>body {{ font: 1rem sans-serif; margin: 20vh auto; width: 20rem; text-align: center }}</style></head>\n\
         <body><h1>Tocsin</h1>\n<p>{text}</p>\n\
         <form method=\"post\" action=\"{action}\">{hidden}<button autofocus>{button}</button></form></body>\n</html>\n"
    );
    let policy =
        format!("default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';{form_action} frame-ancestors 'none'");
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        // The link stands in the address. The origin is told within this deployment, which asks for it.
        (header::REFERRER_POLICY, "same-origin".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, Html(page)).into_response()
}
