//! Styles. Only the sixteen colours that the terminal's own palette defines, and only those of them that can be read on a dark
//! and on a light background, so that Moru looks like the user's other programs. A colour always repeats what a sign or a word
//! says already.

use ratatui::style::{Color, Modifier, Style};

use crate::code::highlight::Token;

/// Whether colours are used; text attributes (bold, dim) are in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    On,
    /// As `NO_COLOR` asks for.
    Off,
}

/// A style for each meaning.
#[derive(Debug, Clone)]
pub struct Theme {
    pub text: Style,
    /// What one need not read.
    pub dim: Style,
    pub bold: Style,
    /// The sign before what the user wrote, the cursor's side of the screen.
    pub accent: Style,
    pub heading: Style,
    /// Code inside a sentence, and code of no known language.
    pub code: Style,
    keyword: Style,
    function: Style,
    type_name: Style,
    constant: Style,
    string: Style,
    pub link: Style,
    pub good: Style,
    pub bad: Style,
    pub warning: Style,
    pub added: Style,
    pub removed: Style,
    /// The chosen line of a list.
    pub selected: Style,
}

impl Theme {
    pub fn new(colour: Colour) -> Self {
        let plain = Style::new();
        let fg = |c: Color| match colour {
            Colour::On => plain.fg(c),
            Colour::Off => plain,
        };
        let bold = plain.add_modifier(Modifier::BOLD);
        Self {
            text: plain,
            dim: plain.add_modifier(Modifier::DIM),
            bold,
            accent: fg(Color::Cyan).add_modifier(Modifier::BOLD),
            heading: bold,
            code: fg(Color::Cyan),
            keyword: fg(Color::Magenta),
            function: bold,
            type_name: fg(Color::Cyan),
            constant: fg(Color::Cyan),
            string: fg(Color::Green),
            link: plain.add_modifier(Modifier::UNDERLINED),
            good: fg(Color::Green),
            bad: fg(Color::Red),
            warning: fg(Color::Yellow),
            added: fg(Color::Green),
            removed: fg(Color::Red),
            selected: plain.add_modifier(Modifier::REVERSED),
        }
    }

    /// For code beside what comes and goes, whose colours are no words'.
    pub fn beside_changes(&self) -> Self {
        Self { string: self.text, ..self.clone() }
    }

    /// What a word of code looks like.
    pub fn token(&self, token: Token) -> Style {
        match token {
            Token::Keyword => self.keyword,
            Token::Function => self.function,
            Token::Type => self.type_name,
            Token::Constant => self.constant,
            Token::String => self.string,
            Token::Comment => self.dim,
            Token::Heading => self.heading,
        }
    }
}
