//! The scorecard as one page of HTML: nothing is loaded, and all text is escaped.

use super::score::Scorecard;
use super::text;

pub(super) fn page(card: &Scorecard) -> String {
    let title = format!("DRILL {}: scorecard", card.drill);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head><body>\n<h1>{title}</h1>\n<pre>{}</pre>\n</body></html>\n",
        escaped(&text::scorecard(card))
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn a_title_of_an_incident_is_text() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
