//! What pages of HTML that can be printed are made of: nothing is loaded, and all text is escaped.

use std::fmt::Write as _;

use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};

/// Where the button of a page signs its reader out.
const SIGN_OUT: &str = "/v1/sign-out?form=html";

/// How pages look, on a screen and printed.
const STYLE: &str = "body{font:11pt/1.4 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#111}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{border:1px solid #999;padding:.25rem .5rem;text-align:left;vertical-align:top}\
th{background:#eee}h1{margin-bottom:0}h2{margin-top:2rem}.tlp{font-weight:bold}.late{font-weight:bold}code{font-size:9pt}.session{text-align:right}\
@media print{body{margin:0;max-width:none}.session{display:none}h2{break-after:avoid}tr{break-inside:avoid}}";

/// Who reads a page.
#[derive(Debug)]
pub(super) struct PageReader {
    /// Whoever signed in, in words. `None`: a key was shown itself, and there is nothing to sign out of.
    pub signed_in_as: Option<String>,
}

/// A page, of which nothing is loaded and nothing runs, whatever somebody wrote. No other page shows it inside itself, where its button could be pressed unseen.
pub(super) fn page(html: String) -> Response {
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(html)).into_response()
}

/// A page up to its heading. Whoever signed in has a button that signs them out, which is not printed: a form, since nothing runs on pages, sent by a page of
/// this origin, as a command with a session must be.
pub(super) fn opening(title: &str, reader: &PageReader) -> String {
    let title = text(title);
    let session = match &reader.signed_in_as {
        Some(who) => format!(
            "<form class=\"session\" method=\"post\" action=\"{SIGN_OUT}\">Signed in as {}. <button>Sign out</button></form>\n",
            text(who)
        ),
        None => String::new(),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head><body>\n\
         {session}<h1>{title}</h1>\n"
    )
}

/// What a page ends with.
pub(super) const ENDING: &str = "</body></html>\n";

/// A table under a heading; its cells are HTML.
pub(super) fn table(out: &mut String, (title, heads): (&str, &[&str]), rows: impl Iterator<Item = Vec<String>>) {
    let _ = writeln!(out, "<h2>{title}</h2>");
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        out.push_str("<p>Nothing.</p>\n");
        return;
    }
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    let _ = writeln!(out, "<table><thead><tr>{heads}</tr></thead><tbody>");
    for row in rows {
        let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        let _ = writeln!(out, "<tr>{cells}</tr>");
    }
    out.push_str("</tbody></table>\n");
}

/// The text, or a dash.
pub(super) fn or_none(value: Option<&str>) -> String {
    value.map_or_else(|| "-".to_owned(), text)
}

/// An id.
pub(super) fn code(value: &str) -> String {
    format!("<code>{}</code>", text(value))
}

/// Text in which nothing means anything to HTML, inside an element as inside an attribute.
pub(super) fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // A browser may show what follows these in another direction, or not at all.
            control if control.is_control() || ('\u{202a}'..='\u{202e}').contains(&control) => out.push(' '),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{PageReader, opening};

    #[test]
    fn who_signed_in_has_a_button_and_a_key_has_none() {
        let of = |who: Option<&str>| {
            let signed_in_as = who.map(str::to_owned);
            opening("A <title>", &PageReader { signed_in_as })
        };
        let by_key = of(None);
        assert!(
            by_key.contains("<h1>A &lt;title&gt;</h1>") && !by_key.contains("<form"),
            "{by_key}"
        );
        let signed_in = of(Some("kim of <north>"));
        assert!(signed_in.contains("Signed in as kim of &lt;north&gt;."), "{signed_in}");
        let form = "<form class=\"session\" method=\"post\" action=\"/v1/sign-out?form=html\">";
        assert!(signed_in.contains(form), "{signed_in}");
        assert!(
            !signed_in.contains("<script") && signed_in.contains("print{body"),
            "{signed_in}"
        );
    }

    #[test]
    fn nothing_that_somebody_wrote_means_anything_to_html() {
        let written = "<script>alert('1')</script> & \"x\"\u{202e}\0";
        let shown = super::text(written);
        assert_eq!(
            shown,
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;  "
        );
    }
}
