//! Where a drill is looked for: topics, tables, and whatever a key is answered.

use super::*;

/// What nothing real may hold: as text, and as the bytes that it is the digits of.
pub(super) struct Needles(pub(super) Vec<(String, Vec<u8>)>);

pub(super) fn needles(objects: &Objects, drill: &str) -> Result<Needles> {
    let mut needles = Vec::new();
    // Platforms of the scenario: in its parties, figures and events.
    for text in ["example-video", "example-social", drill] {
        needles.push((text.to_owned(), text.as_bytes().to_vec()));
    }
    let ids = [&objects.case, &objects.family, &objects.alert, &objects.incident];
    for digits in ids.into_iter().chain(&objects.hashes) {
        needles.push((digits.clone(), digits.as_bytes().to_vec()));
        let bytes = (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16));
        needles.push((format!("bytes of {digits}"), bytes.collect::<Result<_, _>>()?));
    }
    Ok(Needles(needles))
}

impl Needles {
    /// Each place and needle that is in it.
    pub(super) fn found_in(&self, places: Vec<(String, Vec<u8>)>) -> Vec<String> {
        let mut found = Vec::new();
        for (place, bytes) in &places {
            let text = text_of(bytes);
            for (what, needle) in &self.0 {
                if text.contains(&text_of(needle)) {
                    found.push(format!("{what} in {place}"));
                }
            }
        }
        found
    }
}

/// A character for each byte: what the standard library searches fast, in a test too.
pub(super) fn text_of(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Every record of the topics that begin so: keys, values and headers.
pub(super) fn topics(log: &SharedLog, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut places = Vec::new();
    tokio::task::block_in_place(|| {
        for topic in log.topics()?.into_iter().filter(|topic| topic.name.starts_with(prefix)) {
            let mut bytes = Vec::new();
            for number in 0..topic.partitions {
                let place = TopicPartition::new(topic.name.as_str(), number);
                read_through(log.as_ref(), &place, .., &|| false, &mut |record| {
                    let headers = record.headers.to_vec().into_iter().map(|header| header.value);
                    for part in headers.chain(
                        [record.key, record.value]
                            .into_iter()
                            .flatten()
                            .map(<[u8]>::to_vec)
                            .map(Into::into),
                    ) {
                        bytes.extend_from_slice(&part);
                        bytes.push(b'\n');
                    }
                })?;
            }
            places.push((format!("topic {}", topic.name), bytes));
        }
        Ok::<_, anyhow::Error>(())
    })?;
    ensure!(!places.is_empty(), "there are topics");
    Ok(places)
}

/// Every row of the store: of the files in a directory, or of a schema.
pub(super) async fn tables(config: &Config, directory: &Path, drill: Option<&str>) -> Result<Vec<(String, Vec<u8>)>> {
    let mut places = Vec::new();
    if config.store.url.is_empty() {
        for file in ["store.sqlite", "store.sqlite-wal"] {
            places.push((file.to_owned(), std::fs::read(directory.join(file))?));
        }
        return Ok(places);
    }
    let schema = drill.map_or_else(|| "public".to_owned(), |drill| format!("drill_{drill}"));
    let mut connection = PgConnection::connect(&config.store.url).await?;
    let tables = "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = $1";
    let tables = sqlx::query(tables).bind(&schema).fetch_all(&mut connection).await?;
    ensure!(tables.len() > 30, "the tables of {schema}: {}", tables.len());
    for table in tables {
        let name: String = table.get("name");
        let rows = format!("SELECT t::text AS row FROM {schema}.{name} t");
        let rows = sqlx::query(&rows).fetch_all(&mut connection).await?;
        let rows: Vec<String> = rows.iter().map(|row| row.get("row")).collect();
        places.push((format!("table {name}"), rows.join("\n").into_bytes()));
    }
    Ok(places)
}

/// Where each object of a drill is read by itself.
pub(super) fn singles(objects: &Objects) -> Vec<String> {
    let Objects {
        case,
        family,
        alert,
        incident,
        ..
    } = objects;
    let mut paths = vec![format!("/v1/alerts/{alert}")];
    for of in ["", "/history", "/clocks", "/acknowledgements", "/accounts"] {
        paths.push(format!("/v1/cases/{case}{of}"));
    }
    for of in [
        "",
        "/members",
        "/members?format=csv",
        "/series",
        "/series?format=csv",
        "/breakdown",
    ] {
        paths.push(format!("/v1/families/{family}{of}"));
    }
    for of in [
        "",
        "/timeline",
        "/debrief",
        "/debrief?form=html",
        "/packs/1",
        "/packs/1?form=stix",
    ] {
        paths.push(format!("/v1/incidents/{incident}{of}"));
    }
    paths
}

/// What these keys are answered.
pub(super) async fn statuses(api: &Api, keys: &[&str], path: &str) -> Result<Vec<u16>> {
    let client = reqwest::Client::new();
    let mut statuses = Vec::new();
    for key in keys {
        let asked = client.get(format!("{}{path}", api.base)).bearer_auth(key);
        statuses.push(asked.send().await?.status().as_u16());
    }
    Ok(statuses)
}

/// What a stream says within a time.
pub(super) async fn streamed(mut stream: reqwest::Response) -> Result<Vec<u8>> {
    let (mut said, ends_at) = (Vec::new(), tokio::time::Instant::now() + STREAMED_FOR);
    while let Ok(chunk) = tokio::time::timeout_at(ends_at, stream.chunk()).await {
        match chunk? {
            Some(chunk) => said.extend(chunk),
            None => break,
        }
    }
    Ok(said)
}

/// What every list, export and stream of the API answers these keys.
pub(super) async fn answers(api: &Api, keys: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
    let client = reqwest::Client::new();
    let lists = [
        "/c/banks",
        "/m/index/status?signal_type=pdq",
        "/v1/alerts?limit=500",
        "/v1/appeals",
        "/v1/clocks",
        "/v1/incidents",
        "/v1/leak-through",
        "/v1/moderators",
        "/v1/notices",
        "/v1/quality",
        "/v1/queue?limit=100",
        "/v1/shift",
        "/v1/trending",
        "/v1/unconfirmed",
        "/v1/reports?from=2026-01-01&to=2026-12-31",
        "/v1/reports/statements?from=2026-01-01&to=2026-12-31&territory=EU",
        "/v1/reports/terrorist-content?from=2026-01-01&to=2026-12-31",
        "/v1/trending?format=csv",
        "/v1/trending?format=parquet",
        "/v1/preservations",
        "/v1/appeals/figures",
        "/v1/audit",
        "/v1/session",
        "/v1/stream",
        "/v1/queue/updates",
        "/metrics",
        "/readyz",
    ];
    let mut places = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        for path in lists {
            let answer = client
                .get(format!("{}{path}", api.base))
                .bearer_auth(key)
                .send()
                .await?;
            let status = answer.status().as_u16();
            ensure!(status < 500, "{path} answers {status}");
            let kind = answer.headers().get("content-type");
            let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
            let said = match is_stream {
                true => streamed(answer).await?,
                false => answer.bytes().await?.to_vec(),
            };
            places.push((format!("GET {path} for key {number}"), said));
        }
    }
    Ok(places)
}
