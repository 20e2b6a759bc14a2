//! Takes a shell command apart, as far as that can be done without running it.

/// The words of each simple command that `command` is made of by `;`, `&&`, `||`, `|`, `&` and newlines. `None` where
/// something in it could do more than the words say: an expansion, a substitution, a redirection (other than to another
/// stream or to `/dev/null`), an assignment, a group, a quote left open.
pub(super) fn simple_commands(command: &str) -> Option<Vec<Vec<String>>> {
    let mut lexer = Lexer::default();
    let mut rest = command.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' => {
                lexer.quoted();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        c => lexer.word.push(c),
                    }
                }
            }
            '"' => {
                lexer.quoted();
                loop {
                    match rest.next()? {
                        '"' => break,
                        '$' | '`' => return None,
                        '\\' => lexer.word.push(rest.next()?),
                        c => lexer.word.push(c),
                    }
                }
            }
            '\\' => {
                lexer.quoted();
                lexer.word.push(rest.next()?);
            }
            '>' => {
                let mut target = String::new();
                while let Some(c) =
                    rest.next_if(|c| matches!(c, '>' | '&' | ' ') && target.trim().is_empty() || is_name(*c))
                {
                    target.push(c);
                }
                let stream = lexer.take_stream();
                let whole = rest.peek().is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|'));
                if !(stream && whole && matches!(target.trim(), "&1" | "&2" | "/dev/null")) {
                    return None;
                }
            }
            ';' | '\n' | '|' | '&' => {
                let _ = rest.next_if(|next| *next == c && c != ';');
                // `|&` and `&>` are redirections, `;;` belongs to `case`.
                if matches!((c, rest.peek()), ('|', Some('&')) | ('&', Some('>')) | (';', Some(';'))) {
                    return None;
                }
                lexer.end_command()?;
            }
            ' ' | '\t' => lexer.end_word(),
            '#' if !lexer.in_word => while rest.next_if(|c| *c != '\n').is_some() {},
            '$' | '`' | '(' | ')' | '{' | '}' | '<' | '!' => return None,
            c => {
                lexer.in_word = true;
                lexer.word.push(c);
            }
        }
    }
    lexer.end_command()?;
    Some(lexer.commands)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-')
}

#[derive(Default)]
struct Lexer {
    commands: Vec<Vec<String>>,
    words: Vec<String>,
    word: String,
    in_word: bool,
    was_quoted: bool,
}

impl Lexer {
    fn quoted(&mut self) {
        self.in_word = true;
        self.was_quoted = true;
    }

    fn end_word(&mut self) {
        if self.in_word {
            self.words.push(std::mem::take(&mut self.word));
        }
        self.in_word = false;
        self.was_quoted = false;
    }

    /// A redirection begins: takes the number of its stream off the text. False where the text before is no such number
    /// and still belongs to a word.
    fn take_stream(&mut self) -> bool {
        if !self.in_word {
            return true;
        }
        let stream = !self.was_quoted && matches!(self.word.as_str(), "1" | "2");
        if stream {
            self.word.clear();
            self.in_word = false;
        }
        stream
    }

    fn end_command(&mut self) -> Option<()> {
        self.end_word();
        let words = std::mem::take(&mut self.words);
        // `NAME=value command` runs the command in another environment.
        if words.first().is_some_and(|word| word.contains('=')) {
            return None;
        }
        if !words.is_empty() {
            self.commands.push(words);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_apart() {
        for (command, parts) in [
            ("cargo test", Some("cargo,test")),
            ("cargo test -- 'a b' \"c;d\" e\\ f", Some("cargo,test,--,a b,c;d,e f")),
            ("a b; c && d|e || f & g\nh", Some("a,b|c|d|e|f|g|h")),
            ("a 2>&1 | b >/dev/null", Some("a|b")),
            ("a 2> /dev/null; b # c; d", Some("a|b")),
            ("a ''", Some("a,")),
            ("", Some("")),
            ("ls *.py ~", Some("ls,*.py,~")),
            ("echo $(rm x)", None),
            ("echo `rm x`", None),
            ("echo \"$(rm x)\"", None),
            ("echo '$(rm x)'", Some("echo,$(rm x)")),
            ("a $HOME", None),
            ("a > b", None),
            ("a >> b", None),
            ("a >b>/dev/null", None),
            ("a >/dev/null/../../etc/x", None),
            ("a >/dev/null'x'", None),
            ("a >/dev/null\\x", None),
            ("a 3>&1", None),
            ("a &> b", None),
            ("a |& b", None),
            ("a < b", None),
            ("a <(b)", None),
            ("(a)", None),
            ("{ a; }", None),
            ("! a", None),
            ("X=1 a", None),
            ("a 'b", None),
            ("a \\", None),
        ] {
            let found = simple_commands(command)
                .map(|parts| parts.iter().map(|words| words.join(",")).collect::<Vec<_>>().join("|"));
            assert_eq!(found.as_deref(), parts, "{command}");
        }
    }
}
