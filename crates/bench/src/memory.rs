//! How much memory the services take in a catch-up, and whether that depends on its length.

use crate::cli::Memory;
use crate::report::{Figure, Section, Target};
use crate::servers::{self, Servers};
use crate::services::Pair;
use crate::{Result, catch_up, orders};

const SERVICES: [&str; 2] = ["ordering", "billing"];

/// One catch-up of each size.
pub(crate) async fn measure(settings: Memory) -> Result<Section> {
    let servers = Servers::start().await?;
    let sizes = [settings.small, settings.large];
    let [small, large] = sizes.map(orders::called);
    let title = format!("Memory in a catch-up of {small} and of {large}");
    let mut section = Section::new("memory", title);
    section.postgres = Some(servers::version(&servers.source).await?);
    let mut peaks = Vec::new();
    for size in sizes {
        eprintln!("catching up with {size} orders");
        let pair = Pair::on(&servers, "").await?;
        peaks.push(catch_up::pair_round(&pair, size, false, Some(&servers)).await?.memory);
    }
    for (service, name) in SERVICES.iter().enumerate() {
        let what = format!("peak memory of {name}");
        for (size, peak) in sizes.iter().zip(&peaks) {
            let who = orders::called(*size);
            section.hold(format!("{what}, {who}, MiB"), peak[service], Some(Target::AtMost(64.0)));
            section.figures.push(Figure::of(&what, &who, "MiB", vec![peak[service]]));
        }
        let [small, large] = [0, 1].map(|size: usize| peaks[size][service]);
        section.hold(format!("{what}: many ÷ few"), large / small, Some(Target::AtMost(1.1)));
    }
    Ok(section)
}
