//! Countries by the names that people write.

use contract::order::countries;

/// Everyday and older names that are not the standard's own.
const ALIASES: [(&str, &str); 22] = [
    ("Bolivia, Plurinational State of", "BO"),
    ("Britain", "GB"),
    ("Burma", "MM"),
    ("Cape Verde", "CV"),
    ("Czech Republic", "CZ"),
    ("EIRE", "IE"),
    ("England", "GB"),
    ("Great Britain", "GB"),
    ("Holland", "NL"),
    ("Ivory Coast", "CI"),
    ("Korea", "KR"),
    ("Macedonia", "MK"),
    ("Northern Ireland", "GB"),
    ("RSA", "ZA"),
    ("Scotland", "GB"),
    ("Swaziland", "SZ"),
    ("Syria", "SY"),
    ("Turkey", "TR"),
    ("UAE", "AE"),
    ("UK", "GB"),
    ("USA", "US"),
    ("Wales", "GB"),
];

/// The ISO 3166-1 alpha-2 code of a country by its name; `None` when the name is no country's,
/// such as `Unspecified`, `European Community` or `Channel Islands` (which are two).
pub(super) fn code(name: &str) -> Option<&'static str> {
    let name = name.trim().to_lowercase();
    let is_meant = |other: &str| other.to_lowercase() == name;
    let alias = ALIASES.into_iter().find(|(alias, _)| is_meant(alias)).map(|(_, code)| code);
    alias.or_else(|| countries().find(|(_, country)| is_meant(country)).map(|(code, _)| code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_of_the_data_set_has_its_code() {
        for (name, expected) in [
            ("United Kingdom", Some("GB")),
            (" united kingdom ", Some("GB")),
            ("EIRE", Some("IE")),
            ("USA", Some("US")),
            ("RSA", Some("ZA")),
            ("Netherlands", Some("NL")),
            ("Czech Republic", Some("CZ")),
            ("Korea", Some("KR")),
            ("Hong Kong", Some("HK")),
            ("United Arab Emirates", Some("AE")),
            ("Channel Islands", None),
            ("European Community", None),
            ("Unspecified", None),
            ("", None),
        ] {
            assert_eq!(code(name), expected, "{name:?}");
        }
    }

    #[test]
    fn aliases_are_sorted_and_lead_to_countries() {
        assert!(ALIASES.is_sorted());
        assert!(ALIASES.iter().all(|(_, code)| contract::order::is_country_code(code)));
    }
}
