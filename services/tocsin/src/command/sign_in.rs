use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Method, Url, redirect};
use serde_json::Value;
use tocsin_runtime::session_cookie::SESSION_COOKIE;

use crate::client::{Answer, Sent, Source};
use crate::client_tls::TlsArguments;

/// The longest link that is read, in bytes.
const LINK_BYTES_MAX: u64 = 4 << 10;
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Where links lead to.
const LINK_PATH: &str = "/v1/sign-in/link";

/// Sign in, in this terminal, with a link that is good once. The link is read from the standard input, so that nobody finds it among the processes.
#[derive(Debug, Args)]
pub struct SignInCommand {
    /// The file that the session is written to, readable for you alone. Commands take it as --key-file.
    #[arg(long, value_name = "FILE")]
    session_file: PathBuf,
    #[command(flatten)]
    tls: TlsArguments,
}

/// End the session of a file, everywhere, and remove the file.
#[derive(Debug, Args)]
pub struct SignOutCommand {
    /// The address of the API.
    #[arg(long, env = "TOCSIN_URL", default_value = "http://127.0.0.1:8340")]
    url: String,
    /// The file that `tocsin sign-in` wrote.
    #[arg(long, value_name = "FILE")]
    session_file: PathBuf,
    #[command(flatten)]
    tls: TlsArguments,
}

impl SignInCommand {
    pub async fn run(&self) -> Result<()> {
        if std::io::stdin().is_terminal() {
            eprint!("The link: ");
        }
        let mut line = String::new();
        let mut input = std::io::stdin().lock().take(LINK_BYTES_MAX);
        input.read_line(&mut line).context("read the link")?;
        let link = Link::parse(line.trim())?;
        let tls = self.tls.read(&link.base)?;
        let client = tls.builder().redirect(redirect::Policy::none()).timeout(ANSWER_MAX);
        let client = client.build().context("make the HTTP client")?;
        let url = format!("{}{LINK_PATH}", link.base);
        let sent = client.post(&url).form(&[("link", &link.secret)]).send().await;
        // Without the address in the error's own words: it is named here, without the secret.
        let response = sent.map_err(reqwest::Error::without_url);
        let response = response.with_context(|| format!("ask {url}"))?;
        let token = session(response.headers());
        let answer = Answer::read(url, response).await?;
        let Some(token) = token.filter(|_| answer.is(303)) else {
            return Err(answer.refused());
        };
        write_private(&self.session_file, &token)?;
        let source = Source {
            url: link.base,
            key: Some(token),
            tls,
        };
        let told: Value = source.get("/v1/session").await?.document()?;
        let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
        println!(
            "Signed in as {} of {} until {}, or when nothing is asked for until {}.",
            text(&told["person"]),
            text(&told["team"]),
            text(&told["session"]["expires_at"]),
            text(&told["session"]["idle_at"]),
        );
        Ok(())
    }
}

impl SignOutCommand {
    pub async fn run(&self) -> Result<()> {
        let path = &self.session_file;
        let token = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let source = Source {
            url: self.url.clone(),
            key: Some(token),
            tls: self.tls.read(&self.url)?,
        };
        let sent = Sent::Parameters(Vec::new());
        let answer = source.ask(Method::POST, "/v1/sign-out", sent).await?;
        let was_over = answer.is(401);
        if !was_over {
            answer.text()?;
        }
        std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
        println!(
            "{}",
            if was_over {
                "The session was over."
            } else {
                "Signed out."
            }
        );
        Ok(())
    }
}

/// A link as `tocsin person link` prints it.
#[derive(Debug, PartialEq, Eq)]
struct Link {
    /// The address of the API.
    base: String,
    secret: String,
}

impl Link {
    fn parse(text: &str) -> Result<Link> {
        let none = "a link is wanted, as `tocsin person link` prints it";
        // The error would show the text.
        let Ok(url) = text.parse::<Url>() else { bail!(none) };
        let secrets: Vec<String> = url
            .query_pairs()
            .map(|(name, text)| match &*name {
                "link" => text.into_owned(),
                _ => String::new(),
            })
            .collect();
        let [secret] = &secrets[..] else { bail!(none) };
        let base = url.path().strip_suffix(LINK_PATH);
        let (Some(base), false, Some(host)) = (base, secret.is_empty(), url.host_str()) else {
            bail!(none);
        };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        ensure!(
            url.scheme() == "https" || (url.scheme() == "http" && is_here),
            "a session crosses a network over TLS alone: the link is none of https://"
        );
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Link {
            base: format!("{}://{host}{port}{base}", url.scheme()),
            secret: secret.clone(),
        })
    }
}

/// The session that an answer gives.
fn session(headers: &HeaderMap) -> Option<String> {
    let cookies = headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok());
    let mut values = cookies.filter_map(|cookie| cookie.strip_prefix(SESSION_COOKIE)?.strip_prefix('='));
    let value = values.next()?.split(';').next()?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// A file that only its owner reads is put in the place of whatever stood there.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let written = || -> Result<()> {
        // It begins with rights for its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        writeln!(file, "{text}")?;
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    //! Goal: a link leads to where it says, and no session comes over a network in the open.
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_link_is_read_as_it_is_printed_and_nothing_else_is_one() {
        for (text, base) in [
            ("https://bell.example/v1/sign-in/link?link=abc", "https://bell.example"),
            (
                "https://bell.example:8443/a/v1/sign-in/link?link=abc",
                "https://bell.example:8443/a",
            ),
            (
                "http://127.0.0.1:8340/v1/sign-in/link?link=abc",
                "http://127.0.0.1:8340",
            ),
            ("http://[::1]:8340/v1/sign-in/link?link=abc", "http://[::1]:8340"),
            ("http://localhost/v1/sign-in/link?link=abc", "http://localhost"),
        ] {
            let (base, secret) = (base.to_owned(), "abc".to_owned());
            assert_eq!(Link::parse(text).unwrap(), Link { base, secret }, "{text}");
        }
        for text in [
            "",
            "abc",
            "https://bell.example/v1/sign-in/link",
            "https://bell.example/v1/sign-in/link?link=",
            "https://bell.example/v1/sign-in/link?link=a&link=b",
            "https://bell.example/v1/sign-in?invitation=abc",
            "https://bell.example/v1/sign-in/link?link=abc&to=evil",
            "http://bell.example/v1/sign-in/link?link=abc",
            "http://10.0.0.1/v1/sign-in/link?link=abc",
            "ftp://localhost/v1/sign-in/link?link=abc",
        ] {
            let error = Link::parse(text).unwrap_err().to_string();
            assert!(!error.contains("abc"), "{error}");
        }
    }
}
