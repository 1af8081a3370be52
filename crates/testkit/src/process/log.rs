//! Reading what a program logs.

/// The address in the line `listening addr=HOST:PORT`, text or JSON; None while it is not there.
pub(super) fn listening_address(log: &str) -> Option<String> {
    let whole_lines = &log[..=log.rfind('\n')?]; // the last one may still be on its way
    whole_lines
        .lines()
        .map(without_colours)
        .filter(|line| line.contains("listening"))
        .find_map(|line| address(&line))
}

fn address(line: &str) -> Option<String> {
    let (_, value) = ["addr=", "\"addr\":"].iter().find_map(|key| line.split_once(key))?;
    let end = |c: char| c.is_whitespace() || matches!(c, '"' | ',' | '}');
    value.trim_start_matches('"').split(end).next().map(str::to_owned)
}

/// Leaves out the terminal's colour sequences (`ESC [ … letter`).
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |at| at + 1);
        plain.push_str(&part[end..]);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::listening_address;

    #[test]
    fn finds_the_address_in_text() {
        let log = "INFO ordering: migrated\nINFO ordering: listening addr=127.0.0.1:4711\nmore\n";
        assert_eq!(listening_address(log).as_deref(), Some("127.0.0.1:4711"));
    }

    #[test]
    fn finds_the_address_between_colours_and_other_fields() {
        let log =
            "\x1b[32m INFO\x1b[0m listening \x1b[3maddr\x1b[0m\x1b[2m=\x1b[0m[::1]:80 a=\"x\"\n";
        assert_eq!(listening_address(log).as_deref(), Some("[::1]:80"));
    }

    #[test]
    fn finds_the_address_in_json() {
        let log = r#"{"level":"INFO","fields":{"message":"listening","addr":"127.0.0.1:4711"}}"#;
        assert_eq!(listening_address(&format!("{log}\n")).as_deref(), Some("127.0.0.1:4711"));
    }

    #[test]
    fn waits_for_the_end_of_the_line() {
        assert_eq!(listening_address("listening addr=127.0.0.1:47"), None);
        assert_eq!(listening_address(""), None);
    }
}
