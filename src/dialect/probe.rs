//! Finds out how a family writes calls and reasoning from what its template does: conversations with known names and
//! arguments are rendered, and what appears around these is taken apart into [`Marks`].

mod analyse;

use serde_json::json;

use super::mark;
use super::marks::{Arguments, CDATA, Marks};
use super::reasoning::Thoughts;
use super::template::{Shape, Template};
use super::{Call, Message, RenderOptions, Role, ToolSpec};

const NAME: &str = "probe_tool";
const FIRST: (&str, &str) = ("alpha_key", "alpha_value");
/// A number, so that a form which tells types shows it.
const SECOND: (&str, i64) = ("beta_key", 1917);
const ANSWER: &str = "probe-answer";
const REASONING: &str = "probe-reasoning";
/// Identifiers of nine letters and digits, which some templates insist on.
const IDS: [&str; 2] = ["callprob1", "callprob2"];

/// Pairs of marks for reasoning that are in use, for templates that drop it from the history.
const PAIRS: [(&str, &str); 9] = [
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),
];

/// What the probes found.
#[derive(Debug, Clone, Default)]
pub(super) struct Finding {
    /// How calls are written, where the template writes them.
    pub marks: Option<Marks>,
    /// The text that the template wrote for a message with two calls (or one, where it takes one), for showing.
    pub sample: String,
    pub shape: Shape,
    /// Control tokens that stand around an answer.
    pub noise: Vec<String>,
    /// What ends an answer.
    pub stops: Vec<String>,
    /// What a prompt says more when it has tools.
    pub instructions: String,
}

/// Looks at a template.
pub(super) fn look(template: &Template) -> Finding {
    let mut finding = Finding { instructions: instructions(template), ..Finding::default() };
    // Some show the last message of an assistant only where the conversation ends with it.
    let ways = [RenderOptions::default(), ends_here()];
    let answer = || Message::new(Role::Assistant, ANSWER);
    let plain = ways.each_ref().map(|options| turn(template, Shape::default(), answer(), options));
    let (noise, stop) = around_answer(template, plain.each_ref().map(|text| text.as_deref().unwrap_or_default()));
    let is_control = |mark: &String| mark::is_control(mark);
    finding.stops = Some(stop.clone()).filter(is_control).into_iter().collect();
    finding.noise = noise.into_iter().filter(is_control).collect();
    let found = ways.iter().zip(&plain).find_map(|(options, plain)| {
        let around = (plain.as_deref(), stop.as_str());
        shapes().find_map(|shape| Some((shape, calls(template, shape, around, options)?)))
    });
    if let Some((shape, calls)) = found {
        finding.shape = Shape { single_calls: calls.single, ..shape };
        (finding.marks, finding.sample) = (calls.marks, calls.sample);
    }
    finding.shape.thinking_parts = wants_parts(template, finding.shape);
    finding
}

/// No prompt for an answer behind the conversation.
fn ends_here() -> RenderOptions {
    let extra = [("add_generation_prompt".to_owned(), json!(false))].into_iter().collect();
    RenderOptions { extra, ..RenderOptions::default() }
}

/// How reasoning is marked: as the prompt or the history shows it, else as the template's text has it.
pub(super) fn thoughts(template: &Template) -> Thoughts {
    let options = RenderOptions { enable_thinking: Some(true), ..RenderOptions::default() };
    let user = Message::new(Role::User, "probe");
    let prompt = template.render(std::slice::from_ref(&user), &[], &options).unwrap_or_default();
    let thought =
        Message { reasoning: Some(REASONING.into()), calls: vec![call(0)], ..Message::new(Role::Assistant, "") };
    let answer = Message::tool(&call(0), "probe-result");
    let history = template.render(&[user.clone(), thought, answer], &[other_tool()], &options).unwrap_or_default();
    let pairs = PAIRS.map(|(open, close)| Thoughts::new(open, close));
    let begins = |thoughts: &&Thoughts| thoughts.is_open_after(&prompt);
    if let Some(found) = pairs.iter().find(begins) {
        return found.clone();
    }
    if let Some((before, after)) = history.split_once(REASONING)
        && let (Some(open), Some(close)) = (analyse::last_mark(before), analyse::first_mark(after))
    {
        let closed = template.render(std::slice::from_ref(&user), &[], &ends_here()).unwrap_or_default();
        let header = prompt.strip_prefix(closed.as_str()).unwrap_or_default().trim();
        let behind = after.trim_start()[close.len()..].trim_start();
        return match before.rsplit_once(header) {
            Some((_, own)) if mark::is_control(header) && behind.starts_with(header) && !own.trim().is_empty() => {
                Thoughts { then: header.to_owned(), ..Thoughts::new(own.trim(), close) }
            }
            _ => Thoughts::new(open, close),
        };
    }
    let written = |thoughts: &&Thoughts| template.source().contains(&thoughts.open);
    pairs.iter().find(written).cloned().unwrap_or_else(Thoughts::think)
}

/// The shapes that templates want calls in, the usual one first.
fn shapes() -> impl Iterator<Item = Shape> {
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(text_arguments, null_content)| Shape { text_arguments, null_content, ..Shape::default() })
}

fn call(index: usize) -> Call {
    let arguments = [(FIRST.0.to_owned(), json!(FIRST.1)), (SECOND.0.to_owned(), json!(SECOND.1))];
    Call { id: IDS[index].into(), name: NAME.into(), arguments: arguments.into_iter().collect() }
}

/// A tool that is not called, so that the names which are looked for appear in the call alone.
fn other_tool() -> ToolSpec {
    ToolSpec {
        name: "other_tool".into(),
        description: "A probe.".into(),
        parameters: json!({"type": "object", "properties": {"other_key": {"type": "string"}}, "required": ["other_key"]}),
    }
}

/// A conversation that ends with `message`, rendered.
fn turn(template: &Template, shape: Shape, message: Message, options: &RenderOptions) -> Option<String> {
    let messages = [Message::new(Role::User, "probe"), message];
    template.render_in(shape, &messages, &[other_tool()], options).ok()
}

/// What a template writes for calls.
struct Calls {
    marks: Option<Marks>,
    sample: String,
    /// It takes but one call a message.
    single: bool,
}

/// What the template writes for calls; `None` where no call appears. The same with a plain answer, and what ends that, tell
/// what belongs to the calls.
fn calls(
    template: &Template,
    shape: Shape,
    (plain, stop): (Option<&str>, &str),
    options: &RenderOptions,
) -> Option<Calls> {
    let with =
        |calls: Vec<Call>| turn(template, shape, Message { calls, ..Message::new(Role::Assistant, "") }, options);
    let shows = |text: &String, times| text.matches(NAME).count() >= times && text.contains(FIRST.1);
    let one = with(vec![call(0)]).filter(|text| shows(text, 1))?;
    let two = with(vec![call(0), call(1)]).filter(|text| shows(text, 2));
    let recipient = analyse::recipient(&one).map(str::to_owned);
    let unaddressed = |text: String| match &recipient {
        Some(recipient) => text.replace(recipient, ""),
        None => text,
    };
    let (one, two) = (unaddressed(one), two.map(unaddressed));
    let two = two.filter(|text| text.matches(FIRST.1).count() == 2 && text.matches(NAME).count() == 2);
    let single = two.is_none();
    let text = cut(&two.unwrap_or(one), plain, stop);
    let mut marks = analyse::marks(&text).map(Marks::without_bare_brackets).filter(Marks::are_telling);
    if let Some(marks) = &mut marks {
        marks.recipient = recipient.map(|recipient| recipient.replace(NAME, &mark::ANY.to_string()));
        if let Arguments::Tags(tags) = &mut marks.arguments {
            tags.cdata = template.source().contains(CDATA.0);
        }
    }
    Some(Calls { marks, sample: text, single })
}

/// The part of a rendered conversation that a plain answer does not share, without the mark that ends a turn.
fn cut(text: &str, plain: Option<&str>, stop: &str) -> String {
    let Some(plain) = plain else { return text.to_owned() };
    let at = plain.rfind(ANSWER).unwrap_or(plain.len());
    let shared = analyse::common_prefix(text, &plain[..at]);
    // They may share the beginning of a mark.
    let prefix = analyse::whole_marks_to(text, shared);
    let prefix = if text[prefix..shared].contains(char::is_whitespace) { shared } else { prefix };
    let rest = &text[prefix..];
    let suffix = analyse::common_suffix(rest, &plain[(at + ANSWER.len()).min(plain.len())..]);
    // The texts may share the end of a mark; then all of it belongs to the call.
    let end = rest.len() - suffix;
    let inside = analyse::whole_marks_to(rest, end) < end;
    let end = if inside { rest[end..].find('<').map_or(rest.len(), |at| end + at) } else { end };
    let (calls, behind) = rest.split_at(end);
    let stopped = calls.trim_end().strip_suffix(stop).filter(|_| !stop.is_empty() && !behind.contains(stop));
    stopped.unwrap_or(calls).to_owned()
}

/// The marks that stand around an answer, and the one that ends it. `plain` is a conversation that ends with one, `closed` the
/// same without a prompt behind it.
fn around_answer(template: &Template, [plain, closed]: [&str; 2]) -> ([String; 2], String) {
    let user = Message::new(Role::User, "probe");
    let prompt = template.render(std::slice::from_ref(&user), &[other_tool()], &RenderOptions::default());
    let before = plain.rsplit_once(ANSWER).map_or("", |(before, _)| before);
    let end = closed.rsplit_once(ANSWER).map_or("", |(_, after)| after.trim());
    let open = before.strip_prefix(prompt.unwrap_or_default().as_str()).unwrap_or_default().trim();
    let stop = analyse::last_mark(end).unwrap_or_default();
    ([open.to_owned(), end[..end.len() - stop.len()].to_owned()], stop.to_owned())
}

/// What a prompt says more when it has tools.
fn instructions(template: &Template) -> String {
    let render = |tools: &[ToolSpec]| {
        let messages = [Message::new(Role::System, "probe-system"), Message::new(Role::User, "probe")];
        template.render(&messages, tools, &RenderOptions::default()).unwrap_or_default()
    };
    let (with, without) = (render(&[other_tool()]), render(&[]));
    with[analyse::common_prefix(&with, &without)..].to_owned()
}

/// Whether the template shows reasoning only as a part of the content.
fn wants_parts(template: &Template, shape: Shape) -> bool {
    if !template.source().contains("thinking") {
        return false;
    }
    let shows = |thinking_parts: bool| {
        let message = Message { reasoning: Some(REASONING.into()), ..Message::new(Role::Assistant, ANSWER) };
        turn(template, Shape { thinking_parts, ..shape }, message, &RenderOptions::default())
            .is_some_and(|text| text.contains(REASONING) && text.contains(ANSWER) && !text.contains("'thinking'"))
    };
    !shows(false) && shows(true)
}
