//! Two versions of the same thing side by side; `templates/compare.html` shows them.

/// A field in both versions, in the words of the page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compared {
    /// What the field is called.
    pub label: String,
    /// What a person typed or saw; `None` when that was nothing.
    pub yours: Option<String>,
    /// What is there now; `None` when that is nothing.
    pub now: Option<String>,
}

impl Compared {
    /// A field with these texts; an empty one is nothing.
    pub fn new(label: &str, yours: &str, now: &str) -> Self {
        let known = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Self { label: label.to_owned(), yours: known(yours), now: known(now) }
    }

    /// Whether it is to be marked.
    pub fn differs(&self) -> bool {
        self.yours != self.now
    }
}
