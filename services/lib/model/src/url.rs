//! One spelling for URLs that name the same thing: what RFC 3986 calls equivalent, without what only says how somebody came there.

/// Query parameters that say how somebody came to a page and not which page it is, whatever their value: of advertising and newsletters, and the
/// marks that applications put on a link when it is shared. Names with `*` stand for all that begin so. Compared without regard to case.
///
/// A parameter that some site could use for its contents is not listed (`id`, `ref`, `source`, `s`, `t`, `v`): two pages that are taken for one are
/// worse than one page that is taken for two.
pub const TRACKING_PARAMETERS: [&str; 27] = [
    "utm_*",
    "mtm_*",
    "pk_campaign",
    "pk_kwd",
    "pk_source",
    "pk_medium",
    "fbclid",
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "msclkid",
    "yclid",
    "twclid",
    "ttclid",
    "igshid",
    "igsh",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "_hsenc",
    "_hsmi",
    "oly_anon_id",
    "oly_enc_id",
    "vero_id",
    "wickedid",
];

/// The normal form of a URL with an authority; `None` of any other text.
///
/// Of RFC 3986, section 6.2: scheme and host in lower case and the digits of percent-encodings in upper case (6.2.2.1), unreserved characters not
/// encoded (6.2.2.2), no dot segments (6.2.2.3); of `http` and `https` no default port, and `/` for an empty path (6.2.3). Beyond it: no fragment,
/// but for those with `/` or `!`, by which some sites name their pages, and none of the [`TRACKING_PARAMETERS`]; a query without parameters left is
/// none.
///
/// Left as they are: the order of parameters, `http` beside `https`, `www`, a last slash, the case of paths, user and password, hosts that are not
/// ASCII. Applied to its own result it changes nothing.
pub fn normal_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let mut letters = scheme.bytes();
    let begins = letters.next().is_some_and(|first| first.is_ascii_alphabetic());
    if !begins || !letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
        return None;
    }
    let scheme = scheme.to_ascii_lowercase();
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest
        .split_once('?')
        .map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, host) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(user, host)| (Some(user), host));
    let default_port = match scheme.as_str() {
        "http" => Some(":80"),
        "https" => Some(":443"),
        _ => None,
    };
    let host = normal_encodings(host).to_ascii_lowercase();
    let bare = default_port.and_then(|port| host.strip_suffix(':').or_else(|| host.strip_suffix(port)));
    let bare = bare.filter(|bare| bare.ends_with(']') || !bare.contains(':'));
    // The digits of an encoding are upper case wherever they stand.
    let host = normal_encodings(bare.unwrap_or(&host));
    if host.is_empty() {
        return None;
    }
    let mut normal = format!("{scheme}://");
    if let Some(user) = user {
        normal.push_str(&normal_encodings(user));
        normal.push('@');
    }
    normal.push_str(&host);
    match without_dot_segments(&normal_encodings(path)) {
        path if path.is_empty() && default_port.is_some() => normal.push('/'),
        path => normal.push_str(&path),
    }
    let kept = query.map(|query| query.split('&').filter(|parameter| !is_tracking(parameter)));
    let kept = kept.map(|kept| kept.collect::<Vec<&str>>().join("&"));
    if let Some(query) = kept.filter(|query| !query.is_empty()) {
        normal.push('?');
        normal.push_str(&normal_encodings(&query));
    }
    if fragment.contains(['/', '!']) {
        normal.push('#');
        normal.push_str(&normal_encodings(fragment));
    }
    Some(normal)
}

fn is_tracking(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or(parameter);
    let name = normal_encodings(name).to_ascii_lowercase();
    TRACKING_PARAMETERS.iter().any(|listed| match listed.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == *listed,
    })
}

/// Percent-encodings of unreserved characters decoded, all others with upper-case digits. A percent sign that begins none is encoded itself: left as
/// it is, it could begin one with what is decoded behind it.
fn normal_encodings(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('%') {
        normal.push_str(&rest[..place]);
        let digits = rest.get(place + 1..place + 3);
        let byte = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            normal.push_str("%25");
            rest = &rest[place + 1..];
            continue;
        };
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            normal.push(char::from(byte));
        } else {
            normal.push_str(&format!("%{byte:02X}"));
        }
        rest = &rest[place + 3..];
    }
    normal.push_str(rest);
    normal
}

/// RFC 3986, section 5.2.4, of a path that is empty or begins with a slash.
fn without_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." if !is_last => {}
            ".." if !is_last => drop(kept.pop()),
            "." => kept.push(""),
            ".." => {
                kept.pop();
                kept.push("");
            }
            segment => kept.push(segment),
        }
    }
    kept.iter().flat_map(|segment| ["/", segment]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of `schemas/vectors/urls.json` are held in `services/lib/wire/tests/urls.rs`; here stands what needs the inside.
    #[test]
    fn what_is_normal_stays_so_whatever_it_was() {
        let pieces = [
            "http://",
            "a.example",
            "%",
            "2e",
            "2E",
            "/",
            "..",
            "?",
            "&",
            "utm_a=1",
            "#",
            "@",
            ":80",
            "ä",
            "%zz",
            ".",
            "3",
        ];
        let mut number = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::from("HTTP://");
            for _ in 0..8 {
                // A linear congruential generator (Knuth's MMIX): a property needs no more.
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(number >> 33) as usize % pieces.len()]);
            }
            let Some(normal) = normal_url(&text) else { continue };
            let again = normal_url(&normal);
            assert!(again.as_deref() == Some(&*normal), "{text}: {normal} became {again:?}");
        }
    }

    #[test]
    fn every_listed_parameter_goes_and_what_only_resembles_one_stays() {
        for listed in TRACKING_PARAMETERS {
            let name = listed.replace('*', "any").to_uppercase();
            let normal = normal_url(&format!("https://a.example/p?{name}=1&v=2&{name}"));
            assert_eq!(normal.as_deref(), Some("https://a.example/p?v=2"), "{listed}");
            let other = format!("https://a.example/p?x{name}=1");
            assert_eq!(normal_url(&other), Some(other), "{listed}");
        }
    }
}
