//! Figures, ratios and targets: printed as tables, written as JSON and as a chart.

use std::fs;
use std::path::Path;

use kit::clock::{Clock, SystemClock};
use serde::Serialize;

use crate::machine::Machine;
use crate::statistics::{extremes, median, percentile};
use crate::{Result, chart};

/// Everything that a run came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sections: Vec<Section>,
    postgres: Option<String>,
}

/// What one mode came to.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Section {
    /// The mode.
    pub(crate) mode: &'static str,
    /// What was measured, for people.
    pub(crate) title: String,
    /// What came out.
    pub(crate) figures: Vec<Figure>,
    /// How figures stand to each other, or to a target.
    pub(crate) ratios: Vec<Ratio>,
    /// What else is to be known.
    pub(crate) notes: Vec<String>,
    /// PostgreSQL's version.
    #[serde(skip)]
    pub(crate) postgres: Option<String>,
}

/// A thing, who did it, and how it came out.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figure {
    /// What was measured; figures of the same thing are drawn side by side.
    pub(crate) what: String,
    /// Which contender.
    pub(crate) who: String,
    /// Of all values.
    pub(crate) unit: &'static str,
    /// What counts: the median of the rounds, or a percentile of the samples.
    pub(crate) value: f64,
    /// The smallest.
    pub(crate) min: f64,
    /// The largest.
    pub(crate) max: f64,
    /// Every round's value, or every sample.
    pub(crate) rounds: Vec<f64>,
}

impl Figure {
    /// The median of rounds.
    pub(crate) fn of(what: &str, who: &str, unit: &'static str, rounds: Vec<f64>) -> Self {
        let (min, max) = extremes(&rounds);
        let value = median(&rounds);
        let rounds = rounds.into_iter().map(thousandths).collect();
        Self { what: what.to_owned(), who: who.to_owned(), unit, value, min, max, rounds }
    }

    /// A percentile of samples. They are told once, beside their 50th.
    pub(crate) fn percentile(
        what: &str,
        who: &str,
        unit: &'static str,
        percent: usize,
        samples: &[f64],
    ) -> Self {
        let all = Self::of(what, who, unit, samples.to_vec());
        let rounds = if percent == 50 { all.rounds } else { Vec::new() };
        Self { value: percentile(samples, percent), rounds, ..all }
    }
}

/// Without digits that say nothing.
fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// What a ratio is to be.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Target {
    /// No smaller.
    AtLeast(f64),
    /// No larger.
    AtMost(f64),
}

impl Target {
    /// Whether `value` meets it.
    pub(crate) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

/// How figures stand to each other.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ratio {
    /// Of what to what.
    pub(crate) what: String,
    /// The ratio of the two figures' values.
    pub(crate) value: f64,
    /// `None` when it is only for information.
    pub(crate) target: Option<Target>,
    /// `None` when there is no target.
    pub(crate) met: Option<bool>,
}

impl Section {
    /// Nothing yet.
    pub(crate) fn new(mode: &'static str, title: String) -> Self {
        Self { mode, title, ..Self::default() }
    }

    /// The value of a figure; not a number when there is none.
    fn value(&self, what: &str, who: &str) -> f64 {
        let found = self.figures.iter().find(|figure| figure.what == what && figure.who == who);
        found.map_or(f64::NAN, |figure| figure.value)
    }

    /// Adds the ratio of one figure, named by thing and contender, to another.
    pub(crate) fn compare(
        &mut self,
        one: (&str, &str),
        other: (&str, &str),
        target: Option<Target>,
    ) {
        let value = self.value(one.0, one.1) / self.value(other.0, other.1);
        let what = if one.0 == other.0 {
            format!("{}: {} ÷ {}", one.0, one.1, other.1)
        } else {
            format!("{}, {} ÷ {}, {}", one.0, one.1, other.0, other.1)
        };
        self.hold(what, value, target);
    }

    /// Adds a value that has a target of its own.
    pub(crate) fn hold(&mut self, what: String, value: f64, target: Option<Target>) {
        let met = target.map(|target| target.is_met(value));
        self.ratios.push(Ratio { what, value, target, met });
    }

    /// As tables in Markdown.
    fn print(&self) {
        println!("\n## {}\n", self.title);
        println!("| what | who | value | min – max | unit |\n|---|---|---:|---:|---|");
        for Figure { what, who, unit, value, min, max, .. } in &self.figures {
            println!(
                "| {what} | {who} | {} | {} – {} | {unit} |",
                short(*value),
                short(*min),
                short(*max)
            );
        }
        if !self.ratios.is_empty() {
            println!("\n| ratio | is | target | |\n|---|---:|---:|---|");
        }
        for Ratio { what, value, target, met } in &self.ratios {
            let target = target.map_or_else(String::new, |target| match target {
                Target::AtLeast(least) => format!("≥ {least}"),
                Target::AtMost(most) => format!("≤ {most}"),
            });
            let met = met.map_or("", |met| if met { "met" } else { "not met" });
            println!("| {what} | {value:.2} | {target} | {met} |");
        }
        for note in &self.notes {
            println!("\n{note}");
        }
    }
}

impl Report {
    /// Adds what a mode came to, and prints it; the mode's name.
    pub(crate) fn add(&mut self, mut section: Section) -> &'static str {
        section.print();
        self.postgres = section.postgres.take().or(self.postgres.take());
        let mode = section.mode;
        self.sections.push(section);
        mode
    }

    /// Writes `{name}.json` and `{name}.svg` to a folder, which is made when it is missing.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<()> {
        /// The document.
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Document<'a> {
            date: String,
            command: String,
            machine: Machine,
            sections: &'a [Section],
        }
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let document = Document {
            date: SystemClock.now().to_string(),
            command: format!("cargo run --release -p bench -- {}", arguments.join(" ")),
            machine: Machine { postgres: self.postgres.clone(), ..Machine::this() },
            sections: &self.sections,
        };
        fs::create_dir_all(folder)?;
        let (json, svg) = (folder.join(format!("{name}.json")), folder.join(format!("{name}.svg")));
        fs::write(&json, serde_json::to_string_pretty(&document)? + "\n")?;
        fs::write(&svg, chart::draw(&self.sections))?;
        println!("\nWritten: {}, {}", json.display(), svg.display());
        Ok(())
    }
}

/// With thousands separated when it is large, and with three significant digits when it is small.
pub(crate) fn short(value: f64) -> String {
    if value.abs() < 9.995 {
        return format!("{value:.2}");
    }
    if value.abs() < 999.5 {
        return format!("{value:.0}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_need_to_be() {
        let texts = [0.5, 9.99, 12.4, 999.4, 1_000.0, 123_456.7, -1_234.0].map(short);
        assert_eq!(texts, ["0.50", "9.99", "12", "999", "1,000", "123,457", "-1,234"]);
    }

    #[test]
    fn a_ratio_is_held_against_its_target() {
        let mut section = Section::new("test", String::new());
        section.figures.push(Figure::of("thing", "ours", "ms", vec![3.0, 1.0, 2.0]));
        section.figures.push(Figure::of("thing", "theirs", "ms", vec![4.0]));
        section.compare(("thing", "ours"), ("thing", "theirs"), Some(Target::AtLeast(0.6)));
        section.compare(("thing", "ours"), ("thing", "nobody"), Some(Target::AtMost(9.0)));
        let [ratio, unknown] = &section.ratios[..] else { panic!("two ratios") };
        assert_eq!((ratio.what.as_str(), ratio.met), ("thing: ours ÷ theirs", Some(false)));
        assert_eq!((unknown.value.is_nan(), unknown.met), (true, Some(false)));
    }
}
