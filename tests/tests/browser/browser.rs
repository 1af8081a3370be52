//! A real browser, driven as a person would: by what is written on buttons and links, by fields.

use std::time::Duration;

use e2e::api::Api;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::Method;
use serde_json::{Map, Value, json};
use testkit::wait;

use crate::driver::{Driver, installed};

/// For a page to show what it should, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// One window with a profile of its own. What a page should not do in any test is checked by
/// [`close`](Self::close), which therefore ends each of them.
pub(crate) struct Browser {
    client: Client,
    /// Chromedriver's own commands, beyond the standard: developer tools and the console.
    session: Api,
    _driver: Driver,
}

impl Browser {
    /// Opens a window of a desktop's size.
    pub(crate) async fn open() -> Self {
        let driver = Driver::start().await;
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(&driver))
            .connect(&driver.url())
            .await
            .expect("the browser starts");
        let id = client.session_id().await.expect("the browser answers").expect("it has begun");
        let session = Api::new(format!("{}/session/{id}", driver.url()));
        Self { client, session, _driver: driver }
    }

    /// Goes to an address.
    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("going to {url}: {error}"));
    }

    /// The address of the page that is shown.
    pub(crate) async fn url(&self) -> String {
        self.client.current_url().await.expect("a page is shown").into()
    }

    /// Clicks the button or link on which exactly this is written.
    pub(crate) async fn press(&self, words: &str) {
        let path = format!("//*[self::a or self::button][normalize-space()='{words}']");
        self.click(Locator::XPath(&path)).await;
    }

    /// Clicks what this CSS selector finds.
    pub(crate) async fn press_at(&self, selector: &str) {
        self.click(Locator::Css(selector)).await;
    }

    async fn click(&self, locator: Locator<'_>) {
        let element = self.element(locator).await;
        element.click().await.unwrap_or_else(|error| panic!("clicking {locator:?}: {error}"));
    }

    /// Types into the field with this id, in place of what was there.
    pub(crate) async fn fill(&self, id: &str, text: &str) {
        let field = self.element(Locator::Id(id)).await;
        field.clear().await.unwrap_or_else(|error| panic!("clearing {id}: {error}"));
        field.send_keys(text).await.unwrap_or_else(|error| panic!("typing into {id}: {error}"));
    }

    /// Chooses an option by its words.
    pub(crate) async fn choose(&self, id: &str, option: &str) {
        let field = self.element(Locator::Id(id)).await;
        let chosen = field.select_by_label(option).await;
        chosen.unwrap_or_else(|error| panic!("choosing {option} in {id}: {error}"));
    }

    /// What is in the field with this id.
    pub(crate) async fn value(&self, id: &str) -> String {
        let field = self.element(Locator::Id(id)).await;
        field.prop("value").await.expect("a field can be read").unwrap_or_default()
    }

    /// The words that this CSS selector finds; waits until there is such an element.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let element = self.element(Locator::Css(selector)).await;
        element.text().await.unwrap_or_else(|error| panic!("reading {selector}: {error}"))
    }

    /// How many elements this CSS selector finds right now.
    pub(crate) async fn count(&self, selector: &str) -> usize {
        loop {
            match self.client.find_all(Locator::Css(selector)).await {
                Ok(elements) => return elements.len(),
                Err(error) if is_between_pages(&error) => {}
                Err(error) => panic!("{selector}: {error}"),
            }
        }
    }

    /// Waits until this CSS selector finds so many elements.
    pub(crate) async fn see_count(&self, selector: &str, count: usize) {
        let what = format!("{count} of {selector}");
        wait::until(&what, PATIENCE, async || self.count(selector).await == count).await;
    }

    /// Whether a person sees the element that this CSS selector finds.
    pub(crate) async fn shows(&self, selector: &str) -> bool {
        let element = self.element(Locator::Css(selector)).await;
        element.is_displayed().await.expect("an element can be looked at")
    }

    /// Waits for a heading that contains this.
    pub(crate) async fn see_heading(&self, words: &str) {
        self.element(Locator::XPath(&format!("//h1[contains(normalize-space(), '{words}')]")))
            .await;
    }

    async fn element(&self, locator: Locator<'_>) -> Element {
        loop {
            let wait = self.client.wait().at_most(PATIENCE).every(PAUSE);
            match wait.for_element(locator).await {
                Ok(element) => return element,
                Err(error) if is_between_pages(&error) => {}
                Err(error) => {
                    let url = self.url().await;
                    let body = self.client.find(Locator::Css("body")).await;
                    let text = body.expect("a page has a body").text().await.unwrap_or_default();
                    panic!("{locator:?}: {error}\non {url}:\n{text}")
                }
            }
        }
    }

    /// Presses a key, wherever the focus is.
    pub(crate) async fn key(&self, key: Key) {
        let value = key.into();
        let stroke = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.client.perform_actions(stroke).await.expect("a key can be pressed");
    }

    /// The words or the id of what has the focus.
    pub(crate) async fn focused(&self) -> String {
        let element = self.client.active_element().await.expect("something has the focus");
        let id = element.attr("id").await.expect("an element can be read");
        match id {
            Some(id) => id,
            None => element.text().await.expect("an element can be read"),
        }
    }

    /// Puts the focus into the field with this id.
    pub(crate) async fn focus(&self, id: &str) {
        self.click(Locator::Id(id)).await;
    }

    /// From the next page on, no script of a page runs.
    pub(crate) async fn switch_scripts_off(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
    }

    /// What a script answers that is not the page's own: it runs even when scripts are off.
    pub(crate) async fn evaluate(&self, script: &str) -> Value {
        let result = self.client.execute(script, vec![]).await;
        result.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// A command of the [DevTools protocol](https://chromedevtools.github.io/devtools-protocol/).
    pub(crate) async fn devtools(&self, command: &str, params: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": params })).await
    }

    /// What the window shows, as PNG.
    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("the browser takes a picture")
    }

    async fn command(&self, name: &str, body: Value) -> Value {
        let request = self.session.request(Method::POST, &format!("/{name}")).json(&body);
        let response = request.send().await.expect("chromedriver answers");
        let status = response.status();
        let mut answer: Value = response.json().await.expect("chromedriver answers with JSON");
        assert!(status.is_success(), "{name} {body}: {answer}");
        answer["value"].take()
    }

    /// Closes the window.
    ///
    /// # Panics
    /// When the console shows that a page broke its own Content-Security-Policy, failed in a
    /// script, or asked for something that is not there.
    pub(crate) async fn close(self) {
        let log = self.command("se/log", json!({ "type": "browser" })).await;
        let complaints: Vec<&str> = log
            .as_array()
            .expect("the log is a list")
            .iter()
            .filter_map(|entry| entry["message"].as_str())
            .filter(|message| !is_error_page(message) && !is_late_icon(message))
            .collect();
        assert!(complaints.is_empty(), "the console says: {complaints:#?}");
        self.client.close().await.expect("the browser closes");
    }
}

/// Whether the browser was asked while one page gave way to the next: then the next one is asked.
fn is_between_pages(error: &CmdError) -> bool {
    error.to_string().contains("aborted by navigation")
}

/// A page that is an error, such as "not found", is logged as an error as well; what a page loads
/// should be there.
fn is_error_page(message: &str) -> bool {
    message.contains("the server responded with a status of") && !message.contains("/assets/")
}

/// The browser asks for the icon when it has time, which may be when a test has stopped the service. It
/// would complain of an icon that is not there in other words.
fn is_late_icon(message: &str) -> bool {
    message.contains("/assets/favicon.svg") && message.contains("ERR_CONNECTION_REFUSED")
}

fn capabilities(driver: &Driver) -> Map<String, Value> {
    let profile = format!("--user-data-dir={}", driver.profile().display());
    let capabilities = json!({
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": {
            "binary": installed("LOCKSTEP_CHROMIUM"),
            "args": [
                "--headless=new",
                "--no-sandbox", // the sandbox does not work for root, as in a container
                "--disable-gpu",
                "--disable-dev-shm-usage", // tiny in containers
                "--no-proxy-server",
                "--no-first-run",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--lang=en",
                "--window-size=1280,900",
                profile,
            ],
        },
    });
    let Value::Object(capabilities) = capabilities else { unreachable!("it is written as one") };
    capabilities
}
