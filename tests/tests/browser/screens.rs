//! Pictures of whole pages, in light and dark, on a desktop and on a phone.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::browser::Browser;

/// Where they are written; git ignores it.
const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/screenshots");

/// The words or ids of links, buttons and fields that something else covers: who clicks one would get the
/// other. What is scrolled out of sight inside the page is left out.
const COVERED: &str = r#"
    const inside = (x, y, box) => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
    const isSeen = (element, x, y) => {
        for (let at = element; at; at = at.parentElement) {
            const { overflowX, overflowY, visibility, clipPath } = getComputedStyle(at);
            if (visibility === "hidden" || clipPath !== "none") return false;
            const clips = overflowX !== "visible" || overflowY !== "visible";
            if (clips && !inside(x, y, at.getBoundingClientRect())) return false;
        }
        return inside(x, y, { left: 0, top: 0, right: innerWidth - 1, bottom: innerHeight - 1 });
    };
    return [...document.querySelectorAll("a, button, input, select, textarea, summary")]
        .filter(element => {
            const box = element.getClientRects()[0];
            if (!element.checkVisibility() || !box || box.width < 2 || box.height < 2) return false;
            const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
            return isSeen(element, x, y) && !element.contains(document.elementFromPoint(x, y));
        })
        .map(element => element.innerText || element.id || element.name);
"#;

#[derive(Clone, Copy)]
struct Device {
    suffix: &'static str,
    width: i64,
    height: i64,
    mobile: bool,
}

const DESKTOP: Device = Device { suffix: "", width: 1280, height: 800, mobile: false };
const PHONE: Device = Device { suffix: "-phone", width: 375, height: 667, mobile: true };

/// Pictures the page that is shown, from its top to its end: `NAME-light.png`, `NAME-dark.png` and
/// `NAME-light-phone.png` in `target/screenshots/`.
///
/// # Panics
/// When the page is wider than the device, or covers what could be clicked.
pub(crate) async fn picture(browser: &Browser, name: &str) {
    for (device, schemes) in [(DESKTOP, &["light", "dark"][..]), (PHONE, &["light"])] {
        resize(browser, device, device.height).await;
        let size =
            "return [document.documentElement.scrollWidth, document.documentElement.scrollHeight]";
        let size = browser.evaluate(size).await;
        let (width, height) = (size[0].as_i64(), size[1].as_i64().expect("a page has a height"));
        let fits = width.is_some_and(|width| width <= device.width);
        for scheme in schemes {
            let scheme_is = json!({ "name": "prefers-color-scheme", "value": scheme });
            let media = json!({ "features": [scheme_is] });
            browser.devtools("Emulation.setEmulatedMedia", media).await;
            resize(browser, device, height).await;
            save(&format!("{name}-{scheme}{}.png", device.suffix), browser).await;
        }
        assert!(fits, "{name}: {width:?} pixels wide, on {} pixels", device.width);
        let covered = browser.evaluate(COVERED).await;
        assert_eq!(
            covered,
            json!([]),
            "{name}: something lies over these, on {} pixels",
            device.width
        );
    }
    browser.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await;
    browser.devtools("Emulation.setEmulatedMedia", json!({})).await;
}

/// Pictures the page that is shown as it comes out of a printer: `NAME-print.png`.
pub(crate) async fn print(browser: &Browser, name: &str) {
    browser.devtools("Emulation.setEmulatedMedia", json!({ "media": "print" })).await;
    save(&format!("{name}-print.png"), browser).await;
    browser.devtools("Emulation.setEmulatedMedia", json!({})).await;
}

async fn save(file: &str, browser: &Browser) {
    fs::create_dir_all(DIRECTORY).expect("the directory can be made");
    fs::write(Path::new(DIRECTORY).join(file), browser.screenshot().await)
        .expect("a picture can be written");
}

async fn resize(browser: &Browser, device: Device, height: i64) {
    let metrics = json!({
        "width": device.width, "height": height, "deviceScaleFactor": 1, "mobile": device.mobile,
    });
    browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
}
