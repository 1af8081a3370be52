//! The figures as a bar chart: an SVG that is read in light and dark, with the fonts of whoever
//! reads it.

use std::fmt::Write as _;

use crate::report::{Figure, Section, short};
use crate::statistics::extremes;

const WIDTH: f64 = 760.0;
/// Where bars begin: contenders are named left of it.
const LEFT: f64 = 250.0;
/// The longest bar; values are written right of it.
const BAR: f64 = 380.0;
const ROW: f64 = 24.0;
const HEAD: f64 = 34.0;

const STYLE: &str = "\
    svg { background: #fbfbfa; font: 14px system-ui, sans-serif; }\n\
    text { fill: #22262b; } .title { font-weight: 600; } .who, .unit { fill: #59616b; }\n\
    .ours { fill: #2b6cb0; } .theirs { fill: #a3abb5; } .spread { stroke: #22262b; }\n\
    @media (prefers-color-scheme: dark) {\n\
      svg { background: #1b1e22; } text { fill: #eceef0; } .who, .unit { fill: #a8b0b9; }\n\
      .ours { fill: #63a4e8; } .theirs { fill: #6b747e; } .spread { stroke: #eceef0; }\n\
    }";

/// Draws every thing that several contenders did, each with a scale of its own: bars for the values,
/// and thin lines from the smallest to the largest round.
pub(crate) fn draw(sections: &[Section]) -> String {
    let mut body = String::new();
    let mut y = 16.0;
    for Section { figures, .. } in sections {
        let mut told: Vec<&str> = Vec::new();
        for Figure { what, .. } in figures {
            if !told.contains(&what.as_str()) {
                told.push(what);
                let group: Vec<_> = figures.iter().filter(|other| other.what == *what).collect();
                y = draw_group(&mut body, &group, y);
            }
        }
    }
    let titles: Vec<_> = sections.iter().map(|section| section.title.as_str()).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
           width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">Lockstep, measured</title>\n<desc id=\"desc\">{desc}</desc>\n\
         <style>\n{STYLE}\n</style>\n{body}</svg>\n",
        height = y + 8.0,
        desc = escape(&titles.join("; ")),
    )
}

/// Draws one thing below `y`, unless only one did it; where the next one may begin.
fn draw_group(body: &mut String, group: &[&Figure], y: f64) -> f64 {
    let [first, _, ..] = group else { return y };
    let ends = group.iter().map(|figure| extremes(&figure.rounds).1.max(figure.value));
    let largest = ends.fold(0.0, f64::max);
    let scale = |value: f64| value / largest.max(f64::MIN_POSITIVE) * BAR;
    let (what, unit) = (escape(&first.what), escape(first.unit));
    let mut y = y + HEAD;
    let _ = writeln!(
        body,
        "<text class=\"title\" x=\"16\" y=\"{:.0}\">{what} <tspan class=\"unit\" \
         font-weight=\"400\">{unit}</tspan></text>",
        y - 12.0
    ); // writing to a text cannot fail
    for figure in group {
        let class = if figure.who.starts_with("lockstep") { "ours" } else { "theirs" };
        let (min, max) = extremes(&figure.rounds); // 0 without rounds: then no line shows
        let (low, high, middle) = (LEFT + scale(min), LEFT + scale(max), y + 9.0);
        let _ = writeln!(
            body,
            "<text class=\"who\" x=\"{name:.0}\" y=\"{text:.0}\" text-anchor=\"end\">{who}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"18\"/>\
             <line class=\"spread\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" \
               y2=\"{middle:.1}\"/>\
             <text x=\"{value_x:.0}\" y=\"{text:.0}\">{value}</text>",
            name = LEFT - 8.0,
            text = y + 14.0,
            who = escape(&figure.who),
            width = scale(figure.value),
            value_x = high.max(LEFT + scale(figure.value)) + 8.0,
            value = short(figure.value),
        ); // writing to a text cannot fail
        y += ROW;
    }
    y + 8.0
}

/// A text between tags.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a < b && c > \"d\""), "a &lt; b &amp;&amp; c &gt; \"d\"");
    }

    #[test]
    fn what_only_one_did_is_not_drawn() {
        let mut section = Section::new("test", "<test>".into());
        let figure = |what, who, value| Figure::of(what, who, "ms", vec![value]);
        section.figures.push(figure("one", "lockstep", 2.0));
        section.figures.push(figure("two & more", "lockstep", 4.0));
        section.figures.push(figure("two & more", "others", 2.0));
        let svg = draw(&[section]);
        assert!(svg.contains("two &amp; more") && svg.contains("&lt;test&gt;"), "{svg}");
        assert!(!svg.contains(">one"), "{svg}");
        assert!(svg.contains("class=\"ours\" x=\"250\" y=\"50\" width=\"380.0\""), "{svg}");
        assert!(svg.contains("class=\"theirs\" x=\"250\" y=\"74\" width=\"190.0\""), "{svg}");
    }
}
