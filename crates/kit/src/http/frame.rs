//! What surrounds the content of every page.

/// What `templates/layout.html` shows around a page. Templates of a service extend that file and
/// have a field `frame`.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The service's name; in lower case it is the style sheet's class.
    pub app: &'static str,
    /// Both services: name and address.
    pub apps: &'static [(&'static str, &'static str)],
    /// The service's own areas: name and address.
    pub menu: &'static [(&'static str, &'static str)],
    /// The address in `menu` that the page belongs to; empty when it belongs to none.
    pub current: &'static str,
}
