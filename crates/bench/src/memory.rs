//! How much memory the services take in a catch-up, and whether that depends on its length.

use crate::cli::Memory;
use crate::report::{Figure, Section, Target};
use crate::servers::{self, Servers};
use crate::services::Pair;
use crate::statistics::extremes;
use crate::{Result, catch_up, orders};

const SERVICES: [&str; 2] = ["ordering", "billing"];

/// How many short catch-ups there are: how many pages are in memory at once is a matter of chance, and a
/// long one meets with more of that. So it is compared with the greatest of these.
const SHORT_ROUNDS: usize = 3;

/// Some short catch-ups and a long one.
pub(crate) async fn measure(settings: Memory) -> Result<Section> {
    let servers = Servers::start().await?;
    let sizes = [settings.small, settings.large];
    let [small, large] = sizes.map(orders::called);
    let title = format!("Memory in a catch-up of {small} and of {large}");
    let mut section = Section::new("memory", title);
    section.postgres = Some(servers::version(&servers.source).await?);
    let mut rounds = [Vec::new(), Vec::new()];
    for (peaks, (size, count)) in rounds.iter_mut().zip(sizes.into_iter().zip([SHORT_ROUNDS, 1])) {
        for _ in 0..count {
            eprintln!("catching up with {size} orders");
            let pair = Pair::on(&servers, "").await?;
            peaks.push(catch_up::pair_round(&pair, size, false, Some(&servers)).await?.memory);
        }
    }
    for (service, name) in SERVICES.iter().enumerate() {
        let what = format!("peak memory of {name}");
        let mut greatest = Vec::new();
        for (size, rounds) in sizes.iter().zip(&rounds) {
            let who = orders::called(*size);
            let peaks: Vec<_> = rounds.iter().map(|peaks| peaks[service]).collect();
            let (_, most) = extremes(&peaks);
            section.hold(format!("{what}, {who}, MiB"), most, Some(Target::AtMost(64.0)));
            section.figures.push(Figure::of(&what, &who, "MiB", peaks));
            greatest.push(most);
        }
        let ratio = greatest[1] / greatest[0]; // one of each size
        section.hold(format!("{what}: many ÷ few"), ratio, Some(Target::AtMost(1.1)));
    }
    Ok(section)
}
