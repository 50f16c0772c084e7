use std::io::Write as _;

/// How the demo is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// Lines without escape codes, one after the other.
    Lines,
    /// What was said runs by above; the figures stand below it and change.
    Screen,
}

/// The figures below what was said.
#[derive(Debug)]
pub struct Panel {
    display: Display,
    drawn: Vec<String>,
}

/// Longer lines of the panel are cut: 80 columns are all that is sure.
const COLUMNS_MAX: usize = 79;
/// Erases from the cursor to the end of the screen (ECMA-48, ED).
const ERASE_BELOW: &str = "\x1b[J";

impl Panel {
    pub fn new(display: Display) -> Panel {
        Panel {
            display,
            drawn: Vec::new(),
        }
    }

    pub fn is_drawn(&self) -> bool {
        self.display == Display::Screen
    }

    /// Writes what stays, above the figures.
    pub fn say(&mut self, text: &str) {
        let drawn = std::mem::take(&mut self.drawn);
        write(&format!("{}{text}\n", erased(&drawn)));
        self.draw(&drawn);
    }

    /// Writes the figures over those of before.
    pub fn draw(&mut self, lines: &[String]) {
        if self.display == Display::Lines || lines.is_empty() {
            return;
        }
        let cut: Vec<String> = lines
            .iter()
            .map(|line| line.chars().take(COLUMNS_MAX).collect())
            .collect();
        write(&format!("{}{}\n", erased(&self.drawn), cut.join("\n")));
        self.drawn = cut;
    }

    /// Leaves the last figures where they are; what is said from now on stands below them.
    pub fn close(&mut self) {
        self.drawn.clear();
        self.display = Display::Lines;
    }
}

/// Goes back to the first of these lines (ECMA-48, CUU) and erases them.
fn erased(drawn: &[String]) -> String {
    match drawn.len() {
        0 => String::new(),
        lines => format!("\x1b[{lines}A\r{ERASE_BELOW}"),
    }
}

/// A spectator who has gone (a closed pipe) does not stop the play.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}
