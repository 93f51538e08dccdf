//! Moves everything that the settings name, page by page: a page is read while those before it are mapped and saved. With
//! `--sync`, each page is written to a journal and on the disk before it goes on; nothing else is promised.

mod mapping;
mod settings;

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use reqwest::Client;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use settings::Settings;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (file, sync) = match &arguments[..] {
        [file] => (file, false),
        [file, option] if option == "--sync" => (file, true),
        _ => return Err("usage: crossdock-whole-native SETTINGS [--sync]".into()),
    };
    let settings: Settings = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let journal = if sync { Some(File::create(settings.directory.join("journal"))?) } else { None };
    let settings: &'static Settings = Box::leak(Box::new(settings));
    let client = Client::builder().no_proxy().build()?;
    let session = log_in(&client, settings).await?;
    let session: &'static str = session.leak();
    let permits = Arc::new(Semaphore::new(settings.saves_in_flight));
    let mut saves = JoinSet::new();
    let (mut index, mut pages) = (1, 1);
    while index <= pages {
        let page = read(&client, settings, index).await?;
        if let Some(journal) = &journal {
            let bytes = page.clone();
            let mut file = journal.try_clone()?;
            tokio::task::spawn_blocking(move || file.write_all(&bytes).and_then(|()| file.sync_data())).await??;
        }
        if index == 1 {
            pages = serde_json::from_slice::<Root<Head>>(&page)?.response.page_count;
        }
        let permit = permits.clone().acquire_owned().await?;
        let client = client.clone();
        saves.spawn(async move {
            let body = mapping::save(&settings.parameters, &serde_json::from_slice::<Root<_>>(&page)?.response)?;
            save(&client, settings, session, body).await?;
            drop(permit);
            Result::Ok(())
        });
        while let Some(saved) = saves.try_join_next() {
            saved??;
        }
        index += 1;
    }
    while let Some(saved) = saves.join_next().await {
        saved??;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Root<T> {
    response: T,
}

#[derive(Deserialize)]
struct Head {
    page_count: u64,
}

async fn log_in(client: &Client, settings: &Settings) -> Result<String> {
    #[derive(Deserialize)]
    struct Login {
        #[serde(rename = "KDSVCSessionId")]
        session: String,
    }
    let target = &settings.target;
    let url = format!("{}Kingdee.BOS.WebApi.ServicesStub.AuthService.ValidateUser.common.kdsvc", target.base_url);
    let body = serde_json::json!({
        "acctid": target.acct_id, "username": target.user_name, "password": target.password, "lcid": 2052,
    });
    let answer = client.post(url).body(body.to_string()).send().await?.error_for_status()?.bytes().await?;
    Ok(serde_json::from_slice::<Login>(&answer)?.session)
}

async fn read(client: &Client, settings: &Settings, index: u64) -> Result<Bytes> {
    let source = &settings.source;
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("method", "jushuitan.saleout.list.query")
        .append_pair("app_key", &source.app_key)
        .append_pair("target_app_key", &source.target_app_key)
        .append_pair("customer_id", &source.customer_id)
        .append_pair("v", "2.0")
        .append_pair("format", "json")
        .append_pair("status", "Confirmed")
        .append_pair("start_time", &settings.window.start)
        .append_pair("end_time", &settings.window.end)
        .append_pair("page_index", &index.to_string())
        .append_pair("page_size", &settings.page_size.to_string())
        .finish();
    let request = client.post(&source.base_url).header("content-type", "application/x-www-form-urlencoded").body(form);
    Ok(request.send().await?.error_for_status()?.bytes().await?)
}

async fn save(client: &Client, settings: &Settings, session: &str, body: Vec<u8>) -> Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        result: Outcome,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Outcome {
        response_status: Status,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Status {
        is_success: bool,
    }
    let url = format!(
        "{}Kingdee.BOS.WebApi.ServicesStub.DynamicFormService.BatchSave.common.kdsvc",
        settings.target.base_url
    );
    let request = client.post(url).header("kdservice-sessionid", session).header("content-type", "application/json");
    let answer = request.body(body).send().await?.error_for_status()?.bytes().await?;
    match serde_json::from_slice::<Answer>(&answer)?.result.response_status.is_success {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&answer).into()),
    }
}
