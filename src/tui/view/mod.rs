//! The state as a frame. From top to bottom: the conversation, a question if there is one, what waits to be sent, a rule that
//! says what goes on, the input box, the status line. Heights depend on the state alone, so nothing jumps while text streams.

pub mod block;
mod code;
pub mod conversation;
pub mod diff;
pub mod input;
pub mod markdown;
pub mod permission;
pub mod popup;
pub mod status;
pub mod table;

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;

use super::app::App;
pub use block::Rendered;

/// Most rows that waiting messages take.
const QUEUE: u16 = 3;

/// Draws everything.
pub fn draw(app: &mut App, frame: &mut Frame<'_>) {
    let screen = frame.area();
    if screen.is_empty() {
        return;
    }
    let parts = split(app, screen);
    let buffer = frame.buffer_mut();
    let below = conversation::draw(app, parts.conversation, buffer);
    permission::draw(app, parts.question, buffer);
    input::draw_queue(app, parts.queue, buffer);
    status::draw_rule(app, below, parts.rule, buffer);
    let cursor = input::draw(app, parts.input, buffer);
    status::draw(app, parts.status, buffer);
    popup::draw_suggestions(app, parts.above_input(), buffer);
    popup::draw_help(app, screen, buffer);
    if let Some(cursor) = cursor
        && app.help.is_none()
    {
        frame.set_cursor_position(cursor);
    }
}

struct Parts {
    conversation: Rect,
    question: Rect,
    queue: Rect,
    rule: Rect,
    input: Rect,
    status: Rect,
}

impl Parts {
    /// Where suggestions may lie.
    fn above_input(&self) -> Rect {
        let top = self.conversation.y;
        Rect { y: top, height: self.rule.y.saturating_sub(top), ..self.conversation }
    }
}

/// Shares the rows out from the bottom: what is typed into comes first, the conversation takes what is left.
fn split(app: &mut App, screen: Rect) -> Parts {
    let mut bottom = screen.bottom();
    let mut free = screen.height;
    let mut take = |wanted: u16| {
        let height = wanted.min(free);
        free -= height;
        bottom -= height;
        Rect { x: screen.x, y: bottom, width: screen.width, height }
    };
    let status = take(u16::from(screen.height >= 3));
    let input = take(input::height(app, screen.width).clamp(1, (screen.height / 3).max(1)));
    let rule = take(u16::from(screen.height >= 4));
    let queued = u16::try_from(app.queued.len()).unwrap_or(u16::MAX);
    let queue = take(if screen.height >= 10 { queued.min(QUEUE) } else { 0 });
    // A question is what is to be read now: it may leave the conversation a few rows only.
    let room = screen.height.saturating_sub(status.height + input.height + rule.height + queue.height);
    let question = take(permission::height(app, screen.width).min(room.saturating_sub(room / 4)));
    // One blank row sets the conversation off from what follows it.
    let blank = take(u16::from(screen.height >= 12));
    let conversation = Rect { y: screen.y, height: blank.y - screen.y, ..screen };
    Parts { conversation, question, queue, rule, input, status }
}

/// A sign that turns; its position depends on the time alone.
pub fn spinner(now: Duration) -> &'static str {
    const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
    FRAMES[(now.as_millis() / 100 % FRAMES.len() as u128) as usize]
}
