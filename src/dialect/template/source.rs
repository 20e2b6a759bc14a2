//! Rewrites the few constructs of chat templates that minijinja does not know into ones that it does.
//!
//! - `{% generation %}…{% endgeneration %}` (transformers marks the assistant's tokens with it; it prints its body in a
//!   scope of its own) becomes `{% with %}…{% endwith %}`.
//! - In templates that change lists (`.append(…)` and the like), list literals are wrapped in a function that makes them
//!   mutable.
//! - `a ~ b` becomes a function, which prints values as Python does and charges for it; minijinja's own operator would print
//!   a small value that shares its parts many times over without end.

/// The function that list literals are wrapped in.
pub(super) const LIST: &str = "__list";
/// The function that stands for `~`.
pub(super) const CONCAT: &str = "__concat";

const CHANGES: [&str; 8] = [".append(", ".pop(", ".insert(", ".extend(", ".remove(", ".clear(", ".reverse(", ".sort("];

/// minijinja refuses expressions that are nested more deeply than this.
const MAX_DEPTH: usize = 160;

/// Words after which `[` opens a list and not a subscript.
const OPERATORS: [&str; 8] = ["in", "and", "or", "not", "if", "else", "elif", "is"];

/// The template that minijinja is given.
pub(super) fn prepare(source: &str) -> String {
    // Jinja2 reads every line end as `\n`.
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let wrap_lists = CHANGES.iter().any(|change| source.contains(change));
    if !wrap_lists && !source.contains('~') && !source.contains("generation") {
        return source;
    }
    let mut out = String::with_capacity(source.len() + 64);
    let mut rest = source.as_str();
    while let Some(at) = rest.find("{%").into_iter().chain(rest.find("{{")).chain(rest.find("{#")).min() {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let len = match &rest[..2] {
            "{#" => rest.find("#}").map_or(rest.len(), |end| end + 2),
            _ if word(rest) == "raw" => raw_len(rest),
            open => tag(rest, if open == "{%" { "%}" } else { "}}" }, wrap_lists, &mut out),
        };
        if rest.starts_with("{#") || word(rest) == "raw" {
            out.push_str(&rest[..len]);
        }
        rest = &rest[len..];
    }
    out.push_str(rest);
    out
}

/// The first word of a statement.
fn word(tag: &str) -> &str {
    let Some(inside) = tag.strip_prefix("{%") else { return "" };
    let inside = inside.trim_start_matches(['-', '+']).trim_start();
    &inside[..inside.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inside.len())]
}

fn raw_len(rest: &str) -> usize {
    let mut at = 2;
    while let Some(next) = rest[at..].find("{%") {
        at += next;
        if word(&rest[at..]) == "endraw" {
            return rest[at..].find("%}").map_or(rest.len(), |end| at + end + 2);
        }
        at += 2;
    }
    rest.len()
}

/// Writes the tag at the start of `rest` to `out`, rewritten, and returns its length in `rest`.
fn tag(rest: &str, close: &str, wrap_lists: bool, out: &mut String) -> usize {
    let mut reader = Reader { text: rest, at: 2, close };
    let nodes = reader.nodes(0);
    let renamed = match word(rest) {
        "generation" => Some(("generation", "with")),
        "endgeneration" => Some(("endgeneration", "endwith")),
        _ => None,
    };
    out.push_str(&rest[..2]);
    let start = out.len();
    write(&nodes, close == "%}", wrap_lists, out);
    if let Some((from, to)) = renamed {
        let text = out.split_off(start).replacen(from, to, 1);
        out.push_str(&text);
    }
    if rest[reader.at..].starts_with(close) {
        reader.at += close.len();
        out.push_str(close);
    }
    reader.at
}

/// A piece of an expression.
enum Node<'a> {
    Space(&'a str),
    /// A string, a name, a number or an operator.
    Token(&'a str),
    Group {
        open: char,
        inside: Vec<Node<'a>>,
        close: &'a str,
    },
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    close: &'a str,
}

impl<'a> Reader<'a> {
    /// Reads up to the bracket that closes the group, or the end of the tag. Brackets beyond [`MAX_DEPTH`] are tokens like
    /// others; minijinja refuses them afterwards.
    fn nodes(&mut self, depth: usize) -> Vec<Node<'a>> {
        let mut nodes = Vec::new();
        while let Some(c) = self.text[self.at..].chars().next() {
            let rest = &self.text[self.at..];
            let ends = if depth == 0 { rest.starts_with(self.close) } else { matches!(c, ')' | ']' | '}') };
            if ends {
                break;
            }
            let len = match c {
                '"' | '\'' => string_len(rest, c),
                c if c.is_whitespace() => rest.len() - rest.trim_start().len(),
                c if is_name(c) => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
                _ if ["==", "!=", "<=", ">=", "//", "**"].iter().any(|op| rest.starts_with(op)) => 2,
                c => c.len_utf8(),
            };
            self.at += len;
            match c {
                '(' | '[' | '{' if depth < MAX_DEPTH => {
                    let inside = self.nodes(depth + 1);
                    let end = self.text[self.at..].chars().next().map_or(0, char::len_utf8);
                    nodes.push(Node::Group { open: c, inside, close: &self.text[self.at..self.at + end] });
                    self.at += end;
                }
                c if c.is_whitespace() => nodes.push(Node::Space(&rest[..len])),
                _ => nodes.push(Node::Token(&rest[..len])),
            }
        }
        nodes
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the string literal at the start of `text`.
fn string_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether something that can be subscripted or subtracted from ends with this node.
fn is_operand(node: Option<&Node>) -> bool {
    match node {
        Some(Node::Group { .. }) => true,
        Some(Node::Token(text)) => {
            text.starts_with(|c| is_name(c) || matches!(c, '"' | '\'')) && !OPERATORS.contains(text)
        }
        _ => false,
    }
}

/// Writes nodes of one level, each run of operands with `~` between them as a call.
fn write(nodes: &[Node], statement: bool, wrap_lists: bool, out: &mut String) {
    let solid = |at: usize| nodes[..at].iter().rev().find(|node| !matches!(node, Node::Space(_)));
    let mut start = 0;
    let mut keyword = statement;
    for (at, node) in nodes.iter().enumerate() {
        let Node::Token(text) = node else { continue };
        let name = text.starts_with(is_name);
        let after_is = matches!(solid(at), Some(Node::Token("is" | "not")));
        let divides = match *text {
            "," | ":" | "=" | "==" | "!=" | "<" | ">" | "<=" | ">=" | "and" | "or" | "if" | "else" => true,
            "+" | "-" => is_operand(solid(at)) || solid(at).is_none(),
            "not" | "in" => !after_is,
            _ => keyword && name,
        };
        keyword &= !name;
        if divides {
            run(&nodes[start..at], wrap_lists, out);
            out.push_str(text);
            start = at + 1;
        }
    }
    run(&nodes[start..], wrap_lists, out);
}

/// Writes nodes without operators that bind less than `~`.
fn run(nodes: &[Node], wrap_lists: bool, out: &mut String) {
    let operands: Vec<&[Node]> = nodes.split(|node| matches!(node, Node::Token("~"))).collect();
    if operands.len() == 1 {
        return plain(nodes, wrap_lists, out);
    }
    // The space on the outside stays outside: the white space control of the tag may stand beside it.
    let lead = nodes.iter().take_while(|node| matches!(node, Node::Space(_))).count();
    plain(&nodes[..lead], wrap_lists, out);
    out.push_str(CONCAT);
    out.push('(');
    for (index, operand) in operands.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        plain(if index == 0 { &operand[lead..] } else { operand }, wrap_lists, out);
    }
    out.push(')');
}

fn plain(nodes: &[Node], wrap_lists: bool, out: &mut String) {
    for (at, node) in nodes.iter().enumerate() {
        match node {
            Node::Space(text) | Node::Token(text) => out.push_str(text),
            Node::Group { open, inside, close } => {
                let before = nodes[..at].iter().rev().find(|node| !matches!(node, Node::Space(_)));
                let list = wrap_lists && *open == '[' && !is_operand(before);
                if list {
                    out.push_str(LIST);
                    out.push('(');
                }
                out.push(*open);
                write(inside, false, wrap_lists, out);
                out.push_str(close);
                if list {
                    out.push(')');
                }
            }
        }
    }
}
