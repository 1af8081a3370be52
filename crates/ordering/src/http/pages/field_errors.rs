//! What is wrong with a form, each at its field.

use std::collections::HashMap;

/// What is wrong with one field.
pub(super) struct FieldError {
    /// The field's `id`.
    pub(super) id: String,
    /// What the field is called on the page.
    pub(super) label: String,
    /// What would be right.
    pub(super) detail: String,
}

/// What is wrong with a form: at most one thing for each field, the first.
#[derive(Default)]
pub(super) struct FieldErrors {
    all: Vec<FieldError>,
    places: HashMap<String, usize>,
}

impl FieldErrors {
    pub(super) fn add(&mut self, id: &str, label: &str, detail: &str) {
        if self.at(id).is_none() {
            self.places.insert(id.to_owned(), self.all.len());
            let (id, label, detail) = (id.to_owned(), label.to_owned(), detail.to_owned());
            self.all.push(FieldError { id, label, detail });
        }
    }

    /// Puts the errors into the order in which the page shows their fields: that of `ids`.
    pub(super) fn sort(&mut self, ids: impl IntoIterator<Item = String>) {
        let shown: HashMap<_, _> = ids.into_iter().zip(0_usize..).collect();
        self.all.sort_by_key(|error| shown.get(&error.id).copied());
        let places = self.all.iter().zip(0..).map(|(error, place)| (error.id.clone(), place));
        self.places = places.collect();
    }

    /// What is wrong with the field `id`.
    pub(super) fn at(&self, id: &str) -> Option<&str> {
        self.places.get(id).map(|&place| self.all[place].detail.as_str())
    }

    pub(super) fn all(&self) -> &[FieldError] {
        &self.all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// `1 problem`, `3 problems`.
    pub(super) fn count(&self) -> String {
        match self.all.len() {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        }
    }
}
