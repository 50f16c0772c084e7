use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use axum::http::header::{DATE, RETRY_AFTER};

/// How long a server wants to be left alone, as its answer says (`Retry-After`, RFC 9110, section 10.2.3): so many seconds, or until a date, which is
/// read by the server's own clock where it tells it (`Date`) and by `now` where it does not.
///
/// `None` where it says nothing of it, nothing that can be read, or a date that is not ahead: then the caller waits as long as it would have
/// anyway. Whoever calls caps it; a server may say whatever it likes.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(u64::from(seconds)));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    let told = headers.get(DATE).and_then(|date| date.to_str().ok());
    let from = told.and_then(|date| httpdate::parse_http_date(date.trim()).ok());
    let wait = until.duration_since(from.unwrap_or(now)).ok()?;
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    //! Goal: a server that asks for time is understood, and one that asks for none changes nothing.
    #![allow(clippy::unwrap_used)]

    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date_by_the_server_s_clock() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let half_a_minute_on = "Tue, 14 Nov 2023 22:13:50 GMT";
        let cases = [
            ("120", None, Some(120)),
            (" 0 ", None, Some(0)),
            (half_a_minute_on, None, Some(30)),
            (half_a_minute_on, Some("Tue, 14 Nov 2023 22:13:40 GMT"), Some(10)),
            (half_a_minute_on, Some(half_a_minute_on), None),
            (half_a_minute_on, Some("Tue, 14 Nov 2023 23:00:00 GMT"), None),
            (half_a_minute_on, Some("today"), Some(30)),
            ("Tue, 14 Nov 2000 22:13:50 GMT", None, None),
            ("-1", None, None),
            ("soon", None, None),
            ("99999999999", None, None),
        ];
        for (text, date, expected) in cases {
            let mut headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            headers.extend(date.map(|date| (DATE, date.parse().unwrap())));
            let wait = retry_after(&headers, now).map(|wait| wait.as_secs());
            assert_eq!(wait, expected, "{text}, the server's clock: {date:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
