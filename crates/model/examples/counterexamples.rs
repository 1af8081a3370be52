//! Prints the section of `docs/PROTOCOL.md` about what breaks without each rule; with `--write`
//! puts it there.

use std::path::Path;

use model::counterexamples::{BEGIN, END, section};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let section = section();
    if std::env::args().nth(1).as_deref() != Some("--write") {
        print!("{section}");
        return Ok(());
    }
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/PROTOCOL.md");
    let text = std::fs::read_to_string(&document)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("docs/PROTOCOL.md has no begin marker")?;
    let (_, after) = rest.split_once(END).ok_or("docs/PROTOCOL.md has no end marker")?;
    std::fs::write(&document, format!("{before}{BEGIN}{section}{END}{after}"))?;
    Ok(())
}
